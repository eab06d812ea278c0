"""The ways to start an RNN and an LSTM, drawn from the same random numbers wherever they have the same shape."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from impl import draw
from impl.spec import Parameters

ISOLATED = {"rnn": "input=zero", "lstm": "weights=zero"}
"""What is taken away so that the closed form is exact: the RNN's inputs and biases, so that h = 0 and tanh' = 1; the
LSTM's input and recurrent weights, so that every gate is constant."""


class Start(NamedTuple):
    """One cell with one way to start.

    Attributes:
        cell: "rnn" or "lstm".
        kind: "torch", "gaussian", "orthogonal", "forget_bias" or "chrono".
        value: the recurrent gain or the forget bias; 0 where the kind has none.
        isolated: the exact case of ISOLATED.
    """

    cell: str
    kind: str
    value: float = 0.0
    isolated: bool = False

    @property
    def setting(self) -> str:
        """Its path, such as "rnn/start=gaussian/gain=0.5"."""
        name = {"gaussian": "gain", "orthogonal": "gain", "forget_bias": "b_f"}.get(self.kind)
        parts = [self.cell, f"start={self.kind}"] + ([f"{name}={self.value:g}"] if name else [])
        return "/".join(parts + ([ISOLATED[self.cell]] if self.isolated else []))

    @property
    def label(self) -> str:
        """Its name for readers, without the cell."""
        name = {"gaussian": f"gain {self.value:g}", "orthogonal": f"gain {self.value:g}"}
        return (name | {"forget_bias": f"$b_f$ = {self.value:g}"}).get(self.kind, self.kind)


GAINS = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
BIASES = (0.0, 1.0, 2.0, 3.0, 5.0)
MEASURED = (
    Start("rnn", "torch"),
    *(Start("rnn", "gaussian", gain) for gain in GAINS),
    *(Start("rnn", "orthogonal", gain) for gain in GAINS),
    Start("lstm", "torch"),
    *(Start("lstm", "forget_bias", bias) for bias in BIASES),
    Start("lstm", "chrono"),
)
EXACT = (
    *(Start("rnn", "orthogonal", gain, isolated=True) for gain in (0.8, 1.0, 1.5)),
    *(Start("lstm", "forget_bias", bias, isolated=True) for bias in BIASES),
)
STARTS = {start.setting: start for start in (*MEASURED, *EXACT)}


def parameters(start: Start, seed: int, D: int, H: int, T: int, layer: int = 0) -> Parameters:
    """One layer's parameters, float64; starts of one cell share what they have in common.

    Chrono reaches for T_max = T, the length of the sequence. Layers above the first, 0, have random
    numbers of their own.
    """
    words = ("gradient_flow", start.cell, H, seed)
    place = (layer,) if layer else ()
    rng, more = (draw.generator(*words, what, *place) for what in ("weights", "chrono"))
    if start.kind in ("gaussian", "orthogonal"):
        params = getattr(draw, start.kind)(rng, start.cell, D, H, start.value)
    else:
        params = draw.uniform(rng, start.cell, D, H)
    if start.kind == "forget_bias":
        params = draw.with_forget_bias(params, start.value)
    if start.kind == "chrono":
        params = draw.with_chrono(more, params, T)
    return isolate(start.cell, params) if start.isolated else params


def isolate(cell: str, params: Parameters) -> Parameters:
    """The RNN without biases (its inputs are zero elsewhere); the LSTM without input and recurrent weights."""
    if cell == "rnn":
        return params._replace(bias_ih=np.zeros_like(params.bias_ih), bias_hh=np.zeros_like(params.bias_hh))
    zero = [np.zeros_like(weight) for weight in (params.weight_ih, params.weight_hh)]
    return params._replace(weight_ih=zero[0], weight_hh=zero[1])
