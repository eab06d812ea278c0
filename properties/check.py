"""All laws on a subject, without pytest: `check_subject(my_lstm)`, or python -m properties.check path/to/file.py.

A law's verdict on a subject is one of five: it holds, it is broken, the subject cannot run it (and says what it would
have to declare), it was not run (the subject's process was lost too often), or it failed (by an error of the suite's
own, after which the other laws go on). Beside the first two stands how many of
its tests were not run, for want of a declaration, and for which cells if they ran for others. A break is told as a
sentence: the law, the place, what came and what must come, with the smallest input that shows it and, where something
tried explains it, why.
"""

from __future__ import annotations

import argparse
import math
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, settings
from tqdm import tqdm

from properties.laws import TALLY, Broken, Failed, Guard, Law, NotRun, registry
from properties.snippet import Shown, fails, of_plan
from properties.subject import CAPABILITIES

PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
CI = {"derandomize": True, "deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
PROGRAM = 30.0
"""Seconds for a program that shows a break."""

EXAMPLES = 40
"""Of the profile "ci", of which a law runs its share."""


@dataclass(frozen=True)
class Told:
    """A break as it is told.

    Attributes:
        law, test, cell, dtype: what was judged; `law` is the one that is broken.
        sentence: what is wrong, where, and in which case.
        example: cell, dtype and the smallest plan.
        explanation: what would explain it, or "".
        numbers, program: the arguments of the wrong call, and a program that makes it with the plain library; or "".
        place: the wrong entry in the subject's own arrays, or "".
        form: what is wrong with the form of a result, or an exception's type with its place in the subject's own code,
            or else its words, whatever the sizes; or "".
        alone: ALONE where the program is right, and shows nothing; or "".
    """

    law: str
    test: str
    cell: str
    dtype: str
    sentence: str
    example: str
    explanation: str = ""
    numbers: str = ""
    program: str = ""
    place: str = ""
    form: str = ""
    alone: str = ""

    def __str__(self) -> str:
        """All of it but the program."""
        parts = [f"law {self.law!r} is broken ({self.test})", self.sentence]
        parts += [f"in its own arrays: {self.place}"] if self.place else []
        parts += [f"what would explain it: {self.explanation}"] if self.explanation else []
        parts += [self.alone] if self.alone else []
        heading = f"the smallest input that {'showed' if self.alone else 'shows'} it:"
        return "\n".join([*parts, *([heading, self.numbers] if self.numbers else [])])


class Lacking(NamedTuple):
    """A test that was not run, what its subject would have to declare for it, in words, and for which cell."""

    test: str
    words: str
    cell: str = ""


@dataclass
class Verdict:
    """A law on a subject: its cases, the worst fraction of a bound, breaks, tests that ran or lack something, and why.

    Attributes:
        ran: its tests that ran, if only for one of the subject's cells.
        lost: why it was not run, or "".
        failed: the suite's own error that ended it, or "".
    """

    law: str
    cases: int = 0
    worst: float | None = None
    breaks: list[Told] = field(default_factory=list)
    ran: set[str] = field(default_factory=set)
    lacking: list[Lacking] = field(default_factory=list)
    lost: str = ""
    failed: str = ""

    @property
    def word(self) -> str:
        """holds, broken, failed, cannot, or not run."""
        if self.breaks:
            return "broken"
        if self.failed:
            return "failed"
        if self.lost:
            return "not run"
        return "holds" if self.cases else "cannot"

    @property
    def why(self) -> str:
        """A line on a verdict other than "holds"."""
        reasons = {"cannot": self.undeclared if self.lacking else "it has none of the law's cells"}
        broken = self.breaks[0].sentence if self.breaks else ""
        reasons |= {"not run": self.lost, "failed": self.failed, "broken": broken}
        return reasons.get(self.word, "")

    @property
    def undeclared(self) -> str:
        """What it would have to declare."""
        return "it does not declare that it " + "; or that it ".join(dict.fromkeys(one.words for one in self.lacking))

    @property
    def left(self) -> str:
        """How many tests were not run, at all or for some cells, though others were, and what they need; or ""."""
        groups: dict[tuple[str, ...], list[Lacking]] = {}
        for one in self.lacking if self.cases else ():
            groups.setdefault(self.cells_without(one.test), []).append(one)
        return ", ".join(not_run(lacking, cells) for cells, lacking in sorted(groups.items()))

    def cells_without(self, test: str) -> tuple[str, ...]:
        """The cells for which a test was not run; none where it ran for no cell."""
        return tuple(sorted({one.cell for one in self.lacking if one.test == test})) if test in self.ran else ()


def not_run(lacking: Sequence[Lacking], cells: Sequence[str]) -> str:
    """How many tests were not run, for which cells if for some, and the capabilities that they need."""
    tests, words = len({one.test for one in lacking}), {one.words for one in lacking}
    needs = ", ".join(name for name, meaning in CAPABILITIES.items() if meaning in words)
    only = f" for {' and '.join(cells)}" if cells else ""
    return f"{tests} test{'s' * (tests > 1)} not run{only} (not declared: {needs})"


@dataclass
class Checked:
    """All verdicts on a subject; as text, a table and the breaks."""

    name: str
    version: str
    verdicts: list[Verdict]
    printed: int = 0
    alpha: float = 0.0
    """In units of the roundoff, the largest of its dtypes."""

    @property
    def breaks(self) -> list[Told]:
        """Every break, by law."""
        return [told for verdict in self.verdicts for told in verdict.breaks]

    @property
    def holds(self) -> bool:
        """Whether nothing was broken and everything that can be run was."""
        return all(verdict.word in ("holds", "cannot") for verdict in self.verdicts)

    def __str__(self) -> str:
        form = "{:<16}{:<9}{:>7}  {}"
        widened = f", alpha {self.alpha:g} u: so far its sigma and tanh may err" if self.alpha else ""
        lines = [
            f"{self.name} ({self.version}){widened}",
            form.format("law", "verdict", "cases", "worst fraction of the bound"),
        ]
        for v in self.verdicts:
            worst = ", ".join(filter(None, ("" if v.worst is None else f"{v.worst:.3g}", v.left)))
            why = v.why if v.word in ("cannot", "not run", "failed") else worst
            lines.append(form.format(v.law, v.word, v.cases or "", why))
        lines += [f"it printed {self.printed:,} bytes"] if self.printed else []
        return "\n".join([*lines, *(f"\n{words}" for words in once(first_of_each(self.breaks)))])


class Checks(tuple):
    """The verdicts on each subject that one word or object gave: mostly one."""

    @property
    def breaks(self) -> list[Told]:
        """Every break."""
        return [told for checked in self for told in checked.breaks]

    @property
    def holds(self) -> bool:
        """Whether all that can be run holds, on every subject."""
        return all(checked.holds for checked in self)

    def __str__(self) -> str:
        return "\n\n".join(str(checked) for checked in self)


PLAINEST = ("purity", "value", "vjp", "split", "lengths")
"""Laws whose breaks explain those of others, and are told first; of results of a wrong form and exceptions "value"."""


def first_of_each(breaks: Iterable[Told]) -> list[Told]:
    """The first break of each law, the plainest first."""
    found: dict[str, Told] = {}
    for told in breaks:
        found.setdefault(told.law, told)
    return sorted(found.values(), key=plainness)


def plainness(told: Told) -> int:
    """The place of a break among others: a call that gives nothing says little of what it changes."""
    if told.form and told.law == "value":
        return -1
    return PLAINEST.index(told.law) if told.law in PLAINEST else len(PLAINEST)


def once(breaks: Iterable[Told]) -> Iterator[str]:
    """Breaks in words; of those by one wrong form or exception the first, and the other laws by name."""
    alike: dict[tuple[str, str], list[Told]] = {}
    for told in breaks:
        alike.setdefault((told.form, told.cell) if told.form else (told.law, ""), []).append(told)
    for first, *others in alike.values():
        laws = ", ".join(told.law for told in others)
        yield f"{first}\nit breaks these other laws too: {laws}" if laws else str(first)


ALONE = "this call alone is right: something of an earlier call was kept, or random numbers were drawn"

AROUND = ("poison", "strides", "updates")
"""Laws of how a call's arrays lie in memory, or what is around them: a program has dense ones, and no two are one."""


CONDUCT = ("dtype", "honesty", "purity", "shapes")
"""Laws whose conditions are no matter of numbers: what would explain wrong ones does not explain their breaks."""


def tell(subject: Any, law: Law, cell: str, dtype: str, broken: Broken) -> Told:
    """A break with its numbers and what would explain it; `subject` is a guard."""
    shown = None
    if broken.plan is not None and broken.kind not in ("died", "changed"):
        shown = subject.shown(law, cell, dtype, broken.plan)
    if shown is None:
        shown = Shown("" if broken.plan is None else of_plan(cell, dtype, broken.plan))
    numbers = broken.kind in ("value", "bits") or (broken.kind == "condition" and law.name not in CONDUCT)
    explanation = subject.explain(cell, dtype) if numbers else ""
    example = f"{cell} {dtype}, {broken.plan}" if broken.plan else f"{cell} {dtype}"
    told = registry()[broken.law][0] if broken.law else law  # another law's first test has its name
    about = (told.name, told.test, cell, dtype, str(broken), example)
    form = broken.facts.get("form", "")
    return Told(*about, explanation, shown.numbers, shown.program, shown.place, form)


def check(
    guard: Any,
    laws: Sequence[str] | None = None,
    how: settings | None = None,
    dtypes: Sequence[str] | None = None,
    seen: Callable[[int, int], None] = lambda done, of: None,
    go_on: bool = False,
) -> Checked:
    """All laws, or those named, on a guarded subject.

    Args:
        guard: an `Isolated` or an `InProcess`.
        laws: names; every law if None.
        how: settings of Hypothesis; by default those of the profile "ci".
        dtypes: those of the subject that are judged; all if None.
        seen: told how many tests are done, of how many.
        go_on: whether an error of the suite's own is the verdict of the law in which it arose; otherwise it is raised.
    """
    how = how or drawn(EXAMPLES)
    verdicts = {name: Verdict(name) for name in sorted(laws or registry())}
    judged = [dtype for dtype in guard.dtypes if dtypes is None or dtype in dtypes]
    tests = [
        (law, cell, dtype)
        for name in verdicts
        for law in registry()[name]
        for cell, dtype in product([c for c in law.cells if c in guard.cells], judged)
    ]
    for done, (law, cell, dtype) in enumerate(tests):
        seen(done, len(tests))
        try:
            judge(guard, law, cell, dtype, how, verdicts)
        except Exception as error:
            if not go_on:
                raise
            verdicts[law.name].failed = f"the suite itself failed: {own_error(error)} ({law.test}, {cell} {dtype})"
    seen(len(tests), len(tests))
    printed, alpha = getattr(guard, "printed", 0), max(guard.alphas.values(), default=0.0)
    return Checked(guard.name, guard.version, list(verdicts.values()), printed, alpha)


def own_error(error: BaseException) -> str:
    """What an error of the suite's own is, says, and where it arose, in a line; of one in a child its last line."""
    last = (str(error).strip().splitlines() or ["without a message"])[-1]
    if isinstance(error, Failed):
        return last
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {last}, {Path(place.filename).name}, line {place.lineno}"


def judge(guard: Any, law: Law, cell: str, dtype: str, how: settings, verdicts: dict[str, Verdict]) -> None:
    """One test, into the verdicts."""
    verdict, lacking = verdicts[law.name], law.lacking(guard, cell)
    if lacking:
        verdict.lacking += [Lacking(law.test, words, cell) for words in lacking]
        return
    verdict.ran.add(law.test)
    with tallied(verdict):
        try:
            broken = law.judge(guard, cell, dtype, how)
            if broken is not None and broken.law not in ("", law.name):  # said once: then it is the law's own turn
                other = verdicts.setdefault(broken.law, Verdict(broken.law))
                other.breaks.append(tell(guard, law, cell, dtype, broken))
                broken = law.judge(guard, cell, dtype, how)
        except NotRun as lost:
            verdict.lost = str(lost)
            return
    if broken is not None:
        verdict.breaks.append(tell(guard, law, cell, dtype, broken))
        if broken.kind == "value":
            off = abs(broken.got - broken.wanted) / broken.bound if broken.bound else math.inf
            verdict.worst = max(verdict.worst or 0.0, math.inf if math.isnan(off) else off)


@contextmanager
def tallied(verdict: Verdict) -> Any:
    """Cases and the worst fraction of what runs within, into a verdict."""
    TALLY.reset()
    yield
    verdict.cases += TALLY.cases
    worst = [w for w in (verdict.worst, TALLY.worst) if w is not None]
    verdict.worst = max(worst) if worst else None
    TALLY.reset()


def check_subject(
    found: Any, laws: Sequence[str] | None = None, examples: int = EXAMPLES, progress: bool = False
) -> Checks:
    """All laws on a subject, without pytest.

    Args:
        found: what `--subject` takes, as a word (then it runs in a process of its own, which may crash or hang), or an
            object in this process: a Subject, a function, a module of course-style functions, a torch.nn.Module class.
        laws: names of laws; all if None.
        examples: of the profile, of which a law runs its share; 40 is what the tests run.
        progress: whether to show a bar.
    Returns:
        The verdicts, by subject where a file has several; as text tables, and each broken law in words.
    Raises:
        ValueError: `found` names or is nothing that can be judged, there is no such law, or no example.
    """
    refuse_wrong(laws or (), examples)
    return check_all(guards(found), laws, examples, progress)


def refuse_wrong(laws: Sequence[str], examples: int) -> None:
    """Refuses a law that there is not, and examples of which no law could run one."""
    for name in laws:
        if name not in registry():
            raise ValueError(f"`laws` must be among {', '.join(sorted(registry()))}; got {name!r}.")
    if not examples >= 1:
        raise ValueError(f"`examples` must be at least 1; got {examples}.")


def drawn(examples: int) -> settings:
    """Hypothesis' settings for so many examples, of which a law runs its share: always the same ones."""
    return settings(max_examples=examples, phases=PHASES, **CI)


def check_all(found: Iterable[Guard], laws: Sequence[str] | None, examples: int, progress: bool) -> Checks:
    """The same on each of some guarded subjects."""
    how = drawn(examples)
    checked: list[Checked] = []
    for guard in found:
        with tqdm(total=1, desc=guard.name, unit="test", disable=not progress) as bar:
            seen = partial(moved, bar)
            checked.append(check(guard, laws, how, seen=seen, go_on=True))
            if hasattr(guard, "process"):  # where a file is imported again, which may be the script that runs here
                drop_idle_programs(checked[-1])
    return Checks(checked)


def drop_idle_programs(checked: Checked) -> None:
    """Takes away programs that show nothing, of those that are told: each is run alone, where nothing is remembered.

    What is right there is said to be so.
    """
    told = {id(one) for one in first_of_each(checked.breaks)}
    for verdict in checked.verdicts:
        for n, one in enumerate(verdict.breaks):
            end = fails(one.program, PROGRAM) if id(one) in told and one.program else "yes"
            if end.startswith("no"):
                right = end == "no" and one.law not in AROUND
                verdict.breaks[n] = replace(one, program="", alone=ALONE if right else "")


def guards(found: Any) -> list[Guard]:
    """A word's subjects in a process of their own, or an object's in this one."""
    if isinstance(found, str):
        from properties.child import isolated

        return list(isolated(found))
    from properties.guard import InProcess
    from properties.loading import adapted

    return [InProcess(subject) for subject in adapted(found, getattr(found, "__name__", type(found).__name__))]


def moved(bar: tqdm, done: int, of: int) -> None:
    """A progress bar at so many of so many."""
    bar.total, bar.n = of, done
    bar.refresh()


def main(words: Sequence[str], laws: Sequence[str] = (), examples: int | None = None) -> int:
    """Checks each word by all laws, or some; 1 if one is broken, 2 if a word cannot be loaded: then none is checked.

    3 if none is broken, as far as they were judged, but the suite itself failed in one.
    """
    examples = EXAMPLES if examples is None else examples
    try:
        refuse_wrong(laws, examples)
        loaded = [guards(word) for word in words]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    found = [check_all(some, laws, examples, progress=True) for some in loaded]
    for checked in found:
        print(checked)
    told = {verdict.word for checks in found for checked in checks for verdict in checked.verdicts}
    return 1 if told & {"broken", "not run"} else 3 if "failed" in told else 0


def asked() -> dict[str, Any]:
    """What the command line asks `main` for."""
    parser = argparse.ArgumentParser(prog="python -m properties.check", description="All laws on subjects, in words.")
    form = "a built-in name, MODULE[:ATTR] or path/to/file.py[:NAME]; by default numpy_twin"
    parser.add_argument("subject", nargs="*", default=["numpy_twin"], help=form)
    parser.add_argument("--laws", nargs="+", default=(), metavar="LAW", help="these alone: 'vjp', 'second order', ...")
    many = f"of which a law runs its share in each cell and dtype: {EXAMPLES}, or more for rarer breaks"
    parser.add_argument("--examples", type=int, default=EXAMPLES, metavar="N", help=many)
    given = vars(parser.parse_args())
    return {"words": given.pop("subject"), **given}


if __name__ == "__main__":
    sys.exit(main(**asked()))
