"""The adding problem: two of T values are marked, their sum is asked for at the last step.

    x_t = (value_t, marker_t)     value_t uniform in [0, 1)     marker_t = 1 at t = i and t = j, else 0
    i uniform in 0 .. T//2 - 1    j uniform in T//2 .. T - 1     target = value_i + value_j

The two halves share no step, so two different values are marked in every row and the loss can reach 0.

Source: Hochreiter, Schmidhuber 1997, experiment 4, in the variant that is usual since (Le, Jaitly, Hinton 2015). In the
original the length varies by a tenth, values lie in [-1, 1], the first marker stands within the first ten steps, the
first and last step are marked -1 where they carry no 1, and the target is (2 + value_i + value_j) / 4: half the sum
here, so that its tolerance of .04 is .08 here.
"""

from __future__ import annotations

import numpy as np

NAME, LENGTH = "adding", "T"
D, V, LOSS = 2, 1, "squared_error"
TOLERANCE = 0.08
SOLVED_BELOW = 0.01
"""Solved: the mean squared error on held-out rows is below this, an eighth of what knowing one value leaves."""
CHANCE_ACCURACY = 1.0 - (1.0 - TOLERANCE) ** 2
"""Of who always says 1: the sum of two uniforms has the density 1 - |sum - 1|."""


def draw(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B sequences of `length` steps: x (length, B, 2) and the sum of the marked values at the last step (1, B, 1)."""
    if length < 2:
        raise ValueError(f"`length` must be at least 2, since each half of the steps holds a marker; got {length}.")
    half, rows = length // 2, np.arange(B)
    value, marker = rng.random((length, B)), np.zeros((length, B))
    first, second = rng.integers(0, half, B), rng.integers(half, length, B)
    marker[first, rows] = marker[second, rows] = 1.0
    target = value[first, rows] + value[second, rows]
    return np.stack([value, marker], -1), target[None, :, None]


def correct(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether an answer lies within TOLERANCE of the sum: (1, [E,] B, 1) gives ([E,] B)."""
    return (abs(y - target) < TOLERANCE)[0, ..., 0]


def cost(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The squared error: ([E,] B)."""
    return ((y - target) ** 2)[0, ..., 0]


def floor(known: int) -> float:
    """The least mean squared error of who knows 0, 1 or 2 of the marked values: 1/6, 1/12, 0.

    What is not known is predicted by its mean 1/2 and costs the variance of a uniform, 1/12; variances add up.
    """
    return (2 - known) / 12


CHANCE_LOSS = floor(0)


def bayes_loss(window: int, length: int) -> float:
    """The least mean squared error for a predictor that sees the last `window` steps.

    A marked value inside the window is known; one outside is independent of all that is seen, also of whether its
    marker is seen. With p_1 and p_2 the chances that the markers lie inside,

        loss = (1 - p_1) / 12 + (1 - p_2) / 12,   p_2 = min(window, n) / n,   p_1 = max(window - n, 0) / (length - n)

    where n = length - length//2 steps are the second half: 1/6 at window 0, 1/12 at n, 0 at `length`, straight between.
    """
    n = length - length // 2
    first, second = max(min(window, length) - n, 0) / (length - n), min(window, n) / n
    return (1 - first) / 12 + (1 - second) / 12
