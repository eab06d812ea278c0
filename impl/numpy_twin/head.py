"""The linear read-out y_t = W_hy h_t + b_hy: what the state emits, at every step alike; and which is the likeliest."""

from __future__ import annotations

from numpy import ones_like, where

from impl.spec import Array, Head, check_head, check_like

from .scan import over_rows


def forward(params: Head, h: Array) -> Array:
    """Reads out every step: y (T, B, V) or (T, E, B, V).

    Args:
        params: weight_hy (V, H), bias_hy (V,) or None; E first for a group.
        h: (T, B, H) or (T, E, B, H).
    Raises:
        TypeError, ValueError: an argument has the wrong kind, dtype or shape; the message names it.
    """
    check_head(params, h)
    b = 0.0 if params.bias_hy is None else params.bias_hy[..., None, :]
    return h @ params.weight_hy.mT + b


def likeliest(params: Head, h: Array) -> Array:
    """The class with the largest y of one step, the first of equals: one-hot, (B, V) or (E, B, V), in the dtype of h.

    A decoder's next input is then likeliest(params, h) @ embedding.

    Args:
        params: as in `forward`.
        h: (B, H) or (E, B, H).
    Raises:
        TypeError, ValueError: as in `forward`.
    """
    check_head(params, h, one_step=True)
    y = forward(params, h[None])[0]
    ones = ones_like(y)  # summed up they number the classes from 1, where y is
    return where(ones.cumsum(-1) == 1 + y.argmax(-1)[..., None], ones, 0)


def backward(params: Head, h: Array, dy: Array) -> tuple[Array, Head]:
    """The backward of `forward`: dh, and the gradient by weight_hy and bias_hy (None where absent).

    Args:
        params, h: as in `forward`.
        dy: gradient by y, (T, B, V) or (T, E, B, V).
    """
    check_head(params, h)
    check_like("dy", dy, h, "it is the gradient by y", (*h.shape[:-1], params.weight_hy.shape[-2]))
    dh = dy @ params.weight_hy
    dy_ = over_rows(dy)
    return dh, Head(dy_.mT @ over_rows(h), None if params.bias_hy is None else dy_.sum(-2))
