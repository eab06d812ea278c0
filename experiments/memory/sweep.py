"""What is measured: the groups of all parts."""

from experiments.memory.parts import PARTS

groups = PARTS.groups
