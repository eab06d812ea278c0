"""The gradient's norm by lag at the start of training, for large H, with the inputs of the adding problem.

An input x = (value, marker) drives a pre-activation through weights of variance 1/(3 H): with its mean, which is the
same at every step, and with what is new:

    lasting (E x)^2 = 1/4 + (2/T)^2,   new Var x = 1/12 + 2/T (1 - 2/T),   E |x|^2 = 1/3 + 2/T is their sum

for a marker at two of T steps (a first half of an odd T, a step shorter, is left aside). Across units the RNN's drive
has the variance (E |x|^2 + 2)/(3 H), with the two biases; whether it lasts is all one to its squares. The LSTM's field
treats the lasting part as it does biases. Nothing here knows of training: the prediction is held while updates go on,
and what is left over is what training changed.
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from experiments.gradient_flow.lags.lstm_field import Field, driven, nodes, total
from experiments.gradient_flow.lags.predictions import by_lag, rnn_growth
from experiments.gradient_flow.starts import Start


class Inputs(NamedTuple):
    """Mean squares of the inputs at a step: of their mean, which lasts, and of what is new."""

    lasting: float
    new: float


def inputs(T: int) -> Inputs:
    """Those of the adding problem."""
    marked = 2 / T
    return Inputs(1 / 4 + marked**2, 1 / 12 + marked * (1 - marked))


@cache
def log10_norm(start: Start, H: int, T: int, given: Inputs) -> np.ndarray:
    """log10 of |dL/ds_{T-lag}| / |dL/ds_T| by lag 0..T-1, (T,)."""
    if start.cell == "lstm":
        return total(moments(start, H, T, given))[:T]
    return by_lag(0.5 * np.log10(rnn_growth(start.gain, given.lasting + given.new, H, T)))


@cache
def log10_direct(start: Start, H: int, T: int, given: Inputs) -> np.ndarray:
    """The LSTM's direct path dc_T/dc_{T-lag}, mean over units of its log10, by lag 0..T-1."""
    weight, steps = moments(start, H, T, given)
    return by_lag(steps.log_f @ weight / math.log(10))


def moments(start: Start, H: int, T: int, given: Inputs) -> Field:
    """The LSTM's field under these inputs, the lasting part of which stands where a layer below would have its own."""
    return driven(nodes(start, H, T), np.full(T, given.lasting / H), np.full(T, given.new / (3 * H)))
