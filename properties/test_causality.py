"""Law "causality": a later input moves no earlier output."""

from dataclasses import replace

from properties.cases import plans
from properties.laws import law, same_bits


@law("causality", plans())
def test_a_later_input_moves_no_earlier_output(subject, cell, dtype, plan):
    """h_t is a function of x_1..x_t: with other inputs from `cut` on, the outputs before it keep their bits."""
    case = plan.case(cell, dtype)
    x = case.call.x.copy()
    x[plan.cut :] = case.normal(*x[plan.cut :].shape)
    got, wanted = subject.forward(replace(case.call, x=x)), subject.forward(case.call)
    same_bits(subject, case, f"h before step {plan.cut}", got.h[: plan.cut], wanted.h[: plan.cut])
