"""`LSTM` and `RNN` as modules: drop-ins for torch.nn.LSTM and torch.nn.RNN over the engines of `backend`.

Constructor, parameters (names, shapes, order, initial bits), call and result are torch's; beside them stand groups of
models (`ensemble`), lengths without packing, the choice of an engine and `explain`. Each layer and direction is one
autograd.Function over backend.forward and backend.backward. A gradient of the gradient is that of the plain loop, run
again: its forward and its written backward are plain torch, which autograd differentiates, whatever the engine.

On a card a call of few or small models takes what the processor needs to start it, one to two milliseconds forward and
backward: record the training step in a CUDA graph (torch.cuda.graph), as torch.nn's users do; without lengths, which
are looked at. Groups are what it is for: one model alone, without a graph, takes longer than torch.nn's, but for an
LSTM of 144 units or more.

Not as in torch.nn: projections (proj_size), half precision and torch.jit.script are refused; under autocast the layers
compute in the parameters' own dtype; torch.func's transforms and forward-mode differentiation raise. What torch.export
makes gives no gradients, neither of our parameters nor of x and hx, of which it warns; torch.jit.trace works under
torch.no_grad alone; torch.fx needs a Tracer whose is_leaf_module names the layer. Activation checkpointing gives the
right gradients and saves no memory here: an engine's record is its own.

Source: torch.nn.RNN and torch.nn.LSTM, whose behaviour is the specification.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from numpy import ndarray
from torch import nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from impl.spec import (
    BIASES,
    DTYPES,
    GATES,
    STATES,
    Array,
    Layers,
    Parameters,
    check_input,
    check_layers,
    check_lengths,
    check_like,
    leaves,
    members,
    require_unmasked,
    torch_field,
)

from . import backend as engines
from . import scan
from .array import asarray
from .exchange import require_own_layers
from .stack import batch_before, time_first

NO_GRADIENTS = (
    "What torch.export makes of this module gives no gradients, neither of its parameters nor of x and hx, and so of "
    "nothing below it: train the module itself, and export under torch.no_grad()."
)


NONE = Parameters(None, None, None, None)
"""The gradients by frozen parameters."""


class Setting(NamedTuple):
    """What a layer and direction is run with, beside tensors."""

    cell: str
    reverse: bool
    backend: str
    precision: str
    record: bool


class Sequences(NamedTuple):
    """x time first, (T, B, D) or (T, E, B, D), the initial states in its order of rows, lengths, and what to undo.

    Attributes:
        packed: the PackedSequence that came, or None.
        batched: whether x came with a batch.
    """

    x: Array
    state: list[Array] | None
    lengths: Array | None
    packed: PackedSequence | None
    batched: bool


class Layer(torch.autograd.Function):
    """One layer in one direction: h (T, [E,] B, H) and the last state, h (and c)."""

    @staticmethod
    def forward(ctx: Any, setting: Setting, x: Array, lengths: Array | None, *given: Array | None) -> tuple[Array, ...]:
        """See backend.forward; `given` are the four parameters, absent ones None, and the initial state's parts."""
        params, state = parts(setting, given)
        with without_autocast(x):
            run = engines.forward(
                *(setting.cell, params, x, state, lengths, setting.reverse),
                *(setting.backend, setting.precision),
                record=setting.record,
            )
        # Aliases, since the cache may hold the outputs: a node that holds its own output is a cycle of references.
        outputs = tuple(a.detach() for a in (run.states.h, *run.last))
        if setting.record:
            ctx.setting, ctx.cache = setting, run.cache
            ctx.set_materialize_grads(False)
            # What is saved raises if it is overwritten: the fused kernels' cache may be the outputs' memory.
            ctx.save_for_backward(x, lengths, *given, *(outputs if run.cache.choice.backend == "fused" else ()))
        return outputs

    @staticmethod
    def backward(ctx: Any, dh: Array | None, *dlast: Array | None) -> tuple[Array | None, ...]:
        """See backend.backward; where a graph of the gradient is wanted, the plain loop's, which autograd traces."""
        setting, (x, lengths, *given) = ctx.setting, ctx.saved_tensors  # the latter raise once the graph is used up
        params, state = parts(setting, given)
        skip = ("states", *unasked(ctx.needs_input_grad))
        with without_autocast(x):
            if torch.is_grad_enabled():
                engine, cache = scan, scan.forward(setting.cell, params, x, state, lengths, setting.reverse).cache
            else:
                engine, cache = engines, ctx.cache
            dstate = whole(setting.cell, params, x, dlast)
            gradient = engine.backward(setting.cell, params, cache, dh, dstate, skip)
        if not graph_is_kept():
            ctx.cache = None
        found = (gradient.x, None, *(gradient.params or NONE), *gradient.state)
        return None, *(d if need else None for d, need in zip(found, ctx.needs_input_grad[1:], strict=True))


def unasked(needs: Sequence[bool]) -> list[str]:
    """Which gradients no argument of Layer.forward needs: that by x, and that by the parameters, all being frozen."""
    return [name for name, some in (("x", needs[1:2]), ("params", needs[3:7])) if not any(some)]


def stacked(arrays: Sequence[Array]) -> Array:
    """The arrays along a new first axis, in memory of their own: of a view torch's detach_ would complain."""
    return torch.stack(tuple(arrays))


def autocast_on(a: Array) -> bool:
    """Whether torch rounds products on the tensor's device; the meta device, which only tells shapes, has no such."""
    return a.device.type != "meta" and torch.is_autocast_enabled(a.device.type)


def without_autocast(x: Array) -> AbstractContextManager:
    """The arithmetic is that of the parameters' dtype: autocast would round single products of a step."""
    return torch.autocast(x.device.type, enabled=False) if autocast_on(x) else nullcontext()


def graph_is_kept() -> bool:
    """Whether the running backward keeps its graph: if not, a cache would outlive the tensors that torch frees."""
    ask = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)
    return ask()


def as_held(a: Any, params: Parameters) -> Any:
    """Under autocast a tensor of another floating dtype as the parameters have it; else as it came."""
    if isinstance(a, torch.Tensor) and a.is_floating_point() and autocast_on(a):
        return a.to(params.weight_ih.dtype)
    return a


def parts(setting: Setting, given: Sequence[Array | None]) -> tuple[Parameters, Any]:
    """Flat arguments as the parameters and the initial state, None where there is none."""
    kind = STATES[setting.cell]
    state = given[4 : 4 + len(kind._fields)]
    return Parameters(*given[:4]), kind(*state) if state and state[0] is not None else None


def whole(cell: str, params: Parameters, x: Array, dlast: Sequence[Array | None]) -> Any:
    """The gradient by the last state, zero for a part that has none; None where no part has one."""
    if all(d is None for d in dlast):
        return None
    zeros = scan.zero_state(cell, params, x)
    return STATES[cell](*(zero if d is None else d for d, zero in zip(dlast, zeros, strict=True)))


class Recurrent(nn.Module):
    """What LSTM and RNN share.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: torch.nn's.
        proj_size: 0; projections are not supported.
        ensemble: E, the number of models of a group, each with parameters of its own: (E, G*H, D) and so on; model e
            starts with the bits of the e-th of E modules of torch.nn, made one after the other. None for one model
            without an axis E. Sum the losses over E, and clip each model's gradient by its own norm:
            torch.nn.utils.clip_grad_norm_ takes one norm over all models.
        backend: "auto", or one of backend.BACKENDS; precision: one of backend.PRECISIONS.
    Raises:
        TypeError, ValueError: an argument is not one of these; the message names it.
    """

    cell: str

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        proj_size: int,
        device: Any,
        dtype: Any,
        ensemble: int | None,
        backend: str,
        precision: str,
    ) -> None:
        super().__init__()
        check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers, ensemble=ensemble)
        check_options(bias, batch_first, dropout, proj_size, dtype)
        engines.check_names(backend, precision)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional = bool(bidirectional)
        self.proj_size, self.ensemble, self.backend, self.precision = 0, ensemble, backend, precision
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"`dropout` drops outputs of every layer but the last, so that one layer has none; got {dropout}.",
                stacklevel=3,
            )
        for name, shape in self.shapes().items():
            setattr(self, name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    @property
    def directions(self) -> int:
        """1, or 2."""
        return 2 if self.bidirectional else 1

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters' shapes by torch's names, in its order."""
        group = () if self.ensemble is None else (self.ensemble,)
        H, found = self.hidden_size, {}
        for k in range(self.num_layers):
            D, rows = self.directions * H if k else self.input_size, len(GATES[self.cell]) * H
            shapes = Parameters((*group, rows, D), (*group, rows, H), (*group, rows), (*group, rows))
            for d in range(self.directions):
                kept = {n: s for n, s in shapes._asdict().items() if self.bias or n not in BIASES}
                found |= {torch_field(k, d, n): s for n, s in kept.items()}
        return found

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """All uniform in +-1/sqrt(H), in torch.nn's order; one model after the other."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for e in range(self.ensemble or 1):
            for weight in self.parameters():
                nn.init.uniform_(weight if self.ensemble is None else weight[e], -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: no engine here keeps the weights in one piece. torch.nn's users call it."""

    @property
    def all_weights(self) -> list[list[nn.Parameter]]:
        """The parameters by layer and direction, as torch.nn has them."""
        return [leaves(params) for directions in self.layers() for params in directions]

    def layers(self) -> Layers:
        """The parameters by layer and direction: the tensors themselves, for `stack` and `exchange`.

        They require gradients: `stack` and `optim` record what they do with them, and a training that goes on from
        what `optim` returns keeps the graphs of all its updates. `tree_map(array.detached, module.layers())` does not.
        """
        return tuple(tuple(self.side(k, d) for d in range(self.directions)) for k in range(self.num_layers))

    def side(self, k: int, d: int) -> Parameters:
        """The parameters of layer k in direction d."""
        absent = () if self.bias else BIASES
        return Parameters(
            *(None if name in absent else getattr(self, torch_field(k, d, name)) for name in Parameters._fields)
        )

    @classmethod
    def from_layers(cls, layers: Layers, **options: Any) -> Recurrent:
        """A module with copies of the parameters.

        Args:
            layers: Parameters by layer and direction, with all biases or none; E first for a group.
                They are this twin's tensors: `array.asarray` makes them of NumPy's.
            options: of the constructor, what the parameters do not say: batch_first, dropout, backend, precision, and
                an RNN's nonlinearity.
        Raises:
            TypeError, ValueError: the parameters do not fit the cell or each other, or an option is one that they say;
                the message names one.
        """
        check_layers(cls.cell, layers, torch_field)
        require_own_layers(layers)
        first = layers[0][0]
        check_biases(layers)
        for name in SAID:
            if name in options:
                raise TypeError(f"`{name}` must not be given, since the parameters say it; got {options[name]!r}.")
        options |= {"num_layers": len(layers), "bias": first.bias_ih is not None, "bidirectional": len(layers[0]) == 2}
        options |= {"ensemble": members(layers), "device": "meta", "dtype": first.weight_ih.dtype}
        D, H = first.weight_ih.shape[-1], first.weight_hh.shape[-1]
        module = cls(D, H, **options).to_empty(device=first.weight_ih.device)  # so that nothing is drawn
        with torch.no_grad():
            for mine, a in zip(leaves(module.layers()), leaves(layers), strict=True):
                mine.copy_(a)
        return module

    @torch.compiler.disable
    def forward(self, input: Any, hx: Any = None, *, lengths: Any = None) -> tuple[Any, Any]:
        """Runs the layers; torch.compile leaves them as they are, and compiles what stands around.

        Args:
            input: x, (T, B, D), (B, T, D) with batch_first, (T, D) without a batch, or a PackedSequence. For a group
                (T, E, B, D), or (E, B, T, D) with batch_first, or one without E that its models share.
            hx: the initial state, h (layers*directions, B, H), E before B for a group; of an LSTM a pair of h and c.
            lengths: integers (B,) or (E, B), each from 0 to T, instead of packing: the steps that each row runs.
        Returns:
            h of the last layer, in the layout of x, zero at padding, and the last states as hx has them.
        Raises:
            TypeError, ValueError: an argument does not fit, or the backend cannot do it; the message says so, with x
                for `input` and state.h, state.c for `hx`.
        """
        layers = self.layers()
        given = self.sequences(layers[0][0], input, hx, lengths)
        check_layers(self.cell, layers, torch_field)
        if torch.compiler.is_exporting() and torch.is_grad_enabled():  # which x it will be given, nobody knows yet
            warnings.warn(NO_GRADIENTS, stacklevel=2)
        h, last = given.x, []
        for k, directions in enumerate(layers):
            h = self.dropped(h, given) if k else h
            runs = [self.run(given, h, params, k * self.directions + d, d == 1) for d, params in enumerate(directions)]
            h = runs[0][0] if len(runs) == 1 else torch.cat([run[0] for run in runs], -1)
            last += [run[1:] for run in runs]
        return self.handed_out(given, h, [stacked(part) for part in zip(*last, strict=True)])

    def run(self, given: Sequences, x: Array, params: Parameters, n: int, reverse: bool) -> tuple[Array, ...]:
        """The n-th layer and direction."""
        state = [None] * len(STATES[self.cell]._fields) if given.state is None else [part[n] for part in given.state]
        arrays = (x, *params, *state)
        record = torch.is_grad_enabled() and any(a is not None and a.requires_grad for a in arrays)
        setting = Setting(self.cell, reverse, self.backend, self.precision, record)
        return Layer.apply(setting, x, given.lengths, *params, *state)

    def dropped(self, h: Array, given: Sequences) -> Array:
        """A layer's outputs, in training dropped by torch's generator; for packed rows nothing is drawn at padding."""
        if not (self.training and self.dropout):
            return h
        if given.packed is None:
            return dropout(h, self.dropout)
        rows = pack_padded_sequence(h, given.lengths.cpu())
        kept = PackedSequence(dropout(rows.data, self.dropout), rows.batch_sizes)
        return pad_packed_sequence(kept, total_length=len(h))[0]

    def sequences(self, first: Parameters, input: Any, hx: Any, lengths: Any) -> Sequences:
        """The call's arguments in the form that the time loops take; what does not fit is refused by name.

        Args:
            first: the parameters of the first layer, handed on: a parametrized weight is computed wherever it is read.
        """
        if isinstance(input, PackedSequence):
            return self.unpacked(first, input, hx, lengths)
        if not isinstance(input, torch.Tensor):
            raise TypeError(f"`x` must be a tensor or a PackedSequence; got {type(input).__name__}.")
        x, batched = as_held(input, first), input.ndim != 2 or self.ensemble is not None
        x = x if batched else x.unsqueeze(0 if self.batch_first else 1)
        T, batch = check_input(x, first, self.batch_first, torch_field(0, 0, "weight_ih"))
        if lengths is not None:
            require_unmasked("lengths", lengths)
            own = asarray(lengths) if isinstance(lengths, ndarray) else lengths  # as_tensor would share NumPy's memory
            lengths = torch.as_tensor(own, device=x.device)
            check_lengths(lengths, T, batch)
        x = time_first(x) if self.batch_first else x
        return Sequences(x, self.states(first, hx, batch, batched), lengths, None, batched)

    def unpacked(self, first: Parameters, packed: PackedSequence, hx: Any, lengths: Any) -> Sequences:
        """A PackedSequence as padded rows, the longest first, and the states in that order."""
        if self.ensemble is not None:
            raise ValueError("`x` must be a tensor, since an ensemble takes `lengths`; got a PackedSequence.")
        if lengths is not None:
            raise ValueError("`lengths` must be None, since a PackedSequence has its own; got both.")
        x, counts = pad_packed_sequence(PackedSequence(as_held(packed.data, first), packed.batch_sizes))
        check_input(x, first, source=torch_field(0, 0, "weight_ih"))
        state = self.states(first, hx, (x.shape[1],), True)
        if state is not None and packed.sorted_indices is not None:
            state = [a.index_select(1, packed.sorted_indices) for a in state]
        return Sequences(x, state, counts.to(x.device), packed, True)

    def states(self, first: Parameters, hx: Any, batch: tuple[int, ...], batched: bool) -> list[Array] | None:
        """The initial state's parts, each (layers*directions, [E,] B, H); what does not fit is refused by name."""
        if hx is None:
            return None
        fields = STATES[self.cell]._fields
        given = hx if isinstance(hx, tuple | list) else (hx,)
        if (len(fields) > 1) != isinstance(hx, tuple | list) or len(given) != len(fields):
            wanted = "a tensor h" if len(fields) == 1 else "a pair of tensors, h and c"
            raise TypeError(f"`hx` must be {wanted}, since the cell is {self.cell}; got {described(hx)}.")
        shape = (self.num_layers * self.directions, *(batch if batched else ()), self.hidden_size)
        rows = f"the batch {batch}" if batched else "no batch"
        why = f"`x` has {rows}, and num_layers * directions is {shape[0]}"
        held = [as_held(a, first) for a in given]
        for name, a in zip(fields, held, strict=True):
            check_like(f"state.{name}", a, first.weight_hh, why, shape)
        return held if batched else [a.unsqueeze(1) for a in held]

    def handed_out(self, given: Sequences, h: Array, last: list[Array]) -> tuple[Any, Any]:
        """Outputs and last states in the form of the call."""
        if given.packed is not None:
            _, batch_sizes, order, back = given.packed
            data = pack_padded_sequence(h, given.lengths.cpu()).data
            last = last if back is None else [a.index_select(1, back) for a in last]
            return PackedSequence(data, batch_sizes, order, back), self.state_of(last)
        if not given.batched:
            return h.squeeze(1), self.state_of([a.squeeze(1) for a in last])
        return batch_before(h) if self.batch_first else h, self.state_of(last)

    def state_of(self, last: list[Array]) -> Any:
        """The last state as torch.nn has it: a tensor h, or of an LSTM a pair."""
        return tuple(last) if len(last) > 1 else last[0]

    def explain(self, input: Any, hx: Any = None, *, lengths: Any = None) -> str:
        """Which engine a call would run on, and why not the others: one text, or one a layer where layers differ.

        Args:
            input, hx, lengths: as in the call.
        """
        layers, told = self.layers(), []
        given = self.sequences(layers[0][0], input, hx, lengths)
        check_layers(self.cell, layers, torch_field)
        for k, directions in enumerate(layers):
            shape = (*given.x.shape[:-1], directions[0].weight_ih.shape[-1])
            x = given.x if k == 0 else given.x.new_empty(()).expand(shape)
            told.append(engines.explain(self.cell, directions[0], x, None, self.backend, self.precision))
        return told[0] if len(set(told)) == 1 else "\n".join(f"layer {k}: {text}" for k, text in enumerate(told))

    def extra_repr(self) -> str:
        """As torch.nn's, and what it has not."""
        usual = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        usual |= {"ensemble": None, "backend": "auto", "precision": "ieee"}
        shown = [f"{name}={getattr(self, name)!r}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join([str(self.input_size), str(self.hidden_size), *shown])


SAID = ("input_size", "hidden_size", "num_layers", "bias", "bidirectional", "device", "dtype", "ensemble")
"""What `from_layers` takes from the parameters, in the constructor's order."""


class LSTM(Recurrent):
    """A drop-in for torch.nn.LSTM; see Recurrent for what it has beyond.

    Shapes: weight_ih_l0 (4*H, D), weight_hh_l0 (4*H, H), bias_ih_l0, bias_hh_l0 (4*H,), gates in the order i, f, g, o.
    """

    cell = "lstm"
    mode = "LSTM"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        ensemble: int | None = None,
        backend: str = "auto",
        precision: str = "ieee",
    ) -> None:
        super().__init__(
            *(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype),
            *(ensemble, backend, precision),
        )


class RNN(Recurrent):
    """A drop-in for torch.nn.RNN, of tanh or of relu; see Recurrent for what it has beyond.

    Shapes: weight_ih_l0 (H, D), weight_hh_l0 (H, H), bias_ih_l0, bias_hh_l0 (H,).
    """

    cell = "rnn"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        *,
        ensemble: int | None = None,
        backend: str = "auto",
        precision: str = "ieee",
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"`nonlinearity` must be 'tanh' or 'relu'; got {nonlinearity!r}.")
        self.nonlinearity, self.cell = nonlinearity, "rnn" if nonlinearity == "tanh" else "rnn_relu"
        self.mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(
            *(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, device, dtype),
            *(ensemble, backend, precision),
        )

    def extra_repr(self) -> str:
        """See Recurrent."""
        more = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity!r}"
        return super().extra_repr() + more


def check_sizes(**sizes: int | None) -> None:
    """Refuses sizes that are no positive integers, by name; `ensemble` may be None."""
    for name, size in sizes.items():
        if size is None and name == "ensemble":
            continue
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"`{name}` must be an integer; got {type(size).__name__}.")
        if size <= 0:
            raise ValueError(f"`{name}` must be greater than zero; got {size}.")


def check_options(bias: Any, batch_first: Any, dropout: Any, proj_size: Any, dtype: Any) -> None:
    """Refuses options that are not of their kind, or not supported, by name."""
    for name, value in (("bias", bias), ("batch_first", batch_first)):
        if not isinstance(value, bool):
            raise TypeError(f"`{name}` must be a bool; got {type(value).__name__}.")
    if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ValueError(f"`dropout` must be a number from 0 to 1, a probability; got {dropout!r}.")
    if proj_size:
        raise ValueError(f"`proj_size` must be 0, since projections are not supported; got {proj_size!r}.")
    dtype = torch.get_default_dtype() if dtype is None else dtype
    if str(dtype).removeprefix("torch.") not in DTYPES:
        raise TypeError(f"`dtype` must be {' or '.join(DTYPES)}; got {dtype}.")


def check_biases(layers: Layers) -> None:
    """Refuses some biases without the others, by name: a module has all of them or none."""
    named = {
        torch_field(k, d, name): getattr(params, name)
        for k, directions in enumerate(layers)
        for d, params in enumerate(directions)
        for name in BIASES
    }
    absent = [name for name, bias in named.items() if bias is None]
    if 0 < len(absent) < len(named):
        raise ValueError(f"`{absent[0]}` must be given, since a module has all biases or none; got None.")


def described(hx: Any) -> str:
    """What came instead of a state."""
    kind = type(hx).__name__
    return f"a {kind} of {len(hx)}" if isinstance(hx, tuple | list) else f"a {kind}"
