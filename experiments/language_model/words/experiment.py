"""Trains all seeds of one cell on a text's words as a group, or counts their n-grams; one record a number.

Records of a model, by seed: loss_validation by update and loss_test at the last one (nats a word, over the whole part),
loss_training (mean of the batches since the evaluation before), parameters, hidden_units, features (of a word) and
rate. Records of the rungs, seed 0: rung_validation and rung_test by order; vocabulary, and least, how often each of its
words stands in the training part at least; words_PART, how many words a part has, and unknown_PART, the share of <unk>
among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.harness.training import Batch, Embedded, shown, through
from experiments.language_model import models
from experiments.language_model.corpus import source_of
from experiments.language_model.evaluation import reading
from experiments.language_model.lanes import Lanes
from experiments.language_model.learning import learn
from experiments.language_model.parts import EXPERIMENT
from experiments.language_model.words import sweep
from experiments.tasks import ngram, text
from experiments.tasks.words import Words, joined, unknown, words_of
from impl import draw
from impl.spec import Head, Model, tree_map
from properties.record import Record

Checkpoint = Callable[[int, int], None]


def run(group: Group, checkpoint: Checkpoint) -> list[Record]:
    """The records of a group: of its models, or of the words' rungs."""
    measured = rungs if group.settings["kind"] == "rungs" else trained
    return list(measured(group, words_of(source_of(group), group.settings["least"]), checkpoint))


# Models


class WordLanes(Lanes):
    """Lanes whose batches hold the words' numbers, since a vector a word would be zeros almost all."""

    def batches(self) -> Iterator[Batch]:
        """Chunk after chunk in the twin's arrays: x (T, E, B) integers, and what comes next as the target."""
        while True:
            chunk = self.chunk()
            yield Batch(*self.twin.asarray((chunk[:-1], chunk[1:])))


def trained(group: Group, words: Words, checkpoint: Checkpoint) -> Iterator[Record]:
    """Trains the group; evaluates on the validation part now and then, on the test once, at the end."""
    s, twin, V = group.settings, engine(group.engine), len(words.vocabulary)
    lanes = WordLanes(group, joined(words, words.parts.training), V, twin)

    def look(update: int, model: Model, training: np.ndarray) -> list[Record]:
        value = evaluate(twin, s, model, words.classes, words.parts.validation[0])
        return [*group.each("loss_training", update, training), *group.each("loss_validation", update, value)]

    facts = {"words": [*words.vocabulary]}
    start = models.initial(group, V, twin, drawn)
    model, records = learn(group, twin, lanes, start, look, checkpoint, facts)
    yield from records
    yield from group.each("loss_test", s["updates"], evaluate(twin, s, model, words.classes, words.parts.test[0]))
    sizes = {"parameters": sweep.parameters(s["cell"], V, s["D"], s["H"]), "hidden_units": s["H"]}
    for metric, value in (sizes | {"features": s["D"], "rate": s["lr"]}).items():
        yield from group.each(metric, 0, value)


def drawn(s: dict[str, Any], seed: int, V: int) -> Model:
    """One model at the start: the table from N(0, table_sd^2), one for both cells; W_hh orthogonal (RNN), or the forget
    bias set (LSTM); all else as torch.nn has it."""
    words = (EXPERIMENT, "words", seed)
    table = draw.generator(*words, "table").normal(0.0, s["table_sd"], (V, s["D"]))
    cell = models.recurrent(draw.generator(*words, "weights", s["cell"], s["H"]), s, s["D"])
    return Model(Embedded(table, cell), draw.head(draw.generator(*words, "head", s["H"]), V, s["H"]))


def evaluate(twin: Any, s: dict[str, Any], model: Model, classes: np.ndarray, part: slice) -> np.ndarray:
    """The mean loss on a part of the text, nats a word, (E,): each word predicted once.

    The part is cut into lanes as `evaluation.reading` has it, T steps of which are computed at once: their losses in
    the model's dtype, the sum of these in float64.

    Args:
        s: cell, lanes, warmup, T.
        classes: the whole text, (n,) integers.
    """
    place, mask = reading(part, s["lanes"], s["warmup"], s["T"])
    state, total = None, 0.0
    for t in range(0, len(place), s["T"]):
        some = slice(t, t + s["T"])
        x, *asked = twin.asarray((classes[place[some] - 1], classes[place[some]], mask[some]))
        (run,) = through(twin.scan, s["cell"], model.cell, shown(twin, model.cell, x), state)
        total, state = total + nats(twin, model.head, run.states.h, *asked), run.last
    return total / mask.sum()


def nats(twin: Any, head: Head, h: Any, target: Any, mask: Any) -> np.ndarray:
    """The summed loss of each model where the mask holds, (E,), one model's logits at a time.

    Args:
        h: states (T, E, L, H). target, mask: (T, L), the same for every model.
    """
    losses = []
    for e in range(h.shape[1]):
        y = twin.head.forward(tree_map(lambda a, e=e: a[e], head), h[:, e])
        losses.append(twin.loss.softmax_cross_entropy(y, target, mask)[0])
    return np.array([float(loss) for loss in losses])


# Rungs


def rungs(group: Group, words: Words, checkpoint: Checkpoint) -> Iterator[Record]:
    """Every order's loss on the validation part and the test, and what the parts hold."""
    given = [("least", 0, group.settings["least"]), ("prepared", 0, words.prepared)]
    for metric, index, value in (*ladder(words), *counts(words), *given):
        yield Record(group.experiment, group.setting, group.seeds[0], metric, index, float(value))
    checkpoint(1, 1)


def ladder(words: Words) -> Iterator[tuple[str, int, float]]:
    """The rungs that the models are compared with, each word with what stands before it in the text."""
    known = ngram.fit(joined(words, words.parts.training), len(words.vocabulary))
    for name, (part,) in (("validation", words.parts.validation), ("test", words.parts.test)):
        before = min(part.start, ngram.HIGHEST)
        losses = ngram.nats(known, words.classes[part.start - before : part.stop], before)
        for order, value in enumerate(losses):
            yield f"rung_{name}", order, value


def counts(words: Words) -> Iterator[tuple[str, int, float]]:
    """How many words there are, and how many of them are not in the vocabulary."""
    yield "vocabulary", 0, len(words.vocabulary)
    for name, part in words.parts._asdict().items():
        yield f"words_{name}", 0, text.length(part)
        yield f"unknown_{name}", 0, unknown(words, part)
