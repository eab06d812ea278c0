"""A relative error in one quantity of the NumPy twin's LSTM, of many sizes at once: one model of a group a size.

The quantity a becomes a + delta a, computed in float64 and rounded once to its dtype, at every step, row and unit:

    i, f, g, o, c', h'               forward; what follows is computed from the changed value, and so is the backward
    da_i, da_f, da_g, da_o           backward: by the pre-activations
    dc, dh                           backward: by the old state, as a step hands it back
    dx, dW_ih, dW_hh, db             backward: as they are given to the user
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from impl.numpy_twin import lstm, scan
from impl.spec import block, tree_map
from properties.cases import gradients, outputs
from properties.meta.carrier import TWIN, patched
from properties.oracle import OVER_TIME
from properties.subject import Call, Cotangent

GATES = tuple("ifgo")
VALUES = (*GATES, "c'", "h'")
GRADIENTS = (*(f"da_{gate}" for gate in GATES), "dc", "dh", "dx", "dW_ih", "dW_hh", "db")
QUANTITIES = {"value": VALUES, "vjp": GRADIENTS}
"""What an error is planted in, by the law that is to catch it."""


def off(a: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """a + delta a, rounded once; a (E, ...), delta (E,)."""
    wide = a.astype(np.float64)
    return (wide + wide * delta.reshape(-1, *[1] * (a.ndim - 1))).astype(a.dtype)


def repeated(call: Call, cotangent: Cotangent, E: int) -> tuple[Call, Cotangent]:
    """The call and cotangents of one model as those of a group of E equal ones."""

    def repeat(tree: Any, axis: int = 0) -> Any:
        return tree_map(lambda a: np.repeat(np.expand_dims(a, axis), E, axis), tree)

    group = replace(call, params=repeat(call.params), x=repeat(call.x, 1), state=repeat(call.state))
    return group, Cotangent(repeat(cotangent.h, 1), repeat(cotangent.last))


def results(law: str, quantity: str, call: Call, cotangent: Cotangent, delta: np.ndarray) -> dict[str, np.ndarray]:
    """What a law judges, by the referee's names, with the model's axis first.

    Args:
        law: "value" or "vjp"; quantity: one of QUANTITIES[law].
        call, cotangent: of a group of E models, as from `repeated`.
        delta: (E,) float64, each model's relative error.
    """
    with planted(quantity, delta):
        found = outputs(TWIN.forward(call)) if law == "value" else gradients(TWIN.backward(call, cotangent))
    return {name: a.swapaxes(0, 1) if name in OVER_TIME else a for name, a in found.items()}


@contextmanager
def planted(quantity: str, delta: np.ndarray) -> Iterator[None]:
    """The NumPy twin with the error, for a while."""
    owner, name, change = place(quantity, delta)
    with patched(owner, **{name: change(getattr(owner, name))}):
        yield


def place(quantity: str, delta: np.ndarray) -> tuple[Any, str, Callable[[Callable], Callable]]:
    """Which function of which module gives the quantity, and how it is changed."""
    if quantity in GATES:
        return lstm, "gates", lambda gates: lambda a: changed(gates(a), GATES.index(quantity), delta)
    if quantity in ("c'", "h'"):
        return lstm, "step", lambda step: lambda *args: state_off(quantity, *step(*args), delta)
    if quantity.startswith("da_"):
        return lstm, "gates_backward", lambda back: lambda *args: block_off(back(*args), quantity[3:], delta)
    if quantity in ("dx", "dh", "dc"):
        return lstm, "step_backward", lambda back: lambda *args: handed_off(quantity, *back(*args), delta)
    return scan, "tied_gradient", lambda tied: lambda *args: params_off(quantity, tied(*args), delta)


def changed(values: tuple[Any, ...], n: int, delta: np.ndarray) -> tuple[Any, ...]:
    """A tuple whose n-th array is off."""
    return tuple(off(a, delta) if k == n else a for k, a in enumerate(values))


def state_off(quantity: str, state: Any, cache: Any, delta: np.ndarray) -> tuple[Any, Any]:
    """A step's result with c' off, from which h' then follows, or with h' off."""
    if quantity == "h'":
        return state._replace(h=off(state.h, delta)), cache
    c = off(state.c, delta)
    tanh_c = np.tanh(c)
    return state._replace(h=cache.o * tanh_c, c=c), cache._replace(tanh_c=tanh_c)


def block_off(da: np.ndarray, gate: str, delta: np.ndarray) -> np.ndarray:
    """Stacked gradients (E, B, 4H) with those by one gate off."""
    da = da.copy()
    rows = block("lstm", gate, da.shape[-1] // 4)
    da[..., rows] = off(da[..., rows], delta)
    return da


def handed_off(quantity: str, dx: Any, state: Any, da: Any, delta: np.ndarray) -> tuple[Any, Any, Any]:
    """What a step's backward hands back with dx, dh or dc off."""
    if quantity == "dx":
        return off(dx, delta), state, da
    part = quantity[1:]
    return dx, state._replace(**{part: off(getattr(state, part), delta)}), da


def params_off(quantity: str, gradient: Any, delta: np.ndarray) -> Any:
    """The parameters' gradients with one off; db is that by either bias."""
    names = {"dW_ih": ("weight_ih",), "dW_hh": ("weight_hh",), "db": ("bias_ih", "bias_hh")}[quantity]
    found = {name: getattr(gradient, name) for name in names}
    return gradient._replace(**{name: None if a is None else off(a, delta) for name, a in found.items()})
