"""jax.experimental.rnn.lstm_ref returns, for a row of length 0, the state after its padding; it must be h_0 and c_0.

Subject: jax_rnn
Law: empty time
Where: lstm float32 and float64; rows of length 0
Reason: `_select_last_carry` indexes the states after every step with seq_lengths - 1, which is -1 for an empty row and
    counts from the end. The outputs of such a row are zeros, as they must be, while its state has run over the padding,
    and gradients flow back through it. No error is raised, where cuDNN's `lstm` fails aloud.
Upstream: https://github.com/jax-ml/jax/issues/17966 (the same lengths in `lstm`)
"""

import jax
import numpy as np
from jax.experimental import rnn

jax.config.update("jax_platforms", "cpu")

x, h0, c0 = np.ones((1, 2, 1), np.float32), np.full((1, 1, 1), 0.5, np.float32), np.full((1, 1, 1), 0.25, np.float32)
weight, bias = np.ones((4, 1), np.float32), np.zeros(4, np.float32)
lengths = np.array([0], np.int32)

_, hT, cT = rnn.lstm_ref(x, h0, c0, {0: weight}, {0: weight}, {0: bias}, {0: bias}, lengths, 1, 1, 1, 0.0, False)
print(f"state of a row of length 0: h {hT.item()}, c {cT.item()}; must be h_0 and c_0, {h0.item()} and {c0.item()}")
assert (hT.item(), cT.item()) == (h0.item(), c0.item())
