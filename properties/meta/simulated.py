"""A third arithmetic: what a correct subject might compute, in its own dtype, summing in an order drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from properties.arithmetic import Arithmetic, Balls, double_double

SLOPES_OF_TANH = (
    lambda d, t: d * (1 - t * t),
    lambda d, t: d * ((1 - t) * (1 + t)),
    lambda d, t: (d + d * t) * (1 - t),  # JAX's
)
"""d times the slope of tanh where it gave t."""


class Simulated(Arithmetic):
    """Float32 or float64 arrays; each sum in a random binary tree, each function off by as much as it may.

    Underflow is gradual in sums and products, as IEEE 754 has it, or flushes to zero; functions flush, as vector
    libraries do.
    """

    def __init__(self, dtype: str, rng: np.random.Generator, alpha: float = 0.0, *, flushes: bool = False) -> None:
        self.dtype, self.rng, self.alpha, self.flushes = dtype, rng, alpha, flushes

    def places(self, function: Callable[..., np.ndarray], *matrices: np.ndarray) -> np.ndarray:
        """See Arithmetic."""
        return function(*matrices)

    def constant(self, a: np.ndarray) -> np.ndarray:
        """See Arithmetic."""
        return np.asarray(a, self.dtype)

    def setting(self, formula: Callable[[Arithmetic], np.ndarray]) -> np.ndarray:
        """Worked out in double precision, then rounded."""
        return formula(Simulated("float64", self.rng)).astype(self.dtype)

    def add(self, *terms: np.ndarray) -> np.ndarray:
        """The terms in a random binary tree."""
        terms = list(terms)
        while len(terms) > 1:
            one, other = (terms.pop(int(self.rng.integers(len(terms)))) for _ in range(2))
            terms.append(self._kept(one + other))
        return terms[0]

    def affine(self, factors: list[tuple[np.ndarray, np.ndarray]], terms: list[np.ndarray]) -> np.ndarray:
        """All products and terms as one sum."""
        zero = np.zeros((factors[0][0].shape[0], factors[0][1].shape[1]), self.dtype)
        parts = [self._kept(a[:, [k]] * b[[k]]) for a, b in factors for k in range(a.shape[1])]
        return self.add(*(parts + terms or [zero]))

    def product(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a (m, n) times b (n, k)."""
        return self.affine([(a, b)], [])

    def total(self, a: np.ndarray) -> np.ndarray:
        """The sum over rows."""
        return self.add(*a) if len(a) else np.zeros(a.shape[1], self.dtype)

    def sub(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a - b."""
        return self._kept(a - b)

    def difference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a - b."""
        return a - b

    def mul(self, *factors: np.ndarray) -> np.ndarray:
        """The factors in a random order."""
        return reduce(lambda a, b: self._kept(a * b), [factors[k] for k in self.rng.permutation(len(factors))])

    def div(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a / b."""
        return a / b

    def one_minus(self, a: np.ndarray) -> np.ndarray:
        """1 - a."""
        return 1 - a

    def either(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """One of the two, at random."""
        return (a, b)[int(self.rng.integers(2))]

    def sigma(self, a: np.ndarray) -> np.ndarray:
        """The exact value, moved by up to rho and alpha."""
        return self._moved(Balls().sigma, a, self.alpha)

    def tanh(self, a: np.ndarray) -> np.ndarray:
        """The exact value, moved by up to rho and alpha."""
        return self._moved(Balls().tanh, a, self.alpha)

    def tanh_back(self, d: np.ndarray, t: np.ndarray) -> np.ndarray:
        """By one of three formulas, at random."""
        return SLOPES_OF_TANH[int(self.rng.integers(3))](d, t)

    def relu(self, a: np.ndarray) -> np.ndarray:
        """max(a, 0)."""
        return np.maximum(a, 0)

    def relu_back(self, d: np.ndarray, pre: np.ndarray) -> np.ndarray:
        """d where `pre` is above zero."""
        return np.where(pre > 0, d, 0).astype(self.dtype)

    def sqrt(self, a: np.ndarray) -> np.ndarray:
        """The square root, rounded once."""
        return np.sqrt(a)

    def exp(self, a: np.ndarray) -> np.ndarray:
        """The exact value, moved by up to rho."""
        return self._moved(Balls().exp, a)

    def log(self, a: np.ndarray) -> np.ndarray:
        """The exact value, moved by up to rho."""
        return self._moved(Balls().log, a)

    def _moved(self, function: Callable[[Any], Any], a: np.ndarray, alpha: float = 0.0) -> np.ndarray:
        """Off by 2u of the value and by alpha (1 - 2u); the rest of rho = 4u and of alpha is for the roundings here."""
        exact, _, _ = double_double(function(Balls().constant(a)))
        u, sign = np.finfo(self.dtype).eps / 2, self.rng.choice([-1.0, 1.0], a.shape)
        moved = (exact * (1 + sign * 2 * u) + sign * alpha * (1 - 2 * u)).astype(self.dtype)
        return _flushed(moved)

    def _kept(self, a: np.ndarray) -> np.ndarray:
        return _flushed(a) if self.flushes else a


def _flushed(a: np.ndarray) -> np.ndarray:
    """Zero in place of numbers below the smallest normal one."""
    return np.where(np.abs(a) < np.finfo(a.dtype).tiny, 0, a).astype(a.dtype)
