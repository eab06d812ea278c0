"""The records as the report reads them: a text with its ladder, and every trained cell."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from experiments.harness import figures, statistics
from experiments.language_model.models import CELLS, STARTS
from experiments.tasks.corpora import CORPORA
from properties.record import parse_setting

LADDERS = ("validation", "test", "interleaved", "context")


class Rungs(NamedTuple):
    """The text and its ladder: losses by order on validation, test, interleaved test, and at the places of the test at
    which models predict from the last symbols alone; the alphabet; everything else by name."""

    text: str
    validation: np.ndarray
    test: np.ndarray
    interleaved: np.ndarray
    context: np.ndarray
    alphabet: str
    facts: dict[str, float]


class Arm(NamedTuple):
    """One cell at one size: its loss by update (rows) and seed (columns), and at the end on the test, by seed.

    Its name has the size, to one digit, where there are several; its start is one of models.STARTS, or "". `tables` has
    all that was measured, by metric: index (rows) and seed (columns).
    """

    setting: str
    name: str
    cell: str
    parameters: int
    H: int
    rate: float
    start: str
    updates: np.ndarray
    validation: np.ndarray
    training: np.ndarray
    test: np.ndarray
    seeds: np.ndarray
    tables: dict[str, pd.DataFrame]


class Sample(NamedTuple):
    """What one seed of a cell said at a temperature, and the end of what it was shown before."""

    name: str
    temperature: float
    prompt: str
    said: str


class Spread(NamedTuple):
    """A median over seeds; its 99 % interval, or where there are too few seeds for one, smallest and largest."""

    median: float
    low: float
    high: float
    interval: bool


def read_rungs(rows: pd.DataFrame) -> Rungs:
    """The text's own records."""
    own = rows[rows.setting.str.endswith("/rungs")].sort_values(["metric", "index"])
    ladders = (own[own.metric == f"rung_{name}"].value.to_numpy() for name in LADDERS)
    alphabet = "".join(map(chr, own[own.metric == "symbol"].value.astype(int)))
    others = own[~own.metric.str.match("rung_|symbol$")]
    facts = dict(zip(others.metric, others.value, strict=True))
    return Rungs(parse_setting(own.setting.iloc[0]).get("corpus", ""), *ladders, alphabet, facts)


def read_arms(rows: pd.DataFrame) -> list[Arm]:
    """Every trained cell, smaller ones first, the RNN before the LSTM."""
    models = rows[~rows.setting.str.contains("/rungs$|/temperature=") & (rows.metric != "prompt")]
    arms = [read_arm(setting, some) for setting, some in models.groupby("setting")]
    several = len(arms) > len(CELLS)
    arms = [arm._replace(name=f"{arm.name} {thousands(arm.parameters)}" if several else arm.name) for arm in arms]
    return sorted(arms, key=lambda arm: (size_of(arm), CELLS.index(arm.cell)))


def size_of(arm: Arm) -> int:
    """The thousands of parameters that its setting names; 0 for the first size, which it does not name.

    Both cells of a size have it, however many parameters they came to have.
    """
    return int(parse_setting(arm.setting).get("parameters", "0").removesuffix("k"))


def read_interleaved(rows: pd.DataFrame) -> list[Arm]:
    """The cells that were trained on the interleaved split, the RNN first; none where none was."""
    models = rows[rows.setting.str.contains("/split=interleaved/")]
    arms = [read_arm(setting, some) for setting, some in models.groupby("setting")]
    return sorted(arms, key=lambda arm: CELLS.index(arm.cell))


def name_of(text: str) -> str:
    """What a text is called: the default one, a known corpus, or a user's own."""
    if not text:
        return "the King James Bible"
    return f"the corpus {text}" if text in CORPORA else f"the user's text {text}"


def thousands(parameters: int) -> str:
    """A number of parameters to one digit: 59,976 is 60k."""
    return f"{float(f'{parameters:.1g}') / 1000:g}k"


def read_arm(setting: str, rows: pd.DataFrame) -> Arm:
    """One cell at one size; a loss that is no number counts as infinite."""
    table = {
        metric: some.pivot(index="index", columns="seed", values="value").fillna(math.inf)
        for metric, some in rows.groupby("metric")
    }
    cell = parse_setting(setting)["cell"]
    parameters, H, rate = (table[name].to_numpy()[0, 0] for name in ("parameters", "hidden_units", "rate"))
    validation, training, test = (table[f"loss_{name}"] for name in ("validation", "training", "test"))
    return Arm(
        setting=setting,
        name=figures.NAMES[cell],
        cell=cell,
        parameters=int(parameters),
        H=int(H),
        rate=rate,
        start=STARTS[int(table["start"].to_numpy()[0, 0])] if "start" in table else "",
        updates=validation.index.to_numpy(),
        validation=validation.to_numpy(),
        training=training.to_numpy(),
        test=test.to_numpy()[-1],
        seeds=test.columns.to_numpy(),
        tables=table,
    )


def read_samples(rows: pd.DataFrame, rungs: Rungs, arms: list[Arm]) -> list[Sample]:
    """What the first seed of each cell said, in the order of cells and temperatures."""
    texts = rows[rows.metric.isin(["prompt", "sample"])].sort_values("index")
    texts = texts.assign(symbol=[rungs.alphabet[int(value)] for value in texts.value])
    found = texts.groupby("setting").symbol.agg("".join)
    return [
        Sample(arm.name, float(parse_setting(setting)["temperature"]), found[arm.setting], said)
        for arm in arms
        for setting, said in found.items()
        if setting.startswith(f"{arm.setting}/temperature=")
    ]


def spread(values: np.ndarray) -> Spread:
    """Median and interval over seeds, (n,)."""
    median, low, high = statistics.order_interval(values)
    interval = math.isfinite(low) or math.isfinite(high)
    return Spread(median, low, high, True) if interval else Spread(median, values.min(), values.max(), False)


def beaten(arm: Arm, rung: np.ndarray) -> int:
    """The highest order up to which every seed lies below every rung; -1 for none."""
    below = (arm.test.max() < rung).tolist()
    return below.index(False) - 1 if False in below else len(below) - 1


def pairs(arms: list[Arm]) -> list[tuple[Arm, Arm]]:
    """RNN and LSTM of one size."""
    by_size = {(size_of(arm), arm.cell): arm for arm in arms}
    return [(by_size[size, "rnn"], by_size[size, "lstm"]) for size in sorted({size for size, _ in by_size})]


def paired(rnn: Arm, lstm: Arm) -> np.ndarray:
    """RNN minus LSTM on the test by seed."""
    return minus(rnn.test, lstm.test)


def minus(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A difference; none where both are infinite, so lost."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(a) & np.isinf(b), 0.0, a - b)


def chance(rungs: Rungs) -> float:
    """The loss of a predictor that knows the alphabet alone, nats a character."""
    return math.log(rungs.facts["symbols"])


def drawn(values: Any) -> np.ndarray:
    """Values for a picture: what is infinite is left out."""
    return np.where(np.isfinite(values), values, np.nan)


def percent(share: float) -> str:
    """A share in per cent, to two digits."""
    return f"{100 * share:.2g} %"


def three(value: float) -> str:
    """A loss to three decimals."""
    return f"{value:.3f}"
