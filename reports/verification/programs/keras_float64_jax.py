"""Keras's float64 LSTM on JAX takes its tanh in float32: h is off by 1e-9 where it must be right to 1e-16.

Subject: keras_jax
Law: all
Where: lstm float64; rnn float64, where the layer raises a TypeError instead (lax.scan is handed two dtypes)
Reason: keras.ops.tanh asks keras.backend.result_type for its dtype, which makes float32 of float64 on every back end
but TensorFlow, even where jax_enable_x64 is set. The layer's dtype, weights and outputs are float64 all the same.
Upstream: https://github.com/keras-team/keras/issues/23704 (open) names the cause, result_type, on torch; to report for
JAX: "With jax_enable_x64 keras.ops.tanh of float64 returns float32. LSTM(dtype='float64') thus has float32's accuracy,
and SimpleRNN(dtype='float64') raises a TypeError from lax.scan."
"""

import os

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

jax.config.update("jax_enable_x64", True)

x = np.array([[[0.1]]])
layer = keras.layers.LSTM(1, use_bias=False, dtype="float64")
layer.build(x.shape)
layer.set_weights([np.array([[0.0, 0.0, 1.0, 0.0]]), np.zeros((1, 4))])
got = keras.ops.convert_to_numpy(layer(x))[0, 0]
exact = 0.5 * np.tanh(0.5 * np.tanh(0.1))
print(f"h is {got!r}, must be {exact!r}: off by {abs(got - exact):.2g}")
try:
    rnn = keras.layers.SimpleRNN(1, dtype="float64")(x).dtype
except TypeError as error:
    rnn = next(line for line in str(error).splitlines() if "float" in line)
print(f"SimpleRNN must give float64; it gives: {rnn}")
assert abs(got - exact) < 1e-15
assert rnn == "float64"
