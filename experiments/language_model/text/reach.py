"""How far back a model uses characters: its loss from exactly the last k, beside n-grams that see as many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures
from experiments.harness.report import Figure, Table
from experiments.harness.words import listed, signed
from experiments.language_model.text.pictures import band_key, colours
from experiments.language_model.text.reading import Arm, Rungs, Spread, drawn, minus, spread, three

NEAR = 0.02
"""Nats a character: what more context must win to count as used."""


def losses(arm: Arm) -> pd.DataFrame:
    """The loss from the last k characters: k (rows) by seed (columns)."""
    return arm.tables["loss_context"]


def used(arm: Arm) -> int:
    """The fewest characters from which on no more of them lower the loss by NEAR, in the median over seeds."""
    table = losses(arm)
    won = [np.median(minus(row, table.to_numpy()[-1])) >= NEAR for row in table.to_numpy()]
    return int(table.index[max((n + 1 for n, more in enumerate(won) if more), default=0)])


def finding(arms: list[Arm]) -> str:
    """From how many characters each cell predicts about as well as from the most."""
    most, cells = f"{losses(arms[0]).index[-1]:.0f}", {}
    for arm in arms:
        cells.setdefault(used(arm), []).append(arm.name)
    which = listed([f"the last {k} ({listed(names)})" for k, names in cells.items()])
    return f"From {which} characters alone the loss is within {NEAR:g} nats of that from the last {most}"


def by_context(rungs: Rungs, arm: Arm) -> list[tuple[int, Spread, float, Spread | None]]:
    """k, the loss, the rung that sees as many characters (NaN where there is none), and the loss minus the rung."""
    rows = []
    for k, values in losses(arm).iterrows():
        rung = rungs.context[int(k)] if k < len(rungs.context) else np.nan
        left = None if np.isnan(rung) else spread(minus(values.to_numpy(), rung))
        rows.append((int(k), spread(values.to_numpy()), rung, left))
    return rows


def figure(rungs: Rungs, arms: list[Arm]) -> Figure:
    """Loss by context, each cell's and the ladder's; below, the cell minus the rung that sees as much."""
    canvas, ((top,), (below,)) = figures.with_residual(size=(7.5, 6.4))
    for arm, hue in zip(arms, colours(arms), strict=True):
        rows = by_context(rungs, arm)
        line(top, [(k, loss) for k, loss, _, _ in rows], hue)
        line(below, [(k, left) for k, _, _, left in rows if left], hue)
    orders = np.arange(1, len(rungs.context))
    top.plot(orders, drawn(rungs.context[1:]), **figures.PREDICTION, marker="o", ms=4)
    below.axhline(0, **figures.PREDICTION)
    below.margins(y=0.15)
    axes(top, below, rungs, arms)
    return Figure("context", finding(arms), canvas, alt(rungs, arms), data(rungs, arms))


def line(axis: Axes, points: list[tuple[int, Spread]], hue: Any) -> None:
    """A cell's line with its band."""
    low, median, high = (drawn([getattr(s, end) for _, s in points]) for end in ("low", "median", "high"))
    figures.measured(axis, [k for k, _ in points], median, low, high, hue)
    axis.plot([k for k, _ in points], median, "o", color=hue, ms=3)


def axes(top: Axes, below: Axes, rungs: Rungs, arms: list[Arm]) -> None:
    """Names axes and lines; contexts stand on a logarithmic axis."""
    ks = [int(k) for k in losses(arms[0]).index]
    below.set_xscale("log")
    below.set_xticks(ks, list(map(str, ks)))
    below.minorticks_off()
    below.set_xlabel("characters of context, after a state of zeros")
    top.set_ylabel("loss at places of the test\n(nats a character)")
    below.set_ylabel("cell minus rung of\nequal context (nats)")
    key = {"transform": top.transAxes, "ha": "right", "va": "top", "fontsize": 8}
    top.text(0.99, 0.97, band_key(arms, "dashed: Kneser-Ney of order k"), **key)
    ends = [float(np.median(losses(arm).to_numpy()[-1])) for arm in arms]
    figures.label_lines(
        top, [(None, end, f"{a.name}: {end:.3f}", hue) for end, a, hue in zip(ends, arms, colours(arms), strict=True)]
    )
    last = len(rungs.context) - 1
    text = f"order {last}: {rungs.context[last]:.3f}"
    figures.label_line(top, last, float(rungs.context[last]), text, xytext=(-4, -8), ha="right")


def alt(rungs: Rungs, arms: list[Arm]) -> str:
    """What the picture shows, for who cannot see it."""
    ks = ", ".join(f"{k:.0f}" for k in losses(arms[0]).index)
    cells = "; ".join(f"{a.name} {', '.join(three(v) for v in np.median(losses(a), 1))}" for a in arms)
    ladder = ", ".join(three(v) for v in rungs.context[1:])
    last = len(rungs.context) - 1
    return f"Median loss from the last {ks} characters: {cells}. Kneser-Ney of orders 1 to {last}: {ladder}."


def data(rungs: Rungs, arms: list[Arm]) -> pd.DataFrame:
    """The figure's numbers."""
    rows = [
        {
            "cell": arm.name,
            "characters": k,
            **loss._asdict(),
            "rung": rung,
            "minus_rung": left.median if left else np.nan,
            "minus_rung_low": left.low if left else np.nan,
            "minus_rung_high": left.high if left else np.nan,
            "seeds": len(arm.seeds),
        }
        for arm in arms
        for k, loss, rung, left in by_context(rungs, arm)
    ]
    return pd.DataFrame(rows)


def table(rungs: Rungs, arms: list[Arm]) -> Table:
    """The same as a table, a context a row."""
    rows = []
    for lines in zip(*(by_context(rungs, arm) for arm in arms), strict=True):
        k, _, rung, _ = lines[0]
        row = {"last characters": str(k), "Kneser-Ney": "" if np.isnan(rung) else three(rung)}
        for arm, (_, loss, _, left) in zip(arms, lines, strict=True):
            row[arm.name] = f"{three(loss.median)} ({three(loss.low)} to {three(loss.high)})"
            row[f"{arm.name} minus Kneser-Ney"] = signed(left.median) if left else ""
        rows.append(row)
    ends = "99 % interval" if spread(arms[0].test).interval else "smallest to largest"
    title = f"Loss from exactly the last characters, nats a character: median over seeds ({ends})"
    return Table("context", title, pd.DataFrame(rows))
