"""Trains stacks of both cells on the same data, and looks at the gradient by layer and lag before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from experiments.harness import arms
from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.harness.training import back, over_all_steps, rows, through
from experiments.memory.layers.trials import DEPTH
from experiments.memory.learning import Checkpoint, initial, learn, measured, records, streams, task_of
from experiments.memory.parts import EXPERIMENT
from impl.spec import Model, leaves
from properties.record import Record


class Trained(NamedTuple):
    """What one cell's part of a group leaves: its records, and the share of rows answered right, (E,)."""

    records: list[Record]
    accuracy: np.ndarray


def run(group: Group, checkpoint: Checkpoint) -> list[Record]:
    """One record a seed of what learning.run records, under SETTING/arm=../lr=../H=.., and of these.

    log10_gradient: under .../layer=K/when=before or after training, K = 1 the lowest: log10 of the root of the mean
        over held-out rows of the squared norm of d l_b / d s_t, where l_b is the row's own loss and s = h for the RNN,
        (h, c) for the LSTM, h and c independent coordinates. The index is the lag, from the last step: 0, half, all.
    N21: at DEPTH layers, under the group's own setting: accuracy of the LSTM minus that of the RNN of the same seed.
    longest_lag: there too, of seed 0: the longest lag that one LSTM layer solved in the trials; the index is the lag
        that was run, which a small preset cuts.
    """
    s, done = group.settings, []
    for cell in s["cells"]:
        before = len(done) * s["updates"]
        done.append(trained(alone(group, cell), progress(checkpoint, before, len(s["cells"]) * s["updates"])))
    found = [record for one in done for record in one.records]
    found.append(Record(EXPERIMENT, group.setting, 0, "longest_lag", s["length"], float(s["longest"])))
    if s["layers"] == DEPTH:
        effect = difference(dict(zip(s["cells"], (one.accuracy for one in done), strict=True)))
        found += group.each("N21", s["length"], effect)
    return found


def alone(group: Group, cell: str) -> Group:
    """One cell's part of a group, as learning takes it."""
    given = {name: value for name, value in group.settings.items() if name != "cells"} | group.settings["cells"][cell]
    setting = f"{group.setting}/arm={given['arm']}/lr={given['lr']:g}/H={given['H']}"
    return replace(group, setting=setting, settings=given)


def progress(checkpoint: Checkpoint, before: int, total: int) -> Checkpoint:
    """A cell's checkpoints as those of the whole group."""
    return lambda done, _: checkpoint(before + done, total)


def trained(group: Group, checkpoint: Checkpoint) -> Trained:
    """One cell's part of a group."""
    twin = engine(group.engine)
    start = look(group, twin, initial(group, twin))
    learned = learn(group, twin, checkpoint)
    found = measured(group, twin, learned.model, learned.held_out)
    looks = {"before": start, "after": look(group, twin, learned.model)}
    every = [*records(group, learned, found)]
    every += [record for when, norms in looks.items() for record in by_layer(group, when, norms)]
    return Trained(every, found["accuracy"])


def difference(accuracy: dict[str, np.ndarray]) -> np.ndarray:
    """The LSTM's minus the RNN's, seed by seed."""
    return accuracy["lstm"] - accuracy["rnn"]


# The gradient


def lags(longest: int) -> list[int]:
    """Where it is looked at, in steps before the last: 0, half, all."""
    return sorted({0, longest // 2, longest})


def look(group: Group, twin: Any, model: Model) -> np.ndarray:
    """log10 of the root mean square over rows of |d l_b / d s_t| by layer, from the lowest, lag 0..T-1 and model, in
    float64: (layers, T, E). A row's loss reaches no other row, so the sum's gradient is each row's own."""
    s, task = group.settings, task_of(group)
    x, target = rows(task.draw, s["length"], streams(group, "looked-at"), s["looked_at"])[:2]
    model, x, target = (twin.asarray(some, "float64") for some in (twin.numpy(model), x, target))
    cell = arms.ARMS[s["arm"]].cell
    runs = through(twin.states, cell, model.cell, x)
    top = runs[-1].states.h
    h = top[-1:]
    _, dy = getattr(twin.loss, task.LOSS)(twin.head.forward(model.head, h), target)
    dh, _ = twin.head.backward(model.head, h, dy)
    gradients = back(twin.states, cell, model.cell, runs, over_all_steps(dh, top))
    return np.stack([log10_rms(np.concatenate(leaves(twin.numpy(g.states)), -1)[::-1]) for g in gradients])


def log10_rms(a: np.ndarray) -> np.ndarray:
    """log10 of the root of the mean over rows of the squared norm: (T, E) from (T, E, B, S); -inf where all is zero.

    The largest entry is taken out first, so that no square underflows.
    """
    largest = abs(a).max((-2, -1), keepdims=True)
    scaled = a / np.where(largest > 0, largest, 1)
    with np.errstate(divide="ignore"):
        return np.log10(largest[..., 0, 0]) + 0.5 * np.log10((scaled * scaled).sum(-1).mean(-1))


def by_layer(group: Group, when: str, norms: np.ndarray) -> Iterator[Record]:
    """A look's records at the kept lags."""
    for k, curve in enumerate(norms, 1):
        for lag in lags(group.settings["length"]):
            yield from group.each("log10_gradient", lag, curve[lag], f"{group.setting}/layer={k}/when={when}")
