"""What the tests of several tasks share: tolerances, losses a row, and the faults of generators that mark two steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import norm

from impl import draw

LEVEL = 1e-6
"""Chance that one statistic of a good generator leaves its tolerance; seeds are fixed besides."""


def tolerance(looks: int) -> float:
    """Standard deviations that the largest of `looks` normal statistics exceeds with chance LEVEL (Bonferroni)."""
    return norm.isf(LEVEL / (2 * looks))


def holds(losses: np.ndarray, expected: float) -> bool:
    """Whether the mean of some losses is what is expected, within five standard errors and rounding."""
    return abs(losses.mean() - expected) <= 5 * losses.std() / np.sqrt(losses.size) + 1e-14


def squares(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Squared errors."""
    return (y - target) ** 2


def cross_entropies(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """-ln softmax(y)[target] of logits (..., V) and classes (...)."""
    z = np.exp(y - y.max(-1, keepdims=True))
    return -np.log(np.take_along_axis(z, target[..., None], -1)[..., 0] / z.sum(-1))


def logistics(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    """-ln of the probability that a logit y gives to an answer 0 or 1."""
    return np.logaddexp(0, np.where(target > 0.5, -y, y))


def balanced(ones: np.ndarray, p: float | np.ndarray, n: int) -> bool:
    """Whether shares of n independent draws are chance p, all of them within their tolerance."""
    return bool((abs(ones - p) <= tolerance(np.size(ones)) * np.sqrt(p * (1 - p) / n)).all())


def uncorrelated(a: np.ndarray, b: np.ndarray, counts: np.ndarray | None = None) -> bool:
    """Whether a (T, B) and b (B,) or (T, B), both of mean 0 and mean square 1, have no correlation at any step.

    Rows that `counts` (T, B) leaves out are not looked at.
    """
    counts = np.ones(a.shape, bool) if counts is None else counts
    return bool((abs((a * b * counts).sum(-1)) <= tolerance(len(a)) * np.sqrt(counts.sum(-1))).all())


def refuses(call: Callable, message: str) -> None:
    """Asserts that a call raises ValueError with a message that begins so."""
    with pytest.raises(ValueError) as error:
        call()
    assert str(error.value).startswith(message)


def pair_faults(x: np.ndarray, target: np.ndarray, combine: Callable, mean: float, variance: float) -> set[str]:
    """What is wrong with markers and answer of a batch of `adding` or a task like it.

    Args:
        x (T, B, 2), target (1, B, 1): the batch.
        combine: the answer (B,) from the first and second marked value, each (B,).
        mean, variance: the answer's.
    """
    value, marker = x[..., 0], x[..., 1]
    (T, n), half, found = marker.shape, len(x) // 2, set()
    if not (np.isin(marker, (0, 1)).all() and (marker.sum(0) == 2).all()):
        found.add("markers")
    if not ((marker[:half].sum(0) == 1).all() and (marker[half:].sum(0) == 1).all()):
        found.add("halves")
    if not balanced(marker.mean(1), np.where(np.arange(T) < half, 1 / half, 1 / (T - half)), n):
        found.add("places")
    first, second = ((value * marker)[part].sum(0) for part in (slice(half), slice(half, T)))
    if not np.allclose(combine(first, second), target[0, :, 0], rtol=0, atol=1e-15):
        found.add("target")
    z, answer = (value - value.mean()) / value.std(), (target[0, :, 0] - mean) / np.sqrt(variance)
    return found if uncorrelated(z, answer, marker == 0) else found | {"leak"}


def pair_planted(combine: Callable) -> dict[str, tuple[Callable, ...]]:
    """Faults of marked pairs by name: each changes a batch x, target, which it may overwrite."""
    anywhere = lambda rng, n, T: rng.integers(0, T, n)  # noqa: E731
    early = lambda rng, n, T: rng.integers(0, T // 2, n)  # noqa: E731
    late = lambda rng, n, T: rng.integers(T // 2, T - 1, n)  # noqa: E731  (the last step is left out)
    return {
        "markers": (unmarked, marked_at(anywhere, anywhere, combine)),
        "halves": (marked_at(early, early, combine), marked_at(anywhere, anywhere, combine)),
        "places": (marked_at(early, late, combine),),
        "target": (shifted,),
        "leak": (answer_at_the_end,),
    }


def marked_at(first: Callable, second: Callable, combine: Callable) -> Callable:
    """A fault: markers stand where two functions of (rng, B, T) say, with replacement, and the target follows."""

    def fault(x, target):
        rng, rows = draw.generator("fault"), np.arange(x.shape[1])
        places = [place(rng, len(rows), len(x)) for place in (first, second)]
        x[..., 1] = 0
        for place in places:
            x[place, rows, 1] = 1
        return x, combine(*(x[place, rows, 0] for place in places))[None, :, None]

    return fault


def unmarked(x, target):
    """No marker at all in one row of a thousand."""
    x[:, ::1000, 1] = 0
    return x, target


def shifted(x, target):
    """The answer of the next row."""
    return x, np.roll(target, 1, 1)


def answer_at_the_end(x, target):
    """In every twentieth row the last value, where it is not marked, is the answer (halved where above 1)."""
    rows = np.arange(0, x.shape[1], 20)
    rows = rows[x[-1, rows, 1] == 0]
    x[-1, rows, 0] = target[0, rows, 0] / max(target.max(), 1)
    return x, target


def squeezed(degree: int) -> Callable:
    """A fault: values from [0, .99), and the answer, homogeneous of that degree, follows."""

    def fault(x, target):
        x[..., 0] *= 0.99
        return x, 0.99**degree * target

    return fault


def value_faults(x: np.ndarray) -> set[str]:
    """ "values" if those of a batch of `adding` or `multiplication` are not uniform in [0, 1)."""
    z = np.sqrt(12) * (x[..., 0] - 0.5)  # mean 0, mean square 1, mean fourth power 9/5
    looks = (abs(z.mean()), 1 / np.sqrt(z.size)), (abs((z * z).mean() - 1), np.sqrt(0.8 / z.size))
    wrong = abs(z).max() > np.sqrt(3) or any(size > tolerance(2) * sd for size, sd in looks)
    return {"values"} if wrong else set()
