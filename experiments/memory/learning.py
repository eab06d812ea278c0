"""Trains all seeds of one arm on one task as a group, and says which of them solved it, and when.

A group's settings, whatever part it belongs to: task, arm, length, H, B, lr, clip, updates, every, held_out; where the
test has another length than training also test_length; decay, the share of the updates over which the rate falls to
zero at last; stops, false where all updates are run, whoever has solved; where the model is a stack also layers. In
place of one arm there may be `arms`, several of one cell: the group then has all seeds of the first, all of the second,
and so on along axis E, with the same data for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from experiments.harness import arms
from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.harness.training import Batch, choose, falling, fresh, outputs, rows, train
from experiments.memory.parts import EXPERIMENT
from experiments.tasks import (
    a_n_b_n,
    adding,
    bucket_sort,
    copy_memory,
    cost_at,
    digits,
    distractors,
    flip_flop,
    latch,
    mixed_latch,
    mnist1d,
    multiplication,
    parity,
    temporal_order,
    temporal_order_3,
    timer,
    xor,
)
from impl import draw
from impl.spec import Model
from properties.record import Record

MODULES = (
    latch,
    adding,
    multiplication,
    xor,
    temporal_order,
    temporal_order_3,
    copy_memory,
    parity,
    flip_flop,
    timer,
    distractors,
    mixed_latch,
    a_n_b_n,
    bucket_sort,
    digits,
    mnist1d,
)
TASKS = {task.NAME: task for task in MODULES}
NEVER = -1
CHUNK = 250
"""Held-out rows that a model is shown before a check may give it up."""

Checkpoint = Callable[[int, int], None]


class Learned(NamedTuple):
    """What training left: the models (the engine's arrays), when each solved the task (E,) or NEVER, the updates run,
    and the held-out rows by which that was judged (NumPy arrays)."""

    model: Model
    solved_at: np.ndarray
    updates: int
    held_out: Batch


def run(group: Group, checkpoint: Checkpoint) -> list[Record]:
    """One record a seed of: solved, cost and (where answers are right or wrong) accuracy on held-out rows at the end,
    first_solved_step (-1: never), and what the run was given.

    The group trains on until all have solved or the updates are used up, so cost and accuracy are those of the state in
    which the group stopped. The index is the length.
    """
    twin = engine(group.engine)
    learned = learn(group, twin, checkpoint)
    return [*records(group, learned, measured(group, twin, learned.model, learned.held_out))]


def learn(group: Group, twin: Any, checkpoint: Checkpoint) -> Learned:
    """Trains a group until all its models have solved the task (if it stops then) or the updates are used up.

    A seed has solved the task when the mean cost of its held-out rows is below the task's SOLVED_BELOW at a periodic
    check; the first such check is its step.
    """
    s, task, cell = group.settings, task_of(group), cell_of(group)
    asked, solved_at = held_out(group), np.full(len(group.seeds) * len(arms_of(group)), NEVER)
    for update in train(twin, cell, task.LOSS, initial(group, twin), batches(group, twin), rate(s), s["clip"]):
        if update.step % s["every"] == 0 or update.step == s["updates"]:
            if NEVER in solved_at:
                check(solved_at, update.step, twin, cell, task, update.model, asked)
            checkpoint(update.step, s["updates"])
            if NEVER not in solved_at and s.get("stops", True):
                break
    checkpoint(s["updates"], s["updates"])
    return Learned(update.model, solved_at, update.step, asked)


def rate(s: dict[str, Any]) -> Callable[[int], float]:
    """Adam's step size at each update of a group's settings."""
    return falling(s["lr"], s["updates"], s.get("decay", 0.0))


# What a group computes with


def arms_of(group: Group) -> list[str]:
    """The group's arms, by name."""
    s = group.settings
    return s["arms"] if "arms" in s else [s["arm"]]


def cell_of(group: Group) -> str:
    """The cell of the group's arms."""
    (cell,) = {arms.ARMS[arm].cell for arm in arms_of(group)}
    return cell


def task_of(group: Group) -> Any:
    """The group's task: its module's names, with the cost at the length that is asked for."""
    s = group.settings
    task = TASKS[s["task"]]
    return SimpleNamespace(**vars(task) | {"cost": cost_at(task, s.get("test_length", s["length"]))})


def initial(group: Group, twin: Any) -> Model:
    """The group's models at the start, in the twin's arrays."""
    s, task = group.settings, task_of(group)
    given = (task.D, task.V, s["H"], s.get("layers"))
    pairs = [(arm, seed) for arm in arms_of(group) for seed in group.seeds]
    models = [arms.model(arm, (EXPERIMENT, s["task"], s["length"], seed), s["length"], *given) for arm, seed in pairs]
    return twin.asarray(draw.group(models), group.dtype)


def batches(group: Group, twin: Any) -> Iterator[Batch]:
    """Fresh training batches, one an update."""
    s, rngs = group.settings, streams(group, "training")
    drawn = fresh(twin, task_of(group).draw, s["length"], rngs, s["B"], group.dtype, s["updates"])
    return (for_every_arm(group, batch) for batch in drawn)


def held_out(group: Group) -> Batch:
    """Each seed's own held-out rows, the same at every check, as NumPy arrays in the group's dtype."""
    s, task = group.settings, task_of(group)
    drawn = getattr(task, "held_out", task.draw)
    batch = rows(drawn, s.get("test_length", s["length"]), streams(group, "held-out"), s["held_out"])
    batch = Batch(*(a.astype(group.dtype) if a is not None and a.dtype.kind == "f" else a for a in batch))
    return for_every_arm(group, batch)


def for_every_arm(group: Group, batch: Batch) -> Batch:
    """A batch of the group's seeds, of NumPy or the engine, as one of all its models: each arm sees the same rows."""
    if len(arms_of(group)) == 1:
        return batch
    every = list(range(len(group.seeds))) * len(arms_of(group))
    return members(batch, every)


def streams(group: Group, purpose: str) -> list[np.random.Generator]:
    """A generator a seed, from the task, the length, the seed and the purpose, not from the arm: arms are paired."""
    s = group.settings
    return [draw.generator(EXPERIMENT, s["task"], s["length"], seed, purpose) for seed in group.seeds]


# How good a model is


def check(solved_at: np.ndarray, step: int, twin: Any, cell: str, task: Any, model: Model, asked: Batch) -> None:
    """Notes `step` in `solved_at` (E,) for the models that pass now and had not before."""
    open_ = np.flatnonzero(solved_at == NEVER)
    below = getattr(task, "SOLVED_BELOW", 0.0)  # which no cost is below: a task without a criterion is never solved
    cost = mean_cost(twin, cell, task, choose(model, open_), members(asked, open_), below)
    solved_at[open_[cost < below]] = step


def mean_cost(
    twin: Any, cell: str, task: Any, model: Model, asked: Batch, below: float | None = None, of: str = "cost"
) -> np.ndarray:
    """The mean over rows of the task's cost, (E,); with `below`, exact for a model that passes and a lower end else.

    With `below` a model is dropped once its cost so far rules out that it passes, so hopeless ones are shown one chunk.

    Args:
        twin, cell, task, model: an engine, its cell, a module of tasks, a group of models.
        asked: NumPy arrays of the models' own rows.
        below: what the mean must be below for a model to pass; None: every model sees every row.
        of: which of the task's functions of outputs and answers is averaged.
    """
    N, E = asked.x.shape[-2], asked.x.shape[1]
    total, running, function = np.zeros(E), np.arange(E), getattr(task, of)
    for start in range(0, N, CHUNK):
        some = members(asked, running, slice(start, start + CHUNK))
        total[running] += function(answers(twin, cell, choose(model, running), some), *given(some)).sum(-1)
        running = running if below is None else running[total[running] / N < below]
        if not running.size:
            break
    return total / N


def answers(twin: Any, cell: str, model: Model, asked: Batch) -> np.ndarray:
    """The outputs y (K, E, N, V) at the steps that are asked for, as a NumPy array."""
    x, lengths = (part if part is None else twin.asarray(part) for part in (asked.x, asked.lengths))
    return twin.numpy(outputs(twin, cell, model, x, len(asked.target), lengths=lengths))


def given(asked: Batch) -> list[np.ndarray]:
    """What a task's functions take after the outputs."""
    return [part for part in asked[1:] if part is not None]


def members(asked: Batch, which: Any, some: slice = slice(None)) -> Batch:
    """Some models' rows, all of them or some."""
    over_steps = [part if part is None else part[:, which][:, :, some] for part in asked[:3]]
    return Batch(*over_steps, asked.lengths if asked.lengths is None else asked.lengths[which][:, some])


def measured(group: Group, twin: Any, model: Model, asked: Batch) -> dict[str, np.ndarray]:
    """Mean cost and, where answers are right or wrong, the share of rows answered right: each (E,)."""
    task, cell = task_of(group), cell_of(group)
    mean = partial(mean_cost, twin, cell, task, model, asked)
    return {"cost": mean()} | ({"accuracy": mean(of="correct")} if hasattr(task, "correct") else {})


def records(group: Group, learned: Learned, found: dict[str, np.ndarray]) -> Iterator[Record]:
    """What the group's run says, one value a seed and metric; the index is the length. Of several arms each has its own
    setting, below the group's."""
    s, steps = group.settings, learned.solved_at
    given = {"updates": learned.updates, "updates_allowed": s["updates"], "held_out_rows": s["held_out"]}
    each = {"solved": steps != NEVER, **found, "first_solved_step": steps}
    each |= {metric: np.full(len(steps), value) for metric, value in given.items()}
    settings = [group.setting + (f"/arm={arm}" if "arms" in s else "") for arm in arms_of(group)]
    pairs = [(setting, seed) for setting in settings for seed in group.seeds]
    for e, (setting, seed) in enumerate(pairs):
        for metric, values in each.items():
            yield Record(EXPERIMENT, setting, seed, metric, s["length"], float(values[e]))
