"""Runs a group as speed does; a profile in a process of its own module."""

from __future__ import annotations

from collections.abc import Callable

from experiments.harness.sweep import Group
from experiments.speed import experiment
from properties.record import Record

PROFILED = "experiments.speed_gpu.profiled"


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """What the group's process says."""
    module = PROFILED if group.settings["part"] == "profile" else experiment.CHILD
    return experiment.run(group, checkpoint, module)
