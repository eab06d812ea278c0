"""Trains all seeds of one cell on a text as a group, or counts the n-grams of the text; one record a number.

Records of a model, by seed: loss_validation by update and loss_test at the last one (nats a character, over the whole
part), loss_training (mean of the batches since the evaluation before), parameters, hidden_units, rate, start (its place
in `models.STARTS`), and N6: the loss on the test minus that of the order-2 rung; loss_context by k, the loss from
exactly the last k characters. What models say by themselves: see `text.free`. Records of the rungs: see `text.rungs`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.language_model.characters import CONTIGUOUS, evaluate_part, parts_of, trained
from experiments.language_model.context import losses
from experiments.language_model.corpus import source_of
from experiments.language_model.models import STARTS, parameters
from experiments.language_model.text import free, likeness
from experiments.language_model.text.rungs import order_two, rungs
from experiments.tasks import text
from impl.spec import Model
from properties.record import Record

Checkpoint = Callable[[int, int], None]


def run(group: Group, checkpoint: Checkpoint) -> list[Record]:
    """The records of a group: of its models, or of the text's rungs."""
    measured = rungs if group.settings["kind"] == "rungs" else models
    return list(measured(group, source_of(group), checkpoint))


def models(group: Group, source: text.Text, checkpoint: Checkpoint) -> Iterator[Record]:
    """Trains the group; evaluates on the validation part now and then, on the test once, at the end."""
    s, twin = group.settings, engine(group.engine)
    model, records = trained(group, source, twin, checkpoint)
    yield from records
    loss = evaluate_part(twin, s, model, source, parts_of(s, source).test)
    if s["split"] != CONTIGUOUS:
        yield from final(group, source, loss)
        return
    test, training = text.parts(source).test[0], likeness.training_of(source)
    yield from final(group, source, loss)
    yield from group.each("N6", s["updates"], loss - order_two(training.ladder, source))
    for measured in (
        by_context(group, twin, model, source, test),
        free.running_records(group, twin, model, source, training, test),
        free.sample_records(group, twin, model, source, test),
    ):
        checkpoint(s["updates"], s["updates"])
        yield from measured


def by_context(group: Group, twin: Any, model: Model, source: text.Text, part: slice) -> Iterator[Record]:
    """The loss from exactly the last k characters."""
    s = group.settings
    found = losses(twin, s, model, source.characters, part, s["ks"], s["places"])
    for k, value in zip(s["ks"], found, strict=True):
        yield from group.each("loss_context", k, value)


def final(group: Group, source: text.Text, loss: np.ndarray) -> Iterator[Record]:
    """What is recorded once a seed, at the last update."""
    s, V = group.settings, len(source.alphabet)
    yield from group.each("loss_test", s["updates"], loss)
    sizes = {"parameters": parameters(s["cell"], V, s["H"]), "hidden_units": s["H"], "rate": s["lr"]}
    sizes["start"] = STARTS.index(s["start"])
    for metric, value in sizes.items():
        yield from group.each(metric, 0, value)
