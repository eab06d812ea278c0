"""A video of a moving digit: which digit it is is asked for at every frame.

    x_t = the frames of `moving_digits`        label of every frame = the digit that is shown, 0 .. 9

Nothing changes from frame to frame but the place, so that each frame says all there is to know, to who knows a digit at
any of 81 places from few pictures; to a network the frames are more to look at, and the state sums them up. The best
known here is what a method makes of the picture at a fixed place (`rung`).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from experiments.tasks import answers, digits, moving_digits
from experiments.tasks.moving_digits import fixed

NAME, LENGTH, MODE = "moving_labels", "frames", "aligned"
STEPS, D = moving_digits.STEPS, moving_digits.D
V, LOSS = digits.V, "softmax_cross_entropy"
CHANCE_LOSS = math.log(V)
"""Nats a frame, of who gives each digit a tenth."""
answered, correct, cost, rung = moving_digits.answered, answers.correct, moving_digits.cost, digits.rung


def draw(rng: np.random.Generator, length: int, B: int, part: str = "training") -> tuple[np.ndarray, np.ndarray]:
    """B videos with the digits of a part, with replacement: x (length, B, 256) in [0, 1] and digits (length, B)."""
    return labelled(moving_digits.drawn(rng, length, B, part))


def held_out(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B videos with digits of the test part, as `draw` gives them."""
    return draw(rng, length, B, "test")


@cache
def test() -> tuple[np.ndarray, np.ndarray]:
    """The videos of `moving_digits.test`, as `draw` gives them."""
    return labelled(fixed("test"), moving_digits.test()[0])


@cache
def validation() -> tuple[np.ndarray, np.ndarray]:
    """The videos of `moving_digits.validation`."""
    return labelled(fixed("validation"), moving_digits.validation()[0])


def labelled(videos: moving_digits.Videos, x: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The videos as `draw` gives them; x are their frames, where these have been made."""
    target = np.repeat(videos.label[None].astype(np.int64), len(videos.places), 0)
    return answers.kept((moving_digits.filmed(videos)[0] if x is None else x, target))


def constant() -> np.ndarray:
    """The commonest digit of the training part, at every frame: (16,)."""
    return np.repeat(digits.constant(), STEPS)
