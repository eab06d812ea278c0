"""The gates of an LSTM on the adding problem, at marked steps and around them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from experiments.harness.arms import CHRONO_FACTOR
from impl.spec import Model

GATES = {"input": "i", "forget": "f", "output": "o"}
OFFSETS = range(-3, 6)
ROWS = 250


def gates(twin: Any, model: Model, x: np.ndarray) -> dict[str, np.ndarray]:
    """Each gate's mean over units at every step of every row: (T, E, N)."""
    found: dict[str, list[np.ndarray]] = {gate: [] for gate in GATES}
    for n in range(0, x.shape[2], ROWS):
        steps = twin.plain.forward("lstm", model.cell, twin.asarray(x[:, :, n : n + ROWS])).cache.steps
        for gate, name in GATES.items():
            found[gate].append(np.stack([twin.numpy(getattr(cache, name)).astype(float).mean(-1) for cache in steps]))
    return {gate: np.concatenate(parts, -1) for gate, parts in found.items()}


def contrast(gate: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """The mean at marked minus that at unmarked steps: (T, E, N) give (E,)."""
    return mean_where(gate, marked) - mean_where(gate, ~marked)


def around(gate: np.ndarray, marked: np.ndarray, offset: int) -> np.ndarray:
    """The mean so many steps after a marked step; steps that do not exist or are marked themselves are left out."""
    T = len(gate)
    first, last = max(0, -offset), min(T, T - offset)
    from_mark = marked[first:last]
    at = slice(first + offset, last + offset)
    return mean_where(gate[at], from_mark & ~marked[at] if offset else from_mark)


def mean_where(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The mean over steps and rows of (T, E, N) where true: (E,)."""
    return np.where(where, values, 0.0).sum((0, -1)) / where.sum((0, -1))


def at_bias(start: str, gate: str, T: int) -> float:
    """A gate's mean over units at the start, if the bias alone set it; torch's biases have mean gates of 1/2.

    b_f = 1: sigma(1). Chrono: f = u / (1 + u) and i = 1 / (1 + u) for u uniform in [1, U - 1], U = 1.5 T, so that
    the mean of i is ln(U / 2) / (U - 2).
    """
    if start == "chrono" and gate != "output":
        U = max(2.0, CHRONO_FACTOR * T)
        shut = math.log(U / 2) / (U - 2) if U > 2 else 0.5
        return shut if gate == "input" else 1 - shut
    bias = {"bf1": 1.0, "bf3": 3.0}.get(start, 0.0) if gate == "forget" else 0.0
    return 1 / (1 + math.exp(-bias))
