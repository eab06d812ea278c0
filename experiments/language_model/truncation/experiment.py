"""Trains all seeds of one cell on a text once a truncation, each time from the same start on the same chunks.

Records of a truncation, by seed, at SETTING/k=K: loss_test and loss_validation after the last update (nats a character,
over what is read of the part), loss_training (mean of the batches since the rate began to fall), rate. Records of the
cell: N18, the loss on the test at truncation 1 minus that at 50; parameters, hidden_units; lanes and characters_test,
the lanes of a batch and what was read of the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.harness.training import truncated
from experiments.language_model import models
from experiments.language_model.corpus import source_of
from experiments.language_model.evaluation import evaluate
from experiments.language_model.lanes import Lanes
from experiments.language_model.learning import learn
from experiments.language_model.truncation.sweep import LONG, SHORT
from experiments.tasks import text
from impl.spec import Model
from properties.record import Record

Checkpoint = Callable[[int, int], None]


def run(group: Group, checkpoint: Checkpoint) -> list[Record]:
    """The records of a group, one truncation after the other."""
    source, twin, test = source_of(group), engine(group.engine), {}
    records, given = [], group.settings["truncations"]
    for n, (k, lr) in enumerate(given):
        own = one(group, k, lr)
        model, told = trained(own, source, twin, partial(within, checkpoint, n, len(given)))
        records += [*told, *own.each("rate", 0, lr)]
        if own.settings["test"]:
            test[k] = measured(own, source, twin, model, "test")
            records += own.each("loss_test", own.settings["updates"], test[k])
    return [*records, *of_all(group, source, test)]


def one(group: Group, k: int, lr: float) -> Group:
    """The part of a group that has one truncation, as a group: with a key, and so a file, of its own."""
    settings = {name: value for name, value in group.settings.items() if name != "truncations"}
    return replace(group, setting=f"{group.setting}/k={k}", settings=settings | {"k": k, "lr": lr})


def within(checkpoint: Checkpoint, n: int, trainings: int, done: int, total: int) -> None:
    """Tells how far the n-th of so many trainings is as how far they are together."""
    checkpoint(n * total + done, trainings * total)


def trained(group: Group, source: text.Text, twin: Any, checkpoint: Checkpoint) -> tuple[Model, list[Record]]:
    """The models after the last update at one truncation, and what was recorded on the way."""
    s, V = group.settings, len(source.alphabet)
    lanes = Lanes(group, text.characters(source, text.parts(source).training), V, twin)

    def look(update: int, model: Model, training: np.ndarray) -> list[Record]:
        if update < s["updates"]:
            return []
        value = measured(group, source, twin, model, "validation")
        return [*group.each("loss_training", update, training), *group.each("loss_validation", update, value)]

    facts = {"text": source.name}  # and no alphabet: these are no models that `generate` is to find
    return learn(
        group, twin, lanes, models.initial(group, V, twin), look, checkpoint, facts, partial(truncated, s["k"])
    )


def measured(group: Group, source: text.Text, twin: Any, model: Model, part: str) -> np.ndarray:
    """The loss on what is read of a part, (E,)."""
    return evaluate(twin, group.settings, model, source.characters, beginning(group, source, part))


def beginning(group: Group, source: text.Text, part: str) -> slice:
    """What is read of a part: its first characters, at most as many as the group's settings allow."""
    (whole,) = getattr(text.parts(source), part)
    most = group.settings["read"]
    return whole if most is None else slice(whole.start, min(whole.stop, whole.start + most))


def of_all(group: Group, source: text.Text, test: dict[int, np.ndarray]) -> Iterator[Record]:
    """What is recorded once a seed for all truncations together."""
    s, V, read = group.settings, len(source.alphabet), beginning(group, source, "test")
    facts = {"parameters": models.parameters(s["cell"], V, s["H"]), "hidden_units": s["H"], "lanes": s["B"]}
    for metric, value in (facts | {"characters_test": read.stop - read.start}).items():
        yield from group.each(metric, 0, value)
    if test:
        yield from group.each("N18", s["updates"], test[SHORT] - test[LONG])
