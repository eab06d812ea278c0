# ruff: noqa: E402  (the back end is chosen before keras is imported)
"""Keras makes float32 of a float64 x in silence; a layer of another dtype must refuse it.

Subject: keras_torch, keras_jax
Law: shapes
Where: rnn, lstm: what does not fit is refused (x of another dtype than the weights)
Reason: a layer casts floats to its compute dtype (autocast=True), as documented. It is a break of the law all the same:
digits are lost without a word, where torch.nn raises. autocast=False does not help: the cell in the layer casts too.
Upstream: documented behaviour (keras.layers.Layer, autocast): nothing to report.
"""

import os

backend = os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

x = np.ones((1, 1, 1), "float64")
layer = keras.layers.SimpleRNN(1, dtype="float32")
try:
    got = f"taken, and h is {keras.backend.standardize_dtype(layer(x).dtype)}"
except (ValueError, TypeError, RuntimeError) as error:
    got = f"refused: {error}"
print(f"{backend}: x of float64 must be refused by a layer of float32; got {got}")
assert got.startswith("refused")
