"""Interpolated Kneser-Ney: what counts of n-grams predict. Order k sees the k characters before.

    P_k(w | u) = p_k(w | u) with c = how often uw stands in the training text
    p_j(w | u) below it, j < k, with c = before how many different characters uw stands there (continuation counts)

    p_j(w | u) = ( max(c(uw) - D, 0) + D t(u) p_{j-1}(w | u without its oldest) ) / c(u)

    c(u) = sum over w of c(uw)    t(u) = how many different w follow u    p_{-1} = 1 / V
    D = n_1 / (n_1 + 2 n_2), n_r = how many uw of this level have c(uw) = r;  D = 1/2 where n_1 = 0

A context that never occurred is skipped: p_j = p_{j-1}. All orders share the levels of continuation counts. As D > 0 at
every level, whatever the text, no probability is 0 and no loss infinite, also of characters that never occurred.

Source: Kneser, Ney 1995; interpolated, with one discount a level, as in Chen, Goodman 1999. Departure: where no n-gram
occurs once, as on periodic texts and at order 0 of long ones, their D is 0, and what never occurred has probability 0;
ours is then half a count, the middle of what D can be.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

HIGHEST = 6
WITHOUT_SINGLETONS = 0.5


class Level(NamedTuple):
    """Counts of one length: n-grams as sorted codes with c(uw); their contexts, sorted, with c(u) and t(u); D."""

    grams: np.ndarray
    counts: np.ndarray
    contexts: np.ndarray
    totals: np.ndarray
    types: np.ndarray
    discount: float


class Ladder(NamedTuple):
    """All orders over an alphabet of V: order k predicts by counts[k], interpolated with continuations[k - 1], ..."""

    V: int
    counts: list[Level]
    continuations: list[Level]


def fit(characters: np.ndarray, V: int, highest: int = HIGHEST) -> Ladder:
    """Counts a training text.

    90 million characters of English over 27 symbols take a minute and 3.5 GB; random ones, whose n-grams are the most
    that there can be, would take 12 GB (2.5 GB measured with 18 million).

    Args:
        characters: (n,), integers in 0..V-1.
        V: the size of the alphabet, also of what the training text lacks.
        highest: the highest order; fewer are fitted where an n-gram's code would not fit into 63 bits.
    """
    orders = range(min(highest, highest_order(V), len(characters) - 1) + 1)
    grams = [counted(codes(characters, order, V)) for order in orders]
    below = [counted(distinct % V**order) for order, (distinct, _) in enumerate(grams) if order]
    return Ladder(V, [level(V, *some) for some in grams], [level(V, *some) for some in below])


def highest_order(V: int) -> int:
    """The highest order whose n-grams have codes below 2^63."""
    return int(63 / math.log2(max(V, 2)) + 1e-12) - 1


def codes(characters: np.ndarray, order: int, V: int) -> np.ndarray:
    """Every n-gram of order + 1 characters as a number to the base V, its last character last: (n - order,)."""
    n = max(len(characters) - order, 0)
    code = np.zeros(n, np.int64)
    for j in range(order + 1):
        code = code * V + characters[j : j + n]
    return code


def counted(grams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different codes, sorted, and how often each occurs."""
    grams = np.sort(grams)
    starts = np.flatnonzero(np.r_[True, grams[1:] != grams[:-1]])
    return grams[starts], np.diff(np.r_[starts, grams.size])


def level(V: int, grams: np.ndarray, counts: np.ndarray) -> Level:
    """One level from its n-grams and what stands for their counts."""
    context = grams // V
    starts = np.flatnonzero(np.r_[True, context[1:] != context[:-1]])
    once, twice = ((counts == r).sum() for r in (1, 2))
    discount = float(once / (once + 2 * twice)) if once else WITHOUT_SINGLETONS
    types = np.diff(np.r_[starts, grams.size])
    return Level(grams, counts, context[starts], np.add.reduceat(counts, starts), types, discount)


def interpolated(V: int, some: Level, grams: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """p_j of `grams` (n,) by the level's counts and the lower level's probabilities (n,)."""
    total = found(some.contexts, some.totals, grams // V)
    types = found(some.contexts, some.types, grams // V)
    rest = np.maximum(found(some.grams, some.counts, grams) - some.discount, 0)
    return np.where(total > 0, (rest + some.discount * types * lower) / np.maximum(total, 1), lower)


def found(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The values at the sorted `keys` that equal `wanted`, 0 where there is none."""
    place = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    return np.where(keys[place] == wanted, values[place], 0)


def probabilities(ladder: Ladder, characters: np.ndarray) -> np.ndarray:
    """What each order gives to each character of a text, given those before it in the text.

    Args:
        characters: (n,), integers in 0..V-1.
    Returns:
        (orders, n), order 0 first. At the start, where order k has fewer than k characters before, it is the lower
        order that has them.
    """
    V, n = ladder.V, len(characters)
    p, lower = np.empty((len(ladder.counts), n)), np.full(n, 1 / V)
    for order, counts in enumerate(ladder.counts):
        grams = codes(characters, order, V)
        p[order, :order] = p[order - 1, :order] if order else 0
        p[order, order:] = interpolated(V, counts, grams, lower)
        if order < len(ladder.continuations):
            lower = interpolated(V, ladder.continuations[order], grams, lower)[1:]
    return p


def nats(ladder: Ladder, characters: np.ndarray, before: int = 0) -> np.ndarray:
    """Each order's mean loss on a text, nats a character, (orders,); the first `before` are context and not counted."""
    return -np.log(probabilities(ladder, characters)[:, before:]).mean(1)
