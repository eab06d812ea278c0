"""Products over all steps and rows at once, as a Triton kernel: the input projection, and the gradient by x.

    a = x @ W_ih.mT + b         (T, [E,] B, D) to (E, T, B, N)
    dx = da @ W_ih              (E, T, B, N) to (T, E, B, D), or summed over the models that share x to (T, 1, B, D)

A library's product chooses its order of summing by the number of rows, so that a row's bits depend on its company. Here
tiles of K are summed from first to last for every row, wherever it stands.
"""

from __future__ import annotations

import triton
import triton.language as tl

from impl.spec import Array

from .common import cdiv, dot, launch, operand, rows_of
from .plan import number_of


def blocks_of(number: str) -> dict[str, int]:
    """The tile that a program makes, by the kind of number, and how much of K it takes at once.

    Measured on an H100 at E=32, T=100, B=64, K=64, N=256: of float32 ("ieee") 391 us; with 4 warps 551 us, with tiles
    of 32 rows 1040 us (torch's own product takes 392 us). On tensor cores BM = 64 would be faster by a tenth or not at
    all, and would switch to another instruction (wgmma).
    """
    return {"BM": 64 if number == "ieee" else 32, "BN": 64, "BK": 16}


def warps_of(number: str, even: bool) -> int:
    """The warps of a program: the fewer, the more of a tile each thread makes of the numbers that it has read.

    Args:
        even: whether every row starts at a multiple of 16 numbers; otherwise a thread of two warps has too few
            registers for its addresses.
    """
    return 2 if number == "ieee" and even else 4


@triton.jit(do_not_specialize=["T", "B", "models"])
def affine(
    x, w, b, out,
    T, B, K, N, models, x_t, x_e, x_b, w_e, w_n, w_k, b_e, out_t, out_e, out_b,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """out[t, e, r] = sum over so many `models`, from model e * models on, of x[t, model, r] @ w[model] + b[model].

    Args:
        x: (T, E, B, K), w: (E, K, N), out: (T, E / models, B, N), of the strides given; the last of x and out is 1.
        b: (E, N).
    """
    columns = tl.cdiv(N, BN)
    tiles = tl.cdiv(T.to(tl.int64) * B, BM) * columns
    group = tl.program_id(0) // tiles
    tile = tl.program_id(0) % tiles
    row = (tile // columns) * BM
    r = (row % B).to(tl.int32) + tl.arange(0, BM)  # of step row // B; those behind its end belong to the next steps
    t, r = ((row // B).to(tl.int32) + r // B).to(tl.int64), (r % B).to(tl.int64)
    col = (tile % columns) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    real, wide = t < T, col < N
    x += t[:, None] * x_t + r[:, None] * x_b + k[None, :]
    w += k[:, None] * w_k + col[None, :] * w_n
    acc = tl.zeros([BM, BN], out.dtype.element_ty)
    for model in range(models):
        e = group * models + model
        acc += tl.load(b + e * b_e + col, mask=wide, other=0.0)[None, :]
        for k0 in tl.range(0, K, BK, num_stages=1):
            deep = k0 + k < K
            x_tile = tl.load(x + e * x_e + k0, mask=real[:, None] & deep[None, :], other=0.0)
            w_tile = tl.load(w + e * w_e + k0 * w_k, mask=deep[:, None] & wide[None, :], other=0.0)
            acc = dot(x_tile, operand(w_tile, PRECISION), acc, PRECISION)
    out += group * out_e + t[:, None] * out_t + r[:, None] * out_b + col[None, :]
    tl.store(out, acc, mask=real[:, None] & wide[None, :])


def forward(x: Array, w_ih: Array, b: Array, a: Array, precision: str) -> None:
    """Writes the input projections.

    Args:
        x: (T, B, D), shared, or (T, E, B, D).
        w_ih: (E, N, D).  b: (E, N).  a: (E, T, B, N), written.
    """
    E, T, B, N = a.shape
    x_t, x_e, x_b = x.stride()[:3] if x.ndim == 4 else (x.stride(0), 0, x.stride(1))
    w_e, w_n, w_k = w_ih.stride()
    strides = x_t, x_e, x_b, w_e, w_n, w_k, b.stride(0), a.stride(1), a.stride(0), a.stride(2)
    _start(x, w_ih, b, a, (T, B, w_ih.shape[-1], N), E, 1, strides, precision)


def backward(da: Array, w_ih: Array, zero: Array, dx: Array, precision: str) -> None:
    """Writes the gradient by x.

    Args:
        da: (E, T, B, N).  w_ih: (E, N, D).  zero: (D,) zeros.
        dx: (T, B, D), summed over models, or (T, E, B, D), written.
    """
    E, T, B, N = da.shape
    x_t, x_e, x_b = dx.stride()[:3] if dx.ndim == 4 else (dx.stride(0), 0, dx.stride(1))
    w_e, w_n, w_k = w_ih.stride()
    strides = da.stride(1), da.stride(0), da.stride(2), w_e, w_k, w_n, 0, x_t, x_e, x_b
    groups, models = (E, 1) if dx.ndim == 4 else (1, E)
    _start(da, w_ih, zero, dx, (T, B, N, w_ih.shape[-1]), groups, models, strides, precision)


def _start(
    x: Array,
    w: Array,
    b: Array,
    out: Array,
    sizes: tuple[int, ...],
    groups: int,
    models: int,
    strides: tuple[int, ...],
    precision: str,
) -> None:
    T, B, K, N = sizes
    number = number_of(x.dtype, precision)
    blocks = blocks_of(number)
    blocks |= {"BM": rows_of(T * B, blocks["BN"] * blocks["BK"], blocks["BM"])}
    programs = groups * cdiv(T * B, blocks["BM"]) * cdiv(N, blocks["BN"])
    numbers = T, B, K, N, models, *strides
    even = all(n % 16 == 0 or n == 1 for n in (K, N, *strides))
    launch(affine, programs, (x, w, b, out), numbers, warps_of(number, even), blocks | {"PRECISION": precision})
