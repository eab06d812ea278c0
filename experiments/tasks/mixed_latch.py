"""The one-bit latch with a delay of its own in each row, log-uniform, so that memories of many lengths are asked for.

    x_0 = 2 bit - 1      x_t = 0.2 * N(0, 1) for t = 1 .. delay, then 0      answer: the bit, after step delay

The delay is the floor of a log-uniform number in [SHORTEST, longest + 1), so it is d with chance
ln((d + 1) / d) / ln((longest + 1) / SHORTEST), nearly 1/d, for d = SHORTEST .. longest.

Source: ours, after the latch of Bengio, Simard, Frasconi 1994; for the time scales that units take.
"""

from __future__ import annotations

import math

import numpy as np

from experiments.tasks import latch

NAME, LENGTH = "mixed_latch", "longest"
D, V, LOSS = 1, 1, "logistic"
SHORTEST, LONGEST = 5, 80
"""The shortest delay, and the usual longest one."""
NOISE = latch.NOISE
SOLVED_BELOW = 0.01
"""Solved: the share of wrong answers on held-out rows is below this."""
CHANCE_ACCURACY = 0.5
CHANCE_LOSS = math.log(2.0)


def draw(rng: np.random.Generator, longest: int, B: int) -> tuple[np.ndarray, ...]:
    """B sequences of a delay each, at most `longest`, in T = longest + 1 steps.

    Returns:
        x (T, B, 1), 0 after a row's last step; target (T, B, 1), the bit at a row's last step and 0 elsewhere; mask
        (T, B), true at that step; lengths (B,), delay + 1 each.
    """
    if longest < SHORTEST:
        raise ValueError(f"`longest` must be at least {SHORTEST}, the shortest delay; got {longest}.")
    lengths = delays(rng, longest, B) + 1
    x, bit = latch.draw(rng, longest, B)
    step = np.arange(longest + 1)[:, None]
    mask = step == lengths - 1
    return x * (step < lengths)[..., None], bit * mask[..., None], mask, lengths


def delays(rng: np.random.Generator, longest: int, B: int) -> np.ndarray:
    """B delays from SHORTEST to `longest`: (B,)."""
    delay = SHORTEST * ((longest + 1) / SHORTEST) ** rng.random(B)
    return np.minimum(delay.astype(np.int64), longest)  # rounding may reach the open end


def chances(longest: int) -> np.ndarray:
    """The chance of each delay from SHORTEST to `longest`: (longest - SHORTEST + 1,)."""
    d = np.arange(SHORTEST, longest + 1)
    return np.log((d + 1) / d) / math.log((longest + 1) / SHORTEST)


def correct(y: np.ndarray, target: np.ndarray, mask: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """Whether the logit's sign at a row's last step answers right: (T, [E,] B, 1), mask (T, [E,] B) give ([E,] B)."""
    return (((y > 0) == (target > 0.5))[..., 0] | ~mask).all(0)


def cost(y: np.ndarray, target: np.ndarray, mask: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """1 where the answer at the row's last step is wrong, else 0: ([E,] B)."""
    return 1.0 - correct(y, target, mask)


def bayes_loss(window: int, longest: int) -> float:
    """The least mean loss, nats, for a predictor that sees the last `window` steps: ln 2 times P(delay >= window)."""
    return CHANCE_LOSS * float(chances(longest)[max(window - SHORTEST, 0) :].sum())
