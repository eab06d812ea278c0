"""flax.nnx.RNN takes an x of another dtype than the parameters, promotes it or rounds it off; it must refuse it.

Subject: flax_nnx
Law: shapes
Where: lstm float64, rnn float32 and float64; test_what_does_not_fit_is_refused (x of another dtype)
Reason: LSTMCell's `dtype=None` promotes x and parameters to their common type; SimpleCell's default is float32, not
    None as in flax.linen and in nnx's other cells, and a float64 x loses 29 bits to it in silence. A dtype of the
    computation is documented; the law is stricter, since a mixture is more often a mistake than meant.
Upstream: to report: "nnx.SimpleCell has dtype=jnp.float32 by default where linen.SimpleCell and nnx.LSTMCell have None.
    So float64 inputs are rounded to float32 in silence, and param_dtype=jnp.float64 alone makes nnx.RNN fail."
"""

import jax
import numpy as np
from flax import nnx

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

taken = []
for name, x_dtype, dtype in (("LSTMCell", "float32", "float64"), ("SimpleCell", "float64", "float32")):
    cell = getattr(nnx, name)(1, 1, param_dtype=dtype, rngs=nnx.Rngs(0))
    carry = cell.initialize_carry((1, 1), nnx.Rngs(0))
    try:
        h = nnx.RNN(cell, time_major=True)(np.ones((2, 1, 1), x_dtype), initial_carry=carry)
    except TypeError as error:
        print(f"{name}: x {x_dtype}, parameters {dtype}: refused, as it must be: {error}")
    else:
        print(f"{name}: x {x_dtype}, parameters {dtype}: an h of {h.dtype} came; it must be refused")
        taken.append(name)
assert not taken
