"""The instrument experiment: its sweep, its runs on little, and what is read from its records."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from experiments import claims
from experiments.harness import figures, report
from experiments.harness.executor import InProcess
from experiments.harness.run import compute, stamped
from experiments.harness.store import Store
from experiments.harness.sweep import Options
from experiments.instrument import alarms, analysis, breaks, detection, experiment, kills, planted, sweep
from properties.cases import Plan
from properties.laws import registry
from properties.meta.carrier import Carrier, Fault
from properties.meta.faults import FAULTS
from properties.oracle import Judged
from properties.record import Record, read_csv, to_csv

PLAN = Plan(5, 2, 3, 4, seed=7)
U = np.finfo(np.float64).eps / 2


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The records of the preset smoke, as the store gives them."""
    groups = sweep.groups("smoke", Options())
    with Store(tmp_path_factory.mktemp("store") / "results.sqlite") as store:
        assert compute(groups, store, InProcess(), quiet=True) == len(groups)
        assert compute(groups, store, InProcess(), quiet=True) == 0, "the store has all that it was given"
        return store.records(groups)


def frame_of(records, path):
    """Records as an analysis reads them."""
    path.write_text(to_csv(stamped(records)))
    return read_csv(path)


def claimed(cases=10_000, breaks=0, where="split/subject=numpy_twin/cell=rnn/dtype=float32"):
    """Records of every law that the four claims read, all without a break but the one named."""
    laws = [f"{law}/subject={twin}/cell=lstm/dtype=float32" for law in sweep.LAWS for twin in breaks_of_twins()]
    laws = [law.replace(" ", "_") for law in laws if not law.startswith("value")]
    parts = [f"cell={part}/bias={bias}/dtype=float32" for part in ("rnn", "head") for bias in ("with", "without")]
    laws += [f"value/subject={twin}/{part}" for twin in breaks_of_twins() for part in parts]
    found = [Record("laws", law, 0, "cases", 0, cases) for law in laws]
    found += [Record("laws", law, 0, "breaks", 0, 0) for law in laws]
    return [*found, Record("laws", where, 0, "breaks", 1, breaks)]


def breaks_of_twins():
    """The names of both twins."""
    return tuple(breaks.TWINS)


# The sweep


def test_a_sweep_is_read_without_the_extra_that_the_laws_need():
    """An install without Hypothesis and python-flint lists its experiments and their cost."""
    block = "import sys; sys.modules.update(hypothesis=None, flint=None)\n"
    code = block + "from experiments.instrument import sweep\nprint(len(sweep.groups('quick', None)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=sweep.ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and int(done.stdout) > 60, done.stderr


@pytest.mark.parametrize("document", ["README.md", "properties/README.md"])
def test_documents_say_the_minutes_that_are_predicted(document):
    """Of the quick preset on two cores, as `list --cost` does."""
    text = (sweep.ROOT / document).read_text("utf-8")
    (minutes,) = re.findall(r"run instrument --preset quick`[^`(]*\((\d+) minutes", text)
    cost = sum(group.cost for group in sweep.groups("quick", Options()))
    assert int(minutes) == round(cost / 2 / 60)


@pytest.mark.parametrize("preset", tuple(sweep.PRESETS))
def test_a_sweep_holds_each_group_once_as_plain_data(preset):
    """Settings survive JSON, names and keys are different, and every one has a part that runs it."""
    groups = sweep.groups(preset, Options())
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups)
    assert all(json.loads(json.dumps(g.settings)) == g.settings for g in groups)
    assert {g.setting.split("/")[0] for g in groups} == set(experiment.PARTS)


def test_the_laws_are_found_in_their_files_as_the_registry_has_them():
    """Reading the files without importing them gives the same names."""
    assert list(sweep.laws()) == sorted(registry()) and set(sweep.LAWS) <= set(sweep.laws())


def test_the_profile_is_that_of_the_suite():
    """A run of a planted error has the size of a run in CI."""
    assert hypothesis_settings.get_profile("ci").max_examples == sweep.PROFILE


@pytest.mark.parametrize("law", tuple(sweep.DEMANDED))
@pytest.mark.parametrize("dtype", sweep.DTYPES)
def test_the_ladder_rises_from_the_control_past_the_roundoff_and_holds_what_is_demanded(law, dtype):
    """0, then three a decade, from below the roundoff to ten times the value."""
    ladder = sweep.ladder(dtype)
    assert ladder == sorted(set(ladder)) and ladder[0] == 0 and ladder[1] < np.finfo(dtype).eps / 2
    assert ladder[-1] == 10 and sweep.DEMANDED[law][dtype] in ladder


# Breaks


def test_ten_thousand_cases_are_ten_thousand_of_each_part_that_a_claim_reads():
    """Cases are divided among tests, cells and dtypes; with biases and without each get all of them."""
    for law in ("split", "gates", "untied sum"):
        assert sum(part.cases for part in breaks.parts(law, "", 10_000)) >= 10_000
    for part in ("rnn", "head"):
        found = breaks.parts("value", part, 10_000)
        for bias in ("with", "without"):
            assert sum(one.cases for one in found if f"bias={bias}/" in one.where) == 10_000


def test_every_record_of_a_break_is_read_by_a_claim_or_belongs_to_no_claim():
    """The settings are those that the claims' patterns ask for, on either twin."""
    for law, numbers in (("split", "N2"), ("emission", "N4"), ("stacked", "N11"), ("vjp", "N18"), ("gates", "N8")):
        part = breaks.parts(law, "", 4)[0]
        for record in breaks.records(law, part, {twin: (0, 1) for twin in breaks.TWINS}):
            assert claims.CLAIMS[numbers].reads(*(record.source, record.metric, record.setting))
    for part in breaks.parts("value", "head", 4):
        for record in breaks.records("value", part, {"numpy_twin": (0, 1)}):
            assert claims.CLAIMS["N3"].reads(record.source, record.metric, record.setting)


def test_no_case_is_counted_twice_and_what_there_is_of_few_is_told():
    """Hypothesis draws some again, its first ones in every chunk; of a test with three cases three are counted."""
    (part,) = (one for one in breaks.parts("spectrum", "", 1000) if one.where == "cell=lstm/dtype=float64")
    cases = [repr(plan) for chunk in breaks.chunks("spectrum", part, 60) for plan in chunk]
    assert len(cases) == len(set(cases)) == part.cases == 250
    few = part._replace(plan=st.sampled_from([replace(PLAN, seed=n) for n in range(3)]))
    assert sum(map(len, breaks.chunks("spectrum", few, 60))) == 3


@pytest.mark.parametrize("part", ["rnn", "head"])
def test_breaks_of_a_faulty_subject_are_counted_case_by_case(part):
    """A subject whose outputs are all off breaks the law in every case, also where the read-out has no bias."""

    class Off(Carrier):
        def forward(self, call):
            return super().forward(call)._replace(h=1 + super().forward(call).h)

        def head(self, params, h):
            return 1 + super().head(params, h)

    for one in breaks.parts("value", part, 8):
        cases = breaks.drawn(3, one.cases, one.plan)
        assert breaks.one_chunk(Off(), one, cases) == (4, 4)
        assert breaks.one_chunk(Carrier(), one, cases) == (0, 4)


# Planted errors


@pytest.mark.parametrize("dtype", sweep.DTYPES)
@pytest.mark.parametrize(("law", "quantity"), [(law, q) for law, qs in planted.QUANTITIES.items() for q in qs])
def test_an_error_of_nothing_changes_no_bit_and_one_of_a_tenth_is_seen(law, quantity, dtype):
    """The control of a planted error is the twin itself, model by model; the error is really planted."""
    case = PLAN.case("lstm", dtype)
    call, cotangent = planted.repeated(case.call, case.cotangent, 2)
    plain = {"value": detection.TWIN.forward, "vjp": lambda c: detection.TWIN.backward(c, cotangent)}[law](call)
    named = planted.outputs(plain) if law == "value" else planted.gradients(plain)
    got = planted.results(law, quantity, call, cotangent, np.array([0.0, 0.1]))
    differs = False
    for name, a in named.items():
        a = a.swapaxes(0, 1) if name in ("h", "x", "h_t", "c_t") else a
        np.testing.assert_array_equal(got[name][0], a[0])
        differs |= not np.array_equal(got[name][1], a[1])
    assert differs


@pytest.mark.parametrize("delta", [1e-6, 0.1])
def test_the_planted_error_is_what_it_says(delta):
    """Half a roundoff at most lies between the changed value and (1 + delta) times the old one."""
    a = np.linspace(0.1, 1, 50, dtype=np.float32).reshape(1, 5, 10)
    error = planted.off(a, np.array([delta])).astype(float) - a.astype(float) * (1 + delta)
    assert (abs(error) <= np.finfo(np.float32).eps / 2 * a * (1 + 2 * delta)).all()


@pytest.mark.parametrize("dtype", sweep.DTYPES)
def test_the_tolerances_accuse_what_torch_accuses(dtype):
    """`caught` with the defaults agrees with torch.testing.assert_close, below and above the tolerance."""
    exact = np.linspace(-2, 2, 9).astype(dtype)
    judged = Judged(exact.astype(float), np.zeros(9), np.full(9, 1e-30))
    for error in (1e-9, 1e-8, 1e-7, 2e-7, 1e-6, 5e-6, 1e-5, 2e-5, 1e-3, np.nan):
        got = (exact + np.asarray(error, dtype)).astype(dtype)
        try:
            torch.testing.assert_close(torch.tensor(got), torch.tensor(exact), equal_nan=True)
            wrong = False
        except AssertionError:
            wrong = True
        assert detection.caught(got[None], judged, dtype)[1, 0] == wrong, error


# False alarms and kills


def test_bins_hold_what_they_say_and_alarms_lie_beyond_them():
    """A fraction of exactly 1 is none; above it, and NaN, are."""
    assert [alarms.bin_of(f) for f in (0.0, 0.005, 0.01, 0.011, 1.0, 1.001)] == [0.01, 0.01, 0.01, 0.02, 1.0, np.inf]
    seen = alarms.Seen("rnn", "float32", "h", np.nan, PLAN)
    counts = {r.metric: r.value for r in alarms.records("x", 0, [[seen]]) if r.index in (0, np.inf)}
    assert counts["alarms"] == 1 and counts["cases by worst fraction"] == 1


def test_a_kill_is_an_assertion_and_nothing_else():
    """A law that stumbles over a fault has not noticed it, and the carrier is accused by none."""

    class Stumbles(Carrier):
        def forward(self, call):
            raise RuntimeError("stumbled")

    law, how = registry()["causality"][0], kills.asking(3, derandomize=True)
    fault = next(fault for fault in FAULTS if "causality" in fault.laws)
    controls = [Fault(kind.__name__, (), kind(), ("rnn",), ("float32",)) for kind in (Carrier, Stumbles)]
    cell = fault.cells[0]
    assert kills.accused([fault, *controls], law, cell, fault.dtypes[0], how) == [fault]


def test_what_a_fault_remembers_of_one_law_reaches_no_other(monkeypatch):
    """A dropout that sticks after a call in training, as another law of the same process would leave it."""
    (sticks,) = (fault for fault in FAULTS if fault.name == "training mode sticks")
    monkeypatch.setattr(kills, "FAULTS", [sticks])
    (group,) = (g for g in sweep.groups("quick", Options()) if g.setting == "kills/law=layout")
    before = kills.run(group, lambda done, total: None)
    monkeypatch.setattr(sticks.subject, "rate", 0.5)
    assert {r.metric: r.value for r in before} == {"attached": 0, "killed": 0}
    assert kills.run(group, lambda done, total: None) == before


def test_a_promise_that_the_carrier_of_the_faults_does_not_make_is_not_asked_of_it():
    """Of "rows" the test of equal bits is left out; of every law some test is run."""
    assert all(test.needs != ("row bits", "ensemble", "lengths") for test, _, _ in kills.kinds_of("rows"))
    assert all(kills.kinds_of(law) for law in registry())


def test_the_cases_put_to_a_fault_are_those_of_the_laws_own_run():
    """They are noted while the law runs on the unchanged carrier: the same at each time."""
    law, how = registry()["causality"][0], kills.asking(5, derandomize=True)
    cases = kills.cases_of(law, "rnn", "float32", how)
    assert len(cases) == len(set(cases)) == 5 and cases == kills.cases_of(law, "rnn", "float32", how)


# From records to a report


def test_the_smoke_preset_ends_in_a_report_with_its_matrix(smoke, tmp_path):
    """Every part leaves its records; the folder has figures, tables and kills.csv, and is made again byte for byte."""
    report.publish("instrument", to_csv(stamped(smoke)), tmp_path, {})
    folder = tmp_path / "instrument"
    assert (folder / "kills.csv").read_text().startswith("law,fault,killed\n")
    assert {path.stem for path in (folder / "figures").glob("*.svg")} == {
        *("detection", "false_alarms", "kills", "limits")
    }
    assert report.check("instrument", tmp_path)[1] == []
    assert "none broke" in (folder / "README.md").read_text()


def test_a_planted_break_contradicts_and_too_few_cases_decide_nothing(tmp_path):
    """Verdicts come from the counts: all claims on unbroken laws, one broken law, and a case too few."""
    words = {}
    for name, records in {
        "whole": claimed(),
        "broken": claimed(breaks=1),
        "few": claimed(cases=9_999),
    }.items():
        frame = frame_of(records, tmp_path / "records.csv")
        words[name] = [claims.verdict(claims.CLAIMS[number], frame).word for number in analysis.CLAIMS]
    assert words["whole"] == ["supported"] * len(analysis.CLAIMS)
    assert words["broken"] == ["contradicted", *words["whole"][1:]]
    assert words["few"] == ["open"] * len(analysis.CLAIMS)


def test_an_alarm_a_missed_error_and_a_missed_fault_are_said(smoke, tmp_path):
    """Records that are changed for the worse change the sentences."""
    frame = frame_of(smoke, tmp_path / "records.csv")
    good = analysis.lead(*parts_of(frame))
    alarm = Record(
        "instrument", "false_alarms/subject=torch_nn/cell=rnn/dtype=float32", 0, "cases by worst fraction", np.inf, 2
    )
    worse = [alarm, *(r._replace(value=0) if r.metric in ("runs caught", "killed") else r for r in smoke)]
    bad = analysis.lead(*parts_of(frame_of(worse, tmp_path / "worse.csv")))
    assert "accuses torch.nn in 0 of 24" in good and "accuses torch.nn in 2 of 26" in bad
    assert "da_f float32 0 of 1" in bad and "da_f float32 0 of 1" not in good
    assert "missed: " in bad and "missed: " not in good and " kill 0 of " in bad
    assert "the NumPy twin is accused by the referee's bound in 0 of 4 runs" in good
    jumpy = [r._replace(value=1) if r.metric == "runs caught" and r.index == 0 else r for r in smoke]
    jumpy = analysis.lead(*parts_of(frame_of(jumpy, tmp_path / "jumpy.csv")))
    assert "accused by the referee's bound in 4 of 4 runs, assert_close's defaults in 4 of 4 runs" in jumpy


def test_the_nearest_case_is_said_unless_it_is_an_alarm():
    """With four digits: 1.00 would look like the bound itself."""
    alarms = pd.DataFrame({"cell": "lstm", "dtype": "float32", "worst fraction": [0.1, 1.0], "cases": [5, 1]})
    assert "0 of 6 cases" in analysis.alarm_text(alarms, 0.99934) and "takes 0.9993 of" in analysis.alarm_text(
        alarms, 0.99934
    )
    assert analysis.alarm_title(alarms, 0.99934).endswith("comes to 0.9993 of its bound")
    assert "nearest" not in analysis.alarm_text(alarms, 1.5) + analysis.alarm_title(alarms, 1.5)


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.99934, "0.9993"), (0.9999927, "0.999993"), (1 - 4e-7, "0.9999996"), (1.0, "1"), (1.00001, "1"), (0.5, "0.5")],
)
def test_a_fraction_of_a_bound_is_told_from_the_bound(value, said):
    """However near it comes."""
    assert analysis.fraction(value) == said


@pytest.mark.parametrize(
    ("share", "said"), [(5.298e-5, 6e-5), (5e-5, 5e-5), (9.5e-5, 1e-4), (0.5, 0.5), (0.97, 1.0), (1.0, 1.0)]
)
def test_a_bound_is_rounded_up(share, said):
    """To one digit; one that has a single digit stays."""
    assert analysis.rounded_up(share) == said


def test_runs_of_ones_become_bars():
    """Start and length of each; none, one at either end, all."""
    assert analysis.runs_of(np.array([0, 1, 1, 0, 1])) == [(1, 2), (4, 1)]
    assert analysis.runs_of(np.zeros(3)) == [] and analysis.runs_of(np.ones(3)) == [(0, 3)]


def parts_of(frame):
    """What the lead speaks of."""
    curves, nearest = analysis.curves_of(frame), analysis.nearest_of(frame)
    limits, alarms = analysis.limits_of(curves), analysis.alarms_of(frame)
    return analysis.breaks_of(frame), curves, limits, alarms, nearest, analysis.kills_of(frame)


def test_a_detection_limit_is_the_smallest_error_from_which_on_all_are_caught():
    """An error that is caught by luck below one that is missed does not count."""
    curve = pd.DataFrame({"delta": [0.0, 1.0, 2.0, 5.0, 10.0], "caught": [0, 100, 98, 99, 100], "runs": 100})
    assert analysis.limit(curve) == 5.0
    assert analysis.limit(curve.assign(caught=98)) == np.inf


def test_the_number_of_cases_that_would_be_enough_leaves_one_run_in_a_hundred():
    """(1 - p)^n <= .01 at n and not at n - 1."""
    for p in (0.013, 0.2, 0.9):
        n = analysis.enough(p)
        assert (1 - p) ** n <= 0.01 < (1 - p) ** (n - 1)
    assert analysis.enough(0.0) == np.inf


def test_all_figures_are_drawn_in_the_reports_style(smoke, tmp_path):
    """A finding in one sentence each, with a text for who cannot see it and its data."""
    with figures.style():
        found = analysis.analyse(frame_of(smoke, tmp_path / "records.csv"))
    assert all(figure.title and figure.alt and len(figure.data) for figure in found.figures)
    assert [verdict.number for verdict in found.verdicts] == list(analysis.CLAIMS)
