"""The sources of this part: by name and parameter, as one kind of object, and what settings and readers call them."""

from __future__ import annotations

from functools import cache
from typing import ClassVar, NamedTuple, Protocol

import numpy as np

from experiments.tasks import dyck, processes, recall, timer

PARAMETERS = {"timer": "n", "recall": "tau", "dyck": "depth"}
"""Of the sources that have one; the others are run with 0."""

LABELS = {"golden_mean": "golden mean", "even": "Even", "rrxor": "RRXOR", "mess3": "Mess3", "dyck": "Dyck"}
STEPS = 50
ORDERS = 8
"""Steps of a sequence, and the highest rung, where not timer's."""


class Known(Protocol):
    """What this part asks of a source; `hidden_markov.Source` says what each is."""

    V: int
    rate: float

    def draw(self, rng: np.random.Generator, steps: int, B: int) -> tuple[np.ndarray, np.ndarray]: ...

    def bayes(self, target: np.ndarray) -> np.ndarray: ...

    def rungs(self, order: int) -> np.ndarray: ...

    def excesses(self, order: int, steps: int) -> np.ndarray: ...


class Timer(NamedTuple):
    """timer(n) as `tasks/timer.py` has it: every sequence starts right after a 1, which the first input shows."""

    n: int
    V: ClassVar[int] = timer.V

    def draw(self, rng: np.random.Generator, steps: int, B: int) -> tuple[np.ndarray, np.ndarray]:
        """B sequences: x (steps, B, 2), one-hot of the symbol before, and the symbols (steps, B)."""
        target = timer.symbols(rng, self.n, steps, B)
        return np.eye(timer.V)[timer.before(target)], target

    def bayes(self, target: np.ndarray) -> np.ndarray:
        """The chance of each symbol at each step, given all symbols before: (T, ..., 2) for symbols (T, ...)."""
        one = timer.bayes(target, self.n)
        return np.stack([1 - one, one], -1)

    @property
    def rate(self) -> float:
        """The entropy rate, bits a symbol."""
        return timer.rate(self.n)

    def rungs(self, order: int) -> np.ndarray:
        """h_0 .. h_order in the long run, bits a symbol."""
        return np.array([timer.rung(k, self.n) for k in range(order + 1)]) + self.rate

    def excesses(self, order: int, steps: int) -> np.ndarray:
        """What who sees the last 0 .. order symbols pays above who counts, over the steps of timer(n): bits a symbol.

        Raises:
            ValueError: other steps are asked for.
        """
        if steps != timer.steps(self.n):
            raise ValueError(f"`steps` must be {timer.steps(self.n)}, since they are those of timer; got {steps}.")
        return np.array([timer.excess(k, self.n) for k in range(order + 1)])


def source(name: str, n: int) -> Known:
    """A source by its name and parameter."""
    made = {"timer": Timer, "recall": recall.source, "dyck": dyck.source}
    return made[name](n) if name in PARAMETERS else processes.PROCESSES[name]()


def steps(name: str, n: int) -> int:
    """Steps of a sequence."""
    return timer.steps(n) if name == "timer" else STEPS


def highest(name: str, n: int) -> int:
    """The highest order whose rung is recorded: of timer the one that knows all."""
    return n if name == "timer" else ORDERS


@cache
def gaps(name: str, n: int) -> np.ndarray:
    """The excess of the best predictor who sees the last 0, 1, .. symbols, over sequences as they are drawn here: (K,).

    In bits a symbol, as the cells' is; 0 from the Markov order on. The rungs minus the rate are those of the long run.
    """
    return source(name, n).excesses(highest(name, n), steps(name, n))


def path(name: str, n: int) -> str:
    """How settings begin: "even", "timer/n=20"."""
    return f"{name}/{PARAMETERS[name]}={n}" if name in PARAMETERS else name


def label(name: str, n: int) -> str:
    """For readers: "Even", "timer(20)", "Markov 2"."""
    called = LABELS.get(name, name.replace("markov_", "Markov "))
    return f"{called}({n})" if name in PARAMETERS else called
