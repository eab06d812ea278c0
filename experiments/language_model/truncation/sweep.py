"""What is measured, as plain data: both cells on one text, by the reach of the gradient, and what a group costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from experiments.harness.sweep import Group
from experiments.language_model import models, parts
from experiments.language_model.corpus import Corpus, corpus
from experiments.language_model.evaluation import EVALUATION
from experiments.language_model.models import CELLS, START, hidden_units
from experiments.language_model.text.sweep import SECONDS, SYMBOL, products
from experiments.language_model.truncation import rates

PART = "truncation"

SHORT, LONG = 1, 50
"""The truncations that N18 compares."""

TRUNCATIONS = (1, 2, 5, 10, 20, 50, 100)
FIXED = {"T": 100, "clip": 1.0, "decay": 1 / 6, "reset": 0.25, "evaluations": 2} | START
"""T steps of a chunk, after which there is one update; all else as in `text.sweep`."""

READING = EVALUATION | {"lanes": 64}
"""Fewer lanes than a whole part has: each needs its own context, and a part may be read only at its beginning."""


class Preset(NamedTuple):
    """One size of the sweep: thousands of parameters, truncations, seeds, updates, lanes B, and how many characters are
    read at most of the validation part and of the test (None: all)."""

    size: int
    truncations: tuple[int, ...]
    seeds: int
    updates: int
    B: int
    read: int | None


PRESETS = {
    "smoke": Preset(4, (SHORT, LONG), seeds=2, updates=8, B=4, read=2_000),
    "tour": Preset(8, (SHORT, LONG), seeds=8, updates=150, B=8, read=20_000),
    "quick": Preset(10, TRUNCATIONS, seeds=8, updates=250, B=8, read=30_000),
    "full": Preset(60, TRUNCATIONS, seeds=8, updates=1000, B=32, read=None),
}


def groups(preset: str, options: Any) -> list[Group]:
    """One group a cell, with every truncation.

    Raises:
        CorpusError: the corpus cannot be used; nothing has been computed then.
    """
    sizes, text = PRESETS[preset], corpus(options, FIXED["T"])
    return [trained(text, cell, sizes, options) for cell in CELLS]


def trained(
    text: Corpus, cell: str, sizes: Preset, options: Any, lr: float | None = None, seeds: Sequence[int] = ()
) -> Group:
    """All seeds of a cell, trained with one truncation after the other.

    Args:
        lr: Adam's step size for every truncation, in place of the one that was chosen for each; the test is not read.
        seeds: other ones than those of the preset.
    """
    H, seeds = hidden_units(cell, text.V, 1000 * sizes.size), seeds or range(sizes.seeds)
    chosen = [[k, rate(cell, k, sizes.size) if lr is None else lr] for k in sizes.truncations]
    settings = {"cell": cell, "H": H, "truncations": chosen, **FIXED, **READING, "B": sizes.B}
    settings |= {"updates": sizes.updates, "read": sizes.read, "test": lr is None}
    setting = f"{prefix(text)}{PART}/cell={cell}" + ("" if lr is None else f"/rate={lr:g}")
    where = {"dtype": "float32", "data": text.source.sha256, "corpus": text.path}
    return parts.group(PART, setting, settings, seeds, options, cost(cell, H, text, sizes, len(seeds)), **where)


def prefix(text: Corpus) -> str:
    """What the settings of a text begin with: nothing for the default one, whose settings the claim reads."""
    return f"{text.name}/" if text.path else ""


def rate(cell: str, k: int, size: int) -> float:
    """Adam's step size: chosen for each truncation among the same ones, in models at most as large as in that search;
    else that of the cell, for every truncation."""
    return rates.rate(cell, k) if size <= rates.SIZE else models.rate(cell, size)


PREPARED = 2e-7
"""Core-seconds a character of the text, to read it."""


def cost(cell: str, H: int, text: Corpus, sizes: Preset, seeds: int) -> float:
    """Predicted core-seconds of a group; the steps before the last block are run forward once more."""
    V, n, T = text.V, text.n, FIXED["T"]
    updating, training, forward = SECONDS[cell]
    multiplied = products(cell, H, V)
    again = sum(1 - k / T for k in sizes.truncations) / len(sizes.truncations)
    character = SYMBOL[0] * V + (training + again * forward) * multiplied
    update = updating + seeds * T * sizes.B * character
    part = n / 20 if sizes.read is None else min(n / 20, sizes.read)
    read = 2 * seeds * (part + READING["lanes"] * READING["warmup"]) * (SYMBOL[1] * V + forward * multiplied)
    return PREPARED * n + len(sizes.truncations) * (sizes.updates * update + read)
