"""What is measured, as plain data: recurrent weights, and how finely the threshold is sought."""

from __future__ import annotations

from typing import Any

from experiments.gradient_flow import parts
from experiments.harness.sweep import Group

WEIGHTS = (1.05, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 6.0)

STEPS = {"smoke": 400, "tour": 4000, "quick": 40000, "full": 40000}
"""Steps of a push: `predictions.lingering` says how much too high a threshold they give, 3e-8 at most for 40,000."""

BISECTIONS = 32
"""The bracket, 0 to w, is halved so often: to 1.4e-9 at w = 6."""


def groups(preset: str, options: Any) -> list[Group]:
    """One group: the models are the weights, which have no seed."""
    settings: dict[str, Any] = {"weights": list(WEIGHTS), "steps": STEPS[preset], "bisections": BISECTIONS}
    cost = BISECTIONS * STEPS[preset] * SECONDS
    return [parts.group("latch", "latch", settings, (0,), options, cost)]


SECONDS = 1.0e-5
"""Core-seconds a step of all models."""
