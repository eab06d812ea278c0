"""Temporal order of three marks, 8 classes: `temporal_order` with marks = 3, where set-up and sources stand."""

from __future__ import annotations

import numpy as np

from experiments.tasks import temporal_order

NAME, LENGTH = "temporal_order_3", temporal_order.LENGTH
MARKS = 3
D, V, LOSS = temporal_order.D, 2**MARKS, temporal_order.LOSS
SOLVED_BELOW = temporal_order.SOLVED_BELOW
CHANCE_ACCURACY = 1 / V

correct, cost = temporal_order.correct, temporal_order.cost


def draw(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B sequences of `length` steps: x one-hot (length, B, 6) and the class, 0 .. 7, at the last step (1, B)."""
    return temporal_order.draw(rng, length, B, MARKS)


def floor(known: int) -> float:
    """The least mean loss, nats, of who knows 0 .. 3 marks: ln 8, ln 4, ln 2, 0."""
    return temporal_order.floor(known, MARKS)


CHANCE_LOSS = floor(0)


def bayes_loss(window: int, length: int) -> float:
    """The least mean loss, nats, for a predictor that sees the last `window` steps."""
    return temporal_order.bayes_loss(window, length, MARKS)
