"""What both twins share: names, shapes, gate order, dtypes, and the checks that refuse bad input by name.

Symbols: T time steps, B sequences of a batch, D input features, H hidden units, G stacked blocks of a cell (1 or 4),
V outputs, E models of a group. Time is axis 0 of a sequence; a group's axis E stands before B. One model has no axis E.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

Array: TypeAlias = Any  # numpy.ndarray or torch.Tensor: this file imports neither

GATES = {"rnn": ("a",), "lstm": ("i", "f", "g", "o")}
"""The stacked blocks of each cell's parameters, first rows first. The LSTM's order is that of torch.nn.LSTM."""

DTYPES = ("float32", "float64")


class Parameters(NamedTuple):
    """A cell's parameters under torch.nn's names; each array may have a leading axis E, the biases may be None.

    Shapes: weight_ih (G*H, D), weight_hh (G*H, H), bias_ih (G*H,), bias_hh (G*H,).
    """

    weight_ih: Array
    weight_hh: Array
    bias_ih: Array | None = None
    bias_hh: Array | None = None


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
    """State of a vanilla RNN: h (B, H); over time (T, B, H); a group has E before B."""

    h: Array


class LSTMState(NamedTuple):
    """State of an LSTM: h and c, each (B, H); over time (T, B, H); a group has E before B."""

    h: Array
    c: Array


STATES = {"rnn": RNNState, "lstm": LSTMState}


class Run(NamedTuple):
    """What a time loop returns: the state after every step (zero at padding), the last state, the backward's cache."""

    states: Any
    last: Any
    cache: Any


class Gradient(NamedTuple):
    """Gradients of the loss: by x, by the parameters, by the initial state, and in total by every h_t (and c_t)."""

    x: Array
    params: Parameters
    state: Any
    states: Any


def unpack(params: Parameters) -> Weights:
    """Names the parameters as the equations do; the two biases only ever appear as their sum.

    Args:
        params: weight_ih (G*H, D), weight_hh (G*H, H), biases (G*H,) or None; each with an optional leading E.
    """
    b_ih, b_hh = params.bias_ih, params.bias_hh
    b = b_hh if b_ih is None else b_ih if b_hh is None else b_ih + b_hh
    return Weights(params.weight_ih, params.weight_hh, 0.0 if b is None else b[..., None, :])


def block(cell: str, gate: str, H: int) -> slice:
    """The rows of one gate in a cell's stacked parameters and pre-activations, in the order of GATES."""
    n = GATES[cell].index(gate)
    return slice(n * H, (n + 1) * H)


def leaves(tree: Any) -> list[Array]:
    """The arrays of a tree of (named) tuples in field order; absent ones (None) are left out."""
    if isinstance(tree, tuple):
        return [leaf for branch in tree for leaf in leaves(branch)]
    return [] if tree is None else [tree]


def tree_map(function: Callable[..., Any], tree: Any, *more: Any) -> Any:
    """Applies `function` to the arrays of one or more trees of the same form; None stays None."""
    if isinstance(tree, tuple):
        branches = [tree_map(function, *branch) for branch in zip(tree, *more, strict=True)]
        return type(tree)(*branches) if hasattr(tree, "_fields") else tuple(branches)
    return None if tree is None else function(tree, *more)


def rebuild(tree: Any, arrays: list[Array]) -> Any:
    """The tree with its arrays, in the order of `leaves`, replaced by `arrays`."""
    given = iter(arrays)
    return tree_map(lambda _: next(given), tree)


def members(tree: Any) -> int | None:
    """E, the number of models in a tree of Parameters, Head or Model; None for one model without axis E."""
    weight = leaves(tree)[0]
    return weight.shape[0] if weight.ndim == 3 else None


def check_sequence(cell: str, params: Parameters, x: Array, state: Any, lengths: Array | None) -> None:
    """Refuses a call of the time loop whose arguments do not fit, naming the argument, the rule and what came.

    Args:
        cell: "rnn" or "lstm".
        params: weight_ih (G*H, D) and so on, each with an optional leading axis E.
        x: (T, B, D), or (T, E, B, D) for a group; (T, B, D) is shared by a group.
        state: h (and c), each (B, H) or (E, B, H); or None.
        lengths: integers (B,) or (E, B), each from 0 to T; or None.
    Raises:
        TypeError: an argument is no array, or has another dtype than the first weight.
        ValueError: a name, rank or shape does not fit.
    """
    check_parameters(cell, params)
    E, D, H = members(params), params.weight_ih.shape[-1], params.weight_hh.shape[-1]
    require_array("x", x, params.weight_ih.dtype)
    ranks = (3,) if E is None else (3, 4)
    if x.ndim not in ranks or x.shape[-1] != D or (x.ndim == 4 and x.shape[1] != E):
        rule = f"(T, B, D) with D={D}" if E is None else f"(T, B, D) or (T, E, B, D) with D={D}, E={E}"
        raise ValueError(f"`x` must have shape {rule}, since weight_ih is {_shape(params.weight_ih)}; got {_shape(x)}.")
    T, B = x.shape[0], x.shape[-2]
    batch = (B,) if E is None else (E, B)
    if state is not None:
        check_state("state", cell, state, (*batch, H), params.weight_hh)
    if lengths is not None:
        check_lengths(lengths, T, batch)


def check_parameters(cell: str, params: Parameters) -> None:
    """Refuses parameters of the wrong type, rank, shape or dtype for `cell`, by name."""
    if cell not in GATES:
        raise ValueError(f"`cell` must be one of {', '.join(GATES)}; got {cell!r}.")
    if not isinstance(params, Parameters):
        raise TypeError(f"`params` must be impl.spec.Parameters; got {type(params).__name__}.")
    dtype = getattr(params.weight_ih, "dtype", None)
    require_array("weight_hh", params.weight_hh, dtype)
    require_array("weight_ih", params.weight_ih, dtype)
    G, H = len(GATES[cell]), params.weight_hh.shape[-1] if params.weight_hh.ndim else 0
    group = params.weight_ih.shape[:1] if params.weight_ih.ndim == 3 else ()
    width = params.weight_ih.shape[-1] if params.weight_ih.ndim else "D"
    _require_shape("weight_hh", params.weight_hh, (*group, G * H, H), f"the cell is {cell}, {G} blocks of H={H} rows")
    _require_shape("weight_ih", params.weight_ih, (*group, G * H, width), f"weight_hh is {_shape(params.weight_hh)}")
    for name in ("bias_ih", "bias_hh"):
        bias = getattr(params, name)
        if bias is not None:
            require_array(name, bias, dtype)
            _require_shape(name, bias, (*group, G * H), f"weight_hh is {_shape(params.weight_hh)}")


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
    require_array("lengths", lengths)
    if "int" not in str(lengths.dtype):
        raise TypeError(f"`lengths` must hold integers, since they count steps; got dtype {lengths.dtype}.")
    if tuple(lengths.shape) not in {batch, batch[-1:]}:
        raise ValueError(f"`lengths` must have shape {batch}, since x has that batch; got {_shape(lengths)}.")
    wrong = (lengths < 0) | (lengths > T)
    if wrong.any():
        raise ValueError(f"`lengths` must lie in 0..{T}, since x has T={T} steps; got {lengths[wrong].tolist()}.")


def check_head(params: Head, h: Array) -> None:
    """Refuses a read-out that does not fit: weight_hy (V, H), bias_hy (V,), h (..., B, H), E first or absent."""
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
    fits = h.ndim == 3 if not group else h.ndim == 4 and h.shape[1] == group[0]
    if not fits or h.shape[-1] != H:
        rule = f"(T, B, H) with H={H}" if not group else f"(T, E, B, H) with E={group[0]}, H={H}"
        raise ValueError(f"`h` must have shape {rule}, since weight_hy is {_shape(params.weight_hy)}; got {_shape(h)}.")


def check_like(name: str, array: Array, like: Array, why: str, shape: tuple[int, ...] | None = None) -> None:
    """Refuses an array of another shape (that of `like` unless given) or dtype than `like`, by name."""
    require_array(name, array, like.dtype)
    _require_shape(name, array, tuple(like.shape) if shape is None else shape, why)


def check_targets(y: Array, targets: Array, mask: Array | None) -> None:
    """Refuses class targets that are not integers (T, [E,] B) in 0..V-1 where the mask (bool, same shape) is true."""
    require_array("y", y, getattr(y, "dtype", None))
    require_array("targets", targets)
    V, steps = y.shape[-1], tuple(y.shape[:-1])
    if "int" not in str(targets.dtype):
        raise TypeError(f"`targets` must hold integers, since they are classes; got dtype {targets.dtype}.")
    _require_shape("targets", targets, steps, f"y is {_shape(y)}")
    check_mask(mask, steps)
    wrong = (targets < 0) | (targets >= V) if mask is None else mask & ((targets < 0) | (targets >= V))
    if wrong.any():
        raise ValueError(
            f"`targets` must lie in 0..{V - 1}, since y has V={V} outputs; got {targets[wrong].tolist()[:5]}."
        )


def check_mask(mask: Array | None, steps: tuple[int, ...]) -> None:
    """Refuses a mask that is not boolean of shape (T, [E,] B)."""
    if mask is not None:
        require_array("mask", mask)
        if "bool" not in str(mask.dtype):
            raise TypeError(f"`mask` must be boolean, since it selects steps; got dtype {mask.dtype}.")
        _require_shape("mask", mask, steps, f"the loss runs over {steps}")


def require_array(name: str, array: Any, dtype: Any = None) -> None:
    """Refuses what is no array; with `dtype`, also what has another dtype, or one that is not float32 or float64."""
    if not hasattr(array, "shape") or not hasattr(array, "dtype"):
        raise TypeError(f"`{name}` must be an array; got {type(array).__name__}.")
    if dtype is not None and str(dtype).split(".")[-1] not in DTYPES:
        raise TypeError(f"`{name}` must be {' or '.join(DTYPES)}; got {dtype}.")
    if dtype is not None and array.dtype != dtype:
        raise TypeError(f"`{name}` must be {dtype}, since all arrays of a call share one dtype; got {array.dtype}.")


def _require_shape(name: str, array: Array, shape: tuple[Any, ...], why: str) -> None:
    if tuple(array.shape) != shape:
        raise ValueError(f"`{name}` must have shape {_text(shape)}, since {why}; got {_shape(array)}.")


def _shape(array: Array) -> str:
    return _text(tuple(array.shape))


def _text(shape: tuple[Any, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
