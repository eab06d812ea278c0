"""The registry of laws, how two things agree, and the tally behind the closing table."""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import Phase, currently_in_test_context, given, settings, target
from hypothesis.internal.conjecture import providers
from hypothesis.stateful import run_state_machine_as_test
from hypothesis.strategies import SearchStrategy

from properties.cases import GRADIENTS, Case, Plan, part_of, pooled
from properties.oracle import Judged
from properties.reduce import smallest
from properties.subject import CAPABILITIES, Subject

# Besides random values Hypothesis tries constants that it finds in whatever local modules are imported so far. Which
# those are depends on the order of tests, so that the same seed would give other cases from run to run: none are tried.
_NONE_FOUND = providers._local_constants
providers._get_local_constants = lambda: _NONE_FOUND


class Guard:
    """Where a subject's cases are run, if not in this process or not unguarded: see properties/guard.py.

    It says of its subject what laws ask: name, version, cells, dtypes, capabilities, pooled, share, alpha.
    """

    def case(self, law: Law, cell: str, dtype: str, plan: Plan) -> float | None:
        """Runs a case of a law; the worst fraction of a bound in it."""
        raise NotImplementedError

    def open(self, law: Law, cell: str, dtype: str) -> Any:
        """A player of a law that is a state machine."""
        raise NotImplementedError


class Broken(AssertionError):
    """A law does not hold: a sentence that says what is wrong, where and in which case.

    Attributes:
        kind: "value" (outside the bound), "bits", "condition", "raised" (the subject did), "died" (its process did).
        name, place, got, wanted, bound: of an array's entry that is wrong, where it is that.
        law: the law that it breaks, where that is not the one whose case it was.
        plan: the case.
    """

    kind, name, place, law, plan = "condition", "", None, "", None
    got = wanted = bound = None

    def __init__(self, sentence: str, **facts: Any) -> None:
        super().__init__(sentence)
        self.facts = facts
        for name, value in facts.items():
            setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels from a subject's process."""
        return _broken, (str(self), self.facts)


def _broken(sentence: str, facts: dict[str, Any]) -> Broken:
    return Broken(sentence, **facts)


class NotRun(Exception):
    """A law was not judged, and why: the subject's process was lost too often."""


class Failed(RuntimeError):
    """The suite's own lines raised something in a subject's process; what, with its traceback."""


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
        player: of a machine, what makes the calls: a class of subject, cell and dtype.
        number: its place among the tests of this law.
    """

    name: str
    statement: str
    body: Callable[..., None]
    plan: SearchStrategy | None
    needs: tuple[str, ...]
    seen_in: tuple[str, ...]
    cells: tuple[str, ...]
    share: float
    player: Callable[..., Any] | None
    number: int

    @property
    def test(self) -> str:
        """The name of the test, which is the property in words."""
        return self.body.__name__

    def lacking(self, subject: Any, cell: str) -> list[str]:
        """What a subject would have to declare for this law of this cell, in words."""
        needs = [need for need in self.needs if need != "cell state" or cell == "lstm"]
        return [CAPABILITIES[need] for need in needs if need not in subject.capabilities]

    def run(self, subject: Any, cell: str, dtype: str, how: settings | None = None) -> None:
        """Runs the test with so many examples as its share of the settings (by default the profile's) is.

        Args:
            subject: a Subject, or where one runs (properties.guard.Guard).
        Raises:
            Broken: the subject breaks the law; a sentence says how, and on which case.
        """
        __tracebackhide__ = True
        how = settings.default if how is None else how
        broken = self.judge(subject, cell, dtype, how)
        if broken is not None and isinstance(subject, Guard):
            from properties.check import tell  # which reads this file

            raise Broken(str(tell(subject, self, cell, dtype, broken)), **broken.facts)
        if broken is not None:
            raise broken

    def judge(self, subject: Any, cell: str, dtype: str, how: settings) -> Broken | None:
        """What `run` raises: the first case that breaks the law, made smaller where the settings ask for shrinking."""
        smaller = Phase.shrink in how.phases
        how = settings(
            how, max_examples=max(1, round(self.share * subject.share * how.max_examples)), stateful_step_count=STEPS
        )
        how = settings(how, phases=[phase for phase in how.phases if phase != Phase.shrink])
        broken = (
            self._machine(subject, cell, dtype, how) if self.plan is None else self._hunt(subject, cell, dtype, how)
        )
        if broken is None or not smaller or self.plan is None:
            return broken
        outcome = functools.partial(self.outcome, subject, cell, dtype)
        if broken.kind not in ("bits", "condition") or not self.possible(cell, dtype, broken.plan):
            return smallest(outcome, broken)  # bounds hold in every case; and a twin that is wrong itself tells nothing
        return smallest(outcome, broken, functools.partial(self.possible, cell, dtype))

    def possible(self, cell: str, dtype: str, plan: Plan) -> bool:
        """Whether the NumPy twin, which is correct, keeps the law in a case, if it can be asked."""
        twin = _twin()
        if self.lacking(twin, cell):
            return True
        try:
            twin.case(self, cell, dtype, plan)
        except Exception:
            return False
        return True

    def _hunt(self, subject: Any, cell: str, dtype: str, how: settings) -> Broken | None:
        """The first broken case as it was drawn. Hypothesis runs it again; what came the first time counts."""
        found: list[Broken] = []

        @functools.wraps(self.body)  # Hypothesis derives its seed from the test's own source
        def one(subject: Any, cell: str, dtype: str, plan: Plan) -> None:
            if not found:
                broken = self.outcome(subject, cell, dtype, fit(plan, subject))
                if broken is None:
                    return
                found.append(broken)
            raise found[0]

        try:
            how(given(plan=self.plan)(one))(subject=subject, cell=cell, dtype=dtype)
        except Broken as broken:
            broken.__notes__ = []  # Hypothesis' own: the sentence has the case
            return broken.with_traceback(None)
        return None

    def case(self, subject: Any, cell: str, dtype: str, plan: Plan) -> None:
        """One case, in the subject's own process if it has one."""
        if isinstance(subject, Guard):
            with TALLY.case(plan):
                TALLY.see(subject.case(self, cell, dtype, plan))
        else:
            self.body(subject=subject, cell=cell, dtype=dtype, plan=plan)

    def outcome(self, subject: Any, cell: str, dtype: str, plan: Plan) -> Broken | None:
        """How one case ends."""
        try:
            self.case(subject, cell, dtype, plan)
        except AssertionError as error:
            broken = error if isinstance(error, Broken) else Broken(str(error))
            broken.plan = broken.facts["plan"] = plan
            return broken
        return None

    def _machine(self, subject: Any, cell: str, dtype: str, how: settings) -> Broken | None:
        def play(machine: Callable[..., Any]) -> None:
            run_state_machine_as_test(lambda: machine(subject, self.open(subject, cell, dtype)), settings=how)

        try:
            self.body(subject, cell, dtype, play)
        except AssertionError as error:
            return error if isinstance(error, Broken) else Broken(str(error))
        except BaseExceptionGroup as several:  # of a subject that fails only the first time
            broken = [error for error in several.exceptions if isinstance(error, AssertionError)]
            if not broken:
                raise
            return broken[0] if isinstance(broken[0], Broken) else Broken(str(broken[0]))
        return None

    def open(self, subject: Any, cell: str, dtype: str) -> Any:
        """A player of a machine, in the subject's own process if it has one."""
        return subject.open(self, cell, dtype) if isinstance(subject, Guard) else self.player(subject, cell, dtype)


@functools.cache
def _twin() -> Guard:
    from properties.guard import InProcess  # which reads this file
    from properties.subjects.numpy_twin import subject

    return InProcess(subject)


def fit(plan: Plan, subject: Any) -> Plan:
    """The plan as a subject can take it: of one of a few sizes, of one layer, or without the state of the cell."""
    plan = pooled(plan) if subject.pooled else plan
    plan = replace(plan, L=1) if plan.L > 1 and "layers" not in subject.capabilities else plan
    return plan if "cell state" in subject.capabilities else replace(plan, cell_state=False)


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
        self.cases, self.worst, self.here, self.digest = 0, None, 0.0, ""

    def see(self, fraction: float | None) -> None:
        """Notes a fraction of a bound, if there is one."""
        if fraction is not None:
            self.here = max(self.here, float(fraction))
            self.worst = max(self.worst or 0.0, self.here)

    @contextmanager
    def case(self, plan: Any = None) -> Iterator[None]:
        """One more case; the profile "deep" climbs towards those that take most of their bound."""
        self.cases, self.here = self.cases + 1, 0.0
        self.digest = hashlib.sha256(f"{self.digest}{plan!r}".encode()).hexdigest()
        yield
        if self.here and currently_in_test_context() and Phase.target in settings.default.phases:
            target(self.here, label="fraction of the bound")


TALLY = Tally()


def law(
    name: str,
    plan: SearchStrategy | None,
    needs: tuple[str, ...] = (),
    seen_in: tuple[str, ...] = (),
    cells: tuple[str, ...] = ("rnn", "lstm"),
    share: float = 1.0,
    player: Callable[..., Any] | None = None,
) -> Callable:
    """Marks a test as a law; the arguments are those of `Law`.

    A test of subject, cell, dtype and plan is one case. A law without a plan is a state machine: its test takes `play`,
    and hands it a function that makes a machine of the subject and a player, which makes the calls; the machine counts
    its own cases by `TALLY.case()`.
    """

    def wrap(body: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(body)
        def counted(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            with TALLY.case(kwargs["plan"]):
                body(*args, **kwargs)

        whole, tests = body if plan is None else counted, REGISTRY.setdefault(name, [])
        statement, lists = (body.__doc__ or "").strip(), (tuple(needs), tuple(seen_in), tuple(cells))
        found = Law(name, statement, whole, plan, *lists, share, player, len(tests))
        tests.append(found)

        def test(subject: Any, cell: str, dtype: str) -> None:
            __tracebackhide__ = True
            found.run(subject, cell, dtype)

        test.__name__, test.__doc__, test.__module__ = body.__name__, body.__doc__, body.__module__
        test.__qualname__, test.law = body.__qualname__, found
        return test

    return wrap


def agree(subject: Subject, case: Case, got: dict[str, np.ndarray], judged: dict[str, Judged]) -> None:
    """Each array is the exact one within the bound that the referee derives for a correct implementation.

    Raises:
        Broken: one is not, or one of those judged is not given; a sentence with law, place, value, bound, sizes and
            dtype.
    """
    __tracebackhide__ = True  # what went wrong is in the sentence
    _require_all(subject, case, got, judged)
    for name, array in got.items():
        fraction, place = judged[name].fraction(np.asarray(array))
        TALLY.see(fraction)
        if not fraction <= 1:
            raise _outside(subject, case, name, np.asarray(array), judged[name], fraction, place)


def same_bits(subject: Subject, case: Case, name: str, got: np.ndarray, wanted: np.ndarray) -> None:
    """Two arrays hold the same bits: -0 is not 0, but one NaN is as good as another."""
    __tracebackhide__ = True  # what went wrong is in the sentence
    got, wanted = np.asarray(got), np.asarray(wanted)
    at, of = f"{subject.name}: {name}", f"{case.cell} {case.dtype}, {case.plan}"
    if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
        raise Broken(f"{at} must be {wanted.dtype} {wanted.shape}; got {got.dtype} {got.shape}. {of}", name=name)
    same = ((got == wanted) & (np.signbit(got) == np.signbit(wanted))) | (np.isnan(got) & np.isnan(wanted))
    if not same.all():
        place = tuple(int(n) for n in np.argwhere(~same)[0])
        raise Broken(
            f"{at}{list(place)} must be {wanted[place]!s}, to the bit; got {got[place]!s}. {of}",
            **{"kind": "bits", "name": name, "place": place, "got": float(got[place]), "wanted": float(wanted[place])},
        )


def all_same_bits(
    subject: Subject, case: Case, got: dict[str, np.ndarray], wanted: dict[str, np.ndarray], of: str = ""
) -> None:
    """Each array wanted is given, and holds the same bits; `of` says, after the name, which call's it is."""
    __tracebackhide__ = True  # what went wrong is in the sentence
    _require_all(subject, case, got, wanted, of)
    for name, array in got.items():
        same_bits(subject, case, f"{name} {of}".strip(), array, wanted[name])


def require(subject: Subject, case: Case, holds: bool, sentence: str) -> None:
    """A law's other conditions; `sentence` says what must hold and what came."""
    __tracebackhide__ = True  # what went wrong is in the sentence
    if not holds:
        raise Broken(f"{subject.name}: {sentence} {case.cell} {case.dtype}, {case.plan}")


def share_no_memory(
    subject: Subject, case: Case, found: Iterable[tuple[str, np.ndarray]], given: Iterable[tuple[str, np.ndarray]]
) -> None:
    """No result found shares memory with an argument given, or with another result; each has its name in words."""
    __tracebackhide__ = True  # what went wrong is in the sentence
    others = list(given)
    for name, result in found:
        shared = [other for other, a in others if np.shares_memory(a, result)]
        require(subject, case, not shared, f"{name} shares memory with {' and '.join(shared)}.")
        others.append((name, result))


def _require_all(subject: Subject, case: Case, got: dict[str, Any], wanted: dict[str, Any], of: str = "") -> None:
    """What is wanted is given, but for what a subject may leave out: see `may_leave_out`."""
    __tracebackhide__ = True  # what went wrong is in the sentence
    missing = [name for name in wanted if name not in got and not may_leave_out(subject, name)]
    if missing:
        names = f"{', '.join(missing)} {of}".strip()
        at, rest = f"{subject.name}: {names} must be given", f"{case.cell} {case.dtype}, {case.plan}"
        raise Broken(f"{at}; got {', '.join(got) or 'nothing'} alone. {rest}", name=missing[0])


def may_leave_out(subject: Subject, name: str) -> bool:
    """Whether a subject need not give an array of this name (of a stack with torch's suffix), by what it declares."""
    part, has = part_of(name), subject.capabilities
    return (
        ("cell state" not in has and part in ("cT", "c0"))
        or ("states" not in has and part in ("h_t", "c_t"))
        or ("backward" not in has and part in GRADIENTS)
    )


def _outside(
    subject: Any, case: Case, name: str, got: np.ndarray, judged: Judged, fraction: float, place: Any
) -> Broken:
    at, of = f"{subject.name}: {name}", f"{case.cell} {case.dtype}, {case.plan}"
    if got.shape != judged.hi.shape:
        return Broken(f"{at} must have shape {judged.hi.shape}; got {got.shape}. {of}", name=name)
    wanted, bound = float(judged.hi[place]), float(judged.bound[place])
    return Broken(
        f"{at}{list(place) or ''} is {got[place]!s}, must be {wanted:.17g} within {bound:.2g}: "
        f"off by {fraction:.3g} bounds. {of}",
        **{"kind": "value", "name": name, "place": tuple(map(int, place)), "got": float(got[place])},
        **{"wanted": wanted, "bound": bound},
    )
