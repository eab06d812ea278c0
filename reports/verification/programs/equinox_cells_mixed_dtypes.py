"""equinox.nn.LSTMCell takes a float32 input beside float64 weights and computes in float64; it must refuse it.

Subject: equinox_cells
Law: shapes
Where: lstm float64; test_what_does_not_fit_is_refused (x of another dtype)
Reason: JAX's promotion makes float64 of the mixture, and Equinox adds no check. The same mixture the other way round (x
    float64, weights and state float32) changes the state's dtype, which lax.scan refuses. JAX has a setting that
    refuses mixtures, jax_numpy_dtype_promotion="strict"; by default it is off.
Upstream: to report: "LSTMCell promotes a float32 input beside float64 weights in silence, so that dtype=... of the cell
    is not the dtype of the computation. Documenting that would do; jaxtyping could check it."
"""

import equinox as eqx
import jax
import numpy as np

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)

cell = eqx.nn.LSTMCell(1, 1, dtype=np.float64, key=jax.random.key(0))

try:
    h, _ = cell(np.ones(1, np.float32), (np.ones(1), np.ones(1)))
except TypeError as error:
    print(f"input float32, weights float64: refused, as it must be: {error}")
else:
    print(f"input float32, weights float64: an h of {h.dtype} came; it must be refused")
    raise AssertionError("a float32 input beside float64 weights was taken")
