"""The generic training loop, on both twins."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
import torch

from experiments.harness import arms, training
from experiments.harness.engine import engine
from experiments.harness.training import (
    Batch,
    Coder,
    Embedded,
    Pair,
    choose,
    fresh,
    loss_and_gradient,
    outputs,
    rows,
    train,
    truncated,
)
from experiments.tasks import adding
from impl import draw
from impl.spec import STATES, Model, Parameters, leaves, tree_map

training_back = training.back
E, T, B, D, H, V = 3, 7, 4, 2, 5, 3
CELLS = ("rnn", "lstm")


@pytest.fixture(params=["numpy", "torch"])
def twin(request):
    """The engine under test."""
    return engine(request.param)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("K", [1, 3, T])
def test_the_gradient_is_that_of_the_mean_loss_over_the_last_steps(twin, cell, K):
    """Along a random direction the mean loss of every model changes as its gradient says."""
    model, batch = group(cell), classes(K)
    direction = tree_map(lambda a: draw.generator("direction", a.shape).normal(size=a.shape), model)
    loss, gradient = value(twin, cell, model, batch)
    step = 1e-5
    above, below = (value(twin, cell, moved(model, direction, s), batch)[0] for s in (step, -step))
    inner = sum((d * u).reshape(E, -1).sum(1) for d, u in zip(leaves(gradient), leaves(direction), strict=True))
    assert loss.shape == (E,)
    # a central difference errs by step^2 / 6 times the third derivative and by rounding / step: both near 1e-10
    np.testing.assert_allclose((above - below) / (2 * step), inner, rtol=0, atol=1e-8)


@pytest.mark.parametrize("cell", CELLS)
def test_masked_steps_count_neither_in_the_loss_nor_in_the_mean(twin, cell):
    """With lengths and a mask of other sums a model, each mean is over that model's own steps; padding holds NaN."""
    lengths = draw.generator("lengths").integers(1, T + 1, (E, B))
    mask = np.arange(T)[:, None, None] < lengths
    batch = classes(T)._replace(mask=mask, lengths=lengths)
    batch = batch._replace(x=np.where(mask[..., None], batch.x, np.nan))
    loss, _ = value(twin, cell, group(cell), batch)
    y = unrolled(cell, group(cell), np.nan_to_num(batch.x))
    z = np.take_along_axis(y, batch.target[..., None], -1)[..., 0] - np.log(np.exp(y).sum(-1))
    np.testing.assert_allclose(loss, -(z * mask).sum((0, 2)) / lengths.sum(1), rtol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_a_model_trains_in_a_group_as_it_does_alone(twin, cell):
    """Clipping, Adam and the loss of one model do not see the others."""
    together = trained(twin, cell, group(cell), [classes(2, n) for n in range(5)])
    for e in range(E):
        batches = [only(e, classes(2, n)) for n in range(5)]
        alone = trained(twin, cell, choose(group(cell), [e]), batches)
        for a, b in zip(leaves(alone), leaves(together), strict=True):
            np.testing.assert_allclose(a[0], b[e], rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_a_model_that_is_lost_does_not_touch_the_others(twin, cell):
    """A model whose weights are NaN leaves every bit of the other models as it would be beside a sound one."""
    sound = group(cell)
    broken = tree_map(lambda a: np.where(np.arange(E).reshape(-1, *[1] * (a.ndim - 1)) == 1, np.nan, a), sound)
    batches = [classes(2, n) for n in range(3)]
    for a, b in zip(
        leaves(trained(twin, cell, sound, batches)), leaves(trained(twin, cell, broken, batches)), strict=True
    ):
        np.testing.assert_array_equal(a[[0, 2]], b[[0, 2]])
        assert np.isnan(b[1]).all()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("window", [1, 3, 16])
def test_outputs_in_windows_are_the_outputs_of_the_whole(twin, cell, window):
    """The state carries everything: cutting the run into windows changes no output."""
    model, x = group(cell), classes(1).x
    y = twin.numpy(outputs(twin, cell, twin.asarray(model, "float64"), twin.asarray(x, "float64"), 2, window))
    np.testing.assert_allclose(y, unrolled(cell, model, x)[-2:], rtol=0, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_carried_states_continue_the_sequence(twin, cell):
    """At a step size of zero, two halves with the state carried on lose together what the whole loses."""
    model, batch, cut = group(cell), classes(T), 3
    halves = [Batch(batch.x[:cut], batch.target[:cut]), Batch(batch.x[cut:], batch.target[cut:])]
    whole, _ = value(twin, cell, model, batch)
    first, second = (twin.numpy(u.loss) for u in steps(twin, cell, model, halves, lr=0.0, carry=lambda last: last))
    np.testing.assert_allclose((cut * first + (T - cut) * second) / T, whole, rtol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_the_rate_may_depend_on_the_update(twin, cell):
    """A rate given as a function is asked with 1, 2, ...; rate 0 moves no parameter."""
    batches, rates = [classes(2), classes(2)], {1: 0.01, 2: 0.0}
    constant = steps(twin, cell, group(cell), batches[:1], lr=0.01)
    first, second = steps(twin, cell, group(cell), batches, lr=rates.__getitem__)
    for a, b, c in zip(*(leaves(twin.numpy(u.model)) for u in (*constant, first, second)), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(b, c)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_clipped_before_the_update(twin, cell):
    """A gradient of norm at most 1e-12 moves Adam, whose eps is 1e-8, by at most 1e-4 of the rate."""
    (update,) = steps(twin, cell, group(cell), [classes(2)], lr=0.01, max_norm=1e-12)
    moves = [abs(twin.numpy(b) - a).max() for a, b in zip(leaves(group(cell)), leaves(update.model), strict=True)]
    assert 0 < max(moves) <= 1.0001e-6
    assert (twin.numpy(update.norm) > 0.01).all()


@pytest.mark.parametrize("cell", CELLS)
def test_without_a_limit_nothing_is_scaled_and_the_norm_is_told(twin, cell):
    """Updates under no limit are those under a limit that no gradient reaches, bit for bit."""
    free, high = (steps(twin, cell, group(cell), [classes(2), classes(2, 1)], max_norm=limit) for limit in (None, 1e6))
    for a, b in zip(leaves((free[-1].model, free[-1].norm)), leaves((high[-1].model, high[-1].norm)), strict=True):
        np.testing.assert_array_equal(twin.numpy(a), twin.numpy(b))


class Counting:
    """A task of one step a row that ends early: every part says which stream drew it and which row it is."""

    @staticmethod
    def draw(rng, length, B):
        """Rows of `length` steps of which the first b + 1 count."""
        number, rows_ = rng.integers(1000), np.arange(B)
        x = np.full((length, B, 1), float(number))
        return x, x + rows_[:, None], np.arange(length)[:, None] <= rows_, rows_ + 1


def test_each_model_has_rows_of_its_own_stream_with_masks_and_lengths():
    """Axis E is second in what has steps and first in lengths; a task without mask and lengths has none."""
    streams = [draw.generator("rows", seed) for seed in range(E)]
    numbers = [draw.generator("rows", seed).integers(1000) for seed in range(E)]
    batch = rows(Counting.draw, T, streams, B)
    assert batch.x.shape == batch.target.shape == (T, E, B, 1) and batch.mask.shape == (T, E, B)
    np.testing.assert_array_equal(batch.x[0, :, 0, 0], numbers)
    np.testing.assert_array_equal(batch.lengths, np.broadcast_to(np.arange(B) + 1, (E, B)))
    np.testing.assert_array_equal(batch.mask.sum(0), batch.lengths)
    short = rows(adding.draw, T, streams, B)
    assert short.mask is None and short.lengths is None and short.x.shape == (T, E, B, adding.D)


def test_batches_are_fresh_at_every_update_and_reach_the_engine_in_its_dtype(twin):
    """No value comes twice in three updates; whole numbers keep their kind."""
    streams = [draw.generator("fresh", seed) for seed in range(E)]
    batches = list(fresh(twin, adding.draw, T, streams, B, "float64", 3))
    values = np.stack([twin.numpy(batch.x)[..., 0] for batch in batches])
    assert len(np.unique(values)) == values.size and values.dtype == "float64"
    assert twin.numpy(next(fresh(twin, Counting.draw, T, streams, B, "float32", 1)).lengths).dtype.kind == "i"


@pytest.mark.parametrize("cell", CELLS)
def test_outputs_with_lengths_are_those_of_each_row_up_to_its_own(twin, cell):
    """What stands behind a row's length is not read."""
    model, x, lengths = group(cell), classes(1).x, np.array([1, 3, T, 2])
    padded = np.where((np.arange(T)[:, None] < lengths)[:, None, :, None], x, np.nan)
    arrays = [twin.asarray(some, "float64") for some in (model, padded, np.broadcast_to(lengths, (E, B)))]
    y, whole = twin.numpy(outputs(twin, cell, *arrays[:2], T, lengths=arrays[2])), unrolled(cell, model, x)
    for b, length in enumerate(lengths):
        np.testing.assert_allclose(y[:length, :, b], whole[:length, :, b], rtol=0, atol=1e-13)


def test_one_model_has_no_members_to_choose_from():
    """Choosing members asks for a group and says so."""
    one = Model(draw.uniform(draw.generator("w"), "rnn", D, H), draw.head(draw.generator("h"), V, H))
    with pytest.raises(ValueError, match="leading axis E"):
        choose(one, [0])


# Stacks


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("K", [1, T])
def test_the_gradient_of_a_stack_is_that_of_its_mean_loss(twin, cell, K):
    """Along a random direction the mean loss of every stack of three layers changes as its gradient says."""
    assert misfit(twin, cell, stacks(cell, 3), classes(K)) < 1e-8  # as for one cell, above


@pytest.mark.parametrize("cell", CELLS)
def test_a_stack_of_one_layer_is_the_cell_bit_for_bit(twin, cell):
    """Losses, norms, parameters and carried states of a training, and outputs in windows."""
    one, batches = group(cell), [classes(T, n) for n in range(3)]
    stack, carry = one._replace(cell=(one.cell,)), {"carry": lambda last: last}
    for a, b in zip(steps(twin, cell, one, batches, **carry), steps(twin, cell, stack, batches, **carry), strict=True):
        assert isinstance(b.model.cell, tuple) and len(b.model.cell) == len(b.last) == 1
        for left, right in zip(*(leaves((*u[1:5], u.memory[1:], u.carried)) for u in (a, b)), strict=True):
            np.testing.assert_array_equal(twin.numpy(left), twin.numpy(right))
    x = twin.asarray(classes(1).x, "float64")
    y = [twin.numpy(outputs(twin, cell, twin.asarray(model, "float64"), x, 2, 3)) for model in (one, stack)]
    np.testing.assert_array_equal(*y)


def test_a_stack_of_two_lstms_is_torchs_with_its_gradient_by_autograd(twin):
    """Mean loss and every gradient of one model of a group against torch.nn.LSTM(num_layers=2)."""
    assert far_from_torch(twin) < 1e-12


@pytest.mark.parametrize("cell", CELLS)
def test_outputs_of_a_stack_are_those_written_out_whole_in_windows_and_with_lengths(twin, cell):
    """Windows change no output; with lengths what stands behind a row's length is not read."""
    model, x, lengths = stacks(cell, 2), classes(1).x, np.array([1, 3, T, 2])
    padded = np.where((np.arange(T)[:, None] < lengths)[:, None, :, None], x, np.nan)
    arrays = [twin.asarray(some, "float64") for some in (model, x, padded, np.broadcast_to(lengths, (E, B)))]
    whole = np.stack([one_model(cell, choose(model, e), x[:, e]) for e in range(E)], 1)
    y = twin.numpy(outputs(twin, cell, *arrays[:2], 2, 3))
    np.testing.assert_allclose(y, whole[-2:], rtol=0, atol=1e-13)
    y = twin.numpy(outputs(twin, cell, arrays[0], arrays[2], T, lengths=arrays[3]))
    for b, length in enumerate(lengths):
        np.testing.assert_allclose(y[:length, :, b], whole[:length, :, b], rtol=0, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
def test_carried_states_continue_every_layer_of_a_stack(twin, cell):
    """At a step size of zero, two halves with the states carried on lose together what the whole loses."""
    model, batch, cut = stacks(cell, 3), classes(T), 3
    halves = [Batch(batch.x[:cut], batch.target[:cut]), Batch(batch.x[cut:], batch.target[cut:])]
    whole, _ = value(twin, cell, model, batch)
    first, second = (twin.numpy(u.loss) for u in steps(twin, cell, model, halves, lr=0.0, carry=lambda last: last))
    np.testing.assert_allclose((cut * first + (T - cut) * second) / T, whole, rtol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_the_fast_form_trains_stacks_as_the_plain_one_does(cell):
    """Three updates, whose layers' caches live beside each other."""
    batches = [classes(1, n) for n in range(3)]
    fast, plain = (trained(engine(name), cell, stacks(cell, 3), batches) for name in ("fast", "numpy"))
    for a, b in zip(leaves(fast), leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def without_dx(loop, cell, params, runs, dh, skip=()):
    """A backward that drops the gradient between layers."""
    pairs = zip(params, runs, strict=True)
    return [loop.backward(cell, p, run.cache, dh * (p is params[-1]), skip=skip) for p, run in pairs]


def with_other_parameters(loop, cell, params, runs, dh, skip=()):
    """A backward that gives the two upper layers each other's gradients."""
    found = training_back(loop, cell, params, runs, dh, skip)
    return [*found[:-2], *found[:-3:-1]]


def a_step_late(loop, cell, params, x, state=None, lengths=None):
    """A forward whose upper layers see what the layer below had a step before."""
    runs = []
    for p in params:
        runs.append(loop.forward(cell, p, x, None, lengths))
        x = runs[-1].states.h * 1
        x[1:], x[0] = x[:-1] * 1, 0
    return runs


@pytest.mark.parametrize("fault", [without_dx, with_other_parameters])
@pytest.mark.parametrize("cell", CELLS)
def test_a_backward_that_is_wrong_between_layers_is_found(twin, cell, fault, monkeypatch):
    """Planted faults: the central difference of three layers tells them."""
    monkeypatch.setattr(training, "back", fault)
    assert misfit(twin, cell, stacks(cell, 3), classes(1)) > 1e-3


@pytest.mark.parametrize(("name", "fault"), [("back", without_dx), ("through", a_step_late)])
def test_a_stack_that_is_not_torchs_is_found(twin, name, fault, monkeypatch):
    """Planted faults: dx is dropped; h of the layer below comes a step late."""
    monkeypatch.setattr(training, name, fault)
    assert far_from_torch(twin) > 1e-3


def misfit(twin, cell, model, batch):
    """How far the central difference of the loss along a random direction is from what the gradient says."""
    rng = draw.generator("direction")  # one for all leaves: layers of one shape must not move alike
    direction = tree_map(lambda a: rng.normal(size=a.shape), model)
    gradient, step = value(twin, cell, model, batch)[1], 1e-5
    above, below = (value(twin, cell, moved(model, direction, s), batch)[0] for s in (step, -step))
    inner = sum((d * u).reshape(E, -1).sum(1) for d, u in zip(leaves(gradient), leaves(direction), strict=True))
    return abs((above - below) / (2 * step) - inner).max()


def far_from_torch(twin):
    """The largest difference of loss or gradient of a two-layer LSTM from torch.nn.LSTM's and autograd's."""
    model, batch, e = stacks("lstm", 2), classes(T), 1
    loss, gradient = value(twin, "lstm", model, batch)
    lstm = torch.nn.LSTM(D, H, num_layers=2, dtype=torch.float64)
    head = torch.nn.Linear(H, V, dtype=torch.float64)
    one, ours = choose(model, e), choose(gradient, e)
    theirs = [*lstm.parameters(), *head.parameters()]  # torch's order is that of the leaves
    with torch.no_grad():
        for mine, its in zip(leaves(one), theirs, strict=True):
            its.copy_(torch.from_numpy(mine))
    y = head(lstm(torch.from_numpy(batch.x[:, e]))[0])
    value_ = torch.nn.functional.cross_entropy(y.reshape(-1, V), torch.from_numpy(batch.target[:, e]).reshape(-1))
    value_.backward()
    errors = [abs(mine - its.grad.numpy()).max() for mine, its in zip(leaves(ours), theirs, strict=True)]
    return max(*errors, abs(loss[e] - value_.item()))


def stacks(cell, layers):
    """E stacks in float64."""
    rng = draw.generator("stacks", cell)
    cells = (tuple(draw.uniform(rng, cell, H if k else D, H) for k in range(layers)) for _ in range(E))
    return draw.group([Model(some, draw.head(rng, V, H)) for some in cells])


def group(cell):
    """E models in float64."""
    rng = draw.generator("training", cell)
    return draw.group([Model(draw.uniform(rng, cell, D, H), draw.head(rng, V, H)) for _ in range(E)])


def classes(K, n=0):
    """A batch for the group with classes at its last K steps."""
    rng = draw.generator("batch", n)
    return Batch(rng.normal(size=(T, E, B, D)), rng.integers(0, V, (K, E, B)))


def only(e, batch):
    """The batch of one member, still with an axis E of one."""
    return Batch(batch.x[:, e : e + 1], batch.target[:, e : e + 1])


def moved(model, direction, step):
    """The model a step along a direction."""
    return tree_map(lambda a, u: a + step * u, model, direction)


def value(twin, cell, model, batch):
    """Loss and gradient as NumPy arrays."""
    arrays = twin.asarray(model, "float64"), twin.asarray(batch, "float64")
    loss, gradient, _ = loss_and_gradient(twin, cell, "softmax_cross_entropy", *arrays)
    return twin.numpy(loss), twin.numpy(gradient)


def steps(twin, cell, model, batches, **how):
    """All updates of a training in float64."""
    arrays = [twin.asarray(batch, "float64") for batch in batches]
    how = {"lr": 0.01} | how
    return list(train(twin, cell, "softmax_cross_entropy", twin.asarray(model, "float64"), arrays, **how))


def trained(twin, cell, model, batches):
    """The model after all batches, as NumPy arrays."""
    return twin.numpy(steps(twin, cell, model, batches)[-1].model)


def unrolled(cell, model, x):
    """The read-outs of all steps by plain loops over models and steps, in NumPy: y (T, E, B, V)."""
    return np.stack([one_model(cell, choose(model, e), x[:, e]) for e in range(E)], 1)


def one_model(cell, model, x):
    """The read-outs (T, B, V) of one model, written out from the equations."""
    if not isinstance(model.cell, Parameters):
        *below, top = model.cell
        for params in below:
            x = one_model(cell, Model(params, (np.eye(H), 0.0)), x)
        model = model._replace(cell=top)
    (W_ih, W_hh, b_ih, b_hh), (W_hy, b_hy) = model
    h, c, y = np.zeros((B, H)), np.zeros((B, H)), []
    for x_t in x:
        a = x_t @ W_ih.T + b_ih + h @ W_hh.T + b_hh
        if cell == "rnn":
            h = np.tanh(a)
        else:
            i, f, g, o = np.split(a, 4, -1)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
        y.append(h @ W_hy.T + b_hy)
    return np.stack(y)


S = 4


def test_steps_at_which_nothing_can_be_asked_are_refused():
    """With lengths the last steps are padding, whose outputs are zero; before the first step there is none."""
    twin, lengths = engine("numpy"), np.full((E, B), T - 1)
    model, batch, some = group("rnn"), classes(1), np.ones((T, E, B), bool)
    short = batch._replace(target=batch.target[-1:], mask=some[-1:], lengths=lengths)
    long = batch._replace(target=np.zeros((T + 1, E, B), int))
    unmasked = batch._replace(target=np.zeros((T, E, B), int), mask=None, lengths=lengths)
    halves, pairs = coder("rnn")
    for asked, sentence in (
        (
            (model, short),
            f"`target` must be of all T={T} steps, since with `lengths` the last steps are padding; got 1.",
        ),
        ((model, long), f"`target` must be of 0..{T} steps, since x has T={T}; got {T + 1}."),
        (
            (model, unmasked),
            "`mask` must be given, since with `lengths` the steps at padding would count too; got None.",
        ),
        (
            (halves, pairs._replace(target=pairs.target[-1:])),
            f"`target` must be of all T={T} steps, since of an encoder-decoder all are asked for; got 1.",
        ),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            loss_and_gradient(twin, "rnn", "softmax_cross_entropy", *asked)
    for K, given in ((T + 1, None), (-1, None), (1, lengths)):
        with pytest.raises(ValueError, match=rf"^`K` must be of .* steps, since .*; got {K}\.$"):
            outputs(twin, "rnn", model, batch.x, K, lengths=given)


def test_an_unknown_loss_and_an_unknown_arm_are_refused():
    """By name, with those there are."""
    with pytest.raises(ValueError, match=r"^`loss` must be one of softmax_cross_entropy, .*; got 'cross_entropy'\.$"):
        loss_and_gradient(engine("numpy"), "rnn", "cross_entropy", group("rnn"), classes(1))
    with pytest.raises(ValueError, match=r"^`arm` must be one of lstm_b0, .*; got 'lstm'\.$"):
        arms.model("lstm", ("arms",), T, D, V, 2)


def test_an_update_holds_no_graph_of_those_before():
    """Also of a torch.nn.Module's parameters, which require gradients: memory would grow with every update."""
    twin, model = engine("torch"), group("rnn")
    plain, wanting = (tree_map(lambda a, r=r: a.requires_grad_(r), twin.asarray(model)) for r in (False, True))
    batches = [twin.asarray(classes(1, n)) for n in range(2)]
    both = (train(twin, "rnn", "softmax_cross_entropy", some, batches, 0.1) for some in (plain, wanting))
    for one, other in zip(*both, strict=True):
        assert not any(a.requires_grad for a in leaves((other.model, other.loss, other.memory.mean, other.last)))
        assert all(torch.equal(a, b) for a, b in zip(leaves(one.model), leaves(other.model), strict=True))
    assert all(a.requires_grad for a in leaves(wanting))


def coder(cell):
    """A group of encoder-decoders, and rows for it whose sources have lengths of their own."""
    models, rng = [group(cell), group(cell)], draw.generator("coder", cell)
    halves = Coder(models[0].cell, tree_map(lambda a: 0.7 * a, models[1].cell))
    pair = Pair(rng.normal(size=(S, E, B, D)), rng.normal(size=(T, E, B, D)))
    target, lengths = rng.integers(0, V, (T, E, B)), rng.integers(1, S + 1, (E, B))
    return Model(halves, models[0].head), Batch(pair, target, None, lengths)


@pytest.mark.parametrize("cell", CELLS)
def test_an_encoder_decoders_gradient_is_that_of_its_loss(twin, cell):
    """Along a random direction of encoder, decoder and read-out the loss changes as its gradient says."""
    model, batch = coder(cell)
    direction = tree_map(lambda a: draw.generator("direction", cell).normal(size=a.shape), model)
    _, gradient = value(twin, cell, model, batch)
    step = 1e-5
    ends = [
        value(twin, cell, tree_map(lambda a, d, s=s: a + s * step * d, model, direction), batch)[0] for s in (1, -1)
    ]
    slope = sum((g * d).reshape(E, -1).sum(1) for g, d in zip(leaves(gradient), leaves(direction), strict=True))
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), slope, rtol=1e-5, atol=1e-8)
    assert all(abs(g).max() > 0 for g in leaves(gradient.cell.encoder))


@pytest.mark.parametrize("cell", CELLS)
def test_an_encoder_decoder_of_one_cell_is_that_cell_over_both_sequences(twin, cell):
    """With the same parameters twice and whole sources, loss and outputs are those of the sequences in a row, and the
    cell's gradient is the sum of the two."""
    model, batch = coder(cell)
    one = model._replace(cell=model.cell.encoder)
    twice = model._replace(cell=Coder(one.cell, one.cell))
    batch = batch._replace(lengths=None)
    whole = Batch(np.concatenate(batch.x), batch.target)
    (a, da), (b, db) = value(twin, cell, twice, batch), value(twin, cell, one, whole)
    np.testing.assert_allclose(a, b, rtol=1e-12)
    for encoder, decoder, both in zip(*map(leaves, (*da.cell, db.cell)), strict=True):
        np.testing.assert_allclose(encoder + decoder, both, rtol=0, atol=1e-12)
    y = [
        twin.numpy(outputs(twin, cell, *twin.asarray((m, x), "float64"), T))
        for m, x in ((twice, batch.x), (one, whole.x))
    ]
    np.testing.assert_allclose(*y, rtol=0, atol=1e-13)


def test_rows_of_an_encoder_decoder_are_stacked_in_both_its_inputs():
    """Axis E is second in the source and in what the decoder is shown."""

    def drawn(rng, length, B):
        x = np.full((length, B, 1), float(rng.integers(1000)))
        return Pair(x, x[:2] + 1), x[:2, :, 0].astype(int)

    batch = rows(drawn, 3, [draw.generator("rows", seed) for seed in range(E)], B)
    numbers = [draw.generator("rows", seed).integers(1000) for seed in range(E)]
    assert batch.x.source.shape == (3, E, B, 1) and batch.x.forced.shape == (2, E, B, 1)
    np.testing.assert_array_equal(batch.x.source[0, :, 0, 0], numbers)
    np.testing.assert_array_equal(batch.x.forced[0, :, 0, 0], np.array(numbers) + 1)


# Embeddings

WORDS = 4
"""Rows of a table, fewer than places, so that every one is looked up more than once."""


def embedded(cell, layers=None):
    """A group of models over tables, and indices for them."""
    model = group(cell) if layers is None else stacks(cell, layers)
    rng = draw.generator("embedded", cell)
    batch = Batch(rng.integers(0, WORDS, (T, E, B)), rng.integers(0, V, (T, E, B)))
    return model._replace(cell=Embedded(rng.normal(size=(E, WORDS, D)), model.cell)), batch


def multiplied(model):
    """The same model without a table: its lowest W_ih takes one-hot inputs, W_ih table^T."""
    table, cell = model.cell
    layers = cell if type(cell) is tuple else (cell,)
    lowest = layers[0]._replace(weight_ih=layers[0].weight_ih @ table.mT)
    return model._replace(cell=(lowest, *layers[1:]) if type(cell) is tuple else lowest)


def one_hot(batch):
    """The batch with vectors for indices."""
    return batch._replace(x=np.eye(WORDS)[batch.x])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [None, 1, 2])
def test_the_gradient_by_a_table_and_what_is_above_it_is_that_of_the_loss(twin, cell, layers):
    """Along a random direction of table, layers and read-out the loss changes as its gradient says."""
    assert misfit(twin, cell, *embedded(cell, layers)) < 1e-8  # as for one cell, above


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [None, 2])
def test_an_embedding_is_one_hot_inputs_to_input_weights_times_the_table(twin, cell, layers):
    """With W' = W_ih table^T: loss, outputs whole or in windows, dW_ih = dW' table, dtable = dW'^T W_ih, the rest."""
    model, batch = embedded(cell, layers)
    (a, da), (b, db) = value(twin, cell, model, batch), value(twin, cell, multiplied(model), one_hot(batch))
    np.testing.assert_allclose(a, b, rtol=1e-12)
    lowest = (lambda some: some) if layers is None else (lambda some: some[0])
    dproduct, W_ih = lowest(db.cell).weight_ih, lowest(model.cell.cell).weight_ih
    np.testing.assert_allclose(da.cell.table, dproduct.mT @ W_ih, rtol=0, atol=1e-12)
    np.testing.assert_allclose(lowest(da.cell.cell).weight_ih, dproduct @ model.cell.table, rtol=0, atol=1e-12)
    for mine, its in zip(leaves((da.cell.cell, da.head))[1:], leaves(db)[1:], strict=True):
        np.testing.assert_allclose(mine, its, rtol=0, atol=1e-12)
    pairs = ((model, batch.x), (multiplied(model), one_hot(batch).x))
    for K in (T, 2):
        y = [twin.numpy(outputs(twin, cell, *twin.asarray(pair, "float64"), K, 3)) for pair in pairs]
        np.testing.assert_allclose(*y, rtol=0, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [None, 2])
def test_an_embedded_model_carries_states_trains_alone_as_in_a_group_and_is_chosen(twin, cell, layers):
    """Three updates with the state carried on: each model's losses, parameters and last states are those alone."""
    model, batch = embedded(cell, layers)
    how = {"carry": lambda last: last}
    together = steps(twin, cell, model, [batch] * 3, **how)[-1]
    for e in range(E):
        alone = steps(twin, cell, choose(model, [e]), [only(e, batch)] * 3, **how)[-1]
        pairs = zip(leaves((alone.model, alone.last)), leaves((together.model, together.last)), strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(twin.numpy(a)[0], twin.numpy(b)[e], rtol=0, atol=1e-10)
    assert type(together.model.cell) is Embedded


@pytest.mark.parametrize("cell", CELLS)
def test_models_may_share_the_indices(twin, cell):
    """Indices (T, B) are those (T, E, B) that are the same for every model: loss and gradient, bit for bit."""
    model, batch = embedded(cell)
    shared = batch._replace(x=batch.x[:, 0])
    each = batch._replace(x=np.repeat(batch.x[:, :1], E, 1))
    for a, b in zip(*(leaves(value(twin, cell, model, some)) for some in (shared, each)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("form", ["fast", "compiled"])
@pytest.mark.parametrize("cell", CELLS)
def test_the_quick_forms_train_tables_as_the_plain_one_does(cell, form):
    """Three updates of two layers over a table."""
    model, batch = embedded(cell, 2)
    quick, plain = (trained(engine(name), cell, model, [batch] * 3) for name in (form, "numpy"))
    for a, b in zip(leaves(quick), leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)


def of_the_upper_layer(loop, cell, params, runs, dh, skip=()):
    """A backward whose lowest layer has the upper one's gradient by x."""
    lower, upper = training_back(loop, cell, params, runs, dh, skip)
    return [lower._replace(x=upper.x[..., :D]), upper]


def of_other_models(loop, cell, params, runs, dh, skip=()):
    """A backward that gives each model the next one's gradient by x."""
    lower, upper = training_back(loop, cell, params, runs, dh, skip)
    return [lower._replace(x=lower.x[:, [1, 2, 0]]), upper]


@pytest.mark.parametrize("fault", [of_the_upper_layer, of_other_models])
@pytest.mark.parametrize("cell", CELLS)
def test_a_table_that_learns_from_another_gradient_is_found(twin, cell, fault, monkeypatch):
    """Planted faults: the central difference tells both."""
    monkeypatch.setattr(training, "back", fault)
    assert misfit(twin, cell, *embedded(cell, 2)) > 1e-3


def test_the_rate_is_constant_and_then_falls_to_zero():
    """Constant until the last share, then in a straight line to zero at the update after the last."""
    rate = training.falling(2.0, 60, 1 / 6)
    np.testing.assert_allclose([rate(step) for step in (1, 51, 52, 60, 61)], [2.0, 2.0, 1.8, 0.2, 0.0], rtol=1e-12)
    assert training.falling(2.0, 60)(60) == 2.0


# Gradients that do not reach beyond a block


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("k", [1, 2, 3, 6])
@pytest.mark.parametrize("name", ["numpy", "fast", "torch"])
def test_a_truncated_gradient_is_autograds_with_the_state_detached_at_every_block(name, cell, k):
    """Loss, last state and every gradient, against a loop over models and steps written out in torch."""
    assert off(partial(truncated, k), engine(name), cell, k) < 1e-13


@pytest.mark.parametrize("cell", CELLS)
def test_blocks_of_the_whole_chunk_give_the_bits_of_the_whole_gradient(twin, cell):
    """Loss, gradient and last state at k = T, from a given state and from zeros; one model as well as a group."""
    for state in (carried(cell), None):
        several = (group(cell), six(), state)
        alone = (choose(group(cell), 1), Batch(six().x[:, 1], six().target[:, 1]), tree_map(lambda a: a[1], state))
        for model, batch, before in (several, alone if state else several):
            arrays = [twin.asarray(some, "float64") for some in (model, batch, before)]
            found = truncated(6, twin, cell, "softmax_cross_entropy", *arrays)
            whole = loss_and_gradient(twin, cell, "softmax_cross_entropy", *arrays)
            for a, b in zip(leaves(found), leaves(whole), strict=True):
                np.testing.assert_array_equal(twin.numpy(a), twin.numpy(b))


@pytest.mark.parametrize("cell", CELLS)
def test_the_loss_is_the_same_at_every_truncation_and_the_gradient_is_not(twin, cell):
    """What a model loses does not depend on how far its gradient reaches; masked steps count at none."""
    mask = draw.generator("mask").random((6, E, B)) < 0.7
    arrays = [twin.asarray(some, "float64") for some in (group(cell), six()._replace(mask=mask), carried(cell))]
    found = [truncated(k, twin, cell, "softmax_cross_entropy", *arrays) for k in (1, 2, 3, 6)]
    losses, gradients = ([twin.numpy(some[n]) for some in found] for n in (0, 1))
    np.testing.assert_allclose(losses, np.broadcast_to(losses[-1], (4, E)), rtol=1e-14)
    gaps = [abs(g.cell.weight_hh - gradients[-1].cell.weight_hh).max((1, 2)) for g in gradients[:-1]]
    assert np.min(gaps) > 1e-4
    whole = loss_and_gradient(twin, cell, "softmax_cross_entropy", *arrays)
    np.testing.assert_array_equal(twin.numpy(whole[0]), losses[-1])


def without_states(k, twin, cell, loss, model, batch, state):
    """A fault: every block but the first starts from zeros."""
    quiet = twin._replace(plain=Quiet(twin.plain))
    return truncated(k, quiet, cell, loss, model, batch, state)


class Quiet:
    """A time loop whose states over steps are zero but the first."""

    def __init__(self, plain):
        self.zero_state, self.plain = plain.zero_state, plain

    def over_steps(self, states, like):
        """Zeros in place of what stands before every block but the first."""
        return self.plain.over_steps([states[0], *(tree_map(lambda a: a * 0, s) for s in states[1:])], like)


def through_blocks(k, *arguments):
    """A fault: the gradient passes from every block into the one before."""
    return loss_and_gradient(*arguments)


def late(k, *arguments):
    """A fault: blocks are twice as long."""
    return truncated(2 * k, *arguments)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("fault", [without_states, through_blocks, late])
def test_a_truncation_that_is_wrong_is_found(twin, cell, fault):
    """Planted faults: the state is not passed on, the gradient is, the borders are elsewhere."""
    assert off(partial(fault, 3), twin, cell, 3) > 1e-5


@pytest.mark.parametrize("cell", CELLS)
def test_rows_in_another_order_would_be_found(twin, cell, monkeypatch):
    """A planted fault: blocks and rows are exchanged, so that a row gets the state of another."""
    right = training.beside
    monkeypatch.setattr(training, "beside", lambda a, k, group: right(turned(a) if k == 1 else a, k, group))
    assert off(partial(truncated, 3), twin, cell, 3) > 1e-5


def turned(a):
    """What stands before the blocks, each block's row that of its neighbour."""
    return a[:, :, [*range(1, B), 0]]


def test_training_follows_the_gradient_that_it_is_given(twin):
    """Two updates with blocks of one step are not those with the whole gradient, and the same as by hand."""
    one, whole = (
        twin.numpy(steps(twin, "rnn", group("rnn"), [six(), six(1)], gradient_of=how)[-1].model)
        for how in (partial(truncated, 1), None)
    )
    assert abs(one.cell.weight_hh - whole.cell.weight_hh).max() > 1e-4
    same = twin.numpy(steps(twin, "rnn", group("rnn"), [six(), six(1)], gradient_of=loss_and_gradient)[-1].model)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(same), leaves(whole), strict=True))


@pytest.mark.parametrize("k", [0, -1, 4, 7])
def test_blocks_that_do_not_fill_a_chunk_are_refused(k):
    """The message names `k`, the steps and what came."""
    with pytest.raises(ValueError, match=rf"^`k` must divide the batch's 6 steps, .+; got {k}\.$"):
        truncated(k, engine("numpy"), "rnn", "softmax_cross_entropy", group("rnn"), six())


def test_what_cannot_be_cut_is_refused_by_name():
    """Stacks, encoder-decoders, rows of their own lengths, and outputs at the last steps alone."""
    how = (3, engine("numpy"), "rnn", "softmax_cross_entropy")
    for model in (stacks("rnn", 2), coder("rnn")[0]):
        with pytest.raises(ValueError, match=r"^`model` must have one cell"):
            truncated(*how, model, six())
    for batch in (six()._replace(lengths=np.full((E, B), 6)), six()._replace(target=six().target[3:])):
        with pytest.raises(ValueError, match=r"^`batch` must have no lengths, and a class at each of its steps"):
            truncated(*how, group("rnn"), batch)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_rows_that_models_share_cannot_be_cut(k):
    """Neither a group's x and classes without the axis E, nor those of a group for one model."""
    how = (k, engine("numpy"), "rnn", "softmax_cross_entropy")
    shared = Batch(six().x[:, 0], six().target[:, 0])
    with pytest.raises(ValueError, match=rf"^`batch` must have x \(T, E, B, D\), .+; got \(6, {B}, {D}\)\.$"):
        truncated(*how, group("rnn"), shared)
    with pytest.raises(ValueError, match=rf"^`batch` must have x \(T, B, D\), .+; got \(6, {E}, {B}, {D}\)\.$"):
        truncated(*how, choose(group("rnn"), 1), six())


def six(n=0):
    """A batch of six steps, which 1, 2, 3 and 6 divide."""
    batch = classes(T, n)
    return Batch(batch.x[:6], batch.target[:6])


def carried(cell):
    """A state before the chunk."""
    rng = draw.generator("carried", cell)
    return STATES[cell](*(rng.normal(0, 0.5, (E, B, H)) for _ in STATES[cell]._fields))


def off(how, twin, cell, k):
    """The largest difference of loss, gradient or last state from autograd's with the state detached every k steps."""
    model, batch, state = group(cell), six(), carried(cell)
    arrays = [twin.asarray(some, "float64") for some in (model, batch, state)]
    found, errors = twin.numpy(how(twin, cell, "softmax_cross_entropy", *arrays)), []
    for e in range(E):
        theirs = detached(cell, choose(model, e), batch.x[:, e], batch.target[:, e], [a[e] for a in state], k)
        errors += [abs(a[e] - b).max() for a, b in zip(leaves(found), theirs, strict=True)]
    return max(errors)


def detached(cell, model, x, target, state, k):
    """Loss, gradients in the order of the leaves, and last state of one model, by autograd, from the equations."""
    x, target, *state = (torch.from_numpy(np.ascontiguousarray(a)) for a in (x, target, *state))
    own = [torch.from_numpy(a.copy()).requires_grad_() for a in leaves(model)]
    W_ih, W_hh, b_ih, b_hh, W_hy, b_hy = own
    h, c, y = state[0], state[-1], []
    for t, x_t in enumerate(x):
        h, c = (h.detach(), c.detach()) if t % k == 0 else (h, c)
        a = x_t @ W_ih.T + b_ih + h @ W_hh.T + b_hh
        if cell == "rnn":
            h = torch.tanh(a)
        else:
            i, f, g, o = a.chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        y.append(h @ W_hy.T + b_hy)
    loss = torch.nn.functional.cross_entropy(torch.stack(y).reshape(-1, V), target.reshape(-1))
    loss.backward()
    last = (h, c) if cell == "lstm" else (h,)
    return [a.detach().numpy() for a in (loss, *(w.grad for w in own), *last)]
