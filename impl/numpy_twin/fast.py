"""The fast form of scan.py: the same functions and the same results within the bounds, for groups also on threads.

Inside, a group's models are computed a few at a time (as many as stay in a core's cache), a step is one product and few
calls more, and weight gradients are made for several steps at once: fast_lstm.py and fast_rnn.py. How a group is
divided depends on its sizes alone: its bits do not depend on the number of threads. Where `threads` is more than one,
NumPy's own products should have one thread (OMP_NUM_THREADS=1).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from numbers import Integral
from typing import Any, NamedTuple

from numpy import concatenate, empty, where, zeros

from impl.spec import (
    STATES,
    Array,
    Gradient,
    Origin,
    Parameters,
    Run,
    check_cache,
    check_common,
    check_like,
    check_sequence,
    check_skip,
    check_state,
    origin,
    tree_map,
    unpack,
)

from . import fast_lstm, fast_rnn
from .array import require_own
from .fast_products import Place, chosen, memory, rows_of
from .scan import batch_of, entering, mask, running_rows

CACHE = 2**20
"""Bytes that the models computed at once may take for their weights and one step: half a core's second-level cache."""

AT_ONCE = 8
"""Models computed at once, at most: more save nothing, since a call's own cost is then small."""


class Cell(NamedTuple):
    """A cell's fast form: how its rows stand inside, its memory and its two time loops.

    `least` is from how many pre-activations of a step (G*H*B) on threads pay: below, NumPy's loops wait for the
    interpreter's one lock more than they compute. `loop` is the form's name: a cache is read by its own form alone.
    """

    inside: Callable[..., Array]
    outside: Callable[..., Array]
    halved: Callable[..., Array]
    work: Callable[..., Any]
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    least: int = 4096
    loop: str = "fast"


def fast_cell(form: Any, forward: Callable[..., Any], backward: Callable[..., Any]) -> Cell:
    """The fast form of a cell with these time loops."""
    return Cell(form.inside, form.outside, form.halved, form.work, forward, backward)


CELLS = {
    "rnn": fast_cell(fast_rnn, fast_rnn.forward, fast_rnn.backward),
    "rnn_relu": fast_cell(
        fast_rnn,
        partial(fast_rnn.forward, squash=fast_rnn.relu),
        partial(fast_rnn.backward, relu=True),
    ),
    "lstm": fast_cell(fast_lstm, fast_lstm.forward, fast_lstm.backward),
}


class Part(NamedTuple):
    """Some models of a group, as the backward needs them.

    W (E, G*H, D+1+H) is [W_ih | b | W_hh] with its rows as inside; Z (E, T+1, B, D+1+H) is x, 1 and h before each step;
    ended is (T, E or 1, 1, B) or None.
    """

    models: slice
    W: Array
    Z: Array
    work: Any
    ended: Array | None


class Cache(NamedTuple):
    """What `backward` needs: of what forward it is, a group's parts, shapes, the loop's way (1, or -1 in reverse)."""

    origin: Origin
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
    """Runs a cell over a sequence; arguments, result and errors are those of scan.py, for cells of COMMON, and besides:

    Args:
        threads: how many parts of a group run at once.
        states: whether an LSTM's c of every step is asked for; else states.c is None.
        cells: the cells' fast forms: these, or others of the same functions.
    """
    check_common(cell, "the fast forms have no other")
    check_threads(threads)
    check_sequence(cell, params, x, state, lengths)
    require_own("weight_ih", params.weight_ih)
    way, batch = -1 if reverse else 1, batch_of(params, x)
    running = running_rows(x, lengths, batch)
    seen = x if running is None else where(running, x if x.ndim == running.ndim else x[:, None], 0)
    ended = None if running is None else ~grouped(running, 4)[::way].mT
    fields, shape, dtype = STATES[cell]._fields, (*batch, params.weight_hh.shape[-1]), x.dtype
    given = STATES[cell](*(zeros(shape, dtype) for _ in fields)) if state is None else state
    state, handed_on = entering(running, given)
    asked = (memory((len(x), *shape), dtype) if states or field == "h" else None for field in fields)
    everywhere, seen = STATES[cell](*asked), (state, grouped(seen, 4), ended)
    weights = grouped(params.weight_ih, 3), grouped(params.weight_hh, 3), bias(params)
    threads = threads if weights[1].shape[1] * batch[-1] >= cells[cell].least else 1
    work = partial(forward_part, cells[cell], *weights, *seen, over_time(everywhere), way)
    parts, last = on_threads(threads, work, divided(params, batch))
    last = handed_on(joined(last, batch))
    cache = Cache(origin(cells[cell].loop, cell, params), parts, tuple(x.shape), batch, way)
    return Run(mask(running, everywhere), last, cache)


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
    check_common(cell, "the fast forms have no other")
    check_threads(threads)
    check_cache(cells[cell].loop, cell, params, cache)
    T, shape, way = cache.x_shape[0], (*cache.batch, params.weight_hh.shape[-1]), cache.way
    check_skip(skip)
    if dh is not None:
        check_like("dh", dh, params.weight_hh, "it is the gradient by states.h", (T, *shape))
    if dlast is not None:
        check_state("dlast", cell, dlast, shape, params.weight_hh)
    fields, dtype = STATES[cell]._fields, params.weight_hh.dtype
    dlast, dh = STATES[cell](*(zeros(shape, dtype) for _ in fields)) if dlast is None else dlast, over_time(dh)
    threads = threads if params.weight_hh.shape[-2] * cache.batch[-1] >= cells[cell].least else 1
    dx = None if "x" in skip else memory((T, *cache.batch, params.weight_ih.shape[-1]), dtype)
    everywhere = None if "states" in skip else STATES[cell](*(memory((T, *shape), dtype) for _ in fields))
    asked = "params" not in skip
    work = partial(backward_part, cells[cell], dh, dlast, over_time(dx), over_time(everywhere), way, asked)
    tied, dstates = on_threads(threads, work, cache.parts)
    dx = dx if dx is None or dx.ndim == len(cache.x_shape) else dx.sum(1)
    dparams = None
    if asked:
        dparams = (None if a is None else da for a, da in zip(params, joined(tied, cache.batch), strict=True))
        dparams = Parameters(*dparams)
    return Gradient(dx, dparams, joined(dstates, cache.batch), everywhere)


def forward_part(
    form: Cell,
    W_ih: Array,
    W_hh: Array,
    b: Array | None,
    state: Any,
    x: Array,
    ended: Array | None,
    states: Any,
    way: int,
    models: slice,
) -> tuple[Part, Any]:
    """The forward of some models, of weights, state ([E,] B, H) and x (T, E or 1, B, D) of the whole group.

    Fills their part of `states`, the group's after every step (T, E, B, H).

    Returns:
        What the backward needs; the last state (E, B, H).
    """
    H, D, (T, _, B, _) = W_hh.shape[-1], W_ih.shape[-1], x.shape
    W = empty((models.stop - models.start, W_ih.shape[1], D + 1 + H), x.dtype)
    W[..., :D], W[..., D], W[..., D + 1 :] = W_ih[models], 0 if b is None else b[models], W_hh[models]
    W, E = form.inside(W, H), len(W)
    Z, work = rows_of((E, T + 1, B, D + 1 + H), x.dtype), form.work(T, E, H, B, x.dtype)
    state, ended = tree_map(lambda a: grouped(a, 3)[models], state), None if ended is None else chosen(ended, models)
    Z[:, 0, :, D + 1 :] = state.h
    last = form.forward(form.halved(W, H), x, Z, work, state, ended, states, Place(models, way))
    return Part(models, W, Z, work, ended), last


def backward_part(
    form: Cell, dh: Array | None, dlast: Any, dx: Array | None, dstates: Any, way: int, asked: bool, part: Part
) -> tuple[Parameters | None, Any]:
    """The backward of some models, of the whole group's dh (T, E, B, H) or None, and dlast ([E,] B, H).

    Fills their part of dx (T, E, B, D) and of `dstates`, by the state carried out of every step; each may be None.

    Returns:
        The gradients by the parameters, None where they are not `asked` for, and by the initial state.
    """
    dlast = tree_map(lambda a: grouped(a, 3)[part.models], dlast)
    dW = zeros(part.W.shape, part.W.dtype) if asked else None
    dstate = form.backward(*part[1:], dh, dlast, dW, dx, dstates, Place(part.models, way))
    if dW is None:
        return None, dstate
    H = dlast.h.shape[-1]
    dW, D = form.outside(dW, H), dW.shape[-1] - H - 1
    return Parameters(dW[..., :D], dW[..., D + 1 :], dW[..., D], dW[..., D]), dstate


def divided(params: Parameters, batch: tuple[int, ...]) -> tuple[slice, ...]:
    """A group's models in parts, each computed at once: as many as fit the cache, and two parts at least."""
    E, B = (1, *batch)[-2:]
    if E == 1:
        return (slice(0, 1),)
    (rows, H), D = params.weight_hh.shape[-2:], params.weight_ih.shape[-1]
    size = params.weight_hh.dtype.itemsize * rows * (D + 1 + H + 3 * B)
    count = max(1, -(-E // max(1, min(AT_ONCE, CACHE // size))), min(E, 2))
    return tuple(slice(E * n // count, E * (n + 1) // count) for n in range(count))


def on_threads(threads: int, work: Callable[[Any], tuple], parts: Sequence[Any]) -> tuple[tuple, ...]:
    """What `work` gives for each part, by place in its tuple; several parts at once on this thread and others."""
    if threads == 1 or len(parts) == 1:
        return tuple(zip(*map(work, parts), strict=True))
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


if hasattr(os, "register_at_fork"):  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=helpers.cache_clear)


def check_threads(threads: Any) -> None:
    """Refuses a number of threads that is no positive integer."""
    if not isinstance(threads, Integral) or isinstance(threads, bool) or threads < 1:
        raise ValueError(f"`threads` must be an integer of at least 1, this thread among them; got {threads!r}.")


def bias(params: Parameters) -> Array | None:
    """The sum of the biases (E, G*H), or None."""
    b = unpack(params).b
    return None if isinstance(b, float) else grouped(b, 3)[:, 0]


def grouped(a: Array, ndim: int) -> Array:
    """With an axis E of one before the last two, where an array of so many axes has none."""
    return a if a.ndim == ndim else a[..., None, :, :]


def over_time(tree: Any) -> Any:
    """Arrays (T, [E,] B, n) with an axis E; None stays."""
    return tree_map(lambda a: grouped(a, 4), tree)


def joined(parts: Sequence[Any], batch: tuple[int, ...]) -> Any:
    """The parts' arrays one after the other along axis E, in memory of their own; without that axis for one model."""
    if len(parts) > 1:
        return type(parts[0])(*map(concatenate, zip(*parts, strict=True)))
    return type(parts[0])(*(a.copy() if len(batch) == 2 else a[0].copy() for a in parts[0]))
