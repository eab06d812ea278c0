"""What an implementation under test must offer: the laws call nothing else. NumPy goes in and out, all picklable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from impl.spec import Head, Parameters

CAPABILITIES = {
    "backward": "gives gradients",
    "states": "gives the gradient at every h_t and c_t",
    "lengths": "takes rows of different lengths",
    "empty rows": "takes rows of length 0",
    "no steps": "takes sequences without steps",
    "no rows": "takes batches without rows",
    "ensemble": "runs a group of models as one computation",
    "one bias": "takes one of the two biases alone",
    "head": "has a linear read-out",
    "loss": "has softmax cross-entropy with masks",
    "clean masks": "keeps what a mask hides, NaN included, out of the loss and its gradient",
    "checks": "refuses what does not fit",
    "refuses": "refuses what does not fit by naming the argument",
    "cell state": "takes and gives the state of the cell",
    "layers": "stacks layers",
    "directions": "runs layers in both directions",
    "batch first": "takes the batch before time",
    "dropout": "drops units between layers in training",
    "several backwards": "gives several gradients from one forward, some parameters frozen or not",
    "optimisers": "updates parameters by SGD, Adam and RMSprop",
    "clipping": "clips a gradient by its global norm",
    "torch layout": "exports to and imports from a torch state dict",
    "onnx layout": "exports to and imports from ONNX's tensors",
    "feeds back": "runs on inputs that it makes itself from its read-out",
    "row bits": "gives a row the same bits in any batch and group",
}
"""What a subject may declare. A law that needs what is not declared is skipped and says so in these words."""

PROMISES = frozenset({"row bits"})
"""What no law asks of everyone: a product's order of summing may depend on its shape. Who declares it is held to it."""

USUAL = frozenset(CAPABILITIES) - PROMISES
"""What a whole implementation can do."""


@dataclass(frozen=True)
class Call:
    """One call: a cell of impl.spec.GATES; x (T, B, D) or (T, E, B, D); h (and c), each ([E,] B, H); lengths.

    A subject without the capability of what a call asks for must refuse it; it is asked for once, by the law "honesty".
    """

    cell: str
    params: Parameters
    x: np.ndarray
    state: Any = None
    lengths: np.ndarray | None = None


@dataclass(frozen=True)
class Stack:
    """One call of several layers, each in one direction or two (the second runs from each row's own end to its start).

    `layers` and `state` hold a tuple by layer of a tuple by direction. x is (T, B, D), or (B, T, D) with `batch_first`;
    states are (B, H) either way. In training (`train`) the outputs of every layer but the last are dropped with
    probability `dropout`, the others scaled by 1 / (1 - dropout); the same seed drops the same.
    """

    cell: str
    layers: tuple[tuple[Parameters, ...], ...]
    x: np.ndarray
    state: Any = None
    lengths: np.ndarray | None = None
    batch_first: bool = False
    dropout: float = 0.0
    train: bool = False
    seed: int = 0


class Output(NamedTuple):
    """h after every step (T, [E,] B, H), zero at padding, and the last state, h (and c).

    Of a Stack: h (T, B, directions * H), batch first as the call has it; the last states by layer and direction.
    """

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
    pooled = False
    """Whether it compiles for every shape: its cases then have one of a few."""
    share = 1.0
    """Its part of the examples, less for what is dear to call."""

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

    def feed_back(self, call: Call, head: Head, embedding: np.ndarray, steps: int) -> tuple[np.ndarray, Output]:
        """Runs from the call's first input alone, without lengths; every next one is the likeliest output's embedding.

        Takes embedding ([E,] V, D), one row an output of the read-out; returns what was fed (steps, [E,] B, D), too.
        """
        raise NotImplementedError(f"{self.name} has no loop on its own outputs.")

    def loss(self, y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Softmax cross-entropy summed over steps and rows, () or (E,), and dy."""
        raise NotImplementedError(f"{self.name} has no loss.")

    def backwards(self, call: Call, cotangents: Sequence[Cotangent], frozen: Sequence[str] = ()) -> list[Result]:
        """Several gradients from one forward; parameters that are named `frozen` have none (None)."""
        raise NotImplementedError(f"{self.name} has no several backwards from one forward.")

    def double_backward(self, call: Call, cotangent: Cotangent, direction: Result) -> Result:
        """The gradient of <direction, backward(call, cotangent)> by x, the parameters and the initial state."""
        raise NotImplementedError(f"{self.name} has no double backward.")

    def stack(self, call: Stack) -> Output:
        """Runs the layers over the sequence."""
        raise NotImplementedError(f"{self.name} has no layers.")

    def stack_backward(self, call: Stack, cotangent: Cotangent) -> Result:
        """The gradient of <cotangent, outputs> by x, and by every layer's and direction's parameters and state."""
        raise NotImplementedError(f"{self.name} has no layers.")

    def updates(self, rule: str, params: Any, gradients: Sequence[Any], lr: float) -> list[Any]:
        """The parameters after each update by the rule "sgd", "adam" or "rmsprop", torch.optim's other defaults."""
        raise NotImplementedError(f"{self.name} has no optimisers.")

    def clip(self, gradient: Any, max_norm: float) -> tuple[Any, np.ndarray]:
        """The gradient scaled down to the norm where its own is larger, and its own."""
        raise NotImplementedError(f"{self.name} has no clipping.")

    def export(self, cell: str, layers: tuple, layout: str) -> dict[str, np.ndarray]:
        """Parameters by name in another project's layout: "torch" (a state dict), or "onnx" (one layer's tensors)."""
        raise NotImplementedError(f"{self.name} has no export to {layout}.")

    def restore(self, cell: str, exported: dict[str, np.ndarray], layout: str) -> tuple:
        """The layers that `export` wrote."""
        raise NotImplementedError(f"{self.name} has no import from {layout}.")
