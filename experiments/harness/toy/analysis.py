"""A report with everything a report may hold: a figure, a table, text with markup's characters in it."""

from __future__ import annotations

import pandas as pd

from experiments import claims
from experiments.harness import figures
from experiments.harness.report import Figure, Report, Section, Table
from experiments.harness.statistics import order_interval


def analyse(frame: pd.DataFrame) -> Report:
    """Medians of the sums by number of terms."""
    rows = frame[frame.source == "harness.toy"]
    data = pd.DataFrame([(n, *order_interval(g.value.to_numpy())) for n, g in rows.groupby("index")])
    data.columns = ["terms", "median", "low", "high"]
    canvas, axes = figures.with_residual()
    figures.measured(axes[0, 0], data.terms, data["median"], data.low, data.high, figures.COLOURS["rnn"])
    figures.predicted(axes[0, 0], data.terms, 0 * data.terms)
    axes[1, 0].plot(data.terms, data["median"])
    ends = data.tail(2).rename(columns={"low": "|low|"})
    return Report(
        "harness.toy",
        "Sums & <tests>",
        "A *lead* with <markup> & | in it.",
        [claims.verdict(claims.CLAIMS["N15"], frame)],
        [Figure("sums", "The median is about 0 & <finite>", canvas, 'medians of "sums"', data)],
        [Table("sums", "Medians", data)],
        pd.DataFrame({"setting": ["terms"], "value": ["1 | 12"]}),
        sections=[
            Section(
                "A part & <more>",
                "What a *part* says.",
                [],
                [Table("ends", "Ends", ends)],
            )
        ],
    )
