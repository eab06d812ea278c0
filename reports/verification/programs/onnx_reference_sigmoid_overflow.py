"""ONNX's reference evaluator overflows in an LSTM's sigma of a gate below -89 (float32) or -710, and warns of it.

Subject: onnx_reference
Law: saturation
Where: lstm, both dtypes: inputs up to 1e30 give no warning; where warnings are errors, laws "gates" and "range" too
Reason: sigma(a) is computed as 1 / (1 + exp(-a)), whose exp is inf for such a; the result 0 is right all the same. By
    the operator's equations a shut gate is an ordinary value, and nothing went wrong of which one should be warned.
    Where warnings are errors (pytest -W error), or under np.errstate(all="raise"), the model cannot be run.
Upstream: to report: "CommonLSTM.f computes 1 / (1 + exp(-x)) and gives 'overflow encountered in exp' for x below -88.7
    in float32. With z = exp(-|x|) the two forms 1 / (1 + z) for x >= 0 and z / (1 + z) for x < 0 do not overflow."
"""

import warnings

import numpy as np
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

feeds = {
    "X": np.full((1, 1, 1), -100, np.float32),
    "W": np.ones((1, 4, 1), np.float32),
    "R": np.zeros((1, 4, 1), np.float32),
}
node = helper.make_node("LSTM", ["X", "W", "R"], ["Y"], hidden_size=1)
inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, feeds[name].shape) for name in feeds]
outputs = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, None)]
graph = helper.make_graph([node], "shut", inputs, outputs)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    (Y,) = ReferenceEvaluator(model).run(None, feeds)
print(f"all gates at -100: h is {Y.item()}, must be 0 within 1e-37; no warning must be given, got:")
print("\n".join(str(w.message) for w in heard) or "none")
assert abs(Y.item()) <= 1e-37
assert not heard
