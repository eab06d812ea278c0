"""One long-form record, shared by laws and experiments: what was measured, under which setting, by which seed.

A file of records is a CSV ordered by key, values at 17 digits, so that it holds every bit and two files of the same
records are the same bytes.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pandas as pd


class Record(NamedTuple):
    """One number.

    Attributes:
        source: the experiment, or "laws".
        setting: a path of names, such as "latch/arm=lstm_b1/delay=20".
        seed: the model's seed; 0 where there is none.
        metric: what was measured, its unit in the name or in the experiment's documentation.
        index: the lag, length, update or the like at which it was; 0 where there is none.
        value: the number; NaN and infinities are kept.
        rule: the hashes of the claims that read it, joined by "+", as they were when it was measured.
    """

    source: str
    setting: str
    seed: int
    metric: str
    index: float
    value: float
    rule: str = ""


COLUMNS = Record._fields
NUMBERS = {"seed": int, "index": float, "value": float}


def parse_setting(setting: str) -> dict[str, str]:
    """The named parts of a setting: "latch/arm=lstm_b1/delay=20" gives {"arm": "lstm_b1", "delay": "20"}."""
    return dict(part.split("=", 1) for part in setting.split("/") if "=" in part)


def to_csv(records: Iterable[Record]) -> str:
    """The records as CSV text, ordered by key; equal sets of records give equal text."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for r in sorted(records, key=lambda r: (r.source, r.setting, r.metric, r.seed, r.index)):
        writer.writerow((r.source, r.setting, r.seed, r.metric, f"{r.index:.17g}", f"{r.value:.17g}", r.rule))
    return out.getvalue()


def read_csv(path: Path | str) -> pd.DataFrame:
    """A file of records as a frame with the fields of Record as columns, in the file's order.

    Raises:
        ValueError: the file is no CSV in UTF-8, has other columns or no record, or a record lacks a value or has one
            that is no number; the message names the file.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        if tuple(frame.columns) != COLUMNS:
            raise ValueError(f"its columns must be {', '.join(COLUMNS)}, got {', '.join(frame.columns)}")
        if frame.empty:
            raise ValueError("it has none")
        if frame.isna().any(axis=None):  # an empty value is read as text, so the row ends before it
            raise ValueError(f"each must have {len(COLUMNS)} values, one has fewer")
        # Python's own float reads every digit; pandas' faster readers of some versions are off by a unit in the last.
        return frame.assign(**{name: frame[name].map(kind).astype(kind) for name, kind in NUMBERS.items()})
    except ValueError as error:
        raise ValueError(f"`{path}` must be a CSV of records; {error}.") from error
