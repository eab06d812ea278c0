"""Runs a group by the part that it belongs to."""

from __future__ import annotations

from collections.abc import Callable

from experiments.gradient_flow.parts import module
from experiments.harness.sweep import Group
from properties.record import Record


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """The records of `run` in the part's experiment."""
    return module(group.settings["part"], "experiment").run(group, checkpoint)
