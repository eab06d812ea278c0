"""Runs a group by the part that it belongs to."""

from experiments.memory.parts import PARTS

run = PARTS.run
