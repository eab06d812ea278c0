"""The parts of the experiment: each is a folder with a sweep, an experiment and an analysis of its own."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from experiments.harness.sweep import Group

EXPERIMENT = "gradient_flow"
PARTS = ("lags", "layers", "training", "growth", "spectrum", "latch")
"""In the order of the report."""

VERSION = 1


def module(part: str, kind: str) -> ModuleType:
    """A part's sweep, experiment or analysis."""
    return import_module(f"experiments.{EXPERIMENT}.{part}.{kind}")


def group(
    part: str,
    setting: str,
    settings: dict[str, Any],
    seeds: Sequence[int],
    options: Any,
    cost: float,
    dtype: str = "float64",
) -> Group:
    """A group of a part; its settings hold plain data, and which part runs it."""
    given = {"part": part} | settings
    return Group(EXPERIMENT, VERSION, setting, given, tuple(seeds), dtype, options.engine, "", cost)
