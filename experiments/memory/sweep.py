"""What is measured, as plain data: tasks, arms, lengths, seeds, and what each group is expected to cost."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.harness.sweep import Group
from experiments.memory.arms import ARMS

VERSION = 1
FIXED = {"H": 8, "B": 16, "lr": 1e-2, "clip": 1.0}
CHUNK = 250
"""Held-out rows that a model is shown before a check may give it up."""


class Preset(NamedTuple):
    """One size of the sweep: lengths, number of seeds, updates, updates between checks, held-out rows a seed."""

    lengths: tuple[int, ...]
    seeds: int
    updates: int = 400
    every: int = 25
    held_out: int = 2000


def ladder(longest: int) -> tuple[int, ...]:
    """Lengths 5, 7, 10, ... up to `longest` by a factor sqrt 2, rounded."""
    lengths: list[int] = []
    while (length := round(5 * 2 ** (len(lengths) / 2))) <= longest:
        lengths.append(length)
    return tuple(lengths)


PRESETS = {
    "smoke": Preset((5, 10), seeds=8, updates=60, held_out=250),
    "tour": Preset(ladder(160), seeds=16),
    "quick": Preset(ladder(320), seeds=16),
    "full": Preset(ladder(1280), seeds=16),
}


def groups(preset: str, options: Any) -> list[Group]:
    """Every arm at every length; all seeds of a cell are one group."""
    sizes = PRESETS[preset]
    return [group("latch", arm, length, sizes, options) for arm in ARMS for length in sizes.lengths]


def group(task: str, arm: str, length: int, sizes: Preset, options: Any) -> Group:
    """One cell of the sweep, in the order of its seeds."""
    settings = {"task": task, "arm": arm, "length": length, **FIXED}
    settings |= {"updates": sizes.updates, "every": sizes.every, "held_out": sizes.held_out}
    return Group(
        experiment="memory",
        version=VERSION,
        setting=f"{task}/arm={arm}/delay={length}",
        settings=settings,
        seeds=tuple(range(sizes.seeds)),
        dtype="float32",
        engine=options.engine,
        data="",
        cost=cost(arm, length, sizes),
    )


SECONDS = {"rnn": (5e-4, 1.8e-5, 2.0e-6, 5e-8), "lstm": (5e-4, 4.6e-5, 6.7e-6, 2.1e-7)}
"""Core-seconds on one AVX-512 core: an update; in it a step, and a step of one model; a step of one held-out row."""

EARLY = {"lstm_b0": (7, 75), "lstm_b1": (14, 75), "lstm_b3": (28, 75), "lstm_chrono": (113, 250)}
EARLY |= {"rnn_uniform": (14, 200), "rnn_orthogonal": (57, 150), "rnn_orthogonal_torch_biases": (28, 150)}
"""Up to which delay 15 or 16 of 16 seeds solved early in a trial (seeds from 1000 on), and the updates it took."""


def cost(arm: str, length: int, sizes: Preset) -> float:
    """Predicted core-seconds of a group; beyond EARLY some seed is expected to use up its updates."""
    update, step, model, row = SECONDS[ARMS[arm].cell]
    longest, early = EARLY[arm]
    updates, steps = min(early, sizes.updates) if length <= longest else sizes.updates, length + 1
    rows = CHUNK * updates / sizes.every + sizes.held_out
    return updates * (update + steps * (step + model * sizes.seeds)) + row * rows * steps * sizes.seeds
