"""What training a group costs, as it is predicted before it runs."""

from __future__ import annotations

from typing import Any

from experiments.memory.arms import ARMS
from experiments.memory.learning import CHUNK

UPDATE, STEP = 5e-4, {"rnn": 1.8e-5, "lstm": 4.6e-5}
"""Core-seconds on one AVX-512 core of an update, and in it of a step, whatever the group's size."""

MODEL = {"rnn": 1.0e-6, "lstm": 3.0e-6}
"""The same of a step of one model at H = 8 and B = 16 but for its products."""

FLOP = {"rnn": 1.7e-10, "lstm": 1.2e-10}
"""Of a multiply-add in the products of a step, forward and backward."""

GATES = {"rnn": 1, "lstm": 4}


def core_seconds(settings: dict[str, Any], seeds: int, steps: int, updates: float, D: int = 1) -> float:
    """Predicted core-seconds of a group.

    Args:
        settings: as learning.run takes them.
        seeds: models of the group.
        steps: of a sequence.
        updates: that are expected to be used.
        D: features of the inputs.
    """
    family, H, B = ARMS[(settings.get("arms") or [settings["arm"]])[0]].family, settings["H"], settings["B"]
    row = MODEL[family] * H / 8 + GATES[family] * H * (H + D) * FLOP[family] * 16
    model = row * B / 16
    looked = CHUNK * updates / settings["every"] + settings["held_out"]
    return updates * (UPDATE + steps * (STEP[family] + model * seeds)) + looked * steps * seeds * row / 16 / 3
