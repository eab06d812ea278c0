"""jax.experimental.rnn.lstm_ref takes an x of one row beside states of two, and gives two rows; it must refuse it.

Subject: jax_rnn
Law: shapes
Where: lstm float32 and float64; test_what_does_not_fit_is_refused (state.h of one row more than x, B = 1)
Reason: x @ W.T has one row, h @ R.T has two, and the sum broadcasts, so that the scan's state keeps its shape and
    nothing is noticed. (The other way round, states of one row beside an x of two, the scan refuses.) The documented
    shapes, x (batch_size, ...) and h_0 (..., batch_size, hidden_size), are not compared.
Upstream: to report: "lstm_ref accepts x with batch_size 1 and h_0, c_0 with a larger one, and broadcasts in silence. A
    check of the shapes at the start would refuse it."
"""

import jax
import numpy as np
from jax.experimental import rnn

jax.config.update("jax_platforms", "cpu")

x, h0, lengths = np.ones((1, 2, 1), np.float32), np.zeros((1, 2, 1), np.float32), np.array([2], np.int32)
weight, bias = np.ones((4, 1), np.float32), np.zeros(4, np.float32)

try:
    y, *_ = rnn.lstm_ref(x, h0, h0, {0: weight}, {0: weight}, {0: bias}, {0: bias}, lengths, 1, 1, 1, 0.0, False)
except (ValueError, TypeError) as error:
    print(f"x of one row, states of two: refused, as they must be: {error}")
else:
    print(f"x of shape {x.shape}, h_0 of shape {h0.shape}: a y of shape {y.shape}; they must be refused")
    raise AssertionError("an x of one row beside states of two was taken")
