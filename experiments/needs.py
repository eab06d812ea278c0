"""What would decide an open claim: sentences from its rule and the same records that left it open.

A median is decided once an order statistic beyond the threshold is an end of its interval. With a share s of seeds
beyond it, of n seeds (1 - s) n are not, and the end is the k-th from there, k(n) as in `statistics.order_interval`; so

    n = the smallest with k(n) - 1 >= (1 - s) n

would do if the share stayed. It need not: of an open median the interval of the share holds 1/2 or lies below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING

import pandas as pd

from experiments.harness.statistics import clopper_pearson, rank

if TYPE_CHECKING:
    from experiments.claims import Claim, Condition, Measured, Quantity

FEWEST, MOST = 8, 100
"""Seeds with which a median has an interval, and beyond which the share is too near 1/2 for a number to be advice."""

OPERATORS = {"<": lt, "<=": le, ">": gt, ">=": ge}
SIDES = {"<": "below", "<=": "not above", ">": "above", ">=": "not below"}
OTHERWISE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
"""What is true of a number of which the operator is not."""


def undecided(claim: Claim, measured: Mapping[Quantity, Measured], chosen: Mapping[Quantity, pd.DataFrame]) -> str:
    """What would decide what is measured well enough, where no condition settles it; "" where all of it supports.

    Args:
        claim: an open one.
        measured: its quantities. chosen: the records that each was measured from.
    """
    fine = {quantity: m for quantity, m in measured.items() if not m.problem}
    sides = [("support", c) for c in claim.supported] + [("contradict", c) for c in claim.contradicted]
    sides = [(verb, condition, lacking(condition, fine)) for verb, condition in sides]
    lines = [by_seeds(quantity, sides, claim, chosen[quantity]) for quantity in fine if quantity.kind == "median"]
    lines = [line for line in lines if line]
    more = [f"and {len(lines) - NAMED} more"] if len(lines) > NAMED else []
    return "; ".join([*ratios(sides, measured), *lines[:NAMED], *more])


def lacking(condition: Condition, measured: Mapping[Quantity, Measured]) -> list[Quantity]:
    """The effects that keep a condition from holding."""
    if condition.holds(measured):
        return []
    mine = {q: m for q, m in measured.items() if q.group == condition.group and q.kind != "breaks"}
    beyond = OPERATORS[condition.op]
    return [q for q, m in mine.items() if not beyond(getattr(m, condition.end), condition.threshold)]


Side = tuple[str, "Condition", list["Quantity"]]
"""What it would do to a claim if a condition held, the condition, and the effects that keep it from holding."""


def by_seeds(quantity: Quantity, sides: Sequence[Side], claim: Claim, rows: pd.DataFrame) -> str:
    """What more seeds may do to one median: decide it, if the share stays, or else nothing that can be foretold."""
    mine = [(verb, condition) for verb, condition, some in sides if quantity in some]
    if not mine:
        return ""
    several = sum(other.group == quantity.group for other in claim.quantities) > 1
    where = f"for {short(quantity)}, " if several else ""
    lines = [line for say in (by_share, close) for line in [say(*one, rows) for one in mine] if line]
    sure = [line for line in lines if line.startswith(STAYS)]
    if lines:
        return where + "; ".join(sure or lines)
    counts = [f"{count(c, rows)} of {len(rows)} {lie(c)}" for _, c in mine]
    return f"{where}more seeds may decide: {' and '.join(counts)}" if "support" in dict(mine) else ""


STAYS = "if the share stays as it is"


def by_share(verb: str, condition: Condition, rows: pd.DataFrame) -> str:
    """How many seeds would settle a median, if such a share goes on to lie beyond a threshold as does now."""
    found = count(condition, rows)
    seeds = enough(found / len(rows))
    told = f"{found} of {len(rows)} {lie(condition)}"
    return f"{STAYS}, a new measurement with about {seeds} seeds to {verb} it ({told})" if seeds else ""


def close(verb: str, condition: Condition, rows: pd.DataFrame) -> str:
    """That on which side of a threshold the median lies is not known; "" where it surely lies on the other."""
    found, seeds = count(condition, rows), len(rows)
    if clopper_pearson(found, seeds)[1] < 0.5:
        return ""
    least = seeds + 1 - rank(seeds)  # of so many seeds the end of the interval is beyond the threshold
    must = f"all {seeds}" if least == seeds else f"{least} of {seeds}"
    return f"too close to call from {seeds} seeds: {found} {lie(condition)}, where {must} must lie to {verb} it"


def count(condition: Condition, rows: pd.DataFrame) -> int:
    """How many seeds lie beyond a threshold."""
    return int(OPERATORS[condition.op](rows.value, condition.threshold).sum())


def lie(condition: Condition) -> str:
    """Where they lie, in words."""
    return f"lie {SIDES[condition.op]} {condition.threshold:g}"


def short(quantity: Quantity) -> str:
    """Its name without the claim's number."""
    return quantity.name.removeprefix(f"{quantity.metric} at ")


def ratios(sides: Sequence[Side], measured: Mapping[Quantity, Measured]) -> list[str]:
    """Where ratios of T50 must lie for either side, and where they lie now; nothing while one is missing."""
    mine = {q: m for q, m in measured.items() if q.kind == "t50 ratio"}
    if any(m.problem for m in mine.values()):
        return []
    group = {quantity.group for quantity in mine}
    verbs = dict.fromkeys(verb for verb, _, some in sides if any(quantity in mine for quantity in some))
    wanted = [place(verb, [c for v, c, _ in sides if v == verb and c.group in group], mine) for verb in verbs]
    now = ", ".join(f"{q.name} {m.low:.3g} to {m.high:.3g}" for q, m in mine.items())
    beyond = "; 0 and inf are beyond the lengths that were run, so longer ones may or may not decide"
    open_ends = any(m.low == 0 or m.high == math.inf for m in mine.values())
    return [f"ratios {' or '.join(wanted)} (now {now}{beyond if open_ends else ''})"] if wanted else []


JOINS = {"support": " and ", "contradict": " or "}
"""All conditions that support a claim must hold; of those that contradict it one is enough."""


def place(verb: str, conditions: Sequence[Condition], mine: Mapping[Quantity, Measured]) -> str:
    """Where ratios must lie for one side, and which of them lie, at these records, wholly where they must not."""
    n = len(mine)
    wanted = JOINS[verb].join(f"{must_lie(c)} {c.threshold:g} on {c.at_least or n} of {n}" for c in conditions)
    lost = {c: some for c in conditions if n - len(some := against(c, mine)) < (c.at_least or n)}
    gone = bool(lost) if verb == "support" else len(lost) == len(conditions)
    names = " and ".join(dict.fromkeys(quantity.name for some in lost.values() for quantity in some))
    return f"{wanted} to {verb} it{f' (ruled out by {names})' if gone else ''}"


def must_lie(condition: Condition) -> str:
    """Where a value must surely lie, since all of its interval is asked for, or must not, since an end is enough."""
    whole = condition.end == ("low" if condition.op.startswith(">") else "high")
    return f"surely {SIDES[condition.op]}" if whole else f"not surely {SIDES[OTHERWISE[condition.op]]}"


def against(condition: Condition, mine: Mapping[Quantity, Measured]) -> list[Quantity]:
    """The effects of which no value in the interval lies where a condition asks."""
    nearest = "high" if condition.op.startswith(">") else "low"
    beyond = OPERATORS[condition.op]
    return [quantity for quantity, m in mine.items() if not beyond(getattr(m, nearest), condition.threshold)]


def enough(share: float) -> int:
    """The fewest seeds at which a median is decided, if such a share lies beyond the threshold; 0 where none is."""
    return next((n for n in range(FEWEST, MOST + 1) if rank(n) - 1 >= (1 - share) * n), 0) if share > 0.5 else 0


def missing(measured: Mapping[Quantity, Measured], preset: str = "") -> str:
    """What would be needed where quantities are not measured well enough; by a preset, where all records have it."""
    sources = runs(lacked(measured), preset)
    return f"records of {names([q for q, m in measured.items() if m.problem])}: {sources}" + (
        "" if preset else ", by a preset that has them"
    )


def lacked(measured: Mapping[Quantity, Measured]) -> tuple[str, ...]:
    """The experiments whose records are missing or too few."""
    return tuple(dict.fromkeys(quantity.experiment for quantity, m in measured.items() if m.problem))


def runs(experiments: Iterable[str], preset: str = "") -> str:
    """The commands that run so many experiments."""
    option = f" --preset {preset}" if preset else ""
    return " and ".join(f"`python -m experiments run {name}{option}`" for name in experiments)


NAMED = 3
"""Quantities that a sentence names at most."""


def names(quantities: Sequence[Quantity]) -> str:
    """Their names, the first of many."""
    more = f" and {len(quantities) - NAMED} more" if len(quantities) > NAMED else ""
    return ", ".join(quantity.name for quantity in quantities[:NAMED]) + more
