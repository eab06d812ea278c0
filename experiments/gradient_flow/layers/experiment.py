"""Runs untrained stacks and records the norm of dL/ds_t by layer and lag."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from experiments.gradient_flow.lags import experiment as one_layer
from experiments.gradient_flow.lags.experiment import log10_norm
from experiments.gradient_flow.starts import STARTS, parameters
from experiments.harness.engine import Engine, engine
from experiments.harness.sweep import Group
from impl import draw
from impl.spec import leaves
from properties.record import Record


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """One record a layer, seed and kept lag, for L = v . h_T of the top layer with v and x from N(0, 1):

    log10_norm: log10 of the norm of dL/ds_t over |v|, s = h for the RNN and (h, c) for the LSTM.
    """
    norms = measure(group)
    checkpoint(1, 1)
    return [
        Record("gradient_flow", f"{group.setting}/layer={k + 1}", seed, "log10_norm", lag, float(norms[k, lag, e]))
        for k in range(len(norms))
        for e, seed in enumerate(group.seeds)
        for lag in group.settings["lags"]
    ]


def measure(group: Group) -> np.ndarray:
    """`by_layer` of all seeds of the group."""
    twin = engine(group.engine)
    layers, x, v = twin.asarray(drawn(group), group.dtype)
    return by_layer(twin, STARTS[group.settings["start"]].cell, layers, x, v)


def by_layer(twin: Engine, cell: str, layers: tuple[Any, ...], x: Any, v: Any) -> np.ndarray:
    """log10 of |dL/ds_t| / |v| by layer, from the lowest, lag 0..T-1 and model: (layers, T, E).

    As everywhere, h_t and c_t count as independent coordinates; the gradient by h_t holds what comes through the next
    step of its layer and what comes through the layer above at the same step.

    Args:
        twin: what computes.
        cell: "rnn" or "lstm".
        layers: parameters with an axis E, from the lowest.
        x: (T, E, B, D). v: (E, B, H).
    """
    runs, norms = [], []
    for params in layers:
        runs.append(twin.states.forward(cell, params, runs[-1].states.h if runs else x))
    dh, dlast = None, one_layer.by_output(cell, v)
    for params, ran in zip(reversed(layers), reversed(runs), strict=True):
        gradient = twin.states.backward(cell, params, ran.cache, dh=dh, dlast=dlast, skip=("params",))
        norms.append(log10_norm(np.concatenate(leaves(twin.numpy(gradient.states)), -1))[::-1])
        dh, dlast = gradient.x, None  # L sees a lower layer through its outputs alone
    return np.stack(norms[::-1]) - log10_norm(twin.numpy(v))


def drawn(group: Group) -> tuple[tuple[Any, ...], np.ndarray, np.ndarray]:
    """Parameters (E, ...) by layer, x (T, E, B, D) and v (E, B, H), float64; what one layer has, the lowest has."""
    start, (H, T, layers) = STARTS[group.settings["start"]], (group.settings[name] for name in ("H", "T", "layers"))
    lowest, x, v = one_layer.drawn(group, start)
    upper = (
        draw.group([parameters(start, seed, H, H, T, layer) for seed in group.seeds]) for layer in range(1, layers)
    )
    return (lowest, *upper), x, v
