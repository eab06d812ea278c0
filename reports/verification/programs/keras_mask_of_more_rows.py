"""Keras on torch gives two rows for a batch of one if the mask has two; it must refuse that mask.

Subject: keras_torch
Law: shapes
Where: rnn, lstm: wrong lengths are refused (a batch of 1 and lengths of two rows)
Reason: backend.torch.rnn hands mask, output and state to torch.where, which broadcasts, and compares no shapes. Nor
does it count the mask's steps: one of more steps than x is cut. On JAX lax.scan refuses both.
Upstream: to report: "On the torch backend an RNN layer takes a mask of another batch size than x if that is 1, and
returns that many rows: SimpleRNN(1)(ones((1, 1, 1)), mask=ones((2, 1), bool)) has shape (2, 1). A mask of more steps
than x is taken too; both should raise, as they do on JAX."
"""

import os

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np

x, taken = np.ones((1, 1, 1), "float32"), []
for shape in ((2, 1), (1, 2)):
    try:
        h = keras.layers.SimpleRNN(1)(x, mask=np.ones(shape, bool))
        taken.append(shape)
        print(f"x of shape (1, 1, 1) and a mask of shape {shape} must be refused; h has shape {tuple(h.shape)}")
    except (ValueError, TypeError, RuntimeError) as error:
        print(f"refused: {error}")
assert not taken
