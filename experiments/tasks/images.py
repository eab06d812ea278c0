"""Pictures read one pixel a step: finite sets with a fixed split, and what is common to tasks of that kind.

The answer is one of ten classes, asked for at the last step. Rows are drawn with replacement from one part; nothing is
fresh, so a model can learn the training part by heart, and what counts is the test part.

Parts keep their pixels as the source has them. `batch` standardises them: the mean and deviation are two numbers, those
of all pixels of the training part.

The error of who sees the last k pixels has no closed form. The rungs are a known method on the same split (`rung`:
logistic regression on all pixels at once, which has no memory to lose) and the shares of the classes (`chance`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.tasks import answers, arguments

MODE = "many_to_one"
D, V, LOSS = 1, 10, "softmax_cross_entropy"
CHANCE_LOSS = math.log(10.0)
"""Nats, of who gives each class a tenth; `chance` is that of who knows the classes' shares."""
PARTS = ("training", "validation", "test")
answered, correct, cost = answers.exact, answers.correct, answers.cost


class Part(NamedTuple):
    """Rows of one part: pixels (n, T) as the source has them, labels (n,) integers 0 to 9."""

    pixels: np.ndarray
    labels: np.ndarray


class Images(NamedTuple):
    """A set in three parts, with the mean and the deviation of all pixels of the training part."""

    training: Part
    validation: Part
    test: Part
    mean: float
    deviation: float


class Rung(NamedTuple):
    """What a predictor that is no network pays: its share of wrong answers, and its mean loss in nats."""

    error: float
    loss: float


def stratified(rng: np.random.Generator, labels: np.ndarray, shares: Sequence[float]) -> list[np.ndarray]:
    """Disjoint row numbers, one array a share: in each, every class has that share of its rows, to one row.

    Args:
        labels: (n,) classes.
        shares: positive, with the sum 1; so every row stands in one array.
    """
    if min(shares) <= 0 or not math.isclose(math.fsum(shares), 1.0):
        raise ValueError(f"`shares` must be positive with the sum 1, since each row goes to one part; got {shares}.")
    ends, taken = np.cumsum(shares)[:-1], []
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        taken.append(np.split(rows, np.round(ends * len(rows)).astype(int)))
    return [np.sort(np.concatenate(parts)) for parts in zip(*taken, strict=True)]


def parted(pixels: np.ndarray, labels: np.ndarray, rows: Sequence[np.ndarray]) -> Images:
    """A set from pixels (n, T), labels (n,) and the row numbers of training, validation and test."""
    return of(*(Part(pixels[some], labels[some]) for some in rows))


def of(training: Part, validation: Part, test: Part) -> Images:
    """A set from its parts: measures the training part, and makes all arrays read-only."""
    for part in (training, validation, test):
        part.pixels.flags.writeable = part.labels.flags.writeable = False
    mean = float(training.pixels.mean(dtype=np.float64))
    squares = sum(float(((block - mean) ** 2).sum()) for block in np.array_split(training.pixels, 32))
    return Images(training, validation, test, mean, math.sqrt(squares / training.pixels.size))


def draw(
    data: Images, rng: np.random.Generator, length: int, B: int, part: str = "training"
) -> tuple[np.ndarray, np.ndarray]:
    """B rows of a part, with replacement: x (T, B, 1) standardised, and the class at the last step (1, B).

    Raises:
        ValueError: `length` is not the number of pixels, `B` is below 1, or there is no such part.
    """
    T = data.training.pixels.shape[1]
    arguments.exactly("length", length, T, f"a row has {T} pixels and is read one pixel a step")
    arguments.batch(B)
    return batch(data, part, rng.integers(0, len(_part(data, part).labels), B))


def batch(data: Images, part: str, rows: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a part that are asked for, all by default: x (T, B, 1) standardised float64, target (1, B) int64."""
    some = _part(data, part)
    x = (some.pixels[rows].astype(np.float64) - data.mean) / data.deviation
    return np.ascontiguousarray(x.T)[:, :, None], some.labels[rows].astype(np.int64)[None]


def constant(data: Images) -> np.ndarray:
    """The commonest class of the training part: (1,)."""
    return np.bincount(data.training.labels, minlength=V).argmax(keepdims=True)


def chance(data: Images, part: str = "test") -> Rung:
    """Of who sees no pixel but knows the classes' shares in the training part: says the commonest, or the shares."""
    shares = np.bincount(data.training.labels, minlength=V) / len(data.training.labels)
    labels = _part(data, part).labels
    with np.errstate(divide="ignore"):  # a class that training lacks costs infinitely much
        return Rung(float((labels != shares.argmax()).mean()), float(-np.log(shares)[labels].mean()))


def rung(data: Images, part: str = "test") -> Rung:
    """Of scikit-learn's multinomial logistic regression (C = 1) on all pixels at once, fitted to the training part.

    Takes a tenth of a core-second for the two small sets, minutes for MNIST.
    """
    from sklearn.linear_model import LogisticRegression

    x, target = batch(data, "training")
    method = LogisticRegression(max_iter=2000).fit(x[..., 0].T, target[0])
    x, target = batch(data, part)
    says = method.predict_log_proba(x[..., 0].T)
    columns = np.searchsorted(method.classes_, target[0])
    loss = -says[np.arange(len(columns)), columns].mean()
    return Rung(float((method.classes_[says.argmax(1)] != target[0]).mean()), float(loss))


def _part(data: Images, part: str) -> Part:
    arguments.one_of("part", part, PARTS)
    return getattr(data, part)
