"""What the records say: excess bits by source and by timer's n, beside the rungs. Reads records and nothing else."""

from __future__ import annotations

import pandas as pd

from experiments.harness.figures import NAMES
from experiments.harness.report import Findings, Section, Table
from experiments.harness.statistics import Interval
from experiments.harness.words import at_ends, few, listed, told
from experiments.language_model.sources import known, pictures, rates
from experiments.language_model.sources.runs import Found, read
from experiments.language_model.sources.sweep import FIXED, STARTS

SHOWN = 8
"""The highest rung of the table."""


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records; what was not run is left out."""
    found = read(frame)
    timers = [one for one in found if one.name == "timer"]
    drawn = [pictures.sources(found)] if found else []
    drawn += [pictures.timers(timers)] if len(timers) > 1 else []
    tables = [excess_table(found), rung_table(found)] if found else []
    return Findings(Section("Loss against what is knowable", lead(found, timers), drawn, tables), settings(found))


# Words


def lead(found: list[Found], timers: list[Found]) -> str:
    """What was found, in words."""
    if not found:
        return ""
    return (
        "The best predictor of each source is known: the exact filter of its hidden state, or timer's own. A cell is "
        "shown the symbols one by one and pays the cross entropy of the next; its excess is the mean divergence from "
        "the predictor on held-out sequences, 0 for who knows all there is to know. The rungs are the excess of the "
        "best predictors that see the last k symbols, on such sequences too. They lie below those of endless "
        "sequences: over the first k steps both see the same, and timer's begin right after a 1. Both cells have about "
        f"equally many parameters. {searched_text(found)}\n\n"
        f"{n20_text(found)}\n\n{order_text(found)}\n\n{timer_text(timers)}"
    )


def searched_text(found: list[Found]) -> str:
    """How starts and rates were chosen: by how long a search, where by another source's, and how many at its ends."""
    searched = {run[:2]: run.updates for run in rates.SEARCHED}
    asked = {one.label: rates.asked_of(one.name, one.n) for one in found}
    parts = [searched[asked[one.label]] / one.one(cell, "updates") for one in found for cell in one.cells]
    span = " to ".join(dict.fromkeys(f"{part:.0%}" for part in (min(parts), max(parts))))
    length = "as many updates" if span == "100%" else f"{span} of the updates"
    first = (
        f"Start and rate are the best of one search, alike for both, on other seeds: {len(STARTS['rnn'])} starts each, "
        f"rates {listed([*map(few, rates.RATES)])}, for {length}."
    )
    lent = [f"{one.label} by {known.label(*asked[one.label])}" for one in found if asked[one.label] != one[:2]]
    lends = f" Not searched themselves, but by a source of their kind, are {listed(lent)}." if lent else ""
    chosen = {(asked[one.label], cell): one.one(cell, "lr") for one in found for cell in one.cells}
    ends = at_ends(chosen.values(), rates.RATES)
    edge = f" Of {len(chosen)} choices {ends}: one beyond may be better."
    return first + lends + (edge if ends else "")


def n20_text(found: list[Found]) -> str:
    """The numbers of claim N20, by source."""
    some = [(one, one.best("N20")) for one in found if one.decides]
    parts = [f"{one.label} {NAMES[cell]} {told(one.interval(cell, 'N20'))}" for one, cell in some]
    return f"N20, loss minus the predictor's, the better cell: {'; '.join(parts)}. " if parts else ""


def order_text(found: list[Found]) -> str:
    """The highest order whose rung the better cell's excess is below beyond doubt, where the order is infinite."""
    parts = []
    for one in found:
        below = [k for k, gap in enumerate(one.gaps) if gap > one.interval(one.best()).high]
        if one.order == "infinite" and below:
            more = "" if below[-1] < len(one.gaps) - 1 else " (the highest that was looked at)"
            parts.append(f"{one.label} order {below[-1]}{more}")
    return f"The 99 % interval of the better cell's excess is below the rungs up to: {listed(parts)}. " if parts else ""


def timer_text(timers: list[Found]) -> str:
    """How each cell stands to order 1 by n: what stands beside N6."""
    parts = []
    for one in timers:
        shares = {cell: Interval(*(end / one.gaps[1] for end in one.interval(cell))) for cell in one.cells}
        words = [f"{NAMES[cell]} {told(share)}" for cell, share in shares.items()]
        parts.append(f"n = {one.n} {listed(words)}")
    if not parts:
        return ""
    return (
        "Beside N6: on timer(n), whose Markov order is n, a cell's excess over that of the best first-order predictor "
        f"on such sequences (1 would be first-order) is, at {'; '.join(parts)}. "
    )


# Tables


def excess_table(found: list[Found]) -> Table:
    """Every source and cell: how it was trained, and how far above the predictor it stays."""
    rows = [
        {
            "source": one.label,
            "Markov order": one.order,
            "rate": few(one.rate),
            "cell": NAMES[cell],
            "H": f"{one.one(cell, 'hidden_units'):g}",
            "parameters": f"{one.one(cell, 'parameters'):g}",
            "start": one.start(cell),
            "Adam": f"{one.one(cell, 'lr'):g}",
            "updates": f"{one.one(cell, 'updates'):g}",
            "seeds": len(one.values(cell, "excess")),
            "excess": told(one.interval(cell)),
            "after a quarter": few(one.early(cell).value),
            "loss minus predictor's": told(one.interval(cell, "N20")) if one.decides else "",
        }
        for one in found
        for cell in one.cells
    ]
    title = "Excess over the Bayes-optimal predictor, bits a symbol (median over seeds, 99 % interval)"
    return Table("sources_excess", title, pd.DataFrame(rows))


def rung_table(found: list[Found]) -> Table:
    """What the best predictor of each order pays above that of all symbols."""
    orders = range(max((min(len(one.rungs), SHOWN + 1) for one in found), default=0))
    rows = [
        {"source": one.label, "rate": f"{one.rate:.5f}"} | {f"order {k}": gap_text(one, k) for k in orders}
        for one in found
    ]
    return Table(
        "sources_rungs",
        "Rungs: the excess of who sees the last k symbols, on sequences as long as the cells', bits a symbol",
        pd.DataFrame(rows),
    )


def gap_text(one: Found, order: int) -> str:
    """A rung; 0 where the Markov order is reached, nothing where it was not asked for."""
    if order < len(one.gaps):
        return few(one.gaps[order]) if one.gaps[order] else "0"
    return "0" if one.order != "infinite" else ""


def settings(found: list[Found]) -> dict[str, str]:
    """What was run."""
    rows = {}
    for one in found:
        cell = one.cells[0]
        rows[f"sources: {one.label}"] = (
            f"{one.one(cell, 'updates'):g} updates, {len(one.values(cell, 'excess'))} seeds, "
            f"{one.one(cell, 'held_out_rows'):g} held-out sequences a seed"
        )
    if found:
        rows["sources: optimiser"] = (
            f"Adam, batches of {FIXED['B']}, gradient clipped to norm {FIXED['clip']:g}, the rate falls to zero over "
            f"the last {FIXED['decay']:.0%} of the updates, fresh data"
        )
    return rows
