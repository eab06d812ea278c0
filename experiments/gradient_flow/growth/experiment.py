"""Runs undriven tanh RNNs of several widths on their attractor and measures how fast the gradient grows, back in time.

    h' = tanh(W h),   W from N(0, g^2 / N),   h_0 uniform in +-1
    lambda_1 = (ln |dL/dh_t| - ln |dL/dh_t'|) / (t' - t),   T - BEHIND = t' > t = BURN

A gradient that is sent back grows with the largest exponent, as a perturbation does forward: the product's singular
values are the same. BURN steps lead to the attractor, BEHIND steps turn the gradient to the fastest direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from experiments.gradient_flow.growth.predictions import extrapolated, mean_field
from experiments.gradient_flow.growth.sweep import BEHIND, BURN, CHUNK
from experiments.gradient_flow.lags.experiment import log10_norm
from experiments.harness.engine import Engine, engine
from experiments.harness.sweep import Group
from impl import draw
from impl.spec import Parameters, RNNState
from properties.record import Record


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """By seed and width (the index): lambda_1, the mean over the seed's draws; up to gain 1 log_radius, that of the
    logarithm of W's spectral radius; and what claim N1 reads."""
    s, twin = group.settings, engine(group.engine)
    todo = [(N, some) for N, draws, *_ in s["sizes"] for some in chunks(models(group, N, draws))]
    found: dict[int, list[np.ndarray]] = {N: [] for N, *_ in s["sizes"]}
    for done, (N, some) in enumerate(todo, 1):
        rows, steps = next((rows, steps) for size, _, rows, steps in s["sizes"] if size == N)
        found[N].append(exponents(twin, s["gain"], N, some, rows, steps, group.dtype))
        checkpoint(done, len(todo))
    by_seed = {N: np.concatenate(parts).reshape(len(group.seeds), -1).mean(1) for N, parts in found.items()}
    return [*records(group, by_seed), *(radii(group) if s["gain"] <= 1 else ())]


def models(group: Group, N: int, draws: int) -> list[tuple[int, int]]:
    """A seed's draws at a width: (seed, number)."""
    return [(seed, number) for seed in group.seeds for number in range(draws)]


def chunks(some: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """So many models at once as memory should hold."""
    return [some[start : start + CHUNK] for start in range(0, len(some), CHUNK)]


def weights(gain: float, N: int, seed: int, number: int) -> np.ndarray:
    """W of one draw; draws of one seed at different gains are the same numbers, scaled."""
    return gain * draw.generator("gradient_flow", "growth", N, seed, number).normal(0.0, N**-0.5, (N, N))


def exponents(
    twin: Engine, gain: float, N: int, some: list[tuple[int, int]], rows: int, steps: int, dtype: str
) -> np.ndarray:
    """lambda_1 of each of some models, the mean over `rows` starting points: (models,)."""
    W = np.stack([weights(gain, N, *one) for one in some])
    rngs = [draw.generator("gradient_flow", "growth", N, *one, "state") for one in some]
    h, v = (np.stack([kind(rng, (rows, N)) for rng in rngs]) for kind in (start, direction))
    T = BURN + steps + BEHIND
    x = np.zeros((T, rows, 1))
    params, x, h, v = twin.asarray((Parameters(np.zeros((len(some), N, 1)), W), x, h, v), dtype)
    ran = twin.states.forward("rnn", params, x, RNNState(h))
    gradient = twin.states.backward("rnn", params, ran.cache, dlast=RNNState(v), skip=("x", "params"))
    back = twin.numpy(gradient.states.h)
    norm = log10_norm(back[[BURN, BURN + steps], :, :, None]) * np.log(10)
    return ((norm[0] - norm[1]) / steps).mean(-1)


def start(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """h_0."""
    return rng.uniform(-1, 1, shape)


def direction(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """The gradient by the last h."""
    return rng.normal(size=shape)


def radii(group: Group) -> Iterator[Record]:
    """The logarithm of the spectral radius, by seed and width: lambda_1 where the state dies out."""
    for N, draws, *_ in group.settings["sizes"]:
        for seed in group.seeds:
            every = [np.linalg.eigvals(weights(group.settings["gain"], N, seed, number)) for number in range(draws)]
            value = np.mean([np.log(np.abs(values).max()) for values in every])
            yield Record("gradient_flow", group.setting, seed, "log_radius", N, float(value))


def records(group: Group, by_seed: dict[int, np.ndarray]) -> Iterator[Record]:
    """lambda_1 by width; extrapolated minus mean field where three widths were run; lambda_1 at the widest for N1."""
    gain, widest = group.settings["gain"], max(by_seed)
    read = {"lambda_1": by_seed[widest]}
    if len(by_seed) > 2:
        values = np.stack([by_seed[N] for N in sorted(by_seed)], -1)
        read["mean_field"] = extrapolated(values, tuple(sorted(by_seed))) - mean_field(gain)
    for e, seed in enumerate(group.seeds):
        for N, values in by_seed.items():
            yield Record("gradient_flow", group.setting, seed, "lambda_1", N, float(values[e]))
        for name, values in read.items():
            yield Record("gradient_flow", f"{name}/gain={gain:g}", seed, "N1", widest, float(values[e]))
