"""What training a group costs, as it is predicted before it runs."""

from __future__ import annotations

from experiments.harness.arms import ARMS

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


def core_seconds(
    arm: str, H: int, B: int, models: int, steps: int, updates: float, looked: float, D: int = 1, asked: int = 1
) -> float:
    """Predicted core-seconds of a group.

    Args:
        arm: a name in ARMS, of which the family counts.
        H, D: units, features of the inputs.
        B: rows of a model's batch.
        models: of the group.
        steps: of a sequence.
        updates: that are expected to be used.
        looked: rows that a model is only shown.
        asked: steps of a sequence whose outputs are asked for.
    """
    family = ARMS[arm].family
    row = steps * (UNIT[family] * H + PRODUCT * GATES[family] * H * (H + D)) + asked * ASKED
    return updates * (UPDATE + steps * STEP[family] + row * B * models) + LOOK * looked * row * models
