"""Gradients while a model trains: the sweep, a run, the form at the start, and what is read from the records."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.gradient_flow.training import analysis, experiment, predictions, runs, sweep
from experiments.gradient_flow.training.predictions import Inputs
from experiments.gradient_flow.training.sweep import ARMS, Length, Run
from experiments.harness import figures
from experiments.harness.engine import engine
from experiments.harness.training import Batch, clipped, loss_and_gradient
from experiments.tasks import adding
from impl import draw
from impl.spec import leaves, tree_map
from properties.record import read_csv, to_csv

OPTIONS = SimpleNamespace(engine="fast")
NUMPY = SimpleNamespace(engine="numpy")
CELLS = {"rnn": "rnn_orthogonal", "lstm": "lstm_b1"}


# The sweep


@pytest.mark.parametrize("preset", tuple(sweep.PRESETS))
def test_a_sweep_holds_every_run_at_every_length_once_as_plain_data(preset):
    """Each setting is one group with its own name and key, which the analysis reads back; JSON changes no setting."""
    groups = sweep.groups(preset, OPTIONS)
    assert len(groups) == sum(len(length.runs) for length in sweep.PRESETS[preset])
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups)
    for g in groups:
        assert json.loads(json.dumps(g.settings, allow_nan=False)) == g.settings
        assert g.settings["part"] == g.setting.split("/")[0] == "training"
        assert len(g.seeds) >= 8


def test_the_tour_is_a_part_of_the_quick_preset_and_quick_of_full_and_each_keeps_its_time():
    """What one preset has computed the larger one takes from the store."""
    tour, quick, full = ({g.key for g in sweep.groups(p, OPTIONS)} for p in ("tour", "quick", "full"))
    assert tour < quick < full
    for preset, most in (("smoke", 3), ("tour", 25), ("quick", 110)):
        assert sum(g.cost for g in sweep.groups(preset, OPTIONS)) < most


def test_checkpoints_and_lags_run_from_the_first_to_the_last_and_hold_the_claims_lag():
    """Update 0 is the start, the last one the end; N15's lag of 100 in 120 steps is 40 in 50."""
    assert sweep.checkpoints(800) == [0, 10, 30, 100, 150, 200, 300, 400, 600, 800]
    assert sweep.checkpoints(7) == [0, 7]
    for T, lag in ((12, 10), (50, 40), (120, 100)):
        assert sweep.ratio_lag(T) == lag and lag in sweep.lags(T)
        assert sweep.lags(T)[:2] == [0, 1] and sweep.lags(T)[-1] == T - 1


# Data


def test_arms_of_one_seed_see_the_same_data_and_no_held_out_sequence_is_trained_on():
    """Streams know the seed, the length and the purpose, not the arm."""
    rnn, lstm = (small(cell) for cell in CELLS)
    for ours, theirs in zip(stream(rnn), stream(lstm), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not overlap(rnn)


def test_streams_that_overlap_are_noticed(monkeypatch):
    """Planted: one stream a seed, whatever it is for."""
    streams = experiment.streams
    monkeypatch.setattr(experiment, "streams", lambda group, purpose: streams(group, "any"))
    assert overlap(small("rnn"))


def stream(group):
    """Training inputs, then the held-out ones."""
    twin = engine(group.engine)
    return [batch.x for batch in experiment.batches(group, twin)] + [experiment.held_out(group)[0]]


def overlap(group):
    """Whether a number of the held-out rows, of any seed, is one that is trained on; the numbers are 53 bits each."""
    *training, held_out = (x[..., 0].ravel() for x in stream(replace(group, dtype="float64")))
    return bool(np.isin(held_out, np.concatenate(training)).any())


# Runs


@pytest.mark.parametrize("cell", CELLS)
def test_a_run_says_what_it_should_and_the_same_twice(cell):
    """One record a seed, checkpoint and metric, and a lag; all finite; the start is named by update 0."""
    group = small(cell)
    records = experiment.run(group, lambda done, total: None)
    assert records == experiment.run(group, lambda done, total: None)
    s, E = group.settings, len(group.seeds)
    gates = ["log10_direct", "log10_direct_best"] if cell == "lstm" else []
    looks, spans = len(s["checkpoints"]), len(s["checkpoints"]) - 1
    counts = dict.fromkeys(["log10_norm", *gates], E * looks * len(s["lags"]))
    counts |= {"loss": E * looks, "norm_median": E * spans, "share_over": E * spans, "norm_max": E * spans}
    counts |= {"exploded_at": E, "not_finite_at": E}
    assert pd.Series([r.metric for r in records]).value_counts().to_dict() == counts
    assert len({r[:5] for r in records}) == len(records) and np.isfinite([r.value for r in records]).all()
    assert {r.setting for r in records if r.metric == "log10_norm"} == {
        f"{group.setting}/update={n}" for n in s["checkpoints"]
    }


@pytest.mark.parametrize("cell", CELLS)
def test_norms_at_the_start_are_those_of_torchs_own_gradient(cell):
    """The rest of the sequence run by torch.nn from the state at a step: autograd by that state, row by row."""
    group, twin = small(cell, NUMPY, dtype="float64"), engine("numpy")
    model, (x, target) = experiment.initial(group, twin), experiment.held_out(group)
    seen = experiment.look(twin, cell, model, x, target)
    for e in range(len(group.seeds)):
        module, head = by_torch(cell, tree_map(lambda a, e=e: a[e], model))
        for lag in (0, 1, 5, len(x) - 1):
            norm, loss = torch_norm(cell, module, head, torch.tensor(x[:, e]), torch.tensor(target[0, e]), lag)
            assert seen.by_lag["log10_norm"][lag, e] == pytest.approx(np.log10(norm), abs=1e-12)
            assert seen.loss[e] == pytest.approx(loss, rel=1e-12)


def by_torch(cell, model):
    """torch.nn's cell and read-out with these parameters."""
    H, D = model.cell.weight_hh.shape[-1], model.cell.weight_ih.shape[-1]
    module, head = getattr(torch.nn, cell.upper())(D, H).double(), torch.nn.Linear(H, 1).double()
    for mine, theirs in zip(leaves(model), (*module.parameters(), *head.parameters()), strict=True):
        theirs.data = torch.tensor(mine)
    return module, head


def torch_norm(cell, module, head, x, target, lag):
    """The root of the mean over rows of the squared gradient of a row's own loss by the state at a lag; the loss."""
    _, state = module(x[: len(x) - lag])
    state = tuple(s.detach().requires_grad_() for s in (state if cell == "lstm" else (state,)))
    h = module(x[len(x) - lag :], state if cell == "lstm" else state[0])[0][-1] if lag else state[0][0]
    losses = ((head(h) - target) ** 2)[:, 0]
    by_state = torch.autograd.grad(losses.sum(), state, allow_unused=True)
    square = sum((d[0] ** 2).sum(-1) for d in by_state if d is not None)
    return float(square.mean().sqrt()), float(losses.detach().mean())


@pytest.mark.parametrize("name", ["fast", "compiled", "torch"])
@pytest.mark.parametrize("cell", CELLS)
def test_every_engine_sees_the_same_at_the_start(cell, name):
    """Each engine's look at the untrained models agrees with that of NumPy's plain form, in float64."""
    looks = []
    for twin in (engine("numpy"), engine(name)):
        group = small(cell)
        looks.append(experiment.look(twin, cell, experiment.initial(group, twin), *experiment.held_out(group)))
    for metric, curve in looks[0].by_lag.items():
        np.testing.assert_allclose(looks[1].by_lag[metric], curve, rtol=0, atol=1e-11)
    np.testing.assert_allclose(looks[1].loss, looks[0].loss, rtol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_at_the_last_step_the_norm_is_twice_the_root_of_the_loss_times_that_of_the_readout(cell):
    """d (y - target)^2 / d h_T = 2 (y - target) W_hy, row by row."""
    group, twin = small(cell, NUMPY, dtype="float64"), engine("numpy")
    model = experiment.initial(group, twin)
    seen = experiment.look(twin, cell, model, *experiment.held_out(group))
    norm = 2 * np.sqrt(seen.loss) * np.linalg.norm(model.head.weight_hy[:, 0], axis=-1)
    np.testing.assert_allclose(seen.by_lag["log10_norm"][0], np.log10(norm), rtol=0, atol=1e-13)


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("cell", CELLS)
def test_recorded_norms_are_those_before_clipping_and_clipping_leaves_the_smaller_of_norm_and_limit(cell, clip):
    """Update by update: the recorded norm is that of the gradient; what goes to Adam has norm min(norm, 1), or all."""
    group, twin = small(cell, NUMPY, clip, dtype="float64", updates=4), engine("numpy")
    group.settings["checkpoints"] = [0, 1, 2, 3, 4]
    records = experiment.run(group, lambda done, total: None)
    recorded = {(r.index, r.seed): r.value for r in records if r.metric == "norm_median"}
    model, memory, sizes = experiment.initial(group, twin), None, []
    for n, batch in enumerate(experiment.batches(group, twin), 1):
        _, gradient, _ = loss_and_gradient(twin, cell, "squared_error", model, Batch(batch.x, batch.target))
        norm, (limited, _) = norm_of(gradient), clipped(twin, gradient, clip)
        np.testing.assert_allclose([recorded[n, seed] for seed in group.seeds], norm, rtol=1e-13)
        np.testing.assert_allclose(norm_of(limited), norm if clip is None else np.minimum(norm, clip), rtol=1e-13)
        same = [(a == b).all() for a, b in zip(leaves(limited), leaves(gradient), strict=True)]
        assert all(same) == (clip is None or (norm <= clip).all())
        memory = memory or twin.optim.adam_start(model)
        model, memory = twin.optim.adam(model, limited, memory, group.settings["lr"])
        sizes += [*norm]
    assert max(sizes) > 1  # the limit is reached, so that the test asks for it


def norm_of(gradient):
    """Each model's Euclidean norm."""
    return np.sqrt(sum((d.reshape(len(d), -1) ** 2).sum(-1) for d in leaves(gradient)))


def test_a_run_that_diverges_is_recorded_as_such_and_warns_of_nothing():
    """At a rate of 1e30 the loss overflows: the first such update, an exploded gradient, losses that are no numbers."""
    group = small("rnn", updates=12)
    group.settings["lr"] = 1e30
    records = experiment.run(group, lambda done, total: None)
    values = {metric: [r.value for r in records if r.metric == metric] for metric in ("not_finite_at", "exploded_at")}
    assert min(values["not_finite_at"]) >= 2 and min(values["exploded_at"]) >= 2
    last = [r.value for r in records if r.metric == "loss" and r.index == 12]
    assert not np.isfinite(last).any()
    assert {r.value for r in records if r.metric == "norm_max" and r.index == 12} == {np.inf}


def test_a_stop_asked_for_at_a_checkpoint_ends_the_run():
    """Whatever `checkpoint` raises comes through: nothing is returned half-done."""

    class Asked(Exception):
        pass

    def stop(done, total):
        if done == 10:
            raise Asked

    with pytest.raises(Asked):
        experiment.run(small("rnn", updates=12), stop)


# The form at the start


@pytest.mark.parametrize("T", [11, 50])
def test_the_inputs_have_the_moments_that_the_form_takes(T):
    """E |x|^2 over rows and steps within five standard errors; |E x|^2 as near as 20,000 rows tell a mean, .003."""
    x, _ = adding.draw(draw.generator("moments", T), T, 20_000)
    lasting, new = predictions.inputs(T)
    square = (x**2).sum((0, 2)) / T
    assert abs(square.mean() - lasting - new) < 5 * square.std() / np.sqrt(len(square))
    assert (x.mean((0, 1)) ** 2).sum() == pytest.approx(lasting, abs=3e-3)


SCALE = 20.0


@pytest.mark.parametrize("arm", ["rnn_torch", "rnn_orthogonal", "lstm_torch", "lstm_b1"])
def test_the_form_holds_at_width_400_and_inputs_of_another_size_lie_outside(arm):
    """The mean over seeds of the squared ratio over the form is 1 within five standard errors; over a wrong form not.

    So is that of the log of the forget gates' product.

    At this width the task's own inputs hardly drive a cell, so they are scaled by 20. Planted: the inputs unscaled.
    """
    group = sweep.group(Run(arm, 1e-2, None), Length(16, 1, 12, ()), OPTIONS)
    group.settings.update(H=400, held_out=8)
    twin, (x, target), lag = engine("fast"), experiment.held_out(group), 8
    start, model = ARMS[arm], experiment.initial(group, twin)
    seen = experiment.look(twin, start.cell, model, SCALE * x, target).by_lag
    square = 100 ** (seen["log10_norm"][lag] - seen["log10_norm"][0])
    right, wrong = Inputs(*(SCALE**2 * part for part in predictions.inputs(16))), predictions.inputs(16)
    for given, inside in ((right, True), (wrong, False)):
        z = z_score(square / 100 ** predictions.log10_norm(start, 400, 16, given)[lag])
        assert (abs(z) < 5) == inside
        if start.cell == "lstm":
            z = z_score(seen["log10_direct"][lag], predictions.log10_direct(start, 400, 16, given)[lag])
            assert (abs(z) < 5) == inside


def z_score(values, truth=1.0):
    """How many standard errors of their mean the values lie from the truth."""
    return (values.mean() - truth) / (values.std(ddof=1) / np.sqrt(len(values)))


# What is read from the records


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """Records of the smoke preset, written and read back."""
    path = tmp_path_factory.mktemp("records") / "results.csv"
    groups = sweep.groups("smoke", OPTIONS)
    path.write_text(to_csv(r for group in groups for r in experiment.run(group, lambda done, total: None)))
    return read_csv(path)


def section_of(frame):
    """The section."""
    with figures.style():
        return analysis.analyse(frame).section


def pictures_of(section):
    """Its figures, drawn."""
    with figures.style():
        drawn = [figures.svg(figure.canvas, figure.name) for figure in section.figures]
    assert all(picture.startswith("<svg") for picture in drawn)
    return drawn


def test_a_report_is_a_function_of_the_records_alone(frame):
    """Twice the same text, tables, pictures and data; the rows' order and other experiments' records change nothing."""
    others = frame.iloc[:50].assign(source="memory", value=1e9)
    a, b = section_of(frame), section_of(pd.concat([others, frame.sample(frac=1, random_state=1)], ignore_index=True))
    assert a.lead == b.lead and [f.title for f in a.figures] == [f.title for f in b.figures]
    assert [t.frame.to_csv() for t in a.tables] == [t.frame.to_csv() for t in b.tables]
    assert [f.data.to_csv() for f in a.figures] == [f.data.to_csv() for f in b.figures]
    assert pictures_of(a) == pictures_of(b)
    assert len(a.figures) == len(a.tables) == 2 and len(a.tables[0].frame) == len(a.tables[1].frame) == 10


def test_a_seed_that_diverged_is_reported_and_not_dropped(frame):
    """Planted: a seed of one run without numbers from update 10 on. It is counted, and the intervals hold it."""
    setting = "training/arm=lstm_b1/lr=0.01/clip=none/T=12"
    mine = frame.setting.str.startswith(setting) & (frame.seed == 3)
    late = frame.setting.str.contains("update=[123]0$") | frame["index"].isin([10, 30]) & (frame.setting == setting)
    planted = frame.assign(value=frame.value.mask(mine & late, np.nan))
    planted.loc[mine & (frame.metric == "not_finite_at"), "value"] = 7.0
    section = section_of(planted)
    assert "LSTM b_f=1, not clipped: 1 of 8" in section.lead
    outcome, reach = (t.frame[(t.frame.run == "LSTM b_f=1")].iloc[1] for t in section.tables)
    assert outcome["diverged"] == "1" and outcome["loss at the end"].endswith("to inf)")
    assert "-inf to +inf" in reach["at the end"] and "inf" not in reach["at the start"]
    assert pictures_of(section)
    rows = section.figures[0].data.query("arm == 'lstm_b1' and clip.isna() and update == 30")
    assert rows.lost.tolist() == [1] and rows.seeds.tolist() == [8]


def test_two_seeds_and_gradients_of_exactly_zero_draw_all_the_same(frame):
    """Fewer than 8 seeds have no interval at 99 %; a vanished norm is minus infinity, and half of them no median."""
    section = section_of(frame[frame.seed < 2])
    assert np.isinf(section.figures[0].data.low).all() and pictures_of(section)
    gone = frame.setting.str.contains("arm=rnn_torch.*update=30") & (frame["index"] == 11) & (frame.seed < 4)
    section = section_of(frame.assign(value=frame.value.mask(gone & (frame.metric == "log10_norm"), -np.inf)))
    assert section.figures[0].data.query("arm == 'rnn_torch' and update == 30")["median"].isna().all()
    assert pictures_of(section)


def test_seeds_that_solve_the_task_are_told_from_those_that_do_not(frame):
    """Planted: three seeds of one run solve it, with the gradient at the first step as large as at the last."""
    mine = frame.setting.str.startswith("training/arm=lstm_chrono/lr=0.01/clip=1/") & (frame.seed < 3)
    last = frame.setting.str.endswith("update=30") & (frame.metric == "log10_norm")
    solved = (frame.metric == "loss") & (frame["index"] == 30)
    best = frame.setting.str.endswith("update=30") & (frame.metric == "log10_direct_best")
    value = frame.value.mask(mine & last, -0.5).mask(mine & solved, 0.001).mask(mine & best, -0.25)
    planted = frame.assign(value=value)
    section = section_of(planted)
    assert "the 3 of 48 LSTMs that solve the task ends at +0.00 to +0.00" in section.figures[0].title
    assert "over 10 steps, in the unit that keeps most, ends at -0.25 to -0.25 decades in the LSTMs" in section.lead
    outcome = section.tables[0].frame.query("run == 'LSTM chrono'").iloc[0]
    assert outcome["solved (< 0.01)"].startswith("3 of 8")


def test_a_norm_beyond_a_hundred_is_counted_with_its_first_update(frame):
    """Planted: two seeds of one run exploded, the first at update 5."""
    mine = (frame.setting == "training/arm=rnn_torch/lr=0.01/clip=none/T=12") & (frame.metric == "exploded_at")
    planted = frame.assign(value=frame.value.mask(mine & (frame.seed < 2), frame.seed + 5.0))
    section = section_of(planted)
    row = section.tables[0].frame.query("run == 'RNN torch' and gradient == 'not clipped'").iloc[0]
    assert row["over 100"].startswith("2 of 8") and row["first at update"] == "5"
    assert "2 of 16 RNNs without" in section.lead


def test_the_runs_are_read_back_in_the_order_of_the_sweep(frame):
    """Arm, rate, clipping and length survive the names of settings."""
    read = [(t.run, t.T) for t in runs.trained(frame)]
    assert read == [(run, length.T) for length in sweep.PRESETS["smoke"] for run in length.runs]


def small(cell, options=OPTIONS, clip=1.0, dtype="float32", updates=12):
    """A small group of one run."""
    group = sweep.group(Run(CELLS[cell], 1e-2, clip), Length(14, updates, 3, ()), options)
    return replace(group, settings=group.settings | {"H": 8, "B": 8, "held_out": 16}, dtype=dtype)
