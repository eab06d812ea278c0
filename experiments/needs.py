"""What an open claim would take: sentences from its rule and the same records that left it open.

A median is decided once an order statistic beyond the threshold is an end of its interval. With a share s of seeds
beyond it, of n seeds (1 - s) n are not, and the end is the k-th from there, k(n) as in `statistics.order_interval`; so

    n = the smallest with k(n) - 1 >= (1 - s) n,   and with s <= 1/2 no n is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    told = [line for verb, condition in sides for line in apart(claim, verb, condition, measured, chosen)]
    return "; ".join(dict.fromkeys(told))


def apart(
    claim: Claim,
    verb: str,
    condition: Condition,
    measured: Mapping[Quantity, Measured],
    chosen: Mapping[Quantity, pd.DataFrame],
) -> Iterator[str]:
    """A line for each quantity that keeps a condition on an effect from holding."""
    mine = {q: m for q, m in measured.items() if q.group == condition.group and q.kind != "breaks"}
    for quantity, m in () if condition.holds(measured) else mine.items():
        if OPERATORS[condition.op](getattr(m, condition.end), condition.threshold):
            continue
        name = f"{quantity.name}: " if len(mine) > 1 else ""
        if quantity.kind == "t50 ratio":
            some = f" on {condition.at_least} of {len(mine)}" if condition.at_least else ""
            where = f"{SIDES[condition.op]} {condition.threshold:g}{some}"
            yield f"{name}{m.low:.3g} to {m.high:.3g}, must lie {where} to {verb} it"
        else:
            yield name + seeds_for(verb, condition, chosen[quantity])


def seeds_for(verb: str, condition: Condition, rows: pd.DataFrame) -> str:
    """How many seeds lie beyond a threshold, and how many would decide at that share."""
    beyond = int(OPERATORS[condition.op](rows.value, condition.threshold).sum())
    seeds = enough(beyond / len(rows))
    would = f"about {seeds} seeds would" if seeds else "no number of seeds would"
    lie = f"{beyond} of {len(rows)} seeds lie {SIDES[condition.op]} {condition.threshold:g}"
    return f"{lie}: at that share {would} {verb} it"


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
