"""The report from the records: verdicts, and a section a part."""

from __future__ import annotations

import pandas as pd

from experiments.gradient_flow.parts import PARTS
from experiments.harness.report import Report, of_parts

DECIDED = ("N1", "N15")
TITLE = "Gradients: vanishing and exploding, against closed forms"


def analyse(frame: pd.DataFrame) -> Report:
    """The report of gradient_flow from its records."""
    return of_parts(PARTS, TITLE, LEAD, DECIDED, frame)


LEAD = (
    "What untrained and training cells do to gradients, beside what can be known beforehand. Every figure has its "
    "prediction as a dashed line, computed without a look at the records, and below what is left: measured minus "
    "predicted. Intervals are at 99 %."
)
