"""MLX's sigmoid of float64 on CPU has float32's accuracy, and so has its LSTM: 1e-8 where it must be right to 1e-16.

Subject: mlx_cpu
Law: all
Where: lstm float64, every law that compares with exact values; at -103 a gate is 0, not 2e-45 (saturation)
Reason: the CPU's exp of float64, which sigmoid takes, is the float32 approximation. The dtype is float64 all the same,
and tanh and matrix products do have float64's accuracy.
Upstream: https://github.com/ml-explore/mlx/issues/3047 (open: exp, sin, cos, erf; sigmoid follows from exp).
"""

import mlx.core as mx
import mlx.nn as nn
import numpy as np

mx.set_default_device(mx.cpu)
layer = nn.LSTM(1, 1, bias=False)
weights = mx.array([[-1.0], [0.0], [9.0], [0.0]], dtype=mx.float64)  # of the input gate, and of what it lets in
layer.load_weights([("Wx", weights), ("Wh", 0 * weights)])
h, c = layer(mx.array([[[1.0]]], dtype=mx.float64))
got, exact = np.array(c)[0, 0, 0], np.tanh(9.0) / (1 + np.exp(1.0))
print(f"c is {got!r}, must be {exact!r}: off by {abs(got - exact):.2g}")
assert abs(got - exact) < 1e-15
