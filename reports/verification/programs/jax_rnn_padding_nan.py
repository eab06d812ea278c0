"""jax.experimental.rnn.lstm_ref lets NaN in the padding into the gradients of weights and x; none may reach them.

Subject: jax_rnn
Law: lengths
Where: lstm float32 and float64; test_padding_reaches_no_value_and_no_gradient (NaN and inf)
Reason: the scan runs over the padding too, and outputs and states are picked afterwards. Backwards the padded steps get
    a cotangent of 0, which their NaN turns into NaN (0 * NaN), and that runs on into the steps before and the weights.
    The values ignore the padding. A finite padding does no harm.
Upstream: to report: "With seq_lengths, gradients of lstm_ref are NaN if the padding of x holds NaN or inf, though y,
    h_n and c_n are finite. Masking x with jnp.where before the scan would keep it out."
"""

import jax
import numpy as np
from jax.experimental import rnn

jax.config.update("jax_platforms", "cpu")

h0, lengths = np.zeros((1, 1, 1), np.float32), np.array([1], np.int32)
weight, bias = np.ones((4, 1), np.float32), np.zeros(4, np.float32)


def state(weight_ih, x):
    """h_n of a row of length 1; its second step is padding."""
    found = rnn.lstm_ref(x, h0, h0, {0: weight_ih}, {0: weight}, {0: bias}, {0: bias}, lengths, 1, 1, 1, 0.0, False)
    return found[1].sum()


def both(padding):
    """The gradients by weight_ih and x, flat."""
    x = np.array([[[1.0], [padding]]], np.float32)
    return [np.array(d).ravel() for d in jax.grad(state, argnums=(0, 1))(weight, x)]


found, wanted = both(np.nan), both(0.0)
print(f"gradients by weight_ih {found[0]}, must be {wanted[0]}; by x {found[1]}, must be {wanted[1]}")
assert all(np.allclose(d, w) for d, w in zip(found, wanted, strict=True))
