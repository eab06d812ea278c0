"""Untied weights: the loop, the law, the runs, and what is read from the records."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments import claims
from experiments.harness import testing
from experiments.harness.engine import engine
from experiments.harness.training import Batch, loss_and_gradient, train
from experiments.memory.untied import experiment, sweep
from experiments.memory.untied.loop import Loop, Untied, untie
from experiments.memory.untied.sweep import CASE_OF_CLAIM, CLAIM, Case
from experiments.tasks import adding
from impl import draw
from impl.numpy_twin import scan
from impl.spec import Model, leaves, tree_map

OPTIONS = SimpleNamespace(engine="numpy")
CELLS = tuple(sweep.ARMS)
TWIN = engine("numpy")
APART = TWIN._replace(scan=Loop(scan))


# The sweep


@pytest.mark.parametrize("preset", tuple(sweep.PRESETS))
def test_a_sweep_holds_every_case_once_as_plain_data(preset):
    """Each setting is one group with its own name and key; JSON changes no setting; one of them is the claim's."""
    groups = sweep.groups(preset, OPTIONS)
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups)
    for g in groups:
        assert json.loads(json.dumps(g.settings, allow_nan=False)) == g.settings
        assert g.settings["part"] == g.setting.split("/")[0] == "untied" and len(g.seeds) >= 8
        assert g.settings["looks"][0] == 0 and g.settings["looks"][-1] == g.settings["updates"]
    assert sum(g.settings["claim"] for g in groups) == 1


def test_quick_is_a_part_of_full_and_each_preset_keeps_its_time():
    """What the smaller preset has computed the larger one takes from the store."""
    quick, full = ({g.key for g in sweep.groups(p, OPTIONS)} for p in ("quick", "full"))
    assert quick < full
    for preset, most in (("smoke", 2.5), ("tour", 6.5), ("quick", 36), ("full", 500)):
        assert sum(g.cost for g in sweep.groups(preset, OPTIONS)) < most


# The loop


@pytest.mark.parametrize("E", [None, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_equal_weights_at_every_step_are_the_tied_cell_bit_for_bit(cell, E):
    """The last h and the last state; with weights of one step changed they are others."""
    model, batch = case(cell, E)
    tied, untied = (twin.scan.forward(cell, m.cell, batch.x) for twin, m in both(model, len(batch.x)))
    for a, b in zip(leaves(tied.last), leaves(untied.last), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(tied.states.h[-1:], untied.states.h)
    other = list(untie(model, len(batch.x)).cell.steps)
    other[2] = tree_map(lambda a: 1.1 * a, other[2])
    assert (APART.scan.forward(cell, Untied(tuple(other)), batch.x).last.h != tied.last.h).any()


@pytest.mark.parametrize("E", [None, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_the_tied_gradient_is_the_sum_of_the_untied_ones_within_rounding(cell, E, monkeypatch):
    """Law "untied sum". Both add the same T B products, in two orders: each is off by at most gamma_TB of their sizes.

    Planted: one step's gradient left out; it lies outside.
    """
    model, batch = case(cell, E)
    sizes = spy_on_sizes(monkeypatch)
    tied = loss_and_gradient(TWIN, cell, "squared_error", model, batch)[1]
    bound, n = sizes[0], len(batch.x) * batch.x.shape[-2]
    untied = loss_and_gradient(APART, cell, "squared_error", untie(model, len(batch.x)), batch)[1]
    gamma = n * 2.0**-53 / (1 - n * 2.0**-53)
    for steps, within in ((untied.cell.steps, True), (untied.cell.steps[:3] + untied.cell.steps[4:], False)):
        total = tree_map(lambda *parts: np.sum(parts, 0), *steps)
        off = [abs(a - b) <= 2 * gamma * c for a, b, c in zip(*map(leaves, (total, tied.cell, bound)), strict=True)]
        assert all(ok.all() for ok in off) == within
    for a, b in zip(leaves(tied.head), leaves(untied.head), strict=True):
        np.testing.assert_array_equal(a, b)


def spy_on_sizes(monkeypatch):
    """Sums of the absolute values of the products that the tied gradient adds up, one a call of the backward."""
    found, tied = [], scan.tied_gradient

    def spy(params, cache, da):
        sizes = cache._replace(x=abs(cache.x), steps=[step._replace(h=abs(step.h)) for step in cache.steps])
        found.append(tied(params, sizes, abs(da)))
        return tied(params, cache, da)

    monkeypatch.setattr(scan, "tied_gradient", spy)
    return found


@pytest.mark.parametrize("cell", CELLS)
def test_each_steps_gradient_is_by_its_own_weights(cell):
    """A central difference in one weight of one step alone, at weights that differ from step to step."""
    model, batch = case(cell, None)
    rng = draw.generator("steps of their own")
    apart = untie(model, len(batch.x))
    apart = apart._replace(cell=tree_map(lambda a: a + 0.1 * rng.normal(size=a.shape), apart.cell))
    gradient = loss_and_gradient(APART, cell, "squared_error", apart, batch)[1]
    for t in range(len(batch.x)):
        for field, place in (("weight_hh", (1, 2)), ("weight_ih", (3, 0)), ("bias_hh", (0,))):
            up, down = (nudged(cell, apart, batch, t, field, place, d) for d in (1e-5, -1e-5))
            assert getattr(gradient.cell.steps[t], field)[place] == pytest.approx(
                (up - down) / 2e-5, rel=1e-6, abs=1e-9
            )


def nudged(cell, model, batch, t, field, place, by):
    """The loss with one weight of one step moved."""
    steps = [tree_map(np.copy, own) for own in model.cell.steps]
    getattr(steps[t], field)[place] += by
    return loss_and_gradient(APART, cell, "squared_error", Model(Untied(tuple(steps)), model.head), batch)[0]


def test_after_training_no_two_steps_have_the_same_weights_and_shared_ones_are_noticed():
    """Planted: each step is given the sum of all steps' gradients, so that they stay tied."""

    class Shared(Loop):
        def backward(self, cell, params, cache, dh, skip=()):
            gradient = super().backward(cell, params, cache, dh, skip)
            total = tree_map(lambda *parts: np.sum(parts, 0), *gradient.params.steps)
            return gradient._replace(params=Untied((total,) * len(params.steps)))

    model, batch = case("lstm", 2)
    for loop, apart in ((Loop(scan), True), (Shared(scan), False)):
        twin = TWIN._replace(scan=loop)
        *_, last = train(twin, "lstm", "squared_error", untie(model, len(batch.x)), [batch] * 3, 1e-2)
        steps = [own.weight_hh for own in last.model.cell.steps]
        assert all((a != b).any() for n, a in enumerate(steps) for b in steps[:n]) == apart


def test_a_copy_for_every_step_lies_in_memory_of_its_own():
    """No array of a step shares memory with another's or with the tied model's."""
    model, batch = case("lstm", 2)
    arrays = leaves(model.cell) + leaves(untie(model, len(batch.x)).cell)
    assert not any(np.shares_memory(a, b) for n, a in enumerate(arrays) for b in arrays[:n])


def test_the_loop_refuses_other_numbers_of_steps_and_rows_of_different_lengths():
    """By name."""
    model, batch = case("rnn", None)
    with pytest.raises(ValueError, match="each of 6 steps; got 5"):
        APART.scan.forward("rnn", untie(model, 5).cell, batch.x)
    with pytest.raises(ValueError, match="lengths"):
        APART.scan.forward("rnn", untie(model, 6).cell, batch.x, None, np.full(4, 6))


def case(cell, E, T=6, B=4, H=5):
    """A model or a group of them, float64, and rows of adding."""
    rng = draw.generator("untied", cell, E or 0)
    models = [Model(draw.uniform(rng, cell, adding.D, H), draw.head(rng, adding.V, H)) for _ in range(E or 1)]
    x, target = (np.stack(parts, 1) for parts in zip(*(adding.draw(rng, T, B) for _ in models), strict=True))
    return (draw.group(models), Batch(x, target)) if E else (models[0], Batch(x[:, 0], target[:, 0]))


def both(model, T):
    """The tied engine and model, then the untied ones."""
    return (TWIN, model), (APART, untie(model, T))


# Data


@pytest.mark.parametrize("rows", [8, 64, 70])
def test_each_pass_shows_rows_of_the_training_set_and_none_twice(rows):
    """Batches of B, or of all rows where there are fewer; what a pass leaves over waits for another."""
    group = small("lstm", rows=rows, updates=6)
    data = experiment.dataset(group, "training")
    known = np.unique(data.x[0, 0, :, 0].astype("float32"))
    seen = [batch.x[0, 0, :, 0] for batch in experiment.batches(group, TWIN, data)]
    B, whole = min(32, rows), rows // min(32, rows)
    assert [len(x) for x in seen] == [B] * 6 and np.isin(np.concatenate(seen), known).all()
    for start in range(0, 6 - whole + 1, whole):
        assert len(np.unique(np.concatenate(seen[start : start + whole]))) == whole * B


def test_inputs_and_answers_of_a_batch_stay_together():
    """The sum of the marked values is the target, row by row and model by model."""
    group = replace(small("rnn"), dtype="float64")
    for batch in experiment.batches(group, TWIN, experiment.dataset(group, "training")):
        np.testing.assert_allclose((batch.x[..., 0] * batch.x[..., 1]).sum(0), batch.target[0, ..., 0], atol=1e-15)


def test_no_held_out_row_is_trained_on():
    """Of any seed; cells see the same rows."""
    assert not overlap(small("lstm"))
    for purpose in experiment.TRAINING, experiment.TEST:
        a, b = (experiment.dataset(small(cell), purpose) for cell in CELLS)
        np.testing.assert_array_equal(a.x, b.x)


def test_held_out_rows_that_are_trained_on_are_noticed(monkeypatch):
    """Planted: one stream a seed, whatever it is for."""
    streams = experiment.streams
    monkeypatch.setattr(experiment, "streams", lambda group, purpose: streams(group, "any"))
    assert overlap(small("lstm"))


def overlap(group):
    """Whether a number of the held-out rows is one that is trained on; the numbers are 53 bits each."""
    training, test = (experiment.dataset(group, purpose).x[..., 0].ravel() for purpose in ("training", "test"))
    return bool(np.isin(test, training).any())


# Runs


@pytest.mark.parametrize("cell", CELLS)
def test_a_run_says_what_it_should_and_the_same_twice(cell):
    """Losses are equal at the start, bit for bit; N17 is untied minus tied at the end, once under the claim's name."""
    group = small(cell)
    group.settings["claim"] = cell == "lstm"
    records = experiment.run(group, lambda done, total: None)
    assert records == experiment.run(group, lambda done, total: None)
    value = {(r.setting, r.metric, r.index, r.seed): r.value for r in records}
    assert len(value) == len(records) and np.isfinite(list(value.values())).all()
    names = [f"{group.setting}/weights={weights}" for weights in ("tied", "untied")]
    for seed in group.seeds:
        for seen in "training", "test":
            assert value[names[0], seen, 0, seed] == value[names[1], seen, 0, seed]
        tied, untied = (value[name, "test", group.settings["updates"], seed] for name in names)
        assert untied != tied and value[group.setting, "N17", 0, seed] == untied - tied
        assert value.get((CLAIM, "N17", 0, seed)) == (untied - tied if cell == "lstm" else None)


def test_the_claims_note_knows_its_setting():
    """Under which name the records of N17 stand among all others: these are not counted again beside it."""
    assert claims.CLAIMS["N17"].elsewhere.own == CASE_OF_CLAIM.setting


def test_a_readout_of_zeros_pays_the_mean_square_of_the_targets():
    """The loss is a mean over rows, and over no other number."""
    group = small("rnn")
    model, data = experiment.initial(group, TWIN), experiment.dataset(group, "test")
    model = model._replace(head=tree_map(lambda a: 0 * a, model.head))
    seen = experiment.mean_loss(TWIN, "rnn", adding, model, TWIN.asarray(data, "float32"))
    np.testing.assert_allclose(seen, (data.target**2).mean((0, 2, 3)), rtol=1e-6)


def test_marks_rise_to_the_end():
    """What is told of progress is a share that never falls."""
    marks = []
    experiment.run(small("rnn"), lambda done, total: marks.append(done / total))
    assert marks == sorted(marks) and marks[-1] == 1


def small(cell, rows=40, updates=5):
    """A small group of one case."""
    group = sweep.group(Case(adding.NAME, cell, 6, rows, updates, 3), OPTIONS)
    return replace(group, settings=group.settings | {"H": 4, "held_out": 50})


# The section


PART = "experiments.memory.untied"
section_of = partial(testing.section_of, PART)


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    """Records of the smoke preset, written and read back."""
    return testing.smoke(PART, tmp_path_factory.mktemp("records"), OPTIONS)


def test_a_section_is_a_function_of_the_records_alone(frame):
    """The rows' order and other experiments' records change nothing."""
    a = testing.assert_of_records_alone(PART, frame)
    assert len(a.tables[0].frame) == 5 and "differ by at most 0." in a.lead


def test_what_is_worse_untied_is_called_so_and_what_is_better_too(frame):
    """Planted: the difference of the LSTM at 64 rows is 1 in every seed, that of the RNN at 256 rows -1."""
    worse = frame.setting.eq(f"{CLAIM}/task=adding/cell=lstm/T=12/rows=64") & (frame.metric == "N17")
    better = frame.setting.eq(f"{CLAIM}/task=adding/cell=rnn/T=12/rows=256") & (frame.metric == "N17")
    section = section_of(frame.assign(value=frame.value.mask(worse, 1.0).mask(better, -1.0)))
    assert "Worse untied: LSTM on adding, 12 steps, 64 rows 1 (1 to 1)" in section.lead
    assert "Better untied: RNN on adding, 12 steps, 256 rows -1 (-1 to -1)" in section.lead
    assert "in the LSTM with 64 training rows, by 1" in section.figures[0].title


def test_the_size_at_which_sharing_helps_most_is_one_at_which_it_helps_beyond_doubt(frame):
    """Planted: 64 rows always worse untied by a little, 256 rows mostly by more and in some seeds better."""
    mine = frame.metric.eq("N17") & frame.setting.str.startswith(f"{CLAIM}/task=adding/cell=lstm/T=12/rows=")
    open_ = mine & frame.setting.str.endswith("rows=256")
    value = frame.value.mask(mine, 0.2).mask(open_, np.where(frame.seed < 2, -1.0, 3.0))
    title = section_of(frame.assign(value=value)).figures[0].title
    assert title.endswith("in the LSTM with 64 training rows, by 0.2")
    both = section_of(frame.assign(value=frame.value.mask(mine, 0.2).mask(open_, 0.1))).figures[0].title
    assert both.endswith("in the LSTM with 64 and 256 training rows, most by 0.2 at 64 rows")


def test_a_figure_of_one_length_says_which_and_the_lead_where_another_speaks_against_it(frame):
    """Planted: the RNN at 64 rows worse untied over 12 steps, and better over 24; the LSTM's rows are left alone."""
    name = f"{CLAIM}/task=adding/cell=rnn/T=12/rows=64"
    mine = frame.setting.eq(name) | frame.setting.str.startswith(f"{name}/")
    helps = frame.assign(value=frame.value.mask(mine & frame.metric.eq("N17"), 0.2))
    longer = helps[mine].assign(setting=helps.setting[mine].str.replace("T=12", "T=24"))
    better = longer.assign(value=longer.value.mask(longer.metric.eq("N17"), -0.1))
    for more, against in ((longer, False), (better, True)):
        section = section_of(pd.concat([helps, more], ignore_index=True))
        assert section.figures[0].title.startswith(
            "Sharing weights over 12 steps lowers the test loss on adding in the "
        )
        assert ", 12 steps, by rows" in section.figures[0].alt and set(section.figures[0].data.rows) == {64, 256}
        words = "sharing weights raises the test loss of the RNN on adding, 24 steps, 64 rows."
        assert (words in section.lead) is against
    assert "raises" not in section_of(pd.concat([frame, better], ignore_index=True)).lead


def test_few_seeds_have_no_interval_and_are_drawn_all_the_same(frame):
    """Fewer than 8 seeds reach no 99 %."""
    assert np.isinf(section_of(frame[frame.seed < 2], drawn=True).figures[0].data.low).all()


def test_the_claims_own_case_alone_makes_a_section_and_the_claim_reads_it(frame):
    """As the tour has it; the verdict takes one number a seed."""
    own = frame.setting.eq(CLAIM) | frame.setting.str.startswith(CASE_OF_CLAIM.setting)
    section = section_of(frame[own], drawn=True)
    assert len(section.tables[0].frame) == 1 and "At the claim's setting (LSTM on adding" in section.lead
    planted = frame.assign(value=frame.value.mask(frame.setting.eq(CLAIM), 0.5))
    assert claims.verdict(claims.CLAIMS["N17"], planted).effect == 0.5
