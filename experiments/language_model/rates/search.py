"""The search: both cells at equal parameters, six rates and two starts each, by the loss on the validation part.

What is chosen is the start and the rate with the lowest median over seeds that enter no verdict; the test part is not
looked at. At quick 60 thousand parameters learn for about a run's updates. A longer run may want a lower rate, and so
may a larger model: at full 60 and 200 thousand learn for a fifth of a run, from the start that quick's search has
chosen for the cell, at its rate, half and a quarter of it.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

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
SIZES, UPDATES = {"quick": (60,), "full": (60, 200)}, {"quick": 1100, "full": 2000}
SHARES = (0.25, 0.5, 1.0)
MEASURED = Path(__file__).with_name("rates.csv")


@dataclass(frozen=True)
class Search:
    """Computes what the store lacks; writes each seed's loss at each start and rate."""

    preset: Literal["quick", "full"] = "quick"
    """quick: 60 thousand parameters, ten minutes on two cores; full: 60 and 200 thousand, for a GPU, after quick's."""
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

    text, groups = corpus(options, sweep.FIXED["T"]), []
    for size, cell in product(SIZES[preset], CELLS):
        budget = sweep.Preset((size,), len(SEEDS), UPDATES[preset], evaluations=2)
        for how in candidates(preset, cell):
            group = sweep.model(text, cell, size, budget, options, how)
            setting = f"rates/cell={cell}/parameters={size}k/start={how['start']}/rate={how['lr']:g}"
            groups.append(replace(group, setting=setting, settings=group.settings | {"part": "rates"}, seeds=SEEDS))
    return groups


def candidates(preset: str, cell: str) -> list[dict[str, Any]]:
    """The starts and rates that are tried."""
    if preset == "quick":
        return [{"start": start, "lr": lr} for start, lr in product(STARTS, RATES)]
    found = chosen(cell, SIZES["quick"][0])
    return [found | {"lr": share * found["lr"]} for share in SHARES]


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
