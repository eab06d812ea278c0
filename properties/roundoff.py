"""Bounds for a subject that does not compute in its dtype throughout: products of bfloat16's factors, a coarse tanh.

One unit roundoff for all rules would be wrong both ways: 2^-7, which bfloat16's products need, lets every sum and slope
be off by as much, so that four bits lost from every factor break no bound of a gradient, and makes bounds of large
inputs overflow. So a subject may have an attribute `products`, or `activation_error`, not both; within `granted` the
referee sits in the subject's own process and grants products, or sigma and tanh, that, and all else the dtype's own
roundoff. Laws that compare bits grant nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from numbers import Real
from typing import Any, NamedTuple

from properties import cases, oracle
from properties.arithmetic import Carried, Value


class Products(NamedTuple):
    """How products of matrices are formed.

    Attributes:
        factors: how far a product of two numbers may be off, relative to it, by how its factors are rounded.
        sums: the unit roundoff of sums of products.
    """

    factors: float
    sums: float


class Rounded(Carried):
    """Carried with such products.

    Args:
        products: how they are formed.
        others: as Carried has them.
    """

    def __init__(self, products: Products, u: float, eta: float, alpha: float = 0.0) -> None:
        super().__init__(u, eta, alpha)
        self.factors, self.of_sums = products.factors, Carried(products.sums, eta)

    def affine(self, factors: list[tuple[Value, Value]], terms: list[Value]) -> Value:
        """Products off by d, |p| (1 + d) at most, and their sum: d of it before the sum rounds, which adds gamma_n."""
        n = sum(a.shape[1] for a, _ in factors) + len(terms)
        v, e = self.of_sums.affine(factors, terms)
        size = sum(a.size @ b.size for a, b in factors)
        return Value(v, e + self.factors * (1 + self.of_sums.gamma(n)) * size)

    def outer(self, a: Value, b: Value) -> Value:
        """As of any other subject: torch's own products form the gradients of weights, in the dtype.

        Second derivatives go through `affine` and are granted more; no subject with such products declares them.
        """
        return super().affine([(self.transpose(a), b)], [])


class Coarse(Carried):
    """Carried whose tanh of float32 may be off by more, and its sigma by half as much, since it may be made of a tanh.

    Args:
        error: how far tanh(a) may be off, relative to it; so (1 + tanh(a / 2)) / 2 is off by error / 2 at most, and by
            u where its sum rounds.
        others: as Carried has them. Of float64 nothing more is granted.
    """

    def __init__(self, error: float, u: float, eta: float, alpha: float = 0.0) -> None:
        super().__init__(u, eta, alpha)
        self.error = error if u == FLOAT32 else 0.0

    def sigma(self, a: Value) -> Value:
        """See Carried."""
        found = super().sigma(a)
        return Value(found.v, found.e + (self.error / 2 + self.u if self.error else 0.0))

    def tanh(self, a: Value) -> Value:
        """See Carried."""
        found = super().tanh(a)
        return Value(found.v, found.e + self.error * found.size)


FLOAT32 = 2.0**-24
"""Its unit roundoff."""

COARSEST = 2.0**-16
"""The most that a subject may declare: cuDNN's (on_card.py)."""


@contextmanager
def granted(subject: Any) -> Iterator[None]:
    """Within it the referee grants what a subject's `products` or `activation_error` declares; else nothing changes."""
    kind, declared = declared_by(subject)
    if declared is None:
        yield
        return
    kept = oracle.Carried, cases.answer
    oracle.Carried, cases.answer = partial(kind, declared), answers(declared)
    try:
        yield
    finally:
        oracle.Carried, cases.answer = kept


def declared_by(subject: Any) -> tuple[Any, Products | float | None]:
    """The arithmetic that grants what a subject declares, and that; None where it declares neither.

    Raises:
        ValueError: its `activation_error` is no number from 0 to COARSEST, or it declares both.
    """
    products, error = (getattr(subject, name, None) for name in ("products", "activation_error"))
    if error is not None and not (isinstance(error, Real) and 0 <= error <= COARSEST):
        raise ValueError(f"`activation_error` of {subject.name} must be from 0 to {COARSEST:.2g}; got {error!r}.")
    if products is not None and error is not None:
        raise ValueError(
            f"`activation_error` and `products` of {subject.name} must not be declared both, since nothing grants them "
            f"together; got {error!r} and {products!r}."
        )
    return (Coarse, error) if products is None else (Rounded, products)


@lru_cache
def answers(declared: Products | float) -> Callable[[bytes], Any]:
    """What the referee says of subjects that declare this, apart from what it says of others."""
    return cases.answers(1 << 12)
