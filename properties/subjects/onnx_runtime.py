"""ONNX Runtime's RNN and LSTM on CPU as a subject: `subject` hands the weights in, `fixed` has them in the model.

In the model, where users have them, weights may be packed when it is loaded. Not declared: float64, for which the CPU
has no kernel, layout=1, which the kernels refuse, and one bias alone, since B holds both.
"""

from __future__ import annotations

import functools

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as states

from properties.subjects.onnx_models import IMPORTS, OneNode, model, tensors


def load(built):
    """A session on CPU with one thread, for a model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(built.SerializeToString(), options, providers=["CPUExecutionProvider"])


@functools.lru_cache(maxsize=256)
def session(cell, H, inputs, attributes):
    """The session for H units and inputs of these ranks and dtypes; it holds no weights."""
    given = {name: None if rank is None else np.zeros((H,) * rank, dtype) for name, rank, dtype in inputs}
    return load(model(cell, given, **dict(attributes)))


def run(cell, given, **attributes):
    """The node's outputs, by a session that is kept for other numbers and sizes."""
    inputs = tuple((n, None, None) if a is None else (n, a.ndim, a.dtype.name) for n, a in given.items())
    found = session(cell, given["R"].shape[-1], inputs, tuple(attributes.items()))
    return found.run(None, {name: a for name, a in given.items() if a is not None})


def forward(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths):
    """The outputs of one node, whose weights are inputs of the model."""
    Y, *last = run(cell, tensors(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths))
    return (Y[:, 0], *(a[0] for a in last), None)[:3]


def run_fixed(cell, given, **attributes):
    """The node's outputs, by a session of its own with the weights in the model, which it packs as it likes."""
    fixed = ("W", "R", "B")
    found = load(model(cell, given, fixed, **attributes))
    return found.run(None, {name: a for name, a in given.items() if a is not None and name not in fixed})


def forward_fixed(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths):
    """The outputs of one node, whose weights are part of the model."""
    Y, *last = run_fixed(cell, tensors(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths))
    return (Y[:, 0], *(a[0] for a in last), None)[:3]


CAPABILITIES = ("lengths", "empty rows", "no steps", "no rows", "cell state", "checks", "directions")
ERRORS = tuple(e for e in vars(states).values() if isinstance(e, type) and issubclass(e, Exception))


def made(name, forward, run, source):
    """A subject of either kind."""
    return OneNode(
        name,
        forward,
        run=run,
        errors=ERRORS,
        cells=("rnn", "lstm", "rnn_relu"),
        dtypes=("float32",),
        capabilities=CAPABILITIES,
        alpha=2.5,  # 2.34 measured: sigma is cut off below -18, and the RNN's tanh(a) is 2 sigma(2a) - 1
        version=f"onnxruntime {onnxruntime.__version__}, onnx {onnx.__version__}",
        source=(tensors, model, load, *source, forward),
        imports=f"import functools\n\n{IMPORTS}\nimport onnxruntime",
    )


subject = made("onnx_runtime", forward, run, (session, run))
fixed = made("onnx_runtime_fixed", forward_fixed, run_fixed, (run_fixed,))
