"""Which of Adam's rates each cell learns with at each truncation: the same five are tried for all, at the budget of the
preset quick. `python -m experiments.language_model.truncation.rates` writes rates.csv (165 core-seconds predicted).

The rate is the one whose seeds have the lowest median loss on the validation part at the end, of equals the lowest. The
seeds enter no verdict, and the test is not read.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import pandas as pd

from experiments.harness import search
from experiments.harness.sweep import Group, Options
from properties.record import parse_setting

PROG = "experiments.language_model.truncation.rates"
MEASURED = Path(__file__).with_name("rates.csv")
PROVENANCE = Path(__file__).with_name("rates.json")
RATES, SEEDS = (1e-2, 2e-2, 4e-2, 8e-2, 1.6e-1), tuple(range(1000, 1003))
SIZE = 10
"""Thousands of parameters of the models in the search; smaller ones take the same rates."""


def main() -> int:
    """The command."""
    return search.run(PROG, __doc__, every, {MEASURED: table}, PROVENANCE)


def every() -> list[Group]:
    """Each cell with every truncation at each rate."""
    from experiments.language_model.corpus import corpus
    from experiments.language_model.truncation import sweep

    sizes, options = sweep.PRESETS["quick"], Options()
    text = corpus(options, sweep.FIXED["T"])
    return [sweep.trained(text, cell, sizes, options, lr, SEEDS) for cell in sweep.CELLS for lr in RATES]


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a cell, truncation, rate and seed: the loss on the validation part at the end, after so many updates."""
    last = frame[frame.metric == "loss_validation"]
    words = pd.DataFrame([parse_setting(setting) for setting in last.setting], index=last.index)
    found = words[["cell"]].assign(k=words.k.astype(int), rate=words.rate.astype(float))
    found = found.assign(updates=last["index"].astype(int), seed=last.seed, loss=last.value.round(6))
    return found.sort_values(["cell", "k", "rate", "seed"], ignore_index=True)


def rate(cell: str, k: int) -> float:
    """The chosen rate."""
    return float(medians()[cell, k].idxmin())


@cache
def medians() -> pd.Series:
    """The median loss by cell, truncation and rate, rates in order."""
    return pd.read_csv(MEASURED).groupby(["cell", "k", "rate"]).loss.median()


if __name__ == "__main__":
    sys.exit(main())
