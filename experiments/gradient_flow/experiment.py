"""Runs a group by the part that it belongs to."""

from experiments.gradient_flow.parts import PARTS

run = PARTS.run
