"""The records of this part, a task with all its variants as one object."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.memory.gates.sweep import ARMS, CALLED, PRESETS, WHOLE
from experiments.memory.learning import TASKS
from experiments.memory.parts import EXPERIMENT
from experiments.tasks import adding, distractors, flip_flop, latch
from properties.record import parse_setting

NAMES = {called: name for name, called in CALLED.items()}
LOSS = ("flip_flop", "adding")
"""Tasks that are shown by their loss; the others by the share of right answers."""


class Compared(NamedTuple):
    """One task: its module's name, what is equal between arms, its length, the updates that each arm was given, and the
    records with their arms as a column."""

    task: str
    equal: str
    length: int
    updates: int
    records: pd.DataFrame

    @property
    def arms(self) -> list[str]:
        """Those that were run, the full LSTM first."""
        return [arm for arm in ARMS if arm in set(self.records.arm)]

    @property
    def name(self) -> str:
        """For readers."""
        return CALLED.get(self.task, self.task).replace("_", " ")

    @property
    def counts(self) -> str:
        """What its length counts."""
        return {"delay": "steps of delay"}.get(TASKS[self.task].LENGTH, "steps")

    @property
    def by_loss(self) -> bool:
        """Whether it is shown by its loss."""
        return self.task in LOSS

    @property
    def level(self) -> float:
        """What is to be had without what the task needs: see `level_name`."""
        if self.task == "flip_flop":
            return flip_flop.floor(1, self.length)
        if self.task == "adding":
            return adding.CHANCE_LOSS
        if self.task == "distractors":
            return distractors.sum_accuracy(self.length)
        return latch.CHANCE_ACCURACY

    @property
    def level_name(self) -> str:
        """What the level is of."""
        return {"flip_flop": "no memory", "distractors": "sum of all inputs"}.get(self.task, "chance")

    @property
    def decides(self) -> bool:
        """Whether the claims' numbers are of this run."""
        runs = [run for runs in PRESETS.values() for run in runs if run.decides]
        asked = [(run.task, run.equal, run.length, run.updates) for run in runs]
        return (self.task, self.equal, self.length, self.updates) in asked

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(self.values(WHOLE, "cost"))

    @property
    def rows(self) -> float:
        """Held-out sequences a seed."""
        return float(self.values(WHOLE, "held_out_rows").max())

    def values(self, arm: str, metric: str) -> np.ndarray:
        """A metric by seed."""
        some = self.records[(self.records.arm == arm) & (self.records.metric == metric)]
        return some.sort_values("seed").value.to_numpy()

    def right(self, arm: str) -> np.ndarray:
        """The share of right answers, on the flip-flop of right signs."""
        return self.values(arm, "signs" if self.task == "flip_flop" else "accuracy")

    def shown(self, arm: str) -> np.ndarray:
        """What the figure shows: the loss, or the share of right answers."""
        return self.values(arm, "cost") if self.by_loss else self.right(arm)

    def width(self, arm: str) -> int:
        """H of an arm."""
        return int(self.values(arm, "H").max())


def compared(frame: pd.DataFrame) -> list[Compared]:
    """The tasks that were run, in the order of the sweep."""
    rows = frame[(frame.source == EXPERIMENT) & frame.setting.str.contains("/variants/equal=")]
    order, found = list(TASKS), []
    arm = rows.setting.str.extract(r"/arm=(.*)$")[0]
    for setting, some in rows.assign(arm=arm).groupby(rows.setting.str.replace(r"/arm=.*", "", regex=True)):
        words, task = parse_setting(setting), setting.split("/")[0]
        sizes = int(words["length"]), int(words["updates"])
        found.append(Compared(NAMES.get(task, task), words["equal"], *sizes, some))
    return sorted(found, key=lambda one: (one.equal != "width", order.index(one.task), one.updates, one.length))
