"""The report from the records: verdicts, and a section a part."""

from __future__ import annotations

import pandas as pd

from experiments import claims
from experiments.harness.report import Report, settings_table
from experiments.memory.parts import EXPERIMENT, PARTS

DECIDED = ("N7", "N8", "N9", "N10", "N12", "N13", "N14", "N16", "N17", "N21")


def analyse(frame: pd.DataFrame) -> Report:
    """The report of memory from its records."""
    found = PARTS.findings(frame)
    return Report(
        name=EXPERIMENT,
        title="Memory: what is kept, for how long, and by which part of the cell",
        lead=LEAD,
        verdicts=[claims.verdict(claims.CLAIMS[number], frame) for number in DECIDED],
        settings=settings_table(found),
        sections=[part.section for part in found],
    )


LEAD = (
    "Models are trained on fresh data from known sources, all seeds of a setting as one group, and judged on held-out "
    "data of their own: what counts is how many seeds solve a task, by length. Shares have Clopper-Pearson intervals, "
    "medians those of order statistics, T50 (the length that half of the seeds solve) that of its profile likelihood; "
    "all at 99 %."
)
