"""How much a text is like the training part: words that stand in it, its loss under n-grams, what never stands there.

A text comes as windows of 8 symbols, each with its last symbol to be judged and the 7 before it as context: so one that
was drawn after a true past, and one that follows what was drawn before, are judged alike.

A word is a run of letters, as long as it goes, as it is written. One that begins or ends a lane may be cut and is left
out.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from experiments.tasks import ngram, text

WINDOW = 8
"""Symbols of a window; those that never stand in the training part are counted."""
HIGHEST = 5
"""Of the orders of n-grams."""
WORD = re.compile(r"[^\W\d_]+")


class Training(NamedTuple):
    """The training part: its alphabet, its n-gram ladder, its string, and its different words."""

    alphabet: np.ndarray
    ladder: ngram.Ladder
    string: str
    words: frozenset[str]


def training_of(source: text.Text) -> Training:
    """A text's training part, counted."""
    part = text.parts(source).training
    ladder = ngram.fit(text.characters(source, part), len(source.alphabet), HIGHEST)
    string = text.string(source, part)
    return Training(np.array(list(source.alphabet)), ladder, string, frozenset(WORD.findall(string)))


def windows(context: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The windows of symbols that follow one another, (E, B * n, 8).

    Args:
        context: (P, E, B) integers, P >= 7: what stands before.
        own: (n, E, B): the symbols to judge.
    """
    whole = np.concatenate([context[len(context) - WINDOW + 1 :], own])
    return by_model(np.lib.stride_tricks.sliding_window_view(whole, WINDOW, 0))


def forced_windows(context: np.ndarray, true: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The windows of symbols that were drawn one by one, each after the true ones before it, (E, B * n, 8).

    Args:
        context: (P, E, B) integers, P >= 7: what stands before.
        true: (n, E, B): the text. drawn: (n, E, B): what was drawn in place of each of its symbols.
    """
    whole = np.concatenate([context[len(context) - WINDOW + 1 :], true])
    before = np.lib.stride_tricks.sliding_window_view(whole, WINDOW, 0)[..., :-1]
    return by_model(np.concatenate([before, drawn[..., None]], -1))


def by_model(some: np.ndarray) -> np.ndarray:
    """(n, E, B, 8) as (E, B * n, 8), lane after lane."""
    n, E, B, _ = some.shape
    return some.transpose(1, 2, 0, 3).reshape(E, B * n, WINDOW)


def nats(training: Training, some: np.ndarray) -> np.ndarray:
    """Each order's mean loss on the windows' last symbols, nats a symbol, (orders, E): Kneser-Ney of the training part.

    Args:
        some: (E, N, 8).
    """
    V, counts, continuations = training.ladder
    E, N, _ = some.shape
    flat, lower, losses = some.reshape(E * N, WINDOW), np.full(E * N, 1 / V), []
    for order in range(len(counts)):
        grams = flat[:, WINDOW - order - 1 :] @ V ** np.arange(order, -1, -1)
        losses.append(-np.log(ngram.interpolated(V, counts[order], grams, lower)).reshape(E, N).mean(1))
        if order < len(continuations):
            lower = ngram.interpolated(V, continuations[order], grams, lower)
    return np.stack(losses)


def unseen(training: Training, kinds: list[np.ndarray]) -> list[np.ndarray]:
    """The share of windows that never stand in the training part, of each kind of text and each model: (E,) each.

    Args:
        kinds: (E, N, 8) each; all are looked up in one pass.
    """
    asked = [[strings(training, model) for model in kind] for kind in kinds]
    wanted = {window for kind in asked for model in kind for window in model}
    whole = training.string
    seen = wanted.intersection(whole[i : i + WINDOW] for i in range(len(whole) - WINDOW + 1))
    return [np.array([1 - sum(map(seen.__contains__, model)) / len(model) for model in kind]) for kind in asked]


def strings(training: Training, classes: np.ndarray) -> list[str]:
    """Rows of classes (N, n) as strings."""
    return ["".join(row) for row in training.alphabet[classes].tolist()]


def in_vocabulary(training: Training, own: np.ndarray) -> np.ndarray:
    """The share of each model's words that stand in the training part, (E,); NaN where there is no whole word.

    Args:
        own: (n, E, B) integers.
    """
    return np.array([share_known(training, strings(training, model.T)) for model in own.swapaxes(0, 1)])


def share_known(training: Training, lanes: list[str]) -> float:
    """The share of the whole words of some lanes that stand in the training part."""
    found = [word for lane in lanes for word in whole_words(lane)]
    return sum(map(training.words.__contains__, found)) / len(found) if found else math.nan


def whole_words(lane: str) -> list[str]:
    """A lane's words that neither begin nor end it."""
    return [match[0] for match in WORD.finditer(lane) if match.start() > 0 and match.end() < len(lane)]
