"""Models of characters that a training has kept, found and read; what a file holds is checked against what it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from experiments.harness import saved
from experiments.harness.endings import UsageError
from experiments.harness.saved import Saved, SavedError
from experiments.language_model import models
from experiments.language_model.text.sweep import PART
from experiments.tasks.text import CorpusError
from impl.spec import DTYPES, GATES, Head, Model, Parameters, leaves


class OtherKind(SavedError):
    """A whole file of ours that holds no models of characters."""


class Trained(NamedTuple):
    """Models of one cell, trained on a text character by character.

    Attributes:
        model: NumPy arrays with the leading axis E.
        cell: its name in impl.spec.GATES.
        alphabet: the characters, in the order of the classes.
        facts: what else the file says of the training.
        file: the file itself, with all its arrays.
    """

    model: Model
    cell: str
    alphabet: str
    facts: dict[str, Any]
    file: Saved


def load(path: Path) -> Trained:
    """The models of a file, in the shapes that its own facts ask for.

    Raises:
        OtherKind: it holds no models of characters.
        SavedError: it cannot be read, or an array is missing, of another shape or dtype, or one too many.
    """
    file = saved.read(path)
    missing = [name for name, is_fit in FACTS.items() if not is_fit(at(file.facts, name))]
    if missing:
        raise OtherKind(f"`path` must hold models of characters, which say their {', '.join(FACTS)}; got {path}, where "
                        f"{' and '.join(missing)} cannot be used{of_part(file.facts)}.")  # fmt: skip
    s, alphabet = file.facts["settings"], file.facts["alphabet"]
    like = shapes(s["cell"], len(file.facts["seeds"]), len(alphabet), s["H"], file.facts["dtype"])
    return Trained(saved.filled(like, "model", file), s["cell"], alphabet, file.facts, file)


def of_part(facts: Any) -> str:
    """Whose models a file holds, where they are those of another part, which keeps them to go on from alone."""
    part = at(facts, "settings.part")
    if not isinstance(part, str) or part == PART:
        return ""
    return f": these are of the part {part}, whose models only its own training reads, no generate and no continue"


def count(value: Any) -> bool:
    """Whether it is an integer of 1 or more."""
    return type(value) is int and value >= 1


FACTS = {
    "alphabet": lambda value: isinstance(value, str) and len(set(value)) == len(value) > 1,
    "text": lambda value: isinstance(value, str),
    "seeds": lambda value: isinstance(value, list) and len(value) > 0,
    "dtype": lambda value: value in DTYPES,
    "step": count,
    "settings.cell": lambda value: isinstance(value, str) and value in GATES,
    "settings.H": count,
    "settings.updates": count,
}
"""What a file of models of characters says of them, and what can be used."""


def at(facts: Any, name: str) -> Any:
    """A fact by its way, such as settings.cell; None where there is none."""
    for way in name.split("."):
        facts = facts.get(way) if isinstance(facts, dict) else None
    return facts


def shapes(cell: str, E: int, V: int, H: int, dtype: str) -> Model:
    """The shapes and the dtype of E models that read and predict V classes with H units, and no arrays."""
    rows = len(GATES[cell]) * H
    as_told = [(E, rows, V), (E, rows, H), (E, rows), (E, rows), (E, V, H), (E, V)]
    told = [SimpleNamespace(shape=shape, dtype=dtype) for shape in as_told]
    return Model(Parameters(*told[:4]), Head(*told[4:]))


def finite(model: Model) -> np.ndarray:
    """Which of E models, given as NumPy arrays, have finite weights alone, (E,): no others say anything."""
    return np.all([np.isfinite(a).reshape(len(a), -1).all(-1) for a in leaves(model)], 0)


def newest(folder: Path) -> Trained:
    """The models of characters in a folder that were kept last.

    Raises:
        UsageError: there are none.
        SavedError: a file that was kept later cannot be read.
    """
    for path in sorted(folder.glob("*.safetensors"), key=lambda path: (-path.stat().st_mtime_ns, path.name)):
        try:
            return load(path)
        except OtherKind:  # such as models of words
            continue
    raise UsageError(f"there is no trained model of characters in {folder}; to get some (two minutes): {TRAINING}.")


TRAINING = "python -m experiments run language_model --preset tour"


def described(trained: Trained) -> str:
    """In a line: file, cell, size, how far it was trained, and on what, by which split if the file says so."""
    facts, s = trained.facts, trained.facts["settings"]
    size = models.parameters(trained.cell, len(trained.alphabet), s["H"])
    done = f"{facts['step']:,} of {s['updates']:,} updates done on the text {facts['text']}"
    split = f", {s['split']} split" if "split" in s else ""
    return f"{trained.file.path}: {trained.cell} of {size:,} parameters, {done}{split}"


@contextmanager
def refusing() -> Iterator[None]:
    """What is wrong with a file is said as a wrong use of the command, in one line.

    Raises:
        UsageError: a file of models, or a text, cannot be used.
    """
    try:
        yield
    except (SavedError, CorpusError) as error:
        raise UsageError(" ".join(str(error).split())) from error
