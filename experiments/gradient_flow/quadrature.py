"""Nodes and weights (each summing to 1) of the averages that the closed forms ask for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np


@cache
def line(n: int = 801, reach: float = 9.0) -> tuple[np.ndarray, np.ndarray]:
    """A standard normal by the trapezoidal rule on [-reach, reach].

    It converges geometrically for what is analytic near the line: tanh(s z) has poles at a distance pi / (2 s), so the
    error is about exp(-pi^2 / (s h)) at spacing h, below 1e-60 at s = 3, where Gauss-Hermite of 32 nodes is 30 % off.
    Source: Trefethen, Weideman 2014, theorem 5.1.
    """
    z = np.linspace(-reach, reach, n)
    weight = np.exp(-0.5 * z * z)
    return z, weight / weight.sum()


@cache
def half_line(n: int = 24, reach: float = 6.0, finest: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """|z| of a standard normal, for what is even in z: midpoints of z = finest * sinh(y), closer together near 0."""
    step = np.arcsinh(reach / finest) / n
    y = step * (np.arange(n) + 0.5)
    z, stretch = finest * np.sinh(y), np.cosh(y)
    weight = stretch * np.exp(-0.5 * z * z)
    return z, weight / weight.sum()


@cache
def hermite(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A standard normal by Gauss-Hermite, for what is smooth on the scale of 1."""
    z, weight = np.polynomial.hermite_e.hermegauss(n)
    return z, weight / weight.sum()


def legendre(low: float, high: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A uniform variable on [low, high] by Gauss-Legendre."""
    u, weight = np.polynomial.legendre.leggauss(n)
    return low + (high - low) * (u + 1) / 2, weight / 2


def expect(function: Callable[[np.ndarray], np.ndarray]) -> float:
    """E function(z), z standard normal."""
    z, weight = line()
    return float(weight @ function(z))
