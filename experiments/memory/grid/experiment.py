"""Trains all seeds of all starts of one cell as a group; or reads the points that an earlier run left."""

from __future__ import annotations

from typing import Any

import pandas as pd

from experiments.harness.sweep import Group
from experiments.memory import learning
from experiments.memory.grid.sweep import POINTS
from experiments.memory.learning import Checkpoint
from experiments.memory.parts import EXPERIMENT
from properties.record import Record

MEASURED = ("solved", "runs", "updates", "cost")


def run(group: Group, checkpoint: Checkpoint) -> list[Record]:
    """The records of a point's group; or of every point as points.csv has it, one record each of MEASURED."""
    if "task" in group.settings:
        return learning.run(group, checkpoint)
    rows = pd.read_csv(POINTS)
    checkpoint(1, 1)
    return [
        Record(EXPERIMENT, f"{group.setting}/{path(row)}", 0, metric, 0, float(row[metric]))
        for row in rows.to_dict("records")
        for metric in MEASURED
    ]


def path(row: dict[str, Any]) -> str:
    """A point as part of a setting."""
    return f"{row['task']}/cell={row['cell']}/arm={row['arm']}/H={row['H']}/lr={row['lr']:g}"
