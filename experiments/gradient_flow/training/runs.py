"""The records run by run, and the numbers that tables and figures share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from experiments.gradient_flow.findings import decades, own
from experiments.gradient_flow.training import predictions
from experiments.gradient_flow.training.sweep import ARMS, H, Run
from experiments.harness import figures, statistics
from experiments.tasks import adding
from properties.record import parse_setting

MAIN_RATE = 1e-2
LABELS = {
    "rnn_torch": "torch",
    "rnn_orthogonal": "orthogonal",
    "lstm_torch": "torch",
    "lstm_b1": "$b_f$ = 1",
    "lstm_chrono": "chrono",
}


class Trained(NamedTuple):
    """One run at one length: a row a seed; `by_lag` maps a metric to a frame by (update, seed) with a column a lag."""

    run: Run
    T: int
    by_lag: dict[str, pd.DataFrame]
    by_update: pd.DataFrame
    once: pd.DataFrame

    @property
    def cell(self) -> str:
        """Its cell."""
        return ARMS[self.run.arm].cell

    @property
    def updates(self) -> list[int]:
        """Its checkpoints."""
        return sorted(self.by_lag["log10_norm"].index.unique("update"))

    def relative(self, lag: int, update: int) -> np.ndarray:
        """log10 of the norm at a lag over that at lag 0, one number a seed; NaN where training was lost."""
        norm = self.by_lag["log10_norm"].loc[update]
        return (norm[lag] - norm[0]).to_numpy()

    def at(self, metric: str, update: int) -> np.ndarray:
        """A metric at a checkpoint, one number a seed; what is not a number counts as infinite."""
        values = self.by_update.loc[metric].loc[update].to_numpy()
        return np.where(np.isnan(values), np.inf, values)

    @property
    def solved(self) -> np.ndarray:
        """Whether each seed's loss at the last checkpoint is that of a solved task."""
        return self.at("loss", self.updates[-1]) < adding.SOLVED_BELOW


def trained(frame: pd.DataFrame) -> list[Trained]:
    """The runs that were recorded, in the order of arms, rates, clipping and lengths."""
    mine = own(frame, "training")
    parts = mine.setting.str.split("/update=", expand=True).reindex(columns=[0, 1])
    mine = mine.assign(base=parts[0], update=parts[1]).sort_values(["base", "seed", "index"], kind="stable")
    found = [one(base, some) for base, some in mine.groupby("base", sort=True)]
    order = list(ARMS)
    return sorted(found, key=lambda t: (t.T, order.index(t.run.arm), t.run.lr, t.run.clip is None))


def one(base: str, some: pd.DataFrame) -> Trained:
    """One run from its records."""
    given, looks = parse_setting(base), some[some["update"].notna()]
    looks = looks.assign(update=looks["update"].astype(int), lag=looks["index"].astype(int))
    wide = {m: f.pivot(index=["update", "seed"], columns="lag", values="value") for m, f in looks.groupby("metric")}
    rest = some[some["update"].isna()]
    single = rest.metric.isin(["exploded_at", "not_finite_at"])
    by_update = rest[~single].assign(update=rest["index"].astype(int))
    return Trained(
        Run(given["arm"], float(given["lr"]), None if given["clip"] == "none" else float(given["clip"])),
        int(given["T"]),
        wide,
        by_update.pivot(index=["metric", "update"], columns="seed", values="value"),
        rest[single].pivot(index="seed", columns="metric", values="value"),
    )


def by_length(runs: list[Trained]) -> list[list[Trained]]:
    """The runs of each length."""
    return [[t for t in runs if t.T == T] for T in sorted({t.T for t in runs})]


# Numbers


def interval(values: ArrayLike) -> statistics.Interval:
    """The median over seeds with its interval; a seed whose value is no number may lie anywhere.

    It counts as -inf for the lower end and as inf for the upper one; the median is NaN where the two differ in it.
    """
    values = np.asarray(values, float)
    with np.errstate(invalid="ignore"):  # half of the seeds at -inf: the median is no number
        low, high = (statistics.order_interval(np.where(np.isnan(values), end, values)) for end in (-np.inf, np.inf))
    return statistics.Interval(low.value if low.value == high.value else math.nan, low.low, high.high)


def rows_of(t: Trained, update: int) -> Iterator[dict[str, Any]]:
    """A row a lag of one run at a checkpoint: the relative norm's median and interval, the form, what it leaves."""
    form = predictions.log10_norm(ARMS[t.run.arm], H, t.T, predictions.inputs(t.T))
    for lag in t.by_lag["log10_norm"]:
        values = t.relative(lag, update)
        name = {"arm": t.run.arm, "lr": t.run.lr, "clip": t.run.clip, "T": t.T, "update": update, "lag": lag}
        row = name | {"seeds": len(values), "lost": int(np.isnan(values).sum())}
        yield row | statistics.against(interval(values), form[lag], decimals=12)


def first_lag(t: Trained) -> int:
    """The lag of the first step."""
    return t.T - 1


def share(happened: np.ndarray) -> str:
    """How many of the seeds, with the interval of the share."""
    k, n = int(happened.sum()), len(happened)
    low, high = statistics.clopper_pearson(k, n)
    return f"{k} of {n} ({low:.0%} to {high:.0%})"


# Text


def name(run: Run) -> str:
    """A run's name in tables, without clipping."""
    rate = "" if run.lr == MAIN_RATE else f", rate {run.lr:g}"
    return f"{figures.NAMES[ARMS[run.arm].cell]} {plain(LABELS[run.arm])}{rate}"


def plain(label: str) -> str:
    """A label for running text."""
    return label.replace("$b_f$ = ", "b_f=")


def clipping(run: Run) -> str:
    """How a run clips, in words."""
    return "not clipped" if run.clip is None else f"clipped at {run.clip:g}"


def told(values: statistics.Interval, write: Callable[[float], str] = decades) -> str:
    """A median with its interval, as it stands in a table."""
    middle = "no number" if math.isnan(values.value) else write(values.value)
    return f"{middle} ({write(values.low)} to {write(values.high)})"


def few(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}"


def ends(runs: list[Trained], cell: str, solved: bool) -> np.ndarray:
    """The relative norm at the first step's lag at the end of training, of seeds that solved the task or did not."""
    mine = [t.relative(first_lag(t), t.updates[-1])[t.solved == solved] for t in runs if t.cell == cell]
    return np.concatenate([np.zeros(0), *mine])


def within(values: np.ndarray) -> str:
    """From the least to the largest; values that are no numbers are left to `lost_text`."""
    known = values[~np.isnan(values)]
    return f"{decades(known.min())} to {decades(known.max())}" if len(known) else "unknown"


def fastest(runs: list[Trained]) -> tuple[Trained, statistics.Interval]:
    """The run whose median changes most up to its first checkpoint, among those at the main rate."""
    changes = [(t, interval(changed(t, t.updates[1]))) for t in runs if t.run.lr == MAIN_RATE]
    return max(changes, key=lambda pair: np.nan_to_num(abs(pair[1].value)))


def changed(t: Trained, update: int, lag: int | None = None) -> np.ndarray:
    """By how many decades each seed's relative norm has changed by a checkpoint, at a lag or at the first step."""
    lag = first_lag(t) if lag is None else lag
    with np.errstate(invalid="ignore"):
        return t.relative(lag, update) - t.relative(lag, 0)
