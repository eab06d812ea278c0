"""A group's models trained on the characters of a text, with what is recorded on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.harness.sweep import Group
from experiments.language_model.evaluation import evaluate
from experiments.language_model.lanes import Lanes
from experiments.language_model.learning import learn
from experiments.language_model.models import initial
from experiments.tasks import text
from impl.spec import Model
from properties.record import Record

Checkpoint = Callable[[int, int], None]


CONTIGUOUS, INTERLEAVED = "contiguous", "interleaved"


def trained(group: Group, source: text.Text, twin: Any, checkpoint: Checkpoint) -> tuple[Model, list[Record]]:
    """Trains the group on the training part; records, by seed and update, loss_training (the mean of the batches since
    the evaluation before) and loss_validation (over the whole part), nats a character."""
    V, parts = len(source.alphabet), parts_of(group.settings, source)
    lanes = Lanes(group, text.characters(source, parts.training), V, twin)

    def look(update: int, model: Model, training: np.ndarray) -> list[Record]:
        value = evaluate_part(twin, group.settings, model, source, parts.validation)
        return [*group.each("loss_training", update, training), *group.each("loss_validation", update, value)]

    facts = {"text": source.name, "alphabet": source.alphabet, "encoding": source.encoding}
    return learn(group, twin, lanes, initial(group, V, twin), look, checkpoint, facts)


def parts_of(s: dict[str, Any], source: text.Text) -> text.Parts:
    """How the settings' split parts the text: contiguous, or its own parts; else interleaved."""
    return text.parts(source) if s["split"] == CONTIGUOUS else text.interleaved(len(source.characters))


def evaluate_part(twin: Any, s: dict[str, Any], model: Model, source: text.Text, part: list[slice]) -> np.ndarray:
    """The mean loss over all slices of a part, nats a character, (E,)."""
    losses = [evaluate(twin, s, model, source.characters, some) for some in part]
    return np.average(losses, 0, [text.length([some]) for some in part])
