"""Trains tied and untied weights on the same rows, in the same order, from the same function, a group of all seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from experiments.harness import arms
from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.harness.training import Batch, rows, train
from experiments.memory.learning import TASKS
from experiments.memory.parts import EXPERIMENT
from experiments.memory.untied.loop import Loop, untie
from experiments.memory.untied.sweep import CLAIM
from experiments.tasks import latch
from impl import draw
from impl.spec import Array, Model
from properties.record import Record

TRAINING, TEST = "training", "test"
Losses = dict[str, dict[int, np.ndarray]]
"""By what was looked at (training, test) and the number of updates: mean losses (E,)."""


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """One record a seed of these metrics.

    training, test: the mean loss on the training rows and on held-out rows, in the loss's unit, under .../weights=tied
        and .../weights=untied; the index is the number of updates.
    N17: the test loss at the end, untied minus tied (index 0); where the group is the claim's under its name too.

    Both are trained in the plain loop, so that they are the same numbers at the start, bit for bit.
    """
    twin, updates = engine(group.engine), group.settings["updates"]
    plain = twin._replace(scan=twin.plain)
    model, data = initial(group, twin), {TRAINING: dataset(group, TRAINING), TEST: dataset(group, TEST)}
    tied = losses(group, plain, model, data, lambda done, total: checkpoint(done, 3 * total))
    apart = plain._replace(scan=Loop(twin.plain)), untie(model, group.settings["T"])
    untied = losses(group, *apart, data, lambda done, total: checkpoint(total + 2 * done, 3 * total))
    checkpoint(updates, updates)
    return [*records(group, tied, untied)]


def losses(
    group: Group, twin: Any, model: Model, data: dict[str, Batch], checkpoint: Callable[[int, int], None]
) -> Losses:
    """Trains the models of an engine, tied or not, and looks at them."""
    s = group.settings
    cell, task = arms.ARMS[s["arm"]].cell, TASKS[s["task"]]
    see = partial(look, twin, cell, task, data={name: twin.asarray(some, group.dtype) for name, some in data.items()})
    seen = {0: see(model)}
    for update in train(twin, cell, task.LOSS, model, batches(group, twin, data[TRAINING]), s["lr"], s["clip"]):
        if update.step in s["looks"]:
            seen[update.step] = see(update.model)
            checkpoint(update.step, s["updates"])
    return {name: {n: found[name] for n, found in seen.items()} for name in data}


def look(twin: Any, cell: str, task: Any, model: Model, data: dict[str, Batch]) -> dict[str, np.ndarray]:
    """The mean loss on each set of rows, (E,), float64."""
    return {name: mean_loss(twin, cell, task, model, some) for name, some in data.items()}


def mean_loss(twin: Any, cell: str, task: Any, model: Model, some: Batch) -> np.ndarray:
    """The mean loss on rows, (E,)."""
    h = twin.scan.forward(cell, model.cell, some.x).states.h[-1:]
    total = getattr(twin.loss, task.LOSS)(twin.head.forward(model.head, h), some.target)[0]
    return twin.numpy(total).astype(float) / some.x.shape[-2]


# What a group computes with


def initial(group: Group, twin: Any) -> Model:
    """The group's tied models at the start, in the twin's arrays."""
    s = group.settings
    task = TASKS[s["task"]]
    models = [
        arms.model(s["arm"], (EXPERIMENT, f"{CLAIM} {s['task']}", s["T"], seed), s["T"], task.D, task.V, s["H"])
        for seed in group.seeds
    ]
    return twin.asarray(draw.group(models), group.dtype)


def dataset(group: Group, purpose: str) -> Batch:
    """Each seed's own training set, or its held-out rows, as NumPy arrays.

    Streams do not know the size, so held-out rows are the same at every size; a larger training set is another draw.
    """
    s = group.settings
    size = s["rows"] if purpose == TRAINING else s["held_out"]
    return rows(TASKS[s["task"]].draw, length(s["task"], s["T"]), streams(group, purpose), size)


def length(task: str, T: int) -> int:
    """What the task's draw takes for T steps."""
    return T - 1 if task == latch.NAME else T


def batches(group: Group, twin: Any, data: Batch) -> Iterator[Batch]:
    """Batches from the training set, each pass over it in a new order; the same for tied and untied weights."""
    s = group.settings
    orders = streams(group, "order")
    B, waiting = min(s["B"], s["rows"]), np.empty((len(orders), 0), int)
    for _ in range(s["updates"]):
        if waiting.shape[1] < B:
            waiting = np.stack([rng.permutation(s["rows"]) for rng in orders])
        some, waiting = waiting[:, :B], waiting[:, B:]
        yield twin.asarray(Batch(chosen(data.x, some), chosen(data.target, some)), group.dtype)


def chosen(a: Array, some: np.ndarray) -> Array:
    """Rows of each model's own: a (K, E, N, V), some (E, B) give (K, E, B, V)."""
    return np.take_along_axis(a, some[None, :, :, None], 2)


def streams(group: Group, purpose: str) -> list[np.random.Generator]:
    """A generator a seed, from the task, T, the seed and the purpose, not from the cell: cells are paired."""
    s = group.settings
    return [draw.generator(EXPERIMENT, CLAIM, s["task"], s["T"], seed, purpose) for seed in group.seeds]


# Records


def records(group: Group, tied: Losses, untied: Losses) -> Iterator[Record]:
    """What both runs say, and their difference."""
    for weights, seen in (("tied", tied), ("untied", untied)):
        for name, by_update in seen.items():
            for n, values in by_update.items():
                yield from group.each(name, n, values, f"{group.setting}/weights={weights}")
    end = group.settings["updates"]
    for setting in (group.setting, *([CLAIM] if group.settings["claim"] else [])):
        yield from group.each("N17", 0, untied[TEST][end] - tied[TEST][end], setting)
