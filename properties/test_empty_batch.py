"""Law "empty batch": without a row, results are empty and of the right shape."""

import numpy as np

from impl.spec import leaves
from properties.cases import cotangent_of, head_of, plans, rows_of
from properties.laws import law, same_bits


@law("empty batch", plans(), needs=("backward", "no rows"), seen_in=("tensorflow#2127",), share=0.5)
def test_a_batch_without_rows_gives_empty_results_of_the_right_shape(subject, cell, dtype, plan):
    """Outputs (T, 0, H), states (0, H), dx (T, 0, D), and parameters' gradients of their own shapes, all zero: bits."""
    case = plan.case(cell, dtype)
    call, cotangent = rows_of(case.call, slice(0)), cotangent_of(case.cotangent, slice(0))
    output, result = subject.forward(call), subject.backward(call, cotangent)
    same_bits(subject, case, "h", output.h, cotangent.h)
    same_bits(subject, case, "dx", result.x, call.x)
    for got, wanted in zip(leaves((output.last, result.state)), leaves((call.state, call.state)), strict=True):
        same_bits(subject, case, "a state, or its gradient", got, wanted)
    for d, p in zip(leaves(result.params), leaves(call.params), strict=True):
        same_bits(subject, case, "a parameter's gradient", d, np.zeros_like(p))


@law("empty batch", plans(), needs=("head", "no rows"), share=0.25)
def test_a_read_out_of_no_rows_is_empty(subject, cell, dtype, plan):
    """y has no rows and V outputs."""
    case, V = plan.case(cell, dtype), plan.D + 1
    y = subject.head(head_of(case, V), case.cotangent.h[:, :0])
    same_bits(subject, case, "y", y, np.zeros((plan.T, 0, V), dtype))
