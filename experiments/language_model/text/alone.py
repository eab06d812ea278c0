"""What models say by themselves beside what they say after the true past, and beside the text itself."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures
from experiments.harness.report import Figure, Table
from experiments.harness.words import listed, signed
from experiments.language_model.text.likeness import WINDOW
from experiments.language_model.text.pictures import band_key, colours
from experiments.language_model.text.reading import Arm, Sample, Spread, drawn, minus, spread, three

ORDER_OF_N19 = 3
CALLED = {"heldout": "held-out text", "forced": "said after the true past", "free": "said freely"}
"""What readers call the kinds of text."""
LINE_END = "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"
"""Stands for a line end in what was said."""


def nats(arm: Arm, kind: str) -> np.ndarray:
    """The loss of a kind of text under Kneser-Ney: orders (rows) by seed (columns)."""
    return arm.tables[f"nats_{kind}"].to_numpy()


def drift(arm: Arm) -> Spread:
    """The loss of what was said freely minus that of what was said after the true past, at the order of N19."""
    order = min(ORDER_OF_N19, len(nats(arm, "free")) - 1)
    return spread(minus(nats(arm, "free")[order], nats(arm, "forced")[order]))


def finding(arms: list[Arm], ends: bool = False) -> str:
    """How far what is said freely lies from what is said after the true past; with the intervals if asked for."""
    found = [drift(arm) for arm in arms]
    lies = [f"{arm.name} {drift_in_words(one, ends)}" for arm, one in zip(arms, found, strict=True)]
    order = min(ORDER_OF_N19, len(nats(arms[0], "free")) - 1)
    return f"{decided(found)} at order {order}: freely minus after the true past, {listed(lies)} nats"


def decided(found: list[Spread]) -> str:
    """Whether the differences say that what is said freely is another text."""
    if all(one.interval and one.low > 0 for one in found):
        return "What is said freely drifts away"
    if all(one.interval and one.low <= 0 <= one.high for one in found):
        return "No drift is seen in what is said freely"
    return "What is said freely"


def drift_in_words(found: Spread, ends: bool) -> str:
    """A difference, with its interval if asked for and where there is one."""
    interval = f" (99 %: {signed(found.low)} to {signed(found.high)})" if ends and found.interval else ""
    return signed(found.median) + interval


def words(arms: list[Arm]) -> str:
    """How many of the words that are said freely stand in the training part, and of those that are held out."""
    free, text = ([middle(arm, f"words_{kind}") for arm in arms] for kind in ("free", "heldout"))
    said = listed([f"{share} ({arm.name})" for arm, share in zip(arms, free, strict=True)])
    return f"Of the words said freely {said} stand in the training part, of those of the held-out text {text[0]}"


def middle(arm: Arm, metric: str) -> str:
    """The median of a share over seeds."""
    return per_cent(spread(arm.tables[metric].to_numpy()[0]).median)


def figure(arms: list[Arm]) -> Figure:
    """The loss of each kind of text by order; below, minus that of the held-out text of the same seed."""
    canvas, ((top,), (below,)) = figures.with_residual(size=(7.5, 6.4))
    orders = np.arange(len(nats(arms[0], "free")))
    text = [spread(row).median for row in nats(arms[0], "heldout")]  # the same for every cell
    for arm, hue in zip(arms, colours(arms), strict=True):
        for kind, style in (("forced", ":"), ("free", "-")):
            one_kind(top, below, arm, kind, hue, style)
    top.plot(orders, drawn(text), **figures.PREDICTION, marker="o", ms=4)
    below.axhline(0, **figures.PREDICTION)
    axes(top, below, arms, text)
    return Figure("free", finding(arms), canvas, alt(arms, text), data(arms))


def one_kind(top: Axes, below: Axes, arm: Arm, kind: str, hue: object, style: str) -> None:
    """One cell's line, with its band where it is said freely."""
    left = minus(nats(arm, kind), nats(arm, "heldout"))
    for axis, values in ((top, nats(arm, kind)), (below, left)):
        low, median, high = (drawn([getattr(spread(row), end) for row in values]) for end in ("low", "median", "high"))
        orders = np.arange(len(values))
        axis.plot(orders, median, style, color=hue, lw=1.6)
        if kind == "free":
            axis.fill_between(orders, low, high, color=hue, alpha=0.22, lw=0)


def axes(top: Axes, below: Axes, arms: list[Arm], text: list[float]) -> None:
    """Names axes and lines."""
    below.set_xticks(range(len(text)))
    below.set_xlabel("order of the n-gram table (characters of context)")
    top.set_ylabel("loss of the text under the table\n(nats a character)")
    below.set_ylabel("minus held-out\n(nats)")
    key = {"transform": top.transAxes, "ha": "right", "va": "bottom", "fontsize": 8}
    top.text(1.0, 1.01, band_key(arms, "dotted: each character after the true past"), **key)
    names = [(text[-1], f"held-out: {text[-1]:.3f}", "black")]
    for arm, hue in zip(arms, colours(arms), strict=True):
        for kind in ("free", "forced"):
            end = float(np.median(nats(arm, kind)[-1]))
            names.append((end, f"{arm.name} {kind}: {end:.3f}", hue))
    figures.label_lines(top, [(None, *name) for name in names])


def alt(arms: list[Arm], text: list[float]) -> str:
    """What the picture shows, for who cannot see it."""
    lines = [f"held-out {', '.join(map(three, text))}"]
    for arm in arms:
        for kind in ("forced", "free"):
            lines.append(f"{arm.name} {kind} {', '.join(map(three, np.median(nats(arm, kind), 1)))}")
    return f"Median loss under tables of orders 0 to {len(text) - 1}: {'; '.join(lines)}."


def data(arms: list[Arm]) -> pd.DataFrame:
    """The figure's numbers."""
    rows = []
    for arm in arms:
        for kind in CALLED:
            for order, values in enumerate(nats(arm, kind)):
                left = spread(minus(values, nats(arm, "heldout")[order]))
                rows.append({"cell": arm.name, "text": CALLED[kind], "order": order, **spread(values)._asdict()})
                rows[-1] |= {"minus_heldout": left.median, "minus_low": left.low, "minus_high": left.high}
    return pd.DataFrame(rows)


def table(arms: list[Arm]) -> Table:
    """Each kind of text a row: words that training has, loss under tables, windows that training lacks, own loss."""
    rows = [row_of(arm, kind) for arm in arms for kind in CALLED]
    ends = "99 % interval" if spread(arms[0].test).interval else "smallest to largest"
    title = f"Text, and what models say freely and after the true past: median over seeds ({ends})"
    return Table("free", title, pd.DataFrame(rows))


def row_of(arm: Arm, kind: str) -> dict[str, str]:
    """One kind of text."""
    found = {"cell": arm.name, "text": CALLED[kind], "words that training has": told(arm, f"words_{kind}", per_cent)}
    for order in arm.tables[f"nats_{kind}"].index:
        if order in (ORDER_OF_N19, 5):
            found[f"order {order:.0f} (nats)"] = told(arm, f"nats_{kind}", three, order)
    drifted = drift_in_words(drift(arm), ends=True) if kind == "free" else ""
    found[f"order {ORDER_OF_N19}, freely minus true past"] = drifted
    found[f"{WINDOW}-grams that training lacks"] = told(arm, f"unseen_{kind}", per_cent)
    return found | {"the model's own loss (nats)": told(arm, f"own_{kind}", three)}


def told(arm: Arm, metric: str, write: Callable[[float], str], index: float | None = None) -> str:
    """A median with its ends; nothing where it was not measured."""
    if metric not in arm.tables:
        return ""
    found = arm.tables[metric]
    s = spread(found.to_numpy()[0] if index is None else found.loc[index].to_numpy())
    return f"{write(s.median)} ({write(s.low)} to {write(s.high)})"


def per_cent(share: float) -> str:
    """A share in per cent, to one decimal; what is infinite is no share."""
    return f"{100 * share:.1f} %" if math.isfinite(share) else "no whole word"


def samples_table(samples: list[Sample]) -> Table:
    """What was said at each temperature."""
    rows = [
        {
            "cell": sample.name,
            "temperature": f"{sample.temperature:g}",
            "after": visible(sample.prompt),
            "said": visible(sample.said),
        }
        for sample in samples
    ]
    title = f"What the first seed of each cell says by temperature, after a stretch of the test ({LINE_END}: line end)"
    return Table("samples", title, pd.DataFrame(rows, columns=["cell", "temperature", "after", "said"]))


def visible(text: str) -> str:
    """A text in one line: line ends have a sign, and what cannot be printed has its escape."""
    return "".join(c if c.isprintable() else LINE_END if c == "\n" else repr(c)[1:-1] for c in text)
