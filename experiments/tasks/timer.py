"""The source timer(n): after a 1 come n zeros, then a fair coin each step until the next 1.

    x_t = one-hot of symbol t - 1, where symbol -1 is a 1        target_t = symbol t        t = 0 .. steps(n) - 1

The next symbol is asked for at every step. The age of a step is how many zeros stand since the last 1: below n a 0
follows for certain, from n on a 1 follows with chance 1/2. Every sequence starts right after a 1, so its state is known
from step 0, and who counts to n predicts as well as anybody. From one 1 to the next there are n zeros and in the mean 2
coins, so the entropy rate is 2/(n + 2) bits a symbol; the Markov order is n.

Source: ours; a delayed renewal process, the plainest whose Markov order is n exactly.
"""

from __future__ import annotations

import math

import numpy as np

NAME, LENGTH = "timer", "n"
D, V, LOSS = 2, 2, "softmax_cross_entropy"
SOLVED_BELOW = 0.01
"""Solved: the mean excess over the Bayes-optimal predictor on held-out rows is below this, in bits a symbol."""


def steps(n: int) -> int:
    """How many steps a sequence of timer(n) has: 50, or from n = 30 on 2.5 n and at least 100."""
    return 50 if n < 30 else max(100, math.ceil(2.5 * n))


def draw(rng: np.random.Generator, n: int, B: int) -> tuple[np.ndarray, np.ndarray]:
    """B sequences of steps(n) steps: x (steps, B, 2), one-hot of the symbol before, and the symbols (steps, B)."""
    target = symbols(rng, n, steps(n), B)
    return np.eye(V)[before(target)], target


def symbols(rng: np.random.Generator, n: int, T: int, B: int) -> np.ndarray:
    """T symbols of B sequences that start right after a 1: (T, B)."""
    _check(n)
    ends = np.cumsum(n + rng.geometric(0.5, (T // (n + 1) + 1, B)), 0) - 1
    symbol = np.zeros((max(T, ends.max() + 1), B), np.int64)
    symbol[ends, np.arange(B)] = 1
    return symbol[:T]


def before(target: np.ndarray) -> np.ndarray:
    """The symbol before each symbol (T, ...), a 1 before the first."""
    return np.concatenate([np.ones_like(target[:1]), target[:-1]])


def ages(target: np.ndarray) -> np.ndarray:
    """How many zeros stand between each symbol (T, ...) and the last 1 before it."""
    step = np.arange(len(target)).reshape(-1, *[1] * (target.ndim - 1))
    return step - np.maximum.accumulate(np.where(before(target) == 1, step, 0))


def bayes(target: np.ndarray, n: int) -> np.ndarray:
    """The chance of a 1 at each step, given all symbols before it: 0 or 1/2, in the shape of target (T, [E,] B)."""
    _check(n)
    return 0.5 * (ages(target) >= n)


def cost(y: np.ndarray, target: np.ndarray, *, length: int) -> np.ndarray:
    """The mean over steps of KL(Bayes || model), bits a symbol: logits (T, [E,] B, 2) and `length` n give ([E,] B).

    Its mean over rows is the excess of the mean loss over the Bayes-optimal predictor's, without the coins' noise.
    """
    p = bayes(target, length)
    one, zero = -np.logaddexp(0, y[..., 0] - y[..., 1]), -np.logaddexp(0, y[..., 1] - y[..., 0])
    coin = -math.log(2) - 0.5 * (one + zero)
    return np.where(p > 0, coin, -zero).mean(0) / math.log(2)


def rate(n: int) -> float:
    """The entropy rate, bits a symbol: two coins in a mean period of n + 2 steps."""
    return 2 / (n + 2)


def rung(order: int, n: int) -> float:
    """How far the best predictor who sees `order` symbols is above the rate in the long run, bits a symbol.

    It errs only where all it sees is 0: m = n - order + 2 steps of a mean period, one of which brings the 1.
    """
    m = n - order + 2
    return (m * entropy(1 / m) / math.log(2) - 2) / (n + 2) if order < n else 0.0


def bayes_loss(window: int, n: int) -> float:
    """The least mean loss, nats a symbol, over the sequences of `draw` for who sees the last `window` steps of x.

    With a_t(j) the chance of age j at step t, the window is all 0 in N = sum_t sum_{j >= window} a_t(j) steps, and

        loss = N h(M / N) / steps,     M = sum_t a_t(>= n) / 2 of them bring a 1,

    where a window of n and more counts as n. The predictor is not told t; x_0 shows the 1 that starts the sequence.
    """
    a = age_chances(n, steps(n)).sum(0)
    N, M = a[min(window, n) :].sum(), a[n] / 2
    return float(N * entropy(M / N) / steps(n))


def excess(window: int, n: int) -> float:
    """What who sees the last `window` steps of x pays above who counts, over the sequences of `draw`: bits a symbol.

    It lies below `rung`, which is that of the long run: every sequence of `draw` starts right after a 1.
    """
    return (bayes_loss(window, n) - bayes_loss(n, n)) / math.log(2)


def age_chances(n: int, T: int) -> np.ndarray:
    """The chances of ages 0 .. n - 1 and of n and above, at each of the first T steps after a 1: (T, n + 1)."""
    _check(n)
    a = np.zeros((T, n + 1))
    a[0, 0] = 1
    for t in range(1, T):
        a[t, 1:] = a[t - 1, :-1]
        a[t, n] += a[t - 1, n] / 2
        a[t, 0] = a[t - 1, n] / 2
    return a


def CHANCE_LOSS(n: int) -> float:
    """The least mean loss, nats a symbol, of who knows the share of 1s alone."""
    return bayes_loss(0, n)


def entropy(p: float) -> float:
    """That of a coin with chance p, in nats."""
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def _check(n: int) -> None:
    """Refuses a source without memory."""
    if n < 1:
        raise ValueError(f"`n` must be at least 1, since timer(0) is a fair coin without memory; got {n}.")
