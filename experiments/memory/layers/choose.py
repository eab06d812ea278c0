"""Makes chosen.csv: `python -m experiments.memory.layers.choose`, a quarter of an hour on one core.

For each comparison every LSTM of the grid climbs the ladder of lags with one layer until it fails twice in a row; then
every cell of the grid is trained in a stack at the longest lag that one of them solved.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace

import numpy as np

from experiments.harness.engine import engine
from experiments.harness.executor import keep_buffers
from experiments.memory import parts
from experiments.memory.layers import trials
from experiments.memory.layers.trials import COMPARISONS, DEPTH, FIXED, HELD_OUT, LAGS, MOST, UPDATES, Cell, Trial
from experiments.memory.learning import NEVER, learn, measured

ONE_LAYER, STACKS = range(1000, 1016), range(1000, 1008)
"""Validation seeds; no verdict uses them."""


def main() -> None:
    """Runs the trials that the file does not hold yet, one after the other, and writes it after each."""
    keep_buffers()
    kept = {name_of(t): t for t in trials.read()} if trials.FILE.exists() else {}
    done: list[Trial] = []

    def note(comparison: str, family: str, cell: Cell, layers: int, lag: int, seeds: range) -> Trial:
        found = kept.get((comparison, cell, layers, lag)) or trial(comparison, family, cell, layers, lag, seeds)
        done.append(found)
        print(*found, flush=True)
        trials.write([*done, *(t for t in kept.values() if t not in done)])
        return found

    for comparison, grid in COMPARISONS.items():
        for cell in grid.cells("lstm"):
            climb(partial(one_layer, note, comparison, cell))
        lag = trials.longest(done, comparison)
        for family in ("lstm", "rnn"):
            for cell in grid.cells(family):
                note(comparison, family, cell, DEPTH, lag, STACKS)
    trials.write(done)


def name_of(t: Trial) -> tuple[str, Cell, int, int]:
    """What a trial is of."""
    return t.comparison, Cell(t.arm, t.lr, t.H), t.layers, t.lag


def one_layer(note: Callable[..., Trial], comparison: str, cell: Cell, lag: int) -> Trial:
    """One layer of an LSTM at a lag."""
    return note(comparison, "lstm", cell, 1, lag, ONE_LAYER)


def climb(tried: Callable[[int], Trial]) -> None:
    """Tries lag after lag until two in a row are not solved."""
    failed = 0
    for lag in LAGS:
        found = tried(lag)
        failed = 0 if found.solved >= MOST * found.seeds else failed + 1
        if failed == 2:
            return


def trial(comparison: str, family: str, cell: Cell, layers: int, lag: int, seeds: range) -> Trial:
    """Trains one stack on validation seeds."""
    settings = {**FIXED, **cell._asdict(), "length": lag, "layers": layers, "updates": UPDATES, "every": 25}
    settings |= {"held_out": HELD_OUT}
    options = SimpleNamespace(engine="fast")
    group, twin = parts.group("layers", "trial", settings, seeds, options, 0.0, "float32"), engine("fast")
    learned = learn(group, twin, lambda done, total: None)
    accuracy = measured(group, twin, learned.model, learned.held_out)["accuracy"]
    solved = int((learned.solved_at != NEVER).sum())
    given = (comparison, family, *cell, layers, lag, learned.updates, solved, len(seeds))
    return Trial(*given, round(float(np.mean(accuracy)), 6))


if __name__ == "__main__":
    main()
