"""What the fast forms of all cells share: steps worked on at once, products in blocks, the sums over steps.

Time runs in the loop's order here; arrays of one step are (E, rows, B): a column is a sequence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from sys import getrefcount
from threading import Lock
from typing import Any

from numpy import copyto, empty, empty_like, matmul, uint8, zeros
from numpy import dtype as dtype_of

from impl.spec import Array

HELD = 2**28
"""Bytes of memory that `memory` holds at most, used or not; what is asked for beyond is NumPy's as usual."""

UNUSED = next(iter([getrefcount(block) for block in [empty(0)]]))
"""What `unused` counts where nothing else refers to a block; how much that is differs between Pythons."""

_held: dict[int, list[Array]] = {}
_lock = Lock()

SMALL = 10**6
"""OpenBLAS multiplies without packing where rows * columns * terms is at most this: a third faster on AVX-512."""


def memory(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array of any content, in memory that an earlier one has left, where there is such.

    A training allocates the same arrays at every update; fresh pages, which the system clears, cost a tenth of its
    time. A block is free when nothing refers to it: NumPy's views keep the array that they look at.
    """
    size = dtype_of(dtype).itemsize * math.prod(shape)
    if size < 2**16:
        return empty(shape, dtype)
    with _lock:
        free = unused(_held.setdefault(size, []))
        if not free and not make_room(size):
            return empty(shape, dtype)
        block = free[0] if free else empty(size, uint8)
        if not free:
            _held.setdefault(size, []).append(block)
        return block.view(dtype).reshape(shape)


def unused(blocks: list[Array]) -> list[Array]:
    """The blocks that nothing but their list refers to."""
    return [block for block in blocks if getrefcount(block) == UNUSED]


def make_room(size: int) -> bool:
    """Lets go of unused blocks until so many bytes more can be held; whether they can."""
    for other, blocks in list(_held.items()):
        if size + sum(n * len(held) for n, held in _held.items()) <= HELD:
            return True
        free = {id(block) for block in unused(blocks)}
        _held[other] = [block for block in blocks if id(block) not in free]
    return size + sum(n * len(held) for n, held in _held.items()) <= HELD


def steps_at_once(B: int) -> int:
    """How many steps share a product of inputs, of weight gradients, and their derivative factors: 8 to 32."""
    return min(32, max(8, 256 // max(B, 1)))


def blocks(M: int, K: int, B: int) -> int:
    """In how many blocks of rows a product (M, K) @ (K, B) is fastest: several where each is then a small one."""
    k = 1
    while M // k * K * B > SMALL and M % (2 * k) == 0:
        k *= 2
    return k if B <= 64 and M // k >= 32 else 1


def blocked(W: Array, B: int) -> Array:
    """W (E, M, K) as (E, k, M/k, K): its product with (K, B) in k small ones, or in one where that is faster."""
    E, M, K = W.shape
    k = blocks(M, K, B)
    return W.reshape(E, k, M // k, K)


def transposed(a: Array) -> Array:
    """(E, B, K) as (E, K, B), in memory of its own."""
    E, B, K = a.shape
    result = empty((E, K, B), a.dtype)
    copyto(result, a.mT)
    return result


def in_blocks(a: Array, Wb: Array) -> Array:
    """The steps' results (T, E, M, B) seen as the product of a blocked W with (E, 1, K, B) writes them."""
    return a.reshape(*a.shape[:2], *Wb.shape[1:3], a.shape[-1])


def clear(ended: Array, *arrays: Array) -> None:
    """Sets the columns of ended rows to zero, whatever they hold."""
    for a in arrays:
        copyto(a, 0, where=ended)


def columns(Z: Array, H: int, h: Array) -> Iterator[tuple[Array, Array, Array]]:
    """The columns z = (x, 1, h) step by step; several steps' x and 1 are turned at once.

    Args:
        Z: (E, T+1, B, D+1+H), of which x and 1 before each step are read.
        H: hidden units.
        h: the initial state, (E, B, H).
    Yields:
        z (E, 1, K, B); the h in it, (E, H, B); where the h after the step must stand before the next is asked for.
    """
    E, after, B, K = Z.shape
    N, T = steps_at_once(B), after - 1
    z = empty((N + 1, E, 1, K, B), Z.dtype)
    hs = list(z[:, :, 0, K - H :])
    hs[N][...] = h.mT
    for lo in range(0, T, N):
        n = min(N, T - lo)
        z[:n, :, 0, : K - H] = Z[:, lo : lo + n, :, : K - H].transpose(1, 0, 3, 2)
        hs[0][...] = hs[N]
        yield from zip(z[:n], hs[:n], hs[1 : n + 1], strict=True)


def rows(Z: Array, hs: Array) -> Array:
    """Writes the states after all steps (T, E, H, B) to the ends of Z[:, 1:], a row a sequence; returns the last h."""
    H = hs.shape[2]
    Z[:, 1:, :, -H:] = hs.transpose(1, 0, 3, 2)
    return Z[:, -1, :, -H:].copy()


class Collected:
    """The sums over steps: the gradient by the weights, and where it is asked for that by x.

    Attributes:
        dW: (E, G*H, D+1+H), the gradient by [W_ih | b | W_hh], rows as the cell has them inside.
        dx: (T, E, B, D), or None.
    """

    def __init__(self, Z: Array, rows: int, W_ih: Array | None) -> None:
        """Begins with zeros.

        Args:
            Z: (E, T+1, B, D+1+H), x, 1 and h before each step.
            rows: G*H.
            W_ih: (E, G*H, D), rows as inside, where the gradient by x is asked for; or None.
        """
        E, after, B, K = Z.shape
        self.Z, self.W_ih, self.dW = Z, W_ih, zeros((E, rows, K), Z.dtype)
        self.dx = None if W_ih is None else empty((after - 1, E, B, W_ih.shape[-1]), Z.dtype)
        self._da = memory((E * rows * steps_at_once(B) * B,), Z.dtype)
        self._part = empty_like(self.dW)

    def add(self, lo: int, da: Array) -> None:
        """Adds what n steps from `lo` on give; da (n, E, G*H, B) is the gradient by their pre-activations."""
        n, E, rows, B = da.shape
        flat = self._da[: E * rows * n * B].reshape(E, rows, n * B)
        copyto(flat.reshape(E, rows, n, B), da.transpose(1, 2, 0, 3))
        matmul(flat, self.Z[:, lo : lo + n].reshape(E, n * B, self.dW.shape[-1]), out=self._part)
        self.dW += self._part
        if self.dx is not None:
            dx = matmul(flat.mT, self.W_ih).reshape(E, n, B, self.dx.shape[-1])
            self.dx[lo : lo + n] = dx.swapaxes(0, 1)
