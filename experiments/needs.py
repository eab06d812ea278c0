"""What an open claim would take: sentences from its rule and the same records that left it open.

A median is decided once an order statistic beyond the threshold is an end of its interval. With a share s of seeds
beyond it, of n seeds (1 - s) n are not, and the end is the k-th from there, k(n) as in `statistics.order_interval`; so

    n = the smallest with k(n) - 1 >= (1 - s) n,   and with s <= 1/2 no n is enough.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING

import pandas as pd

from experiments.harness.statistics import rank

if TYPE_CHECKING:
    from experiments.claims import Claim, Condition, Measured, Quantity

FEWEST, MOST = 8, 1000
"""Seeds with which a median has an interval, and beyond which "more seeds" is no advice."""

OPERATORS = {"<": lt, "<=": le, ">": gt, ">=": ge}
SIDES = {"<": "below", "<=": "not above", ">": "above", ">=": "not below"}


def undecided(claim: Claim, measured: Mapping[Quantity, Measured], chosen: Mapping[Quantity, pd.DataFrame]) -> str:
    """What it would take where every quantity is measured well enough, and no condition settles it.

    Args:
        claim: an open one.
        measured: its quantities. chosen: the records that each was measured from.
    """
    sides = [("support", c) for c in claim.supported] + [("contradict", c) for c in claim.contradicted]
    sides = [(verb, condition, lacking(condition, measured)) for verb, condition in sides]
    medians = [
        seeds_for(verb, condition, f" at {quantity.name}" if len(some) > 1 else "", chosen[quantity])
        for verb, condition, some in sides
        for quantity in some
        if quantity.kind == "median"
    ]
    told = [*ratios(sides, measured), *sorted(dict.fromkeys(medians), key=lambda line: line.startswith(NONE))]
    elsewhere = "seeds that lie elsewhere: " if told and told[0].startswith(NONE) else ""
    return elsewhere + "; ".join(told)


def lacking(condition: Condition, measured: Mapping[Quantity, Measured]) -> list[Quantity]:
    """The effects that keep a condition from holding."""
    if condition.holds(measured):
        return []
    mine = {q: m for q, m in measured.items() if q.group == condition.group and q.kind != "breaks"}
    beyond = OPERATORS[condition.op]
    return [q for q, m in mine.items() if not beyond(getattr(m, condition.end), condition.threshold)]


NONE = "no number of seeds"


def seeds_for(verb: str, condition: Condition, where: str, rows: pd.DataFrame) -> str:
    """How many seeds would settle a median, if such a share goes on to lie beyond a threshold as does now."""
    beyond = int(OPERATORS[condition.op](rows.value, condition.threshold).sum())
    seeds = enough(beyond / len(rows))
    lie = f"{beyond} of {len(rows)} lie {SIDES[condition.op]} {condition.threshold:g}"
    return f"about {seeds} seeds to {verb} it{where} ({lie})" if seeds else f"{NONE} would {verb} it{where} ({lie})"


def ratios(sides: Sequence[tuple[str, Condition, list[Quantity]]], measured: Mapping[Quantity, Measured]) -> list[str]:
    """Where ratios of T50 must lie for either side, and where they lie now."""
    mine = {q: m for q, m in measured.items() if q.kind == "t50 ratio"}
    wanted = [
        f"{SIDES[condition.op]} {condition.threshold:g} on {condition.at_least or len(mine)} of {len(mine)} to {verb}"
        for verb, condition, some in sides
        if any(quantity in mine for quantity in some)
    ]
    now = ", ".join(f"{q.name} {m.low:.3g} to {m.high:.3g}" for q, m in mine.items())
    beyond = "; 0 and inf are beyond the lengths that were run, so longer ones may decide"
    open_ends = any(m.low == 0 or m.high == math.inf for m in mine.values())
    return [f"ratios {' or '.join(wanted)} it (now {now}{beyond if open_ends else ''})"] if wanted else []


def enough(share: float) -> int:
    """The fewest seeds at which a median is decided, if such a share lies beyond the threshold; 0 where none is."""
    return next((n for n in range(FEWEST, MOST + 1) if rank(n) - 1 >= (1 - share) * n), 0) if share > 0.5 else 0


def missing(measured: Mapping[Quantity, Measured]) -> str:
    """What it would take where quantities are not measured well enough."""
    lacking = [quantity for quantity, m in measured.items() if m.problem]
    sources = dict.fromkeys("instrument" if quantity.source == "laws" else quantity.source for quantity in lacking)
    return f"records of {names(lacking)}: {runs(sources)}, by a preset that has them"


def runs(experiments: Iterable[str]) -> str:
    """The commands that run so many experiments."""
    return " and ".join(f"python -m experiments run {name}" for name in experiments)


def names(quantities: Sequence[Quantity]) -> str:
    """Their names, the first three of many."""
    more = f" and {len(quantities) - 3} more" if len(quantities) > 3 else ""
    return ", ".join(quantity.name for quantity in quantities[:3]) + more
