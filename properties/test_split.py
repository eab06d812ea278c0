"""Law "split": running x and then y from the carried state equals running xy (claim N2)."""

from dataclasses import replace

import numpy as np

from properties.cases import only, outputs, plans
from properties.laws import agree, law
from properties.subject import Cotangent, Output


@law("split", plans(), needs=("cell state",), seen_in=("burn#2701", "flash-linear-attention#285"))
def test_running_x_then_y_from_the_carried_state_equals_running_xy(subject, cell, dtype, plan):
    """The state carries everything: nothing else of the past reaches the future."""
    case = plan.case(cell, dtype)
    first = subject.forward(replace(case.call, x=case.call.x[: plan.cut]))
    second = subject.forward(replace(case.call, x=case.call.x[plan.cut :], state=first.last))
    joined = Output(np.concatenate([first.h, second.h]), second.last)
    agree(subject, case, outputs(joined), case.judged(subject.alpha(dtype)))


@law("split", plans(), needs=("cell state",))
def test_stepping_equals_running_the_sequence(subject, cell, dtype, plan):
    """A loop of calls of one step each, as a user writes it, is the same computation."""
    case, state, h = plan.case(cell, dtype), None, []
    for t in range(plan.T):
        output = subject.forward(
            replace(case.call, x=case.call.x[t : t + 1], state=case.call.state if t == 0 else state)
        )
        state = output.last
        h.append(output.h)
    agree(subject, case, outputs(Output(np.concatenate(h), state)), case.judged(subject.alpha(dtype)))


@law("split", plans(), needs=("backward", "cell state"))
def test_the_gradient_passes_through_the_carried_state(subject, cell, dtype, plan):
    """The second part's gradient by its initial state is the first part's cotangent of its last state."""
    case, cut = plan.case(cell, dtype), plan.cut
    early, late = replace(case.call, x=case.call.x[:cut]), replace(case.call, x=case.call.x[cut:])
    late = replace(late, state=subject.forward(early).last)
    second = subject.backward(late, Cotangent(case.cotangent.h[cut:], case.cotangent.last))
    first = subject.backward(early, Cotangent(case.cotangent.h[:cut], second.state))
    got = {"x": np.concatenate([first.x, second.x]), **dict(zip(("h0", "c0"), first.state, strict=False))}
    agree(subject, case, got, only(case.judged(subject.alpha(dtype), gradients=True), ("x", "h0", "c0")))
