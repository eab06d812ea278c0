"""What both twins share: names, shapes, gate order, dtypes, and the checks that refuse bad input by name.

Symbols: T time steps, B sequences of a batch, D input features, H hidden units, G stacked blocks of a cell (1, 3 or 4),
V outputs, E models of a group. Time is axis 0 of a sequence; a group's axis E stands before B. One model has no axis E.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

Array: TypeAlias = Any  # numpy.ndarray or torch.Tensor: this file imports neither

COMMON = ("rnn", "rnn_relu", "lstm")
"""The cells that every form and layout knows; the plain loops know those of GATES."""

VARIANTS = {
    "lstm_no_forget": ("i", "g", "o"),
    "lstm_no_input": ("f", "g", "o"),
    "lstm_no_output": ("i", "f", "g"),
    "lstm_coupled": ("f", "g", "o"),
    "lstm_linear_output": ("i", "f", "g", "o"),
}
"""The LSTM's variants of variants.py and their blocks: a gate that is absent has no parameters."""

GATES = {"rnn": ("a",), "rnn_relu": ("a",), "lstm": ("i", "f", "g", "o"), **VARIANTS}
"""The stacked blocks of each cell's parameters, first rows first. The LSTM's order is that of torch.nn.LSTM."""

ONNX_GATES = {"rnn": ("a",), "rnn_relu": ("a",), "lstm": ("i", "o", "f", "g")}
"""The same blocks in ONNX's order, whose c is our g. Source: ONNX operator specification, LSTM-22."""

BIASES = ("bias_ih", "bias_hh")
DTYPES = ("float32", "float64")


class Parameters(NamedTuple):
    """A cell's parameters under torch.nn's names; each array may have a leading axis E, the biases may be None.

    Shapes: weight_ih (G*H, D), weight_hh (G*H, H), bias_ih (G*H,), bias_hh (G*H,).
    """

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None = None
    bias_hh: Array | None = None


Layers: TypeAlias = tuple[tuple[Parameters, ...], ...]
"""By layer, the first below, and by direction: one, forward in time, or two, of which the second runs in reverse."""


class Head(NamedTuple):
    """A linear read-out: weight_hy (V, H), bias_hy (V,) or None; each may have a leading axis E."""

    weight_hy: Array
    bias_hy: Array | None = None


class Model(NamedTuple):
    """A cell and its read-out."""

    cell: Parameters
    head: Head


class Weights(NamedTuple):
    """Parameters as the equations write them: W_ih (G*H, D), W_hh (G*H, H), b (1, G*H), each with E first or not.

    Without biases b is the number 0, so that the equations stay one line.
    """

    W_ih: Array
    W_hh: Array
    b: Array | float


class RNNState(NamedTuple):
    """State of an RNN, of tanh or of relu: h (B, H); over time (T, B, H); a group has E before B."""

    h: Array


class LSTMState(NamedTuple):
    """State of an LSTM: h and c, each (B, H); over time (T, B, H); a group has E before B."""

    h: Array
    c: Array


STATES = {"rnn": RNNState, "rnn_relu": RNNState, "lstm": LSTMState, **dict.fromkeys(VARIANTS, LSTMState)}


class Run(NamedTuple):
    """What a time loop returns: the state after every step (zero at padding), the last state, the backward's cache."""

    states: Any
    last: Any
    cache: Any


class Origin(NamedTuple):
    """The forward that a cache is of: its loop, its cell, and the shapes and dtype of its weights."""

    loop: str
    cell: str
    weight_ih: tuple[int, ...]
    weight_hh: tuple[int, ...]
    dtype: Any


class Fed(NamedTuple):
    """What a loop on inputs of its own returns: what was fed (T, [E,] B, D), the states after every step, the last."""

    x: Array
    states: Any
    last: Any


class Gradient(NamedTuple):
    """Gradients of the loss: by x, by the parameters, by the initial state, and in total by every h_t (and c_t)."""

    x: Array
    params: Parameters
    state: Any
    states: Any


SKIPPABLE = ("x", "params", "states")
"""The fields of Gradient that a backward does not compute where they are not asked for."""


class StackRun(NamedTuple):
    """What a stack returns: the top layer's h (T, B, directions*H), last states by layer and direction, a cache."""

    h: Array
    last: Any
    cache: Any


class StackGradient(NamedTuple):
    """Gradients of the loss: by x, and by the parameters and the initial states of every layer and direction."""

    x: Array
    layers: Layers
    state: Any


def unpack(params: Parameters) -> Weights:
    """Names the parameters as the equations do; the two biases only ever appear as their sum.

    Args:
        params: weight_ih (G*H, D), weight_hh (G*H, H), biases (G*H,) or None; each with an optional leading E.
    """
    b_ih, b_hh = params.bias_ih, params.bias_hh
    b = b_hh if b_ih is None else b_ih if b_hh is None else b_ih + b_hh
    return Weights(params.weight_ih, params.weight_hh, 0.0 if b is None else b[..., None, :])


def block(cell: str, gate: str, H: int, order: Mapping[str, tuple[str, ...]] = GATES) -> slice:
    """The rows of one gate in a cell's stacked parameters and pre-activations, which stand in this order."""
    n = order[cell].index(gate)
    return slice(n * H, (n + 1) * H)


def leaves(tree: Any) -> list[Array]:
    """The arrays of a tree of (named) tuples in field order; absent ones (None) are left out."""
    if isinstance(tree, tuple):
        return [leaf for branch in tree for leaf in leaves(branch)]
    return [] if tree is None else [tree]


def tree_map(function: Callable[..., Any], tree: Any, *more: Any) -> Any:
    """Applies `function` to the arrays of one or more trees of the same form; None, in all or none, stays None."""
    if isinstance(tree, tuple):
        if more:
            branches = [tree_map(function, *branch) for branch in zip(tree, *more, strict=True)]
        else:
            branches = [tree_map(function, branch) for branch in tree]
        return tuple.__new__(type(tree), branches)  # quicker than the constructor of a NamedTuple
    if tree is None:
        if any(other is not None for other in more):
            raise ValueError("`more` must be absent (None) where `tree` is, since trees of one form are mapped.")
        return None
    return function(tree, *more)


def check_tree(name: str, tree: Any) -> None:
    """Refuses, by name, what is no tree of arrays: lists and dictionaries are none, and would be taken for an array."""
    other = next((leaf for leaf in leaves(tree) if not hasattr(leaf, "ndim")), None)
    if other is not None:
        raise TypeError(f"`{name}` must be an array, or (named) tuples of arrays; got {type(other).__name__}.")


def check_fits(name: str, tree: Any, like: Any, source: str) -> None:
    """Refuses a tree of another form, shape or dtype than `like`, which is called `source`, by name and place."""
    if fits(tree, like):  # nearly always, and no name of a place need be made
        return
    check_tree(name, tree)
    if isinstance(like, tuple) and isinstance(tree, tuple) and len(tree) == len(like):
        fields = getattr(like, "_fields", None)
        for n, (branch, other) in enumerate(zip(tree, like, strict=True)):
            at = f".{fields[n]}" if fields else f"[{n}]"
            check_fits(name + at, branch, other, source + at)
    elif isinstance(like, tuple) or isinstance(tree, tuple) or (like is None) != (tree is None):
        wanted, came = (
            f"{type(a).__name__} of {len(a)}" if isinstance(a, tuple) else "None" if a is None else "an array"
            for a in (like, tree)
        )
        raise TypeError(f"`{name}` must be {wanted}, since {source} is; got {came}.")
    elif like is not None and (tree.shape != like.shape or tree.dtype != like.dtype):
        check_like(name, tree, like, f"{source} has it")


def fits(tree: Any, like: Any) -> bool:
    """Whether a tree has the form of `like`, and its arrays their shapes and dtypes."""
    if isinstance(like, tuple):
        return isinstance(tree, tuple) and len(tree) == len(like) and all(map(fits, tree, like))
    if tree is None or like is None:
        return tree is like
    return getattr(tree, "shape", None) == like.shape and getattr(tree, "dtype", None) == like.dtype


def rebuild(tree: Any, arrays: list[Array]) -> Any:
    """The tree with its arrays, in the order of `leaves`, replaced by `arrays`."""
    given = iter(arrays)
    return tree_map(lambda _: next(given), tree)


def members(tree: Any, name: str = "tree") -> int | None:
    """E, the number of models in a tree of Parameters, Head, Model or Layers; None for one model without axis E.

    A tree without a weight is refused; `name` is what to call it.
    """
    weight = tree
    while isinstance(weight, tuple) and weight:  # what comes first in each of them is a weight, and never absent
        weight = weight[0]
    if not hasattr(weight, "ndim"):
        raise TypeError(f"`{name}` must be (named) tuples of arrays, a weight first; got {type(weight).__name__}.")
    return weight.shape[0] if weight.ndim == 3 else None


def check_sequence(cell: str, params: Parameters, x: Array, state: Any, lengths: Array | None) -> None:
    """Refuses a call of the time loop whose arguments do not fit, naming the argument, the rule and what came.

    Args:
        cell: a name in GATES.
        params: weight_ih (G*H, D) and so on, each with an optional leading axis E.
        x: (T, B, D), or (T, E, B, D) for a group; (T, B, D) is shared by a group.
        state: h (and c), each (B, H) or (E, B, H); or None.
        lengths: integers (B,) or (E, B), each from 0 to T; or None.
    Raises:
        TypeError: an argument is no array, or has another dtype than the first weight.
        ValueError: a name, rank or shape does not fit.
    """
    check_parameters(cell, params)
    T, batch = check_input(x, params)
    if state is not None:
        check_state("state", cell, state, (*batch, params.weight_hh.shape[-1]), params.weight_hh)
    if lengths is not None:
        check_lengths(lengths, T, batch)


def check_feed_back(cell: str, params: Parameters, x: Array, steps: Any, following: Any, state: Any) -> None:
    """Refuses a call of the loop on inputs of its own whose arguments do not fit, by name.

    Args:
        cell, params, state: as `check_sequence` has them.
        x: the first input, (B, D), or (E, B, D) for a group; (B, D) is shared by a group.
        steps: an int, at least 1.
        following: a function; what it gives is looked at when it comes.
    Raises:
        TypeError, ValueError: as `check_sequence`.
    """
    check_parameters(cell, params)
    _require_input(x, params, "B, D", "E, B, D", "weight_ih")
    if state is not None:
        group, weight = params.weight_hh.shape[:-2], params.weight_hh
        check_state("state", cell, state, (*group, x.shape[-2], weight.shape[-1]), weight)
    rule = "`steps` must be an int of at least 1, since x is the first step's input"
    if not isinstance(steps, int) or isinstance(steps, bool):
        raise TypeError(f"{rule}; got {type(steps).__name__}.")
    if steps < 1:
        raise ValueError(f"{rule}; got {steps}.")
    if not callable(following):
        raise TypeError(f"`following` must be a function from h to the next x; got {type(following).__name__}.")


def origin(loop: str, cell: str, params: Parameters) -> Origin:
    """What `check_cache` compares: of the forward, as its cache keeps it, and of the backward."""
    ih, hh = params.weight_ih, params.weight_hh
    return Origin(loop, cell, tuple(ih.shape), tuple(hh.shape), hh.dtype)


def check_cache(loop: str, cell: str, params: Parameters, cache: Any) -> None:
    """Refuses a cache of another loop's forward, and a cell or weights that are not those of that forward, by name."""
    kept, asked = getattr(cache, "origin", None), origin(loop, cell, params)
    if kept == asked:
        return
    if kept is None or kept.loop != loop:
        came = type(cache).__name__ if kept is None else f"{kept.loop}'s"
        raise TypeError(f"`cache` must be that of {loop}.forward, since each loop keeps its own; got {came}.")
    if kept.cell != cell:
        raise ValueError(f"`cell` must be {kept.cell}, since the cache is of its forward; got {cell!r}.")
    for name in ("weight_ih", "weight_hh"):
        weight = getattr(params, name)
        require_array(name, weight, kept.dtype)
        _require_shape(name, weight, getattr(kept, name), "the forward that the cache is of had it")


def check_skip(skip: Any) -> None:
    """Refuses a name that is none of SKIPPABLE."""
    unknown = [name for name in skip if name not in SKIPPABLE]
    if isinstance(skip, str) or unknown:
        raise ValueError(f"`skip` must hold names among {', '.join(SKIPPABLE)}; got {skip!r}.")


def check_stack(cell: str, layers: Layers, x: Array, state: Any, masks: Any, batch_first: bool) -> None:
    """Refuses a call of a stack whose arguments do not fit, naming the argument, the rule and what came.

    Args:
        cell: a name in GATES.
        layers: Parameters by layer and direction.
        x: as `check_sequence` has it; with `batch_first` (B, T, D), or (E, B, T, D).
        state: by layer and direction h (and c), each (B, H) or (E, B, H); or None.
        masks: for every layer but the last (T, B, directions*H) or (T, E, B, directions*H), in a tuple; or None.
    Raises:
        TypeError, ValueError: as `check_sequence`, which the time loops call: they check the lengths.
    """
    check_layers(cell, layers)
    T, batch = check_input(x, layers[0][0], batch_first, layer_field(0, 0, "weight_ih"))
    if state is not None:
        check_states("state", cell, state, batch, layers)
    if masks is not None:
        check_masks(masks, (T, *batch), layers)


def check_input(
    x: Array, params: Parameters, batch_first: bool = False, source: str = "weight_ih"
) -> tuple[int, tuple[int, ...]]:
    """Refuses an x of another rank, width, group or dtype than the parameters', by name.

    Args:
        x: (T, B, D) or (T, E, B, D); with `batch_first` (B, T, D) or (E, B, T, D).
        params: weight_ih (G*H, D) or (E, G*H, D); `source` is what to call it.
    Returns:
        T, and the batch (B,) or (E, B).
    """
    alone, grouped = ("B, T, D", "E, B, T, D") if batch_first else ("T, B, D", "T, E, B, D")
    _require_input(x, params, alone, grouped, source)
    E, (B, T) = members(params), x.shape[-3:-1] if batch_first else (x.shape[-2], x.shape[0])
    return T, (B,) if E is None else (E, B)


def _require_input(x: Array, params: Parameters, alone: str, grouped: str, source: str) -> None:
    """Refuses an x whose axes are neither those `alone` nor, for a group, those `grouped`."""
    E, D, axes = members(params), params.weight_ih.shape[-1], grouped.split(", ")
    require_array("x", x, params.weight_ih.dtype, source)
    fits = x.ndim == len(axes) - 1 or (x.ndim == len(axes) and x.shape[axes.index("E")] == E)
    if not fits or x.shape[-1] != D:
        rule = f"({alone}) with D={D}" if E is None else f"({alone}) or ({grouped}) with D={D}, E={E}"
        raise ValueError(f"`x` must have shape {rule}, since {source} is {_shape(params.weight_ih)}; got {_shape(x)}.")


def layer_field(layer: int, direction: int, name: str) -> str:
    """What to call a parameter of a stack: layers[1][0].weight_ih."""
    return f"layers[{layer}][{direction}].{name}"


def direction_field(direction: int, name: str) -> str:
    """What to call a parameter of one layer's directions: directions[0].weight_ih."""
    return f"directions[{direction}].{name}"


def torch_field(layer: int, direction: int, name: str) -> str:
    """What torch.nn calls a parameter of a stack: weight_ih_l1, and weight_ih_l1_reverse for the second direction."""
    return f"{name}_l{layer}{'_reverse' if direction else ''}"


def check_layers(cell: str | None, layers: Layers, called: Callable[[int, int, str], str] = layer_field) -> None:
    """Refuses layers that do not fit the cell or each other, by name.

    Args:
        cell: a name in GATES; None where any of COMMON will do that has as many blocks as the first weight_hh.
        layers: Parameters by layer and direction; all of one number of directions, of one group and one dtype.
        called: what to call a parameter of a layer and direction.
    """
    _require_tuple("layers", layers, "at least one layer", lambda size: size > 0)
    for k, directions in enumerate(layers):
        _require_directions(f"layers[{k}]", directions)
    cell = _cell_like(layers[0][0].weight_hh) if cell is None else cell
    for k, directions in enumerate(layers):
        for d, params in enumerate(directions):
            check_parameters(cell, params, partial(called, k, d))
        if k > 0:
            _check_above(layers, k, called)
        _check_alike(directions, partial(called, k))


def _check_above(layers: Layers, k: int, called: Callable[[int, int, str], str]) -> None:
    """Refuses layer k where its directions, group, width or dtype do not fit the layer below."""
    n, below, weight = len(layers[0]), layers[k - 1][0].weight_hh, layers[k][0].weight_ih
    _require_tuple(f"layers[{k}]", layers[k], f"{_count(n, 'direction')}, since layers[0] is", lambda size: size == n)
    shape = (*below.shape[:-2], weight.shape[-2], n * below.shape[-1])
    why = f"{called(k - 1, 0, 'weight_hh')} is {_shape(below)}, in {_count(n, 'direction')}"
    check_like(called(k, 0, "weight_ih"), weight, below, why, shape)


def check_directions(cell: str, directions: Any, name: str, called: Callable[[int, str], str]) -> None:
    """Refuses what is not one direction or two of the same shapes and dtype, by name.

    Args:
        cell: a name in GATES.
        directions: a tuple of one or two Parameters; `name` is what to call it.
        called: what to call a parameter of a direction.
    """
    _require_directions(name, directions)
    for d, params in enumerate(directions):
        check_parameters(cell, params, partial(called, d))
    _check_alike(directions, called)


def _check_alike(directions: tuple[Parameters, ...], called: Callable[[int, str], str]) -> None:
    """Refuses a second direction of other shapes or dtype than the first."""
    for d, params in enumerate(directions):
        for field in ("weight_ih", "weight_hh"):
            first = getattr(directions[0], field)
            check_like(called(d, field), getattr(params, field), first, f"{called(0, field)} has it")


def _require_directions(name: str, directions: Any) -> None:
    _require_tuple(name, directions, "one direction or two", lambda size: size in (1, 2))
    for d, params in enumerate(directions):
        if not isinstance(params, Parameters):
            raise TypeError(f"`{name}[{d}]` must be impl.spec.Parameters; got {type(params).__name__}.")


def _cell_like(weight_hh: Any) -> str:
    """The cell among COMMON whose weight_hh has this shape, if one has it: a square one is an RNN's."""
    shape = tuple(getattr(weight_hh, "shape", ()))
    return "rnn" if shape[-2:-1] == shape[-1:] else "lstm"


def check_states(name: str, cell: str, states: Any, batch: tuple[int, ...], layers: Layers) -> None:
    """Refuses what is no tuple by layer of tuples by direction of states that fit; `name` is what to call it."""
    n, m = len(layers), len(layers[0])
    _require_tuple(name, states, f"{_count(n, 'layer')}, as `layers` is", lambda size: size == n)
    for k, directions in enumerate(states):
        _require_tuple(
            f"{name}[{k}]", directions, f"{_count(m, 'direction')}, as `layers[{k}]` is", lambda size: size == m
        )
        for d, state in enumerate(directions):
            weight = layers[k][d].weight_hh
            check_state(f"{name}[{k}][{d}]", cell, state, (*batch, weight.shape[-1]), weight)


def check_masks(masks: Any, steps: tuple[int, ...], layers: Layers) -> None:
    """Refuses masks of dropout that are not one array (T, [E,] B, directions*H) for every layer but the last."""
    n = len(layers) - 1
    _require_tuple("masks", masks, f"{_count(n, 'array')}, one for every layer but the last", lambda size: size == n)
    for k, mask in enumerate(masks):
        weight = layers[k][0].weight_hh
        shape = (*steps, len(layers[k]) * weight.shape[-1])
        check_like(f"masks[{k}]", mask, weight, f"it multiplies the outputs of layers[{k}]", shape)


def check_parameters(cell: str, params: Parameters, called: Callable[[str], str] = str) -> None:
    """Refuses parameters of the wrong type, rank, shape or dtype for `cell`, by name; `called` is what to call each."""
    _require_cell(cell)
    if not isinstance(params, Parameters):
        raise TypeError(f"`params` must be impl.spec.Parameters; got {type(params).__name__}.")
    dtype = getattr(params.weight_ih, "dtype", None)
    hh, ih = called("weight_hh"), called("weight_ih")
    require_array(hh, params.weight_hh, dtype, ih)
    require_array(ih, params.weight_ih, dtype)
    G, H = len(GATES[cell]), params.weight_hh.shape[-1] if params.weight_hh.ndim else 0
    group = params.weight_ih.shape[:1] if params.weight_ih.ndim == 3 else ()
    width = params.weight_ih.shape[-1] if params.weight_ih.ndim else "D"
    _require_shape(hh, params.weight_hh, (*group, G * H, H), lambda: f"the cell is {cell}, {G} blocks of H={H} rows")
    like = lambda: f"{hh} is {_shape(params.weight_hh)}"  # noqa: E731
    _require_shape(ih, params.weight_ih, (*group, G * H, width), like)
    for name in BIASES:
        bias = getattr(params, name)
        if bias is not None:
            require_array(called(name), bias, dtype)
            _require_shape(called(name), bias, (*group, G * H), like)


def check_common(cell: str, why: str) -> None:
    """Refuses a cell that is none of COMMON, by name: what is no plain loop knows no variants."""
    if cell not in COMMON:
        raise ValueError(f"`cell` must be one of {', '.join(COMMON)}, since {why}; got {cell!r}.")


def check_state(name: str, cell: str, state: Any, shape: tuple[int, ...], like: Array) -> None:
    """Refuses a state of another kind, shape or dtype than the cell's, by name; `name` is what to call it."""
    kind = STATES[cell]
    if not isinstance(state, kind):
        raise TypeError(
            f"`{name}` must be impl.spec.{kind.__name__}, since the cell is {cell}; got {type(state).__name__}."
        )
    for field, leaf in zip(kind._fields, state, strict=True):
        require_array(f"{name}.{field}", leaf, like.dtype)
        _require_shape(f"{name}.{field}", leaf, shape, f"x has the batch {shape[:-1]} and weight_hh is {_shape(like)}")


def check_lengths(lengths: Array, T: int, batch: tuple[int, ...]) -> None:
    """Refuses lengths that are not integers (B,) or (E, B) from 0 to T."""
    counts = _integers("lengths", lengths, "they count steps")
    if tuple(lengths.shape) not in {batch, batch[-1:]}:
        raise ValueError(f"`lengths` must have shape {batch}, since x has that batch; got {_shape(lengths)}.")
    wrong = (counts < 0) | (counts > T)
    if wrong.any():
        raise ValueError(f"`lengths` must lie in 0..{T}, since x has T={T} steps; got {lengths[wrong].tolist()}.")


def check_one_model(name: str, weight: Array, layout: str) -> None:
    """Refuses a group, weight (E, G*H, D), by name: other projects' layouts hold one model."""
    if weight.ndim == 3:
        raise ValueError(f"`{name}` must have shape (G*H, D), since {layout} holds one model; got {_shape(weight)}.")


def torch_sizes(state_dict: Any) -> tuple[int, int]:
    """How many layers and directions torch.nn's names speak of; unknown and missing names are refused."""
    _require_mapping("state_dict", state_dict)
    found = {name: re.fullmatch(r"(?:weight|bias)_[ih]h_l(0|[1-9][0-9]*)(_reverse)?", str(name)) for name in state_dict}
    unknown = [str(name) for name, match in found.items() if match is None]
    if unknown:
        raise ValueError(
            f"`state_dict` must hold weight_ih_l0 and its like alone, as torch.nn.LSTM has them; got {unknown[0]}."
        )
    L = 1 + max((int(match[1]) for match in found.values()), default=0)
    n = 2 if any(match[2] for match in found.values()) else 1
    needed = (torch_field(k, d, f"weight_{m}h") for k in range(L) for d in range(n) for m in "ih")
    missing = next((name for name in needed if name not in state_dict), None)
    if missing:
        why = f"it is of {_count(L, 'layer')} and {_count(n, 'direction')}"
        raise ValueError(f"`state_dict` must hold {missing}, since {why}; got {_listed(state_dict)}.")
    return L, n


def check_onnx_biases(directions: tuple[Parameters, ...]) -> None:
    """Refuses some biases without the others, by name: ONNX's B holds all of them or is left out."""
    biases = {direction_field(d, name): getattr(params, name) for d, params in enumerate(directions) for name in BIASES}
    absent = [name for name, bias in biases.items() if bias is None]
    if 0 < len(absent) < len(biases):
        raise ValueError(f"`{absent[0]}` must be given, since ONNX's B holds both biases of every direction; got None.")


def check_onnx(cell: str, tensors: Any) -> None:
    """Refuses what is not one layer as ONNX has it, by name.

    Args:
        cell: a name in COMMON.
        tensors: W (directions, G*H, D), R (directions, G*H, H), and B (directions, 2*G*H) or no such name.
    """
    check_common(cell, "ONNX has no other")
    _require_mapping("tensors", tensors)
    if not {"W", "R"} <= set(tensors) <= {"W", "R", "B"}:
        raise ValueError(f"`tensors` must hold W and R, and B or not; got {_listed(tensors)}.")
    R, W, G = tensors["R"], tensors["W"], len(GATES[cell])
    for name in ("R", *tensors):
        require_array(name, tensors[name], getattr(R, "dtype", None))
    n = R.shape[0] if tuple(R.shape[:1]) in {(1,), (2,)} else "1 or 2"
    H, D = R.shape[-1] if R.ndim else 0, W.shape[-1] if W.ndim else "D"
    _require_shape("R", R, (n, G * H, H), f"the cell is {cell}, {G} blocks of H={H} rows")
    _require_shape("W", W, (n, G * H, D), f"R is {_shape(R)}")
    if "B" in tensors:
        _require_shape("B", tensors["B"], (n, 2 * G * H), f"R is {_shape(R)}")


def check_head(params: Head, h: Array, one_step: bool = False) -> None:
    """Refuses a read-out that does not fit: weight_hy (V, H), bias_hy (V,), h (T, B, H), or (B, H) of `one_step`.

    A group has E first, and before B in h.
    """
    if not isinstance(params, Head):
        raise TypeError(f"`params` must be impl.spec.Head; got {type(params).__name__}.")
    require_array("weight_hy", params.weight_hy, getattr(params.weight_hy, "dtype", None))
    if params.weight_hy.ndim not in (2, 3):
        raise ValueError(f"`weight_hy` must have shape (V, H) or (E, V, H); got {_shape(params.weight_hy)}.")
    *group, V, H = params.weight_hy.shape
    if params.bias_hy is not None:
        require_array("bias_hy", params.bias_hy, params.weight_hy.dtype)
        _require_shape("bias_hy", params.bias_hy, (*group, V), f"weight_hy is {_shape(params.weight_hy)}")
    require_array("h", h, params.weight_hy.dtype)
    steps, rank = ("", 2) if one_step else ("T, ", 3)
    fits = h.ndim == rank if not group else h.ndim == rank + 1 and h.shape[-3] == group[0]
    if not fits or h.shape[-1] != H:
        rule = f"({steps}B, H) with H={H}" if not group else f"({steps}E, B, H) with E={group[0]}, H={H}"
        raise ValueError(f"`h` must have shape {rule}, since weight_hy is {_shape(params.weight_hy)}; got {_shape(h)}.")


def check_look_up(table: Array, index: Array) -> None:
    """Refuses a look-up that does not fit: table (V, D), index integers (T, B) in 0..V-1.

    A group has E first in the table, and before B in the index unless its models share that.
    """
    require_array("table", table, getattr(table, "dtype", None))
    if table.ndim not in (2, 3):
        raise ValueError(f"`table` must have shape (V, D) or (E, V, D); got {_shape(table)}.")
    require_array("index", index)
    if "uint64" in str(index.dtype):
        raise TypeError(f"`index` must fit int64, since rows are counted in it; got dtype {index.dtype}.")
    places = _integers("index", index, "they number the table's rows")
    *group, V, _ = table.shape
    if index.ndim != 2 and (not group or index.ndim != 3 or index.shape[1] != group[0]):
        rule = "(T, B)" if not group else f"(T, B) or (T, E, B) with E={group[0]}"
        raise ValueError(f"`index` must have shape {rule}, since table is {_shape(table)}; got {_shape(index)}.")
    wrong = (places < 0) | (places >= V)
    if wrong.any():
        raise ValueError(
            f"`index` must lie in 0..{V - 1}, since table has V={V} rows; got {index[wrong].tolist()[:5]}."
        )


def check_like(name: str, array: Array, like: Array, why: str, shape: tuple[int, ...] | None = None) -> None:
    """Refuses an array of another shape (that of `like` unless given) or dtype than `like`, by name."""
    require_array(name, array, like.dtype)
    _require_shape(name, array, tuple(like.shape) if shape is None else shape, why)


def check_targets(y: Array, targets: Array, mask: Array | None) -> None:
    """Refuses class targets that are not integers (T, [E,] B) in 0..V-1 where the mask (bool, same shape) is true."""
    require_array("y", y, getattr(y, "dtype", None))
    classes = _integers("targets", targets, "they are classes")
    V, steps = y.shape[-1], tuple(y.shape[:-1])
    _require_shape("targets", targets, steps, f"y is {_shape(y)}")
    check_mask(mask, steps)
    wrong = (classes < 0) | (classes >= V)
    wrong = wrong if mask is None else mask & wrong
    if wrong.any():
        raise ValueError(
            f"`targets` must lie in 0..{V - 1}, since y has V={V} outputs; got {targets[wrong].tolist()[:5]}."
        )


def check_values(y: Array, target: Array, mask: Array | None) -> None:
    """Refuses targets of another shape or dtype than y (T, [E,] B, V), and a mask that is not boolean (T, [E,] B)."""
    require_array("y", y, getattr(y, "dtype", None))
    check_like("target", target, y, "it is compared with y")
    check_mask(mask, tuple(y.shape[:-1]))


def check_mask(mask: Array | None, steps: tuple[int, ...]) -> None:
    """Refuses a mask that is not boolean of shape (T, [E,] B)."""
    if mask is not None:
        require_array("mask", mask)
        if "bool" not in str(mask.dtype):
            raise TypeError(f"`mask` must be boolean, since it selects steps; got dtype {mask.dtype}.")
        _require_shape("mask", mask, steps, f"the loss runs over {steps}")


def require_array(name: str, array: Any, dtype: Any = None, source: str | None = None) -> None:
    """Refuses what is no array, or a masked one; with `dtype`, also another dtype, and one that is none of DTYPES.

    Args:
        name: what to call the array; source: the array that has `dtype`, where it was not looked at before.
    """
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        raise TypeError(f"`{name}` must be an array; got {type(array).__name__}.")
    require_unmasked(name, array)
    if dtype is not None and not _judged(dtype):
        wrong = name if source is None or array.dtype == dtype else source
        raise TypeError(f"`{wrong}` must be {' or '.join(DTYPES)}; got {dtype}.")
    if dtype is not None and array.dtype != dtype:
        wanted, got = str(dtype), str(array.dtype)
        if ("." in wanted) != ("." in got):  # NumPy's and torch's: NumPy's own name does not say whose it is
            wanted, got = (text if "." in text else f"numpy.{text}" for text in (wanted, got))
        raise TypeError(f"`{name}` must be {wanted}, since all arrays of a call share one dtype; got {got}.")


def check_dtype(dtype: Any) -> None:
    """Refuses what is neither a name in DTYPES nor None."""
    if dtype is not None and not (isinstance(dtype, str) and dtype in DTYPES):
        raise ValueError(f"`dtype` must be None or one of {', '.join(DTYPES)}; got {dtype!r}.")


def require_unmasked(name: str, array: Any) -> None:
    """Refuses NumPy's masked arrays, by name: what computes looks at no mask of theirs."""
    if hasattr(array, "mask") and hasattr(array, "fill_value"):
        raise TypeError(
            f"`{name}` must be an array without a mask of its own, since that is not looked at: `lengths` says where "
            f"rows end, a loss's `mask` what counts; got {type(array).__name__}."
        )


def _integers(name: str, array: Array, why: str) -> Array:
    """An array to compare with numbers; what holds no integers is refused, and what torch cannot compare.

    Torch takes a number modulo the range of a narrow dtype before it compares, so its arrays become those of 64 bits.
    """
    require_array(name, array)
    dtype = str(array.dtype)
    if "int" not in dtype:
        raise TypeError(f"`{name}` must hold integers, since {why}; got dtype {array.dtype}.")
    if dtype in ("torch.uint16", "torch.uint32", "torch.uint64"):
        raise TypeError(f"`{name}` must be signed or 8 bits wide, since torch compares no others; got dtype {dtype}.")
    return array.long() if hasattr(array, "long") else array


@lru_cache(maxsize=64)
def _judged(dtype: Any) -> bool:
    """Whether a dtype is one of DTYPES, whoever's it is; kept, since NumPy takes microseconds to name a dtype."""
    return str(dtype).split(".")[-1] in DTYPES


def _require_cell(cell: Any) -> None:
    if cell not in GATES:
        raise ValueError(f"`cell` must be one of {', '.join(GATES)}; got {cell!r}.")


def _require_mapping(name: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"`{name}` must be a dict of arrays by name; got {type(value).__name__}.")


def _require_tuple(name: str, value: Any, what: str, fits: Callable[[int], bool]) -> None:
    """Refuses what is no plain tuple, or one of another length."""
    if not isinstance(value, tuple) or hasattr(value, "_fields"):
        raise TypeError(f"`{name}` must be a tuple of {what}; got {type(value).__name__}.")
    if not fits(len(value)):
        raise ValueError(f"`{name}` must be a tuple of {what}; got {len(value)}.")


def _require_shape(name: str, array: Array, shape: tuple[Any, ...], why: str | Callable[[], str]) -> None:
    """Refuses another shape; `why` may be a function where the text would cost more than the check."""
    if tuple(array.shape) != shape:
        why = why if isinstance(why, str) else why()
        raise ValueError(f"`{name}` must have shape {_text(shape)}, since {why}; got {_shape(array)}.")


def _shape(array: Array) -> str:
    return _text(tuple(array.shape))


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _listed(names: Any) -> str:
    return ", ".join(map(str, names)) or "no names"


def _text(shape: tuple[Any, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
