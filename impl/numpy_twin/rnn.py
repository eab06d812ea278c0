"""The vanilla RNN: one step and its backward.

    a = W_ih x + b_ih + W_hh h + b_hh
    h' = tanh(a)

Source: Elman 1990, with the bias of torch.nn.RNN split in two; the lecture's W_xh, W_hh are weight_ih, weight_hh.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy import tanh

from impl.spec import Array, Weights
from impl.spec import RNNState as State


class Cache(NamedTuple):
    """What `step_backward` needs: x (B, D), the old h (B, H) and the new one."""

    x: Array
    h: Array
    h_next: Array


def step(weights: Weights, x: Array, state: State) -> tuple[State, Cache]:
    """One RNN step.

    Args:
        weights: W_ih (H, D), W_hh (H, H), b (1, H), each with an optional leading axis E.
        x: (B, D) or (E, B, D), one time step.
        state: h (B, H) or (E, B, H).
    Returns:
        The next state, and what `step_backward` needs.
    """
    (h,) = state
    a = x @ weights.W_ih.mT + h @ weights.W_hh.mT + weights.b
    h_next = tanh(a)
    return State(h_next), Cache(x, h, h_next)


def step_backward(weights: Weights, cache: Cache, dstate: State) -> tuple[Array, State, Array]:
    """The backward of `step`.

    Args:
        weights: as in `step`.
        cache: as `step` returned it.
        dstate: gradient by the next state, h' (B, H) or (E, B, H).
    Returns:
        dx (B, D) or (E, B, D), the gradient by the old state, and da (B, H) or (E, B, H), by the pre-activations.
    """
    (dh_next,) = dstate
    da = dh_next * (1 - cache.h_next * cache.h_next)
    dh = da @ weights.W_hh
    dx = da @ weights.W_ih
    return dx, State(dh), da
