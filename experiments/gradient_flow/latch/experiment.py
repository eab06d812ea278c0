"""Pushes one unit from its lower state with a constant input, and seeks the least push that takes it over.

The unit is the RNN of the twins with H = 1: weight_hh = w, the push is its input x through weight_ih = 1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from experiments.harness.engine import Engine, engine
from experiments.harness.sweep import Group
from impl.spec import Parameters, RNNState
from properties.record import Record


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """By w (the index): the threshold; the slope d h'/dh at the lower state without a push; steps waited for."""
    s, twin = group.settings, engine(group.engine)
    w = np.array(s["weights"])
    low, high = np.zeros_like(w), w.copy()
    for done in range(s["bisections"]):
        push = (low + high) / 2
        kept = after(twin, w, push, s["steps"]) < 0
        low, high = np.where(kept, push, low), np.where(kept, high, push)
        checkpoint(done + 1, s["bisections"])
    rest = after(twin, w, 0 * w, s["steps"])
    values = {"threshold": (low + high) / 2, "slope": slope(twin, w, rest), "steps": 0 * w + s["steps"]}
    return [
        Record("gradient_flow", group.setting, 0, metric, float(weight), float(value))
        for metric, found in values.items()
        for weight, value in zip(w, found, strict=True)
    ]


def unit(twin: Engine, w: np.ndarray) -> Parameters:
    """One unit a model."""
    return twin.asarray(Parameters(np.ones((len(w), 1, 1)), w[:, None, None]), "float64")


def after(twin: Engine, w: np.ndarray, push: np.ndarray, steps: int) -> np.ndarray:
    """h after so many steps of a push that begins in the lower state, (E,)."""
    rest = np.full((len(w), 1, 1), -1.0)
    state = RNNState(twin.asarray(rest, "float64"))
    for value in (0 * push, push):
        x = np.broadcast_to(value[:, None, None], (steps, len(w), 1, 1))
        state = twin.scan.forward("rnn", unit(twin, w), twin.asarray(np.ascontiguousarray(x), "float64"), state).last
    return twin.numpy(state.h)[:, 0, 0]


def slope(twin: Engine, w: np.ndarray, h: np.ndarray) -> np.ndarray:
    """d h' / dh at a state, by the twin's backward, (E,)."""
    state, one = (RNNState(twin.asarray(a[:, None, None], "float64")) for a in (h, np.ones_like(h)))
    x = twin.asarray(np.zeros((1, len(w), 1, 1)), "float64")
    ran = twin.states.forward("rnn", unit(twin, w), x, state)
    back = twin.states.backward("rnn", unit(twin, w), ran.cache, dlast=one, skip=("x", "params", "states"))
    return twin.numpy(back.state.h)[:, 0, 0]
