"""What is measured, as plain data: sources, cells of equal parameters, seeds, updates, and what each group costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments.claims import SOURCES
from experiments.harness import costs
from experiments.harness.arms import parameters
from experiments.harness.sweep import Group
from experiments.language_model import parts
from experiments.language_model.sources import known

CELLS = ("rnn", "lstm")
STARTS = {"rnn": ("rnn_orthogonal", "rnn_identity"), "lstm": ("lstm_b1", "lstm_chrono")}
"""Of which rates.py has chosen one for each source."""

FIXED = {"B": 32, "clip": 1.0, "decay": 0.3}
"""Rows of a batch, norm of the clipped gradient, the share of updates over which the rate falls to zero at the end."""

H = 8
"""Units of the LSTM; the RNN has those with which it comes nearest to as many parameters."""

CURVE = (16, 8, 4, 2, 1)
"""The excess is looked at after this part of the updates, on CURVE_ROWS held-out sequences a seed."""

CURVE_ROWS = 250


class Run(NamedTuple):
    """A source by name and parameter, updates, and held-out sequences a seed."""

    name: str
    n: int
    updates: int
    rows: int = 2000


class Preset(NamedTuple):
    """One size of the sweep: its runs, each by both cells, and seeds."""

    runs: tuple[Run, ...]
    seeds: int = 8


SLOW = "rrxor"
"""Takes three times the updates of the other sources that N20 names."""

BRIEF = tuple(Run(name, 0, 400 if name == SLOW else 120) for name in SOURCES)
DECIDING = tuple(Run(name, 0, 1200 if name == SLOW else 400) for name in SOURCES)
TIMERS = {n: Run("timer", n, 1200) for n in (5, 10, 20, 30, 40, 60)}
MORE = (
    Run("markov_4", 0, 600),
    *(Run("recall", tau, 600) for tau in (5, 10, 20)),
    *(Run("dyck", depth, 800, rows=500) for depth in (4, 8)),
)

PRESETS = {
    "smoke": Preset(tuple(run._replace(updates=3, rows=20) for run in (*DECIDING, TIMERS[5], *MORE[:5])), seeds=2),
    "tour": Preset((*BRIEF, *(TIMERS[n]._replace(updates=200) for n in (10, 20)))),
    "quick": Preset((*DECIDING, *(TIMERS[n] for n in (10, 20, 30, 40)))),
    "full": Preset((*DECIDING, *TIMERS.values(), *MORE)),
}


def groups(preset: str, options: Any) -> list[Group]:
    """The rungs of all sources, which need no network; then each source by each cell, all seeds as one group.

    None beside a text of the user's own, with which no source has to do.
    """
    from experiments.language_model.sources import rates

    if options.corpus is not None:
        return []
    runs, seeds = PRESETS[preset]
    return [
        rungs(runs, options),
        *(
            group(run, cell, *rates.chosen(run.name, run.n, cell), range(seeds), options)
            for run in runs
            for cell in CELLS
        ),
    ]


def rungs(runs: Sequence[Run], options: Any) -> Group:
    """Every source's rate and rungs in closed form or by enumeration."""
    sources = [[run.name, run.n] for run in runs]
    return parts.group("sources", "sources/rungs", {"kind": "rungs", "sources": sources}, (0,), options, 0.3)


def group(
    run: Run, cell: str, arm: str, lr: float, seeds: Sequence[int], options: Any, more: Sequence[str] = ()
) -> Group:
    """One source by one cell, from one start or several (`more`) with the same data."""
    settings = {"kind": "models", "source": run.name, "n": run.n, "cell": cell, "arms": [arm, *more], "lr": lr}
    settings |= {"H": width(cell, known.source(run.name, run.n).V), "steps": known.steps(run.name, run.n)}
    settings |= FIXED | {"updates": run.updates, "held_out": run.rows}
    setting = f"{known.path(run.name, run.n)}/cell={cell}"
    return parts.group("sources", setting, settings, seeds, options, cost(settings, len(seeds)), "float32")


def width(cell: str, V: int) -> int:
    """H of a cell on V symbols."""
    aim = parameters("lstm", V, V, H)
    return H if cell == "lstm" else min(range(H, 4 * H), key=lambda n: abs(parameters(cell, V, V, n) - aim))


def marks(updates: int) -> list[int]:
    """The updates after which the excess is looked at."""
    return sorted({max(1, updates // part) for part in CURVE})


DRAWN = 3e-6
"""Core-seconds of a model's step whose symbols are drawn and shown, whatever the batch."""


def cost(s: dict[str, Any], seeds: int) -> float:
    """Predicted core-seconds of a group."""
    V, models, T = known.source(s["source"], s["n"]).V, seeds * len(s["arms"]), s["steps"]
    looked = s["held_out"] + CURVE_ROWS * len(CURVE)
    trained = costs.core_seconds(s["arms"][0], s["H"], s["B"], models, T, s["updates"], looked, V, T)
    return trained + DRAWN * models * T * s["updates"]
