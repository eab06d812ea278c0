"""Which of Adam's rates each cell learns each data set with: `python -m experiments.modes.rates` tries four for both
cells alike and writes rates.csv (307 core-seconds predicted).

The rate is the one whose seeds have the highest median success on the validation rows at the end, of equals the lowest.
The seeds enter no verdict, and no test row is looked at for it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd

from experiments.harness import search
from experiments.harness.sweep import Group, Options
from properties.record import parse_setting

PROG = "experiments.modes.rates"
MEASURED = Path(__file__).with_name("rates.csv")
PROVENANCE = Path(__file__).with_name("rates.json")
RATES, SEEDS = (1e-3, 3e-3, 1e-2, 3e-2), tuple(range(1000, 1004))


def main() -> int:
    """The command."""
    return search.run(PROG, __doc__, every, {MEASURED: table}, PROVENANCE)


def every() -> list[Group]:
    """Each cell on each data set at each rate."""
    from experiments.modes import sweep
    from experiments.modes.data import DATA

    groups = []
    for task in DATA.values():
        for cell in sweep.ARMS:
            for lr in RATES:
                group = sweep.group(task, cell, sweep.OWN_INPUTS, "quick", Options(), lr=lr)
                groups.append(replace(group, seeds=SEEDS, setting=f"{group.setting}/rate={lr:g}", cost=group.cost / 2))
    return groups


def table(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a data set, cell, rate and seed: success on the validation rows at the end, after so many updates."""
    curves = frame[frame.metric == "success_validation"].sort_values("index")
    last = curves.groupby(["setting", "seed"], as_index=False).last()
    words = pd.DataFrame([parse_setting(setting) for setting in last.setting])
    found = words[["data", "cell", "rate"]].assign(
        updates=last["index"].astype(int), seed=last.seed, success=last.value
    )
    return found.sort_values(["data", "cell", "rate", "seed"], ignore_index=True)


def rate(data: str, cell: str) -> float:
    """The chosen rate."""
    return float(medians()[data, cell].idxmax())


@cache
def medians() -> pd.Series:
    """The median success by data, cell and rate, rates in order."""
    return pd.read_csv(MEASURED).groupby(["data", "cell", "rate"]).success.median()


if __name__ == "__main__":
    sys.exit(main())
