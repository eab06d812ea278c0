"""The torch twin as a subject, on CPU."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch

import impl.torch_twin
from impl.spec import tree_map
from impl.torch_twin import head, loss, scan  # noqa: F401  (Twin finds them in the package)
from properties.subjects.twin import Twin


def tensor(a: Any) -> Any:
    """A tensor over the same memory where torch can (it warns that read-only memory could be written to)."""
    if not isinstance(a, np.ndarray):
        return a
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(a)


class TorchTwin(Twin):
    """Tensors share the caller's memory, so that the law "purity" sees what is written."""

    def into(self, tree: Any) -> Any:
        """See Twin."""
        return tree_map(tensor, tree)

    def out(self, tree: Any) -> Any:
        """See Twin."""
        return tree_map(lambda a: a.numpy(), tree)


subject = TorchTwin("torch_twin", impl.torch_twin, f"torch {torch.__version__.split('+')[0]}")
