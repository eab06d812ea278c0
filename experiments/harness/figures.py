"""How all figures look: two cells, two colours; predictions black and dashed, intervals as bands, lines labelled."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG, RendererSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.transforms import Bbox

matplotlib.use("Agg")

COLOURS = {"rnn": "#d55e00", "lstm": "#0072b2"}
"""Each cell's colour in every report: vermilion and blue of Okabe and Ito, told apart by colour-blind readers."""

NAMES = {"rnn": "RNN", "lstm": "LSTM"}
"""What readers call the cells."""

DOTS = 72
"""Of an SVG, an inch."""

PLACES = 4
"""Decimals of an SVG's coordinates: see `rounded`."""

PREDICTION = {"color": "black", "linestyle": "--", "linewidth": 1.2}


@contextmanager
def style() -> Iterator[None]:
    """seaborn's white theme with our settings, for as long as it is entered; fixed ids, so that an SVG is its data."""
    own = {"svg.hashsalt": "rnn-twins", "svg.fonttype": "path", "axes.spines.top": False, "axes.spines.right": False}
    own |= {"figure.max_open_warning": 0, "axes.titlesize": 10, "axes.labelsize": 9, "legend.frameon": False}
    with sns.axes_style("ticks"), sns.plotting_context("paper", font_scale=1.1), matplotlib.rc_context(own):
        yield


def shades(cell: str, n: int) -> list[Any]:
    """n shades of a cell's colour, light to dark, for n settings of one cell in one panel."""
    return sns.light_palette(COLOURS[cell], n_colors=n + 2)[2:] if n > 1 else [COLOURS[cell]]


def with_residual(columns: int = 1, size: tuple[float, float] = (5.0, 4.6)) -> tuple[Canvas, np.ndarray]:
    """A row of panels, each with its residual panel below on the same x: axes of shape (2, columns)."""
    grid = {"height_ratios": [3, 1], "squeeze": False, "sharex": "col", "layout": "constrained"}
    return plt.subplots(2, columns, figsize=(size[0] * columns, size[1]), **grid)


def measured(axis: Axes, x: Any, value: Any, low: Any, high: Any, colour: Any) -> None:
    """A measured line with its interval as a band."""
    axis.fill_between(x, low, high, color=colour, alpha=0.22, linewidth=0)
    axis.plot(x, value, color=colour, linewidth=1.6)


def predicted(axis: Axes, x: Any, y: Any) -> None:
    """A closed form: black, dashed."""
    axis.plot(x, y, **PREDICTION)


def measured_and_predicted(top: Axes, below: Axes, x: Any, rows: pd.DataFrame, colour: Any) -> None:
    """A measured line with its interval and its closed form; in the residual panel what the form leaves.

    Args:
        top: the panel. below: its residual panel.
        x: one value a row.
        rows: with the columns of `statistics.against`; where a value is infinite the line has a gap.
        colour: of the measured line.
    """
    rows = rows.replace([np.inf, -np.inf], np.nan)
    measured(top, x, rows["median"], rows.low, rows.high, colour)
    predicted(top, x, rows.predicted)
    below.fill_between(x, rows.residual_low, rows.residual_high, color=colour, alpha=0.1, linewidth=0)
    below.plot(x, rows.residual, color=colour, linewidth=1.6)


def label_ends(top: Axes, below: Axes, ends: pd.DataFrame, x: str, names: Iterable[str]) -> None:
    """Names beside the lines' ends; in the residual panel those of the highest and the lowest line alone.

    Args:
        top: the panel. below: its residual panel.
        ends: a line's last row each, with the columns of `statistics.against` and `cell`.
        x: the column of their places.
        names: of the lines.
    """
    ends = ends.assign(name=list(names))
    outer = ends.loc[sorted({ends.residual.idxmax(), ends.residual.idxmin()})]
    for axis, rows, column in ((top, ends, "median"), (below, outer, "residual")):
        label_lines(axis, zip(rows[x], rows[column], rows["name"], rows.cell.map(COLOURS), strict=True), height=11)


def label_line(axis: Axes, x: float, y: float, text: str, colour: Any = "black", **how: Any) -> None:
    """A line's name, written beside its end at (x, y), both in data coordinates."""
    how = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 8} | how
    axis.annotate(text, (x, y), color=colour, annotation_clip=False, **how)


def label_lines(axis: Axes, names: Iterable[tuple[float | None, float, str, Any]], height: float = 10) -> None:
    """Names of lines, moved apart where they are close; call it when the panel's limits are set.

    Args:
        names: (x, y, text, colour) with (x, y) a line's end in data coordinates; x None: right of the panel.
        height: of a name, points.
    """
    names = [name for name in names if np.isfinite(name[1])]
    low, high = axis.get_ylim()
    gap = (high - low) * height / 72 / (axis.get_position().height * axis.figure.get_figheight())
    places = within(spread([name[1] for name in names], gap), gap, low, high)
    for place, (x, _, text, colour) in zip(places, names, strict=True):
        edge = {"xycoords": axis.get_yaxis_transform()} if x is None else {}
        label_line(axis, 1.0 if x is None else x, place, text, colour, **edge)


def spread(positions: Any, gap: float) -> np.ndarray:
    """Positions moved apart so that neighbours are at least `gap` apart, in their order: for labels of close lines."""
    positions = np.asarray(positions, float)
    order = np.argsort(positions, kind="stable")
    moved = positions[order]
    for _ in range(200):
        overlap = gap - np.diff(moved)
        if (overlap <= 1e-9).all():
            break
        push = np.where(overlap > 0, overlap / 2, 0.0)
        moved[:-1] -= push
        moved[1:] += push
    result = np.empty_like(moved)
    result[order] = moved
    return result


def within(positions: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Positions that are `gap` apart, moved to lie between two ends; more of them than fit there stay as they are."""
    if len(positions) * gap > high - low or all(low <= place <= high for place in positions):
        return positions
    order = np.argsort(positions, kind="stable")
    moved, least, most = positions[order], low, high
    for n in range(len(moved)):
        moved[n] = max(moved[n], least)
        least = moved[n] + gap
    for n in reversed(range(len(moved))):
        moved[n] = min(moved[n], most)
        most = moved[n] - gap
    result = np.empty_like(moved)
    result[order] = moved
    return result


def numbered(text: str) -> str:
    """The ids that matplotlib makes of hashes, in order instead: one last digit of a layout would change a hash."""
    hashes = dict.fromkeys(re.findall(r'id="([a-z][0-9a-f]{10})"', text))
    names = {found: f"{found[0]}{n}" for n, found in enumerate(hashes)}
    return re.sub(r"\b[a-z][0-9a-f]{10}\b", lambda match: names.get(match[0], match[0]), text)


def rounded(text: str) -> str:
    """An SVG's coordinates, of which matplotlib writes six decimals, with PLACES.

    A layout halves what is left of a canvas. A pixel halved seven times has seven decimals, the last a 5: there a sum's
    last bits, which are a processor's own, decide the sixth. None of these lies where the fourth is decided, and
    five decimals that end in 5 come here as they are, since matplotlib has rounded those bits away.
    """

    def shorter(number: re.Match[str]) -> str:
        return f"{round(float(number[0]), PLACES) + 0.0:.{PLACES}f}".rstrip("0").rstrip(".")  # no -0

    long = rf"-?\d+\.\d{{{PLACES + 1},}}"
    given = r'(?<= )(d|transform|viewBox|x|y|width|height)="[^"]*"'
    return re.sub(given, lambda attribute: re.sub(long, shorter, attribute[0]), text)


def laid_out(canvas: Canvas) -> Bbox:
    """Lays a canvas out for an SVG; the room that its parts take, in inches, with a margin.

    It is what savefig finds by bbox_inches="tight", which draws everything once more for it: a fifth of the time.
    """
    FigureCanvasSVG(canvas)
    canvas.set_dpi(DOTS)
    if (engine := canvas.get_layout_engine()) is not None:
        engine.execute(canvas)
    canvas.set_layout_engine()  # none: savefig would lay out again
    renderer = RendererSVG(*(canvas.get_size_inches() * DOTS), io.StringIO())
    return canvas.get_tightbbox(renderer).padded(matplotlib.rcParams["savefig.pad_inches"])


def svg(canvas: Canvas, name: str) -> str:
    """The picture as one <svg> element: no date; ids from a fixed salt, marked with its name, so that a page may hold
    several pictures. The canvas is closed."""
    out, box = io.StringIO(), laid_out(canvas)
    canvas.savefig(out, format="svg", dpi=DOTS, metadata={"Date": None, "Creator": None}, bbox_inches=box)
    plt.close(canvas)
    text = out.getvalue()
    text = rounded(numbered(re.sub(r"[ \t]+\n", "\n", text[text.index("<svg") :])))
    return re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", text)
