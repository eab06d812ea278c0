"""Trains all seeds of one arm at one length as a group, and says which of them solved the task, and when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.harness.training import Batch, choose, outputs, train
from experiments.memory import arms
from experiments.memory.sweep import CHUNK
from experiments.tasks import latch
from impl import draw
from impl.spec import Model
from properties.record import Record

TASKS = {"latch": latch}
NEVER = -1


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """One record a seed of: solved, accuracy, first_solved_step (-1: never), and what the run was given.

    A seed has solved the task when more than `SOLVED_ABOVE` of its held-out sequences are answered right at a periodic
    check; the first such check is its step. The group trains on until all have solved or the updates are used up, so
    `accuracy` is that of the state in which the group stopped.
    """
    s, twin = group.settings, engine(group.engine)
    task, cell = TASKS[s["task"]], arms.ARMS[s["arm"]].cell
    (x, target), solved_at = held_out(group), np.full(len(group.seeds), NEVER)
    for update in train(twin, cell, task.LOSS, initial(group, twin), batches(group, twin), s["lr"], s["clip"]):
        if update.step % s["every"] == 0 or update.step == s["updates"]:
            check(solved_at, update.step, twin, cell, task, update.model, x, target)
            checkpoint(update.step, s["updates"])
            if NEVER not in solved_at:
                break
    checkpoint(s["updates"], s["updates"])
    accuracy = share_right(twin, cell, task, update.model, x, target)
    return [*records(group, solved_at, accuracy, update.step)]


def initial(group: Group, twin: Any) -> Model:
    """The group's models at the start, in the twin's arrays."""
    s, task = group.settings, TASKS[group.settings["task"]]
    models = [arms.model(s["arm"], s["task"], s["length"], seed, task.D, task.V, s["H"]) for seed in group.seeds]
    return twin.asarray(draw.group(models), group.dtype)


def batches(group: Group, twin: Any) -> Iterator[Batch]:
    """Fresh training batches in the twin's arrays, one an update, each model's rows from its own stream."""
    rngs = streams(group, "training")
    for _ in range(group.settings["updates"]):
        yield Batch(*twin.asarray(rows(group, rngs, group.settings["B"]), group.dtype))


def held_out(group: Group) -> tuple[np.ndarray, np.ndarray]:
    """Each seed's own held-out rows, the same at every check: x (T, E, N, D), target (K, E, N, V)."""
    return rows(group, streams(group, "held-out"), group.settings["held_out"])


def streams(group: Group, purpose: str) -> list[np.random.Generator]:
    """A generator a seed, from the task, the length, the seed and the purpose, not from the arm: arms are paired."""
    s = group.settings
    return [draw.generator("memory", s["task"], s["length"], seed, purpose) for seed in group.seeds]


def rows(group: Group, rngs: list[np.random.Generator], B: int) -> tuple[np.ndarray, np.ndarray]:
    """B rows from each stream, in the group's dtype: x (T, E, B, D), target (K, E, B, V)."""
    task, length = TASKS[group.settings["task"]], group.settings["length"]
    drawn = ([a.astype(group.dtype) for a in task.draw(rng, length, B)] for rng in rngs)
    x, target = (np.stack(arrays, 1) for arrays in zip(*drawn, strict=True))
    return x, target


def check(
    solved_at: np.ndarray, step: int, twin: Any, cell: str, task: Any, model: Model, x: np.ndarray, target: np.ndarray
) -> None:
    """Notes `step` in `solved_at` (E,) for the models that pass now and had not before."""
    open_ = np.flatnonzero(solved_at == NEVER)
    share = share_right(twin, cell, task, choose(model, open_), x[:, open_], target[:, open_], task.SOLVED_ABOVE)
    solved_at[open_[share > task.SOLVED_ABOVE]] = step


def share_right(
    twin: Any, cell: str, task: Any, model: Model, x: np.ndarray, target: np.ndarray, above: float | None = None
) -> np.ndarray:
    """The share of rows answered right, (E,); with `above`, exact for a model that passes it and an upper end else.

    With `above` a model is dropped once its errors so far rule out that it passes, so hopeless ones cost one chunk.
    """
    _, E, N, _ = x.shape
    wrong, running = np.zeros(E, int), np.arange(E)
    for start in range(0, N, CHUNK):
        some = slice(start, start + CHUNK)
        y = outputs(twin, cell, choose(model, running), twin.asarray(x[:, running, some]), len(target))
        wrong[running] += (~task.correct(twin.numpy(y), target[:, running, some])).sum(-1)
        running = running if above is None else running[(N - wrong[running]) / N > above]
        if not running.size:
            break
    return (N - wrong) / N


def records(group: Group, solved_at: np.ndarray, accuracy: np.ndarray, updates: int) -> Iterator[Record]:
    """What the group's run says, one value a seed and metric; the index is the length."""
    s = group.settings
    same = {"updates": updates, "updates_allowed": s["updates"], "held_out_rows": s["held_out"]}
    for seed, step, share in zip(group.seeds, solved_at.tolist(), accuracy.tolist(), strict=True):
        values = {"solved": step != NEVER, "accuracy": share, "first_solved_step": step, **same}
        for metric, value in values.items():
            yield Record("memory", group.setting, seed, metric, s["length"], float(value))
