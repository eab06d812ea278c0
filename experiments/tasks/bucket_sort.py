"""Bucket sort: symbols of an alphabet of 5, then a delimiter, from which on they are asked for in order.

    x_t = one-hot of symbol t for t = 0 .. length - 1    x_length = the delimiter, feature 5    then length - 1 times 0
    target_k = the symbol of rank k, k = 0 .. length - 1, at step length + k: the lowest at the delimiter's own step

Symbols are uniform and independent, so what is to be kept is how often each came, and the step's place in the answer.

Source: Deletang et al. 2023 (Neural networks and the Chomsky hierarchy), where an own token stands at every answer's
step, here only at the first.
"""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
from scipy.stats import binom

NAME, LENGTH = "bucket_sort", "symbols"
D, V, LOSS = 6, 5, "softmax_cross_entropy"
SOLVED_BELOW = 0.01
"""Solved: the share of wrong symbols on held-out rows is below this."""


def draw(rng: np.random.Generator, length: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B rows of `length` symbols: x (2 length, B, 6) and the symbols in order at the last steps (length, B)."""
    if length < 1:
        raise ValueError(f"`length` must be at least 1, since some symbol must be asked for; got {length}.")
    symbol = rng.integers(0, V, (length, B))
    x = np.zeros((2 * length, B, D))
    x[:length] = np.eye(D)[symbol]
    x[length, :, V] = 1.0
    return x, np.sort(symbol, 0)


def cost(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The share of a row's symbols that the largest logit misses: (K, [E,] B, 5) gives ([E,] B)."""
    return (y.argmax(-1) != target).mean(0)


def correct(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Whether all of a row's symbols are right: (K, [E,] B, 5) gives ([E,] B)."""
    return (y.argmax(-1) == target).all(0)


def bayes_loss(known: int, length: int) -> float:
    """The least mean loss a step, nats, of who knows `known` of the symbols and the place k in the answer.

    Let c_s of the known symbols be at most s. The symbol of rank k is at most s iff more than k of all are, which has
    chance P(Binomial(length - known, (s + 1) / 5) > k - c_s). Its differences over s are the chances of the symbols;
    their entropy, averaged over k and over the multinomial counts of what is known, is the loss. 0 once all are known.
    """
    counts, weight = multinomial(known)
    below = counts.cumsum(1)[:, None, :-1]
    rank, s = np.arange(length)[:, None], np.arange(1, V)
    at_most = binom.sf(rank - below, length - known, s / V)
    p = np.diff(at_most, axis=-1, prepend=0.0, append=1.0).clip(0.0)
    nats = -(p * np.log(np.where(p > 0, p, 1.0))).sum(-1)
    return float(weight @ nats.mean(1))


def multinomial(n: int) -> tuple[np.ndarray, np.ndarray]:
    """All counts of n symbols, (M, 5), and the chance of each, (M,)."""
    bars = np.array(list(combinations(range(n + V - 1), V - 1)))
    counts = np.diff(bars, axis=1, prepend=-1, append=n + V - 1) - 1
    ways = [factorial(n) // np.prod([factorial(c) for c in row], dtype=object) for row in counts.tolist()]
    return counts, np.array([way / V**n for way in ways])


def CHANCE_LOSS(length: int) -> float:
    """The mean entropy of the symbol of rank k over k, nats: who has seen no symbol but knows the place in the answer.

    Who does not know the place either pays ln 5, since over all places the symbols are uniform.
    """
    return bayes_loss(0, length)
