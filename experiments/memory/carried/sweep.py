"""What is measured, as plain data: which starts learn which lag, on how many seeds, and what each group should cost."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.harness.sweep import Group
from experiments.memory import parts
from experiments.memory.costs import core_seconds

SMALL = {"H": 8, "B": 16, "lr": 1e-2, "clip": 1.0}
LARGE = SMALL | {"H": 32, "B": 32}

STARTS = {"lstm_torch": "torch", "lstm_b1": "bf1", "lstm_b3": "bf3", "lstm_chrono": "chrono"}
"""What settings call the arms."""


class Run(NamedTuple):
    """An arm on a task: its length, seeds, updates at most and as expected, rows it is read on, claims it decides."""

    task: str
    arm: str
    length: int
    seeds: int
    updates: int
    expected: int
    claims: tuple[str, ...] = ()
    rows: int = 2000


LATCHES = (
    Run("latch", "lstm_torch", 10, 16, 400, 400, ("N14",)),
    Run("latch", "lstm_b1", 20, 16, 400, 400),
    Run("latch", "lstm_b3", 40, 16, 400, 400),
    Run("latch", "lstm_chrono", 40, 16, 400, 150, ("N7",)),
)
"""Each start at the longest of 5, 7, 10, 14, 20, 40 that 13 of 16 seeds or more solved in a pilot (seeds from 1000 on):
15, 13, 15 and 16; torch's default solved 14 steps in 3. N7 is decided by chrono: the start that solves delay 40 with
all seeds, where b_f = 1 solves none."""

ADDING = (
    Run("adding", "lstm_b1", 50, 8, 1000, 1000, ("N13",)),
    Run("adding", "lstm_chrono", 50, 8, 500, 500),
)
"""N13 is decided by b_f = 1: chrono's start moves b_i too, so that it begins with input gates that are almost shut."""

LONGER = tuple(
    Run("latch", arm, delay, 16, 1000, 1000)
    for arm, delays in {
        "lstm_torch": (5, 14),
        "lstm_b1": (10, 28),
        "lstm_b3": (20, 80),
        "lstm_chrono": (80, 160),
    }.items()
    for delay in delays
)

PRESETS = {
    "smoke": (
        Run("latch", "lstm_torch", 5, 8, 50, 50, ("N14",), 200),
        Run("latch", "lstm_chrono", 5, 8, 50, 50, ("N7",), 200),
        Run("adding", "lstm_b1", 10, 8, 20, 20, ("N13",), 200),
    ),
    "tour": (LATCHES[0], LATCHES[3]),
    "quick": LATCHES + ADDING,
    "full": LATCHES + ADDING + LONGER + tuple(run._replace(length=100, updates=1600, claims=()) for run in ADDING),
}


def groups(preset: str, options: Any) -> list[Group]:
    """Every run; all its seeds are one group."""
    return [group(run, options) for run in PRESETS[preset]]


def group(run: Run, options: Any) -> Group:
    """One run, in the order of its seeds."""
    fixed = SMALL if run.task == "latch" else LARGE
    settings = {"task": run.task, "arm": run.arm, "length": run.length, **fixed, "updates": run.updates, "every": 25}
    settings |= {"held_out": run.rows, "claims": list(run.claims)}
    return parts.group("carried", setting(run), settings, range(run.seeds), options, cost(run, settings), "float32")


def setting(run: Run) -> str:
    """Its path, such as "latch/carried/start=torch/delay=10"."""
    if run.task == "latch":
        return f"latch/carried/start={STARTS[run.arm]}/delay={run.length}"
    return f"adding/gates/start={STARTS[run.arm]}/T={run.length}"


EXCHANGE, GATE = 2.2e-8, 1.0e-8
"""Core-seconds of a unit in a step of one row: all exchanges on the latch, and the gates of both models on adding."""


def cost(run: Run, settings: dict[str, Any]) -> float:
    """Predicted core-seconds of a group: training it, and reading it."""
    latch = run.task == "latch"
    read = (EXCHANGE * (settings["H"] + 16) if latch else GATE) * settings["H"] * run.length * run.rows * run.seeds
    steps, D = (run.length + 1, 1) if latch else (run.length, 2)
    return core_seconds(settings, run.seeds, steps, run.expected, D) + read
