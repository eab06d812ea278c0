"""Layers and directions: time loops one upon the other and side by side, with dropout between the layers.

The outputs of a layer's directions stand side by side, the forward one first, and are the inputs of the layer above;
the second direction runs in reverse. Masks multiply the outputs of every layer but the last, and their gradient.

Source: two directions: Schuster, Paliwal 1997; the stack: Graves, Jaitly, Mohamed 2013, equation 11, with one pair of
directions a layer as torch.nn has it; dropout between layers alone: Zaremba, Sutskever, Vinyals 2014.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any, NamedTuple

from numpy import concatenate, moveaxis

from impl.spec import Array, Layers, Parameters, StackGradient, StackRun, check_like, check_stack, check_states

from . import scan


class Cache(NamedTuple):
    """What `backward` needs: the time loops' caches by layer and direction, masks, x's layout and h's shape."""

    loops: tuple[tuple[Any, ...], ...]
    masks: tuple[Array | None, ...]
    batch_first: bool
    h_shape: tuple[int, ...]


def forward(
    cell: str,
    layers: Layers,
    x: Array,
    state: Any = None,
    lengths: Array | None = None,
    masks: tuple[Array, ...] | None = None,
    batch_first: bool = False,
    loop: Any = scan,
) -> StackRun:
    """Runs a stack over a sequence.

    Args:
        cell: a name in impl.spec.GATES.
        layers: Parameters by layer and direction; a layer above the first has D = directions*H of the one below.
        x: (T, B, D), or (B, T, D) with `batch_first`; for a group (T, E, B, D), or (E, B, T, D), or one without E that
            its models share. The cache refers to it.
        state: initial h (and c) by layer and direction, each (B, H) or (E, B, H); zeros if None.
        lengths: integers (B,) or (E, B), each from 0 to T: the steps a row runs; all T if None.
        masks: for every layer but the last (T, B, directions*H) or (T, E, B, directions*H), whatever the layout of x:
            0 or 1/(1-p) for dropout, as `impl.draw.dropout` draws them; None for no dropout, as in evaluation.
        batch_first: whether the batch stands before time in x and in the outputs.
        loop: the time loop, `scan` or another form of it with the same `forward` and `backward`.
    Returns:
        The top layer's h (T, B, directions*H) or (T, E, B, directions*H), zero at padding, in the layout of x; the last
        states by layer and direction, a reversed one's that after step 0; the backward's cache.
    Raises:
        TypeError, ValueError: an argument has the wrong kind, dtype or shape; the message names it.
    """
    check_stack(cell, layers, x, state, masks, batch_first)
    masks = (None,) * len(layers) if masks is None else (None, *masks)
    h, loops, last = time_first(x) if batch_first else x, [], []
    for k, directions in enumerate(layers):
        h = dropped(h, masks[k])
        runs = [
            loop.forward(cell, params, h, None if state is None else state[k][d], lengths, d == 1)
            for d, params in enumerate(directions)
        ]
        h = runs[0].states.h if len(runs) == 1 else concatenate([run.states.h for run in runs], -1)
        loops.append(tuple(run.cache for run in runs))
        last.append(tuple(run.last for run in runs))
    cache = Cache(tuple(loops), masks, batch_first, tuple(h.shape))
    return StackRun(batch_before(h) if batch_first else h, tuple(last), cache)


def backward(
    cell: str, layers: Layers, cache: Cache, dh: Array | None = None, dlast: Any = None, loop: Any = scan
) -> StackGradient:
    """The backward of `forward`: the exact gradient of <dh, h> + <dlast, last>.

    Args:
        cell, layers: as in `forward`.
        cache: as `forward` returned it; it is read only.
        dh: gradient by h, of the same shape; zero if None.
        dlast: gradient by the last states, of the same form; zero if None.
        loop: as in `forward`.
    Returns:
        The gradient by x (in its layout, and summed over E where a group shares it), by the parameters (None where
        absent) and by the initial states.
    """
    check_cotangents(cell, layers, cache, dh, dlast)
    dh = time_first(dh) if cache.batch_first and dh is not None else dh
    dlayers, dstate = [], []
    for k, directions in reversed(list(enumerate(layers))):
        gradients = [
            loop.backward(
                cell,
                params,
                cache.loops[k][d],
                columns(dh, d, params),
                None if dlast is None else dlast[k][d],
                ("states",),
            )
            for d, params in enumerate(directions)
        ]
        dh = dropped(reduce(add, (gradient.x for gradient in gradients)), cache.masks[k])
        dlayers.append(tuple(gradient.params for gradient in gradients))
        dstate.append(tuple(gradient.state for gradient in gradients))
    return StackGradient(batch_before(dh) if cache.batch_first else dh, tuple(dlayers[::-1]), tuple(dstate[::-1]))


def check_cotangents(cell: str, layers: Layers, cache: Cache, dh: Array | None, dlast: Any) -> None:
    """Refuses cotangents of `backward` that do not fit the forward's outputs, by name."""
    (T, *batch, K), weight = cache.h_shape, layers[-1][0].weight_hh
    if dh is not None:
        shape = (*batch, T, K) if cache.batch_first else (T, *batch, K)
        check_like("dh", dh, weight, "it is the gradient by h", shape)
    if dlast is not None:
        check_states("dlast", cell, dlast, tuple(batch), layers)


def dropped(a: Array, mask: Array | None) -> Array:
    """Outputs, or their gradient, times the mask of dropout; as they are without one."""
    return a if mask is None else a * mask


def columns(dh: Array | None, d: int, params: Parameters) -> Array | None:
    """Direction d's part (..., H) of a layer's gradient (..., directions*H)."""
    H = params.weight_hh.shape[-1]
    return None if dh is None else dh[..., d * H : (d + 1) * H]


def time_first(a: Array) -> Array:
    """([E,] B, T, K) as (T, [E,] B, K)."""
    return moveaxis(a, -2, 0)


def batch_before(a: Array) -> Array:
    """(T, [E,] B, K) as ([E,] B, T, K)."""
    return moveaxis(a, 0, -2)
