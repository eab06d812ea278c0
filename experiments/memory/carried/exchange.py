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


CARRIES = 0.9
"""A unit, or a set of units, carries the bit if exchanging its c flips more than this share of answers (claim N14)."""


class Seen(NamedTuple):
    """What exchange shows.

    Attributes:
        follows: by what and when, the share of answers that are the partner's bit, (E,).
        flips: the share of answers that change when a unit's c alone is exchanged half-way, (E, H).
        shift: by how much that moves the logit, mean size, (E, H).
        product: of a unit's forget gates over the delay, mean over rows, (E, H).
    """

    follows: dict[tuple[str, float], np.ndarray]
    flips: np.ndarray
    shift: np.ndarray
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
    """All exchanges on all rows, but for those of sets of units.

    Args:
        twin: an engine.
        model: a group of LSTMs with read-outs, in its arrays.
        asked: opposed rows, x (delay + 1, E, N, 1), as NumPy arrays.
        delay: the steps after the bit.
    """
    parts = [measure_some(twin, model, x, bit, delay) for x, bit in chunks(twin, model, asked)]
    follows = {key: np.mean([some.follows[key] for some in parts], 0) for key in parts[0].follows}
    return Seen(follows, *(np.mean([getattr(some, name) for some in parts], 0) for name in Seen._fields[1:]))


def chunks(twin: Any, model: Model, asked: Batch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Equal parts of the rows, in the model's dtype: x (T, E, ROWS, 1) and bits (E, ROWS)."""
    N, dtype = asked.x.shape[2], twin.numpy(model.head.weight_hy).dtype
    if N > ROWS and N % ROWS:
        raise ValueError(f"`asked` must hold a multiple of {ROWS} rows, since parts weigh alike; got {N}.")
    cuts = (slice(n, n + ROWS) for n in range(0, N, ROWS))
    return [(asked.x[:, :, cut].astype(dtype), asked.target[0, :, cut, 0]) for cut in cuts]


def measure_some(twin: Any, model: Model, x: np.ndarray, bit: np.ndarray, delay: int) -> Seen:
    """The same on a few rows: x (delay + 1, E, N, 1), bit (E, N)."""
    others, follows = partner(bit[..., None])[..., 0] > 0.5, {}
    for at in QUARTERS:
        seen = steps_seen(at, delay)
        state = after(twin, model, x[:seen])
        for what, (h, c) in KINDS.items():
            logit = logits(twin, model, x[seen:], exchanged(state, h, c))
            follows[what, at] = ((logit > 0) == others).mean(-1)
    seen, H = steps_seen(HALF, delay), model.head.weight_hy.shape[-1]
    state = after(twin, model, x[:seen])
    plain = logits(twin, model, x[seen:], state)
    alone = np.stack([logits(twin, model, x[seen:], exchanged(state, False, np.arange(H) == j)) for j in range(H)], -1)
    flips = ((alone > 0) != (plain > 0)[..., None]).mean(-2)
    shift = abs(alone - plain[..., None]).mean(-2)
    return Seen(follows, flips, shift, forget_product(twin, model, x).mean(-2))


def needed(twin: Any, model: Model, asked: Batch, delay: int, shift: np.ndarray) -> np.ndarray:
    """How many units, those that move the logit most first, carry the bit together: (E,), H + 1 if not even all do.

    Args:
        twin, model, asked, delay: as in `measure`.
        shift: as it found, (E, H).
    """
    place, H = (-shift).argsort(-1, kind="stable").argsort(-1)[:, None], shift.shape[-1]
    flips = []
    for x, _ in chunks(twin, model, asked):
        seen = steps_seen(HALF, delay)
        state = after(twin, model, x[:seen])
        plain = logits(twin, model, x[seen:], state) > 0
        sets = (logits(twin, model, x[seen:], exchanged(state, False, place < k)) > 0 for k in range(1, H + 1))
        flips.append(np.stack([(flipped != plain).mean(-1) for flipped in sets], -1))
    carries = np.mean(flips, 0) > CARRIES
    return np.where(carries.any(-1), carries.argmax(-1) + 1, H + 1)


def of_set(product: np.ndarray, shift: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The largest product in the set that `needed` found, (E,), of `size` (E,) units."""
    place = (-shift).argsort(-1, kind="stable").argsort(-1)
    return np.where(place < size[:, None], product, 0.0).max(-1)


def steps_seen(at: float, delay: int) -> int:
    """The steps before an exchange: the bit's, and that part of the delay."""
    return 1 + round(at * delay)


def after(twin: Any, model: Model, x: np.ndarray) -> LSTMState:
    """The state after x, as NumPy arrays (E, N, H)."""
    return twin.numpy(twin.scan.forward("lstm", model.cell, twin.asarray(x)).last)


def exchanged(state: LSTMState, h: Any, c: Any) -> LSTMState:
    """The state with what is true in h and c, taken from the partner; h and c broadcast to (E, N, H)."""
    return LSTMState(np.where(h, partner(state.h), state.h), np.where(c, partner(state.c), state.c))


def logits(twin: Any, model: Model, x: np.ndarray, state: LSTMState) -> np.ndarray:
    """The answer's logit after going on from a state with x: (E, N)."""
    last = twin.scan.forward("lstm", model.cell, twin.asarray(x), twin.asarray(state)).last
    return twin.numpy(twin.head.forward(model.head, last.h[None]))[0, ..., 0]


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
