"""What is measured, as plain data: arms, delays, seeds, and what each group is expected to cost."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.harness.sweep import Group
from experiments.memory import parts
from experiments.memory.costs import core_seconds

FIXED = {"H": 8, "B": 16, "lr": 1e-2, "clip": 1.0}

EVERY_ARM = (
    "lstm_b0",
    "lstm_b1",
    "lstm_b3",
    "lstm_chrono",
    "rnn_uniform",
    "rnn_orthogonal",
    "rnn_identity",
    "irnn",
    "rnn_orthogonal_torch_biases",
)


class Preset(NamedTuple):
    """One size of the sweep: lengths, number of seeds, arms, updates, updates between checks, held-out rows a seed."""

    lengths: tuple[int, ...]
    seeds: int
    arms: tuple[str, ...] = EVERY_ARM
    updates: int = 400
    every: int = 25
    held_out: int = 2000


def ladder(longest: int, shortest: int = 5, steps: int = 2) -> tuple[int, ...]:
    """Lengths from the shortest up to `longest`, rounded, with so many steps to a doubling: 5, 7, 10, ..."""
    lengths: list[int] = []
    while (length := round(shortest * 2 ** (len(lengths) / steps))) <= longest:
        lengths.append(length)
    return tuple(lengths)


PRESETS = {
    "smoke": Preset((5, 10), seeds=8, updates=60, held_out=250),
    "tour": Preset(ladder(160, steps=1), 8, EVERY_ARM[:6]),
    "quick": Preset(ladder(160, steps=1), 8, EVERY_ARM[:8]),
    "full": Preset(ladder(1280), seeds=16),
}


def groups(preset: str, options: Any) -> list[Group]:
    """Every arm at every length; all seeds of a cell are one group."""
    sizes = PRESETS[preset]
    return [group(arm, length, sizes, options) for arm in sizes.arms for length in sizes.lengths]


def group(arm: str, length: int, sizes: Preset, options: Any) -> Group:
    """One cell of the sweep, in the order of its seeds."""
    settings = {"task": "latch", "arm": arm, "length": length, **FIXED}
    settings |= {"updates": sizes.updates, "every": sizes.every, "held_out": sizes.held_out}
    longest, early = EARLY[arm]
    updates = min(early, sizes.updates) if length <= longest else sizes.updates
    cost = core_seconds(settings, sizes.seeds, length + 1, updates)
    setting = f"latch/arm={arm}/delay={length}"
    return parts.group("latch", setting, settings, range(sizes.seeds), options, cost, "float32")


EARLY = {"lstm_b0": (7, 75), "lstm_b1": (14, 75), "lstm_b3": (28, 75), "lstm_chrono": (113, 250)}
EARLY |= {"rnn_uniform": (14, 200), "rnn_orthogonal": (57, 150), "rnn_orthogonal_torch_biases": (28, 150)}
EARLY |= {"rnn_identity": (28, 150), "irnn": (28, 150)}
"""Up to which delay 15 or 16 of 16 seeds solved early in a trial (seeds from 1000 on), and the updates it took."""
