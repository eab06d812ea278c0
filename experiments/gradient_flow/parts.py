"""The parts of the experiment, in the order of the report."""

from __future__ import annotations

from experiments.harness.parts import Parts

EXPERIMENT = "gradient_flow"
PARTS = Parts(EXPERIMENT, 1, ("lags", "layers", "training", "growth", "spectrum", "latch"))
group = PARTS.group
