"""The referee's two arithmetics: balls at 200 bits, and float64 that carries a bound of a correct subject's error.

Both offer the same operations on matrices of shape (rows, columns), so that `oracle.py` states each formula once:

    numbers   constant  setting  affine  product  outer  total  add  sub  difference  mul  div  one_minus
              sigma  tanh  tanh_back  relu  relu_back  exp  log  sqrt  either
    places    select  concatenate  columns  rows  transpose  stack  reshape  scatter

`Dual` makes of either a third, of values and their derivatives along one direction, with what a cell needs.

Notation of the bounds: u is the subject's unit roundoff, gamma_n = n u / (1 - n u), (v, e) a value and the bound of a
correct subject's error in it, whatever order it sums in. Source: Higham, Accuracy and Stability of Numerical Algorithms
(2002), sections 3.1 (inner products) and 3.3 (running error analysis); balls: Johansson 2017 (Arb).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import prod
from typing import Any, NamedTuple

import numpy as np
from flint import arb, arb_mat, ctx

BITS = 200
Matrix = Any  # an object array of balls, or a Value


class Arithmetic:
    """What moves numbers without changing them, alike in both arithmetics; `places` says how."""

    def places(self, function: Callable[..., np.ndarray], *matrices: Matrix) -> Matrix:
        """`function` of NumPy arrays, applied to whatever arrays the matrices are made of."""
        raise NotImplementedError

    def constant(self, a: np.ndarray) -> Matrix:
        """An input, which the subject holds exactly."""
        raise NotImplementedError

    def outer(self, a: Matrix, b: Matrix) -> Matrix:
        """The sum over n rows of the outer products of a (n, m) and b (n, k): a gradient of weights, (m, k)."""
        return self.product(self.transpose(a), b)

    def tanh_back(self, d: Matrix, t: Matrix) -> Matrix:
        """d times the slope of tanh where it gave t."""
        return self.mul(d, self.one_minus(self.mul(t, t)))

    def select(self, rows: np.ndarray, a: Matrix, b: Matrix) -> Matrix:
        """Row by row, a where `rows` (m,) holds and b elsewhere."""
        return self.places(lambda x, y: np.where(rows[:, None], x, y), a, b)

    def concatenate(self, parts: list[Matrix], axis: int) -> Matrix:
        """The parts side by side."""
        return self.places(lambda *arrays: np.concatenate(arrays, axis), *parts)

    def columns(self, a: Matrix, part: slice) -> Matrix:
        """Some columns of a."""
        return self.places(lambda x: x[:, part], a)

    def rows(self, a: Matrix, n: int) -> Matrix:
        """a (k,) as each of n rows: (n, k)."""
        return self.places(lambda x: np.broadcast_to(x, (n, *x.shape)), a)

    def transpose(self, a: Matrix) -> Matrix:
        """a with rows and columns exchanged."""
        return self.places(lambda x: x.T, a)

    def stack(self, parts: list[Matrix]) -> Matrix:
        """The parts along a new first axis."""
        return self.places(lambda *arrays: np.stack(arrays), *parts)

    def reshape(self, a: Matrix, shape: tuple[int, ...]) -> Matrix:
        """The same numbers in another shape."""
        return self.places(lambda x: x.reshape(shape), a)

    def scatter(self, a: Matrix, on: np.ndarray) -> Matrix:
        """The rows of a (m, n) where `on` (m of it true) holds, and zero elsewhere: (*on.shape, n)."""

        def put(rows: np.ndarray, whole: np.ndarray) -> np.ndarray:
            whole[on] = rows
            return whole

        return self.places(put, a, self.constant(np.zeros((*on.shape, a.shape[1]))))


class Balls(Arithmetic):
    """Ball arithmetic: object arrays of `arb`, each a proven enclosure of the exact value."""

    def places(self, function: Callable[..., np.ndarray], *matrices: np.ndarray) -> np.ndarray:
        """See Arithmetic."""
        return function(*matrices)

    def constant(self, a: np.ndarray) -> np.ndarray:
        """The exact value of a float array."""
        ctx.prec = BITS
        return _objects(map(arb, np.asarray(a, dtype=np.float64).ravel().tolist()), np.shape(a))

    def setting(self, formula: Callable[[Arithmetic], np.ndarray]) -> np.ndarray:
        """A number (1,) that depends on settings alone, by a formula over an arithmetic."""
        return formula(self)

    def product(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a (m, n) times b (n, k)."""
        if 0 in a.shape or 0 in b.shape:
            return self.constant(np.zeros((a.shape[0], b.shape[1])))
        c = arb_mat(*a.shape, a.ravel().tolist()) * arb_mat(*b.shape, b.ravel().tolist())
        return _objects(c.entries(), (a.shape[0], b.shape[1]))

    def affine(self, factors: list[tuple[np.ndarray, np.ndarray]], terms: list[np.ndarray]) -> np.ndarray:
        """The sum of all products a @ b and of all terms, rounded by a subject in any order."""
        return reduce(np.add, [self.product(a, b) for a, b in factors] + terms)

    def total(self, a: np.ndarray) -> np.ndarray:
        """The sum over rows: (m, n) gives (n,)."""
        return a.sum(0) if len(a) else self.constant(np.zeros(a.shape[1]))

    def add(self, *terms: np.ndarray) -> np.ndarray:
        """The sum of the terms."""
        return reduce(np.add, terms)

    def sub(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a - b, in a sum of more terms perhaps."""
        return a - b

    def difference(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """a - b, which every subject subtracts as such."""
        return a - b

    def mul(self, *factors: np.ndarray) -> np.ndarray:
        """The elementwise product of the factors."""
        return reduce(np.multiply, factors)

    def div(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The elementwise quotient."""
        return a / b

    def one_minus(self, a: np.ndarray) -> np.ndarray:
        """1 - a."""
        return 1 - a

    def sigma(self, a: np.ndarray) -> np.ndarray:
        """The logistic function."""
        return _each(lambda v: 1 / (1 + (-v).exp()), a)

    def tanh(self, a: np.ndarray) -> np.ndarray:
        """The hyperbolic tangent."""
        return _each(arb.tanh, a)

    def relu(self, a: np.ndarray) -> np.ndarray:
        """max(a, 0)."""
        return _each(lambda v: v.max(0), a)

    def relu_back(self, d: np.ndarray, pre: np.ndarray) -> np.ndarray:
        """d times the slope of relu at `pre`: 1 above zero, 0 elsewhere, at zero too."""
        return np.where(_objects(map(_positive, pre.ravel().tolist()), pre.shape).astype(bool), d, arb(0))

    def exp(self, a: np.ndarray) -> np.ndarray:
        """The exponential."""
        return _each(arb.exp, a)

    def log(self, a: np.ndarray) -> np.ndarray:
        """The natural logarithm."""
        return _each(arb.log, a)

    def sqrt(self, a: np.ndarray) -> np.ndarray:
        """The square root."""
        return _each(arb.sqrt, a)

    def either(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Two ways to the same exact value: the first."""
        if not all(x.overlaps(y) for x, y in zip(a.ravel(), b.ravel(), strict=True)):
            raise ArithmeticError("the referee needs two ways to one value; got values that differ.")
        return a


class Value(NamedTuple):
    """A float64 value and the bound of a correct subject's error in it, arrays of one shape."""

    v: np.ndarray
    e: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of both arrays."""
        return self.v.shape

    @property
    def size(self) -> np.ndarray:
        """|v| + e, the largest magnitude that a correct subject may hold."""
        return np.abs(self.v) + self.e


class Carried(Arithmetic):
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

    def places(self, function: Callable[..., np.ndarray], *matrices: Value) -> Value:
        """See Arithmetic."""
        return Value(*(function(*arrays) for arrays in zip(*matrices, strict=True)))

    def constant(self, a: np.ndarray) -> Value:
        """An input, which the subject holds exactly."""
        a = np.asarray(a, dtype=np.float64)
        return Value(a, np.zeros_like(a))

    def setting(self, formula: Callable[[Arithmetic], Value]) -> Value:
        """A number (1,) that depends on settings alone: worked out in double precision, then rounded once to u."""
        double = np.finfo(np.float64)
        number = formula(Carried(float(double.eps) / 2, float(double.tiny)))
        return Value(number.v, number.e + self.gamma(1) * number.size)

    def product(self, a: Value, b: Value) -> Value:
        """a (m, n) times b (n, k): an inner product of n terms, each of two factors."""
        return self.affine([(a, b)], [])

    def affine(self, factors: list[tuple[Value, Value]], terms: list[Value]) -> Value:
        """The sum of all products a @ b and all terms, n terms in all.

        Each product hands on its factors' errors, |a| e_b + e_a |b| + e_a e_b; rounding adds gamma_n times the sum of
        the terms' largest magnitudes (Higham 3.5: n products and n - 1 sums give gamma_n in any order). Underflow to
        zero loses less than eta a time, n times at most: a sum underflows only if both its parts are not zero.
        """
        n = sum(a.shape[1] for a, _ in factors) + len(terms)
        v = sum(a.v @ b.v for a, b in factors) + sum(t.v for t in terms)
        carried = sum(np.abs(a.v) @ b.e + a.e @ b.size for a, b in factors) + sum(t.e for t in terms)
        m = sum(a.size @ b.size for a, b in factors) + sum(t.size for t in terms)
        return Value(v, carried + self.gamma(n) * m + n * self.eta)

    def total(self, a: Value) -> Value:
        """The sum over rows, m terms: their errors, gamma_{m-1} times the sum of magnitudes, m - 1 underflows."""
        n = max(len(a.v) - 1, 0)
        return Value(a.v.sum(0), a.e.sum(0) + self.gamma(n) * a.size.sum(0) + n * self.eta)

    def add(self, *terms: Value) -> Value:
        """The sum of the terms, by the rule of `total`."""
        m, n = sum(t.size for t in terms), len(terms) - 1
        return Value(sum(t.v for t in terms), sum(t.e for t in terms) + self.gamma(n) * m + n * self.eta)

    def sub(self, a: Value, b: Value) -> Value:
        """a - b, a sum of two terms."""
        return self.add(a, Value(-b.v, b.e))

    def difference(self, a: Value, b: Value) -> Value:
        """a - b in one rounding, which is relative to the result: 1 - beta has no error of the size of 1."""
        v, carried = a.v - b.v, a.e + b.e
        return Value(v, carried + self.gamma(1) * (np.abs(v) + carried))

    def mul(self, *factors: Value) -> Value:
        """The elementwise product, by the rule of two factors, repeated: one rounding each.

        A subject may take them in any order where no partial product underflows; here eta is granted in ours alone.
        """
        return reduce(self._mul, factors)

    def _mul(self, a: Value, b: Value) -> Value:
        carried = np.abs(a.v) * b.e + a.e * b.size
        return Value(a.v * b.v, carried + self.gamma(1) * a.size * b.size + self.eta)

    def div(self, a: Value, b: Value) -> Value:
        """The elementwise quotient q: (a + e_a) / (b + e_b) - q = (e_a - q e_b) / (b + e_b), then one rounding.

        No error is too large where a divisor may be zero.
        """
        q = a.v / b.v
        carried = _over(a.e + np.abs(q) * b.e, np.abs(b.v) - b.e)
        return Value(q, carried + self.gamma(1) * (np.abs(q) + carried) + self.eta)

    def one_minus(self, a: Value) -> Value:
        """1 - a, a sum of two terms."""
        return self.sub(self.constant(np.ones_like(a.v)), a)

    def sigma(self, a: Value) -> Value:
        """The logistic function: its largest slope within a +- e_a times e_a, then its own error.

        It lies in [0, 1], so no error of the argument moves it by more than 1.
        """
        nearest = np.maximum(np.abs(a.v) - a.e, 0)
        moved = np.minimum(_sigma(nearest) * _sigma(-nearest) * a.e, 1)
        return self._function(_sigma(a.v), moved, self.alpha)

    def tanh(self, a: Value) -> Value:
        """The hyperbolic tangent, by the same rule; it lies in [-1, 1]."""
        nearest = np.maximum(np.abs(a.v) - a.e, 0)
        moved = np.minimum(a.e / np.cosh(np.minimum(nearest, 300)) ** 2, 2)
        return self._function(np.tanh(a.v), moved, self.alpha)

    def tanh_back(self, d: Value, t: Value) -> Value:
        """d times the slope of tanh where it gave t, by d (1 - t t), d (1 - t) (1 + t) or (d + d t) (1 - t).

        The errors of d and t move all three alike, t's by e_t (2 |t| + e_t). The second rounds four times, relative to
        the result; the third three times, and d t once before it meets d, which costs u |d t| |1 - t|.
        """
        one = super().tanh_back(d, t)
        moved = t.e * (2 * np.abs(t.v) + t.e)
        slope = np.abs(1 - t.v * t.v) + moved
        before = self.gamma(4) * t.size * (np.abs(1 - t.v) + t.e) / 4
        carried = np.abs(d.v) * moved + d.e * slope
        other = carried + d.size * (self.gamma(4) * slope + before) + self.eta * (3 + 2 * t.size)
        return Value(one.v, np.maximum(one.e, other))

    def relu(self, a: Value) -> Value:
        """max(a, 0) hands the error on, and none where every correct subject is below zero.

        That is where v < -2e: the exact value lies within e of v, and a subject's within e of the exact one.
        """
        return Value(np.maximum(a.v, 0), np.where(a.v < -2 * a.e, 0, a.e))

    def relu_back(self, d: Value, pre: Value) -> Value:
        """d times the slope of relu at `pre`: where its side of zero is certain, d's error times the slope.

        Elsewhere a correct subject may find itself on the other side and so be off by its whole d, |d| + e_d. That
        includes sums of exact zeros, whose error is eta.
        """
        certain, slope = (np.abs(pre.v) > 2 * pre.e) | (pre.e == 0), pre.v > 0
        return Value(np.where(slope, d.v, 0), np.where(certain, np.where(slope, d.e, 0), d.size))

    def exp(self, a: Value) -> Value:
        """The exponential, by the same rule: its largest slope is exp(a + e_a)."""
        return self._function(np.exp(a.v), np.exp(a.v + a.e) * a.e)

    def log(self, a: Value) -> Value:
        """The natural logarithm, by the same rule: its largest slope is 1 / (a - e_a), infinite down to 0."""
        return self._function(np.log(a.v), _over(a.e, a.v - a.e))

    def sqrt(self, a: Value) -> Value:
        """The square root r of a number that no subject lets fall below zero, then one rounding.

        Within a +- e_a the largest change lies below: r - sqrt(a - e_a) = e_a / (r + sqrt(a - e_a)); where a - e_a is
        not above zero, no change exceeds sqrt(e_a).
        """
        r, below = np.sqrt(a.v), np.sqrt(np.maximum(a.v - a.e, 0))
        carried = np.where(below > 0, a.e / np.where(below > 0, r + below, 1), np.sqrt(a.e))
        return Value(r, carried + self.gamma(1) * (r + carried))

    def _function(self, s: np.ndarray, carried: np.ndarray, alpha: float = 0.0) -> Value:
        return Value(s, carried + self.rho * (np.abs(s) + carried) + alpha + self.eta)

    def either(self, a: Value, b: Value) -> Value:
        """Two ways to the same exact value, both correct: the larger error of the two."""
        return Value(a.v, np.maximum(a.e, b.e))


class Pair(NamedTuple):
    """A value and its derivative along one direction, matrices of one arithmetic and shape."""

    value: Matrix
    slope: Matrix

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of both matrices."""
        return self.value.shape


class Dual(Arithmetic):
    """Values and their derivatives along one direction, in another arithmetic: what a cell and its backward need.

    The second derivative of relu is zero: its slope jumps at zero only, where it counts as constant too.

    Source: Griewank, Walther, Evaluating Derivatives (2008), section 3.1 (tangents).
    """

    def __init__(self, inner: Arithmetic) -> None:
        self.inner = inner

    def places(self, function: Callable[..., np.ndarray], *matrices: Pair) -> Pair:
        """See Arithmetic."""
        return Pair(*(self.inner.places(function, *parts) for parts in zip(*matrices, strict=True)))

    def constant(self, a: np.ndarray) -> Pair:
        """An input that does not move."""
        return self.moving(a, np.zeros(np.shape(a)))

    def moving(self, a: np.ndarray, direction: np.ndarray) -> Pair:
        """An input that moves in a direction of its shape."""
        return Pair(self.inner.constant(a), self.inner.constant(direction))

    def affine(self, factors: list[tuple[Pair, Pair]], terms: list[Pair]) -> Pair:
        """The sum of all products and terms; its derivative is one sum of twice as many products."""
        value = self.inner.affine([(a.value, b.value) for a, b in factors], [t.value for t in terms])
        products = [product for a, b in factors for product in ((a.slope, b.value), (a.value, b.slope))]
        return Pair(value, self.inner.affine(products, [t.slope for t in terms]))

    def product(self, a: Pair, b: Pair) -> Pair:
        """a (m, n) times b (n, k)."""
        return self.affine([(a, b)], [])

    def total(self, a: Pair) -> Pair:
        """The sum over rows."""
        return Pair(self.inner.total(a.value), self.inner.total(a.slope))

    def add(self, *terms: Pair) -> Pair:
        """The sum of the terms."""
        return Pair(*(self.inner.add(*parts) for parts in zip(*terms, strict=True)))

    def sub(self, a: Pair, b: Pair) -> Pair:
        """a - b."""
        return Pair(*(self.inner.sub(*parts) for parts in zip(a, b, strict=True)))

    def mul(self, *factors: Pair) -> Pair:
        """The elementwise product, by the rule of two factors, repeated."""
        return reduce(self._mul, factors)

    def _mul(self, a: Pair, b: Pair) -> Pair:
        k = self.inner
        return Pair(k.mul(a.value, b.value), k.add(k.mul(a.slope, b.value), k.mul(a.value, b.slope)))

    def one_minus(self, a: Pair) -> Pair:
        """1 - a."""
        zero = self.inner.constant(np.zeros(a.shape))
        return Pair(self.inner.one_minus(a.value), self.inner.sub(zero, a.slope))

    def sigma(self, a: Pair) -> Pair:
        """The logistic function s, whose slope is s (1 - s)."""
        s = self.inner.sigma(a.value)
        return Pair(s, self.inner.mul(a.slope, s, self.inner.one_minus(s)))

    def tanh(self, a: Pair) -> Pair:
        """The hyperbolic tangent t, whose slope is 1 - t t."""
        t = self.inner.tanh(a.value)
        return Pair(t, self.inner.mul(a.slope, self.inner.one_minus(self.inner.mul(t, t))))

    def relu(self, a: Pair) -> Pair:
        """max(a, 0)."""
        return Pair(self.inner.relu(a.value), self.inner.relu_back(a.slope, a.value))

    def relu_back(self, d: Pair, pre: Pair) -> Pair:
        """d times the slope of relu at `pre`, which is constant."""
        return Pair(*(self.inner.relu_back(part, pre.value) for part in d))


def double_double(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Balls as hi + lo, the midpoints to 106 bits, far beyond any subject; and their radii. Float64 arrays."""
    balls = a.ravel().tolist()
    hi = [float(ball.mid()) for ball in balls]
    lo = [float((ball - arb(h)).mid()) for ball, h in zip(balls, hi, strict=True)]
    radii = [float(ball.rad()) for ball in balls]
    return tuple(np.array(part, dtype=np.float64).reshape(a.shape) for part in (hi, lo, radii))


def _objects(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    flat = np.empty(prod(shape), dtype=object)
    flat[:] = list(values)
    return flat.reshape(shape)


def _each(function: Callable[[arb], arb], a: np.ndarray) -> np.ndarray:
    return _objects(map(function, a.ravel().tolist()), a.shape)


def _sigma(a: np.ndarray) -> np.ndarray:
    z = np.exp(-np.abs(a))
    return np.where(a < 0, z, 1) / (1 + z)


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """top / bottom, infinite where bottom is not above zero."""
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1), np.inf)


def _positive(ball: arb) -> bool:
    if not (ball > 0 or ball <= 0):
        raise ArithmeticError(f"the referee needs a side of zero for the slope of relu; got the ball {ball}.")
    return bool(ball > 0)
