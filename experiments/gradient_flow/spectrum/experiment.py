"""Lyapunov spectra: the gradients by the states of n independent losses, made orthogonal again at every step back.

    rows Q (n, n) of cotangents by s_t,   Q J_t = R^T Q',   lambda_i = mean over steps of ln |R_ii|

J_t = ds_t/ds_{t-1} is never formed: the twin's own `step_backward` takes all rows of Q through a step at once. Back in
time the product is that of the transposes in the other order, which has the same exponents.

Source: Benettin, Galgani, Giorgilli, Strelcyn 1980; for recurrent networks Engelken, Wolf, Abbott 2023.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import lu_factor

from experiments.gradient_flow.lags.experiment import step_vjp
from experiments.gradient_flow.spectrum.sweep import BEHIND, BURN
from experiments.gradient_flow.starts import STARTS, Start, parameters
from experiments.harness.engine import Engine, engine
from experiments.harness.sweep import Group
from impl import draw
from impl.spec import STATES, Parameters, block, unpack
from properties.record import Record


class Spectrum(NamedTuple):
    """By model: exponents (E, n), largest first; ln|det J| in closed form and the mean condition number of J, (E,).

    `frozen` is the largest exponent where no gradient passes through c, None for the RNN; `sigma` the largest singular
    value of W, None for the LSTM; both (E,).
    """

    exponents: np.ndarray
    volume: np.ndarray
    condition: np.ndarray
    frozen: np.ndarray | None = None
    sigma: np.ndarray | None = None


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """By seed, an exponent's index counting from 1, the largest:

    exponent; number of them; magnitude, the sum of theirs; volume, ln|det J| in closed form; sum_rule, the exponents'
    sum minus volume; condition, the mean condition number of J; steps that count; log_sigma, ln of the largest singular
    value of the RNN's W; frozen_c, the LSTM's largest exponent to who lets no gradient pass through c; log_modulus,
    ln |eigenvalue| of one Gaussian map.
    """
    s, twin = group.settings, engine(group.engine)
    found = linear(twin, group) if "linear" in s else driven(twin, group, STARTS[s["start"]])
    checkpoint(1, 1)
    return [*records(group, found)]


def driven(twin: Engine, group: Group, start: Start) -> Spectrum:
    """A cell under noise."""
    s = group.settings
    T, H, cell = s["steps"] + BURN + BEHIND, s["H"], start.cell
    params = draw.group([parameters(start, seed, s["D"], H, s["T_max"]) for seed in group.seeds])
    rngs = [draw.generator("gradient_flow", "spectrum", "x", seed) for seed in group.seeds]
    x = np.stack([rng.normal(size=(T, 1, s["D"])) for rng in rngs], 1)
    params, x = twin.asarray((params, x), group.dtype)
    caches = twin.plain.forward(cell, params, x).cache.steps
    weights = unpack(params)
    counted = range(BURN, BURN + s["steps"])
    exponents = by_qr(twin, cell, [weights] * T, caches, counted)
    frozen = by_qr(twin, cell, [weights] * T, caches, counted, frozen=True)[:, 0] if cell == "lstm" else None
    W = log_det(recurrent(twin, cell, weights))
    volume = mean([log_volume(twin, cell, W, caches[t]) for t in counted])
    condition = mean([conditions(twin, cell, weights, caches[t]) for t in counted])
    sigma = np.linalg.norm(twin.numpy(weights.W_hh), 2, (-2, -1)) if cell == "rnn" else None
    return Spectrum(exponents, volume, condition, frozen, sigma)


def linear(twin: Engine, group: Group) -> Spectrum:
    """h' = W h, as the tanh RNN at h = 0 without input; one W, or one for every step."""
    s = group.settings
    T, H, E = s["steps"] + BURN + BEHIND, s["H"], len(group.seeds)
    every = [twin.asarray(maps(s["linear"], s["gain"], H, group.seeds, t), group.dtype) for t in numbers(s, T)]
    zero = twin.asarray((np.zeros((1, E, 1, 1)), np.zeros((E, 1, H))), group.dtype)
    caches = [twin.plain.forward("rnn", params, zero[0]).cache.steps[0] for params in every]
    weights = [unpack(params) for params in every]
    again = T // len(every)
    counted = range(BURN, BURN + s["steps"])
    exponents = by_qr(twin, "rnn", weights * again, caches * again, counted)
    some = counted if len(every) > 1 else [0]
    volume = mean([log_volume(twin, "rnn", log_det(recurrent(twin, "rnn", weights[t])), caches[t]) for t in some])
    condition = mean([conditions(twin, "rnn", weights[t], caches[t]) for t in some])
    return Spectrum(exponents, volume, condition)


def numbers(settings: dict[str, Any], T: int) -> range:
    """The numbers of the maps that are drawn: one a step, or one alone."""
    return range(T) if settings["linear"] == "fresh" else range(1)


def maps(kind: str, gain: float, H: int, seeds: tuple[int, ...], number: int) -> Parameters:
    """W of every seed (E, H, H), without input and bias."""
    like = {"fresh": "gaussian"}.get(kind, kind)
    rngs = [draw.generator("gradient_flow", "spectrum", kind, repr(gain), H, seed, number) for seed in seeds]
    W = np.stack([getattr(draw, like)(rng, "rnn", 1, H, gain).weight_hh for rng in rngs])
    return Parameters(np.zeros((len(seeds), H, 1)), W)


def by_qr(
    twin: Engine, cell: str, weights: list[Any], caches: list[Any], counted: range, frozen: bool = False
) -> np.ndarray:
    """The exponents of every model, largest first, (E, n); frozen: of h alone, no gradient passing through c."""
    E, H = caches[0].h.shape[0], caches[0].h.shape[-1]
    n = H if frozen or cell == "rnn" else 2 * H
    Q, logs = np.tile(frame(n), (E, 1, 1)), []
    for t in reversed(range(len(caches))):
        Q, R = np.linalg.qr(step_vjp(twin, cell, weights[t], caches[t], Q).mT)
        Q = Q.mT
        if t in counted:
            logs.append(np.log(np.abs(np.diagonal(R, axis1=1, axis2=2))))
    return -np.sort(-mean(logs), -1)


@cache
def frame(n: int) -> np.ndarray:
    """Where the rows begin: at random, since unit vectors may hardly see each other (behind a saturated cell)."""
    return draw.orthogonal(draw.generator("gradient_flow", "spectrum", "frame", n), "rnn", 1, n).weight_hh


def mean(steps: list[np.ndarray]) -> np.ndarray:
    """The mean over steps, summed without loss: a sum of hundreds of equal terms would err by as many roundings."""
    a = np.stack(steps, -1)
    return np.reshape([math.fsum(row) for row in a.reshape(-1, len(steps)).tolist()], a.shape[:-1]) / len(steps)


def log_volume(twin: Engine, cell: str, W: np.ndarray, cache: Any) -> np.ndarray:
    """ln|det J| of a step in closed form, (E,): properties/test_spectrum.py derives both.

    Args:
        W: (E,), `log_det` of the recurrent weights, the same at every step of a run.
    """
    cache = twin.numpy(cache)
    with np.errstate(divide="ignore"):
        if cell == "rnn":
            return np.log1p(-(cache.h_next**2)).sum((-2, -1)) + W
        opened = np.log(np.abs(cache.tanh_c)) + np.log(cache.o) + np.log1p(-cache.o)
        return (np.log(cache.f) + opened).sum((-2, -1)) + W


def recurrent(twin: Engine, cell: str, weights: Any) -> np.ndarray:
    """The recurrent weights of which a step's volume knows, (E, H, H): W of the RNN, U_o of the LSTM."""
    W = twin.numpy(weights.W_hh)
    return W if cell == "rnn" else W[:, block("lstm", "o", W.shape[-1])]


def log_det(W: np.ndarray) -> np.ndarray:
    """ln|det W| of every model (E,), from (E, H, H)."""
    return np.array([math.fsum(np.log(np.abs(np.diag(lu_factor(w)[0]))).tolist()) for w in W])


def conditions(twin: Engine, cell: str, weights: Any, cache: Any) -> np.ndarray:
    """The condition number of J, (E,)."""
    E, _, H = cache.h.shape
    n = H * len(STATES[cell]._fields)
    return np.linalg.cond(step_vjp(twin, cell, weights, cache, np.tile(np.eye(n), (E, 1, 1))))


def records(group: Group, found: Spectrum) -> Iterator[Record]:
    """What the group's run says."""
    s, sums = group.settings, np.array([math.fsum(row) for row in found.exponents.tolist()])
    single = {"sum_rule": sums - found.volume, "volume": found.volume, "condition": found.condition}
    single |= {"steps": np.full(len(sums), s["steps"]), "number": np.full(len(sums), found.exponents.shape[-1])}
    single |= {"magnitude": np.abs(found.exponents).sum(-1)}
    single |= {} if found.frozen is None else {"frozen_c": found.frozen}
    single |= {} if found.sigma is None else {"log_sigma": np.log(found.sigma)}
    lists = {"exponent": found.exponents if s["every"] else found.exponents[:, :1]}
    if s.get("linear") == "gaussian":
        W = maps(s["linear"], s["gain"], s["H"], group.seeds, 0).weight_hh
        lists["log_modulus"] = -np.sort(-np.log(np.abs(np.linalg.eigvals(W))), -1)
    for e, seed in enumerate(group.seeds):
        for metric, values in single.items():
            yield Record("gradient_flow", group.setting, seed, metric, 0, float(values[e]))
        for metric, values in lists.items():
            for k, value in enumerate(values[e], 1):
                yield Record("gradient_flow", group.setting, seed, metric, k, float(value))
