"""Both twins behind one marker: a test runs on NumPy and on torch, NumPy arrays in and out."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pytest

MODULES = (
    *("array", "embedding", "exchange", "head", "loss", "lstm", "optim", "rnn", "rnn_relu", "scan", "stack"),
    "variants",
)
both = pytest.mark.parametrize("twin", ["numpy_twin", "torch_twin"])


def part(twin: str, module: str) -> ModuleType:
    """One module of a twin."""
    return import_module(f"impl.{twin}.{module}")


def into(twin: str, tree: Any) -> Any:
    """A tree of NumPy arrays as the twin's, in memory of their own."""
    return part(twin, "array").asarray(tree)


def out(twin: str, tree: Any) -> Any:
    """A tree of the twin's arrays as NumPy arrays."""
    return part(twin, "array").numpy(tree)


def call(twin: str, module: str, function: str, *args: Any, **options: Any) -> Any:
    """One function of a twin on NumPy arrays; what is no array passes as it is."""
    args = [into(twin, a) if isinstance(a, np.ndarray | tuple) else a for a in args]
    return out(twin, getattr(part(twin, module), function)(*args, **options))
