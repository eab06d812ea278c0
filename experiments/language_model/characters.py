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


def trained(group: Group, source: text.Text, twin: Any, checkpoint: Checkpoint) -> tuple[Model, list[Record]]:
    """Trains the group on the training part; records, by seed and update, loss_training (the mean of the batches since
    the evaluation before) and loss_validation (over the whole part), nats a character."""
    V, parts = len(source.alphabet), text.parts(source)
    lanes = Lanes(group, text.characters(source, parts.training), V, twin)

    def look(update: int, model: Model, training: np.ndarray) -> list[Record]:
        value = evaluate(twin, group.settings, model, source.characters, parts.validation[0])
        return [*group.each("loss_training", update, training), *group.each("loss_validation", update, value)]

    facts = {"text": source.name, "alphabet": source.alphabet}
    return learn(group, twin, lanes, initial(group, V, twin), look, checkpoint, facts)
