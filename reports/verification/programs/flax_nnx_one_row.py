"""flax.nnx.RNN takes an x of one row beside a carry of two, and gives two rows; it must refuse it.

Subject: flax_nnx
Law: shapes
Where: rnn and lstm, float32 and float64; test_what_does_not_fit_is_refused (state.h of one row more than x, B = 1)
Reason: x @ W has one row, h @ R has two, and the sum broadcasts, so that the scan's carry keeps its shape and nothing
    is noticed. (The other way round, a carry of one row beside an x of two, the scan refuses.) seq_lengths and outputs
    are then those of another batch than x. An x without a batch, (T, D), beside a carry (B, H) is taken for the same
    reason.
Upstream: to report: "RNN (linen and nnx) accepts inputs with batch size 1 and an initial_carry with a larger one, and
    broadcasts in silence. inputs' batch dimensions should be compared with the carry's."
"""

import jax
import numpy as np
from flax import nnx

jax.config.update("jax_platforms", "cpu")

cell = nnx.SimpleCell(1, 1, rngs=nnx.Rngs(0))
one = np.ones((1, 1), np.float32)
nnx.update(cell, {"dense_i": {"kernel": one, "bias": np.zeros(1, np.float32)}, "dense_h": {"kernel": one}})
rnn = nnx.RNN(cell, time_major=True, return_carry=True)
x, h0 = np.ones((2, 1, 1), np.float32), np.array([[0.5], [0.25]], np.float32)

try:
    carry, h = rnn(x, initial_carry=h0)
except (ValueError, TypeError) as error:
    print(f"x of one row, carry of two: refused, as they must be: {error}")
else:
    print(f"x of shape {x.shape}, carry of shape {h0.shape}: outputs of shape {h.shape}; they must be refused")
    raise AssertionError("an x of one row beside a carry of two was taken")
