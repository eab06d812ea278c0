"""XOR at a distance: two of T bits are marked, whether they differ is asked for at the last step.

    x_t = (bit_t, marker_t)     bit_t = 0 or 1, fair     markers as in `adding`     target = bit_i XOR bit_j

One of the bits says nothing of the answer: there is no partial credit.

Source: Martens, Sutskever 2011, one of their pathological problems, after the adding problem of Hochreiter,
Schmidhuber 1997; as in `adding`, the markers stand uniformly in the two halves here and the length is fixed.
"""

from __future__ import annotations

import math

import numpy as np

from experiments.tasks import adding, arguments, latch

NAME, LENGTH = "xor", "T"
D, V, LOSS = adding.D, 1, "logistic"
SOLVED_BELOW = 0.01
"""Solved: the share of wrong answers on held-out rows is below this."""
CHANCE_ACCURACY = 0.5
CHANCE_LOSS = math.log(2.0)

correct, cost = latch.correct, latch.cost


def draw(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B sequences of `length` steps: x (length, B, 2) and the answer, 0 or 1, at the last step (1, B, 1)."""
    x, pair = adding.marked(rng, length, B, lambda shape: rng.integers(0, 2, shape).astype(float))
    return x, abs(pair[0] - pair[1])[None, :, None]


def floor(known: int) -> float:
    """The least mean loss, nats, of who knows 0, 1 or 2 of the marked bits: ln 2, ln 2, 0."""
    arguments.within("known", known, 0, 2, "two bits are marked")
    return CHANCE_LOSS if known < 2 else 0.0


def bayes_loss(window: int, length: int) -> float:
    """The least mean loss, nats, for a predictor that sees the last `window` steps.

    Both bits lie inside with chance p_1 of `adding.chances`, else the answer is fair given all that is seen: ln 2 up
    to the window n, the second half, then straight to 0 at `length`.
    """
    first, _ = adding.chances(window, length)
    return (1 - first) * CHANCE_LOSS
