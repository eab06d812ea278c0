"""What is measured: the groups of all parts."""

from __future__ import annotations

from typing import Any

from experiments.gradient_flow.parts import PARTS, module
from experiments.harness.sweep import Group


def groups(preset: str, options: Any) -> list[Group]:
    """The groups of every part, in the order of the report."""
    return [group for part in PARTS for group in module(part, "sweep").groups(preset, options)]
