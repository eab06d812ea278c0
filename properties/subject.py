"""What an implementation under test must offer: the laws call nothing else. NumPy goes in and out, all picklable."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from impl.spec import Head, Parameters

CAPABILITIES = {
    "backward": "gives gradients",
    "states": "gives the gradient at every h_t and c_t",
    "lengths": "takes rows of different lengths",
    "empty rows": "takes rows of length 0",
    "ensemble": "runs a group of models as one computation",
    "one bias": "takes one of the two biases alone",
    "head": "has a linear read-out",
    "loss": "has softmax cross-entropy with masks",
    "clean masks": "keeps what a mask hides, NaN included, out of the loss and its gradient",
    "refuses": "refuses what does not fit by naming the argument",
}
"""What a subject may declare. A law that needs what is not declared is skipped and says so in these words."""


@dataclass(frozen=True)
class Call:
    """One call: cell "rnn" or "lstm"; x (T, B, D) or (T, E, B, D); parameters; h (and c), each ([E,] B, H); lengths."""

    cell: str
    params: Parameters
    x: np.ndarray
    state: Any = None
    lengths: np.ndarray | None = None


class Output(NamedTuple):
    """h after every step (T, [E,] B, H), zero at padding, and the last state, h (and c)."""

    h: np.ndarray
    last: Any


class Cotangent(NamedTuple):
    """Gradients by the outputs h (T, [E,] B, H), and by the last state, h (and c)."""

    h: np.ndarray
    last: Any


class Result(NamedTuple):
    """Gradients by x, the parameters and the initial state; by the state carried out of every step, or None."""

    x: np.ndarray
    params: Parameters
    state: Any
    states: Any = None


class Subject:
    """An implementation under test. Derive from it, say what it can do, and give the methods that this needs."""

    name = "unnamed"
    cells: tuple[str, ...] = ("rnn", "lstm")
    dtypes: tuple[str, ...] = ("float32", "float64")
    capabilities: frozenset[str] = frozenset()
    version = ""

    def u(self, dtype: str) -> float:
        """The unit roundoff it claims for a dtype."""
        return float(np.finfo(dtype).eps) / 2

    def alpha(self, dtype: str) -> float:
        """The absolute error of its sigma and tanh for small results, at most 4u; 0 unless it declares one."""
        return 0.0

    def forward(self, call: Call) -> Output:
        """Runs the cell over the sequence."""
        raise NotImplementedError(f"{self.name} has no forward.")

    def backward(self, call: Call, cotangent: Cotangent) -> Result:
        """The gradient of <cotangent, outputs> by every argument; a forward of its own comes first."""
        raise NotImplementedError(f"{self.name} has no backward.")

    def head(self, params: Head, h: np.ndarray) -> np.ndarray:
        """The read-out of every step."""
        raise NotImplementedError(f"{self.name} has no read-out.")

    def head_backward(self, params: Head, h: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, Head]:
        """dh and the gradient by the read-out's parameters."""
        raise NotImplementedError(f"{self.name} has no read-out.")

    def loss(self, y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Softmax cross-entropy summed over steps and rows, () or (E,), and dy."""
        raise NotImplementedError(f"{self.name} has no loss.")


BUILT_IN = {
    "numpy_twin": "properties.subjects.numpy_twin",
    "torch_twin": "properties.subjects.torch_twin",
    "torch_nn": "properties.subjects.torch_nn",
}


def load(word: str) -> Subject:
    """The subject that `--subject` names: a built-in name, or MODULE[:ATTR] (ATTR is `subject` unless given).

    Raises:
        ValueError: there is no such module or attribute, or it is no Subject; one line that says so.
    """
    module, _, attribute = word.partition(":")
    try:
        found = getattr(importlib.import_module(BUILT_IN.get(module, module)), attribute or "subject")
    except (ImportError, AttributeError) as error:
        names = ", ".join(BUILT_IN)
        raise ValueError(
            f"--subject must be {names} or MODULE[:ATTR] that can be imported; got {word!r}: {error}"
        ) from error
    found = found() if isinstance(found, type) else found
    if not isinstance(found, Subject):
        raise ValueError(f"--subject must name a properties.subject.Subject; got {word!r}, a {type(found).__name__}.")
    return found
