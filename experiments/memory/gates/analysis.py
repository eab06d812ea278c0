"""What the records say: what the LSTM loses with each of its parts, task by task. Reads records and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd

from experiments.harness.arms import ARMS
from experiments.harness.report import Findings, Section, Table
from experiments.harness.statistics import order_interval
from experiments.harness.words import few, share, told
from experiments.memory.gates import pictures
from experiments.memory.gates.experiment import CLAIMS
from experiments.memory.gates.runs import Compared, compared
from experiments.memory.gates.sweep import FIXED, WHOLE
from experiments.memory.parts import EXPERIMENT


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records; what was not run is left out."""
    tasks = compared(frame)
    equal = {kind: [task for task in tasks if task.equal == kind] for kind in ("width", "parameters")}
    drawn = [pictures.variants(some) for some in equal.values() if some]
    tables = [variant_table(tasks)] if tasks else []
    return Findings(Section("What each gate is for", lead(frame, tasks), drawn, tables), settings(tasks))


# Words


def lead(frame: pd.DataFrame, tasks: list[Compared]) -> str:
    """What was found, in words."""
    if not tasks:
        return ""
    return (
        "The full LSTM (b_f = 1) and LSTMs that lack one part learn from the same data for equally many updates, from "
        "the same start as far as they share parameters (at equal width): a gate that is absent is 1 at every "
        "step, coupled gates have i = 1 - f, a linear output shows o c. All is compared seed by seed on "
        "held-out sequences. "
        f"{solved_text(tasks)}\n\n{claims_text(frame, tasks)}\n\n{chance_text(tasks)}"
    )


def solved_text(tasks: list[Compared]) -> str:
    """How often the full LSTM itself solves a task: where it does not, a comparison is one of learning it at all."""
    some = [task for task in tasks if task.equal == "width"]
    named = zip(pictures.names(some), some, strict=True)
    parts = [f"{name} in {share(task.values(WHOLE, 'solved'))} seeds" for name, task in named]
    return f"The full LSTM itself solves {'; '.join(parts)}. " if parts else ""


def claims_text(frame: pd.DataFrame, tasks: list[Compared]) -> str:
    """The numbers of the claims at equal width, and where the full LSTM itself does not solve the task in all seeds."""
    solved = {task.task: task.values(WHOLE, "solved") for task in tasks if task.decides}
    parts = []
    for (name, arm), (claim, setting) in CLAIMS.items():
        values = frame[(frame.source == EXPERIMENT) & (frame.metric == claim) & (frame.setting == setting)].value
        if len(values):
            what = "loss without over loss with it" if claim == "N8" else "accuracy with minus without it"
            task = setting.split("/")[0].replace("_", " ")
            size = told(order_interval(values)) + unsolved(solved.get(name, np.ones(0)))
            parts.append(f"{claim}, {task}, {ARMS[arm].label}: {what} {size}")
    return f"{'; '.join(parts)}. " if parts else ""


def unsolved(solved: np.ndarray) -> str:
    """In how many seeds the full LSTM itself solves the task, where not in all."""
    words = f", where the full LSTM itself solves the task in {solved.sum():g} of {len(solved)} seeds"
    return "" if solved.all() else words


def chance_text(tasks: list[Compared]) -> str:
    """What the dashed levels are, once for each length of a task."""
    levels = dict.fromkeys(
        f"{task.name} of {task.length} steps: {task.level_name} {few(task.level)}"
        for task in tasks
        if task.equal == "width"
    )
    said = "; ".join(levels)
    return f"Dashed is what is to be had without memory or without telling inputs apart ({said})." if said else ""


# Table


def variant_table(tasks: list[Compared]) -> Table:
    """Every variant on every task: how good it is, and against the full LSTM."""
    rows = [
        {
            "task": f"{task.name}, {task.length}",
            "updates": task.updates,
            "equal": task.equal,
            "LSTM": label(arm),
            "H": task.width(arm),
            "solved": share(task.values(arm, "solved")),
            "loss": told(order_interval(task.values(arm, "cost"))) if task.by_loss else "",
            "share right": told(order_interval(task.right(arm))),
            "loss over the full LSTM's": against(task, arm, ratio=True),
            "right, full LSTM minus this": against(task, arm, ratio=False),
        }
        for task in tasks
        for arm in task.arms
    ]
    title = "LSTMs without a part (median over seeds, 99 % interval); comparisons are paired by seed"
    return Table("gates_variants", title, pd.DataFrame(rows))


def against(task: Compared, arm: str, ratio: bool) -> str:
    """The paired comparison with the full LSTM; nothing for itself, and no ratio of shares of wrong answers."""
    if arm == WHOLE or (ratio and not task.by_loss):
        return ""
    if not ratio:
        return told(order_interval(task.right(WHOLE) - task.right(arm)))
    return told(order_interval(task.values(arm, "cost") / task.values(WHOLE, "cost")))


def label(arm: str) -> str:
    """An arm's name in this part."""
    return "full" if arm == WHOLE else ARMS[arm].label


def settings(tasks: list[Compared]) -> dict[str, str]:
    """What was run."""
    found = {}
    for task in tasks:
        widths = sorted({task.width(arm) for arm in task.arms})
        found[f"gates: {task.name} {task.length}, equal {task.equal}, {task.updates} updates"] = (
            f"{task.length} {task.counts}, H = {' or '.join(map(str, widths))}, "
            f"{task.seeds} seeds, {task.rows:g} held-out sequences a seed"
        )
    if tasks:
        found["gates: optimiser"] = f"Adam {FIXED['lr']:g}, gradient clipped to norm {FIXED['clip']:g}, fresh data"
    return found
