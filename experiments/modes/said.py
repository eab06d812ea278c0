"""What was said of test rows, from the records alone: examples, and their counts in words.

Answers are strings of one symbol a step: letters and end mark of a name, a digit, characters of a date, the first
letter of a heading.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from experiments.harness.figures import NAMES
from experiments.harness.words import listed
from experiments.modes.experiment import FIRST, WRONG
from experiments.tasks import dates, digit_names, moving_digits
from properties.record import parse_setting

TEN = "0123456789"
SYMBOLS = {"digit_names": digit_names.LETTERS, "digit_rows": TEN, "mnist1d": TEN, "dates": dates.SYMBOLS}
SYMBOLS |= {"moving_digits": "".join(heading[0] for heading in moving_digits.HEADINGS), "moving_labels": TEN}
"""By data the symbol of each class, in order."""
WORDS = dict(zip(SYMBOLS["moving_digits"], moving_digits.HEADINGS, strict=True))


class Example(NamedTuple):
    """A test row: its number, the right answer, what each cell said, and numbers by name that show the row."""

    row: int
    target: str
    said: Mapping[str, str]
    seen: Mapping[str, np.ndarray]

    def right(self, cell: str) -> bool:
        """Whether the cell's answer is known and right as a whole."""
        return self.said.get(cell) == self.target

    def mistakes(self) -> list[str]:
        """The cells that were wrong."""
        return [cell for cell, answer in self.said.items() if answer != self.target]


# From the records


def examples(mode: str, rows: pd.DataFrame) -> dict[str, list[Example]]:
    """The examples of a mode by data, in the order of the test rows; of our data sets alone.

    Args:
        mode: one of the four.
        rows: records, in any order.
    """
    found: Any = defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    some = rows[
        rows.setting.str.startswith(f"{mode}/") & rows.setting.str.contains("/inputs=own/example=", regex=False)
    ]
    for (setting, metric), values in some.sort_values("index", kind="stable").groupby(["setting", "metric"]).value:
        at = parse_setting(setting)
        if at["data"] in SYMBOLS:
            found[at["data"]][int(at["example"])][at["cell"]][metric] = values.to_numpy()
    read = {data: [example(data, row, of[row]) for row in sorted(of)] for data, of in found.items()}
    return {data: some if mode == "aligned" else completed(some) for data, some in read.items()}


def example(data: str, row: int, by_cell: Mapping[str, Mapping[str, np.ndarray]]) -> Example:
    """A row's records by cell and metric as an example; what shows the row is the same for all cells."""
    there = {cell: by_cell[cell] for cell in NAMES if cell in by_cell}
    either = next(iter(there.values()))
    said = {cell: symbols(data, found["answer"]) for cell, found in there.items()}
    return Example(row, symbols(data, either["target"]), said, either)


def symbols(data: str, classes: Sequence[float]) -> str:
    """Classes as symbols; of a name up to its end mark, for nothing after it is part of it."""
    text = "".join(SYMBOLS[data][int(k)] for k in classes)
    head, end, _ = text.partition(digit_names.END)
    return head + end if data == digit_names.NAME else text


def completed(found: list[Example]) -> list[Example]:
    """The examples with those answers that the records imply.

    An answer is right or wrong as a whole here, and a cell's records hold its first mistakes, WRONG of them where it
    made so many. So it was right on the rows that they leave out before the last of these, and on all that they leave
    out where there are fewer.
    """
    until = {}
    for cell in cells(found):
        wrong = [one.row for one in found if cell in one.mistakes()]
        later = [row for row in wrong if row >= FIRST]
        until[cell] = max(later, default=FIRST) if len(wrong) >= WRONG else math.inf
    return [
        one._replace(
            said={cell: one.said.get(cell, one.target) for cell in until if cell in one.said or one.row < until[cell]}
        )
        for one in found
    ]


def cells(found: Sequence[Example]) -> list[str]:
    """The cells that have said something, in the order of the reports."""
    return [cell for cell in NAMES if any(cell in one.said for one in found)]


def parted(found: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """The first test rows, and the later ones that a cell got wrong."""
    return [one for one in found if one.row < FIRST], [one for one in found if one.row >= FIRST and one.mistakes()]


# In words


def text(data: str, answer: str) -> str:
    """An answer as it is read; a name without its end mark goes on."""
    if data == digit_names.NAME:
        name, end, _ = answer.partition(digit_names.END)
        return name if end else f"{name}\N{HORIZONTAL ELLIPSIS}"
    return " ".join(WORDS[symbol] for symbol in answer) if data == moving_digits.NAME else answer


def wrong_at(answer: str, target: str) -> list[int]:
    """The steps at which an answer has another symbol than the right one."""
    return [k for k, (a, b) in enumerate(zip(answer, target, strict=False)) if a != b]


def frame(data: str, found: Sequence[Example]) -> pd.DataFrame:
    """A row an example and cell."""
    columns = ["row", "cell", "target", "answer", "right"]
    pairs = [(one, cell) for one in found for cell in one.said]
    rows = [(one.row, cell, text(data, one.target), text(data, one.said[cell]), one.right(cell)) for one, cell in pairs]
    return pd.DataFrame(rows, columns=columns)


def counted(found: Sequence[Example], verb: str, things: str) -> str:
    """How many of the first rows each cell gets right: "The RNN spells 7 and the LSTM 8 of the first 8 names"."""
    first, n = parted(found)[0], len(parted(found)[0])
    got = {cell: sum(one.right(cell) for one in first) for cell in cells(found)}
    if len(got) > 1 and set(got.values()) == {n}:
        return f"Both cells {verb} all of the first {n} {things}"
    parts = [f"the {NAMES[cell]} {'' if k else verb + 's '}{count}" for k, (cell, count) in enumerate(got.items())]
    return f"T{' and '.join(parts)[1:]} of the first {n} {things}"


def confused(data: str, found: Sequence[Example]) -> str:
    """Which of the mistakes shown is the commonest, by what was said for what."""
    pairs = Counter((one.said[cell], one.target) for one in found for cell in one.mistakes())
    total, most = pairs.total(), max(pairs.values(), default=0)
    common = [f"{text(data, a)} for {text(data, b)}" for (a, b), count in sorted(pairs.items()) if count == most]
    if not total:
        return "no mistake is recorded"
    if total == 1:
        return f"the one mistake shown is {common[0]}"
    if most == 1 or len(common) > 3:
        return f"of the {total} mistakes shown none is made more than {'once' if most == 1 else f'{most} times'}"
    times = f"({most} times{' each' if len(common) > 1 else ''})"
    return f"the commonest of the {total} mistakes shown {'are' if len(common) > 1 else 'is'} {listed(common)} {times}"


def told(data: str, found: Sequence[Example], read: Callable[[Example], str] | None = None) -> str:
    """The examples in words; `read` gives what an example's answers are to, else it is the right answer."""
    parts = []
    for one in found:
        answers = [
            f"{NAMES[cell]} {'right' if one.right(cell) else text(data, said)}" for cell, said in one.said.items()
        ]
        parts.append(f"Row {one.row}, {read(one) if read else text(data, one.target)}: {', '.join(answers)}.")
    return " ".join(parts)
