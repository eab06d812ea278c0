"""What is measured, as plain data: the chosen cells at rising lengths, and the pilot's settings again."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import pandas as pd

from experiments.harness.sweep import Group
from experiments.memory import parts
from experiments.memory.costs import core_seconds
from experiments.memory.grid.choose import CHOSEN
from experiments.memory.grid.sweep import SETTINGS, steps
from experiments.memory.learning import TASKS

SEEDS = 16


class Cell(NamedTuple):
    """One cell of a comparison on a task, and where it is trained."""

    comparison: str
    task: str
    cell: str
    arm: str
    H: int
    lr: float


class Reach(NamedTuple):
    """From and to which length a cell is run, by a factor sqrt 2, and the share of the updates that it is expected to
    use up to which length (a first run, seeds from 1000 on)."""

    first: int
    last: int
    early: float = 1.0
    until: int = 0


ANCHORS = {"latch": 5, "adding": 50, "timer": 20}
"""A length of each ladder; the others are by a factor sqrt 2 from it, rounded."""

SMOKE = {"latch": Reach(5, 7), "adding": Reach(6, 9), "timer": Reach(5, 7)}
QUICK = {
    ("default", "latch", "lstm"): Reach(5, 20),
    ("default", "latch", "rnn"): Reach(80, 226),
    ("default", "adding", "lstm"): Reach(18, 25, 0.3, 35),
    ("default", "adding", "rnn"): Reach(6, 12),
    ("tuned", "latch", "lstm"): Reach(160, 320),
    ("tuned", "latch", "rnn"): Reach(226, 453),
    ("tuned", "adding", "lstm"): Reach(50, 71, 0.3, 200),
    ("tuned", "adding", "rnn"): Reach(12, 25),
    ("tuned", "timer", "lstm"): Reach(20, 28, 0.35, 40),
    ("tuned", "timer", "rnn"): Reach(20, 28, 0.8, 40),
}
"""Lengths near T50 of each cell, as far as the preset's time allows: 16 seeds each. It has no time for timer(n) at the
default start, which the full preset has."""

FULL = {
    ("latch", "lstm"): Reach(5, 1280),
    ("latch", "rnn"): Reach(14, 1280),
    ("adding", "lstm"): Reach(25, 283),
    ("adding", "rnn"): Reach(6, 100),
    ("timer", "lstm"): Reach(14, 80),
    ("timer", "rnn"): Reach(7, 80),
}


class Trial(NamedTuple):
    """An arm on a task at the settings of the pilot, how many of its 8 seeds solved each length there, and the share of
    the updates that is expected to be used."""

    task: str
    arm: str
    H: int
    lr: float
    updates: int
    pilot: dict[int, int]
    early: float = 1.0


PILOT_SEEDS = 8
TRIALS = (
    Trial("temporal_order", "lstm_b1", 16, 1e-2, 800, {20: 8, 40: 6, 60: 0}, 0.9),
    Trial("temporal_order", "lstm_chrono", 16, 1e-2, 800, {40: 8, 60: 8, 100: 7}, 0.8),
    Trial("temporal_order", "rnn_uniform", 16, 1e-2, 1500, {20: 8, 30: 3, 40: 0}),
    Trial("adding", "lstm_b1", 32, 1e-2, 2000, {50: 8}, 0.5),
    Trial("adding", "lstm_chrono", 32, 1e-2, 2000, {200: 8}, 0.3),
)
"""The pilot of the page: how many of 8 seeds solved. Its chrono LSTM on adding is the tuned cell, shown to T = 100."""

MORE = (
    Trial("temporal_order", "rnn_orthogonal", 64, 1e-3, 1500, {60: 6, 100: 0}),
    Trial("adding", "lstm_b1", 32, 1e-2, 2500, {100: 8}),
    Trial("adding", "rnn_uniform", 32, 3e-3, 7000, {50: 3}),
)
"""Also of the pilot (the first of 8 and of 6 seeds), in the full preset."""


@cache
def chosen() -> tuple[Cell, ...]:
    """The cells that the grid chose."""
    rows = pd.read_csv(CHOSEN)
    return tuple(Cell(*row) for row in rows[list(Cell._fields)].itertuples(index=False))


def groups(preset: str, options: Any) -> list[Group]:
    """Every chosen cell at its lengths, then the pilot's settings again."""
    cells = [group(cell, length, preset, options) for cell in chosen() for length in lengths(cell, preset)]
    trials = {"smoke": TRIALS[2:3], "tour": TRIALS[:1], "full": TRIALS + MORE}.get(preset, TRIALS)
    return cells + [
        trial_group(trial, length, preset, options) for trial in trials for length in trial_lengths(trial, preset)
    ]


def trial_lengths(trial: Trial, preset: str) -> list[int]:
    """At which lengths the pilot's settings are run again: two in the smaller presets."""
    return list(trial.pilot)[: None if preset in ("quick", "full") else 2]


def reach(cell: Cell, preset: str) -> Reach | None:
    """Where a cell is run; None: nowhere. The tour has the latch alone."""
    if preset == "tour" and cell.task != "latch":
        return None
    key = (cell.comparison, cell.task, cell.cell)
    return {"smoke": SMOKE[cell.task], "full": FULL[key[1:]]}.get(preset) or QUICK.get(key)


def lengths(cell: Cell, preset: str) -> list[int]:
    """At which lengths a cell is run."""
    given = reach(cell, preset)
    ladder = (round(ANCHORS[cell.task] * 2 ** (k / 2)) for k in range(-8, 18))
    return [length for length in ladder if given and given.first <= length <= given.last]


def group(cell: Cell, length: int, preset: str, options: Any) -> Group:
    """A chosen cell at one length."""
    sizes, given = SETTINGS[cell.task], reach(cell, preset)
    settings = {"arm": cell.arm} | sizes.settings(cell.task, length, cell.H, cell.lr)
    settings |= {"updates": 60, "held_out": 250} if preset == "smoke" else {}
    updates = settings["updates"] * (given.early if length <= given.until else 1)
    D, seeds = TASKS[cell.task].D, 8 if preset == "smoke" else SEEDS
    T = steps(cell.task, length)
    cost = core_seconds(settings, seeds, T, updates, D, T if cell.task == "timer" else 1)
    setting = f"{cell.comparison}/{cell.task}/arm={cell.arm}/H={cell.H}/lr={cell.lr:g}/delay={length}"
    return parts.group("lengths", setting, settings, range(seeds), options, cost, "float32")


def trial_group(trial: Trial, length: int, preset: str, options: Any) -> Group:
    """The pilot's settings at one length."""
    settings = {"task": trial.task, "arm": trial.arm, "length": length, "H": trial.H, "B": 32, "lr": trial.lr}
    settings |= {"clip": 1.0, "updates": 60 if preset == "smoke" else trial.updates, "every": 25}
    settings |= {"held_out": 250 if preset == "smoke" else 2000}
    seeds = SEEDS if preset == "full" else PILOT_SEEDS
    cost = core_seconds(settings, seeds, length, trial.early * settings["updates"], TASKS[trial.task].D)
    setting = f"pilot/{trial.task}/arm={trial.arm}/delay={length}"
    return parts.group("lengths", setting, settings, range(seeds), options, cost, "float32")
