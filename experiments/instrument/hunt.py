"""How Hypothesis is asked here: only to draw, as often as it is told, and with nothing remembered from run to run."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from properties.cases import Plan


def asking(examples: int, **how: Any) -> settings:
    """Settings for so many examples: no shrinking, no database, no deadline; a failure is the first there is."""
    fixed = {"phases": (Phase.generate,), "database": None, "deadline": None, "report_multiple_bugs": False}
    return settings(max_examples=examples, suppress_health_check=list(HealthCheck), **fixed, **how)


def drawn(start: int, examples: int, strategy: SearchStrategy) -> list[Plan]:
    """The plans that a seed draws."""
    found: list[Plan] = []

    @seed(start)
    @asking(examples)
    @given(plan=strategy)
    def note(plan: Plan) -> None:
        found.append(plan)

    note()
    return found
