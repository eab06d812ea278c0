"""How a fault is planted: a subject made from the NumPy twin by one change, attached to the laws that must kill it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from impl.numpy_twin import scan
from impl.spec import COMMON, Head
from properties.subject import USUAL, Call, Cotangent, Output, Result, Stack, Subject
from properties.subjects.numpy_twin import subject as TWIN


@dataclass(frozen=True)
class Fault:
    """A fault's name, the laws that must kill it, the cells and dtypes it shows in, and the subject that has it."""

    name: str
    laws: tuple[str, ...]
    subject: Subject
    cells: tuple[str, ...]
    dtypes: tuple[str, ...]

    def planted(self) -> Fault:
        """The same, planted anew: some keep what a call left, which is not to reach another law's calls."""
        return replace(self, subject=type(self.subject)())


FAULTS: list[Fault] = []


def fault(*laws: str, cells: tuple[str, ...] = ("rnn", "lstm"), dtypes: tuple[str, ...] = ("float32",)) -> Callable:
    """Registers a class of subjects under its name, read as words."""

    def register(kind: type[Subject]) -> type[Subject]:
        name = "".join(" " + c.lower() if c.isupper() else c for c in kind.__name__).strip()
        kind.name, kind.cells = f"planted fault ({name})", cells
        FAULTS.append(Fault(name, laws, kind(), cells, dtypes))
        return kind

    return register


class Carrier(Subject):
    """The NumPy twin, handed on unchanged: where a fault is planted, and the control that every law must pass."""

    name = "carrier"
    cells = COMMON
    capabilities = USUAL

    def before(self, call: Call) -> Call:
        """A place for a change of the call."""
        return call

    def after(self, call: Call, output: Output) -> Output:
        """A place for a change of the outputs."""
        return output

    def forward(self, call: Call) -> Output:
        """See Subject."""
        return self.after(call, TWIN.forward(self.before(call)))

    def backward(self, call: Call, cotangent: Cotangent) -> Result:
        """See Subject."""
        return TWIN.backward(call, cotangent)

    def head(self, params: Head, h: np.ndarray) -> np.ndarray:
        """See Subject."""
        return TWIN.head(params, h)

    def head_backward(self, params: Head, h: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, Head]:
        """See Subject."""
        return TWIN.head_backward(params, h, dy)

    def feed_back(self, call: Call, head: Head, embedding: np.ndarray, steps: int) -> tuple[np.ndarray, Output]:
        """See Subject."""
        return TWIN.feed_back(call, head, embedding, steps)

    def loss(self, y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See Subject."""
        return TWIN.loss(y, targets, mask)

    def backwards(self, call: Call, cotangents: Sequence[Cotangent], frozen: Sequence[str] = ()) -> list[Result]:
        """See Subject."""
        return TWIN.backwards(call, cotangents, frozen)

    def stack(self, call: Stack) -> Output:
        """See Subject."""
        return TWIN.stack(call)

    def stack_backward(self, call: Stack, cotangent: Cotangent) -> Result:
        """See Subject."""
        return TWIN.stack_backward(call, cotangent)

    def updates(self, rule: str, params: Any, gradients: Sequence[Any], lr: float) -> list[Any]:
        """See Subject."""
        return TWIN.updates(rule, params, gradients, lr)

    def clip(self, gradient: Any, max_norm: float) -> tuple[Any, np.ndarray]:
        """See Subject."""
        return TWIN.clip(gradient, max_norm)

    def export(self, cell: str, layers: tuple, layout: str) -> dict[str, np.ndarray]:
        """See Subject."""
        return TWIN.export(cell, layers, layout)

    def restore(self, cell: str, exported: dict[str, np.ndarray], layout: str) -> tuple:
        """See Subject."""
        return TWIN.restore(cell, exported, layout)


@contextmanager
def recomputed(cell: str, **functions: Callable):
    """A cell whose `step` or `step_backward` is another, for a while."""
    own = scan.CELLS[cell]
    changed = SimpleNamespace(**{"step": own.step, "step_backward": own.step_backward} | functions)
    with patched(scan, CELLS=scan.CELLS | {cell: changed}):
        yield


@contextmanager
def patched(owner: Any, **changes: Any):
    """Some attributes of a module, changed for a while."""
    saved = {name: getattr(owner, name) for name in changes}
    for name, value in changes.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in saved.items():
            setattr(owner, name, value)
