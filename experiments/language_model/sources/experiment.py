"""Trains all seeds of one cell on a source as a group, and compares it with the Bayes-optimal predictor.

Records of a model, by seed, on held-out sequences of its own, in bits a symbol: loss; bayes, the predictor's loss on
the same sequences; excess, the mean divergence of the model from the predictor, which is the expectation of their
difference without the noise of the symbols; of the sources that claim N20 names, N20 = loss - bayes itself. The excess
is never negative; N20 may be by chance, where the symbols drawn happen to suit the model's errors: over 100,000 symbols
a seed its standard error at an excess of .001 bit is about .0002 bit. Besides: curve, the excess after some of the
updates on the first CURVE_ROWS sequences; hidden_units, parameters, updates, held_out_rows, lr; start, the place of the
cell's start in sweep.STARTS.

Records of the rungs, under SOURCE/rungs, in bits a symbol in the long run: rung, h_k at index k; rate. The excess of
who sees k symbols over the first steps, with which a cell's compares, is less (`known.gaps`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from experiments.claims import SOURCES
from experiments.harness import arms
from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.harness.training import Batch, falling, rows, train
from experiments.language_model.parts import EXPERIMENT
from experiments.language_model.sources import known
from experiments.language_model.sources.sweep import CURVE_ROWS, STARTS, marks
from experiments.memory.learning import CHUNK, answers, members
from experiments.tasks.hidden_markov import divergence, losses
from impl import draw
from impl.spec import Model
from properties.record import Record

Checkpoint = Callable[[int, int], None]

LOSS = "softmax_cross_entropy"
AT_ONCE = 20
"""Updates whose batches are drawn together, since a source is walked step by step."""


def run(group: Group, checkpoint: Checkpoint) -> list[Record]:
    """The records of a group: of its models, or of the sources' rungs."""
    return list(rungs(group) if group.settings["kind"] == "rungs" else models(group, checkpoint))


def rungs(group: Group) -> Iterator[Record]:
    """What the best predictor of each order pays, and the rate."""
    for name, n in group.settings["sources"]:
        source, setting = known.source(name, n), f"{known.path(name, n)}/rungs"
        yield from group.each("rate", 0, source.rate, setting)
        for order, value in enumerate(source.rungs(known.highest(name, n))):
            yield from group.each("rung", order, value, setting)


# Models


def models(group: Group, checkpoint: Checkpoint) -> Iterator[Record]:
    """Trains the group; looks at the excess now and then, and at all held-out sequences at the end."""
    s, twin, looked = group.settings, engine(group.engine), Held(group)
    rate, at = falling(s["lr"], s["updates"], s["decay"]), marks(s["updates"])
    for update in train(twin, s["cell"], LOSS, initial(group, twin), batches(group, twin), rate, s["clip"]):
        if update.step in at:
            yield from each(group, "curve", update.step, looked.measured(twin, update.model, CURVE_ROWS)["excess"])
        if update.step % AT_ONCE == 0 or update.step == s["updates"]:
            checkpoint(update.step, s["updates"])
    found = looked.measured(twin, update.model, s["held_out"])
    V = known.source(s["source"], s["n"]).V
    given = {"hidden_units": s["H"], "parameters": arms.parameters(s["cell"], V, V, s["H"]), "updates": s["updates"]}
    given |= {"lr": s["lr"], "held_out_rows": s["held_out"], "start": starts(group)}
    for metric, value in (found | given).items():
        yield from each(group, metric, 0, value)
    if s["source"] in SOURCES:
        yield from each(group, "N20", 0, found["loss"] - found["bayes"])


class Held:
    """Each seed's held-out sequences, the same for each start, with the predictor's chances."""

    def __init__(self, group: Group) -> None:
        """Draws them, and runs the predictor over them."""
        s, self.cell = group.settings, group.settings["cell"]
        source = known.source(s["source"], s["n"])
        batch = rows(source.draw, s["steps"], streams(group, "held-out"), s["held_out"])
        self.asked = for_every_start(group, batch._replace(x=batch.x.astype(group.dtype)))
        self.chances = source.bayes(self.asked.target)

    def measured(self, twin: Any, model: Model, N: int) -> dict[str, np.ndarray]:
        """excess, loss and bayes over the first N sequences, bits a symbol: each (E,)."""
        N, total = min(N, self.asked.x.shape[2]), np.zeros((3, self.asked.x.shape[1]))
        for start in range(0, N, CHUNK):
            some = slice(start, min(start + CHUNK, N))
            asked, chances = sliced(self.asked, some), self.chances[:, :, some]
            y = answers(twin, self.cell, model, asked)
            each = divergence(y, chances), *losses(y, asked.target, chances)
            total += [part.sum(-1) for part in each]
        return dict(zip(("excess", "loss", "bayes"), total / N, strict=True))


def initial(group: Group, twin: Any) -> Model:
    """The group's models at the start, in the twin's arrays."""
    s, V = group.settings, known.source(group.settings["source"], group.settings["n"]).V
    drawn = [arms.model(arm, words(group, seed), s["steps"], V, V, s["H"]) for arm in s["arms"] for seed in group.seeds]
    return twin.asarray(draw.group(drawn), group.dtype)


def batches(group: Group, twin: Any) -> Iterator[Batch]:
    """Fresh training batches, one an update, in the engine's arrays."""
    s, rngs = group.settings, streams(group, "training")
    source = known.source(s["source"], s["n"])
    for done in range(0, s["updates"], AT_ONCE):
        many = rows(source.draw, s["steps"], rngs, AT_ONCE * s["B"])
        many = for_every_start(group, many)
        for k in range(min(AT_ONCE, s["updates"] - done)):
            yield twin.asarray(sliced(many, slice(k * s["B"], (k + 1) * s["B"])), group.dtype)


def sliced(batch: Batch, some: slice) -> Batch:
    """Some rows of every model."""
    return Batch(batch.x[:, :, some], batch.target[:, :, some])


def streams(group: Group, purpose: str) -> list[np.random.Generator]:
    """A generator a seed, not by cell or start: they are paired."""
    return [draw.generator(*words(group, seed), purpose) for seed in group.seeds]


def words(group: Group, seed: int) -> tuple[str | int, ...]:
    """Of the generators of a seed on a source."""
    return EXPERIMENT, "sources", known.path(group.settings["source"], group.settings["n"]), seed


def for_every_start(group: Group, batch: Batch) -> Batch:
    """A batch of the group's seeds as one of all its models."""
    starts = len(group.settings["arms"])
    return batch if starts == 1 else members(batch, list(range(len(group.seeds))) * starts)


def each(group: Group, metric: str, index: float, values: Any) -> Iterator[Record]:
    """One record a model; of several starts each has its own setting, below the group's."""
    starts = group.settings["arms"]
    by_start = np.broadcast_to(values, len(starts) * len(group.seeds)).reshape(len(starts), -1)
    for arm, some in zip(starts, by_start, strict=True):
        yield from group.each(metric, index, some, group.setting + (f"/arm={arm}" if len(starts) > 1 else ""))


def starts(group: Group) -> np.ndarray:
    """The place of each model's start in STARTS: (E,)."""
    places = [STARTS[group.settings["cell"]].index(arm) for arm in group.settings["arms"]]
    return np.repeat(places, len(group.seeds))
