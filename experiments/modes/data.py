"""What each mode is tried on: modules of experiments.tasks, by its protocol of modes, and a file of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.claims import MODES
from experiments.harness.sweep import Group
from experiments.modes import own
from experiments.tasks import dates, digit_names, digit_rows, digits, mnist1d, moving_digits, moving_labels

DATA = {task.NAME: task for task in (digit_names, digit_rows, mnist1d, dates, moving_digits, moving_labels)}
DECIDING = MODES
"""By mode the data that decide claim N5."""

OWN = "own"


def task_of(group: Group) -> Any:
    """The group's data.

    Raises:
        OwnError: the user's file is no longer the one that the group is of.
    """
    if group.settings["data"] != OWN:
        return DATA[group.settings["data"]]
    found = own.load(Path(group.corpus))
    if found.sha256 != group.data:
        raise own.OwnError(f"`data` must not change while it is read; got SHA-256 {found.sha256}.")
    return own.task(found, group.settings["mode"])


class Kinds(NamedTuple):
    """Kinds of test rows by name, and which each row is of, (n,)."""

    names: Sequence[str]
    of_row: np.ndarray


def kinds(task: Any) -> Kinds:
    """What test rows can be told apart by: a class, a way to write a date; nothing where a label is a step's."""
    if task is dates:
        return Kinds(dates.FORMATS, dates.formats())
    if task is digit_names:
        return Kinds(digit_names.NAMES, digits.data().test.labels)
    target = task.test()[1]
    if task.MODE == "many_to_one" or task is moving_labels:
        return Kinds(getattr(task, "classes", [str(k) for k in range(task.V)]), target[-1])
    return Kinds((), np.zeros(target.shape[1], int))


def shown(task: Any, row: int) -> dict[str, Sequence[float]]:
    """What is to be seen of a test row, numbers by name: pixels as their source has them, a text's code points, the
    places of a moving digit; nothing of a user's file."""
    if task in (digit_names, digit_rows, mnist1d):
        return {"pixel": (mnist1d if task is mnist1d else digits).data().test.pixels[row]}
    if task is dates:
        source = dates.test()[0].source[:, row : row + 1]
        return {"source": [ord(character) for character in dates.text(source)[0]]}
    if task in (moving_digits, moving_labels):
        places = dict(zip(("row", "column"), moving_digits.path()[:, row].T, strict=True))
        return {"pixel": moving_digits.fixed("test").pixels[row]} | places
    return {}
