"""Trains all seeds of one cell on a text as a group, or counts the n-grams of the text; one record a number.

Records of a model, by seed: loss_validation by update and loss_test at the last one (nats a character, over the whole
part), loss_training (mean of the batches since the evaluation before), parameters, hidden_units, rate, and N6: the loss
on the test minus that of the order-2 rung. Records of the rungs: see `rungs`.
"""

from __future__ import annotations

import bz2
import gzip
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.engine import engine
from experiments.harness.sweep import Group
from experiments.harness.training import Batch, falling, train
from experiments.language_model import sweep
from experiments.tasks import ngram, text
from impl import draw
from impl.spec import Model, Parameters, tree_map
from properties.record import Record

Checkpoint = Callable[[int, int], None]

WINDOW = 50
"""Characters of a window that may stand in the training part as well."""


def run(group: Group, checkpoint: Checkpoint) -> list[Record]:
    """The records of a group: of its models, or of the text's rungs."""
    source = text.load(Path(group.corpus) if group.corpus else None, sweep.FIXED["T"])
    if source.sha256 != group.data:
        raise text.CorpusError(f"`corpus` must not change while it is read; got SHA-256 {source.sha256}.")
    measured = rungs if group.settings["kind"] == "rungs" else models
    return list(measured(group, source, checkpoint))


# Models


def models(group: Group, source: text.Text, checkpoint: Checkpoint) -> Iterator[Record]:
    """Trains the group; evaluates on the validation part now and then, on the test once, at the end."""
    s, twin, parts = group.settings, engine(group.engine), text.contiguous(len(source.characters))
    lanes, marks, losses = Lanes(group, text.characters(source, parts.training), twin), evaluations(s), []
    how = {"lr": falling(s["lr"], s["updates"], s["decay"]), "max_norm": s["clip"], "carry": lanes.carry}
    start, batches = initial(group, source, twin), lanes.batches(len(source.alphabet))
    for update in train(twin, s["cell"], "softmax_cross_entropy", start, batches, **how):
        losses.append(twin.numpy(update.loss).astype("float64"))
        if update.step in marks:
            yield from group.each("loss_training", update.step, np.mean(losses, 0))
            value = evaluate(twin, s, update.model, source, parts.validation[0])
            yield from group.each("loss_validation", update.step, value)
            losses.clear()
        checkpoint(update.step, s["updates"])
        if update.step == s["updates"]:
            break
    yield from final(group, source, evaluate(twin, s, update.model, source, parts.test[0]))


def final(group: Group, source: text.Text, loss: np.ndarray) -> Iterator[Record]:
    """What is recorded once a seed, at the last update."""
    s, V = group.settings, len(source.alphabet)
    yield from group.each("loss_test", s["updates"], loss)
    yield from group.each("N6", s["updates"], loss - order_two(source))
    sizes = {"parameters": sweep.parameters(s["cell"], V, s["H"]), "hidden_units": s["H"], "rate": s["lr"]}
    for metric, value in sizes.items():
        yield from group.each(metric, 0, value)


def initial(group: Group, source: text.Text, twin: Any) -> Model:
    """The group's models at the start, in the twin's arrays."""
    s, V = group.settings, len(source.alphabet)
    return twin.asarray(draw.group([model(s, seed, V) for seed in group.seeds]), group.dtype)


def model(s: dict[str, Any], seed: int, V: int) -> Model:
    """One model at the start: W_ih from N(0, input_sd^2), an orthogonal W_hh (RNN) or the forget bias set (LSTM)."""
    words = ("language_model", seed, s["H"])
    rng = draw.generator(*words, "weights", s["cell"])
    cell = recurrent(rng, s, V)
    cell = cell._replace(weight_ih=rng.normal(0.0, s["input_sd"], cell.weight_ih.shape))
    return Model(cell, draw.head(draw.generator(*words, "head"), V, s["H"]))


def recurrent(rng: np.random.Generator, s: dict[str, Any], V: int) -> Parameters:
    """The cell as its own initialiser draws it."""
    if s["cell"] == "rnn":
        return draw.orthogonal(rng, "rnn", V, s["H"], s["gain"])
    return draw.with_forget_bias(draw.uniform(rng, "lstm", V, s["H"]), s["forget_bias"])


def evaluations(s: dict[str, Any]) -> set[int]:
    """The updates at which the validation part is read: the last, where the rate starts to fall, and halvings."""
    last = s["updates"]
    halves = {max(1, last >> k) for k in range(1, s["evaluations"] - 1)}
    return {last, max(1, round(last * (1 - s["decay"])))} | halves


class Lanes:
    """The training text as B lanes a seed, each read on from where its last chunk ended, a share of them started anew.

    Every seed has its own stream of random numbers, from the text and the seed and not from the cell. A lane that
    starts anew does so at a place drawn from the whole text, with a state of zeros; past its end the text begins again.
    """

    def __init__(self, group: Group, characters: np.ndarray, twin: Any) -> None:
        s = group.settings
        self.characters, self.twin, self.dtype = characters, twin, group.dtype
        self.T, self.B = s["T"], s["B"]
        self.restarts = int(s["reset"] * s["B"])
        self.rngs = [draw.generator("language_model", group.data, seed, "lanes") for seed in group.seeds]
        self.at = np.stack([self.places(rng, self.B) for rng in self.rngs])

    def places(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """n places of the text, (n,)."""
        return rng.integers(0, len(self.characters), n)

    def chunk(self) -> np.ndarray:
        """The next T characters of every lane and the one after them, (T + 1, E, B)."""
        steps = np.arange(self.T + 1)[:, None, None]
        chunk = self.characters[(self.at + steps) % len(self.characters)]
        self.at = self.at + self.T
        return chunk

    def batches(self, V: int) -> Iterator[Batch]:
        """Chunk after chunk in the twin's arrays: x (T, E, B, V) one-hot, and what comes next as the target."""
        one_hot = np.eye(V, dtype=self.dtype)
        while True:
            chunk = self.chunk()
            yield Batch(*self.twin.asarray((one_hot[chunk[:-1]], chunk[1:])))

    def carry(self, last: Any) -> Any:
        """The next chunk's initial state: the last one, with zeros where a lane starts anew. Moves those lanes."""
        keep = np.ones(self.at.shape, self.dtype)
        for e, rng in enumerate(self.rngs):
            anew = rng.permutation(self.B)[: self.restarts]
            keep[e, anew], self.at[e, anew] = 0, self.places(rng, self.restarts)
        keep = self.twin.asarray(keep[..., None])
        return tree_map(lambda a: a * keep, last)


def evaluate(twin: Any, s: dict[str, Any], model: Model, source: text.Text, part: slice) -> np.ndarray:
    """The mean loss on a part of the text, nats a character, (E,): each character predicted once, in float64.

    The part is cut into lanes read side by side. A lane starts with a state of zeros `warmup` characters before its
    own, which may lie before the part, and none of them counts.
    """
    place, mask = reading(part, s["lanes"], s["warmup"], s["T"])
    one_hot, state, total = np.eye(len(source.alphabet), dtype=dtype_of(twin, model)), None, 0.0
    for t in range(0, len(place), s["T"]):
        some = slice(t, t + s["T"])
        x, target = one_hot[source.characters[place[some] - 1]], source.characters[place[some]]
        run = twin.scan.forward(s["cell"], model.cell, twin.asarray(x), state)
        y, state = twin.numpy(twin.head.forward(model.head, run.states.h)), run.last
        total = total + nats(twin, y, target[:, None], mask[some, None])
    return total / mask.sum()


def dtype_of(twin: Any, model: Model) -> str:
    """The dtype of a model, by name."""
    return twin.numpy(model.head.weight_hy).dtype.name


def reading(part: slice, lanes: int, warmup: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each lane reads: places (S, L) of the characters to predict, and whether they count.

    Args:
        part: the characters that count, each in one lane and once.
        lanes: at most so many, fewer if a lane would be shorter than `window`.
        warmup: characters before a lane's own, as far as the text has them.
    """
    n, warmup = part.stop - part.start, min(warmup, part.start - 1)
    each = math.ceil(n / max(1, min(lanes, n // window)))
    step, lane = np.arange(-warmup, each)[:, None], np.arange(math.ceil(n / each))
    place = part.start + lane * each + step
    return np.minimum(place, part.stop - 1), (step >= 0) & (place < part.stop)


def nats(twin: Any, y: np.ndarray, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The summed loss of each model where the mask holds, in float64, (E,).

    Args:
        y: logits (T, E, L, V).
        target, mask: (T, 1, L), the same for every model.
    """
    same = (np.broadcast_to(a, y.shape[:-1]) for a in (target, mask))
    total, _ = twin.loss.softmax_cross_entropy(*twin.asarray((y.astype("float64"), *same)))
    return twin.numpy(total)


# Rungs


def order_two(source: text.Text) -> float:
    """The loss of the order-2 rung on the test."""
    parts = text.contiguous(len(source.characters))
    ladder = ngram.fit(text.characters(source, parts.training), len(source.alphabet), sweep.ORDER_OF_N6)
    return float(on(ladder, source, parts.test[0])[sweep.ORDER_OF_N6])


def on(ladder: ngram.Ladder, source: text.Text, part: slice) -> np.ndarray:
    """Every order's loss on a part of the text, each character with what stands before it in the text."""
    before = min(part.start, ngram.HIGHEST)
    return ngram.nats(ladder, source.characters[part.start - before : part.stop], before)


def rungs(group: Group, source: text.Text, checkpoint: Checkpoint) -> Iterator[Record]:
    """Every order's loss on the validation part, the test and the interleaved test; compressors; the text's counts.

    Records, seed 0: rung_validation, rung_test, rung_interleaved by order; recurring and recurring_interleaved by the
    window's length (the share of the test's windows that stand in the training part); gzip and bz2 on the test, after
    all text before it; symbols; characters of the whole and of its parts; all losses in nats a character.
    """
    n = len(source.characters)
    for done, measured in enumerate((contiguous_rungs, interleaved_rungs, compressors, counts), 1):
        for metric, index, value in measured(source, n):
            yield Record("language_model", group.setting, group.seeds[0], metric, index, float(value))
        checkpoint(done, 4)


def contiguous_rungs(source: text.Text, n: int) -> Iterator[tuple[str, int, float]]:
    """The ladder that the models are compared with."""
    parts = text.contiguous(n)
    ladder = ngram.fit(text.characters(source, parts.training), len(source.alphabet))
    for name, part in (("validation", parts.validation), ("test", parts.test)):
        for order, value in enumerate(on(ladder, source, part[0])):
            yield f"rung_{name}", order, value
    yield "recurring", WINDOW, text.recurring(*(text.string(source, p) for p in (parts.training, parts.test)), WINDOW)


def interleaved_rungs(source: text.Text, n: int) -> Iterator[tuple[str, int, float]]:
    """The ladder where test and training are alike."""
    parts = text.interleaved(n)
    ladder = ngram.fit(text.characters(source, parts.training), len(source.alphabet))
    for order, value in enumerate(ngram.nats(ladder, text.characters(source, parts.test))):
        yield "rung_interleaved", order, value
    share = text.recurring(*(text.string(source, p) for p in (parts.training, parts.test)), WINDOW)
    yield "recurring_interleaved", WINDOW, share


def compressors(source: text.Text, n: int) -> Iterator[tuple[str, int, float]]:
    """What the test adds to the compressed text before it."""
    start = text.contiguous(n).test[0].start
    before, whole = source.string[:start].encode(), source.string.encode()
    for name, compress in (("gzip", lambda data: gzip.compress(data, 9, mtime=0)), ("bz2", bz2.compress)):
        yield name, 0, (len(compress(whole)) - len(compress(before))) * 8 * math.log(2) / (n - start)


def counts(source: text.Text, n: int) -> Iterator[tuple[str, int, float]]:
    """How much text there is."""
    yield "symbols", 0, len(source.alphabet)
    yield "characters", 0, n
    for name, part in text.contiguous(n)._asdict().items():
        yield f"characters_{name}", 0, text.length(part)
