"""Keras's float64 SimpleRNN on torch multiplies in float32: h is off by 1e-8 where it must be right to 1e-16.

Subject: keras_torch
Law: all
Where: rnn, rnn_relu float64; lstm float64 with lengths (without, the LSTM has a path of its own)
Reason: keras.ops.matmul asks keras.backend.result_type for its dtype, which makes float32 of float64 on every back end
but TensorFlow. The layer's dtype, its weights and its outputs are float64: what is lost is lost in silence.
Upstream: https://github.com/keras-team/keras/issues/23704 (open), of which this is the recurrent case.
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

x = np.array([[[0.1]]])
layer = keras.layers.SimpleRNN(1, use_bias=False, dtype="float64")
layer.build(x.shape)
layer.set_weights([np.array([[1.0]]), np.array([[0.0]])])
got = keras.ops.convert_to_numpy(layer(x))[0, 0]
exact = np.tanh(0.1)
print(f"h is {got!r}, must be {exact!r}: off by {abs(got - exact):.2g}")
assert abs(got - exact) < 1e-15
