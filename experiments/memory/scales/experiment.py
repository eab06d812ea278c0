"""Trains all seeds of one start on latches of mixed delays, and reads the units' time scales before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.harness.training import Batch, train
from experiments.memory import learning
from experiments.tasks import mixed_latch
from impl.spec import Model
from properties.record import Record

LOW, HIGH = 0.1, 0.9
"""The quantiles over units between which the spread lies."""


class Look(NamedTuple):
    """A group's models on their held-out rows: time scales (E, H), loss and whether it answers right (E, N)."""

    scales: np.ndarray
    loss: np.ndarray
    right: np.ndarray


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """One record a seed of these metrics. At a look (setting .../update=N):

    time_scale: of a unit, -1 / mean ln f in steps; the index is the unit.
    loss, accuracy: nats and share of rows right, by delay; the index is the shortest delay of the rows, see `octaves`.

    At a look (the index is the number of updates):
    spread: the 90 % quantile of the units' time scales over their 10 % quantile.
    accuracy: the share of all held-out rows answered right.

    Once (index 0):
    N16: the spread at the end over that at the start.
    longest_delay: of those that rows are drawn from.

    Training is in the group's dtype, what is looked at in float64.
    """
    s, twin, asked = group.settings, engine(group.engine), learning.held_out(group)
    model = learning.initial(group, twin)
    seen = {0: look(twin, model, asked)}
    for update in train(twin, "lstm", mixed_latch.LOSS, model, learning.batches(group, twin), s["lr"], s["clip"]):
        if update.step in s["looks"]:
            seen[update.step] = look(twin, update.model, asked)
        if update.step % s["every"] == 0 or update.step == s["updates"]:
            checkpoint(update.step, s["updates"])
    return [*records(group, seen, asked.lengths - 1)]


# What is measured


def look(twin: Any, model: Model, asked: Batch) -> Look:
    """The models on their rows, in float64, in the plain loop, which alone tells the gates."""
    model, x = twin.asarray(twin.numpy(model), "float64"), twin.asarray(asked.x, "float64")
    ran = twin.plain.forward("lstm", model.cell, x, None, twin.asarray(asked.lengths))
    y = twin.numpy(twin.head.forward(model.head, ran.states.h))
    f = np.stack([twin.numpy(cache.f) for cache in ran.cache.steps])
    return Look(time_scales(f, asked.lengths), loss(y, asked), mixed_latch.correct(y, *learning.given(asked)))


def time_scales(f: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """-1 / mean ln f over rows and over the steps that they run: forget gates (T, E, N, H), lengths (E, N) give (E, H).

    A unit whose gate is 1 to rounding at all of them has an infinite one.
    """
    running = (np.arange(len(f))[:, None, None] < lengths)[..., None]
    with np.errstate(divide="ignore"):
        total = np.where(running, np.log(f), 0.0).sum((0, 2))
        return lengths.sum(-1)[:, None] / abs(total)


def spread(scales: np.ndarray) -> np.ndarray:
    """The 90 % quantile over units over the 10 % quantile: (E, H) gives (E,)."""
    return np.quantile(scales, HIGH, axis=-1) / np.quantile(scales, LOW, axis=-1)


def loss(y: np.ndarray, asked: Batch) -> np.ndarray:
    """The logistic loss of each row at its last step: (E, N)."""
    sign = 2.0 * asked.target - 1.0
    return np.where(asked.mask, np.logaddexp(0.0, -sign * y)[..., 0], 0.0).sum(0)


def octaves(longest: int) -> list[int]:
    """The shortest delay of each class of delays: 5, 10, 20, ..., each twice the one before, the last up to the end."""
    starts = [mixed_latch.SHORTEST]
    while 2 * starts[-1] < longest / 1.5:
        starts.append(2 * starts[-1])
    return starts


# Records


def records(group: Group, seen: dict[int, Look], delays: np.ndarray) -> Iterator[Record]:
    """What the looks say; delays are those of the held-out rows, (E, N)."""
    for n, look in seen.items():
        yield from group.each("spread", n, spread(look.scales))
        yield from group.each("accuracy", n, look.right.mean(-1))
        for unit, scales in enumerate(look.scales.T):
            yield from group.each("time_scale", unit, scales, f"{group.setting}/update={n}")
        for metric, rows in (("loss", look.loss), ("accuracy", look.right)):
            for shortest, values in by_delay(rows, delays, group.settings["length"]):
                yield from group.each(metric, shortest, values, f"{group.setting}/update={n}")
    yield from group.each("longest_delay", 0, np.full(len(group.seeds), group.settings["length"]))
    yield from group.each("N16", 0, spread(seen[max(seen)].scales) / spread(seen[0].scales))


def by_delay(rows: np.ndarray, delays: np.ndarray, longest: int) -> Iterator[tuple[int, np.ndarray]]:
    """The mean over the rows of each class of delays, (E,); rows and delays (E, N)."""
    starts = octaves(longest)
    for shortest, end in zip(starts, [*starts[1:], longest + 1], strict=True):
        some = (shortest <= delays) & (delays < end)
        yield shortest, (rows * some).sum(-1) / some.sum(-1)
