"""The fast form with its time loops compiled by numba: fused passes over memory, and threads that hold no lock.

`forward` and `backward` are those of fast.py around these loops; the notes there on groups and threads hold here, and
the extra "compiled" installs numba. Inside, the arrays of one step are (B, columns), of one model: a row is a sequence,
as it lies in the input (decision 0021). tanh is `tanh_of`: a polynomial for small arguments, elsewhere (1 - e)/(1 + e)
with e = exp(-2|x|), its relative error at most 3.1u on 6 million arguments; that of sigma = tanh(a/2)/2 + 1/2 is as in
fast_lstm.py.

Source: the equations of lstm.py, rnn.py, rnn_relu.py, and the factors of fast_lstm.py; the polynomials for small
arguments are those of Cephes (tanhf.c, tanh.c); 2^r is its Taylor polynomial.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from llvmlite.binding import get_host_cpu_features
from numba import njit, types
from numba.extending import overload

from impl.spec import Array, LSTMState, RNNState

from . import fast
from .fast_products import Place, copied, memory, rows_of, within

LN2 = math.log(2.0)
POWERS = tuple(LN2**n / math.factorial(n) for n in range(14))
"""The Taylor polynomial of 2^r, |r| <= 1/2: 8 terms leave less than float32's roundoff, 14 less than float64's."""

BLOCKS = bool(get_host_cpu_features().get("avx512f"))
"""Whether products are made in blocks: OpenBLAS has products without packing for AVX-512 only."""

BLOCK_ROWS, BLOCK_COLUMNS, BLOCK_DEPTH = 32, 64, 240
"""Sizes of a block, of whose columns the last takes the rest, fewer than twice as many: so its numbers stay below
fast_products.SMALL, and what it reads of `b` in the first-level cache."""

SINGLE, DOUBLE, AS_IT_IS, TRANSPOSED = (ord(letter) for letter in "sdnt")
"""BLAS's letters."""

gemm = types.ExternalFunction(
    "numba_xxgemm",
    types.intc(
        *[types.char] * 3,  # dtype; which of the two are to be transposed
        *[types.intp] * 3,  # rows, columns, terms
        *[types.voidptr, types.voidptr, types.intp, types.voidptr, types.intp],  # a factor; left and right, and how far
        *[types.voidptr, types.voidptr, types.intp],  # their columns are apart; a factor and the result, as well
    ),
)
"""The product of BLAS, of matrices stored by columns, as numba's own np.dot calls it."""

TERMS = 128
"""Rows that a product of weight gradients sums over: one step's, or of several steps where a batch has fewer."""

TOGETHER = 256
"""Numbers of a step, in whole rows, whose tanh is taken before they are written to their second place: that is waiting
for memory, in which the next rows' tanh can begin."""

jit = partial(njit, nogil=True, cache=True, error_model="numpy", fastmath={"contract"})


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
def product(a: Array, b: Array, out: Array, factors: Array, turned: bool = False, added: bool = False) -> None:
    """Writes or adds a @ b to out (M, N), a product in blocks where that is faster.

    Args:
        a: (M, K), or (K, M) if it is `turned`; its rows may lie apart, as those of the other two.
        b: (K, N).
        out: (M, N).
        factors: 0 and 1.
        turned: whether a stands transposed.
        added: whether the product is added to what stands in `out`.
    """
    (K, N), M, size = b.shape, out.shape[0], out.itemsize
    deep = -(-K // BLOCK_DEPTH) if BLOCKS else 1
    for d in range(deep):
        k, k_end = K * d // deep, K * (d + 1) // deep
        before = factors[1:] if added or d else factors[:1]
        n = 0
        while n < N:
            n_end = n + BLOCK_COLUMNS if BLOCKS and N - n >= 2 * BLOCK_COLUMNS else N
            right = b[k:k_end, n:n_end]
            m = 0
            while m < M:
                m_end = min(M, m + BLOCK_ROWS) if BLOCKS else M
                left, result = a[k:k_end, m:m_end] if turned else a[m:m_end, k:k_end], out[m:m_end, n:n_end]
                gemm(
                    SINGLE if size == 4 else DOUBLE, AS_IT_IS, TRANSPOSED if turned else AS_IT_IS,
                    n_end - n, m_end - m, k_end - k,
                    factors[1:].ctypes, right.ctypes, b.strides[0] // size, left.ctypes, a.strides[0] // size,
                    before.ctypes, result.ctypes, out.strides[0] // size,
                )  # fmt: skip
                m = m_end
            n = n_end


@jit
def steps_of(B: int) -> int:
    """How many steps share a product of weight gradients."""
    return max(1, TERMS // max(B, 1))


@jit
def time_of(t: int, T: int, way: int) -> int:
    """Where step t of the loop stands in x's order."""
    return t if way > 0 else T - 1 - t


@jit
def put(x: Array, at: int, e: int, Z: Array, t: int) -> None:
    """Writes x (T, E or 1, B, D) at a time and a model, and 1, to the B rows of Z that are those of step t."""
    _, models, B, D = x.shape
    e = e if models > 1 else 0
    for b in range(B):
        given, row = x[at, e, b], Z[t * B + b]
        for d in range(D):
            row[d] = given[d]
        row[D] = 1


@jit
def carry(h: Array, Z: Array, K: int, t: int, ended: Array) -> None:
    """Writes the h (B, H) after step t to the next rows of Z; where a row has ended, the h before it to both."""
    B, H = h.shape
    if ended.size:
        for b in range(B):
            if ended[t, b]:
                for m in range(H):
                    h[b, m] = Z[t * B + b, K - H + m]
    for b in range(B):
        row, after = h[b], Z[(t + 1) * B + b, K - H : K]
        for m in range(H):
            after[m] = row[m]


@jit
def lstm_steps(
    W_T: Array,
    x: Array,
    Z: Array,
    A: Array,
    C: Array,
    tanh_c: Array,
    y: Array,
    cs: Array,
    ended: Array,
    e: int,
    way: int,
) -> None:
    """All steps of one model.

    Args:
        W_T: (K, 4H), [W_ih | b | W_hh] transposed, its columns in fast_lstm.ORDER and halved.
        x: (T, E or 1, B, D) of the whole group, in its own order.
        Z: ((T+1)*B, K and what lies between rows), filled with x, 1 and h before each step, in the loop's order as all
            that follows; the first h is there.
        A: (T, B, 4H), filled with the gates after squashing.
        C: (T+1, B, H), of which C[0] is given: the c before each step.
        tanh_c: (T, B, H), filled.
        y, cs: (T, E, B, H) of the whole group, in x's order, filled with h and c after each step; cs may have size 0.
        ended: (T, B), true where a row has ended; or (0, 0).
        e: the model's place in the group.
        way: 1, or -1 in reverse.
    """
    (T, B, H), K = tanh_c.shape, len(W_T)
    half, factors = W_T.dtype.type(0.5), np.arange(2).astype(W_T.dtype)
    for t in range(T):
        at = time_of(t, T, way)
        put(x, at, e, Z, t)
        product(Z[t * B : (t + 1) * B], W_T, A[t], factors)
        a = A[t].reshape(4 * B * H)
        for m in range(4 * B * H):
            a[m] = tanh_of(a[m])
        for b in range(B):
            s = A[t, b, : 3 * H]
            for m in range(3 * H):  # a pass of its own: in one with tanh, LLVM gives up vectors
                s[m] = s[m] * half + half
            i, f, g, c, c_next = A[t, b, :H], A[t, b, H : 2 * H], A[t, b, 3 * H :], C[t, b], C[t + 1, b]
            for m in range(H):
                c_next[m] = i[m] * g[m] + f[m] * c[m]
        c_all, tanh_all = C[t + 1].reshape(B * H), tanh_c[t].reshape(B * H)
        for m in range(B * H):
            tanh_all[m] = tanh_of(c_all[m])
        for b in range(B):
            h, o, tanh_t = y[at, e, b], A[t, b, 2 * H : 3 * H], tanh_c[t, b]
            for m in range(H):
                h[m] = o[m] * tanh_t[m]
        restore(C[t + 1], t, ended, C[t])
        carry(y[at, e], Z, K, t, ended)
        if cs.size:
            cs[at, e] = C[t + 1]


@jit
def tanh_carried(h: Array, Z: Array, K: int, t: int) -> None:
    """Takes the tanh of h (B, H) in place and writes it to the next rows of Z, as `carry` where no row has ended.

    No branch stands within, nor a call, so that the last loop of `carry` stands here again: measured, the one costs 5 %
    of a step (H128 B128), the other 4 % (H32 B16).
    """
    B, H = h.shape
    a, R = h.reshape(B * H), max(1, TOGETHER // max(H, 1))
    for lo in range(0, B, R):
        hi = min(B, lo + R)
        some = a[lo * H : hi * H]
        for m in range(some.size):
            some[m] = tanh_of(some[m])
        for b in range(lo, hi):
            row, after = h[b], Z[(t + 1) * B + b, K - H : K]
            for m in range(H):
                after[m] = row[m]


@jit
def rnn_steps(W_T: Array, x: Array, Z: Array, y: Array, ended: Array, e: int, way: int, relu: bool) -> None:
    """All steps of one model of tanh or of relu; the arguments are those of `lstm_steps`."""
    (T, _, B, H), K = y.shape, len(W_T)
    zero, factors = W_T.dtype.type(0), np.arange(2).astype(W_T.dtype)
    for t in range(T):
        at = time_of(t, T, way)
        put(x, at, e, Z, t)
        product(Z[t * B : (t + 1) * B], W_T, y[at, e], factors)
        if relu:
            a = y[at, e].reshape(B * H)
            for m in range(B * H):
                a[m] = zero if a[m] <= zero else a[m]
        else:
            tanh_carried(y[at, e], Z, K, t)
        if relu or ended.size:
            carry(y[at, e], Z, K, t, ended)


@jit
def receive(dh: Array, dhs: Array, at: int, e: int) -> None:
    """Adds the gradient by a step's outputs, of dhs (T, E, B, H) or none, to dh (B, H)."""
    if dhs.size:
        total, more = dh.reshape(dh.size), dhs[at, e].reshape(dh.size)
        for m in range(dh.size):
            total[m] += more[m]


@jit
def clear(a: Array, t: int, ended: Array) -> None:
    """Sets the ended rows in a (B, columns) to zero."""
    if ended.size:
        for b in range(a.shape[0]):
            if ended[t, b]:
                a[b] = 0


@jit
def restore(a: Array, t: int, ended: Array, kept: Array) -> None:
    """Gives the ended rows in a (B, columns) what `kept` has."""
    if ended.size:
        for b in range(a.shape[0]):
            if ended[t, b]:
                a[b] = kept[b]


@jit
def lstm_steps_back(
    W_hh: Array,
    W_ih: Array,
    Z: Array,
    A: Array,
    C: Array,
    tanh_c: Array,
    dhs: Array,
    dh: Array,
    dc: Array,
    ended: Array,
    dW: Array,
    dx: Array,
    by_h: Array,
    by_c: Array,
    e: int,
    way: int,
) -> None:
    """All steps of one model back, against the loop's order.

    Args:
        W_hh: (4H, H), its rows in fast_lstm.ORDER.
        W_ih: (4H, D), rows in that order.
        Z, A, C, tanh_c, ended: as `lstm_steps` had and left them.
        dhs: gradient by the outputs, (T, E, B, H) of the whole group, in x's order; of size 0 for none.
        dh, dc: (B, H), the gradient by the last state; become that by the initial one.
        dW: (4H, K), zeros; becomes the gradient by [W_ih | b | W_hh]. Or (0, K), where that is not asked for.
        dx: (T, E, B, D) as dhs, filled; or of size 0.
        by_h, by_c: as dhs, filled with the gradient by the state carried out of every step, or of size 0.
        e, way: as in `lstm_steps`.
    """
    (T, B, H), K = tanh_c.shape, dW.shape[1]
    N = steps_of(B)
    one, factors, da = W_hh.dtype.type(1), np.arange(2).astype(W_hh.dtype), np.empty((N * B, 4 * H), W_hh.dtype)
    kept_h, kept_c = np.empty_like(dh), np.empty_like(dc)
    for hi in range(T, 0, -N):
        lo = max(0, hi - N)
        for t in range(hi - 1, lo - 1, -1):
            at, da_t = time_of(t, T, way), da[(t - lo) * B : (t - lo + 1) * B]
            if ended.size:
                kept_h[:], kept_c[:] = dh, dc
            receive(dh, dhs, at, e)
            clear(dh, t, ended)
            clear(dc, t, ended)
            if by_h.size:
                by_h[at, e], by_c[at, e] = dh, dc
            for b in range(B):
                a, d, dh_, dc_, c, tanh_t = A[t, b], da_t[b], dh[b], dc[b], C[t, b], tanh_c[t, b]
                i, f, o, g = a[:H], a[H : 2 * H], a[2 * H : 3 * H], a[3 * H :]
                di, df, do, dg = d[:H], d[H : 2 * H], d[2 * H : 3 * H], d[3 * H :]
                for m in range(H):
                    dc_[m] += dh_[m] * o[m] * (one - tanh_t[m] * tanh_t[m])
                for m in range(H):
                    di[m] = dc_[m] * g[m] * i[m] * (one - i[m])
                for m in range(H):
                    df[m] = dc_[m] * c[m] * f[m] * (one - f[m])
                for m in range(H):
                    dg[m] = dc_[m] * i[m] * (one - g[m] * g[m])
                for m in range(H):
                    do[m] = dh_[m] * tanh_t[m] * o[m] * (one - o[m])
                for m in range(H):
                    dc_[m] *= f[m]
            clear(da_t, t, ended)
            product(da_t, W_hh, dh, factors)
            restore(dh, t, ended, kept_h)
            restore(dc, t, ended, kept_c)
            if dx.size:
                product(da_t, W_ih, dx[at, e], factors)
        if dW.size:
            product(da[: (hi - lo) * B], Z[lo * B : hi * B, :K], dW, factors, True, True)


@jit
def unsquash(dh: Array, Z: Array, K: int, t: int, da: Array, relu: bool) -> None:
    """Fills da (B, H), the gradient by the pre-activations of step t, from that by its h, which stands in Z."""
    (B, H), zero, one = dh.shape, dh.dtype.type(0), dh.dtype.type(1)
    for b in range(B):
        h, dh_, da_ = Z[(t + 1) * B + b, K - H : K], dh[b], da[b]
        if relu:
            for m in range(H):
                da_[m] = zero if h[m] <= zero else dh_[m]
        else:
            for m in range(H):
                da_[m] = dh_[m] * (one - h[m] * h[m])


@jit
def rnn_steps_back(
    W_hh: Array,
    W_ih: Array,
    Z: Array,
    dhs: Array,
    dh: Array,
    ended: Array,
    dW: Array,
    dx: Array,
    by_h: Array,
    e: int,
    way: int,
    relu: bool,
) -> None:
    """All steps of one model of tanh or of relu back; the arguments are those of `lstm_steps_back`."""
    (B, H), K = dh.shape, dW.shape[1]
    T, N = len(Z) // max(B, 1) - 1, steps_of(B)
    factors = np.arange(2).astype(W_hh.dtype)
    da, kept = np.empty((N * B, H), W_hh.dtype), np.empty_like(dh)
    for hi in range(T, 0, -N):
        lo = max(0, hi - N)
        for t in range(hi - 1, lo - 1, -1):
            at, da_t = time_of(t, T, way), da[(t - lo) * B : (t - lo + 1) * B]
            if ended.size:
                kept[:] = dh
            receive(dh, dhs, at, e)
            clear(dh, t, ended)
            if by_h.size:
                by_h[at, e] = dh
            unsquash(dh, Z, K, t, da_t, relu)
            clear(da_t, t, ended)
            product(da_t, W_hh, dh, factors)
            restore(dh, t, ended, kept)
            if dx.size:
                product(da_t, W_ih, dx[at, e], factors)
        if dW.size:
            product(da[: (hi - lo) * B], Z[lo * B : hi * B, :K], dW, factors, True, True)


@jit
def model_of(ended: Array, e: int) -> Array:
    """One model's (T, B) of (T, E or 1, B); all models may share it, and size 0 says that no row ends."""
    return ended[:, min(e, ended.shape[1] - 1)] if ended.size else ended[:, 0]


@jit
def lstm_models(
    W_T: Array,
    x: Array,
    Z: Array,
    A: Array,
    C: Array,
    tanh_c: Array,
    y: Array,
    cs: Array,
    ended: Array,
    first: int,
    way: int,
) -> None:
    """Some models of a group, one after the other, of which `first` is the first; arrays that are not the group's have
    an axis E before those of `lstm_steps`."""
    for e in range(len(A)):
        lstm_steps(W_T[e], x, Z[e], A[e], C[e], tanh_c[e], y, cs, model_of(ended, e), first + e, way)


@jit
def lstm_models_back(
    W_hh: Array,
    W_ih: Array,
    Z: Array,
    A: Array,
    C: Array,
    tanh_c: Array,
    dhs: Array,
    dh: Array,
    dc: Array,
    ended: Array,
    dW: Array,
    dx: Array,
    by_h: Array,
    by_c: Array,
    first: int,
    way: int,
) -> None:
    """Some models of a group back; arrays as `lstm_models` has them, and those of `lstm_steps_back`."""
    for e in range(len(A)):
        work = W_hh[e], W_ih[e], Z[e], A[e], C[e], tanh_c[e]
        lstm_steps_back(*work, dhs, dh[e], dc[e], model_of(ended, e), dW[e], dx, by_h, by_c, first + e, way)


@jit
def rnn_models(W_T: Array, x: Array, Z: Array, y: Array, ended: Array, first: int, way: int, relu: bool) -> None:
    """Some models of a group; arrays as `lstm_models` has them."""
    for e in range(len(Z)):
        rnn_steps(W_T[e], x, Z[e], y, model_of(ended, e), first + e, way, relu)


@jit
def rnn_models_back(
    W_hh: Array,
    W_ih: Array,
    Z: Array,
    dhs: Array,
    dh: Array,
    ended: Array,
    dW: Array,
    dx: Array,
    by_h: Array,
    first: int,
    way: int,
    relu: bool,
) -> None:
    """Some models of a group back; arrays as `lstm_models` has them, and those of `rnn_steps_back`."""
    for e in range(len(Z)):
        given = W_hh[e], W_ih[e], Z[e], dhs, dh[e], model_of(ended, e), dW[e], dx, by_h
        rnn_steps_back(*given, first + e, way, relu)


class LSTMWork(NamedTuple):
    """What the forward leaves, as `lstm_steps` has it: A (E, T, B, 4H), C (E, T+1, B, H), tanh_c (E, T, B, H)."""

    A: Array
    C: Array
    tanh_c: Array


def lstm_work(T: int, E: int, H: int, B: int, dtype: Any) -> LSTMWork:
    """Memory for a forward."""
    return LSTMWork(*(memory(shape, dtype) for shape in ((E, T, B, 4 * H), (E, T + 1, B, H), (E, T, B, H))))


def lstm_forward(
    W: Array,
    x: Array,
    Z: Array,
    work: LSTMWork,
    state: LSTMState,
    ended: Array | None,
    states: LSTMState,
    place: Place,
) -> LSTMState:
    """As fast_lstm.forward."""
    work.C[:, 0] = state.c
    where = flags(ended), place.models.start, place.way
    lstm_models(copied(W.mT), given(x, W), in_rows(Z), *work, states.h, filled(states.c, W), *where)
    return LSTMState(Z[:, -1, :, -state.h.shape[-1] :], work.C[:, -1])


def lstm_backward(
    W: Array,
    Z: Array,
    work: LSTMWork,
    ended: Array | None,
    dh: Array | None,
    dlast: LSTMState,
    dW: Array | None,
    dx: Array | None,
    dstates: LSTMState | None,
    place: Place,
) -> LSTMState:
    """As fast_lstm.backward."""
    by, dW = LSTMState(dlast.h.copy(), dlast.c.copy()), W[:, :0] if dW is None else dW
    asked = (filled(a, W) for a in (dx, *(dstates or (None, None))))
    where = place.models.start, place.way
    lstm_models_back(*apart(W, dlast, dx), in_rows(Z), *work, given(dh, W), *by, flags(ended), dW, *asked, *where)
    return by


def rnn_forward(
    W: Array,
    x: Array,
    Z: Array,
    work: None,
    state: RNNState,
    ended: Array | None,
    states: RNNState,
    place: Place,
    relu: bool = False,
) -> RNNState:
    """As fast_rnn.forward."""
    where = flags(ended), place.models.start, place.way
    rnn_models(copied(W.mT), given(x, W), in_rows(Z), states.h, *where, relu)
    return RNNState(Z[:, -1, :, -state.h.shape[-1] :])


def rnn_backward(
    W: Array,
    Z: Array,
    work: None,
    ended: Array | None,
    dh: Array | None,
    dlast: RNNState,
    dW: Array | None,
    dx: Array | None,
    dstates: RNNState | None,
    place: Place,
    relu: bool = False,
) -> RNNState:
    """As fast_rnn.backward."""
    by, dW = RNNState(dlast.h.copy()), W[:, :0] if dW is None else dW
    asked = (filled(a, W) for a in (dx, *(dstates or (None,))))
    where = place.models.start, place.way
    rnn_models_back(*apart(W, dlast, dx), in_rows(Z), given(dh, W), *by, flags(ended), dW, *asked, *where, relu)
    return by


def apart(W: Array, state: Any, dx: Array | None) -> tuple[Array, Array]:
    """W_hh, and W_ih where dx is asked for, of [W_ih | b | W_hh], each at a line of cache; else of size 0."""
    W_hh = copied(W[..., -state.h.shape[-1] :])
    return W_hh, W_hh[:, :, :0] if dx is None else copied(W[..., : dx.shape[-1]])


def flags(ended: Array | None) -> Array:
    """Which rows have ended, (T, E or 1, B), of (T, E or 1, 1, B); of size 0 for None."""
    return np.zeros((0, 1, 0), bool) if ended is None else np.array(ended[:, :, 0], order="C")


def in_rows(Z: Array) -> Array:
    """Z of `rows_of`, (E, T+1, B, K), as (E, (T+1)*B, K and what lies between rows), the same memory.

    In one piece, so that LLVM makes vectors of what is done to its rows. A copy of Z, as a pickled or a deeply copied
    cache has it, has its rows side by side and no such block: it is copied into one.
    """
    E, after, B, K = Z.shape
    if Z.strides[2] == K * Z.itemsize:
        Z, given = rows_of(Z.shape, Z.dtype), Z
        Z[...] = given
    return within(Z.base, (E, after * B, Z.strides[2] // Z.itemsize), Z.dtype)


def given(a: Array | None, like: Array) -> Array:
    """An array over time that is read, as compiled code takes it: in one piece, and of one type; of size 0 for None."""
    if a is None:
        return filled(a, like)
    return a if a.flags.carray else np.require(a, requirements="CW")


def filled(a: Array | None, like: Array) -> Array:
    """An array over time that is to be filled; of size 0 for None."""
    return np.empty((0, 0, 0, 0), like.dtype) if a is None else a


LSTM = fast.CELLS["lstm"]._replace(
    work=lstm_work, forward=lstm_forward, backward=lstm_backward, least=0, loop="compiled"
)
RNN = fast.CELLS["rnn"]._replace(forward=rnn_forward, backward=rnn_backward, least=0, loop="compiled")
RELU = RNN._replace(forward=partial(rnn_forward, relu=True), backward=partial(rnn_backward, relu=True))
CELLS = {"rnn": RNN, "rnn_relu": RELU, "lstm": LSTM}

forward = partial(fast.forward, cells=CELLS)
backward = partial(fast.backward, cells=CELLS)
