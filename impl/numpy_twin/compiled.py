"""The fast form with its time loops compiled by numba: fused passes over memory, and threads that hold no lock.

`forward` and `backward` are those of fast.py around these loops; the notes there on groups and threads hold here, and
the extra "compiled" installs numba. Inside, the arrays of one step are (rows, B), of one model. tanh is `tanh_of`: a
polynomial for small arguments, elsewhere (1 - e)/(1 + e) with e = exp(-2|x|); measured on 2 million arguments, its
relative error is below 3u; that of sigma = tanh(a/2)/2 + 1/2 is as in fast_lstm.py.

Source: the equations of lstm.py, rnn.py, rnn_relu.py, and the factors of fast_lstm.py; the polynomials for small
arguments are those of Cephes (tanhf.c, tanh.c); 2^r is its Taylor polynomial.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload

from impl.spec import Array, LSTMState, RNNState

from . import fast, fast_rnn
from .fast_products import Collected, blocks, memory, steps_at_once

LN2 = math.log(2.0)
POWERS = tuple(LN2**n / math.factorial(n) for n in range(14))
"""The Taylor polynomial of 2^r, |r| <= 1/2: 8 terms leave less than float32's roundoff, 14 less than float64's."""

NONE = np.zeros((0, 0), bool)

jit = partial(njit, nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
block_count = jit(blocks)


def tanh_of(x: float) -> float:
    """tanh of one float32 or float64; NaN stays NaN. In compiled code only."""
    raise NotImplementedError("`tanh_of` is called in compiled code only.")


@overload(tanh_of)
def _tanh_of(x: Any) -> Any:
    return {types.float32: _tanh32, types.float64: _tanh64}[x]


def _tanh32(x: Any) -> Any:
    one, a = np.float32(1), min(abs(x), np.float32(20))
    y = a * np.float32(-2 / LN2)
    k = np.floor(y + np.float32(0.5))
    r, z = y - k, a * a
    p = np.float32(POWERS[7]) * r + np.float32(POWERS[6])
    p = (p * r + np.float32(POWERS[5])) * r + np.float32(POWERS[4])
    p = (p * r + np.float32(POWERS[3])) * r + np.float32(POWERS[2])
    p = (p * r + np.float32(POWERS[1])) * r + one
    e = p * np.int32((np.int32(k) + np.int32(127)) << np.int32(23)).view(np.float32)
    q = np.float32(-5.70498872745e-3) * z + np.float32(2.06390887954e-2)
    q = (q * z + np.float32(-5.37397155531e-2)) * z + np.float32(1.33314422036e-1)
    q = q * z + np.float32(-3.33332819422e-1)
    t = a + a * z * q if a < np.float32(0.625) else (one - e) / (one + e)
    return np.copysign(t, x) if x == x else x


def _tanh64(x: Any) -> Any:
    a = min(abs(x), 40.0)
    y = a * (-2 / LN2)
    k = np.floor(y + 0.5)
    r, z = y - k, a * a
    p = (POWERS[13] * r + POWERS[12]) * r + POWERS[11]
    p = ((p * r + POWERS[10]) * r + POWERS[9]) * r + POWERS[8]
    p = ((p * r + POWERS[7]) * r + POWERS[6]) * r + POWERS[5]
    p = ((p * r + POWERS[4]) * r + POWERS[3]) * r + POWERS[2]
    p = (p * r + POWERS[1]) * r + 1.0
    e = p * np.int64((np.int64(k) + np.int64(1023)) << np.int64(52)).view(np.float64)
    P = (-9.64399179425052238628e-1 * z - 9.92877231001918586564e1) * z - 1.61468768441708447952e3
    Q = ((z + 1.12811678491631932402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3
    t = a + a * z * (P / Q) if a < 0.625 else (1.0 - e) / (1.0 + e)
    return np.copysign(t, x) if x == x else x


@jit
def product(W: Array, z: Array, out: Array) -> None:
    """W (M, K) @ z (K, B), in blocks of rows where that is faster."""
    k = block_count(W.shape[0], W.shape[1], z.shape[1])
    n = W.shape[0] // k
    for j in range(k):
        np.dot(W[j * n : (j + 1) * n], z, out[j * n : (j + 1) * n])


@jit
def begin(z: Array, h: Array) -> None:
    """Writes h (B, H) to the end of z (K, B)."""
    D1 = z.shape[0] - h.shape[1]
    for b in range(h.shape[0]):
        for j in range(h.shape[1]):
            z[D1 + j, b] = h[b, j]


@jit
def columns(Z: Array, t: int, z: Array, D1: int) -> None:
    """Writes x and 1 of step t, from Z (T+1, B, K), to the first D1 rows of z (K, B)."""
    for b in range(z.shape[1]):
        for d in range(D1):
            z[d, b] = Z[t, b, d]


@jit
def finish(Z: Array, t: int, z: Array, D1: int, ended: Array) -> None:
    """Writes the h in z (K, B) to Z[t+1]; where a row has ended, the h before it to both."""
    for b in range(z.shape[1]):
        if ended.size and ended[t, b]:
            for j in range(D1, z.shape[0]):
                z[j, b] = Z[t, b, j]
        for j in range(D1, z.shape[0]):
            Z[t + 1, b, j] = z[j, b]


@jit
def lstm_steps(W: Array, Z: Array, A: Array, C: Array, tanh_c: Array, ended: Array) -> None:
    """All steps of one model, in the loop's order.

    Args:
        W: (4H, K), [W_ih | b | W_hh], its rows in fast_lstm.ORDER and halved.
        Z: (T+1, B, K), x and 1 before each step, and the first h; the h after step t is written to Z[t+1].
        A: (T, 4, H, B), filled with the gates after squashing.
        C: (T+1, H, B), of which C[0] is given: the c before each step.
        tanh_c: (T, H, B), filled.
        ended: (T, B), true where a row has ended; or (0, 0).
    """
    T, _, H, B = A.shape
    K, n = Z.shape[2], H * B
    D1 = K - H
    half, z = W.dtype.type(0.5), np.empty((K, B), W.dtype)
    begin(z, Z[0, :, D1:])
    h = z[D1:].reshape(n)
    for t in range(T):
        columns(Z, t, z, D1)
        a = A[t].reshape(4 * n)
        product(W, z, A[t].reshape(W.shape[0], B))
        for m in range(4 * n):
            a[m] = tanh_of(a[m])
        for m in range(3 * n):  # a pass of its own: in one with tanh, LLVM gives up vectors
            a[m] = a[m] * half + half
        i, f, o, g = a[:n], a[n : 2 * n], a[2 * n : 3 * n], a[3 * n :]
        c, c_next, tanh_t = C[t].reshape(n), C[t + 1].reshape(n), tanh_c[t].reshape(n)
        for m in range(n):
            c_next[m] = i[m] * g[m] + f[m] * c[m]
        for m in range(n):
            tanh_t[m] = tanh_of(c_next[m])
        for m in range(n):
            h[m] = o[m] * tanh_t[m]
        finish(Z, t, z, D1, ended)
        if ended.size:
            for m in range(n):
                if ended[t, m % B]:
                    c_next[m] = c[m]


@jit
def rnn_steps(W: Array, Z: Array, hs: Array, ended: Array, relu: bool) -> None:
    """All steps of one model of tanh or of relu; hs (T, H, B) is filled, the rest as in `lstm_steps`."""
    T, H, B = hs.shape
    K, n = Z.shape[2], H * B
    D1 = K - H
    zero, z = W.dtype.type(0), np.empty((K, B), W.dtype)
    begin(z, Z[0, :, D1:])
    h = z[D1:].reshape(n)
    for t in range(T):
        columns(Z, t, z, D1)
        a = hs[t].reshape(n)
        product(W, z, hs[t])
        if relu:
            for m in range(n):
                a[m] = zero if a[m] <= zero else a[m]
        else:
            for m in range(n):
                a[m] = tanh_of(a[m])
        for m in range(n):
            h[m] = a[m]
        finish(Z, t, z, D1, ended)


@jit
def receive(dh: Array, dhs: Array, t: int, ended: Array, kept: Array) -> None:
    """Adds the gradient by step t's outputs, dhs (T, B, H) or none, to dh (H, B); ended rows' dh goes to `kept`."""
    if ended.size:
        kept[:] = dh
    if dhs.size:
        for b in range(dh.shape[1]):
            for j in range(dh.shape[0]):
                dh[j, b] += dhs[t, b, j]
    clear(dh, t, ended)


@jit
def clear(a: Array, t: int, ended: Array) -> None:
    """Sets the columns of ended rows in a (rows, B) to zero."""
    if ended.size:
        for b in range(a.shape[1]):
            if ended[t, b]:
                for j in range(a.shape[0]):
                    a[j, b] = 0


@jit
def restore(a: Array, t: int, ended: Array, kept: Array) -> None:
    """Gives the columns of ended rows in a (rows, B) back what they had."""
    if ended.size:
        for b in range(a.shape[1]):
            if ended[t, b]:
                for j in range(a.shape[0]):
                    a[j, b] = kept[j, b]


@jit
def record(states: Array, t: int, a: Array) -> None:
    """Writes a (H, B) to states[t], (T, B, H), if they are asked for."""
    if states.size:
        for b in range(a.shape[1]):
            for j in range(a.shape[0]):
                states[t, b, j] = a[j, b]


@jit
def collect(da: Array, k: int, flat: Array) -> None:
    """Writes a step's da (rows, B) to its columns of several steps' (rows, n*B)."""
    B = da.shape[1]
    for j in range(da.shape[0]):
        for b in range(B):
            flat[j, k * B + b] = da[j, b]


@jit
def add_up(flat: Array, Z: Array, lo: int, n: int, dW: Array, part: Array, W_ih: Array, dx: Array) -> None:
    """Adds n steps' da (rows, n*B) to dW (rows, K), and gives dx (T, B, D) of these steps, if it is asked for."""
    _, B, K = Z.shape
    np.dot(flat, Z[lo : lo + n].reshape(n * B, K), part)
    dw, p = dW.reshape(dW.size), part.reshape(part.size)
    for m in range(dw.size):
        dw[m] += p[m]
    if dx.size:
        np.dot(flat.T, W_ih, dx[lo : lo + n].reshape(n * B, dx.shape[2]))


@jit
def lstm_steps_back(
    R_T: Array,
    W_ih: Array,
    Z: Array,
    A: Array,
    C: Array,
    tanh_c: Array,
    dhs: Array,
    dh: Array,
    dc: Array,
    ended: Array,
    N: int,
    dW: Array,
    dx: Array,
    by_h: Array,
    by_c: Array,
) -> None:
    """All steps of one model back, against the loop's order.

    Args:
        R_T: (H, 4H), W_hh transposed, its columns in fast_lstm.ORDER.
        W_ih: (4H, D), rows in that order.
        Z, A, C, tanh_c, ended: as `lstm_steps` had and left them.
        dhs: gradient by the outputs, (T, B, H); of size 0 for none.
        dh, dc: (H, B), the gradient by the last state; become that by the initial one.
        N: steps whose weight gradients are one product.
        dW: (4H, K), zeros; becomes the gradient by [W_ih | b | W_hh].
        dx: (T, B, D), filled, or of size 0.
        by_h, by_c: (T, B, H), filled with the gradient by the state carried out of every step, or of size 0.
    """
    T, _, H, B = A.shape
    rows, n, one = 4 * H, H * B, R_T.dtype.type(1)
    da, part = np.empty((rows, B), R_T.dtype), np.empty_like(dW)
    kept_h, kept_c = np.empty_like(dh), np.empty_like(dc)
    dh_, dc_, da_ = dh.reshape(n), dc.reshape(n), da.reshape(4, n)
    di, df, do, dg = da_[0], da_[1], da_[2], da_[3]
    for hi in range(T, 0, -N):
        lo = max(0, hi - N)
        flat = np.empty((rows, (hi - lo) * B), R_T.dtype)
        for t in range(hi - 1, lo - 1, -1):
            a, c, tanh_t = A[t].reshape(4 * n), C[t].reshape(n), tanh_c[t].reshape(n)
            i, f, o, g = a[:n], a[n : 2 * n], a[2 * n : 3 * n], a[3 * n :]
            receive(dh, dhs, t, ended, kept_h)
            if ended.size:
                kept_c[:] = dc
                clear(dc, t, ended)
            record(by_h, t, dh)
            record(by_c, t, dc)
            for m in range(n):
                dc_[m] += dh_[m] * o[m] * (one - tanh_t[m] * tanh_t[m])
            for m in range(n):
                di[m] = dc_[m] * g[m] * i[m] * (one - i[m])
            for m in range(n):
                df[m] = dc_[m] * c[m] * f[m] * (one - f[m])
            for m in range(n):
                dg[m] = dc_[m] * i[m] * (one - g[m] * g[m])
            for m in range(n):
                do[m] = dh_[m] * tanh_t[m] * o[m] * (one - o[m])
            for m in range(n):
                dc_[m] *= f[m]
            clear(da, t, ended)
            product(R_T, da, dh)
            collect(da, t - lo, flat)
            restore(dh, t, ended, kept_h)
            restore(dc, t, ended, kept_c)
        add_up(flat, Z, lo, hi - lo, dW, part, W_ih, dx)


@jit
def rnn_steps_back(
    R_T: Array,
    W_ih: Array,
    Z: Array,
    hs: Array,
    dhs: Array,
    dh: Array,
    ended: Array,
    N: int,
    dW: Array,
    dx: Array,
    by_h: Array,
    relu: bool,
) -> None:
    """All steps of one model of tanh or of relu back; the arguments are those of `lstm_steps_back`."""
    T, rows, B = hs.shape
    n, one, zero = rows * B, R_T.dtype.type(1), R_T.dtype.type(0)
    da, part, kept = np.empty((rows, B), R_T.dtype), np.empty_like(dW), np.empty_like(dh)
    dh_, da_ = dh.reshape(n), da.reshape(n)
    for hi in range(T, 0, -N):
        lo = max(0, hi - N)
        flat = np.empty((rows, (hi - lo) * B), R_T.dtype)
        for t in range(hi - 1, lo - 1, -1):
            h = hs[t].reshape(n)
            receive(dh, dhs, t, ended, kept)
            record(by_h, t, dh)
            if relu:
                for m in range(n):
                    da_[m] = zero if h[m] <= zero else dh_[m]
            else:
                for m in range(n):
                    da_[m] = dh_[m] * (one - h[m] * h[m])
            clear(da, t, ended)
            product(R_T, da, dh)
            collect(da, t - lo, flat)
            restore(dh, t, ended, kept)
        add_up(flat, Z, lo, hi - lo, dW, part, W_ih, dx)


class LSTMWork(NamedTuple):
    """What the forward leaves, as `lstm_steps` has it: A (E, T, 4, H, B), C (E, T+1, H, B), tanh_c (E, T, H, B)."""

    A: Array
    C: Array
    tanh_c: Array


def lstm_work(T: int, E: int, H: int, B: int, dtype: Any) -> LSTMWork:
    """Memory for a forward."""
    return LSTMWork(*(memory(shape, dtype) for shape in ((E, T, 4, H, B), (E, T + 1, H, B), (E, T, H, B))))


def lstm_states(Z: Array, work: LSTMWork) -> LSTMState:
    """The states after every step, each (T, E, B, H), seen in what the forward left."""
    H = work.tanh_c.shape[2]
    return LSTMState(Z[:, 1:, :, -H:].swapaxes(0, 1), work.C[:, 1:].mT.swapaxes(0, 1))


def lstm_forward(W: Array, Z: Array, work: LSTMWork, state: LSTMState, ended: Array | None) -> LSTMState:
    """As fast_lstm.forward."""
    work.C[:, 0] = state.c.mT
    for e in range(len(W)):
        lstm_steps(W[e], Z[e], work.A[e], work.C[e], work.tanh_c[e], of_model(ended, e))
    H = work.C.shape[2]
    return LSTMState(Z[:, -1, :, -H:].copy(), work.C[:, -1].mT.copy())


def lstm_backward(
    R_T: Array,
    work: LSTMWork,
    dh: Array | None,
    dlast: LSTMState,
    ended: Array | None,
    collected: Collected,
    dstates: LSTMState | None,
) -> LSTMState:
    """As fast_lstm.backward."""
    by_h, by_c = LSTMState(*(np.array(a.mT, order="C") for a in dlast))
    for e, model in enumerate(zip(*work, strict=True)):
        back = Back(R_T.dtype, collected, dh, dstates, e)
        given = (*model, back.dh, by_h[e], by_c[e], of_model(ended, e), back.N)
        states = back.states if dstates else (back.nothing, back.nothing)
        lstm_steps_back(R_T[e], back.W_ih, collected.Z[e], *given, collected.dW[e], back.dx, *states)
        back.hand_over()
    return LSTMState(by_h.mT.copy(), by_c.mT.copy())


def rnn_forward(
    W: Array, Z: Array, work: fast_rnn.Work, state: RNNState, ended: Array | None, relu: bool = False
) -> RNNState:
    """As fast_rnn.forward; the work's h is (E, T, H, B) here."""
    for e in range(len(W)):
        rnn_steps(W[e], Z[e], work.h[e], of_model(ended, e), relu)
    return RNNState(Z[:, -1, :, -work.h.shape[2] :].copy())


def rnn_backward(
    R_T: Array,
    work: fast_rnn.Work,
    dh: Array | None,
    dlast: RNNState,
    ended: Array | None,
    collected: Collected,
    dstates: RNNState | None,
    relu: bool = False,
) -> RNNState:
    """As fast_rnn.backward."""
    by_h = np.array(dlast.h.mT, order="C")
    for e, hs in enumerate(work.h):
        back = Back(R_T.dtype, collected, dh, dstates, e)
        given = hs, back.dh, by_h[e], of_model(ended, e), back.N
        states = back.states if dstates else (back.nothing,)
        rnn_steps_back(R_T[e], back.W_ih, collected.Z[e], *given, collected.dW[e], back.dx, *states, relu)
        back.hand_over()
    return RNNState(by_h.mT.copy())


def rnn_work(T: int, E: int, H: int, B: int, dtype: Any) -> fast_rnn.Work:
    """Memory for a forward: h (E, T, H, B)."""
    return fast_rnn.Work(memory((E, T, H, B), dtype))


def of_model(ended: Array | None, e: int) -> Array:
    """Which rows of a model have ended, (T, B), of (T, E or 1, 1, B); of size 0 for None."""
    return NONE if ended is None else np.array(ended[:, e if ended.shape[1] > 1 else 0, 0])


class Back:
    """What one model's way back is given and fills, as compiled code takes it: arrays in one piece, or of size 0."""

    def __init__(self, dtype: Any, collected: Collected, dh: Array | None, dstates: Any, e: int) -> None:
        """Takes model e's part of what a group's way back has."""
        self.nothing, self._e, self._collected, self._dstates = np.empty((0, 0, 0), dtype), e, collected, dstates
        self.dh = self.nothing if dh is None else np.require(dh[:, e], requirements="CW")
        self.N = steps_at_once(collected.Z.shape[2])
        asked = collected.W_ih is not None
        self.W_ih = collected.W_ih[e] if asked else np.empty((0, 0), dtype)
        self.dx = np.empty_like(collected.dx[:, e], order="C") if asked else self.nothing
        self.states = [np.empty_like(a[:, e], order="C") for a in dstates] if dstates else []

    def hand_over(self) -> None:
        """Writes what was filled where it belongs."""
        if self.dx.size:
            self._collected.dx[:, self._e] = self.dx
        for whole, filled in zip(self._dstates or (), self.states, strict=True):
            whole[:, self._e] = filled


LSTM = fast.CELLS["lstm"]._replace(
    work=lstm_work, states=lstm_states, forward=lstm_forward, backward=lstm_backward, least=0
)
RNN = fast.CELLS["rnn"]._replace(work=rnn_work, forward=rnn_forward, backward=rnn_backward, least=0)
RELU = RNN._replace(forward=partial(rnn_forward, relu=True), backward=partial(rnn_backward, relu=True))
CELLS = {"rnn": RNN, "rnn_relu": RELU, "lstm": LSTM}

forward = partial(fast.forward, cells=CELLS)
backward = partial(fast.backward, cells=CELLS)
