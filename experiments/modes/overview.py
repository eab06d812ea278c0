"""All modes side by side: success, what it falls to with other rows' inputs, how it is learned, the law."""

from __future__ import annotations

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures
from experiments.harness.report import Figure, Table
from experiments.harness.statistics import Interval, against, order_interval
from experiments.harness.words import listed, signed
from experiments.modes.reading import (
    CONTROL,
    OTHERS,
    SUCCESS,
    Run,
    Tried,
    capital,
    differences,
    few_seeds,
    shares,
    spelled,
    three,
)
from experiments.modes.sweep import OWN_INPUTS, SHUFFLED

BELOW = {OWN_INPUTS: "own\ninput", OTHERS: "another\nrow's", SHUFFLED: "trained\non these"}
"""What stands below the dots."""
WITH = {OTHERS: "with another row's input", SHUFFLED: "trained on other rows' inputs"}
NAME_HEIGHT = 0.07
"""What the name of chance takes of a panel's height, in success."""
HALF, WIDE = 0.27, 0.2
"""How far a cell stands from its tick, and half the width of its dots."""
THRESHOLD = {"color": "0.35", "linestyle": ":", "linewidth": 1.2}


def size(tried: list[Tried], height: float) -> tuple[float, float]:
    """Width of a panel and height of a figure, inches: the page's width, or less for few panels."""
    return min(3.6, 10.6 / len(tried)), height


def named(axis: Axes, one: Tried) -> None:
    """A panel's title."""
    axis.set_title(f"{spelled(one.mode)}\n{one.called}")


# Success


def success(tried: list[Tried]) -> Figure:
    """Success by mode, data, cell and inputs, a dot a seed; below it what is left of it without the input."""
    data = pd.DataFrame([row for one in tried for run in one.runs for row in rows_of(run)])
    width, height = size(tried, 5.6)
    canvas, axes = figures.with_residual(len(tried), (width, height))
    for (top, below), one in zip(axes.T, tried, strict=True):
        for at, inputs in enumerate(one.inputs):
            for run in one.runs:
                columns(top, below, at, run, inputs)
        levels(top, below, one)
        named(top, one)
    for row, limits in zip(axes, ((-0.17, 1.06), residual_limits(data)), strict=True):
        for axis in row:
            axis.set_ylim(*limits)
            axis.tick_params(labelleft=axis is row[0])
    axes[0, 0].set_ylabel("success on test rows")
    axes[1, 0].set_ylabel("without the input,\nminus chance")
    return Figure("success", success_title(tried), canvas, success_alt(tried), data)


def columns(top: Axes, below: Axes, at: int, run: Run, inputs: str) -> None:
    """One cell with one kind of inputs."""
    if inputs not in run.inputs:
        return
    own, values, x = inputs == OWN_INPUTS, run.values("success", inputs), at + place(run)
    dots(top, x, values, run.colour, not own)
    if own:
        side = 1 if run.cell == "lstm" else -1  # names of both cells meet between them, in narrow panels too
        how = {"xytext": (2 * side, -5), "va": "top", "ha": "left" if side > 0 else "right"}
        figures.label_line(top, at, values.min(), f"{run.name}\n{run.success().value:.2f}", run.colour, **how)
    else:
        dots(below, x, values - run.chance, run.colour, True)


def place(run: Run) -> float:
    """Where a cell stands beside its tick."""
    return HALF if run.cell == "lstm" else -HALF


def dots(axis: Axes, x: float, values: np.ndarray, colour: Any, hollow: bool) -> None:
    """A dot a seed, the median and its interval; hollow where the input was another's."""
    aside = np.linspace(-WIDE, WIDE, len(values)) if len(values) > 1 else np.zeros(1)
    face = "white" if hollow else colour
    axis.plot(x + aside, values, "o", color=colour, mfc=face, ms=2.8, mew=0.7, zorder=3)
    value, low, high = order_interval(values)
    if math.isfinite(low):
        axis.fill_between([x - WIDE, x + WIDE], low, high, color=colour, alpha=0.22, lw=0)
    axis.plot([x - WIDE, x + WIDE], [value, value], color=colour, lw=1.6)


def levels(top: Axes, below: Axes, one: Tried) -> None:
    """Chance, which is what is to be had without the input, and what N5 asks for."""
    left, right = -0.6, len(one.inputs) - 0.4
    below.set_xlim(left, right)
    below.set_xticks(range(len(one.inputs)), [BELOW[inputs] for inputs in one.inputs], fontsize=8)
    figures.predicted(top, [left, right], [one.chance] * 2)
    below.axhline(0, **figures.PREDICTION)
    how = {"ha": "right", "fontsize": 7.5}
    how_below = how | {"xytext": (0, -4), "va": "top"}
    figures.label_line(top, right, free_below(one), f"chance {one.chance:.2f}", **how_below)
    if one.decides:
        above = {"xytext": (0, 1), "va": "bottom"}
        for axis, level, text in ((top, one.chance + SUCCESS, f"chance + {SUCCESS:g}"), (below, CONTROL, "")):
            axis.axhline(level, **THRESHOLD)
            figures.label_line(axis, right, level, text, "0.35", **how | above)
        figures.label_line(below, left, CONTROL, f"+{CONTROL:g}", "0.35", xytext=(3, 1), va="bottom", fontsize=7.5)


def free_below(one: Tried) -> float:
    """The highest place, from chance down, below which its name meets no dot of the controls."""
    place, inputs = one.chance, [inputs for inputs in one.inputs if inputs != OWN_INPUTS]
    values = np.concatenate([run.values("success", some) for run in one.runs for some in inputs])
    for value in np.sort(values[values < place])[::-1]:
        place = value if place - value < NAME_HEIGHT else place
    return float(place)


def residual_limits(data: pd.DataFrame) -> tuple[float, float]:
    """Of the lower panels: what was measured without the input, and the threshold."""
    left = data[data.inputs != OWN_INPUTS]
    left = left.success - left.predicted
    return min(left.min(), -CONTROL / 2) - 0.02, max(left.max(), CONTROL) + 0.06


def rows_of(run: Run) -> list[dict[str, Any]]:
    """A row a seed and kind of inputs."""
    rows = []
    for inputs in run.inputs:
        shown = {"mode": run.mode, "data": run.data, "cell": run.cell, "inputs": inputs}
        shown |= against(run.success(inputs), run.chance)
        values = run.values("success", inputs)
        rows += [shown | {"n": n, "success": value} for n, value in enumerate(values)]
    return rows


def success_title(tried: list[Tried]) -> str:
    """Whether both cells succeed in every mode, and whether they need the input for it."""
    decided = [one for one in tried if one.decides] or tried
    few = "; all by medians, since fewer than 8 seeds have no interval" if few_seeds(tried) else ""
    return f"{succeed_text(decided)}{beside_text(tried, decided)}; {control_text(tried)}{few}"


def beside_text(tried: list[Tried], decided: list[Tried]) -> str:
    """Of which data that is, where there are others, and who is not as far above chance on these."""
    others = beside(tried)
    if not others:
        return ""
    short = [(run, one.called) for one in others for run in one.runs if not least(run.above()) > SUCCESS]
    names = listed([f"the {run.name} on {called}, {differences(run.above())}," for run, called in short])
    verb = "are" if len(short) > 1 else "is"
    wanted = f"more than {SUCCESS:g} above chance"
    well = f"on {listed([one.called for one in others])} each cell is {wanted}"
    more = f"of the others {names} {verb} not surely {wanted}" if short else well
    return f", on the data that decide N5 ({listed([one.called for one in decided])}); {more}"


def beside(tried: list[Tried]) -> list[Tried]:
    """The data that stand beside those that decide N5; none where none decides."""
    return [one for one in tried if not one.decides] if any(one.decides for one in tried) else []


def succeed_text(decided: list[Tried]) -> str:
    """Who lies above chance by what N5 asks for; on a file of the user's, who lies above chance."""
    asked = SUCCESS if decided[0].decides else 0.0
    wanted = f"more than {asked:g} above chance" if asked else "above chance"
    failed = [run for one in decided for run in one.runs if not least(run.above()) > asked]
    if not failed:
        return f"Each cell is {wanted} in {modes_text(decided)}"
    if len(failed) == sum(len(one.runs) for one in decided):
        return f"No cell is {wanted} in any mode"
    whole = [one for one in decided if not any(run in failed for run in one.runs)]
    without = listed([f"the {run.name} {spelled(run.mode)} ({differences_short(run)})" for run in failed])
    return f"Each cell is {wanted} in {modes_text(whole)}, but not {without}" if whole else f"Not {wanted}: {without}"


def modes_text(some: list[Tried]) -> str:
    """Modes in words."""
    if len(some) == 4:
        return "all four modes"
    return listed([spelled(one.mode) for one in some])


def differences_short(run: Run) -> str:
    """A cell's median of success minus chance."""
    return signed(run.above().value)


def control_text(tried: list[Tried]) -> str:
    """Who is not held below chance + CONTROL where the input is another row's."""
    pairs = [(run, inputs) for one in tried for run in one.runs for inputs in run.inputs if inputs != OWN_INPUTS]
    held = [most(run.above(inputs)) < CONTROL for run, inputs in pairs]
    if all(held):
        top = max(run.above(inputs).value for run, inputs in pairs)
        return f"without its own input none is {CONTROL:g} above it (medians at most {signed(top)})"
    over = [
        f"the {run.name} {spelled(run.mode)} {WITH[inputs]} ({signed(run.above(inputs).value)})"
        for (run, inputs), fine in zip(pairs, held, strict=True)
        if not fine
    ]
    return f"not held below chance + {CONTROL:g}: {listed(over)}"


def least(interval: Interval) -> float:
    """The lower end, or the median where there is none."""
    return interval.low if math.isfinite(interval.low) else interval.value


def most(interval: Interval) -> float:
    """The upper end, or the median where there is none."""
    return interval.high if math.isfinite(interval.high) else interval.value


def success_alt(tried: list[Tried]) -> str:
    """Every median with its interval."""
    parts = []
    for one in tried:
        values = [
            f"{run.name} {shares(run.success())}"
            + "".join(f", {WITH[inputs]} {shares(run.success(inputs))}" for inputs in run.inputs if inputs in WITH)
            for run in one.runs
        ]
        parts.append(f"{capital(spelled(one.mode))}, {one.called}: {'; '.join(values)}; chance {three(one.chance)}")
    return f"Success on test rows, median over seeds with 99 % interval. {'. '.join(parts)}."


# Learning

NONE = "\N{EM DASH}"


def learning(tried: list[Tried]) -> Figure:
    """Success on validation rows by update."""
    data = pd.concat([learned(run) for one in tried for run in one.runs], ignore_index=True)
    width, height = size(tried, 3.1)
    shape = {"figsize": (width * len(tried), height), "squeeze": False, "sharey": True, "layout": "constrained"}
    canvas, (axes,) = plt.subplots(1, len(tried), **shape)
    axes[0].set_ylim(-0.04, 1.04)
    axes[0].set_ylabel("success on validation rows")
    for axis, one in zip(axes, tried, strict=True):
        curves(axis, one, data[(data["mode"] == one.mode) & (data.data == one.data)])
    return Figure("learning", learning_title(tried), canvas, learning_alt(tried), data)


def curves(axis: Axes, one: Tried, data: pd.DataFrame) -> None:
    """The panel of some data."""
    ends = [(data.updates.max(), one.chance, "chance", "black")]
    for run in one.runs:
        rows = data[data.cell == run.cell].replace([np.inf, -np.inf], np.nan)
        figures.measured(axis, rows.updates, rows["median"], rows.low, rows.high, run.colour)
        ends.append((rows.updates.iloc[-1], rows["median"].iloc[-1], run.name, run.colour))
    axis.axhline(one.chance, **figures.PREDICTION)
    axis.set_xlim(0, data.updates.max())
    axis.set_xlabel("updates")
    axis.set_xticks([0, data.updates.max() / 2, data.updates.max()])
    figures.label_lines(axis, ends)
    named(axis, one)


def learned(run: Run) -> pd.DataFrame:
    """Median and interval of a cell's success on validation rows, by update."""
    table = run.courses["success_validation"]
    rows = [against(order_interval(values), run.chance) for values in table.to_numpy()]
    told = {"mode": run.mode, "data": run.data, "cell": run.cell}
    return pd.DataFrame([told | {"updates": n} | row for n, row in zip(table.index, rows, strict=True)])


def half_way(run: Run) -> str:
    """The first look at which the median is half-way from chance to the last one; a dash where nothing is learned."""
    medians = run.courses["success_validation"].median(axis=1)
    gain = medians - run.chance
    if not gain.iloc[-1] > 0:
        return NONE
    return f"{gain.index[gain >= gain.iloc[-1] / 2][0]:,.0f}"


def learning_title(tried: list[Tried]) -> str:
    """How soon each cell is half-way."""
    parts = [f"{one.called} {listed([half_way(run) for run in one.runs])}" for one in tried]
    cells = listed([run.name for run in tried[0].runs])
    none = f" ({NONE} where nothing is gained)" if any(NONE in part for part in parts) else ""
    told = f"takes {cells} at most so many updates{none}: {'; '.join(parts)}"
    return f"Half of what success on validation rows gains over chance {told}"


def learning_alt(tried: list[Tried]) -> str:
    """Medians by update."""
    parts = []
    for one in tried:
        for run in one.runs:
            medians = run.courses["success_validation"].median(axis=1)
            values = ", ".join(f"{three(value)} at {at:g}" for at, value in medians.items())
            parts.append(f"{one.called}, {run.name}: {values}")
    return f"Median success on validation rows by update, chance dashed. {'. '.join(parts)}."


# Tables


def success_table(tried: list[Tried]) -> Table:
    """Success, chance and controls by mode, data and cell."""
    rows = [
        {"mode": spelled(run.mode), "data": one.called, "cell": run.name}
        | {"success": shares(run.success()), "chance": three(run.chance)}
        | {WITH[inputs]: shares(run.success(inputs)) if inputs in run.inputs else "" for inputs in one_of(tried)}
        | {"test rows": f"{run.values('rows')[0]:,.0f}", "seeds": run.seeds}
        for one in tried
        for run in one.runs
    ]
    return Table("modes_success", "Success on test rows (median over seeds, 99 % interval)", pd.DataFrame(rows))


def one_of(tried: list[Tried]) -> list[str]:
    """The controls that were measured anywhere."""
    return [inputs for inputs in WITH if any(inputs in one.inputs for one in tried)]


LAWS = {
    "one_to_many": "other weights of the input change nothing that is said after it",
    "many_to_one": "the state at the row's last step is the last one, and its choice is the answer",
    "delayed": "from one state the decoder says the same, whatever was read after it",
    "aligned": "what is said at a step is the same whatever comes later",
}
"""The law of each mode, as experiments.modes.laws checks it."""


def law_table(tried: list[Tried]) -> Table:
    """Breaks of the law of each mode on the trained models, and what both twins answer alike."""
    rows = [
        {"mode": spelled(run.mode), "data": one.called, "cell": run.name, "law, to the bit": LAWS[run.mode]}
        | {"rows checked": f"{checked(run):,.0f}", "breaks": f"{broken(run):,.0f}"}
        | {"answered otherwise by the other twin": f"{otherwise(run):,.0f} of {answered(run):,.0f} test rows"}
        for one in tried
        for run in one.runs
    ]
    title = "The law of each mode on the trained models, and the twins' answers, all seeds together"
    return Table("modes_law", title, pd.DataFrame(rows))


def checked(run: Run) -> float:
    """Rows on which the law was checked, of all seeds."""
    return float(run.values("cases", law="modes").sum())


def broken(run: Run) -> float:
    """Rows that break it."""
    return float(run.values("breaks", law="modes").sum())


def otherwise(run: Run) -> float:
    """Test rows, of all seeds, that the other twin answers otherwise."""
    return float(run.values("other_twin_differs").sum())


def answered(run: Run) -> float:
    """Test rows of all seeds."""
    return float(run.values("rows").sum())


def law_text(tried: list[Tried]) -> str:
    """The law in a sentence."""
    runs = [run for one in tried for run in one.runs]
    cases, bad = sum(map(checked, runs)), [run for run in runs if broken(run)]
    first = (
        "The laws of the modes (in the aligned mode that is causality), which the properties check on generated cases, "
        f"are checked on what training left as well, each model on its first test rows, {cases:,.0f} together"
    )
    twins = (
        f"The other twin, given the trained parameters, answers {sum(map(otherwise, runs)):,.0f} of "
        f"{sum(map(answered, runs)):,.0f} test rows otherwise."
    )
    if not bad:
        return f"{first}: none breaks it. {twins}"
    where = listed([f"the {run.name} {spelled(run.mode)} ({broken(run):,.0f} of {checked(run):,.0f})" for run in bad])
    return f"{first}: it is broken by {where}. {twins}"
