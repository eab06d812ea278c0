"""What the records say: success by delay, T50 by arm, updates until solved. Reads records and nothing else."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.harness import statistics
from experiments.harness.arms import ARMS, CHRONO_FACTOR
from experiments.harness.report import Findings, Section, Table
from experiments.memory.fits import (
    Fit,
    cautions,
    chance_of,
    fitted,
    in_steps,
    interval_text,
    misfit_sentence,
    ratio,
    ratio_caution,
    told,
)
from experiments.memory.latch import pictures
from experiments.memory.latch.pictures import by_t50, label
from experiments.memory.latch.pilot import PILOT_DELAYS, PILOT_RANGE, PILOT_SEEDS, PILOT_SOLVED, PILOT_T50
from experiments.memory.latch.sweep import FIXED
from experiments.tasks import latch
from properties.record import parse_setting

ORDER = (("lstm_b0",), ("rnn_uniform", "lstm_b1"), ("lstm_b3",), ("lstm_chrono", "rnn_orthogonal"))
"""The order of T50 in the pilot: each arm of one tier below each of the next."""

RATIOS = tuple(
    (lstm, rnn) for lstm in ("lstm_b1", "lstm_b3", "lstm_chrono") for rnn in ("rnn_uniform", "rnn_orthogonal")
)


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    runs = seeds_table(frame)
    fits = fit_arms(runs)
    drawn = [pictures.success(fits), pictures.t50(fits), pictures.updates(runs)]
    tables = [t50_table(fits), solved_table(fits), ratio_table(fits)]
    return Findings(Section("How long a bit is kept, by start", lead(fits), drawn, tables), settings(runs))


def seeds_table(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a run: arm, delay, seed and its metrics as columns, in the order of the arms, whatever the frame's."""
    rows = frame[(frame.source == "memory") & frame.setting.str.startswith("latch/arm=")]
    if rows.empty:
        raise ValueError("`frame` must hold records of the latch, since the report is about them; got none.")
    runs = rows.pivot(index=["setting", "index", "seed"], columns="metric", values="value").reset_index()
    runs = runs.rename(columns={"index": "delay"}).rename_axis(columns=None)
    runs.insert(0, "arm", [parse_setting(setting)["arm"] for setting in runs.setting])
    order = runs.arm.map(list(ARMS).index)
    return runs.assign(order=order).sort_values(["order", "delay", "seed"], ignore_index=True).drop(columns="order")


def fit_arms(runs: pd.DataFrame) -> list[Fit]:
    """Every arm's counts and T50, in the order of the arms."""
    runs = runs.rename(columns={"delay": "length"})
    return [fitted(arm, rows) for arm, rows in runs.groupby("arm", sort=False)]


class Comparison(NamedTuple):
    """Two arms, `low` below `high` in the pilot; T50 of `high` over that of `low` here, and whether it is in doubt."""

    low: str
    high: str
    ratio: statistics.Interval
    doubted: bool

    @property
    def names(self) -> str:
        """The pair, for readers."""
        return f"{label(self.low)} and {label(self.high)}"


def order_pairs(fits: list[Fit]) -> list[Comparison]:
    """Every pair of arms from neighbouring tiers of ORDER that was run."""
    known = {fit.arm: fit for fit in fits}
    pairs = [(a, b) for low, high in pairwise(ORDER) for a in low for b in high if {a, b} <= known.keys()]
    doubted = {arm for arm, fit in known.items() if fit.doubt}
    return [Comparison(a, b, ratio(known[b], known[a]), not doubted.isdisjoint((a, b))) for a, b in pairs]


# Words


def lead(fits: list[Fit]) -> str:
    """What was found, in words."""
    values = "; ".join(f"{label(fit.arm)} {told(fit)}" for fit in by_t50(fits))
    return (
        f"A bit shown at the first step is asked for after a delay filled with noise. Chance answers "
        f"{latch.CHANCE_ACCURACY:.0%} right (loss ln 2 = {latch.CHANCE_LOSS:.4f} nats); whoever still has the first "
        f"step errs on {latch.bayes_error(2, 1):.0%}.\n\nT50, the delay that half of the seeds solve, in steps: "
        f"{values}. {misfit_sentence(names(fits), 'delay')}\n\n"
        f"{order_sentence(fits)} {pilot_sentence(fits)} {biases_sentence(fits)}"
        "N12, which asks for cells tuned on an equal grid, is judged below."
    )


def names(fits: list[Fit]) -> list[tuple[str, Fit]]:
    """Every fit with what its arm is called."""
    return [(label(fit.arm), fit) for fit in fits]


def order_sentence(fits: list[Fit]) -> str:
    """Whether T50 stands in the pilot's order, and how much of that order is beyond doubt."""
    pairs = order_pairs(fits)
    against = [pair.names for pair in pairs if pair.ratio.value <= 1]
    unknown = [pair.names for pair in pairs if math.isnan(pair.ratio.value)]
    apart = sum(pair.ratio.low > 1 for pair in pairs)
    order = " < ".join("{" + ", ".join(map(label, tier)) + "}" if tier[1:] else label(tier[0]) for tier in ORDER)
    if against:
        first = f"Against the pilot's order {order} stand {'; '.join(against)}."
    elif len(unknown) == len(pairs):
        return f"The delays run here are too few to order the arms (the pilot's order: {order})."
    else:
        first = f"This is the pilot's order: {order}."
    rest = f" Not told apart by the delays run here: {'; '.join(unknown)}." if unknown else ""
    doubted = "; ".join(pair.names for pair in pairs if pair.doubted)
    but = f" In doubt, as a T50 of the pair is: {doubted}." if doubted else ""
    return f"{first}{rest} At 99 %, {apart} of the {len(pairs)} pairs of neighbouring tiers are in this order.{but}"


def pilot_sentence(fits: list[Fit]) -> str:
    """Where our counts differ from the pilot's, by Fisher's exact test at 1 % over all comparisons (Bonferroni)."""
    pairs = [
        (f"{label(fit.arm)} at delay {delay} ({solved} of {seeds} here, {pilot} of {PILOT_SEEDS} there)", p)
        for fit in fits
        for delay, solved, seeds, pilot, p in against_pilot(fit)
    ]
    differ = [name for name, p in pairs if p * len(pairs) < 0.01]
    if not pairs:
        return "None of the pilot's delays was run."
    counts = f"{len(pairs)} counts that the pilot also has, {len(differ) or 'none'} differ{'s' * (len(differ) < 2)}"
    first = f"Of {counts} at 1 % over all (Fisher's exact test){': ' if differ else ''}{'; '.join(differ)}."
    outside = [fit for fit in fits if leaves_out(fit, PILOT_T50.get(fit.arm, math.nan))]
    outside = [f"{label(fit.arm)} (in doubt)" if fit.doubt else label(fit.arm) for fit in outside]
    rest = " The pilot's T50 (how it was read off is not written down) lies outside our interval for "
    return first + (f"{rest}{'; '.join(outside)}." if outside else "")


def leaves_out(fit: Fit, pilot: float) -> bool:
    """Whether the interval leaves out the pilot's T50; an infinite one may lie anywhere above; NaN: none."""
    return fit.t50.high < (PILOT_RANGE[1] if math.isinf(pilot) else pilot) or pilot < fit.t50.low


def against_pilot(fit: Fit) -> list[tuple[int, int, int, int, float]]:
    """One arm at the pilot's delays: delay, solved, seeds, the pilot's solved, and Fisher's p of no difference."""
    ours, rows = dict(zip(fit.delays, zip(fit.solved, fit.seeds, strict=True), strict=True)), []
    for delay, pilot in zip(PILOT_DELAYS, PILOT_SOLVED.get(fit.arm, ()), strict=False):
        if delay in ours:
            solved, seeds = ours[delay]
            p = chance_of(solved, seeds, pilot, PILOT_SEEDS)
            rows.append((delay, int(solved), int(seeds), pilot, p))
    return rows


def biases_sentence(fits: list[Fit]) -> str:
    """What the orthogonal RNN owes to its biases, where both of its starts were run."""
    known = {fit.arm: fit for fit in fits}
    if not {"rnn_orthogonal", "rnn_orthogonal_torch_biases"} <= known.keys():
        return ""
    zero, torch = known["rnn_orthogonal"], known["rnn_orthogonal_torch_biases"]
    counts = f"{zero.solved.sum()} of {zero.seeds.sum()} runs solve with zero biases, {torch.solved.sum()} of "
    return (
        f"RNN orthogonal starts with biases of zero; with torch's biases it is an arm of its own: over all delays "
        f"{counts}{torch.seeds.sum()} with torch's. "
    )


# Tables


def t50_table(fits: list[Fit]) -> Table:
    """T50 of every arm with its interval, beside the pilot's and the closed form at the start."""
    rows = []
    for fit in by_t50(fits):
        low, value, high = (in_steps(end, fit.delays) for end in (fit.t50.low, fit.t50.value, fit.t50.high))
        half_life = ARMS[fit.arm].half_life
        inside = half_life and 0 < fit.t50.value < math.inf
        rows.append(
            {
                "arm": label(fit.arm),
                "T50 (steps)": value,
                "99 % interval": f"{low} to {high}",
                "pilot's T50": in_steps(PILOT_T50[fit.arm], PILOT_RANGE) if fit.arm in PILOT_T50 else "",
                "half-life at the start (steps)": f"{half_life:.3g}" if half_life else "",
                "T50 / half-life": f"{fit.t50.value / half_life:.3g}" if inside else "",
                "seeds": int(fit.seeds.max()),
                "caution": fit.doubt,
            }
        )
    return Table("t50", "The delay that half of the seeds solve, by arm", cautions(pd.DataFrame(rows)))


def solved_table(fits: list[Fit]) -> Table:
    """How many seeds solved each delay."""
    rows = [
        {"arm": label(fit.arm), "seeds": int(fit.seeds.max())}
        | {f"{delay:g}": int(solved) for delay, solved in zip(fit.delays, fit.solved, strict=True)}
        for fit in fits
    ]
    return Table("solved", "Seeds that solved the latch, by delay (steps)", pd.DataFrame(rows))


def ratio_table(fits: list[Fit]) -> Table:
    """T50 of an LSTM over T50 of an RNN, start by start."""
    known, rows = {fit.arm: fit for fit in fits}, []
    for over, under in RATIOS:
        if {over, under} <= known.keys():
            value, low, high = ratio(known[over], known[under])
            number = f"{value:.3g}" if 0 < value < math.inf else ""
            caution = ratio_caution(names([known[over], known[under]]))
            rows.append((label(over), label(under), number, interval_text(low, high), caution))
    title = "T50 of an LSTM over T50 of an RNN (no number where a T50 lies outside the delays run)"
    columns = ["LSTM", "RNN", "ratio of T50", "99 % interval", "caution"]
    return Table("ratios", title, cautions(pd.DataFrame(rows, columns=columns)))


CHRONO = (
    f"biases drawn for the delay that is trained on, told to no other start: b_f = ln u, b_i = -ln u, u uniform "
    f"in [1, T_max - 1], T_max = {CHRONO_FACTOR:g} times the delay"
)


def settings(runs: pd.DataFrame) -> dict[str, str]:
    """What was run."""
    chrono = {"latch: LSTM chrono": CHRONO} if "lstm_chrono" in set(runs.arm) else {}
    return {
        "latch": f"x_0 = +-1, then N(0, {latch.NOISE:g}^2); logistic loss at the last step",
        "latch: delays (steps)": ", ".join(f"{delay:g}" for delay in np.unique(runs.delay)),
        "latch: seeds": f"{runs.seed.nunique()}",
        "latch: hidden units H, batch B": f"{FIXED['H']}, {FIXED['B']}",
        "latch: optimiser": f"Adam {FIXED['lr']:g}, gradient clipped to norm {FIXED['clip']:g}, fresh data",
        "latch: updates at most": f"{runs.updates_allowed.max():g}; a group stops when all of its seeds have solved",
        "latch: solved": f"< {latch.SOLVED_BELOW:g} of {runs.held_out_rows.max():g} held-out rows wrong at a check",
        **chrono,
    }
