"""The records as the report reads them: a cell on some data as one object, and what readers call it."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np
import pandas as pd

from experiments.claims import CLAIMS
from experiments.harness import figures
from experiments.harness.statistics import Interval, order_interval
from experiments.harness.words import signed, told
from experiments.modes.answering import MODES
from experiments.modes.data import DATA, DECIDING, OWN
from experiments.modes.sweep import EXPERIMENT, OWN_INPUTS, SHUFFLED
from experiments.tasks import dates, digit_names
from properties.record import parse_setting

OTHERS = "shuffled"
"""A test row with another row's input, to models that were trained on their own."""
INPUTS = (OWN_INPUTS, OTHERS, SHUFFLED)
SUCCESS, CONTROL = (condition.threshold for condition in CLAIMS["N5"].supported)
"""What N5 asks for: how far success has to lie above chance, and how far that with other rows' inputs may."""

CALLED = {
    "digit_names": "digit to its name",
    "digit_rows": "digit row by row",
    "mnist1d": "MNIST-1D",
    "dates": "date to ISO date",
    "moving_digits": "moving digit",
    "moving_labels": "which digit moves",
}
OWN_CALLED = {"many_to_one": "your labels", "aligned": "your step labels"}
KINDS = {
    "digit_names": ("name", digit_names.NAMES),
    "dates": ("way to write the date", dates.FORMATS),
    "digit_rows": ("digit", ()),
    "moving_labels": ("digit", ()),
    "mnist1d": ("class", ()),
    OWN: ("class", ()),
}
"""What test rows are told apart by, and in which order; else in that of Unicode."""


class Run(NamedTuple):
    """One cell on some data.

    Attributes:
        mode, data, cell: which.
        updates: at the end.
        ends: by metric, inputs, kind and law what was measured at the end, by seed.
        courses: by metric a table by update or step (rows) and seed (columns).
    """

    mode: str
    data: str
    cell: str
    updates: int
    ends: dict[tuple[str, str, str, str], np.ndarray]
    courses: dict[str, pd.DataFrame]

    @property
    def name(self) -> str:
        """The cell's."""
        return figures.NAMES[self.cell]

    @property
    def colour(self) -> str:
        """The cell's."""
        return figures.COLOURS[self.cell]

    @property
    def decides(self) -> bool:
        """Whether N5 reads it."""
        return DECIDING.get(self.mode) == self.data

    @property
    def chance(self) -> float:
        """Success of the best answer that knows no input."""
        return float(self.values("chance")[0])

    @property
    def seeds(self) -> int:
        """How many there are."""
        return len(self.values("success"))

    @property
    def inputs(self) -> list[str]:
        """With which inputs it was judged."""
        return [inputs for inputs in INPUTS if ("success", inputs, "", "") in self.ends]

    @property
    def kinds(self) -> list[str]:
        """The kinds of test rows."""
        order = KINDS[self.data][1] if self.data in KINDS else ()
        there = {kind for metric, _, kind, _ in self.ends if metric == "success" and kind}
        return sorted(there, key=lambda kind: (order.index(kind) if kind in order else -1, kind))

    def values(self, metric: str, inputs: str = OWN_INPUTS, kind: str = "", law: str = "") -> np.ndarray:
        """A metric at the end, by seed."""
        return self.ends[metric, inputs, kind, law]

    def success(self, inputs: str = OWN_INPUTS, kind: str = "") -> Interval:
        """Success over seeds."""
        return order_interval(self.values("success", inputs, kind))

    def above(self, inputs: str = OWN_INPUTS) -> Interval:
        """Success minus chance over seeds."""
        return order_interval(self.values("success", inputs) - self.chance)


class Tried(NamedTuple):
    """Some data in a mode, with the cells that were tried on it."""

    mode: str
    data: str
    runs: list[Run]

    @property
    def called(self) -> str:
        """The data, for readers."""
        return OWN_CALLED[self.mode] if self.data == OWN else CALLED[self.data]

    @property
    def decides(self) -> bool:
        """Whether N5 reads it."""
        return self.runs[0].decides

    @property
    def chance(self) -> float:
        """That of all cells."""
        return self.runs[0].chance

    @property
    def inputs(self) -> list[str]:
        """With which inputs its cells were judged."""
        return [inputs for inputs in INPUTS if any(inputs in run.inputs for run in self.runs)]


def gathered(frame: pd.DataFrame) -> list[Tried]:
    """What was run, in the order of the sweep; of the records of examples nothing is kept."""
    rows = frame[(frame.source == EXPERIMENT) & ~frame.setting.str.contains("/example=", regex=False)]
    columns = zip(COLUMNS, zip(*map(told_apart, rows.setting), strict=True), strict=True)
    found: dict[tuple[str, str], list[Run]] = {}
    for (mode, data, cell), some in rows.assign(**dict(columns)).groupby(["mode", "data", "cell"]):
        found.setdefault((mode, data), []).append(run_of(mode, data, cell, some))
    order, cells = (*DATA, OWN), list(figures.NAMES)
    tried = [Tried(*at, sorted(runs, key=lambda run: cells.index(run.cell))) for at, runs in found.items()]
    return sorted(tried, key=lambda one: (MODES.index(one.mode), order.index(one.data)))


COURSES = ("success_validation", "success_by_step")
"""What is measured by update or step; of the models that have their own inputs."""


def run_of(mode: str, data: str, cell: str, rows: pd.DataFrame) -> Run:
    """One cell on some data from its records."""
    by_index = rows.metric.isin(COURSES)
    ends, own = rows[~by_index].sort_values("seed"), rows[by_index & (rows.inputs == OWN_INPUTS)]
    found = {key: some.value.to_numpy() for key, some in ends.groupby(["metric", "inputs", "kind", "law"])}
    courses = {
        metric: some.pivot(index="index", columns="seed", values="value") for metric, some in own.groupby("metric")
    }
    return Run(mode, data, cell, int(ends["index"].max()), found, courses)


COLUMNS = ("mode", "data", "cell", "inputs", "kind", "law")


@cache
def told_apart(setting: str) -> tuple[str, ...]:
    """The parts of a setting, as COLUMNS names them; "" where it has none."""
    words = parse_setting(setting) | {"mode": setting.split("/")[0]}
    return tuple(unquote(words.get(name, "")) if name == "kind" else words.get(name, "") for name in COLUMNS)


def few_seeds(tried: list[Tried]) -> bool:
    """Whether there are too few for an interval."""
    return any(not np.isfinite(run.success().low) for one in tried for run in one.runs)


# Words


def spelled(mode: str) -> str:
    """A mode, for readers."""
    return mode.replace("_", " ")


def capital(text: str) -> str:
    """With a capital letter."""
    return text[:1].upper() + text[1:]


def three(value: float) -> str:
    """A share to three decimals; 1 and 0 only where they are exact."""
    text = f"{value:.3f}"
    return f"{value:.4f}" if text in ("1.000", "0.000") and value not in (0, 1) else text


def shares(interval: Interval) -> str:
    """A median of shares with its interval."""
    return told(interval, three)


def differences(interval: Interval) -> str:
    """A median of differences with its interval."""
    return told(interval, signed)
