"""flax.linen's cells in nn.RNN on CPU as subjects: `subject` has OptimizedLSTMCell, `lstm_cell` has LSTMCell."""

from __future__ import annotations

from functools import partial

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from properties.subjects.jax_common import SETTINGS, JaxPlain
from properties.subjects.plain import Conventions


def layer(kind, features, dtype):
    """The cell that `kind` names, over time."""
    cell = {
        "rnn": nn.SimpleCell,
        "rnn_relu": partial(nn.SimpleCell, activation_fn=nn.relu),
        "lstm": nn.OptimizedLSTMCell,
        "LSTMCell": nn.LSTMCell,
    }[kind]
    return nn.RNN(cell(features, param_dtype=dtype), time_major=True, return_carry=True)


def variables(kind, weight_ih, weight_hh, bias):
    """The parameters under Flax's names; the one bias is on the input's side of SimpleCell, on h's of an LSTM."""
    if kind in ("rnn", "rnn_relu"):
        cell = {"i": {"kernel": weight_ih, "bias": bias}, "h": {"kernel": weight_hh}}
    else:
        W, R, b = (jnp.split(a, 4, axis=-1) for a in (weight_ih, weight_hh, bias))
        cell = {f"i{gate}": {"kernel": w} for gate, w in zip("ifgo", W, strict=True)}
        cell |= {f"h{gate}": {"kernel": r, "bias": v} for gate, r, v in zip("ifgo", R, b, strict=True)}
    return {"params": {"cell": cell}}


@partial(jax.jit, static_argnums=0)
def run(kind, given, lengths):
    """h, hT and cT."""
    x, h0, c0, weight_ih, weight_hh, _, bias = given
    carry = h0 if c0 is None else (c0, h0)  # None: RNN asks the cell's initialize_carry
    rnn = layer(kind, weight_hh.shape[0], weight_hh.dtype)
    params = variables(kind, weight_ih, weight_hh, bias)
    carry, h = rnn.apply(params, x, initial_carry=carry, seq_lengths=lengths)
    if lengths is not None:  # "The output elements corresponding to padding elements are NOT zeroed out"
        h = jnp.where((jnp.arange(len(x))[:, None] < lengths)[:, :, None], h, 0)
    return (h, carry, None) if kind in ("rnn", "rnn_relu") else (h, carry[1], carry[0])


@partial(jax.jit, static_argnums=0)
def pulled(kind, given, lengths, cotangents):
    """The gradients by what is given."""
    return jax.vjp(lambda given: run(kind, given, lengths), given)[1](cotangents)[0]


def forward(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths):
    """h, hT and cT."""
    given = x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh
    try:
        return jax.tree.map(np.array, run(cell, given, lengths))
    except flax.errors.FlaxError as error:  # an Exception of Flax's own
        raise ValueError(str(error)) from error


def gradients(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths, dh, dhT, dcT):
    """The gradient by each argument."""
    given = x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh
    return jax.tree.map(np.array, pulled(cell, given, lengths, (dh, dhT, dcT)))


def forward_lstm_cell(cell, *arguments):
    """As `forward`, of LSTMCell."""
    return forward("LSTMCell", *arguments)


def gradients_lstm_cell(cell, *arguments):
    """As `gradients`, of LSTMCell."""
    return gradients("LSTMCell", *arguments)


def pulled_lstm_cell(cell, *arguments):
    """As `pulled`, of LSTMCell."""
    return pulled("LSTMCell", *arguments)


OPTIONS = {
    "conventions": Conventions(transposed=True, biases="hidden", no_state=True),
    "capabilities": ("lengths", "empty rows", "no steps", "no rows", "cell state", "checks"),
    "version": f"flax {flax.__version__}, jax {jax.__version__}",
    "imports": "from functools import partial\n\nimport flax\nimport jax\nimport jax.numpy as jnp\nimport numpy as np\n"
    f"from flax import linen as nn\n\n{SETTINGS}",
}
SOURCE = layer, variables, run, pulled, forward, gradients

subject = JaxPlain(
    "flax_linen", forward, gradients, pulled=pulled, cells=("rnn", "rnn_relu", "lstm"), source=SOURCE, **OPTIONS
)
lstm_cell = JaxPlain(
    "flax_linen_lstm_cell",
    forward_lstm_cell,
    gradients_lstm_cell,
    pulled=pulled_lstm_cell,
    cells=("lstm",),
    source=(*SOURCE, forward_lstm_cell, gradients_lstm_cell),
    **OPTIONS,
)
