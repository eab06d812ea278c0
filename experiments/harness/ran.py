"""What the harness records of a run beside its results: the command's options, how many groups, their predicted cost.

One setting an experiment, `NAME/preset=quick/engine=torch/...`: its words are the options of the command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from experiments.harness.sweep import Group
from properties.record import Record, parse_setting

SOURCE = "run"


def records(name: str, options: Mapping[str, str], groups: Sequence[Group]) -> list[Record]:
    """The records of an experiment's run with such options."""
    setting = "/".join([name, *(f"{option}={value}" for option, value in options.items())])
    values = {"groups": len(groups), "predicted_core_seconds": sum(group.cost for group in groups)}
    return [Record(SOURCE, setting, 0, metric, 0, float(value)) for metric, value in values.items()]


def options(frame: pd.DataFrame) -> dict[str, dict[str, str]]:
    """The options of each experiment that has records of its run, by its name."""
    ran = frame.setting[frame.source == SOURCE].unique()
    return {setting.split("/")[0]: parse_setting(setting) for setting in ran}


def presets(frame: pd.DataFrame) -> dict[str, str]:
    """The preset of each experiment that has records of its run, by its name."""
    return {name: given["preset"] for name, given in options(frame).items()}


def values(name: str, frame: pd.DataFrame) -> dict[str, float]:
    """What was recorded of one experiment's run, by metric; nothing where nothing was."""
    rows = frame[(frame.source == SOURCE) & (frame.setting.str.split("/").str[0] == name)]
    return dict(zip(rows.metric, rows.value, strict=True))
