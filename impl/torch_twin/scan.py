"""The one time loop, in either direction: forward with a cache, backward through time, lengths, groups of models.

The last state of a row is the state at its length; at padding its outputs are zero, and whatever x or cotangents hold
there, NaN included, is set to zero before any product and so reaches no value and no gradient. A row of no steps hands
its initial state on, which reaches nothing else. In reverse the loop runs from the last step to the first: over its
padding, which then comes first, a row keeps the initial state.

`feed_back` is the same loop on inputs that it makes itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from torch import arange, broadcast_to, stack, where, zeros

from impl.spec import (
    STATES,
    Array,
    Fed,
    Gradient,
    Origin,
    Parameters,
    Run,
    Weights,
    check_cache,
    check_feed_back,
    check_like,
    check_sequence,
    check_skip,
    check_state,
    members,
    origin,
    tree_map,
    unpack,
)

from . import lstm, rnn, rnn_relu, variants
from .array import require_own

CELLS = {"rnn": rnn, "rnn_relu": rnn_relu, "lstm": lstm, **variants.CELLS}


class Cache(NamedTuple):
    """What `backward` needs: whose it is, the weights, x as the loop saw it, a cache a step, running rows, shapes, way.

    The steps stand in the order of x; `way` is 1 where the loop ran in that order, -1 where it ran in reverse.
    """

    origin: Origin
    weights: Weights
    x: Array
    steps: list[Any]
    running: Array | None
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
) -> Run:
    """Runs a cell over a sequence.

    Args:
        cell: a name in impl.spec.GATES.
        params: weight_ih (G*H, D), weight_hh (G*H, H), bias_ih, bias_hh (G*H,) or None; E first for a group.
        x: (T, B, D); for a group (T, E, B, D), or (T, B, D) shared by its models. The cache refers to it.
        state: initial h (and c), each (B, H) or (E, B, H); zeros if None.
        lengths: integers (B,) or (E, B), each from 0 to T: the steps a row runs; all T if None.
        reverse: whether the loop runs from a row's last step to its first, and its last state is that after step 0.
    Returns:
        The states after every step in the order of x, (T, B, H) or (T, E, B, H), zero at padding; the last state; the
        backward's cache.
    Raises:
        TypeError, ValueError: an argument has the wrong kind, dtype or shape; the message names it.
    """
    check_sequence(cell, params, x, state, lengths)
    require_own("weight_ih", params.weight_ih)
    T, weights, batch, way = x.shape[0], unpack(params), batch_of(params, x), -1 if reverse else 1
    given = zero_state(cell, params, x) if state is None else tree_map(copy, state)
    running = running_rows(x, lengths, batch)
    state, handed_on = entering(running, given)
    seen = x if running is None else where(running, x if x.ndim == running.ndim else x[:, None], 0)
    steps, states = [], []
    for t in range(T)[::way]:
        state_next, cache = CELLS[cell].step(weights, seen[t], state)
        state = select(running, t, state_next, state)
        steps.append(cache)
        states.append(state)
    states = mask(running, over_steps(states[::way], state))
    cache = Cache(origin("scan", cell, params), weights, seen, steps[::way], running, tuple(x.shape), batch, way)
    return Run(states, tree_map(copy, handed_on(state)), cache)


def backward(
    cell: str,
    params: Parameters,
    cache: Cache,
    dh: Array | None = None,
    dlast: Any = None,
    skip: Collection[str] = (),
) -> Gradient:
    """Back-propagation through time: the exact gradient of <dh, states.h> + <dlast, last>.

    Args:
        cell, params: as in `forward`; those that the cache is of.
        cache: as `forward` returned it; it is read only, so several backwards from one forward agree.
        dh: gradient by the outputs states.h, (T, B, H) or (T, E, B, H); zero if None.
        dlast: gradient by the last state, h (and c), each (B, H) or (E, B, H); zero if None.
        skip: names among impl.spec.SKIPPABLE: what is not asked for, and None in what is returned.
    Returns:
        The gradient by x (summed over E where the group shares x), by the parameters (None where absent), by the
        initial state, and by the state carried out of every step, whose h_t and c_t count as independent coordinates:
        it includes dh[t], is what `backward` of the remaining steps would give for their initial state (in reverse
        those from t - 1 down to 0), and is zero at padding.
    Raises:
        TypeError, ValueError: the cache is of another forward, or a cotangent does not fit; the message names it.
    Source: Werbos 1990; Gradient.states is the adjoint state of that recursion.
    """
    check_cache("scan", cell, params, cache)
    weights, running, way, H = cache.weights, cache.running, cache.way, params.weight_hh.shape[-1]
    T, shape = len(cache.steps), (*cache.batch, H)
    check_skip(skip)
    if dh is not None:
        check_like("dh", dh, params.weight_hh, "it is the gradient by states.h", (T, *shape))
    if dlast is not None:
        check_state("dlast", cell, dlast, shape, params.weight_hh)
    dstate = STATES[cell](*(zeros_of(shape, weights.W_hh) for _ in STATES[cell]._fields)) if dlast is None else dlast
    dxs, das, dstates = [], [], []
    for t in range(T)[::-way]:
        dtotal = dstate if dh is None else dstate._replace(h=dstate.h + dh[t])
        dtotal = mask(running if running is None else running[t], dtotal)
        dx, dstate_before, da = CELLS[cell].step_backward(weights, cache.steps[t], dtotal)
        dstate = select(running, t, dstate_before, dstate)
        dxs.append(dx)
        das.append(da)
        dstates.append(dtotal)
    da = stack(das[::-way]) if T else zeros_of((0, *shape[:-1], weights.W_hh.shape[-2]), weights.W_hh)
    dx = stack(dxs[::-way]) if T else zeros_of((0, *shape[:-1], cache.x.shape[-1]), weights.W_hh)
    dx = dx.sum(1) if dx.ndim > len(cache.x_shape) else dx
    dparams = None if "params" in skip else tied_gradient(params, cache, da)
    gradient = Gradient(dx, dparams, tree_map(copy, dstate), over_steps(dstates[::-way], dstate))
    return gradient._replace(**dict.fromkeys(skip))


def feed_back(
    cell: str, params: Parameters, x: Array, steps: int, following: Callable[[Array], Array], state: Any = None
) -> Fed:
    """Runs a cell on inputs that it makes itself: s_t = step(x_t, s_{t-1}), x_{t+1} = following(h_t), x_0 is given.

    There is no cache and no backward: which symbol is chosen does not change with h but where it jumps, and so has no
    gradient. That of a loss on what was fed is the gradient of `forward` on it.

    Args:
        cell, params, state: as in `forward`.
        x: the first input, (B, D); for a group (E, B, D), or (B, D) shared by its models.
        steps: how many steps to run, at least one.
        following: from h, (B, H) or (E, B, H), to the next input, (B, D) or (E, B, D); not called after the last step.
    Returns:
        What was fed, (steps, B, D) or (steps, E, B, D); the states after every step; the last state.
    Raises:
        TypeError, ValueError: an argument, or what `following` gives, has the wrong kind, dtype or shape, by name.
    Source: Graves 2013, what it says is its next input; Sutskever, Vinyals, Le 2014, from the encoder's last state.
    """
    check_feed_back(cell, params, x, steps, following, state)
    require_own("weight_ih", params.weight_ih)
    weights, shape = unpack(params), (*batch_of(params, x), x.shape[-1])
    x, state = broadcast_to(x, shape), zero_state(cell, params, x) if state is None else state
    fed, states = [], []
    for t in range(steps):
        if t > 0:
            x = following(state.h)
            check_like("following(h)", x, params.weight_ih, "it is the next x", shape)
        state, _ = CELLS[cell].step(weights, x, state)
        fed.append(copy(x))  # `following` may use one buffer for all
        states.append(state)
    return Fed(stack(fed), tree_map(lambda *arrays: stack(arrays), *states), state)


def tied_gradient(params: Parameters, cache: Cache, da: Array) -> Parameters:
    """The parameters' gradient: one product over all steps and rows, since every step uses the same weights.

    Args:
        params: tells which biases there are.
        cache: holds x (T, B, D) or (T, E, B, D) and the h before every step.
        da: gradient by the pre-activations, (T, B, G*H) or (T, E, B, G*H).
    """
    h = stack([cache_t.h for cache_t in cache.steps]) if cache.steps else da[..., : params.weight_hh.shape[-1]]
    da_ = over_rows(da)
    db = da_.sum(-2)
    return Parameters(
        da_.mT @ over_rows(cache.x),
        da_.mT @ over_rows(h),
        None if params.bias_ih is None else db,
        None if params.bias_hh is None else copy(db),
    )


def batch_of(params: Parameters, x: Array) -> tuple[int, ...]:
    """(B,) for one model, (E, B) for a group."""
    E = members(params)
    return (x.shape[-2],) if E is None else (E, x.shape[-2])


def zero_state(cell: str, params: Parameters, x: Array) -> Any:
    """The state of zeros, each (B, H) or (E, B, H), for parameters and x as in `forward`."""
    shape = (*batch_of(params, x), params.weight_hh.shape[-1])
    return STATES[cell](*(zeros_of(shape, params.weight_hh) for _ in STATES[cell]._fields))


def running_rows(x: Array, lengths: Array | None, batch: tuple[int, ...]) -> Array | None:
    """Whether a row still runs at step t: (T, B, 1) or (T, E, B, 1); None where no lengths are given."""
    if lengths is None:
        return None
    steps = arange(x.shape[0], device=x.device).reshape(-1, *[1] * len(batch))
    return (steps < broadcast_to(lengths, batch))[..., None]


def entering(running: Array | None, given: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The initial state as the loop takes it, zero in rows of no steps; and what hands theirs on in the last state."""
    if running is None or len(running) == 0:
        return given, lambda last: last
    return mask(running[0], given), lambda last: select(running, 0, last, given)


def select(running: Array | None, t: int, new: Any, old: Any) -> Any:
    """The new state where a row runs at step t, the old one where it has ended."""
    return new if running is None else tree_map(lambda a, b: where(running[t], a, b), new, old)


def mask(running: Array | None, state: Any) -> Any:
    """The state where a row runs, zero where it has ended; of one step or of all, as `running` is."""
    return state if running is None else tree_map(lambda a: where(running, a, 0), state)


def over_steps(states: list[Any], like: Any) -> Any:
    """The states of all steps as one, time first; (0, ...) where there is no step."""
    if not states:
        return tree_map(lambda a: zeros_of((0, *a.shape), a), like)
    return tree_map(lambda *arrays: stack(arrays), *states)


def over_rows(a: Array) -> Array:
    """All steps and rows as one axis: (T, B, K) as (T*B, K), and (T, E, B, K) as (E, T*B, K)."""
    T, *E, B, K = a.shape
    return a.reshape(T * B, K) if not E else a.swapaxes(0, 1).reshape(*E, T * B, K)


def zeros_of(shape: tuple[int, ...], like: Array) -> Array:
    """Zeros of the dtype and on the device of another array."""
    return zeros(shape, dtype=like.dtype, device=like.device)


def copy(a: Array) -> Array:
    """The same values in memory of their own."""
    return a.clone()
