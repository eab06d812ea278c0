"""What is measured, as plain data: ten tasks at one setting each, for two starts of either cell."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from experiments.harness.arms import ARMS
from experiments.harness.sweep import Group
from experiments.memory import parts
from experiments.memory.costs import core_seconds
from experiments.memory.learning import TASKS
from experiments.tasks import (
    a_n_b_n,
    bucket_sort,
    copy_memory,
    digits,
    flip_flop,
    mnist1d,
    multiplication,
    parity,
    temporal_order_3,
    xor,
)

B, CLIP, EVERY, HELD_OUT = 32, 1.0, 25, 1000
BOTH = ("lstm_b1", "lstm_chrono", "rnn_uniform", "rnn_orthogonal")


class Setting(NamedTuple):
    """How cells are trained on a task in the quick preset.

    Attributes:
        length, test_length: as learning.run takes them.
        asked: steps of a sequence that are asked for.
        steps: of a training sequence.
        H: units, the same for either cell.
        lr, updates: Adam's rate and the updates allowed, LSTM and RNN.
        early: the updates that an arm is expected to use where all of its seeds solve before.
        arms: those that the preset's time allows.
    """

    length: int
    steps: int
    H: int
    lr: tuple[float, float]
    updates: tuple[int, int]
    early: Mapping[str, int] = MappingProxyType({})
    test_length: int | None = None
    arms: tuple[str, ...] = BOTH
    asked: int = 1


SETTINGS = {
    copy_memory.NAME: Setting(20, 31, 64, (2e-2, 2e-3), (900, 900), arms=BOTH[1:], asked=5),
    parity.NAME: Setting(
        parity.TRAINING_LENGTH, 40, 16, (1e-2, 1e-2), (300, 1000), {"lstm_b1": 175, "lstm_chrono": 275}, 100, asked=40
    ),
    flip_flop.NAME: Setting(
        flip_flop.STEPS, 64, 16, (1e-2, 1e-2), (400, 400), dict.fromkeys(("lstm_b1", *BOTH[2:]), 225), asked=64
    ),
    a_n_b_n.NAME: Setting(10, 21, 16, (1e-2, 1e-2), (600, 1000), {"lstm_chrono": 300}, 14, asked=42),
    bucket_sort.NAME: Setting(8, 16, 16, (1e-2, 5e-3), (600, 1000), {"lstm_b1": 350, "lstm_chrono": 300}, asked=8),
    temporal_order_3.NAME: Setting(40, 40, 16, (1e-2, 3e-3), (600, 1000), {"lstm_b1": 400, "lstm_chrono": 300}),
    multiplication.NAME: Setting(50, 50, 16, (1e-2, 3e-3), (800, 800), {"lstm_chrono": 500}, arms=BOTH[1:]),
    xor.NAME: Setting(10, 10, 16, (5e-3, 5e-3), (1600, 1600), arms=("lstm_chrono", "rnn_orthogonal")),
    mnist1d.NAME: Setting(mnist1d.STEPS, 40, 32, (1e-2, 3e-3), (1000, 1000), arms=(BOTH[0], *BOTH[2:])),
    digits.NAME: Setting(digits.STEPS, 64, 32, (1e-2, 3e-3), (600, 600), arms=(BOTH[0], BOTH[3])),
}
"""Rates and units of copy, parity, flip-flop, digits and MNIST-1D are the pilot's, where it says them; those of the
others and the rate of copy's RNN come of a first run (seeds from 1000 on), in which no arm left chance on XOR at T = 50
within 1000 updates, and some did at 10. The MNIST digits themselves are no part: their files are the user's."""

TOUR = {bucket_sort.NAME: BOTH, parity.NAME: ("lstm_b1",)}
SEEDS = {"smoke": 8, "tour": 8, "quick": 8, "full": 16}
LONGER = 3
"""Times the quick preset's updates that a full one is allowed."""


def groups(preset: str, options: Any) -> list[Group]:
    """Every task for its arms; all seeds of a cell are one group."""
    return [group(name, arm, preset, options) for name in SETTINGS for arm in arms(name, preset)]


def arms(name: str, preset: str) -> tuple[str, ...]:
    """The arms of a task in a preset."""
    if preset == "tour":
        return TOUR.get(name, ())
    return SETTINGS[name].arms if preset == "quick" else BOTH


def group(name: str, arm: str, preset: str, options: Any) -> Group:
    """One arm on one task."""
    at, seeds, second = SETTINGS[name], SEEDS[preset], ARMS[arm].family == "rnn"
    allowed = {"smoke": 4, "full": LONGER * at.updates[second]}.get(preset, at.updates[second])
    settings = {"task": name, "arm": arm, "length": at.length, "H": at.H, "B": B, "lr": at.lr[second], "clip": CLIP}
    settings |= {"updates": allowed, "every": min(EVERY, allowed), "held_out": 60 if preset == "smoke" else HELD_OUT}
    settings |= {"test_length": at.test_length} if at.test_length else {}
    used = min(at.early.get(arm, allowed), allowed)
    cost = core_seconds(settings, seeds, at.steps, used, TASKS[name].D, at.asked)
    setting = f"{name}/arm={arm}/length={at.length}"
    return parts.group("tasks", setting, settings, range(seeds), options, cost, "float32")
