"""What the records say: loss by update, and at the end against the ladder of n-gram rungs. Reads records only."""

from __future__ import annotations

import pandas as pd

from experiments.harness.report import Findings, Section
from experiments.language_model.parts import EXPERIMENT
from experiments.language_model.text.pictures import curves_figure, ladder_figure
from experiments.language_model.text.reading import read_arms, read_rungs
from experiments.language_model.text.said import lead
from experiments.language_model.text.tables import models_table, pairs_table, rungs_table, settings


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    rows = frame[frame.source == EXPERIMENT]
    rows = rows[rows.setting.str.match(r"(text|corpus=[^/]*)/(rungs|cell=)")]
    rungs, arms = read_rungs(rows), read_arms(rows)
    pictures = [curves_figure(rungs, arms), ladder_figure(rungs, arms)]
    tables = [models_table(rungs, arms), rungs_table(rungs), pairs_table(arms)]
    return Findings(Section("Characters of a text", lead(rungs, arms), pictures, tables), settings(rungs, arms))
