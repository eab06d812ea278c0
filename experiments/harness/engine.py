"""What computes an experiment, as one namespace: a twin in one of its forms, on a device."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

from impl.spec import COMMON

ENGINES = ("fast", "compiled", "numpy", "torch")
"""fast: the NumPy twin's fast form, on threads; compiled: the same with loops compiled by numba; numpy: its plain form;
torch: the torch twin, on the engine that impl.torch_twin.backend chooses, on a device (torch:cuda).

Only the cells of impl.spec.COMMON have a quick form. The LSTM's variants (impl.spec.VARIANTS) have none: fast and
compiled run them by the NumPy twin's plain loop, on one thread, and torch's backend by the torch twin's."""

KINDS = ("cpu", "cuda", "mps", "xpu")
"""Of devices, in torch's words: those that a refusal looks for. A number behind them says which."""
HOLLOW = "meta"
"""What torch calls a device and is none: its arrays have shapes and no numbers."""

_threads = 1


def cores() -> int:
    """The cores that this process may use: a scheduler of jobs or a container may leave it some of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Engine(NamedTuple):
    """A twin in one of its forms, and the ways in (`asarray(tree, dtype)`) and out (`numpy(tree)`).

    Attributes:
        scan: the time loop, for outputs and gradients by parameters: `forward` and `backward` as in scan.py.
        states: the same where the states of every step, or the gradients by them, are asked for.
        plain: the twin's scan.py itself, whose cache tells every gate.
        embedding, head, loss, optim: the twin's modules.
    """

    scan: Any
    states: Any
    plain: ModuleType
    embedding: ModuleType
    head: ModuleType
    loss: ModuleType
    optim: ModuleType
    asarray: Callable[..., Any]
    numpy: Callable[[Any], Any]


def engine(name: str) -> Engine:
    """The engine of a name in ENGINES, for torch with a device or not; the other twin's framework is not imported.

    Raises:
        ValueError: there is no such engine, or not on this device, or what it needs is not installed.
    """
    form, _, device = name.partition(":")
    if form not in ENGINES:
        raise ValueError(f"`engine` must be one of {', '.join(ENGINES)}; got {form!r}.")
    on_device(form, device or "cpu")
    package = "impl.torch_twin" if form == "torch" else "impl.numpy_twin"
    plain, embedding, head, loss, optim, array = (
        import_module(f"{package}.{module}") for module in ("scan", "embedding", "head", "loss", "optim", "array")
    )
    scan, states = loops(form, plain)
    asarray = partial(array.asarray, device=device) if device else array.asarray
    return Engine(scan, states, plain, embedding, head, loss, optim, asarray, array.numpy)


def loops(form: str, plain: ModuleType) -> tuple[Any, Any]:
    """The time loop of a form, and the same where states are asked for."""
    if form == "numpy":
        return plain, plain
    if form == "torch":
        backend = import_module("impl.torch_twin.backend")
        asked = SimpleNamespace(forward=partial(backend.forward, states=True), backward=backend.backward)
        return backend, asked
    module = import_module(f"impl.numpy_twin.{form}")
    pairs = ((getattr(form, name) for form in (module, plain)) for name in ("forward", "backward"))
    forward, backward = (partial(by_cell, *pair, threads=_threads) for pair in pairs)
    trained = SimpleNamespace(forward=partial(forward, states=False), backward=backward)
    return trained, SimpleNamespace(forward=forward, backward=backward)


def by_cell(quick: Callable[..., Any], plain: Callable[..., Any], cell: str, *args: Any, **options: Any) -> Any:
    """A function of a time loop in its quick form, or in the plain one where the cell has no other."""
    if cell in COMMON:
        return quick(cell, *args, **options)
    return plain(cell, *args, **{name: value for name, value in options.items() if name not in ("threads", "states")})


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Engines that are made inside run a group's models on so many threads; no bit depends on it."""
    global _threads
    kept, _threads = _threads, count
    try:
        yield
    finally:
        _threads = kept


def on_device(form: str, device: str) -> str:
    """The name of an engine on a device: "auto" is a GPU, where torch finds one, for torch, else the CPU.

    Args:
        form: a name in ENGINES, or "auto": torch on a GPU, else fast.
        device: "auto", "cpu", or what torch calls a device.
    Raises:
        ValueError: the engine cannot compute there, torch finds no such device, or numba is not installed.
    """
    if form == "compiled" and find_spec("numba") is None:
        extra = "the extra compiled installs it (pip install -e '.[compiled]')"
        raise ValueError(f"`engine` must be one that can run here; got 'compiled', which needs numba: {extra}.")
    if device == "auto":
        device = "cuda" if form in ("auto", "torch") and gpu_found("cuda") else "cpu"
    if form == "auto":
        form = "fast" if device == "cpu" else "torch"
    if device == "cpu":
        return form
    if form != "torch":
        raise ValueError(f"`device` must be cpu, since the engine is {form}; got {device!r}.")
    if not gpu_found(device):
        found = ", ".join(name for name in KINDS if gpu_found(name))
        raise ValueError(f"`device` must be one that torch finds here, of {found}; got {device!r}.")
    return f"torch:{device}"


def gpu_found(device: str) -> bool:
    """Whether torch can put an array there."""
    import torch

    if device.startswith(HOLLOW) or (device.startswith("cuda") and not torch.cuda.is_available()):
        return False
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ImportError):
        return False
    return True
