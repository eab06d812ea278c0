"""What is measured, as plain data: cells at equal parameters on one text, seeds, updates, and what a group costs."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.harness.sweep import Group
from experiments.tasks import text
from impl.spec import GATES

VERSION = 1
CELLS = ("rnn", "lstm")

ORDER_OF_N6 = 2
"""The order that N6 compares with."""
FIXED = {"T": 64, "B": 32, "clip": 1.0, "input_sd": 0.5, "gain": 0.9, "forget_bias": 1.0, "decay": 1 / 6, "reset": 0.25}
"""T steps of truncation, B lanes, norm of the clipped gradient; W_ih from N(0, input_sd^2); gain of the RNN's
orthogonal W_hh, the LSTM's forget bias; the share of updates over which the rate falls to zero at the end; the share of
lanes that start anew at each update."""

RATES = {60: {"rnn": 4e-3, "lstm": 2e-2}, 200: {"rnn": 2.5e-3, "lstm": 1e-2}}
"""Adam's step size by thousands of parameters, from a pilot; a smaller model takes that of 60 thousand."""

EVALUATION = {"lanes": 128, "warmup": 128}
"""A part is read in lanes side by side, each after so many characters of context that are not counted."""


class Preset(NamedTuple):
    """One size of the sweep: thousands of parameters, seeds, updates, evaluations on the validation part."""

    sizes: tuple[int, ...]
    seeds: int
    updates: int
    evaluations: int = 6


PRESETS = {
    "smoke": Preset((4,), seeds=2, updates=24, evaluations=2),
    "tour": Preset((60,), seeds=3, updates=1500),
    "quick": Preset((60,), seeds=3, updates=6000, evaluations=8),
    "full": Preset((60, 200), seeds=16, updates=12000, evaluations=10),
}


def groups(preset: str, options: Any) -> list[Group]:
    """The rungs of the text, then each cell at each size; all seeds of a cell are one group.

    Raises:
        CorpusError: the corpus cannot be used; nothing has been computed then.
    """
    sizes, corpus = PRESETS[preset], options.corpus
    source = text.load(corpus, FIXED["T"])
    where = (f"corpus={source.name}" if corpus else "text", source.sha256, str(corpus.resolve()) if corpus else "")
    V, n = len(source.alphabet), len(source.characters)
    models = [group(*where, cell, size, V, n, sizes, options.engine) for size in sizes.sizes for cell in CELLS]
    return [rungs(*where, n, options.engine), *models]


def rungs(name: str, sha256: str, corpus: str, n: int, engine: str) -> Group:
    """What tables of n-grams and compressors make of the text; no network, no chance."""
    return Group(
        experiment="language_model",
        version=VERSION,
        setting=f"{name}/rungs",
        settings={"kind": "rungs"},
        seeds=(0,),
        dtype="float64",
        engine=engine,
        data=sha256,
        cost=RUNGS * n,
        corpus=corpus,
    )


def group(
    name: str, sha256: str, corpus: str, cell: str, size: int, V: int, n: int, sizes: Preset, engine: str
) -> Group:
    """All seeds of a cell with `size` thousand parameters on a text of n characters, V of them different."""
    H = hidden_units(cell, V, 1000 * size)
    settings = {"kind": "model", "cell": cell, "H": H, "lr": RATES.get(size, RATES[60])[cell], **FIXED, **EVALUATION}
    settings |= {"updates": sizes.updates, "evaluations": sizes.evaluations}
    return Group(
        experiment="language_model",
        version=VERSION,
        setting=f"{name}/cell={cell}" if size == sizes.sizes[0] else f"{name}/cell={cell}/parameters={size}k",
        settings=settings,
        seeds=tuple(range(sizes.seeds)),
        dtype="float32",
        engine=engine,
        data=sha256,
        cost=cost(cell, H, V, n, sizes),
        corpus=corpus,
    )


def parameters(cell: str, V: int, H: int) -> int:
    """How many numbers a model has: cell with two biases, and read-out."""
    G = len(GATES[cell])
    return G * H * (V + H + 2) + V * (H + 1)


def hidden_units(cell: str, V: int, most: int) -> int:
    """The largest width whose model has at most `most` parameters, and at least 1."""
    H = 1
    while parameters(cell, V, H + 1) <= most:
        H += 1
    return H


RUNGS, PREPARED = 2e-6, 5e-7
"""Core-seconds a character of the text: to count all orders twice and to compress; to read it and count order 2."""

SECONDS = {"rnn": (1e-3, 9.6e-11, 3.5e-11), "lstm": (2e-3, 1.21e-10, 5.5e-11)}
"""Core-seconds on one AVX-512 core: an update; beside it a multiply-add forward of training, backward included, and of
evaluation, each by character."""

SYMBOL = (1.6e-8, 2.4e-8)
"""Core-seconds a symbol of the alphabet by character, for input and loss: in training, in evaluation."""


def cost(cell: str, H: int, V: int, n: int, sizes: Preset) -> float:
    """Predicted core-seconds of a group."""
    update, training, evaluation = SECONDS[cell]
    products = len(GATES[cell]) * H * (V + H) + V * H
    trained = sizes.seeds * sizes.updates * FIXED["T"] * FIXED["B"]
    read = sizes.seeds * (sizes.evaluations + 1) * (n / 20 + EVALUATION["lanes"] * EVALUATION["warmup"])
    learning = sizes.updates * update + trained * (SYMBOL[0] * V + training * products)
    return PREPARED * n + learning + read * (SYMBOL[1] * V + evaluation * products)
