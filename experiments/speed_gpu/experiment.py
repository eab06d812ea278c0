"""Runs a group as speed does."""

from experiments.speed.experiment import run

__all__ = ["run"]
