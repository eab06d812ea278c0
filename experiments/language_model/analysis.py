"""The report from the records: verdicts, and a section a part."""

from __future__ import annotations

import pandas as pd

from experiments.harness.report import Report, of_parts
from experiments.language_model.parts import PARTS

DECIDED = ("N4", "N6", "N18", "N19", "N20")
TITLE = "Language model: loss against what is knowable"


def analyse(frame: pd.DataFrame) -> Report:
    """The report of the language model from its records."""
    return of_parts(PARTS, TITLE, LEAD, DECIDED, frame)


LEAD = (
    "A language model gives each symbol a probability from those before it, and its loss is the mean of -ln of these. "
    "How small the loss can be is known exactly for sources whose rule is known, and text has rungs: tables of n-grams "
    "and compressors. So every loss stands beside its rungs. Medians are over seeds, their intervals are "
    "those of order statistics, all at 99 %."
)
