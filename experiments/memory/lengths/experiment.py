"""Trains all seeds of one arm at one length as a group."""

from experiments.memory.learning import run

__all__ = ["run"]
