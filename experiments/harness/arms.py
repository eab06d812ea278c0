"""The cells under comparison: how each is drawn, from the same random numbers wherever they have the same shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from impl import draw
from impl.spec import GATES, VARIANTS, Model, Parameters, block, tree_map

CHRONO_FACTOR = 1.5


class Arm(NamedTuple):
    """One cell with one way to start: `start(name, seed, H, D, length)` draws its Parameters.

    `half_life` is the steps in which a small signal halves at the start, None where no closed form is short.
    """

    name: str
    cell: str
    label: str
    start: Callable[[np.random.Generator, np.random.Generator, int, int, int], Parameters]
    half_life: float | None = None

    @property
    def family(self) -> str:
        """rnn or lstm, of which the cell is one."""
        return self.cell.split("_")[0]


def forget_bias(value: float) -> Callable[..., Parameters]:
    """torch's default, then the summed forget bias exactly `value`."""
    return lambda rng, extra, D, H, length: draw.with_forget_bias(draw.uniform(rng, "lstm", D, H), value)


def torch_default(cell: str) -> Callable[..., Parameters]:
    """torch's default: all of a cell's parameters uniform in +-1/sqrt(H)."""
    return lambda rng, extra, D, H, length: draw.uniform(rng, cell, D, H)


def orthogonal_rnn(rng: Any, extra: Any, D: int, H: int, length: int) -> Parameters:
    """torch's default, then an orthogonal recurrent matrix and biases of zero, which are trained like the others.

    Source: Saxe, McClelland, Ganguli 2014 for W_hh; Keras has zero biases beside it; decisions/0008 says why we do.
    """
    params = orthogonal_rnn_torch_biases(rng, extra, D, H, length)
    return params._replace(bias_ih=0.0 * params.bias_ih, bias_hh=0.0 * params.bias_hh)


def orthogonal_rnn_torch_biases(rng: Any, extra: Any, D: int, H: int, length: int) -> Parameters:
    """torch's default, then an orthogonal recurrent matrix; the biases stay uniform in +-1/sqrt(H)."""
    return draw.orthogonal(rng, "rnn", D, H)


def identity_rnn(cell: str) -> Callable[..., Parameters]:
    """torch's default, then W_hh = 1 and biases of zero, which are trained like the others.

    Source: Le, Jaitly, Hinton 2015, whose IRNN (relu) draws its other weights from N(0, .001^2); ours keep torch's.
    """

    def start(rng: Any, extra: Any, D: int, H: int, length: int) -> Parameters:
        params = draw.identity(rng, cell, D, H)
        return params._replace(bias_ih=0.0 * params.bias_ih, bias_hh=0.0 * params.bias_hh)

    return start


def chrono(rng: Any, extra: Any, D: int, H: int, length: int) -> Parameters:
    """torch's default, then chrono biases for time scales up to 1.5 times the length that is asked for."""
    return draw.with_chrono(extra, draw.uniform(rng, "lstm", D, H), max(2.0, CHRONO_FACTOR * length))


def variant(cell: str) -> Callable[..., Parameters]:
    """The LSTM's start with b_f = 1, less the rows of the gates that the variant does not have.

    So a variant has the full LSTM's numbers wherever both have parameters. A gate that is absent is 1 from the first
    step; where i = 1 - f, b_f = 1 starts with i = sigma(-1) in the mean.
    """

    def start(rng: Any, extra: Any, D: int, H: int, length: int) -> Parameters:
        whole = forget_bias(1.0)(rng, extra, D, H, length)
        kept = np.concatenate([np.arange(4 * H)[block("lstm", gate, H)] for gate in GATES[cell]])
        return tree_map(lambda rows: rows[kept], whole)

    return start


def half_life_of_gate(value: float) -> float:
    """-ln 2 / ln sigma(b_f): the steps after which a forget gate at its bias has halved c."""
    return math.log(2.0) / math.log1p(math.exp(-value))


HALF_LIFE_UNIFORM = 2.0 * math.log(2.0) / math.log(3.0)
"""-ln 2 / ln g of the uniform RNN: entries of variance 1/(3H) have spectral radius g = 1/sqrt 3 (Girko, large H)."""

VARIANT_LABELS = {
    "lstm_no_forget": "no forget gate",
    "lstm_no_input": "no input gate",
    "lstm_no_output": "no output gate",
    "lstm_coupled": "coupled gates",
    "lstm_linear_output": "linear output",
}
"""The variants of impl.spec.VARIANTS, for readers."""

ARMS = {
    arm.name: arm
    for arm in (
        Arm("lstm_b0", "lstm", "LSTM b_f=0", forget_bias(0.0), half_life_of_gate(0.0)),
        Arm("lstm_b1", "lstm", "LSTM b_f=1", forget_bias(1.0), half_life_of_gate(1.0)),
        Arm("lstm_b3", "lstm", "LSTM b_f=3", forget_bias(3.0), half_life_of_gate(3.0)),
        Arm("lstm_torch", "lstm", "LSTM torch", torch_default("lstm")),
        Arm("lstm_chrono", "lstm", "LSTM chrono", chrono),
        *(Arm(cell, cell, label, variant(cell)) for cell, label in VARIANT_LABELS.items()),
        Arm("rnn_uniform", "rnn", "RNN uniform", torch_default("rnn"), HALF_LIFE_UNIFORM),
        Arm("rnn_orthogonal", "rnn", "RNN orthogonal", orthogonal_rnn),
        Arm("rnn_orthogonal_torch_biases", "rnn", "RNN orthogonal, torch biases", orthogonal_rnn_torch_biases),
        Arm("rnn_identity", "rnn", "RNN identity", identity_rnn("rnn")),
        Arm("irnn", "rnn_relu", "IRNN", identity_rnn("rnn_relu")),
    )
}


def parameters(cell: str, D: int, V: int, H: int) -> int:
    """How many numbers a model has: cell with two biases, and read-out."""
    return len(GATES[cell]) * H * (D + H + 2) + V * (H + 1)


def widest(count: Callable[[int], int], most: int) -> int:
    """The largest width H of which `count(H)`, which grows with H, is at most `most`; at least 1."""
    H = 1
    while count(H + 1) <= most:
        H += 1
    return H


def equal_width(H: int, D: int) -> int:
    """Units of an RNN whose step has the multiply-adds of an LSTM's of H units on D features.

    4 H (H + D) = n (n + D), rounded to the nearest n.
    """
    return round(math.sqrt(4 * H * (H + D) + D * D / 4) - D / 2)


def model(
    arm: str, words: Sequence[str | int], length: int, D: int, V: int, H: int, layers: int | None = None
) -> Model:
    """One model's parameters, float64; arms of one cell share all random numbers that they have in common.

    Args:
        arm: its name in ARMS. The LSTM's variants count as LSTMs where numbers are drawn.
        words: of the generators: experiment, task, seed and all else by which models are independent of each other.
        length: which chrono biases are made for.
        D, V, H: features, outputs, units.
        layers: the cell is a stack of so many, started alike, each from words of its own; the lowest is the one cell.
    Raises:
        ValueError: there is no such arm.
    """
    if arm not in ARMS:
        raise ValueError(f"`arm` must be one of {', '.join(ARMS)}; got {arm!r}.")
    cells = tuple(layer(arm, words, k, H if k else D, H, length) for k in range(layers or 1))
    return Model(cells[0] if layers is None else cells, draw.head(draw.generator(*words, "head"), V, H))


def layer(arm: str, words: Sequence[str | int], k: int, D: int, H: int, length: int) -> Parameters:
    """Layer k of a stack, from 0, by a model's words."""
    cell, own = ARMS[arm].cell, ("layer", k) if k else ()
    stream = "lstm" if cell in VARIANTS else cell
    weights, extra = (draw.generator(*words, *own, purpose, stream) for purpose in ("weights", "more weights"))
    return ARMS[arm].start(weights, extra, D, H, length)
