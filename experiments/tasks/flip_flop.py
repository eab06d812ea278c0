"""The 3-bit flip-flop: three channels of pulses, each channel's last pulse is asked for at every step.

    x_0 = +-1 on every channel      x_t = +-1 with chance P, else 0, each channel on its own      target_t = last pulse

Signs are fair. A predictor that sees the last k steps knows a channel's answer if a pulse is among them, which fails at
the steps from k on with chance (1 - P)^k, and otherwise says 0 and pays 1.

Source: Sussillo, Barak 2013, where pulses are rarer and none is certain at the start; here one is, so that every answer
is defined.
"""

from __future__ import annotations

import numpy as np

NAME, LENGTH = "flip_flop", "steps"
D, V, LOSS = 3, 3, "squared_error"
P = 0.5
STEPS = 64
"""The usual length."""
SOLVED_BELOW = 0.01
"""Solved: the mean squared error a channel on held-out rows is below this."""
CHANCE_LOSS = 3.0
"""Of who says 0, a step: the loss adds up the three channels, 1 each."""


def draw(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B sequences: pulses x (length, B, 3) in -1, 0, 1 and each channel's last pulse, -1 or 1, (length, B, 3)."""
    if length < 1:
        raise ValueError(f"`length` must be at least 1, since step 0 holds the first pulses; got {length}.")
    shape = (length, B, D)
    pulse = rng.random(shape) < P
    pulse[0] = True
    x = np.where(pulse, 2.0 * rng.integers(0, 2, shape) - 1.0, 0.0)
    return x, held(x)


def held(x: np.ndarray) -> np.ndarray:
    """The last value that is not 0, at every step of x (T, ...)."""
    step = np.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1))
    return np.take_along_axis(x, np.maximum.accumulate(np.where(x != 0, step, 0)), 0)


def cost(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The mean squared error over steps and channels: (T, [E,] B, 3) gives ([E,] B)."""
    return ((y - target) ** 2).mean((0, -1))


def signs_right(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The share of steps and channels with the right sign, .5 by chance: (T, [E,] B, 3) gives ([E,] B)."""
    return ((y > 0) == (target > 0)).mean((0, -1))


def correct(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether all of a row's signs are right: (T, [E,] B, 3) gives ([E,] B)."""
    return ((y > 0) == (target > 0)).all((0, -1))


def floor(window: int, length: int) -> float:
    """The least mean squared error a channel, as `cost` has it, for a predictor that sees the last `window` steps.

    The first `window` steps see step 0 and pay nothing; each of the others pays 1 if it saw no pulse:
    (1 - P)^window (length - window) / length. Window 0 pays 1, window 1 at 64 steps .4922.
    """
    return (1 - P) ** window * max(length - window, 0) / length


def bayes_loss(window: int, length: int) -> float:
    """The least mean loss a step, which adds up the three channels, for who sees the last `window` steps."""
    return V * floor(window, length)
