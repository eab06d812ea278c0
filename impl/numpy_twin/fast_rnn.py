"""The time loop of both RNNs in the fast form: one product a step, on sequences as they lie in the input.

    a = z W^T                          W = [W_ih | b | W_hh], z = (x, 1, h), a row a sequence
    h' = tanh(a), or max(a, 0)

and backwards, with P = 1 - h'^2 for several steps at once, or dh' where h' > 0 and else 0 in place of dh' P:

    da = dh' P;  dh = da W_hh

There are no gates to hold apart, so rows stay rows here: nothing is turned on the way in or out, and a step's h' is
written where the next step's product reads it.

Source: the equations of rnn.py and rnn_relu.py.
"""

from __future__ import annotations

from collections.abc import Callable

from numpy import add, bitwise_and, copyto, matmul, maximum, multiply, subtract, tanh

from impl.spec import Array, tree_map
from impl.spec import RNNState as State

from .fast_products import Collected, Place, begin, blocks, clear, copied, memory, steps_at_once


def inside(a: Array, H: int) -> Array:
    """The rows of a parameter (E, H, ...): an RNN has one block."""
    return a


def outside(a: Array, H: int) -> Array:
    """The rows of a gradient (E, H, ...)."""
    return a


def halved(a: Array, H: int) -> Array:
    """No row is halved: there is no sigma."""
    return a


def work(T: int, E: int, H: int, B: int, dtype: str) -> None:
    """Memory for a forward: none, since h stands in Z."""
    return


def relu(a: Array, out: Array) -> Array:
    """max(a, 0), in which NaN stays NaN and no zero has a sign."""
    maximum(a, 0, out=out)
    return add(out, 0, out=out)


def tanh_factor(h: Array, out: Array) -> None:
    """1 - h^2, written to `out`."""
    multiply(h, h, out=out)
    subtract(1, out, out=out)


def relu_bits(h: Array, out: Array) -> None:
    """All bits where h > 0, else none, as integers written to `out`; all for NaN, as rnn_relu.py has it."""
    subtract(h <= 0, 1, out=out, dtype=out.dtype)


def forward(
    W: Array,
    x: Array,
    Z: Array,
    work: None,
    state: State,
    ended: Array | None,
    states: State,
    place: Place,
    squash: Callable[..., Array] = tanh,
) -> State:
    """All steps, in the loop's order.

    Args:
        W: (E, H, D+1+H), [W_ih | b | W_hh].
        x: (T, E or 1, B, D) of the whole group, in its own order.
        Z: (E, T+1, B, D+1+H), of which x, 1 and h before each step are filled; the first h is there.
        work: nothing.
        state: h (E, B, H), which stands in Z already.
        ended: (T, E or 1, 1, B), true where a row has ended; or None.
        states: filled with those after every step, (T, E, B, H) of the whole group.
        place: of these models in the group.
        squash: tanh or relu.
    Returns:
        The last state, (E, B, H).
    """
    (E, H, K), (after, B) = W.shape, Z.shape[1:3]
    k = blocks(B, K, H)
    begin(Z, place.of(x))
    W_T, a, hs = copied(W.mT)[:, None], memory((E, B, H), Z.dtype), Z[..., -H:].swapaxes(0, 1)
    out, z = a.reshape(E, k, B // k, H), Z.reshape(E, after, k, B // k, K).swapaxes(0, 1)
    for t, (z_t, h, h_after) in enumerate(zip(z[:-1], hs[:-1], hs[1:], strict=True)):
        matmul(z_t, W_T, out=out)
        squash(a, out=h_after)
        if ended is not None:
            copyto(h_after, h, where=ended[t].mT)
    place.of(states.h)[...] = hs[1:]
    return State(hs[-1])


def backward(
    W: Array,
    Z: Array,
    work: None,
    ended: Array | None,
    dh: Array | None,
    dlast: State,
    dW: Array | None,
    dx: Array | None,
    dstates: State | None,
    place: Place,
    relu: bool = False,
) -> State:
    """All steps back, against the loop's order.

    Args:
        W, Z, work, ended: as the forward had and left them.
        dh: gradient by the outputs, (T, E, B, H) of the whole group, or None for zero.
        dlast: gradient by the last state, (E, B, H).
        dW: zeros, to which the gradient by W is added; or None.
        dx: filled, (T, E, B, D) of the whole group; or None.
        dstates: filled with the gradient by the state carried out of every step, (T, E, B, H); or None.
        place: of these models in the group.
        relu: whether `squash` is. A dead unit's gradient is then left out, bit by bit, as rnn_relu.py selects: times 0
            an infinite one would be NaN.
    Returns:
        The gradient by the initial state, (E, B, H).
    """
    (E, H, K), T, B = W.shape, Z.shape[1] - 1, Z.shape[2]
    N, k = steps_at_once(B), blocks(B, H, H)
    dh, dx, dstates = tree_map(place.of, (dh, dx, dstates))
    R, dh_t, hs = copied(W[..., K - H :])[:, None], copied(dlast.h), Z[:, 1:, :, K - H :]
    collected = Collected(Z, W, dW)
    P, da = (memory((E, N, B, H), R.dtype) for _ in range(2))
    factor, through, kind = (relu_bits, bitwise_and, f"i{R.itemsize}") if relu else (tanh_factor, multiply, R.dtype)
    left, P, products = dh_t.view(kind), P.view(kind), da.view(kind)
    dh_out, das = dh_t.reshape(E, k, B // k, H), da.reshape(E, N, k, B // k, H)
    for hi in range(T, 0, -N):
        lo = max(0, hi - N)
        factor(hs[:, lo:hi], out=P[:, : hi - lo])
        for t in range(hi - 1, lo - 1, -1):
            kept = None if ended is None else dh_t.copy()
            if dh is not None:
                add(dh_t, dh[t], out=dh_t)
            if ended is not None:
                clear(ended[t].mT, dh_t)
            if dstates is not None:
                dstates.h[t] = dh_t
            through(left, P[:, t - lo], out=products[:, t - lo])
            if ended is not None:
                clear(ended[t].mT, da[:, t - lo])
            matmul(das[:, t - lo], R, out=dh_out)
            if kept is not None:
                copyto(dh_t, kept, where=ended[t].mT)
        collected.add(lo, da[:, : hi - lo].reshape(E, (hi - lo) * B, H).mT, dx)
    return State(dh_t)
