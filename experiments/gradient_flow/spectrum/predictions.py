"""Closed forms of whole spectra: exact for linear maps, for wide cells elsewhere. i counts from 1, the largest.

    fresh Gaussian maps:   lambda_i = (ln(2 g^2 / N) + psi((N - i + 1) / 2)) / 2                            (exact)
    one Gaussian map:      ln |eigenvalue_i|; for large N  ln g + ln(1 - k) / 2,  k = (i - 1/2) / N
    orthogonal, identity:  ln g                                                                            (exact)

A tanh RNN's step is J = D W, D = diag(1 - h'^2) with pre-activations from N(0, q). Its squares a = (1 - h'^2)^2 have
the mean field's distribution, and if W is taken as new at every step (the annealed assumption) a frame of k N rows is
a Gaussian matrix G after W, and its volume grows by ln det(G^T D^2 G) / 2. For large N

    lambda(k) = ln g + ln(k / s) / 2,   s from  E[a s / (1 + a s)] = k              (Gaussian W)
    lambda(k) = ln g + ln(k / (s (1 - k))) / 2                                      (orthogonal W)

at k = 0 it is the mean field's ln(g^2 E a) / 2, at a = 1 the spectrum of the linear map. Derivation: for entries of
variance 1/N ln det(G^T A G) / N tends to E ln(1 + a s) - k ln s + k ln k - k, which is stationary in s, and its slope
in k is twice the exponent; a Haar frame is G divided by the root of G^T G, whose own volume is that at a = 1.

Source: fresh maps: Newman 1986; eigenvalues: Girko's circular law; the rest is derived here.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_expit, ndtri, polygamma, psi

from experiments.gradient_flow.lags.lstm_field import RECURRENT, Field, field, total
from experiments.gradient_flow.lags.predictions import rnn_growth
from experiments.gradient_flow.quadrature import hermite, line
from experiments.gradient_flow.starts import Start

SETTLED = 300
"""Steps after which no moment changes; chrono's cells have only its longest time."""


def fresh(gain: float, N: int) -> np.ndarray:
    """The exponents of products of fresh Gaussian maps, (N,): R's diagonal in QR holds chi of N - i + 1 degrees."""
    return 0.5 * (math.log(2 * gain**2 / N) + psi((N - np.arange(N)) / 2))


def fresh_error(N: int, steps: int) -> np.ndarray:
    """The standard error of each measured exponent after so many steps in all, exactly: chi's are independent."""
    return np.sqrt(polygamma(1, (N - np.arange(N)) / 2) / (4 * steps))


def linear(kind: str, gain: float, N: int) -> np.ndarray:
    """The exponents of a linear map, (N,): exact but for one Gaussian map, whose large-N form it is."""
    if kind == "fresh":
        return fresh(gain, N)
    if kind == "gaussian":
        return math.log(gain) + 0.5 * np.log1p(-places(N))
    return np.full(N, math.log(gain))


def places(N: int) -> np.ndarray:
    """k of each exponent."""
    return (np.arange(N) + 0.5) / N


@cache
def rnn(start: Start, D: int, H: int) -> np.ndarray:
    """The exponents of a tanh RNN under noise, for large H: (H,)."""
    z, weight = line()
    square = 0.0
    for _ in range(SETTLED):
        x = math.sqrt(start.gain**2 * square + (D + 2) / (3 * H)) * z
        square = weight @ np.tanh(x) ** 2
    k, log_cosh = places(H), np.logaddexp(x, -x) - math.log(2)
    found = math.log(start.gain) + frame(k, -4 * log_cosh, weight)
    return found - 0.5 * np.log1p(-k) if start.kind == "orthogonal" else found


def rnn_largest(start: Start, D: int, H: int) -> float:
    """The largest exponent by the mean field of the gradient, ln(g^2 E a) / 2: `rnn` at k = 0, for either kind of W."""
    return 0.5 * math.log(rnn_growth(start.gain, D, H, SETTLED)[-1])


def frame(k: np.ndarray, log_a: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """ln(k / s) / 2, s from E[a s / (1 + a s)] = k: what D does to volumes beside a Gaussian matrix of gain 1."""
    log_s = [brentq(lambda y, share=share: weight @ expit(log_a + y) - share, -60, 800) for share in k]
    return 0.5 * (np.log(k) - log_s)


@cache
def lstm(start: Start, D: int, H: int, T: int) -> np.ndarray:
    """The 2 H exponents of an LSTM on (h, c), for large H and weak recurrence: (2 H,).

    cells: a step takes c to (f + W') c, W' = diag(i g' o (1 - tanh^2 c)) U_g with eigenvalues even over a disc, so the
        exponents are ln |f + r w|, w even over the unit disc, r^2 = E (i g' o (1 - tanh^2 c))^2 / 3; where the disc
        does not hold 0 their mean is E ln f.
    h: diag(tanh c' o (1 - o)) U_o, with a = (tanh c' o (1 - o))^2 over units and steps in place of the RNN's.

    Their sum is that of the sum rule. Left out: what the gates i, f and o of the next step add through h.
    """
    moments = field(start, D, H, T if start.kind == "chrono" else SETTLED)
    mean, variance = moments.steps.mean[-1][:, None], moments.steps.variance[-1][:, None]
    z, weight = line(40, 6.0)
    log_tanh = np.log(np.abs(np.tanh(mean + np.sqrt(variance) * z)))
    log_a = 2 * log_tanh + np.log(moments.steps.slope.o.square[-1])[:, None]
    below = math.log(RECURRENT) / 2 + frame(places(H), log_a.ravel(), (moments.weight[:, None] * weight).ravel())
    return np.concatenate([cells(start, moments, D, H, T), below])


def cells(start: Start, moments: Field, D: int, H: int, T: int) -> np.ndarray:
    """ln |f + r w| at its H quantiles, largest first; ln f is its mean over what is new at every step."""
    square, gate, slope = moments.steps.square[-1], moments.steps.gate, moments.steps.slope
    radius = gate.i.mean[-1] * slope.g.mean[-1] * gate.o.mean[-1] * moments.steps.open.mean[-1]
    r = math.sqrt(RECURRENT * (moments.weight @ radius**2))
    k = places(32)
    lasting = {"torch": 2 / (3 * H)}.get(start.kind, 0.0)
    bias = np.log(1 + (T - 2) * (1 - k)) if start.kind == "chrono" else start.value - math.sqrt(lasting) * ndtri(k)
    z, weight = hermite(12)
    f = np.exp(log_expit(bias[:, None] + math.sqrt(D / (3 * H) + RECURRENT * square) * z) @ weight)
    w = np.sqrt(k)[:, None] * np.exp(1j * np.pi * k)
    every = np.log(np.abs(f[:, None, None] + r * w)).ravel()
    return np.quantile(every, 1 - places(H))


def lstm_largest(start: Start, D: int, H: int, T: int) -> float:
    """The largest exponent by the mean field of the total gradient: its slope over the second half of T steps."""
    log10 = total(field(start, D, H, T))
    return float(log10[T] - log10[T // 2]) * math.log(10) / (T - T // 2)
