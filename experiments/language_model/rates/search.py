"""The search: both cells at equal parameters, six rates and two starts each, by the loss on the validation part.

What is chosen is the start and the rate with the lowest median over seeds that enter no verdict; the test part is not
looked at. At quick 60 thousand parameters learn for about a run's updates. A longer run may want a lower rate, and so
may a larger model: at full 60 thousand learn for half a run and 200 thousand for a fifth of it, from the start that
quick's search has chosen for the cell, at its rate, half and a quarter of it. (For a fifth of a run 60 thousand had two
rates of the RNN alike, of which the higher, taken for a run, lost .1 nats.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from experiments.harness import search
from experiments.harness.catalogue import chosen_engine
from experiments.harness.endings import UsageError
from experiments.harness.sweep import Group, Options
from experiments.language_model.models import CELLS, RATES, STARTS, chosen
from properties.record import parse_setting

SEEDS = (1000, 1001)
UPDATES = {"quick": {60: 1100}, "full": {60: 5000, 200: 2000}}
"""By preset and size."""

SHARES = (0.25, 0.5, 1.0)
PROG = "experiments.language_model.rates"
MEASURED = Path(__file__).with_name("rates.csv")


@dataclass(frozen=True)
class Search(search.Search):
    """What this search may be told."""

    preset: Literal["quick", "full"] = "quick"
    """quick: 60 thousand parameters, ten minutes on two cores; full: for longer runs, after quick's."""
    size: Literal[60, 200] = 60
    """Thousands of parameters; 200, at full, is for a GPU."""
    engine: Literal["auto", "fast", "compiled", "numpy", "torch"] = "auto"
    """What computes."""
    device: str = "auto"
    """cpu, or what torch calls a device."""


def main() -> int:
    """The command."""
    return search.command(Search, PROG, __doc__, made)


def made(asked: Search) -> Path:
    """Computes what the store lacks; writes each seed's loss at each start and rate."""
    groups = every(asked.preset, asked.size, Options(chosen_engine(asked.engine, asked.device)))
    facts = MEASURED.with_name(f"{asked.preset}_{asked.size}k.json")
    return search.write(groups, {MEASURED: partial(whole, asked.preset)}, facts, asked, digits=6)


def every(preset: str, size: int, options: Options) -> list[Group]:
    """Each cell of a size from each start at each rate, on the default text.

    Raises:
        UsageError: the preset has no such size.
    """
    from experiments.language_model.corpus import corpus
    from experiments.language_model.text import sweep

    if size not in UPDATES[preset]:
        raise UsageError(f"--size must be one of {sorted(UPDATES[preset])} at {preset}; got {size}.")
    text, groups = corpus(options, sweep.FIXED["T"]), []
    budget = sweep.Preset((size,), len(SEEDS), UPDATES[preset][size], evaluations=2)
    for cell in CELLS:
        for how in candidates(preset, cell):
            group = sweep.model(text, cell, size, budget, options, how)
            setting = f"rates/cell={cell}/parameters={size}k/start={how['start']}/rate={how['lr']:g}"
            groups.append(replace(group, setting=setting, settings=group.settings | {"part": "rates"}, seeds=SEEDS))
    return groups


def candidates(preset: str, cell: str) -> list[dict[str, Any]]:
    """The starts and rates that are tried."""
    if preset == "quick":
        return [{"start": start, "lr": lr} for start, lr in product(STARTS, RATES)]
    found = chosen(cell, *UPDATES["quick"])
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


def whole(preset: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The table as it will stand: the rows of a search done again replaced, the others kept."""
    found = table(preset, frame)
    if not MEASURED.exists():
        return found
    known, own = pd.read_csv(MEASURED), ["preset", "parameters"]
    others = known[~known.set_index(own).index.isin(found.set_index(own).index)]
    return pd.concat([others, found], ignore_index=True).sort_values([*found.columns[:5], "seed"], ignore_index=True)
