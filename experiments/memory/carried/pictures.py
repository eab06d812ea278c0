"""The figures: exchange by time, what units carry, gates around a marked step."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from experiments.harness import figures
from experiments.harness.report import Figure
from experiments.harness.statistics import order_interval
from experiments.harness.words import few, told
from experiments.memory.carried import marks
from experiments.memory.carried.exchange import KINDS, QUARTERS
from experiments.memory.carried.runs import LABELS, Run
from experiments.memory.carried.sweep import SMALL

EXPECTED = {"c": 1.0, "h": 0.0, "both": 1.0, "none": 0.0}
"""Where the answers go if the whole bit lies in c."""

MARKERS = {"c": "o", "h": "s", "both": "^", "none": "x"}
HUE = figures.COLOURS["lstm"]


def measured_rows(values: np.ndarray, expected: float) -> dict[str, float]:
    """Median, interval, what was expected and what is left."""
    value, low, high = order_interval(values)
    return {"median": value, "low": low, "high": high, "predicted": expected, "residual": value - expected}


# Exchange


def exchange(runs: list[Run]) -> Figure:
    """Whose bit the answer is after an exchange, by when it was made; a panel a run."""
    data = pd.DataFrame(
        [
            {"start": run.start, "delay": run.length, "exchanged": what, "at": at, "seeds": int(run.holds.sum())}
            | measured_rows(run.follows(what, at), EXPECTED[what])
            for run in runs
            for what in KINDS
            for at in QUARTERS
        ]
    )
    canvas, axes = figures.with_residual(len(runs), (2.9, 4.4))
    for (top, below), run in zip(axes.T, runs, strict=True):
        mine = data[(data.start == run.start) & (data.delay == run.length)]
        for (what, rows), shade in zip(mine.groupby("exchanged", sort=False), shades(), strict=True):
            exchange_line(top, below, rows, MARKERS[what], shade)
        top.set_title(f"{run.name}\n({int(run.holds.sum())} seeds)")
        for level in (0, 1):
            top.axhline(level, **figures.PREDICTION)
        below.axhline(0, **figures.PREDICTION)
        top.set(ylim=(-0.12, 1.12), xlim=(-0.05, 0.8), xticks=QUARTERS)
        below.set(ylim=(-1.1, 1.1), xlabel="exchanged after this\npart of the delay")
        ends = mine[mine["at"] == QUARTERS[-1]]
        names = [(0.76, row["median"], row["exchanged"], "black") for _, row in ends.iterrows()]
        figures.label_lines(top, names, height=13)
    axes[0, 0].set_ylabel("share of answers that\nfollow the exchanged state")
    axes[1, 0].set_ylabel("minus\ndashed")
    return Figure("carried_exchange", exchange_title(runs), canvas, exchange_alt(runs), data)


def shades() -> list[Any]:
    """A shade a kind of exchange: c darkest, none lightest."""
    return figures.shades("lstm", len(KINDS))[::-1]


def exchange_line(top: Any, below: Any, rows: pd.DataFrame, marker: str, shade: Any) -> None:
    """One kind of exchange: its median and interval, and what the prediction leaves."""
    figures.measured(top, rows["at"], rows["median"], np.maximum(rows.low, 0), np.minimum(rows.high, 1), shade)
    top.plot(rows["at"], rows["median"], marker=marker, color=shade, ls="", ms=4)
    below.plot(rows["at"], rows.residual, marker=marker, color=shade, ms=3, lw=1.2)


def exchange_title(runs: list[Run]) -> str:
    """What follows c and what follows h, half-way, in every run."""
    c, h = ([order_interval(run.follows(what)).value for run in runs] for what in "ch")
    return (
        f"Exchanged half-way, c takes {within(c)} of the answers along and h {within(h)} "
        f"({'medians of each start' if len(runs) > 1 else 'median'})"
    )


def within(values: Any) -> str:
    """The least and the largest of some shares, or the one."""
    low, high = few(min(values)), few(max(values))
    return low if low == high else f"{low} to {high}"


def exchange_alt(runs: list[Run]) -> str:
    """The numbers half-way and at the ends, for who cannot see them."""
    parts = []
    for run in runs:
        kinds = [f"{what} {told(order_interval(run.follows(what)))}" for what in KINDS]
        times = [few(order_interval(run.follows("c", at)).value) for at in QUARTERS]
        parts.append(f"{run.name}: {', '.join(kinds)}; c after 0, 1/4, 1/2, 3/4 of the delay {', '.join(times)}")
    return f"Share of answers that follow what was exchanged half-way, median over seeds: {'. '.join(parts)}."


# Units that carry the bit


def units(runs: list[Run]) -> Figure:
    """What one unit flips, how many units carry the bit together, and their forget gates; a dot a seed."""
    panels = (
        ("best", "share of answers flipped by\nc of one unit (the best)", "one unit carries", 1.0),
        ("needed", "units that flip 90 % together", "one unit carries", 1.0),
        (
            "needed_product",
            "product of forget gates over the\ndelay, the largest of these units",
            "biases at start",
            None,
        ),
    )
    data = pd.DataFrame([row for run in runs for row in unit_rows(run)])
    canvas, axes = plt.subplots(1, 3, figsize=(3 * (1.4 + 0.62 * len(runs)), 3.4), layout="constrained")
    for axis, (metric, ylabel, words, expected) in zip(axes, panels, strict=True):
        for at, run in enumerate(runs):
            mine = data[(data.start == run.start) & (data.delay == run.length)]
            level = order_interval(mine.start_product).value if expected is None else expected
            dots(axis, at, mine[metric].to_numpy(), level)
        name = {"ha": "right", "fontsize": 7, "va": "bottom", "xytext": (0, 1), "textcoords": "offset points"}
        axis.annotate(words, (len(runs) - 0.6, level), annotation_clip=False, **name)
        axis.set_xticks(range(len(runs)), [f"{SHORT[run.start]}\n{run.length}" for run in runs], fontsize=8)
        axis.set(ylabel=ylabel, xlabel="start, delay (steps)", xlim=(-0.6, len(runs) - 0.4))
        axis.set_ylim(*((0, SMALL["H"] + 0.5) if metric == "needed" else (-0.04, 1.08)))
    return Figure("carried_units", unit_title(runs), canvas, unit_alt(runs), data)


SHORT = {"torch": "torch", "bf1": "b_f=1", "bf3": "b_f=3", "chrono": "chrono"}


def dots(axis: Any, at: float, values: np.ndarray, expected: float) -> None:
    """A dot a seed, the median with its band, and what was expected."""
    aside = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(1)
    axis.plot(at + aside, values, "o", color=HUE, ms=3, alpha=0.6)
    value, low, high = order_interval(values)
    bottom, top = max(low, values.min() if np.isinf(low) else low), min(high, values.max() if np.isinf(high) else high)
    axis.fill_between([at - 0.3, at + 0.3], bottom, top, color=HUE, alpha=0.22, lw=0)
    axis.plot([at - 0.3, at + 0.3], [value, value], color=HUE, lw=1.6)
    figures.predicted(axis, [at - 0.38, at + 0.38], [expected, expected])


def unit_rows(run: Run) -> list[dict[str, Any]]:
    """A row a seed that holds."""
    names = ("best", "carriers", "needed", "needed_product", "start")
    columns = zip(run.holds.index[run.holds], *map(run.values, names), strict=True)
    keys = ("seed", "best", "carriers", "needed", "needed_product", "start_product")
    return [{"start": run.start, "delay": run.length, **dict(zip(keys, row, strict=True))} for row in columns]


def unit_title(runs: list[Run]) -> str:
    """In how many seeds one unit carries the bit, and how many units it takes."""
    carriers = np.concatenate([run.values("carriers") for run in runs])
    takes = [order_interval(run.values("needed")).value for run in runs]
    return (
        f"One unit alone carries the bit in {(carriers > 0).sum() or 'none'} of {carriers.size} trained LSTMs; it "
        f"takes {within(takes)} units of {SMALL['H']} together (medians)"
    )


def unit_alt(runs: list[Run]) -> str:
    """The medians, intervals and counts."""
    parts = [
        f"{run.name}, {int(run.holds.sum())} seeds: the best unit flips {told(order_interval(run.values('best')))}, "
        f"{told(order_interval(run.values('needed')))} units carry the bit together, the largest product of forget "
        f"gates among them is {told(order_interval(run.values('needed_product')))}, at the start by the biases "
        f"{few(order_interval(run.values('start')).value)}"
        for run in runs
    ]
    return f"What units carry of the bit, a dot a seed, median with band: {'; '.join(parts)}."


# Gates around a marked step


def gates(runs: list[Run], n: int = 0) -> Figure:
    """Each gate by the step relative to a marked one, after training and before: a column a gate and start.

    Args:
        runs: of one length. n: how many shorter lengths have a figure of their own.
    """
    data = pd.DataFrame([row for run in runs for gate in marks.GATES for row in gate_rows(run, gate)])
    canvas, axes = figures.with_residual(len(runs) * len(marks.GATES), (2.3, 4.4))
    columns = [(run, gate) for run in runs for gate in marks.GATES]
    for (top, below), (run, gate) in zip(axes.T, columns, strict=True):
        mine = data[(data.start == run.start) & (data["T"] == run.length) & (data.gate == gate)]
        for (_, rows), shade in zip(mine.groupby("when", sort=False), shades_of_time(), strict=True):
            figures.measured(top, rows.step, rows["median"], np.maximum(rows.low, 0), np.minimum(rows.high, 1), shade)
            below.plot(rows.step, rows.residual, color=shade, lw=1.6)
        figures.predicted(top, mine.step, mine.predicted)
        below.axhline(0, **figures.PREDICTION)
        top.axvline(0, color="0.8", lw=0.8, zorder=0)
        top.set(title=f"{LABELS[run.start]}, T = {run.length}\n{gate} gate", ylim=(0, 1))
        ends = mine[mine.step == mine.step.max()]
        names = zip(ends["median"], ends.when, shades_of_time(), strict=True)
        figures.label_lines(top, [(mine.step.max(), *name) for name in names], height=13)
        below.set(ylim=(-0.3, 0.3), xlabel="steps after a\nmarked step")
    axes[0, 0].set_ylabel("gate, mean over units")
    axes[1, 0].set_ylabel("minus\ndashed")
    name = f"carried_gates_T{runs[0].length}" if n else "carried_gates"
    return Figure(name, gates_title(runs), canvas, gates_alt(runs), data)


def shades_of_time() -> list[Any]:
    """Dark for what is trained, light for what is not."""
    return figures.shades("lstm", 2)[::-1]


def gate_rows(run: Run, gate: str) -> list[dict[str, Any]]:
    """A row a step and state of training, for the steps that there are."""
    expected = marks.at_bias(run.start, gate, run.length)
    return [
        {"start": run.start, "T": run.length, "gate": gate, "when": when, "step": step, "seeds": len(run.holds)}
        | measured_rows(values, expected)
        for when in ("trained", "untrained")
        for step in marks.OFFSETS
        if len(values := run.values(when, f"/gate={gate}", step))
    ]


def gates_title(runs: list[Run]) -> str:
    """What training does to each gate at marked steps."""
    parts = []
    for run in runs:
        by_gate = [f"{gate} {signed(run.values('contrast', f'/gate={gate}'))}" for gate in marks.GATES]
        parts.append(f"{', '.join(by_gate)} ({LABELS[run.start]}, T = {run.length})")
    return f"Training moves gates at marked against unmarked steps by: {'; '.join(parts)}"


def signed(values: np.ndarray) -> str:
    """A median with its sign."""
    return f"{order_interval(values).value:+.2f}"


def gates_alt(runs: list[Run]) -> str:
    """Each gate at a marked step, and three steps before, trained and untrained."""
    parts = []
    for run in runs:
        for gate in marks.GATES:
            at = [
                f"{when} {few(order_interval(run.values(when, f'/gate={gate}', 0)).value)} at and "
                f"{few(order_interval(run.values(when, f'/gate={gate}', -1)).value)} a step before"
                for when in ("trained", "untrained")
            ]
            parts.append(f"{LABELS[run.start]}, T = {run.length}, {gate} gate: {'; '.join(at)}")
    return f"Gates around a marked step, mean over units, median over seeds. {'. '.join(parts)}."
