"""In what unit a task's final value is shown, and its rungs in that unit: chance, partial knowledge, the best there is.

Copy is shown in bits recalled, flip-flop and multiplication as a mean squared error, the others as a share of right
answers: 1 - cost. Rungs are closed forms, but for the pictures', which are those of their data (`chance`, `rung`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binom

from experiments.memory.learning import TASKS
from experiments.memory.tasks.sweep import SETTINGS
from experiments.tasks import (
    a_n_b_n,
    bucket_sort,
    copy_memory,
    digits,
    flip_flop,
    mnist1d,
    multiplication,
    parity,
    temporal_order_3,
    xor,
)


class Rung(NamedTuple):
    """What a predictor that knows so much reaches, in the task's unit."""

    value: float
    name: str


class Scale(NamedTuple):
    """How a task is shown.

    Attributes:
        title, unit: for readers.
        of: the value from the mean cost.
        rungs: from chance to the best, computed when they are asked for.
        error: whether less is better; the axis is then logarithmic, and the best of 0 is no rung.
    """

    title: str
    unit: str
    of: Callable[[Any], Any]
    rungs: Callable[[], list[Rung]]
    error: bool = False

    @property
    def name(self) -> str:
        """The title without what is set."""
        return self.title.split(",")[0]

    def position(self, value: Any) -> Any:
        """Where a value stands between chance (0) and the best (1)."""
        chance, best = self.rungs()[0].value, 0.0 if self.error else self.rungs()[-1].value
        return (value - chance) / (best - chance)


def right(cost: Any) -> Any:
    """The share of right answers."""
    return 1.0 - cost


def same(cost: Any) -> Any:
    """The cost itself."""
    return cost


def copy_rungs() -> list[Rung]:
    """Three bits a symbol known."""
    known = range(copy_memory.DIGITS + 1)
    values = [copy_memory.bits_recalled(copy_memory.floor(k)) for k in known]
    names = ["chance", "1 symbol", *(f"{k} symbols" for k in known[2:])]
    return [Rung(*rung) for rung in zip(values, names, strict=True)]


def flip_flop_rungs() -> list[Rung]:
    """Who sees the last 0, 1, 2, 4 steps; all of them leave no error."""
    return [
        Rung(flip_flop.floor(k, flip_flop.STEPS), f"last {k} steps" if k > 1 else ("chance", "last step")[k])
        for k in (0, 1, 2, 4)
    ]


def multiplication_rungs() -> list[Rung]:
    """Who knows none or one of the values; both leave no error."""
    return [Rung(multiplication.floor(0), "chance"), Rung(multiplication.floor(1), "one value")]


def order_rungs() -> list[Rung]:
    """Each mark that is not known is guessed."""
    names = ("chance", "1 mark", "2 marks", "all")
    return [Rung(0.5 ** (temporal_order_3.MARKS - k), name) for k, name in enumerate(names)]


def counting_rungs() -> list[Rung]:
    """Of n = 1 .. N, N the test's longest: without counting b's one rule for all of them is right for one n at most (it
    ends after the first b); who has learnt the words of training by heart knows those up to the training's longest."""
    trained, tested = SETTINGS[a_n_b_n.NAME].length, SETTINGS[a_n_b_n.NAME].test_length
    return [Rung(1 / tested, "no count"), Rung(trained / tested, "trained n alone"), Rung(1.0, "all")]


def sorting_rungs() -> list[Rung]:
    """Who has seen none of the symbols but knows the place in the answer, who knows half of them, all of them."""
    n = SETTINGS[bucket_sort.NAME].length
    names = {0: "place alone", n // 2: f"{n // 2} symbols", n: "all"}
    return [Rung(best_share(known, n), name) for known, name in names.items()]


def best_share(known: int, length: int) -> float:
    """The largest share of bucket sort's answers, of who knows `known` of the symbols and the place in the answer.

    As in `bucket_sort.bayes_loss`, which averages the entropy of the same chances where this averages the largest.
    """
    counts, weight = bucket_sort.multinomial(known)
    rank, s = np.arange(length)[:, None], np.arange(1, bucket_sort.V)
    below = counts.cumsum(1)[:, None, :-1]
    at_most = binom.sf(rank - below, length - known, s / bucket_sort.V)
    return float(weight @ np.diff(at_most, axis=-1, prepend=0.0, append=1.0).max(-1).mean(1))


@cache
def digits_rungs() -> list[Rung]:
    """The commonest class, and logistic regression on all pixels at once."""
    return [Rung(1 - digits.chance().error, "chance"), Rung(round(1 - digits.rung().error, 3), "logistic"), PERFECT]


@cache
def mnist1d_rungs() -> list[Rung]:
    """The commonest class, and logistic regression on all points at once."""
    return [Rung(1 - mnist1d.chance().error, "chance"), Rung(round(1 - mnist1d.rung().error, 3), "logistic"), PERFECT]


PERFECT = Rung(1.0, "all")


def half_rungs() -> list[Rung]:
    """A fair answer until all is known: no partial credit."""
    return [Rung(0.5, "chance"), PERFECT]


RIGHT = "share right"
SCALES = {
    copy_memory.NAME: Scale(
        "copy, 5 symbols over 20 blanks", "bits recalled of 15", copy_memory.bits_recalled, copy_rungs
    ),
    parity.NAME: Scale("parity, 100 steps (trained to 40)", RIGHT, right, half_rungs),
    flip_flop.NAME: Scale("flip-flop, 64 steps", "mean squared error", same, flip_flop_rungs, True),
    a_n_b_n.NAME: Scale("a^n b^n, n to 14 (trained to 10)", RIGHT, right, counting_rungs),
    bucket_sort.NAME: Scale("bucket sort, 8 symbols", RIGHT, right, sorting_rungs),
    temporal_order_3.NAME: Scale("temporal order of 3 marks, 40 steps", RIGHT, right, order_rungs),
    multiplication.NAME: Scale("multiplication, T = 50", "mean squared error", same, multiplication_rungs, True),
    xor.NAME: Scale("XOR of two bits, T = 10", RIGHT, right, half_rungs),
    mnist1d.NAME: Scale("MNIST-1D, 40 steps", RIGHT, right, mnist1d_rungs),
    digits.NAME: Scale("digits, 64 steps", RIGHT, right, digits_rungs),
}


def criterion(name: str) -> float | None:
    """The value in the task's unit beyond which a run has solved it; None where no criterion is known."""
    below = getattr(TASKS[name], "SOLVED_BELOW", None)
    return None if below is None else SCALES[name].of(below)
