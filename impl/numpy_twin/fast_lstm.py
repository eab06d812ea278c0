"""The LSTM's time loop in the fast form: feature-major arrays, one tanh for all gates, one product a step.

    a = W z                            W = [W_ih | b | W_hh], z = (x, 1, h); rows of i, f, o halved, since
    i, f, o = tanh(a)/2 + 1/2          sigma(a) = tanh(a/2)/2 + 1/2
    g = tanh(a)
    c' = i g + f c,  h' = o tanh(c')

and backwards, with P_i = ig(1 - i), P_f = fc(1 - f), P_o = h'(1 - o), P_g = i - (ig)g and Q = o - h' tanh(c') for
several steps at once:

    dc' += dh' Q;  da_i, da_f, da_g = dc' P_i, dc' P_f, dc' P_g;  da_o = dh' P_o;  dc = dc' f;  dh = W_hh^T da

Arrays of one step are (E, rows, B), so that a gate is one block of memory and a column a sequence. The halves are
exact; sigma so computed has an absolute error near 2u for small results: alpha = 2u.

Source: the equations of lstm.py; the halved tanh as in Eigen's logistic and many kernels.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy import add, copyto, empty, matmul, multiply, subtract, take, tanh

from impl.spec import GATES, Array, tree_map
from impl.spec import LSTMState as State

from .fast_products import Collected, Place, begin, blocked, clear, columns, copied, in_blocks, memory, steps_at_once

ORDER = ("i", "f", "o", "g")
"""The blocks inside: the three that are halved stand together."""


class Work(NamedTuple):
    """What the forward leaves for the backward, in the loop's order.

    S (T+1, E, 5H, B): the gates in ORDER, below them the c before the step; M (T, E, 3H, B): ig, fc and the new h;
    tanh_c (T, E, H, B).
    """

    S: Array
    M: Array
    tanh_c: Array


def reordered(a: Array, held: tuple[str, ...], wanted: tuple[str, ...], H: int) -> Array:
    """The blocks of a (E, 4H, ...), which stand in the order `held`, in the order `wanted`, in memory of its own."""
    result = memory(a.shape, a.dtype)
    E, _, *rest = a.shape
    blocks = result.reshape(E, 4, H, *rest)
    take(a.reshape(E, 4, H, *rest), [held.index(gate) for gate in wanted], axis=1, out=blocks, mode="clip")
    return result


def inside(a: Array, H: int) -> Array:
    """The rows of a parameter (E, 4H, ...) in ORDER."""
    return reordered(a, GATES["lstm"], ORDER, H)


def outside(a: Array, H: int) -> Array:
    """The rows of a gradient (E, 4H, ...) in the order of the parameters."""
    return reordered(a, ORDER, GATES["lstm"], H)


def halved(a: Array, H: int) -> Array:
    """The rows with those of the three sigma gates times 1/2, in memory of their own."""
    result = copied(a)
    multiply(a[:, : 3 * H], 0.5, out=result[:, : 3 * H])
    return result


def work(T: int, E: int, H: int, B: int, dtype: str) -> Work:
    """Memory for `forward`."""
    return Work(*(memory(shape, dtype) for shape in ((T + 1, E, 5 * H, B), (T, E, 3 * H, B), (T, E, H, B))))


def forward(
    W: Array,
    x: Array,
    Z: Array,
    work: Work,
    state: State,
    ended: Array | None,
    states: State,
    place: Place,
) -> State:
    """All steps, in the loop's order.

    Args:
        W: (E, 4H, D+1+H), [W_ih | b | W_hh] with its rows in ORDER and halved.
        x: (T, E or 1, B, D) of the whole group, in its own order.
        Z: (E, T+1, B, D+1+H), of which x, 1 and h before each step are filled; the first h is there.
        work: filled.
        state: h and c, each (E, B, H).
        ended: (T, E or 1, 1, B), true where a row has ended; or None.
        states: filled with those after every step, each (T, E, B, H) of the whole group; c may be None.
        place: of these models in the group.
    Returns:
        The last state, each (E, B, H).
    """
    S, M, tanhs = work
    T, _, H, B = tanhs.shape
    begin(Z, place.of(x))
    Wb, half, gates = blocked(W, B), W.dtype.type(0.5), S[:T, :, : 4 * H]
    sigmas, ifs, os = S[:T, :, : 3 * H], S[:T, :, : 2 * H], S[:T, :, 2 * H : 3 * H]
    gcs, cs, c_nexts = S[:T, :, 3 * H :], S[:T, :, 4 * H :], S[1:, :, 4 * H :]
    igs, fcs, hs = M[:, :, :H], M[:, :, H : 2 * H], M[:, :, 2 * H :]
    S[0, :, 4 * H :] = state.c.mT
    each = gates, in_blocks(gates, Wb), sigmas, ifs, gcs, M[:, :, : 2 * H], igs, fcs, c_nexts, tanhs, os, hs
    for t, ((z, h_before, h_after), a, out, s, i_f, g_c, m, ig, fc, c, tanh_c, o, h) in enumerate(
        zip(columns(Z, H, state.h), *each, strict=True)
    ):
        matmul(Wb, z, out=out)
        tanh(a, out=a)
        multiply(s, half, out=s)
        add(s, half, out=s)
        multiply(i_f, g_c, out=m)
        add(ig, fc, out=c)
        tanh(c, out=tanh_c)
        multiply(o, tanh_c, out=h)
        if ended is not None:
            copyto(h, h_before, where=ended[t])
            copyto(c, cs[t], where=ended[t])
        copyto(h_after, h)
    h, c = (None if a is None else place.of(a) for a in states)
    h[...] = hs.mT
    Z[:, 1:, :, -H:] = h.swapaxes(0, 1)
    if c is not None:
        c[...] = S[1:, :, 4 * H :].mT
    return State(Z[:, -1, :, -H:], S[T, :, 4 * H :].mT)


def backward(
    W: Array,
    Z: Array,
    work: Work,
    ended: Array | None,
    dh: Array | None,
    dlast: State,
    dW: Array | None,
    dx: Array | None,
    dstates: State | None,
    place: Place,
) -> State:
    """All steps back, against the loop's order.

    Args:
        W: (E, 4H, D+1+H), [W_ih | b | W_hh] with its rows in ORDER.
        Z, work, ended: as `forward` had and left them.
        dh: gradient by the outputs, (T, E, B, H) of the whole group, or None for zero.
        dlast: gradient by the last state, each (E, B, H).
        dW: zeros, to which the gradient by W is added; or None.
        dx: filled, (T, E, B, D) of the whole group; or None.
        dstates: filled with the gradient by the state carried out of every step, each (T, E, B, H); or None.
        place: of these models in the group.
    Returns:
        The gradient by the initial state, each (E, B, H).
    """
    S, M, tanhs = work
    T, E, H, B = tanhs.shape
    dh, dx, dstates = tree_map(place.of, (dh, dx, dstates))
    N, dtype, Rb, collected = steps_at_once(B), W.dtype, blocked(copied(W[..., -H:].mT), B), Collected(Z, W, dW)
    P, Q, da, g = (memory((N, E, size, B), dtype) for size in (4 * H, H, 4 * H, H))
    dh_t, dc, part = copied(dlast.h.mT), copied(dlast.c.mT), empty((E, H, B), dtype)
    dh_out, f = dh_t.reshape(*Rb.shape[:-1], B), S[:T, :, H : 2 * H]
    flat = memory((E * 4 * H * N * B,), dtype)
    at = [slice(n * H, (n + 1) * H) for n in range(4)]
    for hi in range(T, 0, -N):
        lo = max(0, hi - N)
        n = hi - lo
        factors(S[lo:hi], M[lo:hi], tanhs[lo:hi], P[:n], Q[:n])
        if dh is not None:
            copyto(g[:n], dh[lo:hi].mT)
        each = f[lo:hi], g, Q, da, da[:, :, None], *(a[:, :, rows] for a in (P, da) for rows in at)
        steps = zip(range(hi - 1, lo - 1, -1), *(a[n - 1 :: -1] for a in each), strict=True)
        for t, f_t, g_t, Q_t, da_t, column, P_i, P_f, P_o, P_g, da_i, da_f, da_o, da_g in steps:
            kept = None if ended is None else (dh_t.copy(), dc.copy())
            if dh is not None:
                add(dh_t, g_t, out=dh_t)
            if ended is not None:
                clear(ended[t], dh_t, dc)
            if dstates is not None:
                dstates.h[t], dstates.c[t] = dh_t.mT, dc.mT
            multiply(dh_t, Q_t, out=part)
            add(dc, part, out=dc)
            multiply(dc, P_i, out=da_i)
            multiply(dc, P_f, out=da_f)
            multiply(dh_t, P_o, out=da_o)
            multiply(dc, P_g, out=da_g)
            multiply(dc, f_t, out=dc)
            if ended is not None:
                clear(ended[t], da_t)
            matmul(Rb, column, out=dh_out)
            if kept is not None:
                copyto(dh_t, kept[0], where=ended[t])
                copyto(dc, kept[1], where=ended[t])
        columns_of = flat[: E * 4 * H * n * B].reshape(E, 4 * H, n * B)
        copyto(columns_of.reshape(E, 4 * H, n, B), da[:n].transpose(1, 2, 0, 3))
        collected.add(lo, columns_of, dx)
    return State(dh_t.mT, dc.mT)


def factors(S: Array, M: Array, tanh_c: Array, P: Array, Q: Array) -> None:
    """The derivative factors P (n, E, 4H, B) and Q (n, E, H, B) of n steps, written to the last two arguments."""
    H = tanh_c.shape[2]
    ig, h, i, g, o = M[:, :, :H], M[:, :, 2 * H :], S[:, :, :H], S[:, :, 3 * H : 4 * H], S[:, :, 2 * H : 3 * H]
    P_ifo, P_g = P[:, :, : 3 * H], P[:, :, 3 * H :]
    multiply(M, S[:, :, : 3 * H], out=P_ifo)
    subtract(M, P_ifo, out=P_ifo)
    multiply(ig, g, out=P_g)
    subtract(i, P_g, out=P_g)
    multiply(h, tanh_c, out=Q)
    subtract(o, Q, out=Q)
