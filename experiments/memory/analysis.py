"""The report from the records: verdicts, and a section a part."""

from __future__ import annotations

import pandas as pd

from experiments.harness.arms import CHRONO_FACTOR
from experiments.harness.report import Report, of_parts
from experiments.memory.parts import PARTS

DECIDED = ("N7", "N8", "N9", "N10", "N12", "N13", "N14", "N16", "N17", "N21")
TITLE = "Memory: what is kept, for how long, and by which part of the cell"


def analyse(frame: pd.DataFrame) -> Report:
    """The report of memory from its records."""
    return of_parts(PARTS, TITLE, LEAD, DECIDED, frame)


LEAD = (
    "Models are trained on fresh data from known sources, all seeds of a setting as one group, and judged on held-out "
    "data of their own: what counts is how many seeds solve a task, by length. Shares have Clopper-Pearson intervals, "
    "medians those of order statistics, T50 (the length that half of the seeds solve) that of its profile likelihood; "
    "all at 99 %.\n\n"
    f"The LSTM's start chrono is told how long its task is, as no other start is: its forget biases are drawn for time "
    f"scales of up to {CHRONO_FACTOR:g} times that length (Tallec, Ollivier 2018)."
)
