"""The figures of the latch: success by delay, T50 by arm, updates until solved."""

from __future__ import annotations

import math
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from experiments.harness import figures, statistics
from experiments.harness.arms import ARMS
from experiments.harness.report import Figure
from experiments.memory.fits import Fit, delay_axis, in_steps, shares, solved_of, told
from experiments.memory.latch.pilot import PILOT_DELAYS, PILOT_RANGE, PILOT_SEEDS, PILOT_SOLVED, PILOT_T50
from experiments.memory.learning import NEVER

PILOT = {"marker": "D", "mfc": "none", "color": "0.35", "ms": 5, "ls": ""}


def by_t50(fits: list[Fit]) -> list[Fit]:
    """The arms by their T50, those without one last; those beyond the delays run by how many of their runs solved."""

    def place(fit: Fit) -> tuple[bool, float, float]:
        none = math.isnan(fit.t50.value)
        return none, 0.0 if none else fit.t50.value, fit.solved.sum() / fit.seeds.sum()

    return sorted(fits, key=place)


def ends_of(fits: list[Fit]) -> list[Fit]:
    """The arms of the least and the largest T50; empty where none has one."""
    ordered = [fit for fit in by_t50(fits) if not math.isnan(fit.t50.value)]
    return [ordered[0], ordered[-1]] if ordered else []


def label(arm: str) -> str:
    """An arm's name for readers."""
    return ARMS[arm].label


def colour(arm: str) -> str:
    """The colour of an arm's cell."""
    return figures.COLOURS[ARMS[arm].family]


# Success by delay


SUCCESS_KEY = """dots and bars: share of the seeds,
   99 % Clopper-Pearson
dashed: logistic fit in ln delay
upright line and band: T50, 99 %
hollow diamonds: the pilot"""


def success(fits: list[Fit]) -> Figure:
    """Success by delay, one panel an arm, with the logistic fit, T50 and what the fit leaves."""
    data = pd.concat([success_data(fit) for fit in fits], ignore_index=True)
    canvas, axes = panels([fit.arm for fit in fits], (3, 1), SUCCESS_KEY, 7.6)
    for fit in fits:
        top, below = axes[fit.arm]
        success_panel(top, below, fit, data[data.arm == fit.arm], colour(fit.arm))
        if top.get_subplotspec().is_first_col():
            top.set_ylabel("share of seeds\nthat solve")
            below.set_ylabel("minus fit")
    return Figure("success", success_title(fits), canvas, success_alt(fits), data)


def success_data(fit: Fit) -> pd.DataFrame:
    """One arm's shares with Clopper-Pearson intervals, fitted shares, residuals, and the pilot's shares."""
    pilot = dict(zip(PILOT_DELAYS, PILOT_SOLVED.get(fit.arm, ()), strict=False))
    pilot = [pilot.get(delay, math.nan) / PILOT_SEEDS for delay in fit.delays]
    return shares(fit).assign(pilot=pilot)


def success_panel(top: Axes, below: Axes, fit: Fit, rows: pd.DataFrame, hue: str) -> None:
    """One arm: shares with intervals and the fit above, residuals below."""
    x = np.geomspace(fit.delays[0], fit.delays[-1], 200)
    reach = [rows.share - rows.low, rows.high - rows.share]
    top.errorbar(rows.delay, rows.share, reach, fmt="o", color=hue, ms=4, lw=1.2)
    top.plot(rows.delay * 1.06, rows.pilot, **PILOT)
    figures.predicted(top, x, fit.t50.share(x))
    below.errorbar(rows.delay, rows.residual, reach, fmt="o", color=hue, ms=3, lw=1)
    figures.predicted(below, x[[0, -1]], [0, 0])
    gap = "\n" if fit.doubt else " "
    top.set_title(f"{label(fit.arm)}:{gap}T50 {told(fit)}", fontsize=9)
    if 0 < fit.t50.value < math.inf:
        top.vlines(fit.t50.value, 0, 0.5, color="k", lw=1)
        top.axvspan(max(fit.t50.low, x[0]), min(fit.t50.high, x[-1]), color=hue, alpha=0.15, lw=0)
    delay_axis(top, fit.delays)
    top.set(ylim=(-0.04, 1.04))
    below.set(ylim=(-0.6, 0.6))


def success_title(fits: list[Fit]) -> str:
    """The span of T50 within each cell."""
    spans = []
    for cell in ("lstm", "rnn"):
        ends = dict.fromkeys(map(told, ends_of([fit for fit in fits if ARMS[fit.arm].family == cell])))
        if ends:
            spans.append(f"{' to '.join(ends)} over the {figures.NAMES[cell]}'s starts")
    if not spans:
        return NO_FALL
    sure = [fit for fit in fits if not fit.doubt]
    decides = all(start_decides(some) for some in (fits, sure))
    return f"T50 in steps is {' and '.join(spans)}{': the start decides more than the cell' if decides else ''}"


NO_FALL = "These delays tell no T50: at no start do fewer seeds solve longer ones"


def start_decides(fits: list[Fit]) -> bool:
    """Whether T50 differs more between the starts of each cell than between the cells' best starts."""
    values: dict[str, list[float]] = {"lstm": [], "rnn": []}
    for fit in (fit for fit in fits if not math.isnan(fit.t50.value)):
        values[ARMS[fit.arm].family].append(math.log(np.clip(fit.t50.value, fit.delays[0], fit.delays[-1])))
    if not all(values.values()):
        return False
    return abs(max(values["lstm"]) - max(values["rnn"])) < min(max(some) - min(some) for some in values.values())


def success_alt(fits: list[Fit]) -> str:
    """What the picture shows, for who cannot see it."""
    parts = [f"{label(fit.arm)} {solved_of(fit)}" for fit in fits]
    return "Seeds that solve, of those run, by delay: " + "; ".join(parts) + "."


# T50 by arm


def t50(fits: list[Fit]) -> Figure:
    """T50 by arm with its interval beside the pilot's; below, what the one closed form at hand leaves of it."""
    data = t50_data(fits)
    canvas, ((top,), (below,)) = figures.with_residual(1, (9.5, 5.2))
    bottom, longest = fits[0].delays[[0, -1]]
    for x, row in enumerate(data.itertuples()):
        t50_arm(top, x, row, bottom, longest)
        below.plot(x, row.residual, "o", color=colour(row.arm), ms=6)
    top.set(yscale="log", ylim=(bottom * 0.7, longest * 2.2), ylabel="T50 (steps)", xlim=(-0.6, len(data) - 0.4))
    steps = fits[0].delays[:: max(1, round(len(fits[0].delays) / 6))]
    top.set_yticks(steps, [f"{step:g}" for step in steps])
    below.axhline(1, **figures.PREDICTION)
    below.set(yscale="log", ylim=(0.3, 1 / 0.3), ylabel="T50 over\nprediction")
    below.set_yticks([0.5, 1, 2], ["1/2", "1", "2"])
    below.set_xticks(range(len(data)), [t50_label(fit) for fit in by_t50(fits)])
    for axis in (top, below):
        axis.minorticks_off()
    t50_key(top, data, longest)
    return Figure("t50", t50_title(fits, data), canvas, t50_alt(fits), data)


def t50_label(fit: Fit) -> str:
    """What an arm is called below the figure, over several lines, with a warning where its T50 is in doubt."""
    name = label(fit.arm).replace(" ", "\n", 1).replace(", ", ",\n")
    return f"{name}\n(in doubt)" if fit.doubt else name


def t50_data(fits: list[Fit]) -> pd.DataFrame:
    """T50 by arm with its interval, the pilot's, and the prediction: one multiple of the half-life at the start.

    The multiple is the geometric mean over the arms with a closed form and a T50 within the delays run, not in doubt.
    """
    fits = by_t50(fits)
    value = np.array([fit.t50.value for fit in fits])
    half_life = np.array([ARMS[fit.arm].half_life or math.nan for fit in fits])
    sure = np.array([not fit.doubt for fit in fits])
    both = (value > 0) & np.isfinite(value) & np.isfinite(half_life) & sure
    multiple = np.exp(np.log(value[both] / half_life[both]).mean()) if both.any() else math.nan
    predicted = multiple * half_life
    columns = {"arm": [fit.arm for fit in fits], "t50": value}
    columns |= {end: [getattr(fit.t50, end) for fit in fits] for end in ("low", "high")}
    columns |= {"half_life": half_life, "predicted": predicted, "residual": np.where(both, value / predicted, math.nan)}
    return pd.DataFrame(columns | {"pilot": [PILOT_T50.get(fit.arm, math.nan) for fit in fits]})


def t50_arm(axis: Axes, x: int, row: Any, bottom: float, longest: float) -> None:
    """One arm: interval as a bar, T50 as a dot, the pilot's beside it, the prediction as a dash across."""
    hue, top = colour(row.arm), longest * 1.7
    axis.plot(
        [x, x], np.clip([row.low, row.high], bottom * 0.8, top), color=hue, lw=7, alpha=0.25, solid_capstyle="butt"
    )
    mark(axis, x, row.t50, (bottom, longest), marker="o", color=hue, ms=7)
    mark(axis, x + 0.2, row.pilot, PILOT_RANGE, **PILOT)
    if row.predicted < top:
        figures.predicted(axis, [x - 0.35, x + 0.35], [row.predicted] * 2)


def mark(axis: Axes, x: float, value: float, run: tuple[float, float], **how: Any) -> None:
    """A value as a mark; one outside the lengths run as a hollow mark at their end with an arrow that leads out."""
    if math.isnan(value):
        return
    inside = run[0] <= value <= run[1]
    end = value if inside else run[0] if value < run[0] else run[1]
    axis.plot(x, end, **how if inside else how | {"mfc": "white"})
    if not inside:
        arrow = {"arrowstyle": "->", "color": how["color"], "lw": 1.2, "shrinkA": 3}
        axis.annotate("", (x, end * (1.55 if end == run[1] else 1 / 1.3)), (x, end), arrowprops=arrow)


def t50_key(axis: Axes, data: pd.DataFrame, longest: float) -> None:
    """What the marks mean, where the figure is empty: above the lowest arms."""
    axis.plot([], [], "o", color="0.2", label="T50; bar: 99 % interval; arrow: beyond the delays run")
    axis.plot([], [], label="pilot, 16 seeds", **PILOT)
    multiple = (data.predicted / data.half_life).max()
    if not math.isnan(multiple):
        axis.plot([], [], label=f"{multiple:.3g} half-lives at the start (fitted to these)", **figures.PREDICTION)
    axis.legend(loc="upper left", fontsize=8)


def t50_title(fits: list[Fit], data: pd.DataFrame) -> str:
    """The ends of the order, and how well the half-life at the start tells it."""
    residuals = data.residual.dropna()
    if not (ends := ends_of(fits)):
        return NO_FALL
    (low, first), (high, last) = ((told(fit), label(fit.arm)) for fit in ends)
    if low == high:
        return f"Every T50 is {low} steps: these delays tell no arms apart"
    ends = f"T50 in steps goes from {low} for {first} to {high} for {last}"
    if len(residuals) < 2:
        return ends
    own, n = (data.t50 / data.half_life)[residuals.index], len(residuals)
    worst = math.exp(np.log(residuals).abs().max())
    doubted = any(fit.doubt and ARMS[fit.arm].half_life for fit in fits)
    which = f"{n} starts with a half-life in closed form{' and no doubt about T50' if doubted else ''}"
    return (
        f"{ends}; of {which} it is {own.min():.2g} to {own.max():.2g} half-lives, "
        f"and one multiple fitted to these same {n} is off by up to a factor {worst:.2g}"
    )


def t50_alt(fits: list[Fit]) -> str:
    """What the picture shows, for who cannot see it."""
    parts = [
        f"{label(fit.arm)} {told(fit)}, {in_steps(fit.t50.low, fit.delays)} to {in_steps(fit.t50.high, fit.delays)}"
        for fit in by_t50(fits)
    ]
    return "T50 in steps and its 99 % interval, by arm: " + "; ".join(parts) + "."


# Updates until solved


UPDATES_KEY = """dots: runs, at their first
   check above .99
line and band: median and its
   order-statistic interval, 99 %
triangles: runs that never
   solved, with their number
dotted: updates allowed"""


def updates(runs: pd.DataFrame) -> Figure:
    """When each run solved, one panel an arm; runs that never did stand at the top edge with their number."""
    data, limit = updates_data(runs), runs.updates_allowed.max()
    arms = list(dict.fromkeys(runs.arm))
    canvas, axes = panels(arms, (1,), UPDATES_KEY, 5.6)
    for arm in arms:
        (axis,) = axes[arm]
        updates_panel(axis, runs[runs.arm == arm], data[data.arm == arm], limit, colour(arm))
        delay_axis(axis, np.unique(runs.delay))
        axis.set_title(label(arm), fontsize=9)
        if axis.get_subplotspec().is_first_col():
            axis.set_ylabel("updates until solved")
    return Figure("updates", updates_title(data), canvas, updates_alt(data), data)


def updates_data(runs: pd.DataFrame) -> pd.DataFrame:
    """Median first solving update by arm and delay with its order-statistic interval; never counts as infinite."""
    rows = []
    for (arm, delay), some in runs.groupby(["arm", "delay"], sort=False):
        steps = some.first_solved_step.where(some.first_solved_step != NEVER, math.inf).to_numpy()
        rows.append((arm, delay, len(steps), int(np.isinf(steps).sum()), *statistics.order_interval(steps)))
    return pd.DataFrame(rows, columns=["arm", "delay", "seeds", "never_solved", "median", "low", "high"])


def updates_panel(axis: Axes, runs: pd.DataFrame, data: pd.DataFrame, limit: float, hue: str) -> None:
    """One arm: runs as dots, their median as a line in its band, censored runs as triangles with their number."""
    solved, top = runs[runs.solved == 1], limit * 1.12
    axis.plot(solved.delay, solved.first_solved_step, "o", color=hue, ms=3, alpha=0.35, mew=0)
    median = data["median"].where(data["median"] <= limit)
    figures.measured(axis, data.delay, median, data.low.clip(0, top), data.high.clip(0, top), hue)
    axis.plot(data.delay, median, "_", color=hue, ms=8)
    censored = data[data.never_solved > 0]
    axis.plot(censored.delay, np.full(len(censored), top), "^", mfc="white", color=hue, ms=6)
    for row in censored.itertuples():
        axis.annotate(row.never_solved, (row.delay, top), (0, 6), textcoords="offset points", ha="center", fontsize=7)
    axis.axhline(limit, color="0.6", lw=0.8, ls=":")
    axis.set_ylim(0, limit * 1.28)


def updates_title(data: pd.DataFrame) -> str:
    """Of how many arms the median run solves at the longest delay at which several do, and when; how many never did."""
    never = f"over all delays {data.never_solved.sum()} of {data.seeds.sum()} runs never solved"
    solved = data[np.isfinite(data["median"])]
    counts = solved.groupby("delay").size()
    if counts.empty or counts.max() < 2:
        return f"{never[0].upper()}{never[1:]}"
    delay = counts[counts > 1].index.max()
    at = solved[solved.delay == delay].sort_values("median", kind="stable")
    first, last = at.iloc[0], at.iloc[-1]
    starts = (data.delay == delay).sum()
    others = f", of the other {starts - len(at)} never" if len(at) < starts else ""
    return (
        f"At delay {delay:g} the median run of {len(at)} of {starts} starts solves, after {first['median']:g} "
        f"({label(first.arm)}) to {last['median']:g} updates ({label(last.arm)}){others}; {never}"
    )


def updates_alt(data: pd.DataFrame) -> str:
    """What the picture shows, for who cannot see it."""
    parts = []
    for arm, rows in data.groupby("arm", sort=False):
        medians = ", ".join(f"{m:g}" if np.isfinite(m) else "never" for m in rows["median"])
        parts.append(f"{label(arm)} {medians}")
    return "Median updates until solved, by rising delay: " + "; ".join(parts) + "."


# Panels


def panels(arms: list[str], heights: tuple[int, ...], key: str, inches: float) -> tuple[Canvas, dict[str, list[Axes]]]:
    """A row of panels a cell, each panel of `heights` axes over one delay axis; the key stands in an empty place."""
    cells = [row for cell in ("lstm", "rnn") if (row := [arm for arm in arms if ARMS[arm].family == cell])]
    width, n = max(map(len, cells)) + (len({len(row) for row in cells}) == 1), len(heights)
    shape = {"figsize": (2.9 * width, inches), "height_ratios": heights * len(cells), "layout": "constrained"}
    canvas, grid = plt.subplots(n * len(cells), width, sharex=True, sharey="row", squeeze=False, **shape)
    axes = {arm: list(grid[n * row : n * row + n, i]) for row, cell in enumerate(cells) for i, arm in enumerate(cell)}
    for row, cell in enumerate(cells):
        for axis in grid[n * row : n * row + n, len(cell) :].flat:
            axis.set_axis_off()
    for column in range(width):
        used = [axes[cell[column]][-1] for cell in cells if column < len(cell)]
        if used:
            used[-1].tick_params(labelbottom=True)
            used[-1].set_xlabel("delay (steps)")
    shortest = min(range(len(cells)), key=lambda row: len(cells[row]))
    grid[n * shortest, -1].text(0.02, 0.95, key, va="top", fontsize=8, transform=grid[n * shortest, -1].transAxes)
    return canvas, axes
