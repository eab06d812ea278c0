"""Sources with hidden states, each with its exact predictor (the forward filter), entropy rate and rungs.

    T[s, i, j] = P(symbol s, then state j | state i)            the sum over s is the chain of the states
    b_0 = start,   b_{t+1} = b_t T[s_t] / (b_t T[s_t] 1)        what is known of the state from all symbols before
    P(symbol s at t | symbols before) = b_t T[s] 1              the Bayes-optimal predictor
    x_t = one-hot of symbol t - 1, zeros at t = 0               target_t = symbol t

A sequence starts from the stationary distribution unless told otherwise: neither who learns nor the predictor knows
the state, and both find it out from the symbols.

A source is unifilar if state and symbol determine the next state; the entropy rate is then the mean over states of
the entropy of the next symbol. Of other sources the rate lies between two bounds, which meet as k grows:

    H(X_k | X_0 .. X_{k-1}, state at 0)  <=  rate  <=  H(X_k | X_0 .. X_{k-1}) = h_k

h_k, the rung of order k, is what the best predictor who sees k symbols pays. The expectations over strings are exact:
strings that leave the same belief are one.

Source: Crutchfield, Young 1989 (unifilar presentations); Cover, Thomas, Elements of Information Theory (2006), section
4.5 (the two bounds).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.special import log_softmax, xlogy

from experiments.tasks import arguments

ORDER = 9
"""Of the two bounds by which the rate of a source that is not unifilar is computed."""

WITHIN = 1e-6
"""Bits by which the two bounds may differ there."""

ALIKE = 12
"""Decimals to which two beliefs are one."""


@dataclass(frozen=True, eq=False)
class Source:
    """A source.

    Attributes:
        NAME: what it is called.
        moves: (V, S, S), the chances T.
        start: (S,), of the first state.
    """

    NAME: str
    moves: np.ndarray
    start: np.ndarray

    def __post_init__(self) -> None:
        """Refuses what is no source."""
        for name, rows in (("moves", self.moves.sum(0)), ("start", self.start)):
            if (getattr(self, name) < 0).any() or not np.allclose(rows.sum(-1), 1, rtol=0, atol=1e-12):
                raise ValueError(
                    f"`{name}` of {self.NAME} must be chances that sum to 1 from every state, since they are those of "
                    f"a source; got {getattr(self, name)}."
                )

    @property
    def V(self) -> int:
        """How many symbols there are."""
        return len(self.moves)

    # Data

    def draw(self, rng: np.random.Generator, steps: int, B: int) -> tuple[np.ndarray, np.ndarray]:
        """B sequences: x (steps, B, V), one-hot of the symbol before, and the symbols (steps, B)."""
        target = self.symbols(rng, steps, B)
        return shown(target, self.V), target

    def symbols(self, rng: np.random.Generator, T: int, B: int) -> np.ndarray:
        """T symbols of B sequences: (T, B)."""
        arguments.at_least("steps", T, 1, "a sequence has symbols")
        edges, emitted, following = self._outcomes
        state = np.searchsorted(np.cumsum(self.start)[:-1], rng.random(B), side="right")
        target = np.empty((T, B), np.int64)
        for t, u in enumerate(rng.random((T, B, 1))):
            pick = (u >= edges[state]).sum(-1)
            target[t], state = emitted[state, pick], following[state, pick]
        return target

    @cached_property
    def _outcomes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What may follow each state, at most W: upper edges of the chances (S, W - 1), symbols and states (S, W)."""
        V, S, _ = self.moves.shape
        joint = self.moves.transpose(1, 0, 2).reshape(S, V * S)
        W = (joint > 0).sum(1).max()
        order = np.argsort(joint == 0, 1, kind="stable")[:, :W]
        chances = np.take_along_axis(joint, order, 1)
        edges = np.where(chances[:, 1:] > 0, np.cumsum(chances, 1)[:, :-1], np.inf)
        return edges, order // S, order % S

    # The predictor

    def bayes(self, target: np.ndarray) -> np.ndarray:
        """The chance of each symbol at each step, given all symbols before: (T, ..., V) for symbols (T, ...).

        Raises:
            ValueError: the source never emits such a sequence.
        """
        T, *rows = target.shape
        symbols, chances = target.reshape(T, -1), np.empty((T, math.prod(rows), self.V))
        belief = np.tile(self.start, (symbols.shape[1], 1))
        for t, symbol in enumerate(symbols):
            chances[t] = belief @ self._emits
            belief = self.after(belief, symbol)
        return chances.reshape(*target.shape, self.V)

    def after(self, belief: np.ndarray, symbol: np.ndarray) -> np.ndarray:
        """What is known of the state after one symbol more: (N, S) for beliefs (N, S) and symbols (N,)."""
        joint = np.empty_like(belief)
        for s, move in enumerate(self._sparse):
            joint[symbol == s] = belief[symbol == s] @ move
        chance = joint.sum(-1, keepdims=True)
        if not (chance > 0).all():
            raise ValueError(f"`target` must be a sequence that {self.NAME} can emit; got one that it never does.")
        return joint / chance

    @cached_property
    def _emits(self) -> np.ndarray:
        """The chance of each symbol by state: (S, V)."""
        return self.moves.sum(-1).T

    @cached_property
    def _sparse(self) -> list[csr_array]:
        """The moves, of which most are 0 where there are many states."""
        return [csr_array(move) for move in self.moves]

    # Closed forms

    @cached_property
    def stationary(self) -> np.ndarray:
        """The share of time that is spent in each state: (S,)."""
        return stationary(self.moves.sum(0))

    @property
    def unifilar(self) -> bool:
        """Whether state and symbol determine the next state."""
        return bool(((self.moves > 0).sum(-1) <= 1).all())

    @cached_property
    def rate(self) -> float:
        """The entropy rate, bits a symbol: exact, or the middle of two bounds that are closer than WITHIN.

        Raises:
            ValueError: the two bounds are further apart.
        """
        if self.unifilar:
            return float(self.stationary @ bits(self._emits))
        low, high = self.bounds(ORDER)
        if high - low > WITHIN:
            raise ValueError(f"`moves` of {self.NAME} must forget their start sooner; got {low} .. {high} bits.")
        return (low + high) / 2

    def bounds(self, order: int) -> tuple[float, float]:
        """What the rate lies between: the rung of an order with the first state known, and without."""
        known = list(self._levels(np.eye(len(self.start)), self.stationary, order))
        return known[-1], float(self.rungs(order)[-1])

    def rungs(self, order: int) -> np.ndarray:
        """h_0 .. h_order, bits a symbol, of the source in its stationary state."""
        return np.array(list(self._levels(self.stationary[None], np.ones(1), order)))

    def _levels(self, belief: np.ndarray, weight: np.ndarray, order: int) -> Iterator[float]:
        """The mean entropy of the next symbol after 0 .. order symbols, from beliefs (N, S) with their chances (N,)."""
        arguments.at_least("order", order, 0, "it counts the symbols that are seen")
        for k in range(order + 1):
            chances = belief @ self._emits
            yield float(weight @ bits(chances))
            if k < order:
                parent, symbol = np.nonzero(chances)
                belief = self.after(belief[parent], symbol)
                belief, weight = merged(belief, weight[parent] * chances[parent, symbol])

    def bayes_loss(self, window: int, steps: int) -> float:
        """The least mean loss, nats a symbol, over sequences of so many steps for who sees the last `window` symbols.

        The step at t sees min(t, window) symbols, if the start is stationary; who sees 0 knows the shares alone.
        """
        arguments.window(window)
        h = self.rungs(min(window, steps - 1))
        return float(h.sum() + (steps - len(h)) * h[-1]) / steps * math.log(2)

    def first(self, steps: int) -> np.ndarray:
        """h_0 .. h_{steps - 1}, bits a symbol; one within WITHIN / 10 of the rate stands for all after it: (steps,)."""
        h: list[float] = []
        for rung in self._levels(self.stationary[None], np.ones(1), steps - 1):
            h.append(rung)
            if rung - self.rate < WITHIN / 10:
                break
        return np.array(h + [h[-1]] * (steps - len(h)))

    def excesses(self, order: int, steps: int) -> np.ndarray:
        """What who sees the last 0 .. order symbols pays at least above the predictor of all, over so many steps.

        In bits a symbol, (order + 1,); as for `bayes_loss`, the start is stationary.
        """
        first = self.first(steps)
        return np.array([excess(first, k) for k in range(order + 1)])

    # How good a model is

    def cost(self, y: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The mean over steps of KL(Bayes || model), bits a symbol: logits (T, [E,] B, V) give ([E,] B)."""
        return divergence(y, self.bayes(target))


def excess(first: np.ndarray, window: int) -> float:
    """What who sees the last `window` symbols pays at least above the predictor of all, over the same sequences.

    Args:
        first: the rungs h_0 .. h_{T - 1} of sequences of T steps, bits a symbol.
        window: how many symbols are seen; at step t both have no more than t, so that the excess of short sequences
            lies below h_window minus the rate.
    """
    arguments.window(window)
    return float((first[np.minimum(np.arange(len(first)), window)] - first).mean())


def stationary_source(name: str, moves: np.ndarray) -> Source:
    """A source that starts from its stationary distribution."""
    source = Source(name, moves, np.full(len(moves[0]), 1 / len(moves[0])))
    return replace(source, start=source.stationary)


def markov(name: str, table: np.ndarray) -> Source:
    """A chain of order m over V symbols: its state is the last m symbols, the oldest counting most.

    Args:
        table: (V^m, V), the chances of the next symbol by state.
    """
    (S, V), state = table.shape, np.arange(len(table))
    moves = np.zeros((V, S, S))
    for s in range(V):
        moves[s, state, (V * state + s) % S] = table[:, s]
    return stationary_source(name, moves)


def stationary(P: np.ndarray) -> np.ndarray:
    """The one distribution (S,) that a chain (S, S) keeps.

    Raises:
        ValueError: it keeps several.
    """
    S = len(P)
    system = np.vstack([P.T - np.eye(S), np.ones(S)])
    found, _, rank, _ = np.linalg.lstsq(system, np.r_[np.zeros(S), 1.0])
    if rank < S:
        raise ValueError(f"`P` must keep one distribution alone, since a source has one rate; got {P}.")
    found = np.maximum(found, 0)
    return found / found.sum()


def merged(belief: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Beliefs (N, S) with equal ones as one, whose chance is the sum of theirs."""
    keys = np.round(belief, ALIKE) + 0.0
    _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return belief[first], np.bincount(which.ravel(), weight)


def bits(chances: np.ndarray) -> np.ndarray:
    """The entropy of chances (..., V), bits: (...)."""
    return -xlogy(chances, chances).sum(-1) / math.log(2)


def shown(target: np.ndarray, V: int) -> np.ndarray:
    """The one-hot symbol before each symbol (T, ...), zeros before the first: (T, ..., V)."""
    x = np.zeros((*target.shape, V))
    x[1:] = np.eye(V)[target[:-1]]
    return x


def divergence(y: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """The mean over steps of KL(Bayes || model), bits a symbol.

    Its mean over rows is the excess of the mean loss over the Bayes-optimal predictor's, without the symbols' noise.

    Args:
        y: logits (T, [E,] B, V).
        chances: the predictor's, in the same shape.
    Returns:
        ([E,] B)
    """
    given = xlogy(chances, chances) - np.where(chances > 0, chances * log_softmax(y.astype(float), -1), 0.0)
    return given.sum(-1).mean(0) / math.log(2)


def losses(y: np.ndarray, target: np.ndarray, chances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean loss over steps of a model and of the predictor on the same symbols, bits a symbol, each ([E,] B).

    Args:
        y, chances: as for `divergence`.
        target: the symbols (T, [E,] B).
    """
    with np.errstate(divide="ignore"):
        logs = log_softmax(y.astype(float), -1), np.log(chances)
    model, best = (-np.take_along_axis(log, target[..., None], -1)[..., 0].mean(0) / math.log(2) for log in logs)
    return model, best
