"""What is measured, as plain data: cells over embeddings at equal parameters, vocabulary, seeds, updates, and costs."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from experiments.harness import arms
from experiments.harness.sweep import Group
from experiments.language_model import parts
from experiments.language_model.corpus import Corpus, corpus
from experiments.language_model.models import CELLS, START
from experiments.tasks import text
from experiments.tasks.corpora import CorpusError
from experiments.tasks.words import Words, words_of
from impl.spec import GATES

PART = "words"

FIXED = {"T": 32, "clip": 1.0, "decay": 1 / 3, "reset": 0.25, "lanes": 32, "warmup": 32, "table_sd": 1.0}
FIXED |= {"gain": START["gain"], "forget_bias": START["forget_bias"]}
"""T steps of truncation; the share of updates over which the rate falls to zero at the end; the share of lanes that
start anew at each update; lanes and words of context in an evaluation; the table's entries from N(0, table_sd^2), as
torch.nn.Embedding has them, and the cell as the part on characters starts it, but W_ih as torch.nn does."""


class Preset(NamedTuple):
    """One size of the sweep: how often a word stands in the training part at least, features D of a word (the LSTM's
    units too), lanes B, seeds, updates, evaluations on the validation part, and Adam's step size by cell."""

    least: int
    D: int
    B: int
    seeds: int
    updates: int
    evaluations: int
    rates: dict[str, float]


PRESETS = {
    "smoke": Preset(2000, 4, 8, seeds=2, updates=12, evaluations=2, rates={"rnn": 1e-2, "lstm": 2e-2}),
    "quick": Preset(100, 64, 16, seeds=8, updates=500, evaluations=2, rates={"rnn": 5e-3, "lstm": 2e-2}),
    "full": Preset(5, 128, 16, seeds=8, updates=3000, evaluations=8, rates={"rnn": 4e-3, "lstm": 8e-3}),
}
"""The tour has no words. Quick's rates have the lowest loss on the validation part of .0025, .005, .01, .02 and .04, by
two seeds from 1000 on. Full's were guessed. A pilot made since, with a vocabulary of 1,132 and one
seed, has lower ones: .0012 or .0025 for the RNN (.004 nats apart), .005 for the LSTM.
"""


def groups(preset: str, options: Any) -> list[Group]:
    """The rungs of the text's words, then each cell; all seeds of a cell are one group.

    None for a text that has too few words for it: a window of T and the word after it in each part, and one word that
    its training part has often enough.

    Raises:
        CorpusError: the corpus cannot be used at all.
    """
    if preset not in PRESETS:
        return []
    sizes, source = PRESETS[preset], corpus(options, FIXED["T"])
    words = enough(source, sizes.least)
    if words is None:
        return []
    return [rungs(source, sizes, options), *(model(source, words, cell, sizes, options) for cell in CELLS)]


def enough(source: Corpus, least: int) -> Words | None:
    """The text's words, if they are enough."""
    try:
        words = words_of(source.source, least)
    except CorpusError:
        return None
    return words if min(map(text.length, words.parts)) > FIXED["T"] else None


def rungs(source: Corpus, sizes: Preset, options: Any) -> Group:
    """What tables of n-grams make of the words; no network, no chance."""
    where = {"data": source.source.sha256, "corpus": source.path}
    settings = {"kind": "rungs", "least": sizes.least}
    return parts.group(PART, f"{source.name}/words/rungs", settings, (0,), options, 2 * PREPARED * source.n, **where)


def model(source: Corpus, words: Words, cell: str, sizes: Preset, options: Any) -> Group:
    """All seeds of a cell on a text's words; the LSTM has D units, the RNN as many as its parameters allow."""
    V, D = len(words.vocabulary), sizes.D
    H = D if cell == "lstm" else hidden_units(cell, V, D, parameters("lstm", V, D, D))
    settings = {"kind": "model", "least": sizes.least, "cell": cell, "D": D, "H": H, "B": sizes.B, **FIXED}
    settings |= {"lr": sizes.rates[cell], "updates": sizes.updates, "evaluations": sizes.evaluations}
    where = {"dtype": "float32", "data": source.source.sha256, "corpus": source.path}
    seconds = cost(cell, H, V, source.n, text.length(words.parts.test), sizes)
    return parts.group(
        PART, f"{source.name}/words/cell={cell}", settings, range(sizes.seeds), options, seconds, **where
    )


def parameters(cell: str, V: int, D: int, H: int) -> int:
    """How many numbers a model has: table, cell with two biases, and read-out."""
    return V * D + arms.parameters(cell, D, V, H)


def hidden_units(cell: str, V: int, D: int, most: int) -> int:
    """The largest width whose model has at most `most` parameters, and at least 1."""
    return arms.widest(partial(parameters, cell, V, D), most)


PREPARED = 2e-7
"""Core-seconds a character of the text: to read it and to cut it into words; as much again to count all orders."""

UPDATE, PRODUCT, SYMBOL = 1e-3, (7e-11, 3e-11), (1.4e-8, 8e-9)
"""Core-seconds on one AVX-512 core: an update; a multiply-add forward and a word of the vocabulary, each by word read,
in training (backward included) and in evaluation."""


def cost(cell: str, H: int, V: int, n: int, test: int, sizes: Preset) -> float:
    """Predicted core-seconds of a group."""
    products = len(GATES[cell]) * H * (sizes.D + H) + V * H
    trained = sizes.seeds * sizes.updates * FIXED["T"] * sizes.B
    read = sizes.seeds * (sizes.evaluations + 1) * (test + FIXED["lanes"] * FIXED["warmup"])
    each = [PRODUCT[k] * products + SYMBOL[k] * V for k in (0, 1)]
    return PREPARED * n + sizes.updates * UPDATE + trained * each[0] + read * each[1]
