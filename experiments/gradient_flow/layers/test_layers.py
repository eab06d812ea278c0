"""Gradients by layer and lag in untrained stacks: the sweep, the runs, the forms, and what is read from the records."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.gradient_flow.lags import experiment as one_layer
from experiments.gradient_flow.lags import lstm_field
from experiments.gradient_flow.lags import predictions as one_layer_predictions
from experiments.gradient_flow.layers import analysis, experiment, predictions, sweep
from experiments.gradient_flow.starts import STARTS
from experiments.harness import figures
from experiments.harness.engine import engine
from impl.numpy_twin import stack
from impl.spec import LSTMState, Parameters
from properties.record import parse_setting, read_csv, to_csv

OPTIONS = SimpleNamespace(engine="numpy")
U = np.finfo(float).eps / 2


# The sweep


@pytest.mark.parametrize("preset", tuple(sweep.PRESETS))
def test_a_sweep_holds_every_stack_once_as_plain_data(preset):
    """Each setting is one group with its own name and key; its settings survive JSON unchanged."""
    groups = sweep.groups(preset, OPTIONS)
    widths = sweep.PRESETS[preset].seeds
    assert len(groups) == len(sweep.STACKED) * (len(sweep.DEPTHS) + len(widths) - 1)
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups)
    assert all(json.loads(json.dumps(g.settings)) == g.settings for g in groups)
    assert all(g.setting.startswith(f"layers/cell={g.settings['start']}/layers=") for g in groups)
    assert all(int(parse_setting(g.setting)["layers"]) == g.settings["layers"] for g in groups)


def test_the_tour_is_a_part_of_the_quick_preset_and_quick_of_full_and_both_keep_their_time():
    """What one preset has computed the larger one takes from the store."""
    tour, quick, full = ({g.key for g in sweep.groups(p, OPTIONS)} for p in ("tour", "quick", "full"))
    assert tour < quick < full
    assert sum(g.cost for g in sweep.groups("tour", OPTIONS)) < 8
    assert sum(g.cost for g in sweep.groups("quick", OPTIONS)) < 25


# Runs


@pytest.mark.parametrize("name", ["rnn/start=orthogonal/gain=1", "lstm/start=chrono"])
def test_the_lowest_layer_has_the_one_layers_numbers_and_all_layers_differ(name):
    """Stacks of all depths share their lower layers, x and v; no entry of a weight comes twice."""
    (one, *data), (four, *same) = (experiment.drawn(small(name, layers=layers)) for layers in (1, 4))
    alone, *given = one_layer.drawn(small(name), STARTS[name])
    for a, b in [*zip(one[0], four[0], strict=True), *zip(one[0], alone, strict=True)]:
        np.testing.assert_array_equal(a, b)
    for a, b in [*zip(data, same, strict=True), *zip(data, given, strict=True)]:
        np.testing.assert_array_equal(a, b)
    weights = np.concatenate([layer.weight_hh.ravel() for layer in four])
    assert len(np.unique(weights)) == weights.size
    assert [layer.weight_ih.shape[-1] for layer in four] == [8, 16, 16, 16]


@pytest.mark.parametrize("name", ["rnn/start=torch", "lstm/start=forget_bias/b_f=3"])
def test_a_stack_of_one_layer_is_what_the_part_on_lags_measures(name):
    """The same norms, relative to |v| here and to the last step there, where the gradient is v."""
    ours, theirs = experiment.measure(small(name, layers=1)), one_layer.measure(one_layer.models(small(name))).total
    assert (ours[:, 0] == 0).all()
    np.testing.assert_array_equal(ours[0], theirs - theirs[0])


def test_a_run_gives_every_seed_layer_and_lag_and_is_the_same_twice():
    """Records hold one metric at the kept lags; layer 1 is the lowest, and the top layer's gradient at lag 0 is v."""
    group, marks = small("lstm/start=torch", layers=2), []
    records = experiment.run(group, lambda done, total: marks.append((done, total)))
    assert records == experiment.run(group, lambda done, total: None) and marks == [(1, 1)]
    keys = {(r.setting, r.seed, r.index) for r in records}
    expected = {
        (f"{group.setting}/layer={k}", seed, lag) for k in (1, 2) for seed in group.seeds for lag in sweep.lags(24, 64)
    }
    assert keys == expected and len(records) == len(keys)
    assert {(r.source, r.metric) for r in records} == {("gradient_flow", "log10_norm")}
    assert all((r.value == 0) == r.setting.endswith("layer=2") for r in records if r.index == 0)


def test_a_stop_asked_for_at_a_checkpoint_ends_the_run():
    """Whatever `checkpoint` raises comes through: nothing is returned half-done."""

    class Asked(Exception):
        pass

    def stop(done, total):
        raise Asked

    with pytest.raises(Asked):
        experiment.run(small("rnn/start=torch"), stop)


ROUNDING = 2 * (24 + 3) * 4 * 16 * math.sqrt(4 * 16) * U
"""Of a gradient of 3 layers over 24 steps with H = 16, relative to its norm, and so in log10 too.

A path is at most 24 + 3 products long, forward and back (2). Each sums at most 4 H terms, an error of 4 H u times the
sum of their magnitudes, which exceeds the norm by at most sqrt(4 H)."""


@pytest.mark.parametrize("name", ["rnn/start=torch", "lstm/start=forget_bias/b_f=1"])
def test_every_layers_norm_is_that_of_autograds_gradient_by_the_cells_outputs(name):
    """torch.nn's cells in a plain loop, L differentiated by the h (and c) that each cell hands out at each step."""
    group = small(name, layers=3, seeds=2)
    layers, x, v = experiment.drawn(group)
    got = experiment.measure(group)
    for e in range(2):
        cells = [torch_cell(STARTS[name].cell, Parameters(*(array[e] for array in layer))) for layer in layers]
        expected = autograd_norms(cells, torch.from_numpy(x[:, e]), torch.from_numpy(v[e]))
        np.testing.assert_allclose(got[..., e], expected, rtol=0, atol=ROUNDING)


def torch_cell(cell, params):
    """torch.nn's cell with one model's parameters."""
    made = {"rnn": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell}[cell](
        params.weight_ih.shape[1], params.weight_hh.shape[1], dtype=torch.double
    )
    with torch.no_grad():
        for name, array in zip(params._fields, params, strict=True):
            getattr(made, name).copy_(torch.from_numpy(array))
    return made


def autograd_norms(cells, x, v):
    """log10 of the norms by layer and lag, (layers, T)."""
    states, handed = [None] * len(cells), []
    for x_t in x:
        below = x_t
        for k, cell in enumerate(cells):
            out = cell(below, states[k])
            # torch makes h' of c': the copy of c' is what the next step alone sees, a coordinate of its own
            states[k] = (out[0], out[1].clone()) if isinstance(out, tuple) else out
            handed.append(states[k] if isinstance(out, tuple) else (out,))
            below = handed[-1][0]
    loss, norms = (v * below).sum(), []
    for out in handed[::-1]:
        gradients = torch.autograd.grad(loss, out, retain_graph=True, allow_unused=True)
        norms.append(sum((g**2).sum() for g in gradients if g is not None).sqrt() / v.norm())
    return np.log10(np.reshape(norms, (len(x), len(cells)))).T[::-1]


def test_the_top_layers_norm_is_that_of_the_gradient_by_the_state_from_which_the_rest_of_the_stack_is_run():
    """Cut at a step and carried on from all layers' states there; h_t of a lower layer has also gone up at step t."""
    group = small("lstm/start=torch", layers=3, seeds=2)
    layers, x, v = experiment.drawn(group)
    layers, whole = tuple((params,) for params in layers), experiment.measure(group)[-1]
    for lag in (1, 7):
        first = stack.forward("lstm", layers, x[:-lag])
        rest = stack.forward("lstm", layers, x[-lag:], first.last)
        last = tuple((LSTMState(v if params is layers[-1] else 0 * v, 0 * v),) for params in layers)
        by_state = stack.backward("lstm", layers, rest.cache, dlast=last).state[-1][0]
        norm = np.sqrt((by_state.h**2 + by_state.c**2).sum((-2, -1)) / (v**2).sum((-2, -1)))
        np.testing.assert_allclose(whole[lag], np.log10(norm), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("other", ["fast", "torch"])
@pytest.mark.parametrize("name", ["rnn/start=torch", "lstm/start=chrono"])
def test_every_engine_gives_the_same_records_to_rounding(name, other):
    """The plain form against the fast one and against the other twin."""
    group = small(name, layers=3)
    ours, theirs = (experiment.run(replace(group, engine=form), lambda done, total: None) for form in ("numpy", other))
    assert [r[:5] for r in ours] == [r[:5] for r in theirs]
    np.testing.assert_allclose([r.value for r in ours], [r.value for r in theirs], rtol=0, atol=ROUNDING)


# Against the exact form


@pytest.mark.parametrize("form", ["numpy", "torch"])
def test_with_multiples_of_the_identity_the_norm_counts_the_paths_to_1e_12(form):
    """x = 0 and no biases, so that tanh' = 1; W_hh = g I, upper W_ih = r I: C(lag + depth, depth) g^lag r^depth.

    Every product has one term, every sum of two positive terms is right to u: the norm to (24 + 4) 3 u. A count of
    paths that is wrong, with one step or one layer fewer, is seen.
    """
    H, T, L, g, r = 8, 24, 4, 0.9, 1.3
    zero, identity = np.zeros((2, H)), np.broadcast_to(np.eye(H), (2, H, H))
    layers = (Parameters(np.zeros((2, H, 8)), g * identity, zero, zero),)
    layers += (Parameters(r * identity, g * identity, zero, zero),) * (L - 1)
    v = np.random.default_rng(0).normal(size=(2, 1, H))
    twin = engine(form)
    got = experiment.by_layer(twin, "rnn", *twin.asarray((layers, np.zeros((T, 2, 1, 8)), v), "float64"))
    lag, depth = np.arange(T), L - 1 - np.arange(L)[:, None]
    paths = np.array([[math.comb(n + j, j) for n in range(T)] for j in depth[:, 0]])
    exact = np.log10(paths) + lag * math.log10(g) + depth * math.log10(r)
    assert abs(got - exact[..., None]).max() < 1e-12
    wrong = np.array([[math.comb(max(n + j - 1, 0), j) or 1 for n in range(T)] for j in depth[:, 0]])
    assert abs(got - (exact + np.log10(wrong / paths))[..., None]).max() > 0.01


# Against the forms for large H


def test_the_form_of_one_layer_is_that_of_the_part_on_lags():
    """The RNN's to rounding; the LSTM's where chrono's time scales are averaged by another rule to .001 decade."""
    for start in sweep.STACKED:
        ours, theirs = (
            predictions.log10_norm(start, 8, 64, 24, 1)[0],
            one_layer_predictions.log10_norm(start, 8, 64, 24),
        )
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3 if start.kind == "chrono" else 1e-12)


def test_without_squashing_the_rnns_squares_count_the_paths():
    """At chi = 1 each of the C(lag + depth, depth) words adds g^(2 lag) 3^-depth."""
    got = predictions.rnn_squares(0.9, np.ones((4, 30)))
    exact = [[math.comb(n + j, j) * 0.81**n / 3**j for n in range(30)] for j in (3, 2, 1, 0)]
    np.testing.assert_allclose(got, exact, rtol=1e-13)


CHECKED = tuple(start.setting for start in sweep.STACKED)


@pytest.mark.parametrize("name", CHECKED)
def test_the_mean_field_holds_at_width_256_and_sees_what_is_planted(name):
    """In the lower of two layers: mean over seeds of the squared ratio over the form 1 within five standard errors.

    As for one layer, the form speaks of the mean square and errs by a relative order of 1/H a step. Planted: no way
    down other than at the last step; and the gain 10 % off or the forget bias .3.
    """
    start, lag, T, H = STARTS[name], 8, 12, 256
    group = sweep.group(start, 2, H, T, 12, SimpleNamespace(engine="fast"))
    group.settings["B"] = 8
    square = 100 ** experiment.measure(group)[0, lag]
    kind, value = ("orthogonal", 1.1 * start.gain) if start.cell == "rnn" else ("forget_bias", start.value + 0.3)
    off = 100 ** predictions.log10_norm(start._replace(kind=kind, value=value), 8, H, T, 2)[0, lag]
    assert abs(z_score(square / 100 ** predictions.log10_norm(start, 8, H, T, 2)[0, lag])) < 5
    assert abs(z_score(square / off)) > 5
    assert abs(z_score(square / one_way(start, H, T, lag))) > 5


def one_way(start, H, T, lag):
    """The lower layer's square where the gradient comes down at the last step alone."""
    if start.cell == "rnn":
        lower, upper = predictions.rnn_slopes(start.gain, 8, H, T, 2)[:, ::-1]
        return upper[0] / 3 * np.prod(start.gain**2 * lower[:lag])
    lower, upper = lstm_field.fields(start, 8, H, T, 2)
    down = np.zeros((T + 1, T + 1))
    down[0, 0] = 1.0
    down[0, 0] = lstm_field.through(upper, down)[1][0, 0]
    return lstm_field.through(lower, down)[0][lag]


# What is read from the records


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """Records of the smoke preset, and of one width more, written and read back."""
    path = tmp_path_factory.mktemp("records") / "results.csv"
    wider = [sweep.group(start, 4, 32, 24, 8, OPTIONS) for start in sweep.STACKED]
    groups = [*sweep.groups("smoke", OPTIONS), *wider]
    path.write_text(to_csv(r for group in groups for r in experiment.run(group, lambda done, total: None)))
    return read_csv(path)


@pytest.fixture(scope="module")
def mixed(frame):
    """The same rows in another order, among records of other experiments and parts."""
    others = frame.iloc[:50].assign(value=1e9)
    parts = [others.assign(source="memory"), others.assign(setting="lstm/start=torch")]
    return pd.concat([frame.sample(frac=1, random_state=1), *parts], ignore_index=True)


@pytest.mark.slow
def test_pictures_are_a_function_of_the_records_alone(frame, mixed):
    """Rows in another order, and records of other experiments and parts, change no byte of a picture."""
    with figures.style():
        sections = [analysis.analyse(some).section for some in (frame, mixed)]
        for one, two in zip(*(section.figures for section in sections), strict=True):
            assert figures.svg(one.canvas, one.name) == figures.svg(two.canvas, two.name)


def test_a_report_is_a_function_of_the_records_alone(frame, mixed):
    """Rows in another order, and records of other experiments and parts, change neither text, tables nor data."""
    with figures.style():
        a, b = (analysis.analyse(some) for some in (frame, mixed))
        assert a.settings == b.settings and a.section.lead == b.section.lead
        for one, two in zip(a.section.figures, b.section.figures, strict=True):
            assert (one.title, one.alt, one.data.to_csv()) == (two.title, two.alt, two.data.to_csv())
    assert [t.frame.to_csv() for t in a.section.tables] == [t.frame.to_csv() for t in b.section.tables]
    assert [f.name for f in a.section.figures] == ["rnn_by_layer", "lstm_by_layer", "by_depth"]
    assert [t.name for t in a.section.tables] == ["layers", "layers_width"]


def test_the_table_and_the_title_say_what_was_planted(frame):
    """One start's lowest layer set to a value at the far lag: the row, the title and the lead hold it."""
    planted = frame.setting.eq("layers/cell=lstm/start=chrono/layers=4/layer=1") & frame["index"].eq(23)
    table = analysis.curves(frame.assign(value=frame.value.mask(planted, 7.25)))
    row = analysis.depth_table(table).frame.set_index(["start", "layers"]).loc[("LSTM chrono", 4)]
    assert row["at lag 23"] == "+7.25 (+7.25 to +7.25)"
    assert "LSTM chrono lies surely higher" in analysis.lead(table)
    deep = analysis.deepest(table)
    assert "to +7.25 (LSTM chrono)" in analysis.layers_title(deep[deep.cell == "lstm"], "lstm")


def test_few_seeds_and_a_vanished_gradient_draw_all_the_same(frame):
    """Two seeds leave intervals open; norms that underflowed in most seeds have the median -inf and end their line."""
    gone = frame.setting.str.startswith("layers/cell=rnn/start=torch") & (frame["index"] > 5) & (frame.seed < 6)
    zeroed = frame.assign(value=frame.value.mask(gone, -np.inf))
    for some, column in ((frame[frame.seed < 2], "low"), (zeroed, "median")):
        with figures.style():
            section = analysis.analyse(some).section
            assert all(figures.svg(figure.canvas, figure.name).startswith("<svg") for figure in section.figures)
        assert np.isneginf(section.figures[0].data[column]).any()


def small(name, layers=2, seeds=3):
    """A small group of one start, 24 steps of 16 units."""
    group = sweep.group(STARTS[name], layers, sweep.H, 24, seeds, OPTIONS)
    return replace(group, settings=group.settings | {"H": 16})


def z_score(values):
    """How many standard errors of their mean the values lie from 1."""
    return (values.mean() - 1) / (values.std(ddof=1) / np.sqrt(len(values)))
