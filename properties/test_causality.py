"""Law "causality": a later input moves no earlier output."""

from dataclasses import replace

import numpy as np

from impl.spec import tree_map
from properties.cases import plans
from properties.laws import law, require, same_bits
from properties.subject import Cotangent


@law("causality", plans())
def test_a_later_input_moves_no_earlier_output(subject, cell, dtype, plan):
    """h_t is a function of x_1..x_t: with other inputs from `cut` on, the outputs before it keep their bits."""
    case = plan.case(cell, dtype)
    x = case.call.x.copy()
    x[plan.cut :] = case.normal(*x[plan.cut :].shape)
    got, wanted = subject.forward(replace(case.call, x=x)), subject.forward(case.call)
    same_bits(subject, case, f"h before step {plan.cut}", got.h[: plan.cut], wanted.h[: plan.cut])


@law("causality", plans(), needs=("backward",))
def test_the_gradient_of_an_early_output_does_not_reach_later_inputs(subject, cell, dtype, plan):
    """The other side of the same: cotangents before step `cut` alone leave dx from it on exactly zero."""
    case = plan.case(cell, dtype)
    dh = case.cotangent.h.copy()
    dh[plan.cut :] = 0
    result = subject.backward(case.call, Cotangent(dh, tree_map(np.zeros_like, case.cotangent.last)))
    late = result.x[plan.cut :]  # never empty: a step after the cut is what the law speaks of
    require(subject, case, not late.any(), f"dx from step {plan.cut} on must be zero; got {np.abs(late).max()!s}.")
