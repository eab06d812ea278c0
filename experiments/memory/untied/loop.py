"""The time loop with weights of its own at every step, from calls of the tied loop of one step each.

    s_t = step(W_t, x_t, s_{t-1})      dL/dW_t from step t alone; with all W_t = W their sum is the tied dL/dW

`Loop(scan)` has forward and backward as the scan it is made of, where params is Untied, so that the
training loop, clipping and Adam take it for a cell as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from impl.spec import Array, Gradient, Model, Parameters, Run, tree_map


class Untied(NamedTuple):
    """Weights of their own for each of T steps: no plain tuple, which would be a stack's layers."""

    steps: tuple[Parameters, ...]


class Loop(NamedTuple):
    """The loop over untied weights; `scan` is an engine's, and runs one step at a time."""

    scan: Any

    def forward(self, cell: str, params: Untied, x: Array, state: Any = None, lengths: None = None) -> Run:
        """Runs a cell over x (T, [E,] B, D), step t with params.steps[t]; the states returned are h after the last.

        Raises:
            ValueError: there are not as many sets of weights as steps, or rows of different lengths.
        """
        T, given = len(x), len(params.steps)
        if given != T:
            raise ValueError(f"`params` must hold a set of weights for each of {T} steps; got {given}.")
        if lengths is not None:
            raise ValueError(f"`lengths` must be None, since every row runs all steps; got {lengths}.")
        caches, run = [], None
        for t, own in enumerate(params.steps):
            run = self.scan.forward(cell, own, x[t : t + 1], state)
            caches.append(run.cache)
            state = run.last
        return Run(run.states, state, caches)

    def backward(self, cell: str, params: Untied, cache: list[Any], dh: Array, skip: Collection[str] = ()) -> Gradient:
        """The gradient by each step's own weights, from dh (1, [E,] B, H) by the last h."""
        gradients, dlast = [], None
        for own, step in zip(params.steps[::-1], cache[::-1], strict=True):
            gradient = self.scan.backward(cell, own, step, dh, dlast, skip=("x", "states"))
            gradients.append(gradient.params)
            dh, dlast = None, gradient.state
        return Gradient(None, Untied(tuple(gradients[::-1])), dlast, None)


def untie(model: Model, T: int) -> Model:
    """The same function of sequences of T steps with a copy of the cell's weights for every step."""
    return Model(Untied(tuple(tree_map(lambda a: a + 0, model.cell) for _ in range(T))), model.head)
