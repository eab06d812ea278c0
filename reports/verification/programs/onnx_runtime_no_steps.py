"""ONNX Runtime's RNN and LSTM give zeros as last state of a sequence without steps, whatever the initial state was.

Subject: onnx_runtime
Law: empty time
Where: rnn, lstm float32: a sequence without steps (X of shape (0, 1, 1)) hands back its initial state
Reason: the kernels take the shape, so they must answer it: they return before the first step and fill Y_h and Y_c with
    zeros. The specification calls Y_h the last value of the hidden state and initial_h its first; the equations of no
    step leave it as it is. A sequence cut in two, one part of which is empty, gives another state than the whole.
Upstream: the same question as https://github.com/onnx/onnx/issues/1674 (a row of length 0), which was closed as stale;
    to report: "RNN and LSTM of X with seq_length 0 return Y_h (and Y_c) of zeros although initial_h (initial_c) is
    given. Returning the initial state, as the equations say, would let a caller split sequences anywhere."
"""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

wrong = []
for operator, gates, states in (("RNN", 1, ["h"]), ("LSTM", 4, ["h", "c"])):
    feeds = {
        "X": np.zeros((0, 1, 1), np.float32),
        "W": np.zeros((1, gates, 1), np.float32),
        "R": np.zeros((1, gates, 1), np.float32),
        **{f"initial_{s}": np.full((1, 1, 1), 0.5, np.float32) for s in states},
    }
    names, results = ["X", "W", "R", "", "", *list(feeds)[3:]], [f"Y_{s}" for s in states]
    node = helper.make_node(operator, names, ["", *results], hidden_size=1)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, feeds[name].shape) for name in feeds]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 1)) for name in results]
    graph = helper.make_graph([node], "no_steps", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, last in zip(results, session.run(results, feeds), strict=True):
        print(f"{operator}, no steps from a state of 0.5: {name} is {last.item()}, must be 0.5")
        wrong += [] if last.item() == 0.5 else [f"{operator} {name}"]
assert not wrong, wrong
