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

from collections.abc import Callable

import numpy as np

from experiments.tasks import arguments

NAME, LENGTH = "adding", "T"
D, V, LOSS = 2, 1, "squared_error"
TOLERANCE = 0.08
SOLVED_BELOW = 0.01
"""Solved: the mean squared error on held-out rows is below this, an eighth of what knowing one value leaves."""
CHANCE_ACCURACY = 1.0 - (1.0 - TOLERANCE) ** 2
"""Of who always says 1: the sum of two uniforms has the density 1 - |sum - 1|."""


def draw(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B sequences of `length` steps: x (length, B, 2) and the sum of the marked values at the last step (1, B, 1)."""
    x, pair = marked(rng, length, B, rng.random)
    return x, pair.sum(0)[None, :, None]


def marked(
    rng: np.random.Generator, length: int, B: int, values: Callable[[tuple[int, int]], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Values (length, B) as `values` draws them, with markers as x (length, B, 2), and the two marked values (2, B)."""
    arguments.at_least("length", length, 2, "each half of the steps holds a marker")
    half, rows = length // 2, np.arange(B)
    value, marker = values((length, B)), np.zeros((length, B))
    places = rng.integers(0, half, B), rng.integers(half, length, B)
    for place in places:
        marker[place, rows] = 1.0
    return np.stack([value, marker], -1), np.stack([value[place, rows] for place in places])


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
    arguments.within("known", known, 0, 2, "two values are marked")
    return (2 - known) / 12


CHANCE_LOSS = floor(0)


def bayes_loss(window: int, length: int) -> float:
    """The least mean squared error for a predictor that sees the last `window` steps.

    A marked value inside the window is known; one outside is independent of all that is seen, also of whether its
    marker is seen. With p_1 and p_2 of `chances` loss = (1 - p_1) / 12 + (1 - p_2) / 12: 1/6 at window 0, 1/12 at n, 0
    at `length`, straight between.
    """
    first, second = chances(window, length)
    return (1 - first) / 12 + (1 - second) / 12


def chances(window: int, length: int) -> tuple[float, float]:
    """The chances p_1 and p_2 that the first and the second marker lie in the last `window` steps.

        p_2 = min(window, n) / n     p_1 = max(window - n, 0) / (length - n)

    where n = length - length//2 steps are the second half. So p_1 > 0 only where p_2 = 1.
    """
    arguments.window(window)
    arguments.at_least("length", length, 2, "each half of the steps holds a marker")
    n = length - length // 2
    return max(min(window, length) - n, 0) / (length - n), min(window, n) / n
