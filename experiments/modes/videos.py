"""The pictures of examples of the aligned mode: videos of a digit, with the headings that each cell named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from experiments.harness.figures import COLOURS, NAMES
from experiments.harness.report import Figure
from experiments.modes import drawing
from experiments.modes.drawing import GREY, write
from experiments.modes.said import Example, cells, frame, wrong_at
from experiments.modes.said import text as read
from experiments.tasks import moving_digits

LEFT, SIDE, LINE = 0.6, 0.54, 0.22
PITCH = (drawing.WIDTH - LEFT) / moving_digits.STEPS
ARROWS = {
    "u": "\N{UPWARDS ARROW}",
    "d": "\N{DOWNWARDS ARROW}",
    "l": "\N{LEFTWARDS ARROW}",
    "r": "\N{RIGHTWARDS ARROW}",
}
NOTE = (
    "Below a frame the heading by which the digit came there, and what each cell said; a wrong one stands on red. The "
    "heading of frame 0 (grey) cannot be known: no frame shows it."
)


def frames_shown(found: list[Example]) -> Figure:
    """Two videos: the first, and the first other one with a mistake at a frame whose heading can be known."""
    shown, lines = chosen(found), cells(found)
    height = SIDE + LINE * (len(lines) + 1) + 0.75
    canvas, axis = drawing.page(len(shown) * height + 0.2)
    for k, one in enumerate(shown):
        write(axis, 0.0, k * height + 0.12, headline(one, first=k == 0), 9, weight="bold")
        video(axis, k * height + 0.5, one, lines)
    write(axis, 0.0, len(shown) * height + 0.05, NOTE, 7.5, color=GREY)
    alt = f"Videos of a moving digit, frame by frame, with its heading and what each cell said. {told(shown)}"
    return Figure("frames_shown", title(shown), canvas, alt, frame(moving_digits.NAME, shown))


def chosen(found: Sequence[Example]) -> list[Example]:
    """The first example, and the first other one with a mistake beyond frame 0, or else the second."""
    mistaken = [one for one in found[1:] if missed(one)]
    return [found[0], *(mistaken or found[1:])[:1]]


def missed(one: Example) -> bool:
    """Whether a cell was wrong beyond frame 0."""
    return any(beyond(one, cell) for cell in one.said)


def beyond(one: Example, cell: str) -> list[int]:
    """The frames after the first at which a cell was wrong."""
    return [t for t in wrong_at(one.said[cell], one.target) if t > 0]


def headline(one: Example, first: bool) -> str:
    """Which video it is."""
    found = "" if first or not missed(one) else ", the first other one recorded with a mistake beyond frame 0"
    return f"test row {one.row}{found}"


def video(axis: Axes, top: float, one: Example, lines: list[str]) -> None:
    """The frames, their upper edge at `top`, and the lines of arrows below them."""
    below = [top + SIDE + 0.06 + (n + 0.5) * LINE for n in range(len(lines) + 1)]
    write(axis, 0.0, top - 0.08, "frame", 7, color=GREY)
    write(axis, 0.0, below[0], "heading", 8, weight="bold")
    for at, cell in zip(below[1:], lines, strict=True):
        drawing.name(axis, 0.0, at, cell)
    drawing.ground(axis, LEFT + 0.08, below[0] - 0.1, PITCH - 0.16, 0.2, "0.88")
    for t in range(len(one.target)):
        x = LEFT + t * PITCH
        write(axis, x + PITCH / 2, top - 0.08, str(t), 7, color=GREY, ha="center")
        drawing.ink(axis, x + (PITCH - SIDE) / 2, top, SIDE, whole(one, t), moving_digits.BRIGHTEST)
        drawing.edge(axis, x + (PITCH - SIDE) / 2, top, SIDE)
        arrows(axis, x, below, one, lines, t)


def whole(one: Example, t: int) -> np.ndarray:
    """The pixels of frame t: (256,)."""
    n, pixels = moving_digits.PICTURE, np.zeros((moving_digits.CANVAS, moving_digits.CANVAS))
    row, column = int(one.seen["row"][t]), int(one.seen["column"][t])
    pixels[row : row + n, column : column + n] = one.seen["pixel"].reshape(n, n)
    return pixels.ravel()


def arrows(axis: Axes, x: float, below: Sequence[float], one: Example, lines: list[str], t: int) -> None:
    """The heading to a frame and what the cells said; ? where the records do not hold it."""
    arrow(axis, x, below[0], one.target[t], "black")
    for at, cell in zip(below[1:], lines, strict=True):
        answer = one.said[cell][t] if cell in one.said else "?"
        if answer not in ("?", one.target[t]):
            drawing.ground(axis, x + 0.08, at - 0.1, PITCH - 0.16, 0.2)
        arrow(axis, x, at, answer, COLOURS[cell] if answer == one.target[t] else "black")


def arrow(axis: Axes, x: float, y: float, symbol: str, colour: str) -> None:
    """A heading in the middle of a frame's place."""
    write(axis, x + PITCH / 2, y, ARROWS.get(symbol, symbol), 12, color=colour, ha="center", va="center", weight="bold")


# In words


def title(shown: Sequence[Example]) -> str:
    """How many of the headings that can be known each cell names."""
    parts = []
    for k, cell in enumerate(cells(shown)):
        some = [one for one in shown if cell in one.said]
        asked = sum(len(one.target) - 1 for one in some)
        named = asked - sum(len(beyond(one, cell)) for one in some)
        parts.append(f"the {NAMES[cell]} {'' if k else 'names '}{named} of {asked}")
    many = f"the {len(shown)} videos shown" if len(shown) > 1 else "the video shown"
    return f"In {many} {' and '.join(parts)} headings that two frames show; no frame shows that of frame 0"


def told(shown: Sequence[Example]) -> str:
    """The videos in words."""
    parts = []
    for one in shown:
        answers = ". ".join(f"{NAMES[cell]}: {said(one, cell)}" for cell in one.said)
        parts.append(f"Row {one.row}: {read(moving_digits.NAME, one.target)}. {answers}.")
    return " ".join(parts)


def said(one: Example, cell: str) -> str:
    """A cell's mistakes in a video."""
    wrong = wrong_at(one.said[cell], one.target)
    listed = ", ".join(f"frame {t} {read(moving_digits.NAME, one.said[cell][t])}" for t in wrong)
    return f"wrong at {listed}" if wrong else "right at all frames"
