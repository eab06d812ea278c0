"""torch.nn.RNN and torch.nn.LSTM on CPU as a subject; their gradients come from autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from impl.spec import GATES, STATES, Head, Parameters, leaves, rebuild, torch_field, torch_sizes, tree_map
from properties.cases import named, sides
from properties.subject import Call, Cotangent, Output, Result, Stack, Subject
from properties.subjects.torch_twin import own, tensor

KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "rnn_relu": nn.RNN}
OPTIMISERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}


class TorchNN(Subject):
    """Its layers, optimisers and clipping.

    Not declared: rows of length 0, which pack_padded_sequence refuses, and sequences without steps, which the layers
    do; one bias alone, which the constructor does not offer; masks that hide NaN, which cross_entropy's ignored class
    lets through to the gradient; groups; refusals by name; ONNX's layout.
    """

    name = "torch_nn"
    cells = tuple(GATES)
    capabilities = frozenset(
        {
            "backward",
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
    version = f"torch {torch.__version__.split('+')[0]}"

    def forward(self, call: Call) -> Output:
        """See Subject."""
        output = self.stack(one_layer(call))
        return output._replace(last=output.last[0][0])

    def backward(self, call: Call, cotangent: Cotangent) -> Result:
        """See Subject."""
        return self.backwards(call, [cotangent])[0]

    def backwards(self, call: Call, cotangents: Sequence[Cotangent], frozen: Sequence[str] = ()) -> list[Result]:
        """See Subject; one graph, which is kept, and frozen parameters do not require a gradient."""
        stack = one_layer(call)
        module, given, outputs = self.record(stack, tuple(f"{name}_l0" for name in frozen))
        results = (gradients(stack, module, given, outputs, in_stack(c)) for c in cotangents)
        return [Result(r.x, r.params[0][0], None if r.state is None else r.state[0][0]) for r in results]

    def double_backward(self, call: Call, cotangent: Cotangent, direction: Result) -> Result:
        """See Subject; autograd through the graph of the gradient."""
        stack = one_layer(call)
        module, given, outputs = self.record(stack)
        wanted = [given[0], *module.parameters(), *leaves(given[1])]
        cotangents = [tensor(c) for c in leaves(tuple(cotangent))]
        first = torch.autograd.grad(outputs, wanted, cotangents, create_graph=True)
        inner = sum((d * tensor(v)).sum() for d, v in zip(first, leaves(tuple(direction[:3])), strict=True))
        second = torch.autograd.grad(inner, wanted, materialize_grads=True)
        return rebuild(Result(call.x, call.params, call.state), [d.numpy() for d in second])

    def stack(self, call: Stack) -> Output:
        """See Subject."""
        with torch.no_grad():
            h, last = run(call, self.module(call), *self.inputs(call))
        return Output(h.numpy(), tree_map(lambda a: a.numpy(), last))

    def stack_backward(self, call: Stack, cotangent: Cotangent) -> Result:
        """See Subject."""
        return gradients(call, *self.record(call), cotangent)

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

    def export(self, cell: str, layers: tuple, layout: str) -> dict[str, np.ndarray]:
        """See Subject."""
        if layout != "torch":
            raise NotImplementedError(f"{self.name} has no export to {layout}.")
        D, dtype = layers[0][0].weight_ih.shape[-1], layers[0][0].weight_ih.dtype
        module = self.module(Stack(cell, layers, np.zeros((1, 1, D), dtype)))
        return {name: a.numpy().copy() for name, a in module.state_dict().items()}

    def restore(self, cell: str, exported: dict[str, np.ndarray], layout: str) -> tuple:
        """See Subject; the file's names say how many layers and directions there are."""
        if layout != "torch":
            raise NotImplementedError(f"{self.name} has no import from {layout}.")
        L, directions = torch_sizes(exported)
        written = self.export(cell, layers_of(exported, L, directions), layout)
        return layers_of(written, L, directions)

    def module(self, call: Stack, frozen: Sequence[str] = ()) -> nn.Module:
        """The layers with the call's parameters; `load_state_dict` refuses what does not fit."""
        first = call.layers[0][0]
        if first.weight_ih.ndim != 2:
            raise NotImplementedError(f"{self.name} has no groups of models.")
        H, D = first.weight_hh.shape[-1], first.weight_ih.shape[-1]
        options = {"nonlinearity": "relu"} if call.cell == "rnn_relu" else {}
        module = KINDS[call.cell](
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
        given = {f"{field}{s}": a for s, params in sides(call.layers) for field, a in named(params).items()}
        module.load_state_dict({name: tensor(a) for name, a in given.items()})
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name not in frozen)
        return module.train(call.train)

    def inputs(self, call: Stack) -> tuple[Any, Any]:
        """x and the initial states as tensors of their own; no states are handed over as none."""
        return own(call.x), tree_map(own, call.state)

    def record(self, call: Stack, frozen: Sequence[str] = ()) -> tuple[nn.Module, Any, list[Any]]:
        """The module, x and the states, and all outputs with the graph behind them."""
        module, (x, state) = self.module(call, frozen), self.inputs(call)
        for array in leaves((x, state)):
            array.requires_grad_()
        return module, (x, state), leaves(run(call, module, x, state))


def one_layer(call: Call) -> Stack:
    """A call as a stack of one layer."""
    state = None if call.state is None else ((call.state,),)
    return Stack(call.cell, ((call.params,),), call.x, state, call.lengths)


def in_stack(cotangent: Cotangent) -> Cotangent:
    """Cotangents of a call as those of a stack of one layer."""
    return Cotangent(cotangent.h, ((cotangent.last,),))


def layers_of(found: dict[str, np.ndarray], L: int, directions: int) -> tuple:
    """Parameters by layer and direction from those by torch's names; what has no name there is None."""
    return tuple(
        tuple(
            Parameters(*(found.get(torch_field(k, d, field)) for field in Parameters._fields))
            for d in range(directions)
        )
        for k in range(L)
    )


def run(call: Stack, module: nn.Module, x: Any, state: Any) -> tuple[Any, Any]:
    """The module's forward: h, and the last states by layer and direction."""
    T = x.shape[1 if call.batch_first else 0]
    if call.lengths is not None:
        x = pack_padded_sequence(x, torch.from_numpy(call.lengths), call.batch_first, enforce_sorted=False)
    torch.manual_seed(call.seed)  # of dropout
    h, last = module(x, None if state is None else stacked(call.cell, state))
    if isinstance(h, PackedSequence):
        h, _ = pad_packed_sequence(h, call.batch_first, total_length=T)
    parts = last if call.cell == "lstm" else (last,)
    states = iter([STATES[call.cell](*(part[n] for part in parts)) for n in range(len(parts[0]))])
    return h, tuple(tuple(next(states) for _ in layer) for layer in call.layers)


def stacked(cell: str, state: tuple) -> Any:
    """States by layer and direction as torch.nn wants them: (layers * directions, B, H), a pair of them for an LSTM."""
    flat = [side for layer in state for side in layer]
    parts = tuple(torch.stack(part) for part in zip(*flat, strict=True))
    return parts if cell == "lstm" else parts[0]


def gradients(call: Stack, module: nn.Module, given: Any, outputs: list[Any], cotangent: Cotangent) -> Result:
    """Gradients of <cotangent, outputs> by x, the parameters (None for a frozen one) and the states."""
    asked = {name: a for name, a in module.named_parameters() if a.requires_grad}
    wanted = [given[0], *asked.values(), *leaves(given[1])]
    cotangents = [tensor(c) for c in leaves((cotangent.h, cotangent.last))]
    dx, *rest = (d.numpy() for d in torch.autograd.grad(outputs, wanted, cotangents, retain_graph=True))
    params = layers_of(dict(zip(asked, rest, strict=False)), len(call.layers), len(call.layers[0]))
    return Result(dx, params, rebuild(call.state, rest[len(asked) :]))


subject = TorchNN()
