"""How many seeds solve, by length: counts, the logistic fit and T50, for people."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from experiments.harness import statistics


class Fit(NamedTuple):
    """One arm: its delays, how many of its seeds solved each, and the logistic fit in ln delay; all (K,)."""

    arm: str
    delays: np.ndarray
    solved: np.ndarray
    seeds: np.ndarray
    t50: statistics.T50


def fitted(arm: str, rows: pd.DataFrame) -> Fit:
    """An arm's counts and T50 from one row a run, with columns length and solved; of one length T50 may be any."""
    counts = rows.groupby("length").solved.agg(["sum", "size"]).astype(int)
    delays, solved, seeds = counts.index.to_numpy(), counts["sum"].to_numpy(), counts["size"].to_numpy()
    unknown = statistics.T50(math.nan, 0.0, math.inf, math.nan, math.nan)
    return Fit(arm, delays, solved, seeds, statistics.t50(delays, solved, seeds) if len(delays) > 1 else unknown)


def chance_of(solved: int, seeds: int, pilot: int, pilot_seeds: int) -> float:
    """Fisher's p of so different counts if both had one share."""
    return float(stats.fisher_exact([[solved, seeds - solved], [pilot, pilot_seeds - pilot]]).pvalue)


def shares(fit: Fit) -> pd.DataFrame:
    """One arm's shares with Clopper-Pearson intervals, fitted shares and residuals, a row a length."""
    pairs = zip(fit.solved, fit.seeds, strict=True)
    low, high = np.transpose([statistics.clopper_pearson(k, n) for k, n in pairs])
    share, fitted = fit.solved / fit.seeds, fit.t50.share(fit.delays)
    counts = {"arm": fit.arm, "delay": fit.delays, "solved": fit.solved, "seeds": fit.seeds}
    return pd.DataFrame(
        counts | {"share": share, "low": low, "high": high, "fitted": fitted, "residual": share - fitted}
    )


def ratio(over: Fit, under: Fit) -> statistics.Interval:
    """T50 of one arm over T50 of another."""
    parts = (part for fit in (over, under) for part in (fit.delays, fit.solved, fit.seeds))
    return statistics.t50_ratio(*parts)


def in_steps(value: float, delays: Any) -> str:
    """A delay to two or three figures; "< first" or "> last" where it lies outside the delays that were run."""
    if not delays[0] <= value <= delays[-1]:
        return f"< {delays[0]:.3g}" if value < delays[0] else f"> {delays[-1]:.3g}"
    return f"{value:.3g}" if value >= 10 else f"{value:.2g}"


def interval_text(low: float, high: float) -> str:
    """An interval of a ratio, whose ends may be 0 and infinite."""
    if high == math.inf:
        return f"> {low:.3g}" if low else "any"
    return f"{low:.3g} to {high:.3g}" if low else f"< {high:.3g}"


def delay_axis(axis: Axes, delays: np.ndarray) -> None:
    """A logarithmic axis with about six of the delays named."""
    axis.set_xscale("log")
    named = delays[:: max(1, round(len(delays) / 6))]
    axis.set_xticks(named, [f"{delay:g}" for delay in named])
    axis.minorticks_off()
