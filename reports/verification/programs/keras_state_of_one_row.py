"""Keras on torch takes an initial state of one row for a batch of two, and of one unit for two; it must refuse both.

Subject: keras_torch
Law: shapes
Where: rnn, lstm: what does not fit is refused (a state of one row); the LSTM's c of one unit alike
Reason: RNN.call checks no shape of initial_state (the batch only if stateful), and torch broadcasts it in sums and
products. On JAX the same calls raise a TypeError. A state that was sliced wrongly gives numbers without a word.
Upstream: to report: "RNN layers on the torch backend broadcast an initial_state whose batch or (for c) units is 1
instead of raising, e.g. LSTM(2)(ones((2, 1, 1)), initial_state=[ones((1, 2)), ones((1, 2))]); the JAX backend raises.
https://github.com/keras-team/keras/issues/21183 was the same for stateful layers."
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

x, taken = np.ones((2, 1, 1), "float32"), []
layer = keras.layers.LSTM(2)
layer(x)
for h0, c0 in (((1, 2), (1, 2)), ((2, 2), (2, 1))):
    try:
        h = layer(x, initial_state=[np.ones(h0, "float32"), np.ones(c0, "float32")])
        taken.append((h0, c0))
        print(f"a batch of 2, 2 units: h0 of shape {h0} and c0 of shape {c0} must be refused; h has {tuple(h.shape)}")
    except (ValueError, TypeError, RuntimeError) as error:
        print(f"refused: {error}")
assert not taken
