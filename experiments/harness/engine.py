"""The twin that computes an experiment, as one namespace, whichever it is."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

ENGINES = ("numpy", "torch")


class Engine(NamedTuple):
    """A twin: its modules, and the ways in (`asarray(tree, dtype)`) and out (`numpy(tree)`)."""

    scan: ModuleType
    head: ModuleType
    loss: ModuleType
    optim: ModuleType
    asarray: Callable[..., Any]
    numpy: Callable[[Any], Any]


def engine(name: str) -> Engine:
    """The twin by its name in ENGINES; the other twin's framework is not imported.

    Raises:
        ValueError: there is no such engine.
    """
    if name not in ENGINES:
        raise ValueError(f"`engine` must be one of {', '.join(ENGINES)}; got {name!r}.")
    package = f"impl.{name}_twin"
    modules = [import_module(f"{package}.{module}") for module in ("scan", "head", "loss", "optim")]
    array = import_module(f"{package}.array")
    return Engine(*modules, array.asarray, array.numpy)
