"""What the records say: accuracy by number of layers, and the gradient beside it. Reads records and nothing else."""

from __future__ import annotations

import math

import pandas as pd

from experiments.harness import figures
from experiments.harness.arms import ARMS
from experiments.harness.report import Findings, Section, Table
from experiments.harness.words import listed
from experiments.memory.layers import pictures
from experiments.memory.layers.tables import (
    Seen,
    change,
    decades,
    depth,
    difference_text,
    effect,
    interval,
    lag_of,
    lowest_first,
    seen,
    who,
)
from experiments.memory.layers.trials import COMPARISONS, DEPTH, FIXED, LAGS, MOST, Grid
from experiments.tasks import latch

SUPPORTED, CONTRADICTED = 0.3, 0.05
"""Where claim N21 has its thresholds: in words alone, the verdict is the ledger's."""


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    all_ = seen(frame)
    drawn = [pictures.accuracy(all_), pictures.gradient(all_)]
    tables = [accuracy_table(all_), effect_table(all_), gradient_table(all_)]
    return Findings(Section("Whether depth needs the LSTM", lead(all_), drawn, tables), settings(all_))


# Words


def lead(all_: Seen) -> str:
    """What was found, in words."""
    said = " ".join(sentence(all_, comparison) for comparison in all_.comparisons)
    stacks = listed([str(n) for n in sorted(all_.runs.layers.unique())])
    return (
        f"The latch through stacks of {stacks} layers, all of one start, at the "
        f"longest lag that a single LSTM layer solves (at least {MOST:.0%} of the validation seeds; chance is "
        f"{latch.CHANCE_ACCURACY:g}). {asked()}\n\n{said} {both_ways(all_)}\n\n{reach(all_)}"
    )


def asked() -> str:
    """What the cells were chosen from, in words: not the grid of which N12's are."""
    parts = [f"{comparison} is the best of {size(grid)}" for comparison, grid in COMPARISONS.items()]
    return (
        "The cells are chosen by trials of stacks (python -m experiments.memory.layers.choose), on seeds that stand in "
        f"no figure, and not from the grid of which N12's are: {'; '.join(parts)}.{few_rates()}"
    )


def few_rates() -> str:
    """In which comparisons every rate that was tried is an end of its grid."""
    some = [comparison for comparison, grid in COMPARISONS.items() if len(grid.rates) < 3]
    return f" Of two rates ({', '.join(some)}) either choice is an end, and one beyond may be better." if some else ""


def size(grid: Grid) -> str:
    """A grid of trials in words, the same for both cells."""
    starts = f"{len(grid.lstm)} starts" if len(grid.lstm) > 1 else "torch's own start"
    rates, widths = (listed([f"{value:g}" for value in values]) for values in (grid.rates, grid.widths))
    return f"{starts} at rates {rates} with {widths} units (the RNN twice as many)"


def sentence(all_: Seen, comparison: str) -> str:
    """One comparison: lag, cells, what the deepest stacks do, and the difference."""
    lag, longest = lag_of(all_.runs, comparison), all_.longest[comparison]
    cut = f", cut from {longest} in this preset" if lag < longest else ""
    edge = ", the longest that was tried" if lag == LAGS[-1] else ""
    rows = all_.data[(all_.data.comparison == comparison) & (all_.data.layers == depth(all_.data))]
    solved = [
        f"{row.solved} of {row.seeds} seeds of {who(all_.runs, comparison, row.cell)}"
        for row in rows.sort_values("cell").itertuples()
    ]
    text = difference_text(effect(all_.effects, comparison))
    deepest = all_.runs[(all_.runs.comparison == comparison) & (all_.runs.layers == depth(all_.runs))]
    stops = listed([f"{n:g} for the {cell.upper()}" for cell, n in deepest.groupby("cell").updates.max().items()])
    return (
        f"{comparison.capitalize()} (lag {lag}{cut}{edge}): with {depth(all_.runs)} layers {' and '.join(solved)} "
        f"solve it (a group stops once all of its seeds have; in updates: {stops}); accuracy of the LSTM minus the "
        f"RNN's there, median over paired seeds, {text}."
    )


def both_ways(all_: Seen) -> str:
    """What the differences say, and whether both comparisons say the same."""
    words = {comparison: word(effect(all_.effects, comparison)) for comparison in all_.comparisons}
    if len(set(words.values())) == 1:
        return f"{'Both comparisons say' if len(words) > 1 else 'That says'}: {next(iter(words.values()))}."
    return "The comparisons differ: " + "; ".join(f"{name}: {said}" for name, said in words.items()) + "."


def word(values: tuple[float, float, float]) -> str:
    """What an effect says of N21."""
    _, low, high = values
    if low > SUPPORTED:
        return f"the RNN falls behind by more than {SUPPORTED:g}"
    if high < CONTRADICTED:
        return f"the LSTM is not even {CONTRADICTED:g} ahead, so depth does not need it here"
    return "the interval decides nothing"


def reach(all_: Seen) -> str:
    """How the gradient's way down and back changes with training."""
    data = all_.gradients
    parts = [
        f"{change(data, comparison, cell)} ({figures.NAMES[cell]}, {comparison})"
        for comparison, cell in dict.fromkeys(zip(data.comparison, data.cell, strict=True))
    ]
    return (
        f"Beside it stands the gradient: from the top of {depth(data)} layers at the last step to the first step of "
        f"the lowest, its norm changes, before and after training, by these decades: {'; '.join(parts)}. "
        f"Lines and bands below {pictures.CUT:g} decades are cut, and the numbers of such lines given."
    )


# Tables


def accuracy_table(all_: Seen) -> Table:
    """Every cell at every depth."""
    rows = [
        {
            "comparison": row.comparison,
            "cell": ARMS[row.arm].label,
            "rate": f"{row.lr:g}",
            "H": row.H,
            "lag (steps)": row.lag,
            "layers": row.layers,
            "answers right (99 %)": interval((row.median, row.low, row.high)),
            "seeds that solved": f"{row.solved} of {row.seeds}",
            "share (99 %)": f"{row.solved_low:.2f} to {row.solved_high:.2f}",
            "median updates until solved": f"{row.updates:g}" if math.isfinite(row.updates) else "never",
        }
        for row in all_.data.itertuples()
    ]
    return Table("layers_accuracy", "Accuracy on held-out rows by number of layers", pd.DataFrame(rows))


def effect_table(all_: Seen) -> Table:
    """LSTM minus RNN at every depth."""
    rows = [
        {
            "comparison": row.comparison,
            "layers": row.layers,
            "LSTM minus RNN (99 %)": difference_text((row.median, row.low, row.high)),
            "seeds": row.seeds,
        }
        for row in all_.effects.itertuples()
    ]
    title = f"Accuracy of LSTM minus RNN, paired by seed; N21 judges the tuned one at {DEPTH} layers"
    return Table("layers_effect", title, pd.DataFrame(rows))


def gradient_table(all_: Seen) -> Table:
    """What reaches the first step of the lowest layer, by depth."""
    data, rows = all_.gradients, []
    for comparison, cell, layers in dict.fromkeys(zip(data.comparison, data.cell, data.layers, strict=True)):
        ends = {when: lowest_first(data, comparison, cell, layers, when) for when in ("before", "after")}
        row = {"comparison": comparison, "cell": ARMS[ends["before"].arm].label, "layers": layers}
        row |= {"lag (steps)": ends["before"].lag}
        rows.append(row | {f"{when} training (99 %)": spread(end) for when, end in ends.items()})
    title = "log10 of |dl/ds| at the first step of the lowest layer over that of the top layer at the last step"
    return Table("layers_gradient", title, pd.DataFrame(rows))


def spread(row: pd.Series) -> str:
    """Decades with their interval."""
    ends = f" ({decades(row.low)} to {decades(row.high)})" if math.isfinite(row.low) else ""
    return decades(row["median"]) + ends


def settings(all_: Seen) -> dict[str, str]:
    """What was run."""
    runs = all_.runs
    cells = {
        f"layers: {comparison}": f"lag {lag_of(runs, comparison)}; "
        + ", ".join(who(runs, comparison, cell) for cell in ("lstm", "rnn"))
        for comparison in all_.comparisons
    }
    return cells | {
        "layers: layers": ", ".join(map(str, sorted(runs.layers.unique()))),
        "layers: seeds": str(runs.seed.nunique()),
        "layers: training": f"B = {FIXED['B']}, Adam, gradient clipped to norm {FIXED['clip']:g}, fresh data, at most "
        f"{runs.updates_allowed.max():g} updates; a group stops when all of its seeds have solved",
        "layers: held-out rows a seed": f"{runs.held_out_rows.max():g}",
        "layers: how chosen": "lag, start, rate and width by trials on other seeds (experiments/memory/layers/"
        "chosen.csv); widths at equal multiply-adds in a layer above the first",
    }
