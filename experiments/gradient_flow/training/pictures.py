"""The figures: the gradient at the first step by the number of updates, and by lag at a few checkpoints."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.gradient_flow.findings import decades
from experiments.gradient_flow.training.runs import (
    LABELS,
    MAIN_RATE,
    Trained,
    clipping,
    ends,
    fastest,
    first_lag,
    interval,
    name,
    rows_of,
    within,
)
from experiments.harness import figures
from experiments.harness.report import Figure


class Panel(NamedTuple):
    """A panel and its residual panel: title, cell, and lines as (rows, label)."""

    title: str
    cell: str
    lines: list[tuple[pd.DataFrame, str]]


def by_update(runs: list[Trained]) -> Figure:
    """The gradient at the first step by the number of updates at the main rate: a cell with and without clipping."""
    shown = [t for t in runs if t.run.lr == MAIN_RATE]
    kinds = dict.fromkeys(
        (t.cell, t.run.clip) for t in sorted(shown, key=lambda t: (t.cell == "lstm", t.run.clip is None))
    )
    panels = []
    for kind in kinds:
        some = [t for t in shown if (t.cell, t.run.clip) == kind]
        lines = [(first_rows(t), LABELS[t.run.arm]) for t in some]
        panels.append(Panel(f"{figures.NAMES[kind[0]]}, {clipping(some[0].run)}", kind[0], lines))
    canvas, axes = drawn(panels, "update", 3.7, "norm of dL/ds at the first step over\nthat at the last step (log10)")
    for below in axes[1]:
        over_updates(below, runs[0].updates)
    return Figure(f"training_by_update_T{runs[0].T}", update_title(runs), canvas, update_alt(shown), data_of(panels))


def first_rows(t: Trained) -> pd.DataFrame:
    """The rows of the first step's lag at every checkpoint."""
    return pd.DataFrame([row for n in t.updates for row in rows_of(t, n) if row["lag"] == first_lag(t)])


def by_lag(runs: list[Trained]) -> Figure:
    """The norm by lag at a few checkpoints: a panel an arm, at the main rate and with clipping."""
    shown = [t for t in runs if t.run.lr == MAIN_RATE and t.run.clip is not None]
    panels = []
    for t in shown:
        at = some_updates(t)
        lines = [(pd.DataFrame(rows_of(t, n)), f"{n}" + " updates" * (n == at[-1])) for n in at]
        panels.append(Panel(f"{figures.NAMES[t.cell]} {LABELS[t.run.arm]}", t.cell, lines))
    canvas, axes = drawn(panels, "lag", 3.3, "norm of dL/ds at the lag over that\nat the last step (log10)")
    for below in axes[1]:
        below.set_xlabel("lag T - t (steps)")
    return Figure(f"training_by_lag_T{runs[0].T}", lag_title(shown), canvas, lag_alt(shown), data_of(panels))


def some_updates(t: Trained) -> list[int]:
    """The start, the first checkpoint after it, the one at about half of the updates, and the last."""
    half = min(t.updates, key=lambda n: abs(n - t.updates[-1] / 2))
    return sorted({0, t.updates[1], half, t.updates[-1]})


def data_of(panels: list[Panel]) -> pd.DataFrame:
    """What is drawn."""
    return pd.concat([rows for panel in panels for rows, _ in panel.lines], ignore_index=True)


# Drawing


def drawn(panels: list[Panel], x: str, width: float, ylabel: str) -> tuple[Any, np.ndarray]:
    """A column a panel: measured lines with bands and the form above, measured minus form below."""
    canvas, axes = figures.with_residual(len(panels), (width, 5.2))
    for (top, below), panel in zip(axes.T, panels, strict=True):
        shades = figures.shades(panel.cell, len(panel.lines))
        for (rows, _), shade in zip(panel.lines, shades, strict=True):
            figures.measured_and_predicted(top, below, rows[x], rows, shade)
        below.axhline(0, **figures.PREDICTION)
        top.set_title(panel.title)
        top.margins(x=0)
        for axis, names in ((top, ("median", "predicted")), (below, ("residual",))):
            axis.set_ylim(*limits([p for p in panels if p.cell == panel.cell], names))
        colour = figures.COLOURS[panel.cell]
        words = [(None, rows["median"].iloc[-1], text, colour) for rows, text in panel.lines]
        figures.label_lines(top, words, height=11)
    axes[0, 0].set_ylabel(ylabel)
    axes[1, 0].set_ylabel("measured minus\ndashed (log10)")
    return canvas, axes


def limits(panels: list[Panel], columns: tuple[str, ...]) -> tuple[float, float]:
    """Where panels of one cell begin and end: a tenth beyond all lines, which may cut bands."""
    values = np.concatenate([rows[column].to_numpy(float) for p in panels for rows, _ in p.lines for column in columns])
    values = np.append(values[np.isfinite(values)], 0.0)
    room = 0.1 * max(values.max() - values.min(), 1.0)
    return values.min() - room, values.max() + room


def over_updates(axis: Axes, updates: list[int]) -> None:
    """An axis of updates: straight up to 10, logarithmic from there, with some of the checkpoints as ticks."""
    axis.set_xscale("symlog", linthresh=10, linscale=0.5)
    axis.set_xticks(
        ticks := [0, 10, *(n for n in (30, 100, 300, 1000) if n < updates[-1] / 1.5), updates[-1]], map(str, ticks)
    )
    axis.minorticks_off()
    axis.set_xlabel("updates")


# Words


def update_title(runs: list[Trained]) -> str:
    """Where the gradient ends in models that solved the task and in the others; what moves it fastest."""
    t, change = fastest(runs)
    moved = f"by {decades(change.value)} in the {name(t.run)}"
    solved, others = (ends(runs, "lstm", which) for which in (True, False))
    first = f"the first {t.updates[1]} updates alone change"
    if not len(solved):
        return f"No LSTM solves the task in this budget; {first} the gradient at the first step {moved}, in decades"
    rest = f", that of the other {len(others)} at {within(others)}" if len(others) else ""
    return (
        f"The gradient at the first step of the {len(solved)} of {len(solved) + len(others)} LSTMs that solve the task "
        f"ends at {within(solved)} decades of that at the last{rest}; {first} it {moved}"
    )


def update_alt(runs: list[Trained]) -> str:
    """What the figure by updates shows, for who cannot see it."""
    parts = []
    for t in runs:
        start, end = (interval(t.relative(first_lag(t), n)) for n in (0, t.updates[-1]))
        parts.append(f"{name(t.run)} {clipping(t.run)} {decades(start.value)} and {decades(end.value)}")
    return (
        f"log10 of the gradient's norm at lag {first_lag(runs[0])} over that at lag 0, median over seeds before "
        f"training and after: {', '.join(parts)}."
    )


def lag_title(runs: list[Trained]) -> str:
    """How far the medians of each arm have come from the form at the start and at the end of training."""
    parts = []
    for t in runs:
        start, end = (interval(t.relative(first_lag(t), n)).value for n in (0, t.updates[-1]))
        parts.append(f"{name(t.run)} {decades(start)} to {decades(end)}")
    return (
        f"{runs[0].updates[-1]} clipped updates take the median norm at the first step, in decades: {', '.join(parts)}"
    )


def lag_alt(runs: list[Trained]) -> str:
    """What the figure by lag shows, for who cannot see it."""
    parts = []
    for t in runs:
        at = [f"{decades(interval(t.relative(first_lag(t), n)).value)} after {n}" for n in some_updates(t)]
        parts.append(f"{name(t.run)}: {', '.join(at)}")
    return (
        f"log10 of the gradient's norm by lag over that at lag 0 at some numbers of updates; at lag "
        f"{first_lag(runs[0])}, median over seeds: {'; '.join(parts)}."
    )
