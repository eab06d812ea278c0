"""Law "chain rule": the loss of a sequence is the sum of its steps' cross-entropies (claims N19, N20)."""

import math
from dataclasses import replace
from decimal import Decimal
from itertools import product

import numpy as np

from properties import oracle
from properties.arithmetic import Balls, double_double
from properties.cases import head_of, plans, take
from properties.laws import TALLY, agree, law, require

PLAN = plans(biases=("both",))


def forced(case, V, targets):
    """Teacher forcing: the call whose x_t tells (one-hot, through D = V inputs) the target of the step before."""
    T, N = targets.shape
    x = np.zeros((T, N, V), case.dtype)
    x[1:] = np.eye(V, dtype=case.dtype)[targets[:-1]]
    first = take(case.call.state, [0])
    params = case.call.params._replace(weight_ih=case.normal(case.call.params.weight_ih.shape[0], V))
    return replace(case.call, x=x, params=params, state=take(first, [0] * N))


def loss_bound(case, alpha, call, head, targets):
    """By row, how far a correct loss may be off: for that of the logits 2 max e_y a step, and the loss's own.

    Returns:
        The bounds (N,), and the exact losses as two parts (N,), a float64 and what is left: of the logits' second part
        the loss sees its product with the gradient, but for its square.
    """
    judged = case.judged(alpha, call=call)["h"]
    W, n = np.abs(head.weight_hy.astype(np.float64)), head.weight_hy.shape[-1] + 1
    u, _ = oracle.unit(case.dtype)
    gamma = n * u / (1 - n * u)
    size = (np.abs(judged.hi) + judged.bound) @ W.T + np.abs(head.bias_hy)
    e_y = judged.bound @ W.T + gamma * size
    y, rest = logits(judged, head)
    rows = [oracle.judge_loss(y[:, [b]], targets[:, [b]], None, dtype=case.dtype) for b in range(y.shape[1])]
    bounds = np.array([float(row["loss"].bound) for row in rows]) + 2 * e_y.max(-1).sum(0)
    left = [float(row["loss"].lo + (row["dy"].hi * rest[:, [b]]).sum()) for b, row in enumerate(rows)]
    return bounds, np.array([float(row["loss"].hi) for row in rows]), np.array(left)


def logits(h, head):
    """The exact read-out of the exact h (T, N, H) in balls, as two parts (T, N, V): a float64 and what is left."""
    balls, H = Balls(), h.hi.shape[-1]
    exact = balls.constant(h.hi.reshape(-1, H)) + balls.constant(h.lo.reshape(-1, H))
    y = balls.product(exact, balls.constant(head.weight_hy.T)) + balls.constant(head.bias_hy)
    hi, lo, _ = double_double(y)
    return hi.reshape(*h.hi.shape[:2], -1), lo.reshape(*h.hi.shape[:2], -1)


@law("chain rule", PLAN, needs=("head", "loss"))
def test_the_probabilities_of_all_sequences_sum_to_one(subject, cell, dtype, plan):
    """A product of conditionals is a distribution over sequences, whatever the weights."""
    case, V, T = plan.case(cell, dtype), 2 + plan.seed % 2, 3
    targets = np.array(list(product(range(V), repeat=T))).T
    call, head = forced(case, V, targets), head_of(case, V)
    y = subject.head(head, subject.forward(call).h)
    losses = np.array([float(subject.loss(y[:, [b]], targets[:, [b]])[0]) for b in range(targets.shape[1])])
    bounds, *_ = loss_bound(case, subject.alpha(dtype), call, head, targets)
    allowed = float((np.exp(-losses) * np.expm1(bounds)).sum()) + len(losses) * 2.0**-52
    off = abs(np.exp(-losses).sum() - 1)
    TALLY.see(off / allowed)
    require(
        subject,
        case,
        off <= allowed,
        f"probabilities of all {V}^{T} sequences must sum to 1 within {allowed:.2g}; off by {off:.3g}.",
    )


@law("chain rule", PLAN, needs=("head", "loss", "cell state"))
def test_the_forced_loss_is_the_product_of_stepwise_conditionals(subject, cell, dtype, plan):
    """Feeding the true past at once, or a step at a time from the carried state, gives the same likelihood."""
    case, V = plan.case(cell, dtype), plan.D + 1
    targets = case.rng.integers(0, V, (plan.T, plan.B))
    call, head = forced(case, V, targets), head_of(case, V)
    bounds, exact, left = loss_bound(case, subject.alpha(dtype), call, head, targets)
    whole = float(subject.loss(subject.head(head, subject.forward(call).h), targets)[0])
    state, stepwise = call.state, 0.0
    for t in range(plan.T):
        output = subject.forward(replace(call, x=call.x[t : t + 1], state=state))
        state = output.last
        stepwise += float(subject.loss(subject.head(head, output.h), targets[t : t + 1])[0])
    u, _ = oracle.unit(dtype)
    allowed = bounds.sum() + plan.T * plan.B * u * 1.01 * (exact.sum() + bounds.sum())
    for name, loss in (("forced", whole), ("stepwise", stepwise)):
        off = abs(math.fsum([loss, *-exact, *-left]))
        TALLY.see(off / allowed)
        require(
            subject,
            case,
            off <= allowed,
            f"the {name} loss must be {exact.sum():.9g} within {allowed:.2g}; off by {off:.3g}.",
        )


@law("chain rule", PLAN, needs=("loss",))
def test_a_constant_added_to_all_logits_changes_nothing(subject, cell, dtype, plan):
    """Softmax sees differences only (the logits here are eighths, so that adding an integer is exact).

    The bound is that of the logits that are given: a loss may subtract the target's from the logarithm of the sum.
    """
    case, V = plan.case(cell, dtype), plan.D + 1
    y = case.rng.integers(-40, 41, (plan.T, plan.B, V)).astype(dtype) / 8
    targets = case.rng.integers(0, V, y.shape[:-1])
    y += np.asarray(plan.seed % 1000, dtype)
    loss, dy = subject.loss(y, targets)
    agree(subject, case, {"loss": loss, "dy": dy}, oracle.judge_loss(y, targets, None, dtype=dtype))


@law("chain rule", PLAN, needs=("loss",))
def test_equal_logits_cost_the_logarithm_of_their_number(subject, cell, dtype, plan):
    """Knowing nothing costs ln V a step; extreme logits, 1e4 apart, cost exactly what they say."""
    case, V = plan.case(cell, dtype), plan.D + 1
    targets = case.rng.integers(0, V, (plan.T, plan.B))
    loss, _ = subject.loss(np.zeros((plan.T, plan.B, V), dtype), targets)
    bound = float(oracle.judge_loss(np.zeros((plan.T, plan.B, V)), targets, None, dtype=dtype)["loss"].bound)
    off = float(abs(Decimal(float(loss)) - plan.T * plan.B * Decimal(V).ln()))  # in 28 digits: float64's has 16
    TALLY.see(off / bound)
    require(
        subject,
        case,
        off <= bound,
        f"zero logits must cost T B ln V = {plan.T * plan.B * np.log(V):.9g}; off by {off:.3g}.",
    )
    y = np.where(np.arange(V) == targets[..., None], 1e4, 0.0).astype(dtype)
    require(subject, case, float(subject.loss(y, targets)[0]) == 0, "certainty that comes true must cost 0.")
