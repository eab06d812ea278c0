"""onnx.reference, the evaluator in NumPy that comes with the specification of ONNX's operators, as a subject.

Not declared: an RNN of Relu, which the evaluator does not know; sequences without steps, which np.stack refuses; and
one bias alone, since B holds both.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from properties.subjects.onnx_models import IMPORTS, OneNode, model, tensors


def run(cell, given, **attributes):
    """The node's outputs."""
    evaluator = ReferenceEvaluator(model(cell, given, **attributes))
    with np.errstate(invalid="ignore"):  # np.dot may warn of it on finite numbers when NaN lies in memory beside them
        return evaluator.run(None, {name: a for name, a in given.items() if a is not None})


def forward(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths):
    """The outputs of one node."""
    Y, *last = run(cell, tensors(x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths))
    return (Y[:, 0], *(a[0] for a in last), None)[:3]


subject = OneNode(
    "onnx_reference",
    forward,
    run=run,
    cells=("rnn", "lstm"),
    capabilities=("lengths", "empty rows", "no rows", "cell state", "checks", "directions", "batch first"),
    version=f"onnx {onnx.__version__}",
    source=(tensors, model, run, forward),
    imports=f"{IMPORTS}\nfrom onnx.reference import ReferenceEvaluator",
)
