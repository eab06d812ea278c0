"""The embedding x_t = table[index_t]: one-hot inputs times a table, without the product and without its zeros."""

from __future__ import annotations

from math import prod

from torch import arange, zeros

from impl.spec import Array, check_like, check_look_up


def look_up(table: Array, index: Array) -> Array:
    """What the cell sees of each index: x (T, B, D) or (T, E, B, D).

    Args:
        table: (V, D) or (E, V, D), a row an index.
        index: integers in 0..V-1, (T, B) or (T, E, B); (T, B) is shared by a group.
    Raises:
        TypeError, ValueError: an argument has the wrong kind, dtype or shape; the message names it.
    """
    check_look_up(table, index)
    return table.reshape(prod(table.shape[:-1]), table.shape[-1])[places(table, index)]


def backward(table: Array, index: Array, dx: Array) -> Array:
    """The backward of `look_up`: the gradient by the table, an index's summed over all places where it stands.

    Args:
        table, index: as in `look_up`.
        dx: gradient by x, (T, B, D) or (T, E, B, D).
    """
    check_look_up(table, index)
    place, D = places(table, index), table.shape[-1]
    check_like("dx", dx, table, "it is the gradient by x", (*place.shape, D))
    place, dx = place.reshape(-1), dx.reshape(prod(place.shape), D)
    return sum_rows(dx, place, prod(table.shape[:-1])).reshape(table.shape)


def places(table: Array, index: Array) -> Array:
    """Which row of the tables of all models, one below the other, each index means: (T, B) or (T, E, B), 64 bits."""
    if table.ndim == 2:
        return index + arange(1, device=table.device)  # of 64 bits also where the index is not
    E, V = table.shape[:2]
    index = index if index.ndim == 3 else index[:, None]
    return index + V * arange(E, device=table.device)[:, None]


def sum_rows(rows: Array, place: Array, n: int) -> Array:
    """The rows (N, D) summed by their place (N,) in 0..n-1, each place's in the same order every time: (n, D)."""
    total = zeros((n, rows.shape[-1]), dtype=rows.dtype, device=rows.device)
    if rows.device.type == "cpu":  # there threads of index_put_ add in any order, on a card those of index_add_
        return total.index_add_(0, place, rows)
    return total.index_put_((place,), rows, accumulate=True)
