"""Trains all seeds of one run as a group, and reads the models: on the latch by exchange, on adding by their gates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from experiments.harness import arms
from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.memory import learning
from experiments.memory.carried import exchange, marks
from experiments.memory.learning import Learned
from experiments.memory.parts import EXPERIMENT
from properties.record import Record


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """What `learning.records` has, and holds: whether the model solves the task as training left it. Then one number a
    seed (on the latch a seed that does not hold gives none, nor one for which there is no number) of:

    follows (setting .../exchange=WHAT/at=PART, WHAT in c, h, both, none): the share of answers that are the bit of the
        sequence from which WHAT was taken after that part of the delay.
    flips, product (the index is the unit): the share of answers that change when the unit's c alone is exchanged
        half-way; the mean over rows of the product of its forget gates over the delay.
    best, carriers, carried: the largest share that one unit flips; the units that flip more than CARRIES; the largest
        product among them, no number where there is none (decisions/0030).
    needed, needed_product: how many units, those that move the logit most first, flip more than CARRIES together, and
        the largest product among them.
    start: the largest of sigma(b_f)^delay over the units before training.
    trained, untrained (setting .../gate=GATE, the index is the step from a marked one): a gate's mean over units, rows
        and marked steps.
    contrast_trained, contrast_untrained, contrast: a gate's mean at marked minus at unmarked steps; the first minus the
        second.

    The runs that decide a claim give its number again, under the claim's own setting.
    """
    twin = engine(group.engine)
    learned = learning.learn(group, twin, checkpoint)
    found = learning.measured(group, twin, learned.model, learned.held_out)
    found["holds"] = found["cost"] < learning.task_of(group).SOLVED_BELOW
    read = latch if group.settings["task"] == "latch" else adding
    return [*learning.records(group, learned, found), *read(group, twin, learned, found["holds"])]


def latch(group: Group, twin: Any, learned: Learned, holds: np.ndarray) -> Iterator[Record]:
    """The records of exchanges."""
    s = group.settings
    asked = exchange.opposed(learning.rows(learning.task_of(group).draw, s["length"], streams(group), s["held_out"]))
    seen = exchange.measure(twin, learned.model, asked, s["length"])
    for (what, at), follows in seen.follows.items():
        yield from each(group, f"{group.setting}/exchange={what}/at={at:g}", "follows", 0, follows, holds)
    for unit in range(s["H"]):
        yield from each(group, group.setting, "flips", unit, seen.flips[:, unit], holds)
        yield from each(group, group.setting, "product", unit, seen.product[:, unit], holds)
    carriers, carried = largest(seen.flips, seen.product)
    needed = exchange.needed(twin, learned.model, asked, s["length"], seen.shift)
    numbers = {"best": seen.flips.max(-1), "carriers": carriers, "carried": carried, "needed": needed}
    numbers["needed_product"] = exchange.of_set(seen.product, seen.shift, needed)
    numbers["start"] = exchange.at_start(biases(group, twin), s["length"])
    for metric, values in numbers.items():
        yield from each(group, group.setting, metric, 0, values, holds)
    if "N7" in s["claims"]:
        yield from each(group, "latch/exchange=c", "N7", 0, seen.follows["c", exchange.HALF], holds)
    if "N14" in s["claims"]:
        yield from each(group, "latch/carried/start=torch", "N14", 0, carried, holds)


def largest(flips: np.ndarray, product: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many units carry the bit, and the largest product among them, NaN where none does: (E, H) give (E,)."""
    carries = flips > exchange.CARRIES
    return carries.sum(-1), np.where(carries.any(-1), np.where(carries, product, 0.0).max(-1), np.nan)


def adding(group: Group, twin: Any, learned: Learned, holds: np.ndarray) -> Iterator[Record]:
    """The records of gates, of all seeds: the rule of N13 does not ask whether they solved."""
    s = group.settings
    x = learning.rows(learning.task_of(group).draw, s["length"], streams(group), s["held_out"]).x.astype(group.dtype)
    after, before = (marks.gates(twin, model, x) for model in (learned.model, learning.initial(group, twin)))
    marked = x[..., 1] > 0
    for gate in marks.GATES:
        here = f"{group.setting}/gate={gate}"
        for metric, values in (("trained", after[gate]), ("untrained", before[gate])):
            for offset in marks.OFFSETS:
                yield from each(group, here, metric, offset, marks.around(values, marked, offset))
        trained, untrained = (marks.contrast(values[gate], marked) for values in (after, before))
        yield from each(group, here, "contrast_trained", 0, trained)
        yield from each(group, here, "contrast_untrained", 0, untrained)
        yield from each(group, here, "contrast", 0, trained - untrained)
        if "N13" in s["claims"] and gate == "input":
            yield from each(group, "adding/gate=input", "N13", 0, trained - untrained)


def biases(group: Group, twin: Any) -> np.ndarray:
    """The summed forget biases at the start, (E, H)."""
    cells = learning.initial(group, twin).cell
    return exchange.forget_bias(arms.ARMS[group.settings["arm"]].cell, twin.numpy(cells))


def streams(group: Group) -> list[np.random.Generator]:
    """Rows of their own for what is read off: neither trained on nor what decided that a seed solved."""
    return learning.streams(group, "carried")


def each(
    group: Group, setting: str, metric: str, index: float, values: np.ndarray, some: np.ndarray | None = None
) -> Iterator[Record]:
    """One record a seed that has a number, of some seeds alone."""
    for e, seed in enumerate(group.seeds):
        if (some is None or some[e]) and not np.isnan(values[e]):
            yield Record(EXPERIMENT, setting, seed, metric, index, float(values[e]))
