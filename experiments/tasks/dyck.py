"""Brackets of several kinds, nested to a bounded depth: the Dyck language as a source.

    symbols 0 .. kinds - 1 open a bracket, kinds + k closes one of kind k

At depth 0 a bracket is opened for certain, at the greatest depth d one is closed, else a fair coin says which; the kind
of one that is opened is uniform, that of one that is closed is the last one's that is open. A state is the brackets
that are open. The depth walks between two walls, where it stands half as often as at any depth between, so

    shares 1/(2d), 1/d, .., 1/d, 1/(2d)        rate = (1 - 1/d) + log2(kinds) / 2

bits a symbol: a coin between the walls, and a kind at every bracket that is opened, which is every other symbol.

Who sees k symbols errs about the walk, whose depth it may not know, and about the kind of a bracket that is closed and
was opened before: that is where the walk comes to a new least depth. Kinds say nothing about the walk, so

    h_k = h_k of the walk + log2(kinds) (1/2 + P(the step after k is the lowest))

Source: Hewitt, Hahn, Ganguli, Liang, Manning 2020 for the language of k kinds and depth m; the chances are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from experiments.tasks import arguments
from experiments.tasks.hidden_markov import Source, stationary_source


@dataclass(frozen=True, eq=False)
class Brackets(Source):
    """The source, whose first rungs are those of its closed form: its own beliefs are too many for them."""

    depth: int
    kinds: int

    def first(self, steps: int) -> np.ndarray:
        """h_0 .. h_{steps - 1}, bits a symbol: (steps,)."""
        return rungs(self.depth, steps - 1, self.kinds)


@cache
def source(depth: int, kinds: int = 2) -> Brackets:
    """State 0: nothing is open; state i with a bracket of kind k opened besides is state kinds i + 1 + k."""
    _check(depth, kinds)
    levels = np.repeat(np.arange(depth + 1), [kinds**level for level in range(depth + 1)])
    moves = np.zeros((2 * kinds, len(levels), len(levels)))
    for i, level in enumerate(levels):
        opens = 1.0 if level == 0 else 0.0 if level == depth else 0.5
        if opens:
            kind = np.arange(kinds)
            moves[kind, i, kinds * i + 1 + kind] = opens / kinds
        if opens < 1:
            below, kind = divmod(i - 1, kinds)
            moves[kinds + kind, i, below] = 1 - opens
    plain = stationary_source("dyck", moves)
    return Brackets(plain.NAME, plain.moves, plain.start, depth, kinds)


def rate(depth: int, kinds: int = 2) -> float:
    """The entropy rate, bits a symbol."""
    _check(depth, kinds)
    return 1 - 1 / depth + math.log2(kinds) / 2


def rungs(depth: int, order: int, kinds: int = 2) -> np.ndarray:
    """h_0 .. h_order, bits a symbol: (order + 1,)."""
    _check(depth, kinds)
    walk = source(depth, 1)
    return walk.rungs(order) + math.log2(kinds) * (0.5 + lowest(walk, order))


def lowest(walk: Source, order: int) -> np.ndarray:
    """The chance that the step after k = 0 .. order others leads to a depth below all before: (order + 1,)."""
    up, down = (move.sum(1) for move in walk.moves)
    at = np.zeros((len(up), len(up)))
    at[:, 0] = walk.stationary
    chances = np.empty(order + 1)
    for k in range(order + 1):
        chances[k] = at[:, 0] @ down
        rises, falls = at * up[:, None], at * down[:, None]
        at = np.zeros_like(at)
        at[1:, 1:] += rises[:-1, :-1]
        at[:-1, :-1] += falls[1:, 1:]
        at[:-1, 0] += falls[1:, 0]
    return chances


def _check(depth: int, kinds: int) -> None:
    """Refuses a language without brackets."""
    arguments.at_least("depth", depth, 1, "a bracket must be opened")
    arguments.at_least("kinds", kinds, 1, "brackets have a kind")
