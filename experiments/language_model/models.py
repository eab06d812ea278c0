"""The models: their sizes at equal parameters, how they start, and the rates that a search chose."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.harness.sweep import Group
from experiments.language_model.parts import EXPERIMENT
from impl import draw
from impl.spec import GATES, Model, Parameters

CELLS = ("rnn", "lstm")
START = {"input_sd": 0.5, "gain": 0.9, "forget_bias": 1.0}
"""W_ih from N(0, input_sd^2); gain of the RNN's orthogonal W_hh, the LSTM's forget bias."""

RATES = {60: {"rnn": 4e-3, "lstm": 2e-2}, 200: {"rnn": 2.5e-3, "lstm": 1e-2}}
"""Adam's step size by thousands of parameters, from a pilot; a smaller model takes that of 60 thousand."""


def rate(cell: str, size: int) -> float:
    """Adam's step size for a model of `size` thousand parameters."""
    return RATES[max((known for known in RATES if known <= size), default=min(RATES))][cell]


def parameters(cell: str, V: int, H: int) -> int:
    """How many numbers a model has: cell with two biases, and read-out."""
    G = len(GATES[cell])
    return G * H * (V + H + 2) + V * (H + 1)


def hidden_units(cell: str, V: int, most: int) -> int:
    """The largest width whose model has at most `most` parameters, and at least 1."""
    H = 1
    while parameters(cell, V, H + 1) <= most:
        H += 1
    return H


def initial(group: Group, V: int, twin: Any) -> Model:
    """The group's models at the start, in the twin's arrays."""
    return twin.asarray(draw.group([model(group.settings, seed, V) for seed in group.seeds]), group.dtype)


def model(s: dict[str, Any], seed: int, V: int) -> Model:
    """One model at the start: W_ih from N(0, input_sd^2), an orthogonal W_hh (RNN) or the forget bias set (LSTM)."""
    words = (EXPERIMENT, seed, s["H"])
    rng = draw.generator(*words, "weights", s["cell"])
    cell = recurrent(rng, s, V)
    cell = cell._replace(weight_ih=rng.normal(0.0, s["input_sd"], cell.weight_ih.shape))
    return Model(cell, draw.head(draw.generator(*words, "head"), V, s["H"]))


def recurrent(rng: np.random.Generator, s: dict[str, Any], V: int) -> Parameters:
    """The cell as its own initialiser draws it."""
    if s["cell"] == "rnn":
        return draw.orthogonal(rng, "rnn", V, s["H"], s["gain"])
    return draw.with_forget_bias(draw.uniform(rng, "lstm", V, s["H"]), s["forget_bias"])
