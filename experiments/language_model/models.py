"""The models: their sizes at equal parameters, how they start, and the rates that a search chose."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.harness import arms
from experiments.harness.sweep import Group
from experiments.language_model.parts import EXPERIMENT
from impl import draw
from impl.spec import Model, Parameters

CELLS = ("rnn", "lstm")
START = {"input_sd": 0.5, "gain": 0.9, "forget_bias": 1.0}
"""W_ih from N(0, input_sd^2); gain of the RNN's orthogonal W_hh, the LSTM's forget bias."""

STARTS = ("wide", "torch")
"""Wide input weights with an orthogonal W_hh or b_f = 1 (START), or torch's default."""

RATES = (1.25e-3, 2.5e-3, 5e-3, 1e-2, 2e-2, 4e-2)
"""Adam's step sizes that are tried for either cell."""

CHOSEN = Path(__file__).parent / "rates" / "rates.csv"
"""What the search measured: `python -m experiments.language_model.rates`."""


def chosen(cell: str, size: int, preset: str = "quick") -> dict[str, Any]:
    """The start and the rate of the lowest median loss on the validation part, by the search of the preset at this size
    (in thousands of parameters), or else by that at quick's."""
    start, lr = candidates(cell, size, preset).idxmin()
    return {"start": start, "lr": float(lr)}


def end_of_grid(cell: str, size: int, preset: str, how: tuple[str, float]) -> str:
    """Whether a start's rate is the "lowest" or the "highest" that the search tried from it; "" if it lies inside."""
    start, lr = how
    tried = candidates(cell, size, preset)
    tried = sorted(tried.loc[start].index) if start in tried.index else []
    return "lowest" if lr in tried[:1] else "highest" if lr in tried[-1:] else ""


def rate(cell: str, size: int) -> float:
    """The best rate from the wide start, as `chosen`."""
    return float(candidates(cell, size, "quick").loc["wide"].idxmin())


def candidates(cell: str, size: int, preset: str) -> pd.Series:
    """The median loss of a cell by start and rate, at this size or else at quick's."""
    found = searched()
    known = found.index.droplevel(["cell", "start", "rate"]).unique()
    return found.loc[next(key for key in [(preset, f"{size}k"), ("quick", "60k")] if key in known)].loc[cell]


@cache
def searched() -> pd.Series:
    """The median loss by preset, parameters, cell, start and rate."""
    return pd.read_csv(CHOSEN).groupby(["preset", "parameters", "cell", "start", "rate"]).loss_validation.median()


def parameters(cell: str, V: int, H: int) -> int:
    """How many numbers a model has: cell with two biases, and read-out."""
    return arms.parameters(cell, V, V, H)


def hidden_units(cell: str, V: int, most: int) -> int:
    """The largest width whose model has at most `most` parameters, and at least 1."""
    return arms.widest(partial(parameters, cell, V), most)


def model(s: dict[str, Any], seed: int, V: int) -> Model:
    """One model at the start, as `s` says: "torch", torch's default; else W_ih from N(0, input_sd^2), an orthogonal
    W_hh (RNN) or the forget bias set (LSTM)."""
    words = (EXPERIMENT, seed, s["H"])
    rng = draw.generator(*words, "weights", s["cell"])
    if s.get("start") == "torch":
        cell = draw.uniform(rng, s["cell"], V, s["H"])
    else:
        cell = recurrent(rng, s, V)
        cell = cell._replace(weight_ih=rng.normal(0.0, s["input_sd"], cell.weight_ih.shape))
    return Model(cell, draw.head(draw.generator(*words, "head"), V, s["H"]))


def initial(group: Group, V: int, twin: Any, one: Callable[[dict[str, Any], int, int], Model] = model) -> Model:
    """The group's models at the start, in the twin's arrays; `one` draws a seed's, from settings, seed and V."""
    return twin.asarray(draw.group([one(group.settings, seed, V) for seed in group.seeds]), group.dtype)


def recurrent(rng: np.random.Generator, s: dict[str, Any], V: int) -> Parameters:
    """The cell as its own initialiser draws it."""
    if s["cell"] == "rnn":
        return draw.orthogonal(rng, "rnn", V, s["H"], s["gain"])
    return draw.with_forget_bias(draw.uniform(rng, "lstm", V, s["H"]), s["forget_bias"])
