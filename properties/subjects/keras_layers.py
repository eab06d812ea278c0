"""What Keras's back ends share as subjects: its layers LSTM, SimpleRNN and Bidirectional. It sets no back end.

An adapter sets KERAS_BACKEND before it imports this. Lengths become a mask, with `zero_output_for_mask`: without it a
masked step repeats the output before. A mask cannot say that a length is wrong, so wrong lengths are refused here.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

from impl.spec import STATES, leaves
from properties.subject import Call, Cotangent, Output, Result, Stack
from properties.subjects.plain import Conventions, Given, Plain, refuse_undeclared


def recurrent(cell, D, H, bias, dtype, backwards=False):
    """A layer of these sizes."""
    options = {
        "use_bias": bias,
        "return_sequences": True,
        "return_state": True,
        "go_backwards": backwards,
        "zero_output_for_mask": True,
        "dtype": dtype,
    }
    if cell == "lstm":
        return keras.layers.LSTM(H, unit_forget_bias=False, **options)
    return keras.layers.SimpleRNN(H, activation={"rnn": "tanh", "rnn_relu": "relu"}[cell], **options)


@functools.cache
def module(cell, D, H, bias, dtype, directions, n):
    """The n-th of some layers of these sizes, in one direction or two; whoever takes it must set its weights."""
    found = recurrent(cell, D, H, bias, dtype)
    if directions == 2:
        reverse = recurrent(cell, D, H, bias, dtype, backwards=True)
        found = keras.layers.Bidirectional(found, backward_layer=reverse, dtype=dtype)
    found.build((None, None, D))
    return found


def modules(cell, layers):
    """The modules for layers, each a list by direction of [kernel, recurrent kernel], or of these and a bias."""
    found = []
    for n, sides in enumerate(layers):
        kernel, recurrent_kernel, *bias = sides[0]
        D, H, dtype = len(kernel), len(recurrent_kernel), recurrent_kernel.dtype.name
        found.append(module(cell, D, H, bool(bias), dtype, len(sides), n))
    return found


def mask_of(x, lengths):
    """Which steps of x (B, T, D) are no padding; None without lengths."""
    if lengths is None:
        return None
    if lengths.min(initial=0) < 0 or lengths.max(initial=0) > x.shape[1]:
        raise ValueError(f"lengths must lie between 0 and {x.shape[1]}; got {lengths}.")
    return np.arange(x.shape[1]) < lengths[:, None]


def through(modules, x, states, mask):
    """Each module on what the one below gives: the outputs of the last, then all last states."""
    lasts = []
    for n, layer in enumerate(modules):
        x, *last = layer(x, initial_state=states[n] if states else None, mask=mask)
        lasts += last
    return [x, *lasts]


def flat(nested):
    """The arrays of nested lists in order."""
    return [a for part in nested for a in flat(part)] if isinstance(nested, list) else [nested]


SOURCE = (recurrent, module, modules, mask_of, through, flat)
CAPABILITIES = ("lengths", "empty rows", "no rows", "cell state", "checks", "layers", "directions", "batch first")


class KerasLayers(Plain):
    """Stacks of layers in one direction or two, from two plain functions for lists of layers.

    These are outputs(cell, x, states, layers, lengths) -> [h, all last states] and vjp(the same, cotangents) -> the
    gradients by x, all states and all weights in order. `states` holds a list of arrays by layer, or nothing; `layers`
    a list of weights by layer and direction.
    """

    def __init__(self, name: str, forward: Any, gradients: Any, outputs: Any, vjp: Any, **options: Any) -> None:
        """As Plain, and the two functions."""
        conventions = Conventions(transposed=True, batch_first=True, biases="input", no_bias=True, no_state=True)
        cells = ("rnn", "rnn_relu", "lstm")
        super().__init__(
            name, forward, gradients, conventions=conventions, cells=cells, capabilities=CAPABILITIES, **options
        )
        self.call_outputs, self.call_vjp = outputs, vjp

    def stack(self, call: Stack) -> Output:
        """See Subject."""
        h, *last = self.call_outputs(call.cell, *self.lists(call))
        parts, kind = iter(last), STATES[call.cell]
        states = tuple(tuple(kind(*(next(parts) for _ in kind._fields)) for _ in layer) for layer in call.layers)
        return Output(h if call.batch_first else h.swapaxes(0, 1), states)

    def stack_backward(self, call: Stack, cotangent: Cotangent) -> Result:
        """See Subject."""
        dh = cotangent.h if call.batch_first else cotangent.h.swapaxes(0, 1)
        dx, *rest = self.call_vjp(call.cell, *self.lists(call), [dh, *leaves(cotangent.last)])
        found, given = iter(rest), self.given_sides(call)
        states = [[tuple(next(found) for a in side[1:3] if a is not None) for side in layer] for layer in given]
        by_weight = [[[next(found) for a in side[3:] if a is not None] for side in layer] for layer in given]
        results = tuple(
            tuple(
                self.conventions.result(one, Given(dx, *(*state, None, None)[:2], *(*weights, None, None)[:4]))
                for one, state, weights in zip(*sides, strict=True)
            )
            for sides in zip(self.sides(call), states, by_weight, strict=True)
        )
        params = tuple(tuple(result.params for result in layer) for layer in results)
        by_state = None if call.state is None else tuple(tuple(result.state for result in layer) for layer in results)
        return Result(dx if call.batch_first else dx.swapaxes(0, 1), params, by_state)

    def sides(self, call: Stack) -> list[list[Call]]:
        """A call for each layer and direction; x is that of the lowest."""
        x = call.x.swapaxes(0, 1) if call.batch_first else call.x
        states = [[None] * len(layer) for layer in call.layers] if call.state is None else call.state
        pairs = (zip(*both, strict=True) for both in zip(call.layers, states, strict=True))
        return [[Call(call.cell, params, x, state, call.lengths) for params, state in pair] for pair in pairs]

    def given_sides(self, call: Stack) -> list[list[Given]]:
        """The arrays of each layer and direction in Keras's conventions.

        Raises:
            ValueError, NotImplementedError: it names what was asked for and is not offered.
        """
        if call.dropout and call.train:
            raise NotImplementedError(f"{self.name} does not declare 'dropout'.")
        sides = self.sides(call)
        for one in leaves_of(sides):
            refuse_undeclared(self, one)
        return [[self.conventions.given(one) for one in layer] for layer in sides]

    def lists(self, call: Stack) -> tuple[Any, list, list, Any]:
        """x (B, T, D), the states, the layers and the lengths as `outputs` wants them."""
        given = self.given_sides(call)
        states = [[a for side in layer for a in (side.h0, side.c0) if a is not None] for layer in given]
        layers = [
            [[a for a in (side.weight_ih, side.weight_hh, side.bias_ih) if a is not None] for side in layer]
            for layer in given
        ]
        return given[0][0].x, [] if call.state is None else states, layers, call.lengths


def leaves_of(sides: list[list[Call]]) -> list[Call]:
    """The calls of all layers and directions."""
    return [one for layer in sides for one in layer]
