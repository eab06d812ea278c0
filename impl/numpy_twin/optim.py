"""Optimisers as functions of trees of parameters, each model of a group on its own.

A tree is Parameters, Head, Model or a tuple of these; its arrays have a leading axis E for a group.
"""

from __future__ import annotations

from math import prod
from numbers import Real
from typing import Any, NamedTuple

from numpy import amax, generic, inf, maximum, ndarray, sqrt, where, zeros_like

from impl.spec import Array, check_fits, check_tree, leaves, members, tree_map


class AdamState(NamedTuple):
    """Adam's memory: the number of updates, and running means of the gradient and of its square."""

    count: int
    mean: Any
    square: Any


def sgd(params: Any, gradient: Any, lr: float) -> Any:
    """Gradient descent: params - lr * gradient."""
    check_trees(params, gradient=gradient)
    (lr,) = options(lr=lr)
    return tree_map(lambda p, d: p - lr * d, params, gradient)


def adam_start(params: Any) -> AdamState:
    """Adam's memory before the first update."""
    check_tree("params", params)
    return AdamState(0, tree_map(lambda p: p * 0, params), tree_map(lambda p: p * 0, params))


def adam(
    params: Any,
    gradient: Any,
    state: AdamState,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[Any, AdamState]:
    """One update of Adam: the new parameters and the new memory.

    Args:
        params, gradient: trees of the same form.
        state: from `adam_start` or the update before.
        lr: step size; beta1, beta2: decay of the running means; eps: added to the root of the mean square.
    Source: Kingma, Ba 2015, algorithm 1; eps enters after the correction of the bias, as there and in torch.optim.Adam.
    """
    if not isinstance(state, AdamState):
        raise TypeError(f"`state` must be AdamState, since Adam has two means; got {type(state).__name__}.")
    check_trees(params, gradient=gradient, **{"state.mean": state.mean, "state.square": state.square})
    lr, beta1, beta2, eps = options(lr=lr, beta1=beta1, beta2=beta2, eps=eps)
    count = state.count + 1
    mean = tree_map(lambda m, d: beta1 * m + (1 - beta1) * d, state.mean, gradient)
    square = tree_map(lambda s, d: beta2 * s + (1 - beta2) * d * d, state.square, gradient)
    scale, root = lr / (1 - beta1**count), (1 - beta2**count) ** 0.5
    params = tree_map(lambda p, m, s: p - scale * m / (sqrt(s) / root + eps), params, mean, square)
    return params, AdamState(count, mean, square)


def rmsprop_start(params: Any) -> Any:
    """RMSprop's memory before the first update: a mean square of zero."""
    check_tree("params", params)
    return tree_map(lambda p: p * 0, params)


def rmsprop(
    params: Any, gradient: Any, square: Any, lr: float, decay: float = 0.99, eps: float = 1e-8
) -> tuple[Any, Any]:
    """One update of RMSprop: the new parameters and the new running mean of the gradient's square.

    Args:
        params, gradient: trees of the same form.
        square: from `rmsprop_start` or the update before.
        lr: step size; decay: that of the running mean; eps: added to the root of the mean square.
    Source: Tieleman, Hinton 2012, lecture 6e. It has no eps: that, and the default decay, are torch.optim.RMSprop's.
    """
    check_trees(params, gradient=gradient, square=square)
    lr, decay, eps = options(lr=lr, decay=decay, eps=eps)
    square = tree_map(lambda s, d: decay * s + (1 - decay) * d * d, square, gradient)
    params = tree_map(lambda p, d, s: p - lr * d / (sqrt(s) + eps), params, gradient, square)
    return params, square


def clip(gradient: Any, max_norm: float) -> tuple[Any, Array]:
    """Scales each model's whole gradient down to `max_norm` where its Euclidean norm is larger.

    Returns:
        The scaled gradient, and the norm before, () or (E,); of an infinite one what is finite becomes 0, the rest NaN,
        as in torch.nn.utils.clip_grad_norm_. A gradient with a NaN, whose norm is NaN, comes back as it is.
    Raises:
        TypeError, ValueError: an argument is none of these, or max_norm negative; the message names it.
    Source: Pascanu, Mikolov, Bengio 2013, algorithm 1.
    """
    check_tree("gradient", gradient)
    members(gradient, "gradient")
    max_norm = plain("max_norm", max_norm)
    if not max_norm >= 0:
        raise ValueError(f"`max_norm` must be at least 0, since it is a norm; got {max_norm}.")
    norm = global_norm(gradient)
    over = norm > max_norm
    limit = zeros_like(norm) + max_norm  # torch makes a number over a tensor by 1 / norm, which may be infinite
    factor = where(over, limit / where(over, norm, 1), 1)
    return tree_map(lambda d: d * factor.reshape(*factor.shape, *[1] * (d.ndim - factor.ndim)), gradient), norm


def check_trees(params: Any, **others: Any) -> None:
    """Refuses, by name, what is no tree of arrays, and what does not fit the parameters leaf by leaf."""
    check_tree("params", params)
    for name, tree in others.items():
        check_fits(name, tree, params, "params")


def options(**given: Any) -> list[Any]:
    """An optimiser's options as `plain` has them: each at least 0, a decay below 1 and the others finite, or refused.

    A tensor is not looked at: a card's would be waited for.
    """
    found = [plain(name, a) for name, a in given.items()]
    for name, a in zip(given, found, strict=True):
        end, rule = (inf, "finite") if name in ("lr", "eps") else (1, "below 1, since it is the decay of a mean")
        if isinstance(a, Real) and not 0 <= a < end:
            raise ValueError(f"`{name}` must be at least 0 and {rule}; got {a}.")
    return found


def plain(name: str, a: Any) -> Any:
    """A number of NumPy's as Python's: its dtype would become the parameters'. What is not one number is refused."""
    if not isinstance(a, Real) and getattr(a, "shape", None) != ():
        came = tuple(a.shape) if hasattr(a, "shape") else type(a).__name__
        raise TypeError(f"`{name}` must be one number, since all models of a group share it; got {came}.")
    return a.item() if isinstance(a, generic | ndarray) and a.ndim == 0 else a


def global_norm(gradient: Any) -> Array:
    """Each model's Euclidean norm, () or (E,), after division by its largest entry, so that no square overflows."""
    axes = 0 if members(gradient) is None else 1
    rows = [d.reshape(*d.shape[:axes], prod(d.shape[axes:])) for d in leaves(gradient) if 0 not in d.shape[axes:]]
    largest = amax(abs(rows[0]), -1)
    for row in rows[1:]:
        largest = maximum(largest, amax(abs(row), -1))
    scale = where((largest > 0) & (largest < inf), largest, 1)
    return scale * sqrt(sum(((row / scale[..., None]) ** 2).sum(-1) for row in rows))
