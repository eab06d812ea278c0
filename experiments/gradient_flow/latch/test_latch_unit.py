"""The part "latch": thresholds and slopes against their closed forms, and what a wrong weight does to them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.gradient_flow.findings import own
from experiments.gradient_flow.latch import analysis, experiment, predictions, sweep
from experiments.harness import figures
from experiments.harness.engine import engine
from properties.record import read_csv, to_csv

OPTIONS = SimpleNamespace(engine="fast")
COMMITTED = Path(__file__).parents[3] / "reports" / "gradient_flow" / "results.csv"
FIVE_DIGITS = 5e-6


def test_a_sweep_is_one_group_of_plain_data():
    """The weights are the models of a group."""
    for preset in sweep.STEPS:
        (group,) = sweep.groups(preset, OPTIONS)
        assert json.loads(json.dumps(group.settings)) == group.settings and min(group.settings["weights"]) > 1


@pytest.mark.parametrize("w", [1.05, 1.5, 2.0, 6.0])
def test_the_threshold_is_where_two_states_become_one(w):
    """At the threshold the map touches the diagonal: a fixed point with slope 1, and none a little above."""
    u, h = predictions.threshold(w), -math.sqrt(1 - 1 / w)
    a = math.atanh(h)
    assert w * math.tanh(a) + u == pytest.approx(a, abs=1e-12) and w * (1 - h * h) == pytest.approx(1, abs=1e-12)
    grid = np.linspace(-10, 0, 100001)
    assert (w * np.tanh(grid) + u * 1.001 - grid).min() > 0


def test_a_weight_of_one_keeps_nothing_and_is_refused():
    """By name, with the rule and what came."""
    with pytest.raises(ValueError, match=r"`w` must be above 1.*got 1"):
        predictions.threshold(1.0)


@pytest.mark.parametrize("name", ["numpy", "fast", "torch"])
def test_thresholds_lie_above_the_form_by_what_waiting_adds(name):
    """By bisection on every engine, with few steps: the excess is pi^2 / (b S^2) to a tenth; slopes to 1e-12."""
    (group,) = sweep.groups("smoke", OPTIONS)
    settings = group.settings | {"weights": [1.25, 2.0, 4.0], "steps": 1000, "bisections": 32}
    for r in experiment.run(replace(group, settings=settings, engine=name), lambda *_: None):
        if r.metric == "threshold":
            excess = r.value - predictions.threshold(r.index)
            assert excess == pytest.approx(predictions.lingering(r.index, 1000), rel=0.1)
        if r.metric == "slope":
            assert r.value == pytest.approx(predictions.slope(r.index), abs=1e-12)


def test_a_unit_below_the_threshold_stays_and_above_it_goes_over():
    """A per mille either way decides, and the state goes on from the one before the push."""
    w, push = np.full(2, 2.0), predictions.threshold(2.0) * np.array([0.999, 1.001])
    below, above = experiment.after(engine("fast"), w, push, 2000)
    assert below < -0.5 and above > 0.5


@pytest.fixture(scope="module")
def measured():
    """The committed records of this part."""
    return own(read_csv(COMMITTED), "latch")


def test_the_committed_thresholds_agree_to_five_digits(measured):
    """At every weight."""
    table = analysis.by_weight(measured)
    assert len(table) == len(sweep.WEIGHTS) and (table.relative.abs() < FIVE_DIGITS).all()


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_a_weight_planted_a_hundredth_off_is_outside_of_the_committed_thresholds(measured, factor):
    """At every weight the form for another one is missed by far more than five digits."""
    table = analysis.by_weight(measured)
    for w, found in zip(table.w, table.threshold, strict=True):
        assert abs(found / predictions.threshold(w * factor) - 1) > 100 * FIVE_DIGITS


def test_a_report_is_a_function_of_the_records_alone(tmp_path):
    """Twice the same text and data, rows in any order."""
    (group,) = sweep.groups("smoke", OPTIONS)
    (tmp_path / "results.csv").write_text(to_csv(experiment.run(group, lambda *_: None)))
    frame = read_csv(tmp_path / "results.csv")
    with figures.style():
        a, b = (analysis.analyse(some).section for some in (frame, frame.sample(frac=1, random_state=1)))
        assert a.lead == b.lead and a.tables[0].frame.to_csv() == b.tables[0].frame.to_csv()
        assert figures.svg(a.figures[0].canvas, "latch").startswith("<svg")
