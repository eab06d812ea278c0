"""Trains all seeds of all starts of one cell as a group."""

from experiments.memory.learning import run

__all__ = ["run"]
