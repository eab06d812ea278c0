"""Temporal order: which of X and Y came first, and which second, asked for at the last step.

    x_t one-hot over a b c d X Y     distractors a .. d uniform     X or Y, fair, at one place in each of two ranges:
    steps .1 T .. .2 T and .5 T .. .6 T     class XX, XY, YX, YY = 0 .. 3

With `marks` = 3 (module `temporal_order_3`) the ranges begin at .1, .33 and .66 T, each a tenth of T wide, and there
are 8 classes. A range is low .. high - 1 with both ends rounded down. The marks are fair and independent of places,
distractors and each other, so a mark that is not known costs ln 2, wherever it stood.

Source: Hochreiter, Schmidhuber 1997, experiments 6a and 6b. There the length is drawn from 100 .. 110, the places are
steps 10 .. 20 and 50 .. 60 (6b: 10 .. 20, 33 .. 43, 66 .. 76), both ends included, the sequence begins with a symbol E
and ends with a trigger B, so that D = 8, and the outputs are trained on squared error. Here the length is fixed and
known, ranges grow with it, and no trigger is needed.
"""

from __future__ import annotations

import math

import numpy as np

from experiments.tasks import arguments

NAME, LENGTH = "temporal_order", "T"
DISTRACTORS, MARKS = 4, 2
D, V, LOSS = DISTRACTORS + 2, 2**MARKS, "softmax_cross_entropy"
STARTS = {2: (10, 50), 3: (10, 33, 66)}
"""Where the range of each mark begins, in per cent of the steps; it is 10 per cent wide."""
SOLVED_BELOW = 0.01
"""Solved: the share of wrong answers on held-out rows is below this."""
CHANCE_ACCURACY = 1 / V


def draw(rng: np.random.Generator, length: int, B: int, marks: int = MARKS) -> tuple[np.ndarray, np.ndarray]:
    """B sequences of `length` steps: x one-hot (length, B, 6) and the class, 0 .. 2^marks - 1, at the last (1, B)."""
    ranges, rows = places(length, marks), np.arange(B)
    symbol, late = rng.integers(0, DISTRACTORS, (length, B)), rng.integers(0, 2, (marks, B))
    target = np.zeros(B, np.int64)
    for (low, high), is_y in zip(ranges, late, strict=True):
        symbol[rng.integers(low, high, B), rows] = DISTRACTORS + is_y
        target = 2 * target + is_y
    return np.eye(D)[symbol], target[None]


def places(length: int, marks: int = MARKS) -> list[tuple[int, int]]:
    """The ranges low .. high - 1 of steps in which the marks stand, one mark in each."""
    arguments.within("marks", marks, 2, 3, "temporal order is defined for two and for three")
    arguments.at_least("length", length, 10, "each mark stands in a tenth of the steps")
    return [(start * length // 100, (start + 10) * length // 100) for start in STARTS[marks]]


def correct(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether the largest logit is that of the class: (1, [E,] B, V) and (1, [E,] B) give ([E,] B)."""
    return (y.argmax(-1) == target)[0]


def cost(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """1 where the answer is wrong, else 0: ([E,] B)."""
    return 1.0 - correct(y, target)


def floor(known: int, marks: int = MARKS) -> float:
    """The least mean loss, nats, of who knows that many of the marks: ln 2 for each of the others."""
    arguments.within("known", known, 0, marks, f"{marks} steps are marked")
    return (marks - known) * math.log(2.0)


CHANCE_LOSS = floor(0)


def bayes_loss(window: int, length: int, marks: int = MARKS) -> float:
    """The least mean loss, nats, for a predictor that sees the last `window` steps.

    A mark inside is known, and so is which it is, since ranges are disjoint; one outside is independent of all that is
    seen. So loss = ln 2 * sum over marks of (1 - p), where p = (high - max(low, length - window)) / (high - low), cut
    to 0 .. 1, is the chance that the mark lies inside.
    """
    arguments.window(window)
    inside = [(high - max(low, length - window)) / (high - low) for low, high in places(length, marks)]
    return math.log(2.0) * sum(1 - max(p, 0.0) for p in inside)
