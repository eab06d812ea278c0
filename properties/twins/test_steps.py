"""One step of a cell alone: what its cache holds, its slope at a kink, and the shapes of what no steps give."""

import numpy as np
import pytest
import torch

from impl.spec import GATES, Parameters, RNNState, unpack
from properties.cases import Plan
from properties.twins.both import both, into, out, part

CELLS = pytest.mark.parametrize("cell", GATES)


@both
@CELLS
def test_the_weights_gradients_of_single_steps_add_up_to_the_tied_one(twin, cell):
    """A step's cache holds its x and its old h, so that da^T x and da^T h are the gradients of untied weights."""
    case = Plan(5, 3, 4, 2, seed=11).case(cell, "float64")
    params, x, state, dh, dlast = into(twin, (case.call.params, case.call.x, case.call.state, *case.cotangent))
    run = part(twin, "scan").forward(cell, params, x, state)
    wanted = out(twin, part(twin, "scan").backward(cell, params, run.cache, dh, dlast).params)
    dstate, dW_ih, dW_hh = dlast, 0.0, 0.0
    for t in reversed(range(5)):
        cache, dtotal = run.cache.steps[t], dstate._replace(h=dstate.h + dh[t])
        _, dstate, da = part(twin, "scan").CELLS[cell].step_backward(unpack(params), cache, dtotal)
        dW_ih, dW_hh = dW_ih + out(twin, da.mT @ cache.x), dW_hh + out(twin, da.mT @ cache.h)
    assert np.abs(dW_ih - wanted.weight_ih).max() < 1e-13
    assert np.abs(dW_hh - wanted.weight_hh).max() < 1e-13


@both
@CELLS
@pytest.mark.parametrize("E", [None, 2])
def test_gradients_of_no_steps_have_the_shapes_of_what_they_are_by(twin, cell, E):
    """T = 0, with a group and without: zeros as wide as the parameters."""
    case = Plan(5, 3, 4, 2, seed=11, E=E).case(cell, "float64")
    params, x, dh = into(twin, (case.call.params, case.call.x[:0], case.cotangent.h[:0]))
    gradient = part(twin, "scan").backward(cell, params, part(twin, "scan").forward(cell, params, x).cache, dh)
    assert [a.shape for a in gradient.params] == [a.shape for a in params]
    assert gradient.x.shape == x.shape and gradient.states.h.shape == dh.shape


def test_autograd_finds_the_written_slope_at_the_kink_of_relu():
    """At a = 0 the plain forward has the slope 0, as the written backward does, and torch.nn's."""
    cell, x = part("torch_twin", "rnn_relu"), torch.tensor([[-1.0], [0.0], [1.0]], requires_grad=True)
    weights, state = unpack(Parameters(torch.ones(1, 1), torch.zeros(1, 1))), RNNState(torch.zeros(3, 1))
    (h,), cache = cell.step(weights, x, state)
    (found,) = torch.autograd.grad(h.sum(), x)
    written, _, _ = cell.step_backward(weights, cache, RNNState(torch.ones(3, 1)))
    assert found[:, 0].tolist() == written[:, 0].tolist() == [0, 0, 1]
