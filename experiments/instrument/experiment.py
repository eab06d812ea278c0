"""Runs a group by its part of the sweep."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from threadpoolctl import threadpool_limits

from experiments.harness.sweep import Group
from properties.record import Record

PARTS = {"laws": "breaks", "false_alarms": "alarms", "detection": "detection", "kills": "kills"}
"""The module of each part; imported when it runs, since it needs the extra "test"."""


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """The records of `run` in the part's module."""
    part = import_module(f"experiments.instrument.{PARTS[group.setting.split('/')[0]]}")
    with threadpool_limits(1):  # once more: torch, which the part brings in, has threads of its own
        return part.run(group, checkpoint)
