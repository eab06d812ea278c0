"""torch.nn.RNN and torch.nn.LSTM on CPU as a subject; their gradients come from autograd."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from impl.spec import STATES, Head, Parameters, leaves, tree_map
from properties.subject import Call, Cotangent, Output, Result, Subject
from properties.subjects.torch_twin import tensor


class TorchNN(Subject):
    """One layer, time first.

    Not declared: rows of length 0, which pack_padded_sequence refuses; one bias alone, which the constructor does not
    offer; masks that hide NaN, which cross_entropy's ignored class lets through to the gradient; refusals by name.
    """

    name = "torch_nn"
    capabilities = frozenset({"backward", "lengths", "head", "loss"})
    version = f"torch {torch.__version__.split('+')[0]}"

    def forward(self, call: Call) -> Output:
        """See Subject."""
        with torch.no_grad():
            h, last = self.run(call, self.module(call), *self.inputs(call))
        return Output(h.numpy(), tree_map(lambda a: a.numpy(), last))

    def backward(self, call: Call, cotangent: Cotangent) -> Result:
        """See Subject."""
        module, (x, state) = self.module(call), self.inputs(call)
        for array in leaves((x, state)):
            array.requires_grad_()
        h, last = self.run(call, module, x, state)
        outputs, cotangents = [h, *last], [torch.from_numpy(c) for c in leaves((cotangent.h, cotangent.last))]
        wanted = [x, *module.parameters(), *state]
        dx, *rest = (d.numpy() for d in torch.autograd.grad(outputs, wanted, cotangents))
        parts = len(STATES[call.cell]._fields)
        return Result(dx, Parameters(*rest[:-parts]), STATES[call.cell](*rest[-parts:]))

    def head(self, params: Head, h: np.ndarray) -> np.ndarray:
        """See Subject."""
        return nn.functional.linear(*(tensor(a) for a in (h, *params))).numpy()

    def head_backward(self, params: Head, h: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, Head]:
        """See Subject."""
        given = [torch.tensor(a, requires_grad=True) for a in leaves((h, params))]
        dh, *rest = torch.autograd.grad(nn.functional.linear(*given), given, tensor(dy))
        return dh.numpy(), Head(*(d.numpy() for d in rest))

    def loss(self, y: np.ndarray, targets: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """See Subject; masked steps become cross_entropy's ignored class."""
        logits = torch.tensor(y, requires_grad=True)
        wanted = np.asarray(targets if mask is None else np.where(mask, targets, -100), dtype=np.int64)
        total = nn.functional.cross_entropy(logits.flatten(0, -2), torch.from_numpy(wanted).flatten(), reduction="sum")
        (dy,) = torch.autograd.grad(total, logits)
        return total.detach().numpy(), dy.numpy()

    def module(self, call: Call) -> nn.Module:
        """The layer with the call's parameters; `load_state_dict` refuses what does not fit."""
        params = call.params
        kind = {"rnn": nn.RNN, "lstm": nn.LSTM}[call.cell]
        H, D = params.weight_hh.shape[-1], params.weight_ih.shape[-1]
        module = kind(D, H, bias=params.bias_ih is not None, dtype=tensor(params.weight_hh).dtype)
        module.load_state_dict({f"{name}_l0": tensor(a) for name, a in params._asdict().items() if a is not None})
        return module

    def inputs(self, call: Call) -> tuple[Any, Any]:
        """x and the initial state as tensors of their own."""
        x = torch.tensor(call.x)
        shape = (call.x.shape[1], call.params.weight_hh.shape[-1])
        zeros = STATES[call.cell](*(np.zeros(shape, call.x.dtype) for _ in STATES[call.cell]._fields))
        return x, tree_map(lambda a: torch.tensor(a), zeros if call.state is None else call.state)

    def run(self, call: Call, module: nn.Module, x: Any, state: Any) -> tuple[Any, Any]:
        """The layer's forward: h (T, B, H) and the last state."""
        T, given = x.shape[0], tuple(a[None] for a in state)
        given = given[0] if call.cell == "rnn" else given
        if call.lengths is not None:
            x = pack_padded_sequence(x, torch.from_numpy(call.lengths), enforce_sorted=False)
        h, last = module(x, given)
        if isinstance(h, PackedSequence):
            h, _ = pad_packed_sequence(h, total_length=T)
        return h, STATES[call.cell](*(a[0] for a in (last if call.cell == "lstm" else (last,))))


subject = TorchNN()
