"""Trains the full LSTM and its variants on one task, for equally many updates on the same data, and compares them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from experiments.harness import arms
from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.memory import learning
from experiments.memory.gates.sweep import WHOLE
from experiments.memory.parts import EXPERIMENT
from properties.record import Record

CLAIMS = {
    ("flip_flop", "lstm_no_forget"): ("N8", "flip_flop/without=forget"),
    ("distractors", "lstm_no_input"): ("N9", "latch_distractors/without=input"),
    ("flip_flop", "lstm_no_output"): ("N10", "flip_flop/without=output"),
    ("latch", "lstm_no_output"): ("N10", "latch/without=output"),
}
"""Which pair decides which claim, and under which setting, at equal width."""

Found = dict[str, np.ndarray]


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """What `learning.records` has of every arm (setting .../arm=ARM), and on the flip-flop signs: the share of signs
    that are right; H. All updates are run, so cost and accuracy are those after equally many.

    N8: the cost without the gate over that with it. N9, N10: accuracy (flip-flop: signs) with minus without it.
    """
    s, found, records = group.settings, dict[str, Found](), list[Record]()
    for n, (arm, H) in enumerate(zip(s["variants"], s["widths"], strict=True)):
        done, total = n * s["updates"], len(s["variants"]) * s["updates"]
        one = replace(group, setting=f"{group.setting}/arm={arm}", settings=s | {"arm": arm, "H": H})
        found[arm], some = learnt(one, lambda k, _, done=done, total=total: checkpoint(done + k, total))
        records += some
    return [*records, *(compared(group, found) if s["decides"] else ())]


def learnt(group: Group, checkpoint: Callable[[int, int], None]) -> tuple[Found, list[Record]]:
    """One arm's measures, each (E,), and its records."""
    twin = engine(group.engine)
    learned = learning.learn(group, twin, checkpoint)
    found = learning.measured(group, twin, learned.model, learned.held_out)
    task, cell = learning.task_of(group), arms.ARMS[group.settings["arm"]].cell
    if hasattr(task, "signs_right"):
        found["signs"] = learning.mean_cost(twin, cell, task, learned.model, learned.held_out, of="signs_right")
    given = {"H": np.full(len(group.seeds), group.settings["H"])}
    return found, [*learning.records(group, learned, found | given)]


def compared(group: Group, found: dict[str, Found]) -> Iterator[Record]:
    """The numbers of the claims that the task decides, one a seed."""
    for (task, arm), (claim, setting) in CLAIMS.items():
        if task == group.settings["task"] and arm in found:
            for seed, value in zip(group.seeds, effect(claim, found[WHOLE], found[arm]), strict=True):
                yield Record(EXPERIMENT, setting, seed, claim, 0, float(value))


def effect(claim: str, whole: Found, without: Found) -> np.ndarray:
    """What a claim compares, seed by seed: (E,)."""
    if claim == "N8":
        return without["cost"] / whole["cost"]
    right = "signs" if "signs" in whole else "accuracy"
    return whole[right] - without[right]
