"""What the records say: the latch's threshold and slope by recurrent weight. Reads records alone."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from experiments.gradient_flow.findings import Findings, own
from experiments.gradient_flow.latch import predictions
from experiments.harness import figures
from experiments.harness.report import Figure, Section, Table


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    table = by_weight(frame)
    section = Section("One unit that keeps a bit", lead(table), [picture(table)], [threshold_table(table)])
    waited = f"a constant push for {table.steps.max():.0f} steps, from the lower state; bisection; float64"
    return Findings(section, {"latch": waited})


def by_weight(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a recurrent weight: threshold and slope, measured and in closed form."""
    wide = own(frame, "latch").pivot(index="index", columns="metric", values="value").reset_index(names="w")
    return wide.assign(
        predicted=wide.w.map(predictions.threshold),
        lingering=[predictions.lingering(row.w, row.steps) for row in wide.itertuples()],
        slope_predicted=wide.w.map(predictions.slope),
        relative=lambda rows: rows.threshold / rows.predicted - 1,
    )


def lead(table: pd.DataFrame) -> str:
    """What was found, in words."""
    at = table.iloc[(table.w - 2).abs().argmin()]
    return (
        f"h' = tanh(w h + u), one unit, w > 1: it rests on either side of zero and so keeps a bit, until a constant "
        f"push u takes it over. What this costs Bengio, Simard and Frasconi showed in 1994: where the bit is safe, the "
        f"slope is below 1, and the gradient shrinks by that factor a step (at w = {at.w:g} by {at.slope:.4f}: half in "
        f"{np.log(0.5) / np.log(at.slope):.2f} steps). Thresholds by bisection are at most "
        f"{table.relative.abs().max():.1e} of themselves from the closed form."
    )


def threshold_table(table: pd.DataFrame) -> Table:
    """Every weight."""
    rows = [
        {
            "w": f"{row.w:g}",
            "threshold": f"{row.threshold:.8f}",
            "closed form": f"{row.predicted:.8f}",
            "difference": f"{row.threshold - row.predicted:.1e}",
            "what waiting allows": f"{row.lingering:.1e}",
            "relative": f"{row.relative:.1e}",
            "slope at rest": f"{row.slope:.6f}",
            "closed form ": f"{row.slope_predicted:.6f}",
        }
        for row in table.itertuples()
    ]
    return Table("latch", "The least push that takes the bit, by recurrent weight", pd.DataFrame(rows))


def picture(table: pd.DataFrame) -> Figure:
    """Threshold and slope over w; below what is left of each."""
    canvas, axes = figures.with_residual(2, (4.6, 4.6))
    panels = (
        ("threshold", "predicted", "the push that takes the bit", "least constant input u"),
        ("slope", "slope_predicted", "the gradient while the bit is kept", "factor of the gradient a step"),
    )
    fine = np.linspace(table.w.min(), table.w.max(), 200)
    forms = {"threshold": predictions.threshold, "slope": predictions.slope}
    for (top, below), (metric, form, title, ylabel) in zip(axes.T, panels, strict=True):
        figures.predicted(top, fine, [forms[metric](w) for w in fine])
        top.plot(table.w, table[metric], "o", color=figures.COLOURS["rnn"], ms=5)
        below.plot(table.w, table[metric] - table[form], "o-", color=figures.COLOURS["rnn"], ms=4, lw=1.2)
        below.axhline(0, **figures.PREDICTION)
        top.set_title(title)
        top.set_ylabel(ylabel)
        below.set_xlabel("recurrent weight w")
    waiting(axes[1, 0], table)
    figures.label_line(axes[0, 0], 3, predictions.threshold(3), "closed form", xytext=(8, -8))
    axes[1, 0].set_ylabel("measured minus\ndashed")
    return Figure("latch", title_of(table), canvas, alt(table), table)


def waiting(axis: plt.Axes, table: pd.DataFrame) -> None:
    """What a finite wait adds to a threshold."""
    axis.plot(table.w, table.lingering, color="0.4", lw=1, ls=":")
    figures.label_line(axis, table.w.iloc[2], table.lingering.iloc[2], "what waiting adds", "0.3", xytext=(10, 8))


def title_of(table: pd.DataFrame) -> str:
    """How well the threshold is met."""
    return (
        f"One unit keeps a bit up to the push that theory names, to {table.relative.abs().max():.0e} of it; and the "
        f"more safely it does so, the faster its gradient vanishes"
    )


def alt(table: pd.DataFrame) -> str:
    """What the figure shows, for who cannot see it."""
    parts = [
        f"w = {row.w:g}: {row.threshold:.6f} (form {row.predicted:.6f}), slope {row.slope:.4f}"
        for row in table.itertuples()
    ]
    return "Threshold of the one-unit latch: " + "; ".join(parts) + "."
