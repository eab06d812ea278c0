"""The LSTM's time loops as Triton kernels: one program runs some rows of one model through all steps.

As in rnn.py; the four gates are four products of tiles (P, P). The forward writes the gates over the projections that
they come from; the backward computes tanh(c') again, which costs less than to store it.

Source: as rnn.py.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .common import Backward, Config, Forward, dot, given, launch_loop, operand, sigma, steps, tanh


@triton.jit(do_not_specialize=["E", "T", "B", "H", "way", "started", "ragged", "wanted"])
def forward_loop(
    a, w_hh, h0, c0, lengths, saved_h, saved_c, states_h, states_c, last_h, last_c,
    E, T, B, H, way, started, ragged, wanted,
    P: tl.constexpr, ROWS: tl.constexpr, PRECISION: tl.constexpr, VARIANT: tl.constexpr,
):  # fmt: skip
    """h and c after every step, and the gates.

    Args:
        a: (E, T, B, 4P), read and then written.
        w_hh: (E, 4, P, P), each transposed; of the variant "joined" (E, P, 4P), the four columns of a unit together.
        h0, c0: (E, B, H), read where `started`, else zero.  lengths: (E, B), read where `ragged`, else all T.
        saved_h, saved_c: (E, T+1, B, P), states_h, states_c: (T, E, B, H), last_h, last_c: (E, B, H), all written;
            states_c only where `wanted`.
    """
    tiles = tl.cdiv(B, ROWS)
    e = (tl.program_id(0) // tiles).to(tl.int64)
    first = (tl.program_id(0) % tiles).to(tl.int64) * ROWS
    row, col = tl.arange(0, ROWS)[:, None], tl.arange(0, P)[None, :]
    real = first + row < B
    inside = real & (col < H)
    at_a, at_p, at_h = row * (4 * P) + col, row * P + col, row * H + col
    w_hh += e * 4 * P * P
    if VARIANT == "joined":
        W = operand(tl.load(w_hh + tl.arange(0, P)[:, None] * (4 * P) + tl.arange(0, 4 * P)[None, :]), PRECISION)
    else:
        w = w_hh + tl.arange(0, P)[:, None] * P + col
        W_i, W_f = operand(tl.load(w), PRECISION), operand(tl.load(w + P * P), PRECISION)
        W_g, W_o = operand(tl.load(w + 2 * P * P), PRECISION), operand(tl.load(w + 3 * P * P), PRECISION)
    n = tl.load(lengths + e * B + first + row, mask=real & (ragged != 0), other=T)
    h = tl.load(h0 + (e * B + first) * H + at_h, mask=inside & (started != 0), other=0.0)
    c = tl.load(c0 + (e * B + first) * H + at_h, mask=inside & (started != 0), other=0.0)
    t = tl.where(way > 0, 0, T - 1)
    slot = tl.where(way > 0, 0, T)
    a += ((e * T + t) * B + first) * (4 * P)
    saved_h += ((e * (T + 1) + slot) * B + first) * P
    saved_c += ((e * (T + 1) + slot) * B + first) * P
    states_h += ((t.to(tl.int64) * E + e) * B + first) * H
    states_c += ((t.to(tl.int64) * E + e) * B + first) * H
    step_p, step_h = B.to(tl.int64) * P * way, B.to(tl.int64) * E * H * way
    tl.store(saved_h + at_p, h, mask=real)
    tl.store(saved_c + at_p, c, mask=real)
    next_i = tl.load(a + at_a, mask=real, other=0.0)
    next_f = tl.load(a + P + at_a, mask=real, other=0.0)
    next_g = tl.load(a + 2 * P + at_a, mask=real, other=0.0)
    next_o = tl.load(a + 3 * P + at_a, mask=real, other=0.0)
    for k in tl.range(T, disable_licm=VARIANT != "hoist"):
        a_i, a_f, a_g, a_o = next_i, next_f, next_g, next_o
        ahead = a + 4 * step_p
        more = real & (k + 1 < T)
        next_i = tl.load(ahead + at_a, mask=more, other=0.0)
        next_f = tl.load(ahead + P + at_a, mask=more, other=0.0)
        next_g = tl.load(ahead + 2 * P + at_a, mask=more, other=0.0)
        next_o = tl.load(ahead + 3 * P + at_a, mask=more, other=0.0)
        if VARIANT == "joined":
            ig, fo = tl.reshape(dot(h, W, tl.zeros([ROWS, 4 * P], h.dtype), PRECISION), (ROWS, P, 2, 2)).split()
            i, g = ig.split()
            f, o = fo.split()
            i, f, g, o = i + a_i, f + a_f, g + a_g, o + a_o
        else:
            i = dot(h, W_i, a_i, PRECISION)
            f = dot(h, W_f, a_f, PRECISION)
            g = dot(h, W_g, a_g, PRECISION)
            o = dot(h, W_o, a_o, PRECISION)
        i, f, g, o = sigma(i), sigma(f), tanh(g), sigma(o)
        tl.store(a + at_a, i, mask=real)
        tl.store(a + P + at_a, f, mask=real)
        tl.store(a + 2 * P + at_a, g, mask=real)
        tl.store(a + 3 * P + at_a, o, mask=real)
        runs = inside & (t < n)
        c = tl.where(runs, f * c + i * g, c)
        h = tl.where(runs, o * tanh(c), h)
        saved_h += step_p
        saved_c += step_p
        tl.store(saved_h + at_p, h, mask=real)
        tl.store(saved_c + at_p, c, mask=real)
        tl.store(states_h + at_h, tl.where(runs, h, 0.0), mask=inside)
        if wanted != 0:
            tl.store(states_c + at_h, tl.where(runs, c, 0.0), mask=inside)
        states_h += step_h
        states_c += step_h
        a = ahead
        t += way
    tl.store(last_h + (e * B + first) * H + at_h, h, mask=inside)
    tl.store(last_c + (e * B + first) * H + at_h, c, mask=inside)


@triton.jit(do_not_specialize=["E", "T", "B", "H", "way", "dh_t", "dh_e", "dh_b", "ended", "ragged", "wanted"])
def backward_loop(
    a, w_hh, lengths, saved_c, dh, dlast_h, dlast_c, da, dstates_h, dstates_c, dstate_h, dstate_c,
    E, T, B, H, way, dh_t, dh_e, dh_b, ended, ragged, wanted,
    P: tl.constexpr, ROWS: tl.constexpr, PRECISION: tl.constexpr, VARIANT: tl.constexpr,
):  # fmt: skip
    """The gradient by every pre-activation, by the initial h and c, and where `wanted` by every h and c.

    Args:
        a: (E, T, B, 4P), the gates.  w_hh: (E, 4P, P).  lengths: as in forward_loop.  saved_c: (E, T+1, B, P).
        dh: (T, E, B, H), strides dh_t, dh_e, dh_b, 1.  dlast_h, dlast_c: (E, B, H), read where `ended`, else zero.
        da: (E, T, B, 4P), dstates_h, dstates_c: (T, E, B, H), dstate_h, dstate_c: (E, B, H), all written.
    """
    tiles = tl.cdiv(B, ROWS)
    e = (tl.program_id(0) // tiles).to(tl.int64)
    first = (tl.program_id(0) % tiles).to(tl.int64) * ROWS
    row, col = tl.arange(0, ROWS)[:, None], tl.arange(0, P)[None, :]
    real = first + row < B
    inside = real & (col < H)
    at_a, at_p, at_h = row * (4 * P) + col, row * P + col, row * H + col
    at_d = row.to(tl.int64) * dh_b + col
    w = w_hh + e * 4 * P * P + tl.arange(0, P)[:, None] * P + col
    W_i, W_f = operand(tl.load(w), PRECISION), operand(tl.load(w + P * P), PRECISION)
    W_g, W_o = operand(tl.load(w + 2 * P * P), PRECISION), operand(tl.load(w + 3 * P * P), PRECISION)
    n = tl.load(lengths + e * B + first + row, mask=real & (ragged != 0), other=T)
    d = tl.load(dlast_h + (e * B + first) * H + at_h, mask=inside & (ended != 0), other=0.0)
    dc = tl.load(dlast_c + (e * B + first) * H + at_h, mask=inside & (ended != 0), other=0.0)
    t = tl.where(way > 0, T - 1, 0)
    slot = tl.where(way > 0, T, 0)  # of c after step t
    a += ((e * T + t) * B + first) * (4 * P)
    da += ((e * T + t) * B + first) * (4 * P)
    saved_c += ((e * (T + 1) + slot) * B + first) * P
    dh += t.to(tl.int64) * dh_t + e * dh_e + first * dh_b
    dstates_h += ((t.to(tl.int64) * E + e) * B + first) * H
    dstates_c += ((t.to(tl.int64) * E + e) * B + first) * H
    step_p, step_h = B.to(tl.int64) * P * way, B.to(tl.int64) * E * H * way
    step_d = dh_t.to(tl.int64) * way
    c_after = tl.load(saved_c + at_p, mask=real, other=0.0)
    saved_c -= step_p
    c_next = tl.load(saved_c + at_p, mask=real, other=0.0)
    next_i = tl.load(a + at_a, mask=real, other=0.0)
    next_f = tl.load(a + P + at_a, mask=real, other=0.0)
    next_g = tl.load(a + 2 * P + at_a, mask=real, other=0.0)
    next_o = tl.load(a + 3 * P + at_a, mask=real, other=0.0)
    dh_next = tl.load(dh + at_d, mask=inside, other=0.0)
    for k in tl.range(T, disable_licm=VARIANT != "hoist"):
        i, f, g, o, c_before, dh_now = next_i, next_f, next_g, next_o, c_next, dh_next
        a -= 4 * step_p
        dh -= step_d
        saved_c -= step_p
        more = k + 1 < T
        c_next = tl.load(saved_c + at_p, mask=real & more, other=0.0)
        next_i = tl.load(a + at_a, mask=real & more, other=0.0)
        next_f = tl.load(a + P + at_a, mask=real & more, other=0.0)
        next_g = tl.load(a + 2 * P + at_a, mask=real & more, other=0.0)
        next_o = tl.load(a + 3 * P + at_a, mask=real & more, other=0.0)
        dh_next = tl.load(dh + at_d, mask=inside & more, other=0.0)
        runs = inside & (t < n)
        total = tl.where(runs, d + dh_now, 0.0)
        total_c = tl.where(runs, dc, 0.0)
        if wanted != 0:
            tl.store(dstates_h + at_h, total, mask=inside)
            tl.store(dstates_c + at_h, total_c, mask=inside)
        tanh_c = tanh(c_after)
        dc_next = total_c + total * o * (1.0 - tanh_c * tanh_c)
        da_i = dc_next * g * i * (1.0 - i)
        da_f = dc_next * c_before * f * (1.0 - f)
        da_g = dc_next * i * (1.0 - g * g)
        da_o = total * tanh_c * o * (1.0 - o)
        tl.store(da + at_a, da_i, mask=real)
        tl.store(da + P + at_a, da_f, mask=real)
        tl.store(da + 2 * P + at_a, da_g, mask=real)
        tl.store(da + 3 * P + at_a, da_o, mask=real)
        product = dot(da_i, W_i, tl.zeros([ROWS, P], da_i.dtype), PRECISION)
        product = dot(da_f, W_f, product, PRECISION)
        product = dot(da_g, W_g, product, PRECISION)
        product = dot(da_o, W_o, product, PRECISION)
        d = tl.where(runs, product, d)
        dc = tl.where(runs, dc_next * f, dc)
        c_after = c_before
        da -= 4 * step_p
        dstates_h -= step_h
        dstates_c -= step_h
        t -= way
    tl.store(dstate_h + (e * B + first) * H + at_h, d, mask=inside)
    tl.store(dstate_c + (e * B + first) * H + at_h, dc, mask=inside)


def forward(work: Forward, H: int, precision: str, config: Config) -> None:
    """Runs the loop of `forward_loop` over all models and rows."""
    E, T, B, P = work.saved[0].shape[0], *work.a.shape[1:3], work.saved[0].shape[-1]
    W = work.w_hh.view(E, 4, P, P)
    W = (W.permute(0, 3, 2, 1) if config.variant == "joined" else W.mT).contiguous()
    state, started = given(work.state, work.last)
    lengths, ragged = steps(work.lengths, work.a)
    states, wanted = given(work.states, work.last)
    arrays = work.a, W, *state, lengths, *work.saved, *states, *work.last
    launch_loop(forward_loop, arrays, (E, T, B, H, work.way, started, ragged, wanted), P, precision, config)


def backward(work: Backward, H: int, precision: str, config: Config) -> None:
    """Runs the loop of `backward_loop` over all models and rows."""
    E, T, B, P = work.saved[0].shape[0], *work.da.shape[1:3], work.saved[0].shape[-1]
    dlast, ended = given(work.dlast, work.dstate)
    dstates, wanted = given(work.dstates, work.dstate)
    lengths, ragged = steps(work.lengths, work.da)
    arrays = work.a, work.w_hh, lengths, work.saved[1], work.dh, *dlast, work.da, *dstates, *work.dstate
    numbers = E, T, B, H, work.way, *work.dh.stride()[:3], ended, ragged, wanted
    launch_loop(backward_loop, arrays, numbers, P, precision, config)
