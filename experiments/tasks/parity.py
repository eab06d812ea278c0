"""Parity: after every step, whether the number of ones so far is odd.

    bit_t = 0 or 1, fair     x_t = 2 bit_t - 1     target_t = bit_0 XOR ... XOR bit_t, asked for at every step

A dense label at every step: a sequence of 40 steps trains every length from 1 to 40. What is tested is whether the
rule carries on to lengths never seen: to 100 .. 500 steps.

Source: parity check of Deletang et al. 2023, train up to 40 and test up to 500 steps; there the bit is one-hot, the
training length is drawn anew from 1 .. 40 for each batch, and only the parity of the whole sequence is asked for.
"""

from __future__ import annotations

import math

import numpy as np

from experiments.tasks import arguments, latch

NAME, LENGTH = "parity", "steps"
D, V, LOSS = 1, 1, "logistic"
TRAINING_LENGTH = 40
TEST_LENGTHS = (100, 200, 500)
SOLVED_BELOW = 0.01
"""Solved: the share of held-out rows whose last answer, the parity of the whole row, is wrong is below this."""
CHANCE_ACCURACY = 0.5
"""Of the last answer."""
CHANCE_LOSS = math.log(2.0)


def draw(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B sequences of `length` steps: x (length, B, 1), each -1 or 1, and the parity so far, 0 or 1 (length, B, 1)."""
    arguments.at_least("length", length, 1, "the parity after the last step is asked for")
    bit = rng.integers(0, 2, (length, B, D))
    return 2.0 * bit - 1.0, (bit.cumsum(0) % 2).astype(float)


def correct(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether the signs of a row's logits answer right at all steps: (length, [E,] B, 1) gives ([E,] B)."""
    return ((y > 0) == (target > 0.5)).all(0)[..., 0]


def cost(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """1 where the row's last answer is wrong, else 0, whatever those before it are: ([E,] B)."""
    return latch.cost(y[-1:], target[-1:])


def bayes_loss(window: int, length: int) -> float:
    """The least mean loss a step, nats, for a predictor that at each step sees the last `window` steps.

    Step t = 0 .. length - 1 is answered without error if all t + 1 bits are seen, t < window; else an unseen fair bit
    makes the answer fair and it costs ln 2. The mean over steps is ln 2 (1 - min(window, length) / length); the last
    answer alone costs ln 2 until the window is the whole sequence: no partial credit.
    """
    arguments.window(window)
    arguments.at_least("length", length, 1, "the parity after the last step is asked for")
    return CHANCE_LOSS * (1 - min(window, length) / length)
