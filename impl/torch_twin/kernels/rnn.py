"""The RNN's time loops, of tanh or of relu, as Triton kernels: a program runs some rows of one model through all steps.

The weights are loaded once, before the loop; no program waits for another. The input projections of the next step are
loaded while this one is computed. The backward writes the gradient by the pre-activations; products over all steps,
for the parameters and x, follow outside.

Source: Diamos et al. 2016 (weights that stay on the chip); Pöppel et al. 2024, FlashRNN (many small recurrences side by
side); no grid barrier, unlike the first.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .common import Backward, Config, Forward, dot, given, launch_loop, operand, steps, tanh


@triton.jit(do_not_specialize=["E", "T", "B", "H", "way", "started", "ragged"])
def forward_loop(
    a, w_hh, h0, lengths, saved, states, last,
    E, T, B, H, way, started, ragged,
    P: tl.constexpr, ROWS: tl.constexpr, RELU: tl.constexpr, PRECISION: tl.constexpr, VARIANT: tl.constexpr,
):  # fmt: skip
    """h after every step.

    Args:
        a: (E, T, B, P).  w_hh: (E, P, P), transposed.
        h0: (E, B, H), read where `started`, else zero.  lengths: (E, B), read where `ragged`, else all T.
        saved: (E, T+1, B, P), written.  states: (T, E, B, H), written.  last: (E, B, H), written.
    """
    tiles = tl.cdiv(B, ROWS)
    e = (tl.program_id(0) // tiles).to(tl.int64)
    first = (tl.program_id(0) % tiles).to(tl.int64) * ROWS
    row, col = tl.arange(0, ROWS)[:, None], tl.arange(0, P)[None, :]
    real = first + row < B
    inside = real & (col < H)
    at_p, at_h = row * P + col, row * H + col
    W = operand(tl.load(w_hh + e * P * P + tl.arange(0, P)[:, None] * P + col), PRECISION)
    n = tl.load(lengths + e * B + first + row, mask=real & (ragged != 0), other=T)
    h = tl.load(h0 + (e * B + first) * H + at_h, mask=inside & (started != 0), other=0.0)
    t = tl.where(way > 0, 0, T - 1)
    slot = tl.where(way > 0, 0, T)
    a += ((e * T + t) * B + first) * P
    saved += ((e * (T + 1) + slot) * B + first) * P
    states += ((t.to(tl.int64) * E + e) * B + first) * H
    step_p, step_h = B.to(tl.int64) * P * way, B.to(tl.int64) * E * H * way
    tl.store(saved + at_p, h, mask=real)
    a_next = tl.load(a + at_p, mask=real, other=0.0)
    if VARIANT == "late":
        product = dot(h, W, tl.zeros([ROWS, P], h.dtype), PRECISION)
    for k in tl.range(T, disable_licm=VARIANT != "hoist"):
        a_now = a_next
        a += step_p
        a_next = tl.load(a + at_p, mask=real & (k + 1 < T), other=0.0)
        if VARIANT != "late":
            product = dot(h, W, tl.zeros([ROWS, P], h.dtype), PRECISION)
        z = a_now + product
        z = tl.where(z <= 0, 0.0, z) if RELU else tanh(z)  # relu written so that NaN stays NaN
        runs = inside & (t < n)
        h = tl.where(runs, z, h)
        saved += step_p
        tl.store(saved + at_p, h, mask=real)
        tl.store(states + at_h, tl.where(runs, h, 0.0), mask=inside)
        if VARIANT == "late":
            product = dot(h, W, tl.zeros([ROWS, P], h.dtype), PRECISION)
        states += step_h
        t += way
    tl.store(last + (e * B + first) * H + at_h, h, mask=inside)


@triton.jit(do_not_specialize=["E", "T", "B", "H", "way", "dh_t", "dh_e", "dh_b", "ended", "ragged", "wanted"])
def backward_loop(
    w_hh, lengths, saved, dh, dlast, da, dstates, dstate,
    E, T, B, H, way, dh_t, dh_e, dh_b, ended, ragged, wanted,
    P: tl.constexpr, ROWS: tl.constexpr, RELU: tl.constexpr, PRECISION: tl.constexpr, VARIANT: tl.constexpr,
):  # fmt: skip
    """The gradient by every pre-activation, by the initial h, and where `wanted` by every h.

    Args:
        w_hh: (E, P, P).  saved: (E, T+1, B, P).  dh: (T, E, B, H), strides dh_t, dh_e, dh_b, 1.
        dlast: (E, B, H), read where `ended`, else zero.  lengths: as in forward_loop.
        da: (E, T, B, P), written.  dstates: (T, E, B, H), written.  dstate: (E, B, H), written.
    """
    tiles = tl.cdiv(B, ROWS)
    e = (tl.program_id(0) // tiles).to(tl.int64)
    first = (tl.program_id(0) % tiles).to(tl.int64) * ROWS
    row, col = tl.arange(0, ROWS)[:, None], tl.arange(0, P)[None, :]
    real = first + row < B
    inside = real & (col < H)
    at_p, at_h, at_d = row * P + col, row * H + col, row.to(tl.int64) * dh_b + col
    W = operand(tl.load(w_hh + e * P * P + tl.arange(0, P)[:, None] * P + col), PRECISION)
    n = tl.load(lengths + e * B + first + row, mask=real & (ragged != 0), other=T)
    d = tl.load(dlast + (e * B + first) * H + at_h, mask=inside & (ended != 0), other=0.0)
    t = tl.where(way > 0, T - 1, 0)
    slot = tl.where(way > 0, T, 0)  # of h after step t
    saved += ((e * (T + 1) + slot) * B + first) * P
    da += ((e * T + t) * B + first) * P
    dh += t.to(tl.int64) * dh_t + e * dh_e + first * dh_b
    dstates += ((t.to(tl.int64) * E + e) * B + first) * H
    step_p, step_h = B.to(tl.int64) * P * way, B.to(tl.int64) * E * H * way
    step_d = dh_t.to(tl.int64) * way
    h_next = tl.load(saved + at_p, mask=real, other=0.0)
    dh_next = tl.load(dh + at_d, mask=inside, other=0.0)
    for k in tl.range(T, disable_licm=VARIANT != "hoist"):
        h_now, dh_now = h_next, dh_next
        saved -= step_p
        dh -= step_d
        more = k + 1 < T
        h_next = tl.load(saved + at_p, mask=real & more, other=0.0)
        dh_next = tl.load(dh + at_d, mask=inside & more, other=0.0)
        runs = inside & (t < n)
        total = tl.where(runs, d + dh_now, 0.0)
        if wanted != 0:
            tl.store(dstates + at_h, total, mask=inside)
        delta = tl.where(h_now <= 0, 0.0, total) if RELU else total * (1.0 - h_now * h_now)
        tl.store(da + at_p, delta, mask=real)
        d = tl.where(runs, dot(delta, W, tl.zeros([ROWS, P], delta.dtype), PRECISION), d)
        da -= step_p
        dstates -= step_h
        t -= way
    tl.store(dstate + (e * B + first) * H + at_h, d, mask=inside)


def forward(work: Forward, H: int, relu: bool, precision: str, config: Config) -> None:
    """Runs the loop of `forward_loop` over all models and rows."""
    E, T, B, P = work.a.shape
    state, started = given(work.state, work.last)
    lengths, ragged = steps(work.lengths, work.a)
    arrays = work.a, work.w_hh.mT.contiguous(), *state, lengths, *work.saved, *work.states, *work.last
    numbers = E, T, B, H, work.way, started, ragged
    launch_loop(forward_loop, arrays, numbers, P, precision, config, {"RELU": relu})


def backward(work: Backward, H: int, relu: bool, precision: str, config: Config) -> None:
    """Runs the loop of `backward_loop` over all models and rows."""
    E, T, B, P = work.da.shape
    dlast, ended = given(work.dlast, work.dstate)
    dstates, wanted = given(work.dstates, work.dstate)
    lengths, ragged = steps(work.lengths, work.da)
    arrays = work.w_hh, lengths, *work.saved, work.dh, *dlast, work.da, *dstates, *work.dstate
    numbers = E, T, B, H, work.way, *work.dh.stride()[:3], ended, ragged, wanted
    launch_loop(backward_loop, arrays, numbers, P, precision, config, {"RELU": relu})
