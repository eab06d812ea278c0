"""The latch with distractors: a cue marks the bit to keep, other bits of the same size follow, the bit is asked for.

    x_0 = (2 bit - 1, 1)      x_t = (+-1 with chance RATE, else 0, 0) for t = 1 .. delay

The answer is the bit, after step delay. A distractor looks like the bit in the value channel, only the cue tells them
apart. As in the latch, who sees only the last k steps does as well as one who sees nothing when k <= delay, and has the
answer without error when k > delay.

Source: ours, after the latch of Bengio, Simard, Frasconi 1994; the cue is the marker of the adding problem (Hochreiter,
Schmidhuber 1997), whose input gate must shut out what is not marked.
"""

from __future__ import annotations

import math

import numpy as np

NAME, LENGTH = "distractors", "delay"
D, V, LOSS = 2, 1, "logistic"
RATE = 0.5
SOLVED_BELOW = 0.01
"""Solved: the share of wrong answers on held-out rows is below this."""
CHANCE_ACCURACY = 0.5
CHANCE_LOSS = math.log(2.0)


def draw(rng: np.random.Generator, delay: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B sequences of delay + 1 steps: x (delay + 1, B, 2), value and cue, and the bit at the last step (1, B, 1)."""
    if delay < 1:
        raise ValueError(f"`delay` must be at least 1, since distractors must follow the bit; got {delay}.")
    shape = (delay + 1, B)
    value = 2.0 * rng.integers(0, 2, shape) - 1.0
    shown, cue = rng.random(shape) < RATE, np.zeros(shape)
    shown[0], cue[0] = True, 1.0
    bit = (value[0] > 0).astype(float)
    return np.stack([value * shown, cue], -1), bit[None, :, None]


def correct(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether the logit's sign answers right: (1, [E,] B, 1) gives ([E,] B)."""
    return ((y > 0) == (target > 0.5))[0, ..., 0]


def cost(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """1 where the answer is wrong, else 0: ([E,] B)."""
    return 1.0 - correct(y, target)


def bayes_loss(window: int, delay: int) -> float:
    """The least mean loss, nats, for a predictor that sees the last `window` steps: ln 2, or 0 once it sees x_0."""
    return CHANCE_LOSS if window <= delay else 0.0


def sum_accuracy(delay: int) -> float:
    """The share of right answers of who adds up all values alike and says the sum's sign, a coin where it is 0.

    At RATE 1/2 a distractor is half the sum of two fair +-1, so that P(W = w) = C(2 delay, delay + w) / 4^delay for the
    sum W of all. By symmetry the answer is right with P(W >= 0) + P(W = 1) / 2, which Pascal's rule makes

        1/2 + C(2 delay + 1, delay + 1) / 2^(2 delay + 1),     about 1/2 + 1 / sqrt(pi delay).

    W has one mode, in the middle, so no other function of the sum answers better. It is no bound for an LSTM without
    the input gate: a unit tanh(a (value + cue) - b) tells the cued bit from a distractor as well.
    """
    return 0.5 + math.comb(2 * delay + 1, delay + 1) / 2 ** (2 * delay + 1)
