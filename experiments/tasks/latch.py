"""The one-bit latch: the first input is a bit, noise follows, the bit is asked for at the end.

    x_0 = 2 bit - 1        x_t = 0.2 * N(0, 1) for t = 1 .. delay        answer: the bit, after step delay

The steps after x_0 are independent of the bit. So who sees only the last k steps does as well as one who sees nothing
when k <= delay, and has the answer without error when k > delay: there is no partial credit.

Source: the latch of Bengio, Simard, Frasconi 1994, here with the noise after the bit and not on it.
"""

from __future__ import annotations

import math

import numpy as np

from experiments.tasks.arguments import at_least

NAME, LENGTH = "latch", "delay"
D, V, LOSS = 1, 1, "logistic"
NOISE = 0.2
SOLVED_BELOW = 0.01
"""Solved: the share of wrong answers on held-out rows is below this."""
CHANCE_ACCURACY = 0.5
CHANCE_LOSS = math.log(2.0)


def draw(rng: np.random.Generator, delay: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B sequences of delay + 1 steps: x (delay + 1, B, 1) and the answer, 0 or 1, at the last step (1, B, 1)."""
    at_least("delay", delay, 1, "noise must follow the bit")
    bit = rng.integers(0, 2, (B, 1)).astype(float)
    x = rng.normal(0.0, NOISE, (delay + 1, B, D))
    x[0] = 2.0 * bit - 1.0
    return x, bit[None]


def correct(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether the logit's sign answers right: (1, [E,] B, 1) gives ([E,] B)."""
    return ((y > 0) == (target > 0.5))[0, ..., 0]


def cost(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """1 where the answer is wrong, else 0: ([E,] B)."""
    return 1.0 - correct(y, target)


def bayes_error(window: int, delay: int, noise_at_bit: float = 0.0) -> float:
    """The least share of wrong answers for a predictor that sees the last `window` steps.

    With noise N(0, s^2) on x_0 itself the likelihood ratio of the two bits is exp(2 x_0 / s^2), its sign is that of
    x_0, and the error is P(N(0, 1) > 1/s) = Phi(-1/s). Here s = 0: the floor is 0.
    """
    if window <= delay:
        return 1.0 - CHANCE_ACCURACY
    return 0.5 * math.erfc(1.0 / (noise_at_bit * math.sqrt(2.0))) if noise_at_bit else 0.0


def bayes_loss(window: int, delay: int) -> float:
    """The least mean loss, nats, for a predictor that sees the last `window` steps: ln 2, or 0 once it sees x_0."""
    return CHANCE_LOSS if window <= delay else 0.0
