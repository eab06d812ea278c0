"""What the records hold, as tables of numbers, and those numbers as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.harness import statistics
from experiments.harness.arms import ARMS
from experiments.memory.layers.trials import COMPARISONS
from experiments.memory.learning import NEVER
from properties.record import parse_setting

OURS = rf"^(?:{'|'.join(COMPARISONS)})/latch/layers="
ORDER = {"comparison": list(COMPARISONS), "cell": ["rnn", "lstm"], "when": ["before", "after"]}


class Seen(NamedTuple):
    """What the records say, one table each: models, medians by depth, LSTM minus RNN, the gradient, and the longest lag
    that one LSTM layer solved in the trials, by comparison."""

    runs: pd.DataFrame
    data: pd.DataFrame
    effects: pd.DataFrame
    gradients: pd.DataFrame
    longest: dict[str, int]

    @property
    def comparisons(self) -> list[str]:
        """Those that were run, in their order."""
        return list(dict.fromkeys(self.runs.comparison))


def seen(frame: pd.DataFrame) -> Seen:
    """All tables from the records."""
    runs = seeds_table(frame)
    return Seen(runs, summary(runs), effects(runs), gradients(looks_table(frame)), longest_lags(frame))


def own(frame: pd.DataFrame) -> pd.DataFrame:
    """This part's records.

    Raises:
        ValueError: there are none.
    """
    rows = frame[(frame.source == "memory") & frame.setting.str.contains(OURS)]
    if rows.empty:
        raise ValueError("`frame` must hold records of stacks, since the section is about them; got none.")
    return rows


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with what their settings name as columns: comparison, layers, cell, arm, lr, H, and layer and when."""
    kinds = {"layers": int, "lr": float, "H": int, "layer": int}
    parsed = [parse_setting(setting) for setting in rows.setting]
    given = {name: [kinds.get(name, str)(p[name]) for p in parsed] for name in (parsed[0] if parsed else ())}
    table = rows.reset_index(drop=True).assign(comparison=rows.setting.str.split("/").str[0].to_numpy(), **given)
    return table.assign(cell=[ARMS[arm].family for arm in table.arm])


def ordered(table: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """A table in the order of its keys, comparisons, cells and times in that of ORDER."""
    rank = {key: {name: n for n, name in enumerate(names)} for key, names in ORDER.items()}
    return table.sort_values(list(keys), key=lambda c: c.map(rank[c.name]) if c.name in rank else c, ignore_index=True)


def seeds_table(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a model: comparison, cell, arm, lr, H, layers, lag, seed, and its metrics as columns."""
    mine = own(frame)
    mine = mine[mine.setting.str.contains("/arm=") & ~mine.setting.str.contains("/when=")]
    runs = mine.pivot(index=["setting", "index", "seed"], columns="metric", values="value").reset_index()
    runs = named(runs.rename(columns={"index": "lag"}).rename_axis(columns=None))
    return ordered(runs.astype({"lag": int}), "comparison", "cell", "layers", "seed")


def longest_lags(frame: pd.DataFrame) -> dict[str, int]:
    """The longest lag that one LSTM layer solved in the trials, by comparison."""
    mine = own(frame).query("metric == 'longest_lag'")
    return {setting.split("/")[0]: int(value) for setting, value in zip(mine.setting, mine.value, strict=True)}


def summary(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a cell and depth of a comparison: median accuracy, what it is less than one layer's of the same seed, how
    many seeds solved, each with its interval, and the median update at which they did."""
    rows = []
    for keys, some in runs.groupby(["comparison", "cell", "arm", "lr", "H", "layers", "lag"], sort=False):
        value = dict(zip(["comparison", "cell", "arm", "lr", "H", "layers", "lag"], keys, strict=True))
        one = runs[(runs.comparison == value["comparison"]) & (runs.cell == value["cell"])]
        one = one[one.layers == one.layers.min()].set_index("seed").accuracy
        left = some.accuracy.to_numpy() - one.loc[some.seed].to_numpy()
        steps = some.first_solved_step.where(some.first_solved_step != NEVER, math.inf)
        value |= {"seeds": len(some), **three(some.accuracy), **three(left, "residual")}
        low, high = statistics.clopper_pearson(int(some.solved.sum()), len(some))
        value |= {"solved": int(some.solved.sum()), "solved_low": low, "solved_high": high}
        rows.append(value | three(steps, "updates"))
    return pd.DataFrame(rows)


def effects(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a depth of a comparison: accuracy of LSTM minus RNN, paired by seed, its median and interval."""
    rows = []
    for (comparison, layers), some in runs.groupby(["comparison", "layers"], sort=False):
        wide = some.pivot(index="seed", columns="cell", values="accuracy")
        if {"lstm", "rnn"} <= set(wide.columns):
            left = (wide.lstm - wide.rnn).dropna()
            rows.append({"comparison": comparison, "layers": layers, "seeds": len(left), **three(left)})
    return ordered(pd.DataFrame(rows), "comparison", "layers")


def effect(found: pd.DataFrame, comparison: str) -> tuple[float, float, float]:
    """Median, low and high in a comparison's deepest stacks."""
    row = found[(found.comparison == comparison) & (found.layers == depth(found))].iloc[0]
    return row["median"], row.low, row.high


def gradients(looks: pd.DataFrame) -> pd.DataFrame:
    """One row a stack, time, layer and lag: the median over seeds of log10_gradient minus that of the same model's top
    layer at lag 0, with its interval."""
    keys = ["comparison", "cell", "arm", "layers", "when"]
    top = looks[(looks.layer == looks.layers) & (looks.lag == 0)].set_index([*keys, "seed"]).value
    left = looks.value.to_numpy() - top.loc[pd.MultiIndex.from_frame(looks[[*keys, "seed"]])].to_numpy()
    rows = []
    for found, some in looks.assign(left=left).groupby([*keys, "layer", "lag"], sort=False):
        rows.append(dict(zip([*keys, "layer", "lag"], found, strict=True)) | {"seeds": len(some), **three(some.left)})
    return pd.DataFrame(rows)


def looks_table(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a model, time, layer and lag: log10_gradient as `value`."""
    looks = named(own(frame).query("metric == 'log10_gradient'").rename(columns={"index": "lag"}))
    looks = looks.astype({"lag": int})
    return ordered(looks, "comparison", "cell", "layers", "when", "layer", "lag", "seed")


def three(values: Sequence[float], name: str = "") -> dict[str, float]:
    """Median and ends, under a name's columns; without one median, low and high. Not a number where one value is."""
    array = np.asarray(values, float)
    found = (math.nan,) * 3 if np.isnan(array).any() else statistics.order_interval(array)
    columns = (name, f"{name}_low", f"{name}_high") if name else ("median", "low", "high")
    return dict(zip(columns, found, strict=True))


# Text


def depth(table: pd.DataFrame) -> int:
    """The layers of the deepest stack."""
    return int(table.layers.max())


def lag_of(runs: pd.DataFrame, comparison: str) -> int:
    """The lag that a comparison was run at."""
    return int(runs[runs.comparison == comparison].lag.iloc[0])


def who(runs: pd.DataFrame, comparison: str, cell: str) -> str:
    """A comparison's cell, for readers: its start, rate and width."""
    row = runs[(runs.comparison == comparison) & (runs.cell == cell)].iloc[0]
    return f"{ARMS[row.arm].label} (rate {row.lr:g}, H = {row.H})"


def interval(values: Sequence[float]) -> str:
    """A share with its interval."""
    median, low, high = values
    return f"{median:.3f}" + (f" ({low:.3f} to {high:.3f})" if math.isfinite(low) else "")


def difference_text(values: Sequence[float]) -> str:
    """A difference with its interval, both with their signs."""
    median, low, high = (value + 0.0 for value in values)
    return f"{median:+.3f}" + (f" ({low:+.3f} to {high:+.3f})" if math.isfinite(low) else "")


def decades(value: float) -> str:
    """A number of decades; "none" where the gradient is zero."""
    return f"{value:+.1f}" if math.isfinite(value) else "no gradient"


def lowest_first(data: pd.DataFrame, comparison: str, cell: str, layers: int, when: str) -> pd.Series:
    """The row of the lowest layer at the first step of a stack."""
    rows = data[(data.comparison == comparison) & (data.cell == cell) & (data.layers == layers) & (data.when == when)]
    rows = rows[rows.layer == 1]
    return rows.loc[rows.lag.idxmax()]


def change(data: pd.DataFrame, comparison: str, cell: str) -> str:
    """What reaches the first step of the lowest layer in the deepest stack, before and after training."""
    ends = (lowest_first(data, comparison, cell, depth(data), when)["median"] for when in ORDER["when"])
    return " and ".join(map(decades, ends))
