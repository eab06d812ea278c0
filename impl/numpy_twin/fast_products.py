"""What the fast forms of all cells share: steps worked on at once, products in blocks, the sums over steps.

Time runs in the loop's order here, but in what belongs to a whole group (see Place). Arrays of one step are (E, B, n),
a row a sequence; in `columns`, `clear` and fast_lstm.py they are (E, rows, B), a column a sequence.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from ctypes import addressof, c_char
from sys import getrefcount
from threading import Lock
from typing import Any, NamedTuple

from numpy import copyto, empty, matmul, ndarray, uint8
from numpy import dtype as dtype_of

from impl.spec import Array

HELD = 2**28
"""Bytes of memory that `memory` holds at most, used or not; what is asked for beyond is NumPy's as usual."""

UNUSED = next(iter([getrefcount(block) for block in [empty(0)]]))
"""What `unused` counts where nothing else refers to a block; how much that is differs between Pythons."""

_held: dict[int, list[Array]] = {}
_lock = Lock()
if hasattr(os, "register_at_fork"):  # a child could not wait for its parent's thread
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)

SMALL = 10**6
"""OpenBLAS multiplies without packing where rows * columns * terms is at most this: a third faster on AVX-512."""

LINE = 64
"""Bytes of a line of cache. What stands at the right of a product begins at one: where a vector register is as long,
every other load would touch two, and a product without packing takes half as long again."""


def memory(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array of any content, in memory that an earlier one has left, where there is such.

    A training allocates the same arrays at every update; fresh pages, which the system clears, cost a tenth of its
    time. A block is free when nothing refers to it: NumPy's views keep the array that they look at.
    """
    size = dtype_of(dtype).itemsize * math.prod(shape) + LINE
    if size < 2**16:
        return within(empty(size, uint8), shape, dtype)
    with _lock:
        free = unused(_held.get(size, []))
        if not free and not make_room(size):
            return within(empty(size, uint8), shape, dtype)
        block = free[0] if free else empty(size, uint8)
        if not free:
            _held.setdefault(size, []).append(block)
        return within(block, shape, dtype)


def within(block: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """An array at the first line of cache in a block of at least LINE bytes more than it has."""
    place = addressof(c_char.from_buffer(block))  # quicker than block.ctypes.data
    return ndarray(shape, dtype, block, -place % LINE)


def rows_of(shape: tuple[int, ...], dtype: Any) -> Array:
    """As `memory`, with every row (the last axis) at a line of cache: rows are not side by side then."""
    *outer, n = shape
    step = LINE // dtype_of(dtype).itemsize
    return memory((*outer, (n // step + 1) * step), dtype)[..., :n]


def unused(blocks: list[Array]) -> list[Array]:
    """The blocks that nothing but their list refers to."""
    return [block for block in blocks if getrefcount(block) == UNUSED]


def make_room(size: int) -> bool:
    """Lets go of unused blocks, of the size first held first, until so many bytes more can be held; whether they can.

    A size of which nothing is left is forgotten: where lengths vary every call asks for others.
    """
    total = size + sum(n * len(blocks) for n, blocks in _held.items())
    for other in list(_held):
        if total <= HELD:
            break
        free = {id(block) for block in unused(_held[other])}
        total -= other * len(free)
        if kept := [block for block in _held.pop(other) if id(block) not in free]:
            _held[other] = kept
    return total <= HELD


def steps_at_once(B: int) -> int:
    """How many steps share a product of inputs, of weight gradients, and their derivative factors: 8 to 32."""
    return min(32, max(8, 256 // max(B, 1)))


def blocks(M: int, K: int, B: int) -> int:
    """In how many blocks of rows a product (M, K) @ (K, B) is fastest: several where each is then a small one."""
    k = 1
    while M // k * K * B > SMALL and M % (2 * k) == 0:
        k *= 2
    return k if M // k >= 8 and M // k * K * B <= SMALL else 1


def blocked(W: Array, B: int) -> Array:
    """W (E, M, K) as (E, k, M/k, K): its product with (K, B) in k small ones, or in one where that is faster."""
    E, M, K = W.shape
    k = blocks(M, K, B)
    return W.reshape(E, k, M // k, K)


def copied(a: Array) -> Array:
    """An array in memory of its own, in the order of its axes."""
    result = memory(a.shape, a.dtype)
    copyto(result, a)
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
    z = memory((N + 1, E, 1, K, B), Z.dtype)
    hs = list(z[:, :, 0, K - H :])
    hs[N][...] = h.mT
    for lo in range(0, T, N):
        n = min(N, T - lo)
        z[:n, :, 0, : K - H] = Z[:, lo : lo + n, :, : K - H].transpose(1, 0, 3, 2)
        hs[0][...] = hs[N]
        yield from zip(z[:n], hs[:n], hs[1 : n + 1], strict=True)


class Place(NamedTuple):
    """Where the arrays over time of some models stand in those of their group, (T, E or 1, B, n), in the order of x."""

    models: slice
    way: int

    def of(self, a: Array) -> Array:
        """The models' part, seen in the loop's order."""
        return chosen(a, self.models)[:: self.way]


def chosen(a: Array, models: slice) -> Array:
    """Some models' part of an array (T, E or 1, ...); the whole where all models share it."""
    return a if a.shape[1] == 1 else a[:, models]


def begin(Z: Array, x: Array) -> None:
    """Writes x (T, E or 1, B, D), in the loop's order, and 1 to the beginnings of the rows before each step."""
    T, D = len(x), x.shape[-1]
    Z[:, :T, :, :D], Z[:, :T, :, D] = x.swapaxes(0, 1), 1


class Collected:
    """The sums over steps: the gradient by the weights.

    Attributes:
        Z: (E, T+1, B, D+1+H), x, 1 and h before each step.
        W: (E, G*H, D+1+H), [W_ih | b | W_hh], rows as the cell has them inside.
        dW: (E, G*H, D+1+H), what the gradient by it is added to; or None.
    """

    def __init__(self, Z: Array, W: Array, dW: Array | None) -> None:
        """See the attributes."""
        self.Z, self.W, self.dW = Z, W, dW
        self._part = None if dW is None else memory(dW.shape, Z.dtype)

    def add(self, lo: int, da: Array, dx: Array | None) -> None:
        """Adds what n steps from `lo` on give to dW, where that is asked for, and fills their dx.

        Args:
            lo: the first step.
            da: (E, G*H, n*B), the gradient by their pre-activations, or its columns as rows, transposed.
            dx: (T, E, B, D), of which these steps are filled; or None.
        """
        (E, _, size), B = da.shape, self.Z.shape[2]
        n = size // max(B, 1)
        if self.dW is not None:
            self._add(lo, da)
        if dx is not None:
            dx[lo : lo + n] = matmul(da.mT, self.W[..., : dx.shape[-1]]).reshape(E, n, B, dx.shape[-1]).swapaxes(0, 1)

    def _add(self, lo: int, da: Array) -> None:
        """Adds what n steps from `lo` on give to dW."""
        (E, rows, size), (_, _, B, K) = da.shape, self.Z.shape
        n, k = size // max(B, 1), blocks(rows, size, K)
        if da.flags.c_contiguous:
            each = da.reshape(E, k, rows // k, size)
        else:
            each = da.mT.reshape(E, size, k, rows // k).transpose(0, 2, 3, 1)
        Z = self.Z[:, None, lo : lo + n].reshape(E, 1, size, K)
        matmul(each, Z, out=self._part.reshape(E, k, rows // k, K))
        self.dW += self._part
