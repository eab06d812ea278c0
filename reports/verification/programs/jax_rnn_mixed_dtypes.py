"""jax.experimental.rnn.lstm_ref takes a float32 x beside float64 weights and computes in float64; it must refuse it.

Subject: jax_rnn
Law: shapes
Where: lstm float64; test_what_does_not_fit_is_refused (x of another dtype)
Reason: JAX's promotion makes float64 of the mixture. The same mixture the other way round (x float64, weights and state
    float32) is refused by the scan, and torch.nn.LSTM, whose notation the module takes, refuses both.
Upstream: to report: "lstm_ref promotes a float32 x beside float64 weights and state in silence, and fails with a
    message of lax.scan the other way round. A check of the dtypes at the start would treat both alike."
"""

import jax
import numpy as np
from jax.experimental import rnn

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

x, h0, lengths = np.ones((1, 2, 1), np.float32), np.zeros((1, 1, 1)), np.array([2], np.int32)
weight, bias = np.ones((4, 1)), np.zeros(4)

try:
    y, *_ = rnn.lstm_ref(x, h0, h0, {0: weight}, {0: weight}, {0: bias}, {0: bias}, lengths, 1, 1, 1, 0.0, False)
except TypeError as error:
    print(f"x float32, weights float64: refused, as it must be: {error}")
else:
    print(f"x float32, weights float64: a y of {y.dtype} came; it must be refused")
    raise AssertionError("a float32 x beside float64 weights was taken")
