"""What is measured, as plain data: the chosen cells at rising lengths, and temporal order by arm and length."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import pandas as pd

from experiments.harness.sweep import Group
from experiments.memory import parts
from experiments.memory.costs import core_seconds
from experiments.memory.grid.choose import CHOSEN
from experiments.memory.grid.sweep import SETTINGS, steps
from experiments.memory.latch.sweep import ladder
from experiments.memory.learning import TASKS
from experiments.tasks import temporal_order

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


SMOKE = Reach(5, 7)
QUICK = {
    ("default", "latch", "lstm"): Reach(5, 20),
    ("default", "latch", "rnn"): Reach(57, 453),
    ("default", "adding", "lstm"): Reach(40, 57, 0.6, 57),
    ("default", "adding", "rnn"): Reach(10, 28),
    ("default", "timer", "lstm"): Reach(20, 40, 0.7, 40),
    ("default", "timer", "rnn"): Reach(14, 40, 0.9, 20),
    ("tuned", "latch", "lstm"): Reach(80, 453),
    ("tuned", "latch", "rnn"): Reach(226, 905, 0.4, 640),
    ("tuned", "adding", "lstm"): Reach(57, 160, 0.3, 453),
    ("tuned", "adding", "rnn"): Reach(10, 40),
    ("tuned", "timer", "lstm"): Reach(40, 57, 0.4, 57),
    ("tuned", "timer", "rnn"): Reach(40, 57, 0.8, 40),
}
"""The lengths between all and none for each cell, as far as the preset's time allows: 16 seeds each."""

FULL = {
    ("latch", "lstm"): Reach(5, 1280),
    ("latch", "rnn"): Reach(14, 1280),
    ("adding", "lstm"): Reach(28, 453),
    ("adding", "rnn"): Reach(7, 113),
    ("timer", "lstm"): Reach(14, 113),
    ("timer", "rnn"): Reach(7, 113),
}

ORDER = {
    "lstm_b1": (16, 1e-2),
    "lstm_chrono": (16, 1e-2),
    "rnn_uniform": (16, 1e-2),
    "rnn_orthogonal": (64, 1e-3),
}
"""Units and rate by arm on temporal order, those of the pilot."""

ORDER_LENGTHS = {
    "smoke": (10,),
    "tour": (20, 40),
    "quick": (20, 30, 40, 60, 100),
    "full": (20, 30, 40, 60, 100, 140, 200),
}
ORDER_UPDATES = {"lstm": 800, "rnn": 1500}
ORDER_SEEDS = {"smoke": 8, "tour": 8, "quick": 8, "full": 16}


@cache
def chosen() -> tuple[Cell, ...]:
    """The cells that the grid chose."""
    rows = pd.read_csv(CHOSEN)
    return tuple(Cell(*row) for row in rows[list(Cell._fields)].itertuples(index=False))


def groups(preset: str, options: Any) -> list[Group]:
    """Every chosen cell at its lengths, then temporal order."""
    cells = [group(cell, length, preset, options) for cell in chosen() for length in lengths(cell, preset)]
    pairs = [(arm, length) for arm in ORDER for length in ORDER_LENGTHS[preset]]
    return cells + [order_group(arm, length, preset, options) for arm, length in pairs]


def reach(cell: Cell, preset: str) -> Reach:
    """Where a cell is run."""
    key = (cell.comparison, cell.task, cell.cell)
    return {"smoke": SMOKE, "full": FULL[key[1:]]}.get(preset) or QUICK[key]


def lengths(cell: Cell, preset: str) -> list[int]:
    """At which lengths a cell is run; of the tour's one task every other."""
    if preset == "tour" and cell.task != "latch":
        return []
    first, last, *_ = reach(cell, preset)
    return [length for length in ladder(last) if length >= first][:: 2 if preset == "tour" else 1]


def group(cell: Cell, length: int, preset: str, options: Any) -> Group:
    """A chosen cell at one length."""
    sizes, given = SETTINGS[cell.task], reach(cell, preset)
    settings = {"arm": cell.arm} | sizes.settings(cell.task, length, cell.H, cell.lr)
    settings |= {"updates": 60, "held_out": 250} if preset == "smoke" else {}
    updates = settings["updates"] * (given.early if length <= given.until else 1)
    D, seeds = TASKS[cell.task].D, 8 if preset == "smoke" else SEEDS
    cost = core_seconds(settings, seeds, steps(cell.task, length), updates, D)
    setting = f"{cell.comparison}/{cell.task}/arm={cell.arm}/delay={length}"
    return parts.group("lengths", setting, settings, range(seeds), options, cost, "float32")


def order_group(arm: str, length: int, preset: str, options: Any) -> Group:
    """One arm on temporal order at one length."""
    H, lr = ORDER[arm]
    settings = {"task": temporal_order.NAME, "arm": arm, "length": length, "H": H, "B": 32, "lr": lr, "clip": 1.0}
    settings |= {"updates": 60 if preset == "smoke" else ORDER_UPDATES[arm.split("_")[0]], "every": 25}
    settings |= {"held_out": 250 if preset == "smoke" else 2000}
    seeds, early = ORDER_SEEDS[preset], 0.6 if length <= 30 or "chrono" in arm else 1.0
    cost = core_seconds(settings, seeds, length, early * settings["updates"], temporal_order.D)
    setting = f"{temporal_order.NAME}/arm={arm}/delay={length}"
    return parts.group("lengths", setting, settings, range(seeds), options, cost, "float32")
