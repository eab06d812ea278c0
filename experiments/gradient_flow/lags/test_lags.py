"""The gradient_flow experiment: its sweep, its starts, its runs, and what is read from its records."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import claims
from experiments.gradient_flow.lags import analysis, experiment, predictions, sweep
from experiments.gradient_flow.starts import BIASES, CELL_ALONE, EXACT, MEASURED, STARTS, parameters
from experiments.harness import figures
from impl.numpy_twin import scan
from impl.spec import LSTMState, block, tree_map
from properties.record import read_csv, to_csv

OPTIONS = SimpleNamespace(engine="numpy")
U = np.finfo(float).eps / 2


# The sweep


@pytest.mark.parametrize("preset", tuple(sweep.PRESETS))
def test_a_sweep_holds_every_start_at_every_width_once_as_plain_data(preset):
    """Each setting is one group with its own name and key; its settings survive JSON unchanged."""
    groups = sweep.groups(preset, OPTIONS)
    widths = sweep.PRESETS[preset].seeds
    assert len(groups) == len(widths) * len(MEASURED) + len(EXACT) + len(CELL_ALONE)
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups)
    assert all(json.loads(json.dumps(g.settings)) == g.settings for g in groups)
    assert all(analysis.width_of(g.setting) == g.settings["H"] for g in groups)
    assert all(analysis.start_of(g.setting).setting == g.settings["start"] for g in groups)


def test_the_tour_is_a_part_of_the_quick_preset_and_quick_of_full_and_both_keep_their_time():
    """What one preset has computed the larger one takes from the store; quick stays under four minutes on two cores."""
    tour, quick, full = ({g.key for g in sweep.groups(p, OPTIONS)} for p in ("tour", "quick", "full"))
    assert tour < quick < full
    assert sum(g.cost for g in sweep.groups("tour", OPTIONS)) < 60
    assert sum(g.cost for g in sweep.groups("quick", OPTIONS)) < 480


@pytest.mark.parametrize("width", [sweep.H, 256])
def test_kept_lags_rise_from_the_last_step_to_the_first_and_hold_the_claims_lag(width):
    """Lag 0 makes norms relative, T - 1 tells the analysis T, and N15 asks for lag 100 in 120 steps."""
    lags = sweep.lags(120, width)
    assert lags == sorted(set(lags)) and lags[0] == 0 and lags[-1] == 119 and sweep.LAG in lags
    assert sweep.lags(24, width)[-1] == 23


# Starts


@pytest.mark.parametrize("value", [0.0, 1.0, 2.0, 3.0, 5.0])
def test_a_forget_bias_is_exactly_what_its_start_says(value):
    """The two biases of gate f add up to the value, bit for bit."""
    params = parameters(STARTS[f"lstm/start=forget_bias/b_f={value:g}"], 3, 8, 16, 24)
    assert ((params.bias_ih + params.bias_hh)[block("lstm", "f", 16)] == value).all()


def test_starts_of_one_seed_share_data_and_input_weights():
    """The data knows neither cell nor start; a cell's starts differ in what their names say and in nothing else."""
    for cell in ("rnn", "lstm"):
        first, *others = (start for start in MEASURED if start.cell == cell)
        for other in others:
            a, b = (parameters(start, 3, 8, 16, 24) for start in (first, other))
            np.testing.assert_array_equal(a.weight_ih, b.weight_ih)
    rnn, lstm = (small(start) for start in ("rnn/start=torch", "lstm/start=chrono"))
    for a, b in zip(drawn(rnn)[1:], drawn(lstm)[1:], strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(np.unique(drawn(rnn)[1])) == drawn(rnn)[1].size, "two seeds or steps share inputs"


# Runs


def test_the_norm_at_a_lag_is_that_of_the_gradient_by_the_state_from_which_the_rest_is_run():
    """Cut at a step and carried on from the state there, the gradient by (h, c) has the recorded norm."""
    group = small("lstm/start=forget_bias/b_f=1", seeds=2)
    params, x, v = drawn(group)
    whole = paths_of(group)
    for lag in (1, 7, 20):
        first = scan.forward("lstm", params, x[:-lag])
        rest = scan.forward("lstm", params, x[-lag:], first.last)
        by_state = scan.backward("lstm", params, rest.cache, dlast=LSTMState(v, 0 * v)).state
        norm = np.sqrt((by_state.h**2 + by_state.c**2).sum((-2, -1)))
        # the same sums in the same shapes: only log10 and the outer sum round differently
        np.testing.assert_allclose(whole.total[lag], np.log10(norm), rtol=0, atol=100 * U * abs(whole.total).max())


def test_the_direct_path_is_the_product_of_the_last_gates():
    """At lag k the gates of the last k steps and no other."""
    f = np.array([0.1, 0.5, 0.25, 0.8])[:, None, None, None]
    np.testing.assert_allclose(10 ** experiment.direct(f)[:, 0, 0, 0], [1, 0.8, 0.2, 0.1], rtol=8 * U)


def test_norms_far_outside_the_range_of_squares_and_of_nothing_are_right():
    """1e-200 and 1e200 have squares that are none; a gradient of zeros has the norm 10^-inf; inf stays inf."""
    a = np.array([3.0, 4.0])[None, None, None] * np.array([1e-200, 1e200, 0.0, np.inf])[:, None, None, None]
    with np.errstate(invalid="ignore"):
        got = experiment.log10_norm(np.nan_to_num(a, nan=0.0, posinf=np.inf))[:, 0]
    np.testing.assert_allclose(got, [np.log10(5) - 200, np.log10(5) + 200, -np.inf, np.inf], rtol=8 * U)


def test_a_run_gives_every_seed_and_lag_and_is_the_same_twice():
    """Records hold the metrics of the cell at the kept lags; N15 only where the sequence is long enough."""
    marks = []
    for name, at_lags, at_few in (("rnn/start=torch", 1, 1), ("lstm/start=torch", 2, 3)):
        group = small(name)
        records = experiment.run(group, lambda done, total: marks.append((done, total)))
        assert records == experiment.run(group, lambda done, total: None)
        lags, few, without_lag_0 = len(group.settings["lags"]), len(group.settings["few"]), at_few // 3
        assert len(records) == len(group.seeds) * (at_lags * lags + at_few * few - without_lag_0)
    assert marks == [(1, 2), (2, 2)] * 2


def test_the_claims_number_is_the_norm_at_its_lag_over_that_at_the_last_step():
    """One N15 a seed, equal to the difference of the recorded logarithms; isolated starts have none."""
    group = small("lstm/start=torch", T=104, H=8)
    records = experiment.run(group, lambda done, total: None)
    norm = {(r.seed, r.index): r.value for r in records if r.metric == "log10_norm"}
    got = {r.seed: r.value for r in records if r.metric == "N15"}
    assert got == {seed: norm[seed, 100] - norm[seed, 0] for seed in group.seeds}
    isolated = experiment.run(small("lstm/start=forget_bias/b_f=1/weights=zero", T=104), lambda done, total: None)
    assert "N15" not in {r.metric for r in isolated}


def test_a_stop_asked_for_at_a_checkpoint_ends_the_run():
    """Whatever `checkpoint` raises comes through: nothing is returned half-done."""

    class Asked(Exception):
        pass

    def stop(done, total):
        raise Asked

    with pytest.raises(Asked):
        experiment.run(small("rnn/start=torch"), stop)


# Against the exact forms


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("start", EXACT, ids=lambda start: start.setting)
def test_isolated_starts_have_their_exact_form_to_1e_12(start, engine):
    """Orthogonal at tanh' = 1: g^lag; constant gates: sigma(b_f)^lag; and a gain or bias planted wrong is seen.

    A step of the RNN is a product of H = 16 terms with a matrix orthogonal to about H u: its norm is right to 4 H u,
    that of 24 steps to 24 * 64 u = 2e-13, and a decade is 2.3 natural units. The LSTM's step is one product.
    """
    group = replace(small(start.setting, H=16), engine=engine)
    paths = paths_of(group)
    zero = 1 if start.cell == "lstm" else 0
    measured = (paths.total - paths.total[zero])[zero:]
    form = predictions.log10_norm(start, 8, 16, 24)[zero:, None]
    assert abs(measured - form).max() < 1e-12
    wrong = start._replace(value=start.value * 1.01 if start.cell == "rnn" else start.value + 0.01)
    assert abs(measured - predictions.log10_norm(wrong, 8, 16, 24)[zero:, None]).max() > 1e-12
    if start.cell == "lstm":
        gates = paths.gates.mean((-2, -1)) - predictions.log10_direct(start, 8, 16, 24)[:, None]
        assert abs(gates).max() < 1e-12


@pytest.mark.parametrize("start", CELL_ALONE, ids=lambda start: start.setting)
def test_without_recurrent_weights_the_direct_path_is_the_whole_gradient_by_the_cell(start):
    """dL/dc is the product of the gates to 1e-12 decades, though inputs move them; with recurrent weights it is not."""
    assert abs(experiment.over_direct(paths_of(small(start.setting)))[1:]).max() < 1e-12
    coupled = experiment.over_direct(paths_of(small(start._replace(isolated="").setting)))[1:]
    assert abs(coupled[-1]).min() > 1e-3


@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_the_whole_jacobian_of_isolated_units_is_a_power_and_that_of_others_is_autograds(engine):
    """|ds_T/ds_t| = g^lag to 1e-12 decades; elsewhere the largest singular value of what torch differentiates."""
    exact = replace(small("rnn/start=orthogonal/gain=1.5/input=zero"), engine=engine)
    records = experiment.jacobians(exact, experiment.models(exact))
    assert all(abs(r.value - r.index * np.log10(1.5)) < 1e-12 for r in records)
    group = replace(small("lstm/start=torch", T=5, H=4, seeds=1), engine=engine)
    group.settings["few"] = [3]
    params, x, _ = drawn(group)
    cell = torch.nn.LSTM(8, 4).double()
    state = {f"{name}_l0": torch.tensor(a[0]) for name, a in params._asdict().items()}
    cell.load_state_dict(state)
    before = scan.forward("lstm", tree_map(lambda a: a[0], params), x[:2, 0]).last
    given = torch.tensor(np.concatenate([before.h, before.c], -1))[None]

    def last(s):
        return torch.cat(cell(torch.tensor(x[2:, 0]), (s[..., :4].contiguous(), s[..., 4:].contiguous()))[1], -1)

    whole = torch.autograd.functional.jacobian(last, given).reshape(8, 8)
    (got,) = (r.value for r in experiment.jacobians(group, experiment.models(group)) if r.index == 3)
    assert got == pytest.approx(np.log10(np.linalg.norm(whole.numpy(), 2)), abs=1e-12)


# Against the forms for large H

CHECKED = ("rnn/start=gaussian/gain=0.8", "rnn/start=torch", "lstm/start=torch", "lstm/start=forget_bias/b_f=1")


@pytest.mark.parametrize("name", CHECKED)
def test_the_mean_field_holds_at_width_400(name):
    """The mean over seeds of the squared ratio over the form is 1 within five standard errors; over a wrong form not.

    The form speaks of the mean square, which a logarithm would bias, and its own error is of relative order 1/H a step:
    2 % at 8 steps, against a standard error of about as much over 12 seeds of 8 sequences. Planted: the gain 3 % off
    (1.03^16 = 1.6), the forget bias .3 off; for torch's starts gain .6 in place of .577, and forget bias .6.
    """
    start, lag, T = STARTS[name], 8, 16
    group = sweep.group(start, 400, T, 12, OPTIONS)
    group.settings["B"] = 8
    total = paths_of(group).total
    square = 100 ** (total[lag] - total[0])
    wrong = {
        "gaussian": start._replace(value=start.value * 1.03),
        "torch": start._replace(kind="gaussian" if start.cell == "rnn" else "forget_bias", value=0.6),
        "forget_bias": start._replace(value=start.value + 0.3),
    }[start.kind]
    assert abs(z_score(square / 100 ** predictions.log10_norm(start, 8, 400, T)[lag])) < 5
    assert abs(z_score(square / 100 ** predictions.log10_norm(wrong, 8, 400, T)[lag])) > 5


@pytest.mark.parametrize("bias", [1.0, 3.0])
def test_the_direct_path_holds_at_width_400_and_sees_a_bias_off_by_a_hundredth(bias):
    """Mean over units and seeds of the log of the product, against E ln f with the variance of this start."""
    start, lag, T = STARTS[f"lstm/start=forget_bias/b_f={bias:g}"], 10, 12
    group = sweep.group(start, 400, T, 12, OPTIONS)
    group.settings["B"] = 8
    got = paths_of(group).gates.mean((-2, -1))[lag]
    assert abs(z_score(got, predictions.log10_direct(start, 8, 400, T)[lag])) < 5
    off = start._replace(value=bias + 0.01)
    assert abs(z_score(got, predictions.log10_direct(off, 8, 400, T)[lag])) > 5


# What is read from the records


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """Records of every start, long enough for N15, on few seeds and read back from a file."""
    groups = [sweep.group(start, sweep.H, 104, 8, OPTIONS) for start in (*MEASURED, *EXACT, *CELL_ALONE)]
    for group in groups[1 : len(MEASURED)]:
        group.settings["jacobian"] = False  # dear, and only a column of a table
    return stored(groups, tmp_path_factory)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Records of the smoke preset."""
    return stored(sweep.groups("smoke", OPTIONS), tmp_path_factory)


@pytest.mark.parametrize("bias", BIASES)
def test_the_twin_without_weights_has_the_half_life_of_its_bias_to_1e_12(frame, bias):
    """1.00, 2.21, 5.46, 103 at 0, 1, 2, 5; and a bias off by a hundredth is seen."""
    start = STARTS[f"lstm/start=forget_bias/b_f={bias:g}"]
    measured = analysis.isolated_half_life(frame, start)
    assert measured == pytest.approx(predictions.half_life(bias), rel=1e-12)
    assert measured != pytest.approx(predictions.half_life(bias + 0.01), rel=1e-3)


def test_half_lives_at_real_starts_stand_beside_those_at_the_bias(frame):
    """Gates and total, each with its interval; at b_f = 1 that of the gates is the bias's but for their noise, and the
    total one is longer."""
    row = analysis.half_life_table(frame, analysis.curves(frame)).frame.set_index("start").loc["LSTM b_f=1"]
    assert row["closed form at the bias"] == row["twin, no weights"] == "2.21268"
    assert 2.1 < float(row["gates, typical unit"]) < 2.25 < float(row["total, norm"])
    low, high = map(float, row["99 % interval, gates, typical unit"].split(" to "))
    assert low <= float(row["gates, typical unit"]) <= high


def test_a_factor_that_is_taken_once_is_no_half_life(frame):
    """A total that loses .9 of a decade on its way from h into c and nothing from there on never halves; one that
    halves at every other step after that has a half-life of two steps."""
    wanted = (frame.setting == "lstm/start=chrono") & (frame.metric == "log10_norm")
    for loss, said in ((0.0, "never"), (math.log10(2) / 2, "2")):
        lost = 0.9 * (frame["index"] > 0) + loss * (frame["index"] - 1).clip(lower=0)
        planted = frame.assign(value=frame.value.mask(wanted, -lost))
        row = analysis.half_life_table(planted, analysis.curves(planted)).frame.set_index("start").loc["LSTM chrono"]
        assert row["total, norm"] == said and row["99 % interval, total, norm"] in (said, f"{said} to {said}")


def test_what_comes_through_h_is_a_norm_over_a_norm(frame):
    """Gates of most units that keep nothing take their mean log10 down and no norm; a ratio of norms is told as it is,
    and none where its interval reaches 0."""
    torch_, chrono = (frame.setting == f"lstm/start={start}" for start in ("torch", "chrono"))
    value = frame.value.mask(chrono & (frame.metric == "log10_direct"), frame.value - 40)
    over = (torch_ | chrono) & (frame.metric == "log10_over_direct")
    table = analysis.curves(frame.assign(value=value.mask(over, np.where(torch_, 3.25, 0.0))))
    before, after = analysis.path_text(table).split("The direct path in the figure")
    assert "LSTM torch +3.25 (+3.25 to +3.25)" in before and "LSTM chrono +0.00 (+0.00 to +0.00)" in before
    assert "LSTM chrono -4" in after and "LSTM chrono -4" not in before
    assert analysis.lstm_title(table).endswith(
        "along c it would end 3.25 decades lower if the forget gates alone carried it: the rest comes through h"
    )
    assert "through h" not in analysis.lstm_title(
        table.assign(low=table.low.mask(table.metric.str.contains("over"), 0))
    )
    rows = analysis.half_life_table(frame, table).frame.set_index("start")
    own_median = frame[torch_ & (frame.metric == "log10_over_direct") & (frame["index"] == 100)].value.median()
    assert rows.loc["LSTM torch", "through h, along c (decades)"] == f"{own_median:+.2f}"


def test_the_bound_for_units_alone_is_told_with_its_own_misfit(frame):
    """A gain of the identity planted 30 decades off its form, at H and at a width of its own, is in lead and title."""
    at = "rnn/start=identity/gain=2"
    one = frame[(frame.setting == at) & (frame.metric == "log10_norm")]
    planted = [one.assign(setting=f"{at}{wide}", value=one.value + k * (one["index"] > 0)) for wide, k in WIDER]
    rest = frame[~frame.index.isin(one.index)]
    table = analysis.curves(pd.concat([rest, *planted], ignore_index=True))
    ends = table[(table.start == at) & (table.metric == "log10_norm") & (table.lag == 103)].set_index("H")
    text, title = analysis.alone_text(table), analysis.rnn_title(analysis.pick(table, "rnn", "log10_norm"))
    assert f"from {ends.residual[sweep.H]:+.1f} (gain 2) to" in text and "at H = 64 and from" in text
    assert f"to {ends.residual[256]:+.1f} (gain 2) at H = 256" in text and text in analysis.lead(table)
    assert f"behind g 1 within {abs(ends.residual[sweep.H]):.2g} of a bound on what is typical" in title


WIDER = (("", -30.0), ("/H=256", 40.0))
"""Widths as settings carry them, and what is added there."""


def test_a_report_is_a_function_of_the_records_alone(frame):
    """Twice the same text, tables and figures' data; rows in another order change nothing."""
    with figures.style():
        a, b = (analysis.analyse(some).section for some in (frame, frame.sample(frac=1, random_state=1)))
        assert a.lead == b.lead and [f.title for f in a.figures] == [f.title for f in b.figures]
        assert [t.frame.to_csv() for t in a.tables] == [t.frame.to_csv() for t in b.tables]
        assert [f.data.to_csv() for f in a.figures] == [f.data.to_csv() for f in b.figures]
        assert figures.svg(a.figures[-1].canvas, "n15") == figures.svg(b.figures[-1].canvas, "n15")
    assert [f.name for f in a.figures] == ["rnn_by_lag", "lstm_by_lag", "n15"]


def test_a_preset_too_short_for_the_claim_says_so_and_draws_the_rest(smoke):
    """The smoke preset has both figures by lag and no number of N15."""
    with figures.style():
        report = analysis.analyse(smoke).section
        assert all(figures.svg(figure.canvas, figure.name).startswith("<svg") for figure in report.figures)
    assert [figure.name for figure in report.figures] == ["rnn_by_lag", "lstm_by_lag"]
    assert "too short for N15" in report.lead


def test_two_seeds_leave_the_intervals_open_and_draw_all_the_same(smoke):
    """Fewer than 8 seeds have no interval at 99 %."""
    with figures.style():
        report = analysis.analyse(smoke[smoke.seed < 2]).section
        assert all(figures.svg(figure.canvas, figure.name).startswith("<svg") for figure in report.figures)
    assert np.isinf(report.figures[0].data.low).any()


def test_a_vanished_gradient_of_exactly_zero_is_minus_infinity_and_draws_all_the_same(smoke):
    """A norm that underflowed in most seeds has the median -inf; its line ends, the others do not."""
    gone = (smoke.setting == "rnn/start=gaussian/gain=0.5") & (smoke["index"] > 5) & (smoke.seed < 6)
    zeroed = smoke.assign(value=smoke.value.mask(gone, -np.inf))
    with figures.style():
        report = analysis.analyse(zeroed).section
        assert all(figures.svg(figure.canvas, figure.name).startswith("<svg") for figure in report.figures)
    assert (report.figures[0].data["median"] == -np.inf).any()


@pytest.mark.parametrize(
    ("value", "word"), [(-0.5, "kept"), (-2.0, "between"), (-4.0, "vanishes"), (2.0, "between"), (4.0, "explodes")]
)
def test_the_table_says_of_every_start_what_the_rule_would(frame, value, word):
    """N15 planted at a value in all seeds of one start: its row shows the value and where it lies by the thresholds."""
    planted = (frame.setting == "lstm/start=chrono") & (frame.metric == "N15")
    table = analysis.curves(frame.assign(value=frame.value.mask(planted, value)))
    (n15,) = analysis.ratio_tables(table)
    row = n15.frame.set_index("start").loc["LSTM chrono"]
    assert (float(row["median (decades)"]), row["by N15's rule"]) == (value, word)


def test_the_rule_reads_what_the_run_writes(frame):
    """The claim's verdict counts every seed of this experiment's records at torch's default, and no other width's."""
    rule = claims.CLAIMS["N15"]
    stamped = frame.assign(rule=rule.hash)
    wider = stamped[stamped.setting == "lstm/start=torch"].assign(setting="lstm/start=torch/H=256", value=0.0)
    verdict = claims.verdict(rule, pd.concat([stamped, wider], ignore_index=True))
    values = frame[(frame.setting == "lstm/start=torch") & (frame.metric == "N15")].value
    assert (verdict.seeds, verdict.effect, verdict.word) == (8, values.median(), "contradicted")


def test_records_of_other_experiments_are_left_out(frame):
    """A record of another source, even under the same setting, changes nothing."""
    other = frame.iloc[:50].assign(source="memory", value=1e9)
    table = analysis.curves(frame)
    with_others = analysis.curves(pd.concat([frame, other], ignore_index=True))
    assert table.to_csv() == with_others.to_csv()


def small(name, T=24, H=16, seeds=3):
    """A small group of one start."""
    group = sweep.group(STARTS[name], sweep.H, T, seeds, OPTIONS)
    return replace(group, settings=group.settings | {"H": H})


def paths_of(group):
    """What a group's run measures of its paths."""
    return experiment.measure(experiment.models(group))


def drawn(group):
    """What a group computes with."""
    return experiment.drawn(group, STARTS[group.settings["start"]])


def z_score(values, truth=1.0):
    """How many standard errors of their mean the values lie from the truth."""
    return (values.mean() - truth) / (values.std(ddof=1) / np.sqrt(len(values)))


def stored(groups, tmp_path_factory):
    """The groups' records, written and read back."""
    path = tmp_path_factory.mktemp("records") / "results.csv"
    records = [record for group in groups for record in experiment.run(group, lambda done, total: None)]
    path.write_text(to_csv(records))
    return read_csv(path)
