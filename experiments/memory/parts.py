"""The parts of the experiment, in the order of the report."""

from __future__ import annotations

from experiments.harness.parts import Parts

EXPERIMENT = "memory"
PARTS = Parts(EXPERIMENT, 2, ("latch", "tasks"))
group = PARTS.group
