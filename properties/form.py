"""The form of what a subject gives back: its arrays, the shape that the call asks of each, and real numbers in it.

Laws compute with results. Where one has another shape NumPy would broadcast it into other numbers, or raise in the
law's own lines: so what a guarded subject gives is looked at before a law sees it. A dtype of another width is for the
law "dtype", and a result that is not there at all (None) for the laws that need it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from impl.spec import STATES, Head, members, torch_field
from properties.subject import Call, Cotangent, Output, Result, Stack

Part = tuple[str, Any, tuple[int, ...]]
"""A result by its name, what came, and the shape that it must have."""

REAL = "biuf"
"""NumPy's kinds of dtypes that hold real numbers."""

MISSHAPEN = (AttributeError, TypeError, ValueError, LookupError, RuntimeError)
"""What is raised where a result is no tree of the arrays that it must hold."""

WHATEVER_FORM = ("honesty", "purity", "shapes")
"""Laws that take results of any form: those of calls that need not fit, and what is only compared with itself."""


class Look(NamedTuple):
    """A result that was looked at for a law.

    Attributes:
        wrong: what is wrong with its form, in words or "".
        absent: the names of what is not there.
        breaks: whether something is wrong that the law cannot do with.
    """

    wrong: str
    absent: list[str]
    breaks: bool


def look(law: str, method: str, given: tuple[Any, ...], options: dict[str, Any], found: Any) -> Look:
    """Looks for a law at the form of a method's result; nothing is asked of that of a method without PARTS."""
    wrong, absent = wrong_form(method, given, options, found) if method in PARTS else ("", [])
    return Look(wrong, absent, bool(wrong) and law not in WHATEVER_FORM)


def wrong_form(method: str, given: tuple[Any, ...], options: dict[str, Any], found: Any) -> tuple[str, list[str]]:
    """What is wrong with the form of a method's result, in words or "", and the names of what is not there."""
    absent = []
    try:
        for name, array, shape in PARTS[method](found, *given, **options):
            if array is None:
                absent.append(name)
                continue
            if not isinstance(array, np.ndarray | np.generic):
                return f"the {name} of {method} must be a NumPy array; got a {type(array).__name__}.", absent
            if array.shape != shape:
                return f"the {name} of {method} must have shape {shape}; got {array.shape}.", absent
            if array.dtype.kind not in REAL:
                return f"the {name} of {method} must hold real numbers; got dtype {array.dtype}.", absent
    except MISSHAPEN:
        return f"{method} must return {RETURNS[method]}, as properties/subject.py has it; got {kind(found)}.", absent
    return "", absent


def mistake(sentence: str) -> str:
    """What a sentence says of a form before any shape and what came: the same of calls of all sizes."""
    return re.split(r" \(|;", sentence)[0]


def kind(found: Any) -> str:
    """What a result is, and holds, in words."""
    held = f" of {', '.join(type(one).__name__ for one in found)}" if isinstance(found, (tuple, list)) else ""
    return f"a {type(found).__name__}{held}"


def of_state(names: Sequence[str], cell: str, state: Any, shape: tuple[int, ...]) -> Iterator[Part]:
    """The parts of a state, or of gradients by one."""
    for n, name in zip(range(len(STATES[cell]._fields)), names, strict=False):
        yield name, None if state is None else state[n], shape


def of_params(params: Any, given: Any, suffix: str = "") -> Iterator[Part]:
    """Gradients by those parameters that a call has."""
    for name, array in given._asdict().items():
        if array is not None:
            yield f"gradient by {name}{suffix}", None if params is None else getattr(params, name), array.shape


def batch_of(call: Call) -> tuple[int, ...]:
    """The axes of a call between time and units: (B,), of a group (E, B)."""
    weight = call.params.weight_hh
    return (*weight.shape[:-2], call.x.shape[-2])


def of_output(found: Output, call: Call, T: int | None = None) -> Iterator[Part]:
    """What a forward gives."""
    batch, H = batch_of(call), call.params.weight_hh.shape[-1]
    yield "h", found.h, (len(call.x) if T is None else T, *batch, H)
    yield from of_state(("hT", "cT"), call.cell, found.last, (*batch, H))


def of_result(found: Result, call: Call, *_: Any, frozen: Sequence[str] = ()) -> Iterator[Part]:
    """What a backward gives, the second one too."""
    batch, H = batch_of(call), call.params.weight_hh.shape[-1]
    yield "gradient by x", found.x, call.x.shape
    for part in of_params(found.params, call.params):
        if part[0].rpartition(" ")[2] not in frozen:
            yield part
    if call.state is not None:
        yield from of_state(("gradient by h0", "gradient by c0"), call.cell, found.state, (*batch, H))
    if found.states is not None:
        shape = (len(call.x), *batch, H)
        yield from of_state(("gradient by every h_t", "gradient by every c_t"), call.cell, found.states, shape)


def of_results(
    found: list[Result], call: Call, cotangents: Sequence[Cotangent], frozen: Sequence[str] = ()
) -> Iterator[Part]:
    """What several backwards give."""
    if not isinstance(found, list | tuple):  # what can be gone through once is left to the law
        raise TypeError
    for result, _ in zip(found, cotangents, strict=True):
        yield from of_result(result, call, frozen=frozen)


def of_stack(found: Output, call: Stack) -> Iterator[Part]:
    """What a stack gives."""
    H = call.layers[0][0].weight_hh.shape[-1]
    yield "h", found.h, (*call.x.shape[:2], len(call.layers[0]) * H)
    yield from of_states(("hT", "cT"), call, found.last)


def of_states(names: Sequence[str], call: Stack, states: Any) -> Iterator[Part]:
    """The states of every layer and direction."""
    B, H = call.x.shape[0 if call.batch_first else 1], call.layers[0][0].weight_hh.shape[-1]
    for n, d, suffix in sides(call):
        side = None if states is None else states[n][d]
        yield from of_state([f"{name}{suffix}" for name in names], call.cell, side, (B, H))


def sides(call: Stack) -> Iterator[tuple[int, int, str]]:
    """Every layer and direction, with torch's suffix."""
    for n, layer in enumerate(call.layers):
        for d in range(len(layer)):
            yield n, d, torch_field(n, d, "")


def of_stack_result(found: Result, call: Stack, cotangent: Cotangent) -> Iterator[Part]:
    """What the backward of a stack gives."""
    yield "gradient by x", found.x, call.x.shape
    for n, d, suffix in sides(call):
        yield from of_params(None if found.params is None else found.params[n][d], call.layers[n][d], suffix)
    if call.state is not None:
        yield from of_states(("gradient by h0", "gradient by c0"), call, found.state)


def of_fed(found: Any, call: Call, head: Head, embedding: np.ndarray, steps: int) -> Iterator[Part]:
    """What a loop on its own outputs gives."""
    fed, output = found
    yield "inputs", fed, (steps, *batch_of(call), call.x.shape[-1])
    yield from of_output(output, call, steps)


def of_head(found: Any, params: Head, h: np.ndarray) -> Iterator[Part]:
    """What a read-out gives."""
    yield "y", found, (*h.shape[:-1], params.weight_hy.shape[-2])


def of_head_result(found: Any, params: Head, h: np.ndarray, dy: np.ndarray) -> Iterator[Part]:
    """What its backward gives."""
    dh, gradient = found
    yield "gradient by h", dh, h.shape
    yield from of_params(gradient, params)


def of_loss(found: Any, y: np.ndarray, *_: Any, **__: Any) -> Iterator[Part]:
    """What a loss gives: one number a model, and the gradient by y."""
    loss, dy = found
    yield "loss", loss, y.shape[1:-2]
    yield "gradient by y", dy, y.shape


def of_tree(name: str, found: Any, like: Any) -> Iterator[Part]:
    """The arrays of a tree that has the form of another."""
    if isinstance(like, tuple):
        for one, other in zip(found, like, strict=True):
            yield from of_tree(name, one, other)
    elif like is not None:
        yield name, found, like.shape


def of_updates(found: list[Any], rule: str, params: Any, gradients: Sequence[Any], lr: float) -> Iterator[Part]:
    """What an optimiser gives after each gradient."""
    if not isinstance(found, list | tuple):
        raise TypeError
    for after, _ in zip(found, gradients, strict=True):
        yield from of_tree("updated parameter", after, params)


def of_clip(found: Any, gradient: Any, max_norm: float) -> Iterator[Part]:
    """A clipped gradient, and one norm a model."""
    clipped, norm = found
    E = members(gradient)
    yield from of_tree("clipped gradient", clipped, gradient)
    yield "norm", norm, () if E is None else (E,)


def of_export(found: Any, *_: Any) -> Iterator[Part]:
    """Arrays by another layout's names, whose shapes are the law's matter."""
    for name, array in dict(found).items():
        yield name, array, array.shape


def of_restored(found: Any, *_: Any) -> Iterator[Part]:
    """Parameters by layer and direction, likewise."""
    for layer in found:
        for side in layer:
            for name, array in side._asdict().items():
                if array is not None:
                    yield name, array, array.shape


PARTS: dict[str, Callable[..., Iterator[Part]]] = {
    **{"forward": of_output, "backward": of_result, "backwards": of_results, "double_backward": of_result},
    **{"stack": of_stack, "stack_backward": of_stack_result, "feed_back": of_fed},
    **{"head": of_head, "head_backward": of_head_result, "loss": of_loss},
    **{"updates": of_updates, "clip": of_clip, "export": of_export, "restore": of_restored},
}
"""The methods whose results are looked at."""

RETURNS = {
    **dict.fromkeys(("forward", "stack"), "an Output"),
    **dict.fromkeys(("backward", "double_backward", "stack_backward"), "a Result"),
    **{"backwards": "a list of one Result a cotangent", "feed_back": "what was fed and an Output"},
    **{"head": "an array", "head_backward": "dh and a Head", "loss": "the loss and dy"},
    **{"updates": "a list of the parameters after each gradient", "clip": "the clipped gradient and its norm"},
    **{"export": "arrays by name", "restore": "Parameters by layer and direction"},
}
"""In words."""
