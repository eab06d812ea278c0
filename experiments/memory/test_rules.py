"""The checks of the rules on what was measured: arms against themselves, resampled from the committed records."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import claims
from experiments.claims import Measured
from experiments.harness.statistics import order_interval, t50_ratio
from experiments.memory.lengths.runs import DECIDING

RESULTS = Path(__file__).parents[2] / "reports" / "memory" / "results.csv"
SWEEPS = 400

POOLS = {
    "N8": (r"flip_flop/variants/equal=width/.*/arm=lstm_b1", "cost", np.divide),
    "N9": (r"latch_distractors/variants/equal=width/.*/arm=lstm_b1", "accuracy", np.subtract),
    "N10": (r"latch/variants/equal=width/.*/arm=lstm_b1", "accuracy", np.subtract),
    "N13": (r"adding/gates/start=bf1/.*/gate=input", "contrast", np.subtract),
    "N16": (r"latch_mixed/start=bf1", "spread", np.divide),
    "N17": (r"untied/task=adding/cell=lstm/T=12/rows=256/weights=tied", "test", np.subtract),
    "N21": (r"tuned/latch/layers=4/arm=lstm[^/]*/lr=[^/]*/H=[^/]*", "accuracy", np.subtract),
}
"""For each claim the LSTM's own numbers, one a seed, and what is formed of two arms."""


@cache
def records() -> pd.DataFrame:
    """The committed records of memory."""
    return pd.read_csv(RESULTS)


def pool(number: str) -> np.ndarray:
    """The numbers of a claim's arm, one a seed."""
    pattern, metric, _ = POOLS[number]
    frame = records()
    mine = frame[frame.setting.str.fullmatch(pattern) & (frame.metric == metric)]
    return mine[mine["index"] == mine["index"].max()].value.to_numpy()


@pytest.mark.parametrize("number", POOLS)
def test_an_arm_against_itself_is_supported_at_most_eight_times_in_400(number):
    """And contradicted as rarely where the rule is high < 0: two sweeps of 8 seeds drawn from one arm's own numbers."""
    values, form = pool(number), POOLS[number][2]
    assert len(values) >= 8
    rng = np.random.default_rng(8)
    a, b = rng.choice(values, (2, SWEEPS, 8))
    words = [judged(number, sweep) for sweep in form(a, b)]
    assert words.count("supported") <= 8
    if claims.CLAIMS[number].contradicted[-1].threshold == 0:
        assert words.count("contradicted") <= 8


def judged(number: str, sweep: np.ndarray) -> str:
    """The word on one sweep, the claim's laws unbroken."""
    claim = claims.CLAIMS[number]
    fine = {q: Measured(0.0) for q in claim.quantities if q.kind == "breaks"}
    value = Measured(*order_interval(sweep), len(sweep))
    return claims.judge(claim, fine | {q: value for q in claim.quantities if q.kind == "median"})[0]


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_a_tuned_cell_against_itself_does_not_support_n12(cell):
    """Its own shares by length give both arms of each task: at most 8 of 400 sweeps of 16 seeds call it supported."""
    claim, rng = claims.CLAIMS["N12"], np.random.default_rng(12)
    ratios = [t50_ratio(*sweeps(rng, task, cell), *sweeps(rng, task, cell)) for task in DECIDING]
    words = []
    for n in range(SWEEPS):
        each = [Measured(*(float(end[n]) for end in ratio), 16) for ratio in ratios]
        words.append(claims.judge(claim, dict(zip(claim.quantities, each, strict=True)))[0])
    assert words.count("supported") <= 8


def sweeps(rng: np.random.Generator, task: str, cell: str) -> tuple[np.ndarray, np.ndarray, int]:
    """400 sweeps drawn from the shares of a tuned cell: lengths, how many of 16 seeds solve each, 16."""
    frame = records()
    mine = frame[frame.setting.str.match(f"tuned/{task}/arm={cell}") & (frame.metric == "solved")]
    share = mine.groupby("index").value.mean()
    return share.index.to_numpy(), rng.binomial(16, share.to_numpy(), (SWEEPS, len(share))), 16
