"""The pictures of examples of the aligned mode: videos of a digit, with the label that each cell named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from experiments.harness.figures import COLOURS, NAMES
from experiments.harness.report import Figure
from experiments.modes import drawing
from experiments.modes.drawing import GREY, write
from experiments.modes.said import Example, cells, frame, wrong_at
from experiments.modes.said import text as read
from experiments.tasks import moving_digits, moving_labels

LEFT, SIDE, LINE = 0.6, 0.54, 0.22
PITCH = (drawing.WIDTH - LEFT) / moving_digits.STEPS
ARROWS = {
    "u": "\N{UPWARDS ARROW}",
    "d": "\N{DOWNWARDS ARROW}",
    "l": "\N{LEFTWARDS ARROW}",
    "r": "\N{RIGHTWARDS ARROW}",
}


class Asked(NamedTuple):
    """What is asked of a video.

    Attributes:
        data, figure: the names of the data and of the figure.
        label: what a label is.
        known: the first frame whose label can be known.
        all_known: what can be known, after "names 3 of 5".
        note: below the videos.
    """

    data: str
    figure: str
    label: str
    known: int
    all_known: str
    note: str


HEADINGS = Asked(
    moving_digits.NAME,
    "frames_shown",
    "heading",
    1,
    "headings that two frames show; no frame shows that of frame 0",
    "Below a frame the heading by which the digit came there, and what each cell said; a wrong one stands on red. The "
    "heading of frame 0 (grey) cannot be known: no frame shows it.",
)
DIGITS = Asked(
    moving_labels.NAME,
    "labels_shown",
    "digit",
    0,
    "frames by their digit",
    "Below a frame the digit that it shows, and which one each cell took it for; a wrong one stands on red.",
)


def frames_shown(found: list[Example]) -> Figure:
    """Two videos with their headings."""
    return filmed(HEADINGS, found)


def labels_shown(found: list[Example]) -> Figure:
    """Two videos with the digit that each cell saw at each frame."""
    return filmed(DIGITS, found)


def filmed(asked: Asked, found: list[Example]) -> Figure:
    """Two videos: the first, and the first other one with a mistake at a frame whose label can be known."""
    shown, lines = chosen(asked, found), cells(found)
    height = SIDE + LINE * (len(lines) + 1) + 0.75
    canvas, axis = drawing.page(len(shown) * height + 0.2)
    for k, one in enumerate(shown):
        write(axis, 0.0, k * height + 0.12, headline(asked, one, first=k == 0), 9, weight="bold")
        video(axis, k * height + 0.5, asked, one, lines)
    write(axis, 0.0, len(shown) * height + 0.05, asked.note, 7.5, color=GREY)
    about = f"Videos of a moving digit, frame by frame, with its {asked.label} and what each cell said."
    alt = f"{about} {told(asked, shown)}"
    return Figure(asked.figure, title(asked, shown), canvas, alt, frame(asked.data, shown))


def chosen(asked: Asked, found: Sequence[Example]) -> list[Example]:
    """The first example, and the first other one with a mistake that could be known, or else the second."""
    mistaken = [one for one in found[1:] if missed(asked, one)]
    return [found[0], *(mistaken or found[1:])[:1]]


def missed(asked: Asked, one: Example) -> bool:
    """Whether a cell was wrong where the label can be known."""
    return any(known(asked, one, cell) for cell in one.said)


def known(asked: Asked, one: Example, cell: str) -> list[int]:
    """The frames with a label that can be known at which a cell was wrong."""
    return [t for t in wrong_at(one.said[cell], one.target) if t >= asked.known]


def headline(asked: Asked, one: Example, first: bool) -> str:
    """Which video it is."""
    beyond = f" beyond frame {asked.known - 1}" if asked.known else ""
    found = "" if first or not missed(asked, one) else f", the first other one recorded with a mistake{beyond}"
    return f"test row {one.row}{found}"


def video(axis: Axes, top: float, asked: Asked, one: Example, lines: list[str]) -> None:
    """The frames, their upper edge at `top`, and the lines of labels below them."""
    below = [top + SIDE + 0.06 + (n + 0.5) * LINE for n in range(len(lines) + 1)]
    write(axis, 0.0, top - 0.08, "frame", 7, color=GREY)
    write(axis, 0.0, below[0], asked.label, 8, weight="bold")
    for at, cell in zip(below[1:], lines, strict=True):
        drawing.name(axis, 0.0, at, cell)
    if asked.known:
        drawing.ground(axis, LEFT + 0.08, below[0] - 0.1, PITCH - 0.16, 0.2, "0.88")
    for t in range(len(one.target)):
        x = LEFT + t * PITCH
        write(axis, x + PITCH / 2, top - 0.08, str(t), 7, color=GREY, ha="center")
        drawing.ink(axis, x + (PITCH - SIDE) / 2, top, SIDE, whole(one, t), moving_digits.BRIGHTEST)
        drawing.edge(axis, x + (PITCH - SIDE) / 2, top, SIDE)
        labels(axis, x, below, one, lines, t)


def whole(one: Example, t: int) -> np.ndarray:
    """The pixels of frame t: (256,)."""
    n, pixels = moving_digits.PICTURE, np.zeros((moving_digits.CANVAS, moving_digits.CANVAS))
    row, column = int(one.seen["row"][t]), int(one.seen["column"][t])
    pixels[row : row + n, column : column + n] = one.seen["pixel"].reshape(n, n)
    return pixels.ravel()


def labels(axis: Axes, x: float, below: Sequence[float], one: Example, lines: list[str], t: int) -> None:
    """A frame's label and what the cells said; ? where the records do not hold it."""
    arrow(axis, x, below[0], one.target[t], "black")
    for at, cell in zip(below[1:], lines, strict=True):
        answer = one.said[cell][t] if cell in one.said else "?"
        if answer not in ("?", one.target[t]):
            drawing.ground(axis, x + 0.08, at - 0.1, PITCH - 0.16, 0.2)
        arrow(axis, x, at, answer, COLOURS[cell] if answer == one.target[t] else "black")


def arrow(axis: Axes, x: float, y: float, symbol: str, colour: str) -> None:
    """A label in the middle of a frame's place, a heading as an arrow."""
    write(axis, x + PITCH / 2, y, ARROWS.get(symbol, symbol), 12, color=colour, ha="center", va="center", weight="bold")


# In words


def title(asked: Asked, shown: Sequence[Example]) -> str:
    """How many of the labels that can be known each cell names."""
    parts = []
    for k, cell in enumerate(cells(shown)):
        some = [one for one in shown if cell in one.said]
        every = sum(len(one.target) - asked.known for one in some)
        named = every - sum(len(known(asked, one, cell)) for one in some)
        parts.append(f"the {NAMES[cell]} {'' if k else 'names '}{named} of {every}")
    many = f"the {len(shown)} videos shown" if len(shown) > 1 else "the video shown"
    return f"In {many} {' and '.join(parts)} {asked.all_known}"


def told(asked: Asked, shown: Sequence[Example]) -> str:
    """The videos in words."""
    parts = []
    for one in shown:
        answers = ". ".join(f"{NAMES[cell]}: {said(asked, one, cell)}" for cell in one.said)
        parts.append(f"Row {one.row}: {read(asked.data, one.target)}. {answers}.")
    return " ".join(parts)


def said(asked: Asked, one: Example, cell: str) -> str:
    """A cell's mistakes in a video."""
    wrong = wrong_at(one.said[cell], one.target)
    listed = ", ".join(f"frame {t} {read(asked.data, one.said[cell][t])}" for t in wrong)
    return f"wrong at {listed}" if wrong else "right at all frames"
