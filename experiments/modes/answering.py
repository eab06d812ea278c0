"""How a model answers in each mode. It is given the input alone: what it says later, it says after its own words.

one to many     x_0 is the one input; then each step is shown what the model said at the step before
many to one     y is read out at the last step
delayed         the encoder reads the source; the decoder begins with its last state, and hears itself alone
aligned         y is read out at every step
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments import claims
from experiments.harness.training import Batch, Coder, Pair, outputs
from experiments.tasks import arguments
from impl.spec import Array, Model, Parameters, tree_map

MODES = tuple(claims.MODES)
SPEAKING = ("one_to_many", "delayed")
"""The modes in which a model hears what it said itself."""

CHUNK = 250
"""Rows that are looked at together."""


def choices(twin: Any, cell: str, mode: str, model: Model, asked: Batch) -> np.ndarray:
    """The likeliest class at every step that is asked for, (K, E, N).

    Args:
        twin, cell, model: an engine, its cell, a group of models in its arrays.
        asked: NumPy arrays of N rows that all models share. Of the targets only the number of steps is read.
    """
    parts = [rows_of(asked, slice(n, n + CHUNK)) for n in range(0, asked.target.shape[1], CHUNK)]
    return np.concatenate([twin.numpy(said(twin, cell, mode, model, some)).argmax(-1) for some in parts], -1)


def said(twin: Any, cell: str, mode: str, model: Model, asked: Batch) -> Array:
    """The outputs y (K, E, N, V) at every step that is asked for."""
    if mode in SPEAKING:
        start = first(twin, model, asked)
        return spoken(twin, cell, model, start, heard(twin, cell, model, asked), len(asked.target))
    x, lengths = into(twin, model, (asked.x, asked.lengths))
    return outputs(twin, cell, model, x, len(asked.target), lengths=lengths)


def spoken(twin: Any, cell: str, model: Model, start: Array, state: Any, steps: int) -> Array:
    """The outputs y (steps, E, N, V) of a model that is shown `start` ([E,] N, D) and then its own likeliest class.

    A class is shown as its one-hot in the first V of the D features.
    """
    return twin.head.forward(model.head, own_words(twin, cell, model, start, state, steps).states.h)


def own_words(twin: Any, cell: str, model: Model, start: Array, state: Any, steps: int) -> Any:
    """What was shown to such a model, and the states after it."""
    one_hot = into(twin, model, np.eye(model.head.weight_hy.shape[-2], start.shape[-1]))
    following = lambda h: twin.head.likeliest(model.head, h) @ one_hot  # noqa: E731
    return twin.plain.feed_back(cell, decoder(model), start, steps, following, state)


def decoder(model: Model) -> Parameters:
    """The cell that speaks."""
    return model.cell.decoder if isinstance(model.cell, Coder) else model.cell


def first(twin: Any, model: Model, asked: Batch) -> Array:
    """What a speaking model is shown first (N, D): the input itself, or to a decoder that nothing has been said."""
    return into(twin, model, (asked.x.forced if isinstance(asked.x, Pair) else asked.x)[0])


def heard(twin: Any, cell: str, model: Model, asked: Batch) -> Any:
    """The state from which a model speaks: the encoder's last one; None where there is none."""
    if not isinstance(model.cell, Coder):
        return None
    source, lengths = into(twin, model, (asked.x.source, asked.lengths))
    return twin.scan.forward(cell, model.cell.encoder, source, None, lengths).last


def into(twin: Any, model: Model, tree: Any) -> Any:
    """NumPy arrays as the engine's, floats in the dtype of the model."""
    return twin.asarray(tree, str(model.head.weight_hy.dtype).split(".")[-1])


def rows_of(asked: Batch, some: Any) -> Batch:
    """Some rows of one model, or of all models that share them; `some` indexes the axis of rows."""
    over_steps = (tree_map(lambda part: part[:, some], tree) for tree in asked[:3])
    return Batch(*over_steps, None if asked.lengths is None else asked.lengths[some])


def exchanged(mode: str, own: Batch, order: np.ndarray) -> Batch:
    """Rows whose answers are their own and whose inputs are those of other rows: row n has the input of row order[n].

    What was said before belongs to the answer. The step at which one answer for a whole input is read belongs to the
    input.
    """
    other = rows_of(own, order)
    if mode == "delayed":
        return own._replace(x=Pair(other.x.source, own.x.forced), lengths=other.lengths)
    if mode == "one_to_many":
        return own._replace(x=np.concatenate([other.x[:1], own.x[1:]]))
    return own._replace(x=other.x, lengths=other.lengths, mask=other.mask if mode == "many_to_one" else own.mask)


def other_rows(rng: np.random.Generator, n: int) -> np.ndarray:
    """For each of n >= 2 rows another one, each taken once: (n,). They stand in a ring, and each takes its neighbour.

    A permutation would leave one row in the mean its own input, and from one row in 32 a model learns: a recurrent
    network that was trained so told a third of the digits.

    Raises:
        ValueError: `n` is below 2, since one row has no other.
    """
    arguments.at_least("n", n, 2, "one row has no other")
    ring, order = rng.permutation(n), np.empty(n, int)
    order[ring] = np.roll(ring, 1)
    return order
