"""flax.linen.RNN returns, for a row of length 0, the carry after its padding; it must be the row's initial carry.

Subject: flax_linen
Law: empty time
Where: rnn and lstm, float32 and float64; rows of length 0
Reason: `_select_last_carry` indexes the carries after every step with seq_lengths - 1, which is -1 for an empty row and
    counts from the end. Steps beyond a row's length "will be considered padding and will be ignored" (flax.linen's
    documentation), so that an empty row has no step: its carry, and what gradients come back through it, depends on
    padding. No error is raised.
Upstream: to report: "RNN (linen and nnx) with seq_lengths=[0] and return_carry=True returns the carry of the last
    padded step, since _select_last_carry wraps around at index -1. It should return initial_carry for such rows, or
    refuse them." The same lengths in cuDNN fail aloud: https://github.com/jax-ml/jax/issues/17966
"""

import jax
import numpy as np
from flax import linen as nn

jax.config.update("jax_platforms", "cpu")

rnn = nn.RNN(nn.SimpleCell(1), time_major=True, return_carry=True)
one = np.ones((1, 1), np.float32)
params = {"params": {"cell": {"i": {"kernel": one, "bias": np.zeros(1, np.float32)}, "h": {"kernel": one}}}}
x, h0 = np.ones((2, 1, 1), np.float32), np.array([[0.5]], np.float32)

carry, _ = rnn.apply(params, x, initial_carry=h0, seq_lengths=np.array([0]))
print(f"carry of a row of length 0: {carry.item()}, must be its initial carry, {h0.item()}")
assert carry.item() == h0.item()
