"""mlx.nn.LSTM and mlx.nn.RNN on CPU as a subject; their gradients come from mx.vjp.

The layers give every h, and an LSTM every c; the last of each is the last state. Not declared: rows of different
lengths and a second direction, which the layers do not offer; sequences without steps, which mx.stack refuses.
"""

from __future__ import annotations

from importlib.metadata import version

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from properties.subjects.plain import Conventions, Plain

mx.set_default_device(mx.cpu)


def given(a):
    """An array of MLX's in the dtype of NumPy's: by default it would make float32 of float64."""
    return mx.array(np.array(a, order="C"), dtype=getattr(mx, a.dtype.name))


def loaded(cell, weights):
    """A layer with these weights, [Wx, Wh] or [Wx, Wh, bias]; `load_weights` refuses what does not fit its sizes."""
    H, D = weights[1].shape[1], weights[0].shape[1]
    if cell == "lstm":
        layer = nn.LSTM(D, H, bias=len(weights) == 3)
    else:
        layer = nn.RNN(D, H, bias=len(weights) == 3, nonlinearity={"rnn": None, "rnn_relu": nn.relu}[cell])
    layer.load_weights(list(zip(names(cell), weights, strict=False)))
    return layer


def names(cell):
    """The parameters of a layer."""
    return ("Wx" if cell == "lstm" else "Wxh", "Wh" if cell == "lstm" else "Whh", "bias")


def run(cell, layer, x, states):
    """All h, the last h and, of an LSTM, the last c."""
    if cell == "lstm":
        h, c = layer(x, *states)
        return h, h[:, -1], c[:, -1]
    h = layer(x, *states)
    return h, h[:, -1]


def forward(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths):
    """h (B, T, H), hT and cT."""
    weights = [given(a) for a in (weight_ih, weight_hh, bias_ih) if a is not None]
    states = [given(a) for a in (h0, c0) if a is not None]
    h, hT, *cT = run(cell, loaded(cell, weights), given(x), states)
    return np.array(h), np.array(hT), np.array(cT[0]) if cT else None


def gradients(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths, dh, dhT, dcT):
    """The gradient of <dh, h> + <dhT, hT> + <dcT, cT> by each argument."""
    arguments = (x, h0, c0, weight_ih, weight_hh, bias_ih)
    present = [n for n, a in enumerate(arguments) if a is not None]
    states = sum(n in (1, 2) for n in present)
    layer = loaded(cell, [given(a) for a in arguments[3:] if a is not None])

    def outputs(x, *rest):
        layer.update(dict(zip(names(cell), rest[states:], strict=False)))
        return run(cell, layer, x, rest[:states])

    cotangents = [given(a) for a in (dh, dhT, dcT) if a is not None]
    _, found = mx.vjp(outputs, [given(arguments[n]) for n in present], cotangents)
    by_place = {n: np.array(d) for n, d in zip(present, found, strict=True)}
    return (*(by_place.get(n) for n in range(6)), None)


subject = Plain(
    "mlx_cpu",
    forward,
    gradients,
    conventions=Conventions(batch_first=True, biases="input", no_bias=True, no_state=True),
    cells=("rnn", "rnn_relu", "lstm"),
    capabilities=("no rows", "cell state", "checks"),
    alpha=0.1,  # 0.02 was measured: the error of sigma grows with -x, to 29 u at -29
    version=f"mlx {version('mlx')} (CPU)",
    source=(given, names, loaded, run, forward, gradients),
    imports="import mlx.core as mx\nimport mlx.nn as nn\nimport numpy as np\n\nmx.set_default_device(mx.cpu)",
)
