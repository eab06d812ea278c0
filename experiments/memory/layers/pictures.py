"""The figures: accuracy by number of layers, and the gradient by layer and lag in the deepest stacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures
from experiments.harness.arms import ARMS
from experiments.harness.report import Figure
from experiments.memory.layers.tables import (
    Seen,
    change,
    decades,
    depth,
    difference_text,
    effect,
    interval,
    lag_of,
    who,
)
from experiments.tasks import latch

SHIFT = {"lstm": -0.09, "rnn": 0.09}
"""Where a cell's marks stand beside the number of layers, in steps of the axis."""

REACH = (-0.02, 1.06)

CUT = -8.0
"""Where a panel of the gradient ends: who has lost that many decades has lost it all; a line's name tells how many."""

DEPTH_LABEL = "layers (dots: seeds; marks and bars: median, 99 % interval)"


def accuracy(seen: Seen) -> Figure:
    """Accuracy by number of layers, a column a comparison; below, what a layer more changes, seed by seed."""
    runs, data = seen.runs, seen.data
    canvas, axes = figures.with_residual(len(seen.comparisons), (4.8, 5.2))
    for column, comparison in enumerate(seen.comparisons):
        top, below = axes[:, column]
        mine = data[data.comparison == comparison]
        accuracy_panel(top, runs[runs.comparison == comparison], mine)
        residual_panel(below, mine)
        top.set_title(panel_title(runs, comparison), fontsize=9)
    axes[0, 0].set_ylabel("answers right (share)")
    axes[1, 0].set_ylabel("minus that of\none layer")
    return Figure("layers_accuracy", accuracy_title(seen), canvas, accuracy_alt(data), data)


def accuracy_panel(axis: Axes, runs: pd.DataFrame, data: pd.DataFrame) -> None:
    """One comparison: every seed as a dot, medians with their intervals, chance, and what one layer does."""
    depths = sorted(data.layers.unique())
    for cell, rows in data.groupby("cell"):
        x, hue = np.array([depths.index(n) for n in rows.layers]) + SHIFT[cell], figures.COLOURS[cell]
        dots = runs[runs.cell == cell]
        axis.plot([depths.index(n) + 2.2 * SHIFT[cell] for n in dots.layers], dots.accuracy, ".", color=hue, alpha=0.3)
        reach = [rows["median"] - rows.low.clip(*REACH), rows.high.clip(*REACH) - rows["median"]]
        axis.errorbar(x, rows["median"], reach, fmt="o", color=hue, ms=5, lw=1.6)
    names = [(None, latch.CHANCE_ACCURACY, "chance", "0.4")]
    for row in data[data.layers == min(depths)].itertuples():
        figures.predicted(axis, [-0.35, len(depths) - 0.65], [row.median] * 2)
        names.append((None, row.median, f"{figures.NAMES[row.cell]}, one layer", figures.COLOURS[row.cell]))
    axis.axhline(latch.CHANCE_ACCURACY, **figures.PREDICTION | {"color": "0.5"})
    axis.set(ylim=(min(0.4, runs.accuracy.min() - 0.05), 1.05), xlim=(-0.4, len(depths) - 0.6))
    figures.label_lines(axis, names)


def residual_panel(axis: Axes, data: pd.DataFrame) -> None:
    """Accuracy minus that of one layer."""
    depths = sorted(data.layers.unique())
    for cell, rows in data.groupby("cell"):
        rows = rows[rows.layers > min(depths)]
        x = np.array([depths.index(n) for n in rows.layers]) + SHIFT[cell]
        reach = [
            rows.residual - rows.residual_low.clip(-1.05, 1.05),
            rows.residual_high.clip(-1.05, 1.05) - rows.residual,
        ]
        axis.errorbar(x, rows.residual, reach, fmt="o", color=figures.COLOURS[cell], ms=4, lw=1.2)
    axis.axhline(0, **figures.PREDICTION)
    least, most = data.residual_low.clip(-1, 1).min(), data.residual_high.clip(-1, 1).max()
    axis.set(ylim=(min(-0.1, least - 0.05), max(0.1, most + 0.05)), xlabel=DEPTH_LABEL)
    axis.set_xticks(range(len(depths)), [str(n) for n in depths])


def panel_title(runs: pd.DataFrame, comparison: str) -> str:
    """Which cells, at which lag."""
    cells = ", ".join(who(runs, comparison, cell) for cell in figures.NAMES)
    return f"{comparison}, lag {lag_of(runs, comparison)} steps\n{cells}"


def accuracy_title(seen: Seen) -> str:
    """The effect in the deepest stacks, in every comparison."""
    parts = [
        f"{difference_text(effect(seen.effects, comparison))} ({comparison}, lag {lag_of(seen.runs, comparison)})"
        for comparison in seen.comparisons
    ]
    return f"Through {depth(seen.runs)} layers the LSTM's accuracy minus the RNN's is {' and '.join(parts)}"


def accuracy_alt(data: pd.DataFrame) -> str:
    """What the picture shows, for who cannot see it."""
    parts = []
    for (comparison, cell), rows in data.groupby(["comparison", "cell"], sort=False):
        each = ", ".join(
            f"{row.layers} {interval((row.median, row.low, row.high))}, {row.solved} of {row.seeds} solved"
            for row in rows.itertuples()
        )
        parts.append(f"{comparison}, {figures.NAMES[cell]}: {each}")
    return "Median share of answers right with its 99 % interval, by number of layers. " + "; ".join(parts) + "."


# The gradient


def gradient(seen: Seen) -> Figure:
    """The gradient by layer and lag in the deepest stacks, a column a cell of a comparison, before and after."""
    data = seen.gradients[seen.gradients.layers == depth(seen.gradients)].reset_index(drop=True)
    columns = list(dict.fromkeys(zip(data.comparison, data.cell, strict=True)))
    shape = {"figsize": (3.0 * len(columns) + 0.6, 5.2), "sharey": "row", "squeeze": False, "layout": "constrained"}
    canvas, axes = plt.subplots(2, len(columns), **shape)
    names: dict[Axes, list[Any]] = {}
    for column, (comparison, cell) in enumerate(columns):
        for row, when in enumerate(("before", "after")):
            mine = data[(data.comparison == comparison) & (data.cell == cell) & (data.when == when)]
            names[axes[row, column]] = gradient_panel(axes[row, column], mine, cell)
        axes[0, column].set_title(f"{comparison}: {ARMS[mine.arm.iloc[0]].label}", fontsize=9)
        axes[1, column].set_xlabel("lag (steps before the last)")
    for row, when in enumerate(("before", "after")):
        axes[row, 0].set_ylabel(f"{when} training: log10 of\n|dl/ds| over top layer's at lag 0")
        axes[row, 0].set_ylim(bottom=max(CUT, axes[row, 0].get_ylim()[0]))
    for axis, mine in names.items():  # now that the limits, which a row shares, are known
        figures.label_lines(axis, mine, 9)
    return Figure("layers_gradient", gradient_title(data), canvas, gradient_alt(data), data)


def gradient_panel(axis: Axes, data: pd.DataFrame, cell: str) -> list[Any]:
    """One stack at one time: a line a layer with its interval, darker from bottom to top, and what loses nothing; gives
    the lines' names."""
    layers = sorted(data.layer.unique())
    names = []
    for hue, layer in zip(figures.shades(cell, len(layers)), layers, strict=True):
        rows = data[data.layer == layer]
        shown = rows[np.isfinite(rows["median"])]
        figures.measured(axis, shown.lag, shown["median"], *finite(shown), hue)
        axis.plot(shown.lag, shown["median"], ".", color=hue, ms=5)
        if len(shown):
            where = {1: " (lowest)", len(layers): " (top)"}.get(layer, "")
            end = shown["median"].iloc[-1]
            told = f": {end:+.0f}" if end < CUT else ""
            names.append((None, max(end, CUT), f"layer {layer}{where}{told}", hue))
    axis.axhline(0, **figures.PREDICTION)
    axis.set_xticks(sorted(data.lag.unique()))
    axis.margins(x=0.04)
    return names


def finite(rows: pd.DataFrame) -> Iterator[pd.Series]:
    """The ends of intervals, where they are infinite the median itself: fewer than 8 seeds have none."""
    for end in (rows.low, rows.high):
        yield end.where(np.isfinite(end), rows["median"])


def gradient_title(data: pd.DataFrame) -> str:
    """How much of the gradient reaches the first step of the lowest layer in the last comparison, by cell."""
    comparison = data.comparison.iloc[-1]
    parts = [
        f"{change(data, comparison, cell)} decades in the {figures.NAMES[cell]}"
        for cell in dict.fromkeys(data[data.comparison == comparison].cell)
    ]
    lag = data[data.comparison == comparison].lag.max()
    return (
        f"{comparison.capitalize()}: down {depth(data)} layers and {lag} steps back the gradient changes, before and "
        f"after training, by {', by '.join(parts)}"
    )


def gradient_alt(data: pd.DataFrame) -> str:
    """What the picture shows, for who cannot see it."""
    parts = []
    for (comparison, cell, when), rows in data.groupby(["comparison", "cell", "when"], sort=False):
        lags = ", ".join(map(str, rows.lag.unique()))
        layers = [f"layer {layer} {', '.join(map(decades, some['median']))}" for layer, some in rows.groupby("layer")]
        parts.append(f"{comparison} {figures.NAMES[cell]} {when} training at lags {lags}: {'; '.join(layers)}")
    return (
        "Median decades of the gradient's norm over that of the top layer at the last step. " + ". ".join(parts) + "."
    )
