"""equinox.nn.LSTMCell on CPU as a subject: its step under vmap for the batch, in a lax.scan, as its docstring shows.

Not declared: rows of different lengths, which the library does not have.
"""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np

from properties.subjects.jax_common import SETTINGS, JaxPlain
from properties.subjects.plain import Conventions


@jax.jit
def run(given):
    """h, hT and cT."""
    x, h0, c0, weight_ih, weight_hh, bias, _ = given
    D, H = weight_ih.shape[1], weight_hh.shape[1]
    cell = eqx.nn.LSTMCell(D, H, use_bias=bias is not None, dtype=weight_hh.dtype, key=jax.random.key(0))
    fields = ("weight_ih", "weight_hh") if bias is None else ("weight_ih", "weight_hh", "bias")
    values = (weight_ih, weight_hh, bias)[: len(fields)]
    cell = eqx.tree_at(lambda cell: tuple(getattr(cell, name) for name in fields), cell, values)

    def step(state, inputs):
        state = jax.vmap(cell)(inputs, state)
        return state, state[0]

    (hT, cT), h = jax.lax.scan(step, (h0, c0), x)
    return h, hT, cT


@jax.jit
def pulled(given, cotangents):
    """The gradients by what is given."""
    return jax.vjp(run, given)[1](cotangents)[0]


def forward(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths):
    """h, hT and cT."""
    return jax.tree.map(np.array, run((x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh)))


def gradients(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths, dh, dhT, dcT):
    """The gradient by each argument."""
    given = x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh
    return jax.tree.map(np.array, pulled(given, (dh, dhT, dcT)))


subject = JaxPlain(
    "equinox_cells",
    forward,
    gradients,
    pulled=lambda cell, given, lengths, cotangents: pulled(given, cotangents),
    conventions=Conventions(biases="input", no_bias=True),
    cells=("lstm",),
    capabilities=("no steps", "no rows", "cell state", "checks"),
    version=f"equinox {eqx.__version__}, jax {jax.__version__}",
    source=(run, pulled, forward, gradients),
    imports=f"import equinox as eqx\nimport jax\nimport numpy as np\n\n{SETTINGS}",
)
