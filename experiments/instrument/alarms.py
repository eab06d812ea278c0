"""How often the referee accuses torch.nn, and how near to its bound a case comes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator

from experiments.harness.sweep import Group
from properties.false_alarms import Seen, judge_chunk
from properties.record import Record
from properties.subjects import torch_nn  # noqa: F401  (what is judged by its name, here so that torch is there)

STEP = 50
"""Cases between two marks of progress."""

BINS = 100
"""Bins of a case's worst fraction, within the bound; what lies beyond is an alarm, at index inf."""

SEED = 0
"""Of the cases: case n is the same in every preset."""


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """By cell and dtype: cases, alarms, and how many cases' worst fraction lies in each bin (index: its upper end);
    by output the worst fraction in the block. The seed is the block's number."""
    s, found = group.settings, []
    numbers = range(s["start"], s["stop"])
    for done in range(0, len(numbers), STEP):
        found += judge_chunk(s["subject"], SEED, numbers[done : done + STEP])
        checkpoint(min(done + STEP, len(numbers)), len(numbers))
    return [*records(f"false_alarms/subject={s['subject']}", group.seeds[0], found)]


def records(head: str, block: int, cases: list[list[Seen]]) -> Iterator[Record]:
    """The numbers of a block of cases."""
    for cell, dtype in sorted({seen[0][:2] for seen in cases}):
        worst = [worst_of(seen) for seen in cases if seen[0][:2] == (cell, dtype)]
        where = f"{head}/cell={cell}/dtype={dtype}"
        yield Record("instrument", where, block, "cases", 0, len(worst))
        yield Record("instrument", where, block, "alarms", 0, sum(not fraction <= 1 for fraction in worst))
        for end, n in sorted(Counter(map(bin_of, worst)).items()):
            yield Record("instrument", where, block, "cases by worst fraction", end, n)
    for (cell, dtype, output), fraction in nearest(cases).items():
        where = f"{head}/cell={cell}/dtype={dtype}/output={output}"
        yield Record("instrument", where, block, "worst fraction of the bound", 0, fraction)


def worst_of(seen: list[Seen]) -> float:
    """A case's worst fraction; NaN is beyond every bound."""
    return max(math.inf if math.isnan(one.fraction) else one.fraction for one in seen)


def bin_of(fraction: float) -> float:
    """The upper end of a fraction's bin."""
    return max(1, math.ceil(fraction * BINS)) / BINS if fraction <= 1 else math.inf


def nearest(cases: list[list[Seen]]) -> dict[tuple[str, str, str], float]:
    """The worst fraction by cell, dtype and output."""
    worst: dict[tuple[str, str, str], float] = {}
    for one in (one for seen in cases for one in seen):
        worst[one[:3]] = max(worst.get(one[:3], 0.0), worst_of([one]))
    return dict(sorted(worst.items()))
