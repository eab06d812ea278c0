"""Dates as people write them, to ISO dates: an encoder reads a date, then a decoder writes it, character by character.

    source    30 September 1999        Sep 30, 1999        30.09.1999        September 30th, 1999
    target    1999-09-30

The source is read whole before the first character is asked for. The decoder's input is the ISO character before: in
training the right one (teacher forcing), and nothing at step 0, where none has been written.

Days are those of the proleptic Gregorian calendar from 1900-01-01 to 2099-12-31. Each belongs to one part for good, so
a date of the test has not been seen in any of the four ways. No date can be read as another.

Source: ours, for the encoder-decoder of Cho et al. 2014 and Sutskever, Vinyals, Le 2014; dates to ISO dates are a usual
exercise for it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from experiments.harness.training import Pair
from experiments.tasks import answers, arguments
from experiments.tasks.images import PARTS
from impl import draw as streams

NAME, LENGTH, MODE = "dates", "characters", "delayed"
FIRST, AFTER = "1900-01-01", "2100-01-01"
SHARES = (0.7, 0.1, 0.2)
ROWS = {"validation": 500, "test": 2000}
FORMATS = ("30 September 1999", "Sep 30, 1999", "30.09.1999", "September 30th, 1999")
"""How a date is written, by example; the year comes last in all of them."""
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DIGITS = "0123456789"
SYMBOLS = DIGITS + "-"
"""What an ISO date is written in, in the order of the classes."""
CHARACTERS = DIGITS + "".join(sorted({*"".join(MONTHS), *"stndrdth", *" .,"}))
"""What the sources are written in, in the order of the features."""
STEPS = len(FIRST)
D, V, LOSS = len(CHARACTERS), len(SYMBOLS), "softmax_cross_entropy"
DAYS = int((np.datetime64(AFTER) - np.datetime64(FIRST)).astype(int))
CHANCE_LOSS = math.log(DAYS) / STEPS
"""Nats a character, of who sees the characters before but no source: by the chain rule a date costs ln DAYS in all."""
answered, correct, cost = answers.exact, answers.correct, answers.cost


class Table(NamedTuple):
    """All dates: codes (DAYS, 4, Ts) int8 by format, D after the end; lengths (DAYS, 4); ISO classes (DAYS, 10)."""

    codes: np.ndarray
    lengths: np.ndarray
    iso: np.ndarray


def draw(
    rng: np.random.Generator, length: int, B: int, part: str = "training"
) -> tuple[Pair, np.ndarray, None, np.ndarray]:
    """B dates of a part, with replacement, each in one of the four formats, all equally likely.

    Returns:
        A pair of x, source (20, B, D) and forced (10, B, 11); target (10, B); no mask; lengths (B,) of the sources.
    """
    arguments.exactly("length", length, STEPS, f"an ISO date has {STEPS} characters")
    arguments.batch(B)
    return written(*chosen(rng, B, part))


def held_out(rng: np.random.Generator, length: int, B: int) -> tuple[Pair, np.ndarray, None, np.ndarray]:
    """B dates of the test part, with replacement, as `draw` gives them."""
    return draw(rng, length, B, "test")


@cache
def test() -> tuple[Pair, np.ndarray, None, np.ndarray]:
    """2,000 fixed rows of the test part, as `draw` gives them."""
    return answers.kept(written(*fixed("test")))


@cache
def validation() -> tuple[Pair, np.ndarray, None, np.ndarray]:
    """500 fixed rows of the validation part."""
    return answers.kept(written(*fixed("validation")))


def formats() -> np.ndarray:
    """Which of FORMATS each row of `test` has, 0 to 3: (2000,)."""
    return fixed("test")[1]


def constant() -> np.ndarray:
    """The commonest date of the training part: (10,). All are equally common, so it is the first."""
    return table().iso[days()["training"][0]].astype(np.int64)


@cache
def days() -> dict[str, np.ndarray]:
    """The days of each part, counted from 1900-01-01, in order."""
    order = streams.generator(NAME, "split").permutation(DAYS)
    ends = np.round(np.cumsum(SHARES)[:-1] * DAYS).astype(int)
    return dict(zip(PARTS, map(np.sort, np.split(order, ends)), strict=True))


def chosen(rng: np.random.Generator, B: int, part: str) -> tuple[np.ndarray, np.ndarray]:
    """B days of a part, with replacement, and the format of each, uniform: (B,) and (B,)."""
    arguments.one_of("part", part, PARTS)
    some = days()[part]
    return some[rng.integers(0, len(some), B)], rng.integers(0, len(FORMATS), B)


def fixed(part: str) -> tuple[np.ndarray, np.ndarray]:
    """The days and formats of `test` or `validation`."""
    return chosen(streams.generator(NAME, part), ROWS[part], part)


def written(day: np.ndarray, form: np.ndarray) -> tuple[Pair, np.ndarray, None, np.ndarray]:
    """Days (B,) in formats (B,), as `draw` gives them."""
    codes, lengths, iso = table()
    target = iso[day].T.astype(np.int64, order="C")
    forced = np.zeros((*target.shape, V))
    forced[1:] = np.eye(V)[target[:-1]]
    return Pair(np.eye(D + 1, D)[codes[day, form].T], forced), target, None, lengths[day, form]


def text(source: np.ndarray) -> list[str]:
    """The dates that a source (Ts, B, D) holds, a string a row."""
    classes, shown = source.argmax(-1), source.any(-1)
    return ["".join(CHARACTERS[k] for k in row[some]) for row, some in zip(classes.T, shown.T, strict=True)]


def iso(choice: np.ndarray) -> list[str]:
    """What chosen classes (K, B) say, a string a row."""
    return ["".join(SYMBOLS[k] for k in row) for row in choice.T]


def before_year(month: int, day: int) -> tuple[str, ...]:
    """What stands before the year in each of the formats."""
    name = MONTHS[month - 1]
    return f"{day} {name} ", f"{name[:3]} {day}, ", f"{day:02}.{month:02}.", f"{name} {day}{ordinal(day)}, "


def ordinal(day: int) -> str:
    """The ending of a day's number: 1st, 2nd, 3rd, 4th, but 11th, 12th, 13th."""
    return "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


@cache
def table() -> Table:
    """All dates in all formats; made by the first call, from what stands before the year and the year's own digits."""
    codes, lengths = _heads()
    classes = _iso_classes()
    month, day = (10 * classes[:, k].astype(int) + classes[:, k + 1] for k in (5, 8))
    codes, lengths = codes[month - 1, day - 1], lengths[month - 1, day - 1]
    np.put_along_axis(codes, lengths[..., None] + np.arange(4), classes[:, None, :4], -1)
    return Table(*answers.kept((codes, lengths + 4, classes)))


def _heads() -> tuple[np.ndarray, np.ndarray]:
    """Codes (12, 31, 4, Ts), with room for the year, and lengths (12, 31, 4) of what stands before it."""
    heads = [before_year(month, day) for month in range(1, 13) for day in range(1, 32)]
    lengths = np.array([[len(head) for head in some] for some in heads])
    codes = np.full((*lengths.shape, lengths.max() + 4), D, np.int8)
    for place in np.ndindex(lengths.shape):
        codes[place][: lengths[place]] = [CHARACTERS.index(c) for c in heads[place[0]][place[1]]]
    return codes.reshape(12, 31, len(FORMATS), -1), lengths.reshape(12, 31, len(FORMATS))


def _iso_classes() -> np.ndarray:
    """The ISO classes of all days: (DAYS, 10) int8."""
    texts = np.datetime_as_string(np.datetime64(FIRST) + np.arange(DAYS)).astype(f"S{STEPS}")
    codes = texts.view(np.uint8).reshape(DAYS, STEPS)
    return np.where(codes == ord("-"), SYMBOLS.index("-"), codes - ord("0")).astype(np.int8)
