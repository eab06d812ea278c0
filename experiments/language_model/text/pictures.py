"""The figures: loss by update, and at the end against the ladder of n-gram rungs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures
from experiments.harness.report import Figure
from experiments.language_model.models import CELLS
from experiments.language_model.text.reading import Arm, Rungs, beaten, chance, drawn, spread, three
from experiments.language_model.text.sweep import FIXED, ORDER_OF_N6, learnt


def colours(arms: list[Arm]) -> list[Any]:
    """Each arm's colour: its cell's, lighter for smaller ones where there are several sizes."""
    sizes = {cell: [a.parameters for a in arms if a.cell == cell] for cell in CELLS}
    return [figures.shades(a.cell, len(sizes[a.cell]))[sizes[a.cell].index(a.parameters)] for a in arms]


def curves_figure(rungs: Rungs, arms: list[Arm]) -> Figure:
    """Loss on the validation part by update and by predicted time, over its rungs; below, minus the order-2 rung."""
    data = pd.concat([curve(arm, rungs) for arm in arms], ignore_index=True)
    canvas, (tops, belows) = figures.with_residual(2, size=(5.4, 7.0))
    for top, below, x in zip(tops, belows, ("updates", "core_seconds"), strict=True):
        for arm, hue in zip(arms, colours(arms), strict=True):
            rows = data[data.cell == arm.name]
            median, low, high = (drawn(rows[name]) for name in ("median", "low", "high"))
            for axis, shift in ((top, 0.0), (below, drawn(rows.order_2))):
                figures.measured(axis, rows[x], median - shift, low - shift, high - shift, hue)
        for rung in rungs.validation[np.isfinite(rungs.validation)]:
            top.axhline(rung, **figures.PREDICTION | {"linewidth": 0.8})
        top.set_ylim(bottom=top.get_ylim()[0] - 0.06)
        below.axhline(0, **figures.PREDICTION)
    curves_axes(tops, belows, arms, data)
    curves_names(tops[1], belows[1], rungs, arms)
    return Figure("curves", curves_title(rungs, arms), canvas, curves_alt(arms), data)


def curves_axes(tops: np.ndarray, belows: np.ndarray, arms: list[Arm], data: pd.DataFrame) -> None:
    """Names the axes, and says what line and band are."""
    key = {"transform": tops[0].transAxes, "ha": "right", "va": "top", "fontsize": 8}
    tops[0].text(0.99, 0.9, band_key(arms, "dashed: rungs"), **key)
    update_axis(belows[0], arms)
    seconds_axis(belows[1], data.core_seconds)
    tops[0].set_ylabel("loss on the validation part\n(nats a character)")
    belows[0].set_ylabel(f"minus order {ORDER_OF_N6}\n(nats)")
    belows[0].set_xlabel(f"updates ({FIXED['T'] * FIXED['B']:,} characters a seed each)")
    belows[1].set_xlabel("core-seconds of training a seed, predicted")


def curves_names(top: Axes, below: Axes, rungs: Rungs, arms: list[Arm]) -> None:
    """Names the lines at the right."""
    names = [(rung, f"order {k}", "black") for k, rung in enumerate(rungs.validation)]
    ends = [float(np.median(arm.validation[-1])) for arm in arms]
    names += [(end, f"{a.name}: {end:.3f}", hue) for end, a, hue in zip(ends, arms, colours(arms), strict=True)]
    figures.label_lines(top, [(None, *name) for name in names])
    figures.label_lines(below, [(None, 0.0, f"order {ORDER_OF_N6}", "black")])


def curve(arm: Arm, rungs: Rungs) -> pd.DataFrame:
    """One arm's loss by update: median and band over seeds."""
    spreads = [spread(values) for values in arm.validation]
    rows = pd.DataFrame([s[:3] for s in spreads], columns=["median", "low", "high"])
    rows["band"] = "99 % interval" if spreads[0].interval else "smallest to largest seed"
    each = learnt(arm.cell, arm.H, int(rungs.facts["symbols"]), len(arm.seeds))
    rows.insert(0, "core_seconds", arm.updates * each)
    rows.insert(0, "updates", arm.updates)
    rows.insert(0, "cell", arm.name)
    return rows.assign(seeds=len(arm.seeds), order_2=rungs.validation[ORDER_OF_N6])


def band_key(arms: list[Arm], others: str) -> str:
    """What line and band are."""
    band = "99 % interval" if spread(arms[0].test).interval else "smallest to largest"
    return f"line: median of {len(arms[0].test)} seeds; band: {band}; {others}"


def update_axis(axis: Axes, arms: list[Arm]) -> None:
    """Updates on a logarithmic axis, named where the validation part was read, and the next is not too near."""
    updates = sorted({int(update) for arm in arms for update in arm.updates})
    names = [f"{a:,}" if b > 1.3 * a else "" for a, b in zip(updates, [*updates[1:], math.inf], strict=True)]
    axis.set_xscale("log")
    axis.set_xticks(updates, names, rotation=40, ha="right")
    axis.minorticks_off()


def seconds_axis(axis: Axes, seconds: pd.Series) -> None:
    """Seconds on a logarithmic axis, at 1, 2 and 5 of each power of ten."""
    axis.set_xlim(seconds.min() * 0.9, seconds.max() * 1.1)
    axis.set_xscale("log")
    ticks = [base * 10.0**power for power in range(-5, 8) for base in (1, 2, 5)]
    ticks = [tick for tick in ticks if seconds.min() * 0.9 <= tick <= seconds.max() * 1.1]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()


def curves_title(rungs: Rungs, arms: list[Arm]) -> str:
    """After how many updates each cell lies below the order-2 rung of the validation part."""
    passed_at, not_passed = [], []
    for arm in arms:
        below = (arm.validation < rungs.validation[ORDER_OF_N6]).all(1)
        if below.any():
            passed_at.append(f"{arm.updates[below][0]:,.0f} ({arm.name})")
        else:
            not_passed.append(arm.name)
    rung, last = f"below the validation part's order-{ORDER_OF_N6} rung", f"{arms[0].updates[-1]:,.0f} updates"
    parts = [f"All seeds are {rung} after {', '.join(passed_at)} updates"] if passed_at else []
    parts += [f"Not all seeds of {', '.join(not_passed)} are {rung} after {last}"] if not_passed else []
    return "; ".join(parts)


def curves_alt(arms: list[Arm]) -> str:
    """What the picture shows, for who cannot see it."""
    parts = [f"{arm.name} {', '.join(three(v) for v in np.median(arm.validation, 1))}" for arm in arms]
    updates = ", ".join(f"{update:g}" for update in arms[0].updates)
    return f"Median loss on the validation part at updates {updates}: {'; '.join(parts)}."


CHANCE_PLACE = -1
"""Chance is the level below order 0: 1 / V for every character."""


def ladder_figure(rungs: Rungs, arms: list[Arm]) -> Figure:
    """The test's rungs by order, and each cell's loss across them; below, each seed's loss minus each rung."""
    data = ladder_data(rungs, arms)
    canvas, ((top,), (below,)) = figures.with_residual(size=(7.5, 7.0))
    orders = np.arange(CHANCE_PLACE, len(rungs.test))
    ladder, interleaved = (np.r_[chance(rungs), drawn(some)] for some in (rungs.test, rungs.interleaved))
    top.plot(orders, interleaved, color="0.5", ls=":", lw=1.2)
    top.plot(orders, ladder, **figures.PREDICTION, marker="o", ms=4)
    below.axhline(0, **figures.PREDICTION)
    for n, (arm, hue) in enumerate(zip(arms, colours(arms), strict=True)):
        ladder_arm(top, below, arm, orders, ladder, hue, 1.6 + 2.2 * (len(arms) - 1 - n) / max(1, len(arms) // 2))
    ladder_axes(top, below, rungs, orders)
    key = {"transform": top.transAxes, "ha": "right", "va": "top", "fontsize": 8}
    top.text(0.99, 0.97, band_key(arms, "hollow: compressors, without order"), **key)
    near = drawn([arm.test for arm in arms])[..., None] - ladder[2:]
    if np.isfinite(near).any():
        below.set_ylim(np.nanmin(near) - 0.1, max(np.nanmax(near), 0.0) + 0.1)
    names = [(float(np.median(a.test)), a.name, hue) for a, hue in zip(arms, colours(arms), strict=True)]
    figures.label_lines(top, [(None, value, f"{name}: {value:.3f}", hue) for value, name, hue in names])
    return Figure("ladder", ladder_title(rungs, arms), canvas, ladder_alt(rungs, arms), data)


def ladder_arm(
    top: Axes, below: Axes, arm: Arm, orders: np.ndarray, ladder: np.ndarray, hue: Any, width: float
) -> None:
    """One cell across the ladder, the first drawn widest, so that cells that lose the same are seen side by side."""
    median, low, high = drawn(spread(arm.test)[:3])
    top.fill_between(orders, low, high, color=hue, alpha=0.22, lw=0)
    for axis, line in ((top, median + 0 * ladder), (below, median - ladder)):
        axis.plot(orders, line, color=hue, lw=width)
    below.plot(orders, drawn(arm.test)[:, None].T - ladder[:, None], "o", color=hue, ms=2 + width)


def ladder_axes(top: Axes, below: Axes, rungs: Rungs, orders: np.ndarray) -> None:
    """Names the axes, the ladders and the compressors, which have no order and stand hollow at the left."""
    below.set_xticks(orders, ["chance", *map(str, orders[1:])])
    below.set_xlabel("order of the n-gram rung (characters of context)")
    top.set_ylabel("loss on the test\n(nats a character)")
    below.set_ylabel("cell minus rung\n(nats)")
    for name, text in (("gzip", "gzip"), ("bz2", "bz2")):
        top.plot(CHANCE_PLACE, rungs.facts[name], "D", mfc="white", color="0.35", ms=6, zorder=3)
        figures.label_line(
            top, CHANCE_PLACE, rungs.facts[name], f"{text} {rungs.facts[name]:.3f}", "0.35", xytext=(8, -9)
        )
    figures.label_line(top, 1, float(rungs.test[1]), "rungs of the contiguous split, the test here", xytext=(12, 8))
    last, text = len(rungs.interleaved) - 1, "rungs of the interleaved split"
    figures.label_line(top, last, float(rungs.interleaved[last]), text, "0.45", xytext=(0, -10), ha="right")


def ladder_data(rungs: Rungs, arms: list[Arm]) -> pd.DataFrame:
    """Every predictor's loss on the test, and minus the order-2 rung; a cell has one row a seed."""
    rows = [("chance", "", chance(rungs)), *((f"order {k}", "", v) for k, v in enumerate(rungs.test))]
    rows += [(f"order {k}, interleaved", "", v) for k, v in enumerate(rungs.interleaved)]
    rows += [(arm.name, seed, v) for arm in arms for seed, v in zip(arm.seeds, arm.test, strict=True)]
    rows += [(name, "", rungs.facts[name]) for name in ("gzip", "bz2")]
    data = pd.DataFrame(rows, columns=["predictor", "seed", "loss_test"])
    return data.assign(minus_order_2=data.loss_test - rungs.test[ORDER_OF_N6])


def ladder_title(rungs: Rungs, arms: list[Arm]) -> str:
    """The rung of the test that all seeds of each cell are below."""
    orders: dict[int, list[str]] = {}
    for arm in arms:
        orders.setdefault(beaten(arm, rungs.test), []).append(arm.name)
    parts = [
        f"every seed of {' and '.join(names)} lies below the order-{order} rung"
        if order >= 0
        else f"not every seed of {' and '.join(names)} lies below order 0"
        for order, names in orders.items()
    ]
    return f"On the test {'; '.join(parts)} ({len(arms[0].test)} seeds each)"


def ladder_alt(rungs: Rungs, arms: list[Arm]) -> str:
    """What the picture shows, for who cannot see it."""
    ladder = ", ".join(three(v) for v in rungs.test)
    models = "; ".join(f"{arm.name} {', '.join(three(v) for v in arm.test)}" for arm in arms)
    others = ", ".join(f"{name} {three(rungs.facts[name])}" for name in ("gzip", "bz2"))
    return (
        f"Loss on the test, nats a character. Orders 0 to {len(rungs.test) - 1}: {ladder}. Seeds: {models}. {others}."
    )
