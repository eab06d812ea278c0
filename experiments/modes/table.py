"""A CSV of the user's own as it is typed: its cells as text, each with its line. What does not fit is refused, with
file, line and column; nothing is guessed.

    sequence    which sequence a line belongs to; its lines stand together, in the order of time
    label       the class of the sequence, the same in all its lines
    step_label  the class of the step; a file has label, or step_label, or both
    part        optional: training, validation or test, the same in all lines of a sequence
    all others  a feature each, a finite number in every line

UTF-8, cells parted by commas, the names of the columns in the first line, then a line a step. Lines are counted as an
editor counts them, the header's is 1; a row whose quoted cells hold line ends bears the number of its first line.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from experiments.tasks.arguments import DataError

COLUMNS = ("sequence", "label", "step_label", "part")
"""Those that have a meaning; every other column is a feature."""
LABELS = {"many_to_one": "label", "aligned": "step_label"}
"""The column of the classes, by mode."""
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class OwnError(DataError):
    """A file cannot be used; one line that names the place, the rule and what came."""


class Table(NamedTuple):
    """Where it came from, and its cells: a frame of text, the index of which is each row's line in the file."""

    path: Path
    cells: pd.DataFrame


def read(path: Path, data: bytes) -> Table:
    """The table of a file's bytes.

    Raises:
        OwnError: no text, not UTF-8, no CSV, or columns or rows that do not fit.
    """
    lines = rows(path, decoded(path, data))
    header = check_header(path, next(lines, (1, []))[1])
    places, cells = [], []
    for line, row in lines:
        if len(row) != len(header):
            came = f"{len(row)} cells, while the header has {len(header)}"
            raise wrong(path, "have a cell for each column in every line", came, line)
        places.append(line)
        cells.append(row)
    if not cells:
        raise wrong(path, "hold a line for each step below the header", "no line")
    table = Table(path, pd.DataFrame(cells, places, header, dtype=object))
    for column in table.cells.columns.intersection(COLUMNS):
        refuse(table, table.cells[column].str.strip() == "", column, f"say the {column} in every line")
    return table


def decoded(path: Path, data: bytes) -> str:
    """The text of UTF-8, without the mark that some programs put before it."""
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data:
        raise wrong(path, "hold a header and a line for each step", "an empty file")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise wrong(path, "be UTF-8", f"the byte 0x{data[error.start]:02x}", line) from error


def rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row's first line and its cells."""
    reader, line = csv.reader(io.StringIO(text, newline=""), strict=True), 1
    try:
        for cells in reader:
            yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise wrong(path, "be a CSV, its cells parted by commas", str(error), line) from error


def check_header(path: Path, header: list[str]) -> list[str]:
    """The columns' names as they came, if they fit."""
    rules = {
        f"spell {', '.join(COLUMNS)} so, since another spelling would be read as a feature": not misspelt(header),
        "have a column `sequence`, since it parts the lines (cells are parted by commas)": "sequence" in header,
        "give each column a name, since each one is read": all(name.strip() for name in header),
        "name a column once": len(set(header)) == len(header),
        "have a column `label` or `step_label`, since these are the classes": {*LABELS.values()} & {*header},
        f"have a column beside {', '.join(COLUMNS)}, since that is a feature": {*header} - {*COLUMNS},
    }
    for rule, fits in rules.items():
        if not fits:
            raise wrong(path, rule, f"the columns {told(header)}", 1)
    return header


def misspelt(header: list[str]) -> list[str]:
    """Names that are those of COLUMNS but for blanks and capitals."""
    return [name for name in header if name not in COLUMNS and name.strip().casefold() in COLUMNS]


def numbers(table: Table, column: str) -> np.ndarray:
    """The numbers of a feature: (n,) float64."""
    cells, rule = table.cells[column], "hold a finite number, such as 1.5 or -2e-3, in every cell of a feature"
    refuse(table, [not NUMBER.fullmatch(cell) for cell in cells], column, rule)
    values = cells.to_numpy().astype(float)
    refuse(table, ~np.isfinite(values), column, rule)
    return values


def starts(table: Table) -> np.ndarray:
    """The number of each sequence's first row, in the order of the file: (S,)."""
    names = table.cells["sequence"]
    begins = (names != names.shift()).to_numpy()
    again = begins & names.duplicated().to_numpy()
    refuse(table, again, "sequence", "keep the lines of a sequence together, since their order is that of time")
    return np.flatnonzero(begins)


def check_same(table: Table, column: str, first: np.ndarray, lengths: np.ndarray) -> None:
    """Refuses a column that changes within a sequence."""
    cells = table.cells[column].to_numpy()
    changed = cells != np.repeat(cells[first], lengths)
    refuse(table, changed, column, f"have one {column} in all lines of a sequence, since it is the sequence's")


def refuse(table: Table, bad: Sequence[bool] | np.ndarray | pd.Series, column: str, rule: str, more: str = "") -> None:
    """Raises OwnError for the first row that is bad (n,), if there is one."""
    if (bad := np.asarray(bad, bool)).any():
        row = int(bad.argmax())
        line, cell = table.cells.index[row], table.cells[column].iloc[row]
        raise wrong(table.path, rule, shown(cell) + more, line, column)


def wrong(path: Path, rule: str, came: str, line: int | None = None, column: str | None = None) -> OwnError:
    """The error in one line."""
    place = [str(path), f"line {line}" if line else "", f"column {shown(column)}" if column else ""]
    return OwnError(f"`data` must {rule}; got {came} ({', '.join(filter(None, place))}).")


def told(names: Sequence[str], most: int = 8) -> str:
    """Names in one line, the first few."""
    return ", ".join(map(shown, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def shown(cell: str, most: int = 40) -> str:
    """A cell in one line, cut where it is long."""
    return repr(cell if len(cell) <= most else cell[:most] + "...")
