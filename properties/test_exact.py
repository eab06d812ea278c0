"""Law "exact": where every sum is a whole number that the dtype holds, all subjects give the same bits."""

from dataclasses import replace

import numpy as np

from impl.spec import tree_map
from properties.cases import judge, plans, results
from properties.laws import law, same_bits
from properties.subject import Cotangent

BITS = {"float32": 24, "float64": 53}
"""Significant bits of a dtype."""

MOST = {"float32": 20, "float64": 45}
"""Those of the numbers at most; sums leave them 12 (40) or more, beyond TF32's 11 (and float32's 24)."""


def signed_permutation(rng, rows, columns, dtype):
    """At most one entry of +-1 in each row and column, else zero."""
    a = np.zeros((rows, columns), dtype)
    n = int(rng.integers(1, min(rows, columns) + 1))
    a[rng.permutation(rows)[:n], rng.permutation(columns)[:n]] = rng.choice([-1, 1], n)
    return a


def whole(case):
    """A call and cotangents of whole numbers, so large that a rounding anywhere shows, so small that no sum rounds.

    With numbers below 2^bits, h after t steps stays below 1 + (1 + biases) t of them, and a pre-activation's gradient t
    steps in at T + 1 - t: weight_hh's gradient sums the products over steps and rows, and no other sum is larger.
    """
    p, rng, dtype = case.plan, case.rng, case.dtype
    biases = sum(b is not None for b in (case.call.params.bias_ih, case.call.params.bias_hh))
    largest = p.B * sum((p.T + 1 - t) * (1 + (1 + biases) * t) for t in range(p.T))
    top = 2 ** min(BITS[dtype] - int(np.ceil(np.log2(largest))), MOST[dtype])

    def numbers(*shape):
        return (rng.integers(-top, top, shape) | 1).astype(dtype)  # odd: no bit may be lost

    def ternary(a):
        return rng.integers(-1, 2, a.shape).astype(dtype)

    params = case.call.params
    params = params._replace(
        weight_ih=signed_permutation(rng, p.H, p.D, dtype), weight_hh=signed_permutation(rng, p.H, p.H, dtype)
    )
    params = params._replace(**{n: numbers(p.H) for n in ("bias_ih", "bias_hh") if getattr(params, n) is not None})
    state = tree_map(lambda a: numbers(*a.shape), case.call.state)
    cotangent = Cotangent(*tree_map(ternary, tuple(case.cotangent)))
    return replace(case.call, params=params, x=numbers(*case.call.x.shape), state=state), cotangent


@law("exact", plans(), cells=("rnn_relu",), seen_in=("batch_invariant_ops#23",))
def test_whole_numbers_give_the_same_bits_everywhere(subject, cell, dtype, plan):
    """No order of sums, no fused product may change an exact result; TF32 or float32 inside would: bits."""
    case = plan.case(cell, dtype)
    call, cotangent = whole(case)
    judged = judge(call, cotangent, dtype)
    for name, array in results(subject, call, cotangent).items():
        same_bits(subject, case, name, np.asarray(array) + 0, judged[name].hi.astype(dtype) + 0)  # -0 is 0 here
