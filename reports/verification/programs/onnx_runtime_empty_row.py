"""ONNX Runtime's RNN and LSTM give zeros as last state of a row of length 0, whatever its initial state was.

Subject: onnx_runtime
Law: empty time
Where: rnn, lstm float32: rows of length zero hand back their initial state
Reason: the kernels fill Y_h and Y_c of such a row with zeros. The specification calls Y_h the last value of the hidden
    state and initial_h its first, and the equations of no step leave it as it is; but it does not name this case, and
    ONNX Runtime has chosen zeros (https://github.com/microsoft/onnxruntime/pull/28052). A stream that sends a row
    nothing in one call loses that row's state. TensorFlow hands it back.
Upstream: https://github.com/onnx/onnx/issues/1674 (closed as stale; https://github.com/onnx/onnx/pull/2089 asks again)
"""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

wrong = []
for operator, gates, states in (("RNN", 1, ["h"]), ("LSTM", 4, ["h", "c"])):
    feeds = {
        "X": np.zeros((1, 1, 1), np.float32),
        "W": np.zeros((1, gates, 1), np.float32),
        "R": np.zeros((1, gates, 1), np.float32),
        "sequence_lens": np.array([0], np.int32),
        **{f"initial_{s}": np.full((1, 1, 1), 0.5, np.float32) for s in states},
    }
    names, results = ["X", "W", "R", "", *list(feeds)[3:]], [f"Y_{s}" for s in states]
    node = helper.make_node(operator, names, ["", *results], hidden_size=1)
    types = {name: TensorProto.INT32 if name == "sequence_lens" else TensorProto.FLOAT for name in feeds}
    inputs = [helper.make_tensor_value_info(name, types[name], feeds[name].shape) for name in feeds]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 1)) for name in results]
    graph = helper.make_graph([node], "empty_row", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, last in zip(results, session.run(results, feeds), strict=True):
        print(f"{operator}, a row of length 0 from a state of 0.5: {name} is {last.item()}, must be 0.5")
        wrong += [] if last.item() == 0.5 else [f"{operator} {name}"]
assert not wrong, wrong
