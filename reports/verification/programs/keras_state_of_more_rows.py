# ruff: noqa: E402  (the back end is chosen before keras is imported)
"""Keras gives two rows for a batch of one if the initial state has two; it must refuse that state.

Subject: keras_torch, keras_jax
Law: shapes
Where: rnn, lstm: what does not fit is refused (a batch of 1 and a state of B + 1 rows)
Reason: RNN.call checks no shape of initial_state (the batch only if stateful), and x is broadcast to its rows.
Upstream: to report: "RNN layers broadcast a batch of 1 to the rows of initial_state instead of raising:
SimpleRNN(1)(ones((1, 1, 1)), initial_state=ones((2, 1))) has shape (2, 1), on torch and on JAX.
https://github.com/keras-team/keras/issues/21183 was the same for stateful layers."
"""

import os

backend = os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

x, h0 = np.ones((1, 1, 1), "float32"), np.ones((2, 1), "float32")
try:
    shape = tuple(keras.layers.SimpleRNN(1)(x, initial_state=[h0]).shape)
except (ValueError, TypeError, RuntimeError) as error:
    shape = f"refused: {error}"
print(f"{backend}: a batch of 1 and a state of 2 rows must be refused; got {shape}")
assert str(shape).startswith("refused")
