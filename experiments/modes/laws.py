"""The law of each mode on trained models and held-out rows: how many rows break it, to the bit.

    one to many     once the input is seen, other weights of the input change nothing that is said after
    many to one     the state at the row's last step is the last one, and its choice is the answer
    delayed         from one state the decoder says the same, whatever was read after it
    aligned         what is said at a step is the same whatever comes later

On generated cases, with planted faults, these are the laws "modes" and, of the aligned mode, "causality" of properties.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.harness.training import Batch, through
from experiments.modes.answering import choices, exchanged, first, heard, into, own_words, said, spoken
from impl.spec import Array, Model


def broken(twin: Any, cell: str, mode: str, model: Model, asked: Batch) -> np.ndarray:
    """How many of the rows break the law of their mode, (E,).

    Args:
        twin, cell, mode, model, asked: as in `answering.choices`.
    """
    pairs = LAWS[mode](twin, cell, model, asked)
    return np.stack([differ(a, b) for a, b in pairs]).any(0).sum(-1)


def judged(mode: str, asked: Batch) -> np.ndarray:
    """Which of the rows can break the law, (N,): in the aligned mode those that have a first half and a second."""
    N = asked.target.shape[1]
    if mode != "aligned":
        return np.ones(N, bool)
    cut = len(asked.x) // 2
    return np.full(N, N > 1 and cut > 0) & (True if asked.lengths is None else asked.lengths > cut)


def differ(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether a row of a model has other bits in a than in b, each (K, E, N, V): (E, N); a model that is lost has the
    same where both are NaN."""
    return ((a != b) & ~(np.isnan(a) & np.isnan(b))).any(axis=(0, 3))


def one_to_many(twin: Any, cell: str, model: Model, asked: Batch) -> list[tuple[Array, Array]]:
    """What is said after the first step, with the input's own weights and with others."""
    start, K, V = first(twin, model, asked), len(asked.target), model.head.weight_hy.shape[-2]
    whole = spoken(twin, cell, model, start, None, K)
    begun = own_words(twin, cell, model, start, None, 2)
    blind = twin.numpy(model.cell.weight_ih)
    blind[..., V:] = blind[..., :V].mean(-1, keepdims=True) + 1.0
    other = model._replace(cell=model.cell._replace(weight_ih=into(twin, model, blind)))
    state = type(begun.last)(*(part[0] for part in begun.states))
    rest = spoken(twin, cell, other, begun.x[1], state, K - 1)
    return [(twin.numpy(whole[1:]), twin.numpy(rest))]


def many_to_one(twin: Any, cell: str, model: Model, asked: Batch) -> list[tuple[Array, Array]]:
    """The states h at the rows' last steps, and the last states; what is chosen where it is asked for, and what the
    last states choose."""
    x, lengths = into(twin, model, (asked.x, asked.lengths))
    (run,) = through(twin.scan, cell, model.cell, x, None, lengths)
    h, last = twin.numpy(run.states.h), twin.numpy(run.last.h)
    T, N = h.shape[0], h.shape[2]
    ends = np.full(N, T) if asked.lengths is None else asked.lengths
    chosen = choices(twin, cell, "many_to_one", model, asked)
    steps = len(chosen) - 1 if asked.mask is None else asked.mask.argmax(0)
    read = twin.numpy(twin.head.forward(model.head, run.last.h[None]))[0].argmax(-1)
    pairs = [(at(h, ends - 1), last), (at(chosen, steps)[..., None], read[..., None])]
    return [(a[None].astype(float), b[None].astype(float)) for a, b in pairs]


def at(a: np.ndarray, steps: np.ndarray | int) -> np.ndarray:
    """Of a (T, E, N, ...) each row's step: (E, N, ...)."""
    return a[steps, :, np.arange(a.shape[2])].swapaxes(0, 1)


def delayed(twin: Any, cell: str, model: Model, asked: Batch) -> list[tuple[Array, Array]]:
    """What is said from one state, before and after other sources were read."""
    start, state, K = first(twin, model, asked), heard(twin, cell, model, asked), len(asked.target)
    before = twin.numpy(spoken(twin, cell, model, start, state, K))
    turned = exchanged("delayed", asked, np.arange(asked.target.shape[1])[::-1])
    heard(twin, cell, model, turned)
    return [(before, twin.numpy(spoken(twin, cell, model, start, state, K)))]


def aligned(twin: Any, cell: str, model: Model, asked: Batch) -> list[tuple[Array, Array]]:
    """What is said in the first half, with the rows' own second half and with other rows'."""
    cut = len(asked.x) // 2
    later = np.concatenate([asked.x[:cut], np.roll(asked.x[cut:], 1, 1)])
    pair = (said(twin, cell, "aligned", model, some) for some in (asked, asked._replace(x=later)))
    return [tuple(twin.numpy(y)[:cut] for y in pair)]


LAWS = {function.__name__: function for function in (one_to_many, many_to_one, delayed, aligned)}
