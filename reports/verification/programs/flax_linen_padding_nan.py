"""flax.linen.RNN lets NaN in the padding into the gradients of parameters and x; the padding must be ignored.

Subject: flax_linen
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
from flax import linen as nn

jax.config.update("jax_platforms", "cpu")

rnn = nn.RNN(nn.SimpleCell(1), time_major=True, return_carry=True)
one = np.ones((1, 1), np.float32)
params = {"params": {"cell": {"i": {"kernel": one, "bias": np.zeros(1, np.float32)}, "h": {"kernel": one}}}}
h0 = np.array([[0.5]], np.float32)


def carry(x):
    """The carry of a row of length 1; its second step is padding."""
    return rnn.apply(params, x, initial_carry=h0, seq_lengths=np.array([1]))[0].sum()


x = np.array([[[1.0]], [[np.nan]]], np.float32)
value, found = jax.value_and_grad(carry)(x)
slope = 1 - float(np.tanh(1.5)) ** 2
print(f"carry {value.item()}; its gradient by x {np.array(found).ravel()}, must be [{slope:.7f} 0]")
assert np.allclose(np.array(found).ravel(), [slope, 0])
