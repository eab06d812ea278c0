"""The group: the unit of execution, of the store's key and of its transaction; and what a sweep may be told."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from properties.record import Record

ROOT = Path(__file__).parents[2]

PRESETS = ("smoke", "tour", "quick", "full")
"""smoke: does everything run (seconds); tour: about five minutes; quick: what is committed; full: hours."""


@dataclass(frozen=True)
class Options:
    """What the command line may say of a sweep: the engine, and files of the user's own, a text (or a known corpus's
    name; None: the packaged one) and a table of sequences (None: the tasks alone)."""

    engine: str = "fast"
    corpus: str | Path | None = None
    data: Path | None = None


FILES = {"corpus": "language_model", "data": "modes"}
"""The options that name a file of the user's own or a known corpus, and the one experiment that reads it."""


@dataclass(frozen=True)
class Group:
    """All seeds of one setting, run as one computation with a leading axis E.

    Attributes:
        experiment, version: who runs it; a version is raised when the same settings would give other numbers.
        setting: its name for people, a path such as "latch/arm=lstm_b1/delay=20".
        settings: everything that the run depends on, as plain JSON data.
        seeds: in the order of axis E; a function of the sweep alone, never of what is finished.
        dtype, engine: what computes, and in which precision.
        data: the SHA-256 of the data it reads, or "".
        cost: predicted core-seconds; not part of the key.
        corpus: where the data lies; not part of the key, since `data` says what it is.
        keep: a folder where the run may keep what it needs to go on after a kill, and trained models; "" for nowhere.
            Not part of the key: no record depends on it.
        card: the name of the card that it measures, in a process of its own, or ""; not part of the key, whose settings
            say it.
    """

    experiment: str
    version: int
    setting: str
    settings: dict[str, Any]
    seeds: tuple[int, ...]
    dtype: str
    engine: str
    data: str
    cost: float
    corpus: str = ""
    keep: str = ""
    card: str = ""

    @cached_property
    def key(self) -> str:
        """SHA-256 of experiment, version, settings, ordered seeds, dtype, engine and the data's hash."""
        parts = (self.experiment, self.version, self.settings, self.seeds, self.dtype, self.engine, self.data)
        return hashlib.sha256(canonical(parts).encode()).hexdigest()

    def each(self, metric: str, index: float, values: Any, setting: str = "") -> list[Record]:
        """One record a seed.

        Args:
            values: one number a seed, in the order of axis E, or one for all.
            setting: another than the group's own.
        """
        pairs = zip(self.seeds, np.broadcast_to(values, len(self.seeds)).tolist(), strict=True)
        return [Record(self.experiment, setting or self.setting, s, metric, index, float(value)) for s, value in pairs]


def canonical(value: Any) -> str:
    """Plain data as JSON that is the same text for equal data.

    Raises:
        ValueError, TypeError: the data holds NaN, infinities, or what JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


@cache
def code(*patterns: str) -> str:
    """The first 16 hex digits of the SHA-256 of the files that match, names and contents.

    A wildcard takes no tests along; one that is named in full is a part, such as a law that judges.
    """
    matches = {pattern: ROOT.glob(pattern) for pattern in patterns}
    found = {
        path for pattern, paths in matches.items() for path in paths if "*" not in pattern or path.name[:5] != "test_"
    }
    digest = hashlib.sha256()
    for path in sorted(found):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
