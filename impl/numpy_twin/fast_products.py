"""What the fast forms of all cells share: steps worked on at once, products in blocks, the sums over steps.

Time runs in the loop's order here; arrays of one step are (E, rows, B): a column is a sequence.
"""

from __future__ import annotations

from collections.abc import Iterator

from numpy import copyto, empty, empty_like, matmul, zeros

from impl.spec import Array

SMALL = 10**6
"""OpenBLAS multiplies without packing where rows * columns * terms is at most this: a third faster on AVX-512."""


def steps_at_once(B: int) -> int:
    """How many steps share a product of inputs, of weight gradients, and their derivative factors: 8 to 32."""
    return min(32, max(8, 256 // max(B, 1)))


def blocked(W: Array, B: int) -> Array:
    """W (E, M, K) as (E, k, M/k, K): its product with (K, B) in k small ones, or in one where that is faster."""
    E, M, K = W.shape
    k = 1
    while M // k * K * B > SMALL and M % (2 * k) == 0:
        k *= 2
    return W.reshape(E, k, M // k, K) if B <= 64 and M // k >= 32 else W[:, None]


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
        self._da = empty(E * rows * steps_at_once(B) * B, Z.dtype)
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
