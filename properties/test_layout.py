"""Law "layout": batch first equals time first, transposed."""

from dataclasses import replace

import numpy as np

from properties.cases import plans, stack_results
from properties.laws import agree, law

SEEN = ("pytorch#80306", "pytorch#90421")
NEEDS = ("batch first",)


def batch_first(subject, case):
    """The outputs and gradients of a batch-first call, brought back to time first; states are (B, H) either way."""
    call = replace(case.stack, x=np.ascontiguousarray(case.stack.x.swapaxes(0, 1)), batch_first=True)
    cotangent = case.stack_cotangent._replace(h=np.ascontiguousarray(case.stack_cotangent.h.swapaxes(0, 1)))
    found = stack_results(subject, call, cotangent)
    return found | {name: found[name].swapaxes(0, 1) for name in ("h", "x") if name in found}


@law("layout", plans(layers=(1, 2), largest=6), needs=NEEDS, seen_in=SEEN, share=0.5)
def test_batch_first_equals_time_first_transposed(subject, cell, dtype, plan):
    """The layout is a way to store sequences; states, parameters and their gradients do not know it."""
    case = plan.case(cell, dtype)
    agree(subject, case, batch_first(subject, case), case.judged_stack(subject.alpha(dtype), gradients=True))


@law(
    "layout",
    plans(layers=(1, 2), directions=(1, 2), largest=5, lengths=True),
    needs=(*NEEDS, "directions", "lengths"),
    seen_in=SEEN,
    share=0.4,
)
def test_batch_first_rows_end_at_their_lengths_too(subject, cell, dtype, plan):
    """Lengths count steps, wherever the time axis stands, in both directions."""
    case = plan.case(cell, dtype)
    agree(subject, case, batch_first(subject, case), case.judged_stack(subject.alpha(dtype), gradients=True))
