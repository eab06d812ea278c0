"""What the examples are drawn with, in inches from a page's upper left corner, y downwards.

All of it is vectors: a bitmap's bytes would depend on the machine.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle
from matplotlib.path import Path

from experiments.harness.figures import COLOURS, NAMES
from experiments.modes.said import wrong_at

WIDTH = 10.0
"""Of a page."""
LIGHT_RED, GREY = "#fbc4bb", "0.4"
MONO, ADVANCE = "DejaVu Sans Mono", 1233 / 2048 / 72
"""The font that matplotlib brings, and how wide its letters are, in inches a point of size."""


def page(height: float) -> tuple[Canvas, Axes]:
    """An empty page of the width."""
    canvas = plt.figure(figsize=(WIDTH, height))
    axis = canvas.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, WIDTH), ylim=(height, 0))
    axis.axis("off")
    return canvas, axis


def write(axis: Axes, x: float, y: float, text: str, size: float = 8, **how: object) -> None:
    """A text at a place, by its left end and the middle of its height unless told otherwise."""
    axis.text(x, y, text, **{"size": size, "va": "center_baseline", "color": "black"} | how)


def name(axis: Axes, x: float, y: float, cell: str, size: float = 8) -> None:
    """A cell's name in its colour."""
    write(axis, x, y, NAMES[cell], size, color=COLOURS[cell], weight="bold")


def ground(axis: Axes, x: float, y: float, width: float, height: float, colour: str = LIGHT_RED) -> None:
    """What stands behind a wrong symbol."""
    axis.add_patch(Rectangle((x, y), width, height, color=colour, lw=0, zorder=0.5))


def spelled(axis: Axes, x: float, y: float, answer: str, target: str, colour: str, size: float) -> None:
    """An answer symbol by symbol from x on, its middle at y: wrong ones bold and black on light red."""
    pitch, wrong = size * ADVANCE, wrong_at(answer, target)
    right = "".join(" " if k in wrong else symbol for k, symbol in enumerate(answer))
    if right.strip():
        start = len(right) - len(right.lstrip())
        write(axis, x + start * pitch, y, right.strip(), size, family=MONO, color=colour)
    for k in wrong:
        ground(axis, x + k * pitch, y - 0.95 * pitch, pitch, 1.9 * pitch)
        write(axis, x + k * pitch, y, answer[k], size, family=MONO, weight="bold")


def boxes(axis: Axes, x: float, y: float, n: int, size: float) -> None:
    """Thin boxes round n symbols of `spelled`."""
    pitch = size * ADVANCE
    corners = [rectangle(x + k * pitch, y - 0.95 * pitch, pitch, 1.9 * pitch) for k in range(n)]
    axis.add_collection(PathCollection(corners, facecolors="none", edgecolors="0.75", linewidths=0.5), autolim=False)


def ink(axis: Axes, x: float, y: float, side: float, pixels: np.ndarray, brightest: float) -> None:
    """A square picture whose upper left corner is at (x, y), dark on white: one path a shade.

    Args:
        pixels: (n * n,) row by row, 0 .. brightest; what is 0 is not drawn.
    """
    n = round(len(pixels) ** 0.5)
    one = side / n
    for value in np.unique(pixels[pixels > 0]):
        places = [divmod(int(k), n) for k in np.flatnonzero(pixels == value)]
        path = Path.make_compound_path(*(rectangle(x + c * one, y + r * one, one, one) for r, c in places))
        # The thin line in the same shade closes the gaps that viewers leave between neighbours.
        how = {"color": str(1 - value / brightest), "linewidths": 0.2}
        axis.add_collection(PathCollection([path], **how), autolim=False)


def curve(axis: Axes, x: float, y: float, side: float, points: np.ndarray, limits: tuple[float, float]) -> None:
    """A line through points at equal distances in such a square, `limits` at its lower and upper edge."""
    low, high = limits
    at = np.linspace(0.04, 0.96, len(points)) * side
    axis.plot(x + at, y + side * (0.96 - 0.92 * (points - low) / (high - low)), color="black", lw=1)


def edge(axis: Axes, x: float, y: float, side: float) -> None:
    """The thin line round a picture."""
    axis.add_patch(Rectangle((x, y), side, side, fill=False, ec="0.7", lw=0.5))


def rectangle(x: float, y: float, width: float, height: float) -> Path:
    """The closed path round a rectangle."""
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
    return Path(corners, closed=True)
