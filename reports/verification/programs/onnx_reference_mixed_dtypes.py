"""ONNX's reference evaluator takes a float64 X beside float32 weights and computes in a mixture; it must refuse it.

Subject: onnx_reference
Law: shapes
Where: rnn, lstm, both dtypes: what does not fit is refused (x of another dtype)
Reason: the operator has one type T for X, W, R, B and the initial states, so that the model is invalid; the evaluator
    loads and runs it, by NumPy's promotion, and rounds the results to the dtype of X. ONNX Runtime refuses the model
    ("Type parameter (T) bound to different types"), and so does onnx.checker, but only with full_check=True.
Upstream: https://github.com/onnx/onnx/issues/5618 asks for such constraints (closed as stale); to report:
    "ReferenceEvaluator runs an RNN or LSTM whose X is double and whose W and R are float: an invalid
    model by the type constraint T. A check that the inputs bound to one type parameter have one dtype would refuse it
    where onnxruntime does."
"""

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

feeds = {"X": np.ones((1, 1, 1)), "W": np.ones((1, 1, 1), np.float32), "R": np.ones((1, 1, 1), np.float32)}
types = {"X": TensorProto.DOUBLE, "W": TensorProto.FLOAT, "R": TensorProto.FLOAT}
node = helper.make_node("RNN", ["X", "W", "R"], ["Y"], hidden_size=1)
inputs = [helper.make_tensor_value_info(name, types[name], (1, 1, 1)) for name in feeds]
outputs = [helper.make_tensor_value_info("Y", TensorProto.DOUBLE, (1, 1, 1, 1))]
graph = helper.make_graph([node], "mixed", inputs, outputs)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
try:
    onnx.checker.check_model(model, full_check=True)
    print("the checker takes the model")
except onnx.shape_inference.InferenceError as error:
    print("the checker refuses the model:", " ".join(str(error).split()))
try:
    (Y,) = ReferenceEvaluator(model).run(None, feeds)
except (ValueError, TypeError, RuntimeError) as error:
    print(f"X float64, weights float32: refused, as it must be: {error}")
else:
    print(f"X float64, weights float32: a Y of {Y.dtype} came; it must be refused")
    raise AssertionError("a float64 X beside float32 weights was taken")
