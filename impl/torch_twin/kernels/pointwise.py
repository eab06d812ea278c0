"""One step's element-wise part as Triton kernels, where the weights are too large to stay on the chip.

The product of a step is a library's; these kernels do the rest of it in one pass over memory. An entry of a work array
(E, B, P) is one number of one model's row.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from impl.spec import Array

from .common import Backward, Forward, cdiv, given, launch, rows_of, sigma, tanh

ROWS, COLS, WARPS = 4, 128, 4


@triton.jit(do_not_specialize=["E", "T", "B", "H", "t", "way"])
def rnn_forward(
    a, lengths, saved, states, E, T, B, H, t, way,
    P, ROWS: tl.constexpr, COLS: tl.constexpr, RELU: tl.constexpr,
):  # fmt: skip
    """h after step t from the pre-activations; arguments as in rnn.forward_loop, `a` with the step's product added."""
    tiles = tl.cdiv(P, COLS)
    r = (tl.program_id(0) // tiles).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    col = (tl.program_id(0) % tiles) * COLS + tl.arange(0, COLS)[None, :]
    e, row = r // B, r % B
    real = (e < E) & (col < P)
    before, after = tl.where(way > 0, t, t + 1), tl.where(way > 0, t + 1, t)
    h = tl.load(saved + ((e * (T + 1) + before) * B + row) * P + col, mask=real, other=0.0)
    z = tl.load(a + ((e * T + t) * B + row) * P + col, mask=real, other=0.0)
    z = tl.where(z <= 0, 0.0, z) if RELU else tanh(z)
    runs = real & (col < H) & (t < tl.load(lengths + r, mask=e < E, other=0))
    h = tl.where(runs, z, h)
    tl.store(saved + ((e * (T + 1) + after) * B + row) * P + col, h, mask=real)
    tl.store(states + ((t.to(tl.int64) * E + e) * B + row) * H + col, tl.where(runs, h, 0.0), mask=real & (col < H))


@triton.jit(do_not_specialize=["E", "T", "B", "H", "t", "way", "wanted"])
def lstm_forward(
    a, lengths, saved_h, saved_c, states_h, states_c, E, T, B, H, t, way, wanted,
    P, ROWS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """h, c and the gates of step t; arguments as in lstm.forward_loop, `a` with the step's product added."""
    tiles = tl.cdiv(P, COLS)
    r = (tl.program_id(0) // tiles).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    col = (tl.program_id(0) % tiles) * COLS + tl.arange(0, COLS)[None, :]
    e, row = r // B, r % B
    real = (e < E) & (col < P)
    before = ((e * (T + 1) + tl.where(way > 0, t, t + 1)) * B + row) * P + col
    after = ((e * (T + 1) + tl.where(way > 0, t + 1, t)) * B + row) * P + col
    h = tl.load(saved_h + before, mask=real, other=0.0)
    c = tl.load(saved_c + before, mask=real, other=0.0)
    a += ((e * T + t) * B + row) * (4 * P) + col
    i = sigma(tl.load(a, mask=real, other=0.0))
    f = sigma(tl.load(a + P, mask=real, other=0.0))
    g = tanh(tl.load(a + 2 * P, mask=real, other=0.0))
    o = sigma(tl.load(a + 3 * P, mask=real, other=0.0))
    tl.store(a, i, mask=real)
    tl.store(a + P, f, mask=real)
    tl.store(a + 2 * P, g, mask=real)
    tl.store(a + 3 * P, o, mask=real)
    inside = real & (col < H)
    runs = inside & (t < tl.load(lengths + r, mask=e < E, other=0))
    c = tl.where(runs, f * c + i * g, c)
    h = tl.where(runs, o * tanh(c), h)
    tl.store(saved_h + after, h, mask=real)
    tl.store(saved_c + after, c, mask=real)
    at = ((t.to(tl.int64) * E + e) * B + row) * H + col
    tl.store(states_h + at, tl.where(runs, h, 0.0), mask=inside)
    if wanted != 0:
        tl.store(states_c + at, tl.where(runs, c, 0.0), mask=inside)


@triton.jit(do_not_specialize=["E", "T", "B", "H", "t", "way", "dh_t", "dh_e", "dh_b", "wanted"])
def rnn_backward(
    lengths, saved, dh, product, carry, da, dstates, E, T, B, H, t, way, dh_t, dh_e, dh_b, wanted,
    P, ROWS: tl.constexpr, COLS: tl.constexpr, RELU: tl.constexpr,
):  # fmt: skip
    """The gradient by the pre-activations of step t.

    Args:
        product: (E, B, P), da @ W_hh of the step that the loop did before; that step's padding has not taken it.
        carry: (E, B, P), the gradient by h that arrives there; taken, or passed on, and written.
        lengths, saved, dh, da, dstates: as in rnn.backward_loop.
    """
    tiles = tl.cdiv(P, COLS)
    r = (tl.program_id(0) // tiles).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    col = (tl.program_id(0) % tiles) * COLS + tl.arange(0, COLS)[None, :]
    e, row = r // B, r % B
    real = (e < E) & (col < P)
    inside = real & (col < H)
    length = tl.load(lengths + r, mask=e < E, other=0)
    took = inside & (t + way >= 0) & (t + way < length)
    d = tl.load(carry + r * P + col, mask=real, other=0.0)
    d = tl.where(took, tl.load(product + r * P + col, mask=took, other=0.0), d)
    tl.store(carry + r * P + col, d, mask=real)
    runs = inside & (t < length)
    total = tl.where(
        runs, d + tl.load(dh + t.to(tl.int64) * dh_t + e * dh_e + row * dh_b + col, mask=inside, other=0.0), 0.0
    )
    if wanted != 0:
        tl.store(dstates + ((t.to(tl.int64) * E + e) * B + row) * H + col, total, mask=inside)
    after = ((e * (T + 1) + tl.where(way > 0, t + 1, t)) * B + row) * P + col
    h = tl.load(saved + after, mask=real, other=0.0)
    delta = tl.where(h <= 0, 0.0, total) if RELU else total * (1.0 - h * h)
    tl.store(da + ((e * T + t) * B + row) * P + col, delta, mask=real)


@triton.jit(do_not_specialize=["E", "T", "B", "H", "t", "way", "dh_t", "dh_e", "dh_b", "wanted"])
def lstm_backward(
    a, lengths, saved_c, dh, product, carry, carry_c, da, dstates_h, dstates_c,
    E, T, B, H, t, way, dh_t, dh_e, dh_b, wanted,
    P, ROWS: tl.constexpr, COLS: tl.constexpr,
):  # fmt: skip
    """The gradient by the pre-activations of step t; `carry_c` (E, B, P) is read and written, the rest as above."""
    tiles = tl.cdiv(P, COLS)
    r = (tl.program_id(0) // tiles).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    col = (tl.program_id(0) % tiles) * COLS + tl.arange(0, COLS)[None, :]
    e, row = r // B, r % B
    real = (e < E) & (col < P)
    inside = real & (col < H)
    length = tl.load(lengths + r, mask=e < E, other=0)
    took = inside & (t + way >= 0) & (t + way < length)
    d = tl.load(carry + r * P + col, mask=real, other=0.0)
    d = tl.where(took, tl.load(product + r * P + col, mask=took, other=0.0), d)
    dc = tl.load(carry_c + r * P + col, mask=real, other=0.0)
    runs = inside & (t < length)
    total = tl.where(
        runs, d + tl.load(dh + t.to(tl.int64) * dh_t + e * dh_e + row * dh_b + col, mask=inside, other=0.0), 0.0
    )
    total_c = tl.where(runs, dc, 0.0)
    if wanted != 0:
        at = ((t.to(tl.int64) * E + e) * B + row) * H + col
        tl.store(dstates_h + at, total, mask=inside)
        tl.store(dstates_c + at, total_c, mask=inside)
    gates = ((e * T + t) * B + row) * (4 * P) + col
    i = tl.load(a + gates, mask=real, other=0.0)
    f = tl.load(a + gates + P, mask=real, other=0.0)
    g = tl.load(a + gates + 2 * P, mask=real, other=0.0)
    o = tl.load(a + gates + 3 * P, mask=real, other=0.0)
    saved_c += (e * (T + 1) * B + row) * P + col
    c_before = tl.load(saved_c + tl.where(way > 0, t, t + 1).to(tl.int64) * B * P, mask=real, other=0.0)
    tanh_c = tanh(tl.load(saved_c + tl.where(way > 0, t + 1, t).to(tl.int64) * B * P, mask=real, other=0.0))
    dc_next = total_c + total * o * (1.0 - tanh_c * tanh_c)
    da += gates
    tl.store(da, dc_next * g * i * (1.0 - i), mask=real)
    tl.store(da + P, dc_next * c_before * f * (1.0 - f), mask=real)
    tl.store(da + 2 * P, dc_next * i * (1.0 - g * g), mask=real)
    tl.store(da + 3 * P, total * tanh_c * o * (1.0 - o), mask=real)
    tl.store(carry + r * P + col, d, mask=real)
    tl.store(carry_c + r * P + col, tl.where(runs, dc_next * f, dc), mask=real)


def forward(work: Forward, H: int, t: int, relu: bool) -> None:
    """Runs step t, whose product stands in `work.a`: an RNN's kernel or an LSTM's, as there is c or not."""
    E, T, B, P = *work.a.shape[:3], work.saved[0].shape[-1]
    states, wanted = given(work.states, work.last)
    arrays, numbers = (work.a, work.lengths, *work.saved, *states), (E, T, B, H, t, work.way)
    if len(work.saved) == 1:
        _start(rnn_forward, arrays, (*numbers, P), {"RELU": relu})
    else:
        _start(lstm_forward, arrays, (*numbers, wanted, P), {})


def backward(work: Backward, H: int, t: int, relu: bool, product: Array, carry: tuple[Array, ...]) -> None:
    """Runs step t of the way back; `product` and `carry` as in `rnn_backward`."""
    E, T, B, P = *work.da.shape[:3], work.saved[0].shape[-1]
    dstates, wanted = given(work.dstates, carry)
    arrays = work.lengths, work.saved[-1], work.dh, product, *carry, work.da, *dstates
    numbers = E, T, B, H, t, work.way, *work.dh.stride()[:3], wanted, P
    if len(work.saved) == 1:
        _start(rnn_backward, arrays, numbers, {"RELU": relu})
    else:
        _start(lstm_backward, (work.a, *arrays), numbers, {})


def _start(kernel: Any, arrays: tuple[Array, ...], numbers: tuple[int, ...], constants: dict[str, Any]) -> None:
    E, _, B, *_, P = numbers
    rows = rows_of(E * B, COLS, ROWS)
    programs = cdiv(E * B, rows) * cdiv(P, COLS)
    launch(kernel, programs, arrays, numbers, WARPS, {"ROWS": rows, "COLS": COLS, **constants})
