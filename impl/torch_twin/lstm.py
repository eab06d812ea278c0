"""The LSTM: one step and its backward.

    a_i, a_f, a_g, a_o = W_ih x + b_ih + W_hh h + b_hh      (one product, four blocks)
    i = sigma(a_i)   f = sigma(a_f)   g = tanh(a_g)   o = sigma(a_o)
    c' = f * c + i * g
    h' = o * tanh(c')

Source: Hochreiter, Schmidhuber 1997, without their truncated gradient; forget gate of Gers, Schmidhuber, Cummins 2000;
no peepholes; gate order and the two biases of torch.nn.LSTM.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import cat as concatenate
from torch import sigmoid, tanh

from impl.spec import GATES, Array, Weights, block
from impl.spec import LSTMState as State


class Cache(NamedTuple):
    """What `step_backward` needs: x (B, D); the old h, c, the gates and tanh(c'), each (B, H)."""

    x: Array
    h: Array
    c: Array
    i: Array
    f: Array
    g: Array
    o: Array
    tanh_c: Array


def step(weights: Weights, x: Array, state: State) -> tuple[State, Cache]:
    """One LSTM step.

    Args:
        weights: W_ih (4H, D), W_hh (4H, H), b (1, 4H), each with an optional leading axis E.
        x: (B, D) or (E, B, D), one time step.
        state: h and c, each (B, H) or (E, B, H).
    Returns:
        The next state, and what `step_backward` needs.
    """
    h, c = state
    a = x @ weights.W_ih.mT + h @ weights.W_hh.mT + weights.b
    i, f, g, o = gates(a)
    c_next = f * c + i * g
    tanh_c = tanh(c_next)
    h_next = o * tanh_c
    return State(h_next, c_next), Cache(x, h, c, i, f, g, o, tanh_c)


def step_backward(weights: Weights, cache: Cache, dstate: State) -> tuple[Array, State, Array]:
    """The backward of `step`.

    Args:
        weights: as in `step`.
        cache: as `step` returned it.
        dstate: gradient by the next state, h' and c', each (B, H) or (E, B, H).
    Returns:
        dx (B, D) or (E, B, D), the gradient by the old state, and da (B, 4H) or (E, B, 4H), by the pre-activations.
    """
    _, _, c, i, f, g, o, tanh_c = cache
    dh_next, dc_next = dstate
    do = dh_next * tanh_c
    dc_next = dc_next + dh_next * o * (1 - tanh_c * tanh_c)
    df, dc = dc_next * c, dc_next * f
    di, dg = dc_next * g, dc_next * i
    da = gates_backward(i, f, g, o, di, df, dg, do)
    dh = da @ weights.W_hh
    dx = da @ weights.W_ih
    return dx, State(dh, dc), da


def gates(a: Array) -> tuple[Array, Array, Array, Array]:
    """The gates i, f, g, o (..., H) from their stacked pre-activations a (..., 4H)."""
    a_i, a_f, a_g, a_o = (a[..., block("lstm", gate, a.shape[-1] // 4)] for gate in "ifgo")
    return sigma(a_i), sigma(a_f), tanh(a_g), sigma(a_o)


def gates_backward(i: Array, f: Array, g: Array, o: Array, di: Array, df: Array, dg: Array, do: Array) -> Array:
    """The gradient by the stacked pre-activations (..., 4H) from that by the gates (..., H)."""
    da = {"i": di * i * (1 - i), "f": df * f * (1 - f), "g": dg * (1 - g * g), "o": do * o * (1 - o)}
    return concatenate([da[gate] for gate in GATES["lstm"]], -1)


def sigma(a: Array) -> Array:
    """The logistic function 1 / (1 + exp(-a)), as torch computes it."""
    return sigmoid(a)
