"""The referee on calls of the time loops themselves: either direction, and every array that a loop gives.

A kernel and the plain loop both round, so their difference obeys no bound of either alone. Here each number is compared
with its exact value, within the bound derived for a correct subject (`oracle.py`): a fault that both loops shared would
be seen, and no kernel is granted what the plain loop errs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from impl.spec import STATES, Gradient, Parameters, tree_map
from properties import cases, oracle
from properties.oracle import Judged
from properties.roundoff import Products, granted
from properties.subject import Call, Cotangent, Output

ALPHA = 2.0
"""The kernels' absolute error of sigma and tanh for small results, in units of u, as their subjects declare it."""

FIELDS = ("hi", "lo", "bound")
"""Of a Judged."""


class Worst(NamedTuple):
    """The largest error, as a fraction of its bound, and the array that has it, by the referee's name."""

    share: float
    name: str


class Given(NamedTuple):
    """The arguments of a call of a loop: of its forward but for dh and dlast, which its backward has."""

    cell: str
    params: Parameters
    x: Any
    state: Any
    dh: Any
    dlast: Any
    lengths: Any = None
    reverse: bool = False


def ran(loop: Any, *given: Any, **options: Any) -> tuple[Any, ...]:
    """What a loop finds, as `shares` takes it, of a call as Given has it; `options` are its forward's own."""
    cell, params, x, state, dh, dlast, lengths, reverse = Given(*given)
    run = loop.forward(cell, params, x, state, lengths, reverse, **options)
    return run.states, run.last, *loop.backward(cell, params, run.cache, dh, dlast)


def worst(found: Sequence[Any], *given: Any, products: Products | None = None) -> Worst:
    """Where the numbers that a loop found are nearest to their bounds, or farthest beyond them; see `shares`."""
    return max(Worst(share, name) for name, share in shares(found, *given, products=products).items())


def shares(found: Sequence[Any], *given: Any, products: Products | None = None) -> dict[str, float]:
    """The largest error in each array that a loop found, as a fraction of its bound, by the referee's names.

    Args:
        found: states, last, and the gradients by x, parameters, initial state and the states of every step.
        given: the call, as Given has it; tensors on any device, all in one dtype.
        products: how products of matrices are formed, where that is not in the dtype.

    Raises:
        ValueError: `found` has other arrays than the call asks for, or another dtype.
    """
    cell, *tensors, reverse = Given(*given)
    params, x, state, dh, dlast, lengths = tree_map(_numpy, tuple(tensors))
    with granted(SimpleNamespace(products=products)):
        judged = _judged(Call(cell, params, x, state, lengths), _cotangent(cell, params, x, dh, dlast), reverse)
    arrays = _checked(_named(*tree_map(_numpy, tuple(found))), judged, x.dtype)
    return {name: judged[name].fraction(a)[0] for name, a in arrays.items()}


def _numpy(a: Any) -> np.ndarray:
    return a.detach().cpu().numpy()


def _cotangent(cell: str, params: Any, x: np.ndarray, dh: Any, dlast: Any) -> Cotangent:
    """The cotangents, zeros where there are none."""
    E, H = params.weight_hh.shape[:-2], params.weight_hh.shape[-1]
    zeros = lambda *steps: np.zeros((*steps, *E, x.shape[-2], H), x.dtype)  # noqa: E731
    none = STATES[cell](*(zeros() for _ in STATES[cell]._fields))
    return Cotangent(zeros(len(x)) if dh is None else dh, none if dlast is None else dlast)


def _named(states: Any, last: Any, *gradient: Any) -> dict[str, np.ndarray]:
    """A loop's arrays under the referee's names; c of every step, which has none there, as "c"."""
    found = cases.outputs(Output(states.h, last)) | cases.gradients(Gradient(*gradient))
    found |= cases.by_name(("c",), states[1:])
    return {name: a for name, a in found.items() if a is not None}


def _checked(arrays: dict[str, np.ndarray], judged: dict[str, Judged], dtype: np.dtype) -> dict[str, np.ndarray]:
    if judged.keys() != arrays.keys():
        raise ValueError(f"`found` must hold {', '.join(sorted(judged))}; got {', '.join(sorted(arrays))}.")
    wrong = {name: str(a.dtype) for name, a in arrays.items() if a.dtype != dtype}
    if wrong:
        raise ValueError(f"`found` must be {dtype}, since `x` is; got {wrong}.")
    return arrays


def _judged(call: Call, cotangent: Cotangent, reverse: bool) -> dict[str, Judged]:
    judged = _asked(call, cotangent, reverse)
    return judged | {"c": _cells(call, judged["cT"], reverse)} if "cT" in judged else judged


def _asked(call: Call, cotangent: Cotangent, reverse: bool) -> dict[str, Judged]:
    """The referee on one model or each of a group."""
    if call.params.weight_hh.ndim == 2:
        return _alone(call, cotangent, reverse)
    each = range(len(call.params.weight_hh))
    models = [_alone(cases.member(call, e), cases.member_cotangent(cotangent, e), reverse) for e in each]
    return oracle.judge_group(models, call.x.ndim == 3, dtype=str(call.x.dtype))


def _alone(call: Call, cotangent: Cotangent, reverse: bool) -> dict[str, Judged]:
    dtype = str(call.x.dtype)
    args = (call.cell, call.params._asdict(), call.x, call.state, call.lengths, cotangent.h, cotangent.last)
    return cases.judge_once("judge", *args, dtype=dtype, alpha=ALPHA * oracle.unit(dtype)[0], reverse=reverse)


def _cells(call: Call, last: Judged, reverse: bool) -> Judged:
    """c after every step, which is the last c of the call that ends with it; exactly zero at padding."""
    T, none = len(call.x), Cotangent(None, None)
    ends = [_asked(_until(call, t, reverse), none, reverse)["cT"] for t in range(reverse, T - 1 + reverse)]
    ends = [last, *ends] if reverse else [*ends, last]  # of no steps, none is kept
    runs = _runs(call, T)[..., None]
    return Judged(*(np.where(runs, np.stack([getattr(end, part) for end in ends])[:T], 0) for part in FIELDS))


def _until(call: Call, t: int, reverse: bool) -> Call:
    """The call whose last step is t; in reverse a row comes there by the steps after it."""
    n = call.lengths
    if reverse:
        return replace(call, x=call.x[t:], lengths=None if n is None else np.maximum(n - t, 0))
    return replace(call, x=call.x[: t + 1], lengths=None if n is None else np.minimum(n, t + 1))


def _runs(call: Call, T: int) -> np.ndarray:
    """Which rows run at a step, of the shape of c without its last axis."""
    batch = (*call.params.weight_hh.shape[:-2], call.x.shape[-2])
    lengths = T if call.lengths is None else call.lengths
    return np.arange(T).reshape(T, *(1,) * len(batch)) < np.broadcast_to(lengths, batch)
