"""What was found, in words."""

from __future__ import annotations

import numpy as np

from experiments.harness import figures
from experiments.harness.words import signed
from experiments.language_model.text.reading import Arm, Rungs, beaten, chance, paired, pairs, percent, spread
from experiments.language_model.text.sweep import ORDER_OF_N6


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
