"""The loss on a part of a text: each symbol predicted once, in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from impl.spec import Array, Model

EVALUATION = {"lanes": 128, "warmup": 128}
"""A part is read in lanes side by side, each after so many symbols of context that are not counted."""


def evaluate(twin: Any, s: dict[str, Any], model: Model, classes: np.ndarray, part: slice) -> np.ndarray:
    """The mean loss on a part of the text, nats a symbol, (E,): each symbol predicted once, in float64.

    The part is cut into lanes read side by side. A lane starts with a state of zeros `warmup` symbols before its own,
    which may lie before the part, and none of them counts.

    Args:
        s: cell, lanes, warmup, and T, the steps that are computed at once.
        classes: the whole text, (n,) integers.
    """
    place, mask = reading(part, s["lanes"], s["warmup"], s["T"])
    one_hot, state, total = one_hots(twin, model), None, 0.0
    for t in range(0, len(place), s["T"]):
        some = slice(t, t + s["T"])
        x = one_hot[twin.asarray(classes[place[some] - 1])]
        run = twin.scan.forward(s["cell"], model.cell, x, state)
        y, state = twin.head.forward(model.head, run.states.h), run.last
        total = total + nats(twin, y, classes[place[some]][:, None], mask[some, None])
    return total / mask.sum()


def one_hots(twin: Any, model: Model) -> Array:
    """The input of each symbol in the twin's arrays and the model's dtype, (V, V)."""
    V, dtype = model.head.weight_hy.shape[-2], twin.numpy(model.head.weight_hy[..., :1, :1]).dtype
    return twin.asarray(np.eye(V, dtype=dtype))


def reading(part: slice, lanes: int, warmup: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each lane reads: places (S, L) of the symbols to predict, and whether they count.

    Args:
        part: the symbols that count, each in one lane and once.
        lanes: at most so many, fewer if a lane would be shorter than `window`.
        warmup: symbols before a lane's own, as far as the text has them.
    """
    n, warmup = part.stop - part.start, min(warmup, part.start - 1)
    each = math.ceil(n / max(1, min(lanes, n // window)))
    step, lane = np.arange(-warmup, each)[:, None], np.arange(math.ceil(n / each))
    place = part.start + lane * each + step
    return np.minimum(place, part.stop - 1), (step >= 0) & (place < part.stop)


def nats(twin: Any, y: Array, target: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The summed loss of each model where the mask holds, in float64, (E,).

    Args:
        y: logits (T, E, L, V), in the twin's arrays.
        target, mask: (T, 1, L), the same for every model.
    """
    same = twin.asarray(tuple(np.broadcast_to(a, tuple(y.shape[:-1])) for a in (target, mask)))
    in_double = y * twin.asarray(np.ones(1))  # a product with float64 is one, in either twin and on its device
    total, _ = twin.loss.softmax_cross_entropy(in_double, *same)
    return twin.numpy(total)
