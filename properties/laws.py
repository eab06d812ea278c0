"""The registry of laws, how two things agree, and the tally behind the closing table."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings, target
from hypothesis.strategies import SearchStrategy

from properties.cases import Case
from properties.oracle import Judged
from properties.subject import Subject


@dataclass(frozen=True)
class Law:
    """One test of a law: its name in the table, the property in words, what a subject must be able to do for it."""

    name: str
    statement: str
    body: Callable[..., None]
    plan: SearchStrategy
    needs: tuple[str, ...]
    seen_in: tuple[str, ...]


REGISTRY: dict[str, list[Law]] = {}
"""Every law that was read, by name: `registry` reads them all."""


def registry() -> dict[str, list[Law]]:
    """All laws of this folder by name; a law registers itself when its file is read."""
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"properties.{file.stem}")
    return REGISTRY


@dataclass
class Tally:
    """Cases and the worst fraction of a bound in the running test, and in its present case."""

    cases: int = 0
    worst: float | None = None
    here: float = 0.0

    def reset(self) -> None:
        """A new test begins."""
        self.cases, self.worst = 0, None

    def see(self, fraction: float) -> None:
        """Notes a fraction of a bound."""
        self.here = max(self.here, float(fraction))
        self.worst = max(self.worst or 0.0, self.here)

    @contextmanager
    def case(self) -> Iterator[None]:
        """One more case; the profile "deep" climbs towards those that take most of their bound."""
        self.cases, self.here = self.cases + 1, 0.0
        yield
        if self.here and Phase.target in settings.default.phases:
            target(self.here, label="fraction of the bound")


TALLY = Tally()


def law(name: str, plan: SearchStrategy, needs: tuple[str, ...] = (), seen_in: tuple[str, ...] = ()) -> Callable:
    """Marks a test as a law.

    Args:
        name: its row of the closing table; several tests may share one.
        plan: what Hypothesis draws and hands to the test as `plan`.
        needs: capabilities without which a subject is not asked.
        seen_in: issues of public projects that this law would have caught.
    """

    def wrap(body: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(body)
        def counted(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            with TALLY.case():
                body(*args, **kwargs)

        found = Law(name, (body.__doc__ or "").strip(), counted, plan, tuple(needs), tuple(seen_in))
        REGISTRY.setdefault(name, []).append(found)
        test = given(plan=plan)(counted)
        test.law = found
        return test

    return wrap


def agree(subject: Subject, case: Case, got: dict[str, np.ndarray], judged: dict[str, Judged]) -> None:
    """Each array is the exact one within the bound that the referee derives for a correct implementation.

    Raises:
        AssertionError: one is not; a sentence with law, place, value, bound, sizes and dtype.
    """
    __tracebackhide__ = True  # what went wrong is in the sentence
    for name, array in got.items():
        fraction, place = judged[name].fraction(np.asarray(array))
        TALLY.see(fraction)
        if not fraction <= 1:
            raise AssertionError(_sentence(subject, case, name, np.asarray(array), judged[name], fraction, place))


def same_bits(subject: Subject, case: Case, name: str, got: np.ndarray, wanted: np.ndarray) -> None:
    """Two arrays hold the same bits: -0 is not 0, but one NaN is as good as another."""
    __tracebackhide__ = True  # what went wrong is in the sentence
    got, wanted = np.asarray(got), np.asarray(wanted)
    at, of = f"{subject.name}: {name}", f"{case.cell} {case.dtype}, {case.plan}"
    if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
        raise AssertionError(f"{at} must be {wanted.dtype} {wanted.shape}; got {got.dtype} {got.shape}. {of}")
    same = ((got == wanted) & (np.signbit(got) == np.signbit(wanted))) | (np.isnan(got) & np.isnan(wanted))
    if not same.all():
        place = tuple(int(n) for n in np.argwhere(~same)[0])
        raise AssertionError(f"{at}{list(place)} must be {wanted[place]!s}, to the bit; got {got[place]!s}. {of}")


def require(subject: Subject, case: Case, holds: bool, sentence: str) -> None:
    """A law's other conditions; `sentence` says what must hold and what came."""
    __tracebackhide__ = True  # what went wrong is in the sentence
    if not holds:
        raise AssertionError(f"{subject.name}: {sentence} {case.cell} {case.dtype}, {case.plan}")


def _sentence(subject: Any, case: Case, name: str, got: np.ndarray, judged: Judged, fraction: float, place: Any) -> str:
    at = f"{subject.name}: {name}"
    if got.shape != judged.hi.shape:
        return f"{at} must have shape {judged.hi.shape}; got {got.shape}. {case.cell} {case.dtype}, {case.plan}"
    return (
        f"{at}{list(place)} is {got[place]!s}, must be {judged.hi[place]:.17g} within {judged.bound[place]:.2g}: "
        f"off by {fraction:.3g} bounds. {case.cell} {case.dtype}, {case.plan}"
    )
