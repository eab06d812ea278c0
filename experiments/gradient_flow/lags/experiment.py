"""Runs the untrained models of one start and records the norm of dL/ds_t by lag, in total and along the direct path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from experiments.gradient_flow.starts import NO_INPUT, STARTS, Start, parameters
from experiments.harness.engine import Engine, engine
from experiments.harness.sweep import Group
from impl import draw
from impl.spec import STATES, Parameters, leaves, tree_map, unpack
from properties.record import Record


class Models(NamedTuple):
    """A group's models and what they read, in the arrays of the twin that computes.

    `caches` are those of the plain loop, step by step: it alone tells gates and takes single steps back.
    """

    twin: Engine
    start: Start
    params: Parameters
    x: Any
    v: Any
    caches: list[Any]


class Paths(NamedTuple):
    """By lag 0..T-1 and model: log10 of the total gradient's norm (T, E); the forget gates' log10 product (T, E, B, H);
    dL/dc (T, E, B, H).

    `gates` and `by_cell` are None for a cell that has no forget gate.
    """

    total: np.ndarray
    gates: np.ndarray | None = None
    by_cell: np.ndarray | None = None


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """One record a seed and lag of these metrics, all log10, for L = v . h_T with v and x from N(0, 1):

    log10_norm: the norm of dL/ds_t, s = h for the RNN and (h, c) for the LSTM, h and c independent coordinates.
    log10_direct: of the direct path dc_T/dc_t = product of the forget gates, the mean over units of its log10.
    log10_direct_mean: the log10 of its mean over units.
    log10_over_direct: of the norm of dL/dc_t over that of what reaches it on the direct path from step T - 1.
    log10_jacobian: of the largest singular value of ds_T/ds_t, at the width of the claim.
    N15: log10_norm at the lag of the claim minus that at lag 0; absent where the sequence is too short.
    """
    given = models(group)
    paths = measure(given)
    checkpoint(1, 2)
    found = [*records(group, paths), *jacobians(group, given)]
    checkpoint(2, 2)
    return found


def models(group: Group) -> Models:
    """All seeds of the group, drawn, and forward through the plain loop where its caches are asked for."""
    s, twin = group.settings, engine(group.engine)
    start = STARTS[s["start"]]
    params, x, v = twin.asarray(drawn(group, start), group.dtype)
    asked = start.cell == "lstm" or s.get("jacobian", False)
    caches = twin.plain.forward(start.cell, params, x).cache.steps if asked else []
    return Models(twin, start, params, x, v, caches)


def measure(given: Models) -> Paths:
    """Forward and back."""
    twin, cell = given.twin, given.start.cell
    ran = twin.states.forward(cell, given.params, given.x)
    gradient = twin.states.backward(cell, given.params, ran.cache, dlast=by_output(cell, given.v), skip=("x", "params"))
    states = twin.numpy(gradient.states)
    total = log10_norm(np.concatenate(leaves(states), -1))[::-1]
    if cell == "rnn":
        return Paths(total)
    return Paths(total, direct(np.stack([twin.numpy(cache.f) for cache in given.caches])), states.c[::-1])


def drawn(group: Group, start: Start) -> tuple[Any, np.ndarray, np.ndarray]:
    """Parameters (E, ...), x (T, E, B, D) and v (E, B, H), float64; x and v know the seed, not the start: paired."""
    D, H, B, T = (group.settings[name] for name in "DHBT")
    params = draw.group([parameters(start, seed, D, H, T) for seed in group.seeds])
    x = np.stack([draw.generator("gradient_flow", "x", seed).normal(size=(T, B, D)) for seed in group.seeds], 1)
    v = np.stack([draw.generator("gradient_flow", "v", H, seed).normal(size=(B, H)) for seed in group.seeds])
    return params, 0 * x if start.isolated == NO_INPUT else x, v


def direct(f: np.ndarray) -> np.ndarray:
    """log10 of the forget gates' product over the last steps, by their number 0..T-1: (T, E, B, H) from the same."""
    with np.errstate(divide="ignore"):
        summed = np.cumsum(np.log10(f[:0:-1]), 0)
    return np.concatenate([np.zeros_like(f[:1]), summed])


def over_direct(paths: Paths) -> np.ndarray:
    """log10 of |dL/dc| over what of it came along the direct path from lag 1 on, (T, E); NaN at lag 0, where c is not
    read. The direct path is a product of forget gates, here in decades, so that it cannot underflow."""
    along = paths.gates - paths.gates[1] + safe_log10(np.abs(paths.by_cell[1]))
    squares = 0.5 * log10_mean(2 * along) + 0.5 * np.log10(along[0].size / len(along[0]))
    return np.concatenate([np.full_like(squares[:1], np.nan), (log10_norm(paths.by_cell) - squares)[1:]])


def jacobians(group: Group, given: Models) -> Iterator[Record]:
    """log10 of the spectral norm of ds_T/ds_t of a model's first sequence, all of s_T's coordinates taken back at once.

    Args:
        group: says which lags are kept.
        given: its models.
    """
    s, cell, weights = group.settings, given.start.cell, unpack(given.params)
    if not s["jacobian"]:
        return
    rows = np.tile(np.eye(len(STATES[cell]._fields) * s["H"]), (len(group.seeds), 1, 1))
    for lag, cache in enumerate(reversed(given.caches)):
        if lag in s["few"]:
            norm = safe_log10(np.linalg.norm(rows, 2, (-2, -1)))
            for seed, value in zip(group.seeds, norm, strict=True):
                yield Record("gradient_flow", group.setting, seed, "log10_jacobian", lag, float(value))
        rows = step_vjp(given.twin, cell, weights, tree_map(lambda a: a[:, :1], cache), rows)


def by_output(cell: str, v: Any) -> Any:
    """A gradient by the last state that is v by h, and 0 by what else the state has."""
    return STATES[cell](v, *(0 * v for _ in STATES[cell]._fields[1:]))


def step_vjp(twin: Engine, cell: str, weights: Any, cache: Any, Q: np.ndarray) -> np.ndarray:
    """Rows of cotangents by the state after a step as those by the state before it: Q J, without forming the Jacobian.

    Args:
        twin, cell, weights: what computes, "rnn" or "lstm", a group's weights.
        cache: of the step, one sequence a model.
        Q: (E, n, n), n = H times the number of the state's parts; n = H: by h alone, no gradient passing through c.
    """
    H = cache.h.shape[-1]
    rows = [Q[..., k : k + H] for k in range(0, Q.shape[-1], H)]
    rows += [np.zeros_like(rows[0])] * (len(STATES[cell]._fields) - len(rows))
    _, before, _ = twin.plain.CELLS[cell].step_backward(weights, cache, STATES[cell](*twin.asarray(rows, "float64")))
    return np.concatenate(leaves(twin.numpy(before)), -1)[..., : Q.shape[-1]]


def safe_log10(a: np.ndarray) -> np.ndarray:
    """log10, -inf of zero."""
    with np.errstate(divide="ignore"):
        return np.log10(a)


def log10_norm(a: np.ndarray) -> np.ndarray:
    """log10 of the norm over a group's rows and units: (T, E) from (T, E, B, S); -inf where all is zero.

    The largest entry is taken out first, so that no square underflows or overflows.
    """
    largest = abs(a).max((-2, -1), keepdims=True)
    scaled = a / np.where((largest > 0) & np.isfinite(largest), largest, 1)
    with np.errstate(divide="ignore"):
        return np.log10(largest[..., 0, 0]) + 0.5 * np.log10((scaled * scaled).sum((-2, -1)))


def log10_mean(a: np.ndarray) -> np.ndarray:
    """log10 of the mean over rows and units of 10^a: (T, E) from (T, E, B, H); the largest exponent is taken out."""
    largest = a.max((-2, -1), keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(divide="ignore"):
        return largest[..., 0, 0] + np.log10((10 ** (a - largest)).mean((-2, -1)))


def records(group: Group, paths: Paths) -> Iterator[Record]:
    """What the group's run says, one value a seed, metric and kept lag."""
    s, lag = group.settings, group.settings["lag"]
    curves = {"log10_norm": (paths.total, s["lags"])}
    if paths.gates is not None:
        curves["log10_direct"] = (paths.gates.mean((-2, -1)), s["lags"])
        curves["log10_direct_mean"] = (log10_mean(paths.gates), s["few"])
        curves["log10_over_direct"] = (over_direct(paths), s["few"][1:])
    for e, seed in enumerate(group.seeds):
        for metric, (curve, lags) in curves.items():
            for k in lags:
                yield Record("gradient_flow", group.setting, seed, metric, k, float(curve[k, e]))
        if lag < len(paths.total) and not STARTS[group.settings["start"]].isolated:
            value = float(paths.total[lag, e] - paths.total[0, e])
            yield Record("gradient_flow", group.setting, seed, "N15", lag, value)
