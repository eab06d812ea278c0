"""Trains all seeds of one arm on one task as a group."""

from experiments.memory.learning import run

__all__ = ["run"]
