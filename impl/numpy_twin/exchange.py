"""Parameters in and out of two other layouts: torch.nn's state dict, and the tensors of ONNX's RNN and LSTM.

Both ways every bit is kept, and the memory is the result's own. ONNX has the gates in the order of ONNX_GATES, the two
biases one after the other in a tensor B = [bias_ih, bias_hh], and the directions as first axis.

Source: torch.nn.LSTM; ONNX operator specification, RNN-22 and LSTM-22.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from numpy import concatenate, stack

from impl.spec import (
    GATES,
    ONNX_GATES,
    Array,
    Layers,
    Parameters,
    block,
    check_common,
    check_directions,
    check_layers,
    check_one_model,
    check_onnx,
    check_onnx_biases,
    direction_field,
    layer_field,
    torch_field,
    torch_sizes,
    tree_map,
)

from .array import detached, require_own_each
from .scan import copy


def to_torch(layers: Layers) -> dict[str, Array]:
    """The parameters by the names of a torch.nn.RNN or torch.nn.LSTM: weight_ih_l0, ..., bias_hh_l1_reverse.

    Args:
        layers: Parameters by layer and direction, without axis E; absent biases have no name.
    Raises:
        TypeError, ValueError: the layers do not fit each other, or are a group; the message names the parameter.
    """
    check_layers(None, layers)
    check_one_model(layer_field(0, 0, "weight_ih"), layers[0][0].weight_ih, "torch.nn")
    require_own_layers(layers, layer_field)
    return {
        torch_field(k, d, name): detached(a)
        for k, directions in enumerate(layers)
        for d, params in enumerate(directions)
        for name, a in params._asdict().items()
        if a is not None
    }


def from_torch(state_dict: Mapping[str, Array]) -> Layers:
    """The layers of a torch.nn.RNN's or torch.nn.LSTM's state dict, in this twin's arrays.

    Args:
        state_dict: weight_ih_l0 (G*H, D), weight_hh_l0 (G*H, H), and so on; biases absent there are absent here.
    Raises:
        TypeError, ValueError: a name is unknown or missing, or what it holds does not fit; the message says which.
    """
    L, n = torch_sizes(state_dict)
    layers = tuple(
        tuple(Parameters(*(state_dict.get(torch_field(k, d, name)) for name in Parameters._fields)) for d in range(n))
        for k in range(L)
    )
    check_layers(None, layers, torch_field)
    check_one_model(torch_field(0, 0, "weight_ih"), layers[0][0].weight_ih, "torch.nn")
    require_own_layers(layers)
    return tree_map(copy, layers)


def require_own_layers(layers: Layers, called: Callable[[int, int, str], str] = torch_field) -> None:
    """Refuses layers whose parameters are no arrays of this twin, by name; `called` is what to call each."""
    for k, directions in enumerate(layers):
        require_own_directions(directions, partial(called, k))


def require_own_directions(directions: tuple[Parameters, ...], called: Callable[[int, str], str]) -> None:
    """The same of one layer's directions."""
    for d, params in enumerate(directions):
        require_own_each({called(d, name): a for name, a in params._asdict().items()})


def to_onnx(cell: str, directions: tuple[Parameters, ...]) -> dict[str, Array]:
    """One layer as the inputs W, R and B of ONNX's RNN or LSTM; whether an RNN is one of relu its attributes must say.

    Args:
        cell: a name in impl.spec.COMMON.
        directions: one or two Parameters without axis E, with all their biases or none.
    Returns:
        W (directions, G*H, D), R (directions, G*H, H), and B (directions, 2*G*H) where there are biases.
    Raises:
        TypeError, ValueError: a direction does not fit, or some biases are absent; the message names it.
    """
    check_common(cell, "ONNX has no other")
    check_directions(cell, directions, "directions", direction_field)
    check_one_model(direction_field(0, "weight_ih"), directions[0].weight_ih, "ONNX")
    check_onnx_biases(directions)
    require_own_directions(directions, direction_field)
    turned = [tree_map(lambda a: reordered(cell, detached(a), GATES, ONNX_GATES), params) for params in directions]
    tensors = {"W": stack([params.weight_ih for params in turned]), "R": stack([params.weight_hh for params in turned])}
    if turned[0].bias_ih is not None:
        tensors["B"] = stack([concatenate([params.bias_ih, params.bias_hh]) for params in turned])
    return tensors


def from_onnx(cell: str, tensors: Mapping[str, Array]) -> tuple[Parameters, ...]:
    """The directions of one layer from the inputs W, R and B of ONNX's RNN or LSTM.

    Args:
        cell: a name in impl.spec.COMMON.
        tensors: W (directions, G*H, D), R (directions, G*H, H), and B (directions, 2*G*H), or no B for no biases.
    Raises:
        TypeError, ValueError: a name is unknown or missing, or a tensor does not fit; the message names it.
    """
    check_onnx(cell, tensors)
    require_own_each(tensors)
    W, R, B = tensors["W"], tensors["R"], tensors.get("B")
    biases = [(None, None)] * len(R) if B is None else [(b[: len(b) // 2], b[len(b) // 2 :]) for b in B]
    held = [Parameters(W[d], R[d], *biases[d]) for d in range(len(R))]
    return tuple(tree_map(lambda a: reordered(cell, a, ONNX_GATES, GATES), params) for params in held)


def reordered(cell: str, a: Array, held: Mapping[str, tuple[str, ...]], wanted: Mapping[str, tuple[str, ...]]) -> Array:
    """The blocks of a (G*H, ...), which stand in one order, in another."""
    H = a.shape[0] // len(held[cell])
    return concatenate([a[block(cell, gate, H, held)] for gate in wanted[cell]])
