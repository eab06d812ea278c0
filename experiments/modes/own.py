"""A classification of the user's own: sequences from a CSV (`table` says which columns), for the modes many to one (a
class a sequence) and aligned (a class a step).

Parts are those of the column `part`; without it sequences are split 70, 15 and 15 % by a permutation that is always the
same, stratified by label where there is one. Features are standardised by the mean and deviation of each over all steps
of the training part. Rows are drawn with replacement from it; nothing is fresh, so what counts is the test part.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd

from experiments.modes.table import COLUMNS, LABELS, OwnError, Table, check_same, numbers, read, refuse, starts, wrong
from experiments.tasks import answers, arguments, images
from experiments.tasks.images import PARTS
from impl import draw as streams

__all__ = ["Own", "OwnError", "Task", "load", "modes", "task"]

SHARES = (0.7, 0.15, 0.15)
LEAST, LEAST_OF_A_CLASS = 20, 6
"""Sequences for a split, in all and of each label; with fewer than six of a label, rounding leaves a part without."""
LEAST_OF_A_PART = {"training": 1, "validation": 1, "test": 2}
"""Sequences of each part where the file names the parts: a test row is also given another's input."""
LARGEST = float(np.finfo(np.float32).max)

Batch = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class Sequence(NamedTuple):
    """One sequence as it came: name, part, x (T, D), and by mode the classes' numbers (T,)."""

    name: str
    part: str
    x: np.ndarray
    target: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Own:
    """A file's sequences, one after the other: S of them, N steps together.

    Attributes:
        name: the file's, short and without blanks, for settings.
        sha256: of its bytes.
        features: the names of the D features, in the order of the columns.
        classes: by mode the names of the classes, in the order of Unicode.
        names, part: (S,) each sequence's name and part.
        first, lengths: (S,) where a sequence begins, and its steps.
        x, z: (N, D) the features as they came, and standardised.
        mean, deviation: (D,) of the training part's steps; where a feature is constant there, the deviation is 1.
        target: by mode (N,), the class of the step, or of its sequence, by its place in `classes`.
    """

    name: str
    sha256: str
    features: tuple[str, ...]
    classes: dict[str, tuple[str, ...]]
    names: np.ndarray
    part: np.ndarray
    first: np.ndarray
    lengths: np.ndarray
    x: np.ndarray
    z: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    target: dict[str, np.ndarray]

    @cached_property
    def sequences(self) -> tuple[Sequence, ...]:
        """Each sequence by itself, in the order of the file."""
        found = []
        for name, part, a, n in zip(self.names, self.part, self.first, self.lengths, strict=True):
            target = {mode: classes[a : a + n] for mode, classes in self.target.items()}
            found.append(Sequence(name, part, self.x[a : a + n], target))
        return tuple(found)

    @cached_property
    def rows(self) -> dict[str, np.ndarray]:
        """The numbers of each part's sequences."""
        return {part: np.flatnonzero(self.part == part) for part in PARTS}


@dataclass(frozen=True)
class Task:
    """A file in one mode, with the names of a task's module (`experiments.tasks`).

    A batch is x (STEPS, B, D), standardised and 0 after a row's last step; target (STEPS, B), after a row's last step
    the class of its first; mask (STEPS, B), true where a class is asked for: at a row's last step (many to one) or at
    all its steps (aligned); lengths (B,).
    """

    own: Own
    MODE: str
    NAME: ClassVar[str] = "own"
    LENGTH: ClassVar[str] = "steps"
    LOSS: ClassVar[str] = images.LOSS

    @property
    def D(self) -> int:
        """Features."""
        return len(self.own.features)

    @property
    def V(self) -> int:
        """Classes."""
        return len(self.classes)

    @property
    def STEPS(self) -> int:
        """Steps of the longest sequence, in whichever part."""
        return int(self.own.lengths.max())

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of Unicode."""
        return self.own.classes[self.MODE]

    def draw(self, rng: np.random.Generator, length: int, B: int) -> Batch:
        """B rows of the training part, with replacement.

        Raises:
            ValueError: `length` is not STEPS, or `B` is below 1.
        """
        arguments.exactly("length", length, self.STEPS, "the longest sequence has as many steps")
        arguments.batch(B)
        return self._batch(rng.choice(self.own.rows["training"], B))

    def validation(self) -> Batch:
        """All rows of the validation part, each once."""
        return self._batch(self.own.rows["validation"])

    def test(self) -> Batch:
        """All rows of the test part, each once."""
        return self._batch(self.own.rows["test"])

    def answered(self, choice: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Whether a row is right (many to one), or the share of its steps that are (aligned): ([E,] B)."""
        return (answers.share if self.MODE == "aligned" else answers.exact)(choice, target, mask)

    def constant(self) -> np.ndarray:
        """The best answer to the training part of who knows the step and no input: (STEPS,).

        By step the class that earns most there, and after its longest sequence the one that earns most in all; in many
        to one, where the step is the sequence's last, the latter throughout.
        """
        _, target, mask, lengths = self._batch(self.own.rows["training"])
        worth = mask / (lengths if self.MODE == "aligned" else 1)
        earned = np.stack([(worth * (target == k)).sum(1) for k in range(self.V)], 1)
        best = np.full(self.STEPS, earned.sum(0).argmax())
        return np.where(earned.any(1), earned.argmax(1), best) if self.MODE == "aligned" else best

    def _batch(self, rows: np.ndarray) -> Batch:
        own, lengths, step = self.own, self.own.lengths[rows], np.arange(self.STEPS)[:, None]
        inside = step < lengths
        place = own.first[rows] + np.where(inside, step, 0)
        mask = inside if self.MODE == "aligned" else step == lengths - 1
        x = np.where(inside[..., None], own.z[place], 0.0)
        return x, own.target[self.MODE][place], mask, lengths


def modes(own: Own) -> tuple[str, ...]:
    """The modes that a file has classes for."""
    return tuple(own.classes)


def task(own: Own, mode: str) -> Task:
    """A file in a mode.

    Raises:
        ValueError: it has no classes for that mode.
    """
    if mode not in own.classes:
        raise ValueError(f"`mode` must be one of {', '.join(modes(own))}, which {own.name} has; got {mode!r}.")
    return Task(own, mode)


def load(path: Path | str) -> Own:
    """A file's sequences; read again only where the file has changed.

    Raises:
        OwnError: the file does not fit.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise wrong(path, "be a file that can be read", error.strerror or "an error") from error
    return parsed(path, data)


@lru_cache(maxsize=2)
def parsed(path: Path, data: bytes) -> Own:
    """The sequences of a file's bytes."""
    table = read(path, data)
    first = starts(table)
    lengths = np.diff(first, append=len(table.cells))
    for column in table.cells.columns.intersection(("label", "part")):
        check_same(table, column, first, lengths)
    classes, target = classes_of(table)
    part = parts_of(table, first, target)
    check_taught(table, target, np.repeat(part, lengths))
    features = tuple(name for name in table.cells.columns if name not in COLUMNS)
    x = np.stack([numbers(table, name) for name in features], 1)
    z, mean, deviation = standardised(table, features, x, np.repeat(part == "training", lengths))
    for array in (part, first, lengths, x, z, mean, deviation, *target.values()):
        array.flags.writeable = False
    name, sha256 = re.sub(r"[^\w.-]+", "_", path.stem, flags=re.ASCII), hashlib.sha256(data).hexdigest()
    names = table.cells["sequence"].to_numpy()[first]
    return Own(name, sha256, features, classes, names, part, first, lengths, x, z, mean, deviation, target)


def classes_of(table: Table) -> tuple[dict[str, tuple[str, ...]], dict[str, np.ndarray]]:
    """By mode: the classes' names, sorted, and each step's class by its place among them."""
    classes, target = {}, {}
    for mode, column in LABELS.items():
        if column in table.cells:
            codes, found = pd.factorize(table.cells[column].to_numpy(), sort=True)
            classes[mode], target[mode] = tuple(found), codes.astype(np.int64)
            one = f", the one {column} of all lines"
            refuse(table, [len(found) < 2], column, "hold two classes, since one leaves nothing to tell", one)
    return classes, target


def parts_of(table: Table, first: np.ndarray, target: dict[str, np.ndarray]) -> np.ndarray:
    """Each sequence's part: (S,) text."""
    if "part" not in table.cells:
        return split(table, first, target.get("many_to_one"))
    refuse(table, ~table.cells["part"].isin(PARTS), "part", f"have the parts {', '.join(PARTS)} alone")
    part = table.cells["part"].to_numpy()[first]
    for name in PARTS:
        if (n := (part == name).sum()) < LEAST_OF_A_PART[name]:
            rule = "have sequences in each part, since each is used, and two in test, where one gets the other's input"
            raise wrong(table.path, rule, f"{n or 'none'} in {name}", column="part")
    return part


def split(table: Table, first: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """Parts for a file that names none, always the same; by label where labels (N,) are given."""
    alone = "where no column `part` splits them"
    if len(first) < LEAST:
        raise wrong(table.path, f"hold at least {LEAST} sequences {alone}", f"{len(first)} sequences")
    of_each = np.zeros(len(first), int) if labels is None else labels[first]
    counts = np.bincount(of_each)
    for rare in np.flatnonzero(counts < LEAST_OF_A_CLASS):
        rule = f"hold at least {LEAST_OF_A_CLASS} sequences of each label {alone}"
        refuse(table, labels == rare, "label", rule, f" in {counts[rare]} sequences")
    part = np.empty(len(first), object)
    for name, rows in zip(PARTS, images.stratified(streams.generator("own", "split"), of_each, SHARES), strict=True):
        part[rows] = name
    return part


def check_taught(table: Table, target: dict[str, np.ndarray], part: np.ndarray) -> None:
    """Refuses classes that validation or test has and training lacks; part (N,) is that of each step."""
    for mode, classes in target.items():
        rule = "hold each class of validation and test in training too, since it is learnt there"
        rule += "" if "part" in table.cells else " (a column `part` says which sequence goes where)"
        lacking = ~np.isin(classes, classes[part == "training"])
        refuse(table, lacking, LABELS[mode], rule, f" in {part[lacking.argmax()]}")


def standardised(
    table: Table, features: tuple[str, ...], x: np.ndarray, training: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (N, D) with mean 0 and deviation 1 in the training part's steps (N,) bool; then that mean and deviation.

    Raises:
        OwnError: a number is so far from the training part's that it is infinite in single precision.
    """
    low, constant = x[training].min(0), x[training].min(0) == x[training].max(0)
    _, power = np.frexp(abs(x[training]).max(0))
    with np.errstate(all="ignore"):  # what overflows is refused below
        scaled = np.ldexp(x, -power)  # without rounding; training's numbers are below 1, so that no square overflows
        center, spread = scaled[training].mean(0), scaled[training].std(0)
        z = np.where(constant, x - low, (scaled - center) / spread)
    mean = np.where(constant, low, np.ldexp(center, power))
    deviation = np.where(constant, 1.0, np.ldexp(spread, power))
    for name, values in zip(features, z.T, strict=True):
        rule = "hold numbers that stay finite when they are standardised by the training part"
        refuse(table, ~(abs(values) <= LARGEST), name, rule)
    return z, mean, deviation
