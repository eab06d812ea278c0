"""The figure: every variant on every task, and seed by seed against the full LSTM."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from experiments.harness import figures
from experiments.harness.arms import ARMS
from experiments.harness.report import Figure
from experiments.harness.statistics import order_interval
from experiments.harness.words import few, told
from experiments.memory.gates.runs import Compared
from experiments.memory.gates.sweep import WHOLE

HUE = figures.COLOURS["lstm"]


def variants(tasks: list[Compared]) -> Figure:
    """Loss or share of right answers by variant, a dot a seed; below it seed by seed against the full LSTM."""
    data = pd.DataFrame([row for task in tasks for arm in task.arms for row in rows_of(task, arm)])
    canvas, axes = figures.with_residual(len(tasks), (2.9, 5.4))
    for (top, below), task in zip(axes.T, tasks, strict=True):
        for at, arm in enumerate(task.arms):
            dots(top, at, task.shown(arm), task.by_loss)
            if arm != WHOLE:
                dots(below, at, effect(task, arm), task.by_loss)
        figures.predicted(top, [-0.5, len(task.arms) - 0.5], [task.level] * 2)
        how = {"fontsize": 7, "ha": "right", "va": "bottom", "xytext": (0, 1), "textcoords": "offset points"}
        top.annotate(task.level_name, (len(task.arms) - 0.5, task.level), **how)
        below.axhline(float(task.by_loss), **figures.PREDICTION)
        top.set_title(f"{task.name}, {task.length} {task.counts}\n{task.updates} updates, {task.seeds} seeds")
        top.set_ylabel("held-out mean squared error" if task.by_loss else f"share of {what(task)} right")
        below.set_ylabel("over the\nfull LSTM's" if task.by_loss else "minus the\nfull LSTM's")
        if task.by_loss:
            top.set_yscale("log")
            below.set_yscale("log")
        else:
            top.set_ylim(0.4, 1.04)
            below.set_ylim(-0.62, 0.62)
        below.set_xticks(range(len(task.arms)), [short(arm) for arm in task.arms], rotation=40, ha="right", fontsize=8)
    return Figure(f"gates_variants_{tasks[0].equal}", title(tasks), canvas, alt(tasks), data)


def what(task: Compared) -> str:
    """Of what a share is right."""
    return "signs" if task.task == "flip_flop" else "answers"


def short(arm: str) -> str:
    """An arm's name below its place."""
    return "full" if arm == WHOLE else ARMS[arm].label


def effect(task: Compared, arm: str) -> np.ndarray:
    """A variant against the full LSTM, seed by seed: the ratio of losses, or the difference of shares."""
    mine, whole = task.shown(arm), task.shown(WHOLE)
    return mine / whole if task.by_loss else mine - whole


def dots(axis: Any, at: float, values: np.ndarray, ratio: bool) -> None:
    """A dot a seed, the median with its band."""
    aside = np.linspace(-0.22, 0.22, len(values)) if len(values) > 1 else np.zeros(1)
    axis.plot(at + aside, values, "o", color=HUE, ms=2.5, alpha=0.6)
    value, low, high = order_interval(values)
    if math.isfinite(low) and math.isfinite(high):
        axis.fill_between([at - 0.32, at + 0.32], low, high, color=HUE, alpha=0.22, lw=0)
    axis.plot([at - 0.32, at + 0.32], [value, value], color=HUE, lw=1.6)


def rows_of(task: Compared, arm: str) -> list[dict[str, Any]]:
    """A row a seed: what is shown, and what it is against the full LSTM."""
    named = {
        "task": task.name,
        "equal": task.equal,
        "length": task.length,
        "updates": task.updates,
        "variant": short(arm),
        "H": task.width(arm),
    }
    shown = "cost" if task.by_loss else "share right"
    pairs = enumerate(zip(task.shown(arm), effect(task, arm), strict=True))
    return [named | {"shown": shown, "n": n, "value": value, "against full": against} for n, (value, against) in pairs]


def hurts(task: Compared, arm: str) -> bool:
    """Whether a part is missed: the interval of the effect lies on the worse side of none."""
    interval = order_interval(effect(task, arm))
    return interval.low > 1 if task.by_loss else interval.high < 0


def title(tasks: list[Compared]) -> str:
    """Which parts are missed on which task, and how much."""
    parts = []
    for task, name in zip(tasks, names(tasks), strict=True):
        missed = [arm for arm in task.arms if arm != WHOLE and hurts(task, arm)]
        told_ = ", ".join(f"{short(arm)} {size(task, arm)}" for arm in missed)
        parts.append(f"{name}: {told_ or 'none'}{seldom(task)}")
    return f"What is missed at 99 %, at equal {tasks[0].equal}: {'; '.join(parts)}"


def seldom(task: Compared) -> str:
    """In how many seeds the full LSTM itself solves a task, where not in all: there parts are missed less surely."""
    solved = task.values(WHOLE, "solved")
    return "" if solved.all() else f" (the full LSTM solves it in {solved.sum():g} of {len(solved)} seeds)"


def names(tasks: list[Compared]) -> list[str]:
    """What tasks are called among each other: with their updates where they differ in nothing else."""
    named = Counter((task.name, task.length) for task in tasks)
    after = [f" after {task.updates} updates" if named[task.name, task.length] > 1 else "" for task in tasks]
    return [f"{task.name} of {task.length} steps{words}" for task, words in zip(tasks, after, strict=True)]


def size(task: Compared, arm: str) -> str:
    """An effect's median in words."""
    value = order_interval(effect(task, arm)).value
    return f"(loss times {few(value)})" if task.by_loss else f"({value:+.2f} of the {what(task)})"


def alt(tasks: list[Compared]) -> str:
    """Every median with its interval."""
    parts = []
    for task in tasks:
        shown = "mean squared error" if task.by_loss else f"share of {what(task)} right"
        values = [f"{short(arm)} {told(order_interval(task.shown(arm)))}" for arm in task.arms]
        level = f"{task.level_name} {few(task.level)}"
        parts.append(
            f"{task.name}, {task.length} {task.counts} ({task.seeds} seeds), {shown}: {', '.join(values)}; {level}"
        )
    return f"LSTMs without a part, median over seeds with 99 % interval, dashed the level named. {'. '.join(parts)}."
