"""flax.nnx.RNN takes lengths beyond the sequence, below zero, and more of them than rows; it must refuse them.

Subject: flax_nnx
Law: shapes
Where: rnn and lstm, float32 and float64; test_wrong_lengths_are_refused
Reason: `_select_last_carry` indexes with seq_lengths - 1. JAX clamps an index out of range to the last step and counts
    a negative one from the end: a length of 5 in a sequence of 2 steps gives the carry after step 2, one of -1 that
    after step 1. Two lengths for one row broadcast, and give a carry of two rows. A wrong length is never noticed.
Upstream: to report: "RNN (linen and nnx) with return_carry=True takes seq_lengths greater than the number of steps, or
    negative, or of another batch size, and returns some other step's carry. The shape can always be checked, values out
    of jit too; in jit the clamping could at least be documented."
"""

import jax
import numpy as np
from flax import nnx

jax.config.update("jax_platforms", "cpu")

cell = nnx.SimpleCell(1, 1, rngs=nnx.Rngs(0))
one = np.ones((1, 1), np.float32)
nnx.update(cell, {"dense_i": {"kernel": one, "bias": np.zeros(1, np.float32)}, "dense_h": {"kernel": one}})
rnn = nnx.RNN(cell, time_major=True, return_carry=True)
x, h0 = np.ones((2, 1, 1), np.float32), np.array([[0.5]], np.float32)

taken = []
for lengths in ([5], [-1], [1, 2]):
    try:
        carry, _ = rnn(x, initial_carry=h0, seq_lengths=np.array(lengths))
    except (ValueError, TypeError, IndexError) as error:
        print(f"lengths {lengths} for one row of 2 steps: refused, as they must be: {error}")
    else:
        print(f"lengths {lengths} for one row of 2 steps: a carry of {carry.ravel().tolist()}; they must be refused")
        taken.append(lengths)
assert not taken
