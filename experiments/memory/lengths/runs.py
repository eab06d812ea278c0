"""The records of this part as fits: how many seeds solved, by length, for each cell that was run."""

from __future__ import annotations

import math
from typing import NamedTuple

import pandas as pd

from experiments import claims
from experiments.harness import statistics
from experiments.harness.arms import ARMS
from experiments.memory.fits import NONE, Fit, chance_of, fitted, in_steps, ratio
from experiments.memory.learning import TASKS
from properties.record import parse_setting

COMPARISONS = ("tuned", "default")
DECIDING = ("latch", "adding", "timer")
"""The tasks of claim N12."""

FLAT = 0.1
"""A fall from the shortest length to the longest is looked for at this level of Fisher's test."""


class Reached(NamedTuple):
    """One cell of a comparison on a task ("pilot": the pilot's settings again), and how far it reached."""

    comparison: str
    task: str
    arm: str
    H: str
    lr: str
    fit: Fit

    @property
    def cell(self) -> str:
        """lstm or rnn."""
        return ARMS[self.arm].family

    @property
    def ends(self) -> str:
        """Why the lengths end where they do: as the rule asks, or by what the preset's time allows."""
        longest, share = self.fit.delays[-1], self.fit.solved[-1] / self.fit.seeds[-1]
        return claims.ended(self.task, longest, share) or "as far as the preset's time allows"

    @property
    def flat(self) -> bool:
        """Whether more seeds solve the longest length than the shortest, or some the shortest and no fall is seen.

        A fall is looked for from the shortest length to one at least twice as long, and in the curve, which has no T50
        without one.
        """
        lengths, solved, seeds = self.fit.delays, self.fit.solved, self.fit.seeds
        if solved[-1] * seeds[0] > solved[0] * seeds[-1] or math.isnan(self.fit.t50.value):
            return True
        some = 0 < solved[0] < seeds[0] and len(lengths) > 2 and lengths[-1] >= 2 * lengths[0]
        return bool(some) and chance_of(solved[-1], seeds[-1], solved[0], seeds[0]) > FLAT

    @property
    def unmeasured(self) -> bool:
        """Whether T50 is no measure: no fall is seen, and its interval has no end within the lengths run."""
        return self.flat and not self.bounded

    @property
    def bounded(self) -> bool:
        """Whether the interval of T50 has an end within the lengths run."""
        return self.fit.t50.low > 0 or self.fit.t50.high < math.inf

    @property
    def loose(self) -> bool:
        """Whether T50 is given though its interval bounds it on neither side."""
        return not (self.flat or self.bounded)

    @property
    def t50(self) -> str:
        """T50 for readers, in steps."""
        return NONE if self.unmeasured else in_steps(self.fit.t50.value, self.fit.delays)

    @property
    def doubt(self) -> str:
        """Why T50 is not to be trusted, where it is a measure at all."""
        return "" if self.unmeasured else self.fit.doubt

    @property
    def warned(self) -> str:
        """T50 for figures, which have no room for its interval, nor for why it is in doubt."""
        marks = {"no bound": self.loose, "in doubt": bool(self.doubt)}
        words = ", ".join(mark for mark, holds in marks.items() if holds)
        return f"{self.t50} ({words})" if words else self.t50


def reached(frame: pd.DataFrame) -> list[Reached]:
    """Every cell's counts and T50, in the order of COMPARISONS, then the pilot's settings."""
    heads = (*COMPARISONS, "pilot")
    rows = frame[(frame.source == "memory") & (frame.metric == "solved")]
    rows = rows[rows.setting.str.split("/").str[0].isin(heads)]
    words = rows.setting.str.split("/")
    rows = rows.assign(comparison=words.str[0], task=words.str[1], length=rows["index"].astype(int), solved=rows.value)
    rows = rows[rows.task.isin(list(TASKS)) & rows.setting.str.contains("/delay=")]
    rows["what"] = rows.setting.str.rsplit("/", n=1).str[0]
    found = []
    for (comparison, task, what), some in rows.groupby(["comparison", "task", "what"], sort=True):
        given = parse_setting(what)
        place = (comparison, task, given["arm"], given.get("H", ""), given.get("lr", ""))
        found.append(Reached(*place, fitted(given["arm"], some)))
    order = list(TASKS).index
    return sorted(found, key=lambda one: (heads.index(one.comparison), order(one.task), one.cell, one.arm))


def lost(frame: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """By task, of the runs of both comparisons that solved it: how many no longer did when their group stopped, of how
    many. A run has solved the task at its first check that passes, and its cost is that of the end."""
    rows = frame[(frame.source == "memory") & frame.metric.isin(["solved", "cost"])]
    rows = rows[rows.setting.str.split("/").str[0].isin(COMPARISONS) & rows.setting.str.contains("/delay=")]
    wide = rows.pivot(index=["setting", "seed", "index"], columns="metric", values="value").reset_index()
    if not {"solved", "cost"} <= set(wide.columns):
        return {}
    solved = wide[wide.solved == 1]
    by_task = {task: solved[solved.setting.str.split("/").str[1] == task] for task in DECIDING}
    return {
        task: (int((some.cost >= TASKS[task].SOLVED_BELOW).sum()), len(some))
        for task, some in by_task.items()
        if len(some)
    }


class Pair(NamedTuple):
    """The LSTM and the RNN of a comparison on a task, and T50 of the one over that of the other (NaN: no measure)."""

    lstm: Reached
    rnn: Reached
    ratio: statistics.Interval

    @property
    def doubted(self) -> bool:
        """Whether either T50 is in doubt, and the ratio with it."""
        return bool(self.lstm.doubt or self.rnn.doubt)


def pairs(found: list[Reached]) -> list[Pair]:
    """Every comparison of two cells, tuned ones first."""
    known = {(one.comparison, one.task, one.cell): one for one in found if one.comparison in COMPARISONS}
    places = [(comparison, task) for comparison in COMPARISONS for task in DECIDING]
    both = [(known.get((*place, "lstm")), known.get((*place, "rnn"))) for place in places]
    return [Pair(a, b, measured_ratio(a, b)) for a, b in both if a and b]


def measured_ratio(lstm: Reached, rnn: Reached) -> statistics.Interval:
    """T50 of the one over that of the other; without a value where either is no measure."""
    found = ratio(lstm.fit, rnn.fit)
    return found._replace(value=math.nan) if lstm.unmeasured or rnn.unmeasured else found
