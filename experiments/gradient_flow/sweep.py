"""What is measured: the groups of all parts."""

from experiments.gradient_flow.parts import PARTS

groups = PARTS.groups
