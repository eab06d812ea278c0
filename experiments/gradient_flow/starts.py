"""The ways to start an RNN and an LSTM, drawn from the same random numbers wherever they have the same shape."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from impl import draw
from impl.spec import Parameters

NO_INPUT, NO_WEIGHTS, NO_RECURRENCE = "input=zero", "weights=zero", "recurrence=zero"
"""What is taken away so that a form is exact: inputs and biases, so that an RNN's h = 0 and tanh' = 1; an LSTM's input
and recurrent weights, so that every gate is constant; its recurrent weights alone, so that nothing passes but c."""


class Start(NamedTuple):
    """One cell with one way to start.

    Attributes:
        cell: "rnn" or "lstm".
        kind: "torch", "gaussian", "orthogonal", "identity", "forget_bias" or "chrono".
        value: the recurrent gain or the forget bias; 0 where the kind has none.
        isolated: what is taken away, one of the three names above, or "".
    """

    cell: str
    kind: str
    value: float = 0.0
    isolated: str = ""

    @property
    def setting(self) -> str:
        """Its path, such as "rnn/start=gaussian/gain=0.5"."""
        name = "b_f" if self.kind == "forget_bias" else "gain" if self.kind in RECURRENT else ""
        parts = [self.cell, f"start={self.kind}"] + ([f"{name}={self.value:g}"] if name else [])
        return "/".join(parts + ([self.isolated] if self.isolated else []))

    @property
    def gain(self) -> float:
        """The recurrent gain; of torch's start that of entries uniform in +-1/sqrt(H), whose variance is 1/(3 H)."""
        return 3**-0.5 if self.kind == "torch" else self.value

    @property
    def label(self) -> str:
        """Its name for readers, without the cell."""
        if self.kind in RECURRENT:
            return f"gain {self.value:g}"
        return f"$b_f$ = {self.value:g}" if self.kind == "forget_bias" else self.kind


RECURRENT = ("gaussian", "orthogonal", "identity")
"""Kinds that speak of the recurrent matrix, in draw.py under the same name."""

GAINS = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
BIASES = (0.0, 1.0, 2.0, 3.0, 5.0)
MEASURED = (
    Start("rnn", "torch"),
    *(Start("rnn", kind, gain) for kind in RECURRENT for gain in GAINS),
    Start("lstm", "torch"),
    *(Start("lstm", "forget_bias", bias) for bias in BIASES),
    Start("lstm", "chrono"),
)
EXACT = (
    *(Start("rnn", kind, gain, NO_INPUT) for kind in ("orthogonal", "identity") for gain in (0.8, 1.0, 1.5)),
    *(Start("lstm", "forget_bias", bias, NO_WEIGHTS) for bias in BIASES),
)
"""Starts whose norm by lag is known exactly."""

CELL_ALONE = (
    Start("lstm", "torch", isolated=NO_RECURRENCE),
    *(Start("lstm", "forget_bias", bias, NO_RECURRENCE) for bias in (1.0, 3.0)),
    Start("lstm", "chrono", isolated=NO_RECURRENCE),
)
"""Starts whose direct path is the whole gradient, though the gates move."""

STARTS = {start.setting: start for start in (*MEASURED, *EXACT, *CELL_ALONE)}


def parameters(start: Start, seed: int, D: int, H: int, T: int, layer: int = 0) -> Parameters:
    """One layer's parameters, float64; starts of one cell share what they have in common.

    Chrono reaches for T_max = T, the length of the sequence. Layers above the first, 0, have random
    numbers of their own.
    """
    words = ("gradient_flow", start.cell, H, seed)
    place = (layer,) if layer else ()
    rng, more = (draw.generator(*words, what, *place) for what in ("weights", "chrono"))
    if start.kind in RECURRENT:
        params = getattr(draw, start.kind)(rng, start.cell, D, H, start.value)
    else:
        params = draw.uniform(rng, start.cell, D, H)
    if start.kind == "forget_bias":
        params = draw.with_forget_bias(params, start.value)
    if start.kind == "chrono":
        params = draw.with_chrono(more, params, T)
    return isolated(start.isolated, params)


def isolated(what: str, params: Parameters) -> Parameters:
    """The parameters without what is taken away; NO_INPUT takes the inputs away elsewhere."""
    gone = {NO_INPUT: ("bias_ih", "bias_hh"), NO_WEIGHTS: ("weight_ih", "weight_hh"), NO_RECURRENCE: ("weight_hh",)}
    return params._replace(**{name: np.zeros_like(getattr(params, name)) for name in gone.get(what, ())})
