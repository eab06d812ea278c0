"""jax.experimental.rnn on CPU as a subject: `lstm_ref`, with weights from the vector that `lstm` takes.

`lstm` itself is cuDNN's and runs on no CPU. Not declared: sequences without steps, which it refuses, and dropout, which
it refuses in words.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

from impl.spec import LSTMState, Parameters
from properties.subject import Cotangent, Output, Result, Stack
from properties.subjects.jax_common import SETTINGS, JaxPlain
from properties.subjects.plain import Conventions


@partial(jax.jit, static_argnums=(5, 6))
def run(x, h0, c0, layers, lengths, directions, dropout):
    """y, h_n and c_n; `layers`: weights and biases of forward 0, reverse 0, forward 1, and so on."""
    H, D, L = layers[0][1].shape[-1], layers[0][0].shape[-1], len(layers) // directions
    linear, biases = ([a.ravel() for layer in layers for a in layer[part]] for part in (slice(2), slice(2, 4)))
    weights = rnn.unpack_lstm_weights(jnp.concatenate(linear + biases), D, H, L, directions == 2)
    return rnn.lstm_ref(x, h0, c0, *weights, lengths, D, H, L, dropout, directions == 2)


@partial(jax.jit, static_argnums=5)
def pulled(x, h0, c0, layers, lengths, directions, cotangents):
    """The gradients by all but the lengths."""
    return jax.vjp(lambda *given: run(*given, lengths, directions, 0.0), x, h0, c0, layers)[1](cotangents)


def steps(x, lengths):
    """How many steps each row of x (B, T, D) runs, in the one dtype that is taken."""
    return np.full(len(x), x.shape[1], "int32") if lengths is None else lengths.astype("int32")


def forward(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths):
    """h, hT and cT."""
    layers = [(weight_ih, weight_hh, bias_ih, bias_hh)]
    h, hT, cT = run(x, h0[None], c0[None], layers, steps(x, lengths), 1, 0.0)
    return np.array(h), np.array(hT[0]), np.array(cT[0])


def gradients(cell, x, h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, lengths, dh, dhT, dcT):
    """The gradient by each argument."""
    layers, cotangents = [(weight_ih, weight_hh, bias_ih, bias_hh)], (dh, dhT[None], dcT[None])
    x, h0, c0, layers = pulled(x, h0[None], c0[None], layers, steps(x, lengths), 1, cotangents)
    return tuple(np.array(d) for d in (x, h0[0], c0[0], *layers[0]))


def pulled_one(cell, given, lengths, cotangents):
    """The gradients of one layer, as JaxPlain wants them."""
    x, h0, c0, *layer = given
    dh, dhT, dcT = cotangents
    cotangents = dh, dhT[None], dcT[None]
    x, h0, c0, layers = pulled(x, h0[None], c0[None], [tuple(layer)], steps(x, lengths), 1, cotangents)
    return x, h0[0], c0[0], *layers[0]


class JaxRnn(JaxPlain):
    """With layers and directions, which JAX counts as twice the layers: each forward one followed by its reverse."""

    def stack(self, call: Stack) -> Output:
        """See Subject."""
        dropout = call.dropout if call.train and len(call.layers) > 1 else 0.0
        x, *rest = self.inputs(call)
        h, hT, cT = run(x, *rest, steps(x, call.lengths), len(call.layers[0]), dropout)
        last = [LSTMState(*(np.array(a) for a in side)) for side in zip(hT, cT, strict=True)]
        return Output(in_order(call, np.array(h)), by_layer(call, last))

    def stack_backward(self, call: Stack, cotangent: Cotangent) -> Result:
        """See Subject."""
        cotangents = in_order(call, cotangent.h), *flat_states(cotangent.last)
        x, *rest = self.inputs(call)
        x, h0, c0, layers = pulled(x, *rest, steps(x, call.lengths), len(call.layers[0]), cotangents)
        given = [side for layer in call.layers for side in layer]
        params = [
            Parameters(*(None if a is None else np.array(d) for a, d in zip(side, found, strict=True)))
            for side, found in zip(given, layers, strict=True)
        ]
        state = [LSTMState(*(np.array(a) for a in side)) for side in zip(h0, c0, strict=True)]
        found = None if call.state is None else by_layer(call, state)
        return Result(in_order(call, np.array(x)), by_layer(call, params), found)

    def inputs(self, call: Stack) -> tuple[Any, ...]:
        """x batch first, the states (layers * directions, B, H), and the weights; zeros for what there is not."""
        self.refuse_stack(call)
        x = in_order(call, call.x)
        layers = []
        for side in (side for layer in call.layers for side in layer):
            zeros = np.zeros(len(side.weight_hh), side.weight_hh.dtype)
            layers.append(tuple(zeros if a is None else a for a in side))
        if call.state is not None:
            return x, *flat_states(call.state), layers
        zeros = np.zeros((len(layers), len(x), layers[0][1].shape[-1]), call.x.dtype)
        return x, zeros, zeros, layers

    def refuse_stack(self, call: Stack) -> None:
        """Refuses a stack of another cell.

        Raises:
            ValueError: the cells that there are.
        """
        if call.cell not in self.cells:
            raise ValueError(f"{self.name} has the cells {', '.join(self.cells)}; got {call.cell!r}.")


def in_order(call: Stack, a: np.ndarray) -> np.ndarray:
    """A sequence from the call's layout to batch first, or back."""
    return a if call.batch_first else np.ascontiguousarray(a.swapaxes(0, 1))


def flat_states(state: Any) -> tuple[np.ndarray, np.ndarray]:
    """h and c of all layers and directions, each (layers * directions, B, H)."""
    h, c = zip(*(side for layer in state for side in layer), strict=True)
    return np.stack(h), np.stack(c)


def by_layer(call: Stack, flat: list) -> tuple:
    """What belongs to every layer and direction, from a list of all."""
    n = len(call.layers[0])
    return tuple(tuple(flat[k : k + n]) for k in range(0, len(flat), n))


subject = JaxRnn(
    "jax_rnn",
    forward,
    gradients,
    pulled=pulled_one,
    conventions=Conventions(batch_first=True),
    cells=("lstm",),
    capabilities=(
        *("lengths", "empty rows", "no rows", "cell state", "checks"),
        *("layers", "directions", "batch first"),
    ),
    version=f"jax {jax.__version__}",
    source=(run, pulled, steps, forward, gradients),
    imports="from functools import partial\n\nimport jax\nimport jax.numpy as jnp\nimport numpy as np\n"
    f"from jax.experimental import rnn\n\n{SETTINGS}",
)
