"""What the records say: the gradient's norm by lag while a model trains, and when it explodes. Reads records alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from experiments.gradient_flow.findings import Findings, decades
from experiments.gradient_flow.training import pictures, predictions
from experiments.gradient_flow.training.experiment import EXPLODED, NEVER
from experiments.gradient_flow.training.runs import (
    MAIN_RATE,
    Trained,
    by_length,
    changed,
    clipping,
    ends,
    fastest,
    few,
    interval,
    name,
    share,
    told,
    trained,
    within,
)
from experiments.gradient_flow.training.sweep import ARMS, CLIP, HELD_OUT, B, H, ratio_lag
from experiments.harness import figures
from experiments.harness.report import Section, Table
from experiments.tasks import adding


def analyse(frame: pd.DataFrame) -> Findings:
    """This part's section of the report from its records."""
    runs = trained(frame)
    drawn = [figure(some) for some in by_length(runs) for figure in (pictures.by_update, pictures.by_lag)]
    section = Section("While a model trains", lead(runs), drawn, [outcome_table(runs), reach_table(runs)])
    return Findings(section, settings(runs))


# Text


def lead(runs: list[Trained]) -> str:
    """What was found, in words."""
    lengths = " and ".join(f"{t[0].T} steps for {t[0].updates[-1]} updates" for t in by_length(runs))
    return (
        f"The adding problem with {lengths}, Adam at {MAIN_RATE:g} unless said otherwise, B = {B}, H = {H}. At "
        f"checkpoints each model reads {HELD_OUT} held-out sequences. A norm is the root of the mean over them of "
        f"|d l / d s_t|^2, l a sequence's own squared error at the last step, s = h or (h, c); it is relative to that "
        f"at the last step, which is 2 sqrt(loss) |W_hy|, and in decades.\n\n{solved_text(runs)} {first_text(runs)} "
        f"{gates_text(runs)}\n\n{exploded_text(runs)} {lost_text(runs)}\n\nThe dashed lines are the mean field of "
        "untrained cells under the inputs of this task, held while updates go on: what the gradient would do if "
        "training moved "
        "nothing. Below each panel is what training changed and, at update 0, what the form leaves. Bands that leave "
        "a panel are cut."
    )


def solved_text(runs: list[Trained]) -> str:
    """What tells seeds that solve the task from those that do not, cell by cell."""
    parts = []
    for cell, called in figures.NAMES.items():
        done, open_ = ends(runs, cell, True), ends(runs, cell, False)
        if len(done) + len(open_):
            parts.append(f"Of {len(done) + len(open_)} {called}s trained {len(done) or 'none'} solved the task.")
        if len(done):
            rest = f", those of the other {len(open_)} at {within(open_)}" if len(open_) else ""
            parts.append(f"At the first step theirs end at {within(done)} decades{rest}.")
    return " ".join(parts)


def first_text(runs: list[Trained]) -> str:
    """What the first few updates do, where they do most."""
    t, change = fastest(runs)
    where = f"of the {name(t.run)} ({clipping(t.run)})"
    return f"The first {t.updates[1]} updates alone change that {where} by {told(change)} decades."


def gates_text(runs: list[Trained]) -> str:
    """The product of forget gates of the unit that keeps most, in seeds that solved the task and in the others."""
    lstms = [t for t in runs if t.cell == "lstm" and t.solved.any()]
    if not lstms:
        return ""
    best = [t.by_lag["log10_direct_best"].loc[t.updates[-1]][ratio_lag(t.T)].to_numpy() for t in lstms]
    solved = np.concatenate([t.solved for t in lstms])
    done, others = (within(np.concatenate(best)[which]) for which in (solved, ~solved))
    rest = "" if solved.all() else f", in the other seeds of the same runs at {others}"
    where = " and ".join(f"{lag}" for lag in sorted({ratio_lag(t.T) for t in lstms}))
    return (
        f"The product of forget gates over {where} steps, in the unit that keeps most, ends at {done} decades in the "
        f"LSTMs that solved it{rest}. "
    )


def exploded_text(runs: list[Trained]) -> str:
    """How often a gradient's norm exceeded EXPLODED, with and without clipping."""
    parts = []
    for cell in figures.NAMES:
        for words, clips in (("with clipping", True), ("without", False)):
            mine = [t.once.exploded_at for t in runs if t.cell == cell and (t.run.clip is not None) == clips]
            if mine:
                at = np.concatenate(mine)
                parts.append(f"{(at != NEVER).sum()} of {at.size} {figures.NAMES[cell]}s {words}")
    largest = max(t.at("norm_max", t.updates[-1]).max() for t in runs)
    return (
        f"Before clipping a gradient's global norm exceeded {EXPLODED:g} at some update in {', '.join(parts)}; the "
        f"largest was {few(largest)} (by run, with intervals of the share, in a table below: runs share their seeds)."
    )


def lost_text(runs: list[Trained]) -> str:
    """Which runs diverged to a loss that is no number; nothing where none did."""
    lost = [(t, int((t.once.not_finite_at != NEVER).sum())) for t in runs]
    parts = [f"{name(t.run)}, {clipping(t.run)}: {k} of {len(t.once)}" for t, k in lost if k]
    return f"A loss that is not finite ended {'; '.join(parts)}; these seeds widen the intervals. " if parts else ""


# Tables


def outcome_table(runs: list[Trained]) -> Table:
    """What each run came to: its loss, and the gradient's norm on the way."""
    rows = []
    for t in runs:
        last = t.updates[-1]
        medians = np.array([t.at("norm_median", update) for update in t.updates[1:]])
        exploded = t.once.exploded_at.to_numpy()
        when = exploded[exploded != NEVER]
        rows.append(
            named(t)
            | {
                "loss at the end": told(interval(t.at("loss", last)), few),
                f"solved (< {adding.SOLVED_BELOW:g})": share(t.solved),
                "below 1/12": share(t.at("loss", last) < adding.floor(1)),
                "global norm, median at first and last": f"{few(np.median(medians[0]))}, {few(np.median(medians[-1]))}",
                "largest norm": told(interval(t.at("norm_max", last)), few),
                f"share of updates over {CLIP:g}": few(over(t)),
                f"over {EXPLODED:g}": share(exploded != NEVER),
                "first at update": few(when.min()) if len(when) else "",
                "diverged": f"{(t.once.not_finite_at != NEVER).sum()}",
            }
        )
    title = (
        "Mean squared error on held-out sequences (chance 1/6, one value known 1/12), and the gradient's global norm "
        "before clipping"
    )
    return Table("training_outcome", title, pd.DataFrame(rows))


def named(t: Trained) -> dict[str, str]:
    """The first columns of a table."""
    return {"run": name(t.run), "gradient": clipping(t.run), "T": f"{t.T}"}


def over(t: Trained) -> float:
    """The share of all updates of all seeds at which the gradient's norm exceeded CLIP."""
    spans = np.diff(t.updates)
    shares = [t.at("share_over", update).mean() for update in t.updates[1:]]
    return float(spans @ shares / spans.sum())


def reach_table(runs: list[Trained]) -> Table:
    """N15's ratio before and after training, and the LSTM's direct path over the same lag."""
    rows = []
    for t in runs:
        lag, last = ratio_lag(t.T), t.updates[-1]
        row = named(t) | {"lag": f"{lag}"}
        form = predictions.log10_norm(ARMS[t.run.arm], H, t.T, predictions.inputs(t.T))[lag]
        row |= {"mean field at the start": decades(form)}
        row |= {"at the start": told(interval(t.relative(lag, 0))), "at the end": told(interval(t.relative(lag, last)))}
        row |= {"change": told(interval(changed(t, last, lag))), "end, solved seeds": ended(t, lag, True)}
        row |= {"end, other seeds": ended(t, lag, False), "at lag 0 itself": from_to(t, "log10_norm", 0)}
        row |= {"forget gates, mean unit": from_to(t, "log10_direct", lag), "its mean field": gates_form(t, lag)}
        rows.append(row | {"forget gates, best unit": from_to(t, "log10_direct_best", lag)})
    title = (
        "N15's ratio before and after training: log10 of |dL/ds| at the lag over that at lag 0 (median, 99 % interval)"
    )
    return Table("training_reach", title, pd.DataFrame(rows))


def ended(t: Trained, lag: int, solved: bool) -> str:
    """The relative norms at a lag at the end, least to largest, of seeds that solved the task or did not."""
    values = t.relative(lag, t.updates[-1])[t.solved == solved]
    return f"{within(values)} ({len(values)})" if len(values) else ""


def from_to(t: Trained, metric: str, lag: int) -> str:
    """A metric at a lag before training and after, median over seeds; nothing for a cell that has none."""
    if metric not in t.by_lag:
        return ""
    return " to ".join(decades(interval(t.by_lag[metric].loc[n][lag]).value) for n in (0, t.updates[-1]))


def gates_form(t: Trained, lag: int) -> str:
    """The mean field of the forget gates' product at the start; nothing for a cell without them."""
    if t.cell != "lstm":
        return ""
    return decades(predictions.log10_direct(ARMS[t.run.arm], H, t.T, predictions.inputs(t.T))[lag])


def settings(runs: list[Trained]) -> dict[str, str]:
    """What was run."""
    return {
        "training: task": f"adding, fresh sequences at every update, B = {B}; {HELD_OUT} held-out sequences a seed",
        "training: time steps T, updates, seeds": "; ".join(
            f"{some[0].T}, {some[0].updates[-1]}, {len(some[0].once)}" for some in by_length(runs)
        ),
        "training: models": f"H = {H}, starts as above, read-out as torch.nn.Linear; chrono: T_max = T",
        "training: optimiser": f"Adam; gradients clipped to global norm {CLIP:g}, or not at all",
        "training: dtype": "float32, checkpoints in float64",
    }
