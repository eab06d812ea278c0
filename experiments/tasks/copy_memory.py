"""Copy memory: K symbols come first; after T blanks and a delimiter they are asked for, in order.

    step           0 .. K-1     K .. K+T-1     K+T          K+T+1 .. 2K+T
    x, one-hot     symbols      blank          delimiter    blank
    asked for      -            -              -            the K symbols

The 10 features are 8 symbols, blank and delimiter; symbols are independent and uniform; K is `digits`, 5 by default.

Source: Arjovsky, Shah, Bengio 2016, after Hochreiter, Schmidhuber 1997, with K = 10. There T - 1 blanks stand before
the delimiter, so our length is its T less 1, and answers are asked for at all T + 2K steps, blanks before the last K.
Blanks are certain: its best memoryless loss is K ln 8 / (T + 2K) nats a step (`published_baseline`), ours is ln 8 at
each of K steps, and both recall 0 bits (`bits_recalled`).
"""

from __future__ import annotations

import math

import numpy as np

from experiments.tasks import arguments

NAME, LENGTH = "copy", "blanks"
SYMBOLS, DIGITS = 8, 5
BLANK, DELIMITER = SYMBOLS, SYMBOLS + 1
D, V, LOSS = SYMBOLS + 2, SYMBOLS, "softmax_cross_entropy"
SOLVED_BELOW = 0.01 * math.log(2.0)
"""Solved: the mean cross entropy on held-out rows is below .01 bits a symbol, given here in nats. A wrong answer has at
most probability 1/2 and costs at least one bit, so more than 99 % of symbols are then right."""
CHANCE_ACCURACY = SYMBOLS**-DIGITS
"""Of who guesses all of 5 symbols."""
CHANCE_LOSS = math.log(SYMBOLS)


def draw(rng: np.random.Generator, length: int, B: int, digits: int = DIGITS) -> tuple[np.ndarray, np.ndarray]:
    """B sequences of length + 2 digits + 1 steps: x one-hot (steps, B, 10) and the symbols 0 .. 7 (digits, B)."""
    arguments.at_least("length", length, 1, "blanks must follow the symbols")
    arguments.at_least("digits", digits, 1, "a symbol is asked for")
    target = rng.integers(0, SYMBOLS, (digits, B))
    entry = np.full((2 * digits + length + 1, B), BLANK)
    entry[:digits], entry[digits + length] = target, DELIMITER
    return np.eye(D)[entry], target


def correct(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether all K symbols of a row are right: (K, [E,] B, 8) and (K, [E,] B) give ([E,] B)."""
    return (y.argmax(-1) == target).all(0)


def cost(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The mean cross entropy of a row's K answers, nats: ([E,] B)."""
    z = y - y.max(-1, keepdims=True)
    chosen = np.take_along_axis(z, target[..., None], -1)[..., 0]
    return (np.log(np.exp(z).sum(-1)) - chosen).mean(0)


def floor(known: int, digits: int = DIGITS) -> float:
    """The least mean loss a symbol, nats, of who still has that many of the symbols: ln 8 for each of the others."""
    arguments.within("known", known, 0, digits, f"{digits} symbols are shown")
    return (1 - known / digits) * CHANCE_LOSS


def bayes_loss(window: int, length: int, digits: int = DIGITS) -> float:
    """The least mean loss a symbol, nats, for a predictor that at each asked step sees the last `window` steps.

    Symbol k is shown at step k and asked for at step K + T + 1 + k, so for every k the window must hold K + T + 2
    steps; the other symbols that a smaller one holds are independent of it. So ln 8 below, and 0 from there on.
    """
    arguments.window(window)
    arguments.at_least("length", length, 1, "blanks must follow the symbols")
    arguments.at_least("digits", digits, 1, "a symbol is asked for")
    return CHANCE_LOSS if window < digits + length + 2 else 0.0


def bits_recalled(loss: float, digits: int = DIGITS) -> float:
    """Bits of the symbols that a mean loss a symbol, nats, leaves recalled: K (3 - loss / ln 2), of 3 K."""
    return digits * (math.log2(SYMBOLS) - loss / math.log(2.0))


def published_baseline(T: int, digits: int = 10) -> float:
    """The memoryless loss of Arjovsky et al. 2016, nats a step over T + 2K steps: K ln 8 / (T + 2K).

    A loss L as published there is L (T + 2K) / K a symbol here, if its blanks cost nothing.
    """
    return digits * CHANCE_LOSS / (T + 2 * digits)
