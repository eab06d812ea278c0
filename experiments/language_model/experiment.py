"""Runs a group by the part that it belongs to."""

from experiments.language_model.parts import PARTS

run = PARTS.run
