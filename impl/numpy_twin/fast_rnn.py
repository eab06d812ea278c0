"""The time loop of both RNNs in the fast form: feature-major arrays, one product a step.

    a = W z                            W = [W_ih | b | W_hh], z = (x, 1, h)
    h' = tanh(a), or max(a, 0)

and backwards, with P = 1 - h'^2, or 1 where h' > 0 and else 0, for several steps at once:

    da = dh' P;  dh = W_hh^T da

Source: the equations of rnn.py and rnn_relu.py; the layout is that of fast_lstm.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from numpy import add, copyto, matmul, maximum, multiply, subtract, tanh

from impl.spec import Array
from impl.spec import RNNState as State

from .fast_products import Collected, blocked, clear, columns, in_blocks, memory, rows, steps_at_once, transposed


class Work(NamedTuple):
    """What the forward leaves for the backward, in the loop's order: h (T, E, H, B) after every step."""

    h: Array


def inside(a: Array, H: int) -> Array:
    """The rows of a parameter (E, H, ...), in memory of their own: an RNN has one block."""
    return a.copy()


def outside(a: Array, H: int) -> Array:
    """The rows of a gradient (E, H, ...)."""
    return a


def halved(a: Array, H: int) -> Array:
    """No row is halved: there is no sigma."""
    return a


def work(T: int, E: int, H: int, B: int, dtype: str) -> Work:
    """Memory for a forward."""
    return Work(memory((T, E, H, B), dtype))


def states(Z: Array, work: Work) -> State:
    """The states after every step, (T, E, B, H), seen in what the forward left."""
    return State(Z[:, 1:, :, -work.h.shape[2] :].swapaxes(0, 1))


def relu(a: Array, out: Array) -> Array:
    """max(a, 0), in which NaN stays NaN and no zero has a sign."""
    maximum(a, 0, out=out)
    return add(out, 0, out=out)


def tanh_factor(h: Array, out: Array) -> None:
    """1 - h^2, written to `out`."""
    multiply(h, h, out=out)
    subtract(1, out, out=out)


def relu_factor(h: Array, out: Array) -> None:
    """1 where h > 0, else 0, written to `out`; 1 for NaN, as rnn_relu.py has it."""
    copyto(out, ~(h <= 0))


def forward(
    W: Array, Z: Array, work: Work, state: State, ended: Array | None, squash: Callable[..., Array] = tanh
) -> State:
    """All steps, in the loop's order.

    Args:
        W: (E, H, D+1+H), [W_ih | b | W_hh].
        Z: (E, T+1, B, D+1+H), x and 1 before each step; the h after step t is written to the end of Z[:, t+1].
        work: filled.
        state: h (E, B, H).
        ended: (T, E or 1, 1, B), true where a row has ended; or None.
        squash: tanh or relu.
    Returns:
        The last state, (E, B, H).
    """
    (hs,) = work
    Wb = blocked(W, hs.shape[-1])
    steps = zip(hs, in_blocks(hs, Wb), columns(Z, hs.shape[2], state.h), strict=True)
    for t, (h, out, (z, h_before, h_after)) in enumerate(steps):
        matmul(Wb, z, out=out)
        squash(h, out=h)
        if ended is not None:
            copyto(h, h_before, where=ended[t])
        copyto(h_after, h)
    return State(rows(Z, hs))


def backward(
    R_T: Array,
    work: Work,
    dh: Array | None,
    dlast: State,
    ended: Array | None,
    collected: Collected,
    dstates: State | None,
    factor: Callable[..., None] = tanh_factor,
) -> State:
    """All steps back, against the loop's order.

    Args:
        R_T: (E, H, H), W_hh transposed.
        work, ended: as the forward had and left them.
        dh: gradient by the outputs in the loop's order, (T, E, B, H), or None for zero.
        dlast: gradient by the last state, (E, B, H).
        collected: is given the gradient by the pre-activations, several steps at a time.
        dstates: filled with the gradient by the state carried out of every step, (T, E, B, H); or None.
        factor: the derivative of `squash`, from its result.
    Returns:
        The gradient by the initial state, (E, B, H).
    """
    (hs,) = work
    T, E, H, B = hs.shape
    N, Rb = steps_at_once(B), blocked(R_T, B)
    P, da, g = (memory((N, E, H, B), R_T.dtype) for _ in range(3))
    das, dh_t = da[:, :, None], transposed(dlast.h)
    dh_out = dh_t.reshape(*Rb.shape[:-1], B)
    for hi in range(T, 0, -N):
        lo = max(0, hi - N)
        n = hi - lo
        factor(hs[lo:hi], out=P[:n])
        if dh is not None:
            copyto(g[:n], dh[lo:hi].mT)
        steps = zip(range(hi - 1, lo - 1, -1), *(a[n - 1 :: -1] for a in (P, g, da, das)), strict=True)
        for t, P_t, g_t, da_t, column in steps:
            kept = None if ended is None else dh_t.copy()
            if dh is not None:
                add(dh_t, g_t, out=dh_t)
            if ended is not None:
                clear(ended[t], dh_t)
            if dstates is not None:
                dstates.h[t] = dh_t.mT
            multiply(dh_t, P_t, out=da_t)
            if ended is not None:
                clear(ended[t], da_t)
            matmul(Rb, column, out=dh_out)
            if kept is not None:
                copyto(dh_t, kept, where=ended[t])
        collected.add(lo, da[:n])
    return State(dh_t.mT.copy())
