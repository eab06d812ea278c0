"""What the records say: the loss on the test by how far the gradient reached in training. Reads records alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures
from experiments.harness.report import Figure, Findings, Section, Table
from experiments.harness.words import listed, signed
from experiments.language_model.models import CELLS
from experiments.language_model.parts import EXPERIMENT
from experiments.language_model.text.reading import Spread, drawn, name_of, spread
from experiments.language_model.truncation.rates import RATES, SEEDS, SIZE
from experiments.language_model.truncation.sweep import FIXED, LONG, PRESETS, READING, SHORT
from properties.record import parse_setting

RUNGS = (1, 2, 3)
"""The orders of n-gram rungs that are drawn where they lie among the losses."""


class Arm(NamedTuple):
    """One cell: its losses at the end, a row a seed and a column a truncation; `rates` by truncation."""

    cell: str
    parameters: int
    H: int
    B: int
    read: int
    updates: int
    rates: pd.Series
    test: pd.DataFrame
    validation: pd.DataFrame

    @property
    def name(self) -> str:
        """Its name for readers."""
        return figures.NAMES[self.cell]

    def minus_long(self, k: int) -> np.ndarray:
        """The loss on the test minus that at truncation 50, by seed; no difference where both are lost."""
        mine, long = self.test[k].to_numpy(), self.test[LONG].to_numpy()
        with np.errstate(invalid="ignore"):
            return np.where(np.isinf(mine) & np.isinf(long), 0.0, mine - long)


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records; empty where there are none."""
    rows, title = frame[frame.source == EXPERIMENT], "How far back the gradient reaches"
    arms, text = read_arms(rows), text_of(rows)
    if not arms:
        return Findings(Section(title, "", [], []), {})
    part = part_read(rows, arms)
    section = Section(title, lead(arms, text, part), [figure(arms, rungs(rows, arms))], [table(arms)])
    return Findings(section, settings(arms, part))


# Reading


def read_arms(rows: pd.DataFrame) -> list[Arm]:
    """Both cells, the RNN first."""
    mine = rows[rows.setting.str.match(r"(corpus=[^/]*/)?truncation/cell=")]
    words = [parse_setting(setting) for setting in mine.setting]
    mine = mine.assign(cell=[w["cell"] for w in words], k=[int(w.get("k", 0)) for w in words])
    return [read_arm(cell, mine[mine.cell == cell]) for cell in CELLS if (mine.cell == cell).any()]


def read_arm(cell: str, rows: pd.DataFrame) -> Arm:
    """One cell; a loss that is no number counts as infinite."""
    facts = rows[rows.k == 0].groupby("metric").value.first()
    at = {metric: some.pivot(index="seed", columns="k", values="value") for metric, some in rows.groupby("metric")}
    losses = (at[f"loss_{part}"].fillna(np.inf) for part in ("test", "validation"))
    updates = int(rows[rows.metric == "loss_test"]["index"].max())
    numbers = (int(facts[name]) for name in ("parameters", "hidden_units", "lanes", "characters_test"))
    return Arm(cell, *numbers, updates, at["rate"].iloc[0], *losses)


def text_of(rows: pd.DataFrame) -> str:
    """The name of the user's own text; nothing for the default one."""
    mine = rows[rows.setting.str.contains(r"(?:^|/)truncation/")]
    return parse_setting(mine.setting.iloc[0]).get("corpus", "") if len(mine) else ""


def rungs(rows: pd.DataFrame, arms: list[Arm]) -> dict[int, float]:
    """The n-gram rungs on the test by order, where the models read the whole of it; else they are of another text."""
    if not read_whole(rows, arms):
        return {}
    own = of_the_text(rows)
    own = own[(own.metric == "rung_test") & own["index"].isin(RUNGS)]
    return {int(order): value for order, value in zip(own["index"], own.value, strict=True)}


def of_the_text(rows: pd.DataFrame) -> pd.DataFrame:
    """The text's own records."""
    return rows[rows.setting.str.match(r"(text|corpus=[^/]*)/rungs$")]


def read_whole(rows: pd.DataFrame, arms: list[Arm]) -> bool:
    """Whether the models read the whole test, as far as its length is recorded."""
    own = of_the_text(rows)
    return bool((own[own.metric == "characters_test"].value == arms[0].read).any())


def part_read(rows: pd.DataFrame, arms: list[Arm]) -> str:
    """What the models read of the test, in words."""
    n = f"{arms[0].read:,} characters"
    return f"the whole test, {n}" if read_whole(rows, arms) else f"the first {n} of the test"


# Text


def lead(arms: list[Arm], text: str, part: str) -> str:
    """What was done and found, in words; `part` of the test was read."""
    T, own = FIXED["T"], name_of(text) if text else "the text"
    return (
        f"Training reads {own} in chunks of {T} characters, with one update a chunk by the loss of all its steps, and "
        f"carries the state from chunk to chunk. Here each chunk is cut into blocks of k steps: the state passes from "
        f"one block into the next, the gradient does not pass back. So the loss at a step reaches back to the "
        f"beginning of its block and no further: k \N{MINUS SIGN} 1 steps at most, (k \N{MINUS SIGN} 1)/2 on "
        f"average. At k = 1 no gradient flows through time at all (the recurrent weights still learn, each step's "
        f"state before taken as given); k = {T} is the whole chunk. Text, chunks, start and the number of updates are "
        f"the same for every k.\n\nLosses are on {part}. "
        f"{rates_sentence(arms, text)}\n\n{' '.join(effect_sentence(arm) for arm in arms)} "
        f"{'' if text else 'N18 asks that it is above 0 for both. '}{between_sentence(arms)}"
    ).rstrip()


def rates_sentence(arms: list[Arm], text: str) -> str:
    """How the rates were chosen."""
    if arms[0].B not in {sizes.B for sizes in PRESETS.values() if sizes.size <= SIZE}:
        return "The rate is the cell's own for every k, and was chosen for gradients that reach back 64 steps."
    return (
        f"The rate is chosen for each cell and k by one search: {len(RATES)} rates, the same for all, by {len(SEEDS)} "
        f"seeds of their own on the validation part{' of the default text' if text else ''}."
    )


def effect_sentence(arm: Arm) -> str:
    """What N18 measures, of one cell."""
    return (
        f"The {arm.name} with {arm.parameters:,} parameters loses {np.median(arm.test[SHORT]):.3f} nats a character on "
        f"the test at truncation {SHORT} and {np.median(arm.test[LONG]):.3f} at {LONG}: paired by seed "
        f"{words(spread(arm.minus_long(SHORT)))}."
    )


def between_sentence(arms: list[Arm]) -> str:
    """Which truncations between the claim's two are told apart from the longer one."""
    if any(not spread(arm.minus_long(SHORT)).interval for arm in arms):
        return "Fewer than 8 seeds have no 99 % interval."
    between = [k for k in arms[0].test.columns if SHORT < k < LONG]
    if not between:
        return ""
    found = []
    for arm in arms:
        apart = [str(k) for k in between if told_apart(spread(arm.minus_long(k)))]
        found.append(f"{arm.name} {listed(apart) or 'none'}")
    return f"Truncations between the two whose loss differs from that at {LONG} beyond doubt: {'; '.join(found)}."


def told_apart(s: Spread) -> bool:
    """Whether an interval is one and lies beside zero."""
    return s.interval and (s.low > 0 or s.high < 0)


def words(s: Spread) -> str:
    """A difference with its interval."""
    ends = f"{signed(s.low)} to {signed(s.high)}"
    return f"{signed(s.median)} (99 %: {ends})" if s.interval else f"{signed(s.median)} ({ends} over seeds)"


def table(arms: list[Arm]) -> Table:
    """Every cell at every truncation."""
    rows = []
    for arm in arms:
        for k in arm.test.columns:
            test = spread(arm.test[k].to_numpy())
            rows.append(
                {
                    "cell": arm.name,
                    "truncation k (steps)": str(k),
                    "reach on average (steps)": f"{(k - 1) / 2:g}",
                    "rate": f"{arm.rates[k]:g}",
                    "test (nats)": f"{test.median:.3f}",
                    "99 % interval" if test.interval else "smallest to largest": f"{test.low:.3f} to {test.high:.3f}",
                    "validation (nats)": f"{np.median(arm.validation[k]):.3f}",
                    f"test minus that at {LONG}, by seed": "" if k == LONG else words(spread(arm.minus_long(k))),
                }
            )
    after = f"Loss after {arms[0].updates:,} updates by truncation"
    title = f"{after}, nats a character (median of {len(arms[0].test)} seeds)"
    return Table("truncation", title, pd.DataFrame(rows))


def settings(arms: list[Arm], part: str) -> dict[str, str]:
    """What was run; `part` of the test was read."""
    sizes = ", ".join(f"{arm.name} {arm.parameters:,} (H={arm.H})" for arm in arms)
    first, chunk = arms[0], FIXED["T"] * arms[0].B
    return {
        "truncation: parameters": sizes,
        "truncation: seeds": str(len(first.test)),
        "truncation: updates": f"{first.updates:,} of {chunk:,} characters a seed",
        "truncation: steps T, lanes B": f"{FIXED['T']}, {first.B}",
        "truncation: optimiser": "Adam, clipped to norm {clip:g}; the rate falls to 0 in the last {decay:.0%}".format(
            **FIXED
        ),
        "truncation: evaluation": f"{part}, in {READING['lanes']} lanes, each after "
        f"{READING['warmup']} characters of context",
    }


# Figure


def figure(arms: list[Arm], ladder: dict[int, float]) -> Figure:
    """Loss on the test by truncation; below, what is left of it after that at truncation 50, paired by seed."""
    data = pd.concat([curve(arm) for arm in arms], ignore_index=True)
    canvas, ((top,), (below,)) = figures.with_residual(size=(7.0, 6.0))
    below.axhline(0, **figures.PREDICTION)
    for arm in arms:
        rows, hue = data[data.cell == arm.name], figures.COLOURS[arm.cell]
        for axis, columns in ((top, ("median", "low", "high")), (below, ("minus", "minus_low", "minus_high"))):
            figures.measured(axis, rows.k, *(drawn(rows[name]) for name in columns), hue)
            axis.plot(rows.k, drawn(rows[columns[0]]), "o", color=hue, ms=3.5)
    draw_rungs(top, ladder)
    axes(top, below, [int(k) for k in arms[0].test.columns])
    band = "99 % interval" if data.band.iloc[0] == "99 % interval" else "smallest to largest"
    key = f"line: median of {len(arms[0].test)} seeds; band: {band}"
    top.text(0.99, 0.98, key, transform=top.transAxes, ha="right", va="top", fontsize=8)
    ends = [(None, float(np.median(arm.test.iloc[:, -1])), arm.name, figures.COLOURS[arm.cell]) for arm in arms]
    figures.label_lines(top, ends)
    return Figure("truncation", title(arms), canvas, alt(arms), data)


def curve(arm: Arm) -> pd.DataFrame:
    """One cell's medians and bands by truncation."""
    rows = []
    for k in arm.test.columns:
        test, minus = spread(arm.test[k].to_numpy()), spread(arm.minus_long(k))
        row: dict[str, Any] = {"cell": arm.name, "k": k, "rate": arm.rates[k]}
        row |= {"median": test.median, "low": test.low, "high": test.high}
        row |= {"minus": minus.median, "minus_low": minus.low, "minus_high": minus.high}
        rows.append(row | {"band": "99 % interval" if test.interval else "smallest to largest seed"})
    return pd.DataFrame(rows).assign(seeds=len(arm.test))


def draw_rungs(top: Axes, ladder: dict[int, float]) -> None:
    """Thin lines at the rungs that lie among the losses."""
    low, high = top.get_ylim()
    for order, value in ladder.items():
        if low < value < high:
            top.axhline(value, **figures.PREDICTION | {"linewidth": 0.8})
            place = {"xycoords": top.get_yaxis_transform(), "xytext": (3, 4)}
            figures.label_line(top, 0, value, f"order {order}", **place)
    top.set_ylim(low, high)


def axes(top: Axes, below: Axes, ks: list[int]) -> None:
    """Truncations on a logarithmic axis, each named; room above for the key."""
    below.set_xscale("log")
    below.set_xticks(ks, [str(k) for k in ks])
    below.minorticks_off()
    low, high = top.get_ylim()
    top.set_ylim(low, high + 0.08 * (high - low))
    top.set_ylabel("loss on the test\n(nats a character)")
    below.set_ylabel(f"minus that\nat {LONG} (nats)")
    below.set_xlabel("truncation k: steps of a block, through which alone the gradient passes")


def title(arms: list[Arm]) -> str:
    """What it costs to let no gradient through time, cell by cell."""
    spreads = [spread(arm.minus_long(SHORT)) for arm in arms]
    parts = listed([f"{signed(s.median)} nats ({arm.name})" for arm, s in zip(arms, spreads, strict=True)])
    if all(told_apart(s) and s.low > 0 for s in spreads):
        said = "Without gradients through time the test loss is higher"
    elif all(told_apart(s) and s.high < 0 for s in spreads):
        said = "Without gradients through time the test loss is lower"
    else:
        said = "Whether gradients through time lower the test loss of every cell is open"
    return f"{said}: at truncation {SHORT} minus truncation {LONG} it is {parts}"


def alt(arms: list[Arm]) -> str:
    """What the picture shows, for who cannot see it."""
    ks = ", ".join(str(k) for k in arms[0].test.columns)
    parts = [f"{arm.name} {', '.join(f'{np.median(arm.test[k]):.3f}' for k in arm.test.columns)}" for arm in arms]
    return f"Median loss on the test, nats a character, at truncations {ks}: {'; '.join(parts)}."
