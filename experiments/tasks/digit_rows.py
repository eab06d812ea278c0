"""A digit from its rows: scikit-learn's pictures of 8 x 8 pixels, one row a step, the digit asked for at the last.

    x_t = row t of the picture, standardised, t = 0 .. 7        target = 0 .. 9

The pictures, their split and their rungs are those of `digits`, which reads a pixel a step.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from experiments.tasks import answers, arguments, digits

NAME, LENGTH, MODE = "digit_rows", "rows", digits.MODE
STEPS = D = 8
V, LOSS, CHANCE_LOSS = digits.V, digits.LOSS, digits.CHANCE_LOSS
answered, correct, cost = digits.answered, digits.correct, digits.cost
constant, chance, rung = digits.constant, digits.chance, digits.rung


def draw(rng: np.random.Generator, length: int, B: int, part: str = "training") -> tuple[np.ndarray, np.ndarray]:
    """B pictures of a part, with replacement: x (8, B, 8) standardised, and the digit at the last step (1, B)."""
    arguments.exactly("length", length, STEPS, f"a picture has {STEPS} rows and is read one row a step")
    return by_rows(*digits.draw(rng, digits.STEPS, B, part))


def held_out(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B pictures of the test part, with replacement, as `draw` gives them."""
    return draw(rng, length, B, "test")


@cache
def test() -> tuple[np.ndarray, np.ndarray]:
    """The test part, each picture once, as `draw` gives them."""
    return answers.kept(by_rows(*digits.test()))


@cache
def validation() -> tuple[np.ndarray, np.ndarray]:
    """The validation part, each picture once."""
    return answers.kept(by_rows(*digits.validation()))


def by_rows(pixels: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A batch of `digits` with the eight pixels of a row in one step: (64, B, 1) gives (8, B, 8)."""
    rows = pixels.reshape(STEPS, D, -1).transpose(0, 2, 1)
    return np.ascontiguousarray(rows), target
