"""What is measured: the groups of all parts."""

from experiments.language_model.parts import PARTS

groups = PARTS.groups
