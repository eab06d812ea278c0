"""What is measured, as plain data: starts, widths, updates, seeds, and what each group should cost."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.harness.sweep import Group
from experiments.memory import parts
from experiments.memory.costs import core_seconds
from experiments.tasks import mixed_latch

HEAD = "latch_mixed"
STARTS = {"bf1": "lstm_b1", "torch": "lstm_torch", "bf3": "lstm_b3", "chrono": "lstm_chrono"}
CLAIM = f"{HEAD}/start=bf1"
"""The setting of claim N16."""

H, UPDATES = 16, 300
"""Width and updates of the claim; a setting of others carries them in its path.

In a pilot (seeds from 1000 on) every start had solved the task after 200 updates, and the median spread moved by less
than a tenth of itself from 300 to 1,500. A 10 % quantile of 8 units is half-way to their very shortest; 16 have one.
"""
B, LR, CLIP, HELD_OUT, EVERY = 16, 1e-2, 1.0, 256, 50


class Case(NamedTuple):
    """One setting: a start, seeds, width, updates, the longest delay."""

    start: str
    seeds: int
    H: int = H
    updates: int = UPDATES
    longest: int = mixed_latch.LONGEST

    @property
    def setting(self) -> str:
        """Its path, such as "latch_mixed/start=bf1/H=8"."""
        width = "" if self.H == H else f"/H={self.H}"
        return f"{HEAD}/start={self.start}{width}" + ("" if self.updates <= UPDATES else f"/updates={self.updates}")


QUICK = (Case("bf1", 16), *(Case(start, 8) for start in ("torch", "bf3", "chrono")), Case("bf1", 8, H=8))
PRESETS = {
    "smoke": tuple(Case(start, 8, updates=6, longest=20) for start in STARTS),
    "tour": (Case("bf1", 8, updates=150),),
    "quick": QUICK,
    "full": (
        *QUICK,
        *(Case(start, 16, H=width) for start in STARTS for width in (8, 32) if (start, width) != ("bf1", 8)),
        *(Case(start, 16, updates=1500) for start in STARTS),
    ),
}


def groups(preset: str, options: Any) -> list[Group]:
    """Every case of a preset; all seeds of a case are one group."""
    return [group(case, options) for case in PRESETS[preset]]


def group(case: Case, options: Any) -> Group:
    """One case, in the order of its seeds."""
    settings = {"task": mixed_latch.NAME, "arm": STARTS[case.start], "length": case.longest, "H": case.H, "B": B}
    settings |= {"lr": LR, "clip": CLIP, "updates": case.updates, "every": EVERY, "held_out": HELD_OUT}
    settings |= {"looks": looks(case.updates)}
    return parts.group("scales", case.setting, settings, range(case.seeds), options, cost(case, settings), "float32")


def looks(updates: int) -> list[int]:
    """After how many updates the models are looked at: none, a third of them, all."""
    return sorted({0, updates // 3, updates})


PADDED = 2.0
"""How much more an update costs whose rows end at steps of their own: read-out, loss and masks at all steps."""

LOOK = 2.2e-8
"""Core-seconds of a unit and gate at one step of one held-out row, in the plain loop and float64."""


def cost(case: Case, settings: dict[str, Any]) -> float:
    """Predicted core-seconds of a group: training, with no checks on the way, and the looks."""
    steps = case.longest + 1
    trained = core_seconds(settings | {"held_out": 0, "every": 1e9}, case.seeds, steps, case.updates)
    return PADDED * trained + LOOK * len(settings["looks"]) * steps * HELD_OUT * case.seeds * 4 * case.H
