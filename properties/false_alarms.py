"""How often the referee accuses an implementation that is known to be right: python -m properties.false_alarms.

Random cases from an explicit generator, wider than those of the laws (T up to 12, every size from 1, scales .5 to 2,
biases that cancel at 0, 6 and 30, rows of other lengths), each judged for every output and gradient. A correct subject
raises no alarm; how near it comes to the bound is printed by cell, dtype and output, with the case that came nearest.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from tqdm import tqdm

from impl import draw
from impl.spec import COMMON, DTYPES
from properties.cases import Plan, results
from properties.guard import one_line
from properties.laws import fit
from properties.loading import load
from properties.record import Record, to_csv
from properties.roundoff import granted
from properties.subject import Subject
from properties.table import fraction

OUTPUTS = ("h", "hT", "cT", "x", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "h0", "c0", "h_t", "c_t")
CHUNK = 25


@dataclass(frozen=True)
class Options:
    """Counts false alarms of the laws value and vjp on a subject that is known to be right.

    Attributes:
        subject: numpy_twin, torch_twin, torch_nn, MODULE[:ATTR] or path/to/file.py[:NAME].
        cases: how many, spread evenly over its cells and dtypes.
        workers: processes.
        seed: of the cases.
        records: a CSV file to write the results to, one long-form record a number.
    """

    subject: str = "torch_nn"
    cases: int = 10_000
    workers: int = 2
    seed: int = 0
    records: Path | None = None


class Unusable(ValueError):
    """What is asked for cannot be done as it stands, in a line; any other error is the referee's own."""


class Seen(NamedTuple):
    """The worst fraction of the bound for one output of one case."""

    cell: str
    dtype: str
    output: str
    fraction: float
    plan: Plan


def random_plan(seed: int, number: int, subject: Subject) -> Plan:
    """One case's plan, from a generator of its own: the same for every cell, dtype and number of workers.

    A subject that compiles for every shape has it in one of a few, and one without the state of the cell without that.
    """
    rng = draw.generator("false alarms", seed, number)
    T, B, D, H = (int(rng.integers(low, high)) for low, high in ((1, 13), (1, 6), (1, 8), (1, 8)))
    uneven = "lengths" in subject.capabilities and rng.random() < 0.25
    plan = Plan(
        *(T, B, D, H),
        seed=int(rng.integers(2**32)),
        scale=float(rng.choice([0.5, 1.0, 2.0])),
        opposed=float(rng.choice([0.0, 6.0, 30.0])),
        biases=str(rng.choice(["both", "both", "none"])),
        lengths=tuple(map(int, rng.integers(1, T + 1, B))) if uneven else None,
    )
    return fit(plan, subject)


def kinds(subject: Subject) -> list[tuple[str, str]]:
    """Its cells and dtypes, among those of every twin.

    Raises:
        Unusable: it has none of them.
    """
    found = [kind for kind in product(COMMON, DTYPES) if kind[0] in subject.cells and kind[1] in subject.dtypes]
    if not found:
        has = f"{', '.join(subject.cells)} in {', '.join(subject.dtypes)}"
        raise Unusable(f"--subject must have a cell of {', '.join(COMMON)} in {' or '.join(DTYPES)}; got {has}.")
    return found


def judge_case(subject: Subject, plan: Plan, cell: str, dtype: str) -> list[Seen]:
    """The fractions of the bound that one case's outputs and gradients take.

    Raises:
        Unusable: the subject raises or exits, or gives no arrays; a line with what it raised, and the case.
    """
    case = plan.case(cell, dtype)
    try:
        got = {name: np.asarray(a) for name, a in results(subject, case.call, case.cotangent).items()}
    except (Exception, SystemExit) as error:
        raise Unusable(
            f"--subject must give h and gradients of every case; {subject.name} raised {type(error).__name__}: "
            f"{one_line(error)}. {cell} {dtype}, {plan}"
        ) from error
    with granted(subject):
        judged = case.judged(subject.alpha(dtype), gradients=True)
    return [Seen(cell, dtype, name, judged[name].fraction(a)[0], plan) for name, a in got.items()]


def loaded(word: str) -> Subject:
    """The subject that a word names.

    Raises:
        Unusable: there is none; a line that says so.
    """
    try:
        return load(word)
    except ValueError as error:
        raise Unusable(str(error)) from error


def judge_chunk(word: str, seed: int, numbers: range) -> list[list[Seen]]:
    """Some cases in a row, in a worker: number n is of the n-th kind of cell and dtype, in turn."""
    subject = loaded(word)
    by_turns = kinds(subject)
    return [judge_case(subject, random_plan(seed, n, subject), *by_turns[n % len(by_turns)]) for n in numbers]


def judge_all(options: Options) -> Iterable[list[Seen]]:
    """All cases, a list each, in their order; worker processes of one thread, a progress bar with the time left.

    Raises:
        Unusable: the subject ends its process, or a case of it cannot be judged.
    """
    numbers = range(options.cases)
    chunks = [numbers[n : n + CHUNK] for n in range(0, len(numbers), CHUNK)]
    try:
        yield from judged_by_workers(options, chunks)
    except BrokenProcessPool as error:
        raise Unusable(
            f"--subject must give h and gradients of every case; a process that ran {options.subject} ended abruptly, "
            "as by an abort, a crash or for want of memory (python -m properties.check names the case)."
        ) from error


def judged_by_workers(options: Options, chunks: list[range]) -> Iterable[list[Seen]]:
    """The cases of all chunks, in their order."""
    with (
        ProcessPoolExecutor(options.workers, get_context("spawn")) as pool,
        tqdm(total=options.cases, unit="case") as bar,
    ):
        for cases in pool.map(judge_chunk, *zip(*((options.subject, options.seed, c) for c in chunks), strict=True)):
            bar.update(len(cases))
            yield from cases


def summarise(cases: Iterable[list[Seen]]) -> tuple[int, int, dict[tuple[str, str, str], Seen]]:
    """Cases, those with an alarm, and the nearest approach to the bound by cell, dtype and output."""
    count, alarms, worst = 0, 0, {}
    for seen in cases:
        count, alarms = count + 1, alarms + any(not s.fraction <= 1 for s in seen)
        for s in seen:
            key = s[:3]
            worst[key] = max(worst.get(key, s), s, key=lambda one: one.fraction)
    return count, alarms, worst


def text(options: Options, subject: Subject, count: int, alarms: int, worst: dict[tuple[str, str, str], Seen]) -> str:
    """What is printed: a head, the worst fraction by output (rows) and cell and dtype (columns), the nearest case."""
    columns = kinds(subject)
    lines = [f"{options.subject} ({subject.version}), seed {options.seed}: {count:,} cases, {alarms} false alarms", ""]
    lines.append(f"{'worst fraction of the bound':<29}" + "".join(f"{' '.join(kind):>18}" for kind in columns))
    for name in (n for n in OUTPUTS if any(key[2] == n for key in worst)):
        cells = [fraction(worst[*kind, name].fraction) if (*kind, name) in worst else "" for kind in columns]
        lines.append(f"{name:<29}" + "".join(f"{cell:>18}" for cell in cells))
    nearest = max(worst.values(), key=lambda seen: seen.fraction)
    return "\n".join(
        [
            *lines,
            "",
            f"nearest: {nearest.output} at {nearest.fraction:.4f}, {nearest.cell} {nearest.dtype}, {nearest.plan}",
        ]
    )


def records(options: Options, count: int, alarms: int, worst: dict[tuple[str, str, str], Seen]) -> list[Record]:
    """The same numbers as long-form records."""
    setting = f"false_alarms/subject={options.subject}"
    found = [
        Record("instrument", setting, options.seed, metric, 0, n)
        for metric, n in (("cases", count), ("alarms", alarms))
    ]
    for (cell, dtype, name), seen in worst.items():
        where = f"{setting}/cell={cell}/dtype={dtype}/output={name}"
        found.append(Record("instrument", where, options.seed, "worst fraction of the bound", 0, seen.fraction))
    return found


def refuse_unwritable(path: Path) -> None:
    """Refuses a file that cannot be written, before anything runs; what there is stays as it is until there is more.

    Raises:
        Unusable: why it cannot.
    """
    try:
        there = path.exists()
        path.open("a").close()
        if not there:
            path.resolve().unlink()  # until there are records; the path itself may be a link to it
    except OSError as error:
        raise Unusable(f"--records must be a file that can be written; got {path}: {error.strerror}.") from error


def main(options: Options) -> int:
    """Runs, prints, writes; 1 if there was an alarm, 2 if the command makes no sense or the subject cannot be run."""
    try:
        subject = loaded(options.subject)
        kinds(subject)
        for name in ("cases", "workers"):
            if getattr(options, name) < 1:
                raise Unusable(f"--{name} must be at least 1; got {getattr(options, name)}.")
        if options.records:
            refuse_unwritable(options.records)
        found = summarise(judge_all(options))
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(text(options, subject, *found))
    if options.records:
        options.records.write_text(to_csv(records(options, *found)))
    return int(found[1] > 0)


if __name__ == "__main__":
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # of the workers, which inherit it before they import anything
    sys.exit(main(tyro.cli(Options)))
