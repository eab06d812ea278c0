"""The LSTM as courses write it in NumPy: the peer that people know, one row a sequence, one product a step.

    z = (x_t, h)        a = z W + b        a_i, a_f, a_g, a_o: four slices of the columns of a
    c' = sigma(a_f) * c + sigma(a_i) * tanh(a_g)        h' = sigma(a_o) * tanh(c')

and in the backward, step by step, dW += z^T da, db += sum over rows of da. Nothing is prepared before the loop, nothing
is written in place, and sigma is 1 / (1 + exp(-a)). It is written for this comparison, with one kindness: the gradient
by x, which nobody here asks for, is not computed.

Source: the form of Karpathy's batched LSTM (2015) and of the assignments of Stanford's CS231n, in the gate order of
torch.nn; the backward is that of impl/numpy_twin/lstm.py, by hand for this layout.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from impl.spec import Array, Parameters


class Step(NamedTuple):
    """What the backward of a step needs: z (B, D+H); the others (B, H)."""

    z: Array
    c: Array
    i: Array
    f: Array
    g: Array
    o: Array
    tanh_c: Array


def sigma(a: Array) -> Array:
    """The logistic function."""
    return 1 / (1 + np.exp(-a))


def weights(params: Parameters) -> tuple[Array, Array]:
    """torch.nn's parameters as this form holds them: W (D+H, 4H), b (4H,)."""
    W = np.concatenate([params.weight_ih.T, params.weight_hh.T])
    return W, params.bias_ih + params.bias_hh


def forward(W: Array, b: Array, x: Array) -> tuple[Array, list[Step]]:
    """Runs over x (T, B, D) from a zero state: h of every step (T, B, H), and what the backward needs."""
    H = len(b) // 4
    h = c = np.zeros((x.shape[1], H), x.dtype)
    hs, steps = [], []
    for x_t in x:
        z = np.concatenate([x_t, h], axis=1)
        a = z @ W + b
        i, f = sigma(a[:, :H]), sigma(a[:, H : 2 * H])
        g, o = np.tanh(a[:, 2 * H : 3 * H]), sigma(a[:, 3 * H :])
        c_next = f * c + i * g
        tanh_c = np.tanh(c_next)
        h = o * tanh_c
        steps.append(Step(z, c, i, f, g, o, tanh_c))
        hs.append(h)
        c = c_next
    return np.stack(hs), steps


def backward(W: Array, steps: list[Step], dh: Array) -> tuple[Array, Array]:
    """The gradients dW (D+H, 4H) and db (4H,) of the sum of dh * h, dh (T, B, H)."""
    H = dh.shape[-1]
    dW, db = np.zeros_like(W), np.zeros(4 * H, W.dtype)
    W_hh = W[-H:]
    dh_next = dc_next = np.zeros_like(dh[0])
    for (z, c, i, f, g, o, tanh_c), dh_t in zip(reversed(steps), dh[::-1], strict=True):
        dh_t = dh_t + dh_next
        dc = dc_next + dh_t * o * (1 - tanh_c**2)
        da_i, da_f = dc * g * i * (1 - i), dc * c * f * (1 - f)
        da_g, da_o = dc * i * (1 - g**2), dh_t * tanh_c * o * (1 - o)
        da = np.concatenate([da_i, da_f, da_g, da_o], axis=1)
        dW += z.T @ da
        db += da.sum(axis=0)
        dh_next, dc_next = da @ W_hh.T, dc * f
    return dW, db
