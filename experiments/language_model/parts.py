"""The parts of the experiment, in the order of the report."""

from __future__ import annotations

from experiments.harness.parts import Parts

EXPERIMENT = "language_model"
PARTS = Parts(EXPERIMENT, 2, ("text", "sources", "words"))
group = PARTS.group
