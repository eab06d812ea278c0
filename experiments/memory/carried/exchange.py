"""Exchanges c, h or one unit of c between two sequences with opposite bits, and reads what the answers follow.

Rows 2k and 2k + 1 are partners: opposite bits, noise of their own. After `seen` steps each takes from the other what is
exchanged and goes on with its own inputs. What carries the bit takes the answer along:

    all in c           c: 1    h: 0    both: 1    none: 0
    all in h           c: 0    h: 1    both: 1    none: 0
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from experiments.harness.training import Batch
from impl.spec import LSTMState, Model, Parameters, block

QUARTERS, HALF = (0.0, 0.25, 0.5, 0.75), 0.5
"""After which parts of the delay is exchanged; 0: as soon as the bit was read."""

KINDS = {"c": (False, True), "h": (True, False), "both": (True, True), "none": (False, False)}
"""Whether h is exchanged, and whether c."""

ROWS = 250
"""Read at a time; even, so that partners stay together."""


class Seen(NamedTuple):
    """By what and when: the share of answers that are the partner's bit, (E,); by unit, (E, H): the share that change
    when its c alone is exchanged half-way, and the mean product of its forget gates over the delay."""

    follows: dict[tuple[str, float], np.ndarray]
    flips: np.ndarray
    product: np.ndarray


def opposed(asked: Batch) -> Batch:
    """Rows of the latch of which 2k + 1 has the opposite bit of 2k; each alone is still a row of the task."""
    x, target = asked.x.copy(), asked.target.copy()
    x[0, ..., 1::2, :], target[..., 1::2, :] = -x[0, ..., ::2, :], 1 - target[..., ::2, :]
    return Batch(x, target)


def partner(a: np.ndarray) -> np.ndarray:
    """Each row's partner in its place: (..., N, K)."""
    return a.reshape(*a.shape[:-2], -1, 2, a.shape[-1])[..., ::-1, :].reshape(a.shape)


def measure(twin: Any, model: Model, asked: Batch, delay: int) -> Seen:
    """All exchanges on all rows.

    Args:
        twin: an engine.
        model: a group of LSTMs with read-outs, in its arrays.
        asked: opposed rows, x (delay + 1, E, N, 1), as NumPy arrays.
        delay: the steps after the bit.
    """
    parts = [
        measure_some(twin, model, asked.x[:, :, n : n + ROWS], asked.target[0, :, n : n + ROWS, 0], delay)
        for n in range(0, asked.x.shape[2], ROWS)
    ]
    weights = [min(ROWS, asked.x.shape[2] - n) for n in range(0, asked.x.shape[2], ROWS)]
    follows = {key: np.average([some.follows[key] for some in parts], 0, weights) for key in parts[0].follows}
    flips, product = (np.average([getattr(some, name) for some in parts], 0, weights) for name in Seen._fields[1:])
    return Seen(follows, flips, product)


def measure_some(twin: Any, model: Model, x: np.ndarray, bit: np.ndarray, delay: int) -> Seen:
    """The same on a few rows: x (delay + 1, E, N, 1), bit (E, N)."""
    x = x.astype(twin.numpy(model.head.weight_hy).dtype)
    others = partner(bit[..., None])[..., 0] > 0.5
    follows = {}
    for at in QUARTERS:
        seen = 1 + round(at * delay)
        state = after(twin, model, x[:seen])
        for what, (h, c) in KINDS.items():
            follows[what, at] = (answers(twin, model, x[seen:], exchanged(state, h, c)) == others).mean(-1)
    seen = 1 + round(HALF * delay)
    state = after(twin, model, x[:seen])
    plain, H = answers(twin, model, x[seen:], state), state.c.shape[-1]
    changed = [answers(twin, model, x[seen:], exchanged(state, False, np.arange(H) == j)) != plain for j in range(H)]
    return Seen(follows, np.stack(changed).mean(-1).T, forget_product(twin, model, x).mean(-2))


def after(twin: Any, model: Model, x: np.ndarray) -> LSTMState:
    """The state after x, as NumPy arrays (E, N, H)."""
    return twin.numpy(twin.scan.forward("lstm", model.cell, twin.asarray(x)).last)


def exchanged(state: LSTMState, h: Any, c: Any) -> LSTMState:
    """The state with what is true in h and c, one for all units or (H,), taken from the partner."""
    return LSTMState(np.where(h, partner(state.h), state.h), np.where(c, partner(state.c), state.c))


def answers(twin: Any, model: Model, x: np.ndarray, state: LSTMState) -> np.ndarray:
    """Whether the answer is 1 after going on from a state with x: (E, N)."""
    last = twin.scan.forward("lstm", model.cell, twin.asarray(x), twin.asarray(state)).last
    return twin.numpy(twin.head.forward(model.head, last.h))[..., 0] > 0


def forget_product(twin: Any, model: Model, x: np.ndarray) -> np.ndarray:
    """The product of the forget gates over the steps after the bit: (E, N, H)."""
    steps = twin.plain.forward("lstm", model.cell, twin.asarray(x)).cache.steps[1:]
    return np.prod([twin.numpy(cache.f).astype(float) for cache in steps], 0)


# What is expected at the start


def forget_bias(cell: str, params: Parameters) -> np.ndarray:
    """The summed forget biases: (E, H)."""
    rows = block(cell, "f", params.weight_hh.shape[-1])
    return (params.bias_ih + params.bias_hh)[..., rows]


def at_start(bias: np.ndarray, delay: int) -> np.ndarray:
    """The largest over units of sigma(b_f)^delay, the product before training if the bias alone set the gate: (E,)."""
    return (1 / (1 + np.exp(-bias.astype(float)))).max(-1) ** delay
