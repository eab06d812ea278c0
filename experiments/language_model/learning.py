"""Trains a group on a text to its last update. What it has come to is kept in a file, from which it goes on.

The file has the models, Adam's memory, the carried states, the places and the random numbers of the lanes, and what was
recorded so far: so a training that was killed gives the same bits as one that was not. At the end it stays, as the
trained models.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.harness import saved
from experiments.harness.saved import Saved, SavedError
from experiments.harness.sweep import Group, code
from experiments.harness.training import Update, falling, train
from experiments.language_model.lanes import Lanes
from impl.spec import STATES, Model
from properties.record import Record

Checkpoint = Callable[[int, int], None]
Look = Callable[[int, Model, np.ndarray], list[Record]]

EVERY = 20.0
"""Seconds between two times that a training is kept."""

CODE = (
    *(f"experiments/language_model/{name}.py" for name in ("lanes", "learning", "models", "evaluation", "characters")),
    "experiments/language_model/*/experiment.py",
    *(f"experiments/tasks/{name}.py" for name in ("text", "words", "corpora")),
    *(f"experiments/harness/{name}.py" for name in ("training", "engine")),
    "impl/**/*.py",
)
"""What the bits of a training depend on: a file that other code has kept is not gone on from."""


class Course(NamedTuple):
    """How far a training is: the last update (None before the first), records, and the losses (n, E) of the updates
    since the last evaluation."""

    update: Update | None
    records: list[Record]
    losses: list[np.ndarray]


def learn(
    group: Group,
    twin: Any,
    lanes: Lanes,
    model: Model,
    look: Look,
    checkpoint: Checkpoint,
    facts: dict[str, Any],
    gradient_of: Callable[..., Any] | None = None,
) -> tuple[Model, list[Record]]:
    """Trains a group to its last update, from where it was stopped if that was kept.

    Args:
        lanes: the training text; moved on.
        model: the models at the start, in the twin's arrays.
        look: what is recorded at an evaluation, from the update, the model, and the mean loss (E,) since the last one.
        facts: what the file says of the models beside the group's own settings, such as the alphabet.
        gradient_of: as in `train`; the group's settings must tell which it is, since a kept file is known by them.
    Returns:
        The trained models and all records.
    """
    s = group.settings
    begun_at, records, losses = begun(group, twin, lanes, model)
    how = {"lr": falling(s["lr"], s["updates"], s["decay"]), "max_norm": s["clip"], "carry": lanes.carry}
    how |= {"gradient_of": gradient_of}
    marks, last = evaluations(s), time.monotonic()
    if begun_at is not None and begun_at.step == s["updates"]:
        return begun_at.model, records
    for update in train(twin, s["cell"], "softmax_cross_entropy", model, lanes.batches(), **how, after=begun_at):
        losses.append(twin.numpy(update.loss).astype("float64"))
        if update.step in marks:
            records += look(update.step, update.model, np.mean(losses, 0))
            losses.clear()
        if group.keep and (update.step == s["updates"] or time.monotonic() - last > EVERY):
            keep(group, twin, lanes, Course(update, records, losses), facts)
            last = time.monotonic()
        checkpoint(update.step, s["updates"])
        if update.step == s["updates"]:
            break
    return update.model, records


def evaluations(s: dict[str, Any]) -> set[int]:
    """The updates at which the validation part is read: the last, where the rate starts to fall, and halvings."""
    last = s["updates"]
    halves = {max(1, last >> k) for k in range(1, s["evaluations"] - 1)}
    return {last, max(1, round(last * (1 - s["decay"])))} | halves


# The file


def path_of(group: Group) -> Path:
    """Where a group's models are kept: its setting, and of its key enough to tell presets and texts apart."""
    return Path(group.keep) / f"{re.sub('[^A-Za-z0-9._=-]+', '-', group.setting)}-{group.key[:8]}.safetensors"


def keep(group: Group, twin: Any, lanes: Lanes, course: Course, facts: dict[str, Any]) -> None:
    """Writes how far a training is."""
    arrays = {name: twin.numpy(a) for name, a in saved.named(tree(course.update), "").items()}
    arrays = {name.removeprefix("."): a for name, a in arrays.items()} | {"lanes": lanes.at}
    arrays["losses"] = np.reshape(course.losses, (-1, len(group.seeds)))
    told = [[r.setting, r.seed, r.metric, r.index, r.value] for r in course.records]
    own = {"key": group.key, "setting": group.setting, "settings": group.settings, "seeds": group.seeds}
    own |= {"dtype": group.dtype, "data": group.data, "engine": group.engine, "code": code(*CODE)}
    own |= {"step": course.update.step, "rngs": [rng.bit_generator.state for rng in lanes.rngs], "records": told}
    saved.write(path_of(group), arrays, facts | own)


class Tree(NamedTuple):
    """The arrays of an update that training goes on from."""

    model: Model
    mean: Any
    square: Any
    carried: Any


def tree(update: Update) -> Tree:
    """An update's arrays."""
    return Tree(update.model, update.memory.mean, update.memory.square, update.carried)


def begun(group: Group, twin: Any, lanes: Lanes, model: Model) -> Course:
    """How far a group's training was kept, with the lanes moved there; its beginning where nothing was kept.

    A file of other code or of another group, or one that cannot be read, is passed over: the training begins anew and
    replaces it.
    """
    file = own_file(group)
    return resumed(group, twin, lanes, model, file) if file else Course(None, [], [])


def own_file(group: Group) -> Saved | None:
    """What a group's training has kept; None where there is nothing that this code can go on from."""
    own = {"key": group.key, "code": code(*CODE)}
    if not group.keep:
        return None
    try:
        file = saved.read(path_of(group))
    except SavedError:
        return None
    return file if isinstance(file.facts, dict) and own.items() <= file.facts.items() else None


def resumed(group: Group, twin: Any, lanes: Lanes, model: Model, file: Saved) -> Course:
    """How far the training in a file is, with the lanes moved there.

    Raises:
        SavedError: the file's models are not of the form of `model`.
    """
    update = update_of(group, twin, lanes, model, file)
    lanes.at = file.arrays["lanes"]
    for rng, state in zip(lanes.rngs, file.facts["rngs"], strict=True):
        rng.bit_generator.state = state
    records = [Record(group.experiment, *words) for words in file.facts["records"]]
    return Course(update, records, list(file.arrays["losses"]))


def update_of(group: Group, twin: Any, lanes: Lanes, model: Model, file: Saved) -> Update:
    """The update that a file kept, in the twin's arrays."""
    memory = twin.optim.adam_start(model)
    h = np.zeros((*lanes.at.shape, group.settings["H"]), group.dtype)
    state = STATES[group.settings["cell"]]
    like = Tree(model, memory.mean, memory.square, state(*(h for _ in state._fields)))
    found = Tree(*(saved.filled(part, name, file) for name, part in like._asdict().items()))
    found = twin.asarray(found)
    memory = memory._replace(count=file.facts["step"], mean=found.mean, square=found.square)
    return Update(file.facts["step"], found.model, None, None, None, memory, found.carried)
