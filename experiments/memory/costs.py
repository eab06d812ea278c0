"""What a group of this experiment costs, as it is predicted before it runs."""

from __future__ import annotations

from typing import Any

from experiments.harness import costs
from experiments.memory.learning import CHUNK


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
    arm = (settings.get("arms") or [settings["arm"]])[0]
    looked = CHUNK * updates / settings["every"] + 2 * settings["held_out"]
    return costs.core_seconds(arm, settings["H"], settings["B"], seeds, steps, updates, looked, D, asked)
