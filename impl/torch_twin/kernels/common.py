"""What the kernels share: sigma and tanh, the product of two tiles, and the work that a time loop is given.

Shapes of work arrays: P is H padded, to a power of two where a kernel holds the weights over all steps. Padded rows and
columns of weights and biases are zero; padded columns of a state stay zero, whatever the others hold: they are kept out
by a selection, not by a product with zero, since 0 * inf is NaN.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
import triton
import triton.language as tl
from triton.runtime import driver

from impl.spec import Array


@triton.jit
def _probe():
    """Tells whether triton.jit compiles or interprets: that is settled when triton is imported."""


INTERPRETED = tl.constexpr(not isinstance(_probe, triton.JITFunction))
"""Whether kernels run under triton's CPU interpreter (TRITON_INTERPRET=1 before the first import of triton)."""

ROWS = 16
"""The most rows of a batch in one program: the least that tensor cores take."""


def cdiv(a: int, b: int) -> int:
    """a / b rounded up: triton.cdiv is a function of its language, and a call of it takes microseconds."""
    return -(-a // b)


def rows_of(count: int, product: int, least: int = ROWS) -> int:
    """Rows a program takes: `least` on a card; the more the better under the interpreter, whose cost is by program.

    No result depends on it: a row's numbers are computed in an order of their own.

    Args:
        count: rows that there are.
        product: how many products `dot` forms of one row at once there; triton allows 2^20 entries in a tile.
    """
    if not INTERPRETED.value:
        return least
    return max(16, min(triton.next_power_of_2(count), 2**20 // triton.next_power_of_2(product)))


def device_of(a: Array) -> AbstractContextManager:
    """Makes the card that holds `a` the one that kernels start on; the interpreter's NumPy is as silent as a card."""
    if INTERPRETED.value:
        return np.errstate(all="ignore")
    return torch.cuda.device(a.device)


KEPT = 4096
"""How many calls are remembered by their numbers."""

_compiled: dict[tuple[Any, ...], Any] = {}
"""Kernels by all that triton compiles them for anew, and more: a call's numbers, of which it looks at a few alone."""


def launch(
    kernel: Any,
    programs: int,
    arrays: tuple[Array, ...],
    numbers: tuple[int, ...],
    warps: int,
    constants: dict[str, Any],
) -> None:
    """Starts a kernel: its arguments are the arrays, the numbers and the compile-time constants, in this order.

    Triton looks at each of some 25 arguments of every call to find the kernel that was compiled for their kind, which
    took 70 us on the host of an H100, three times a call of the fused loop. Here a call like an earlier one finds its
    kernel by one key.
    """
    args = (*arrays, *numbers)
    if INTERPRETED.value:
        with device_of(arrays[0]):
            kernel[(programs,)](*args, **constants, num_warps=warps)
        return
    device, kinds = arrays[0].device, [(a.dtype, a.data_ptr() % 16 == 0) for a in arrays]
    key = (kernel, warps, device, *kinds, *numbers, *constants.values())
    with nullcontext() if torch.cuda.current_device() == device.index else device_of(arrays[0]):
        compiled = _compiled.get(key)
        if compiled is not None:
            stream = driver.active.get_current_stream(device.index)
            compiled[(programs, 1, 1)](*args, *constants.values(), stream=stream)
            return
        if len(_compiled) == KEPT:
            _compiled.clear()
        _compiled[key] = kernel[(programs,)](*args, **constants, num_warps=warps)


class Config(NamedTuple):
    """How one time loop is compiled.

    Attributes:
        path: "persistent" or "stepped".
        warps: of a program.
        variant: "hoist" where the compiler may move what is alike in every step out of the loop; "late" where a step's
            product stands at the end of the step before; "joined" where an LSTM's four products are one; else "". They
            differ in what registers they need, and in how often they read the weights.
        shared: the shared memory that it needs, bytes.
        rows: of a batch in one program.
        beside: how many programs one multiprocessor is to run at the same time.
        fewer: configurations of the same loop with fewer rows, the fewest first, that give the same bits.
    """

    path: str
    warps: int
    variant: str
    shared: int
    rows: int = ROWS
    beside: int = 1
    fewer: tuple[Config, ...] = ()

    def spread(self, E: int, B: int, processors: int) -> Config:
        """The configuration with the fewest rows whose programs all run at once; itself where there is none.

        A step takes a program the longer the more rows it has, while most of a card stands idle where models are few.
        """
        for config in self.fewer:
            if E * cdiv(B, config.rows) <= processors * config.beside:
                return config
        return self


class Forward(NamedTuple):
    """What a forward time loop reads and writes.

    Attributes:
        a: (E, T, B, G*P), the input projections with biases; an LSTM's gates i, f, g, o afterwards.
        w_hh: (E, G*P, P).
        state: initial h (and c), each (E, B, H); None for zeros.
        lengths: (E, B) int32, the steps that each row runs; None for all T.
        saved: h (and c) before and after each step, each (E, T+1, B, P) in the order of x.
        states: h (and c) after each step, each (T, E, B, H), zero at padding; h alone where c is not asked for.
        last: h (and c) of each row's last step, each (E, B, H).
        way: 1, or -1 where the loop runs from the last step to the first.
    """

    a: Array
    w_hh: Array
    state: tuple[Array, ...] | None
    lengths: Array | None
    saved: tuple[Array, ...]
    states: tuple[Array, ...]
    last: tuple[Array, ...]
    way: int


class Backward(NamedTuple):
    """What a backward time loop reads and writes; the first four and `way` are those of Forward, read only.

    Attributes:
        dh: (T, E, B, H) of any strides but the last, which is 1.
        dlast: gradient by the last h (and c), each (E, B, H); None for zeros.
        da: (E, T, B, G*P), gradient by the pre-activations, zero at padding.
        dstates: gradient by h (and c) after each step, each (T, E, B, H); None where it is not asked for.
        dstate: gradient by the initial h (and c), each (E, B, H).
    """

    a: Array | None
    w_hh: Array
    lengths: Array | None
    saved: tuple[Array, ...]
    dh: Array
    dlast: tuple[Array, ...] | None
    da: Array
    dstates: tuple[Array, ...] | None
    dstate: tuple[Array, ...]
    way: int


def launch_loop(
    loop: Any,
    arrays: tuple[Array, ...],
    numbers: tuple[int, ...],
    P: int,
    precision: str,
    config: Config,
    constants: dict[str, Any] | None = None,
) -> None:
    """Starts a persistent time loop; its numbers begin with E, T, B, its own constants stand behind ROWS."""
    E, _, B = numbers[:3]
    config = config.spread(E, B, processors_of(arrays[0].device))
    rows = rows_of(B, P * P, config.rows)
    constants = {"P": P, "ROWS": rows, **(constants or {}), "PRECISION": precision, "VARIANT": config.variant}
    launch(loop, E * cdiv(B, rows), arrays, numbers, config.warps, constants)


@cache
def processors_of(device: torch.device) -> int:
    """The multiprocessors of a card; none of what is interpreted, which has no programs side by side."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 0


def given(arrays: tuple[Array, ...] | None, others: tuple[Array, ...]) -> tuple[tuple[Array, ...], int]:
    """A kernel's arrays, and 1 where all are given; for what is not others of their kind, which it leaves alone."""
    arrays = arrays or ()
    return (*arrays, *others[len(arrays) :]), int(len(arrays) == len(others))


def steps(lengths: Array | None, like: Array) -> tuple[Array, int]:
    """The steps of each row and 1; where None an array that a kernel does not look at, and 0."""
    return (_nothing(like.device), 0) if lengths is None else (lengths, 1)


@cache
def _nothing(device: torch.device) -> Array:
    """An address that nobody reads."""
    return torch.empty(4, dtype=torch.int32, device=device)


@triton.jit
def divide(a, b):
    """a / b of a in [0, 1] and b in [1, 2], off by at most .51 ulp; NaN stays.

    Of float32 the plain `/` may be off by 2 ulp on a card, and div.rn branches at every element, one after the other: a
    step of a time loop waits for that more than for its product. Here the approximate reciprocal (1 ulp) is corrected
    once, and so is the quotient, by its own remainder.

    Source: Markstein 1990, Computation of elementary functions on the IBM RISC System/6000, theorem 8.2.
    """
    if INTERPRETED or a.dtype != tl.float32:
        return a / b
    else:
        r = tl.inline_asm_elementwise("rcp.approx.ftz.f32 $0, $1;", "=f,f", [b], tl.float32, True, 1)
        r = tl.fma(tl.fma(-b, r, 1.0), r, r)
        q = a * r
        return tl.fma(tl.fma(-b, q, a), r, q)


@triton.jit
def sigma(a):
    """The logistic function, (z or 1) / (1 + z) with z = exp(-|a|): nothing overflows, 0 and 1 are reached, NaN stays.

    Error on a card in float32 (exp is ex2.approx, 2 ulp, of an argument rounded once): at most 4u |sigma| + 2u. In
    float64, and in the interpreter, exp is off by 1 ulp or less.
    """
    z = tl.exp(-tl.abs(a))
    return divide(tl.where(a < 0, z, 1.0), 1.0 + z)


@triton.jit
def tanh(a):
    """The hyperbolic tangent, +-(1 - e) / (1 + e) with e = exp(-2 |a|): nothing overflows, +-1 is reached, NaN stays.

    It is odd to the bit and 0 at 0. Near zero the error is that of e near 1, absolute and not relative: at most 2u on a
    card in float32, u elsewhere; in all at most 4u |tanh| + 2u.
    """
    e = tl.exp(-2.0 * tl.abs(a))
    t = divide(1.0 - e, 1.0 + e)
    return tl.where(a < 0, -t, t)


@triton.jit
def operand(a, PRECISION: tl.constexpr):
    """A factor of a product as the precision has it: rounded to bfloat16, or as it is."""
    if PRECISION == "bf16":
        if INTERPRETED:
            return a.to(tl.bfloat16).to(tl.float32)  # the interpreter multiplies bfloat16 as if it were integers
        else:
            return a.to(tl.bfloat16)
    else:
        return a


@triton.jit
def dot(a, b, acc, PRECISION: tl.constexpr):
    """acc + a @ b of tiles (M, K), (K, N), (M, N), a row's sum in an order that its place in the tile does not change.

    `b` has been through `operand`, `a` goes through it here. On a card every entry is summed alike. The interpreter's
    tl.dot is numpy.matmul, whose order depends on a row's place: there products are summed step by step.
    """
    a = operand(a, PRECISION)
    if INTERPRETED:
        return acc + tl.sum(a[:, :, None] * b[None, :, :], 1)
    elif PRECISION == "tf32x3":
        return tl.dot(a, b, acc, input_precision="tf32x3")
    else:
        return tl.dot(a, b, acc, input_precision="ieee", out_dtype=acc.dtype)
