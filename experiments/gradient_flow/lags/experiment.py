"""Runs the untrained models of one start and records the norm of dL/ds_t by lag, in total and along the direct path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from experiments.gradient_flow.starts import NO_INPUT, STARTS, Start, parameters
from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from impl import draw
from impl.spec import STATES, leaves, unpack
from properties.record import Record


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
    paths = measure(group)
    checkpoint(1, 2)
    found = [*records(group, paths), *jacobians(group)]
    checkpoint(2, 2)
    return found


def measure(group: Group) -> Paths:
    """All seeds of the group, forward and back."""
    s, twin = group.settings, engine(group.engine)
    start = STARTS[s["start"]]
    params, x, v = twin.asarray(drawn(group, start), group.dtype)
    ran = twin.states.forward(start.cell, params, x)
    dlast = STATES[start.cell](v, *(0 * v for _ in STATES[start.cell]._fields[1:]))
    gradient = twin.states.backward(start.cell, params, ran.cache, dlast=dlast)
    states = twin.numpy(gradient.states)
    total = log10_norm(np.concatenate(leaves(states), -1))[::-1]
    if start.cell == "rnn":
        return Paths(total)
    gates = twin.plain.forward(start.cell, params, x).cache.steps  # which the plain loop alone tells
    return Paths(total, direct(np.stack([twin.numpy(cache.f) for cache in gates])), states.c[::-1])


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


def jacobians(group: Group) -> Iterator[Record]:
    """log10 of the spectral norm of ds_T/ds_t, the gradients of all of s_T's coordinates taken back at once."""
    s, twin = group.settings, engine(group.engine)
    start, (T, H) = STARTS[s["start"]], (s["T"], s["H"])
    if not s["jacobian"]:
        return
    params, x, _ = twin.asarray(drawn(group, start), group.dtype)
    caches, weights = twin.plain.forward(start.cell, params, x[:, :, :1]).cache.steps, unpack(params)
    fields = len(STATES[start.cell]._fields)
    rows = np.tile(np.eye(fields * H), (len(group.seeds), 1, 1))
    for lag in range(T):
        if lag in s["few"]:
            norm = safe_log10(np.linalg.norm(rows, 2, (-2, -1)))
            for seed, value in zip(group.seeds, norm, strict=True):
                yield Record("gradient_flow", group.setting, seed, "log10_jacobian", lag, float(value))
        cotangent = STATES[start.cell](*twin.asarray(np.split(rows, fields, -1), group.dtype))
        _, before, _ = twin.plain.CELLS[start.cell].step_backward(weights, caches[T - 1 - lag], cotangent)
        rows = np.concatenate(leaves(twin.numpy(before)), -1)


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
