"""What the records say: loss by update, against the ladder of n-grams and from few characters; what is said freely."""

from __future__ import annotations

import pandas as pd

from experiments.harness import ran
from experiments.harness.report import Findings, Section
from experiments.language_model.parts import EXPERIMENT
from experiments.language_model.text import alone, reach
from experiments.language_model.text.pictures import curves_figure, ladder_figure
from experiments.language_model.text.reading import read_arms, read_interleaved, read_rungs, read_samples
from experiments.language_model.text.said import lead
from experiments.language_model.text.sweep import PRESETS
from experiments.language_model.text.tables import interleaved_table, models_table, pairs_table, rungs_table, settings


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    rows = frame[frame.source == EXPERIMENT]
    interleaved = read_interleaved(rows)
    rows = rows[rows.setting.str.match(r"(text|corpus=[^/]*)/(rungs|cell=)")]
    rungs, arms = read_rungs(rows), read_arms(rows)
    pictures = [curves_figure(rungs, arms), ladder_figure(rungs, arms), reach.figure(rungs, arms), alone.figure(arms)]
    tables = [models_table(rungs, arms), rungs_table(rungs), pairs_table(arms)]
    tables += [interleaved_table(rungs, interleaved)] if interleaved else []
    tables += [reach.table(rungs, arms), alone.table(arms), alone.samples_table(read_samples(rows, rungs, arms))]
    sizes = PRESETS[ran.presets(frame).get(EXPERIMENT, "quick")]
    words = lead(rungs, arms, interleaved, sizes)
    return Findings(Section("Characters of a text", words, pictures, tables), settings(rungs, arms))
