"""Keras's recurrent layers on its JAX back end as a subject, on CPU, compiled; their gradients come from jax.vjp.

JAX is told to keep float64, which it makes float32 otherwise. Not declared: sequences without steps, which the layers
refuse.
"""

from __future__ import annotations

import functools
import os

os.environ["KERAS_BACKEND"] = "jax"

import keras

if keras.backend.backend() != "jax":
    raise ImportError(f"keras is imported already, with the back end {keras.backend.backend()}: use another process.")

import jax
import numpy as np

from properties.subjects.keras_layers import SOURCE, KerasLayers, flat, mask_of, modules, through

jax.config.update("jax_enable_x64", True)


@functools.cache
def compiled(cell):
    """The outputs and their gradients for a cell, as functions that JAX compiles for every shape."""

    def run(x, states, layers, mask):
        found = modules(cell, layers)
        variables = [variable for layer in found for variable in layer.trainable_variables]
        with keras.StatelessScope(list(zip(variables, flat(layers), strict=True))):
            return through(found, x, states, mask)

    def back(x, states, layers, mask, cotangents):
        return jax.vjp(lambda *given: run(*given, mask), x, states, layers)[1](cotangents)

    return jax.jit(run), jax.jit(back)


def dense(nested):
    """The arrays of nested lists, each in rows of memory."""
    return [dense(part) for part in nested] if isinstance(nested, list) else np.array(nested, order="C")


def outputs(cell, x, states, layers, lengths):
    """h of the last layer, and all last states."""
    run, _ = compiled(cell)
    return [np.array(a) for a in run(dense(x), dense(states), dense(layers), mask_of(x, lengths))]


def vjp(cell, x, states, layers, lengths, cotangents):
    """The gradients of <cotangents, outputs> by x, all states and all weights, in order."""
    _, back = compiled(cell)
    found = back(dense(x), dense(states), dense(layers), mask_of(x, lengths), dense(cotangents))
    return [np.array(d) for d in flat(list(found))]


def forward(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths):
    """h (B, T, H), hT and cT of one layer."""
    states = [[a for a in (h0, c0) if a is not None]] if h0 is not None else []
    layers = [[[a for a in (weight_ih, weight_hh, bias_ih) if a is not None]]]
    h, hT, *cT = outputs(cell, x, states, layers, lengths)
    return h, hT, cT[0] if cT else None


def gradients(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths, dh, dhT, dcT):
    """The gradient of <dh, h> + <dhT, hT> + <dcT, cT> by each argument."""
    states = [[a for a in (h0, c0) if a is not None]] if h0 is not None else []
    layers = [[[a for a in (weight_ih, weight_hh, bias_ih) if a is not None]]]
    found = iter(vjp(cell, x, states, layers, lengths, [d for d in (dh, dhT, dcT) if d is not None]))
    return (*(None if a is None else next(found) for a in (x, h0, c0, weight_ih, weight_hh, bias_ih)), None)


subject = KerasLayers(
    "keras_jax",
    forward,
    gradients,
    outputs,
    vjp,
    version=f"keras {keras.__version__}, jax {jax.__version__}",
    pooled=True,
    alpha=0.1,  # 0.04 was measured: tanh errs by 4.04 u at -0.134
    source=(*SOURCE, compiled, dense, outputs, vjp, forward, gradients),
    imports='import functools\nimport os\n\nos.environ["KERAS_BACKEND"] = "jax"\n\n'
    'import jax\nimport keras\nimport numpy as np\n\njax.config.update("jax_enable_x64", True)',
)
