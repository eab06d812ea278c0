"""Stacks on the latch: what they start from, what is recorded, how they are chosen, and what the report says."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from experiments import claims
from experiments.harness import arms, figures
from experiments.harness.engine import engine
from experiments.memory import learning
from experiments.memory.layers import analysis, choose, experiment, pictures, sweep, tables, trials
from experiments.memory.layers.trials import COMPARISONS, DEPTH, Cell, Choice, Trial
from experiments.memory.parts import PARTS
from impl import draw
from impl.spec import Model, Parameters, leaves
from properties.record import COLUMNS, Record

OPTIONS = SimpleNamespace(engine="numpy")
CHOICE = Choice(20, Cell("lstm_chrono", 1e-2, 8), Cell("rnn_orthogonal", 3e-3, 16))
SECONDS = {"smoke": 3, "tour": 12, "quick": 110, "full": 1500}


pytestmark = pytest.mark.usefixtures("drawing")


# What a stack starts from


@pytest.mark.parametrize("arm", ["lstm_chrono", "lstm_torch", "rnn_orthogonal", "rnn_uniform", "rnn_identity"])
def test_the_lowest_layer_and_the_read_out_are_the_one_cells(arm):
    """A stack of one layer holds today's model, and every depth has the lowest layer and the read-out of it."""
    one = arms.model(arm, ("memory", "latch", 20, 3), 20, 1, 1, 8)
    for layers in (1, 2, 4):
        stack = arms.model(arm, ("memory", "latch", 20, 3), 20, 1, 1, 8, layers)
        assert len(stack.cell) == layers
        for a, b in zip(leaves(Model(stack.cell[0], stack.head)), leaves(one), strict=True):
            np.testing.assert_array_equal(a, b)


def test_layers_are_drawn_each_from_words_of_its_own():
    """No two layers or seeds share an input weight or a bias; all have the start of the arm."""
    stacks = [arms.model("lstm_chrono", ("memory", "latch", 20, seed), 20, 1, 1, 8, 4) for seed in (0, 1)]
    upper = [params for stack in stacks for params in stack.cell[1:]]
    values = np.concatenate([params.weight_ih.ravel() for params in upper])
    assert len(np.unique(values)) == values.size == 2 * 3 * 32 * 8
    forget = [(params.bias_ih + params.bias_hh)[8:16] for stack in stacks for params in stack.cell]
    assert all((b >= 0).all() and (b <= np.log(29)).all() for b in forget)
    assert len(np.unique(forget)) == np.size(forget)


def test_a_group_without_layers_starts_from_cells_and_one_with_layers_from_stacks():
    """learning.initial: what other parts train is untouched."""
    group = experiment.alone(small(2), "rnn")
    stack = learning.initial(group, engine("numpy"))
    rest = {name: value for name, value in group.settings.items() if name != "layers"}
    cell = learning.initial(replace(group, settings=rest), engine("numpy"))
    assert isinstance(cell.cell, Parameters) and len(stack.cell) == 2
    np.testing.assert_array_equal(cell.cell.weight_hh, stack.cell[0].weight_hh)


# What is measured


def test_the_gradient_by_layer_and_lag_is_autograds():
    """A stack of two RNNs written out in torch: the norm of d l_b / d h_t in every layer at every step."""
    group = replace(experiment.alone(small(2), "rnn"), dtype="float64")
    twin = engine("numpy")
    model = learning.initial(group, twin)
    ours = experiment.look(group, twin, model)
    x, target = learning.rows(
        learning.task_of(group).draw, 5, learning.streams(group, "looked-at"), group.settings["looked_at"]
    )[:2]
    for e in range(len(group.seeds)):
        np.testing.assert_allclose(ours[:, :, e], by_autograd(model, e, x[:, e], target[0, e]), rtol=0, atol=1e-12)


def by_autograd(model, e, x, target):
    """log10 of the root mean square over rows of |d l_b / d h_t|, by layer and lag, of one model."""
    outputs, kept = [torch.from_numpy(step) for step in x], []
    for params in model.cell:
        W, U, b, b_ = (torch.from_numpy(a[e]) for a in params)
        h, states = torch.zeros(len(target), U.shape[0], dtype=torch.float64), []
        for step in outputs:
            h = torch.tanh(step @ W.T + b + h @ U.T + b_).requires_grad_()
            h.retain_grad()
            states.append(h)
        kept.append(states)
        outputs = states
    y = outputs[-1] @ torch.from_numpy(model.head.weight_hy[e]).T + torch.from_numpy(model.head.bias_hy[e])
    torch.nn.functional.binary_cross_entropy_with_logits(y, torch.from_numpy(target), reduction="sum").backward()
    square = [[(h.grad**2).sum(-1).mean().item() for h in states[::-1]] for states in kept]
    return 0.5 * np.log10(square)


@pytest.mark.parametrize("name", ["numpy", "fast", "torch"])
def test_engines_agree_on_the_gradient_of_an_lstm_stack(name):
    """s = (h, c): two LSTM layers in each engine against the plain form."""
    group = experiment.alone(small(2), "lstm")
    looks = [experiment.look(group, twin, learning.initial(group, twin)) for twin in map(engine, ("numpy", name))]
    np.testing.assert_allclose(*looks, rtol=0, atol=1e-6)
    assert np.isfinite(looks[0]).all() and looks[0].shape == (2, 6, len(group.seeds))


def test_the_claims_number_is_the_lstms_accuracy_minus_the_rnns_of_the_same_seed():
    """Recorded at DEPTH layers alone; the accuracies of the same records give it."""
    records = run(small(DEPTH))
    assert wrong_sign(records) == 0
    assert not [r for r in run(small(2)) if r.metric == "N21"]


def test_the_rnn_minus_the_lstm_is_found(monkeypatch):
    """Planted fault: the difference the wrong way round."""
    monkeypatch.setattr(experiment, "difference", lambda accuracy: accuracy["rnn"] - accuracy["lstm"])
    assert wrong_sign(run(small(DEPTH))) > 0.05


def wrong_sign(records):
    """How far N21 is, at most, from what the accuracies in the records say."""
    by = {cell: [r.value for r in records if r.metric == "accuracy" and f"arm={cell}" in r.setting] for cell in
          ("lstm", "rnn")}  # fmt: skip
    found = [r.value for r in records if r.metric == "N21"]
    assert len(found) == len(by["lstm"]) == len(by["rnn"])
    return max(abs(np.array(found) - (np.array(by["lstm"]) - np.array(by["rnn"]))))


def test_both_cells_see_the_same_rows_at_every_depth():
    """Streams depend on lag and seed alone, so that comparisons are paired."""
    groups = [experiment.alone(small(layers), cell) for layers in (1, DEPTH) for cell in ("lstm", "rnn")]
    first, *others = (learning.held_out(group).x for group in groups)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_a_groups_checkpoints_rise_to_their_total():
    """Two cells' trainings are one progress."""
    marks = []
    experiment.run(small(1), lambda done, total: marks.append((done, total)))
    assert marks == sorted(marks) and marks[-1][0] == marks[-1][1] == 50


# What is run


def test_the_grid_is_equal_and_its_widths_cost_the_same():
    """As many starts, rates and widths for both cells; an upper layer costs 8 H^2 in the LSTM, else 2 H^2."""
    for grid in COMPARISONS.values():
        lstm, rnn = (list(grid.cells(cell)) for cell in ("lstm", "rnn"))
        assert len(lstm) == len(set(lstm)) == len(rnn) == len(set(rnn))
        assert [8 * cell.H**2 for cell in lstm] == [2 * cell.H**2 for cell in rnn]


def test_what_is_chosen_follows_from_the_trials():
    """The longest lag that one LSTM layer solves; the stack that most seeds solve there, of equals the quickest."""
    lstm, rnn = Cell("lstm_b1", 1e-2, 8), Cell("rnn_uniform", 1e-2, 16)
    slow, quick, other = (rnn._replace(arm=arm) for arm in ("rnn_uniform", "rnn_orthogonal", "rnn_identity"))
    made = [one("lstm", lstm, 1, 10, 16, 16), one("lstm", lstm, 1, 14, 15, 16), one("lstm", lstm, 1, 20, 14, 16)]
    made += [one("lstm", lstm, DEPTH, 14, 0, 8), one("rnn", other, DEPTH, 14, 7, 8, 25)]
    made += [one("rnn", slow, DEPTH, 14, 8, 8, 200), one("rnn", quick, DEPTH, 14, 8, 8, 100)]
    made += [one("rnn", other, DEPTH, 20, 8, 8, 25), one("rnn", other, 1, 14, 8, 8, 25)]
    assert trials.chosen(made, "tuned") == Choice(14, lstm, quick)
    with pytest.raises(ValueError, match="must hold stacks of 4 layers"):
        trials.chosen(made[:4], "tuned")


def test_an_lstm_climbs_until_it_fails_twice_in_a_row():
    """One failure is no end: 14 of 16 may be chance."""
    solved, tried = {5: 16, 7: 14, 10: 15, 14: 0, 20: 14}, []

    def of(lag):
        tried.append(lag)
        return one("lstm", CHOICE.lstm, 1, lag, solved[lag], 16)

    choose.climb(of)
    assert tried == list(solved)


def test_a_group_is_expected_to_stop_as_the_nearest_trial_did():
    """Nearest in lag, then in depth; a trial of another cell tells nothing."""
    made = [one("lstm", CHOICE.lstm, n, lag, 8, 8, n * lag) for n in (1, 4) for lag in (10, 20)]
    made.append(one("rnn", CHOICE.rnn, 2, 20, 8, 8, 3))
    assert [trials.expected(made, "tuned", CHOICE.lstm, n, 18) for n in (1, 2, 4)] == [20, 20, 80]


def test_the_file_holds_every_cell_of_both_grids_in_a_stack():
    """No cell of a grid is left out at the lag that was chosen; the file is what was written."""
    done = trials.read()
    for comparison, grid in COMPARISONS.items():
        lag = trials.chosen(done, comparison).lag
        for cell in sweep.CELLS:
            mine = [t for t in done if (t.comparison, t.cell, t.layers, t.lag) == (comparison, cell, DEPTH, lag)]
            assert {Cell(t.arm, t.lr, t.H) for t in mine} == set(grid.cells(cell))


def test_a_file_of_trials_is_read_as_it_was_written(tmp_path):
    """And one with other columns is refused."""
    made = [one("lstm", CHOICE.lstm, 1, 10, 16, 16), one("rnn", CHOICE.rnn, 4, 10, 3, 8)]
    trials.write(made, tmp_path / "some.csv")
    assert trials.read(tmp_path / "some.csv") == made
    (tmp_path / "other.csv").write_text("arm,lr\n")
    with pytest.raises(ValueError, match="must have the columns"):
        trials.read(tmp_path / "other.csv")


@pytest.mark.parametrize("preset", sweep.PRESETS)
def test_presets_stay_within_their_cost_and_hold_plain_data(preset):
    """Every comparison at every depth, once; settings survive JSON; no verdict seed is a validation seed."""
    groups = sweep.groups(preset, OPTIONS)
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups) == 6
    assert all(json.loads(json.dumps(g.settings)) == g.settings for g in groups)
    assert max(max(g.seeds) for g in groups) < 1000
    assert 0 < sum(g.cost for g in groups) < SECONDS[preset] and max(g.cost for g in groups) < 540
    assert "layers" in PARTS.names


def test_the_claim_reads_what_is_recorded():
    """N21's setting, and the default one beside it, are those of the deepest groups."""
    for comparison in COMPARISONS:
        group = sweep.group(comparison, CHOICE, DEPTH, sweep.PRESETS["smoke"], OPTIONS)
        assert claims.rules_for("memory", "N21", group.setting)


# What the report says


def test_the_section_says_that_its_cells_come_from_trials_of_their_own():
    """Of which starts, rates and widths, as `chosen.csv` has them; the grid's section does not claim these cells."""
    said = analysis.lead(tables.seen(made_up(0.99, 0.5)))
    assert "trials of stacks (python -m experiments.memory.layers.choose)" in said
    assert "not from the grid of which N12's are" in said
    assert "default is the best of torch's own start at rates 0.001, 0.003 and 0.01 with 8 units" in said
    assert "tuned is the best of 4 starts at rates 0.003 and 0.01 with 8 units (the RNN twice as many)." in said
    stacks = [t for t in trials.read() if (t.comparison, t.layers) == ("tuned", DEPTH)]
    found = {(t.cell, t.lr, t.H) for t in stacks}
    assert found == {(cell, lr, H) for cell, H in (("lstm", 8), ("rnn", 16)) for lr in (0.003, 0.01)}
    assert len({t.arm for t in stacks if t.cell == "lstm"}) == len({t.arm for t in stacks if t.cell == "rnn"}) == 4


def test_the_smoke_preset_runs_through_to_its_section():
    """Real runs that have hardly learnt: figures, tables and words without a number that is none."""
    records = [record for group in sweep.groups("smoke", OPTIONS) for record in run(group)]
    section = analysis.analyse(pd.DataFrame(records, columns=COLUMNS)).section
    assert [figure.name for figure in section.figures] == ["layers_accuracy", "layers_gradient"]
    for text in texts(section):
        assert text and not {"nan", "inf", "-inf"} & set(re.findall(r"-?\w+", text)), text
    assert "cut from" in section.lead
    for figure in section.figures:
        assert figures.svg(figure.canvas, figure.name).startswith("<svg")


@pytest.mark.parametrize(
    ("lstm", "rnn", "said"),
    [
        (0.99, 0.5, "falls behind by more than 0.3"),
        (0.99, 0.98, "depth does not need it here"),
        (0.99, 0.8, "decides nothing"),
    ],
)
def test_what_the_difference_says_is_said(lstm, rnn, said):
    """The LSTM ahead by .49, by .01 and by .19 at four layers."""
    found = tables.seen(made_up(lstm, rnn))
    lead, title = analysis.lead(found), pictures.accuracy_title(found)
    assert "Both comparisons say: " in lead and said in lead
    assert f"{lstm - rnn:+.3f}" in title and f"{lstm - rnn:+.3f}" in lead
    assert "Of two rates (tuned) either choice is an end" in lead
    assert re.search(r"once all of its seeds have; in updates: \d+ for the LSTM and \d+ for the RNN\)", lead)


def test_comparisons_that_differ_are_said_to():
    """The default RNN fails, the tuned one does not."""
    frame = made_up(0.99, 0.5)
    tuned = frame.setting.str.startswith("tuned") & frame.setting.str.contains("arm=rnn") & (frame.metric == "accuracy")
    lead = analysis.lead(tables.seen(frame.assign(value=frame.value.mask(tuned, 0.99))))
    assert "The comparisons differ: default: the RNN falls behind by more than 0.3; tuned: the LSTM is not even" in lead


def test_the_order_of_rows_and_the_records_of_others_do_not_reach_the_section():
    """The same records shuffled, beside the latch's own: the same tables, from which all else is made."""
    frame = made_up(0.99, 0.5)
    others = pd.DataFrame([Record("memory", "latch/arm=lstm_b1/delay=20", 0, "accuracy", 20, 0.1)], columns=COLUMNS)
    mixed = pd.concat([frame, others, frame.head(3).assign(source="speed")]).sample(frac=1, random_state=3)
    for a, b in zip(tables.seen(frame), tables.seen(mixed), strict=True):
        if isinstance(a, dict):
            assert a == b
        else:
            pd.testing.assert_frame_equal(a, b, check_exact=True)
    with pytest.raises(ValueError, match="must hold records of stacks"):
        analysis.analyse(others)


def test_few_seeds_and_a_vanished_gradient_draw_all_the_same():
    """Two seeds have no interval at 99 %; a gradient of exactly zero is said in words."""
    frame = made_up(0.99, 0.5)
    gone = frame.setting.str.endswith("arm=rnn_orthogonal/lr=0.003/H=16/layer=1/when=before") & (frame["index"] == 20)
    frame = frame.assign(value=frame.value.mask(gone, -math.inf)).query("seed < 2")
    section = analysis.analyse(frame[frame.setting.str.startswith("tuned")]).section
    assert any("no gradient" in text for text in texts(section))


def test_a_seeds_gain_is_paired_with_its_own_single_layer():
    """Seeds that differ by more than layers do: the change a layer makes is the same in all."""
    frame = made_up(0.99, 0.99)
    mine = frame.metric == "accuracy"
    frame = frame.assign(value=frame.value - 0.02 * frame.seed * mine - 0.1 * mine * frame.setting.str.contains("s=4/"))
    data = tables.summary(tables.seeds_table(frame)).query("layers == 4")
    np.testing.assert_allclose(data[["residual", "residual_low", "residual_high"]], -0.1, atol=1e-12)


def one(cell, given, layers, lag, solved, seeds, updates=400):
    """A trial of the tuned comparison."""
    return Trial("tuned", cell, *given, layers, lag, updates, solved, seeds, solved / seeds)


def small(layers):
    """A small group of both cells at lag 5."""
    sizes = sweep.Preset(4, updates=25, held_out=250, longest=5)
    return sweep.group("tuned", CHOICE, layers, sizes, OPTIONS)


def run(group):
    """Its records."""
    return experiment.run(group, lambda done, total: None)


def made_up(lstm, rnn):
    """Records of both comparisons, all depths and eight seeds: accuracies as given at four layers, 0.99 before."""
    frame = []
    for comparison in COMPARISONS:
        for layers in sweep.DEPTHS:
            group = sweep.group(comparison, CHOICE, layers, sweep.PRESETS["quick"], OPTIONS)
            frame.append(Record("memory", group.setting, 0, "longest_lag", 20, 20.0))
            for cell, value in (("lstm", lstm), ("rnn", rnn)):
                setting = experiment.alone(group, cell).setting
                frame += [record for seed in group.seeds for record in model_records(setting, layers, seed, value)]
    return pd.DataFrame(frame, columns=COLUMNS)


def model_records(setting, layers, seed, accuracy):
    """One model's records."""
    accuracy = accuracy if layers == DEPTH else 0.99
    values = {"accuracy": accuracy, "solved": float(accuracy >= 0.99), "cost": 1 - accuracy, "updates": 400.0}
    values |= {"first_solved_step": 100.0 if accuracy >= 0.99 else -1.0, "updates_allowed": 400.0}
    yield from (Record("memory", setting, seed, m, 20, v) for m, v in (values | {"held_out_rows": 2000.0}).items())
    for layer in range(1, layers + 1):
        for when in ("before", "after"):
            for lag in (0, 10, 20):
                value = -0.1 * lag - (layers - layer)
                yield Record("memory", f"{setting}/layer={layer}/when={when}", seed, "log10_gradient", lag, value)


def texts(section):
    """Everything that is read."""
    words = [section.lead, *(text for figure in section.figures for text in (figure.title, figure.alt))]
    return words + [table.frame.to_csv() for table in section.tables]


def test_the_words_of_a_generator_are_not_those_of_another_layer():
    """Layer 1 of one seed is not layer 0 of another, nor the read-out."""
    a = arms.layer("rnn_uniform", ("memory", "latch", 20, 0), 1, 8, 8, 20).weight_hh
    b = draw.uniform(draw.generator("memory", "latch", 20, 0, "weights", "rnn"), "rnn", 8, 8).weight_hh
    assert not np.isin(a, b).any()
