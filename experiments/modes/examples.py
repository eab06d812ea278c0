"""The pictures of examples: what both cells said of the first test rows, and of rows that they got wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.axes import Axes

from experiments.harness.figures import COLOURS, NAMES
from experiments.harness.report import Figure
from experiments.harness.words import listed
from experiments.modes import drawing
from experiments.modes.drawing import ADVANCE, GREY, write
from experiments.modes.said import Example, cells, confused, counted, examples, frame, parted, told, wrong_at
from experiments.modes.said import text as read
from experiments.modes.videos import frames_shown, labels_shown
from experiments.tasks import dates, digit_names, digit_rows, mnist1d, moving_digits, moving_labels

See = Callable[[Axes, float, float, float, Example], None]
"""Draws what an example shows into a square: axis, its upper left corner, its side, the example."""

HEADS = ("the first test rows", "further test rows that a cell got wrong")
LATER = (
    "Of further rows the records hold each cell's first mistakes: what they leave out before its last one was right, "
    "what comes after it is unknown (?).\n"
)


def drawn(mode: str, rows: pd.DataFrame) -> list[Figure]:
    """The figures of a mode's examples; none where the records hold no example of our data.

    Args:
        mode: one of the four.
        rows: the experiment's records, in any order.
    """
    found = examples(mode, rows)
    return [figure(found[data]) for data, figure in FIGURES.items() if data in found]


# A picture and a short answer


def names_shown(found: list[Example]) -> Figure:
    """Digits and the names that were spelled for them."""
    title = f"{counted(found, 'spell', 'names')}; {confused(digit_names.NAME, found)}"
    note = "A box a step, from 0 on; a wrong letter stands on red. What follows the right name is not asked for."
    about = "Pictures of digits, and under each its name as either cell spelled it"
    return tiled(digit_names.NAME, "names_shown", title, about, note, found, pixels)


def digits_shown(found: list[Example]) -> Figure:
    """Digits and what they were taken for."""
    title = f"{counted(found, 'tell', 'digits')}; {confused(digit_rows.NAME, found)}"
    about = "Pictures of digits, and under each what either cell took it for"
    return tiled(digit_rows.NAME, "digits_shown", title, about, "A wrong answer stands on red.", found, pixels)


def curves_shown(found: list[Example]) -> Figure:
    """Curves and the classes they were taken for."""
    ends = [end for one in found for end in (one.seen["pixel"].min(), one.seen["pixel"].max())]

    def see(axis: Axes, x: float, y: float, side: float, one: Example) -> None:
        drawing.curve(axis, x, y, side, one.seen["pixel"], (min(ends), max(ends)))

    title = f"{counted(found, 'tell', 'curves')}; {confused(mnist1d.NAME, found)}"
    note = "40 points each, all on one scale. A wrong answer stands on red."
    about = "Curves of MNIST-1D, and under each the class that either cell took it for"
    return tiled(mnist1d.NAME, "curves_shown", title, about, note, found, see)


def pixels(axis: Axes, x: float, y: float, side: float, one: Example) -> None:
    """A picture of a digit."""
    drawing.ink(axis, x, y, side, one.seen["pixel"], moving_digits.BRIGHTEST)


LEFT, ACROSS, SIDE, LINE, SIZE = 0.6, 8, 0.72, 0.24, 12
PITCH = (drawing.WIDTH - LEFT) / ACROSS
TILE = SIDE + 0.3


def tiled(data: str, name: str, title: str, about: str, note: str, found: list[Example], see: See) -> Figure:
    """Examples side by side: the right answer, the picture, and below it a line for each cell."""
    lines, parts = cells(found), parted(found)
    bands = [
        (head, some[k : k + ACROSS])
        for head, some in zip(HEADS, parts, strict=True)
        for k in range(0, len(some), ACROSS)
    ]
    heights = [TILE + LINE * len(lines) + 0.3] * len(bands)
    canvas, axis = drawing.page(sum(heights) + 0.35 * sum(map(bool, parts)) + 0.3)
    y, before = 0.0, ""
    for (head, some), height in zip(bands, heights, strict=True):
        if head != before:
            y += 0.35
            write(axis, 0.0, y - 0.2, head, 9, weight="bold")
        band(axis, y, data, some, lines, see)
        y, before = y + height, head
    write(axis, 0.0, y + 0.1, LATER + note if parts[1] else note, 7.5, color=GREY)
    shown = [*parts[0], *parts[1]]
    return Figure(name, title, canvas, f"{about}. {told(data, shown)}", frame(data, shown))


def band(axis: Axes, y: float, data: str, some: Sequence[Example], lines: list[str], see: See) -> None:
    """A line of examples."""
    for k, cell in enumerate(lines):
        drawing.name(axis, 0.0, y + TILE + (k + 0.5) * LINE, cell)
    for k, one in enumerate(some):
        x, longest = LEFT + k * PITCH, max(map(len, (one.target, *one.said.values())))
        middle, wide = x + PITCH / 2, longest * SIZE * ADVANCE
        write(axis, middle, y + 0.1, f"row {one.row}: {read(data, one.target)}", 7.5, ha="center")
        see(axis, middle - SIDE / 2, y + 0.22, SIDE, one)
        drawing.edge(axis, middle - SIDE / 2, y + 0.22, SIDE)
        for n, cell in enumerate(lines):
            answer(axis, middle - wide / 2, y + TILE + (n + 0.5) * LINE, one, cell)
        for step in range(longest if longest > 1 else 0):
            at = middle - wide / 2 + (step + 0.5) * SIZE * ADVANCE
            write(axis, at, y + TILE + LINE * len(lines) + 0.08, str(step), 7, color=GREY, ha="center")


def answer(axis: Axes, x: float, y: float, one: Example, cell: str) -> None:
    """What a cell said, in boxes."""
    if cell in one.said:
        drawing.spelled(axis, x, y, one.said[cell], one.target, COLOURS[cell], SIZE)
        drawing.boxes(axis, x, y, len(one.said[cell]), SIZE)
    else:
        write(axis, x, y, "?", SIZE, color=GREY)


# Dates


COLUMNS, ROW = (0.0, 0.6, 3.6, 5.8, 8.0), 0.25


def dates_shown(found: list[Example]) -> Figure:
    """Dates as they are written, as ISO dates, and as either cell translated them."""
    parts, lines = parted(found), cells(found)
    canvas, axis = drawing.page(ROW * (sum(map(len, parts)) + 2 * sum(map(bool, parts)) + 2))
    for x, head in zip(COLUMNS, ("row", "the source", "right", *(NAMES[cell] for cell in lines)), strict=False):
        write(axis, x, 0.5 * ROW, head, 9, weight="bold", color=COLOURS.get(head.lower(), "black"))
    y = 1.5 * ROW
    for head, some in zip(HEADS, parts, strict=True):
        if some:
            write(axis, 0.0, y, head, 8, color=GREY)
        for k, one in enumerate(some):
            translated(axis, y + (k + 1) * ROW, one, lines)
        y += ROW * (len(some) + 1.5) if some else 0
    note = "A wrong character is bold and stands on red."
    write(axis, 0.0, y, LATER + note if parts[1] else note, 7.5, color=GREY)
    shown = [*parts[0], *parts[1]]
    words = told(dates.NAME, shown, lambda one: f"{source(one)}, {one.target}")
    alt = f"Dates as they are written, and as either cell wrote them as ISO dates. {words}"
    title = f"{counted(found, 'translate', 'dates')}; {misread(shown)}"
    return Figure("dates_shown", title, canvas, alt, frame(dates.NAME, shown))


def translated(axis: Axes, y: float, one: Example, lines: list[str]) -> None:
    """A line of the table."""
    write(axis, COLUMNS[0], y, str(one.row), 8, color=GREY)
    write(axis, COLUMNS[1], y, source(one), SIZE, family=drawing.MONO)
    drawing.spelled(axis, COLUMNS[2], y, one.target, one.target, "black", SIZE)
    for x, cell in zip(COLUMNS[3:], lines, strict=False):
        if cell in one.said:
            drawing.spelled(axis, x, y, one.said[cell], one.target, COLOURS[cell], SIZE)
        else:
            write(axis, x, y, "?", SIZE, color=GREY)


def source(one: Example) -> str:
    """The date that was read."""
    return "".join(chr(int(code)) for code in one.seen["source"])


PIECES = {"year": range(4), "month": range(5, 7), "day": range(8, 10), "dash": (4, 7)}


def misread(shown: Sequence[Example]) -> str:
    """In how many of the mistakes shown each part of the date is wrong."""
    wrong = [wrong_at(one.said[cell], one.target) for one in shown for cell in one.mistakes()]
    counts = {piece: sum(bool({*steps} & {*of}) for steps in wrong) for piece, of in PIECES.items()}
    parts = [f"a wrong {piece} in {count}" for piece, count in counts.items() if count]
    some = f"{len(wrong)} mistakes are" if len(wrong) > 1 else "one mistake is"
    return f"{some} shown, {listed(parts)}" if wrong else "no mistake is recorded"


FIGURES = {
    digit_names.NAME: names_shown,
    digit_rows.NAME: digits_shown,
    mnist1d.NAME: curves_shown,
    dates.NAME: dates_shown,
    moving_digits.NAME: frames_shown,
    moving_labels.NAME: labels_shown,
}
"""What is drawn of each data set."""
