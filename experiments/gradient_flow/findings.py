"""What the analyses of the parts share."""

from __future__ import annotations

import pandas as pd

from experiments.gradient_flow.parts import EXPERIMENT
from experiments.gradient_flow.starts import RECURRENT, STARTS, Start
from experiments.harness import figures
from experiments.harness.report import Findings as Findings
from experiments.harness.report import Table


def own(frame: pd.DataFrame, *heads: str) -> pd.DataFrame:
    """This experiment's records whose setting begins with one of these names."""
    mine = frame[frame.source == EXPERIMENT]
    some = [setting for setting in mine.setting.unique() if setting.split("/")[0] in heads]
    return mine[mine.setting.isin(some)]


def decades(value: float) -> str:
    """A number of decades with its sign."""
    return f"{value:+.1f}" if abs(value) >= 9.95 else f"{value:+.2f}"


def interval(row: object) -> str:
    """The ends of an interval in decades, in words."""
    return f"{decades(row.low)} to {decades(row.high)}"


def by_seed(some: pd.DataFrame) -> pd.DataFrame:
    """Values with a row a seed and a column an index: a lag, or an exponent's number."""
    return some.pivot(index="seed", columns="index", values="value")


def name(start: Start) -> str:
    """A start's name in running text and tables."""
    words = {"gaussian": "Gaussian"}
    how = f"{words.get(start.kind, start.kind)}, " if start.kind in RECURRENT else ""
    return f"{figures.NAMES[start.cell]} {how}{start.label.replace('$', '').replace('b_f = ', 'b_f=')}"


def residuals_by_width(key: str, title: str, rows: pd.DataFrame) -> list[Table]:
    """What closed forms leave by start, width and lag, where lags are several; no table where there is one width.

    Args:
        key, title: of the table.
        rows: in the order of starts, with start, lag, H and the columns of `statistics.against`.
    """
    if rows.H.nunique() < 2:
        return []
    several = rows.lag.nunique() > 1
    text = [
        f"{decades(r.residual)} ({decades(r.residual_low)} to {decades(r.residual_high)})" for r in rows.itertuples()
    ]
    column = [f"lag {r.lag}, H = {r.H}" if several else f"H = {r.H}" for r in rows.itertuples()]
    told = rows.assign(text=text, column=column)
    order = told.sort_values(["lag", "H"]).column.unique()
    wide = told.pivot(index="start", columns="column", values="text").reindex(rows.start.unique())[order]
    names = [name(STARTS[start]) for start in wide.index]
    wide = wide.fillna("").rename_axis(columns=None).reset_index(drop=True)
    wide.insert(0, "start", names)
    return [Table(key, title, wide)]
