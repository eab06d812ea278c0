"""In and out of this twin: trees of NumPy arrays, at the wanted dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from impl.spec import check_dtype, require_unmasked, tree_map


def asarray(tree: Any, dtype: str | None = None, device: str | None = None) -> Any:
    """A tree of NumPy arrays as this twin's arrays, in memory of their own.

    Args:
        tree: an array, or (named) tuples of arrays.
        dtype: "float32" or "float64" for what is floating; integers and booleans keep theirs. None keeps all.
        device: None or "cpu".
    """
    check_dtype(dtype)
    if device not in (None, "cpu"):
        raise ValueError(f"`device` must be cpu, since this is the NumPy twin; got {device!r}.")

    def convert(a: Any) -> np.ndarray:
        require_unmasked("tree", a)
        own = np.asarray(a).dtype
        return np.array(a, dtype=dtype if dtype and own.kind == "f" else own.newbyteorder("="))  # the machine's order

    return tree_map(convert, tree)


def numpy(tree: Any) -> Any:
    """A tree of this twin's arrays as NumPy arrays, in memory of their own."""
    return tree_map(np.array, tree)


def detached(a: Any) -> Any:
    """An array's values in memory of their own."""
    return a.copy()


def require_own(name: str, a: Any) -> None:
    """Refuses what is no array of this twin, by name."""
    if not isinstance(a, np.ndarray):
        raise TypeError(
            f"`{name}` must be a NumPy array, as array.asarray of the NumPy twin makes them; got "
            f"{type(a).__module__}.{type(a).__name__}."
        )


def require_own_each(named: Mapping[str, Any]) -> None:
    """Refuses arrays by name, of which some may be None, where one is no array of this twin."""
    for name, a in named.items():
        if a is not None:
            require_own(name, a)
