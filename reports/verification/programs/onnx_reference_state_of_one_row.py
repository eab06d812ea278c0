"""ONNX's reference evaluator takes an initial state of one row for a batch of two, for every row; it must refuse it.

Subject: onnx_reference
Law: shapes
Where: rnn, lstm, both dtypes: what does not fit is refused (a state of one row); behind the break by mixed dtypes
Reason: the specification gives initial_h and initial_c the shape (num_directions, batch_size, hidden_size); the
    evaluator checks none, and NumPy broadcasts. ONNX Runtime refuses it ("Input initial_h must have shape {1,2,1}.
    Actual:{1,1,1}"). A state that was sliced wrongly gives numbers without a word.
Upstream: https://github.com/onnx/onnx/issues/5618 asks for such constraints (closed as stale); to report:
    "ReferenceEvaluator broadcasts initial_h of shape (1, 1, 1) over a batch of 2 in RNN (and
    initial_h, initial_c in LSTM); the operator asks for (num_directions, batch_size, hidden_size). A comparison of
    shapes at the start of _run would refuse it."
"""

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

taken = []
for operator, gates, states in (("RNN", 1, ["h"]), ("LSTM", 4, ["h", "c"])):
    feeds = {"X": np.ones((1, 2, 1)), "W": np.ones((1, gates, 1)), "R": np.ones((1, gates, 1))}
    feeds |= {f"initial_{s}": np.ones((1, 1, 1)) for s in states}
    node = helper.make_node(operator, ["X", "W", "R", "", "", *list(feeds)[3:]], ["Y"], hidden_size=1)
    inputs = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, feeds[name].shape) for name in feeds]
    outputs = [helper.make_tensor_value_info("Y", TensorProto.DOUBLE, None)]
    graph = helper.make_graph([node], "one_row", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    try:
        (Y,) = ReferenceEvaluator(model).run(None, feeds)
        taken.append(operator)
        print(f"{operator}, a batch of 2, states of shape (1, 1, 1) must be refused; Y has shape {Y.shape}")
    except (ValueError, TypeError, RuntimeError) as error:
        print(f"refused: {error}")
assert not taken
