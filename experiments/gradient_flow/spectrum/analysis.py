"""What the records say: whole spectra beside their closed forms, and how well sum rules hold. Reads records alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from experiments.gradient_flow.findings import Findings, by_seed, name, own
from experiments.gradient_flow.spectrum import predictions
from experiments.gradient_flow.spectrum.sweep import BEHIND, BURN, T_MAX, D
from experiments.gradient_flow.starts import STARTS, Start
from experiments.harness import figures, statistics
from experiments.harness.report import Figure, Section, Table
from experiments.harness.words import listed
from properties.record import parse_setting

U = float(np.finfo(float).eps) / 2
KINDS = {"fresh": "a new Gaussian map a step", "gaussian": "one Gaussian map", "orthogonal": "one orthogonal map"}
KINDS |= {"identity": "the identity"}


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    mine = own(frame, "spectrum")
    table = spectra(mine)
    pictures = [linear_figure(table), rnn_figure(table), lstm_figure(table)]
    first = largest(table)
    tables = [largest_table(mine, first), rule_table(mine), exact_table(mine)]
    words = f"{lead(mine, table)}\n\n{largest_text(first)}"
    section = Section("Spectra: all exponents", words, pictures, tables)
    return Findings(section, settings(mine))


# Numbers


def spectra(mine: pd.DataFrame) -> pd.DataFrame:
    """One row a setting and exponent: median over seeds with its interval, the closed form, what is left."""
    rows = []
    every = mine[mine.metric == "exponent"]
    for setting, some in every[every.setting.isin(drawn_whole(every))].groupby("setting", sort=True):
        wide, expected = by_seed(some), expected_of(setting, mine)
        found, left = (table.agg(statistics.order_interval).to_numpy() for table in (wide, wide - expected))
        row = {"setting": setting, "number": wide.columns.astype(int), "place": predictions.places(wide.shape[1])}
        row |= {"predicted": np.median(np.atleast_2d(expected), 0)}
        row |= dict(zip(("median", "low", "high"), found, strict=True))
        rows.append(pd.DataFrame(row | dict(zip(("residual", "residual_low", "residual_high"), left, strict=True))))
    return pd.concat(rows, ignore_index=True)


def drawn_whole(every: pd.DataFrame) -> pd.Index:
    """The settings of which more than the largest exponent is kept."""
    longest = every.groupby("setting")["index"].max()
    return longest.index[longest > 1]


def expected_of(setting: str, mine: pd.DataFrame) -> np.ndarray:
    """The closed form, (n,); of one Gaussian map its own eigenvalues, seed by seed, (seeds, n)."""
    parts = parse_setting(setting)
    H = int(parts["H"])
    if "kind" in parts:
        eigenvalues = mine[(mine.setting == setting) & (mine.metric == "log_modulus")]
        known = parts["kind"] != "gaussian"
        return predictions.linear(parts["kind"], float(parts["gain"]), H) if known else by_seed(eigenvalues).to_numpy()
    start = start_of(setting)
    return predictions.rnn(start, D, H) if start.cell == "rnn" else predictions.lstm(start, D, H, T_MAX)


def start_of(setting: str) -> Start:
    """The start of a driven cell's setting."""
    return STARTS[setting.removeprefix("spectrum/").split("/H=")[0]]


def is_linear(setting: str) -> bool:
    """Whether a setting is that of a linear map."""
    return setting.startswith("spectrum/linear")


def widest(table: pd.DataFrame, cell: str) -> pd.DataFrame:
    """The rows of a cell at its largest width."""
    rows = table[table.setting.str.startswith(f"spectrum/{cell}/")]
    widths = rows.setting.map(lambda setting: int(parse_setting(setting)["H"]))
    return rows[widths == widths.max()]


def largest(table: pd.DataFrame) -> pd.DataFrame:
    """The largest exponents of both cells, and whether spectrum's form and mean field lie outside their intervals."""
    rows = pd.concat([widest(table, "rnn"), widest(table, "lstm")]).query("number == 1").reset_index(drop=True)
    rows["H"] = [int(parse_setting(setting)["H"]) for setting in rows.setting]
    rows["field"] = [by_field(start_of(row.setting), row.H) for row in rows.itertuples()]
    rows["off"], rows["field_off"] = (~rows[form].between(rows.low, rows.high) for form in ("predicted", "field"))
    return rows


def by_field(start: Start, H: int) -> float:
    """The largest exponent by the mean field of the gradient."""
    if start.cell == "rnn":
        return predictions.rnn_largest(start, D, H)
    return predictions.lstm_largest(start, D, H, T_MAX)


def rule_shares(mine: pd.DataFrame) -> pd.DataFrame:
    """By setting and seed: the sum rule's error over n u times the mean condition number, and over the sum itself."""
    wide = mine.pivot_table(index=["setting", "seed"], columns="metric", values="value", aggfunc="first")
    found = wide[["sum_rule", "condition", "number", "magnitude"]].astype({"number": int})
    found["share"] = found.sum_rule.abs() / (found.number * U * found.condition)
    found["relative"] = found.sum_rule.abs() / np.maximum(found.magnitude, 1)
    return found.reset_index()


def fresh_scores(exponents: np.ndarray, gain: float, steps: int) -> np.ndarray:
    """By how many of their exact standard errors the mean exponents (seeds, N) are off the closed form, (N,)."""
    seeds, N = exponents.shape
    return (exponents.mean(0) - predictions.fresh(gain, N)) / predictions.fresh_error(N, seeds * steps)


def score_limit(N: int, level: float = statistics.LEVEL) -> float:
    """What the largest of N independent scores exceeds with probability 1 - level."""
    return float(stats.norm.isf((1 - level ** (1 / N)) / 2))


# Text


def called(setting: str) -> str:
    """A setting's name in tables."""
    parts = parse_setting(setting)
    if is_linear(setting):
        return f"{KINDS[parts['kind']]}, gain {parts['gain']}"
    return name(start_of(setting))


def lead(mine: pd.DataFrame, table: pd.DataFrame) -> str:
    """What was found, in words."""
    shares = rule_shares(mine)
    rnn, lstm = widest(table, "rnn"), widest(table, "lstm")
    first = lstm[(lstm.number == 1) & (lstm.setting.str.contains("start=torch"))].iloc[0]
    frozen = mine[(mine.setting == first.setting) & (mine.metric == "frozen_c")].value.median()
    return (
        f"A step's Jacobian stretches and turns; its long-run growth rates are the Lyapunov exponents, one a state "
        f"unit, by QR of the twin's own backward. Their sum must be what a step does to volumes, known in closed form: "
        f"that sum rule holds in every run, to {shares.share.max():.2g} of n u times the mean condition number. For "
        f"linear maps every exponent is known; for wide cells under noise we derive the whole spectrum, RNN and LSTM. "
        f"Over all exponents and starts half of the medians lie within {rnn.residual.abs().median():.2g} (RNN) and "
        f"{lstm.residual.abs().median():.2g} (LSTM) of it, the farthest {farthest(rnn)} and {farthest(lstm)}. It fits "
        f"{worst_start(pd.concat([rnn, lstm]))}. The LSTM's spectrum needs its full state (h, c): at torch's default "
        f"the largest exponent is {first['median']:.3f} a step, and {frozen:.3f} to who freezes c and looks at h "
        f"alone."
    )


def farthest(rows: pd.DataFrame) -> str:
    """The median that lies farthest from its form, in words."""
    row = rows.loc[rows.residual.abs().idxmax()]
    every = rows.number[rows.setting == row.setting].max()
    return f"{abs(row.residual):.2g} off ({called(row.setting)}, exponent {row.number} of {every})"


def worst_start(rows: pd.DataFrame) -> str:
    """The start of whose medians half lie farthest from their forms, in words."""
    by_start = rows.residual.abs().groupby(rows.setting).median()
    return f"{called(by_start.idxmax())} worst, where half of the medians lie more than {by_start.max():.2g} off"


def largest_text(rows: pd.DataFrame) -> str:
    """How far the two forms of the largest exponent are off, and what each of them leaves out where it shows.

    Args:
        rows: as `largest` gives them.
    """
    cells = [rows[rows.setting.str.startswith(f"spectrum/{cell}/")] for cell in figures.NAMES]
    worst = [some.loc[some.residual.abs().idxmax()] for some in cells]
    far = " and ".join(f"{called(row.setting)} ({row['median']:.4f}, form {row.predicted:.4f})" for row in worst)
    turned = rows[(rows.low > 0) & (rows.predicted < 0) | (rows.high < 0) & (rows.predicted > 0)].setting
    sign = f"; it has the wrong sign for {listed([*map(called, turned)])}" if len(turned) else ""
    outside = (
        f"lies outside the 99 % interval for {rows.off.sum()} of {len(rows)} starts, the mean field for "
        f"{rows.field_off.sum()}; the spectrum's is"
        if np.isfinite(rows.low).all()
        else "is (with fewer than 8 seeds, which have no 99 % interval)"
    )
    return (
        f"The largest exponent has two forms: the first of the spectrum's, and the mean field of the gradient. The "
        f"spectrum's {outside} farthest off for {far}{sign}. Both are for infinite width.{causes(rows)}"
    )


class Cause(NamedTuple):
    """What a form leaves out, whether a start shows it, and on which side of which form its interval then lies."""

    says: str
    shows: Callable[[Start], bool]
    form: str
    above: bool


def drawn_freely(start: Start) -> bool:
    """Whether W has independent entries."""
    return start.cell == "rnn" and start.kind in ("gaussian", "torch")


CAUSES = (
    Cause(
        "One W of independent entries has at finite width a largest eigenvalue beyond that of infinite width, and at "
        "small gains the exponent follows it: above the spectrum's form",
        lambda start: drawn_freely(start) and start.gain <= 1,
        "predicted",
        above=True,
    ),
    Cause(
        "At large gains finite width slows growth, as the section on growth shows: below the spectrum's form",
        lambda start: start.cell == "rnn" and start.gain > 1,
        "predicted",
        above=False,
    ),
    Cause(
        "The LSTM's spectrum gives every cell the same spread by the recurrent weights, but long-lived cells of chrono "
        "have a small input gate and so little of it: below its form",
        lambda start: start.kind == "chrono",
        "predicted",
        above=False,
    ),
    Cause(
        f"The LSTM's mean field is that of the first {T_MAX // 2} steps from c = 0; with a large b_f cells grow for "
        "longer, tanh c flattens, and the gradient then grows less: below the mean field",
        lambda start: start.kind == "forget_bias" and start.value >= 2,
        "field",
        above=False,
    ),
)
"""Each is tested by itself, on what it speaks of."""


def causes(rows: pd.DataFrame) -> str:
    """Every cause with the starts that it is seen in, and of the spectrum's form those outside without a cause."""
    parts, known = [], set()
    for cause in CAUSES:
        beyond = rows.low > rows[cause.form] if cause.above else rows.high < rows[cause.form]
        seen = [setting for setting in rows.setting[beyond] if cause.shows(start_of(setting))]
        parts += [f"{cause.says} lie the intervals of {'; '.join(map(called, seen))}."] if seen else []
        known |= set(seen) if cause.form == "predicted" else set()
    rest = [called(setting) for setting in rows.setting[rows.off] if setting not in known]
    parts += [f"Off the spectrum's form too, by no cause that we know: {'; '.join(rest)}."] if rest else []
    return "".join(f" {part}" for part in parts)


def largest_table(mine: pd.DataFrame, first: pd.DataFrame) -> Table:
    """The largest exponent by start, as `largest` gives it: measured, predicted, and its bounds."""
    rows = []
    for row in first.itertuples():
        start, single = start_of(row.setting), mine[mine.setting == row.setting].groupby("metric").value
        rows.append(
            {
                "start": called(row.setting),
                "H": row.H,
                "largest exponent": f"{row.median:.4f}",
                "99 % interval": f"{row.low:.4f} to {row.high:.4f}",
                "spectrum's form": f"{row.predicted:.4f}",
                "mean field of the gradient": f"{row.field:.4f}",
                "outside the interval": OUTSIDE[row.off, row.field_off],
                "ln sigma_max(W), never exceeded": f"{single.get_group('log_sigma').min():.3f}"
                if start.cell == "rnn"
                else "",
                "with c frozen": f"{single.get_group('frozen_c').median():.3f}" if start.cell == "lstm" else "",
            }
        )
    title = "The largest exponent per step (a gradient vanishes below 0; Pascanu 2013: surely where ln sigma_max < 0)"
    return Table("largest", title, pd.DataFrame(rows))


OUTSIDE = {(False, False): "", (True, False): "spectrum's form", (False, True): "mean field", (True, True): "both"}
"""Which of the two forms of the largest exponent lie outside its interval."""


def rule_table(mine: pd.DataFrame) -> Table:
    """The sum rule by setting."""
    rows = [
        {
            "start": called(setting),
            "exponents": some.number.iloc[0],
            "mean condition number, largest": f"{some.condition.max():.2g}",
            "error of the sum, worst": f"{some.sum_rule.abs().max():.1e}",
            "relative": f"{some.relative.max():.1e}",
            "of n u times the condition number": f"{some.share.max():.3f}",
        }
        for setting, some in rule_shares(mine).groupby("setting", sort=False)
    ]
    return Table("sum_rules", "Sum rules: the exponents' sum against ln|det J| in closed form", pd.DataFrame(rows))


def exact_table(mine: pd.DataFrame) -> Table:
    """Linear maps: the largest difference from the exact exponents; of fresh maps in exact standard errors."""
    rows = []
    for setting, some in mine[mine.metric == "exponent"].groupby("setting", sort=True):
        if is_linear(setting):
            parts, values = parse_setting(setting), by_seed(some).to_numpy()
            off = np.abs(values - expected_of(setting, mine)).max()
            row = {"map": called(setting), "N": int(parts["H"]), "largest difference, any seed": f"{off:.1e}"}
            if parts["kind"] == "fresh":
                scores = np.abs(fresh_scores(values, float(parts["gain"]), steps_of(mine)))
                row["means, worst in standard errors"] = f"{scores.max():.2f} of {score_limit(len(scores)):.2f} allowed"
            rows.append(row)
    title = "Linear maps: measured minus exact (one Gaussian map approaches its eigenvalues as 1 / steps)"
    return Table("linear", title, pd.DataFrame(rows).fillna(""))


def steps_of(mine: pd.DataFrame) -> int:
    """How many steps counted."""
    return int(mine.loc[mine.metric == "steps", "value"].iloc[0])


def settings(mine: pd.DataFrame) -> dict[str, str]:
    """What was run."""
    counted = f"{steps_of(mine)} steps count, after {BURN} and before {BEHIND}"
    return {"spectra": f"{counted}; {mine.seed.nunique()} seeds; driven cells have x_t from N(0, 1), D = {D}"}


# Figures


def linear_figure(table: pd.DataFrame) -> Figure:
    """Linear maps, a column a kind, a line a gain."""
    rows = table[table.setting.map(is_linear)]
    kinds = {title: rows[rows.setting.str.contains(f"kind={kind}/")] for kind, title in KINDS.items()}
    canvas, axes = figures.with_residual(len(kinds), (3.4, 4.6))
    columns(axes, kinds, "rnn", lambda setting: f"gain {parse_setting(setting)['gain']}")
    for axis in axes[0, 1:]:
        axis.sharey(axes[0, 0])
    off = rows[~rows.setting.str.contains("kind=fresh")].residual.abs().max()
    worst = rows[rows.setting.str.contains("kind=fresh")].residual.abs().max()
    title = (
        f"Products of linear maps grow as their closed forms say: the medians over seeds lie within {off:.1g} where "
        f"one map stays and within {worst:.1g} for fresh Gaussian maps (the farthest seed stands in a table below)"
    )
    return Figure("spectrum_linear", title, canvas, alt(rows), rows)


def rnn_figure(table: pd.DataFrame) -> Figure:
    """The driven RNN, Gaussian and orthogonal weights side by side."""
    rows = widest(table, "rnn")
    orthogonal = rows.setting.str.contains("orthogonal")
    some = {"Gaussian recurrent weights": rows[~orthogonal], "orthogonal recurrent weights": rows[orthogonal]}
    canvas, axes = figures.with_residual(2, (5.4, 5.2))
    columns(axes, some, "rnn", lambda setting: start_of(setting).label)
    positive = rows[(rows.low > 0) & (rows.number == 1)].setting
    gains = sorted({start_of(setting).value for setting in positive})
    most = (rows["median"] > 0).groupby(rows.setting).mean().max()
    some_grow = f"from gain {gains[0]:g} on some directions grow, by medians at most {most:.0%}" if gains else ""
    title = (
        f"The whole spectrum of a tanh RNN under noise follows the closed form, half of it within "
        f"{rows.residual.abs().median():.2g} and all within {rows.residual.abs().max():.2g}; "
        f"{some_grow or 'no direction surely grows'}"
    )
    return Figure("spectrum_rnn", title, canvas, alt(rows), rows)


def lstm_figure(table: pd.DataFrame) -> Figure:
    """The LSTM: the cells' half of the spectrum, and what passes through h."""
    rows = widest(table, "lstm")
    upper = rows.number <= rows.number.max() // 2
    some = {"the larger half: cells": rows[upper], "the smaller half: through h": rows[~upper]}
    canvas, axes = figures.with_residual(2, (5.4, 5.2))
    columns(axes, some, "lstm", lambda setting: start_of(setting).label)
    first = rows[(rows.number == 1) & rows.setting.str.contains("start=torch")].iloc[0]
    last = rows[(rows.number == rows.number.max() // 2) & rows.setting.str.contains("start=torch")].iloc[0]
    title = (
        f"Half of an LSTM's exponents belong to the cells: at torch's default {last['median']:.2f} to "
        f"{first['median']:.2f} around ln(1/2) = {math.log(0.5):.2f}, spread by the recurrent weights (by the closed "
        f"form {last.predicted:.2f} to {first.predicted:.2f})"
    )
    return Figure("spectrum_lstm", title, canvas, alt(rows), rows)


def columns(axes: np.ndarray, panels: dict[str, pd.DataFrame], cell: str, label: object) -> None:
    """A column a panel: exponents with bands and forms above, measured minus form below; a line a setting."""
    for (top, below), (title, rows) in zip(axes.T, panels.items(), strict=True):
        order = rows.groupby("setting").predicted.max().sort_values(kind="stable").index
        names = []
        for setting, colour in zip(order, figures.shades(cell, len(order)), strict=True):
            line = rows[rows.setting == setting]
            figures.measured_and_predicted(top, below, line.place, line, colour)
            names.append((None, line["median"].iloc[-1], label(setting), figures.COLOURS[cell]))
        finish(top, below, title, names)
    axes[0, 0].set_ylabel("Lyapunov exponent\n(natural units a step)")
    axes[1, 0].set_ylabel("measured minus\ndashed")


def finish(top: Axes, below: Axes, title: str, names: list) -> None:
    """Labels of a column; the residual panel holds all medians, and of a band that is wider what fits."""
    below.axhline(0, **figures.PREDICTION)
    reach = max((np.nanmax(np.abs(line.get_ydata())) for line in below.get_lines()), default=0)
    if reach > 0:
        below.set_ylim(-1.5 * reach, 1.5 * reach)
    top.margins(x=0)
    figures.label_lines(top, names, height=11)
    top.set_title(title)
    below.set_xlabel("place in the spectrum, (i $-$ ½) / n")


def alt(rows: pd.DataFrame) -> str:
    """What a figure shows, for who cannot see it."""
    ends = rows[rows.number.isin([1, rows.number.max()])]
    parts = [
        f"{called(row.setting)}, i = {row.number} {row.median:.3f} (form {row.predicted:.3f})"
        for row in ends.itertuples()
    ]
    return "Lyapunov exponents: " + "; ".join(parts) + "."
