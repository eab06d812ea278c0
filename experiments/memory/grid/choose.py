"""Which point of the grid each cell is compared at: `python -m experiments.memory.grid` runs it and writes tuned.csv.

tuned: for each task and cell the point of the grid whose seeds solve most, over all of the grid's lengths; of equals
the one that solved after fewer updates in the mean (unsolved seeds count with all updates), then of lower cost.
default: the same among the rates of torch's own start at the first width.

The seeds of the grid enter no verdict: what was chosen is measured again on others. Groups that the store has from any
engine are taken as they are; the provenance says what ran where.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from experiments.harness import search
from experiments.harness.catalogue import chosen_engine
from experiments.harness.engine import ENGINES
from experiments.harness.store import Store
from experiments.harness.sweep import Group, Options
from experiments.memory.grid.sweep import DEFAULT, POINTS, PROVENANCE, SETTINGS, STARTS, every, width
from experiments.memory.learning import NEVER, TASKS
from properties.record import parse_setting

PROG = "experiments.memory.grid"
CHOSEN = Path(__file__).parents[1] / "tuned.csv"
KEYS = ["task", "cell", "arm", "H", "lr"]


@dataclass(frozen=True)
class Choose(search.Search):
    """What this search may be told."""

    engine: Literal["auto", "fast", "compiled", "numpy", "torch"] = "auto"
    """What computes."""
    device: str = "auto"
    """cpu, or what torch calls a device."""


def main() -> int:
    """The command."""
    return search.command(Choose, PROG, __doc__, made)


def made(asked: Choose) -> Path:
    """Computes what the store lacks of the grid; writes its points, and what is chosen beside its provenance."""
    own = chosen_engine(asked.engine, asked.device)
    with Store(asked.store) as store:
        groups = known(store, own)
    return search.write(groups, {POINTS: points, CHOSEN: chosen}, PROVENANCE, asked)


def known(store: Store, own: str) -> list[Group]:
    """The grid, each group as the store has it of some engine, or else to be computed by one's own."""
    found = {group.setting: group for group in every(Options(own))}
    for engine in (*ENGINES, "torch:cuda"):
        groups = every(Options(engine))
        finished = store.finished(groups)
        found |= {group.setting: group for group in groups if group.key in finished}
    return list(found.values())


def with_point(rows: pd.DataFrame, at: int) -> pd.DataFrame:
    """Rows with the point that their setting names as columns: KEYS, of which the task is the part at a place."""
    words = rows.setting.map(parse_setting)
    kinds = {"cell": str, "arm": str, "H": int, "lr": float}
    told = {name: [kind(some[name]) for some in words] for name, kind in kinds.items()}
    return rows.assign(task=rows.setting.str.split("/").str[at], **told)


def points(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a point of the grid: task, cell, arm, H, lr; over lengths and seeds how many runs there were and how many
    solved, the mean updates until solved and the mean cost."""
    mine = frame[(frame.source == "memory") & frame.setting.str.match("grid/(?!points/)")]
    runs = mine.pivot(index=["setting", "index", "seed"], columns="metric", values="value").reset_index()
    runs = with_point(runs, 1)
    never = runs.first_solved_step == NEVER
    runs["updates"] = runs.first_solved_step.where(~never, runs.updates_allowed)
    found = runs.groupby(KEYS, sort=True).agg(
        solved=("solved", "sum"), runs=("solved", "size"), updates=("updates", "mean"), cost=("cost", "mean")
    )
    return found.reset_index().astype({"solved": int})


def chosen(frame: pd.DataFrame) -> pd.DataFrame:
    """What is chosen of all records."""
    return choices(points(frame))


def choices(found: pd.DataFrame) -> pd.DataFrame:
    """The chosen points: a row a comparison, task and cell."""
    ranked = found.sort_values(["solved", "updates", "cost", *KEYS], ascending=[False] + [True] * 7)
    rows = []
    for task, sizes in SETTINGS.items():
        for cell in STARTS:
            mine = ranked[(ranked.task == task) & (ranked.cell == cell)]
            H = width(cell, sizes.widths[0], TASKS[task].D)
            plain = mine[(mine.arm == DEFAULT[cell]) & (mine.H == H)]
            rows += [{"comparison": "default", **plain.iloc[0]}, {"comparison": "tuned", **mine.iloc[0]}]
    return pd.DataFrame(rows).sort_values(["comparison", "task", "cell"], ignore_index=True)
