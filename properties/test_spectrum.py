"""Law "spectrum": the Lyapunov exponents sum to what a step does to volumes, which is known in closed form (claim N1).

    rnn:  J = diag(1 - h'^2) W_hh                      ln|det J| = sum ln(1 - h'^2) + ln|det W_hh|
    lstm: (h', c') by (h, c), all gates moved by h     ln|det J| = sum ln f + sum ln|tanh c' o (1 - o)| + ln|det U_o|

The LSTM's: take o (1 - tanh^2 c') times the rows of c' from those of h'. What is left of the rows of h' is
diag(tanh c' o (1 - o)) U_o in h and nothing in c, and in c the rows of c' have diag(f); the rest of U drops out.

Source: the exponents by QR: Benettin et al. 1980; that they sum to the mean of ln|det J|: Oseledets 1968.
"""

from dataclasses import replace

import numpy as np
from scipy.special import expit

from impl.spec import block, tree_map
from properties.cases import judge, plans, rows_of
from properties.laws import TALLY, law, require
from properties.oracle import unit
from properties.subject import Cotangent

U = unit("float64")[0]


def states_of(subject, call):
    """The states before the first and after every step of one row, each (T + 1, H), by calls of one step."""
    states = [call.state]
    for t in range(len(call.x)):
        states.append(subject.forward(replace(call, x=call.x[t : t + 1], state=states[-1])).last)
    return tree_map(lambda *each: np.concatenate(each), *states)


def at_every_step(call, states):
    """One call of one step whose rows are all steps of a sequence, n times each; and cotangents that ask for J."""
    T, n = len(call.x), sum(a.shape[-1] for a in states)
    before = tree_map(lambda a: np.repeat(a[:-1], n, 0), states)
    last = type(states)(*np.split(np.tile(np.eye(n, dtype=call.x.dtype), (T, 1)), len(states), -1))
    return replace(call, x=np.repeat(call.x[:, 0], n, 0)[None], state=before), Cotangent(0 * last.h[None], last)


def by_step(parts, T):
    """What is by the initial state, (T n, H) each, as one matrix a step, (T, n, n)."""
    rows = np.concatenate([np.asarray(a, np.float64) for a in parts], -1)
    return rows.reshape(T, rows.shape[-1], rows.shape[-1])


def summed_exponents(J):
    """The sum over steps of all exponents, by QR: Q' R = J Q."""
    Q, total = np.eye(J.shape[-1]), 0.0
    for step in J:
        Q, R = np.linalg.qr(step @ Q)
        total += np.log(np.abs(np.diag(R))).sum()
    return total


def log_volume(call, states):
    """The closed form by step and unit of one row, (T, H), from the states and the weights, in float64."""
    H, (h, *c) = states[0].shape[-1], (a.astype(np.float64) for a in states)
    if call.cell == "rnn":
        return np.log1p(-(h[1:] ** 2)) + log_det(call.params.weight_hh) / H
    a_f, a_o = (pre_activations(call, h[:-1])[:, block("lstm", gate, H)] for gate in "fo")
    opened = np.log(expit(a_o)) + np.log(expit(-a_o)) + np.log(np.abs(np.tanh(c[0][1:])))
    return np.log(expit(a_f)) + opened + log_det(call.params.weight_hh[block("lstm", "o", H)]) / H


def pre_activations(call, h):
    """a (T, 4H) from the h before every step."""
    W_ih, W_hh, *biases = (np.asarray(p, np.float64) for p in call.params if p is not None)
    return call.x[:, 0].astype(np.float64) @ W_ih.T + h @ W_hh.T + sum(biases)


def log_det(W):
    """ln|det W|."""
    return np.linalg.slogdet(W.astype(np.float64))[1]


def allowed_in_exponents(J, bound):
    """-n ln(1 - r) a step, r the norm of |J^-1| |E|: J is exact, E what the subject and then QR err by."""
    n, regular = J.shape[-1], (np.linalg.matrix_rank(J) == J.shape[-1]).all()
    size = np.abs(np.linalg.inv(J)) if regular else np.full_like(J, np.inf)
    own = 8 * n * U * np.linalg.norm(J, axis=(-2, -1), keepdims=True)
    return n * lost((size @ (bound + own)).sum(-1).max(-1)).sum()


def allowed_in_volume(call, states, bound):
    """What errors of h' or c' within their bounds show in the closed form, and rounding in its own sums.

    d ln(1 - h'^2) = 2 h' / (1 - h'^2) dh', d ln|tanh c'| = 2 / sinh(2 c') dc'; by a_f and a_o the slope is at most 1.
    """
    y, n = states[-1][1:].astype(np.float64), sum(call.params.weight_ih.shape)
    slope = 2 * np.abs(y) / (1 - y**2) if call.cell == "rnn" else 2 / np.abs(np.sinh(2 * y))
    W = call.params.weight_hh.astype(np.float64)
    W = W if call.cell == "rnn" else W[block("lstm", "o", W.shape[-1])]
    largest = max(np.abs(a).max(initial=1) for a in (call.x, *(p for p in call.params if p is not None)))
    return lost(slope * (bound + 2 * U)).sum() + y.size * n * U * (16 * n * largest**2 + 4 * np.linalg.cond(W))


def lost(r):
    """-ln(1 - r), which bounds |ln(1 + e)| for |e| <= r; infinite from r = 1."""
    return -np.log1p(-np.minimum(r, 1))


@law("spectrum", plans(scales=(0.5, 1.0), largest=4), needs=("backward", "cell state"), share=0.5)
def test_the_exponents_sum_to_the_mean_log_volume_of_a_step(subject, cell, dtype, plan):
    """All exponents, by QR of the step Jacobians that the backward gives, against a closed form of the states.

    The referee bounds the Jacobians' entries and the states; what that allows in either sum is derived above. Where
    rounding may make a Jacobian singular the bound is infinite: it has no volume to speak of.
    """
    case, alpha = plan.case(cell, dtype), subject.alpha(dtype)
    call = rows_of(case.call, [plan.row])
    states = states_of(subject, call)
    steps, cotangent = at_every_step(call, states)
    J = by_step(subject.backward(steps, cotangent).state, plan.T)
    judged = judge(steps, cotangent, dtype, alpha)
    with np.errstate(all="ignore"):
        found, volume = summed_exponents(J), log_volume(call, states).sum()
        exact, bound = (
            by_step([getattr(judged[name], part) for name in ("h0", "c0")[: len(states)]], plan.T)
            for part in ("hi", "bound")
        )
        last = judged["hT" if cell == "rnn" else "cT"].bound[:: J.shape[-1]]
        allowed = allowed_in_exponents(exact, bound) + allowed_in_volume(call, states, last)
    if not allowed < np.inf:
        return
    off = abs(found - volume)
    TALLY.see(off / allowed)
    sentence = f"the exponents of {plan.T} steps sum to {found:.12g}, the log volumes to {volume:.12g}: off by"
    require(subject, case, off <= allowed, f"{sentence} {off:.3g}, allowed {allowed:.2g}.")
