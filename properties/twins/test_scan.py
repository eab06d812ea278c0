"""The time loop in either direction, and the cell of rectified linear units."""

import numpy as np
import pytest
import torch

from impl import draw
from impl.spec import GATES, STATES, Parameters, RNNState, leaves, tree_map, unpack
from properties.twins.both import both, into, out, part

T, B, D, H, E = 5, 3, 4, 2, 2
SIZES = {"one": (None, True), "group": (E, False), "group sharing x": (E, True)}
cells = pytest.mark.parametrize("cell", GATES)
sizes = pytest.mark.parametrize("size", SIZES)


def arguments(cell, E=None, shared=True, seed=0):
    """Parameters, x, an initial state; and cotangents dh and dlast: dense, random, float64."""
    rng, batch = np.random.default_rng(seed), (B,) if E is None else (E, B)
    models = [draw.uniform(rng, cell, D, H) for _ in range(E or 1)]
    params = models[0] if E is None else draw.group(models)
    state = lambda: STATES[cell](*(rng.normal(size=(*batch, H)) for _ in STATES[cell]._fields))  # noqa: E731
    x = rng.normal(size=(T, B, D) if shared else (T, *batch, D))
    return params, x, state(), rng.normal(size=(T, *batch, H)), state()


def ran(twin, cell, params, x, state, dh, dlast, lengths=None, **options):
    """The time loop's outputs and gradients as NumPy arrays: states, last, x, params, state, states."""
    scan, (params, x, state, dh, dlast) = part(twin, "scan"), into(twin, (params, x, state, dh, dlast))
    run = scan.forward(cell, params, x, state, into(twin, lengths), **options)
    return out(twin, (run.states, run.last, *scan.backward(cell, params, run.cache, dh, dlast)))


def flipped(tree):
    """A tree of arrays with their first axis reversed."""
    return tree_map(lambda a: a[::-1].copy(), tree)


def same(one, other):
    """Whether two trees hold equal numbers in equal shapes."""
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


def near(one, other, roundings=64):
    """Whether two trees agree within so many units of float64 roundoff, relative to their largest entry or 1."""
    eps, pairs = np.finfo(np.float64).eps, list(zip(leaves(one), leaves(other), strict=True))
    assert all(a.shape == b.shape for a, b in pairs)
    return all(np.abs(a - b).max(initial=0) <= roundings * eps * max(1, np.abs(b).max(initial=0)) for a, b in pairs)


@both
@cells
@sizes
def test_the_reverse_direction_is_the_forward_one_on_the_reversed_sequence(twin, cell, size):
    """Outputs, last state and every gradient, those by each h_t and c_t too; the weights' sums run in another order."""
    params, x, state, dh, dlast = arguments(cell, *SIZES[size])
    states, last, dx, dparams, dstate, dstates = ran(twin, cell, params, x, state, dh, dlast, reverse=True)
    there = ran(twin, cell, params, flipped(x), state, flipped(dh), dlast)
    assert near((states, dx, dstates), flipped((there[0], there[2], there[5])))
    assert near((last, dparams, dstate), (there[1], there[3], there[4]))
    assert same(tree_map(lambda a: a[0], states), last), "the last state is that after step 0"
    assert not near(states, ran(twin, cell, params, x, state, dh, dlast)[0])


@both
@cells
def test_a_row_runs_in_reverse_from_its_own_last_step(twin, cell):
    """With lengths, 0 among them, a row is the row alone; padding, NaN in x and cotangents, reaches nothing."""
    params, x, state, dh, dlast = arguments(cell)
    lengths = np.array([3, 5, 0])
    x, dh = (np.where((np.arange(T)[:, None] < lengths)[..., None], a, np.nan) for a in (x, dh))
    got = ran(twin, cell, params, x, state, dh, dlast, lengths, reverse=True)
    total = None
    for row, n in enumerate(lengths):
        pick, head = (lambda a, row=row: a[row : row + 1]), (lambda a, n=n, row=row: a[:n, row : row + 1])
        alone = ran(twin, cell, params, head(x), tree_map(pick, state), head(dh), tree_map(pick, dlast), reverse=True)
        assert near(tree_map(head, (got[0], got[2], got[5])), (alone[0], alone[2], alone[5]))
        assert near(tree_map(pick, (got[1], got[4])), (alone[1], alone[4]))
        assert not any(a[n:, row].any() for a in leaves((got[0], got[2], got[5])))
        total = alone[3] if total is None else tree_map(np.add, total, alone[3])
    assert near(got[3], total)


@both
@cells
@pytest.mark.parametrize("reverse", [False, True])
def test_the_gradient_by_a_carried_state_is_that_of_the_remaining_steps(twin, cell, reverse):
    """It is dh[t] and what the steps still to run give for their initial state: in reverse those from t - 1 to 0."""
    params, x, state, dh, dlast = arguments(cell)
    states, *_, dstates = ran(twin, cell, params, x, state, dh, dlast, reverse=reverse)
    for t in range(T):
        rest = slice(0, t) if reverse else slice(t + 1, T)
        carried = tree_map(lambda a, t=t: a[t], states)
        later = ran(twin, cell, params, x[rest], carried, dh[rest], dlast, reverse=reverse)[4]
        assert near(tree_map(lambda a, t=t: a[t], dstates), later._replace(h=later.h + dh[t]))


@both
@cells
@pytest.mark.parametrize("E", [None, 2])
def test_no_steps_in_reverse_hand_the_state_through(twin, cell, E):
    """T = 0 in reverse as forward: bits of state and cotangent, nothing else; the parameters' gradients are zeros."""
    params, x, state, dh, dlast = arguments(cell, E)
    states, last, dx, dparams, dstate, dstates = ran(twin, cell, params, x[:0], state, dh[:0], dlast, reverse=True)
    assert same((last, dstate), (state, dlast))
    assert states.h.shape == dstates.h.shape == dh[:0].shape and dx.shape == x[:0].shape
    assert same(dparams, tree_map(np.zeros_like, params))


def test_both_twins_run_a_relu_cell_to_the_same_bits_on_integers():
    """Small integers are exact in any order of summation: values and gradients agree, and equal torch.nn's."""
    rng, integers = np.random.default_rng(1), lambda rng, *shape: rng.integers(-3, 4, shape).astype(np.float64)
    params = Parameters(integers(rng, H, D), integers(rng, H, H), integers(rng, H), integers(rng, H))
    x, state, dh, dlast = (
        integers(rng, T, B, D),
        RNNState(integers(rng, B, H)),
        integers(rng, T, B, H),
        integers(rng, B, H),
    )
    found = [ran(t, "rnn_relu", params, x, state, dh, RNNState(dlast)) for t in ("numpy_twin", "torch_twin")]
    assert same(*found)
    assert 0 < (found[0][0].h == 0).mean() < 1
    module = torch.nn.RNN(D, H, nonlinearity="relu", dtype=torch.float64)
    module.load_state_dict({f"{name}_l0": torch.tensor(a) for name, a in params._asdict().items()})
    given = [torch.tensor(a, requires_grad=True) for a in (x, state.h)]
    h, last = module(given[0], given[1][None])
    wanted = [*given, *module.parameters()]
    dx, dstate, *dparams = torch.autograd.grad((h, last[0]), wanted, (torch.tensor(dh), torch.tensor(dlast)))
    theirs = tree_map(lambda a: a.detach().numpy(), (h, last[0], dx, Parameters(*dparams), dstate))
    assert same(found[0][:5], theirs)


@both
def test_the_slope_of_relu_is_zero_at_zero_and_nan_stays_nan(twin):
    """The slopes at a = -1, 0, 2 are 0, 0, 1, as torch has them; a lost model stays lost."""
    cell, weights = part(twin, "rnn_relu"), unpack(into(twin, Parameters(np.ones((1, 1)), np.zeros((1, 1)))))
    x, zeros = into(twin, np.array([[-1.0], [0.0], [2.0], [np.nan], [0.25]])), into(twin, RNNState(np.zeros((5, 1))))
    state, cache = cell.step(weights, x, zeros)
    assert np.array_equal(out(twin, state).h[:, 0], [0, 0, 2, np.nan, 0.25], equal_nan=True)
    dx, _, da = out(twin, cell.step_backward(weights, cache, into(twin, RNNState(np.full((5, 1), 7.0)))))
    assert da[:, 0].tolist() == dx[:, 0].tolist() == [0, 0, 7, 7, 7]


def test_autograd_finds_the_slope_zero_at_zero_too():
    """Units whose pre-activation is exactly zero: the torch twin's plain step has torch's own slope there."""
    x, zeros = torch.zeros(2, 1, requires_grad=True), RNNState(torch.zeros(2, 1))
    state, _ = part("torch_twin", "rnn_relu").step(unpack(Parameters(torch.ones(1, 1), torch.ones(1, 1))), x, zeros)
    assert torch.autograd.grad(state.h.sum(), x)[0].tolist() == [[0.0], [0.0]]


@both
@cells
def test_a_steps_cache_refers_to_its_inputs(twin, cell):
    """x and the old h as they were given: the weights' gradient is made from them."""
    params, x, state, _, _ = into(twin, arguments(cell))
    _, cache = part(twin, "scan").CELLS[cell].step(unpack(params), x[0], state)
    assert same(out(twin, (cache.x, cache.h)), out(twin, (x[0], state.h)))


@both
@cells
def test_cotangents_left_out_are_zero(twin, cell):
    """Of the outputs, of the last state, of both: as if zeros had been given, to the bit."""
    scan, (params, x, state, dh, dlast) = part(twin, "scan"), into(twin, arguments(cell))
    run, zeros = scan.forward(cell, params, x, state), tree_map(lambda a: a * 0, (dh, dlast))
    backward = lambda *cotangents, **named: out(  # noqa: E731
        twin, tuple(scan.backward(cell, params, run.cache, *cotangents, **named))
    )
    assert same(backward(dh), backward(dh, zeros[1]))
    assert same(backward(dlast=dlast), backward(zeros[0], dlast))
    assert not any(a.any() for a in leaves(backward()))
