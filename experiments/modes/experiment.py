"""Trains all seeds of one cell on the data of one mode as a group, and judges them on held-out rows.

A group's settings: mode, data, arm, H, B, lr, clip, updates, decay (as training.falling has it), every (the updates
between looks at the validation rows), rows (the most that are looked at of a held-out part; all if None), inputs:
"own", or "shuffled_in_training" where each training row has the input of another row.

Success is the share of the rows whose whole answer is right, in the aligned mode the share of the steps. Records by
seed, at MODE/data=NAME/cell=CELL/inputs=own; the index is the number of updates unless it says otherwise:

    success_validation    on the validation rows, by update
    success               on the test rows, at the end; at .../kind=NAME on those of one kind
    success_by_step       the share of the rows that are right at a step, by step; in many to one: if read out there
    chance                success of the best answer that knows no input
    N5                    success - chance, for the data that decide
    rows                  test rows, as many as success is the mean of
    other_twin_differs    test rows on which the other twin, given the same parameters, chooses otherwise
    lr, H, B              Adam's rate, units, rows of a batch
    breaks, cases         at .../law=modes: of the law of the mode on the trained models, in rows

At .../inputs=shuffled stand success, chance and N5 of the same models where each test row has another row's input, at
.../inputs=shuffled_in_training those of models that were trained so. At .../example=ROW stands what the first seed said
of a test row: target and answer by step, and what the row shows (`data.shown`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import numpy as np

from experiments.harness import arms
from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.harness.training import Batch, Coder, choose, falling, fresh, train
from experiments.modes import data, laws
from experiments.modes.answering import CHUNK, choices, exchanged, other_rows, rows_of
from experiments.modes.data import DECIDING, task_of
from experiments.tasks import answers
from impl import draw
from impl.spec import Model
from properties.record import Record

EXPERIMENT = "modes"
FIRST, WRONG = 8, 8
"""Test rows that are shown in the report: the first, and of those that the first seed got wrong."""

Checkpoint = Callable[[int, int], None]


def run(group: Group, checkpoint: Checkpoint) -> list[Record]:
    """The records of a group."""
    s, twin, task = group.settings, engine(group.engine), task_of(group)
    cell, found, asked = arms.ARMS[s["arm"]].cell, [], held_out(group, task.validation)
    how = {"lr": falling(s["lr"], s["updates"], s["decay"]), "max_norm": s["clip"]}
    for update in train(twin, cell, task.LOSS, initial(group, task, twin), batches(group, task, twin), **how):
        if update.step % s["every"] == 0 or update.step == s["updates"]:
            value = success(task, choices(twin, cell, task.MODE, update.model, asked), asked)
            found += group.each("success_validation", update.step, value)
            checkpoint(update.step, s["updates"])
    return [*found, *final(group, task, twin, cell, update.model)]


def initial(group: Group, task: Any, twin: Any) -> Model:
    """The group's models at the start, in the twin's arrays."""
    return twin.asarray(draw.group([model(group, task, seed) for seed in group.seeds]), group.dtype)


def model(group: Group, task: Any, seed: int) -> Model:
    """One model; an encoder-decoder's decoder begins as a model of its own, on the V features of what was said."""
    s, words = group.settings, words_of(group, seed)
    one = arms.model(s["arm"], words, task.STEPS, task.D, task.V, s["H"])
    if task.MODE != "delayed":
        return one
    speaks = arms.model(s["arm"], (*words, "decoder"), task.STEPS, task.V, task.V, s["H"])
    return Model(Coder(one.cell, speaks.cell), speaks.head)


def words_of(group: Group, *more: Any) -> tuple[Any, ...]:
    """Words of a generator: the data and what is given, not the arm, so that arms are paired."""
    return EXPERIMENT, group.data or group.settings["data"], *more


def batches(group: Group, task: Any, twin: Any) -> Iterator[Batch]:
    """Fresh training batches, one an update."""
    s, streams = group.settings, [draw.generator(*words_of(group, seed, "training")) for seed in group.seeds]

    def shuffled(rng: np.random.Generator, length: int, B: int) -> Batch:
        (ring,) = rng.spawn(1)  # so that rows stay those of the models beside it
        return exchanged(task.MODE, Batch(*task.draw(rng, length, B)), other_rows(ring, B))

    drawn = shuffled if s["inputs"] != "own" else task.draw
    return fresh(twin, drawn, task.STEPS, streams, s["B"], group.dtype, s["updates"])


def held_out(group: Group, part: Callable[[], tuple[Any, ...]]) -> Batch:
    """The rows of a part; the first ones where the group asks for so many alone."""
    return rows_of(Batch(*part()), slice(0, group.settings["rows"]))


def success(task: Any, said: np.ndarray, asked: Batch) -> np.ndarray:
    """The mean over rows of what each model's choices (K, E, N) are worth, (E,)."""
    return task.answered(said, asked.target, asked.mask).mean(-1)


# At the end


def final(group: Group, task: Any, twin: Any, cell: str, trained: Model) -> Iterator[Record]:
    """What the trained models do with the test rows."""
    asked = held_out(group, task.test)
    chosen = choices(twin, cell, task.MODE, trained, asked)
    yield from judged(group, task, success(task, chosen, asked), asked, group.setting)
    for name in ("lr", "H", "B"):
        yield from group.each(name, group.settings["updates"], group.settings[name])
    if group.settings["inputs"] == "own":
        yield from control(group, task, twin, cell, trained, asked)
        yield from kinds(group, task, chosen, asked)
        yield from steps(group, task, twin, cell, trained, chosen, asked)
        yield from kept(group, task, twin, cell, trained, asked)
        yield from retold(group, task, twin, cell, trained, asked, chosen)
        yield from examples(group, task, chosen[:, 0], asked)


def judged(group: Group, task: Any, worth: np.ndarray, asked: Batch, setting: str) -> Iterator[Record]:
    """Success (E,) on the test rows beside its chance; of the data that decide also what N5 asks for."""
    chance = answers.blind(task, asked.target, asked.mask)
    found = {"success": worth, "chance": chance, "rows": asked.target.shape[1]}
    if DECIDING.get(task.MODE) == group.settings["data"]:
        found["N5"] = worth - chance
    for metric, values in found.items():
        yield from group.each(metric, group.settings["updates"], values, setting)


def control(group: Group, task: Any, twin: Any, cell: str, trained: Model, asked: Batch) -> Iterator[Record]:
    """The same models where each test row has the input of another, each model by a ring of rows of its own."""
    found = []
    for e, seed in enumerate(group.seeds):
        ring = draw.generator(*words_of(group, seed, "other rows"))
        others = exchanged(task.MODE, asked, other_rows(ring, asked.target.shape[1]))
        found.append(success(task, choices(twin, cell, task.MODE, choose(trained, [e]), others), others)[0])
    yield from judged(group, task, np.array(found), asked, group.setting.replace("/inputs=own", "/inputs=shuffled"))


def kinds(group: Group, task: Any, chosen: np.ndarray, asked: Batch) -> Iterator[Record]:
    """Success by kind of test row, of the kinds that there are among them."""
    names, kind = data.kinds(task)
    for number in np.unique(kind[: chosen.shape[-1]]) if names else ():
        rows = np.flatnonzero(kind[: chosen.shape[-1]] == number)
        found = {"success": success(task, chosen[..., rows], rows_of(asked, rows)), "rows": len(rows)}
        for metric, values in found.items():
            setting = f"{group.setting}/kind={quote(names[number], safe='')}"
            yield from group.each(metric, group.settings["updates"], values, setting)


def steps(
    group: Group, task: Any, twin: Any, cell: str, trained: Model, chosen: np.ndarray, asked: Batch
) -> Iterator[Record]:
    """The share of the test rows that are right at each step; one answer is read out at every step of its input."""
    if task.MODE == "many_to_one":
        if asked.lengths is not None:
            return
        every = asked._replace(target=np.repeat(asked.target, len(asked.x), 0))
        chosen, asked = choices(twin, cell, "aligned", trained, every), every
    right = chosen == asked.target[:, None]
    counts = np.ones_like(asked.target, bool) if asked.mask is None else asked.mask
    for step in np.flatnonzero(counts.any(1)):
        share = right[step][:, counts[step]].mean(-1)
        yield from group.each("success_by_step", int(step), share)


def kept(group: Group, task: Any, twin: Any, cell: str, trained: Model, asked: Batch) -> Iterator[Record]:
    """Breaks of the law of the mode on the trained models, over the first test rows that can break it."""
    some = rows_of(asked, slice(0, CHUNK))
    some = rows_of(some, laws.judged(task.MODE, some))
    found = {"breaks": laws.broken(twin, cell, task.MODE, trained, some), "cases": some.target.shape[1]}
    for metric, values in found.items():
        yield from group.each(metric, group.settings["updates"], values, f"{group.setting}/law=modes")


def retold(
    group: Group, task: Any, twin: Any, cell: str, trained: Model, asked: Batch, chosen: np.ndarray
) -> list[Record]:
    """On how many test rows the other twin, given the same parameters, chooses otherwise at a step that counts.

    Where two outputs lie closer than rounding, twins may differ and both be right.
    """
    other = engine("fast" if group.engine.startswith("torch") else "torch")
    model = other.asarray(twin.numpy(trained), group.dtype)
    same = answers.exact(choices(other, cell, task.MODE, model, asked), chosen, asked.mask)
    return group.each("other_twin_differs", group.settings["updates"], (same < 1).sum(-1))


def examples(group: Group, task: Any, chosen: np.ndarray, asked: Batch) -> Iterator[Record]:
    """What the first seed's choices (K, N) are on the first test rows and on those it got wrong: the worst, of equals
    the first."""
    worth = task.answered(chosen, asked.target, asked.mask)
    wrong = np.argsort(worth, kind="stable")[: min(WRONG, int((worth < 1).sum()))]
    for row in sorted({*range(min(FIRST, chosen.shape[1])), *wrong.tolist()}):
        counts = slice(None) if asked.mask is None else asked.mask[:, row]
        shown = {"target": asked.target[counts, row], "answer": chosen[counts, row]} | data.shown(task, row)
        for metric, values in shown.items():
            for index, value in enumerate(values):
                setting = f"{group.setting}/example={row}"
                yield Record(EXPERIMENT, setting, group.seeds[0], metric, index, float(value))
