"""What the records say: what weights that every step shares save, by size of the training set. Reads records alone."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from experiments.harness import figures
from experiments.harness.report import Figure, Findings, Section, Table
from experiments.harness.statistics import Interval, order_interval
from experiments.harness.words import listed
from experiments.memory.learning import TASKS
from experiments.memory.parts import EXPERIMENT
from experiments.memory.untied.sweep import ARMS, CASE_OF_CLAIM, CLAIM, CLIP, HELD_OUT, LR, B, H
from experiments.tasks import adding
from impl.spec import GATES
from properties.record import parse_setting

WEIGHTS, SEEN = ("tied", "untied"), ("training", "test")
UNITS = {"squared_error": "squared error", "logistic": "nats"}
STYLE = {"tied": "-", "untied": (0, (1, 1))}


class Trained(NamedTuple):
    """One setting: `loss[weights, seen]` has a row a seed and a column a number of updates; `gap` is N17."""

    task: str
    cell: str
    T: int
    rows: int
    loss: dict[tuple[str, str], pd.DataFrame]
    gap: np.ndarray

    @property
    def updates(self) -> int:
        """All of them."""
        return int(self.loss["tied", "test"].columns.max())

    @property
    def name(self) -> str:
        """Its name for readers."""
        return f"{figures.NAMES[self.cell]} on {self.task}, {self.T} steps, {self.rows} rows"

    @property
    def claim(self) -> bool:
        """Whether it is the claim's."""
        return (self.task, self.cell, self.T, self.rows) == CASE_OF_CLAIM[:4]

    def end(self, weights: str, seen: str) -> np.ndarray:
        """The loss after training, one number a seed."""
        return self.loss[weights, seen][self.updates].to_numpy()

    def best_gap(self) -> np.ndarray:
        """The least test loss at any look, untied minus tied: as if each had been stopped at its best."""
        tied, untied = (self.loss[weights, "test"].min(axis=1).to_numpy() for weights in WEIGHTS)
        return untied - tied


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    runs = trained(frame)
    own = [t for t in runs if t.claim] or runs[:1]
    drawn = [rows_figure(by_rows(runs)), updates_figure(own[0])]
    section = Section("One set of weights for all steps", lead(runs, own[0]), drawn, [table(runs)])
    return Findings(section, settings(runs))


# Numbers


def trained(frame: pd.DataFrame) -> list[Trained]:
    """Every setting that was run, by task, steps, cell and rows."""
    mine = frame[(frame.source == EXPERIMENT) & frame.setting.str.startswith(f"{CLAIM}/")]
    if mine.empty:
        raise ValueError("`frame` must hold records of untied weights, since the section is about them; got none.")
    runs = [read(mine, setting) for setting in mine[mine.metric == "N17"].setting.unique()]
    return sorted(runs, key=lambda t: (t.task, t.T, list(ARMS).index(t.cell), t.rows))


def read(mine: pd.DataFrame, setting: str) -> Trained:
    """One setting's records."""
    names = parse_setting(setting)
    loss = {
        (weights, seen): wide(mine[mine.setting == f"{setting}/weights={weights}"], seen)
        for weights in WEIGHTS
        for seen in SEEN
    }
    gap = wide(mine[mine.setting == setting], "N17")[0].to_numpy()
    return Trained(names["task"], names["cell"], int(names["T"]), int(names["rows"]), loss, gap)


def wide(some: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A metric with a row a seed and a column an index."""
    return some[some.metric == metric].pivot(index="seed", columns="index", values="value")


def parameters(t: Trained) -> int:
    """Numbers that a tied cell learns: weights by x and by h, and a bias, in each block."""
    return len(GATES[t.cell]) * H * (TASKS[t.task].D + H + 1)


# Words


def lead(runs: list[Trained], own: Trained) -> str:
    """What was found, in words."""
    return (
        f"A cell has one set of weights for all steps. Here it is compared with one that has a set for each step, "
        f"started as copies, so that both are the same function at first; both see the same training rows in the same "
        f"order, with the same optimiser. {start_sentence(runs)} The law says what follows (the tied gradient is the "
        f"sum of the steps' own), this section what it is worth.\n\n"
        f"{claim_sentence(own)}\n\n{others_sentence(runs, own)}{lengths_sentence(runs)}"
    )


def start_sentence(runs: list[Trained]) -> str:
    """Whether the two are the same before training."""
    off = max(np.abs(t.loss["untied", s][0] - t.loss["tied", s][0]).max() for t in runs for s in SEEN)
    return f"Before training their losses differ by at most {off:g}."


def claim_sentence(t: Trained) -> str:
    """The claim's own numbers, or those of a setting where that was not run."""
    where = "At the claim's setting" if t.claim else "At one setting"
    return (
        f"{where} ({t.name}) the test loss of untied minus tied weights is {words(t.gap)} after "
        f"{t.updates} updates (median of {len(t.gap)} seeds, 99 % interval, {unit(t)}): "
        f"{words(t.end('untied', 'test'))} against {words(t.end('tied', 'test'))}, with "
        f"{words(t.end('untied', 'training'))} against {words(t.end('tied', 'training'))} on the training rows. Were "
        f"each stopped at its best test loss, the "
        f"difference would be {words(t.best_gap())}."
    )


def others_sentence(runs: list[Trained], own: Trained) -> str:
    """Where else untied weights are worse, and where better, beyond doubt."""
    others = [(t, order_interval(t.gap)) for t in runs if t is not own]
    if not others:
        return ""
    worse = [f"{t.name} {words(t.gap)}" for t, gap in others if gap.low > 0]
    better = [f"{t.name} {words(t.gap)}" for t, gap in others if gap.high < 0]
    open_ = [f"{t.name} {words(t.gap)}" for t, gap in others if gap.low <= 0 <= gap.high]
    parts = (("Worse untied", worse), ("Better untied", better), ("Not told apart", open_))
    return " ".join(f"{text}: {'; '.join(names)}." for text, names in parts if names)


def lengths_sentence(runs: list[Trained]) -> str:
    """Where, at other lengths than those of the figure by rows, sharing does surely worse than its title says."""
    shown, found = by_rows(runs), [(t, order_interval(t.gap)) for t in runs if t.task == adding.NAME]
    helped = {t.cell for t, gap in found if t in shown and gap.low > 0}
    against = [t for t, gap in found if t.T != CASE_OF_CLAIM.T and t.cell in helped and gap.high < 0]
    if not against:
        return ""
    names = listed([f"the {t.name}" for t in against])
    return (
        f" What the figure by rows says holds for its {CASE_OF_CLAIM.T} steps: sharing weights raises the test loss of "
        f"{names}."
    )


def by_rows(runs: list[Trained]) -> list[Trained]:
    """Those that the figure by rows shows: adding, of the claim's length."""
    return [t for t in runs if t.task == adding.NAME and t.T == CASE_OF_CLAIM.T]


def unit(t: Trained) -> str:
    """The loss's unit."""
    return UNITS[TASKS[t.task].LOSS]


def words(values: np.ndarray) -> str:
    """A median over seeds and its interval."""
    value, low, high = order_interval(values)
    return f"{value:.3g} ({low:.3g} to {high:.3g})"


def table(runs: list[Trained]) -> Table:
    """Every setting."""
    rows = [
        {
            "task": f"{t.task} ({unit(t)})",
            "cell": figures.NAMES[t.cell],
            "steps": t.T,
            "training rows": t.rows,
            "parameters of the cell, tied / untied": f"{parameters(t)} / {parameters(t) * t.T}",
            "seeds": len(t.gap),
            "test, tied": words(t.end("tied", "test")),
            "test, untied": words(t.end("untied", "test")),
            "untied minus tied": words(t.gap),
            "training, tied": words(t.end("tied", "training")),
            "training, untied": words(t.end("untied", "training")),
        }
        for t in runs
    ]
    return Table("untied", "Losses after training: medians over seeds (99 % interval)", pd.DataFrame(rows))


def settings(runs: list[Trained]) -> dict[str, str]:
    """What was run."""
    return {
        "untied: cells": f"H = {H}; LSTM with b_f = 1, RNN orthogonal",
        "untied: optimiser": f"Adam {LR:g}, gradient clipped to norm {CLIP:g}, batch {B}, each pass in a new order",
        "untied: updates": ", ".join(
            f"{updates} ({task}, {T} steps)" for task, T, updates in sorted({(t.task, t.T, t.updates) for t in runs})
        ),
        "untied: training rows": ", ".join(f"{n}" for n in sorted({t.rows for t in runs})),
        "untied: held-out rows": f"{HELD_OUT} a seed",
    }


# Figures


def rows_figure(runs: list[Trained]) -> Figure:
    """Test loss after training by size of the training set, tied and untied: a panel a cell; the difference below."""
    data = pd.DataFrame([row for t in runs for row in ends(t)])
    cells = list(dict.fromkeys(t.cell for t in runs))
    canvas, axes = figures.with_residual(len(cells), (4.2, 4.8))
    for (top, below), cell in zip(axes.T, cells, strict=True):
        some = data[data.cell == cell]
        for weights in WEIGHTS:
            line(top, some[some.what == weights], figures.COLOURS[cell], STYLE[weights])
        line(below, some[some.what == "difference"], figures.COLOURS[cell], "-")
        floors(top)
        below.axhline(0, **figures.PREDICTION)
        top.set(title=figures.NAMES[cell], xscale="log", yscale="log")
        below.set_yscale("symlog", linthresh=0.01)
        below.set_xlabel("rows of the training set")
        sizes = sorted(some.rows.unique())
        below.set_xticks(sizes, [f"{n}" for n in sizes])
        below.minorticks_off()
        name_lines(top, some, figures.COLOURS[cell])
    for row in axes:
        share_limits(row)
    axes[0, 0].set_ylabel("test loss after training\n(squared error)")
    axes[1, 0].set_ylabel("untied\nminus tied")
    return Figure("untied_by_rows", rows_title(runs), canvas, rows_alt(runs), data)


def share_limits(axes: np.ndarray) -> None:
    """Gives axes that are to be compared the same vertical limits."""
    ends = np.array([axis.get_ylim() for axis in axes])
    for axis in axes:
        axis.set_ylim(ends[:, 0].min(), ends[:, 1].max())


def name_lines(axis: Axes, rows: pd.DataFrame, colour: str) -> None:
    """The names of the two lines at their ends, the upper one's a little up and the lower one's a little down."""
    last = rows[(rows.rows == rows.rows.max()) & rows.what.isin(WEIGHTS)].sort_values("median")
    for row, shift in zip(last.itertuples(), (-4, 4), strict=True):
        figures.label_line(axis, row.rows, row.median, row.what, colour, xytext=(6, shift))


def floors(axis: Axes) -> None:
    """What who knows none and one of the two values pays: closed forms."""
    for known, text, up in ((0, "neither value known: 1/6", True), (1, "one value known: 1/12", False)):
        axis.axhline(adding.floor(known), **figures.PREDICTION)
        place = {"xytext": (-3, 3 if up else -3), "ha": "right", "va": "bottom" if up else "top"}
        figures.label_line(axis, 1, adding.floor(known), text, xycoords=axis.get_yaxis_transform(), **place)


def ends(t: Trained) -> list[dict[str, object]]:
    """Median and interval of the test losses after training and of their difference."""
    columns = {"tied": t.end("tied", "test"), "untied": t.end("untied", "test"), "difference": t.gap}
    return [
        {"cell": t.cell, "rows": t.rows, "what": what, "seeds": len(values)} | dict(interval(values)._asdict())
        for what, values in columns.items()
    ]


class Ends(NamedTuple):
    """An interval under the names of a figure's columns."""

    median: float
    low: float
    high: float


def interval(values: np.ndarray) -> Ends:
    """The median over seeds and its interval."""
    found: Interval = order_interval(values)
    return Ends(*found)


def line(axis: Axes, rows: pd.DataFrame, colour: str, how: object, x: str = "rows") -> None:
    """One line with its band."""
    low, high = (rows[end].replace([np.inf, -np.inf], np.nan) for end in ("low", "high"))
    axis.fill_between(rows[x], low, high, color=colour, alpha=0.18, lw=0)
    axis.plot(rows[x], rows["median"], "o", ls=how, color=colour, ms=3, lw=1.6)


def rows_title(runs: list[Trained]) -> str:
    """At which sizes sharing helps beyond doubt, cell by cell."""
    parts = []
    for cell in dict.fromkeys(t.cell for t in runs):
        some = [(t, order_interval(t.gap)) for t in runs if t.cell == cell]
        parts.append(f"the {figures.NAMES[cell]} {helps_text([(t, gap) for t, gap in some if gap.low > 0])}")
    return f"Sharing weights over {CASE_OF_CLAIM.T} steps lowers the test loss on adding in {'; in '.join(parts)}"


def helps_text(helps: list[tuple[Trained, Interval]]) -> str:
    """The sizes at which sharing helps beyond doubt, and at which of these most."""
    if not helps:
        return "at no size beyond doubt"
    t, gap = max(helps, key=lambda pair: pair[1].value)
    most = f", most by {gap.value:.2g} at {t.rows} rows" if len(helps) > 1 else f", by {gap.value:.2g}"
    return f"with {listed([f'{t.rows}' for t, _ in helps])} training rows{most}"


def rows_alt(runs: list[Trained]) -> str:
    """What the figure shows, for who cannot see it."""
    parts = (
        f"{figures.NAMES[t.cell]}, {t.rows} rows: tied {words(t.end('tied', 'test'))}, untied "
        f"{words(t.end('untied', 'test'))}, difference {words(t.gap)}"
        for t in runs
    )
    return (
        f"Test loss on adding after training, {CASE_OF_CLAIM.T} steps, by rows of the training set, medians (99 % "
        f"interval): {'; '.join(parts)}."
    )


def updates_figure(t: Trained) -> Figure:
    """Training and test loss over the updates, tied and untied."""
    frames = []
    for (weights, seen), loss in t.loss.items():
        found = pd.DataFrame([interval(loss[n].to_numpy()) for n in loss.columns])
        frames.append(found.assign(weights=weights, seen=seen, updates=loss.columns, seeds=len(loss)))
    data = pd.concat(frames, ignore_index=True)
    canvas = plt.figure(figsize=(7.4, 3.2), layout="constrained")
    axes = canvas.subplots(1, 2, sharey=True)
    colours = {"training": figures.shades(t.cell, 3)[0], "test": figures.COLOURS[t.cell]}
    for axis, weights in zip(axes, WEIGHTS, strict=True):
        for seen, colour in colours.items():
            line(axis, data[(data.weights == weights) & (data.seen == seen)], colour, "-", "updates")
        axis.set(title=f"{figures.NAMES[t.cell]}, {weights}", xlabel="updates", yscale="log")
        if t.task == adding.NAME:
            floors(axis)
    handles = [Line2D([], [], color=c, lw=2, label=f"{seen} rows") for seen, c in colours.items()]
    axes[1].legend(handles=handles, fontsize=8, loc="lower left")
    axes[0].set_ylabel(f"loss ({unit(t)})")
    return Figure("untied_by_updates", updates_title(t), canvas, updates_alt(t), data)


def updates_title(t: Trained) -> str:
    """How far test lies above training, tied and untied."""
    gaps = [np.median(t.end(weights, "test") - t.end(weights, "training")) for weights in WEIGHTS]
    return (
        f"From {t.rows} training rows the {figures.NAMES[t.cell]}'s test loss ends {gaps[0]:.2g} above its training "
        f"loss with shared weights, and {gaps[1]:.2g} above it with weights for every step"
    )


def updates_alt(t: Trained) -> str:
    """What the figure shows, for who cannot see it."""
    parts = (
        f"{weights}, {seen}: " + ", ".join(f"{np.median(loss[n]):.3g} at {n:g}" for n in loss.columns)
        for (weights, seen), loss in t.loss.items()
    )
    return f"Median loss by updates, {t.name}: {'; '.join(parts)}."
