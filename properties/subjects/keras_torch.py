"""Keras's recurrent layers on its torch back end as a subject, on CPU; their gradients come from torch's autograd.

Not declared: sequences without steps, which the layers refuse.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras

if keras.backend.backend() != "torch":
    raise ImportError(f"keras is imported already, with the back end {keras.backend.backend()}: use another process.")

import numpy as np
import torch

from properties.subjects.keras_layers import SOURCE, KerasLayers, flat, mask_of, modules, through


def own(nested):
    """The arrays of nested lists as tensors with memory of their own."""
    return [own(part) for part in nested] if isinstance(nested, list) else torch.from_numpy(np.array(nested, order="C"))


def record(cell, x, states, layers, lengths):
    """What the gradients are by (x, all states, all weights, in order), and all outputs with the graph behind them."""
    found, x, states, mask = modules(cell, layers), own(x).requires_grad_(), own(states), mask_of(x, lengths)
    for layer, weights in zip(found, layers, strict=True):
        layer.set_weights(flat(weights))
    leaves = [x, *(a.requires_grad_() for a in flat(states))]
    leaves += [variable.value for layer in found for variable in layer.trainable_variables]
    return leaves, through(found, x, states, None if mask is None else torch.from_numpy(mask))


def outputs(cell, x, states, layers, lengths):
    """h of the last layer, and all last states."""
    with torch.no_grad():
        return [a.numpy().copy() for a in record(cell, x, states, layers, lengths)[1]]


def vjp(cell, x, states, layers, lengths, cotangents):
    """The gradients of <cotangents, outputs> by x, all states and all weights, in order."""
    leaves, found = record(cell, x, states, layers, lengths)
    return [d.numpy().copy() for d in torch.autograd.grad(found, leaves, own(cotangents))]


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
    "keras_torch",
    forward,
    gradients,
    outputs,
    vjp,
    version=f"keras {keras.__version__}, torch {torch.__version__.split('+')[0]}",
    source=(*SOURCE, own, record, outputs, vjp, forward, gradients),
    imports='import functools\nimport os\n\nos.environ["KERAS_BACKEND"] = "torch"\n\n'
    "import keras\nimport numpy as np\nimport torch",
)
