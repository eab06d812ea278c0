"""How often a law breaks on either twin, in so many cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import NamedTuple

import numpy as np
from hypothesis._settings import local_settings
from hypothesis.strategies import SearchStrategy

from experiments.harness.sweep import Group
from experiments.instrument.hunt import asking, drawn
from experiments.instrument.sweep import words
from impl import draw
from impl.spec import DTYPES
from properties.cases import Plan, plans
from properties.laws import Law, registry
from properties.record import Record
from properties.subject import Subject
from properties.subjects import numpy_twin, torch_twin

TWINS = {"numpy_twin": numpy_twin.subject, "torch_twin": torch_twin.subject}
BIASES = {"with": "both", "without": "none"}


PATIENCE = 5
"""Chunks without a new case after which a test is taken to have no more."""


class Part(NamedTuple):
    """A test with what narrows its cases: `where` in the setting, its number in the law, cell, dtype, and cases."""

    where: str
    number: int
    body: Callable[..., None]
    plan: SearchStrategy
    cell: str
    dtype: str
    cases: int


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """Metrics "breaks" and "cases" by twin, cell and dtype; the index is the test's number in its law.

    Every case is run, whether one before it broke the law or not. The law's share of a profile does not count here.
    """
    s, found = group.settings, []
    todo = parts(s["law"], s["part"], s["cases"])
    for done, part in enumerate(todo, 1):
        found += records(s["law"], part, counted(s["law"], part, s["chunk"]))
        checkpoint(done, len(todo))
    return found


def parts(law: str, part: str, cases: int) -> list[Part]:
    """The tests of a law, or of a part of it, by cell and dtype, among which the cases are divided evenly."""
    tests = list(enumerate(registry()[law]))
    if part:
        return by_bias(tests, part, cases)
    kinds = [(n, test, cell, dtype) for n, test in tests for cell, dtype in product(test.cells, DTYPES)]
    each = math.ceil(cases / len(kinds))
    return [
        Part(f"cell={cell}/dtype={dtype}", n, test.body, test.plan, cell, dtype, each) for n, test, cell, dtype in kinds
    ]


def by_bias(tests: list[tuple[int, Law]], part: str, cases: int) -> list[Part]:
    """Law value for a cell or the read-out, with biases and without, so many cases each."""
    number, test = next((n, test) for n, test in tests if test.needs == (("head",) if part == "head" else ()))
    cell, found = "rnn" if part == "head" else part, []
    for bias, dtype in product(BIASES, DTYPES):
        where = f"cell={part}/bias={bias}/dtype={dtype}"
        plan = plans(biases=(BIASES[bias],))
        found.append(Part(where, number, test.body, plan, cell, dtype, math.ceil(cases / len(DTYPES))))
    return found


def counted(law: str, part: Part, chunk: int) -> dict[str, tuple[int, int]]:
    """Breaks and cases by twin, chunk by chunk; both twins see a chunk's cases before the next is drawn."""
    found = {twin: np.zeros(2, int) for twin in TWINS}
    for cases in chunks(law, part, chunk):
        for twin, subject in TWINS.items():
            found[twin] += one_chunk(subject, part, cases)
    return {twin: (int(breaks), int(cases)) for twin, (breaks, cases) in found.items()}


def chunks(law: str, part: Part, chunk: int) -> Iterator[list[Plan]]:
    """As many cases as a part asks for, each another: Hypothesis draws some again, in a chunk and from chunk to chunk.

    Fewer where PATIENCE chunks in a row bring no new one: a test may have no more.
    """
    seen: set[str] = set()
    number = idle = 0
    while len(seen) < part.cases and idle < PATIENCE:
        stream = draw.generator("verification", law, part.where, part.number, number)
        asked = min(chunk, 2 * (part.cases - len(seen)) + 10)  # the first ones that it draws are always the same
        found = {repr(plan): plan for plan in drawn(int(stream.integers(2**32)), asked, part.plan)}
        new = [name for name in found if name not in seen][: part.cases - len(seen)]
        seen.update(new)
        number, idle = number + 1, 0 if new else idle + 1
        yield [found[name] for name in new]


def one_chunk(subject: Subject, part: Part, cases: list[Plan]) -> tuple[int, int]:
    """How many of the cases broke the law, and how many were run."""
    breaks = 0
    with local_settings(asking(1)):  # outside of a test the profile in force may ask for a search, which needs one
        for plan in cases:
            try:
                part.body(subject=subject, cell=part.cell, dtype=part.dtype, plan=plan)
            except AssertionError:
                breaks += 1
    return breaks, len(cases)


def records(law: str, part: Part, found: dict[str, tuple[int, int]]) -> Iterator[Record]:
    """The counts, where the claims look for them."""
    for twin, counts in found.items():
        setting = f"{words(law)}/subject={twin}/{part.where}"
        for metric, n in zip(("breaks", "cases"), counts, strict=True):
            yield Record("laws", setting, 0, metric, part.number, n)
