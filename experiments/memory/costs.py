"""What training a group costs, as it is predicted before it runs."""

from __future__ import annotations

from typing import Any

from experiments.memory.arms import ARMS
from experiments.memory.learning import CHUNK

UPDATE, STEP = 8e-4, {"rnn": 1.3e-5, "lstm": 5.7e-5}
"""Core-seconds on one AVX-512 core of an update, and in it of a step, whatever the group's size."""

UNIT = {"rnn": 5.8e-9, "lstm": 3.1e-8}
"""The same of a unit's row in a step, of one model, forward and backward."""

PRODUCT = 1.2e-11
"""Of a multiply-add in the products of a step."""

ASKED = 1.5e-7
"""Of a row at a step that is asked for: read-out, loss and their gradients."""

GATES = {"rnn": 1, "lstm": 4}
LOOK = 1 / 3
"""What a row costs that is only looked at, of one that is learnt from."""


def core_seconds(settings: dict[str, Any], seeds: int, steps: int, updates: float, D: int = 1, asked: int = 1) -> float:
    """Predicted core-seconds of a group.

    Args:
        settings: as learning.run takes them.
        seeds: models of the group.
        steps: of a sequence.
        updates: that are expected to be used.
        D: features of the inputs.
        asked: steps of a sequence whose outputs are asked for.
    """
    family, H, B = ARMS[(settings.get("arms") or [settings["arm"]])[0]].family, settings["H"], settings["B"]
    row = steps * (UNIT[family] * H + PRODUCT * GATES[family] * H * (H + D)) + asked * ASKED
    looked = CHUNK * updates / settings["every"] + 2 * settings["held_out"]
    return updates * (UPDATE + steps * STEP[family] + row * B * seeds) + LOOK * looked * row * seeds
