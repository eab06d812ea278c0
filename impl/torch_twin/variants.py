"""The LSTM's variants: one part is left out, all else is as in lstm.py; one step and its backward.

    lstm_no_forget        f = 1
    lstm_no_input         i = 1
    lstm_no_output        o = 1
    lstm_coupled          i = 1 - f
    lstm_linear_output    h' = o * c'

A gate that is not computed has no parameters: its block is not among the rows of W and b, and its value is the number 1
(where coupled, 1 - f).

Source: Greff, Srivastava, Koutník, Steunebrink, Schmidhuber 2017, their NFG, NIG, NOG, CIFG and NOAF, without their
peepholes; they write the coupled pair as f = 1 - i, which is the same family of cells.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from torch import cat as concatenate
from torch import tanh

from impl.spec import GATES, VARIANTS, Array, Weights, block
from impl.spec import LSTMState as State

from .lstm import Cache, sigma

COUPLED, LINEAR = "lstm_coupled", "lstm_linear_output"


class Cell(NamedTuple):
    """A variant as the time loop takes it: `step` and `step_backward` with the arguments of lstm.py's."""

    step: Callable[..., Any]
    step_backward: Callable[..., Any]


def step(cell: str, weights: Weights, x: Array, state: State) -> tuple[State, Cache]:
    """One step of a variant.

    Args:
        cell: a name in impl.spec.VARIANTS.
        weights: W_ih (G*H, D), W_hh (G*H, H), b (1, G*H), each with an optional leading axis E.
        x: (B, D) or (E, B, D), one time step.
        state: h and c, each (B, H) or (E, B, H).
    Returns:
        The next state, and what `step_backward` needs; its `tanh_c` is c' where the output is linear.
    """
    h, c = state
    a = x @ weights.W_ih.mT + h @ weights.W_hh.mT + weights.b
    i, f, g, o = gates(cell, a)
    c_next = f * c + i * g
    shown = c_next if cell == LINEAR else tanh(c_next)
    h_next = o * shown
    return State(h_next, c_next), Cache(x, h, c, i, f, g, o, shown)


def step_backward(cell: str, weights: Weights, cache: Cache, dstate: State) -> tuple[Array, State, Array]:
    """The backward of `step`.

    Args:
        cell, weights: as in `step`.
        cache: as `step` returned it.
        dstate: gradient by the next state, h' and c', each (B, H) or (E, B, H).
    Returns:
        dx (B, D) or (E, B, D), the gradient by the old state, and da (B, G*H) or (E, B, G*H), by the pre-activations.
    """
    _, _, c, i, f, g, o, shown = cache
    dh_next, dc_next = dstate
    do = dh_next * shown
    dshown = dh_next * o
    dc_next = dc_next + (dshown if cell == LINEAR else dshown * (1 - shown * shown))
    df, dc = dc_next * c, dc_next * f
    di, dg = dc_next * g, dc_next * i
    da = gates_backward(cell, i, f, g, o, di, df, dg, do)
    dh = da @ weights.W_hh
    dx = da @ weights.W_ih
    return dx, State(dh, dc), da


def gates(cell: str, a: Array) -> tuple[Any, Any, Array, Any]:
    """The gates i, f, g, o (..., H) from the stacked pre-activations a (..., G*H); one that is absent is 1."""
    H = a.shape[-1] // len(GATES[cell])
    y = {gate: (tanh if gate == "g" else sigma)(a[..., block(cell, gate, H)]) for gate in GATES[cell]}
    i, f, g, o = (y.get(gate, 1.0) for gate in "ifgo")
    return 1 - f if cell == COUPLED else i, f, g, o


def gates_backward(cell: str, i: Any, f: Any, g: Array, o: Any, di: Array, df: Array, dg: Array, do: Array) -> Array:
    """The gradient by the stacked pre-activations (..., G*H) from that by the gates (..., H)."""
    df = df - di if cell == COUPLED else df
    da = {"i": di * i * (1 - i), "f": df * f * (1 - f), "g": dg * (1 - g * g), "o": do * o * (1 - o)}
    return concatenate([da[gate] for gate in GATES[cell]], -1)


CELLS = {cell: Cell(partial(step, cell), partial(step_backward, cell)) for cell in VARIANTS}
