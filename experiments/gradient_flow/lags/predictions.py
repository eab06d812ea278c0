"""Closed forms for the gradient's norm by lag: exact where a start is isolated, for large H elsewhere.

Everywhere L = v . h_T with v from N(0, 1), x_t from N(0, 1); input weights and biases uniform in +-1/sqrt(H), so that
an input drives a pre-activation with variance D/(3 H) and the two biases together with 2/(3 H). All norms are relative
to that of dL/ds_T, which is |v|. The LSTM's total gradient has a file of its own, `lstm_field`.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.special import log_expit

from experiments.gradient_flow.lags.lstm_field import field, total
from experiments.gradient_flow.quadrature import expect, legendre, line
from experiments.gradient_flow.starts import Start

GAIN_OF_UNIFORM = 3**-0.5
"""Entries uniform in +-1/sqrt(H) have variance 1/(3 H)."""


def rnn_growth(gain: float, D: float, H: int, T: int) -> np.ndarray:
    """By step 1..T, the factor chi_t by which the squared gradient of a tanh RNN changes across it: (T,).

        q_t = g^2 E tanh^2(sqrt(q_{t-1}) z) + D/(3 H) + 2/(3 H),   h_0 = 0       (variance of the pre-activation)
        chi_t = g^2 E sech^4(sqrt(q_t) z)

    Derivation: dL/dh_{t-1} = W^T (1 - h_t^2) dL/dh_t. For large H the pre-activations are Gaussian over units, and in
    the product the gradient counts as independent of them and of W (the annealed assumption), so its squares add up.
    That W is the same at every step does not matter here, other than in the LSTM: different powers of W stand before v
    in dL/dh_t and dL/dh_{t'}, which are therefore uncorrelated. Orthogonal weights give the same chi.

    Range: H to infinity at a fixed lag. Deviations are of relative order lag / H in the squared norm, for a Gaussian
    matrix; and its logarithm, of which the median is shown, lies below that of the mean by half its variance.
    Source: Sompolinsky, Crisanti, Sommers 1988 (q without drive); Schoenholz et al. 2017 (chi, for layers).
    """
    z, weight = line()
    drive, square, growth = (D + 2) / (3 * H), 0.0, []
    for _ in range(T):
        h = np.tanh(math.sqrt(gain**2 * square + drive) * z)
        square = weight @ h**2
        growth.append(gain**2 * (weight @ (1 - h**2) ** 2))
    return np.array(growth)


@cache
def log10_norm(start: Start, D: int, H: int, T: int) -> np.ndarray:
    """log10 of |dL/ds_{T-lag}| / |dL/ds_T| by lag 0..T-1, (T,); exact for an isolated start, else for large H."""
    if start.isolated:
        return isolated_log10_norm(start, T)
    if start.cell == "lstm":
        return total(field(start, D, H, T))[:T]
    gain = GAIN_OF_UNIFORM if start.kind == "torch" else start.value
    return by_lag(0.5 * np.log10(rnn_growth(gain, D, H, T)))


def isolated_log10_norm(start: Start, T: int) -> np.ndarray:
    """The exact cases by lag 0..T-1, (T,); the LSTM's is relative to lag 1 and NaN at lag 0.

    RNN: x = 0, no bias, h_0 = 0, so tanh' = 1 and dL/dh_{T-k} = (W^T)^k v: an orthogonal W times g gives g^k.
    LSTM: without input and recurrent weights dL/dh_t = 0 and dL/dc_{t-1} = sigma(b_f) dL/dc_t before the last step, so
    that |dL/ds_{T-k}| / |dL/ds_{T-1}| = sigma(b_f)^(k-1). (At lag 0 the gradient is (v, 0), by decision 0002.)
    """
    lag = np.arange(T)
    if start.cell == "rnn":
        return lag * math.log10(start.value)
    return np.where(lag > 0, (lag - 1) * log10_gate(start.value), np.nan)


@cache
def log10_direct(start: Start, D: int, H: int, T: int) -> np.ndarray:
    """The LSTM's direct path dc_T/dc_{T-lag}, mean over units of its log10, by lag 0..T-1: lag times E log10 f.

    E ln f_t = E ln sigma(b_f + s_t z), s_t^2 = D/(3 H) + E h_{t-1}^2 / 3 (+ 2/(3 H) at torch's biases): a linear
    functional of ln f, so that correlations over time do not matter. E h^2 comes from `lstm_field`. Exact if isolated.
    """
    if start.isolated:
        return np.arange(T) * log10_gate(start.value)
    moments = field(start, D, H, T)
    return by_lag(moments.steps.log_f @ moments.weight / math.log(10))


def log10_gate(b_f: float) -> float:
    """log10 sigma(b_f), the direct path across one step when nothing moves the gate."""
    return float(log_expit(b_f)) / math.log(10)


def half_life(b_f: float) -> float:
    """-ln 2 / ln sigma(b_f): steps in which a gate at its bias halves the cell; 1.00, 2.21, 5.46, 103 at 0, 1, 2, 5."""
    return -math.log(2) / float(log_expit(b_f))


@cache
def chrono_survival(lag: int, T_max: float) -> float:
    """E f^lag over chrono's biases alone: the mean over u in [1, T_max - 1] of (u / (1 + u))^lag.

    At lag = T_max = 100 it is .1496; as both go to infinity, integral of exp(-1/v) over v in [0, 1], .1485.
    Source: Tallec, Ollivier 2018, equation 16, for the biases; the integral is ours.
    """
    u, weight = legendre(1.0, T_max - 1.0, 400)
    return float(weight @ np.exp(lag * np.log(u / (1 + u))))


def gate_survival(start: Start, lag: int, D: int, H: int, T: int) -> float:
    """log10 of E f^lag over units at an LSTM's forget biases alone, before any input or recurrence moves the gates."""
    if start.kind == "chrono":
        return math.log10(chrono_survival(lag, T))
    if start.kind == "forget_bias":
        return lag * log10_gate(start.value)
    return math.log10(expect(lambda z: np.exp(lag * log_expit(math.sqrt(2 / (3 * H)) * z))))


def by_lag(per_step: np.ndarray) -> np.ndarray:
    """The sum over the last steps, by their number 0..T-1: (T,) from steps 1..T, (T,)."""
    return np.concatenate([[0.0], np.cumsum(per_step[:0:-1])])
