"""What a backward is not asked for is None, and the rest keeps its bits."""

from types import SimpleNamespace

import numpy as np
import pytest

from impl.spec import GATES, SKIPPABLE, leaves
from properties.cases import Plan
from properties.twins.both import both, into, out, part
from properties.twins.test_stack import Setting


def gradient(twin, cell, skip):
    """A twin's gradient of one case, without some fields."""
    case = Plan(4, 3, 2, 5, seed=3).case(cell, "float64")
    params, loop = into(twin, case.call.params), part(twin, "scan")
    run = loop.forward(cell, params, *into(twin, (case.call.x, case.call.state)))
    return loop.backward(cell, params, run.cache, *into(twin, tuple(case.cotangent)), skip=skip)


@both
@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("skip", [(name,) for name in SKIPPABLE] + [SKIPPABLE])
def test_what_is_skipped_is_none_and_the_rest_is_as_it_was(twin, cell, skip):
    """Each field alone, and all."""
    whole, part_of = gradient(twin, cell, ()), gradient(twin, cell, skip)
    for name, value in part_of._asdict().items():
        if name in skip:
            assert value is None
        else:
            wanted = leaves(out(twin, getattr(whole, name)))
            assert all(np.array_equal(a, b) for a, b in zip(leaves(out(twin, value)), wanted, strict=True))


@both
def test_a_field_that_cannot_be_skipped_is_refused(twin):
    """The gradient by the initial state is what the loop ends with: it costs nothing."""
    with pytest.raises(ValueError, match=r"^`skip` must hold names among x, params, states; got \('x', 'state'\)\.$"):
        gradient(twin, "rnn", ("x", "state"))


@both
@pytest.mark.parametrize("n", [1, 2])
def test_a_stack_asks_its_loops_for_no_gradient_that_it_does_not_hand_out(twin, n):
    """Every loop of two layers computes that by x and none by the states, whichever form of the loop it is."""
    setting, scan, asked = Setting("lstm", n, widths=(2, 2)), part(twin, "scan"), []

    def backward(cell, params, cache, dh, dlast, skip):
        asked.append(tuple(skip))
        return scan.backward(cell, params, cache, dh, dlast, skip)

    layers, x, dh = into(twin, (setting.layers, setting.x, setting.dh))
    loop, stack = SimpleNamespace(forward=scan.forward, backward=backward), part(twin, "stack")
    run = stack.forward("lstm", layers, x, loop=loop)
    stack.backward("lstm", layers, run.cache, dh, loop=loop)
    assert asked == [("states",)] * 2 * n
