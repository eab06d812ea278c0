"""The generic training loop: batch, forward, loss, backward, clip, Adam; all models of a group in one computation.

`engine` is a twin's namespace (`harness.engine`): .scan .embedding .head .loss .optim. All is in that twin's arrays.

A model's `cell` is Parameters, or a stack: a tuple of them, one a layer, the lowest first. The inputs of a layer are
the outputs h of the one below, the read-out sees the top one; states are then tuples of states, one a layer. Or it is a
Coder, an encoder and a decoder, and its inputs are a Pair. Or it is Embedded: a cell or a stack over a table, and its
inputs are integers, the table's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from impl.spec import Array, Gradient, Model, Parameters, Run, members, tree_map

LOSSES = ("softmax_cross_entropy", "squared_error", "logistic")
"""The functions of a twin's loss.py that are losses."""

Rngs = Sequence[np.random.Generator]
Draw = Callable[[np.random.Generator, int, int], tuple[np.ndarray, ...]]


class Coder(NamedTuple):
    """An encoder-decoder: two cells of one kind; the decoder begins with the encoder's last state, and knows no more of
    what was read. Source: Cho et al. 2014; Sutskever, Vinyals, Le 2014, without their reversal of the source."""

    encoder: Parameters
    decoder: Parameters


class Embedded(NamedTuple):
    """A table ([E,] V, D) of what the classes 0..V-1 look like, and the cell, or the stack, that is shown its rows."""

    table: Array
    cell: Any


class Pair(NamedTuple):
    """What an encoder-decoder is shown: the source (S, [E,] B, D), and the decoder's inputs (K, [E,] B, D'). In
    training what it should have said at the step before (teacher forcing)."""

    source: Array
    forced: Array


class Batch(NamedTuple):
    """What one update sees.

    Shapes: x (T, [E,] B, D), of an Embedded integers (T, [E,] B), without E if the group shares it, or a Pair; target
    (K, [E,] B) classes, or (K, [E,] B, V) values, asked for at the last K steps; mask bool (K, [E,] B) or None; lengths
    (B,) or (E, B), of a Pair those of the source, or None; with lengths of x, and with a Pair, K is all steps, and with
    lengths of x a mask says which of them count: padding does not by itself.
    """

    x: Array
    target: Array
    mask: Array | None = None
    lengths: Array | None = None


class Update(NamedTuple):
    """What one update leaves: its number from 1, the new model, the mean loss before it, the gradient's norm before
    clipping (both () or (E,)), the last state of the batch, Adam's memory, and the state that the next batch begins
    with (None: zeros)."""

    step: int
    model: Model
    loss: Array
    norm: Array
    last: Any
    memory: Any
    carried: Any


def train(
    engine: Any,
    cell: str,
    loss: str,
    model: Model,
    batches: Iterable[Batch],
    lr: float | Callable[[int], float],
    max_norm: float | None = 1.0,
    carry: Callable[[Any], Any] | None = None,
    after: Update | None = None,
    gradient_of: Callable[..., tuple[Array, Model, Any]] | None = None,
) -> Iterator[Update]:
    """Trains a model, or a group of models each on its own, with one update a batch; the caller stops when it likes.

    Args:
        engine: the twin that computes.
        cell: "rnn" or "lstm", of every layer.
        loss: a name in LOSSES.
        model: cell, or a stack, a Coder or an Embedded, and read-out; a group has a leading axis E on every array.
        batches: as many as there are updates.
        lr: Adam's step size, or a function of the update's number.
        max_norm: each model's gradient is clipped to this norm; not at all if None.
        carry: gives the next batch's initial state from the last state of the batch before; zeros if None.
        after: an update to go on from, in place of `model`; `batches` are then those that follow it. Its step, model,
            memory and carried are read: with these and the same batches, training gives the bits of one never stopped.
        gradient_of: what gives loss, gradient and last state, in place of `loss_and_gradient` and with its arguments.
    """
    done, memory, state = 0, engine.optim.adam_start(model), None
    if after is not None:
        done, model, memory, state = after.step, after.model, after.memory, after.carried
    model, memory, state = without_graph((model, memory, state))
    for step, batch in enumerate(batches, done + 1):
        value, gradient, last = (gradient_of or loss_and_gradient)(engine, cell, loss, model, batch, state)
        gradient, norm = clipped(engine, gradient, max_norm)
        model, memory = engine.optim.adam(model, gradient, memory, lr(step) if callable(lr) else lr)
        state = carry(last) if carry else None
        yield Update(step, model, value, norm, last, memory, state)


def without_graph(tree: Any) -> Any:
    """A tree whose tensors autograd does not follow, since each update would hold all before; all else as it is."""
    return tree_map(lambda a: a.detach() if hasattr(a, "detach") else a, tree)


def falling(lr: float, updates: int, share: float = 0.0) -> Callable[[int], float]:
    """Adam's step size by update, counted from 1: constant, over the last `share` in a straight line towards zero."""
    last = max(share * updates, 1.0)
    return lambda step: lr * min(1.0, (updates - step + 1) / last)


def fresh(engine: Any, draw: Draw, length: int, rngs: Rngs, B: int, dtype: str, updates: int) -> Iterator[Batch]:
    """Fresh training batches in the engine's arrays, one an update, each model's rows from its own stream."""
    for _ in range(updates):
        yield engine.asarray(rows(draw, length, rngs, B), dtype)


def rows(draw: Draw, length: int, rngs: Rngs, B: int) -> Batch:
    """B rows a model, as NumPy arrays.

    Args:
        draw: a task's; it gives what Batch holds, in its order, for one model.
        length: what it takes.
        rngs: a generator a model, in the order of axis E.
        B: rows a model.
    """
    batch = Batch(*zip(*(draw(rng, length, B) for rng in rngs), strict=True))
    axes = Batch(1, 1, 1, 0)
    return Batch(*(part if part is None else stacked(part, axis) for part, axis in zip(batch, axes, strict=True)))


def stacked(trees: Sequence[Any], axis: int) -> Any:
    """Arrays of one shape, or trees of them, as one with a new axis; None stays None."""
    return tree_map(lambda *arrays: np.stack(arrays, axis), *trees)


def clipped(engine: Any, gradient: Model, max_norm: float | None) -> tuple[Model, Array]:
    """The gradient clipped to a norm, or as it is if that is None, and its norm before, () or (E,)."""
    if max_norm is None:
        return gradient, engine.optim.global_norm(gradient)
    return engine.optim.clip(gradient, max_norm)


def loss_and_gradient(
    engine: Any, cell: str, loss: str, model: Model, batch: Batch, state: Any = None
) -> tuple[Array, Model, Any]:
    """The mean loss over the steps that count, () or (E,), its gradient by the model, and the last state.

    Args:
        engine, cell, loss, model: as in `train`.
        batch: x (T, [E,] B, D) or a Pair, target at the last K steps.
        state: the initial state, h (and c), each ([E,] B, H), for a stack a tuple of them, for a Coder the encoder's;
            zeros if None. No gradient flows past it.
    Raises:
        ValueError: there is no such loss, the targets stand at other steps than Batch says, or padding would count.
    """
    if loss not in LOSSES:
        raise ValueError(f"`loss` must be one of {', '.join(LOSSES)}; got {loss!r}.")
    K = batch.target.shape[0]
    check_steps("target", K, model.cell, batch.x, batch.lengths)
    if batch.lengths is not None and batch.mask is None and not isinstance(model.cell, Coder):
        raise ValueError("`mask` must be given, since with `lengths` the steps at padding would count too; got None.")
    runs = through(engine.scan, cell, model.cell, shown(engine, model.cell, batch.x), state, batch.lengths)
    top = runs[-1].states.h
    h = top[top.shape[0] - K :]
    y = engine.head.forward(model.head, h)
    total, dy = getattr(engine.loss, loss)(y, batch.target, batch.mask)
    n = counted(engine, y, batch.mask)
    dh, dhead = engine.head.backward(model.head, h, dy / n[..., None, None])
    gradients = back(engine.scan, cell, model.cell, runs, over_all_steps(dh, top), ("states",))
    dcell, last = (like(model.cell, some) for some in ([g.params for g in gradients], [run.last for run in runs]))
    if isinstance(model.cell, Embedded):
        dcell = Embedded(engine.embedding.backward(model.cell.table, batch.x, gradients[0].x), dcell)
    return total / n, Model(dcell, dhead), last


def check_steps(name: str, K: int, params: Any, x: Any, lengths: Array | None) -> None:
    """Refuses to ask for outputs at more steps than there are, and at the last few where rows end before; `name` is
    what says K.

    Args:
        params, x, lengths: as in `through`.
    Raises:
        ValueError: K does not fit.
    """
    coder = isinstance(params, Coder)
    T = (x.forced if coder else x).shape[0]
    if (coder or lengths is not None) and K != T:
        why = "of an encoder-decoder all are asked for" if coder else "with `lengths` the last steps are padding"
        raise ValueError(f"`{name}` must be of all T={T} steps, since {why}; got {K}.")
    if not 0 <= K <= T:
        raise ValueError(f"`{name}` must be of 0..{T} steps, since x has T={T}; got {K}.")


def shown(engine: Any, params: Any, x: Array) -> Array:
    """What the lowest layer sees of the inputs: of an Embedded the table's rows, else the inputs as they are."""
    return engine.embedding.look_up(params.table, x) if isinstance(params, Embedded) else x


def truncated(
    k: int, engine: Any, cell: str, loss: str, model: Model, batch: Batch, state: Any = None
) -> tuple[Array, Model, Any]:
    """The same loss and last state, and a gradient that does not pass from one block of k steps into the one before.

    The state does pass: a first run gives that before every block, and the blocks are then rows of one batch, each
    with its state as a constant. The loss at the j-th step of a block (from 0) so reaches j steps back: on average
    (k - 1) / 2, at most k - 1. With k = T it is `loss_and_gradient`.

    Args:
        k: steps of a block; it divides T.
        engine, cell, loss, model, batch, state: as in `loss_and_gradient`, for one cell, whose outputs are asked for at
            all steps.
    Raises:
        ValueError: k does not divide T, or the model or the batch has no such form.
    Source: Williams, Peng 1990, whose BPTT(h; h') this is with h = h' = k, but that here all blocks of a batch are seen
        before the weights change.
    """
    T, B = check_blocks(k, model, batch)
    starts = [engine.plain.zero_state(cell, model.cell, batch.x) if state is None else state]
    if k < T:
        states = engine.states.forward(cell, model.cell, batch.x[: T - k], state).states
        starts += [tree_map(lambda a, t=t: a[t], states) for t in range(k - 1, T - k, k)]
    group = members(model.cell) is not None
    before = tree_map(lambda a: beside(a, 1, group)[0], engine.plain.over_steps(starts, starts[0]))
    rows_ = Batch(*(a if a is None else beside(a, k, group) for a in batch[:3]))
    value, gradient, last = loss_and_gradient(engine, cell, loss, model, rows_, before)
    return value, gradient, tree_map(lambda a: a[..., a.shape[-2] - B :, :], last)


def check_blocks(k: int, model: Model, batch: Batch) -> tuple[int, int]:
    """T and B of a batch that can be cut into blocks of k steps.

    Raises:
        ValueError: it cannot.
    """
    if not isinstance(model.cell, Parameters):
        raise ValueError(f"`model` must have one cell, since its states are cut; got a {type(model.cell).__name__}.")
    axes = "(T, B, D)" if members(model.cell) is None else "(T, E, B, D)"
    if batch.x.ndim != len(axes.split()):
        raise ValueError(
            f"`batch` must have x {axes}, since each model's blocks become rows of its own; got {tuple(batch.x.shape)}."
        )
    T, B = batch.x.shape[0], batch.x.shape[-2]
    if batch.lengths is not None or batch.target.shape[0] != T or batch.x.ndim != batch.target.ndim + 1:
        raise ValueError(
            f"`batch` must have no lengths, and a class at each of its steps and rows, since blocks become rows; got x "
            f"{tuple(batch.x.shape)}, target {tuple(batch.target.shape)}, lengths {batch.lengths}."
        )
    if k < 1 or T % k:
        raise ValueError(f"`k` must divide the batch's {T} steps, since its blocks are rows of one batch; got {k}.")
    return T, B


def beside(a: Array, k: int, group: bool) -> Array:
    """Blocks of k steps beside each other as rows, those of the first block first: (T, [E,] B, ...) as
    (k, [E,] T/k*B, ...).
    """
    blocks = a.reshape(a.shape[0] // k, k, *a.shape[1:]).swapaxes(0, 1)
    blocks = blocks.swapaxes(1, 2) if group else blocks
    axis = 2 if group else 1
    return blocks.reshape(*blocks.shape[:axis], -1, *blocks.shape[axis + 2 :])


def through(loop: Any, cell: str, params: Any, x: Array, state: Any = None, lengths: Array | None = None) -> list[Run]:
    """Runs a cell, the layers of a stack one upon the other, or encoder and decoder one after the other: what the time
    loop returns, a cell.

    Args:
        loop: an engine's time loop.
        cell: the name of every cell.
        params: Parameters, or a tuple of them, the lowest layer first, or a Coder, or an Embedded.
        x: (T, [E,] B, D), for a Coder a Pair, for an Embedded what it is `shown`.
        state: the initial state, for a stack a tuple of them, for a Coder the encoder's; zeros if None.
        lengths: as in Batch.
    """
    if isinstance(params, Coder):
        encoded = loop.forward(cell, params.encoder, x.source, state, lengths)
        return [encoded, loop.forward(cell, params.decoder, x.forced, encoded.last)]
    layers, runs = layers_of(params, unembedded(params)), []
    states = [None] * len(layers) if state is None else layers_of(params, state)
    for layer, before in zip(layers, states, strict=True):
        runs.append(loop.forward(cell, layer, runs[-1].states.h if runs else x, before, lengths))
    return runs


def back(loop: Any, cell: str, params: Any, runs: list[Run], dh: Array, skip: tuple[str, ...] = ()) -> list[Gradient]:
    """The backward of `through`: the time loop's gradients, a cell, by x those above the lowest layer alone, of an
    Embedded all.

    Args:
        loop, cell, params: as in `through`.
        runs: what it returned.
        dh: the gradient by the top layer's, or the decoder's, outputs (T, [E,] B, H).
        skip: what no cell is asked for, besides the inputs that nobody made.
    """
    if isinstance(params, Coder):
        (encoded, decoded), skip = runs, ("x", *skip)
        after = loop.backward(cell, params.decoder, decoded.cache, dh, skip=skip)
        return [loop.backward(cell, params.encoder, encoded.cache, None, after.state, skip=skip), after]
    gradients, lowest = list[Gradient](), skip if isinstance(params, Embedded) else ("x", *skip)
    for k, layer in reversed(list(enumerate(layers_of(params, unembedded(params))))):
        gradients.append(loop.backward(cell, layer, runs[k].cache, dh, skip=skip if k else lowest))
        dh = gradients[-1].x
    return gradients[::-1]


def layers_of(params: Any, tree: Any) -> tuple[Any, ...]:
    """What a model has by layer (its parameters, states) as a tuple, also where `params` are those of one cell."""
    return tree if type(unembedded(params)) is tuple else (tree,)


def unembedded(params: Any) -> Any:
    """The cell or the stack of an Embedded; what is none as it is."""
    return params.cell if isinstance(params, Embedded) else params


def like(params: Any, by_layer: list[Any]) -> Any:
    """What each cell has, as the model has its parameters: a tuple, a Coder, or the one entry where it is one cell."""
    if isinstance(params, Coder):
        return Coder(*by_layer)
    return tuple(by_layer) if type(unembedded(params)) is tuple else by_layer[0]


def counted(engine: Any, y: Array, mask: Array | None) -> Array:
    """How many steps and rows count, one number a model: () or (E,), in the dtype of y (K, [E,] B, V)."""
    ones = y[..., :1] * 0 + 1
    return engine.loss.sum_steps(engine.loss.select(mask, ones)[..., 0])


def over_all_steps(dh: Array, h: Array) -> Array:
    """The gradient by the outputs of the last K steps (K, ...) as one by all outputs h (T, ...): zero before."""
    if dh.shape[0] == h.shape[0]:
        return dh
    full = h * 0
    full[h.shape[0] - dh.shape[0] :] = dh
    return full


def outputs(
    engine: Any, cell: str, model: Model, x: Array, K: int = 1, window: int = 16, lengths: Array | None = None
) -> Array:
    """The read-out y (K, [E,] B, V) at the last K steps of x (T, [E,] B, ...), without a cache over all of them.

    The state carries everything, so the steps before are run a window at a time and only their last state is kept. With
    lengths, as in Batch, K is T; of a Coder, K is that of what its decoder is shown.

    Raises:
        ValueError: K is another, or more than T.
    """
    check_steps("K", K, model.cell, x, lengths)

    def run(x: Array, state: Any, lengths: Array | None = None) -> list[Run]:
        return through(engine.scan, cell, model.cell, shown(engine, model.cell, x), state, lengths)

    if lengths is not None or isinstance(model.cell, Coder):
        return engine.head.forward(model.head, run(x, None, lengths)[-1].states.h)
    state, start = None, x.shape[0] - K
    for t in range(0, start, window):
        state = like(model.cell, [layer.last for layer in run(x[t : min(t + window, start)], state)])
    return engine.head.forward(model.head, run(x[start:], state)[-1].states.h)


def choose(model: Model, index: Any) -> Model:
    """The models of a group at `index` (integers or booleans over E), as a group."""
    if members(model.cell) is None:
        raise ValueError("`model` must be a group with a leading axis E, since members are chosen; got one model.")
    return tree_map(lambda a: a[index], model)
