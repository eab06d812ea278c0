"""flax.nnx.RNN lets NaN in the padding into the gradients of parameters and x; the padding must be ignored.

Subject: flax_nnx
Law: lengths
Where: rnn and lstm, float32 and float64; test_padding_reaches_no_value_and_no_gradient (NaN and inf)
Reason: the scan runs over the padding too and picks each row's carry afterwards. Backwards the padded steps get a
    cotangent of 0, which their NaN turns into NaN (0 * NaN), and that runs on into the steps before and the parameters.
    Padding "will be ignored" (flax.linen's documentation), and values do ignore it. A finite padding does no harm.
Upstream: to report: "With seq_lengths, gradients of RNN (linen and nnx) are NaN if the padding of the inputs holds NaN
    or inf, though the carry is finite. Masking the inputs with jnp.where before the scan would keep it out."
"""

import jax
import numpy as np
from flax import nnx

jax.config.update("jax_platforms", "cpu")

cell = nnx.SimpleCell(1, 1, rngs=nnx.Rngs(0))
one = np.ones((1, 1), np.float32)
nnx.update(cell, {"dense_i": {"kernel": one, "bias": np.zeros(1, np.float32)}, "dense_h": {"kernel": one}})
rnn = nnx.RNN(cell, time_major=True, return_carry=True)
h0 = np.array([[0.5]], np.float32)


def carry(rnn, x):
    """The carry of a row of length 1; its second step is padding."""
    return rnn(x, initial_carry=h0, seq_lengths=np.array([1]))[0].sum()


x = np.array([[[1.0]], [[np.nan]]], np.float32)
value, found = nnx.value_and_grad(carry, argnums=1)(rnn, x)
slope = 1 - float(np.tanh(1.5)) ** 2
print(f"carry {value.item()}; its gradient by x {np.array(found).ravel()}, must be [{slope:.7f} 0]")
assert np.allclose(np.array(found).ravel(), [slope, 0])
