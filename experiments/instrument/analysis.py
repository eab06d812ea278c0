"""What records say: breaks, false alarms, detection limits, kills; claims N2, N3, N4, N11, N19. Reads records alone."""

from __future__ import annotations

import math
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments import claims
from experiments.harness import figures, statistics
from experiments.harness.report import Figure, Report, Table
from experiments.instrument.sweep import DEMANDED
from impl.spec import DTYPES
from properties.record import parse_setting

CLAIMS = ("N2", "N3", "N4", "N11", "N19")
SHARE = 0.99
"""Of the runs that are to catch an error: its detection limit."""

JUDGES = {
    "bound": "the referee's bound",
    "assert_close": "assert_close's defaults",
    "kernel_test": "atol .1, rtol .2",
}
SHADES = {"bound": figures.COLOURS["lstm"], "assert_close": "0.35", "kernel_test": "0.65"}
GRADIENTS = ("da_i", "da_f", "da_g", "da_o", "dc", "dh", "dx", "dW_ih", "dW_hh", "db")
DEMAND = {"value": ("i", "f", "g", "o"), "vjp": GRADIENTS}
"""The quantities of which a detection limit is demanded."""

PAPER = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
"""Behind a name that lines run through."""

PLACES = {"value": "values (law value)", "vjp": "gradients (law vjp)"}
CELLS = {"rnn": "RNN", "rnn_relu": "relu RNN", "lstm": "LSTM"}


def analyse(frame: pd.DataFrame) -> Report:
    """The report of the instrument from its records."""
    breaks, curves, alarms, kills = breaks_of(frame), curves_of(frame), alarms_of(frame), kills_of(frame)
    limits, nearest = limits_of(curves), nearest_of(frame)
    return Report(
        name="instrument",
        title="The suite as an instrument: what it misses, and whom it accuses",
        lead=lead(breaks, curves, limits, alarms, nearest, kills),
        verdicts=[claims.verdict(claims.CLAIMS[number], frame) for number in CLAIMS],
        figures=[curve_figure(curves, limits), limit_figure(limits), alarm_figure(alarms, nearest), kill_figure(kills)],
        tables=[break_table(breaks), limit_table(limits), control_table(curves), alarm_table(frame), kill_table(kills)],
        settings=settings(breaks, curves, alarms, kills),
        files={"kills": kills[["law", "fault", "killed"]]},
    )


# Numbers


def own(frame: pd.DataFrame, part: str, *metrics: str) -> pd.DataFrame:
    """The records of a part with some metrics, the parts of their settings as columns."""
    rows = frame[(frame.source == "instrument") & frame.metric.isin(metrics)]
    return parsed(rows[rows.setting.str.startswith(f"{part}/")])


def parsed(rows: pd.DataFrame) -> pd.DataFrame:
    """Records with the named parts of their settings as columns."""
    names = pd.DataFrame([parse_setting(setting) for setting in rows.setting], index=rows.index)
    return pd.concat([rows[["setting", "metric", "seed", "index", "value"]], names], axis=1)


def breaks_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Cases and breaks by law, part of it, and twin."""
    rows = parsed(frame[(frame.source == "laws") & frame.metric.isin(["breaks", "cases"])])
    rows["law"] = rows.setting.str.split("/").str[0].str.replace("_", " ")
    split = rows["bias"].notna() if "bias" in rows else pd.Series(False, rows.index)
    bias = rows["bias"].fillna("") if "bias" in rows else ""
    rows["part"] = np.where(split, rows["cell"] + " " + bias + " bias", "all")
    rows.loc[(rows.law == "value") & ~split, "part"] = rows["cell"]
    counts = rows.pivot_table(index=["law", "part", "subject"], columns="metric", values="value", aggfunc="sum")
    return counts.astype(int).reset_index()[["law", "part", "subject", "cases", "breaks"]].rename_axis(columns=None)


def curves_of(frame: pd.DataFrame) -> pd.DataFrame:
    """By law, dtype, quantity, judge and size of the error: runs, how many caught it, the share and its interval."""
    keys = ["law", "dtype", "quantity", "judge", "index"]
    counts = own(frame, "detection", "runs caught", "cases caught")
    wide = counts.pivot_table(index=keys, columns="metric", values="value", aggfunc="sum").reset_index()
    sizes = own(frame, "detection", "runs", "cases")
    sizes = sizes.pivot_table(index=["law", "dtype"], columns="metric", values="value", aggfunc="sum").reset_index()
    table = wide.merge(sizes, on=["law", "dtype"]).rename(columns={"index": "delta", "runs caught": "caught"})
    table = table.astype({name: int for name in ("caught", "cases caught", "runs", "cases")})
    ends = [interval(k, n) for k, n in zip(table.caught, table.runs, strict=True)]
    table["share"], table["low"], table["high"] = table.caught / table.runs, *np.transpose(ends)
    return table.rename_axis(columns=None)


@cache
def interval(k: int, n: int) -> tuple[float, float]:
    """The exact 99 % interval of a share."""
    return statistics.clopper_pearson(k, n)


def limits_of(curves: pd.DataFrame) -> pd.DataFrame:
    """By law, dtype, quantity and judge the detection limit; by the bound also what is demanded, and what came of it.

    The detection limit is the smallest error from which on every larger one is caught by 99 % of the runs.
    """
    rows = []
    for (law, dtype, quantity, judge), some in curves.groupby(["law", "dtype", "quantity", "judge"], sort=False):
        delta = DEMANDED[law][dtype]
        at = some[np.isclose(some.delta, delta, rtol=1e-9, atol=0)].iloc[0]
        row = {"law": law, "dtype": dtype, "quantity": quantity, "judge": judge, "limit": limit(some)}
        row |= {"delta": delta, "caught": at.caught, "runs": at.runs, "low": at.low, "high": at.high}
        single = at["cases caught"] / at.cases
        rows.append(row | {"single case": single, "size": at.cases / at.runs, "enough": enough(single)})
    table = pd.DataFrame(rows)
    table["demanded"] = [quantity in DEMAND[law] for law, quantity in zip(table.law, table.quantity, strict=True)]
    order = {quantity: n for n, quantity in enumerate(ORDER)}
    return table.sort_values(["law", "dtype", "quantity"], key=lambda c: c.map(order) if c.name == "quantity" else c)


ORDER = ("i", "f", "g", "o", "c'", "h'", *DEMAND["vjp"])
"""Quantities in the order of reading."""


def limit(curve: pd.DataFrame) -> float:
    """The smallest error from which on all are caught by 99 % of runs; inf where the largest is not."""
    rows = curve[curve.delta > 0].sort_values("delta", ascending=False)
    good = rows.delta[(rows.caught >= SHARE * rows.runs).cummin()]
    return float(good.min()) if len(good) else math.inf


def enough(single: float) -> float:
    """How many cases a run must have so that 99 % of runs catch what a single case catches with this probability."""
    if single in (0, 1):
        return 1.0 if single else math.inf
    return float(math.ceil(math.log(1 - SHARE) / math.log(1 - single)))


def alarms_of(frame: pd.DataFrame) -> pd.DataFrame:
    """How many cases' worst fraction lies in each bin, by cell and dtype; bins by their upper end, alarms at inf."""
    rows = own(frame, "false_alarms", "cases by worst fraction")
    counts = rows.groupby(["cell", "dtype", "index"], as_index=False).value.sum()
    return counts.rename(columns={"index": "worst fraction", "value": "cases"}).astype({"cases": int})


def nearest_of(frame: pd.DataFrame) -> float:
    """The largest fraction of a bound that torch.nn took."""
    return float(own(frame, "false_alarms", "worst fraction of the bound").value.max())


def kills_of(frame: pd.DataFrame) -> pd.DataFrame:
    """By law and fault: whether the fault was planted for the law, and whether the law killed it."""
    rows = own(frame, "kills", "killed", "attached")
    wide = rows.pivot(index=["law", "fault"], columns="metric", values="value").astype(int).reset_index()
    for name in ("law", "fault"):
        wide[name] = wide[name].str.replace("_", " ")
    return wide.rename_axis(columns=None)


# Text


def lead(
    breaks: pd.DataFrame,
    curves: pd.DataFrame,
    limits: pd.DataFrame,
    alarms: pd.DataFrame,
    nearest: float,
    kills: pd.DataFrame,
) -> str:
    """What was found, in words."""
    broken = f"{break_text(breaks)} {alarm_text(alarms, nearest)}"
    return "\n\n".join([broken, f"{demand_text(limits)} {control_text(curves)}", kill_text(kills)])


def break_text(breaks: pd.DataFrame) -> str:
    """Which laws broke."""
    broken = sorted(set(breaks.law[breaks.breaks > 0]))
    each = breaks.groupby("subject").cases.sum().max()
    cases = f"In {each:,} cases of {breaks.law.nunique()} laws, each on both twins, "
    return cases + (f"these broke: {', '.join(broken)}." if broken else "none broke.")


def alarm_text(alarms: pd.DataFrame, nearest: float) -> str:
    """False alarms on torch.nn with the rate they leave possible, and the nearest approach."""
    cases, false = count_alarms(alarms)
    near = f"; the nearest case takes {fraction(nearest)} of its bound" if nearest <= 1 else ""
    high = rounded_up(interval(false, cases)[1])
    return f"The referee accuses torch.nn in {false} of {cases:,} cases (at 99 %: fewer than {high:g} of all){near}."


def fraction(value: float) -> str:
    """Four digits of a fraction of a bound, or as many as tell it from the bound."""
    text = f"{value:.4g}"
    return f"{value:.{math.ceil(-math.log10(1 - value))}f}" if text == "1" and value < 1 else text


def rounded_up(share: float) -> float:
    """A share to one digit, and not less than it is."""
    unit = 10.0 ** math.floor(math.log10(share))
    return min(float(f"{math.ceil(share / unit - 1e-9) * unit:.1g}"), 1.0)


def count_alarms(alarms: pd.DataFrame) -> tuple[int, int]:
    """Cases and alarms."""
    return int(alarms.cases.sum()), int(alarms.cases[np.isinf(alarms["worst fraction"])].sum())


def demand_text(limits: pd.DataFrame) -> str:
    """Whether the demanded detection limits are kept, and where not, how many cases would be enough."""
    return " ".join(demand_sentence(limits, law) for law in DEMANDED)


def demand_sentence(limits: pd.DataFrame, law: str) -> str:
    """The same of a law."""
    rows = limits[(limits.law == law) & (limits.judge == "bound") & limits.demanded]
    missed = rows[rows.caught < SHARE * rows.runs]
    what = "gate" if law == "value" else "gradient term"
    deltas = " and ".join(f"{DEMANDED[law][dtype]:g} ({dtype})" for dtype in DTYPES)
    head = f"A relative error of {deltas} in any one {what} is"
    size = f"runs of {rows['size'].iloc[0]:.0f} cases"
    if missed.empty:
        few = rows.loc[rows.caught.idxmin()]
        low, high = interval(few.caught, few.runs)
        ends = f"with a 99 % interval from {low:.1%} to {high:.1%}"
        return f"{head} caught by 99 % of the {size}: the fewest are {few.caught} of {few.runs}, {ends}."
    worst = ", ".join(f"{r.quantity} {r.dtype} {r.caught} of {r.runs}" for r in missed.itertuples())
    return f"{head} not always caught by 99 % of {size} ({worst}); {fewest(rows.enough.max())} would be enough."


def fewest(cases: float) -> str:
    """A number of cases in words."""
    return "no number seen here" if math.isinf(cases) else f"{cases:.0f} cases"


def control_text(curves: pd.DataFrame) -> str:
    """How often each judge accuses the unchanged twin: a tolerance that sees more than the bound may see too much."""
    rows = controls(curves).groupby("judge", sort=False)[["caught", "runs"]].sum()
    found = ", ".join(f"{JUDGES[judge]} in {rows.caught[judge]} of {rows.runs[judge]} runs" for judge in JUDGES)
    return f"Where no error is planted, the NumPy twin is accused by {found}."


def controls(curves: pd.DataFrame) -> pd.DataFrame:
    """The runs without a planted error, by law, dtype and judge; they are the same for every quantity."""
    return curves[curves.delta == 0].groupby(["law", "dtype", "judge"], sort=False).first().reset_index()


def kill_text(kills: pd.DataFrame) -> str:
    """Faults that were killed, by some law and by those they were planted for."""
    faults, killed = kills.fault.nunique(), kills.groupby("fault").killed.max().sum()
    own_kills = kills[kills.attached == 1]
    missed = own_kills[own_kills.killed == 0]
    text = (
        f"{kills.law.nunique()} laws kill {killed} of {faults} planted faults; of {len(own_kills)} pairs of a law and"
    )
    text += f" a fault that was planted for it {len(own_kills) - len(missed)} are kills"
    pairs = ", ".join(f"{row.law} on {row.fault}" for row in missed.itertuples())
    return f"{text} (missed: {pairs})." if pairs else f"{text}."


# Tables


def break_table(breaks: pd.DataFrame) -> Table:
    """Cases and breaks by law, the twins side by side."""
    wide = breaks.pivot(index=["law", "part"], columns="subject", values=["cases", "breaks"]).fillna(0).astype(int)
    wide.columns = [f"{metric}, {figure_name(twin)}" for metric, twin in wide.columns]
    return Table("breaks", "Cases and breaks of the laws that claims rest on", wide.reset_index())


def figure_name(twin: str) -> str:
    """What readers call a subject."""
    return {"numpy_twin": "NumPy twin", "torch_twin": "PyTorch twin"}.get(twin, twin)


def limit_table(limits: pd.DataFrame) -> Table:
    """Detection limits, and what became of the demanded error."""
    rows = []
    for (law, dtype, quantity), some in limits.groupby(["law", "dtype", "quantity"], sort=False):
        by = some.set_index("judge")
        bound = by.loc["bound"]
        row = {"law": law, "dtype": dtype, "quantity": quantity}
        row |= {JUDGES[judge]: size(by.limit[judge]) for judge in JUDGES}
        row |= {"error looked at": f"{bound.delta:g}" + ("" if bound.demanded else " (not demanded)")}
        row |= {"caught": f"{bound.caught} of {bound.runs}", "99 % interval": f"{bound.low:.3f} to {bound.high:.3f}"}
        rows.append(row | {"single cases": f"{bound['single case']:.3f}", "cases enough": size(bound.enough)})
    title = (
        "Detection limits: the smallest relative error from which on 99 % of runs catch it; of one size, by the bound, "
        "how many runs and single cases catch it, and how many cases would be enough if all were alike"
    )
    return Table("limits", title, pd.DataFrame(rows))


def size(value: float) -> str:
    """An error's size or a number of cases."""
    return "none" if math.isinf(value) else f"{value:g}"


def control_table(curves: pd.DataFrame) -> Table:
    """What is caught where nothing was planted: false accusations of the NumPy twin."""
    rows = controls(curves)
    rows = rows.assign(text=[f"{r.caught} of {r.runs} runs" for r in rows.itertuples()])
    wide = rows.pivot(index=["law", "dtype"], columns="judge", values="text")[list(JUDGES)].rename(columns=JUDGES)
    title = "Accusations of the unchanged NumPy twin (no error planted) in the same runs"
    return Table("controls", title, wide.reset_index().rename_axis(columns=None))


def alarm_table(frame: pd.DataFrame) -> Table:
    """The nearest approach to the bound by output, cell and dtype."""
    rows = own(frame, "false_alarms", "worst fraction of the bound")
    rows["kind"] = [f"{CELLS[cell]} {dtype}" for cell, dtype in zip(rows.cell, rows.dtype, strict=True)]
    wide = rows.pivot_table(index="output", columns="kind", values="value", aggfunc="max", sort=False)
    text = wide.map(lambda value: "" if math.isnan(value) else fraction(value)).reset_index().rename_axis(columns=None)
    return Table("nearest", "torch.nn: the largest fraction of the bound by output or gradient", text)


def kill_table(kills: pd.DataFrame) -> Table:
    """Kills by law, and the faults that it alone kills."""
    alone = kills.groupby("fault").killed.transform("sum") == 1
    found = kills.assign(alone=kills.killed.where(alone, 0), both=kills.killed * kills.attached)
    counts = found.groupby("law")[["killed", "both", "attached", "alone"]].sum().reset_index()
    text = {
        "law": counts.law,
        "faults killed": counts.killed,
        "of those planted for it": [f"{r.both} of {r.attached}" for r in counts.itertuples()],
        "killed by no other law": counts.alone,
    }
    return Table("kills_by_law", f"Faults killed by law, of {kills.fault.nunique()}", pd.DataFrame(text))


def settings(breaks: pd.DataFrame, curves: pd.DataFrame, alarms: pd.DataFrame, kills: pd.DataFrame) -> pd.DataFrame:
    """What was run."""
    runs = curves.groupby("law")[["runs", "cases"]].first()
    sizes = ", ".join(f"{law} {row.cases / row.runs:.0f}" for law, row in runs.iterrows())
    rows = {
        "laws": f"{breaks.law.nunique()}, on the NumPy and the PyTorch twin, the same cases for both",
        "false alarms": f"{alarms.cases.sum():,} random cases of torch.nn, outputs and gradients",
        "planted errors": "NumPy twin's LSTM; a becomes a + delta a everywhere, in float64, rounded once",
        "seeds of planted errors": runs.runs.max(),
        "cases in a run": f"{sizes}: the law's share of the profile's examples",
        "tolerances": "torch.testing.assert_close: atol 1e-5, rtol 1.3e-6 (float32), 1e-7, 1e-7 (float64); a published "
        "kernel test: atol .1, rtol .2; all against the exact value",
        "planted faults": f"{kills.fault.nunique()} on {kills.law.nunique()} laws",
    }
    return pd.DataFrame({"setting": rows.keys(), "value": map(str, rows.values())})


# Figures


def curve_figure(curves: pd.DataFrame, limits: pd.DataFrame) -> Figure:
    """Share of runs that catch an error by its size: a line a quantity, by judge; law by dtype."""
    canvas, axes = plt.subplots(2, 2, figsize=(10, 6.4), sharey=True, layout="constrained")
    for row, law in zip(axes, DEMANDED, strict=True):
        for axis, dtype in zip(row, DTYPES, strict=True):
            draw_curves(axis, curves[(curves.law == law) & (curves.dtype == dtype) & (curves.delta > 0)])
            axis.axvline(DEMANDED[law][dtype], **figures.PREDICTION)
            axis.set_title(f"{PLACES[law]}, {dtype}")
        row[0].set_ylabel("share of runs that catch it")
    for axis in axes[1]:
        axis.set_xlabel("relative error planted in one quantity (dashed: demanded)")
    return Figure("detection", curve_title(limits), canvas, curve_alt(limits), curves)


def draw_curves(axis: Axes, rows: pd.DataFrame) -> None:
    """Thin lines for all quantities; the one that is hardest to see thick, with its interval and the judge's name."""
    axis.set_xscale("log")
    for n, judge in enumerate(JUDGES):
        mine = rows[rows.judge == judge]
        for _, line in mine.groupby("quantity"):
            axis.plot(line.delta, line.share, color=SHADES[judge], lw=0.6, alpha=0.6)
        hardest = mine[mine.quantity == mine.groupby("quantity").share.sum().idxmin()]
        figures.measured(axis, hardest.delta, hardest.share, hardest.low, hardest.high, SHADES[judge])
        half = hardest[hardest.share >= 0.5].delta.min() if (hardest.share >= 0.5).any() else hardest.delta.max()
        text = f"{JUDGES[judge]}: {hardest.quantity.iloc[0]}"
        how = {"xytext": (5, 0) if n < 2 else (-5, 0), "ha": "left" if n < 2 else "right", "bbox": PAPER}
        figures.label_line(axis, half, 0.5 - 0.14 * n, text, SHADES[judge], **how)


def limit_figure(limits: pd.DataFrame) -> Figure:
    """The detection limit of every quantity by the three judges; a dash where one is demanded."""
    canvas, axes = plt.subplots(1, 2, figsize=(10, 4.8), sharey=True, layout="constrained")
    for axis, dtype in zip(axes, DTYPES, strict=True):
        rows = limits[limits.dtype == dtype]
        for n, judge in enumerate(JUDGES):
            draw_limits(axis, rows[rows.judge == judge], n, -2.6 + 0.75 * n)
        for row in rows[(rows.judge == "bound") & rows.demanded].itertuples():
            y = ORDER.index(row.quantity)
            axis.vlines(row.delta, y - 0.4, y + 0.4, color="k", ls="--", lw=1.2)
        axis.set(xscale="log", ylim=(len(ORDER) - 0.5, -3.2), title=dtype)
        axis.set_xlabel("smallest relative error that 99 % of runs catch (dashed: demanded)")
    axes[0].set_yticks(range(len(ORDER)), ORDER)
    return Figure("limits", limit_title(limits), canvas, limit_alt(limits), limits)


def draw_limits(axis: Axes, rows: pd.DataFrame, n: int, height: float) -> None:
    """The n-th judge's dots, its name above them; what no error seen here reaches has no dot."""
    judge, seen = list(JUDGES)[n], rows[np.isfinite(rows.limit)]
    places = [ORDER.index(quantity) + 0.2 * (n - 1) for quantity in seen.quantity]  # equal limits stay apart
    axis.plot(seen.limit, places, "o", color=SHADES[judge], ms=4.5)
    if len(seen):
        how = {"xytext": (0, 0), "ha": "right" if judge == "kernel_test" else "left"}
        end = seen.limit.max() if judge == "kernel_test" else seen.limit.min()
        figures.label_line(axis, end, height, JUDGES[judge], SHADES[judge], **how)


def alarm_figure(alarms: pd.DataFrame, nearest: float) -> Figure:
    """How near torch.nn comes to the bound: cases by their worst fraction."""
    canvas, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for cell, shade in zip(CELLS, (figures.COLOURS["rnn"], "0.45", figures.COLOURS["lstm"]), strict=True):
        for dtype, style in zip(DTYPES, ("-", ":"), strict=True):
            rows = alarms[(alarms.cell == cell) & (alarms.dtype == dtype) & np.isfinite(alarms["worst fraction"])]
            if len(rows):
                draw_histogram(axis, rows, shade, style, cell if dtype == DTYPES[0] else "")
    axis.axvline(1, **figures.PREDICTION)
    axis.set_yscale("log")
    figures.label_line(axis, 1, axis.get_ylim()[1], "the bound", xytext=(-4, -6), ha="right")
    axis.set(xlim=(0, 1.05), xlabel="largest error of a case over its bound", ylabel="cases in a bin of .01")
    return Figure("false_alarms", alarm_title(alarms, nearest), canvas, alarm_alt(alarms), alarms)


BESIDE = {"rnn": {"xytext": (8, 0)}, "rnn_relu": {"xytext": (12, 6)}, "lstm": {"xytext": (-3, 10), "ha": "right"}}
"""Where a cell's name stands beside its peak."""


def draw_histogram(axis: Axes, rows: pd.DataFrame, shade: str, style: str, cell: str) -> None:
    """One cell and dtype: solid for float32, dotted for float64; its name, if given, at its peak."""
    rows = rows.sort_values("worst fraction")
    axis.plot(rows["worst fraction"] - 0.005, rows.cases, color=shade, ls=style, lw=1.4, drawstyle="steps-mid")
    if cell:
        peak = rows.loc[rows.cases.idxmax()]
        figures.label_line(axis, peak["worst fraction"], peak.cases, CELLS[cell], shade, **BESIDE[cell])


def kill_figure(kills: pd.DataFrame) -> Figure:
    """The matrix: laws in rows, faults in columns; killed in light and, where planted for the law, dark."""
    wide = {name: kills.pivot(index="law", columns="fault", values=name).fillna(0) for name in ("killed", "attached")}
    faults = wide["killed"].sum().sort_values(ascending=False, kind="stable").index
    laws = wide["killed"].sum(axis=1).sort_values(ascending=False, kind="stable").index
    killed, attached = (wide[name].loc[laws, faults].to_numpy() for name in ("killed", "attached"))
    canvas, axis = plt.subplots(figsize=(2.4 + 0.049 * len(faults), 1 + 0.17 * len(laws)), layout="constrained")
    for y, (kills_of_law, own_faults) in enumerate(zip(killed, attached, strict=True)):
        for mark, shade in ((kills_of_law * (1 - own_faults), "#9ecae1"), (kills_of_law * own_faults, SHADES["bound"])):
            axis.broken_barh(runs_of(mark), (y + 0.08, 0.84), color=shade, linewidth=0)
    missed = np.argwhere((attached == 1) & (killed == 0))
    axis.plot(missed[:, 1] + 0.5, missed[:, 0] + 0.5, "x", color=figures.COLOURS["rnn"], ms=5)
    counts = [f"{law}  {n:.0f}" for law, n in zip(laws, killed.sum(1), strict=True)]
    axis.set_yticks(np.arange(len(laws)) + 0.5, counts, fontsize=7)
    axis.set_xticks([])
    axis.set(xlim=(0, len(faults)), ylim=(len(laws), 0))
    axis.set_xlabel(
        f"{len(faults)} planted faults, those that most laws kill first "
        "(full colour: planted for the law; cross: missed)"
    )
    return Figure("kills", kill_title(kills), canvas, kill_alt(kills), kills)


def runs_of(marks: np.ndarray) -> list[tuple[int, int]]:
    """Start and length of each run of ones: a few bars instead of thousands of cells."""
    edges = np.flatnonzero(np.diff(marks, prepend=0, append=0)).reshape(-1, 2)
    return [(int(start), int(stop - start)) for start, stop in edges]


def curve_title(limits: pd.DataFrame) -> str:
    """Whether the demand is kept, for values and gradients."""
    kept = {}
    for law in DEMANDED:
        rows = limits[(limits.law == law) & (limits.judge == "bound") & limits.demanded]
        kept[law] = (int((rows.caught >= SHARE * rows.runs).sum()), len(rows))
    (gates, all_gates), (terms, all_terms) = kept.values()
    return (
        f"Of the runs made 99 % or more catch the demanded errors in {gates} of {all_gates} gates and {terms} of "
        f"{all_terms} gradient terms of an LSTM, both precisions counted"
    )


def curve_alt(limits: pd.DataFrame) -> str:
    """What the curves show, for who cannot see it."""
    rows = limits[(limits.judge == "bound") & limits.demanded]
    parts = [f"{r.quantity} {r.dtype} {r.caught} of {r.runs}" for r in rows.itertuples()]
    return f"Runs that catch the demanded error by the referee's bound: {', '.join(parts)}."


def limit_title(limits: pd.DataFrame) -> str:
    """How far the fixed tolerances lie above the bound."""
    parts = []
    for dtype in DTYPES:
        wide = limits[limits.dtype == dtype].pivot(index=["law", "quantity"], columns="judge", values="limit")
        ratios = [np.median(wide[judge] / wide.bound) for judge in ("assert_close", "kernel_test")]
        parts.append(f"{' and '.join(f'{ratio:.2g}' for ratio in ratios)} in {dtype}")
    return (
        f"What assert_close's defaults and atol .1, rtol .2 just catch is, in the median quantity, {', '.join(parts)} "
        f"times what the referee's bound just catches"
    )


def limit_alt(limits: pd.DataFrame) -> str:
    """The limits, for who cannot see them."""
    rows = limits[limits.judge == "bound"]
    return f"By the bound: {', '.join(f'{r.quantity} {r.dtype} {size(r.limit)}' for r in rows.itertuples())}."


def alarm_title(alarms: pd.DataFrame, nearest: float) -> str:
    """Alarms and nearest approach."""
    cases, false = count_alarms(alarms)
    rest = f"; the nearest comes to {fraction(nearest)} of its bound" if nearest <= 1 else ""
    return f"In {cases:,} cases the referee accuses torch.nn {false} times{rest}"


def alarm_alt(alarms: pd.DataFrame) -> str:
    """The medians of the worst fractions, for who cannot see them."""
    parts = []
    for (cell, dtype), rows in alarms.groupby(["cell", "dtype"]):
        ordered = rows.sort_values("worst fraction")
        half = ordered["worst fraction"][ordered.cases.cumsum() >= ordered.cases.sum() / 2].iloc[0]
        parts.append(f"{CELLS[cell]} {dtype} {half:.2f}, largest {ordered['worst fraction'].iloc[-1]:.2f}")
    return f"A case's worst fraction of the bound, median and largest: {'; '.join(parts)}."


def kill_title(kills: pd.DataFrame) -> str:
    """How many faults are killed, and how many laws kill one."""
    killed, laws = kills.groupby("fault").killed.max(), kills.groupby("law").killed.max()
    return (
        f"{killed.sum()} of {len(killed)} planted faults are killed; {laws.sum()} of {len(laws)} laws kill at least one"
    )


def kill_alt(kills: pd.DataFrame) -> str:
    """Kills by law, for who cannot see the matrix."""
    counts = kills.groupby("law").killed.sum().sort_values(ascending=False, kind="stable")
    return f"Faults killed by law: {', '.join(f'{law} {n}' for law, n in counts.items())}."
