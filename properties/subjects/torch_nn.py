"""torch.nn.RNN and torch.nn.LSTM on CPU as a subject; their gradients come from autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from impl.spec import COMMON, Head, check_common, leaves, rebuild
from properties.subject import Stack
from properties.subjects.module import Layers
from properties.subjects.torch_twin import own, tensor

KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "rnn_relu": nn.RNN}
OPTIMISERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}


class TorchNN(Layers):
    """Its layers, optimisers and clipping.

    Not declared: rows of length 0, which pack_padded_sequence refuses, and sequences without steps, which the layers
    do; one bias alone, which the constructor does not offer; masks that hide NaN, which cross_entropy's ignored class
    lets through to the gradient; groups; refusals by name; ONNX's layout.
    """

    name = "torch_nn"
    cells = COMMON
    capabilities = frozenset(
        {
            "backward",
            "cell state",
            "checks",
            "lengths",
            "no rows",
            "head",
            "loss",
            "layers",
            "directions",
            "batch first",
            "dropout",
            "several backwards",
            "optimisers",
            "clipping",
            "torch layout",
        }
    )

    def build(self, call: Stack, D: int, H: int) -> nn.Module:
        """See Layers."""
        check_common(call.cell, "torch.nn has no other")
        first = call.layers[0][0]
        options = {"nonlinearity": "relu"} if call.cell == "rnn_relu" else {}
        return KINDS[call.cell](
            D,
            H,
            num_layers=len(call.layers),
            bias=first.bias_ih is not None,
            batch_first=call.batch_first,
            dropout=call.dropout if len(call.layers) > 1 else 0.0,
            bidirectional=len(call.layers[0]) == 2,
            dtype=tensor(first.weight_hh).dtype,
            **options,
        )

    def head(self, params: Head, h: np.ndarray) -> np.ndarray:
        """See Subject."""
        return nn.functional.linear(*(a if a is None else tensor(a) for a in (h, *params))).numpy()

    def head_backward(self, params: Head, h: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, Head]:
        """See Subject."""
        given = [own(a).requires_grad_() for a in leaves((h, params))]
        dh, *rest = torch.autograd.grad(nn.functional.linear(*given), given, tensor(dy))
        return dh.numpy(), Head(*(d.numpy() for d in rest))

    def loss(self, y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See Subject; masked steps become cross_entropy's ignored class."""
        logits = own(y).requires_grad_()
        wanted = np.asarray(targets if mask is None else np.where(mask, targets, -100), dtype=np.int64)
        total = nn.functional.cross_entropy(logits.flatten(0, -2), torch.from_numpy(wanted).flatten(), reduction="sum")
        (dy,) = torch.autograd.grad(total, logits)
        return total.detach().numpy(), dy.numpy()

    def updates(self, rule: str, params: Any, gradients: Sequence[Any], lr: float) -> list[Any]:
        """See Subject."""
        given, found = [nn.Parameter(own(a)) for a in leaves(params)], []
        optimiser = OPTIMISERS[rule](given, lr=lr)
        for gradient in gradients:
            for parameter, d in zip(given, leaves(gradient), strict=True):
                parameter.grad = own(d)
            optimiser.step()
            found.append(rebuild(params, [parameter.detach().numpy().copy() for parameter in given]))
        return found

    def clip(self, gradient: Any, max_norm: float) -> tuple[Any, np.ndarray]:
        """See Subject; torch adds 1e-6 to the norm by which it divides."""
        given = [nn.Parameter(own(a)) for a in leaves(gradient)]
        for parameter in given:
            parameter.grad = parameter.detach().clone()
        norm = nn.utils.clip_grad_norm_(given, max_norm)
        return rebuild(gradient, [parameter.grad.numpy() for parameter in given]), norm.numpy()


subject = TorchNN()
