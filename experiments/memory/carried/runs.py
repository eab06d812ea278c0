"""The records of this part as one object a run: what exchange showed, and what the gates do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.memory.carried.exchange import HALF
from experiments.memory.carried.sweep import STARTS
from experiments.memory.parts import EXPERIMENT
from properties.record import parse_setting

LABELS = {"torch": "torch's default", "bf1": "b_f = 1", "bf3": "b_f = 3", "chrono": "chrono"}


class Run(NamedTuple):
    """One start at one length: whether each seed holds the task, by seed, and its records with the rest of their
    settings as a column `more`: "/exchange=c/at=0.5"."""

    start: str
    length: int
    holds: pd.Series
    rows: pd.DataFrame

    @property
    def name(self) -> str:
        """For readers."""
        return f"{LABELS[self.start]}, {self.length} steps"

    def values(self, metric: str, more: str = "", index: float = 0) -> np.ndarray:
        """A metric by seed, of those that have it."""
        some = self.rows[(self.rows.metric == metric) & (self.rows.more == more) & (self.rows["index"] == index)]
        return some.sort_values("seed").value.to_numpy()

    def follows(self, what: str, at: float = HALF) -> np.ndarray:
        """The share of answers that follow what was exchanged."""
        return self.values("follows", f"/exchange={what}/at={at:g}")


def read(frame: pd.DataFrame, prefix: str, length: str) -> list[Run]:
    """The runs whose settings begin so, in the order of starts and lengths."""
    rows = frame[(frame.source == EXPERIMENT) & frame.setting.str.startswith(f"{prefix}/start=")]
    rows = rows[rows.setting.str.contains(f"/{length}=")]
    found = []
    base = rows.setting.str.extract(rf"^({prefix}/start=[^/]*/{length}=[^/]*)(.*)$")
    for setting, some in rows.assign(base=base[0], more=base[1]).groupby("base", sort=True):
        named = parse_setting(setting)
        holds = some[(some.metric == "holds") & (some.more == "")].sort_values("seed").set_index("seed").value > 0
        found.append(Run(named["start"], int(named[length]), holds, some))
    return sorted(found, key=lambda run: (list(STARTS.values()).index(run.start), run.length))


def latches(frame: pd.DataFrame) -> list[Run]:
    """The runs on the latch."""
    return read(frame, "latch/carried", "delay")


def addings(frame: pd.DataFrame) -> list[Run]:
    """The runs on adding."""
    return read(frame, "adding/gates", "T")
