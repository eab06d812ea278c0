"""Trains all seeds of all starts of one cell as a group; or reads the points that an earlier run left."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from experiments.harness.sweep import Group, Options
from experiments.memory import learning
from experiments.memory.grid.sweep import POINTS, PROVENANCE
from experiments.memory.learning import Checkpoint
from experiments.memory.parts import EXPERIMENT, PARTS
from properties.record import Record

MEASURED = ("solved", "runs", "updates", "cost")


def run(group: Group, checkpoint: Checkpoint) -> list[Record]:
    """The records of a point's group; or of every point as points.csv has it, one record each of MEASURED."""
    if "task" in group.settings:
        return learning.run(group, checkpoint)
    rows = pd.read_csv(POINTS)
    checkpoint(1, 1)
    read = [
        Record(EXPERIMENT, f"{group.setting}/{path(row)}", 0, metric, 0, float(row[metric]))
        for row in rows.to_dict("records")
        for metric in MEASURED
    ]
    return read + [Record(EXPERIMENT, "grid/cost", 0, metric, 0, value) for metric, value in cost(group).items()]


def cost(group: Group) -> dict[str, float]:
    """What the grid's groups on a GPU took, in seconds of their processes, beside the core-seconds that were predicted;
    and what the full preset is predicted to take."""
    facts = json.loads(PROVENANCE.read_text("utf-8"))
    there = [one for one in facts["groups"] if one["device"].startswith("cuda")]
    return {
        "predicted_on_gpu": sum(one["predicted"] for one in there),
        "measured_on_gpu": sum(one["seconds"] for one in there),
        "full_predicted": round(sum(one.cost for one in PARTS.groups("full", Options(group.engine)))),
    }


def path(row: dict[str, Any]) -> str:
    """A point as part of a setting."""
    return f"{row['task']}/cell={row['cell']}/arm={row['arm']}/H={row['H']}/lr={row['lr']:g}"
