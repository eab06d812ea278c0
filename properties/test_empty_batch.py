"""Law "empty batch": without a row, results are empty and of the right shape."""

import numpy as np

from properties.cases import by_name, cotangent_of, head_of, named, plans, results, rows_of, without_states
from properties.laws import all_same_bits, law, same_bits


@law("empty batch", plans(), needs=("no rows",), seen_in=("tensorflow#2127",), share=0.5)
def test_a_batch_without_rows_gives_empty_results_of_the_right_shape(subject, cell, dtype, plan):
    """Outputs (T, 0, H), states (0, H), dx (T, 0, D), and parameters' gradients of their own shapes, all zero: bits."""
    case = plan.case(cell, dtype)
    call, cotangent = rows_of(case.call, slice(0)), cotangent_of(case.cotangent, slice(0))
    wanted = {"h": cotangent.h, "x": call.x, **by_name(("hT", "cT"), call.state), **by_name(("h0", "c0"), call.state)}
    wanted |= {name: np.zeros_like(p) for name, p in named(call.params).items()}
    all_same_bits(subject, case, without_states(results(subject, call, cotangent)), wanted)


@law("empty batch", plans(), needs=("head", "no rows"), share=0.25)
def test_a_read_out_of_no_rows_is_empty(subject, cell, dtype, plan):
    """y has no rows and V outputs."""
    case, V = plan.case(cell, dtype), plan.D + 1
    y = subject.head(head_of(case, V), case.cotangent.h[:, :0])
    same_bits(subject, case, "y", y, np.zeros((plan.T, 0, V), dtype))
