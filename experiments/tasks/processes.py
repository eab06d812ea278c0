"""Sources of known entropy rate, from computational mechanics, and Markov chains with fixed chances.

    golden mean  no two 0s in a row, else a fair coin                        2/3 bit a symbol, order 1
    Even         1s stand in blocks of even length, else a fair coin         2/3 bit, order infinite
    RRXOR        two fair bits, then whether they differ, and again          2/3 bit, order infinite
    Mess3        3 states, each shows mostly its own symbol, and stays       about 1.5709 bit, order infinite,
                 mostly; not unifilar: its beliefs never end                 x = .15, a = .6
    markov_1     4 symbols by the last                                       order 1
    markov_2     3 symbols by the last two                                   order 2
    markov_4     2 symbols by the last four                                  order 4

Source: Crutchfield, Feldman 2003 (golden mean, Even, RRXOR); Marzen, Crutchfield 2017 (Mess3). The chains' chances are
ours.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from experiments.tasks.hidden_markov import Source, markov, stationary_source

MARKOV_1 = (
    (0.70, 0.10, 0.10, 0.10),
    (0.10, 0.10, 0.70, 0.10),
    (0.05, 0.05, 0.20, 0.70),
    (0.50, 0.30, 0.10, 0.10),
)
"""The chance of each of 4 symbols, a row a last symbol."""

MARKOV_2 = (
    *((0.80, 0.15, 0.05), (0.10, 0.10, 0.80), (0.20, 0.70, 0.10)),
    *((0.10, 0.80, 0.10), (0.60, 0.10, 0.30), (0.05, 0.15, 0.80)),
    *((0.30, 0.10, 0.60), (0.15, 0.75, 0.10), (0.70, 0.20, 0.10)),
)
"""The chance of each of 3 symbols, a row a pair of symbols, in the order 00, 01, .. 22."""

MARKOV_4 = (0.10, 0.80, 0.30, 0.90, 0.70, 0.20, 0.85, 0.40, 0.90, 0.30, 0.60, 0.05, 0.20, 0.75, 0.10, 0.60)
"""The chance of a 1 after each four symbols, in the order 0000, 0001, .. 1111."""


@cache
def golden_mean() -> Source:
    """State 0: a coin, and a 0 leads to state 1, from which a 1 follows for certain."""
    return by_edges("golden_mean", 2, [(0, 1, 0, 0.5), (0, 0, 1, 0.5), (1, 1, 0, 1.0)])


@cache
def even() -> Source:
    """State 0: a coin, and a 1 leads to state 1, from which the second 1 follows for certain."""
    return by_edges("even", 2, [(0, 0, 0, 0.5), (0, 1, 1, 0.5), (1, 1, 0, 1.0)])


@cache
def rrxor() -> Source:
    """State 0: the first bit; 1 and 2: the second after a 0 and a 1; 3 and 4: their XOR is 0 and 1."""
    first = [(0, 0, 1, 0.5), (0, 1, 2, 0.5)]
    second = [(1, 0, 3, 0.5), (1, 1, 4, 0.5), (2, 0, 4, 0.5), (2, 1, 3, 0.5)]
    return by_edges("rrxor", 2, [*first, *second, (3, 0, 0, 1.0), (4, 1, 0, 1.0)])


@cache
def mess3(x: float = 0.15, a: float = 0.6) -> Source:
    """The state moves to each other one with chance x; the new state's symbol is shown with chance a, others equally.

    T[s, i, j] = P(j | i) P(s | j). Source: Marzen, Crutchfield 2017, figure 2 in these letters.
    """
    stay = np.where(np.eye(3) > 0, 1 - 2 * x, x)
    show = np.where(np.eye(3) > 0, a, (1 - a) / 2)
    return stationary_source("mess3", np.einsum("ij,js->sij", stay, show))


@cache
def markov_1() -> Source:
    """The chain of order 1."""
    return markov("markov_1", np.array(MARKOV_1))


@cache
def markov_2() -> Source:
    """The chain of order 2."""
    return markov("markov_2", np.array(MARKOV_2))


@cache
def markov_4() -> Source:
    """The chain of order 4."""
    ones = np.array(MARKOV_4)
    return markov("markov_4", np.stack([1 - ones, ones], -1))


PROCESSES = {make.__name__: make for make in (golden_mean, even, rrxor, mess3, markov_1, markov_2, markov_4)}
"""Each by its name."""


def by_edges(name: str, V: int, edges: list[tuple[int, int, int, float]]) -> Source:
    """A source from its edges: state, symbol, next state, chance."""
    S = 1 + max(state for state, *_ in edges)
    moves = np.zeros((V, S, S))
    for i, s, j, chance in edges:
        moves[s, i, j] = chance
    return stationary_source(name, moves)
