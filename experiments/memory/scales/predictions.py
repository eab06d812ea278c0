"""The time scales at the start, for many units and without input: tau = -1 / ln sigma(b) = 1 / ln(1 + exp(-b)).

    b_f = 1, 3    every unit the same: 3.19 and 20.6 steps, spread 1
    torch         b = b_ih + b_hh, each uniform in +-1/sqrt(H): a triangle
    chrono        b = ln u, so tau = 1 / ln(1 + 1/u), nearly u + 1/2, for u uniform in [1, T_max - 1]

Inputs, and h, move the gates a little about that; what is measured at the start holds them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from experiments.harness.arms import CHRONO_FACTOR

BIASES = {"bf1": 1.0, "bf3": 3.0}


def time_scale(bias: ArrayLike) -> np.ndarray:
    """Steps after which a cell whose forget gate stands at its bias has fallen to 1/e."""
    return 1.0 / np.log1p(np.exp(-np.asarray(bias, float)))


def quantile(start: str, share: ArrayLike, H: int, longest: int) -> np.ndarray:
    """The time scale below which a share of many units lies at the start."""
    share = np.asarray(share, float)
    if start in BIASES:
        return time_scale(BIASES[start]) + 0 * share
    if start == "torch":
        return time_scale(triangle(share) / math.sqrt(H))
    T_max = max(2.0, CHRONO_FACTOR * longest)
    return time_scale(np.log(1.0 + share * (T_max - 2.0)))


def inner(share: float, H: int) -> float:
    """The share of many units below which a quantile over H of them lies in the mean.

    The k-th of H drawn at random lies in the mean at the share k / (H + 1), and the quantile at k = 1 + share (H - 1),
    between two of them where that is no whole number.
    """
    return (1 + share * (H - 1)) / (H + 1)


def triangle(share: np.ndarray) -> np.ndarray:
    """The quantile of the sum of two uniforms in +-1: P(sum < s) = (2 + s)^2 / 8 for s < 0, and its mirror image."""
    tail = np.minimum(share, 1 - share)
    return np.sign(share - 0.5) * (2.0 - np.sqrt(8.0 * tail))


def spread(start: str, H: int, longest: int) -> float:
    """The 90 % quantile over the 10 % quantile."""
    return float(quantile(start, 0.9, H, longest) / quantile(start, 0.1, H, longest))
