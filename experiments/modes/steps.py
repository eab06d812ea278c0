"""Success step by step, beside what is to be had at each step, and by kind of row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from experiments.harness import figures
from experiments.harness.report import Figure, Table
from experiments.harness.statistics import order_interval
from experiments.harness.words import listed
from experiments.modes.data import DATA, OWN
from experiments.modes.reading import KINDS, Run, Tried, capital, shares, three
from experiments.tasks import moving_digits

STEPS = {
    "digit_names": ("letter", 1),
    "digit_rows": ("rows of the picture read", 1),
    "mnist1d": ("points of the curve read", 1),
    "dates": ("character of the ISO date", 1),
    "moving_digits": ("frame", 0),
    "moving_labels": ("frame", 0),
    OWN: ("step", 1),
}
"""What is counted, and the number of the first."""
ISO = "YYYY-MM-DD"
SHARES = {
    "one_to_many": "share right of the rows\nthat have the letter",
    "many_to_one": "share of rows right,\nif read out there",
    "delayed": "share of rows right",
    "aligned": "share of rows right",
}
"""What the axis says, by mode; in a file of the user's not all rows have each step."""
CEILING, ALONE, LINEAR, CHANCE = "all frames so far", "that frame alone", "logistic regression", "chance"
"""Levels beside what was measured. The third is of an input as a whole; of a moving digit, of its picture in place."""


# The figure


def by_step(one: Tried) -> list[Figure]:
    """The share of rows that are right by step, where the records have it."""
    runs = [run for run in one.runs if "success_by_step" in run.courses]
    if not runs:
        return []
    one = one._replace(runs=runs)
    data = pd.concat([measured(run, levels(one)) for run in runs], ignore_index=True)
    canvas, top, below = panels(CEILING in levels(one))
    for axis in filter(None, (top, below)):
        draw(axis, one, data, "" if axis is top else CEILING)
    (below or top).set_xlabel(STEPS[one.data][0])
    top.set_ylabel("share right of the rows\nthat have the step" if one.data == OWN else SHARES[one.mode])
    return [Figure(f"steps_{one.data}", title(one), canvas, alt(one, data), data)]


def panels(residual: bool) -> tuple[Canvas, Axes, Axes | None]:
    """A canvas and its panel, with one for the residual where there is a ceiling."""
    if not residual:
        canvas, top = plt.subplots(figsize=(8.0, 3.6), layout="constrained")
        return canvas, top, None
    canvas, ((top,), (below,)) = figures.with_residual(1, (8.0, 5.0))
    return canvas, top, below


def draw(axis: Axes, one: Tried, data: pd.DataFrame, minus: str) -> None:
    """Both cells by step and the levels beside them; in the residual panel less one of the levels."""
    ends = []
    for run in one.runs:
        rows = data[data.cell == run.cell].replace([np.inf, -np.inf], np.nan)
        shift = rows[minus] if minus else 0.0
        value, low, high = (rows[column] - shift for column in ("median", "low", "high"))
        figures.measured(axis, rows.step, value, low, high, run.colour)
        axis.plot(rows.step, value, "o", color=run.colour, ms=3.5 if len(rows) < 20 else 2)
        ends.append(
            (None, value.iloc[-1], run.name if minus else f"{run.name} {rows['median'].iloc[-1]:.2f}", run.colour)
        )
    for name in levels(one) if not minus else ():
        figures.predicted(axis, rows.step, rows[name])
        ends.append((None, rows[name].iloc[-1], f"{name} {rows[name].iloc[-1]:.2f}", "black"))
    if minus:
        axis.axhline(0, **figures.PREDICTION)
        axis.set_ylabel(f"minus\n{minus}")
    else:
        low = data[["median", "low", *levels(one)]].replace(-np.inf, np.nan).min().min()
        bottom = min(low, 0.9) if low > 0.5 else 0.0  # where all is right at every step, thousandths would be noise
        axis.set_ylim(bottom - 0.07 * (1 - bottom), 1 + 0.03 * (1 - bottom))
    scale(axis, one, rows.step.to_numpy())
    figures.label_lines(axis, ends)


def scale(axis: Axes, one: Tried, steps: np.ndarray) -> None:
    """Ticks at the steps; an ISO date's are its characters."""
    axis.set_xlim(steps.min() - 0.2, steps.max() + 0.2)
    if one.data == "dates":
        axis.set_xticks(steps, list(ISO[: len(steps)]))
    elif len(steps) <= 20:
        axis.set_xticks(steps)


def measured(run: Run, beside: dict[str, np.ndarray]) -> pd.DataFrame:
    """Median and interval of a cell by step, with the levels beside them."""
    table = run.courses["success_by_step"]
    steps = table.index.to_numpy().astype(int)
    rows = pd.DataFrame([order_interval(values) for values in table.to_numpy()], columns=["median", "low", "high"])
    rows.insert(0, "step", steps + STEPS[run.data][1])
    rows.insert(0, "cell", run.cell)
    for name, level in beside.items():
        rows[name] = level[steps] if np.ndim(level) else level
    return rows


def levels(one: Tried) -> dict[str, np.ndarray | float]:
    """What is to be had without the network, or at most, by step."""
    if one.data == "moving_digits":
        return {CEILING: moving_digits.ceiling(), ALONE: moving_digits.frame_alone()}
    if one.data == OWN:
        return {CHANCE: one.chance}
    return {LINEAR: linear(one.data), CHANCE: one.chance} if hasattr(DATA[one.data], "rung") else {}


@cache
def linear(name: str) -> float:
    """Success of logistic regression on all of a row's numbers at once."""
    return 1.0 - DATA[name].rung().error


# Words


def title(one: Tried) -> str:
    """What there is to see."""
    if one.mode == "many_to_one":
        return title_read_out(one)
    if one.data == "moving_digits":
        return title_gap(one)
    if one.data == "moving_labels":
        return title_rise(one)
    unit = "character" if one.data == "dates" else STEPS[one.data][0]
    hard, sure = ([run for run in one.runs if misses(run) is wanted] for wanted in (True, False))
    least = f"least often right is {listed([f'the {run.name} {hardest(run, unit)}' for run in hard])}" if hard else ""
    names = listed([f"the {run.name}" for run in sure])
    every = f"in the median {names} {'are' if len(sure) > 1 else 'is'} right at every {unit}" if sure else ""
    return f"{capital(one.called)}: {'; '.join(filter(None, [least, every]))}"


def title_rise(one: Tried) -> str:
    """What more frames of the same bring."""
    parts = []
    for run in one.runs:
        medians = medians_of(run).to_numpy()
        parts.append(f"of the {run.name} from {three(medians[0])} to {three(medians[-1])}")
    return f"{capital(one.called)}: from the first frame to the last the share of right answers goes, {listed(parts)}"


def medians_of(run: Run) -> pd.Series:
    """The median share of right answers of the seeds, by step."""
    return run.courses["success_by_step"].median(axis=1)


def misses(run: Run) -> bool:
    """Whether a median is below 1 at some step."""
    return bool((medians_of(run) < 1).any())


def hardest(run: Run, unit: str) -> str:
    """The step with the least median."""
    medians = medians_of(run)
    step = int(medians.idxmin())
    part = {"Y": ", year", "M": ", month", "D": ", day"}.get(ISO[step], "") if run.data == "dates" else ""
    return f"at {unit} {step + STEPS[run.data][1]} ({three(medians[step])}{part})"


def title_read_out(one: Tried) -> str:
    """How much is known half-way, and at the end, beside a method without time."""
    parts = []
    for run in one.runs:
        medians = medians_of(run).to_numpy()
        parts.append(f"the {run.name} {three(medians[len(medians) // 2 - 1])} and {three(medians[-1])}")
    level = f"; {LINEAR} on all of it at once {three(linear(one.data))}" if one.data != OWN else ""
    return f"{capital(one.called)}: read out half-way and at the end, {listed(parts)} are right{level}"


def title_gap(one: Tried) -> str:
    """How far each cell stays below the ceiling once there is something to see."""
    parts = []
    for run in one.runs:
        medians = medians_of(run)
        gap = (moving_digits.ceiling()[medians.index.astype(int)] - medians)[medians.index > 0]
        short = (
            f"falls short by at most {three(gap.max())} (frame {gap.idxmax():g})" if gap.max() >= 5e-4 else "reaches it"
        )
        parts.append(f"the {run.name} {short}")
    alone = moving_digits.frame_alone().max()
    return (
        f"Who compares frames can always be right from the second on; by medians {listed(parts)}; one frame alone "
        f"gives at most {alone:.2f}"
    )


def alt(one: Tried, data: pd.DataFrame) -> str:
    """Medians by step."""
    parts = [
        f"{run.name} {', '.join(three(value) for value in data[data.cell == run.cell]['median'])}" for run in one.runs
    ]
    steps, rows = STEPS[one.data][0], data[data.cell == one.runs[0].cell]
    parts += [f"dashed, {name}: {span(rows[name])}" for name in levels(one)]
    return f"{capital(one.called)}, share of rows right by {steps}, median over seeds: {'; '.join(parts)}."


def span(values: Sequence[float]) -> str:
    """Values from the least to the largest."""
    low, high = three(min(values)), three(max(values))
    return low if low == high else f"{low} to {high}"


# Kinds


def by_kind(one: Tried) -> list[Table]:
    """Success by kind of test row, where there are kinds."""
    kinds = one.runs[0].kinds
    if not kinds:
        return []
    what = KINDS[one.data][0]
    rows = [
        {what: kind, "test rows": f"{one.runs[0].values('rows', kind=kind)[0]:,.0f}"}
        | {run.name: shares(run.success(kind=kind)) for run in one.runs}
        for kind in kinds
    ]
    title = f"{capital(one.called)}: success by {what} (median over seeds, 99 % interval)"
    return [Table(f"kinds_{one.data}", title, pd.DataFrame(rows))]


def kind_text(one: Tried) -> str:
    """The hardest kind of each cell, in a sentence."""
    parts = []
    for run in one.runs:
        medians = {kind: run.success(kind=kind).value for kind in run.kinds}
        if medians:
            worst = min(medians, key=medians.__getitem__)
            where = (
                "on all in the median" if medians[worst] == 1 else f"least often on {worst} ({three(medians[worst])})"
            )
            parts.append(f"the {run.name} is right {where}")
    return f"By {KINDS[one.data][0]} {listed(parts)}." if parts else ""
