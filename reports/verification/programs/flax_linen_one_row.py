"""flax.linen.RNN takes an x of one row beside a carry of two, and gives two rows; it must refuse it.

Subject: flax_linen
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
from flax import linen as nn

jax.config.update("jax_platforms", "cpu")

rnn = nn.RNN(nn.SimpleCell(1), time_major=True, return_carry=True)
one = np.ones((1, 1), np.float32)
params = {"params": {"cell": {"i": {"kernel": one, "bias": np.zeros(1, np.float32)}, "h": {"kernel": one}}}}
x, h0 = np.ones((2, 1, 1), np.float32), np.array([[0.5], [0.25]], np.float32)

try:
    carry, h = rnn.apply(params, x, initial_carry=h0)
except (ValueError, TypeError) as error:
    print(f"x of one row, carry of two: refused, as they must be: {error}")
else:
    print(f"x of shape {x.shape}, carry of shape {h0.shape}: outputs of shape {h.shape}; they must be refused")
    raise AssertionError("an x of one row beside a carry of two was taken")
