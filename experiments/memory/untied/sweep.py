"""What is measured, as plain data: tasks, cells, sizes of the training set, seeds, and what each group should cost."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.harness.sweep import Group
from experiments.memory import parts
from experiments.tasks import adding, latch

CLAIM = "untied"
"""The setting of claim N17: the records of CASE_OF_CLAIM under their own name."""

H, B, LR, CLIP, HELD_OUT = 16, 32, 1e-2, 1.0, 1000
ARMS = {"rnn": "rnn_orthogonal", "lstm": "lstm_b1"}


class Case(NamedTuple):
    """One setting: a task, a cell, the steps of a sequence, rows of the training set, updates, seeds."""

    task: str
    cell: str
    T: int
    rows: int
    updates: int
    seeds: int = 8

    @property
    def setting(self) -> str:
        """Its path, such as "untied/task=adding/cell=lstm/T=12/rows=256"."""
        return f"{CLAIM}/task={self.task}/cell={self.cell}/T={self.T}/rows={self.rows}"


CASE_OF_CLAIM = Case(adding.NAME, "lstm", 12, 256, 500, 16)
"""Stated after a pilot on seeds from 1000 on, in which the tied LSTM solved the task in 500 updates from 64 rows on and
an untied one fitted its training rows too. The sum of two marked values is a rule that is the same at every place."""

CONTRAST = Case(latch.NAME, "lstm", 12, 64, 200)
"""A task whose one informative step always stands at the same place, so that no step has to learn another's rule."""


def adding_cases(T: int, updates: int, seeds: int, sizes: tuple[int, ...]) -> list[Case]:
    """Both cells at every size of the training set, the claim's own case as it is stated."""
    cases = (Case(adding.NAME, cell, T, rows, updates, seeds) for cell in ARMS for rows in sizes)
    return [CASE_OF_CLAIM if case.setting == CASE_OF_CLAIM.setting else case for case in cases]


QUICK = (*adding_cases(12, 500, 8, (64, 256, 1024)), CONTRAST)
PRESETS = {
    "smoke": tuple(case._replace(updates=4, seeds=8) for case in (*adding_cases(12, 4, 8, (64, 256)), CONTRAST)),
    "tour": (CASE_OF_CLAIM._replace(seeds=8),),
    "quick": QUICK,
    "full": (
        *QUICK,
        *adding_cases(12, 500, 8, (16, 32, 128, 512, 2048, 4096)),
        *adding_cases(24, 1500, 8, (64, 256, 1024, 4096)),
    ),
}


def groups(preset: str, options: Any) -> list[Group]:
    """Every case of a preset; all seeds of a case are one group, tied and untied."""
    return [group(case, options) for case in PRESETS[preset]]


def group(case: Case, options: Any) -> Group:
    """One case, in the order of its seeds."""
    settings = {"task": case.task, "arm": ARMS[case.cell], "T": case.T, "rows": case.rows, "H": H, "B": B, "lr": LR}
    settings |= {"clip": CLIP, "updates": case.updates, "looks": looks(case.updates), "held_out": HELD_OUT}
    settings |= {"claim": case.setting == CASE_OF_CLAIM.setting}
    return parts.group("untied", case.setting, settings, range(case.seeds), options, cost(case), "float32")


def looks(updates: int) -> list[int]:
    """After how many updates the losses are looked at: none, eighths, all."""
    return sorted({0, updates, *(updates * n // 8 for n in range(1, 8))})


STEP = {"rnn": (1.8e-4, 1.6e-5), "lstm": (2.5e-4, 6.0e-5)}
"""Core-seconds on one AVX-512 core of a step, tied and untied together, at an update, and of a step of one model."""

LOOK = {"rnn": 2e-7, "lstm": 1e-6}
"""The same of a step of one row at a look, tied and untied together."""


def cost(case: Case) -> float:
    """Predicted core-seconds of a group."""
    step, model = STEP[case.cell]
    rows = case.rows + HELD_OUT
    seen = LOOK[case.cell] * case.T * case.seeds * rows * len(looks(case.updates))
    return case.updates * case.T * (step + model * case.seeds) + seen
