"""What is measured, as plain data: cells at equal parameters on one text, seeds, updates, and what a group costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from experiments.harness.sweep import Group
from experiments.language_model import parts
from experiments.language_model.characters import CONTIGUOUS, INTERLEAVED
from experiments.language_model.context import CONTEXT
from experiments.language_model.corpus import Corpus, corpus
from experiments.language_model.evaluation import EVALUATION
from experiments.language_model.models import CELLS, START, chosen, hidden_units
from impl.spec import GATES

PART = "text"

ORDER_OF_N6 = 2
"""The order that N6 compares with."""
FIXED = {"T": 64, "B": 32, "clip": 1.0, "decay": 1 / 6, "reset": 0.25} | START
"""T steps of truncation, B lanes, norm of the clipped gradient; the share of updates over which the rate falls to zero
at the end; the share of lanes that start anew at each update; and how models start."""


FREE = {"free_lanes": 16, "prime": 100, "temperatures": [0.5, 1.0, 1.5], "printed": 300, "prompt": 60}
"""Lanes that a model runs freely in, characters that each is shown first; temperatures of the samples that are printed,
characters of each, and of what it was shown before."""


LOGITS = 2**27
"""Logits of all models that are held at once in an evaluation, in float64: a gigabyte."""


class Preset(NamedTuple):
    """One size of the sweep: thousands of parameters, seeds, updates, evaluations on the validation part, steps that a
    lane runs freely, the preset whose search chose starts and rates, and updates of the first size on the interleaved
    split (0: not trained there)."""

    sizes: tuple[int, ...]
    seeds: int
    updates: int
    evaluations: int = 6
    steps: int = 1000
    search: str = "quick"
    interleaved: int = 0


PRESETS = {
    "smoke": Preset((4,), seeds=2, updates=24, evaluations=2, steps=20),
    "tour": Preset((60,), seeds=3, updates=700, evaluations=3, steps=125),
    "quick": Preset((60,), seeds=8, updates=900, evaluations=5),
    "full": Preset((60, 200), seeds=8, updates=10000, evaluations=10, search="full", interleaved=4000),
}


def groups(preset: str, options: Any) -> list[Group]:
    """The rungs of the text, then each cell at each size; all seeds of a cell are one group.

    Raises:
        CorpusError: the corpus cannot be used; nothing has been computed then.
    """
    sizes, text = PRESETS[preset], corpus(options, FIXED["T"])
    found = [rungs(text, options), *(model(text, cell, k, sizes, options) for k in sizes.sizes for cell in CELLS)]
    return found + ([interleaved(text, cell, sizes, options) for cell in CELLS] if sizes.interleaved else [])


def rungs(text: Corpus, options: Any) -> Group:
    """What tables of n-grams and compressors make of the text; no network, no chance."""
    settings, where = {"kind": "rungs", "places": CONTEXT["places"]}, {"data": text.source.sha256, "corpus": text.path}
    return parts.group(PART, f"{text.name}/rungs", settings, (0,), options, RUNGS * text.n, **where)


def model(
    text: Corpus,
    cell: str,
    size: int,
    sizes: Preset,
    options: Any,
    how: dict[str, Any] | None = None,
    split: str = CONTIGUOUS,
) -> Group:
    """All seeds of a cell with `size` thousand parameters on a text; `how` is its start and rate, if not as chosen."""
    H, how = hidden_units(cell, text.V, 1000 * size), how or chosen(cell, size, sizes.search)
    settings = {"kind": "model", "cell": cell, "H": H, **FIXED, **EVALUATION, **how, "split": split}
    settings |= {"updates": sizes.updates, "evaluations": sizes.evaluations, "steps": sizes.steps}
    settings |= CONTEXT | FREE | {"lanes": lanes(text.V, sizes.seeds)}
    setting = f"{text.name}/cell={cell}" + ("" if size == sizes.sizes[0] else f"/parameters={size}k")
    where = {"dtype": "float32", "data": text.source.sha256, "corpus": text.path}
    return parts.group(PART, setting, settings, range(sizes.seeds), options, cost(cell, H, text, sizes), **where)


def lanes(V: int, seeds: int) -> int:
    """Lanes in which a part is read: fewer where an array of logits would be too large."""
    return max(1, min(EVALUATION["lanes"], LOGITS // (FIXED["T"] * V * seeds)))


def interleaved(text: Corpus, cell: str, sizes: Preset, options: Any) -> Group:
    """All seeds of a cell of the first size on the interleaved split; only its losses are recorded."""
    own = sizes._replace(updates=sizes.interleaved, steps=0)
    group = model(text, cell, sizes.sizes[0], own, options, split=INTERLEAVED)
    return replace(group, setting=f"{text.name}/split={INTERLEAVED}/cell={cell}")


RUNGS, PREPARED = 2e-6, 7.5e-7
"""Core-seconds a character of the text: to count all orders twice and to compress; to read it, count orders up to 5 and
look up windows."""

SECONDS = {"rnn": (1e-3, 9.6e-11, 3.5e-11), "lstm": (2e-3, 1.21e-10, 5.5e-11)}
"""Core-seconds on one AVX-512 core: an update; beside it a multiply-add forward of training, backward included, and of
evaluation, each by character."""

SYMBOL = (1.6e-8, 2.4e-8)
"""Core-seconds a symbol of the alphabet by character, for input and loss: in training, in evaluation."""


JUDGED = 1.7e-5
"""Core-seconds of a character that a model says, to draw it and to judge it and the two that it is compared with."""


def cost(cell: str, H: int, text: Corpus, sizes: Preset) -> float:
    """Predicted core-seconds of a group."""
    read = (sizes.evaluations + 1) * (text.n / 20 + EVALUATION["lanes"] * EVALUATION["warmup"])
    reading = read * (SYMBOL[1] * text.V + evaluation(cell, H, text.V))
    context = CONTEXT["places"] * sum(CONTEXT["ks"]) * evaluation(cell, H, text.V)
    running = FREE["free_lanes"] * sizes.steps * (JUDGED + 3 * evaluation(cell, H, text.V))
    learning = sizes.updates * learnt(cell, H, text.V, sizes.seeds)
    return PREPARED * text.n + sizes.seeds * (reading + context + running + learning)


def learnt(cell: str, H: int, V: int, seeds: int) -> float:
    """Predicted core-seconds of an update of one seed in a group."""
    update, training, _ = SECONDS[cell]
    return update / seeds + FIXED["T"] * FIXED["B"] * (SYMBOL[0] * V + training * products(cell, H, V))


def evaluation(cell: str, H: int, V: int) -> float:
    """Predicted core-seconds of the products of a character that is read."""
    return SECONDS[cell][2] * products(cell, H, V)


def products(cell: str, H: int, V: int) -> int:
    """Multiply-adds of a character, forward."""
    return len(GATES[cell]) * H * (V + H) + V * H
