"""What was found, in words."""

from __future__ import annotations

import numpy as np

from experiments.harness import figures
from experiments.harness.words import listed, signed
from experiments.language_model.models import end_of_grid
from experiments.language_model.text import alone, reach
from experiments.language_model.text.reading import Arm, Rungs, beaten, chance, name_of, paired, pairs, percent, spread
from experiments.language_model.text.sweep import ORDER_OF_N6, Preset
from properties.record import parse_setting


def lead(rungs: Rungs, arms: list[Arm], interleaved: list[Arm], sizes: Preset) -> str:
    """What was found, in words."""
    order_two = rungs.test[ORDER_OF_N6]
    losses = [
        *(what_arm(arm, rungs) for arm in arms),
        f"The order-{ORDER_OF_N6} rung, which N6 compares with, stands at {order_two:.3f}.",
    ]
    compared = [*(which_leads(*pair) for pair in pairs(arms)), *at_the_end(arms, sizes)]
    compared += what_interleaved(rungs, interleaved)
    beside = [
        f"{reach.finding(arms)}.",
        f"{alone.finding(arms, ends=True)}.",
        "A table falls back to a lower order in a context that it lacks, so at high orders text said freely may "
        "cost it less than a character that does not fit the true past.",
        f"{alone.words(arms)}.",
        "Curves over core-seconds take those that the sweep predicts for training alone; cost.html says how far "
        "predicted seconds are off.",
    ]
    return "\n\n".join([what_text(rungs), *(" ".join(sentences) for sentences in (losses, compared, beside))])


def what_text(rungs: Rungs) -> str:
    """The text, how it is parted, and how much of the test stands in the training part."""
    facts = rungs.facts
    shares = [100 * facts[f"characters_{part}"] / facts["characters"] for part in ("training", "validation", "test")]
    genre = "" if rungs.text else ", of another genre than most of the book (Epistles to Revelation)"
    return (
        f"Each character of {name_of(rungs.text)} is predicted from those before it ({facts['characters']:,.0f} "
        f"characters, {facts['symbols']:.0f} different ones; chance is ln {facts['symbols']:.0f} = {chance(rungs):.3f} "
        f"nats). The first {shares[0]:.0f} % are for training, the next {shares[1]:.0f} % for validation, the last "
        f"{shares[2]:.0f} % are the test{genre}: a contiguous split, in which {percent(facts['recurring'])} of the "
        "test's windows of 50 characters stand somewhere in the training part "
        f"({percent(facts['recurring_interleaved'])} if 200 blocks are interleaved instead; the rungs of that split "
        "stand in the table). Rungs are interpolated Kneser-Ney, counted on the training part."
    )


def what_arm(arm: Arm, rungs: Rungs) -> str:
    """One cell's loss on the test and the rungs that it passed."""
    return (
        f"The {figures.NAMES[arm.cell]} with {arm.parameters:,} parameters (H={arm.H}) loses {np.median(arm.test):.3f} "
        f"nats a character on the test after {arm.updates[-1]:,.0f} updates (median; {arm.test.min():.3f} to "
        f"{arm.test.max():.3f} over seeds): {' and '.join(passed(arm, rungs.test))}."
    )


def at_the_end(arms: list[Arm], sizes: Preset) -> list[str]:
    """Which rates are the lowest or the highest that were tried, so that the search leaves open what is beyond."""
    found = []
    for arm in arms:
        size = int(parse_setting(arm.setting).get("parameters", f"{sizes.sizes[0]}k").removesuffix("k"))
        end = end_of_grid(arm.cell, size, sizes.search, (arm.start, arm.rate))
        named = f"the {figures.NAMES[arm.cell]} with {arm.parameters:,} parameters"
        found += [f"that of {named}, {arm.rate:g}, is the {end} that was tried from its start"] if end else []
    return [f"Of the rates, {listed(found)}: one beyond may be better."] if found else []


def what_interleaved(rungs: Rungs, arms: list[Arm]) -> list[str]:
    """What cells that learnt the interleaved split lose on its test."""
    found = [
        f"the {figures.NAMES[arm.cell]} with {arm.parameters:,} parameters loses {np.median(arm.test):.3f} after "
        f"{arm.updates[-1]:,.0f} updates ({' and '.join(passed(arm, rungs.interleaved))})"
        for arm in arms
    ]
    return [f"On the interleaved split, whose test is like its training part, {listed(found)}."] if arms else []


def passed(arm: Arm, rung: np.ndarray) -> list[str]:
    """How many seeds lie below the highest rung that all are below, and below the next one."""
    order, n = beaten(arm, rung), len(arm.test)
    near = [k for k in (order, order + 1) if 0 <= k < len(rung)]
    return [f"{(arm.test < rung[k]).sum()} of {n} seeds are below order {k} ({rung[k]:.3f})" for k in near]


def which_leads(rnn: Arm, lstm: Arm, rates: str = "each at its chosen rate") -> str:
    """The paired difference of two cells, at rates as they are said to be, and what it decides."""
    d = spread(paired(rnn, lstm))
    near = max(rnn.parameters, lstm.parameters) <= 1.05 * min(rnn.parameters, lstm.parameters)
    same = "At equal parameters" if near else "At parameters that are not quite equal"
    same = f"{same} ({rnn.parameters:,} and {lstm.parameters:,}) and equal updates, {rates},"
    minus = f"{same} the RNN minus the LSTM, paired by seed, is {signed(d.median)} nats"
    if not d.interval:
        ends = f"({signed(d.low)} to {signed(d.high)} over {len(rnn.test)} seeds)"
        return f"{minus} {ends}: which of the two leads is open, since fewer than 8 seeds have no 99 % interval."
    leader = "the LSTM leads" if d.low > 0 else "the RNN leads" if d.high < 0 else "which of the two leads is open"
    return f"{minus} (99 %: {signed(d.low)} to {signed(d.high)}): {leader}."
