"""Puts subjects under all laws, in worker processes, and writes the report: `python -m experiments verify`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from experiments.harness import provenance, report
from experiments.harness.endings import UsageError, writing
from impl.spec import DTYPES
from properties.check import EXAMPLES, Checked, Told, Verdict, check, drawn, first_of_each
from properties.child import isolated
from properties.known import Known, known
from properties.laws import registry
from properties.loading import OUR_FORMS, OUTSIDE, OWN
from properties.snippet import fails

NAME = "verification"
SECONDS = {"numpy_twin": 37, "torch_twin": 45, "torch_nn": 50, "onnx_runtime": 22, "onnx_reference": 23}
SECONDS |= {"keras_torch": 51, "keras_jax": 165, "flax_linen": 112, "flax_nnx": 109, "equinox_cells": 60}
SECONDS |= {"jax_rnn": 140, "mlx_cpu": 30}
"""Core-seconds that a subject takes in one dtype, measured; for the time estimate and the order of work."""

OTHERWISE = 30
PROGRAM = 120
"""Seconds that a program may take: some start a library that compiles."""


@dataclass(frozen=True)
class Part:
    """What one worker did: a word's subjects in one dtype, their cells, dtypes and alphas, and the seconds it took."""

    word: str
    checked: list[Checked]
    about: list[dict[str, str]]
    seconds: float
    missing: str = ""


@dataclass
class Cause:
    """One cause of breaks: a known one, or the first break of a law on a subject; and whether its program fails."""

    name: str
    subjects: set[str]
    sentence: str
    reason: str
    upstream: str
    program: str
    recorded: bool
    laws: set[str] = field(default_factory=set)
    reproduced: str = ""


def verify(words: Sequence[str], out: Path, workers: int, command: str, examples: int = EXAMPLES) -> Path:
    """All laws on the subjects that words name; "all" means OWN and every one of OUTSIDE whose library is installed.

    Args:
        words: as `--subject` takes them.
        out: the reports' folder; workers: processes that judge.
        command: what was typed, for the report.
        examples: of which a law runs its share in each cell and dtype.
    Returns:
        The report's page.
    Raises:
        UsageError: a word cannot be loaded, or names a library that is not installed.
        OutError: the report cannot be written.
    """
    chosen = list(dict.fromkeys(w for word in words for w in (OWN | OUTSIDE if word == "all" else (word,))))
    refuse_missing(word for word in words if word != "all")
    parts = judge_all(chosen, workers, examples)
    subjects = merged(parts)
    causes, breaks = explained(subjects)
    reproduce(causes, workers)
    tables = {"results": results(parts, subjects), "subjects": about(parts, subjects)}
    tables |= {"breaks": breaks, "causes": cause_table(causes)}
    texts = {f"{name}.csv": report.csv_of(table) for name, table in tables.items()}
    with writing(out, "the verdicts are lost: make room and run the same command again"):
        report.publish(NAME, texts.pop("results.csv"), out, facts(parts, command), texts)
        report.publish_index(out)
    return out / NAME / "index.html"


# Running


def refuse_missing(words: Iterable[str]) -> None:
    """Loads what was named, before anything else is judged for minutes.

    Raises:
        UsageError: it cannot be loaded.
    """
    for word in words:
        try:
            isolated(word)[0].process.stop()
        except ValueError as error:
            raise UsageError(str(error)) from error


def judge_all(words: Sequence[str], workers: int, examples: int) -> list[Part]:
    """Every word in every dtype, the dearest first, with a bar that knows what each costs.

    One dtype after the other: a worker's referee then has answered most of what the next subject asks.
    """
    dearest_first = sorted(words, key=lambda word: -SECONDS.get(word, OTHERWISE))
    tasks = [(word, dtype) for dtype in DTYPES for word in dearest_first]
    took = {word: SECONDS.get(word, OTHERWISE) * examples / EXAMPLES for word in words}
    total = sum(took[word] for word, _ in tasks)
    form = "{desc} {percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} left"
    with (
        ProcessPoolExecutor(max(1, workers), get_context("spawn")) as pool,
        tqdm(total=total, desc=f"{len(words)} subjects", bar_format=form) as bar,
    ):
        futures = {pool.submit(judge_part, *task, examples): task for task in tasks}
        parts = []
        for future in as_completed(futures):
            parts.append(future.result())
            bar.update(took[futures[future][0]])
    return sorted(parts, key=lambda part: words.index(part.word))


def judge_part(word: str, dtype: str, examples: int) -> Part:
    """A word's subjects in one dtype, in a process of their own beside this one."""
    began = time.perf_counter()
    try:
        guards = isolated(word)
    except ValueError as error:
        return Part(word, [], [], 0.0, str(error))
    checked = [check(guard, how=drawn(examples), dtypes=(dtype,)) for guard in guards]
    words = [
        {
            "subject": g.name,
            "cells": ", ".join(g.cells),
            "dtypes": ", ".join(g.dtypes),
            "alpha": f"{max(g.alphas.values()):g} u",
            "examples": str(examples),
        }
        for g in guards
    ]
    guards[0].process.stop()
    return Part(word, checked, words, time.perf_counter() - began)


def merged(parts: Iterable[Part], laws: Iterable[str] = ()) -> dict[str, Checked]:
    """The verdicts of all dtypes, by subject, on every law or those named."""
    found: dict[str, Checked] = {}
    for checked in (checked for part in parts for checked in part.checked):
        if checked.name not in found:
            verdicts = [Verdict(law) for law in sorted(laws or registry())]
            found[checked.name] = Checked(checked.name, checked.version, verdicts)
        whole = found[checked.name]
        whole.printed += checked.printed
        for mine, more in zip(whole.verdicts, checked.verdicts, strict=True):
            mine.cases += more.cases
            mine.worst = max((w for w in (mine.worst, more.worst) if w is not None), default=None)
            mine.breaks += more.breaks
            mine.lacking += more.lacking
            mine.ran |= more.ran
            mine.lost = mine.lost or more.lost
    return found


# Causes


def explained(subjects: dict[str, Checked]) -> tuple[list[Cause], pd.DataFrame]:
    """The causes of all breaks, and the breaks with the names of their causes."""
    causes: dict[str, Cause] = {}
    rows = []
    for checked in subjects.values():
        alike: dict[str, str] = {}  # breaks of one explanation or form have one cause, named after its plainest law
        for told in plainest_first(checked.breaks):
            mine = [k for k in known() if k.explains(checked.name, told.law, told.cell, told.dtype)]
            own = re.sub(r"\W+", "_", f"{checked.name} {told.law}").strip("_")
            names = [k.name for k in mine] or [alike.setdefault(told.explanation or told.form or told.law, own)]
            for name, one in zip(names, mine or [None], strict=True):
                cause = causes.setdefault(name, cause_of(name, checked.name, told, one))
                cause.subjects.add(checked.name)
                cause.laws.add(told.law)
            row = {"subject": checked.name, "version": checked.version, "law": told.law, "test": told.test}
            row |= {"cell": told.cell, "dtype": told.dtype, "sentence": told.sentence, "example": told.example}
            rows.append(row | {"explanation": told.explanation, "cause": " ".join(names)})
    columns = ["subject", "version", "law", "test", "cell", "dtype", "sentence", "example", "explanation", "cause"]
    return list(causes.values()), pd.DataFrame(rows, columns=columns)


def plainest_first(breaks: Sequence[Told]) -> list[Told]:
    """Breaks by law, those that explain others first; those with a program before those without."""
    order = [told.law for told in first_of_each(breaks)]
    return sorted(breaks, key=lambda told: (order.index(told.law), not told.program))


def cause_of(name: str, subject: str, told: Told, one: Known | None) -> Cause:
    """A known cause, or one that no program is recorded for."""
    if one is not None:
        return Cause(name, set(), one.sentence, one.reason, one.upstream, one.program, True)
    return Cause(name, {subject}, told.sentence, told.explanation, "", told.program, False)


def reproduce(causes: Sequence[Cause], workers: int) -> None:
    """Runs every program alone, in an empty folder, and notes whether it fails as it should."""
    with ProcessPoolExecutor(max(1, workers), get_context("spawn")) as pool:
        runs = [(cause, pool.submit(fails, cause.program, PROGRAM)) for cause in causes if cause.program]
        for cause, future in tqdm(runs, desc="programs", unit="program"):
            cause.reproduced = future.result()


# Tables


def results(parts: Sequence[Part], subjects: dict[str, Checked]) -> pd.DataFrame:
    """A row a subject and law."""
    rows = []
    for checked in subjects.values():
        for v in checked.verdicts:
            told = first_of_each(v.breaks)
            row = {"subject": checked.name, "version": checked.version, "law": v.law, "verdict": v.word}
            row |= {"worst": v.worst, "example": told[0].example if told else ""}
            rows.append(row | {"cases": v.cases, "note": v.why or v.left})
    for part in parts:
        if part.missing and not any(row["subject"] == part.word for row in rows):
            note = "its library is not installed here"
            rows += [
                {"subject": part.word, "version": "", "law": law, "verdict": "not run", "worst": None, "example": ""}
                | {"cases": 0, "note": note}
                for law in sorted(registry())
            ]
    columns = ["subject", "version", "law", "verdict", "worst", "example", "cases", "note"]
    return pd.DataFrame(rows, columns=columns)


def about(parts: Sequence[Part], subjects: dict[str, Checked]) -> pd.DataFrame:
    """A row a subject: what it is."""
    rows = {words["subject"]: words for part in parts for words in part.about}
    return pd.DataFrame(
        [
            rows[name] | {"version": checked.version, "printed": checked.printed, "ours": int(name in OWN | OUR_FORMS)}
            for name, checked in subjects.items()
        ],
        columns=["subject", "version", "cells", "dtypes", "alpha", "examples", "printed", "ours"],
    )


def cause_table(causes: Sequence[Cause]) -> pd.DataFrame:
    """A row a cause."""
    rows = [
        {
            "cause": c.name,
            "subjects": ", ".join(sorted(c.subjects)),
            "laws": ", ".join(sorted(c.laws)),
            "recorded": int(c.recorded),
            "reproduced": c.reproduced,
            "sentence": c.sentence,
            "reason": c.reason,
            "upstream": c.upstream,
            "program": c.program,
        }
        for c in sorted(causes, key=lambda cause: cause.name)
    ]
    columns = ["cause", "subjects", "laws", "recorded", "reproduced", "sentence", "reason", "upstream", "program"]
    return pd.DataFrame(rows, columns=columns)


def facts(parts: Sequence[Part], command: str) -> dict[str, Any]:
    """Provenance: commit, machine, versions, and the seconds of every part."""
    seconds = {}
    for part in parts:
        seconds[part.word] = round(seconds.get(part.word, 0) + part.seconds, 1)
    return {**provenance.place(command), "seconds": seconds}
