"""Losses over a sequence and their gradients: sums over steps and rows, one a model.

By the chain rule of probability the loss of a sequence is the sum over its steps; whoever wants a mean divides loss and
gradient. `mask` selects what counts: y and targets may hold anything elsewhere, NaN included, and dy is zero there.
"""

from __future__ import annotations

from numpy import amax, arange, exp, log, log1p, where

from impl.spec import Array, check_targets, check_values

from .lstm import sigma


def softmax_cross_entropy(y: Array, targets: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """-ln softmax(y)[target], summed: the negative log-likelihood in nats.

    Args:
        y: logits (T, B, V) or (T, E, B, V).
        targets: integers in 0..V-1, (T, B) or (T, E, B).
        mask: bool, the shape of targets; all steps count if None.
    Returns:
        The loss, () or (E,), and dy, the shape of y.
    Raises:
        TypeError, ValueError: an argument has the wrong kind, dtype or shape; the message names it.
    """
    check_targets(y, targets, mask)
    y = select(mask, y)
    hit = targets[..., None] == arange(y.shape[-1], device=y.device)
    z = y - amax(y, axis=-1, keepdims=True)
    e = exp(z)
    total = e.sum(-1)
    losses = log(total) - where(hit, z, 0).sum(-1)
    p = e / total[..., None]
    dy = where(hit, p - 1, p)
    return sum_steps(losses if mask is None else where(mask, losses, 0)), select(mask, dy)


def squared_error(y: Array, target: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """(y - target)^2, summed over steps, rows and outputs.

    Args:
        y, target: (T, B, V) or (T, E, B, V).
        mask: bool, (T, B) or (T, E, B); all steps count if None.
    Returns:
        The loss, () or (E,), and dy, the shape of y.
    """
    check_values(y, target, mask)
    difference = select(mask, y - target)
    return sum_steps((difference * difference).sum(-1)), 2 * difference


def logistic(y: Array, target: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """-ln sigma(y) where the target is 1, -ln(1 - sigma(y)) where it is 0, summed over steps, rows and outputs.

    Args:
        y: logits (T, B, V) or (T, E, B, V).
        target: the shape and dtype of y, each 0 or 1 (or a probability).
        mask: bool, (T, B) or (T, E, B); all steps count if None.
    Returns:
        The loss, () or (E,), and dy, the shape of y.
    """
    check_values(y, target, mask)
    y, target = select(mask, y), select(mask, target)
    falling = where(y > 0, -y, y)  # -|y|, but by autograd never of slope 0: at y = 0 both derivatives are the loss's
    losses = where(y > 0, y, 0) - y * target + log1p(exp(falling))
    counted = losses if mask is None else where(mask[..., None], losses, 0)
    return sum_steps(counted.sum(-1)), select(mask, sigma(y) - target)


def select(mask: Array | None, a: Array) -> Array:
    """a (..., V) where the mask (...) holds, and zero elsewhere."""
    return a if mask is None else where(mask[..., None], a, 0)


def sum_steps(losses: Array) -> Array:
    """The sum over steps and rows: (T, B) gives (), (T, E, B) gives (E,)."""
    return losses.sum(-1).sum(0)
