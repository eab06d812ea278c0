"""The records of this part, a source as one object."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.claims import SOURCES
from experiments.harness.arms import ARMS
from experiments.harness.statistics import Interval, order_interval
from experiments.language_model.parts import EXPERIMENT
from experiments.language_model.sources import known
from experiments.language_model.sources.sweep import CELLS, STARTS
from experiments.tasks import processes
from properties.record import parse_setting

ORDERED = (*processes.PROCESSES, *known.PARAMETERS)
"""The names of the sources, in the order of the report."""

NO_RUNG = 1e-8
"""Bits above the rate below which a rung is the rate, but for rounding; Mess3 is further away at the highest order."""


class Found(NamedTuple):
    """One source: name and parameter, its rate and rungs h_0, h_1, .. (K,) in the long run, its cells' records."""

    name: str
    n: int
    rate: float
    rungs: np.ndarray
    records: pd.DataFrame

    @property
    def label(self) -> str:
        """For readers."""
        return known.label(self.name, self.n)

    @property
    def decides(self) -> bool:
        """Whether claim N20 names it."""
        return self.name in SOURCES

    @property
    def above(self) -> np.ndarray:
        """How far each rung lies above the rate in the long run, bits a symbol, 0 where not at all: (K,)."""
        gaps = self.rungs - self.rate
        return np.where(gaps > NO_RUNG, gaps, 0.0)

    @property
    def gaps(self) -> np.ndarray:
        """What who sees the last 0, 1, .. symbols pays above the predictor on such sequences, bits a symbol: (K,)."""
        return np.where(self.above > 0, known.gaps(self.name, self.n)[: len(self.above)], 0.0)

    @property
    def order(self) -> str:
        """The Markov order in words: the first whose rung is the rate, or more than were looked at."""
        reached = np.flatnonzero(self.above == 0)
        return str(reached[0]) if len(reached) else "infinite"

    @property
    def cells(self) -> list[str]:
        """Those that were run."""
        return [cell for cell in CELLS if cell in set(self.records.cell)]

    def values(self, cell: str, metric: str) -> np.ndarray:
        """One number a seed, in their order; one that is no number counts as infinite, so lost."""
        some = self.records[(self.records.cell == cell) & (self.records.metric == metric)]
        return some.sort_values("seed").value.fillna(math.inf).to_numpy()

    def one(self, cell: str, metric: str) -> float:
        """A number that all seeds share."""
        (value,) = set(self.values(cell, metric))
        return value

    def interval(self, cell: str, metric: str = "excess") -> Interval:
        """The median over seeds with its interval."""
        return order_interval(self.values(cell, metric))

    def best(self, metric: str = "excess") -> str:
        """The cell with the smaller median."""
        return min(self.cells, key=lambda cell: self.interval(cell, metric).value)

    def start(self, cell: str) -> str:
        """The start of a cell, for readers."""
        return ARMS[STARTS[cell][int(self.one(cell, "start"))]].label

    def early(self, cell: str) -> Interval:
        """The excess after a quarter of the updates."""
        rows = self.records[(self.records.cell == cell) & (self.records.metric == "curve")]
        at = [index for index in sorted(set(rows["index"])) if index <= max(1, self.one(cell, "updates") // 4)]
        return order_interval(rows[rows["index"] == at[-1]].value.fillna(math.inf))


def read(frame: pd.DataFrame) -> list[Found]:
    """The sources that were run, in the order of the report."""
    frame = frame[frame.source == EXPERIMENT]
    words = [parse_setting(setting) for setting in frame.setting]
    names = frame.setting.str.split("/").str[0]
    frame = frame.assign(
        name=names,
        n=[int(w.get(known.PARAMETERS.get(name, ""), 0)) for w, name in zip(words, names, strict=True)],
        cell=[w.get("cell", "") for w in words],
    )
    found = [of_source(*key, some) for key, some in frame[names.isin(ORDERED)].groupby(["name", "n"])]
    return sorted(filter(lambda one: one.cells, found), key=lambda one: (ORDERED.index(one.name), one.n))


def of_source(name: str, n: int, rows: pd.DataFrame) -> Found:
    """One source from its rows; without rungs where they were not run."""
    rungs = rows[rows.metric == "rung"].sort_values("index").value.to_numpy()
    rate = rows[rows.metric == "rate"].value
    return Found(name, n, float(rate.iloc[0]) if len(rate) else math.nan, rungs, rows)
