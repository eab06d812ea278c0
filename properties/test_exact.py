"""Law "exact": where every sum is a whole number that the dtype holds, all subjects give the same bits."""

from dataclasses import replace

import numpy as np

from impl.spec import tree_map
from properties.cases import judge, plans, results
from properties.laws import law, same_bits
from properties.subject import Cotangent

BITS = {"float32": 24, "float64": 53}


def signed_permutation(rng, rows, columns, dtype):
    """At most one entry of +-1 in each row and column, else zero."""
    a = np.zeros((rows, columns), dtype)
    n = int(rng.integers(1, min(rows, columns) + 1))
    a[rng.permutation(rows)[:n], rng.permutation(columns)[:n]] = rng.choice([-1, 1], n)
    return a


def whole(case):
    """A call and cotangents of whole numbers, so large that a rounding anywhere shows, so small that no sum rounds.

    A state sums at most 3 (T + 1) inputs; a weight's gradient T B products with a gradient of at most T + 1.
    """
    p, rng, dtype = case.plan, case.rng, case.dtype
    terms = 3 * (p.T + 1) * p.T * p.B * (p.T + 1)
    top = 2 ** min(BITS[dtype] - int(np.ceil(np.log2(terms))) - 1, {"float32": 20, "float64": 45}[dtype])

    def numbers(*shape):
        return (rng.integers(-top, top + 1, shape) | 1).astype(dtype)

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


@law("exact", plans(), needs=("backward",), cells=("rnn_relu",), seen_in=("batch_invariant_ops#23",))
def test_whole_numbers_give_the_same_bits_everywhere(subject, cell, dtype, plan):
    """No order of sums, no fused product may change an exact result; TF32 or float32 inside would: bits."""
    case = plan.case(cell, dtype)
    call, cotangent = whole(case)
    judged = judge(call, cotangent, dtype)
    for name, array in results(subject, call, cotangent).items():
        same_bits(subject, case, name, np.asarray(array) + 0, judged[name].hi.astype(dtype) + 0)  # -0 is 0 here
