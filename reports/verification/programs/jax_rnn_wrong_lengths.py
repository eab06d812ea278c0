"""jax.experimental.rnn.lstm_ref takes lengths beyond the sequence, below zero, and more than rows; it must refuse them.

Subject: jax_rnn
Law: shapes
Where: lstm float32 and float64; test_wrong_lengths_are_refused
Reason: the states after every step are indexed with seq_lengths - 1; JAX clamps an index out of range to the last step
    and counts a negative one from the end. A length of 5 in a sequence of 2 steps gives the state after step 2, one of
    -1 that after step 1 beside outputs of zero. Two lengths for one row broadcast, and give states of two rows.
Upstream: to report: "lstm_ref takes seq_lengths greater than the number of steps, or negative, or of another batch
    size, and returns some other step's state. The shape can be checked; the clamping could be documented."
"""

import jax
import numpy as np
from jax.experimental import rnn

jax.config.update("jax_platforms", "cpu")

x, h0 = np.ones((1, 2, 1), np.float32), np.full((1, 1, 1), 0.5, np.float32)
weight, bias = np.ones((4, 1), np.float32), np.zeros(4, np.float32)

taken = []
for given in ([5], [-1], [1, 2]):
    lengths = np.array(given, np.int32)
    try:
        found = rnn.lstm_ref(x, h0, h0, {0: weight}, {0: weight}, {0: bias}, {0: bias}, lengths, 1, 1, 1, 0.0, False)
    except (ValueError, TypeError, IndexError) as error:
        print(f"lengths {given} for one row of 2 steps: refused, as they must be: {error}")
    else:
        print(f"lengths {given} for one row of 2 steps: an h_n of {found[1].ravel().tolist()}; they must be refused")
        taken.append(given)
assert not taken
