"""The report from the records: verdicts, and a section a part."""

from __future__ import annotations

import pandas as pd

from experiments import claims
from experiments.gradient_flow.parts import EXPERIMENT, PARTS
from experiments.harness.report import Report, settings_table

DECIDED = ("N1", "N15")


def analyse(frame: pd.DataFrame) -> Report:
    """The report of gradient_flow from its records."""
    found = PARTS.findings(frame)
    return Report(
        name=EXPERIMENT,
        title="Gradients: vanishing and exploding, against closed forms",
        lead=LEAD,
        verdicts=[claims.verdict(claims.CLAIMS[number], frame) for number in DECIDED],
        settings=settings_table(found),
        sections=[part.section for part in found],
    )


LEAD = (
    "What untrained and training cells do to gradients, beside what can be known beforehand. Every figure has its "
    "prediction as a dashed line, computed without a look at the records, and below what is left: measured minus "
    "predicted. Intervals are at 99 %."
)
