"""Multiplication: the adding problem with the product of the two marked values asked for at the last step.

    x_t = (value_t, marker_t)     as in `adding`, the same draws     target = value_i * value_j

Source: Hochreiter, Schmidhuber 1997, experiment 5. There too the values lie in [0, 1] and the target is their product;
places, lengths and the marks of the first and last step are those of its experiment 4, from which `adding` says how we
depart. Its tolerance is .04.
"""

from __future__ import annotations

import math

import numpy as np

from experiments.tasks import adding, arguments

NAME, LENGTH = "multiplication", "T"
D, V, LOSS = adding.D, 1, "squared_error"
TOLERANCE = 0.04
SOLVED_BELOW = 0.0035
"""Solved: the mean squared error on held-out rows is below this, an eighth of what knowing one value leaves."""


def below(z: float) -> float:
    """The chance that the product of two uniforms is below z: z - z ln z."""
    return z - z * math.log(z)


CHANCE_ACCURACY = below(0.25 + TOLERANCE) - below(0.25 - TOLERANCE)
"""Of who always says 1/4, the mean of the product."""


def draw(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B sequences of `length` steps: x (length, B, 2) and the marked values' product at the last step (1, B, 1)."""
    x, pair = adding.marked(rng, length, B, rng.random)
    return x, pair.prod(0)[None, :, None]


def correct(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether an answer lies within TOLERANCE of the product: (1, [E,] B, 1) gives ([E,] B)."""
    return (abs(y - target) < TOLERANCE)[0, ..., 0]


cost = adding.cost


def floor(known: int) -> float:
    """The least mean squared error of who knows 0, 1 or 2 of the marked values: 7/144, 1/36, 0.

    A uniform has the mean square 1/3 and the squared mean 1/4. Who knows k values predicts the unknown ones by their
    mean; the product's mean square is 1/9, the prediction's is 3^-k 4^(k-2), and their difference is the error. For
    k = 1 it is the mean of u^2/12 over the known value u.
    """
    arguments.within("known", known, 0, 2, "two values are marked")
    return (16 - 3 ** (2 - known) * 4**known) / 144


CHANCE_LOSS = floor(0)


def bayes_loss(window: int, length: int) -> float:
    """The least mean squared error for a predictor that sees the last `window` steps.

    The first marker lies inside only if the second does (`adding.chances`: p_1 > 0 only where p_2 = 1), so none, one
    or both values are known with the chances 1 - p_2, p_2 - p_1 and p_1: 7/144 at window 0, 1/36 at n, 0 at `length`,
    straight between, where n steps are the second half.
    """
    first, second = adding.chances(window, length)
    return (1 - second) * floor(0) + (second - first) * floor(1)
