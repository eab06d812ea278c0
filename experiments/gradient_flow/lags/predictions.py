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
from experiments.gradient_flow.quadrature import hermite, legendre, line
from experiments.gradient_flow.starts import Start


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
    if start.kind == "identity":
        return alone_log10_norm(start.value, D, H, T)
    return by_lag(0.5 * np.log10(rnn_growth(start.gain, D, H, T)))


POWERS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.2, 2.0)
"""What `alone_log10_norm` tries."""
BIASES, STRENGTHS = 96, 4
"""Nodes of its expectation: near gain 1 the units that keep most have biases near 0, which fewer step over; with 6
the bound came out 3 decades low at lag 119."""


def alone_log10_norm(gain: float, D: int, H: int, T: int) -> np.ndarray:
    """The RNN with W_hh = g 1, by lag 0..T-1, (T,): each unit is alone, and its gradient a product of numbers.

        a' = g tanh a + b + s z,   b from N(0, 2/(3 H)),   s^2 = |W_ih row|^2, about D/(3 H)
        p_n = product of g sech^2 a_t over the last n steps,   norm at lag n = min over beta in (0, 2] of
        (H E p_n^beta)^(1/beta) / sqrt(H)

    A sum over H units of p^2 is no longer near H E p^2 where p varies by decades: the mean square lives on units that
    cross zero again and again, which are rarer than one in H (at gain 2 and lag 100 it says 10^12, where 64 units have
    10^-62). But a norm is at most that of the powers beta <= 2, and by Markov's inequality it lies above t times the
    form with probability t^-beta at most: a bound on what is typical, which is sharp where the largest of H terms is
    that large: the random energy model's freezing.

    Source: Derrida 1981; E over the unit's path by its transfer operator, over b and s^2 as normal.
    """
    by_power = np.zeros((len(POWERS), T))
    for at, weight in zip(*(nodes[BIASES // 2 :] for nodes in hermite(BIASES)), strict=True):  # b as -b
        for place, share in zip(*hermite(STRENGTHS), strict=True):
            s = math.sqrt(D / (3 * H) * (1 + place * math.sqrt(0.8 / D)))  # E y^4 = 1.8 (E y^2)^2 for a uniform y
            by_power += 2 * weight * share * unit_powers(gain, at * math.sqrt(2 / (3 * H)), s, T)
    norms = (np.log10(by_power) + math.log10(H)) / np.array(POWERS)[:, None] - 0.5 * math.log10(H)
    found = norms.min(0)
    found[0] = 0.0
    return found


def unit_powers(gain: float, b: float, s: float, T: int) -> np.ndarray:
    """E p_n^beta by POWERS and n = 0..T-1, for one bias and one strength of input, on a grid of a."""
    reach = gain + abs(b) + 6 * s
    a = np.linspace(-reach, reach, 2 * math.ceil(reach / (s / 2)) + 1)
    passes = np.exp(-0.5 * ((a - gain * np.tanh(a)[:, None] - b) / s) ** 2)
    passes /= passes.sum(1, keepdims=True)
    start = np.exp(-0.5 * ((a - b) / s) ** 2)
    density = [start / start.sum()]
    for _ in range(T - 1):
        density.append(density[-1] @ passes)
    factor, found = (gain * np.cosh(a) ** -2)[:, None] ** np.array(POWERS), []
    u = np.ones_like(factor)
    for n in range(T):
        found.append(density[T - 1 - n] @ u)
        u = passes @ (factor * u)
    return np.stack(found, -1)


def isolated_log10_norm(start: Start, T: int) -> np.ndarray:
    """The exact cases by lag 0..T-1, (T,); the LSTM's is relative to lag 1 and NaN at lag 0.

    RNN: x = 0, no bias, h_0 = 0, so tanh' = 1 and dL/dh_{T-k} = (W^T)^k v: an orthogonal W, or 1, times g gives g^k.
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
    return math.log10(torch_survival(lag, H))


@cache
def torch_survival(lag: int, H: int) -> float:
    """E f^lag over torch's two biases alone: their sum s / sqrt(H) has the density (2 - |s|) / 4 on [-2, 2].

    A Gaussian of their variance, 2 / (3 H), would not do: at long lags the mean lies where it reaches beyond the ends.
    """
    s, weight = legendre(0.0, 2.0, 200)
    survival = (np.exp(lag * log_expit(sign * s / math.sqrt(H))) for sign in (-1, 1))
    return float(weight @ ((2 - s) / 2 * sum(survival)))


def by_lag(per_step: np.ndarray) -> np.ndarray:
    """The sum over the last steps, by their number 0..T-1: (T,) from steps 1..T, (T,)."""
    return np.concatenate([[0.0], np.cumsum(per_step[:0:-1])])
