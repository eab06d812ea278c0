"""What the records say: the gradient's norm by lag against its closed form, and claim N15. Reads records alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.gradient_flow.findings import Findings, by_seed, decades, interval, name, own, residuals_by_width
from experiments.gradient_flow.lags import predictions
from experiments.gradient_flow.lags.sweep import LAG, B, D, H
from experiments.gradient_flow.parts import EXPERIMENT
from experiments.gradient_flow.starts import CELL_ALONE, EXACT, MEASURED, NO_WEIGHTS, STARTS, Start
from experiments.harness import figures, statistics
from experiments.harness.report import Figure, Section, Table
from properties.record import parse_setting

FIRST_LOOK = {
    "rnn/start=torch": -24.0,
    "lstm/start=torch": -20.0,
    "lstm/start=forget_bias/b_f=1": -7.5,
    "lstm/start=forget_bias/b_f=3": -0.7,
    "lstm/start=chrono": -1.05,
}
"""N15's statistic in the look that came before its thresholds: single values, other seeds, chrono's T_max not kept."""

THRESHOLDS = (-3, -1, 1, 3)
"""N15: supported within -1..1, contradicted beyond -3 or 3."""


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    frame = own(frame, *figures.NAMES)
    table = curves(frame)
    ratios = table[(table.metric == "N15") & (table.H == H)]
    pictures = [rnn_figure(table), lstm_figure(table), *([ratio_figure(ratios)] if len(ratios) else [])]
    tables = [*ratio_tables(table), half_life_table(frame, table), direct_table(table)]
    tables += [exact_table(frame), alone_table(frame), *width_tables(table)]
    return Findings(
        Section("How far back gradients reach at the start", lead(table), pictures, tables), settings(table)
    )


# Numbers


def curves(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a setting, metric and lag: median over seeds with its interval, the closed form, measured minus it.

    The total gradient is relative to lag 0, seed by seed. Isolated starts are left to `exact_table`.
    """
    rows = []
    for setting, mine in own(frame, *figures.NAMES).groupby("setting", sort=True):
        start, width = start_of(setting), width_of(setting)
        for metric, some in mine.groupby("metric", sort=True) if not start.isolated else ():
            wide = by_seed(some)
            wide = wide.sub(wide[0.0], axis=0) if metric == "log10_norm" else wide
            rows += summary(start, width, metric, wide, steps(mine, setting))
    table = pd.DataFrame(rows)
    table["order"] = table.start.map([start.setting for start in MEASURED].index)
    return table.sort_values(["order", "H", "metric", "lag"], ignore_index=True).drop(columns="order")


def start_of(setting: str) -> Start:
    """The start of a setting, which may carry a width."""
    return STARTS[setting.split("/H=")[0]]


def width_of(setting: str) -> int:
    """The width of a setting."""
    return int(parse_setting(setting).get("H", H))


def steps(frame: pd.DataFrame, setting: str) -> int:
    """T: the last lag that is kept is T - 1."""
    mine = frame[frame.source == EXPERIMENT]
    return int(mine.loc[(mine.setting == setting) & (mine.metric == "log10_norm"), "index"].max()) + 1


def summary(start: Start, width: int, metric: str, wide: pd.DataFrame, T: int) -> list[dict[str, object]]:
    """A row a lag of one setting and metric."""
    form = closed_form(start, width, metric, T, wide.columns.to_numpy().astype(int))
    rows = []
    for lag, expected in zip(wide, form, strict=True):
        name = {"start": start.setting, "cell": start.cell, "label": start.label, "H": width, "metric": metric}
        row = name | {"lag": int(lag), "seeds": len(wide)}
        rows.append(row | statistics.against(statistics.order_interval(wide[lag].to_numpy()), expected))
    return rows


def closed_form(start: Start, width: int, metric: str, T: int, lags: np.ndarray) -> np.ndarray:
    """The prediction at each of the lags, NaN where the metric has none."""
    if metric in ("log10_norm", "N15"):
        return predictions.log10_norm(start, D, width, T)[lags]
    if metric == "log10_direct":
        return predictions.log10_direct(start, D, width, T)[lags]
    if metric in ("log10_over_direct", "log10_jacobian"):
        return np.full(len(lags), np.nan)
    return np.array([predictions.gate_survival(start, int(lag), D, width, T) for lag in lags])


def pick(table: pd.DataFrame, cell: str, metric: str, kinds: Sequence[str] = (), width: int = H) -> pd.DataFrame:
    """The rows of one cell, metric and width, of some kinds of start or of all."""
    rows = table[(table.cell == cell) & (table.metric == metric) & (table["H"] == width)]
    return rows[[not kinds or STARTS[name].kind in kinds for name in rows.start]]


def last(rows: pd.DataFrame) -> pd.DataFrame:
    """Every start's row at its longest lag."""
    return rows.groupby("start", sort=False).tail(1)


# Text


def moved(value: float) -> str:
    """A change by decades as a verb."""
    return f"{'loses' if value < 0 else 'gains'} {decades(value)[1:]} decades"


def lead(table: pd.DataFrame) -> str:
    """What was found, in words."""
    lag = int(table.lag.max())
    dense = table[[STARTS[start].kind != "identity" for start in table.start]]
    worst = [worst_residual(pick(dense, cell, "log10_norm")) for cell in figures.NAMES]
    apart = " and ".join(f"{decades(row.residual)} ({name(STARTS[row.start])})" for row in worst)
    return (
        f"Untrained cells, L = v . h_T with v and x_t from N(0, 1), T = {lag + 1}: how large is dL/ds_t, s = h for the "
        f"RNN and (h, c) for the LSTM, some steps before the end? Norms are relative to the last step and in decades "
        f"(log10).\n\n{ratio_text(table)}\n\n{path_text(table)}\n\nThe dashed forms are the mean field of wide "
        f"cells; at H = {H} and lag {lag} the medians lie up to {apart} decades from them. {alone_text(table)} "
        f"Isolated cases, in tables below, have an exact form."
    )


def alone_text(table: pd.DataFrame) -> str:
    """What the form of units behind g times the identity is, and how far the medians lie from it, by width."""
    parts = []
    for width in sorted({H, table.H.max()}):
        ends = last(pick(table, "rnn", "log10_norm", ("identity",), width)).sort_values("residual", kind="stable")
        low, high = (f"{decades(row.residual)} ({STARTS[row.start].label})" for row in (ends.iloc[0], ends.iloc[-1]))
        parts.append(f"from {low} to {high} at H = {width}")
    return (
        f"Behind g times the identity units are alone, and wide cells have no mean field: the form is a bound "
        f"on what is typical (Markov's inequality, the best of powers up to 2), and single runs may lie above it. The "
        f"medians lie {' and '.join(parts)} decades from it."
    )


def worst_residual(rows: pd.DataFrame) -> object:
    """The row at the longest lag where measurement and form differ most."""
    ends = last(rows)
    return ends.loc[ends.residual.abs().idxmax()]


def ratio_text(table: pd.DataFrame) -> str:
    """N15's statistic at torch's default, and where the first look lies outside our intervals."""
    rows = table[(table.metric == "N15") & (table.H == H)].set_index("start")
    if rows.empty:
        return f"This preset is too short for N15, which asks for a lag of {LAG}."
    values = ", ".join(
        f"{name(STARTS[s])} {decades(rows.loc[s, 'median'])} ({interval(rows.loc[s])})"
        for s in FIRST_LOOK
        if s in rows.index
    )
    outside = [
        f"{name(STARTS[s])} ({look:g})"
        for s, look in FIRST_LOOK.items()
        if not rows.loc[s, "low"] <= look <= rows.loc[s, "high"]
    ]
    aside = "; its T_max for chrono was not written down, ours is T" if "chrono" in "".join(outside) else ""
    seen = f"outside for {', '.join(outside)}{aside}" if outside else "inside each interval"
    return (
        f"N15's statistic at lag {LAG}, median and 99 % interval: {values}. The first look, before the rule was set, "
        f"lies {seen}."
    )


def path_text(table: pd.DataFrame) -> str:
    """What comes through h, by norms alone; and why the mean of logarithms that the figure shows is lower."""
    over, gates = (
        last(pick(table, "lstm", metric)).set_index("start") for metric in ("log10_over_direct", "log10_direct")
    )
    values = ", ".join(
        f"{name(STARTS[s])} {decades(over.loc[s, 'median'])} ({interval(over.loc[s])})" for s in PATHS_OF
    )
    typical = ", ".join(f"{name(STARTS[s])} {decades(gates.loc[s, 'median'])}" for s in PATHS_OF)
    return (
        f"What comes through h: {int(over.lag.iloc[0])} steps back the norm of dL/dc stands above that of what the "
        f"forget gates alone carry there by so many decades: {values}. The recurrent weights are the same at every "
        f"step, so paths that go through them at different steps add up. The direct path in the figure is another "
        f"number, the mean over units of the log10 of their gates' product, as of a typical unit: {typical}. A norm is "
        f"that of the units that keep most, so the two may not be subtracted from each other."
    )


PATHS_OF = ("lstm/start=torch", "lstm/start=forget_bias/b_f=1", "lstm/start=forget_bias/b_f=3", "lstm/start=chrono")
"""The starts of which the text tells what comes through h."""


# Tables


def ratio_tables(table: pd.DataFrame) -> list[Table]:
    """N15's statistic by start, beside its closed form, the first look, and the norm of the whole Jacobian."""
    ratios = table[(table.metric == "N15") & (table.H == H)]
    whole = table[(table.metric == "log10_jacobian") & (table.lag == LAG)].set_index("start")["median"]
    rows = [
        {
            "start": name(STARTS[row.start]),
            "median (decades)": decades(row.median),
            "99 % interval": interval(row),
            "closed form": decades(row.predicted),
            "first look": f"{FIRST_LOOK[row.start]:g}" if row.start in FIRST_LOOK else "",
            "by N15's rule": zone(row),
            "norm of ds_T/ds_t": decades(whole[row.start]) if row.start in whole else "",
            "seeds": row.seeds,
        }
        for row in ratios.sort_values("median", kind="stable").itertuples()
    ]
    title = (
        f"log10 of |dL/ds| at lag {LAG} over that at lag 0 (N15 is judged at LSTM torch; of the identity the closed "
        f"form is a bound on what is typical)"
    )
    return [Table("n15", title, pd.DataFrame(rows))] if rows else []


def zone(row: object) -> str:
    """Where an interval lies by N15's thresholds."""
    vanishes, low, high, explodes = THRESHOLDS
    if row.low > low and row.high < high:
        return "kept"
    return "vanishes" if row.high < vanishes else "explodes" if row.low > explodes else "between"


def half_life_table(frame: pd.DataFrame, table: pd.DataFrame) -> Table:
    """In how many steps the gates' product and the total gradient halve: at the bias, in the isolated twin, at starts.

    The total is counted from lag 1: the way from h into c is taken once, and its factor is no step's.
    """
    lag = table.lag[(table.lag <= LAG) & (table.H == H)].max()
    rows = []
    for start in (start for start in MEASURED if start.cell == "lstm"):
        row = {"start": name(start)}
        if start.kind == "forget_bias":
            row["closed form at the bias"] = f"{predictions.half_life(start.value):.6g}"
            row["twin, no weights"] = f"{isolated_half_life(frame, start):.6g}"
        total = metric_of(frame, start, "log10_norm")
        row |= half_lives("gates, typical unit", metric_of(frame, start, "log10_direct")[lag], lag)
        row |= half_lives("total, norm", total[lag] - total[1], lag - 1)
        row["through h, along c (decades)"] = decades(metric_of(frame, start, "log10_over_direct")[lag].median())
        rows.append(row)
    title = (
        f"Half-lives in steps, over {lag} steps: of the forget gates' product (mean over units of its log10) and of "
        f"the total gradient's norm, from lag 1 on; last, by how many decades paths through h raise the norm along c"
    )
    return Table("half_life", title, pd.DataFrame(rows).fillna(""))


def half_lives(words: str, decades: pd.Series, lag: int) -> dict[str, str]:
    """The columns of a half-life, from what each seed loses over a lag."""
    median, low, high = (halved(value, lag) for value in statistics.order_interval(decades.to_numpy()))
    return {words: median, f"99 % interval, {words}": low if low == high else f"{low} to {high}"}


def halved(decades: float, lag: int) -> str:
    """The steps that halve what loses so many decades over a lag; "never" where it grows."""
    return f"{-math.log10(2) * lag / decades:.3g}" if decades < 0 else "never"


def isolated_half_life(frame: pd.DataFrame, start: Start) -> float:
    """Of the twin with zero input and recurrent weights, from the last two lags; all seeds are alike."""
    mine = own(frame, "lstm")
    setting = start._replace(isolated=NO_WEIGHTS).setting
    total = by_seed(mine[(mine.setting == setting) & (mine.metric == "log10_norm")])
    last_lag = total.columns.max()
    return float(-math.log10(2) * (last_lag - 1) / (total[last_lag] - total[1.0]).median())


def direct_table(table: pd.DataFrame) -> Table:
    """The direct path at the longest lag up to N15's: in the geometric and the arithmetic mean over units."""
    lag = table.lag[(table.lag <= LAG) & (table.H == H)].max()
    rows = []
    for at in pick(table, "lstm", "log10_direct").query("lag == @lag").itertuples():
        start = STARTS[at.start]
        mean = pick(table, "lstm", "log10_direct_mean").query("lag == @lag and start == @at.start").iloc[0]
        rows.append(
            {
                "start": name(start),
                "mean log10 of the product": decades(at.median),
                "99 % interval": interval(at),
                "closed form": decades(at.predicted),
                "mean of the product": f"{10 ** mean['median']:.3g}",
                "E f^lag at the biases": f"{10**mean.predicted:.3g}",
            }
        )
    title = (
        f"The direct path, the product of forget gates over {lag} steps, in the geometric and the arithmetic mean over "
        f"units (E f^lag: by the biases alone, before anything moves the gates; chrono after Tallec, Ollivier 2018)"
    )
    return Table("direct", title, pd.DataFrame(rows))


def exact_table(frame: pd.DataFrame) -> Table:
    """Isolated starts: the largest difference from the exact form over seeds and lags, in decades."""
    rows = []
    for start in EXACT:
        mine = own(frame, *figures.NAMES)[lambda f, setting=start.setting: f.setting == setting]
        T = steps(frame, start.setting)
        total = by_seed(mine[mine.metric == "log10_norm"])
        total = total.sub(total[1.0 if start.cell == "lstm" else 0.0], axis=0)
        row = {"start": name(start), "isolated by": start.setting.split("/")[-1], "lags": T - 1}
        row["total, worst"] = worst(total, predictions.log10_norm(start, D, H, T))
        if start.cell == "rnn":
            whole = by_seed(mine[mine.metric == "log10_jacobian"])
            row["norm of ds_T/ds_t, worst"] = worst(whole, predictions.log10_norm(start, D, H, T))
        if start.cell == "lstm":
            row["direct, worst"] = worst(
                by_seed(mine[mine.metric == "log10_direct"]), predictions.log10_direct(start, D, H, T)
            )
        rows.append(row)
    return Table(
        "exact",
        "Where the form is exact: largest difference over seeds and lags (decades)",
        pd.DataFrame(rows).fillna(""),
    )


def alone_table(frame: pd.DataFrame) -> Table:
    """How much larger the gradient along c is than its direct path: exactly not at all without recurrent weights."""
    rows = []
    for start in CELL_ALONE:
        values = [metric_of(frame, some, "log10_over_direct") for some in (start, start._replace(isolated=""))]
        T = steps(frame, start.setting)
        own_median = decades(values[1][T - 1.0].median())
        row = {"start": name(start), "lags": f"1 to {T - 1}"}
        row["without recurrent weights, worst"] = f"{values[0].abs().to_numpy().max():.0e}"
        rows.append(row | {f"with them, at lag {T - 1}, median": own_median})
    title = (
        "dc_T/dc_t is the product of forget gates only without recurrent weights: |dL/dc| over its direct path (log10)"
    )
    return Table("over_direct", title, pd.DataFrame(rows))


def metric_of(frame: pd.DataFrame, start: Start, metric: str) -> pd.DataFrame:
    """A metric of an LSTM's start, with a row a seed and a column a lag."""
    mine = own(frame, "lstm")
    return by_seed(mine[(mine.setting == start.setting) & (mine.metric == metric)])


def worst(wide: pd.DataFrame, form: np.ndarray) -> str:
    """The largest difference from a form by lag; lags where it is NaN are left out."""
    expected = form[wide.columns.to_numpy().astype(int)]
    return f"{np.nanmax(abs(wide.to_numpy() - expected)):.0e}"


def width_tables(table: pd.DataFrame) -> list[Table]:
    """Measured minus mean field at N15's lag by width; no table where there is one width."""
    title = (
        f"Measured minus closed form (of the identity a bound on what is typical) at lag {LAG} by width (decades, "
        f"median and 99 % interval)"
    )
    return residuals_by_width("width", title, table[table.metric == "N15"])


def settings(table: pd.DataFrame) -> dict[str, str]:
    """What was run."""
    seeds = table.groupby("H").seeds.max()
    return {
        "loss": "L = v . h_T, v from N(0, 1); h_0 = c_0 = 0; nothing is trained",
        "inputs": f"x_t from N(0, 1), D = {D}, B = {B} sequence a seed, the same for all starts",
        "time steps T": f"{table.lag.max() + 1}",
        "hidden units H: seeds": ", ".join(f"{width}: {n}" for width, n in seeds.items()),
        "starts": "input weights and biases as torch.nn draws them, then what the start's name says; chrono: T_max = T",
        "dtype": "float64",
    }


# Figures


def rnn_figure(table: pd.DataFrame) -> Figure:
    """The RNN: norm by lag, a line a gain, Gaussian and orthogonal recurrent weights side by side."""
    rows = pick(table, "rnn", "log10_norm")
    columns = {"Gaussian recurrent weights": ("torch", "gaussian"), "orthogonal": ("orthogonal",)}
    columns |= {"gain times the identity": ("identity",)}
    panels = {title: pick(table, "rnn", "log10_norm", kinds) for title, kinds in columns.items()}
    panels = {title: some.sort_values(["order", "lag"]) for title, some in ordered(panels).items()}
    canvas, axes = figures.with_residual(3, (4.5, 5.2))
    draw_columns(axes, panels, "rnn", "norm of dL/dh at the lag over that\nat the last step (log10)")
    axes[0, 1].sharey(axes[0, 0])
    return Figure("rnn_by_lag", rnn_title(rows), canvas, alt(rows), rows)


def lstm_figure(table: pd.DataFrame) -> Figure:
    """The LSTM: total gradient by lag, in a panel for starts that lose much and one for the others; the direct path."""
    total, direct = (pick(table, "lstm", metric) for metric in ("log10_norm", "log10_direct"))
    vanishes = THRESHOLDS[0]
    ends = last(total).set_index("start").predicted
    panels = {
        f"total gradient, below $10^{{{vanishes}}}$ at last": total[total.start.map(ends) < vanishes],
        f"total gradient, above $10^{{{vanishes}}}$ at last": total[total.start.map(ends) >= vanishes],
        "direct path of a typical unit": direct,
    }
    panels = {title: rows for title, rows in panels.items() if len(rows)}
    canvas, axes = figures.with_residual(len(panels), (4.7, 5.2))
    draw_columns(axes, ordered(panels), "lstm", "norm of dL/ds at the lag over that\nat the last step (log10)")
    axes[0, -1].set_ylabel("product of the forget gates since,\nmean over units of its log10")
    data = pd.concat([total, direct], ignore_index=True)
    return Figure("lstm_by_lag", lstm_title(table), canvas, alt(total), data)


def ordered(panels: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Rows with their place in the order of shades: by the predicted value at the last lag."""
    return {title: some.assign(order=some.start.map(shade_order(some))) for title, some in panels.items()}


def shade_order(rows: pd.DataFrame) -> dict[str, int]:
    """The starts of a panel from the fastest decay to the slowest."""
    return {start: i for i, start in enumerate(last(rows).sort_values("predicted", kind="stable").start)}


def draw_columns(axes: np.ndarray, panels: dict[str, pd.DataFrame], cell: str, ylabel: str) -> None:
    """A column a panel: measured lines with bands and forms above, measured minus form below."""
    for (top, below), (title, rows) in zip(axes.T, panels.items(), strict=True):
        shades = figures.shades(cell, rows.start.nunique())
        for order, line in rows.groupby("order"):
            figures.measured_and_predicted(top, below, line.lag, line, shades[order])
        ends = last(rows)
        figures.label_ends(top, below, ends, "lag", ends.label)
        below.axhline(0, **figures.PREDICTION)
        top.set_title(title)
        top.margins(x=0)
        below.set_xlabel("lag T - t (steps)")
    axes[0, 0].set_ylabel(ylabel)
    axes[1, 0].set_ylabel("measured minus\ndashed (log10)")


def ratio_figure(ratios: pd.DataFrame) -> Figure:
    """N15's statistic by start with its interval and the rule's thresholds; to the right what the form leaves."""
    rows = ratios.sort_values(["predicted", "median"], kind="stable", ignore_index=True)
    shape = {"figsize": (10, 0.27 * len(rows) + 1.4), "width_ratios": [3, 1], "layout": "constrained"}
    canvas, (left, right) = plt.subplots(1, 2, sharey=True, **shape)
    for y, row in enumerate(rows.itertuples()):
        ratio_row(left, right, y, row)
    left.axvspan(THRESHOLDS[1], THRESHOLDS[2], color="0.92", lw=0, zorder=0)
    for threshold in THRESHOLDS:
        left.axvline(threshold, color="0.6", lw=0.8, ls=":")
    for x, word, side in ((0, "kept", "center"), (-3.4, "vanishes", "right"), (3.4, "explodes", "left")):
        left.text(x, len(rows) - 0.3, word, ha=side, fontsize=8, color="0.35")
    looked = rows[rows.start == "lstm/start=torch"].iloc[0]
    figures.label_line(left, FIRST_LOOK[looked.start], looked.name, "first look", "0.25", xytext=(9, 0))
    formed = rows[rows.start == "rnn/start=torch"].iloc[0]
    figures.label_line(left, formed.predicted, formed.name, "closed form", xytext=(-5, 0), ha="right")
    left.set_yticks(range(len(rows)), [name(STARTS[start]) for start in rows.start])
    left.set_xlim(LEFTMOST, None)
    left.set_xlabel(f"log10 of the gradient's norm {LAG} steps back over that at the last step")
    right.axvline(0, **figures.PREDICTION)
    right.set_xlabel("measured minus\nclosed form (log10)")
    left.set_ylim(-0.7, len(rows) + 0.5)
    return Figure("n15", ratio_title(rows), canvas, ratio_alt(rows), rows)


LEFTMOST = -42.0
"""Where the figure of N15 begins; what lies below is written at its edge."""


def ratio_row(left: Axes, right: Axes, y: int, row: object) -> None:
    """One start: dot and bar measured, dash predicted, hollow diamond the first look."""
    colour = figures.COLOURS[row.cell]
    if row.high < LEFTMOST:
        figures.label_line(left, LEFTMOST, y, f"\N{LEFTWARDS ARROW} {decades(row.median)}", colour)
    for axis, value, low, high in (
        (left, row.median, row.low, row.high),
        (right, row.residual, row.residual_low, row.residual_high),
    ):
        if np.isfinite([value, low, high]).all():
            axis.plot([low, high], [y, y], color=colour, lw=4, alpha=0.3, solid_capstyle="butt")
            axis.plot(value, y, "o", color=colour, ms=5)
    left.vlines(row.predicted, y - 0.38, y + 0.38, color="k", ls="--", lw=1.2)
    if row.start in FIRST_LOOK:
        left.plot(FIRST_LOOK[row.start], y, "D", mfc="none", color="0.25", ms=7)


def rnn_title(rows: pd.DataFrame) -> str:
    """Up to which gain the gradient surely vanishes and from which it explodes, and how far the form is off."""
    every = last(rows)
    kinds, gains = (
        every.start.map(lambda start, part=part: getattr(STARTS[start], part)) for part in ("kind", "value")
    )
    ends, alone = every.assign(gain=gains)[kinds != "identity"], every[kinds == "identity"]
    wide, apart = (f"{some.residual.abs().max():.2g}" for some in (ends, alone))
    by_gain = ends[ends.gain > 0].groupby("gain")
    falls, grows = by_gain.high.max(), by_gain.low.min()
    words = [f"vanishes at gains up to {falls[falls < 0].index.max():g}"] if (falls < 0).any() else []
    words += [f"explodes from gain {grows[grows > 0].index.min():g}"] if (grows > 0).any() else []
    units = "; behind W = g 1, where units are alone, it vanishes at every gain" if (alone.high < 0).all() else ""
    return (
        f"Driven by noise the RNN's gradient {' and '.join(words) or 'surely neither grows nor falls'}{units}; after "
        f"{ends.lag.max()} steps the medians, of up to {ends['median'].abs().max():.2g} decades, lie within {wide} of "
        f"the mean field, those behind g 1 within {apart} of a bound on what is typical"
    )


def lstm_title(table: pd.DataFrame) -> str:
    """The total at torch's default, and how much of it, norm against norm, the forget gates alone do not carry."""
    total, over = (
        last(pick(table, "lstm", metric)).set_index("start").loc["lstm/start=torch"]
        for metric in ("log10_norm", "log10_over_direct")
    )
    ends = f"At torch's default the LSTM's gradient {moved(total['median'])} in {total.lag} steps"
    if not over.low > 0:
        return ends
    more = f"{decades(over['median'])[1:]} decades lower if the forget gates alone carried it"
    return f"{ends}; along c it would end {more}: the rest comes through h"


def ratio_title(rows: pd.DataFrame) -> str:
    """Which LSTM starts keep the gradient within a decade, and how RNN and LSTM stand at torch's default."""
    lstm = rows[rows.cell == "lstm"]
    kept = [STARTS[row.start] for row in lstm.itertuples() if zone(row) == "kept"]
    at = rows.set_index("start")["median"]
    names = " and ".join(name(start).removeprefix("LSTM ") for start in kept)
    keep = (
        f"of {len(lstm)} LSTM starts {names} surely keep" if kept else f"none of {len(lstm)} LSTM starts surely keeps"
    )
    return (
        f"Over {LAG} steps torch's LSTM {moved(at['lstm/start=torch'])} of gradient and its RNN "
        f"{moved(at['rnn/start=torch'])}; {keep} it within one"
    )


def alt(rows: pd.DataFrame) -> str:
    """What a figure by lag shows, for who cannot see it."""
    parts = [
        f"{name(STARTS[row.start])} {decades(row.median)} (form {decades(row.predicted)})"
        for row in last(rows).itertuples()
    ]
    return f"log10 of the gradient's norm at lag {rows.lag.max()} over that at lag 0: " + ", ".join(parts) + "."


def ratio_alt(rows: pd.DataFrame) -> str:
    """What the figure of N15 shows, for who cannot see it."""
    parts = [f"{name(STARTS[row.start])} {decades(row.median)} ({interval(row)})" for row in rows.itertuples()]
    return f"log10 of the norm at lag {LAG} over that at lag 0, median and 99 % interval: " + ", ".join(parts) + "."
