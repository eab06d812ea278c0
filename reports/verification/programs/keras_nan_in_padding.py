# ruff: noqa: E402  (the back end is chosen before keras is imported)
"""A NaN at a masked step makes Keras's gradients NaN, of the steps before the padding too; they must not see it.

Subject: keras_torch, keras_jax
Law: lengths
Where: rnn, lstm float32 and float64: padding reaches no value and no gradient; padding of NaN or inf
Reason: a masked step is computed and dropped by where(mask, new, old). The gradient by what was dropped is 0, but it is
multiplied by derivatives that are NaN, and 0 * NaN is NaN: one NaN in the padding spoils the gradient by all weights.
Values are right, and so are the gradients where the padding is finite.
Upstream: to report: "In keras.layers.RNN a NaN or inf in x at a masked time step makes the gradients by x and by the
weights NaN, although the outputs ignore the step (0 * NaN in the backward of where). Replacing x by zeros where the
mask is False, before the step function, would stop it."
"""

import os

backend = os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

x, mask = np.array([[[1.0], [np.nan]]], "float32"), np.array([[True, False]])
layer = keras.layers.SimpleRNN(1, use_bias=False)
layer.build(x.shape)
weights = [np.array([[1.0]], "float32"), np.array([[0.0]], "float32")]
layer.set_weights(weights)
if backend == "torch":
    layer(x, mask=mask).sum().backward()
    got = layer.trainable_variables[0].value.grad.numpy()[0, 0]
else:
    import jax

    def loss(weights):
        return layer.stateless_call(weights, layer.non_trainable_variables, x, mask=mask)[0].sum()

    got = np.array(jax.grad(loss)(weights)[0])[0, 0]
exact = 1 - np.tanh(1.0) ** 2
print(f"{backend}: the kernel's gradient is {got}, must be {exact:.6f}")
assert abs(got - exact) < 1e-6
