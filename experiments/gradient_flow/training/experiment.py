"""Trains all seeds of one run as a group on the adding problem, and looks at dL/ds_t at checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from experiments.gradient_flow.lags.experiment import by_output, direct, log10_norm
from experiments.gradient_flow.parts import EXPERIMENT
from experiments.gradient_flow.starts import parameters
from experiments.gradient_flow.training.sweep import ARMS, CLIP
from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.harness.training import Batch, fresh, rows, train
from experiments.tasks import adding
from impl import draw
from impl.spec import Model, leaves
from properties.record import Record

NEVER, EXPLODED = -1, 100.0
"""A gradient whose global norm exceeds EXPLODED counts as exploded: a hundred times the norm that others clip it to."""


class Look(NamedTuple):
    """A group's models on their held-out rows: mean loss (E,), and what `run` names by lag 0..T-1, each (T, E)."""

    loss: np.ndarray
    by_lag: dict[str, np.ndarray]


class History(NamedTuple):
    """What each update of training left: the loss before it and the gradient's norm before clipping, each (E,).

    A norm that is not a number counts as infinite: it comes from what has overflowed.
    """

    loss: list[np.ndarray]
    norm: list[np.ndarray]


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """One record a seed of these metrics. At a checkpoint (setting .../update=N, the index is the lag):

    log10_norm: of the root of the mean over held-out rows of the squared norm of d l_b / d s_t, where l_b is the row's
        own squared error and s = h for the RNN, (h, c) for the LSTM, h and c independent coordinates.
    log10_direct, log10_direct_best: the LSTM's product of forget gates: its log10, mean over rows, in the mean over
        units and in the unit where it is largest.

    At a checkpoint (the index is the number of updates):
    loss: mean squared error on the held-out rows.
    norm_median, share_over: of the global norm of the gradient before clipping, over the updates since the checkpoint
        before: its median, and the share of updates at which it exceeded CLIP, whether or not the run clips.
    norm_max: the largest so far.

    Once (index 0):
    exploded_at, not_finite_at: the first update whose gradient's norm exceeded EXPLODED, whose loss was no finite
        number; -1 never.

    Training is in the group's dtype, held-out rows and all that is computed with them in float64.
    """
    s, twin = group.settings, engine(group.engine)
    cell, model, (x, target) = ARMS[s["arm"]].cell, initial(group, twin), held_out(group)
    history, before, found = History([], []), 0, [*at_checkpoint(group, 0, look(twin, cell, model, x, target))]
    checkpoint(0, s["updates"])
    with np.errstate(all="ignore"):  # a run may diverge: that is recorded, not warned of
        for update in train(twin, cell, adding.LOSS, model, batches(group, twin), s["lr"], s["clip"]):
            note(history, twin.numpy(update.loss), twin.numpy(update.norm))
            if update.step in s["checkpoints"]:
                found += at_checkpoint(group, update.step, look(twin, cell, update.model, x, target))
                found += between(group, before, update.step, history)
                before = update.step
                checkpoint(update.step, s["updates"])
    return [*found, *once(group, history)]


# What a group computes with


def initial(group: Group, twin: Any) -> Model:
    """The group's models at the start, in the twin's arrays."""
    s = group.settings
    H, T, start = s["H"], s["T"], ARMS[s["arm"]]
    heads = (draw.head(draw.generator(EXPERIMENT, "head", H, seed), adding.V, H) for seed in group.seeds)
    cells = (parameters(start, seed, adding.D, H, T) for seed in group.seeds)
    return twin.asarray(draw.group([Model(*pair) for pair in zip(cells, heads, strict=True)]), group.dtype)


def batches(group: Group, twin: Any) -> Iterator[Batch]:
    """Fresh training batches, one an update."""
    s = group.settings
    return fresh(twin, adding.draw, s["T"], streams(group, "training"), s["B"], group.dtype, s["updates"])


def held_out(group: Group) -> tuple[np.ndarray, np.ndarray]:
    """Each seed's own held-out rows, the same at every checkpoint, float64: x (T, E, N, 2), target (1, E, N, 1)."""
    s = group.settings
    return rows(adding.draw, s["T"], streams(group, "held-out"), s["held_out"])[:2]


def streams(group: Group, purpose: str) -> list[np.random.Generator]:
    """A generator a seed, from the length, the seed and the purpose, not from the arm: runs are paired."""
    return [draw.generator(EXPERIMENT, adding.NAME, group.settings["T"], seed, purpose) for seed in group.seeds]


# What is measured


def look(twin: Any, cell: str, model: Model, x: np.ndarray, target: np.ndarray) -> Look:
    """The models on held-out rows, in float64. A row's loss reaches no other row, so the sum's gradient is each own."""
    model, x, target = (twin.asarray(some, "float64") for some in (twin.numpy(model), x, target))
    ran, B = twin.states.forward(cell, model.cell, x), target.shape[-2]
    h = ran.states.h[-1:]
    total, dy = twin.loss.squared_error(twin.head.forward(model.head, h), target)
    dh, _ = twin.head.backward(model.head, h, dy)
    gradient = twin.states.backward(cell, model.cell, ran.cache, dlast=by_output(cell, dh[0]), skip=("x", "params"))
    by_row = np.concatenate(leaves(twin.numpy(gradient.states)), -1)[::-1]
    by_lag = {"log10_norm": log10_norm(by_row) - 0.5 * np.log10(B)}
    return Look(twin.numpy(total) / B, by_lag | (gates(twin, model, x) if cell == "lstm" else {}))


def gates(twin: Any, model: Model, x: Any) -> dict[str, np.ndarray]:
    """log10 of the forget gates' product over the last 0..T-1 steps: over units the mean and the largest, (T, E)."""
    steps = twin.plain.forward("lstm", model.cell, x).cache.steps  # which the plain loop alone tells
    by_unit = direct(np.stack([twin.numpy(cache.f) for cache in steps])).mean(-2)
    return {"log10_direct": by_unit.mean(-1), "log10_direct_best": by_unit.max(-1)}


def note(history: History, loss: np.ndarray, norm: np.ndarray) -> None:
    """Adds an update."""
    history.loss.append(loss.astype(float))
    history.norm.append(np.where(np.isnan(norm), np.inf, norm.astype(float)))


# Records


def at_checkpoint(group: Group, update: int, seen: Look) -> Iterator[Record]:
    """What a look at the models says."""
    yield from group.each("loss", update, seen.loss)
    for metric, curve in seen.by_lag.items():
        for lag in group.settings["lags"]:
            yield from group.each(metric, lag, curve[lag], f"{group.setting}/update={update}")


def between(group: Group, before: int, update: int, history: History) -> Iterator[Record]:
    """What the updates since the checkpoint before say, and the largest norm of all."""
    norm = np.array(history.norm)
    yield from group.each("norm_median", update, np.median(norm[before:], 0))
    yield from group.each("share_over", update, (norm[before:] > CLIP).mean(0))
    yield from group.each("norm_max", update, norm.max(0))


def once(group: Group, history: History) -> Iterator[Record]:
    """When a gradient exploded and a loss was no longer finite, if ever."""
    yield from group.each("exploded_at", 0, first(np.array(history.norm) > EXPLODED))
    yield from group.each("not_finite_at", 0, first(~np.isfinite(np.array(history.loss))))


def first(happened: np.ndarray) -> np.ndarray:
    """The number of the first update, from 1, at which it did, or NEVER: (N, E) gives (E,)."""
    return np.where(happened.any(0), happened.argmax(0) + 1, NEVER)
