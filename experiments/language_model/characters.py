"""A group's models trained on the characters of a text, with what is recorded on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from experiments.harness.sweep import Group
from experiments.language_model.evaluation import evaluate
from experiments.language_model.lanes import Lanes
from experiments.language_model.learning import Look, learn
from experiments.language_model.models import initial
from experiments.tasks import text
from impl.spec import Model
from properties.record import Record

Checkpoint = Callable[[int, int], None]


CONTIGUOUS, INTERLEAVED = "contiguous", "interleaved"


def trained(group: Group, source: text.Text, twin: Any, checkpoint: Checkpoint) -> tuple[Model, list[Record]]:
    """Trains the group on the training part; records, by seed and update, loss_training (the mean of the batches since
    the evaluation before) and loss_validation (over the whole part), nats a character."""
    lanes, _, look, facts = task(group, source, twin)
    return learn(group, twin, lanes, initial(group, len(source.alphabet), twin), look, checkpoint, facts)


class Task(NamedTuple):
    """What a group's models learn of a text.

    Attributes:
        lanes: the training part.
        loss: of models on the whole validation part, nats a character, (E,).
        look: records that loss and the mean of the training's batches at an evaluation.
        facts: what a kept file says of the text.
    """

    lanes: Lanes
    loss: Callable[[Model], np.ndarray]
    look: Look
    facts: dict[str, Any]


def task(group: Group, source: text.Text, twin: Any, setting: str = "") -> Task:
    """The training and the validation part of the group's split; records bear `setting`, or else the group's own."""
    parts = parts_of(group.settings, source)

    def loss(model: Model) -> np.ndarray:
        return evaluate_part(twin, group.settings, model, source, parts.validation)

    def look(update: int, model: Model, training: np.ndarray) -> list[Record]:
        measured = {"loss_training": training, "loss_validation": loss(model)}
        return [r for metric, values in measured.items() for r in group.each(metric, update, values, setting)]

    lanes = Lanes(group, text.characters(source, parts.training), len(source.alphabet), twin)
    facts = {"text": source.name, "alphabet": source.alphabet, "encoding": source.encoding}
    return Task(lanes, loss, look, facts)


def parts_of(s: dict[str, Any], source: text.Text) -> text.Parts:
    """How the settings' split parts the text: contiguous, or its own parts; else interleaved."""
    return text.parts(source) if s["split"] == CONTIGUOUS else text.interleaved(len(source.characters))


def evaluate_part(twin: Any, s: dict[str, Any], model: Model, source: text.Text, part: list[slice]) -> np.ndarray:
    """The mean loss over all slices of a part, nats a character, (E,)."""
    losses = [evaluate(twin, s, model, source.characters, some) for some in part]
    return np.average(losses, 0, [text.length([some]) for some in part])
