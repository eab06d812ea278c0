"""The registry of laws, how two things agree, and the tally behind the closing table."""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings, target
from hypothesis.internal.conjecture import providers
from hypothesis.stateful import run_state_machine_as_test
from hypothesis.strategies import SearchStrategy

from properties.cases import Case
from properties.oracle import Judged
from properties.subject import Subject

# Besides random values Hypothesis tries constants that it finds in whatever local modules are imported so far. Which
# those are depends on the order of tests, so that the same seed would give other cases from run to run: none are tried.
_NONE_FOUND = providers._local_constants
providers._get_local_constants = lambda: _NONE_FOUND


@dataclass(frozen=True)
class Law:
    """One test of a law.

    Attributes:
        name: its row of the closing table.
        statement: the property in words.
        body: the test, of subject, cell, dtype and plan; of `play` instead of plan where the law is a machine.
        plan: what Hypothesis draws, or None for a law that is a state machine over calls.
        needs: what a subject must be able to do for it.
        seen_in: issues of public projects that it would have caught.
        cells: what it speaks of.
        share: its part of a profile's examples, less for dear cases.
    """

    name: str
    statement: str
    body: Callable[..., None]
    plan: SearchStrategy | None
    needs: tuple[str, ...]
    seen_in: tuple[str, ...]
    cells: tuple[str, ...]
    share: float

    def run(self, subject: Subject, cell: str, dtype: str, how: settings | None = None) -> None:
        """Runs the test with so many examples as its share of the settings (by default the profile's) is.

        Raises:
            AssertionError: the subject breaks the law; a sentence says how, and on which case.
        """
        __tracebackhide__ = True
        try:
            self._run(subject, cell, dtype, settings.default if how is None else how)
        except BaseExceptionGroup as several:  # of several failures, or of a subject that fails only the first time
            broken = [error for error in several.exceptions if isinstance(error, AssertionError)]
            if not broken:
                raise
            raise AssertionError(str(broken[0])) from several

    def _run(self, subject: Subject, cell: str, dtype: str, how: settings) -> None:
        how = settings(how, max_examples=max(1, round(self.share * how.max_examples)), stateful_step_count=STEPS)
        if self.plan is not None:
            how(given(plan=self.plan)(self.body))(subject=subject, cell=cell, dtype=dtype)
        else:
            self.body(subject, cell, dtype, functools.partial(run_state_machine_as_test, settings=how))


STEPS = 12
"""Calls in one run of a law that is a state machine."""

REGISTRY: dict[str, list[Law]] = {}
"""Every law that was read, by name: `registry` reads them all."""


def registry() -> dict[str, list[Law]]:
    """All laws of this folder by name; a law registers itself when its file is read."""
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"properties.{file.stem}")
    return REGISTRY


@dataclass
class Tally:
    """Cases and the worst fraction of a bound in the running test, and in its present case; a digest of all cases."""

    cases: int = 0
    worst: float | None = None
    here: float = 0.0
    digest: str = ""

    def reset(self) -> None:
        """A new test begins."""
        self.cases, self.worst, self.digest = 0, None, ""

    def see(self, fraction: float) -> None:
        """Notes a fraction of a bound."""
        self.here = max(self.here, float(fraction))
        self.worst = max(self.worst or 0.0, self.here)

    @contextmanager
    def case(self, plan: Any = None) -> Iterator[None]:
        """One more case; the profile "deep" climbs towards those that take most of their bound."""
        self.cases, self.here = self.cases + 1, 0.0
        self.digest = hashlib.sha256(f"{self.digest}{plan!r}".encode()).hexdigest()
        yield
        if self.here and Phase.target in settings.default.phases:
            target(self.here, label="fraction of the bound")


TALLY = Tally()


def law(
    name: str,
    plan: SearchStrategy | None,
    needs: tuple[str, ...] = (),
    seen_in: tuple[str, ...] = (),
    cells: tuple[str, ...] = ("rnn", "lstm"),
    share: float = 1.0,
) -> Callable:
    """Marks a test as a law; the arguments are those of `Law`.

    A test of subject, cell, dtype and plan is one case. A law without a plan is a state machine: its test takes `play`,
    hands it a function that makes a machine, and counts its own cases by `TALLY.case()`.
    """

    def wrap(body: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(body)
        def counted(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            with TALLY.case(kwargs["plan"]):
                body(*args, **kwargs)

        whole = body if plan is None else counted
        found = Law(name, (body.__doc__ or "").strip(), whole, plan, tuple(needs), tuple(seen_in), tuple(cells), share)
        REGISTRY.setdefault(name, []).append(found)

        def test(subject: Subject, cell: str, dtype: str) -> None:
            __tracebackhide__ = True
            found.run(subject, cell, dtype)

        test.__name__, test.__doc__, test.__module__ = body.__name__, body.__doc__, body.__module__
        test.__qualname__, test.law = body.__qualname__, found
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


def all_same_bits(
    subject: Subject, case: Case, got: dict[str, np.ndarray], wanted: dict[str, np.ndarray], of: str = ""
) -> None:
    """Each array holds the bits of the one wanted under its name; `of` says, after the name, which call's it is."""
    __tracebackhide__ = True  # what went wrong is in the sentence
    for name, array in got.items():
        same_bits(subject, case, f"{name} {of}".strip(), array, wanted[name])


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
