"""Trains the seeds of one cell from one start at one rate: losses on the training and the validation part."""

from __future__ import annotations

from collections.abc import Callable

from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.language_model.characters import trained
from experiments.language_model.corpus import source_of
from properties.record import Record


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """The records of `characters.trained`; the test part is not looked at."""
    return trained(group, source_of(group), engine(group.engine), checkpoint)[1]
