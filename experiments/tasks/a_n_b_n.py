"""The language a^n b^n: which symbols may come next is asked for at every step, so that a counter must be kept.

    x        S a a .. a b b .. b         one-hot of S (start and end), a, b; n a's and n b's, n uniform in shortest .. N
    target   after S: {a}      after an a: {a, b}      after a b: {b}, after the n-th: {S}

A row ends after its n-th b, where only a predictor that has counted tells {S} from {b}. The set of possible symbols is
asked for and not the symbol itself: it is certain, so the floor is 0 at every n, also at those beyond training, while
the floor of the symbol's cross entropy depends on how n was drawn.

Source: Gers, Schmidhuber 2001, there with a mean squared error and a start symbol of its own.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from experiments.tasks.timer import entropy

NAME, LENGTH = "a_n_b_n", "N"
D, V, LOSS = 3, 3, "logistic"
END, LETTER_A, LETTER_B = range(3)
SOLVED_BELOW = 0.01
"""Solved: the share of held-out rows with a wrong set at any step is below this."""


def draw(rng: np.random.Generator, length: int, B: int, shortest: int = 1) -> tuple[np.ndarray, ...]:
    """B words with n from `shortest` to `length`, in T = 2 length + 1 steps.

    Returns:
        x (T, B, 3), 0 after a row's last step; target (T, B, 3), 1 for each symbol that may come next; mask (T, B),
        true at a row's steps; lengths (B,), 2n + 1 each.
    """
    if not 1 <= shortest <= length:
        raise ValueError(f"`shortest` must lie in 1..{length}, the longest n, `length`; got {shortest}.")
    n, step = rng.integers(shortest, length + 1, B), np.arange(2 * length + 1)[:, None]
    symbol = np.where(step == 0, END, np.where(step <= n, LETTER_A, LETTER_B))
    mask = step <= 2 * n
    target = np.stack([step == 2 * n, step <= n, (step >= 1) & (step < 2 * n)], -1)
    return np.eye(D)[symbol] * mask[..., None], target * mask[..., None].astype(float), mask, 2 * n + 1


def correct(y: np.ndarray, target: np.ndarray, mask: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """Whether all sets of a row are right, by the logits' signs: (T, [E,] B, 3), mask (T, [E,] B) give ([E,] B)."""
    return (((y > 0) == (target > 0.5)).all(-1) | ~mask).all(0)


def cost(y: np.ndarray, target: np.ndarray, mask: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """1 where any set of the row is wrong, else 0: ([E,] B)."""
    return 1.0 - correct(y, target, mask)


def CHANCE_LOSS(length: int, shortest: int = 1) -> float:
    """The least mean loss a step, nats, three outputs together, of who knows the shares of the targets alone.

    With m the mean of n a row has 2m + 1 steps in the mean; END may follow 1 of them, a m + 1 and b 2m - 1.
    """
    m = (shortest + length) / 2
    return sum(entropy(share / (2 * m + 1)) for share in (1, m + 1, 2 * m - 1))


def bayes_loss(window: int, length: int, shortest: int = 1) -> float:
    """The least mean loss a step, nats, for a predictor that sees the symbols of the last `window` steps, not t.

    It can err after b's alone. Where the window reaches back to S it knows n; where it holds j b's and some a's it
    knows j and a bound of n; where it holds nothing but b's it knows nothing. If e of the C steps that look the same
    end a word, each of them costs the outputs END and b the entropy h(e / C).
    """
    if window == 0:
        return CHANCE_LOSS(length, shortest)
    seen, ends, words = Counter(), Counter(), range(shortest, length + 1)
    for n in words:
        for j in range(1, n + 1):
            look = ("S", n, j) if window > n + j else min(j, window)
            seen[look] += 1
            ends[look] += j == n
    return 2 * sum(count * entropy(ends[look] / count) for look, count in seen.items()) / sum(2 * n + 1 for n in words)
