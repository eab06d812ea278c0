"""impl.torch_twin.module's LSTM and RNN on CPU as a subject: the eager engine under autograd, as torch.nn is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from impl.spec import STATES, check_common, leaves, tree_map
from impl.torch_twin.module import LSTM, RNN
from properties.subject import USUAL, Call, Output, Stack
from properties.subjects.module import stacked
from properties.subjects.torch_nn import TorchNN
from properties.subjects.torch_twin import tensor


class TorchModule(TorchNN):
    """The modules with what they have beyond torch.nn: lengths of 0, no steps, groups, refusals by name.

    Optimisers, clipping, read-out and loss are torch's. Not declared: one bias alone, which the constructor does not
    offer; gradients by every h_t and c_t, which no output of a module has; masks that hide NaN; the loop on its own
    outputs; ONNX's layout.
    """

    name = "torch_module"
    capabilities = USUAL - {"one bias", "states", "clean masks", "feeds back", "onnx layout"}
    backend = "eager"
    share = 0.1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles by class and nothing else: a child process makes its own."""
        return type(self), ()

    def forward(self, call: Call) -> Output:
        """See Subject; a call has one layer, and its parameters' names no suffix."""
        try:
            return super().forward(call)
        except (ValueError, TypeError) as error:
            raise type(error)(str(error).replace("_l0`", "`")) from error

    def module(self, call: Stack, frozen: Sequence[str] = ()) -> nn.Module:
        """See Layers; `from_layers` refuses by name what does not fit."""
        check_common(call.cell, "the module has no other")
        layers = tree_map(tensor, call.layers)
        options = {"rnn": {"nonlinearity": "tanh"}, "rnn_relu": {"nonlinearity": "relu"}, "lstm": {}}[call.cell]
        options |= {"batch_first": call.batch_first, "dropout": call.dropout if len(layers) > 1 else 0.0}
        kind = LSTM if call.cell == "lstm" else RNN
        module = kind.from_layers(layers, backend=self.backend, **options)
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name not in frozen)
        return module.train(call.train)

    def stack(self, call: Stack) -> Output:
        """See Subject."""
        with torch.no_grad():
            h, last = run(call, self.module(call), *self.inputs(call))
        return Output(h.numpy(), tree_map(lambda a: a.numpy(), last))

    def record(self, call: Stack, frozen: Sequence[str] = ()) -> tuple[nn.Module, Any, list[Any]]:
        """See Layers."""
        module, (x, state) = self.module(call, frozen), self.inputs(call)
        for array in leaves((x, state)):
            array.requires_grad_()
        return module, (x, state), leaves(run(call, module, x, state))


def run(call: Stack, module: nn.Module, x: Any, state: Any) -> tuple[Any, Any]:
    """The module's forward, with lengths as they are: h, and the last states by layer and direction."""
    torch.manual_seed(call.seed)  # of dropout
    h, last = module(x, None if state is None else stacked(call.cell, state), lengths=tensor(call.lengths))
    parts = last if call.cell == "lstm" else (last,)
    states = iter([STATES[call.cell](*(part[n] for part in parts)) for n in range(len(parts[0]))])
    return h, tuple(tuple(next(states) for _ in layer) for layer in call.layers)


subject = TorchModule()
