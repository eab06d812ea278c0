"""The fast form of scan.py: the same functions and the same results within the bounds, for groups also on threads.

Inside, arrays are feature-major, a group's models are computed a few at a time (as many as stay in a core's cache), and
products of inputs and of weight gradients are made for several steps at once: fast_lstm.py and fast_rnn.py. How a group
is divided depends on its sizes alone, so that its bits do not depend on the number of threads. Where `threads` is more
than one, NumPy's own products should have one thread (OMP_NUM_THREADS=1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any, NamedTuple

from numpy import empty, where

from impl.spec import (
    STATES,
    Array,
    Gradient,
    Parameters,
    Run,
    check_like,
    check_sequence,
    check_skip,
    check_state,
    tree_map,
    unpack,
)

from . import fast_lstm, fast_rnn
from .fast_products import Collected, memory
from .scan import batch_of, mask, running_rows, zero_state, zeros_of

CACHE = 2**20
"""Bytes that the models computed at once may take for their weights and one step: half a core's second-level cache."""

AT_ONCE = 8
"""Models computed at once, at most: more save nothing, since a call's own cost is then small."""


class Cell(NamedTuple):
    """A cell's fast form: how its rows stand inside, its memory, its states and its two time loops.

    `least` is from how many pre-activations of a step (G*H*B) on threads pay: below, NumPy's loops wait for the
    interpreter's one lock more than they compute.
    """

    inside: Callable[..., Array]
    outside: Callable[..., Array]
    halved: Callable[..., Array]
    work: Callable[..., Any]
    states: Callable[..., Any]
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    least: int = 4096


def fast_cell(form: Any, forward: Callable[..., Any], backward: Callable[..., Any]) -> Cell:
    """The fast form of a cell with these time loops."""
    return Cell(form.inside, form.outside, form.halved, form.work, form.states, forward, backward)


CELLS = {
    "rnn": fast_cell(fast_rnn, fast_rnn.forward, fast_rnn.backward),
    "rnn_relu": fast_cell(
        fast_rnn,
        partial(fast_rnn.forward, squash=fast_rnn.relu),
        partial(fast_rnn.backward, factor=fast_rnn.relu_factor),
    ),
    "lstm": fast_cell(fast_lstm, fast_lstm.forward, fast_lstm.backward),
}


class Part(NamedTuple):
    """Some models of a group, as the backward needs them.

    W_ih (E, G*H, D) and W_hh (E, G*H, H) have their rows as inside; Z (E, T+1, B, D+1+H) is x, 1 and h before each
    step; ended is (T, E or 1, 1, B) or None.
    """

    models: slice
    W_ih: Array
    W_hh: Array
    Z: Array
    work: Any
    ended: Array | None


class Cache(NamedTuple):
    """What `backward` needs: a group's parts, shapes, the loop's way (1, or -1 in reverse)."""

    parts: tuple[Part, ...]
    x_shape: tuple[int, ...]
    batch: tuple[int, ...]
    way: int


def forward(
    cell: str,
    params: Parameters,
    x: Array,
    state: Any = None,
    lengths: Array | None = None,
    reverse: bool = False,
    threads: int = 1,
    states: bool = True,
    cells: dict[str, Cell] = CELLS,
) -> Run:
    """Runs a cell over a sequence; arguments, result and errors are those of scan.py, and besides:

    Args:
        threads: how many parts of a group run at once.
        states: whether an LSTM's c of every step is asked for; else states.c is None.
        cells: the cells' fast forms: these, or others of the same functions.
    """
    check_sequence(cell, params, x, state, lengths)
    way, batch = -1 if reverse else 1, batch_of(params, x)
    running = running_rows(x, lengths, batch)
    seen = x if running is None else where(running, x if x.ndim == running.ndim else x[:, None], 0)
    ended = None if running is None else ~grouped(running, 4)[::way].mT
    state = zero_state(cell, params, x) if state is None else state
    given = tree_map(lambda a: grouped(a, 3), state), grouped(seen, 4)[::way], ended
    weights = grouped(params.weight_ih, 3), grouped(params.weight_hh, 3), bias(params)
    threads = threads if weights[1].shape[1] * batch[-1] >= cells[cell].least else 1
    work = partial(forward_part, cells[cell], *weights, *given)
    parts, each, last = on_threads(threads, work, divided(params, batch))
    each = each if states else [STATES[cell](one.h, *[None] * (len(one) - 1)) for one in each]
    everywhere = mask(running, joined(each, 1, batch, way))
    return Run(everywhere, joined(last, 0, batch), Cache(parts, tuple(x.shape), batch, way))


def backward(
    cell: str,
    params: Parameters,
    cache: Cache,
    dh: Array | None = None,
    dlast: Any = None,
    skip: Collection[str] = (),
    threads: int = 1,
    cells: dict[str, Cell] = CELLS,
) -> Gradient:
    """Back-propagation through time; arguments, result and errors are those of scan.py, and besides:

    Args:
        threads, cells: as in `forward`.
    """
    T, shape, way = cache.x_shape[0], (*cache.batch, params.weight_hh.shape[-1]), cache.way
    check_skip(skip)
    if dh is not None:
        check_like("dh", dh, params.weight_hh, "it is the gradient by states.h", (T, *shape))
    if dlast is not None:
        check_state("dlast", cell, dlast, shape, params.weight_hh)
    dlast = STATES[cell](*(zeros_of(shape, params.weight_hh) for _ in STATES[cell]._fields)) if dlast is None else dlast
    dlast, dh = tree_map(lambda a: grouped(a, 3), dlast), None if dh is None else grouped(dh, 4)[::way]
    threads = threads if params.weight_hh.shape[-2] * cache.batch[-1] >= cells[cell].least else 1
    dxs, dparams, dstates, everywhere = on_threads(
        threads, partial(backward_part, cell, cells[cell], dh, dlast, skip), cache.parts
    )
    dx = None if "x" in skip else joined(dxs, 1, cache.batch, way)
    if dx is not None and dx.ndim > len(cache.x_shape):
        dx = dx.sum(1)
    dparams = joined(dparams, 0, cache.batch)
    biases = {name: None for name in ("bias_ih", "bias_hh") if getattr(params, name) is None}
    everywhere = None if "states" in skip else joined(everywhere, 1, cache.batch, way)
    return Gradient(dx, dparams._replace(**biases), joined(dstates, 0, cache.batch), everywhere)


def forward_part(
    form: Cell, W_ih: Array, W_hh: Array, b: Array | None, state: Any, x: Array, ended: Array | None, models: slice
) -> tuple[Part, Any, Any]:
    """The forward of some models, of weights, state and x (T, E or 1, B, D) of the whole group, in the loop's order.

    Returns:
        What the backward needs; the states after every step (T, E, B, H); the last state (E, B, H).
    """
    H, D, (T, _, B, _) = W_hh.shape[-1], W_ih.shape[-1], x.shape
    W_ih, W_hh = form.inside(W_ih[models], H), form.inside(W_hh[models], H)
    E = W_ih.shape[0]
    W = empty((E, W_ih.shape[1], D + 1 + H), x.dtype)
    W[..., :D], W[..., D], W[..., D + 1 :] = W_ih, 0 if b is None else form.inside(b[models], H), W_hh
    Z, work = memory((E, T + 1, B, D + 1 + H), x.dtype), form.work(T, E, H, B, x.dtype)
    Z[:, :T, :, :D], Z[..., D] = chosen(x, models, 1).swapaxes(0, 1), 1
    state, ended = tree_map(lambda a: a[models], state), None if ended is None else chosen(ended, models, 1)
    Z[:, 0, :, D + 1 :] = state.h
    last = form.forward(form.halved(W, H), Z, work, state, ended)
    return Part(models, W_ih, W_hh, Z, work, ended), form.states(Z, work), last


def backward_part(
    cell: str, form: Cell, dh: Array | None, dlast: Any, skip: Collection[str], part: Part
) -> tuple[Array | None, Parameters, Any, Any]:
    """The backward of some models, of the whole group's dh (T, E, B, H) and dlast (E, B, H), in the loop's order.

    Returns:
        The gradients by x (T, E, B, D), the parameters, the initial state, and the state carried out of every step.
    """
    (E, rows, H), D, (_, after, B, _) = part.W_hh.shape, part.W_ih.shape[-1], part.Z.shape
    collected = Collected(part.Z, rows, None if "x" in skip else part.W_ih)
    everywhere = None if "states" in skip else tree_map(lambda a: empty((after - 1, E, B, H), a.dtype), dlast)
    R_T, dh = part.W_hh.mT.copy(), None if dh is None else dh[:, part.models]
    dlast = tree_map(lambda a: a[part.models], dlast)
    dstate = form.backward(R_T, part.work, dh, dlast, part.ended, collected, everywhere)
    dW = form.outside(collected.dW, H)
    return collected.dx, Parameters(dW[..., :D], dW[..., D + 1 :], dW[..., D], dW[..., D]), dstate, everywhere


def divided(params: Parameters, batch: tuple[int, ...]) -> tuple[slice, ...]:
    """A group's models in parts, each computed at once: as many as fit the cache, and two parts at least."""
    E, B = (1, *batch)[-2:]
    (rows, H), D = params.weight_hh.shape[-2:], params.weight_ih.shape[-1]
    size = params.weight_hh.dtype.itemsize * rows * (D + 1 + H + 3 * B)
    count = max(1, -(-E // max(1, min(AT_ONCE, CACHE // size))), min(E, 2))
    return tuple(slice(E * n // count, E * (n + 1) // count) for n in range(count))


def on_threads(threads: int, work: Callable[[Any], tuple], parts: Sequence[Any]) -> tuple[tuple, ...]:
    """What `work` gives for each part, by place in its tuple; several parts at once on this thread and others."""
    done: list[Any] = [None] * len(parts)
    left = deque(range(len(parts)))

    def take() -> None:
        while True:
            try:
                n = left.popleft()
            except IndexError:  # nothing is left: asked of the deque itself, since another thread may be between
                return
            done[n] = work(parts[n])

    others = [helpers(threads - 1).submit(take) for _ in range(min(threads, len(parts)) - 1)]
    try:
        take()
    finally:
        for other in others:
            other.result()
    return tuple(zip(*done, strict=True))


@lru_cache
def helpers(count: int) -> ThreadPoolExecutor:
    """Threads of this process beside the one that calls, which last as long as it does."""
    return ThreadPoolExecutor(count)


def bias(params: Parameters) -> Array | None:
    """The sum of the biases (E, G*H), or None."""
    b = unpack(params).b
    return None if isinstance(b, float) else grouped(b, 3)[:, 0]


def grouped(a: Array, ndim: int) -> Array:
    """With an axis E of one before the last two, where an array of so many axes has none."""
    return a if a.ndim == ndim else a[..., None, :, :]


def chosen(a: Array, models: slice, axis: int) -> Array:
    """Some models' part of an array; the whole where all models share it."""
    return a if a.shape[axis] == 1 else a[(slice(None),) * axis + (models,)]


def joined(parts: Sequence[Any], axis: int, batch: tuple[int, ...], way: int = 1) -> Any:
    """The parts' arrays side by side along axis E, in memory of their own; without that axis for one model.

    Arrays over time (axis 1) come in the loop's order, and leave in that of x.
    """

    def put(*arrays: Array) -> Array:
        shape = list(arrays[0].shape)
        shape[axis] = sum(a.shape[axis] for a in arrays)
        whole, start = empty(shape, arrays[0].dtype), 0
        for a in arrays:
            place = slice(start, start := start + a.shape[axis])
            whole[(slice(None, None, way),) * axis + (place,)] = a
        return whole if len(batch) == 2 else whole.squeeze(axis)

    return tree_map(put, *parts)
