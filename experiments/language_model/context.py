"""The loss from exactly the last k symbols: how far back what a model uses reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.language_model.evaluation import nats, one_hots
from impl.spec import Model

CONTEXT = {"places": 2048, "ks": [1, 2, 3, 4, 5, 6, 10, 20, 50]}
"""How many places of the test are predicted, the same for each k; and the k, up to 6 those of the n-gram rungs."""

ROWS = 256
"""Places that are predicted at once."""


def losses(
    twin: Any, s: dict[str, Any], model: Model, classes: np.ndarray, part: slice, ks: Sequence[int], places: int
) -> np.ndarray:
    """The mean loss at some places of a part from the last k symbols alone, nats a symbol, (len(ks), E), in float64.

    A model begins with a state of zeros, reads the k symbols before a place, which may lie before the part, and
    predicts the one there. The places are the same for every k.

    Args:
        s: cell.
        classes: the whole text, (n,) integers.
        ks: each at least 1, and no more than there are symbols before the part.
        places: how many, evenly spread; all of a part that has fewer.
    Raises:
        ValueError: a k does not fit.
    """
    if min(ks) < 1 or max(ks) > part.start:
        raise ValueError(f"`ks` must lie in 1..{part.start}, the symbols before the part; got {list(ks)}.")
    at, one_hot = spread(part, places), one_hots(twin, model)
    total = np.zeros((len(ks), model.head.weight_hy.shape[0]))
    for start in range(0, len(at), ROWS):
        some = at[start : start + ROWS]
        for row, k in enumerate(ks):
            x = one_hot[twin.asarray(classes[some + np.arange(-k, 0)[:, None]])]
            h = twin.scan.forward(s["cell"], model.cell, x).last.h
            target = classes[some][None, None]
            total[row] += nats(twin, twin.head.forward(model.head, h[None]), target, np.full(target.shape, True))
    return total / len(at)


def spread(part: slice, places: int) -> np.ndarray:
    """Places of a part from its first on, evenly spread, each once: at most `places` of them."""
    n = part.stop - part.start
    count = min(places, n)
    return part.start + np.arange(count) * n // count
