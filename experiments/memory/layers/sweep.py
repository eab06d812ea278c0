"""What is measured, as plain data: comparisons, depths, seeds, and what each group is expected to cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments.harness.arms import ARMS
from experiments.harness.sweep import Group
from experiments.memory import parts
from experiments.memory.costs import core_seconds
from experiments.memory.layers.trials import (
    COMPARISONS,
    DEPTH,
    FIXED,
    HELD_OUT,
    UPDATES,
    Choice,
    Trial,
    chosen,
    expected,
    read,
)

DEPTHS = (1, 2, DEPTH)
CELLS = ("lstm", "rnn")
LOOKED_AT = 64
"""Held-out rows a seed on which the gradient is looked at."""


class Preset(NamedTuple):
    """One size of the sweep: seeds, updates, rows, the longest lag whatever was chosen, updates between checks."""

    seeds: int
    updates: int = UPDATES
    held_out: int = HELD_OUT
    longest: int | None = None
    every: int = 25


PRESETS = {
    "smoke": Preset(8, updates=25, held_out=250, longest=5),
    "tour": Preset(8, longest=14),
    "quick": Preset(8),
    "full": Preset(16),
}
"""In smoke and tour the lag is cut, so that they say nothing of the longest lag that one layer solves."""


def groups(preset: str, options: Any) -> list[Group]:
    """Every depth of each comparison; a group trains both cells, since they are compared seed by seed."""
    trials = read()
    return [
        group(comparison, chosen(trials, comparison), layers, PRESETS[preset], options, trials)
        for comparison in COMPARISONS
        for layers in DEPTHS
    ]


def group(
    comparison: str, choice: Choice, layers: int, sizes: Preset, options: Any, trials: Sequence[Trial] = ()
) -> Group:
    """Both cells of a comparison at one depth, in the order of the seeds; the trials tell how soon they may stop."""
    lag = min(choice.lag, sizes.longest or choice.lag)
    cells = {cell: getattr(choice, cell)._asdict() for cell in CELLS}
    settings = {**FIXED, "length": lag, "longest": choice.lag, "layers": layers, "cells": cells}
    settings |= {"updates": sizes.updates, "every": sizes.every, "held_out": sizes.held_out, "looked_at": LOOKED_AT}
    cost = 0.0
    for cell, given in cells.items():
        likely = expected(trials, comparison, getattr(choice, cell), layers, lag) if trials else sizes.updates
        cost += cost_of(settings | given, sizes.seeds, min(likely, sizes.updates))
    setting = f"{comparison}/latch/layers={layers}"
    return parts.group("layers", setting, settings, range(sizes.seeds), options, cost, "float32")


LOOK = {"rnn": 1.5e-6, "lstm": 6e-6}
"""Core-seconds of a look at the gradient: a step of one layer of one model at H = 8, in float64."""


BETWEEN = 1.15
"""How much more a layer above the first costs than one of as many features alone: its gradient goes on below it."""


def cost_of(settings: dict[str, Any], seeds: int, updates: int) -> float:
    """Predicted core-seconds of one cell's part of a group in so many updates: every layer as one alone, those above
    the first with H features."""
    n, steps = settings["layers"], settings["length"] + 1
    lowest, above = (core_seconds(settings, seeds, steps, updates, D) for D in (1, settings["H"]))
    look = LOOK[ARMS[settings["arm"]].family] * settings["H"] / 8 * steps * seeds * n * 2
    return lowest + BETWEEN * (n - 1) * above + look
