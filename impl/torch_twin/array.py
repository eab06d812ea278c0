"""In and out of this twin: trees of NumPy arrays, at the wanted dtype and device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from impl.spec import check_dtype, require_unmasked, tree_map


def asarray(tree: Any, dtype: str | None = None, device: str | None = None) -> Any:
    """A tree of NumPy arrays as this twin's tensors, in memory of their own.

    Args:
        tree: an array, or (named) tuples of arrays.
        dtype: "float32" or "float64" for what is floating; integers and booleans keep theirs. None keeps all.
        device: any device torch has; None is torch's default.
    """
    check_dtype(dtype)

    def convert(a: Any) -> torch.Tensor:
        require_unmasked("tree", a)
        own = np.asarray(a).dtype
        # torch takes no axis that runs backwards, one of length 1 neither, and no bytes in another order than its own
        a = np.array(a, dtype=own.newbyteorder("="), order="C")
        # copied again, since NumPy's memory begins anywhere in a line of cache, and that may decide how products sum
        return torch.tensor(a, dtype=getattr(torch, dtype) if dtype and a.dtype.kind == "f" else None, device=device)

    return tree_map(convert, tree)


def numpy(tree: Any) -> Any:
    """A tree of this twin's tensors as NumPy arrays, in memory of their own."""
    return tree_map(lambda a: a.detach().cpu().numpy().copy(), tree)


def detached(a: Any) -> Any:
    """A tensor's values in memory of their own, without autograd's graph."""
    return a.detach().clone()


def require_own(name: str, a: Any) -> None:
    """Refuses what is no array of this twin, by name."""
    if not isinstance(a, torch.Tensor):
        raise TypeError(
            f"`{name}` must be a tensor of torch, as array.asarray of the torch twin makes them; got "
            f"{type(a).__module__}.{type(a).__name__}."
        )


def require_own_each(named: Mapping[str, Any]) -> None:
    """Refuses arrays by name, of which some may be None, where one is no array of this twin."""
    for name, a in named.items():
        if a is not None:
            require_own(name, a)
