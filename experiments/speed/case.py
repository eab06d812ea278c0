"""What is computed: the sizes of a comparison, and its arrays, the same for every contender."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from impl import draw
from impl.spec import Array, Parameters, tree_map


class Case(NamedTuple):
    """One layer of E models over T steps of B rows; E = 1 is one model, without an axis E."""

    cell: str
    E: int
    T: int
    B: int
    D: int
    H: int
    dtype: str

    @property
    def name(self) -> str:
        """Its part of a setting."""
        return "/".join(f"{field}={value}" for field, value in self._asdict().items())


class Given(NamedTuple):
    """NumPy arrays, each with an axis E if E > 1: parameters; x (T, [E,] B, D); dh (T, [E,] B, H), dLoss/dh."""

    params: Parameters
    x: Array
    dh: Array


def given(case: Case) -> Given:
    """The arrays of a case; torch.nn's default initialisation, inputs and cotangents from N(0, 1)."""
    cell, E, T, B, D, H, dtype = case
    rng = draw.generator("speed", *case)
    models = [draw.uniform(rng, cell, D, H) for _ in range(E)]
    params = models[0] if E == 1 else draw.group(models)
    batch = (B,) if E == 1 else (E, B)
    arrays = Given(params, rng.normal(size=(T, *batch, D)), rng.normal(size=(T, *batch, H)))
    return tree_map(lambda a: np.ascontiguousarray(a, dtype), arrays)


def apart(arrays: Given) -> list[Given]:
    """The arrays of each model, in memory of their own: how a user would hold models that run in turn."""
    if arrays.x.ndim == 3:
        return [arrays]
    E = arrays.x.shape[1]
    each = (Given(tree_map(lambda a, e=e: a[e], arrays.params), arrays.x[:, e], arrays.dh[:, e]) for e in range(E))
    return [tree_map(np.ascontiguousarray, one) for one in each]
