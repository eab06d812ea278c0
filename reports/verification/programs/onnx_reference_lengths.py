"""ONNX's reference evaluator ignores sequence_lens: every row of an RNN or LSTM runs to the end of the padding.

Subject: onnx_reference
Law: lengths, reversal, empty time, shapes, layout, poison
Where: rnn, lstm, both dtypes; also laws "reversal" (padded rows), "empty time" (rows of length 0), "shapes" (lengths
    beyond seq_length, below 0 or too many are taken)
Reason: the evaluator's RNN, LSTM and GRU take the argument and never read it. The specification has sequence_lens tell
    how long each sequence of the batch is, all seq_length only if it is not given: so Y_h is the h of a row's own last
    step. (What Y holds after that it leaves open; runtimes write zeros.) The values are wrong without a word, and
    whoever compares a runtime with the reference blames the runtime.
Upstream: to report: "ReferenceEvaluator ignores sequence_lens of RNN, GRU and LSTM: with lengths (1,) and seq_length 2
    Y_h is the hidden state after two steps. Either apply it or raise NotImplementedError if any length is less than
    seq_length." (https://github.com/onnx/onnx/pull/7935 mended the same for `direction`.)
"""

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

x, wrong = np.array([1, 2], np.float64).reshape(2, 1, 1), []
for operator, gates in (("RNN", 1), ("LSTM", 4)):
    feeds = {"X": x, "W": np.ones((1, gates, 1)), "R": np.zeros((1, gates, 1)), "lengths": np.array([1], np.int32)}
    node = helper.make_node(operator, ["X", "W", "R", "", "lengths"], ["Y", "Y_h"], hidden_size=1)
    types = {name: TensorProto.INT32 if name == "lengths" else TensorProto.DOUBLE for name in feeds}
    inputs = [helper.make_tensor_value_info(name, types[name], feeds[name].shape) for name in feeds]
    outputs = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None) for name in ("Y", "Y_h")]
    graph = helper.make_graph([node], "lengths", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    Y, Y_h = ReferenceEvaluator(model).run(None, feeds)
    h1 = np.tanh(1) if operator == "RNN" else np.tanh(np.tanh(1) / (1 + np.exp(-1))) / (1 + np.exp(-1))
    print(f"{operator}, a row of length 1 of 2: Y_h is {Y_h.item():.6f}, must be {h1:.6f} within 1e-12")
    print(f"    Y after the row's end is {Y[1].item():.6f}; the laws want 0, which is what ONNX Runtime gives")
    wrong += [] if abs(Y_h.item() - h1) <= 1e-12 else [operator]
assert not wrong, wrong
