"""The report from the records: verdicts, and a section a part."""

from __future__ import annotations

import pandas as pd

from experiments import claims
from experiments.harness.report import Report, settings_table
from experiments.language_model.parts import EXPERIMENT, PARTS

DECIDED = ("N4", "N6", "N18", "N19", "N20")


def analyse(frame: pd.DataFrame) -> Report:
    """The report of the language model from its records."""
    found = PARTS.findings(frame)
    return Report(
        name=EXPERIMENT,
        title="Language model: loss against what is knowable",
        lead=LEAD,
        verdicts=[claims.verdict(claims.CLAIMS[number], frame) for number in DECIDED],
        settings=settings_table(found),
        sections=[part.section for part in found if part.section.figures or part.section.tables],
    )


LEAD = (
    "A language model gives each symbol a probability from those before it, and its loss is the mean of -ln of these. "
    "How small the loss can be is known exactly for sources whose rule is known, and text has rungs: tables of n-grams "
    "and compressors. So every loss stands beside its rungs. Medians are over seeds, their intervals are "
    "those of order statistics, all at 99 %."
)
