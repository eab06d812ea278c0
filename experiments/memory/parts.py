"""The parts of the experiment, in the order of the report."""

from __future__ import annotations

from experiments.harness.parts import Parts

EXPERIMENT = "memory"
PARTS = Parts(EXPERIMENT, 2, ("latch", "lengths", "tasks", "carried", "gates", "scales", "untied", "layers", "grid"))
group = PARTS.group
