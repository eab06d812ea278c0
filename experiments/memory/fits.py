"""How many seeds solve, by length: counts, the logistic fit and T50, for people."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import special, stats

from experiments.harness import statistics


@dataclass(frozen=True)
class Fit:
    """One arm: its delays, how many of its seeds solved each, and the logistic fit in ln delay; all (K,)."""

    arm: str
    delays: np.ndarray
    solved: np.ndarray
    seeds: np.ndarray
    t50: statistics.T50

    @cached_property
    def doubt(self) -> str:
        """Why T50 and its interval are not to be trusted, where they are read from a curve that the counts refute."""
        found, last = misfit(self), self.delays[-1]
        parts = []
        if found.p < REFUTED:
            told = f"deviance {found.deviance:.3g} on {found.freedom} degrees of freedom, p < {REFUTED:g}"
            parts.append(f"its counts do not follow the curve: {told}")
        if 0 < self.t50.value < math.inf and self.t50.high < last and 2 * self.solved[-1] >= self.seeds[-1]:
            parts.append(f"{self.solved[-1]} of {self.seeds[-1]} still solve the longest, {last:g}")
        return ", and ".join(parts)


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


class Misfit(NamedTuple):
    """How far counts lie from the logistic curve: deviance, its degrees of freedom, and the chance of as much."""

    deviance: float
    freedom: int
    p: float


REFUTED = 0.01
"""Counts that a right curve would lie as far from in fewer cases refute it."""


def misfit(fit: Fit) -> Misfit:
    """The deviance of an arm's counts from its curve, beside chi squared; with two lengths or fewer nothing is left."""
    p, freedom = np.clip(fit.t50.share(fit.delays), 1e-12, 1 - 1e-12), max(len(fit.delays) - 2, 0)
    if not freedom:
        return Misfit(0.0, 0, 1.0)
    failed = fit.seeds - fit.solved
    parts = special.rel_entr(fit.solved, fit.seeds * p) + special.rel_entr(failed, fit.seeds * (1 - p))
    deviance = 2 * float(parts.sum())
    return Misfit(deviance, freedom, float(stats.chi2.sf(deviance, freedom)))


def told(fit: Fit) -> str:
    """T50 for figures and lists, which have no room for why it is in doubt."""
    value = in_steps(fit.t50.value, fit.delays)
    return f"{value} (in doubt)" if fit.doubt else value


def solved_of(fit: Fit) -> str:
    """How many seeds solved, of those run, at each length: "16/16 at 10, 9/16 at 20"."""
    counted = zip(fit.solved, fit.seeds, fit.delays, strict=True)
    return ", ".join(f"{solved}/{seeds} at {delay:g}" for solved, seeds, delay in counted)


def misfit_sentence(fits: list[tuple[str, Fit]], at: str) -> str:
    """Where the curves, from which T50 is read, miss the measured share most, and which T50 is in doubt for it.

    Args:
        fits: what each is called for readers, and the fit.
        at: what lengths are called.
    """
    fits = [(name, fit) for name, fit in fits if len(fit.delays) > 1]
    if not fits:
        return ""
    misses = [np.abs(fit.solved / fit.seeds - fit.t50.share(fit.delays)) for _, fit in fits]
    (name, fit), miss = max(zip(fits, misses, strict=True), key=lambda pair: round(pair[1].max(), 6))
    where = f"{name} at {at} {fit.delays[miss.argmax()]:g}"
    first = f"The logistic curves from which T50 is read miss a share by at most {miss.max():.2f} ({where})."
    doubted = [f"{name} ({fit.doubt})" for name, fit in fits if fit.doubt]
    if not doubted:
        return first
    return f"{first} {DOUBTED} {'; '.join(doubted)}."


DOUBTED = "T50, its interval and its ratios hold only where counts follow their curve, and are not to be trusted for"


def cautions(frame: pd.DataFrame) -> pd.DataFrame:
    """A table without its column of cautions where there are none."""
    return frame if frame.caution.any() else frame.drop(columns="caution")


def ratio_caution(fits: list[tuple[str, Fit]]) -> str:
    """Whose T50 is in doubt, and the ratio with it."""
    names = [name for name, fit in fits if fit.doubt]
    return f"T50 in doubt: {'; '.join(names)}" if names else ""


def ratio(over: Fit, under: Fit) -> statistics.Interval:
    """T50 of one arm over T50 of another."""
    parts = (part for fit in (over, under) for part in (fit.delays, fit.solved, fit.seeds))
    return statistics.t50_ratio(*parts)


NONE = "none (no fall seen)"
"""What stands for a T50 where there is none."""


def in_steps(value: float, delays: Any) -> str:
    """A delay to two or three figures, from 100 on in whole steps; "< first" or "> last" outside the delays run."""
    if math.isnan(value):
        return NONE
    if not delays[0] <= value <= delays[-1]:
        return f"< {delays[0]:g}" if value < delays[0] else f"> {delays[-1]:g}"
    if value >= 100:
        return f"{value:.0f}"
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
