"""The figures: how far above the Bayes-optimal predictor each cell stays, by source, and by n of timer(n)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures
from experiments.harness.report import Figure
from experiments.harness.statistics import against
from experiments.harness.words import few, listed, told
from experiments.language_model.sources.runs import Found
from experiments.language_model.sources.sweep import CELLS

LEFT, RIGHT = 3e-6, 3.0
"""The ends of the axis of excess, bits."""

ASIDE = {"rnn": 0.16, "lstm": -0.16}
"""How far beside the middle of its source's row each cell stands."""

APART = 0.065
"""Decades that two rungs must lie apart, a digit of the number, for both to have theirs."""

LIMIT = 0.05
"""What claim N20 asks the better cell to stay below, bits a symbol."""


# Excess by source


def sources(found: Sequence[Found]) -> Figure:
    """A row a source: both cells with their seeds and intervals, and the rungs as ticks with their orders."""
    canvas, axis = plt.subplots(figsize=(7.2, 0.9 + 0.42 * len(found)), layout="constrained")
    for row, one in enumerate(found):
        rungs(axis, row, one)
        for cell in one.cells:
            dots(axis, row + ASIDE[cell], one, cell)
    axis.axvline(LIMIT, color="0.6", lw=0.8, ls=":")
    axis.set(xscale="log", xlim=(LEFT, RIGHT), ylim=(len(found) - 0.4, -0.9), xlabel="excess, bits a symbol")
    axis.set_yticks(range(len(found)), [one.label for one in found])
    how = {"textcoords": "offset points", "fontsize": 8, "va": "center"}
    axis.annotate("N20 asks for less", (LIMIT, -0.7), xytext=(-3, 0), ha="right", color="0.4", **how)
    for cell, place in zip(CELLS, (0.02, 0.1), strict=True):
        axis.text(place, 1.0, figures.NAMES[cell], transform=axis.transAxes, color=figures.COLOURS[cell], fontsize=9)
    axis.text(0.2, 1.0, "| rung of that order", transform=axis.transAxes, fontsize=9)
    data = pd.DataFrame([row for one in found for cell in one.cells for row in rows_of(one, cell)])
    return Figure("sources_excess", sources_title(found), canvas, sources_alt(found), data)


def dots(axis: Axes, at: float, one: Found, cell: str) -> None:
    """A dot a seed, the median with its interval as a band; lost seeds have no dot, and a band may end at the right."""
    values, colour, (middle, low, high) = one.values(cell, "excess"), figures.COLOURS[cell], one.interval(cell)
    values = values[np.isfinite(values)]
    axis.plot(np.maximum(values, LEFT), np.full(len(values), at), "o", color=colour, ms=2.2, alpha=0.6)
    if math.isfinite(low):
        ends = max(low, LEFT), min(max(high, LEFT), RIGHT)
        axis.fill_betweenx([at - 0.13, at + 0.13], *ends, color=colour, alpha=0.22, lw=0)
    if math.isfinite(middle):
        axis.plot([max(middle, LEFT)] * 2, [at - 0.13, at + 0.13], color=colour, lw=1.8)


def rungs(axis: Axes, row: int, one: Found) -> None:
    """A tick for each rung: black with its order where there is room, else grey, behind the seeds."""
    last = math.inf
    for order, gap in enumerate(one.gaps):
        if gap > LEFT:
            named = math.log10(last / gap) > APART * len(str(order))
            axis.plot([gap, gap], [row - 0.3, row + 0.3], color="black" if named else "0.8", lw=0.8, zorder=0.5 + named)
            if named:
                axis.text(gap, row - 0.31, str(order), fontsize=6, ha="center", va="bottom")
                last = gap


def rows_of(one: Found, cell: str) -> list[dict[str, object]]:
    """A row a seed of one source and cell."""
    named = {"source": one.label, "rate": one.rate, "cell": cell}
    pairs = zip(*(one.values(cell, metric) for metric in ("excess", "loss", "bayes")), strict=True)
    return [named | {"seed": n, "excess": e, "loss": loss, "bayes": best} for n, (e, loss, best) in enumerate(pairs)]


def sources_title(found: Sequence[Found]) -> str:
    """The range of the better cell's excess on the sources of N20, or else on all, and where it is largest."""
    named = [one for one in found if one.decides]
    some, which = (named, " that N20 names") if named else (list(found), "")
    best = sorted(some, key=lambda one: one.interval(one.best()).value)
    low, high = (f"{few(one.interval(one.best()).value)} bit a symbol ({one.label})" for one in (best[0], best[-1]))
    return (
        f"The better cell of each of the {len(some)} sources{which} stays between {low} and {high} above the "
        "Bayes-optimal predictor in the median"
    )


def sources_alt(found: Sequence[Found]) -> str:
    """Every median with its interval."""
    parts = []
    for one in found:
        cells = listed([f"{figures.NAMES[cell]} {told(one.interval(cell))}" for cell in one.cells])
        parts.append(f"{one.label}: {cells}; rungs {', '.join(few(gap) for gap in one.gaps[:4])}")
    return (
        "Excess over the Bayes-optimal predictor in bits a symbol, median over seeds with 99 % interval, and the "
        f"rungs of orders 0 to 3. {'. '.join(parts)}."
    )


# The curve over timer's n


def timers(found: Sequence[Found]) -> Figure:
    """Excess by n for both cells beside the rung of order 1; below, what the cells lie above it."""
    table = timer_table(found)
    canvas, ((top,), (below,)) = figures.with_residual(1, (6.4, 5.0))
    for cell in CELLS:
        rows = table[table.cell == cell]
        figures.measured_and_predicted(top, below, rows.n, rows, figures.COLOURS[cell])
        top.plot(rows.n, rows["median"], "o", color=figures.COLOURS[cell], ms=3)
    below.axhline(0, **figures.PREDICTION)
    for cell, rows in table[np.isfinite(table["median"])].groupby("cell"):
        figures.label_line(top, rows.n.iloc[-1], rows["median"].iloc[-1], figures.NAMES[cell], figures.COLOURS[cell])
    figures.label_line(top, table.n.iloc[0], table.predicted.iloc[0], "order 1", ha="left", va="bottom", xytext=(0, 4))
    top.set(yscale="log", ylabel="excess, bits a symbol")
    below.set(xlabel="n (zeros before the coin)", ylabel="minus order 1")
    below.set_xticks(sorted(set(table.n)))
    return Figure("sources_timer", timer_title(found), canvas, timer_alt(table), table)


def timer_table(found: Sequence[Found]) -> pd.DataFrame:
    """A row an n and cell: the median with its interval, the rung of order 1, and what is left."""
    rows = []
    for cell in CELLS:
        for one in (one for one in found if cell in one.cells):
            row = {"n": one.n, "cell": cell, "seeds": len(one.values(cell, "excess"))}
            rows.append(row | against(one.interval(cell), one.gaps[1]))
    return pd.DataFrame(rows)


def timer_title(found: Sequence[Found]) -> str:
    """Both cells at the largest n beside order 1."""
    one = found[-1]
    cells = listed([f"the {figures.NAMES[cell]} {told(one.interval(cell))}" for cell in one.cells])
    return f"Excess on timer({one.n}) in bits a symbol: {cells}; who sees one symbol has {few(one.gaps[1])}"


def timer_alt(table: pd.DataFrame) -> str:
    """Every median by n."""
    parts = []
    for cell, rows in table.groupby("cell", sort=False):
        values = ", ".join(
            f"{few(row.median_)} at n = {row.n}" for row in rows.rename(columns={"median": "median_"}).itertuples()
        )
        parts.append(f"{figures.NAMES[cell]} {values}")
    first, last = (few(value) for value in table.predicted.iloc[[0, len(table) // 2 - 1]])
    return (
        f"Excess on timer(n) over n, bits a symbol, medians with 99 % bands: {'; '.join(parts)}. Dashed, the predictor "
        f"who sees one symbol, falls from {first} to {last}. Below, what the cells have more than it."
    )
