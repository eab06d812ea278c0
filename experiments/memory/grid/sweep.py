"""The grid, as plain data. It runs on seeds that no verdict uses, in the full preset and by choose.py.

Every preset reads the points that choose.py left, so that each report shows what was chosen from what.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from experiments.harness.arms import equal_width
from experiments.harness.sweep import Group
from experiments.memory import parts
from experiments.memory.costs import core_seconds
from experiments.memory.learning import TASKS
from experiments.tasks import timer

POINTS = Path(__file__).parent / "points.csv"
PROVENANCE = Path(__file__).parents[1] / "tuned.json"
"""Written by choose.py: the grid's points; where, when and at what cost they were run."""

SEEDS = tuple(range(1000, 1008))
RATES = (1e-3, 3e-3, 1e-2)
STARTS = {
    "lstm": ("lstm_torch", "lstm_b1", "lstm_b3", "lstm_chrono"),
    "rnn": ("rnn_uniform", "rnn_orthogonal", "rnn_orthogonal_torch_biases", "rnn_identity"),
}
DEFAULT = {"lstm": "lstm_torch", "rnn": "rnn_uniform"}
"""torch's own start of either cell."""


class Task(NamedTuple):
    """How cells are trained on a task, in the grid and where its choices are measured again.

    Attributes:
        B, updates, every, held_out, decay: as learning.run takes them.
        lengths: those of the grid; of adding also one that RNNs can solve, or nothing would tell their points apart.
        widths: units of the LSTM; the RNN has those of equal multiply-adds. The first is the default's.
    """

    B: int
    updates: int
    every: int
    held_out: int
    lengths: tuple[int, ...]
    widths: tuple[int, ...]
    decay: float = 0.0

    def settings(self, task: str, length: int, H: int, lr: float) -> dict[str, Any]:
        """A group's settings but for its arms."""
        given = {"task": task, "length": length, "H": H, "lr": lr, "clip": 1.0}
        return given | {name: getattr(self, name) for name in ("B", "updates", "every", "held_out", "decay")}


SETTINGS = {
    "latch": Task(16, 400, 25, 2000, (160, 453), (8, 16)),
    "adding": Task(32, 2000, 50, 2000, (12, 40, 160), (32, 16)),
    "timer": Task(32, 2000, 50, 2000, (20, 40), (8, 16), decay=0.3),
}


def steps(task: str, length: int) -> int:
    """Time steps of a sequence."""
    return timer.steps(length) if task == "timer" else length + (task == "latch")


def width(cell: str, H: int, D: int) -> int:
    """Units of a cell that has the multiply-adds of an LSTM of H."""
    return H if cell == "lstm" else equal_width(H, D)


def groups(preset: str, options: Any) -> list[Group]:
    """The points that were chosen from; in the full preset also every point anew, the starts of a cell in one group."""
    data = sha256(POINTS.read_bytes() + PROVENANCE.read_bytes()).hexdigest()
    read = parts.group("grid", "grid/points", {}, (0,), options, 0.05, data=data)
    return [read, *(every(options) if preset == "full" else [])]


def every(options: Any) -> list[Group]:
    """The whole grid."""
    return [
        group(task, cell, H, lr, length, options)
        for task, sizes in SETTINGS.items()
        for cell in STARTS
        for H in sizes.widths
        for lr in RATES
        for length in sizes.lengths
    ]


def group(task: str, cell: str, H: int, lr: float, length: int, options: Any) -> Group:
    """All starts of a cell at one rate, width and length."""
    D, sizes = TASKS[task].D, SETTINGS[task]
    H = width(cell, H, D)
    settings = {"arms": list(STARTS[cell])} | sizes.settings(task, length, H, lr)
    models = len(STARTS[cell]) * len(SEEDS)
    T = steps(task, length)
    cost = core_seconds(settings, models, T, sizes.updates, D, T if task == "timer" else 1)
    setting = f"grid/{task}/cell={cell}/H={H}/lr={lr:g}/length={length}"
    return parts.group("grid", setting, settings, SEEDS, options, cost, "float32")
