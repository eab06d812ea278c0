"""A model that runs by itself: each next symbol is drawn from what the model predicts, and fed back to it.

    y = W_hy h + b_hy     p = softmax(y / temperature)     symbol = the first k with p_1 + ... + p_k > u, u uniform

At temperature 1 symbols come as the model predicts them, at 0 the likeliest is taken. Probabilities are summed in
float64, whatever the model's dtype. Forced, the model is shown a text instead of what was drawn.

Source: Graves 2013, its own samples as inputs; teacher forcing: Williams, Zipser 1989.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from experiments.language_model.evaluation import one_hots
from impl.spec import Array, Model

BLOCK = 100
"""Steps whose states are held at once; the last state is carried on, and no bit depends on it."""


def sample(
    twin: Any,
    s: dict[str, Any],
    model: Model,
    prime: np.ndarray,
    steps: int,
    temperature: float,
    rngs: list[np.random.Generator],
) -> np.ndarray:
    """What a group's models say by themselves after a stretch of text, (steps, E, B) integers.

    Args:
        s: cell.
        model: a group in the twin's arrays.
        prime: (P, E, B), or (P, B) shared by the models: what each lane is shown first, from a state of zeros.
        steps: symbols a lane, at least 1.
        temperature: divides the logits; 0 takes the likeliest, and then nothing is drawn.
        rngs: a generator a model, which draws steps * B uniform numbers.
    Raises:
        ValueError: an argument does not fit; one line that names it.
    """
    check(model, prime, steps, temperature, rngs)
    one_hot, chosen = one_hots(twin, model), []
    uniform = iter(uniforms(rngs, steps, prime.shape[-1])) if temperature else None

    def following(h: Array) -> Array:
        y = in_double(twin, twin.head.forward(model.head, h[None]))[0]
        chosen.append(y.argmax(-1) if uniform is None else drawn(y, next(uniform), temperature))
        return one_hot[twin.asarray(chosen[-1])]

    x, state = one_hot[twin.asarray(prime[-1])], heard(twin, s, model, prime[:-1], one_hot)
    for start in range(0, steps, BLOCK):
        block = min(BLOCK, steps - start)
        fed = twin.plain.feed_back(s["cell"], model.cell, x, block, following, state)
        x, state = following(fed.last.h), fed.last
    return np.stack(chosen)


def heard(twin: Any, s: dict[str, Any], model: Model, shown: np.ndarray, one_hot: Array) -> Any:
    """The state after what was shown, (P, [E,] B) integers; None where nothing was."""
    if not len(shown):
        return None
    return twin.scan.forward(s["cell"], model.cell, one_hot[twin.asarray(shown)]).last


class Forced(NamedTuple):
    """What was drawn in place of each symbol but the first, and one after the last, (P, E, B); and the loss of each
    symbol shown, the first apart, (P - 1, E, B)."""

    drawn: np.ndarray
    nats: np.ndarray


def forced(twin: Any, s: dict[str, Any], model: Model, shown: np.ndarray, rngs: list[np.random.Generator]) -> Forced:
    """What a group's models would say next at every place of a text that they are shown, at temperature 1.

    Args:
        s: cell.
        shown: (P, E, B) integers; lanes begin with a state of zeros.
        rngs: a generator a model, which draws P * B uniform numbers.
    Returns:
        The symbol drawn in the place of shown[t + 1] at t; the loss of shown[t + 1] at t, nats.
    """
    one_hot, state, chosen, losses = one_hots(twin, model), None, [], []
    uniform = uniforms(rngs, len(shown), shown.shape[-1])
    for start in range(0, len(shown), BLOCK):
        x = one_hot[twin.asarray(shown[start : start + BLOCK])]
        run = twin.scan.forward(s["cell"], model.cell, x, state)
        y, state = in_double(twin, twin.head.forward(model.head, run.states.h)), run.last
        chosen.append(drawn(y, uniform[start : start + BLOCK]))
        losses.append(nats(y, shown[start + 1 : start + 1 + BLOCK]))
    return Forced(np.concatenate(chosen), np.concatenate(losses))


def nats(y: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    """-ln softmax(y) of some symbols, (n, E, B), which may be fewer steps than y (N, E, B, V) has."""
    y = y[: len(symbols)] - y[: len(symbols)].max(-1, keepdims=True)
    return np.log(np.exp(y).sum(-1)) - np.take_along_axis(y, symbols[..., None], -1)[..., 0]


def in_double(twin: Any, y: Array) -> np.ndarray:
    """Logits as a NumPy array in float64."""
    return twin.numpy(y).astype("float64")


def uniforms(rngs: list[np.random.Generator], steps: int, B: int) -> np.ndarray:
    """Each model's own uniform numbers, (steps, E, B)."""
    return np.stack([rng.random((steps, B)) for rng in rngs], 1)


def drawn(y: np.ndarray, uniform: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """The class in whose share of softmax(y / temperature) a uniform number falls.

    Args:
        y: (..., V) in float64.
        uniform: (...), at least 0 and below 1.
    """
    with np.errstate(over="ignore"):  # near temperature 0 a distance is infinite, and its share 0
        up_to = np.exp((y - y.max(-1, keepdims=True)) / temperature).cumsum(-1)
    return (up_to <= uniform[..., None] * up_to[..., -1:]).sum(-1)


def check(model: Model, prime: np.ndarray, steps: int, temperature: float, rngs: list[Any]) -> None:
    """Refuses what `sample` cannot use, by name."""
    E, V = model.head.weight_hy.shape[:2]
    if not (isinstance(temperature, int | float) and math.isfinite(temperature) and temperature >= 0):
        raise ValueError(f"`temperature` must be a number of at least 0, since it divides logits; got {temperature!r}.")
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1, since a symbol is asked for; got {steps}.")
    shape = np.shape(prime)
    if len(shape) not in (2, 3) or not min(shape) or (len(shape) == 3 and shape[1] != E):
        raise ValueError(f"`prime` must have shape (P, B) or (P, E, B) with E={E} and P, B >= 1; got {shape}.")
    if np.min(prime) < 0 or np.max(prime) >= V:
        raise ValueError(
            f"`prime` must hold classes in 0..{V - 1}, which the model has; got {np.min(prime)} to {np.max(prime)}."
        )
    if len(rngs) != E:
        raise ValueError(f"`rngs` must hold a generator a model, E={E}; got {len(rngs)}.")
