"""The rungs of a text: what tables of n-grams and general compressors make of it."""

from __future__ import annotations

import bz2
import gzip
import math
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from experiments.harness.sweep import Group
from experiments.language_model.context import spread
from experiments.language_model.text.sweep import ORDER_OF_N6
from experiments.tasks import ngram, text
from properties.record import Record

Checkpoint = Callable[[int, int], None]

WINDOW = 50
"""Characters of a window that may stand in the training part as well."""


def order_two(ladder: ngram.Ladder, source: text.Text) -> float:
    """The loss of the order-2 rung on the test."""
    return float(on(ladder, source, text.parts(source).test[0])[ORDER_OF_N6])


def on(ladder: ngram.Ladder, source: text.Text, part: slice) -> np.ndarray:
    """Every order's loss on a part of the text, each character with what stands before it in the text."""
    before = min(part.start, ngram.HIGHEST)
    return ngram.nats(ladder, source.characters[part.start - before : part.stop], before)


def rungs(group: Group, source: text.Text, checkpoint: Checkpoint) -> Iterator[Record]:
    """Every order's loss on the validation part, the test and the interleaved test; compressors; the text's counts.

    Records, seed 0: rung_validation, rung_test, rung_interleaved by order; rung_context by order, at the places of the
    test at which models predict from the last symbols alone; recurring and recurring_interleaved by the window's length
    (the share of the test's windows that stand in the training part); gzip and bz2 on the test, after all text before
    it; symbols, and symbol, the code point by class; characters of the whole and of its parts; all losses in nats a
    character.
    """
    contiguous = partial(contiguous_rungs, places=group.settings["places"])
    for done, measured in enumerate((contiguous, interleaved_rungs, compressors, counts), 1):
        for metric, index, value in measured(source, len(source.characters)):
            yield Record(group.experiment, group.setting, group.seeds[0], metric, index, float(value))
        checkpoint(done, 4)


def contiguous_rungs(source: text.Text, n: int, places: int) -> Iterator[tuple[str, int, float]]:
    """The ladder that the models are compared with."""
    parts = text.parts(source)
    ladder = ngram.fit(text.characters(source, parts.training), len(source.alphabet))
    for name, part in (("validation", parts.validation), ("test", parts.test)):
        for order, value in enumerate(on(ladder, source, part[0])):
            yield f"rung_{name}", order, value
    for order, value in enumerate(at_places(ladder, source, parts.test[0], places)):
        yield "rung_context", order, value
    yield "recurring", WINDOW, text.recurring(*(text.string(source, p) for p in (parts.training, parts.test)), WINDOW)


def at_places(ladder: ngram.Ladder, source: text.Text, part: slice, places: int) -> np.ndarray:
    """Every order's loss at the places of a part at which models predict from the last symbols alone, (orders,)."""
    before = min(part.start, ngram.HIGHEST)
    p = ngram.probabilities(ladder, source.characters[part.start - before : part.stop])
    return -np.log(p[:, spread(part, places) - part.start + before]).mean(1)


def interleaved_rungs(source: text.Text, n: int) -> Iterator[tuple[str, int, float]]:
    """The ladder where test and training are alike."""
    parts = text.interleaved(n)
    ladder = ngram.fit(text.characters(source, parts.training), len(source.alphabet))
    for order, value in enumerate(ngram.nats(ladder, text.characters(source, parts.test))):
        yield "rung_interleaved", order, value
    share = text.recurring(*(text.string(source, p) for p in (parts.training, parts.test)), WINDOW)
    yield "recurring_interleaved", WINDOW, share


def compressors(source: text.Text, n: int) -> Iterator[tuple[str, int, float]]:
    """What the test adds to the compressed text before it."""
    start = text.parts(source).test[0].start
    before, whole = (some.encode(source.encoding) for some in (source.string[:start], source.string))
    for name, compress in (("gzip", lambda data: gzip.compress(data, 9, mtime=0)), ("bz2", bz2.compress)):
        yield name, 0, (len(compress(whole)) - len(compress(before))) * 8 * math.log(2) / (n - start)


def counts(source: text.Text, n: int) -> Iterator[tuple[str, int, float]]:
    """How much text there is, and of which symbols."""
    for place, symbol in enumerate(source.alphabet):
        yield "symbol", place, ord(symbol)
    yield "symbols", 0, len(source.alphabet)
    yield "characters", 0, n
    for name, part in text.parts(source)._asdict().items():
        yield f"characters_{name}", 0, text.length(part)
