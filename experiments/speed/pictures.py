"""The figures of the speed report: cost by contender, ratios beside their targets, how cost grows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from experiments.harness import figures
from experiments.harness.markup import number
from experiments.harness.report import Figure
from experiments.speed.contenders import CONTENDERS
from experiments.speed.numbers import Answer, Growth
from experiments.speed.targets import FORMS, Slope, Target

PEERS = "0.45"
"""The grey of what is not ours."""

MARKS = {"numpy_fast": ("o", True), "numpy_compiled": ("D", False), "torch_nn": ("s", True)}
"""A contender's mark, and whether it is filled."""

CELLS = figures.NAMES


def colour(cell: str, contender: str) -> str:
    """The cell's colour for ours, grey for others."""
    return figures.COLOURS[cell] if CONTENDERS[contender].subject else PEERS


def who(contender: str, threads: int) -> str:
    """A contender's name with its threads, where these are more than one."""
    return CONTENDERS[contender].label + (f", {threads} threads" if threads > 1 else "")


def spoken(value: float) -> str:
    """A number to three digits, never as a power of ten; "" for what is none."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 999.5 else number(value)


def plain(axis: Axes, which: str = "x") -> None:
    """Numbers of a log axis as they are spoken: at 1, 2 and 5 of each decade, over two decades at 1 alone."""
    one, (low, high) = (axis.xaxis, axis.get_xlim()) if which == "x" else (axis.yaxis, axis.get_ylim())
    one.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 20 * low else (1, 3) if high < 200 * low else (1,)))
    one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    one.set_minor_formatter(NullFormatter())


# Cost by contender


def cost_figure(rows: pd.DataFrame, title: str) -> Figure:
    """Microseconds a step, a panel a size, a row a contender; both cells."""
    cells = [cell for cell in CELLS if (rows.cell == cell).any()]
    sizes = sorted(set(zip(rows.H, rows.B, strict=True)))
    names = {cell: order(rows[rows.cell == cell]) for cell in cells}
    heights = {"height_ratios": [len(names[cell]) for cell in cells], "squeeze": False, "layout": "constrained"}
    size = (2.6 + 2.2 * len(sizes), 0.24 * sum(map(len, names.values())) + 1.4)
    canvas, axes = plt.subplots(len(cells), len(sizes), figsize=size, **heights)
    for line, cell in zip(axes, cells, strict=True):
        for axis, (H, B) in zip(line, sizes, strict=True):
            some = rows[(rows.cell == cell) & (rows.H == H) & (rows.B == B)]
            cost_panel(axis, some, names[cell], axis is line[0])
            axis.set_title(f"{CELLS[cell]}, H={H}, B={B}", fontsize=9)
    for axis in axes[-1]:
        axis.set_xlabel("µs a step")
    return Figure("costs", title, canvas, cost_alt(rows), rows.replace(math.inf, math.nan))


def order(rows: pd.DataFrame) -> list[tuple[str, int]]:
    """Contenders and threads, those first that are fastest at the smallest size."""
    first = rows.sort_values(["H", "B", "us"], kind="stable").drop_duplicates(["contender", "threads"])
    return list(zip(first.contender, first.threads, strict=True))


def cost_panel(axis: Axes, rows: pd.DataFrame, names: Sequence[tuple[str, int]], first: bool) -> None:
    """One size: dots with intervals, the number beside each."""
    known = {(r.contender, r.threads): r for r in rows.itertuples()}
    for y, name in enumerate(names):
        if name in known:
            interval_dot(axis, known[name], y)
    axis.set_yticks(range(len(names)), [who(*name) if first else "" for name in names], fontsize=8)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xscale("log")
    low, high = rows.us.min(), rows[["us", "high"]].replace(math.inf, math.nan).max(axis=None)
    axis.set_xlim(low / 1.5, high * 1.5 * (high / low) ** 0.4)
    axis.grid(axis="y", color="0.93")
    axis.set_axisbelow(True)
    plain(axis)
    axis.tick_params(labelsize=8)


def interval_dot(axis: Axes, row: Any, y: float) -> None:
    """A median with its interval, where there is one, and the number at its right."""
    hue, right = colour(row.cell, row.contender), row.high if math.isfinite(row.high) else row.us
    axis.plot([row.low if math.isfinite(row.high) else row.us, right], [y, y], color=hue, lw=1.6)
    axis.plot(row.us, y, "o", color=hue, ms=4)
    figures.label_line(axis, right, y, spoken(row.us), hue)


def cost_title(rows: pd.DataFrame) -> str:
    """Each form's share of torch.nn's time, by cell."""
    wide = rows[rows.threads == 1].pivot_table(index=["cell", "H", "B"], columns="contender", values="us")
    parts = []
    for form in FORMS:
        if {form, "torch_nn"} <= set(wide):
            share = (wide[form] / wide.torch_nn).dropna()
            spans = (
                f"{share[cell].min():.2g} to {share[cell].max():.2g} for an {CELLS[cell]}"
                for cell in CELLS
                if cell in share.index.get_level_values("cell")
            )
            parts.append(f"{CONTENDERS[form].label} takes {' and '.join(spans)}")
    return f"Of torch.nn's time for a step {'; '.join(parts)}" if parts else "Microseconds a step, by contender"


def cost_alt(rows: pd.DataFrame) -> str:
    """The medians, for who cannot see them."""
    parts = [f"{CELLS[r.cell]} H={r.H} B={r.B} {who(r.contender, r.threads)} {spoken(r.us)}" for r in rows.itertuples()]
    return f"Microseconds a step of forward and backward, median: {'; '.join(parts)}."


# Ratios and targets


PANELS = (
    ("RNN, against torch.nn.RNN", lambda t: t.cell == "rnn"),
    ("LSTM, against torch.nn.LSTM", lambda t: t.cell == "lstm" and t.part == "sizes" and t.peer == "torch_nn"),
    ("LSTM, against the usual NumPy LSTM", lambda t: t.peer == "numpy_usual"),
    ("groups of LSTMs, against torch.nn.LSTM in turn", lambda t: t.part == "groups"),
)
SHIFT = {"numpy_fast": -0.18, "numpy_compiled": 0.18}


def target_figure(found: Sequence[tuple[Target, Answer]]) -> Figure:
    """Ratios with intervals beside their targets, a panel a kind of target."""
    canvas, axes = plt.subplots(2, 2, figsize=(10.5, 6.4), layout="constrained", height_ratios=(5, 6))
    for axis, (title, chosen) in zip(axes.flat, PANELS, strict=True):
        target_panel(axis, [(target, answer) for target, answer in found if chosen(target)])
        axis.set_title(title)
        axis.set_xlabel("their time over ours (right of 1 ours is faster)")
    return Figure("targets", target_title(found), canvas, target_alt(found), target_data(found))


def target_panel(axis: Axes, found: Sequence[tuple[Target, Answer]]) -> None:
    """A row a setting: each form's ratio, written at the right too, and the target as a dashed mark."""
    settings = list(dict.fromkeys(target for target, _ in found))
    for y, target in enumerate(settings):
        axis.plot([target.ratio] * 2, [y - 0.42, y + 0.42], **figures.PREDICTION)
    axis.axvline(1, color="0.8", lw=0.8, zorder=0)
    axis.set_xscale("log")
    ends = [1, *(v for t, a in found for v in (t.ratio, a.measured.value) if not math.isnan(v))]
    axis.set_xlim(min(ends) / 1.4, max(ends) * 1.4)
    for target, answer in found:
        if not math.isnan(answer.measured.value):
            ratio_dot(axis, target, answer, settings.index(target) + SHIFT[answer.form])
    axis.set_yticks(range(len(settings)), [setting_name(target) for target in settings], fontsize=8)
    axis.set_ylim(len(settings) - 0.5, -0.8)
    figures.label_line(axis, settings[0].ratio, -0.6, "target", xytext=(3, 0), fontsize=7)
    plain(axis)


def ratio_dot(axis: Axes, target: Target, answer: Answer, y: float) -> None:
    """A ratio with its interval, as far as the panel goes, and the number at the panel's right."""
    (mark, filled), hue, value = MARKS[answer.form], figures.COLOURS[target.cell], answer.measured
    low, high = axis.get_xlim()
    if math.isfinite(value.high):
        axis.plot([max(value.low, low), min(value.high, high)], [y, y], color=hue, lw=1.6)
    axis.plot(value.value, y, mark, color=hue, mfc=hue if filled else "white", ms=5)
    text = f"{number(value.value)} {CONTENDERS[answer.form].label.removesuffix(' NumPy')}"
    edge = {"xycoords": axis.get_yaxis_transform(), "fontsize": 7}
    figures.label_line(axis, 1.0, y, text, hue, **edge)


def setting_name(target: Target) -> str:
    """A target's setting, short."""
    return f"H={target.H}, B={target.B}" + (f", E={target.E}" if target.E > 1 else "")


def target_title(found: Sequence[tuple[Target, Answer]]) -> str:
    """How many ratios are met by each form, and by either."""
    measured = [(t, a) for t, a in found if not math.isnan(a.measured.value)]
    total = len({t for t, _ in measured})
    met = {
        form: {t for t, a in measured if a.form == form and a.word == "met"}
        for form in ("numpy_fast", "numpy_compiled")
    }
    either = len(met["numpy_fast"] | met["numpy_compiled"])
    return (
        f"Of {total} targets fast NumPy meets {len(met['numpy_fast'])}, compiled NumPy {len(met['numpy_compiled'])}, "
        f"one or the other {either}"
    )


def target_data(found: Sequence[tuple[Target, Answer]]) -> pd.DataFrame:
    """What stands behind the figure."""
    rows = [
        {**target._asdict(), "form": answer.form, "measured": answer.measured.value, "low": answer.measured.low}
        | {"high": answer.measured.high, "result": answer.word}
        | {"our_threads": answer.threads[0], "their_threads": answer.threads[1]}
        for target, answer in found
    ]
    table = pd.DataFrame(rows).rename(columns={"ratio": "target"}).replace([math.inf, -math.inf], math.nan)
    return table.assign(threads=[" or ".join(map(str, some)) for some in table.threads])


def target_alt(found: Sequence[tuple[Target, Answer]]) -> str:
    """Every ratio, for who cannot see it."""
    parts = [
        f"{CONTENDERS[a.form].label} over {CONTENDERS[t.peer].label} {CELLS[t.cell]} {setting_name(t)} "
        f"{number(a.measured.value) or 'not measured'} (target {t.ratio:g})"
        for t, a in found
    ]
    return f"Ratios of times: {'; '.join(parts)}."


# Growth


AXES = {"T": "steps T", "E": "models E", "H": "hidden units H"}
FIXED = {"T": "E=1, B=16, H=32", "E": "T=100, B=16, H=32", "H": "E=1, T=100, B=32"}


def growth_figure(found: Sequence[Growth], slopes: Sequence[tuple[Slope, Answer]]) -> Figure:
    """Cost against T, E and H on log axes, slopes in the labels."""
    cells = [cell for cell in CELLS if any(g.cell == cell for g in found)]
    size = {"figsize": (11.5, 3.1 * len(cells)), "squeeze": False, "layout": "constrained"}
    canvas, axes = plt.subplots(len(cells), len(AXES), **size)
    for line, cell in zip(axes, cells, strict=True):
        for axis, of in zip(line, AXES, strict=True):
            growth_panel(axis, [g for g in found if (g.cell, g.of) == (cell, of)])
            axis.set_title(f"{CELLS[cell]}, {FIXED[of]}", fontsize=9)
            axis.set_xlabel(AXES[of])
        line[0].set_ylabel("ms a forward and backward")
    return Figure("growth", growth_title(slopes), canvas, growth_alt(found), growth_data(found))


def growth_panel(axis: Axes, found: Sequence[Growth]) -> None:
    """Lines of one cell and size, named with their slopes at the right."""
    axis.set_xscale("log")
    axis.set_yscale("log")
    ends = []
    for g in found:
        (mark, filled), hue = MARKS[g.contender], colour(g.cell, g.contender)
        cost = g.cost / 1e3
        axis.plot(g.sizes, cost, mark + "-", color=hue, mfc=hue if filled else "white", ms=4, lw=1.3)
        ends.append((g.sizes[-1], cost[-1], f"{CONTENDERS[g.contender].label}: {slope_text(g)}", hue))
    if not found:
        return
    sizes = found[0].sizes
    axis.set_xlim(sizes[0] / 1.15, sizes[-1] * (sizes[-1] / sizes[0]) ** 0.75)
    axis.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.minorticks_off()
    plain(axis, "y")
    low, high = axis.get_ylim()
    axis.set_ylim(low, high := high * (high / low) ** 0.15)
    height = axis.get_position().height * axis.figure.get_figheight() * 72
    gap = 12 / height * math.log(high / low)
    for place, (x, _, text, hue) in zip(figures.spread([math.log(end[1]) for end in ends], gap), ends, strict=True):
        figures.label_line(axis, x, math.exp(place), text, hue, xytext=(6, 0))


def slope_text(g: Growth) -> str:
    """The fitted slope with its interval, where there is one."""
    value, low, high = g.slope
    return f"{value:.2f}" + (f" ({low:.2f} to {high:.2f})" if math.isfinite(high) else "")


def growth_title(slopes: Sequence[tuple[Slope, Answer]]) -> str:
    """The demanded slopes' range over cells and forms."""
    parts = []
    for of, first in (("T", "from 100 steps on"), ("E", "from 8 models on")):
        values = [a.measured.value for s, a in slopes if s.of == of and not math.isnan(a.measured.value)]
        if values:
            parts.append(f"as {of} to the power of {min(values):.2f} to {max(values):.2f} {first}")
    return f"Cost grows {', '.join(parts)} (both cells, fast and compiled NumPy)" if parts else "How cost grows"


def growth_alt(found: Sequence[Growth]) -> str:
    """The slopes, for who cannot see them."""
    parts = [f"{CELLS[g.cell]} {CONTENDERS[g.contender].label} in {g.of} {slope_text(g)}" for g in found]
    return f"Log-log slopes of cost: {'; '.join(parts)}."


def growth_data(found: Sequence[Growth]) -> pd.DataFrame:
    """What stands behind the figure: microseconds a call of all steps."""
    rows = [
        {"of": g.of, "cell": g.cell, "contender": g.contender, "size": size, "us": cost, "low": low, "high": high}
        | {"slope": g.slope.value, "slope_low": g.slope.low, "slope_high": g.slope.high}
        for g in found
        for size, cost, low, high in zip(g.sizes, g.cost, g.low, g.high, strict=True)
    ]
    return pd.DataFrame(rows).replace([np.inf, -np.inf], np.nan)
