"""Time scales of units: what is measured, its closed form, the runs, and what is read from the records."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments import claims
from experiments.harness import arms, testing
from experiments.harness.engine import engine
from experiments.memory import learning
from experiments.memory.scales import experiment, predictions, sweep
from experiments.memory.scales.experiment import Look, by_delay, octaves, spread, time_scales
from experiments.memory.scales.sweep import CLAIM, STARTS, Case
from experiments.tasks import mixed_latch
from impl import draw
from impl.spec import block, tree_map

OPTIONS = SimpleNamespace(engine="fast")
TWIN = engine("numpy")


# The sweep


@pytest.mark.parametrize("preset", tuple(sweep.PRESETS))
def test_a_sweep_holds_every_case_once_as_plain_data(preset):
    """Each setting is one group with its own name and key; JSON changes no setting; one of them is the claim's."""
    groups = sweep.groups(preset, OPTIONS)
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups)
    for g in groups:
        assert json.loads(json.dumps(g.settings, allow_nan=False)) == g.settings
        assert g.setting.split("/")[0] == "latch_mixed" and len(g.seeds) >= 8
        assert g.settings["looks"][0] == 0 and g.settings["looks"][-1] == g.settings["updates"]
    assert [g.settings["arm"] for g in groups if g.setting == CLAIM] == ["lstm_b1"]


def test_quick_is_a_part_of_full_and_each_preset_keeps_its_time():
    """What the smaller preset has computed the larger one takes from the store."""
    quick, full = ({g.key for g in sweep.groups(p, OPTIONS)} for p in ("quick", "full"))
    assert quick < full
    for preset, most in (("smoke", 1), ("tour", 5), ("quick", 40), ("full", 500)):
        assert sum(g.cost for g in sweep.groups(preset, OPTIONS)) < most


# Time scales


@pytest.mark.parametrize("tau", [0.3, 3.0, 80.0, 1e6])
def test_a_gate_that_stands_still_has_the_time_scale_that_it_was_made_for(tau):
    """f = exp(-1/tau) at every step, rows of all lengths."""
    f, lengths = np.full((12, 2, 5, 3), np.exp(-1 / tau)), np.array([[1, 2, 7, 12, 12], [12, 3, 3, 1, 9]])
    np.testing.assert_allclose(time_scales(f, lengths), tau, rtol=1e-9)  # 1 - f carries eps * tau


def test_a_gate_that_moves_counts_by_the_mean_of_its_logarithm_over_all_steps_that_run():
    """Two rows of 1 and 3 steps: the mean is over 4 steps, not over rows first. Planted: padding that is counted."""
    f, lengths = np.full((5, 1, 2, 1), 0.9), np.array([[1, 3]])
    f[0, 0, 0], f[:3, 0, 1, 0] = 0.5, [0.25, 0.5, 1.0]
    want = -4 / np.log(0.5 * 0.25 * 0.5)
    assert time_scales(f, lengths) == pytest.approx(want, rel=1e-14)
    assert time_scales(f, np.array([[5, 5]])) != pytest.approx(want, rel=0.01)
    f[1:, 0, 0], f[3:, 0, 1] = 0.0, np.nan
    assert time_scales(f, lengths) == pytest.approx(want, rel=1e-14)


def test_a_gate_that_never_closes_has_no_end():
    """f = 1 at every step."""
    assert time_scales(np.ones((3, 1, 2, 1)), np.array([[3, 2]])) == np.inf


def test_a_look_takes_the_forget_gate_and_no_other_in_float64():
    """Weights of zero, biases of their own in each gate: -1 / ln sigma(b_f), unit by unit, also where float32 ends."""
    group = small("bf1")
    biases = np.tile([-2.0, 0.0, 1.0, 12.0], (len(group.seeds), 1))
    seen = experiment.look(TWIN, *made(group, biases))
    np.testing.assert_allclose(seen.scales, predictions.time_scale(biases), rtol=1e-6)


def made(group, biases):
    """A group of LSTMs whose gates stand at their biases, 0.5 everywhere but in f, and its held-out rows."""
    model = learning.initial(group, TWIN)
    cell = tree_map(lambda a: 0 * a, model.cell)
    cell.bias_ih[:] = 0.5
    cell.bias_ih[:, block("lstm", "f", 4)] = biases
    return model._replace(cell=cell), learning.held_out(group)


def test_the_spread_is_the_long_end_over_the_short_end():
    """Of 1..11 the 10 and 90 % quantiles are 2 and 10, in any order of units. Planted: upside down, or the range."""
    scales = np.stack([np.arange(1.0, 12), 7.0 * np.arange(11.0, 0, -1)])
    np.testing.assert_allclose(spread(scales), 5.0)
    assert (abs(np.array([1 / 5, 11.0])[:, None] - spread(scales)) > 1).all()
    np.testing.assert_array_equal(spread(np.full((2, 8), 3.19)), 1.0)


def test_n16_is_the_spread_after_over_the_spread_before():
    """Made looks: 1 before, 5 after, so 5, and 1/5 if they are exchanged."""
    group = small("bf1")
    E, N = len(group.seeds), 6
    rows, delays = np.ones((E, N)), np.tile([5, 6, 10, 11, 12, 13], (E, 1))
    narrow, broad = (Look(np.tile(a, (E, 1)), rows, rows) for a in (np.ones(11), np.arange(1.0, 12)))
    for before, after, want in ((narrow, broad, 5.0), (broad, narrow, 0.2)):
        found = [*experiment.records(group, {0: before, 9: after}, delays)]
        assert [r.value for r in found if r.metric == "N16"] == pytest.approx([want] * E)


# Delays


def test_classes_of_delays_double_and_the_last_goes_to_the_end():
    """Every delay has a class; no class is half empty at the end."""
    assert octaves(80) == [5, 10, 20, 40] and octaves(20) == [5, 10] and octaves(5) == [5] and octaves(200)[-1] == 80
    values = np.arange(8.0)[None]
    delays = np.array([[5, 9, 10, 19, 20, 39, 40, 80]])
    assert [(n, v.item()) for n, v in by_delay(values, delays, 80)] == [(5, 0.5), (10, 2.5), (20, 4.5), (40, 6.5)]


def test_the_loss_by_row_adds_up_to_the_twins_and_only_the_last_step_of_a_row_counts():
    """The sum over rows is the twin's masked loss; other steps' outputs may be anything."""
    asked = learning.held_out(replace(small("bf1"), dtype="float64"))
    y = np.random.default_rng(1).normal(0, 3, asked.target.shape)
    rows = experiment.loss(y, asked)
    np.testing.assert_allclose(rows.sum(-1), TWIN.loss.logistic(y, asked.target, asked.mask)[0], rtol=1e-13)
    elsewhere = np.where(asked.mask[..., None], y, 1e3)
    np.testing.assert_array_equal(experiment.loss(elsewhere, asked), rows)


# The closed form


@pytest.mark.parametrize("start", STARTS)
def test_the_closed_form_has_the_quantiles_of_drawn_biases(start):
    """500 units: at 10, 50 and 90 % the share below the form is within five standard deviations."""
    model = arms.model(STARTS[start], ("memory", "mixed_latch", 80, 3), 80, 1, 1, 500).cell
    H = model.weight_hh.shape[-1]
    bias = (model.bias_ih + model.bias_hh)[block("lstm", "f", H)]
    scales = predictions.time_scale(bias)
    for share in (0.1, 0.5, 0.9):
        tau = predictions.quantile(start, share, H, 80)
        if start in predictions.BIASES:
            np.testing.assert_allclose(scales, tau, rtol=1e-14)
        else:
            assert abs((scales < tau).mean() - share) < 5 * np.sqrt(share * (1 - share) / H)


def test_a_forget_bias_of_one_keeps_for_three_steps():
    """-1 / ln sigma(1) = 3.19."""
    assert predictions.time_scale(1.0) == pytest.approx(-1 / np.log(1 / (1 + np.exp(-1))), rel=1e-14)
    assert predictions.time_scale(1.0) == pytest.approx(3.19, abs=5e-3)
    assert predictions.spread("bf1", 16, 80) == 1 and predictions.spread("chrono", 16, 80) > 8


@pytest.mark.parametrize("H", [8, 32])
def test_quantiles_over_few_units_lie_nearer_to_the_middle(H):
    """Of uniform numbers: the mean over 20,000 models of the 10 % and 90 % quantile is the share that is said."""
    drawn = draw.generator("test", "quantiles", H).uniform(size=(20_000, H))
    for share in (0.1, 0.9):
        assert np.quantile(drawn, share, axis=1).mean() == pytest.approx(predictions.inner(share, H), abs=4e-3)
    assert predictions.inner(0.1, 10**6) == pytest.approx(0.1, abs=1e-5)


# Runs


def test_a_run_says_what_it_should_and_the_same_twice():
    """N16 is the quotient of the recorded spreads, and those are of the recorded time scales."""
    group = small("torch")
    records = experiment.run(group, lambda done, total: None)
    assert records == experiment.run(group, lambda done, total: None)
    assert len({r[:5] for r in records}) == len(records) and np.isfinite([r.value for r in records]).all()
    frame = pd.DataFrame(records)
    once = frame[frame.setting == group.setting]
    spreads = once[once.metric == "spread"].pivot(index="seed", columns="index", values="value")
    last = group.settings["updates"]
    np.testing.assert_array_equal(once[once.metric == "N16"].value, spreads[last] / spreads[0])
    for n in (0, last):
        at = frame[(frame.setting == f"{group.setting}/update={n}") & (frame.metric == "time_scale")]
        scales = at.pivot(index="seed", columns="index", values="value").to_numpy()
        np.testing.assert_allclose(spread(scales), spreads[n], rtol=1e-14)


def test_a_run_starts_where_its_arm_does_and_learns():
    """At update 0 the time scales with b_f = 1 lie about 3.19; the loss after 60 updates at delays to 8 is lower."""
    group = small("bf1")
    group.settings.update(updates=60, looks=[0, 60], length=8, H=8, B=16)
    frame = pd.DataFrame(experiment.run(group, lambda done, total: None))
    at = [frame[frame.setting == f"{group.setting}/update={n}"] for n in (0, 60)]
    assert at[0][at[0].metric == "time_scale"].value.median() == pytest.approx(3.19, rel=0.1)
    start, end = (some[some.metric == "loss"].value.median() for some in at)
    assert end < 0.9 * start


def small(start):
    """A small group of one start."""
    group = sweep.group(Case(start, 3, H=4, updates=4, longest=20), OPTIONS)
    return replace(group, settings=group.settings | {"held_out": 64, "B": 4})


# The section


PART = "experiments.memory.scales"
section_of = partial(testing.section_of, PART)


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """Records of the smoke preset, written and read back."""
    return testing.smoke(PART, tmp_path_factory.mktemp("records"), OPTIONS)


def test_a_section_is_a_function_of_the_records_alone(frame):
    """The rows' order and other experiments' records change nothing."""
    a = testing.assert_of_records_alone(PART, frame)
    assert a.tables[0].frame.start.tolist() == ["b_f=1", "torch", "b_f=3", "chrono"]
    assert "no start answers more than 99%" in a.lead


def test_a_closed_form_for_many_units_is_said_to_be_one(frame):
    """In the table, in the figure and in words, for the starts whose units differ; not where none does."""
    section = section_of(frame)
    assert "spread at the start, closed form for many units" in section.tables[0].frame
    assert "closed form for many units" in section.figures[0].alt
    few = "(torch and chrono) the 10 % and 90 % quantiles lie nearer to the middle"
    assert few in section.lead
    alike = section_of(frame[~frame.setting.str.contains("torch|chrono")])
    assert "many units: of few" not in alike.lead


def test_a_bit_that_is_held_with_short_time_scales_is_said_to_be_held_otherwise(frame):
    """Planted: every row right at the end with time scales of 2 steps."""
    last = frame.setting.eq(CLAIM) & (frame["index"] == 6)
    after = frame.setting.eq(f"{CLAIM}/update=6")
    value = frame.value.mask(last & (frame.metric == "accuracy"), 1.0).mask(after & (frame.metric == "time_scale"), 2.0)
    lead = section_of(frame.assign(value=value)).lead
    assert "with b_f=1, 100.0% of held-out rows" in lead and "longest time scale is 2 (2 to 2) steps" in lead


def test_a_spread_that_grows_tenfold_is_told_and_the_claim_reads_it(frame):
    """Planted: N16 = 10 in every seed of the claim; the title counts it, the verdict takes its median."""
    planted = frame.assign(value=frame.value.mask(frame.setting.eq(CLAIM) & frame.metric.eq("N16"), 10.0))
    section = section_of(planted)
    assert "is multiplied by 10 (10 to 10)" in section.lead and "10 (b_f=1)" in section.figures[1].title
    verdict = claims.verdict(claims.CLAIMS["N16"], planted)
    assert (verdict.effect, verdict.seeds) == (10.0, 8)


def test_a_title_takes_its_factors_from_settings_that_are_spread_beyond_doubt(frame):
    """Planted: the least and the largest median are of settings of which one seed in eight is not spread at all."""
    start = frame.setting.str.extract(r"start=(\w+)")[0].where(frame.metric.eq("N16"))
    value = start.map({"bf1": 1.2, "torch": 2.0, "bf3": 4.0, "chrono": 9.0}).fillna(frame.value)
    for unsure, of in (
        (["bf1", "chrono"], "2 of 4 settings (99 % interval above 1), by a factor from 2 (torch) to 4 (b_f=3)"),
        (["bf1", "bf3", "chrono"], "1 of 4 settings (99 % interval above 1), by a factor of 2 (torch)"),
        ([*STARTS], "0 of 4 settings (99 % interval above 1)"),
    ):
        planted = value.mask(start.isin(unsure) & (frame.seed == 0), 0.5)
        assert section_of(frame.assign(value=planted)).figures[1].title.endswith(f"at {of}")


def test_an_infinite_time_scale_and_few_seeds_are_drawn_all_the_same(frame):
    """A unit whose gate never closes in one seed; fewer than 8 seeds reach no 99 %."""
    gone = frame.setting.eq(f"{CLAIM}/update=6") & frame.metric.eq("time_scale") & (frame.seed == 1)
    section_of(frame.assign(value=frame.value.mask(gone & (frame["index"] == 3), np.inf)), drawn=True)
    assert np.isinf(section_of(frame[frame.seed < 2], drawn=True).figures[0].data.low).all()


def test_mixed_delays_are_registered_as_a_task():
    """Under the name that groups carry."""
    assert learning.TASKS[small("bf1").settings["task"]] is mixed_latch
