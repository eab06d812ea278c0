"""What the records say: the units' time scales before and after training, how far apart, and what is remembered."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from experiments.harness import figures
from experiments.harness.report import Figure, Findings, Section, Table
from experiments.harness.statistics import Interval, order_interval
from experiments.harness.words import listed
from experiments.memory.parts import EXPERIMENT
from experiments.memory.scales import predictions
from experiments.memory.scales.sweep import CLAIM, CLIP, HEAD, HELD_OUT, LR, STARTS, B, H
from experiments.tasks import mixed_latch
from properties.record import parse_setting

LABELS = {"bf1": "$b_f$ = 1", "torch": "torch", "bf3": "$b_f$ = 3", "chrono": "chrono"}
BEFORE, AFTER = figures.shades("lstm", 3)[0], figures.COLOURS["lstm"]
MEDIAN, LOW, HIGH = "median", "low", "high"


class Trained(NamedTuple):
    """One setting, each with a number a seed but for: before and after, time scales (seeds, units) in steps, each
    seed's in rising order, and `loss`, by seed with a column a class of delays."""

    setting: str
    start: str
    H: int
    updates: int
    longest: int
    before: np.ndarray
    after: np.ndarray
    spread_before: np.ndarray
    spread_after: np.ndarray
    ratio: np.ndarray
    right: np.ndarray
    loss: pd.DataFrame

    @property
    def label(self) -> str:
        """Its name in figures."""
        width = "" if self.H == H else f", H = {self.H}"
        return LABELS[self.start] + width + (f", {self.updates} updates" if "/updates=" in self.setting else "")

    @property
    def name(self) -> str:
        """Its name in running text and tables."""
        return self.label.replace("$", "").replace("b_f = ", "b_f=").replace("H = ", "H=")

    @property
    def main(self) -> bool:
        """Whether its width and updates are those of the claim."""
        return self.setting.count("/") == 1

    @property
    def predicted(self) -> float:
        """The spread at the start in closed form."""
        return predictions.spread(self.start, self.H, self.longest)


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    runs = trained(frame)
    drawn = [scales_figure([t for t in runs if t.main]), ratio_figure(runs)]
    section = Section("The time scales of units", lead(runs), drawn, [scales_table(runs), delay_table(runs)])
    return Findings(section, settings(runs))


# Numbers


def trained(frame: pd.DataFrame) -> list[Trained]:
    """Every setting that was run: those of the claim's width and updates first, starts in the order of the sweep."""
    mine = frame[(frame.source == EXPERIMENT) & frame.setting.str.startswith(f"{HEAD}/")]
    if mine.empty:
        raise ValueError("`frame` must hold records of latches of mixed delays, since the section is about them.")
    runs = [read(mine, setting) for setting in mine[mine.metric == "N16"].setting.unique()]
    return sorted(runs, key=lambda t: (not t.main, t.updates, t.H, list(STARTS).index(t.start)))


def read(mine: pd.DataFrame, setting: str) -> Trained:
    """One setting's records."""
    once = {metric: wide(mine[mine.setting == setting], metric) for metric in ("spread", "accuracy", "N16")}
    last = int(once["spread"].columns.max())
    start, end = (mine[mine.setting == f"{setting}/update={n}"] for n in (0, last))
    before, after = (np.sort(wide(some, "time_scale").to_numpy(), -1) for some in (start, end))
    spreads = (once["spread"][n].to_numpy() for n in (0, last))
    longest = int(wide(mine[mine.setting == setting], "longest_delay").max(axis=None))
    numbers = (*spreads, once["N16"][0].to_numpy(), once["accuracy"][last].to_numpy(), wide(end, "loss"))
    return Trained(setting, parse_setting(setting)["start"], before.shape[1], last, longest, before, after, *numbers)


def wide(some: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A metric with a row a seed and a column an index."""
    return some[some.metric == metric].pivot(index="seed", columns="index", values="value")


# Words


def lead(runs: list[Trained]) -> str:
    """What was found, in words."""
    return (
        f"A bit is shown at the first step and asked for after a delay that is log-uniform in "
        f"{mixed_latch.SHORTEST}-{runs[0].longest} steps, another in each row. A unit's time scale is -1 / mean ln f "
        f"over held-out rows and the steps that they run; the spread of a model is the 90 % quantile over its units "
        f"over the 10 % quantile.{many_sentence(runs)}\n\n"
        f"{claim_sentence(runs)}{others_sentence(runs)}\n\n{memory_sentence(runs)}"
    )


def many_sentence(runs: list[Trained]) -> str:
    """Why few units are less spread at the start than the closed form, where the form has a spread at all."""
    apart = [t for t in runs if t.predicted > 1]
    if not apart:
        return ""
    few = min(t.H for t in apart)
    return (
        " The closed forms at the start are for many units: of few units whose biases are drawn at random ("
        f"{listed(list(dict.fromkeys(t.start for t in apart)))}) the 10 % and 90 % quantiles lie nearer to the middle, "
        f"with {few} units about where {predictions.inner(0.1, few):.0%} and {predictions.inner(0.9, few):.0%} of many "
        "are, so that a smaller spread is expected."
    )


def claim_sentence(runs: list[Trained]) -> str:
    """The claim's own numbers."""
    own = [t for t in runs if t.setting == CLAIM]
    if not own:
        return ""
    t = own[0]
    return (
        f"With {t.name} and {t.H} units the spread goes from {words(t.spread_before)} to {words(t.spread_after)}, and "
        f"is multiplied by {words(t.ratio)} (medians of {len(t.ratio)} seeds, 99 % intervals; N16 asks whether by more "
        f"than 3). "
    )


def others_sentence(runs: list[Trained]) -> str:
    """The same factor at other starts and widths."""
    others = [f"{t.name} {words(t.ratio)}" for t in runs if t.setting != CLAIM]
    return f"The factor elsewhere: {'; '.join(others)}. " if others else ""


def memory_sentence(runs: list[Trained]) -> str:
    """Whether the bit is held by long time scales: those of seeds that answer right, beside the longest delay."""
    able = [t for t in runs if t.main and np.median(t.right) > 1 - mixed_latch.SOLVED_BELOW]
    if not able:
        return f"In this budget no start answers more than {1 - mixed_latch.SOLVED_BELOW:.0%} of held-out rows right."
    t = min(able, key=lambda t: np.median(t.after[:, -1]))
    longest = float(np.median(t.after[:, -1]))
    first, *_, last = t.loss.columns
    return (
        f"The spread is not what remembers, though: with {t.name}, {np.median(t.right):.1%} of held-out rows are "
        f"answered right by models whose longest time scale is {words(t.after[:, -1])} steps, at delays up to "
        f"{t.longest}. A forget gate alone keeps exp(-{t.longest}/{longest:.3g}) = {np.exp(-t.longest / longest):.1g} "
        f"of a value so long; but the loss at delays from {last} is {words((t.loss[last] / t.loss[first]).to_numpy())} "
        f"times that at delays from {first}: the bit does not fade, so what is written at each step must depend on "
        f"it, through h."
    )


def words(values: np.ndarray, digits: int = 3) -> str:
    """A median over seeds and its interval."""
    value, low, high = order_interval(values)
    return f"{value:.{digits}g} ({low:.{digits}g} to {high:.{digits}g})"


# Tables


def scales_table(runs: list[Trained]) -> Table:
    """Every setting: spread before, in closed form and measured, after, their ratio, and the time scales after."""
    rows = [
        {
            "start": t.name,
            "units": t.H,
            "updates": t.updates,
            "seeds": len(t.ratio),
            "spread at the start, closed form for many units": f"{t.predicted:.3g}",
            "at the start": words(t.spread_before),
            "after training": words(t.spread_after),
            "after over before": words(t.ratio),
            "median unit after (steps)": words(np.median(t.after, 1)),
            "longest unit after (steps)": words(t.after[:, -1]),
            "right, held-out": f"{np.median(t.right):.1%}",
        }
        for t in runs
    ]
    return Table("scales", "Spread of units' time scales: medians over seeds (99 % interval)", pd.DataFrame(rows))


def delay_table(runs: list[Trained]) -> Table:
    """The loss after training by delay."""
    rows = []
    for t in runs:
        starts = [int(c) for c in t.loss.columns]
        ends = [*(c - 1 for c in starts[1:]), t.longest]
        cells = {f"{a}-{b} steps": words(t.loss[a].to_numpy(), 2) for a, b in zip(starts, ends, strict=True)}
        rows.append({"start": t.name} | cells)
    title = f"Loss after training by delay, nats (chance ln 2 = {mixed_latch.CHANCE_LOSS:.3f}): medians (99 % interval)"
    return Table("loss_by_delay", title, pd.DataFrame(rows).fillna(""))


def settings(runs: list[Trained]) -> dict[str, str]:
    """What was run."""
    return {
        "mixed latch": f"x_0 = +-1, then N(0, {mixed_latch.NOISE:g}^2), a delay a row, log-uniform in "
        f"{mixed_latch.SHORTEST}-{runs[0].longest}; logistic loss at the row's last step",
        "mixed latch: hidden units H; batch B": f"{', '.join(f'{n}' for n in sorted({t.H for t in runs}))}; {B}",
        "mixed latch: optimiser": f"Adam {LR:g}, gradient clipped to norm {CLIP:g}, fresh data",
        "mixed latch: updates": ", ".join(f"{n}" for n in sorted({t.updates for t in runs})),
        "mixed latch: held-out rows": f"{HELD_OUT} a seed; gates in float64",
    }


# Figures


def scales_figure(runs: list[Trained]) -> Figure:
    """Time scales in rising order before and after training, a panel a start, units as dots, and the closed form."""
    data = pd.concat([curves(t) for t in runs], ignore_index=True)
    canvas, axes = panels(len(runs))
    for axis, t in zip(axes, runs, strict=True):
        panel(axis, t, data[data.start == t.start])
    handles = [
        *(Line2D([], [], color=c, lw=2, label=f"{w} training") for w, c in (("before", BEFORE), ("after", AFTER))),
        Line2D([], [], label="start, closed form\nfor many units", **figures.PREDICTION),
        Rectangle((0, 0), 1, 1, color="0.93", label="delays"),
    ]
    axes[0].legend(handles=handles, loc="upper left", fontsize=7)
    axes[0].set_ylabel("time scale of a unit,\n-1 / mean ln f (steps)")
    return Figure("time_scales", scales_title(runs), canvas, scales_alt(runs), data)


def panels(n: int) -> tuple[Canvas, np.ndarray]:
    """A row of panels on one logarithmic axis of time scales."""
    canvas = plt.figure(figsize=(1.0 + 2.6 * n, 3.4), layout="constrained")
    axes = canvas.subplots(1, n, sharey=True, squeeze=False)[0]
    axes[0].set_yscale("log")
    return canvas, axes


def curves(t: Trained) -> pd.DataFrame:
    """The k-th shortest time scale of a model, median over seeds and interval, by the share (k - 1/2) / H."""
    share = (np.arange(t.H) + 0.5) / t.H
    rows = []
    for when, scales in (("before", t.before), ("after", t.after)):
        ends = np.array([order_interval(column) for column in scales.T])
        closed = predictions.quantile(t.start, share, t.H, t.longest) if when == "before" else np.nan
        columns = {"share": share, MEDIAN: ends[:, 0], LOW: ends[:, 1], HIGH: ends[:, 2], "predicted": closed}
        rows.append(pd.DataFrame({"start": t.start, "when": when, "seeds": len(scales)} | columns))
    return pd.concat(rows, ignore_index=True)


def panel(axis: Axes, t: Trained, rows: pd.DataFrame) -> None:
    """One start."""
    for when, scales, colour in (("before", t.before, BEFORE), ("after", t.after, AFTER)):
        some = rows[rows.when == when]
        shown = scales[np.isfinite(scales).all(1)]
        axis.plot(np.tile(some.share, len(shown)), shown.ravel(), ".", color=colour, ms=2, alpha=0.5)
        figures.measured(axis, some.share, some[MEDIAN], finite(some[LOW]), finite(some[HIGH]), colour)
    form = np.linspace(0.005, 0.995, 100)
    figures.predicted(axis, form, predictions.quantile(t.start, form, t.H, t.longest))
    axis.axhspan(mixed_latch.SHORTEST, t.longest, color="0.93", lw=0, zorder=-1)
    axis.set(title=f"LSTM {t.label}", xlabel="share of units below", xlim=(0, 1))


def finite(ends: pd.Series) -> pd.Series:
    """Ends that can be drawn."""
    return ends.replace([np.inf, -np.inf], np.nan)


def scales_title(runs: list[Trained]) -> str:
    """How the ends of the units' range move, at the claim's start or the first that was run."""
    t = runs[0]
    before, after = (tuple(np.median(np.quantile(a, q, axis=1)) for q in (0.1, 0.9)) for a in (t.before, t.after))
    return (
        f"Trained on delays of {mixed_latch.SHORTEST}-{t.longest} steps, an LSTM that starts with {t.name} has time "
        f"scales of {after[0]:.2g} to {after[1]:.2g} steps (10 to 90 % of units), from {before[0]:.2g} to "
        f"{before[1]:.2g}"
    )


def scales_alt(runs: list[Trained]) -> str:
    """What the figure shows, for who cannot see it."""
    parts = []
    for t in runs:
        at = [np.quantile(a, q, axis=1) for a in (t.before, t.after) for q in (0.1, 0.5, 0.9)]
        low, middle, high, low_, middle_, high_ = (f"{np.median(a):.3g}" for a in at)
        closed = [f"{predictions.quantile(t.start, q, t.H, t.longest):.3g}" for q in (0.1, 0.5, 0.9)]
        parts.append(
            f"{t.name}: {low}, {middle}, {high} before (closed form for many units {', '.join(closed)}), {low_}, "
            f"{middle_}, {high_} after"
        )
    return f"Time scales in steps at 10, 50 and 90 % of units, medians over seeds: {'; '.join(parts)}."


def ratio_figure(runs: list[Trained]) -> Figure:
    """The spread after training over that before: seeds as dots, median and interval, a row a setting."""
    data = pd.DataFrame([ratio_row(t) for t in runs])
    canvas = plt.figure(figsize=(6.0, 0.9 + 0.42 * len(runs)), layout="constrained")
    axis = canvas.subplots()
    for y, (t, row) in enumerate(zip(runs, data.itertuples(), strict=True)):
        if np.isfinite([row.low, row.high]).all():
            axis.plot([row.low, row.high], [y, y], color=AFTER, lw=5, alpha=0.3, solid_capstyle="butt")
        axis.plot(t.ratio, np.full(len(t.ratio), y), ".", color=AFTER, ms=4, alpha=0.6)
        axis.plot(row.median, y, "|", color=AFTER, ms=14, mew=2)
    axis.axvline(1, **figures.PREDICTION)
    figures.label_line(axis, 1, -0.6, "unchanged", xytext=(-2, 0), va="bottom", ha="right")
    for bound in (1.25, 3):
        axis.axvline(bound, color="0.6", lw=0.8, ls=":", zorder=0)
        figures.label_line(axis, bound, -0.6, f"N16: {bound:g}", "0.4", xytext=(2, 0), va="bottom", ha="left")
    axis.set(xscale="log", xlabel="spread after training over spread before", ylim=(len(runs) - 0.5, -0.6))
    ticks = [tick for tick in (0.5, 1, 2, 3, 5, 10, 20, 50) if axis.get_xlim()[0] < tick < axis.get_xlim()[1]]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()
    axis.set_yticks(range(len(runs)), [t.label for t in runs])
    return Figure("spread_ratio", ratio_title(runs), canvas, ratio_alt(runs), data)


def ratio_row(t: Trained) -> dict[str, object]:
    """One setting's median and interval."""
    found: Interval = order_interval(t.ratio)
    row = {"setting": t.setting, "start": t.start, "H": t.H, "updates": t.updates, "seeds": len(t.ratio)}
    return row | {MEDIAN: found.value, LOW: found.low, HIGH: found.high}


def ratio_title(runs: list[Trained]) -> str:
    """Where training spreads time scales apart beyond doubt, and how far between these settings it differs."""
    found = [(t, order_interval(t.ratio)) for t in runs]
    apart = [(t, interval) for t, interval in found if interval.low > 1]
    return (
        f"Training spreads the units' time scales apart at {len(apart)} of {len(runs)} settings (99 % interval above 1)"
        f"{factors_text(apart)}"
    )


def factors_text(apart: list[tuple[Trained, Interval]]) -> str:
    """The least and the largest median of some settings, and whose they are."""
    if not apart:
        return ""
    (least, a), (most, b) = (pick(apart, key=lambda pair: pair[1].value) for pick in (min, max))
    if least is most:
        return f", by a factor of {a.value:.2g} ({least.name})"
    return f", by a factor from {a.value:.2g} ({least.name}) to {b.value:.2g} ({most.name})"


def ratio_alt(runs: list[Trained]) -> str:
    """What the figure shows, for who cannot see it."""
    parts = "; ".join(f"{t.name} {words(t.ratio)}, {len(t.ratio)} seeds" for t in runs)
    return f"Spread of time scales after training over that before, median (99 % interval): {parts}."
