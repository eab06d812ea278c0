"""ONNX Runtime's LSTM ends the whole process on a batch without rows; its RNN gives outputs without rows, as it must.

Subject: onnx_runtime
Law: empty batch
Where: lstm float32: X of shape (1, 0, 1); std::terminate, exit code -6 ("terminate called without an active exception")
Reason: the kernel takes the largest of the rows' lengths, of which there are none: its checked span ends the process
    where it is read beyond its end (so the source reads; the message fits). It happens with and without sequence_lens
    and initial states, and with GRU too. No exception reaches Python, so that a server that is sent an empty batch is
    gone. A dynamic batch may be 0: then Y has no rows, or the call must be refused.
Upstream: to report: "CPU LSTM and GRU call std::terminate when batch_size is 0, e.g. X of shape (1, 0, 1); RNN returns
    an empty Y. An early return of empty outputs (or an INVALID_ARGUMENT) before the maximum of sequence_lengths is
    taken would do."
"""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

for operator, gates in (("RNN", 1), ("LSTM", 4)):
    feeds = {
        "X": np.zeros((1, 0, 1), np.float32),
        "W": np.zeros((1, gates, 1), np.float32),
        "R": np.zeros((1, gates, 1), np.float32),
    }
    node = helper.make_node(operator, ["X", "W", "R"], ["Y"], hidden_size=1)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * 3) for name in feeds]
    outputs = [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [None] * 4)]
    graph = helper.make_graph([node], "no_rows", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    print(f"{operator}, X of shape (1, 0, 1): Y must have shape (1, 1, 0, 1)", flush=True)
    (Y,) = session.run(["Y"], feeds)  # the LSTM's ends here
    print(f"{operator}: it has shape {Y.shape}", flush=True)
    assert Y.shape == (1, 1, 0, 1)
