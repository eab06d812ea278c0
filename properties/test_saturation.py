"""Law "saturation": the largest inputs and cells give finite values, exact limits, and no warning."""

import warnings
from dataclasses import replace

import numpy as np

from impl.spec import block
from properties.cases import outputs, plans, results
from properties.laws import agree, law, require, same_bits

SEEN = ("dynet#1525", "ComputeLibrary#779")
SIZES = (1e2, 1e4, 1e8, 1e16, 1e30)


def enlarged(plan, cell, dtype, array):
    """A case with one array of its call made large, and how large: by its seed."""
    case, size = replace(plan, opposed=0.0).case(cell, dtype), SIZES[plan.seed % len(SIZES)]
    array(case.call)[...] *= np.asarray(size, dtype)
    return case, size


def bounded_in_silence(subject, case, what, gradients=True):
    """All outputs, and the gradients if asked for, are finite and within the bound, and no warning is given; of `what`.

    One says nothing (pyproject.toml has the reason): NaN in memory beside a product's operands may set off "invalid
    value encountered in matmul". A NaN that did arise is no finite value.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "invalid value encountered in matmul", RuntimeWarning)
        got = results(subject, case.call, case.cotangent) if gradients else outputs(subject.forward(case.call))
    heard = [str(w.message) for w in caught]
    require(subject, case, not heard, f"no warning must be given at {what}; got {heard}.")
    agree(subject, case, got, case.judged(subject.alpha(case.dtype), gradients))
    wild = sorted(name for name, a in got.items() if not np.isfinite(a).all())
    require(subject, case, not wild, f"all results must be finite at {what}; {wild} are not.")


@law("saturation", plans(), seen_in=SEEN, share=0.75)
def test_inputs_up_to_1e30_give_finite_values_within_the_bound_and_no_warning(subject, cell, dtype, plan):
    """exp must not overflow on the way to a sigma or tanh that is 0 or 1, and 0 * inf must not arise.

    The bound stays finite. For weight_ih's gradient it may be wide: an error of u in a flat slope meets an x of 1e30.
    """
    case, size = enlarged(plan, cell, dtype, lambda call: call.x)
    bounded_in_silence(subject, case, f"inputs of {size:g}")


@law("saturation", plans(biases=("both",)), needs=("cell state",))
def test_beyond_a_thousand_the_limits_are_exact(subject, cell, dtype, plan):
    """Where every pre-activation lies beyond 1e3, h is +-1, an LSTM's cell moves by +-1 a step, no gradient passes."""
    case = replace(plan, opposed=0.0).case(cell, dtype)
    params, sign = case.call.params, np.where(np.arange(plan.H) % 2, -1.0, 1.0).astype(dtype)
    bias = np.full_like(params.bias_ih, 2e3)  # gates open; what they let in, tanh(a), is +-1
    bias[block(cell, {"rnn": "a", "lstm": "g"}[cell], plan.H)] = 2e3 * sign
    call = replace(case.call, params=params._replace(bias_ih=bias))
    output = subject.forward(call)
    if cell == "rnn":
        same_bits(subject, case, "h", output.h, np.broadcast_to(sign, output.h.shape).copy())
    else:
        c = call.state.c
        for _ in range(plan.T):
            c = c + sign
        same_bits(subject, case, "cT", output.last.c, c)
    if "backward" in subject.capabilities:
        dx = subject.backward(call, case.cotangent).x
        require(subject, case, not dx.any(), "no gradient must pass where every gate and tanh is flat.")


@law("saturation", plans(), needs=("cell state",), cells=("lstm",), share=0.5)
def test_a_cell_up_to_1e30_gives_finite_values_within_the_bound_and_no_warning(subject, cell, dtype, plan):
    """What a cell holds is not cut off, and its tanh is +-1. Gradients are asked for up to 1e4.

    Beyond, a slope of tanh that is off by a rounding may let through what grows by the size of c every step.
    """
    case, size = enlarged(plan, cell, dtype, lambda call: call.state.c)
    bounded_in_silence(subject, case, f"a cell of {size:g}", gradients=size <= 1e4)
