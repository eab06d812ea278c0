"""Exchange and gates in trained cells: on models made by hand, with faults planted, and through to the section."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments.claims import CLAIMS
from experiments.harness.engine import engine
from experiments.harness.training import Batch
from experiments.memory import learning
from experiments.memory.carried import analysis, exchange, experiment, marks, sweep
from experiments.memory.carried.runs import latches
from experiments.memory.learning import Learned
from impl import draw
from impl.spec import Head, LSTMState, Model, Parameters, block, tree_map
from properties.record import COLUMNS, Record

OPTIONS, TWIN, DELAY = SimpleNamespace(engine="numpy"), engine("numpy"), 8


pytestmark = pytest.mark.usefixtures("drawing")


# Exchange


def test_a_bit_in_one_cell_follows_c_and_not_h_and_its_unit_alone_carries_it():
    """Unit 0 keeps the bit and is read; unit 1 keeps it too, but nobody reads it."""
    seen = look(keepers(read=(5.0, 0.0)))
    assert_in_c(seen)
    np.testing.assert_array_equal(seen.flips, [[1.0, 0.0]])
    assert experiment.largest(seen.flips, seen.product)[0] == [1]


def test_a_bit_in_h_follows_h_and_not_c():
    """A cell that forgets all and writes what h says anew at each step."""
    seen = look(through_h())
    assert seen.follows["h", 0.5] == [1.0] and seen.follows["c", 0.5] == [0.0]
    assert seen.follows["both", 0.5] == [1.0] and seen.follows["none", 0.5] == [0.0]


def test_the_product_of_forget_gates_is_that_of_their_biases():
    """Nothing but its bias moves a gate here: the product over the delay is sigma(b)^delay, a value a unit."""
    seen = look(keepers(read=(5.0, 0.0), forget=(2.0, 3.0)))
    expected = (1 / (1 + np.exp([[-2.0, -3.0]]))) ** DELAY
    np.testing.assert_allclose(seen.product, expected, rtol=1e-13)
    np.testing.assert_allclose(experiment.largest(seen.flips, seen.product)[1], expected[:, 0], rtol=1e-13)
    np.testing.assert_allclose(exchange.at_start(np.array([[2.0, 3.0]]), DELAY), expected[:, 1], rtol=1e-13)


def test_three_equal_units_carry_a_bit_only_two_at_a_time():
    """One of three is outvoted: no unit carries the bit, so there is no product, and a set of two does."""
    model, asked = keepers(read=(5.0, 5.0, 5.0), forget=(2.0, 3.0, 4.0)), rows()
    seen = exchange.measure(TWIN, model, asked, DELAY)
    carriers, carried = experiment.largest(seen.flips, seen.product)
    assert carriers == [0] and np.isnan(carried).all()
    size = exchange.needed(TWIN, model, asked, DELAY, seen.shift)
    assert size == [2]
    assert exchange.of_set(seen.product, seen.shift, size) == seen.product.max()


def test_units_that_are_not_read_do_not_make_a_set():
    """Where even all units together flip nothing, the number is one more than there are."""
    model = keepers(read=(0.0, 0.0))
    seen = look(model)
    assert exchange.needed(TWIN, model, rows(), DELAY, seen.shift) == [3]


def test_partners_have_opposite_bits_and_each_row_is_still_one_of_the_task():
    """Rows 2k are as drawn, rows 2k + 1 differ from what was drawn in the bit alone; a row's partner's is the row."""
    drawn = learning.rows(learning.TASKS["latch"].draw, DELAY, [draw.generator("test", 1)], 40)
    asked = exchange.opposed(drawn)
    bits = asked.target[0, 0, :, 0]
    np.testing.assert_array_equal(bits[::2], 1 - bits[1::2])
    np.testing.assert_array_equal(asked.x[0, 0, :, 0], 2 * bits - 1)
    np.testing.assert_array_equal(asked.x[1:], drawn.x[1:])
    np.testing.assert_array_equal(asked.x[:, :, ::2], drawn.x[:, :, ::2])
    a = draw.generator("test", 2).normal(size=(3, 6, 2))
    np.testing.assert_array_equal(exchange.partner(exchange.partner(a)), a)
    np.testing.assert_array_equal(exchange.partner(a)[:, 0], a[:, 1])


@pytest.mark.parametrize("fault", ["h for c", "itself for its partner", "a partner with the same bit"])
def test_planted_faults_in_the_exchange_are_caught(fault, monkeypatch):
    """h exchanged instead of c; nothing exchanged at all; partners that agree."""
    asked = rows()
    if fault == "h for c":
        monkeypatch.setattr(exchange, "exchanged", lambda s, h, c, right=exchange.exchanged: right(s, c, h))
    elif fault == "itself for its partner":
        monkeypatch.setattr(exchange, "exchanged", lambda s, h, c: LSTMState(s.h, s.c))
    else:
        order = np.argsort(asked.target[0, 0, :, 0], kind="stable")
        asked = Batch(asked.x[:, :, order], asked.target[:, :, order])
    with pytest.raises(AssertionError):
        assert_in_c(exchange.measure(TWIN, keepers(read=(5.0, 0.0)), asked, DELAY))


def test_rows_that_do_not_fill_equal_parts_are_refused():
    """Means over parts would weigh rows unequally."""
    with pytest.raises(ValueError, match="multiple of 250"):
        exchange.chunks(TWIN, keepers(read=(5.0, 0.0)), rows(252))


# Gates


def test_gates_at_marked_steps_are_those_of_the_model():
    """i opens by sigma(1) - sigma(-3) where the marker stands, f shuts by sigma(2) - sigma(1), o does not move."""
    found = contrasts(marking())
    np.testing.assert_allclose(found["input"], sigma(1.0) - sigma(-3.0), rtol=1e-12)
    np.testing.assert_allclose(found["forget"], sigma(1.0) - sigma(2.0), rtol=1e-12)
    np.testing.assert_allclose(found["output"], 0, atol=1e-14)


def test_gates_in_another_order_are_caught(monkeypatch):
    """The forget gate read as the input gate."""
    monkeypatch.setattr(marks, "GATES", {"input": "f", "forget": "i", "output": "o"})
    with pytest.raises(AssertionError):
        test_gates_at_marked_steps_are_those_of_the_model()


def test_around_a_mark_stand_unmarked_steps_that_exist():
    """Marks at steps 0, 4 and 5 of 7: a step before them is 3 alone, two after them 2 and 6, six after them 6 alone."""
    gate = np.arange(7.0)[:, None, None] ** 2
    marked = np.isin(np.arange(7), (0, 4, 5))[:, None, None]
    for offset, steps in {0: (0, 4, 5), -1: (3,), 2: (2, 6), 1: (1, 6), 6: (6,)}.items():
        assert marks.around(gate, marked, offset) == [np.mean([step**2.0 for step in steps])], offset
    assert marks.contrast(gate, marked) == [41 / 3 - (1 + 4 + 9 + 36) / 4]


def test_what_training_changed_is_trained_minus_untrained():
    """A model that marks against the untrained one: N13 is its contrast less the start's, under the claim's setting."""
    assert_marks(claimed())


def test_a_baseline_that_is_trained_too_is_caught(monkeypatch):
    """The trained model taken for the untrained one leaves no change."""
    monkeypatch.setattr(learning, "initial", lambda group, twin: grouped(marking(), len(group.seeds)))
    with pytest.raises(AssertionError):
        assert_marks(claimed())


@pytest.mark.parametrize("T", [10, 50])
def test_the_prediction_before_training_is_the_mean_gate_of_the_biases(T):
    """Chrono's closed form against its definition, on a grid of u; b_f = 1; torch's biases have mean gates of 1/2."""
    u = 1 + (1.5 * T - 2) * (np.arange(20000) + 0.5) / 20000
    assert marks.at_bias("chrono", "forget", T) == pytest.approx((u / (1 + u)).mean(), rel=1e-6)
    assert marks.at_bias("chrono", "input", T) == pytest.approx((1 / (1 + u)).mean(), rel=1e-6)
    assert marks.at_bias("bf1", "forget", T) == pytest.approx(sigma(1.0), rel=1e-14)
    assert [marks.at_bias(*some, T) for some in (("bf1", "input"), ("chrono", "output"), ("torch", "forget"))] == [
        0.5
    ] * 3


# Through to the section


def test_the_smoke_preset_runs_through_to_its_section():
    """Real runs: every claim's records are there, one a seed that may give one, and all that is drawn has words."""
    groups = sweep.groups("smoke", OPTIONS)
    frame = pd.DataFrame([r for g in groups for r in experiment.run(g, lambda done, total: None)], columns=COLUMNS)
    holds = frame[(frame.metric == "holds") & frame.setting.str.contains("chrono")].value.sum()
    assert (frame.metric == "N7").sum() == holds and (frame.metric == "N13").sum() == 8
    carriers = frame[(frame.metric == "carriers") & frame.setting.str.contains("torch")].value
    assert (frame.metric == "N14").sum() == (carriers > 0).sum()
    assert not frame.duplicated(["setting", "metric", "seed", "index"]).any() and frame.value.notna().all()
    section = analysis.analyse(frame).section
    assert [figure.name for figure in section.figures] == ["carried_exchange", "carried_units", "carried_gates"]
    assert all(figure.title and figure.alt and len(figure.data) for figure in section.figures)
    assert "nan" not in section.lead + "".join(table.frame.to_csv() for table in section.tables)


def test_what_n14_makes_of_seeds_without_a_carrier_is_said_of_the_length_that_it_is_judged_at():
    """16 seeds at 10 steps; those at 5 and 14 stand beside them, whatever their products, and do not decide."""
    judged, others = [*without_carriers(10, 16, 0.4)], [*without_carriers(5, 12, 0.05), *without_carriers(14, 6, 0.05)]
    said = n14(judged, others)
    assert "at torch's default, 10 steps, where it is judged, 16 of 16 seeds have none" in said
    assert "would not: its interval does not lie below 0.1 (0.4 (0.4 to 0.4); at 5 steps 0.05 (0.05 to 0.05))." in said
    beside = "5 steps, where 12 of 12 seeds have none; 14 steps, where 6 of 6 seeds have none."
    assert said.endswith(f"Run also, and no part of the rule: {beside}")
    assert n14(others[:0], without_carriers(14, 6, 0.4)) == ""
    carries = [r._replace(value=1.0) if r.metric == "carriers" else r for r in judged]
    assert n14(carries, others) == ""


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_the_ledger_counts_carriers_where_n14_is_judged(preset):
    """Of all lengths that are run its note reads that of the records that bear its name."""
    judged = {sweep.setting(run) for run in sweep.PRESETS[preset] if "N14" in run.claims}
    assert judged == {CLAIMS["N14"].exists.setting}


def test_the_largest_product_of_any_unit_speaks_against_n14_where_its_whole_interval_does():
    """Wholly below 0.1 it would; where it holds 0.1, or ends there, it would not; six seeds have no interval."""
    assert n14(without_carriers(10, 16, 0.05)).endswith("would: its interval lies below 0.1 (0.05 (0.05 to 0.05)).")
    for high in (0.1, 0.4):
        wide = [*without_carriers(10, 8, 0.05), *without_carriers(10, 8, high, first=8)]
        assert re.search(rf"would not: its interval does not lie below 0.1 \(0\.\d+ \(0.05 to {high}\)\)", n14(wide))
    assert n14(without_carriers(10, 6, 0.4)).endswith("would speak against the claim.")


def n14(*records):
    """What is said of such records."""
    return analysis.n14_text(latches(pd.DataFrame([r for some in records for r in some], columns=COLUMNS)))


def without_carriers(delay, seeds, product, first=0):
    """Records of torch's start whose seeds solve and have no unit that carries the bit."""
    at = f"latch/carried/start=torch/delay={delay}"
    for seed in range(first, first + seeds):
        yield Record("memory", at, seed, "holds", 0, 1.0)
        yield Record("memory", at, seed, "carriers", 0, 0.0)
        yield from (Record("memory", at, seed, "product", unit, product) for unit in range(8))


def test_records_of_no_seed_that_solved_and_no_records_at_all_give_a_section_too():
    """Nobody solves after one update; and a tour may not run this part."""
    group = sweep.group(sweep.Run("latch", "lstm_chrono", 40, 8, 1, 1, ("N7",), 200), OPTIONS)
    frame = pd.DataFrame(experiment.run(group, lambda done, total: None), columns=COLUMNS)
    section = analysis.analyse(frame).section
    assert "No seed solved it" in section.lead and not section.figures and not (frame.metric == "N7").any()
    empty = analysis.analyse(frame[:0])
    assert not empty.section.figures and not empty.settings


def test_each_preset_holds_the_one_before_and_fits_its_time():
    """The same keys, so that the store gives them; core-seconds; settings are plain data."""
    presets = {preset: sweep.groups(preset, OPTIONS) for preset in sweep.PRESETS}
    tour, quick, full = ({g.key for g in presets[p]} for p in ("tour", "quick", "full"))
    assert tour < quick < full
    total = {preset: sum(g.cost for g in groups) for preset, groups in presets.items()}
    assert total["smoke"] < 2 and total["tour"] < 9 and total["quick"] < 60 and total["full"] < 700
    for groups in presets.values():
        assert len({g.setting for g in groups}) == len(groups)
        assert all(json.loads(json.dumps(g.settings)) == g.settings and len(g.seeds) >= 8 for g in groups)


# Models made by hand


def sigma(x):
    """The logistic function."""
    return 1 / (1 + np.exp(-x))


def cell(H, D, **gates):
    """An LSTM of zeros but for blocks given as gate=(bias, weight_ih or None, weight_hh or None)."""
    params = Parameters(np.zeros((4 * H, D)), np.zeros((4 * H, H)), np.zeros(4 * H), np.zeros(4 * H))
    for gate, values in gates.items():
        for array, value in zip((params.bias_ih, params.weight_ih, params.weight_hh), values, strict=False):
            if value is not None:
                array[block("lstm", gate, H)] = value
    return params


def keepers(read, forget=None):
    """Units that each keep the sign of the first input, since what follows is zero; the answer reads some."""
    H = len(read)
    params = cell(H, 1, i=(4.0,), f=(np.array(forget or (3.0,) * H),), g=(0.0, 3.0), o=(4.0,))
    return draw.group([Model(params, Head(np.array([read]), np.zeros(1)))])


def through_h():
    """One unit that forgets c at once and writes the sign of h."""
    params = cell(1, 1, i=(40.0,), f=(-40.0,), g=(0.0, 10.0, 10.0), o=(40.0,))
    return draw.group([Model(params, Head(np.full((1, 1), 5.0), np.zeros(1)))])


def marking():
    """An LSTM whose input gate opens and whose forget gate shuts where the marker stands."""
    params = cell(2, 2, i=(-3.0, [0.0, 4.0]), f=(2.0, [0.0, -1.0]), g=(0.0, [1.0, 0.0]))
    return Model(params, Head(np.ones((1, 2)), np.zeros(1)))


def grouped(model, E):
    """E times the same model."""
    return tree_map(lambda a: np.stack([a] * E), model)


def rows(n=40):
    """Opposed rows of the latch without noise."""
    asked = exchange.opposed(learning.rows(learning.TASKS["latch"].draw, DELAY, [draw.generator("test", 3)], n))
    asked.x[1:] = 0
    return asked


def look(model):
    """What exchange shows of a model."""
    return exchange.measure(TWIN, model, rows(), DELAY)


def assert_in_c(seen):
    """All of the bit is in c, at all times."""
    for (what, at), share in seen.follows.items():
        assert share == [{"c": 1.0, "h": 0.0, "both": 1.0, "none": 0.0}[what]], (what, at)


def contrasts(model):
    """Each gate's contrast on adding."""
    x = learning.rows(learning.TASKS["adding"].draw, 20, [draw.generator("test", 4)], 50).x
    found = marks.gates(TWIN, grouped(model, 1), x)
    return {gate: marks.contrast(found[gate], x[..., 1] > 0) for gate in found}


def claimed():
    """The records of N13 of a trained group in which every model marks."""
    run = sweep.Run("adding", "lstm_b1", 20, 3, 10, 10, ("N13",), 100)
    group = sweep.group(run, OPTIONS)
    group = group.__class__(**{**group.__dict__, "settings": group.settings | {"H": 2}, "dtype": "float64"})
    learned = Learned(grouped(marking(), 3), np.full(3, 5), 10, None)
    records = list(experiment.adding(group, TWIN, learned, np.ones(3, bool)))
    start = [r.value for r in records if r.metric == "contrast_untrained" and r.setting.endswith("gate=input")]
    return [r for r in records if r.metric == "N13"], np.array(start)


def assert_marks(found):
    """N13 is the contrast that the gate was given less the start's, which is not nothing at H = 2."""
    records, start = found
    assert {r.setting for r in records} == {"adding/gate=input"} and [r.seed for r in records] == [0, 1, 2]
    np.testing.assert_allclose([r.value for r in records], sigma(1.0) - sigma(-3.0) - start, rtol=1e-9)
    assert (abs(start) < 0.3).all()
