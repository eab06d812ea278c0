"""LSTMs without a part: how they start, what is compared with what, and through to the section."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments.harness import arms
from experiments.harness.engine import engine
from experiments.memory.gates import analysis, experiment, pictures, sweep
from experiments.memory.gates.runs import compared
from impl import draw
from impl.spec import GATES, VARIANTS, block, tree_map
from properties.record import COLUMNS, Record

OPTIONS, TWIN = SimpleNamespace(engine="numpy"), engine("numpy")


pytestmark = pytest.mark.usefixtures("drawing")


# Starts and widths


@pytest.mark.parametrize("arm", sorted(VARIANTS))
def test_a_variant_starts_from_the_full_lstms_numbers(arm):
    """Every block that both have is the same, bit for bit, and so is the read-out; b_f = 1 where there is f."""
    full, mine = (arms.model(name, ("memory", "latch", 20, 3), 20, 2, 1, 5) for name in ("lstm_b1", arm))
    for gate in GATES[arm]:
        for a, b in zip(full.cell, mine.cell, strict=True):
            np.testing.assert_array_equal(a[block("lstm", gate, 5)], b[block(arm, gate, 5)])
    np.testing.assert_array_equal(full.head.weight_hy, mine.head.weight_hy)
    if "f" in GATES[arm]:
        np.testing.assert_array_equal((mine.cell.bias_ih + mine.cell.bias_hh)[block(arm, "f", 5)], 1.0)


@pytest.mark.parametrize(("arm", "gate"), [("lstm_no_forget", "f"), ("lstm_no_input", "i"), ("lstm_no_output", "o")])
def test_a_variant_does_what_the_full_lstm_does_with_that_gate_held_open(arm, gate):
    """Outputs agree to rounding where the full LSTM's gate has a bias of 60 and no weights."""
    full, mine = (arms.model(name, ("memory", "latch", 20, 3), 20, 2, 1, 5).cell for name in ("lstm_b1", arm))
    rows = block("lstm", gate, 5)
    held = tree_map(np.copy, full)
    held.weight_ih[rows], held.weight_hh[rows], held.bias_ih[rows], held.bias_hh[rows] = 0.0, 0.0, 60.0, 0.0
    x = draw.generator("test", 5).normal(size=(12, 4, 2))
    a, b = (TWIN.scan.forward(name, params, x).states.h for name, params in (("lstm", held), (arm, mine)))
    np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    assert abs(TWIN.scan.forward("lstm", full, x).states.h - b).max() > 0.01


@pytest.mark.parametrize("run", sweep.PRESETS["quick"])
def test_equal_parameters_are_as_equal_as_whole_units_allow(run):
    """No other width comes closer, and all are within a tenth."""
    for arm in sweep.THREE_BLOCKS:
        H, task = sweep.width(run._replace(equal="parameters"), arm), sweep.TASKS[run.task]
        counts = [arms.parameters(arm, task.D, task.V, h) for h in (H - 1, H, H + 1)]
        aim = arms.parameters("lstm", task.D, task.V, run.H)
        assert abs(counts[1] - aim) == min(abs(np.array(counts) - aim)) < 0.1 * aim
        assert sweep.width(run, arm) == run.H == sweep.width(run._replace(equal="parameters"), sweep.WHOLE)
    model = arms.model("lstm_no_input", ("memory", run.task, 5, 0), 5, task.D, task.V, H)
    assert sum(a.size for part in model for a in part) == counts[1]


# What is compared


def test_claims_compare_with_and_without_the_right_way_round():
    """N8 is without over with; N9 and N10 with minus without, on the flip-flop by signs: seed by seed."""
    whole = {"cost": np.array([1.0, 2.0]), "accuracy": np.array([0.9, 0.8])}
    less = {"cost": np.array([3.0, 2.0]), "accuracy": np.array([0.5, 0.7])}
    np.testing.assert_allclose(experiment.effect("N8", whole, less), [3.0, 1.0])
    np.testing.assert_allclose(experiment.effect("N9", whole, less), [0.4, 0.1])
    signs = {"signs": np.array([1.0, 0.9])}, {"signs": np.array([0.6, 0.9])}
    np.testing.assert_allclose(experiment.effect("N10", whole | signs[0], less | signs[1]), [0.4, 0.0])


@pytest.mark.parametrize("task", ["flip_flop", "latch", "distractors"])
def test_claims_are_read_from_the_arms_that_lack_that_gate(task):
    """Each claim's number is that of its own arm, here known by the arm's place, and stands under its own setting."""
    run = sweep.Run(task, 5, 4, 4, 2, 8, decides=True)
    group = sweep.group(run, OPTIONS)
    place = {arm: 1.0 + n for n, arm in enumerate(run.arms)}
    found = {arm: dict.fromkeys(("cost", "accuracy", "signs"), np.full(8, place[arm])) for arm in run.arms}
    records = list(experiment.compared(group, found))
    assert len(records) == 8 * {"flip_flop": 2, "latch": 1, "distractors": 1}[task]
    for record in records:
        arm = "lstm_no_" + record.setting.split("=")[1]
        assert record.value == (place[arm] if record.metric == "N8" else 1 - place[arm])


def test_all_arms_run_all_updates_on_the_same_data_and_only_runs_that_decide_give_claims():
    """A group does not stop when all have solved: cost is compared after equally many updates."""
    run = sweep.Run("latch", 1, 4, 8, 100, 8, rows=200, arms=("lstm_b1", "lstm_no_output"))
    seen = []
    records = experiment.run(sweep.group(run, OPTIONS), lambda done, total: seen.append((done, total)))
    assert {r.value for r in records if r.metric == "updates"} == {100.0}
    assert min(r.value for r in records if r.metric == "solved") == 1, "or nothing could have stopped early"
    assert not [r for r in records if r.metric == "N10"]
    assert seen[-1] == (200, 200) and seen == sorted(seen)


# Through to the section


def test_the_smoke_preset_runs_through_to_its_section():
    """Real runs of three tasks: eight numbers a claim, one figure, one table with every variant."""
    groups = sweep.groups("smoke", OPTIONS)
    frame = pd.DataFrame([r for g in groups for r in experiment.run(g, lambda done, total: None)], columns=COLUMNS)
    assert frame[frame.metric.str.match(r"N\d")].groupby(["metric", "setting"]).size().tolist() == [8] * 4
    assert not frame.duplicated(["setting", "metric", "seed", "index"]).any()
    found = analysis.analyse(frame)
    (figure,), (table,) = found.section.figures, found.section.tables
    assert len(table.frame) == 18 and len(figure.data) == 18 * 8 and figure.title and figure.alt
    assert all(claim in found.section.lead for claim in ("N8", "N9", "N10"))


def test_no_records_give_a_section_without_figures():
    """A preset may not run this part."""
    found = analysis.analyse(pd.DataFrame([], columns=COLUMNS))
    assert not found.section.figures and not found.section.lead and not found.settings


def test_the_title_names_what_is_missed_and_nothing_else():
    """A loss that is surely larger, an accuracy that is surely lower; not a difference of both signs."""
    assert "none" in pictures.title(compared(made_up("latch", {})))
    assert "latch of 14 steps: no input gate (-0.30" in pictures.title(
        compared(made_up("latch", {"lstm_no_input": 0.3}))
    )
    title = pictures.title(compared(made_up("flip_flop", {"lstm_no_forget": -1.0})))
    assert "no forget gate (loss times 2)" in title and "no output gate" not in title


def test_a_claims_number_says_where_the_full_lstm_itself_does_not_solve_the_task():
    """In 5 of 8 seeds of the run that decides, beside one of more updates that decides nothing; in all, nothing."""
    frame = made_up("distractors", {})
    effects = [Record("memory", "latch_distractors/without=input", seed, "N9", 0, 0.0) for seed in range(8)]
    frame = pd.concat([frame, pd.DataFrame(effects, columns=COLUMNS)], ignore_index=True)
    solves = (frame.metric == "solved") & frame.setting.str.endswith("/arm=lstm_b1")
    longer = frame[frame.metric != "N9"].copy()
    longer["setting"] = longer.setting.str.replace("updates=300", "updates=1000")
    frame.loc[solves, "value"] = (frame.seed < 5).astype(float)
    said = analysis.analyse(pd.concat([longer, frame])).section.lead
    assert re.search(r"N9, latch distractors, [^;]*, where the full LSTM itself solves the task in 5 of 8 seeds", said)
    assert "of 20 steps after 300 updates in 5 of 8" in said and "of 20 steps after 1000 updates in 0 of 8" in said
    frame.loc[solves, "value"] = 1.0
    said = analysis.analyse(frame).section.lead
    assert "N9, latch distractors" in said and "itself solves the task" not in said and "of 20 steps in 8 of 8" in said


def test_variants_are_compared_seed_by_seed():
    """Where every seed loses .1 and seeds differ by more, only the paired interval shows it."""
    (task,) = compared(made_up("latch", {"lstm_no_input": 0.1}, spread=0.4))
    np.testing.assert_allclose(pictures.effect(task, "lstm_no_input"), -0.1, rtol=1e-12)
    shuffled = task._replace(records=task.records.sample(frac=1, random_state=np.random.default_rng(1)))
    np.testing.assert_allclose(pictures.effect(shuffled, "lstm_no_input"), -0.1, rtol=1e-12)


def test_each_preset_holds_the_one_before_and_fits_its_time():
    """The same keys, so that the store gives them; core-seconds; settings are plain data."""
    presets = {preset: sweep.groups(preset, OPTIONS) for preset in sweep.PRESETS}
    tour, quick, full = ({g.key for g in presets[p]} for p in ("tour", "quick", "full"))
    assert tour < quick < full
    total = {preset: sum(g.cost for g in groups) for preset, groups in presets.items()}
    assert total["smoke"] < 1.5 and total["tour"] < 7 and total["quick"] < 60 and total["full"] < 800
    for groups in presets.values():
        assert len({g.setting for g in groups}) == len(groups)
        assert all(json.loads(json.dumps(g.settings)) == g.settings and len(g.seeds) >= 8 for g in groups)


def made_up(task, worse, spread=0.0):
    """Records of one task in which an arm of `worse` is right less often, or has a larger loss, by so much."""
    run, records = next(run for run in sweep.PRESETS["quick"] if run.task == task), []
    for arm in run.arms:
        setting = f"{sweep.group(run, OPTIONS).setting}/arm={arm}"
        for seed in range(8):
            right = 0.9 - worse.get(arm, 0.0) - spread * seed / 8
            values = {"cost": 1 - worse.get(arm, 0.0), "accuracy": right, "signs": right, "solved": 0.0, "H": run.H}
            values |= {"updates": run.updates, "held_out_rows": run.rows}
            records += [Record("memory", setting, seed, name, run.length, float(v)) for name, v in values.items()]
    return pd.DataFrame(records, columns=COLUMNS)
