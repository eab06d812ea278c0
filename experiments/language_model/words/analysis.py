"""What the records say: each cell's loss on words against the ladder of n-gram rungs. Reads records alone."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures
from experiments.harness.report import Figure, Findings, Section, Table
from experiments.language_model.parts import EXPERIMENT
from experiments.language_model.text.pictures import CHANCE_PLACE, band_key, ladder_arm
from experiments.language_model.text.reading import (
    Arm,
    Rungs,
    beaten,
    drawn,
    name_of,
    percent,
    read_arms,
    read_rungs,
    spread,
    three,
)
from experiments.language_model.text.said import passed, which_leads
from experiments.language_model.words.sweep import FIXED, PRESETS

PILOTED = (
    "Rates come from a pilot of two seeds, and starts were not searched: what either cell can do by words is not "
    "settled."
)
GUESSED = (
    "Rates were guessed, the RNN's {rnn:g} and the LSTM's {lstm:g}. A pilot made since, on the King James text with a "
    "smaller vocabulary and one seed, has lower best ones, .0012 or .0025 for the RNN and .005 for the LSTM: which of "
    "the two leads at better rates is open. Starts were not searched."
)
PUBLISHED = (
    "word perplexities such as 114.5 for an RNN and 78.9 for an LSTM of 13 million parameters (Bai, Kolter and Koltun "
    "2018)"
)
"""On the Penn Treebank, with its vocabulary of 10,000."""


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records; nothing where none were made."""
    rows = frame[frame.source == EXPERIMENT]
    rows = rows[rows.setting.str.match(r"(text|corpus=[^/]*)/words/")]
    if rows.empty:
        return Findings(Section(TITLE, "", [], []), {})
    rungs, arms = read_rungs(rows), read_arms(rows)
    section = Section(TITLE, lead(rungs, arms), [ladder_figure(rungs, arms)], [losses_table(rungs, arms)])
    return Findings(section, settings(rungs, arms))


TITLE = "Words of a text"


# Words


def lead(rungs: Rungs, arms: list[Arm]) -> str:
    """What was found, in words."""
    guessed = {arm.cell: arm.rate for arm in arms} == PRESETS["full"].rates
    rates = "each at a guessed rate" if guessed else "each at its chosen rate"
    cells = " ".join([*(what_arm(arm, rungs) for arm in arms), which_leads(*arms, rates)])
    how = GUESSED.format(**PRESETS["full"].rates) if guessed else PILOTED
    return "\n\n".join([what_text(rungs), cells, f"{how} {published(rungs)}"])


def what_text(rungs: Rungs) -> str:
    """The text, its vocabulary, and what is left out of it."""
    facts, name = rungs.facts, name_of(rungs.text)
    tokens = ": what stands between blanks, and line ends" if facts.get("prepared") else ", punctuation marks as well"
    return (
        f"Each word of {name} is predicted from those before it{tokens}. The vocabulary is what the training part has "
        f"at least {facts['least']:.0f} times, {facts['vocabulary'] - 1:,.0f} words, and "
        f"<unk> for every other: {percent(facts['unknown_training'])} of the training part and "
        f"{percent(facts['unknown_test'])} of the test. With another vocabulary these losses would be others. Chance "
        f"is ln {facts['vocabulary']:,.0f} = {math.log(facts['vocabulary']):.3f} nats a word; perplexity is "
        f"exp(loss). A word is shown to a cell as its row of a table that is learnt with the rest. Rungs are "
        f"interpolated Kneser-Ney, counted on the training part."
    )


def published(rungs: Rungs) -> str:
    """What has been published, and for which text."""
    if rungs.text == "ptb":
        return f"Published for this text, with its whole vocabulary of 10,000, are {PUBLISHED}."
    return f"The {PUBLISHED} that are published for the Penn Treebank belong to that text and compare with none here."


def what_arm(arm: Arm, rungs: Rungs) -> str:
    """One cell's loss on the test and the rungs that it passed."""
    return (
        f"The {arm.name} with {arm.parameters:,} parameters (H={arm.H}; table and read-out counted) loses "
        f"{np.median(arm.test):.3f} nats a word on the test after {arm.updates[-1]:,.0f} updates, a perplexity of "
        f"{perplexity(np.median(arm.test))} (median; {arm.test.min():.3f} to {arm.test.max():.3f} nats over seeds): "
        f"{' and '.join(passed(arm, rungs.test))}."
    )


def perplexity(loss: float) -> str:
    """exp(loss) to one decimal."""
    return f"{math.exp(min(loss, 700.0)):,.1f}" if math.isfinite(loss) else "infinite"


# Table


def losses_table(rungs: Rungs, arms: list[Arm]) -> Table:
    """Every predictor's loss and perplexity."""
    chance = math.log(rungs.facts["vocabulary"])
    rows = [row("chance, ln V", chance, chance)]
    rows += [row(f"order {k}", v, t) for k, (v, t) in enumerate(zip(rungs.validation, rungs.test, strict=True))]
    for arm in arms:
        own = {"parameters": f"{arm.parameters:,}", "H": str(arm.H), "seeds": str(len(arm.seeds))}
        _, low, high, interval = spread(arm.test)
        ends = f"{three(low)} to {three(high)}{'' if interval else ' (smallest to largest)'}"
        one = row(arm.name, np.median(arm.validation[-1]), np.median(arm.test))
        rows.append(one | {"test, 99 % interval": ends} | own)
    title = "Loss in nats a word, and perplexity, of rungs and of cells (median over seeds)"
    return Table("words", title, pd.DataFrame(rows).fillna(""))


def row(name: str, validation: float, test: float) -> dict[str, str]:
    """One predictor's losses and perplexities."""
    return {
        "predictor": name,
        "validation": three(validation),
        "test": three(test),
        "perplexity on validation": perplexity(validation),
        "perplexity on test": perplexity(test),
    }


def settings(rungs: Rungs, arms: list[Arm]) -> dict[str, str]:
    """What was run."""
    facts, given = rungs.facts, FIXED
    sizes = ", ".join(f"{facts[f'words_{part}']:,.0f}" for part in ("training", "validation", "test"))
    return {
        "words: training, validation, test": sizes,
        "words: vocabulary": f"{facts['vocabulary']:,.0f} with <unk>: {facts['least']:.0f} times or more in training",
        "words: seeds": str(len(arms[0].seeds)),
        "words: updates": f"{arms[0].updates[-1]:,.0f}",
        "words: steps T": f"{given['T']}; states are carried, {given['reset']:.0%} of lanes start anew an update",
        "words: optimiser": f"Adam, clipped to norm {given['clip']:g}; the rate falls in the last {given['decay']:.0%}",
        "words: rates": ", ".join(f"{arm.name} {arm.rate:g}" for arm in arms),
        "words: start": f"table from N(0, {given['table_sd']:g}^2), the same for both cells; W_ih as torch.nn",
        "words: evaluation": f"the whole part in {given['lanes']} lanes, each after {given['warmup']} words of context",
    }


# Figure


def ladder_figure(rungs: Rungs, arms: list[Arm]) -> Figure:
    """The test's rungs by order, and each cell's loss across them; below, each seed's loss minus each rung."""
    canvas, ((top,), (below,)) = figures.with_residual(size=(7.5, 6.5))
    orders = np.arange(CHANCE_PLACE, len(rungs.test))
    ladder = np.r_[math.log(rungs.facts["vocabulary"]), drawn(rungs.test)]
    top.plot(orders, ladder, **figures.PREDICTION, marker="o", ms=4)
    below.axhline(0, **figures.PREDICTION)
    for n, arm in enumerate(arms):
        ladder_arm(top, below, arm, orders, ladder, figures.COLOURS[arm.cell], 1.6 + 2.2 * (len(arms) - 1 - n))
    axes(top, below, arms, orders, ladder)
    return Figure("words", title(rungs, arms), canvas, alt(rungs, arms), data(rungs, arms))


def axes(top: Axes, below: Axes, arms: list[Arm], orders: np.ndarray, ladder: np.ndarray) -> None:
    """Names axes and lines; in the residual panel orders from 1 on are to be told apart, and what is beyond is cut."""
    below.set_xticks(orders, ["chance", *map(str, orders[1:])])
    below.set_xlabel("order of the n-gram rung (words of context)")
    top.set_ylabel("loss on the test\n(nats a word)")
    below.set_ylabel("cell minus rung\n(nats)")
    top.text(0.99, 0.97, band_key(arms, "dashed: rungs"), transform=top.transAxes, ha="right", va="top", fontsize=8)
    near = drawn([arm.test for arm in arms])[..., None] - ladder[2:]
    if np.isfinite(near).any():
        below.set_ylim(min(np.nanmin(near), 0.0) - 0.1, max(np.nanmax(near), 0.0) + 0.1)
    names = [(float(np.median(arm.test)), arm.name, figures.COLOURS[arm.cell]) for arm in arms]
    figures.label_lines(top, [(None, value, f"{name}: {value:.3f}", hue) for value, name, hue in names])
    figures.label_lines(below, [(None, 0.0, "rung", "black")])


def title(rungs: Rungs, arms: list[Arm]) -> str:
    """The rung of the test that all seeds of each cell are below."""
    parts = []
    for arm in arms:
        order = beaten(arm, rungs.test)
        below = f"every {arm.name} is below the order-{order} rung"
        parts.append(below if order >= 0 else f"not every {arm.name} is below the order-0 rung")
    return f"By words, on the test, {' and '.join(parts)} ({len(arms[0].test)} seeds each)"


def alt(rungs: Rungs, arms: list[Arm]) -> str:
    """What the picture shows, for who cannot see it."""
    models = "; ".join(f"{arm.name} {', '.join(three(v) for v in arm.test)}" for arm in arms)
    ladder = ", ".join(map(three, rungs.test))
    return f"Loss on the test, nats a word. Orders 0 to {len(rungs.test) - 1}: {ladder}. Seeds: {models}."


def data(rungs: Rungs, arms: list[Arm]) -> pd.DataFrame:
    """Every predictor's loss on the test; a cell has one row a seed."""
    rows = [("chance", "", math.log(rungs.facts["vocabulary"]))]
    rows += [(f"order {k}", "", v) for k, v in enumerate(rungs.test)]
    rows += [(arm.name, seed, v) for arm in arms for seed, v in zip(arm.seeds, arm.test, strict=True)]
    frame = pd.DataFrame(rows, columns=["predictor", "seed", "loss_test"])
    return frame.assign(perplexity=np.exp(np.minimum(frame.loss_test, 700.0)))
