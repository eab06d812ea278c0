"""flax.nnx.update takes parameters of a wrong shape, and SimpleCell broadcasts them; either must refuse them.

Subject: flax_nnx
Law: shapes
Where: rnn float32 and float64; test_what_does_not_fit_is_refused (weight_ih or weight_hh a row short, H = 2)
Reason: nnx.update puts any array in a Param's place, and Linear compares its kernel and bias with in_features and
    out_features at no time. One unit's column broadcasts over all units, so that every unit gets its weights.
    flax.linen refuses the same parameters (ScopeParamShapeError).
Upstream: to report: "nnx.update replaces a Param by an array of another shape in silence, and Linear then broadcasts a
    kernel (2, 1) or a bias (1,) over out_features=2. linen checks this since issue 477; nnx.update or Linear should."
"""

import jax
import numpy as np
from flax import nnx

jax.config.update("jax_platforms", "cpu")

taken = []
for linear, field, shape in (("dense_i", "kernel", (1, 1)), ("dense_h", "kernel", (2, 1)), ("dense_i", "bias", (1,))):
    cell = nnx.SimpleCell(1, 2, rngs=nnx.Rngs(0))
    try:
        nnx.update(cell, {linear: {field: np.ones(shape, np.float32)}})
        h = nnx.RNN(cell, time_major=True)(np.ones((1, 1, 1), np.float32))
    except (ValueError, TypeError) as error:
        print(f"{linear}.{field} {shape} for 2 units: refused, as it must be: {error}")
    else:
        print(f"{linear}.{field} {shape} for 2 units: taken, an h of shape {h.shape} came; it must be refused")
        taken.append((linear, field))
assert not taken
