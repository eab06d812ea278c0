"""ONNX Runtime's RNN computes tanh(a) as 2 sigma(2a) - 1: tanh(-a) is not -tanh(a), and small h lose all their digits.

Subject: onnx_runtime
Law: symmetry
Where: rnn float32: turning a tanh unit's sign turns its state and nothing else
Reason: subtracting 1 leaves multiples of 2^-24 or 2^-23, by the sign of a: tanh(2e-8) is 0 and tanh(-2e-8) is -6e-8.
    The operator's default is Tanh, an odd function, and the LSTM's kernel has one that is odd to the bit and has a
    relative error below 6 u. The absolute error of this one is below 3 u, so that law "value" grants it (alpha 2.5 u).
Upstream: the formula is known (a comment in https://github.com/microsoft/onnxruntime/pull/28003), what follows is not;
    to report: "The CPU RNN's Tanh is 2 * Sigmoid(2 * x) - 1, which is not odd and has no correct digit for |x| < 3e-8:
    tanh(2e-8f) gives 0 and tanh(-2e-8f) gives -5.96e-8. std::tanh, or the MlasComputeTanh of LSTM and GRU, has
    neither fault."
"""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

node = helper.make_node("RNN", ["X", "W", "R"], ["Y"], hidden_size=1)
inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 1, 1)) for name in "XWR"]
outputs = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, (1, 1, 1, 1))]
graph = helper.make_graph([node], "tanh", inputs, outputs)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def h(x):
    """The RNN's h for the pre-activation x."""
    feeds = {"X": np.full((1, 1, 1), x, np.float32), "W": np.ones((1, 1, 1), np.float32)}
    return session.run(["Y"], feeds | {"R": np.zeros((1, 1, 1), np.float32)})[0].item()


odd = []
for a in (2e-8, 0.1, 0.5, 2.0):
    exact = float(np.tanh(np.float64(np.float32(a))))
    odd.append(h(a) == -h(-a))
    print(f"h of {a} and {-a}: {h(a):.9g} and {h(-a):.9g}, must be opposite to the bit; exact {exact:.9g}")
assert all(odd)
