"""MLX takes an x of float64 with weights of float32 and gives float64; a layer of another dtype must refuse it.

Subject: mlx_cpu
Law: shapes
Where: rnn, lstm: what does not fit is refused (x of another dtype than the weights)
Reason: MLX promotes like NumPy, as documented. No digits are lost here, but with x of float32 and weights of float64
the result has another dtype than x, where torch.nn raises.
Upstream: documented behaviour (data types, promotion): nothing to report.
"""

import mlx.core as mx
import mlx.nn as nn

mx.set_default_device(mx.cpu)
try:
    got = f"taken, and h is {nn.RNN(1, 1)(mx.ones((1, 1, 1), dtype=mx.float64)).dtype}"
except (ValueError, TypeError) as error:
    got = f"refused: {error}"
print(f"x of float64 must be refused by a layer of float32; got {got}")
assert got.startswith("refused")
