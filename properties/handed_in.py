"""What is handed to a subject: its arrays, by the names that reports have for them, and the form that they have."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from properties.cases import by_name, named, sides
from properties.subject import Call, Cotangent, Stack

UNNAMED = "an argument"


class Form(NamedTuple):
    """How an array lies in memory, and whether it can be written to."""

    dtype: np.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    writeable: bool


def form_of(array: np.ndarray) -> Form:
    """An array's form as it is now."""
    return Form(array.dtype, array.shape, array.strides, array.flags.writeable)


def other_form(name: str, array: np.ndarray, was: Form) -> str:
    """What was done to an array's form, in words that follow a call's name, or ""."""
    now = form_of(array)
    for what in ("dtype", "shape", "strides"):
        if getattr(now, what) != getattr(was, what):
            return f"changed the {what} of {name} from {getattr(was, what)} to {getattr(now, what)}."
    if now.writeable == was.writeable:
        return ""
    return f"unlocked {name}, which is read-only." if now.writeable else f"locked {name}: it cannot be written to."


def reform(array: np.ndarray, form: Form) -> None:
    """Gives an array a form that it had before."""
    array.flags.writeable = form.writeable
    if array.dtype != form.dtype:
        array.dtype = form.dtype
    if array.shape != form.shape:
        array.shape = form.shape
    if array.strides != form.strides:
        array.strides = form.strides


def arrays_of(*trees: Any) -> list[tuple[str, np.ndarray]]:
    """Every array in some arguments, by its name in a call, or as UNNAMED."""
    return [(name, a) for tree in trees for name, a in in_tree(tree)]


def in_tree(tree: Any) -> list[tuple[str, np.ndarray]]:
    """Every array in one argument."""
    if isinstance(tree, np.ndarray):
        return [(UNNAMED, tree)]
    names = names_in(tree)
    if names is not None:
        return [(f"`{name}`", a) for name, a in names.items() if isinstance(a, np.ndarray)]
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (tuple, list)) else ()
    return [found for part in parts for found in in_tree(part)]


def names_in(tree: Any) -> dict[str, Any] | None:
    """The arrays of a call, of a stack or of cotangents by name, those of layers with torch's suffix; else None."""
    if isinstance(tree, Call):
        found = {"x": tree.x} | by_name(("h0", "c0"), tree.state) | named(tree.params)
    elif isinstance(tree, Stack):
        found = {"x": tree.x} | of_sides(("h0", "c0"), tree.state)
        found |= {f"{name}{suffix}": a for suffix, params in sides(tree.layers) for name, a in named(params).items()}
    elif isinstance(tree, Cotangent):
        last = tree.last or ()
        layered = bool(last) and not isinstance(last[0], np.ndarray)
        names = ("dhT", "dcT")
        return {"dh": tree.h} | (of_sides(names, last) if layered else by_name(names, last))
    else:
        return None
    return found | ({} if tree.lengths is None else {"lengths": tree.lengths})


def of_sides(names: tuple[str, ...], states: Any) -> dict[str, np.ndarray]:
    """The states of every layer and direction."""
    every = [(suffix, by_name(names, side)) for suffix, side in sides(states or ())]
    return {f"{name}{suffix}": a for suffix, parts in every for name, a in parts.items()}
