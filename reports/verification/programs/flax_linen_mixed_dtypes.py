"""flax.linen.RNN takes a float32 x beside float64 parameters and computes in float64; it must refuse it.

Subject: flax_linen
Law: shapes
Where: rnn and lstm, float64; test_what_does_not_fit_is_refused (x of another dtype)
Reason: `dtype=None` promotes inputs and parameters to their common type, which Flax documents ("infer from inputs and
    params"). The law is stricter: a mixture is more often a mistake than meant, and the same mixture the other way
    round (x float64, parameters and carry float32) is refused by the scan. A documented choice, so the mildest of
    breaks.
Upstream: https://github.com/google/flax/issues/1777 (the proposal behind this choice)
"""

import jax
import numpy as np
from flax import linen as nn

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

rnn = nn.RNN(nn.SimpleCell(1, param_dtype=np.float64), time_major=True, return_carry=True)
one = np.ones((1, 1))
params = {"params": {"cell": {"i": {"kernel": one, "bias": np.zeros(1)}, "h": {"kernel": one}}}}
x = np.ones((2, 1, 1), np.float32)

try:
    carry, _ = rnn.apply(params, x, initial_carry=one)
except TypeError as error:
    print(f"x float32, parameters float64: refused, as it must be: {error}")
else:
    print(f"x float32, parameters float64: a carry of {carry.dtype} came; it must be refused")
    raise AssertionError("a float32 x beside float64 parameters was taken")
