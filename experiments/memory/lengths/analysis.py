"""What the records say of success by length: T50 of chosen cells, their ratio, and the pilot. Reads records alone."""

from __future__ import annotations

import math

import pandas as pd

from experiments import claims
from experiments.harness.arms import ARMS, CHRONO_FACTOR
from experiments.harness.report import Findings, Section, Table
from experiments.harness.words import listed
from experiments.memory.fits import (
    Fit,
    cautions,
    in_steps,
    interval_text,
    misfit_sentence,
    ratio_caution,
)
from experiments.memory.lengths import pictures
from experiments.memory.lengths.pictures import named
from experiments.memory.lengths.runs import COMPARISONS, Pair, Reached, lost, pairs, reached


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    found = reached(frame)
    both = pairs(found)
    drawn = [pictures.success(found)] if both else []
    drawn += [pictures.ratios(both)] if both else []
    drawn += [pictures.pilot(found)] if any(one.comparison == "pilot" for one in found) else []
    tables = [t50_table(found), ratio_table(both)] if both else []
    heading = "How far cells reach: torch's own start, and tuned on an equal grid"
    return Findings(Section(heading, lead(frame, found, both), drawn, tables), settings(found))


def lead(frame: pd.DataFrame, found: list[Reached], both: list[Pair]) -> str:
    """What was found, in words."""
    parts = [
        "Claim N12 compares the two cells twice: default at torch's own start, at the better of the same rates; and "
        "tuned, at the best of an equal grid of start, rate and width for either cell, with equal multiply-adds. Both "
        "were chosen on seeds that stand in no figure here (python -m experiments.memory.grid; the points chosen are "
        "in tuned.csv). Solved on timer(n): excess over the Bayes-optimal predictor below .01 bit a symbol."
    ]
    parts += [" ".join(pair_sentence(pair) for pair in both)]
    mine = [one for one in found if one.comparison in COMPARISONS]
    parts += [chrono_sentence(mine)]
    parts += [lost_sentence(lost(frame))]
    parts += [misfit_sentence(names(mine), "length") if both else ""]
    parts += [" ".join(filter(None, [flat_sentence(found), words(frame)]))]
    return "\n\n".join(filter(None, parts))


def names(found: list[Reached]) -> list[tuple[str, Fit]]:
    """Every fit that gives a T50, with what its cell is called."""
    return [(called(one), one.fit) for one in found if not one.unmeasured]


def pair_sentence(pair: Pair) -> str:
    """Both cells' T50 on a task and their ratio."""
    lstm, rnn = (
        f"{one.t50}{' (no bound)' if one.loose else ''} for the {chosen(one)}" for one in (pair.lstm, pair.rnn)
    )
    doubt = " (T50 in doubt, see below)" if pair.doubted else ""
    task = pair.lstm.task[0].upper() + pair.lstm.task[1:]
    return f"{task}, {pair.lstm.comparison}: T50 is {lstm} and {rnn}; ratio: {interval_text(*pair.ratio[1:])}{doubt}."


def lost_sentence(found: dict[str, tuple[int, int]]) -> str:
    """What "solved" is worth: how many of the runs that passed a check no longer did at their group's end."""
    counts = listed([f"{gone} of {some} on {task}" for task, (gone, some) in found.items()])
    if not counts:
        return ""
    return f"A run has solved a task at its first check that passes; when their group stopped, {counts} no longer did."


def chrono_sentence(found: list[Reached]) -> str:
    """Which cells are told the length that they are to reach."""
    names = "; ".join(called(one) for one in found if one.arm == "lstm_chrono")
    if not names:
        return ""
    return (
        f"Told the length: {names}. Its biases are drawn for {CHRONO_FACTOR:g} times the length of the task, help that "
        "no start of the RNN has."
    )


def chosen(one: Reached) -> str:
    """A cell, and in brackets the start, width and rate that it has."""
    cell, _, start = named(one).partition(" ")
    return f"{cell} ({start})" if start else cell


def flat_sentence(found: list[Reached]) -> str:
    """Which cells' success does not fall from one length to others, and what T50 is worth there."""
    flat = [one for one in found if one.flat and len(one.fit.delays) > 1]
    if not flat:
        return ""
    which = "; ".join(f"{called(one)} ({counts(one)})" for one in flat)
    first = f"No fall with the length is seen for {which}: there it is not the length that keeps a run from solving."
    none = "; ".join(called(one) for one in flat if one.unmeasured)
    ends = "; ".join(f"{called(one)} ({t50_interval(one)})" for one in flat if not one.unmeasured)
    parts = [f"T50 is no measure and has no bound for {none}."] if none else []
    parts += [f"The lengths run here bound T50 all the same, by the 99 % interval: {ends}."] if ends else []
    return " ".join([first, *parts])


def called(one: Reached) -> str:
    """A cell, its task and its comparison."""
    return f"{ARMS[one.arm].label} on {one.task}, {one.comparison}"


def t50_interval(one: Reached) -> str:
    """The interval of T50 in steps."""
    low, high = (in_steps(end, one.fit.delays) for end in (one.fit.t50.low, one.fit.t50.high))
    return "any" if one.unmeasured else f"{low} to {high}"


def words(frame: pd.DataFrame) -> str:
    """The verdict on N12 by tuned cells and by default ones, and whether they differ."""
    claim = claims.CLAIMS["N12"]
    tuned, default = claims.judged(claim, frame), claims.judged(claim.default, frame, claim.hash)
    if tuned.word == default.word:
        return f"By either comparison N12 is {tuned.word}."
    return f"The comparisons differ: N12 is {tuned.word} by tuned cells and {default.word} by default ones."


def t50_table(found: list[Reached]) -> Table:
    """T50 of every cell, tuned and default."""
    rows = []
    for one in found:
        if one.comparison in COMPARISONS:
            rows.append(
                {
                    "comparison": one.comparison,
                    "task": one.task,
                    "cell": ARMS[one.arm].label,
                    "H": one.H,
                    "rate": one.lr,
                    "T50 (steps)": one.t50,
                    "99 % interval": t50_interval(one),
                    "solved of 16 by length": counts(one),
                    "the longest": one.ends,
                    "caution": one.doubt,
                }
            )
    return Table("lengths_t50", "The length that half of the seeds solve, chosen cells", cautions(pd.DataFrame(rows)))


def counts(one: Reached) -> str:
    """How many seeds solved each length."""
    return ", ".join(f"{length:g}: {solved}" for length, solved in zip(one.fit.delays, one.fit.solved, strict=True))


def ratio_table(both: list[Pair]) -> Table:
    """The ratio that the rule reads, for either comparison."""
    rows = []
    for pair in both:
        value, low, high = pair.ratio
        told = f"{value:.3g}" if 0 < value < math.inf else ""
        row = {"comparison": pair.lstm.comparison, "task": pair.lstm.task, "LSTM": named(pair.lstm)}
        row |= {"RNN": named(pair.rnn), "T50 ratio": told, "99 % interval": interval_text(low, high)}
        row |= {"more than 2": "yes" if low > 2 else "no", "less than 1": "yes" if high < 1 else "no"}
        rows.append(row | {"caution": ratio_caution(names([pair.lstm, pair.rnn]))})
    text = "T50 of the LSTM over T50 of the RNN (no number where a T50 lies outside the lengths run or is no measure)"
    return Table("lengths_ratios", text, cautions(pd.DataFrame(rows)))


def settings(found: list[Reached]) -> dict[str, str]:
    """What was run."""
    tuned = [f"{one.task} {named(one)}" for one in found if one.comparison == "tuned"]
    default = [f"{one.task} {named(one)}" for one in found if one.comparison == "default"]
    return {
        "lengths: tuned cells": "; ".join(tuned),
        "lengths: default cells": "; ".join(default),
        "lengths: training": "latch 400 updates of 16 fresh rows; adding 2,000 of 32; timer(n) 2,000 of 32, the "
        "rate falling over the last 30 %, which a group that stops before does not see; Adam, gradients clipped to "
        "norm 1; a group stops when all seeds have solved",
    }
