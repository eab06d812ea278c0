"""The search: both cells at equal parameters, six rates and two starts each, by the loss on the validation part.

What is chosen is the start and the rate with the lowest median over seeds that enter no verdict; the test part is not
looked at. At quick 60 thousand parameters learn for a run's updates; at full 200 thousand, for fewer than a run's, from
the start that quick's search has chosen for the cell.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

import pandas as pd
import tyro

from experiments.harness import executor, provenance
from experiments.harness.engine import on_device
from experiments.harness.run import compute
from experiments.harness.store import Store
from experiments.harness.sweep import Group, Options
from experiments.language_model.models import CELLS, RATES, STARTS, chosen
from properties.record import COLUMNS, parse_setting

SEEDS = (1000, 1001)
SIZES, UPDATES = {"quick": 60, "full": 200}, {"quick": 1100, "full": 1500}
MEASURED = Path(__file__).with_name("rates.csv")


@dataclass(frozen=True)
class Search:
    """Computes what the store lacks; writes each seed's loss at each start and rate."""

    preset: Literal["quick", "full"] = "quick"
    """quick: 60 thousand parameters, a quarter of an hour on two cores; full: 200 thousand, for a GPU, after quick."""
    engine: Literal["auto", "fast", "compiled", "numpy", "torch"] = "auto"
    """What computes."""
    device: str = "auto"
    """cpu, or what torch calls a device."""
    workers: int = os.cpu_count() or 1
    """Processes, one group each at a time."""
    store: Path = Path(".rnn-twins/results.sqlite")
    """Where results are kept."""


def main() -> int:
    """The command."""
    asked = tyro.cli(Search, prog="python -m experiments.language_model.rates", description=__doc__)
    groups = every(asked.preset, Options(on_device(asked.engine, asked.device)))
    with Store(asked.store) as store:
        with executor.on(asked.workers) as workers:
            compute(groups, store, workers)
        found = table(asked.preset, pd.DataFrame(store.records(groups), columns=COLUMNS))
        facts = provenance.collect(
            groups, store, " ".join(["python -m experiments.language_model.rates", *sys.argv[1:]])
        )
    written(found, asked.preset).to_csv(MEASURED, index=False, float_format="%.6g", lineterminator="\n")
    MEASURED.with_name(f"{asked.preset}.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    print(MEASURED)
    return 0


def every(preset: str, options: Options) -> list[Group]:
    """Each cell from each start at each rate, on the default text."""
    from experiments.language_model.corpus import corpus
    from experiments.language_model.text import sweep

    text, size = corpus(options, sweep.FIXED["T"]), SIZES[preset]
    budget = sweep.Preset((size,), len(SEEDS), UPDATES[preset], evaluations=2)
    groups = []
    for cell in CELLS:
        starts = STARTS if preset == "quick" else (chosen(cell, size)["start"],)
        for start, lr in product(starts, RATES):
            group = sweep.model(text, cell, size, budget, options, {"start": start, "lr": lr})
            setting = f"rates/cell={cell}/parameters={size}k/start={start}/rate={lr:g}"
            groups.append(replace(group, setting=setting, settings=group.settings | {"part": "rates"}, seeds=SEEDS))
    return groups


def table(preset: str, frame: pd.DataFrame) -> pd.DataFrame:
    """A row a cell, size, start, rate and seed: the loss on the validation part after the last update."""
    curves = frame[frame.metric == "loss_validation"].sort_values("index")
    last = curves.groupby(["setting", "seed"], as_index=False).last()
    words = pd.DataFrame([parse_setting(setting) for setting in last.setting])
    found = words[["parameters", "cell", "start", "rate"]].assign(
        updates=last["index"].astype(int), seed=last.seed, loss_validation=last.value
    )
    found.insert(0, "preset", preset)
    return found.astype({"rate": float}).sort_values([*found.columns[:5], "seed"], ignore_index=True)


def written(found: pd.DataFrame, preset: str) -> pd.DataFrame:
    """The table as it will stand: a preset's rows replaced, the others kept."""
    if not MEASURED.exists():
        return found
    known = pd.read_csv(MEASURED)
    return pd.concat([known[known.preset != preset], found], ignore_index=True).sort_values("preset", kind="stable")
