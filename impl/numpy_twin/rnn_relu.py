"""The RNN of rectified linear units: one step and its backward.

    a = W_ih x + b_ih + W_hh h + b_hh
    h' = max(a, 0)

Source: Le, Jaitly, Hinton 2015; two biases, and the slope 0 at a = 0, as torch.nn.RNN has them.
"""

from __future__ import annotations

from typing import NamedTuple

from numpy import where

from impl.spec import Array, Weights
from impl.spec import RNNState as State


class Cache(NamedTuple):
    """What `step_backward` needs: x (B, D), the old h (B, H) and the new one."""

    x: Array
    h: Array
    h_next: Array


def step(weights: Weights, x: Array, state: State) -> tuple[State, Cache]:
    """One step.

    Args:
        weights: W_ih (H, D), W_hh (H, H), b (1, H), each with an optional leading axis E.
        x: (B, D) or (E, B, D), one time step.
        state: h (B, H) or (E, B, H).
    Returns:
        The next state, and what `step_backward` needs.
    """
    (h,) = state
    a = x @ weights.W_ih.mT + h @ weights.W_hh.mT + weights.b
    h_next = where(a <= 0, 0, a)  # written so that NaN stays NaN
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
    da = where(cache.h_next <= 0, 0, dh_next)  # h' tells it all: it is 0 where a <= 0
    dh = da @ weights.W_hh
    dx = da @ weights.W_ih
    return dx, State(dh), da
