"""Layers and directions: against torch.nn, against the time loop they are made of, and a model at a time."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from impl import draw
from impl.spec import COMMON, STATES, StackGradient, StackRun, leaves, rebuild, tree_map
from properties.twins.both import both, into, out, part
from properties.twins.test_scan import near, same

T, B, D, H, L = 5, 3, 4, 2, 3
cells = pytest.mark.parametrize("cell", COMMON)
directions = pytest.mark.parametrize("n", [1, 2])
layouts = pytest.mark.parametrize("batch_first", [False, True])


class Setting:
    """A stack's arguments and cotangents, dense and random in float64; layer k has widths[k] units."""

    def __init__(self, cell, n, E=None, shared=False, batch_first=False, steps=T, rows=B, widths=(H,) * L, bias=True):
        self.cell, self.rng, self.batch_first = cell, np.random.default_rng(n), batch_first
        batch, inputs = (rows,) if E is None else (E, rows), (D, *(n * width for width in widths))
        stacks = [
            tuple(
                tuple(draw.uniform(self.rng, cell, inputs[k], widths[k], bias) for _ in range(n))
                for k in range(len(widths))
            )
            for _ in range(E or 1)
        ]
        self.layers = stacks[0] if E is None else draw.group(stacks)
        self.x = self.sequence((rows,) if shared else batch, steps, D)
        self.dh = self.sequence(batch, steps, inputs[-1])
        self.state, self.dlast = (
            tuple(tuple(self.states(cell, (*batch, width)) for _ in range(n)) for width in widths) for _ in range(2)
        )
        self.masks = tuple(self.rng.choice([0.0, 1.6], (steps, *batch, K)) for K in inputs[1:-1])

    def sequence(self, batch, steps, K):
        """(T, [E,] B, K), or ([E,] B, T, K) where the batch stands first."""
        return self.rng.normal(size=(*batch, steps, K) if self.batch_first else (steps, *batch, K))

    def states(self, cell, shape):
        """A state of a direction."""
        return STATES[cell](*(self.rng.normal(size=shape) for _ in STATES[cell]._fields))

    def run(self, twin, lengths=None, masks=None, **changes):
        """The stack's outputs and gradients as NumPy arrays: h, last, x, layers, state."""
        given = {name: getattr(self, name) for name in ("layers", "x", "state", "dh", "dlast")} | changes
        layers, x, state, dh, dlast = (into(twin, given[name]) for name in ("layers", "x", "state", "dh", "dlast"))
        stack, (lengths, masks) = part(twin, "stack"), into(twin, (lengths, masks))
        run = stack.forward(self.cell, layers, x, state, lengths, masks, self.batch_first)
        gradient = stack.backward(self.cell, layers, run.cache, dh, dlast)
        assert type(run) is StackRun and type(gradient) is StackGradient
        return out(twin, (run.h, run.last, *gradient))


def module(setting):
    """The torch.nn module with a setting's parameters, loaded by its own names."""
    layers, options = setting.layers, {"batch_first": setting.batch_first, "dtype": torch.float64}
    kind = nn.LSTM if setting.cell == "lstm" else nn.RNN
    options |= {"nonlinearity": "relu"} if setting.cell == "rnn_relu" else {}
    made = kind(D, H, num_layers=len(layers), bidirectional=len(layers[0]) == 2, **options)
    made.load_state_dict(
        {
            f"{name}_l{k}{'_reverse' * d}": torch.tensor(a)
            for k, layer in enumerate(layers)
            for d, params in enumerate(layer)
            for name, a in params._asdict().items()
        }
    )
    return made


def by_torch(setting, lengths=None):
    """What torch.nn and its autograd give for a setting, in the form of Setting.run."""
    made, flat = module(setting), lambda tree: list(map(torch.tensor, leaves(tree)))
    x, *state = (a.requires_grad_() for a in flat((setting.x, setting.state)))
    parts = len(STATES[setting.cell]._fields)
    initial = tuple(torch.stack(state[field::parts]) for field in range(parts))
    given = x if lengths is None else pack_padded_sequence(x, torch.tensor(lengths), setting.batch_first, False)
    h, last = made(given, initial if setting.cell == "lstm" else initial[0])
    h = h if lengths is None else pad_packed_sequence(h, setting.batch_first, total_length=T)[0]
    last = last if setting.cell == "lstm" else (last,)
    last = rebuild(setting.state, [field[k] for k in range(len(state) // parts) for field in last])
    wanted = [x, *made.parameters(), *state]
    found = torch.autograd.grad([h, *leaves(last)], wanted, flat((setting.dh, setting.dlast)))
    dx, dlayers, dstate = rebuild((setting.x, setting.layers, setting.state), found)
    return tree_map(lambda a: a.detach().numpy(), (h, last, dx, dlayers, dstate))


@both
@cells
@directions
@layouts
def test_three_layers_equal_torch_nn_with_every_gradient(twin, cell, n, batch_first):
    """Outputs, last states, and gradients by x, by all parameters and by all initial states, in both layouts."""
    setting = Setting(cell, n, batch_first=batch_first)
    assert near(setting.run(twin), by_torch(setting))


@both
@cells
@layouts
def test_two_directions_with_lengths_equal_torch_nn_on_packed_sequences(twin, cell, batch_first):
    """In any order of lengths; what x and dh hold at padding, NaN too, reaches nothing."""
    setting, lengths = Setting(cell, 2, batch_first=batch_first), np.array([2, 5, 3])
    wanted = by_torch(setting, lengths)
    padding = np.arange(T)[:, None] >= lengths
    padding = (padding.T if batch_first else padding)[..., None]
    x, dh = (np.where(padding, np.nan, a) for a in (setting.x, setting.dh))
    got = setting.run(twin, lengths, x=x, dh=dh)
    assert near(got, wanted)
    assert not np.where(padding, got[0], 0).any() and not np.where(padding, got[2], 0).any()


@both
@cells
@layouts
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("by_model", [False, True])
def test_a_group_of_stacks_equals_each_model_alone(twin, cell, batch_first, shared, by_model):
    """With masks and lengths; a shared x receives the sum of its models' gradients."""
    setting = Setting(cell, 2, E=2, shared=shared, batch_first=batch_first)
    lengths = np.array([[2, 0, 5], [4, 5, 1]]) if by_model else np.array([2, 0, 5])
    got, found = setting.run(twin, lengths, setting.masks), []
    for e in range(2):
        of = lambda a, e=e: a[e] if batch_first else a[:, e]  # noqa: E731
        alone = {name: tree_map(lambda a, e=e: a[e], getattr(setting, name)) for name in ("layers", "state", "dlast")}
        alone |= {"x": setting.x if shared else of(setting.x), "dh": of(setting.dh)}
        masks = tuple(mask[:, e] for mask in setting.masks)
        found.append(setting.run(twin, lengths[e] if by_model else lengths, masks, **alone))
        assert near(of(got[0]), found[e][0])
        assert near(tree_map(lambda a, e=e: a[e], (got[1], *got[3:])), (found[e][1], *found[e][3:]))
        assert shared or near(of(got[2]), found[e][2])
    assert not shared or near(got[2], found[0][2] + found[1][2])


@both
@cells
@directions
@pytest.mark.parametrize("dropout", [False, True])
def test_a_stack_is_the_composition_of_its_time_loops(twin, cell, n, dropout):
    """Layers of different widths; a mask multiplies what goes up between two layers and, the same, what comes down."""
    setting = Setting(cell, n, widths=(2, 6, 3))
    masks = setting.masks if dropout else None
    got, scan, h, caches = setting.run(twin, masks=masks), part(twin, "scan"), into(twin, setting.x), []
    layers, state, dlast, factors = into(twin, (setting.layers, setting.state, setting.dlast, setting.masks))
    for k, layer in enumerate(layers):
        runs = [scan.forward(cell, p, h, s, None, d == 1) for d, (p, s) in enumerate(zip(layer, state[k], strict=True))]
        caches.append([run.cache for run in runs])
        assert near(got[1][k], out(twin, tuple(run.last for run in runs)), 0)
        h = into(twin, np.concatenate([out(twin, run.states.h) for run in runs], -1))
        h = h * factors[k] if dropout and k < 2 else h
    assert near(got[0], out(twin, h), 0)
    dh = into(twin, setting.dh)
    for k in (2, 1, 0):
        dh = dh * factors[k] if dropout and k < 2 else dh
        width = dh.shape[-1] // n
        found = [
            scan.backward(cell, layers[k][d], caches[k][d], dh[..., d * width : (d + 1) * width], dlast[k][d])
            for d in range(n)
        ]
        assert near(got[3][k], out(twin, tuple(g.params for g in found)))
        assert near(got[4][k], out(twin, tuple(g.state for g in found)))
        dh = found[0].x + found[1].x if n == 2 else found[0].x
    assert near(got[2], out(twin, dh))


@cells
@layouts
@pytest.mark.parametrize("bias", [False, True])
def test_autograd_through_the_plain_stack_finds_the_written_gradient(cell, batch_first, bias):
    """Two directions, masks, lengths, a group that shares x: no `out=`, nothing in place."""
    setting = Setting(cell, 2, E=2, shared=True, batch_first=batch_first, bias=bias)
    lengths, stack = np.array([5, 2, 4]), part("torch_twin", "stack")
    written = setting.run("torch_twin", lengths, setting.masks)
    given = tree_map(lambda a: torch.tensor(a, requires_grad=True), (setting.x, setting.layers, setting.state))
    (x, layers, state), masks = given, into("torch_twin", setting.masks)
    run = stack.forward(cell, layers, x, state, torch.tensor(lengths), masks, batch_first)
    cotangents = list(map(torch.tensor, leaves((setting.dh, setting.dlast))))
    found = torch.autograd.grad(leaves((run.h, run.last)), leaves(given), cotangents)
    assert near(written[2:], tuple(rebuild(given, [d.numpy() for d in found])))


@both
@cells
@directions
@layouts
def test_what_is_left_out_is_zero_or_one(twin, cell, n, batch_first):
    """No state: zeros; no masks: ones; no dh, no dlast: zeros; batch_first, lengths: off. To the bit."""
    setting = Setting(cell, n, batch_first=batch_first)
    zeros = {name: tree_map(np.zeros_like, getattr(setting, name)) for name in ("state", "dh", "dlast")}
    ones = tree_map(np.ones_like, setting.masks)
    assert same(setting.run(twin, state=None), setting.run(twin, masks=ones, state=zeros["state"]))
    assert same(setting.run(twin, dh=None), setting.run(twin, dh=zeros["dh"]))
    assert same(setting.run(twin, dlast=None), setting.run(twin, dlast=zeros["dlast"]))
    assert not any(a.any() for a in leaves(setting.run(twin, dh=None, dlast=None)[2:]))
    if not batch_first:
        stack, (layers, x) = part(twin, "stack"), into(twin, (setting.layers, setting.x))
        run = stack.forward(cell, layers, x)
        assert same(out(twin, (run.h, run.last)), setting.run(twin, state=None)[:2])
        assert same(
            out(twin, tuple(stack.backward(cell, layers, run.cache))),
            setting.run(twin, state=None, dh=None, dlast=None)[2:],
        )


@both
@cells
@layouts
def test_dropped_outputs_and_their_gradients_go_no_further(twin, cell, batch_first):
    """Masks of zeros below the top: the top layer sees zeros, and no gradient comes down to the layers below."""
    setting = Setting(cell, 2, batch_first=batch_first)
    h, last, dx, dlayers, dstate = setting.run(twin, masks=tree_map(np.zeros_like, setting.masks))
    full = setting.run(twin)
    assert not dlayers[2][0].weight_ih.any() and dlayers[2][0].weight_hh.any()
    alone = setting.run(twin, masks=tree_map(np.zeros_like, setting.masks), dh=None)
    assert same((dlayers[:2], dstate[:2], dx), (alone[3][:2], alone[4][:2], alone[2])), "dlast alone drives them"
    assert same(last[0], full[1][0]) and not same(last[1], full[1][1]) and not same(h, full[0])


@both
@cells
@directions
@layouts
@pytest.mark.parametrize("E", [None, 2])
@pytest.mark.parametrize(("steps", "rows"), [(0, B), (T, 0), (0, 0)])
def test_no_steps_and_no_rows_work(twin, cell, n, batch_first, E, steps, rows):
    """Everything has its shape; without steps the states go through to the bit; parameters' gradients are zero."""
    setting = Setting(cell, n, E=E, batch_first=batch_first, steps=steps, rows=rows)
    h, last, dx, dlayers, dstate = setting.run(twin, masks=setting.masks)
    assert h.shape == setting.dh.shape and dx.shape == setting.x.shape
    assert [a.shape for a in leaves((last, dstate))] == [a.shape for a in leaves((setting.state, setting.dlast))]
    assert steps or same((last, dstate), (setting.state, setting.dlast))
    assert [a.shape for a in leaves(dlayers)] == [a.shape for a in leaves(setting.layers)]
    assert not any(a.any() for a in leaves(dlayers))


@both
@cells
@directions
@layouts
def test_a_stack_changes_nothing_that_it_is_given_and_gives_memory_of_its_own(twin, cell, n, batch_first):
    """Arguments and cotangents keep their bits; outputs may be overwritten before the backward, which may repeat."""
    setting, stack = Setting(cell, n, batch_first=batch_first, widths=(H,)), part(twin, "stack")
    kept = (setting.layers, setting.x, setting.state, setting.dh, setting.dlast)
    given = into(twin, kept)
    run = stack.forward(cell, *given[:3], batch_first=batch_first)
    first = out(twin, tuple(stack.backward(cell, given[0], run.cache, *given[3:])))
    for array in leaves((run.h, run.last)):
        array[...] = 7
    assert same(out(twin, given), kept)
    for array in leaves(given[2]):
        array[...] = 5
    gradient = stack.backward(cell, given[0], run.cache, *given[3:])
    assert same(out(twin, tuple(gradient)), first)
    for array in leaves(tuple(gradient)):
        array[...] = 3
    assert same(out(twin, (given[0], given[1], *given[3:])), (*kept[:2], *kept[3:]))
    assert same(out(twin, tuple(stack.backward(cell, given[0], run.cache, *given[3:]))), first)


@both
@cells
def test_single_precision_stays_single_throughout(twin, cell):
    """float32 in, float32 out: outputs, states and all gradients."""
    setting = Setting(cell, 2)
    for name in ("layers", "x", "state", "dh", "dlast", "masks"):
        setattr(setting, name, tree_map(lambda a: a.astype(np.float32), getattr(setting, name)))
    assert {a.dtype for a in leaves(setting.run(twin, masks=setting.masks))} == {np.dtype(np.float32)}
