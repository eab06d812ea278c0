"""The products of every step and nothing else: what a form of the engine takes at least, whatever else it saves."""

from __future__ import annotations

import numpy as np

from experiments.speed.case import Case, Given
from experiments.speed.contenders import Work
from impl.numpy_twin.compiled import jit, product
from impl.numpy_twin.fast_products import memory
from impl.spec import GATES, Array


def products(case: Case, arrays: Given) -> Work:
    """As a contender, which gives no values: the products of one model's steps, once for each model, on one thread.

    Their operands are one step's, at a line of cache and never out of it.
    """
    B, N, K, dtype = case.B, len(GATES[case.cell]) * case.H, case.D + case.H, case.dtype
    rng = np.random.default_rng(0)
    shapes = (B, K), (K, N), (B, N), (N, case.H), (B, case.H), (N, K)
    operands = [memory(shape, dtype) for shape in shapes]
    for a in operands:
        a[...] = rng.normal(size=a.shape) / K
    factors = np.arange(2).astype(dtype)
    return lambda: step_by_step(case.E * case.T, *operands, factors)


@jit
def step_by_step(steps: int, z: Array, W_T: Array, a: Array, W_hh: Array, dh: Array, dW: Array, factors: Array) -> None:
    """Forward, back through h, and the weights' gradient, as compiled.py forms them."""
    for _ in range(steps):
        product(z, W_T, a, factors)
        product(a, W_hh, dh, factors)
        product(a, z, dW, factors, True, False)
