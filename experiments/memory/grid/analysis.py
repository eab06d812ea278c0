"""The points of the grid as the records have them, and which are chosen from them. Reads records alone."""

from __future__ import annotations

import pandas as pd

from experiments.harness.arms import ARMS
from experiments.harness.report import Findings, Section, Table
from experiments.harness.words import at_ends
from experiments.memory.grid.choose import choices, with_point
from experiments.memory.grid.sweep import RATES, SEEDS, STARTS

READ = "grid/points/"


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    found = read(frame)
    asked = (
        f"{len(STARTS['lstm'])} starts, rates {', '.join(f'{rate:g}' for rate in RATES)} and 2 widths for either cell, "
        f"the RNN's at the LSTM's multiply-adds; two or three lengths, seeds {SEEDS[0]} to {SEEDS[-1]}"
    )
    lead = (
        f"Both cells have the same grid: {asked}. Chosen is the point that solves most runs of all lengths, then the "
        "sooner, then the one of lower cost; the default is torch's own start at the better of the rates, at the first "
        f"width. {ends_text(choices(found))}Claim N12 compares these cells (How far cells reach); N21's stacks have "
        "trials of their own. These seeds stand in no other figure. The points come from an earlier run "
        "(python -m experiments.memory.grid), whose machine and seconds stand in tuned.json beside the sweep."
    )
    tables = [Table("grid_chosen", "The cells that N12 compares", told(choices(found), ["comparison"]))]
    tables.append(Table("grid", "Every point of the grid", told(best_first(found), [])))
    settings = {"grid": asked, "cost of the full preset": full_cost(frame)}
    return Findings(Section("The grid from which cells are chosen", lead, [], tables), settings)


def ends_text(chosen: pd.DataFrame) -> str:
    """How many of each comparison's rates lie at an end of the grid's."""
    some = chosen.groupby("comparison", sort=True).lr
    parts = [f"{len(lr)} {name} choices {ends}" for name, lr in some if (ends := at_ends(lr, RATES))]
    return f"Of {', of '.join(parts[::-1])}: one beyond may be better. " if parts else ""


def full_cost(frame: pd.DataFrame) -> str:
    """The full preset's predicted cost on cores, and on a GPU by what the grid took there."""
    rows = frame[(frame.source == "memory") & (frame.setting == "grid/cost")]
    known = dict(zip(rows.metric, rows.value, strict=True))
    told = f"{known['full_predicted']:,.0f} core-seconds predicted on CPUs"
    if not known["predicted_on_gpu"]:
        return told
    share = known["measured_on_gpu"] / known["predicted_on_gpu"]
    return (
        f"{told}; on one GPU about {known['full_predicted'] * share / 60:.0f} minutes of processes, by the "
        f"grid, whose {known['predicted_on_gpu']:,.0f} predicted core-seconds took {known['measured_on_gpu']:,.0f} "
        "process-seconds there (which card: tuned.json)"
    )


def read(frame: pd.DataFrame) -> pd.DataFrame:
    """The points: task, cell, arm, H, lr, and what is recorded of each."""
    mine = frame[(frame.source == "memory") & frame.setting.str.startswith(READ)]
    wide = mine.pivot(index="setting", columns="metric", values="value").reset_index()
    return with_point(wide, 2).astype({"solved": int, "runs": int}).drop(columns="setting").rename_axis(columns=None)


def best_first(found: pd.DataFrame) -> pd.DataFrame:
    """Sorted by task and cell, then by how many runs solved, then by how soon."""
    names = ["task", "cell", "solved", "updates", "arm", "H", "lr"]
    return found.sort_values(names, ascending=[True, True, False, True, True, True, True], ignore_index=True)


def told(rows: pd.DataFrame, first: list[str]) -> pd.DataFrame:
    """The rows for people."""
    shown = rows.assign(start=[ARMS[arm].label for arm in rows.arm], rate=[f"{lr:g}" for lr in rows.lr])
    shown = shown.assign(updates=shown.updates.round().astype(int), cost=[f"{cost:.3g}" for cost in shown.cost])
    names = [*first, "task", "start", "H", "rate", "solved", "runs", "updates", "cost"]
    words = {"updates": "mean updates (all where unsolved)", "cost": "mean cost on held-out rows"}
    return shown[names].rename(columns=words)
