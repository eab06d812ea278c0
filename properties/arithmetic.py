"""The referee's two arithmetics: balls at 200 bits, and float64 that carries a bound of a correct subject's error.

Both offer the same operations on matrices of shape (rows, columns), so that `oracle.py` states each formula once:

    constant   affine   product   outer   total   add   mul   one_minus   sigma   tanh   exp   log   inverse   select

Notation of the bounds: u is the subject's unit roundoff, gamma_n = n u / (1 - n u), (v, e) a value and the bound of a
correct subject's error in it, whatever order it sums in. Source: Higham, Accuracy and Stability of Numerical Algorithms
(2002), sections 3.1 (inner products) and 3.3 (running error analysis); balls: Johansson 2017 (Arb).
"""

from __future__ import annotations

from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from flint import arb, arb_mat, ctx

BITS = 200
Matrix = np.ndarray


class Balls:
    """Ball arithmetic: object arrays of `arb`, each a proven enclosure of the exact value."""

    def constant(self, a: np.ndarray) -> Matrix:
        """The exact value of a float array."""
        ctx.prec = BITS
        flat = np.empty(a.size, dtype=object)
        flat[:] = [arb(float(value)) for value in a.ravel()]
        return flat.reshape(a.shape)

    def product(self, a: Matrix, b: Matrix) -> Matrix:
        """a (m, n) times b (n, k)."""
        if 0 in a.shape or 0 in b.shape:
            return self.constant(np.zeros((a.shape[0], b.shape[1])))
        c = arb_mat(*a.shape, a.ravel().tolist()) * arb_mat(*b.shape, b.ravel().tolist())
        flat = np.empty(c.nrows() * c.ncols(), dtype=object)
        flat[:] = c.entries()
        return flat.reshape(c.nrows(), c.ncols())

    def affine(self, factors: list[tuple[Matrix, Matrix]], terms: list[Matrix]) -> Matrix:
        """The sum of all products a @ b and of all terms, rounded by a subject in any order."""
        return reduce(np.add, [self.product(a, b) for a, b in factors] + terms)

    def total(self, a: Matrix) -> Matrix:
        """The sum over rows: (m, n) gives (n,)."""
        return a.sum(0) if len(a) else self.constant(np.zeros(a.shape[1]))

    def add(self, *terms: Matrix) -> Matrix:
        """The sum of the terms."""
        return reduce(np.add, terms)

    def mul(self, *factors: Matrix) -> Matrix:
        """The elementwise product of the factors."""
        return reduce(np.multiply, factors)

    def one_minus(self, a: Matrix) -> Matrix:
        """1 - a."""
        return 1 - a

    def sigma(self, a: Matrix) -> Matrix:
        """The logistic function."""
        return _each(lambda v: 1 / (1 + (-v).exp()), a)

    def tanh(self, a: Matrix) -> Matrix:
        """The hyperbolic tangent."""
        return _each(arb.tanh, a)

    def select(self, rows: np.ndarray, a: Matrix, b: Matrix) -> Matrix:
        """Row by row, a where `rows` (m,) holds and b elsewhere."""
        return np.where(rows[:, None], a, b)

    def concatenate(self, parts: list[Matrix], axis: int) -> Matrix:
        """The parts side by side."""
        return np.concatenate(parts, axis)

    def columns(self, a: Matrix, part: slice) -> Matrix:
        """Some columns of a."""
        return a[:, part]

    def transpose(self, a: Matrix) -> Matrix:
        """a with rows and columns exchanged."""
        return a.T


class Value(NamedTuple):
    """A float64 value and the bound of a correct subject's error in it, arrays of one shape."""

    v: np.ndarray
    e: np.ndarray


class Carried:
    """Float64 that carries, for every value, how far a correct subject of unit roundoff u may be off.

    Args:
        u: the subject's unit roundoff, 2^-24 for float32, 2^-53 for float64.
        eta: its smallest normal number, since results may underflow.
        alpha: the absolute error of its sigma and tanh near zero, beyond the relative rho = 4u.
    """

    def __init__(self, u: float, eta: float, alpha: float = 0.0) -> None:
        self.u, self.eta, self.alpha, self.rho = u, eta, alpha, 4 * u

    def gamma(self, n: int) -> float:
        """n u / (1 - n u): the relative error of n roundings in a row (Higham, lemma 3.1)."""
        return max(n, 0) * self.u / (1 - max(n, 0) * self.u)

    def constant(self, a: np.ndarray) -> Value:
        """An input, which the subject holds exactly."""
        a = np.asarray(a, dtype=np.float64)
        return Value(a, np.zeros_like(a))

    def product(self, a: Value, b: Value) -> Value:
        """a (m, n) times b (n, k): an inner product of n terms, each of two factors."""
        return self.affine([(a, b)], [])

    def affine(self, factors: list[tuple[Value, Value]], terms: list[Value]) -> Value:
        """The sum of all products a @ b and all terms, n terms in all.

        Each product hands on its factors' errors, |a| e_b + e_a |b| + e_a e_b; rounding adds gamma_n times the sum of the
        terms' largest magnitudes (Higham 3.5: n products and n - 1 sums give gamma_n in any order).
        """
        n = sum(a.v.shape[1] for a, _ in factors) + len(terms)
        v = sum(a.v @ b.v for a, b in factors) + sum(t.v for t in terms)
        carried = sum(np.abs(a.v) @ b.e + a.e @ (np.abs(b.v) + b.e) for a, b in factors) + sum(t.e for t in terms)
        m = sum((np.abs(a.v) + a.e) @ (np.abs(b.v) + b.e) for a, b in factors) + sum(np.abs(t.v) + t.e for t in terms)
        return Value(v, carried + self.gamma(n) * m + self.eta)

    def total(self, a: Value) -> Value:
        """The sum over rows, m terms."""
        m = np.abs(a.v) + a.e
        return Value(a.v.sum(0), a.e.sum(0) + self.gamma(len(a.v) - 1) * m.sum(0))

    def add(self, *terms: Value) -> Value:
        """The sum of n terms: their errors, and gamma_{n-1} times the sum of their magnitudes."""
        m = sum(np.abs(t.v) + t.e for t in terms)
        return Value(sum(t.v for t in terms), sum(t.e for t in terms) + self.gamma(len(terms) - 1) * m)

    def mul(self, *factors: Value) -> Value:
        """The elementwise product, by the rule of two factors, repeated: one rounding each, in any order."""
        return reduce(self._mul, factors)

    def _mul(self, a: Value, b: Value) -> Value:
        carried = np.abs(a.v) * b.e + a.e * np.abs(b.v) + a.e * b.e
        return Value(a.v * b.v, carried + self.gamma(1) * (np.abs(a.v) + a.e) * (np.abs(b.v) + b.e) + self.eta)

    def one_minus(self, a: Value) -> Value:
        """1 - a, a sum of two terms."""
        return self.add(self.constant(np.ones_like(a.v)), Value(-a.v, a.e))

    def sigma(self, a: Value) -> Value:
        """The logistic function: its largest slope within a +- e_a times e_a, then its own error."""
        nearest = np.maximum(np.abs(a.v) - a.e, 0)
        s = _sigma(a.v)
        return self._rounded(s, _sigma(nearest) * _sigma(-nearest) * a.e)

    def tanh(self, a: Value) -> Value:
        """The hyperbolic tangent, by the same rule."""
        nearest = np.maximum(np.abs(a.v) - a.e, 0)
        return self._rounded(np.tanh(a.v), a.e / np.cosh(np.minimum(nearest, 300)) ** 2)

    def _rounded(self, s: np.ndarray, carried: np.ndarray) -> Value:
        return Value(s, carried + self.rho * (np.abs(s) + carried) + self.alpha + self.eta)

    def select(self, rows: np.ndarray, a: Value, b: Value) -> Value:
        """Row by row, a where `rows` (m,) holds and b elsewhere."""
        return Value(*(np.where(rows[:, None], x, y) for x, y in zip(a, b, strict=True)))

    def concatenate(self, parts: list[Value], axis: int) -> Value:
        """The parts side by side."""
        return Value(*(np.concatenate(arrays, axis) for arrays in zip(*parts, strict=True)))

    def columns(self, a: Value, part: slice) -> Value:
        """Some columns of a."""
        return Value(a.v[:, part], a.e[:, part])

    def transpose(self, a: Value) -> Value:
        """a with rows and columns exchanged."""
        return Value(a.v.T, a.e.T)


def double_double(a: Matrix) -> tuple[np.ndarray, np.ndarray]:
    """The midpoints of balls as hi + lo, two float64 arrays: 106 bits, far beyond any subject.

    Raises:
        ArithmeticError: a ball is wider than 2^-120 of its midpoint, so that it could no longer judge.
    """
    hi = np.array([float(ball.mid()) for ball in a.ravel()]).reshape(a.shape)
    low = [float((ball - arb(h)).mid()) for ball, h in zip(a.ravel(), hi.ravel(), strict=True)]
    wide = [ball for ball in a.ravel() if float(ball.rad()) > 2.0**-120 * max(abs(float(ball.mid())), 1e-60)]
    if wide:
        raise ArithmeticError(f"the referee needs balls within 2^-120 of their midpoint; got {wide[0]}.")
    return hi, np.array(low).reshape(a.shape)


def _each(function: Any, a: Matrix) -> Matrix:
    flat = np.empty(a.size, dtype=object)
    flat[:] = [function(value) for value in a.ravel()]
    return flat.reshape(a.shape)


def _sigma(a: np.ndarray) -> np.ndarray:
    z = np.exp(-np.abs(a))
    return np.where(a < 0, z, 1) / (1 + z)
