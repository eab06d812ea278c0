"""Closed forms for the gradient's norm by layer and lag in a stack, for large H.

L = v . h_T of the top layer with v from N(0, 1), x_t from N(0, 1); every weight other than an RNN's recurrent ones
uniform in +-1/sqrt(H), so that an upper input weight has variance 1/(3 H) as a recurrent one at torch's default.
All norms are over |v|. The LSTM's form is that of `lags.lstm_field`.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from experiments.gradient_flow.lags import lstm_field
from experiments.gradient_flow.quadrature import line
from experiments.gradient_flow.starts import Start

INPUT = 1 / 3
"""H times the variance of an upper layer's input weight."""


@cache
def log10_norm(start: Start, D: int, H: int, T: int, layers: int) -> np.ndarray:
    """log10 of |dL/ds^k_{T-lag}| / |v| by layer, from the lowest, and lag 0..T-1: (layers, T)."""
    if start.cell == "lstm":
        return lstm_field.by_layer(lstm_field.fields(start, D, H, T, layers))[:, :T]
    return 0.5 * np.log10(rnn_squares(start.gain, rnn_slopes(start.gain, D, H, T, layers)))


def rnn_slopes(gain: float, D: int, H: int, T: int, layers: int) -> np.ndarray:
    """E (tanh')^2 by layer, from the lowest, and step 1..T: chi, (layers, T).

    q^k_t = g^2 E tanh^2(sqrt(q^k_{t-1}) z) + in^k_t + 2/(3 H),   h_0 = 0     (variance of the pre-activation)
    in^1_t = D/(3 H),   in^k_t = E tanh^2(sqrt(q^{k-1}_t) z) / 3              (upper layers have H inputs)
    chi^k_t = E sech^4(sqrt(q^k_t) z)
    """
    z, weight = line()
    arriving, chi = np.full(T, D / (3 * H)), np.empty((layers, T))
    for k in range(layers):
        squares = np.zeros(T + 1)
        for t in range(T):
            h = np.tanh(math.sqrt(gain**2 * squares[t] + arriving[t] + 2 / (3 * H)) * z)
            squares[t + 1], chi[k, t] = weight @ h**2, weight @ (1 - h**2) ** 2
        arriving = INPUT * squares[1:]
    return chi


def rnn_squares(gain: float, chi: np.ndarray) -> np.ndarray:
    """|dL/dh^k_{T-lag}|^2 / |v|^2 by layer, from the lowest, and lag 0..T-1: P, (layers, T).

        P^k_t = g^2 chi^k_{t+1} P^k_{t+1} + chi^{k+1}_t P^{k+1}_t / 3,   P_T = 1 in the top layer

    Derivation: a gradient comes back one step through the layer's recurrent weights, or down at the same step through
    the input weights of the layer above. Every path from h_T of the top is a word in these matrices; there are
    C(lag + depth, depth) of them and they all differ. For large H different words are uncorrelated, so squares add up.

    Range: as `lags.predictions.rnn_growth`, of which this is the form at one layer.

    Args:
        gain: g, of the recurrent weights.
        chi: (layers, T), E (tanh')^2.
    Source: the recursion of Schoenholz et al. 2017 with two ways back; derived here.
    """
    layers, T = chi.shape
    back = chi[:, ::-1]  # the index is now the lag
    P = np.zeros((layers, T))
    P[-1, 0] = 1.0
    for k in reversed(range(layers)):
        for lag in range(T):
            if lag:
                P[k, lag] += gain**2 * back[k, lag - 1] * P[k, lag - 1]
            if k + 1 < layers:
                P[k, lag] += INPUT * back[k + 1, lag] * P[k + 1, lag]
    return P
