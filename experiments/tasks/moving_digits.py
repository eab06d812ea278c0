"""A video of a moving digit: which way it has come is asked for at every frame.

    frame    a digit of 8 x 8 pixels at one of 9 x 9 places of a canvas of 16 x 16, black elsewhere
    label    of frame t >= 1 the heading by which the digit came from frame t - 1, one pixel up, down, left or right;
             of frame 0 its first heading, which no frame shows

The first place and heading are independent and uniform. From frame to frame the heading is kept with chance 1 - TURN,
else drawn anew from all four; a heading that would lead off the canvas is then replaced by one drawn from those that do
not; then the digit moves. So a frame alone tells of its label no more than its place does (`frame_alone`), two frames
tell all of it (`ceiling`).

Source: ours, after the moving digits of Srivastava, Mansimov, Salakhutdinov 2015, which bounce off the walls and keep
their speed. The digits are those of `digits`: training shows those of its training part, and so on.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from experiments.tasks import answers, arguments, digits
from experiments.tasks.images import PARTS
from impl import draw as streams

NAME, LENGTH, MODE = "moving_digits", "frames", "aligned"
STEPS, TURN = 16, 0.2
"""The usual number of frames, and the chance that a heading is drawn anew."""
CANVAS, PICTURE = 16, 8
SIDE = CANVAS - PICTURE + 1
PLACES = SIDE**2
"""A place is a number, row * 9 + column of the digit's upper left corner."""
HEADINGS = ("up", "down", "left", "right")
MOVES = np.array([-SIDE, SIDE, -1, 1])
"""What each heading adds to a place."""
D, V, LOSS = CANVAS**2, len(HEADINGS), "softmax_cross_entropy"
CHANCE_LOSS = math.log(V)
"""Nats a frame: the canvas has no preferred side, so all headings are equally likely at every frame."""
INK = (np.arange(PICTURE)[:, None] * CANVAS + np.arange(PICTURE)).ravel()
"""Where the 64 pixels of a picture lie, from its upper left corner on."""
BRIGHTEST = 16.0
ROWS = {"validation": 500, "test": 2000}
answered, correct = answers.share, answers.correct


class Videos(NamedTuple):
    """What videos are made of: which digit (B,), its pixels (B, 64) in 0 .. 16, places (T, B) and headings (T, B)."""

    label: np.ndarray
    pixels: np.ndarray
    places: np.ndarray
    headings: np.ndarray


def draw(rng: np.random.Generator, length: int, B: int, part: str = "training") -> tuple[np.ndarray, np.ndarray]:
    """B videos with the digits of a part, with replacement: x (length, B, 256) in [0, 1] and headings (length, B)."""
    return filmed(drawn(rng, length, B, part))


def held_out(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B videos with digits of the test part, as `draw` gives them."""
    return draw(rng, length, B, "test")


@cache
def test() -> tuple[np.ndarray, np.ndarray]:
    """2,000 fixed videos with digits of the test part, as `draw` gives them: 66 MB."""
    return answers.kept(filmed(fixed("test")))


@cache
def validation() -> tuple[np.ndarray, np.ndarray]:
    """500 fixed videos with digits of the validation part."""
    return answers.kept(filmed(fixed("validation")))


@cache
def fixed(part: str) -> Videos:
    """What the videos of `test` or `validation` are made of."""
    return Videos(*answers.kept(drawn(streams.generator(NAME, part), STEPS, ROWS[part], part)))


def path() -> np.ndarray:
    """Row and column of the digit's upper left corner, by frame of the test rows: (16, 2000, 2)."""
    return np.stack(divmod(fixed("test").places, SIDE), -1)


def constant() -> np.ndarray:
    """The heading that is commonest in 2,000 videos of training, for all frames: (16,)."""
    _, headings = walk(streams.generator(NAME, "constant"), STEPS, ROWS["test"])
    return np.full(STEPS, np.bincount(headings.ravel(), minlength=V).argmax())


def cost(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The share of a row's frames with a wrong heading: y (T, [E,] B, 4) gives ([E,] B)."""
    return 1.0 - answered(y.argmax(-1), target)


def frame_alone(length: int = STEPS) -> np.ndarray:
    """By frame, the success of the best who sees that frame's place alone, and knows which frame it is: (length,)."""
    return chances(length).max(-1).sum(-1)


def ceiling(length: int = STEPS) -> np.ndarray:
    """By frame, the success of the best who sees all frames up to it: 1/4, and 1 from frame 1 on; (length,).

    The first heading is independent of the first place, so frame 0 says nothing of it. From then on the label is how
    the digit lies to where it lay before: its pixels are the same in both frames and not all black, so the
    four moves give four different frames.
    """
    arguments.at_least("length", length, 1, "a video has a frame")
    return np.where(np.arange(length) > 0, 1.0, 1 / V)


def chances(length: int) -> np.ndarray:
    """The chance of each place and heading, frame by frame, by the Markov chain's exact steps: (length, 81, 4)."""
    arguments.at_least("length", length, 1, "a video has a frame")
    a = np.full((length, PLACES, V), 1 / (PLACES * V))
    for t in range(1, length):
        leaves = np.einsum("ph,phn->np", a[t - 1], turns())
        # What rolls over an end is 0, for nothing leaves the canvas.
        a[t] = np.stack([np.roll(some, move) for some, move in zip(leaves, MOVES, strict=True)], -1)
    return a


@cache
def turns() -> np.ndarray:
    """The chance of each heading to the next frame, by place and by the heading before: (81, 4, 4)."""
    row, column = divmod(np.arange(PLACES), SIDE)
    stays = np.stack([row > 0, row < SIDE - 1, column > 0, column < SIDE - 1], -1)
    wish = (1 - TURN) * np.eye(V) + TURN / V
    lost = ~stays @ wish.T
    return stays[:, None] * (wish + (lost / stays.sum(-1, keepdims=True))[..., None])


def walk(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and headings of B videos, frame by frame: (length, B) each."""
    place, heading, u = np.empty((length, B), int), np.empty((length, B), int), rng.random((length, B, 1))
    place[0], heading[0] = rng.integers(0, PLACES, B), rng.integers(0, V, B)
    ends = _ends()
    for t in range(1, length):
        heading[t] = (u[t] >= ends[place[t - 1], heading[t - 1]]).sum(-1)
        place[t] = place[t - 1] + MOVES[heading[t]]
    return place, heading


def drawn(rng: np.random.Generator, length: int, B: int, part: str) -> Videos:
    """What B videos are made of, with the digits of a part, with replacement."""
    arguments.at_least("length", length, 1, "a video has a frame")
    arguments.batch(B)
    arguments.one_of("part", part, PARTS)
    shown = getattr(digits.data(), part)
    rows = rng.integers(0, len(shown.labels), B)
    return Videos(shown.labels[rows], shown.pixels[rows], *walk(rng, length, B))


def filmed(videos: Videos) -> tuple[np.ndarray, np.ndarray]:
    """The videos as `draw` gives them."""
    row, column = divmod(videos.places, SIDE)
    corner = row * CANVAS + column
    x = np.zeros((*corner.shape, D))
    np.put_along_axis(x, corner[..., None] + INK, videos.pixels / BRIGHTEST, -1)
    return x, videos.headings


@cache
def _ends() -> np.ndarray:
    """The sums of `turns` up to each heading; the last one is 1 exactly, so that no random number reaches it."""
    ends = turns().cumsum(-1)
    return ends / ends[..., -1:]
