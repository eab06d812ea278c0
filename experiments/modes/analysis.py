"""What the records say: both cells in four modes, or on a file of the user's. Reads records and nothing else."""

from __future__ import annotations

import pandas as pd

from experiments import claims
from experiments.harness.arms import ARMS as LABELLED
from experiments.harness.report import Report, Section
from experiments.harness.statistics import order_interval
from experiments.harness.words import at_ends, listed, signed
from experiments.modes import examples, overview, steps
from experiments.modes.answering import MODES
from experiments.modes.data import OWN
from experiments.modes.overview import WITH
from experiments.modes.rates import RATES, SEEDS
from experiments.modes.reading import (
    Run,
    Tried,
    capital,
    differences,
    few_seeds,
    gathered,
    shares,
    spelled,
    three,
)
from experiments.modes.sweep import ARMS, CLIP, DECAY, EXPERIMENT


def analyse(frame: pd.DataFrame) -> Report:
    """The report of the modes from its records."""
    tried, rows = gathered(frame), frame[frame.source == EXPERIMENT]
    return Report(
        name=EXPERIMENT,
        title=title(tried),
        lead=lead(tried),
        verdicts=[claims.verdict(claims.CLAIMS["N5"], frame)],
        settings=settings(tried),
        sections=[together(tried), *(alone(mode, tried, rows) for mode in MODES if of(mode, tried))],
    )


def title(tried: list[Tried]) -> str:
    """The report's heading."""
    return (
        "Modes: both cells on your file" if tried[0].data == OWN else "Modes: one cell, four kinds of input and output"
    )


def of(mode: str, tried: list[Tried]) -> list[Tried]:
    """What was tried in a mode."""
    return [one for one in tried if one.mode == mode]


# Sections


def together(tried: list[Tried]) -> Section:
    """All modes side by side."""
    heading = "Both cells on your file" if tried[0].data == OWN else "Four modes, one cell"
    drawn = [overview.success(tried), overview.learning(tried)]
    return Section(heading, together_text(tried), drawn, [overview.success_table(tried), overview.law_table(tried)])


def together_text(tried: list[Tried]) -> str:
    """What the control is, and the law."""
    trained = any("shuffled_in_training" in one.inputs for one in tried)
    more = (
        " Where the data decide N5, models were also trained on rows with another row's input: they have nothing to "
        "learn but how often each answer comes."
        if trained
        else ""
    )
    return (
        "Chance (dashed) is what the training part's best answer without a look at the input gets on test rows. The "
        "trained models are also given each test row with the input of another row (hollow): if what they say comes "
        f"from the input, success falls to about chance.{more} {overview.law_text(tried)}"
    )


def alone(mode: str, tried: list[Tried], rows: pd.DataFrame) -> Section:
    """One mode: examples, then step by step, then kinds of rows."""
    mine = of(mode, tried)
    shown = examples.drawn(mode, rows)
    drawn = shown + [figure for one in mine for figure in steps.by_step(one)]
    parts = [part for one in mine for part in (GIVEN[mode, one.data], *found(one))]
    text = " ".join(filter(None, [*parts, "Examples are what the first seed says." if shown else ""]))
    return Section(capital(spelled(mode)), text, drawn, [table for one in mine for table in steps.by_kind(one)])


def found(one: Tried) -> tuple[str, str]:
    """What both cells do on some data, and what is hardest."""
    values = listed([f"{run.name} {shares(run.success())}" for run in one.runs])
    return f"Success: {values}.", steps.kind_text(one)


GIVEN = {
    ("one_to_many", "digit_names"): "In goes the picture of a digit, once; out come the letters of its English name "
    "and an end mark, each said after the model's own letter before.",
    ("many_to_one", "digit_rows"): "In goes the picture of a digit, a row of eight pixels a step; out comes the digit "
    "at the last step.",
    ("many_to_one", "mnist1d"): "On MNIST-1D the 40 points of a deformed and noisy curve go in, a point a step; out "
    "comes which of ten curves it is.",
    ("delayed", "dates"): "In goes a date as people write it, a character a step; when it has ended a decoder, which "
    "starts from the encoder's last state and then hears itself alone, writes the ISO date.",
    ("aligned", "moving_digits"): "In goes a video of a moving digit, a frame a step; out comes at every frame the way "
    "by which the digit has just come, which only two frames together show.",
    ("aligned", "moving_labels"): "On the same videos the digit that is shown is also asked for at every frame; each "
    "frame shows all of it, at another place.",
    ("many_to_one", OWN): "In goes a sequence of your file, a step at a time; out comes its label at its last step.",
    ("aligned", OWN): "In goes a sequence of your file, a step at a time; out comes at every step that step's label.",
}
"""What goes in and what comes out."""


# Lead


def lead(tried: list[Tried]) -> str:
    """What was found, in words."""
    successes = " ".join(one_text(one) for one in tried)
    compared = " ".join([control_text(tried), worst_text(tried), better_text(tried)])
    return "\n\n".join([how_text(tried), successes, compared])


def how_text(tried: list[Tried]) -> str:
    """What is measured."""
    seeds, own = tried[0].runs[0].seeds, tried[0].data == OWN
    first = (
        "An RNN and an LSTM are trained on your file and judged on its test sequences"
        if own
        else "An RNN and an LSTM learn a task in each mode, and are judged on test rows that training has not seen"
    )
    spread = "" if few_seeds(tried) else " with their 99 % interval"
    aligned = ", in the aligned mode the share of the steps" if of("aligned", tried) else ""
    return (
        f"{first}. Success is the share of the rows whose whole answer is right{aligned}; numbers are medians over "
        f"{seeds} seeds{spread}, which holds what seeds differ by: all are judged on the same test rows, "
        f"{rows_text(tried)}.{deciding_text(tried)}"
    )


def deciding_text(tried: list[Tried]) -> str:
    """Which data decide N5."""
    deciding = [one.called for one in tried if one.decides]
    others = [one.called for one in overview.beside(tried)]
    beside = f"; {listed(others)} {'stand' if len(others) > 1 else 'stands'} beside" if others else ""
    return f" N5 is decided by {listed(deciding)}{beside}." if deciding else ""


def rows_text(tried: list[Tried]) -> str:
    """How many test rows each data set has."""
    return listed([f"{one.runs[0].values('rows')[0]:,.0f} of {one.called}" for one in tried])


def one_text(one: Tried) -> str:
    """Success and chance on some data."""
    values = ", ".join(f"{run.name} {shares(run.success())}" for run in one.runs)
    return f"{capital(spelled(one.mode))}, {one.called}: {values}; chance {three(one.chance)}."


def control_text(tried: list[Tried]) -> str:
    """How far above chance models come without the input."""
    pairs = [(run, inputs) for one in tried for run in one.runs for inputs in one.inputs if inputs in WITH]
    run, inputs = max(pairs, key=lambda pair: pair[0].above(pair[1]).value)
    at = f"the {run.name} on {run_called(tried, run)}, {WITH[inputs]}"
    return f"Without its own input no median is further above chance than {signed(run.above(inputs).value)} ({at})."


def run_called(tried: list[Tried], run: Run) -> str:
    """What a run's data are called."""
    return next(one.called for one in tried if run in one.runs)


def worst_text(tried: list[Tried]) -> str:
    """The least above chance, of what decides N5 where there is such."""
    decided = [one for one in tried if one.decides] or tried
    which = "Of the data that decide N5, the" if decided[0].decides else "The"
    return f"{which} least above chance is {least_text(decided)}.{others_text(tried)}"


def least_text(some: list[Tried]) -> str:
    """The cell that is least above chance, with where and by how much."""
    run, one = min(((run, one) for one in some for run in one.runs), key=lambda pair: pair[0].above().value)
    return f"the {run.name} on {one.called} ({spelled(run.mode)}), {differences(run.above())}"


def others_text(tried: list[Tried]) -> str:
    """The least above chance on the other data, where there are such."""
    others = overview.beside(tried)
    return f" Of the others the least is {least_text(others)}." if others else ""


def better_text(tried: list[Tried]) -> str:
    """Which cell is better, paired by seed, at these settings."""
    pairs = [one for one in tried if len(one.runs) > 1]
    if few_seeds(tried):
        return "Which cell is better is left open: fewer than 8 seeds have no 99 % interval."
    winners: dict[str, list[str]] = {}
    for one in pairs:
        if run := better(one):
            winners.setdefault(run.name, []).append(one.called)
    apart = [f"the {name} on {listed(on)}" for name, on in winners.items()]
    same = [one.called for one in pairs if not better(one)]
    parts = [f"At these settings, of equal width and not of equal cost, {', '.join(apart)} is better, paired by seed."]
    parts = parts if apart else []
    parts += [f"Which cell is better is left open on {listed(same)}."] if same else []
    return " ".join(parts)


def better(one: Tried) -> Run | None:
    """The cell that is better by a paired difference whose interval has one sign; none if there is no such."""
    a, b = one.runs
    difference = order_interval(a.values("success") - b.values("success"))
    return a if difference.low > 0 else b if difference.high < 0 else None


# Settings


def settings(tried: list[Tried]) -> pd.DataFrame:
    """What was run."""
    rows = [(f"{spelled(one.mode)}, {one.called}, {run.name}", setting(run)) for one in tried for run in one.runs]
    if tried[0].data != OWN:
        rates = [run.values("lr")[0] for one in tried for run in one.runs]
        ends = at_ends(rates, RATES)
        beyond = f"; of {len(rates)} choices {ends}: one beyond may be better" if ends else ""
        rows.append(("rates", SEARCHED + beyond))
    rows.append(("optimiser", f"Adam, gradient clipped to norm {CLIP:g}, rate to 0 over the last {DECAY:.0%}"))
    return pd.DataFrame(rows, columns=["setting", "value"])


SEARCHED = (
    f"of {', '.join(f'{lr:g}' for lr in RATES)} the best on the validation rows, by {len(SEEDS)} seeds from {SEEDS[0]} "
    "on, which no verdict uses (python -m experiments.modes.rates; experiments/modes/rates.csv)"
)


def setting(run: Run) -> str:
    """How a cell was trained on some data."""
    H, B, lr = (run.values(metric)[0] for metric in ("H", "B", "lr"))
    return (
        f"{LABELLED[ARMS[run.cell]].label}, H = {H:g}, B = {B:g}, rate {lr:g}, {run.updates:,} updates, "
        f"{run.seeds} seeds, {run.values('rows')[0]:,.0f} test rows"
    )
