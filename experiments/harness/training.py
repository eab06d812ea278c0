"""The generic training loop: batch, forward, loss, backward, clip, Adam; all models of a group in one computation.

`engine` is a twin's namespace (`harness.engine`): .scan .head .loss .optim. Everything here is in that twin's arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from impl.spec import Array, Model, members, tree_map

Rngs = Sequence[np.random.Generator]
Draw = Callable[[np.random.Generator, int, int], tuple[np.ndarray, ...]]


class Batch(NamedTuple):
    """What one update sees.

    Shapes: x (T, [E,] B, D), without E if the group shares it; target (K, [E,] B) classes, or (K, [E,] B, V) values,
    asked for at the last K steps; mask bool (K, [E,] B) or None; lengths (B,) or (E, B) or None (then K is T).
    """

    x: Array
    target: Array
    mask: Array | None = None
    lengths: Array | None = None


class Update(NamedTuple):
    """What one update leaves: its number from 1, the new model, the mean loss before it, the gradient's norm before
    clipping (both () or (E,)), and the last state of the batch."""

    step: int
    model: Model
    loss: Array
    norm: Array
    last: Any


def train(
    engine: Any,
    cell: str,
    loss: str,
    model: Model,
    batches: Iterable[Batch],
    lr: float | Callable[[int], float],
    max_norm: float | None = 1.0,
    carry: Callable[[Any], Any] | None = None,
) -> Iterator[Update]:
    """Trains a model, or a group of models each on its own, with one update a batch; the caller stops when it likes.

    Args:
        engine: the twin that computes.
        cell: "rnn" or "lstm".
        loss: a function of the twin's loss.py by name.
        model: cell and read-out; a group has a leading axis E on every array.
        batches: as many as there are updates.
        lr: Adam's step size, or a function of the update's number.
        max_norm: each model's gradient is clipped to this norm; not at all if None.
        carry: gives the next batch's initial state from the last state of the batch before; zeros if None.
    """
    memory, state = engine.optim.adam_start(model), None
    for step, batch in enumerate(batches, 1):
        value, gradient, last = loss_and_gradient(engine, cell, loss, model, batch, state)
        gradient, norm = clipped(engine, gradient, max_norm)
        model, memory = engine.optim.adam(model, gradient, memory, lr(step) if callable(lr) else lr)
        state = carry(last) if carry else None
        yield Update(step, model, value, norm, last)


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
    over_steps = [part if part is None else np.stack(part, 1) for part in batch[:3]]
    return Batch(*over_steps, batch.lengths if batch.lengths is None else np.stack(batch.lengths))


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
        batch: x (T, [E,] B, D), target at the last K steps.
        state: the initial state, h (and c), each ([E,] B, H); zeros if None. No gradient flows past it.
    """
    K = batch.target.shape[0]
    run = engine.scan.forward(cell, model.cell, batch.x, state, batch.lengths)
    h = run.states.h[run.states.h.shape[0] - K :]
    y = engine.head.forward(model.head, h)
    total, dy = getattr(engine.loss, loss)(y, batch.target, batch.mask)
    n = counted(engine, y, batch.mask)
    dh, dhead = engine.head.backward(model.head, h, dy / n[..., None, None])
    gradient = engine.scan.backward(cell, model.cell, run.cache, over_all_steps(dh, run.states.h), skip=("x", "states"))
    return total / n, Model(gradient.params, dhead), run.last


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
    """The read-out y (K, [E,] B, V) at the last K steps of x (T, [E,] B, D), without a cache over all of them.

    The state carries everything, so the steps before are run a window at a time and only their last state is kept. With
    lengths, as in Batch, K is T.
    """
    if lengths is not None:
        return engine.head.forward(model.head, engine.scan.forward(cell, model.cell, x, None, lengths).states.h)
    state, start = None, x.shape[0] - K
    for t in range(0, start, window):
        state = engine.scan.forward(cell, model.cell, x[t : min(t + window, start)], state).last
    return engine.head.forward(model.head, engine.scan.forward(cell, model.cell, x[start:], state).states.h)


def choose(model: Model, index: Any) -> Model:
    """The models of a group at `index` (integers or booleans over E), as a group."""
    if members(model.cell) is None:
        raise ValueError("`model` must be a group with a leading axis E, since members are chosen; got one model.")
    return tree_map(lambda a: a[index], model)
