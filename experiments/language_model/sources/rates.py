"""Which start and which of Adam's rates each cell learns each source with: `python -m
experiments.language_model.sources.rates` tries two starts and four rates for both cells alike and writes rates.csv
(559 core-seconds predicted).

The choice is the pair whose seeds have the lowest median excess over the Bayes-optimal predictor on held-out sequences
at the end. The seeds enter no verdict. timer(n) has the choice of timer(20) below n = 30 and of timer(40) from there
on, recall that of tau = 10, Dyck that of depth 4.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd

from experiments.harness import search
from experiments.harness.sweep import Group, Options
from experiments.language_model.sources import known, sweep
from properties.record import parse_setting

PROG = "experiments.language_model.sources.rates"
MEASURED = Path(__file__).with_name("rates.csv")
PROVENANCE = Path(__file__).with_name("rates.json")
SEEDS = tuple(range(1000, 1004))
RATES = (3e-3, 1e-2, 3e-2, 1e-1)
OF_A_KIND = {"timer": (20, 40), "recall": (10,), "dyck": (4,)}
"""The parameters that are searched, of sources that are run with several."""

SEARCHED = tuple(
    run._replace(rows=500) for run in sweep.PRESETS["full"].runs if run.n in OF_A_KIND.get(run.name, (run.n,))
)
"""As they are run, so that a rate is chosen for the updates that it will have."""


def main() -> int:
    """The command."""
    return search.run(PROG, __doc__, every, {MEASURED: table}, PROVENANCE)


def every() -> list[Group]:
    """Each cell on each source at each rate, from both starts with the same data."""
    groups = []
    for run in SEARCHED:
        for cell, (first, *more) in sweep.STARTS.items():
            for lr in RATES:
                group = sweep.group(run, cell, first, lr, SEEDS, Options(), more)
                groups.append(replace(group, setting=f"{group.setting}/rate={lr:g}"))
    return groups


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a source, cell, start, rate and seed: the excess at the end, bits a symbol."""
    last = frame[frame.metric == "excess"]
    words = pd.DataFrame([parse_setting(setting) for setting in last.setting], index=last.index)
    found = words[["cell", "arm", "rate"]].assign(
        source=last.setting.str.split("/cell=").str[0], seed=last.seed, excess=last.value
    )
    columns = ["source", "cell", "arm", "rate", "seed"]
    return found[[*columns, "excess"]].sort_values(columns, ignore_index=True)


def chosen(name: str, n: int, cell: str) -> tuple[str, float]:
    """The start and the rate of a cell on a source."""
    arm, rate = medians()[known.path(*asked_of(name, n)), cell].idxmin()
    return arm, float(rate)


def asked_of(name: str, n: int) -> tuple[str, int]:
    """The searched source whose choice holds for this one: the nearest of its kind, of two as near the larger."""
    return name, min(OF_A_KIND.get(name, (n,)), key=lambda searched: (abs(n - searched), -searched))


@cache
def medians() -> pd.Series:
    """The median excess by source, cell, start and rate."""
    return pd.read_csv(MEASURED).groupby(["source", "cell", "arm", "rate"]).excess.median()


if __name__ == "__main__":
    sys.exit(main())
