"""The trials by which cells and lag are chosen, on validation seeds that no verdict uses: their grid, file and rule.

What is chosen is a function of the trials in chosen.csv, which `python -m experiments.memory.layers.choose` makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

FILE = Path(__file__).with_name("chosen.csv")
DEPTH = 4
FIXED = {"task": "latch", "B": 16, "clip": 1.0}
UPDATES, HELD_OUT = 400, 2000
LAGS = (5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160, 226)
"""Lags are looked for on this ladder, a factor sqrt 2 from one to the next."""

MOST = 15 / 16
"""A lag is solved by an LSTM layer if at least this share of the validation seeds solve it."""


class Cell(NamedTuple):
    """A start of a cell, Adam's rate, and the width."""

    arm: str
    lr: float
    H: int


class Choice(NamedTuple):
    """What a comparison is made with."""

    lag: int
    lstm: Cell
    rnn: Cell


class Grid(NamedTuple):
    """A grid of equal size for both cells: starts, rates, and widths that cost the same in a layer above the first.

    Such a layer costs 4 H 2H multiply-adds a step in the LSTM, H 2H in the RNN: an RNN of twice the width is equal.
    """

    lstm: tuple[str, ...]
    rnn: tuple[str, ...]
    rates: tuple[float, ...]
    widths: tuple[int, ...]

    def cells(self, cell: str) -> Iterator[Cell]:
        """One cell's part, narrow cells first."""
        for width in self.widths:
            for lr in self.rates:
                for arm in getattr(self, cell):
                    yield Cell(arm, lr, {"lstm": width, "rnn": 2 * width}[cell])


COMPARISONS = {
    "default": Grid(("lstm_torch",), ("rnn_uniform",), (1e-3, 3e-3, 1e-2), (8,)),
    "tuned": Grid(
        ("lstm_b1", "lstm_b3", "lstm_chrono", "lstm_torch"),
        ("rnn_uniform", "rnn_orthogonal", "rnn_orthogonal_torch_biases", "rnn_identity"),
        (3e-3, 1e-2),
        (8,),
    ),
}


class Trial(NamedTuple):
    """One row of the file: a stack of a comparison's grid, how many of so many seeds solved, after how many updates
    the group stopped, and the mean accuracy then."""

    comparison: str
    cell: str
    arm: str
    lr: float
    H: int
    layers: int
    lag: int
    updates: int
    solved: int
    seeds: int
    accuracy: float


def read(path: Path = FILE) -> list[Trial]:
    """The trials of a file."""
    frame = pd.read_csv(path)
    if tuple(frame.columns) != Trial._fields:
        raise ValueError(f"`{path}` must have the columns {', '.join(Trial._fields)}; got {', '.join(frame.columns)}.")
    return [Trial(*row) for row in frame.itertuples(index=False)]


def write(trials: list[Trial], path: Path = FILE) -> None:
    """Writes them."""
    pd.DataFrame(trials, columns=Trial._fields).to_csv(path, index=False, lineterminator="\n")


def chosen(trials: list[Trial], comparison: str) -> Choice:
    """What a comparison is made with: the longest lag that a single layer of any LSTM of its grid solves, and for each
    cell the stack of DEPTH layers that is best at that lag."""
    lag = longest(trials, comparison)
    return Choice(lag, *(best(trials, comparison, cell, lag) for cell in ("lstm", "rnn")))


def longest(trials: list[Trial], comparison: str) -> int:
    """The longest lag that one layer of an LSTM of the grid solves; the ladder's first if there is none."""
    mine = [t for t in trials if (t.comparison, t.cell, t.layers) == (comparison, "lstm", 1)]
    return max((t.lag for t in mine if t.solved >= MOST * t.seeds), default=LAGS[0])


def expected(trials: Sequence[Trial], comparison: str, cell: Cell, layers: int, lag: int) -> int:
    """After how many updates a group is likely to stop: as in the trial nearest in lag, then in depth."""
    mine = [t for t in trials if t.comparison == comparison and Cell(t.arm, t.lr, t.H) == cell]
    return min(mine, key=lambda t: (abs(t.lag - lag), abs(t.layers - layers))).updates


def best(trials: list[Trial], comparison: str, cell: str, lag: int) -> Cell:
    """The stack that most seeds solve; of equals the one that stopped first, then the one most often right."""
    mine = [t for t in trials if (t.comparison, t.cell, t.layers, t.lag) == (comparison, cell, DEPTH, lag)]
    if not mine:
        raise ValueError(f"`trials` must hold stacks of {DEPTH} layers of the {cell} at lag {lag} for {comparison}.")
    first = max(mine, key=lambda t: (t.solved, -t.updates, t.accuracy))
    return Cell(first.arm, first.lr, first.H)
