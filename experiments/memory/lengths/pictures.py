"""Success by length for the chosen cells, the ratio that claim N12 asks for, and the pilot's settings again."""

from __future__ import annotations

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures
from experiments.harness.arms import ARMS
from experiments.harness.report import Figure
from experiments.memory.fits import chance_of, delay_axis, interval_text, shares, solved_of
from experiments.memory.lengths.runs import COMPARISONS, DECIDING, Pair, Reached
from experiments.memory.lengths.sweep import MORE, PILOT_SEEDS, TRIALS

STYLES = {"tuned": {"fmt": "o", "mfc": None}, "default": {"fmt": "s", "mfc": "white"}}
THRESHOLDS = {1.0: "as far", 1.5: "contradicted by two tasks below", 2.0: "supported by two above and none below 1"}


def named(one: Reached) -> str:
    """A cell for readers."""
    return f"{ARMS[one.arm].label}, H={one.H}, rate {one.lr}" if one.H else ARMS[one.arm].label


# Success by length


def success(found: list[Reached]) -> Figure:
    """A panel a task: the chosen cells, tuned and at torch's start; below, what the logistic curves leave."""
    mine = [one for one in found if one.comparison in COMPARISONS]
    tasks = [task for task in DECIDING if any(one.task == task for one in mine)]
    data = pd.concat([table(one) for one in mine], ignore_index=True)
    canvas, axes = figures.with_residual(len(tasks), (4.6, 5.4))
    for column, task in enumerate(tasks):
        top, below = axes[:, column]
        some = [one for one in mine if one.task == task]
        for one in some:
            draw_cell(top, below, one)
        below.axhline(0, **figures.PREDICTION)
        top.set(title=task, ylim=(-0.04, 1.62), xscale="log")
        top.set_yticks([0, 0.25, 0.5, 0.75, 1])
        below.set(ylim=(-0.6, 0.6), xlabel="n (zeros before the coin)" if task == "timer" else "length (steps)")
        delay_axis(below, np.unique(np.concatenate([one.fit.delays for one in some])))
        top.legend(handles=[handle(one) for one in some], fontsize=7.5, loc="upper left", handlelength=1.2)
    axes[0, 0].set_ylabel("share of seeds that solve")
    axes[1, 0].set_ylabel("minus fit")
    return Figure("lengths", success_title(found), canvas, success_alt(mine), data)


def draw_cell(top: Axes, below: Axes, one: Reached) -> None:
    """Shares with intervals and the logistic curve above, residuals below."""
    rows, colour, how = shares(one.fit), figures.COLOURS[one.cell], STYLES[one.comparison]
    reach = [rows.share - rows.low, rows.high - rows.share]
    marks = {"fmt": how["fmt"], "mfc": how["mfc"] or colour, "color": colour, "ms": 5, "lw": 1}
    top.errorbar(rows.delay, rows.share, reach, **marks)
    x = np.geomspace(rows.delay.min(), rows.delay.max(), 200)
    top.plot(x, one.fit.t50.share(x), "--", color=colour, lw=1, alpha=0.8)
    below.plot(rows.delay, rows.residual, how["fmt"], mfc=how["mfc"] or colour, color=colour, ms=4)


def handle(one: Reached) -> Any:
    """A cell's entry in the legend, with its T50."""
    colour, how = figures.COLOURS[one.cell], STYLES[one.comparison]
    text = f"{one.comparison}: {ARMS[one.arm].label}, T50 {one.warned}"
    return plt.Line2D([], [], ls="", marker=how["fmt"], mfc=how["mfc"] or colour, color=colour, ms=5, label=text)


def table(one: Reached) -> pd.DataFrame:
    """The figure's data of one cell."""
    rows = shares(one.fit).rename(columns={"delay": "length"})
    place = {"comparison": one.comparison, "task": one.task, "H": one.H, "lr": one.lr}
    for n, (name, value) in enumerate(place.items()):
        rows.insert(n, name, value)
    return rows


def success_title(found: list[Reached]) -> str:
    """T50 of the tuned cells, task by task."""
    known = {(one.comparison, one.task, one.cell): one for one in found}
    parts = []
    for task in DECIDING:
        lstm, rnn = (known.get(("tuned", task, cell)) for cell in ("lstm", "rnn"))
        if lstm and rnn:
            parts.append(f"{task} LSTM {lstm.warned} and RNN {rnn.warned}")
    return f"T50 of tuned cells in steps: {'; '.join(parts)}" if parts else "Success by length"


def success_alt(found: list[Reached]) -> str:
    """What the picture shows, for who cannot see it."""
    parts = []
    for one in found:
        parts.append(f"{one.comparison} {one.task} {named(one)}: {solved_of(one.fit)}")
    return "Seeds that solve, of those run, by length: " + "; ".join(parts) + "."


# The ratio


def ratios(both: list[Pair]) -> Figure:
    """T50 of the LSTM over that of the RNN, task by task, beside the rule's thresholds."""
    data = pd.DataFrame(
        [(p.lstm.comparison, p.lstm.task, *p.ratio, p.lstm.arm, p.rnn.arm) for p in both],
        columns=["comparison", "task", "ratio", "low", "high", "lstm", "rnn"],
    )
    canvas, axis = plt.subplots(figsize=(9, 1.2 + 0.5 * len(data)), layout="constrained")
    ends = (0.05, 40.0)
    for y, row in enumerate(data.itertuples()):
        low, high = np.clip([row.low, row.high], *ends)
        shade = "0.15" if row.comparison == "tuned" else "0.6"
        axis.plot([low, high], [y, y], color=shade, lw=6, alpha=0.4, solid_capstyle="butt")
        if 0 < row.ratio < math.inf:
            axis.plot(row.ratio, y, "o", color=shade, ms=6)
        for end, there in ((row.low, low), (row.high, high)):
            if there != end:
                axis.plot(there, y, "<" if there == ends[0] else ">", color=shade, ms=7)
    for value in THRESHOLDS:
        axis.axvline(value, **figures.PREDICTION | {"linewidth": 0.9})
    names = [pair_name(pair) for pair in both]
    axis.set_yticks(range(len(data)), names, fontsize=8)
    rule = "; ".join(f"{value:g} {text}" for value, text in THRESHOLDS.items())
    axis.set(xscale="log", xlim=ends, ylim=(len(data) - 0.4, -0.6))
    axis.set_xlabel(f"T50 of the LSTM over T50 of the RNN\n(dashed: {rule})")
    shown = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20]
    axis.set_xticks(shown, [f"{x:g}" for x in shown])
    axis.minorticks_off()
    alt = "; ".join(f"{p.lstm.comparison} {on_task(p)}: {interval_text(*p.ratio[1:])}" for p in both)
    return Figure("ratios", ratio_title(both), canvas, f"T50 ratio, 99 % interval: {alt}.", data)


def pair_name(pair: Pair) -> str:
    """What a row of the figure is called."""
    return f"{pair.lstm.comparison}: {on_task(pair)}\n{ARMS[pair.lstm.arm].label} / {ARMS[pair.rnn.arm].label}"


def on_task(pair: Pair) -> str:
    """The task of a ratio, with a warning where a T50 is in doubt."""
    return f"{pair.lstm.task} (in doubt)" if pair.doubted else pair.lstm.task


def ratio_title(both: list[Pair]) -> str:
    """On how many tasks the tuned LSTM surely reaches more than twice as far, and on how many less far."""
    tuned = [p for p in both if p.lstm.comparison == "tuned"]
    twice = [on_task(p) for p in tuned if p.ratio.low > 2]
    less = [on_task(p) for p in tuned if p.ratio.high < 1]
    first = f"The tuned LSTM reaches more than twice as far as the tuned RNN on {' and '.join(twice) or 'no task'}"
    return f"{first}, less far on {' and '.join(less) or 'none'} (99 %)"


# The pilot again


def pilot(found: list[Reached]) -> Figure:
    """The pilot's settings again, a panel an arm and task: shares with intervals, the pilot's as hollow diamonds."""
    mine = [one for one in found if one.comparison == "pilot"]
    data = pd.concat([pilot_table(one) for one in mine], ignore_index=True)
    columns = min(3, len(mine))
    rows = -(-len(mine) // columns)
    shape = {"figsize": (3.6 * columns, 2.6 * rows), "layout": "constrained", "squeeze": False, "sharey": True}
    canvas, axes = plt.subplots(rows, columns, **shape)
    for axis, one in zip(axes.flat, mine, strict=False):
        some, colour = shares(one.fit), figures.COLOURS[one.cell]
        axis.errorbar(
            some.delay, some.share, [some.share - some.low, some.high - some.share], fmt="o", color=colour, ms=4, lw=1
        )
        before = pilot_table(one)
        axis.plot(before.length * 1.03, before.pilot, "D", mfc="none", color="0.35", ms=6, ls="")
        ends = one.fit.delays[0] / 1.15, one.fit.delays[-1] * 1.15
        axis.set(ylim=(-0.05, 1.05), xscale="log", xlim=ends, xlabel="length (steps)")
        axis.set_title(f"{one.task.replace('_', ' ')}: {ARMS[one.arm].label}", fontsize=9)
        delay_axis(axis, one.fit.delays)
    for axis in axes[:, 0]:
        axis.set_ylabel("share of seeds\nthat solve")
    for axis in list(axes.flat)[len(mine) :]:
        axis.set_axis_off()
    return Figure("pilot", pilot_title(data), canvas, success_alt(mine), data)


def pilot_table(one: Reached) -> pd.DataFrame:
    """Counts beside the pilot's share, and Fisher's p that the two have one share."""
    every = {
        length: solved
        for trial in MORE + TRIALS
        if trial[:2] == (one.task, one.arm)
        for length, solved in trial.pilot.items()
    }
    rows = table(one).drop(columns=["H", "lr", "fitted", "residual"])
    before = [every[int(length)] for length in rows.length]
    p = [chance_of(row.solved, row.seeds, k, PILOT_SEEDS) for row, k in zip(rows.itertuples(), before, strict=True)]
    return rows.assign(pilot=np.array(before) / PILOT_SEEDS, p=p)


def pilot_title(data: pd.DataFrame) -> str:
    """How many of the pilot's counts differ from ours, at 1 % over all."""
    differ = data[data.p * len(data) < 0.01]
    names = [f"{ARMS[row.arm].label} on {row.task.replace('_', ' ')} at {row.length:g}" for row in differ.itertuples()]
    which = f": {', '.join(names)}" if names else ""
    return f"Of {len(data)} counts of the pilot {len(names) or 'none'} differ from ours at 1 % over all{which}"
