"""The figures of the ten tasks: final values by arm, the share unsolved by updates, published numbers over ours."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures, statistics
from experiments.harness.arms import ARMS
from experiments.harness.report import Figure
from experiments.memory.tasks.published import PILOT, PUBLISHED
from experiments.memory.tasks.scales import SCALES, criterion
from experiments.memory.tasks.sweep import BOTH, SETTINGS, B

if TYPE_CHECKING:
    from experiments.memory.tasks.analysis import Apart

HOLLOW = {"marker": "D", "mfc": "none", "color": "0.35", "ms": 5, "lw": 0.8}
SHORT = {"lstm_b1": "LSTM\nb_f=1", "lstm_chrono": "LSTM\nchrono", "rnn_uniform": "RNN\nuniform"}
SHORT |= {"rnn_orthogonal": "RNN\northog."}
COLUMNS = 3


def grid(n: int, key: str, height: float, columns: int = COLUMNS) -> tuple[Any, list[Axes]]:
    """Panels for n tasks, and the key in the empty place after them."""
    rows = -(-(n + 1) // columns)
    shape = {"figsize": (10.5, height * rows), "layout": "constrained", "squeeze": False}
    canvas, axes = plt.subplots(rows, columns, **shape)
    for axis in axes.flat[n:]:
        axis.set_axis_off()
    text = axes.flat[n].text(0, 0.95, key, va="top", fontsize=8, transform=axes.flat[n].transAxes)
    text.set_in_layout(False)
    return canvas, list(axes.flat[:n])


def colour(arm: str) -> Any:
    """An arm's colour: of a cell's two starts the second is the darker."""
    family = ARMS[arm].family
    return figures.shades(family, 2)[[a for a in BOTH if ARMS[a].family == family].index(arm)]


def tasks_of(frame: pd.DataFrame) -> list[str]:
    """The tasks of a table in its order."""
    return list(dict.fromkeys(frame.task))


# Final values

FINALS_KEY = """dots: seeds at the end of their group, which stops when all have solved
bar and line: median with its order-statistic interval, 99 %
dashed: rungs, from chance to the best, with what a predictor knows
dotted: beyond it a run has solved the task
hollow diamonds: the pilot (joined: its least and largest)"""


def finals(runs: pd.DataFrame, cells: pd.DataFrame, told: list[Apart]) -> Figure:
    """Every seed's final value in the task's own unit, one panel a task, with rungs and the pilot's numbers."""
    tasks = tasks_of(cells)
    canvas, axes = grid(len(tasks), FINALS_KEY, 2.5)
    for axis, task in zip(axes, tasks, strict=True):
        final_panel(axis, task, runs[runs.task == task], cells[cells.task == task])
    columns = ["task", "arm", "seed", "value", "solved", "updates"]
    return Figure("tasks_final", finals_title(told), canvas, finals_alt(cells), runs[columns])


def final_panel(axis: Axes, task: str, runs: pd.DataFrame, cells: pd.DataFrame) -> None:
    """One task: an arm a column, rungs named at the right."""
    scale = SCALES[task]
    rungs = scale.rungs()
    for x, row in enumerate(cells.itertuples()):
        values, hue = runs[runs.arm == row.arm].value.to_numpy(), colour(row.arm)
        spots = x + 0.3 * (np.arange(len(values)) / max(len(values) - 1, 1) - 0.5)
        low, high = (np.clip(end, values.min(), values.max()) for end in (row.value_low, row.value_high))
        axis.plot([x, x], [low, high], color=hue, lw=8, alpha=0.25, solid_capstyle="butt")
        axis.plot(spots, values, "o", color=hue, ms=3.5, alpha=0.8, mew=0)
        axis.plot([x - 0.25, x + 0.25], [row.value] * 2, color=hue, lw=1.8)
        axis.plot([x + 0.36] * 2, [row.pilot_low, row.pilot_high], **HOLLOW)
    for rung in rungs:
        axis.axhline(rung.value, **figures.PREDICTION | {"linewidth": 0.7}, zorder=0)
    if (bound := criterion(task)) is not None:
        axis.axhline(bound, color="0.5", lw=0.8, ls=":", zorder=0)
    if scale.error:
        axis.set_yscale("log")
    axis.set_xlim(-0.5, len(cells) - 0.35)
    axis.set_xticks(range(len(cells)), [SHORT[arm] for arm in cells.arm], fontsize=8)
    axis.set_title(scale.title, fontsize=9)
    axis.set_ylabel(scale.unit, fontsize=8)
    name_rungs(axis, rungs, scale.error)


def name_rungs(axis: Axes, rungs: list[Any], log: bool) -> None:
    """The rungs' names right of the panel, moved apart where they are close."""
    low, high = axis.get_ylim()
    convert = np.log if log else np.asarray
    places = (convert([rung.value for rung in rungs]) - convert(low)) / (convert(high) - convert(low))
    for place, rung in zip(figures.spread(places, 0.09), rungs, strict=True):
        how = {"xycoords": "axes fraction", "xytext": (4, 0), "textcoords": "offset points", "va": "center"}
        axis.annotate(rung.name, (1, place), fontsize=7, **how)


def finals_title(told: list[Apart]) -> str:
    """How many tasks tell the cells' best starts apart, and for which cell."""
    if not told:
        return "What each cell reaches on each task"
    names = {side: ", ".join(SCALES[row.task].name for row in told if row.better == side) for side in ("lstm", "rnn")}
    alike = sum(not row.better for row in told)
    return (
        f"The best LSTM start ends better on {names['lstm'] or 'no task'}, the best RNN start on "
        f"{names['rnn'] or 'no task'}; {alike} of {len(told)} tasks do not tell them apart by what they reach"
    )


def finals_alt(cells: pd.DataFrame) -> str:
    """What the picture shows, for who cannot see it."""
    parts = []
    for task, rows in cells.groupby("task", sort=False):
        values = ", ".join(f"{ARMS[row.arm].label} {row.value:.3g}{ends(row)}" for row in rows.itertuples())
        rungs = ", ".join(f"{rung.name} {rung.value:.3g}" for rung in SCALES[task].rungs())
        parts.append(f"{SCALES[task].title} ({SCALES[task].unit}): {values}; rungs {rungs}")
    return "Median final values with 99 % intervals. " + ". ".join(parts) + "."


def ends(row: Any) -> str:
    """The interval of a final value in brackets; nothing where seeds are too few for one."""
    return f" ({row.value_low:.3g} to {row.value_high:.3g})" if math.isfinite(row.value_low) else ""


# Steps until solved

STEPS_KEY = """lines: share of the seeds that have not solved (Kaplan-Meier)
bands: pointwise 99 %
ticks: runs that were given up unsolved (censored)
numbers: seeds that solved; where lines coincide the darker hides the other
hollow diamonds: by then all of the pilot's had solved"""


def steps(runs: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """The share of the seeds that have not solved, by updates: a pair of panels a task, one a cell."""
    data = pd.concat([curve(task, arm, some) for (task, arm), some in runs.groupby(["task", "arm"], sort=False)])
    tasks = [task for task in tasks_of(cells) if criterion(task) is not None]
    data = data[data.task.isin(tasks)].reset_index(drop=True)
    pairs = [(task, family) for task in tasks for family in ("lstm", "rnn")]
    canvas, axes = grid(len(pairs), STEPS_KEY, 2.0, columns=4)
    for axis, (task, family) in zip(axes, pairs, strict=True):
        some = data[(data.task == task) & (data.arm.str.split("_").str[0] == family)]
        steps_panel(axis, task, family, some)
    return Figure("tasks_steps", steps_title(cells), canvas, steps_alt(cells), data)


def curve(task: str, arm: str, some: pd.DataFrame) -> pd.DataFrame:
    """One arm's Kaplan-Meier curve with its interval, from step 0 on, and how many runs were given up at each step.

    A run that did not solve is censored at the updates that its group ran, which are those allowed.
    """
    found = statistics.kaplan_meier(some.step, some.updates)
    given_up = [int((np.isinf(some.step) & (some.updates == step)).sum()) for step in found.steps]
    rows = {"updates": found.steps, "unsolved": found.unsolved, "low": found.low, "high": found.high}
    start = pd.DataFrame({"updates": [0.0], "unsolved": [1.0], "low": [1.0], "high": [1.0], "given_up": [0]})
    frame = pd.concat([start, pd.DataFrame(rows | {"given_up": given_up})], ignore_index=True)
    frame.insert(0, "arm", arm)
    frame.insert(0, "task", task)
    frame["runs"] = len(some)
    return frame


def steps_panel(axis: Axes, task: str, family: str, data: pd.DataFrame) -> None:
    """One task and cell: its starts' curves, bands, and the pilot's updates."""
    for line, (arm, rows) in enumerate(data.groupby("arm", sort=False)):
        hue = colour(arm)
        given_up, solved = rows.given_up.sum(), round(rows.runs.iloc[0] * (1 - rows.unsolved.iloc[-1]))
        said = f"{SHORT[arm].splitlines()[1]} {solved} of {solved + given_up}"
        axis.text(0.03, 0.28 - 0.12 * line, said, color=hue, fontsize=7, transform=axis.transAxes)
        axis.fill_between(rows.updates, rows.low, rows.high, step="post", color=hue, alpha=0.18, lw=0)
        axis.step(rows.updates, rows.unsolved, where="post", color=hue, lw=1.6)
        ends = rows[rows.given_up > 0]
        axis.plot(ends.updates, ends.unsolved, "|", color=hue, ms=9, mew=1.6)
    found = {
        pilot.solved_by
        for (name, arm), pilot in PILOT.items()
        if name == task and ARMS[arm].family == family and pilot.solved_by
    }
    for by in found:
        axis.plot(by, (0, 0), clip_on=False, zorder=5, **HOLLOW)
    axis.set_ylim(-0.05, 1.05)
    axis.set_xlim(0, None)
    axis.set_title(f"{figures.NAMES[family]}: {SCALES[task].name}", fontsize=8)
    axis.set_xlabel("updates", fontsize=8)
    if axis.get_subplotspec().is_first_col():
        axis.set_ylabel("share unsolved", fontsize=8)
    axis.tick_params(labelsize=7)
    if data.empty:
        axis.text(0.5, 0.5, "not run", ha="center", transform=axis.transAxes, fontsize=8)


def steps_title(cells: pd.DataFrame) -> str:
    """How many runs solved, and on how many tasks the first start to have solved in all seeds is which cell's."""
    known = cells.dropna(subset="solved")
    solved, seeds = known.solved.sum(), known.seeds.sum()
    first = dict.fromkeys(("lstm", "rnn", "both"), 0)
    for _, rows in known[np.isfinite(known.step)].groupby("task", sort=False):
        families = {ARMS[arm].family for arm in rows.arm[rows.step == rows.step.min()]}
        first["both" if len(families) > 1 else families.pop()] += 1
    none = known.task.nunique() - sum(first.values())
    rest = "".join(f", {said} {n}" for said, n in (("both cells' on", first["both"]), ("no start's on", none)) if n)
    return (
        f"{solved:g} of {seeds} runs solve their task; the start with the earliest median is the LSTM's on "
        f"{first['lstm']} tasks, the RNN's on {first['rnn']}{rest}"
    )


def steps_alt(cells: pd.DataFrame) -> str:
    """What the picture shows, for who cannot see it."""
    parts = []
    for task, rows in cells.dropna(subset="solved").groupby("task", sort=False):
        said = ", ".join(
            f"{ARMS[row.arm].label} {row.solved:g} of {row.seeds}, median {row.step:g} updates"
            if math.isfinite(row.step)
            else f"{ARMS[row.arm].label} {row.solved:g} of {row.seeds} within {row.allowed:g} updates"
            for row in rows.itertuples()
        )
        parts.append(f"{SCALES[task].title}: {said}")
    return "Seeds that solve and median updates until then. " + "; ".join(parts) + "."


# Published numbers


def literature(runs: pd.DataFrame, cells: pd.DataFrame) -> Figure:
    """Published numbers, hollow, over our seeds: as a position between chance and the best, and as sequences."""
    laid = [entry for entry in PUBLISHED if entry.laid and entry.task in set(runs.task)]
    data = literature_data(runs, laid)
    names = {"position": "chance = 0, best = 1", "sequences": "training sequences until solved"}
    kinds = [kind for kind in names if kind in set(data.kind)] or ["position"]
    lines = [len(data[data.kind == kind].groupby(["task", "cell"])) + 1 for kind in kinds]
    shape = {"figsize": (10.5, 0.9 + 0.25 * sum(lines)), "height_ratios": lines, "layout": "constrained"}
    canvas, axes = plt.subplots(len(kinds), 1, squeeze=False, **shape)
    for axis, kind in zip(axes[:, 0], kinds, strict=True):
        if kind == "sequences":
            axis.set_xscale("log")
        literature_panel(axis, data[data.kind == kind])
        axis.set_xlabel(names[kind], fontsize=9)
    return Figure("tasks_published", literature_title(data), canvas, literature_alt(data), data)


def literature_data(runs: pd.DataFrame, laid: list[Any]) -> pd.DataFrame:
    """One row a mark: ours (a seed) or published, on the axis that its kind has; never solved is infinite."""
    rows = []
    for kind, task in dict.fromkeys((entry.laid, entry.task) for entry in laid):
        some, scale = runs[runs.task == task], SCALES[task]
        ours = some.value if kind == "position" else some.step * B
        at = scale.position(ours) if kind == "position" else ours
        rows += [(kind, task, arm, "ours", "", value, "", x) for arm, value, x in zip(some.arm, ours, at, strict=True)]
        for entry in (entry for entry in laid if (entry.laid, entry.task) == (kind, task)):
            x = relative(entry) if kind == "position" else entry.value
            rows.append((kind, task, entry.cell, entry.source, entry.comparable, entry.value, bits_of(entry), x))
    return pd.DataFrame(rows, columns=["kind", "task", "cell", "source", "differs", "value", "unit", "x"])


def bits_of(entry: Any) -> str:
    """What is written after a published number of bits; nothing after others."""
    of = entry.unit.partition("bits recalled of ")[2]
    return f" of {of} bits" if of else ""


def relative(entry: Any) -> float:
    """A published value between chance and the best; bits of so many have their chance at 0."""
    bits = entry.unit.partition("bits recalled of ")[2]
    return entry.value / float(bits) if bits else float(SCALES[entry.task].position(entry.value))


def literature_panel(axis: Axes, data: pd.DataFrame) -> None:
    """Lines of marks: an arm of ours each, and the published numbers of the task above them."""
    y, names = 0.0, []
    for task, some in data.groupby("task", sort=False):
        ours, theirs = some[some.source == "ours"], some[some.source != "ours"]
        for mark, row in enumerate(theirs.sort_values("x").itertuples()):
            axis.plot(row.x, y, **HOLLOW | {"ms": 6})
            above = {"xytext": (0, 5 if mark % 2 == 0 else 14), "textcoords": "offset points"}
            side = "left" if row.x < 0.05 else "center"  # at the axis a text in the middle would lie across it
            axis.annotate(f"{row.cell} {row.value:,g}{row.unit}", (row.x, y), fontsize=7, ha=side, **above)
        there = next(entry.setting for entry in PUBLISHED if entry.task == task and entry.laid)
        names.append((y, f"{SCALES[task].title};\npublished: {there.partition(';')[0]}"))
        y -= 0.3
        for arm, rows in ours.groupby("cell", sort=False):
            y -= 0.6
            seen = rows.x[np.isfinite(rows.x)]
            axis.plot(seen, np.full(len(seen), y), "o", color=colour(arm), ms=4, alpha=0.7, mew=0)
            never = len(rows) - len(seen)
            if never:
                axis.annotate(f"{never} never", (1.0, y), xycoords=axis.get_yaxis_transform(), fontsize=7, va="center")
            names.append((y, ARMS[arm].label))
        y -= 1.5
    axis.set_yticks(*zip(*names, strict=True), fontsize=7) if names else axis.set_yticks([])
    axis.set_ylim(min(y + 0.9, 0.0), 1.1)


def literature_title(data: pd.DataFrame) -> str:
    """What our best start reaches where a published setting is nearest, and in how many sequences it solves."""
    parts = []
    if "mnist1d" in set(data.task):
        some = data[data.task == "mnist1d"]
        ours = some[some.source == "ours"].groupby("cell").value.median().max()
        theirs = some[some.cell == "GRU"].value.max()
        parts.append(
            f"On MNIST-1D, the nearest setting, our best start's median is {ours:.2f}, a published GRU {theirs:g}"
        )
    for task, some in data[data.kind == "sequences"].groupby("task", sort=False):
        median = some[some.source == "ours"].groupby("cell").x.median().min()
        theirs, at = some[some.source != "ours"].value.min(), f"at {SETTINGS[task].length} steps here"
        said = (
            f"takes {median:,.0f} sequences {at}" if math.isfinite(median) else f"is not solved by the median run {at}"
        )
        parts.append(f"{SCALES[task].name} {said}, {theirs:,.0f} at 100 in 1997")
    return "; ".join(parts) or "Published numbers over our seeds: no task here has one at a setting near enough"


def literature_alt(data: pd.DataFrame) -> str:
    """What the picture shows, for who cannot see it."""
    parts = []
    for task, some in data.groupby("task", sort=False):
        theirs = ", ".join(told(row) for row in some[some.source != "ours"].itertuples())
        medians = some[some.source == "ours"].groupby("cell", sort=False).x.median()
        ours = ", ".join(
            f"{ARMS[arm].label} {f'{x:.3g}' if math.isfinite(x) else 'never'}" for arm, x in medians.items()
        )
        parts.append(f"{SCALES[task].title}: published {theirs}; our medians on the axis {ours}")
    return "Published numbers over our seeds. " + "; ".join(parts) + "."


def told(row: Any) -> str:
    """A published number in words, and where it stands on the axis if that is not its own scale."""
    there = f" ({row.x:.3g} on the axis)" if row.x != row.value else ""
    return f"{row.cell} {row.value:g}{row.unit}{there}"
