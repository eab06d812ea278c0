"""Any torch.nn.Module with the constructor of torch.nn.RNN or LSTM, or of their cells, on CPU; autograd's gradients.

What it can do is read off its constructor (num_layers, bidirectional, batch_first, dropout); `capabilities`, `dtypes`
and `alpha` (in units of the roundoff) as attributes of the class add the rest. Parameters bear torch.nn's names, and
there are no others; buffers are the module's own.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from impl.spec import DTYPES, STATES, Parameters, leaves, rebuild, torch_field, torch_sizes, tree_map
from properties.cases import named, sides
from properties.form import kind
from properties.laws import Broken
from properties.subject import CAPABILITIES, Call, Cotangent, Output, Result, Stack, Subject
from properties.subjects.function import subset
from properties.subjects.plain import in_roundoffs, refuse_undeclared
from properties.subjects.torch_twin import own, tensor

OFFERS = {"num_layers": "layers", "bidirectional": "directions", "batch_first": "batch first", "dropout": "dropout"}
"""What an argument of the constructor says that a module can do."""


class Layers(Subject):
    """Modules by cell, each built with the sizes and options of the call and given its parameters."""

    version = f"torch {torch.__version__.split('+')[0]}"

    def build(self, call: Stack, D: int, H: int) -> nn.Module:
        """A module for a call."""
        raise NotImplementedError

    def refuse(self, call: Stack) -> None:
        """Refuses what is not declared, where the module would not do so itself."""

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
        results = [gradients(stack, module, given, outputs, in_stack(c)) for c in cotangents]
        hand_back(stack, module, *given)
        return [Result(r.x, r.params[0][0], None if r.state is None else r.state[0][0]) for r in results]

    def double_backward(self, call: Call, cotangent: Cotangent, direction: Result) -> Result:
        """See Subject; autograd through the graph of the gradient."""
        stack = one_layer(call)
        module, given, outputs = self.record(stack)
        wanted = [given[0], *asked_for(stack, module).values(), *leaves(given[1])]
        cotangents = [tensor(c) for c in leaves(tuple(cotangent))]
        first = pulled(outputs, wanted, cotangents, create_graph=True)
        inner = sum((d * tensor(v)).sum() for d, v in zip(first, leaves(tuple(direction[:3])), strict=True))
        second = pulled([inner], wanted, [torch.ones_like(inner)])
        hand_back(stack, module, *given)
        return rebuild(Result(call.x, call.params, call.state), [d.numpy() for d in second])

    def stack(self, call: Stack) -> Output:
        """See Subject."""
        module, given = self.module(call), self.inputs(call)
        with torch.no_grad():
            h, last = run(self.name, call, module, *given)
        hand_back(call, module, *given)
        return Output(h.numpy(), tree_map(lambda a: a.numpy(), last))

    def stack_backward(self, call: Stack, cotangent: Cotangent) -> Result:
        """See Subject."""
        module, given, outputs = self.record(call)
        result = gradients(call, module, given, outputs, cotangent)
        hand_back(call, module, *given)
        return result

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
        """The layers with the call's parameters and their own buffers; `load_state_dict` refuses what does not fit."""
        self.refuse(call)
        first = call.layers[0][0]
        if first.weight_ih.ndim != 2:
            raise NotImplementedError(f"{self.name} has no groups of models.")
        H, D = first.weight_hh.shape[-1], first.weight_ih.shape[-1]
        module = self.build(call, D, H)
        module.load_state_dict(buffers(module) | {name: tensor(a) for name, a in self.parameters(call).items()})
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name not in frozen)
        return module.train(call.train)

    def parameters(self, call: Stack) -> dict[str, np.ndarray]:
        """The call's parameters by torch.nn's names."""
        return names_of(call)

    def inputs(self, call: Stack) -> tuple[Any, Any]:
        """x and the initial states as tensors of their own; no states are handed over as none."""
        return own(call.x), tree_map(own, call.state)

    def record(self, call: Stack, frozen: Sequence[str] = ()) -> tuple[nn.Module, Any, list[Any]]:
        """The module, x and the states, and all outputs with the graph behind them."""
        module, (x, state) = self.module(call, frozen), self.inputs(call)
        for array in leaves((x, state)):
            array.requires_grad_()
        return module, (x, state), leaves(run(self.name, call, module, x, state))


def names_of(call: Stack) -> dict[str, np.ndarray]:
    """A call's parameters by torch.nn's names, in the order of their fields."""
    return {f"{field}{s}": a for s, params in sides(call.layers) for field, a in named(params).items()}


def hand_back(call: Stack, module: nn.Module, x: torch.Tensor, state: Any) -> None:
    """Writes into the caller's arrays what a call changed of its inputs, states and parameters: see law "purity".

    The module has copies, which are made anew for each call. What the caller has as read-only stays as it is.
    """
    own, theirs = dict(module.named_parameters()), names_of(call)
    lent = [(call.x, x), *zip(leaves(call.state), leaves(state), strict=True)]
    lent += [(a, own[name]) for name, a in theirs.items() if name in own]
    for array, now in ((a, there.detach().numpy()) for a, there in lent):
        if array.flags.writeable and now.tobytes() != array.astype(now.dtype).tobytes():
            array[...] = now


def asked_for(call: Stack, module: nn.Module) -> dict[str, nn.Parameter]:
    """The module's parameters that a call has and that are not frozen, in the call's order.

    A module may have biases where the call has none, as zeros, and has its parameters in any order.
    """
    own = dict(module.named_parameters())
    return {name: own[name] for name in names_of(call) if own[name].requires_grad}


def buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    """What a module's state dict holds beside its parameters."""
    own = {name for name, _ in module.named_parameters()}
    return {name: a for name, a in module.state_dict().items() if name not in own}


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


def run(name: str, call: Stack, module: nn.Module, x: Any, state: Any) -> tuple[Any, Any]:
    """The module's forward: h, and the last states by layer and direction.

    Raises:
        Broken: it returns something else; a sentence says what must come and what came.
    """
    directions, H = len(call.layers[0]), call.layers[0][0].weight_hh.shape[-1]
    axes = tuple(x.shape[:2])
    T, B = axes[::-1] if call.batch_first else axes
    if call.lengths is not None:
        x = pack_padded_sequence(x, torch.from_numpy(call.lengths), call.batch_first, enforce_sorted=False)
    torch.manual_seed(call.seed)  # of dropout
    given = None if state is None else stacked(call.cell, state)
    found = module(x, given)
    if state is not None:
        unstack(call.cell, given, state)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        wanted = "(h, (hT, cT))" if call.cell == "lstm" else "(h, hT)"
        raise Broken(f"{name}: must return h and the last state, as {wanted}; got {kind(found)}.")
    h, last = found
    if isinstance(h, PackedSequence):
        h, _ = pad_packed_sequence(h, call.batch_first, total_length=T)
    fitting(name, "h", h, (*axes, directions * H))
    parts = parts_of(name, call.cell == "lstm", last, (len(call.layers) * directions, B, H))
    states = iter([STATES[call.cell](*(part[n] for part in parts)) for n in range(len(parts[0]))])
    return h, tuple(tuple(next(states) for _ in layer) for layer in call.layers)


def parts_of(name: str, pair: bool, state: Any, shape: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    """What a state consists of, if that is a pair of tensors of an LSTM, or else one tensor.

    Raises:
        Broken: it is something else.
    """
    if pair and (not isinstance(state, (tuple, list)) or len(state) != 2):
        raise Broken(f"{name}: the state must be a pair of tensors, of h and c; got {kind(state)}.")
    parts = tuple(state) if pair else (state,)
    for what, part in zip(("hT", "cT"), parts, strict=False):
        fitting(name, what, part, shape)
    return parts


def fitting(name: str, what: str, found: Any, shape: tuple[int, ...]) -> None:
    """Looks at one result before autograd does, whose own words would name nothing.

    Raises:
        Broken: it is no tensor, or has another shape.
    """
    if not isinstance(found, torch.Tensor):
        raise Broken(f"{name}: `{what}` must be a tensor of shape {shape}; got {kind(found)}.")
    if found.shape != shape:
        raise Broken(f"{name}: `{what}` must have shape {shape}; got {tuple(found.shape)}.")


def stacked(cell: str, state: tuple) -> Any:
    """States by layer and direction as torch.nn wants them: (layers * directions, B, H), a pair of them for an LSTM."""
    flat = [side for layer in state for side in layer]
    parts = tuple(torch.stack(part) for part in zip(*flat, strict=True))
    return parts if cell == "lstm" else parts[0]


def unstack(cell: str, given: Any, state: tuple) -> None:
    """Writes into the states what a module wrote into those that it was given, which autograd need not know."""
    parts, flat = given if cell == "lstm" else (given,), [side for layer in state for side in layer]
    for part, now in zip(parts, zip(*flat, strict=True), strict=True):
        for a, written in zip(now, part.detach(), strict=True):
            if not torch.equal(a, written):
                a.data.copy_(written)


def gradients(call: Stack, module: nn.Module, given: Any, outputs: list[Any], cotangent: Cotangent) -> Result:
    """Gradients of <cotangent, outputs> by x, the call's parameters (None for a frozen one) and the states.

    See `pulled` for what they do not reach.
    """
    asked = asked_for(call, module)
    wanted = [given[0], *asked.values(), *leaves(given[1])]
    cotangents = [tensor(c) for c in leaves((cotangent.h, cotangent.last))]
    found = pulled(outputs, wanted, cotangents, retain_graph=True)
    dx, *rest = (d.numpy().copy() for d in found)  # autograd may give one tensor twice, or a cotangent itself
    params = layers_of(dict(zip(asked, rest, strict=False)), len(call.layers), len(call.layers[0]))
    return Result(dx, params, rebuild(call.state, rest[len(asked) :]))


def pulled(outputs: list[Any], wanted: list[Any], cotangents: list[Any], **options: Any) -> tuple[torch.Tensor, ...]:
    """Gradients of <cotangents, outputs> by what is wanted.

    By what the module does not use, or through what it detaches, they are zero, for a law to compare: torch's own
    refusal would name nothing.
    """
    attached = [n for n, a in enumerate(outputs) if a.requires_grad]  # a module may detach its last state
    ends, given = [outputs[n] for n in attached], [cotangents[n] for n in attached]
    return torch.autograd.grad(ends, wanted, given, materialize_grads=True, **options)


USUAL = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
"""Options of the constructor, as a call has them that asks for nothing else."""

KEPT = 64
"""How many modules of other sizes, options or dtypes a subject keeps."""


class Module(Layers):
    """A class of modules, each built with a call's sizes and options.

    A module is kept from call to call, as its users keep it, and given each call's parameters and mode: what it holds
    itself, such as the last state, is there for the laws of memory to see.
    """

    def __init__(self, found: Any, name: str) -> None:
        """Raises ValueError: it is no class, cannot be built like torch.nn's, or something of it is not as it must be.

        One module that is there has sizes and options, which others of its class would not have.
        """
        if not isinstance(found, type):
            raise ValueError(
                f"{name} must be a class of modules, since one is built for each call's sizes; got a module: hand over "
                f"{type(found).__name__}."
            )
        self.kind, self.name = found, name
        self.kept: dict[tuple[Any, ...], nn.Module] = {}
        self.arguments = arguments_of(self.kind)
        tiny, bare = self.sizes(), self.sizes(bias=False)
        self.one_step, self.always_biased = "weight_hh" in tiny, bare == tiny
        s = "" if self.one_step else "_l0"
        rows = tiny.get(f"weight_hh{s}", (0,))[0]
        weights = {f"weight_ih{s}": (rows, 2), f"weight_hh{s}": (rows, 3)}
        fit = weights | {f"bias_ih{s}": (rows,), f"bias_hh{s}": (rows,)}
        if rows not in (3, 12) or tiny != fit or bare not in (fit, weights):
            raise ValueError(
                f"{name}(2, 3) must have parameters as torch.nn's and no others: weight_ih_l0 (12, 2) of an LSTM, "
                f"(3, 2) of an RNN, weight_hh_l0, and both biases, which bias=False alone may leave out, for a cell "
                f"without _l0; got {tiny if tiny != fit else bare}."
            )
        relu = ("rnn_relu",) if "nonlinearity" in self.arguments else ()
        self.cells = ("lstm",) if rows == 12 else ("rnn", *relu)
        self.dtypes = subset(name, "dtypes", getattr(self.kind, "dtypes", DTYPES), DTYPES)
        self.alphas = in_roundoffs(name, getattr(self.kind, "alpha", 0))
        offers = () if self.one_step else (what for name, what in OFFERS.items() if name in self.arguments)
        more = subset(name, "capabilities", getattr(self.kind, "capabilities", ()), CAPABILITIES)
        self.capabilities = frozenset({*offers, *more, "backward", "several backwards", "cell state"})
        if "layers" not in self.capabilities:
            self.capabilities -= {"dropout"}
        self.capabilities |= set() if self.one_step else {"torch layout"}

    def sizes(self, **more: Any) -> dict[str, tuple[int, ...]]:
        """The shapes of the parameters of a module for D=2 and H=3, with the usual options but for some."""
        try:
            module = self.kind(2, 3, **self.taken(USUAL | more))
        except Exception as error:
            options = "".join(f", {n}={o}" for n, o in more.items())
            raise ValueError(
                f"{self.name} must be built as {self.name}(input_size, hidden_size{options}): {error}."
            ) from error
        return {n: tuple(p.shape) for n, p in module.named_parameters()}

    def __getstate__(self) -> dict[str, Any]:
        """Pickles without the modules."""
        return {**vars(self), "kept": {}}

    def export(self, cell: str, layers: tuple, layout: str) -> dict[str, np.ndarray]:
        """See Subject; without buffers, and without biases of zeros that only the module has."""
        if self.one_step:
            raise NotImplementedError(f"{self.name} is one step: it has no export.")
        written, given = super().export(cell, layers, layout), names_of(Stack(cell, layers, None))
        return {name: a for name, a in written.items() if name in given}

    def alpha(self, dtype: str) -> float:
        """See Subject."""
        return self.alphas * self.u(dtype)

    def build(self, call: Stack, D: int, H: int) -> nn.Module:
        """See Layers; only what the constructor takes is handed over, and what it does not take must be as usual."""
        first = call.layers[0][0]
        options = {
            "num_layers": len(call.layers),
            "bias": first.bias_ih is not None,
            "batch_first": call.batch_first,
            "dropout": call.dropout if len(call.layers) > 1 else 0.0,
            "bidirectional": len(call.layers[0]) == 2,
            "nonlinearity": "relu" if call.cell == "rnn_relu" else "tanh",
        }
        taken = self.taken(options)
        dtype = tensor(first.weight_hh).dtype
        what = (D, H, dtype, *sorted(taken.items()))
        if what not in self.kept:
            module = self.kind(D, H, **taken).to(dtype)
            self.kept[what] = Stepped(module, self.name, call.cell == "lstm") if self.one_step else module
            if len(self.kept) > KEPT:
                del self.kept[next(iter(self.kept))]
        return self.kept[what]

    def taken(self, options: dict[str, Any]) -> dict[str, Any]:
        """Those options that the constructor takes and would otherwise have another value of."""
        return {n: o for n, o in options.items() if n in self.arguments and o != self.arguments[n]}

    def refuse(self, call: Stack) -> None:
        """See Layers."""
        first = call.layers[0][0]
        x = call.x.swapaxes(0, 1) if call.batch_first else call.x
        refuse_undeclared(self, Call(call.cell, first, x, None, call.lengths))
        asked = {"layers": len(call.layers) > 1, "directions": len(call.layers[0]) > 1, "batch first": call.batch_first}
        asked["dropout"] = bool(call.train and call.dropout)
        lacking = [need for need, is_asked in asked.items() if is_asked and need not in self.capabilities]
        if lacking:
            raise NotImplementedError(f"{self.name} does not declare {' and '.join(map(repr, lacking))}.")

    def parameters(self, call: Stack) -> dict[str, np.ndarray]:
        """See Layers; absent biases are zeros for a module that has them whatever its constructor's `bias` is."""
        given = super().parameters(call)
        if self.always_biased and call.layers[0][0].bias_ih is None:
            for suffix, params in sides(call.layers):
                zeros = np.zeros(len(params.weight_hh), params.weight_hh.dtype)
                given |= {f"bias_ih{suffix}": zeros, f"bias_hh{suffix}": zeros.copy()}
        return given


def arguments_of(kind: type) -> dict[str, Any]:
    """What a constructor takes, and its defaults; where it hands **kwargs on, also what those above it take."""
    found, passed_on = {}, True
    for base in kind.__mro__:
        if not passed_on or base is nn.Module:
            break
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters
            found = {n: p.default for n, p in parameters.items()} | found
            passed_on = any(p.kind == inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return found | ({"nonlinearity": "tanh"} if issubclass(kind, nn.RNN) and "num_layers" in found else {})


class Stepped(nn.Module):
    """A cell of one step, run over a sequence; its parameters bear the names of a layer's."""

    def __init__(self, cell: nn.Module, name: str, pair: bool) -> None:
        super().__init__()
        self.cell, self.name, self.pair = cell, name, pair

    def forward(self, x: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        """As torch.nn's layers: states have an axis for the layer."""
        now, hs = None if state is None else tuple(a[0] for a in state) if self.pair else state[0], []
        for x_t in x:
            now = self.cell(x_t, now)
            h, *_ = parts_of(self.name, self.pair, now, (len(x_t), self.cell.weight_hh.shape[1]))
            hs.append(h)
        return torch.stack(hs), tuple(a[None] for a in now) if self.pair else now[None]

    def load_state_dict(self, state: Any, *args: Any, **kwargs: Any) -> Any:
        """Without the suffix of a layer."""
        return self.cell.load_state_dict({n.removesuffix("_l0"): a for n, a in state.items()}, *args, **kwargs)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """With the suffix of a layer."""
        return {f"{name}_l0": a for name, a in self.cell.state_dict(*args, **kwargs).items()}

    def named_parameters(self, *args: Any, **kwargs: Any) -> Any:
        """With the suffix of a layer."""
        return ((f"{name}_l0", a) for name, a in self.cell.named_parameters(*args, **kwargs))
