"""What the records say: the largest exponent by width beside the mean field, and claim N1. Reads records alone."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from experiments.gradient_flow.findings import Findings, own
from experiments.gradient_flow.growth.predictions import extrapolated, mean_field
from experiments.gradient_flow.growth.sweep import BEHIND, BURN, QUIET
from experiments.harness import figures, statistics
from experiments.harness.report import Figure, Section, Table
from properties.record import parse_setting

LIMIT = 0
"""Where the extrapolated value stands among the widths: at 1/N = 0, N infinite."""


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    table = by_width(frame)
    chaotic = table[table.gain > 1]
    tables = [width_table(table), *claim_table(frame)]
    section = Section("Growth: the largest exponent", lead(table), [picture(chaotic)], tables)
    return Findings(section, settings(table))


# Numbers


def by_width(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a gain and width, and the extrapolated one: mean over seeds, its interval, what is predicted: the mean
    field, and below gain 1 the logarithm of the very matrices' spectral radius."""
    rows = []
    for setting, some in own(frame, "growth").groupby("setting", sort=True):
        gain = float(parse_setting(setting)["gain"])
        radius = some[some.metric == "log_radius"].value
        wide = some[some.metric == "lambda_1"].pivot(index="seed", columns="index", values="value")
        columns = {int(N): wide[N].to_numpy() for N in wide}
        if len(columns) > 2:
            columns[LIMIT] = extrapolated(wide.to_numpy(), tuple(columns))
        for N, values in columns.items():
            mean, low, high = mean_interval(values)
            expected = radius.mean() if len(radius) else mean_field(gain)
            row = {"gain": gain, "N": N, "one_over_N": 1 / N if N else 0.0, "seeds": len(values), "mean": mean}
            row |= {"low": low, "high": high, "predicted": expected, "residual": mean - expected}
            rows.append(row | {"residual_low": low - expected, "residual_high": high - expected})
    return pd.DataFrame(rows).sort_values(["gain", "one_over_N"], ignore_index=True)


def mean_interval(values: np.ndarray, level: float = statistics.LEVEL) -> tuple[float, float, float]:
    """The mean over seeds and its Student interval; an exponent, a mean over draws, rows and steps, is near a normal.

    Claim N1 has the median and order statistics, as every claim.
    """
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return mean, -math.inf, math.inf
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * values.std(ddof=1) / math.sqrt(n))
    return mean, mean - half, mean + half


def holds(limit: np.ndarray, gain: float) -> bool:
    """Whether the interval of the extrapolated exponents, (seeds,), holds the mean field of a gain."""
    _, low, high = mean_interval(limit)
    return low <= mean_field(gain) <= high


# Text


def lead(table: pd.DataFrame) -> str:
    """What was found, in words."""
    limits = table[table.N == LIMIT]
    middle = table[(table.gain > 1) & (sorted(table.N.unique())[-2] == table.N)]
    worst = middle.loc[(middle.residual / middle.predicted).abs().idxmax()]
    ends = "; ".join(
        f"gain {row.gain:g} {row.mean:.4f} ({row.low:.4f} to {row.high:.4f}), mean field {row.predicted:.4f}"
        for row in limits.itertuples()
    )
    quiet = table[table.gain == QUIET].iloc[0]
    return (
        f"A tanh RNN of N units left to itself, h' = tanh(W h), W from N(0, g^2/N). From gain 1 on its state does not "
        f"die out, and the mean field of infinite width knows how fast a gradient then grows.\n\n"
        f"Extrapolated to 1/N = 0 by the polynomial in 1/N through all widths, mean and 99 % interval: {ends}.\n\nAt "
        f"a single width the mean "
        f"field is off: at N = {int(worst.N)} by up to {abs(worst.residual / worst.predicted):.1%} (gain "
        f"{worst.gain:g}). At gain {QUIET:g} the exponent at N = {int(quiet.N)} is {quiet['mean']:.4f} "
        f"({quiet.low:.4f} to {quiet.high:.4f}): the state dies out, and what is left is the linear map, whose "
        f"spectral radius gives {quiet.predicted:.4f} (ln g = {mean_field(QUIET):.4f} for infinite N)."
    )


def width_table(table: pd.DataFrame) -> Table:
    """Every width, and how far from the mean field it is."""
    rows = [
        {
            "gain": f"{row.gain:g}",
            "N": f"{row.N}" if row.N else "infinite (extrapolated)",
            "lambda_1, mean": f"{row.mean:.5f}",
            "99 % interval": f"{row.low:.5f} to {row.high:.5f}",
            "predicted": f"{row.predicted:.5f}",
            "by": "spectral radius" if row.gain <= 1 else "mean field",
            "off by": f"{row.residual / abs(row.predicted):+.1%}",
            "inside": "yes" if row.low <= row.predicted <= row.high else "no",
            "seeds": row.seeds,
        }
        for row in table.itertuples()
    ]
    return Table("growth", "lambda_1 per step by gain and width", pd.DataFrame(rows))


def claim_table(frame: pd.DataFrame) -> list[Table]:
    """The numbers that claim N1 judges; no table where too few widths were run."""
    asked = own(frame, "mean_field", "lambda_1")
    rows = []
    for setting, some in asked[asked.metric == "N1"].groupby("setting", sort=True):
        value, low, high = statistics.order_interval(some.value)
        what = "minus the mean field, extrapolated" if setting.startswith("mean_field") else "at the widest"
        row = {"lambda_1": what, "gain": parse_setting(setting)["gain"], "median": f"{value:.6f}"}
        rows.append(row | {"99 % interval": f"{low:.6f} to {high:.6f}", "seeds": len(some)})
    title = "What claim N1 asks: by the median over seeds and its order-statistic interval, as every claim"
    return [Table("mean_field", title, pd.DataFrame(rows))] if rows else []


def settings(table: pd.DataFrame) -> dict[str, str]:
    """What was run."""
    widths = ", ".join(f"{N}" for N in sorted(table.N.unique()) if N)
    return {
        "growth": f"N = {widths}; no input, no bias; {table.seeds.max()} seeds, each the mean of several draws of W",
        "growth: steps": f"{BURN} to the attractor, then those that count, {BEHIND} to turn the gradient",
    }


# Figure


def picture(table: pd.DataFrame) -> Figure:
    """lambda_1 over 1/N, a column a gain; measured minus mean field below."""
    gains = list(dict.fromkeys(table.gain))
    canvas, axes = figures.with_residual(len(gains), (3.7, 4.6))
    for (top, below), gain in zip(axes.T, gains, strict=True):
        rows = table[table.gain == gain]
        column(top, below, rows)
        top.set_title(f"gain {gain:g}")
        below.set_xlabel("1000 / N, N units")
    axes[0, 0].set_ylabel("largest exponent\n(natural units a step)")
    axes[1, 0].set_ylabel("measured minus\nmean field")
    return Figure("growth", title(table), canvas, alt(table), table)


def column(top: plt.Axes, below: plt.Axes, rows: pd.DataFrame) -> None:
    """One gain: widths as dots, the extrapolated value hollow, intervals as bars."""
    colour = figures.COLOURS["rnn"]
    for row in rows.itertuples():
        x, face = 1000 * row.one_over_N, colour if row.N else "white"
        for axis, low, value, high in (
            (top, row.low, row.mean, row.high),
            (below, row.residual_low, row.residual, row.residual_high),
        ):
            if np.isfinite([low, high]).all():
                axis.plot(
                    [1000 * row.one_over_N] * 2, [low, high], color=colour, lw=3, alpha=0.35, solid_capstyle="butt"
                )
            axis.plot(1000 * row.one_over_N, value, "o", color=colour, mfc=face, ms=5)
        if row.N:
            figures.label_line(top, x, row.mean, f"N = {row.N}", colour)
        else:
            figures.label_line(top, x, row.high if np.isfinite(row.high) else row.mean, "extrapolated", colour)
    top.axhline(rows.predicted.iloc[0], **figures.PREDICTION)
    figures.label_line(top, 5, rows.predicted.iloc[0], "mean field", xytext=(0, 5), ha="center")
    below.axhline(0, **figures.PREDICTION)
    top.set_xlim(-0.4, 6.6)


def title(table: pd.DataFrame) -> str:
    """Whether the limits hold the mean field, and how far the least width is off."""
    limits, widths = table[table.N == LIMIT], table[table.N != LIMIT]
    inside = (limits.low <= limits.predicted) & (limits.predicted <= limits.high)
    least = int(widths.N.min())
    off = (widths.residual / widths.predicted)[least == widths.N]
    far = off[off.abs().idxmax()]
    held = "at every gain" if inside.all() else f"at {inside.sum()} of {len(inside)} gains"
    return (
        f"Extrapolated to infinite width the gradient's growth agrees with the mean field, by its interval, {held}; "
        f"at N = {least} it is up to {abs(far):.0%} {'slower' if far < 0 else 'faster'}"
    )


def alt(table: pd.DataFrame) -> str:
    """What the figure shows, for who cannot see it."""
    parts = [
        f"gain {row.gain:g}, N {row.N or 'infinite'}: {row.mean:.4f} ({row.low:.4f} to {row.high:.4f}), mean field "
        f"{row.predicted:.4f}"
        for row in table.itertuples()
    ]
    return "Largest Lyapunov exponent by gain and width: " + "; ".join(parts) + "."
