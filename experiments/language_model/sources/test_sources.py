"""Cells on sources of known entropy rate: what is run, how it is measured, and through to the section."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments import claims
from experiments.harness import arms, figures
from experiments.harness.engine import engine
from experiments.language_model.sources import analysis, experiment, known, pictures, rates, sweep
from experiments.language_model.sources.runs import read
from experiments.tasks import timer
from experiments.tasks.testing import holds
from impl import draw
from impl.spec import leaves
from properties.record import COLUMNS, Record

OPTIONS, TWIN = SimpleNamespace(engine="numpy", corpus=None), engine("numpy")
EVEN = sweep.Run("even", 0, 40, rows=60)


pytestmark = pytest.mark.usefixtures("drawing")


def group(run=EVEN, cell="rnn", lr=1e-2, seeds=2, more=()):
    """A small group."""
    return sweep.group(run, cell, sweep.STARTS[cell][0], lr, range(seeds), OPTIONS, more)


def records(group):
    """Its records as a frame."""
    return pd.DataFrame(experiment.run(group, lambda done, total: None), columns=COLUMNS)


# What is run


@pytest.mark.parametrize("preset", sweep.PRESETS)
def test_every_setting_is_plain_data_with_a_key_of_its_own(preset):
    """Settings survive JSON unchanged, and each source stands under both cells, the rungs before."""
    groups = sweep.groups(preset, OPTIONS)
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups)
    assert all(json.loads(json.dumps(g.settings)) == g.settings for g in groups)
    assert len(groups) == 1 + 2 * len(sweep.PRESETS[preset].runs) and groups[0].setting == "sources/rungs"


def test_the_presets_that_decide_hold_every_quantity_of_n20_with_eight_seeds():
    """The claim's settings are those of the sweep, letter by letter, on at least 2000 held-out sequences a seed."""
    wanted = {setting for q in claims.CLAIMS["N20"].quantities if q.kind == "median" for setting in q.settings}
    assert len(wanted) == 12
    for preset in ("tour", "quick", "full"):
        groups = {g.setting: g for g in sweep.groups(preset, OPTIONS)}
        assert wanted <= set(groups)
        assert all(len(groups[s].seeds) == 8 and groups[s].settings["held_out"] >= 2000 for s in wanted)


def test_presets_fit_their_time_and_full_holds_quick():
    """Predicted core-seconds: tour 25, quick 180; the store gives full what quick has."""
    total = {preset: sum(g.cost for g in sweep.groups(preset, OPTIONS)) for preset in sweep.PRESETS}
    assert total["smoke"] < 4 and total["tour"] < 26 and total["quick"] < 190
    keys = {preset: {g.key for g in sweep.groups(preset, OPTIONS)[1:]} for preset in ("quick", "full")}
    assert keys["quick"] < keys["full"]


@pytest.mark.parametrize("V", [2, 3, 4])
def test_both_cells_have_equal_parameters_on_every_alphabet(V):
    """Within a tenth, by the count of the arrays that are drawn, which the closed form gives too."""
    run = {2: EVEN, 3: sweep.Run("mess3", 0, 1), 4: sweep.Run("markov_1", 0, 1)}[V]
    models = [experiment.initial(group(run, cell), TWIN) for cell in sweep.CELLS]
    counts = [sum(a[0].size for a in leaves(model)) for model in models]
    assert counts == [arms.parameters(cell, V, V, group(run, cell).settings["H"]) for cell in sweep.CELLS]
    assert known.source(run.name, run.n).V == V and abs(counts[0] / counts[1] - 1) < 0.1


def test_both_cells_are_searched_alike_on_seeds_that_enter_no_verdict():
    """As many starts and rates for each, and the file has every one of them; each run of full finds its choice."""
    table = pd.read_csv(rates.MEASURED)
    tried = table.groupby(["source", "cell"]).size().unstack()
    assert (tried == 2 * len(rates.RATES) * len(rates.SEEDS)).all(None) and len(tried) == len(rates.SEARCHED)
    assert table.seed.min() >= 1000 and all(len(starts) == 2 for starts in sweep.STARTS.values())
    for run in sweep.PRESETS["full"].runs:
        for cell in sweep.CELLS:
            arm, lr = rates.chosen(run.name, run.n, cell)
            assert arm in sweep.STARTS[cell] and lr in rates.RATES


def test_the_choice_is_the_lowest_median(monkeypatch):
    """Of two starts and two rates, for one cell of one source; timer's by the nearer n that was searched."""
    rows = [("timer/n=20", "rnn", arm, lr) for arm in sweep.STARTS["rnn"] for lr in (0.001, 0.01)]
    table = pd.Series([0.3, 0.2, 0.1, 0.4], pd.MultiIndex.from_tuples(rows))
    monkeypatch.setattr(rates, "medians", lambda: table)
    assert rates.chosen("timer", 29, "rnn") == ("rnn_identity", 0.001)
    assert rates.asked_of("timer", 30) == ("timer", 40) and rates.asked_of("recall", 5) == ("recall", 10)
    assert rates.asked_of("dyck", 8) == ("dyck", 4) and rates.asked_of("even", 0) == ("even", 0)
    monkeypatch.setitem(rates.OF_A_KIND, "timer", (20, 60))  # another search, another choice
    assert [rates.asked_of("timer", n)[1] for n in (5, 39, 40, 90)] == [20, 20, 60, 60]


def test_beside_a_text_of_the_users_own_no_source_is_run():
    """None has to do with the text; the section of no records is left out of the report."""
    for preset in sweep.PRESETS:
        assert sweep.groups(preset, SimpleNamespace(engine="numpy", corpus="own.txt")) == []
    section = analysis.analyse(pd.DataFrame(columns=COLUMNS)).section
    assert not section.figures and not section.tables


# How it is measured


@pytest.mark.parametrize("name", ["even", "mess3", "timer", "dyck"])
def test_who_answers_as_the_predictor_has_no_excess(name, monkeypatch):
    """Logits that are the log chances give excess 0 and the predictor's loss; those of a step before do not."""
    held = experiment.Held(group(sweep.Run(name, {"timer": 4, "dyck": 3}.get(name, 0), 1, rows=60)))
    chances = np.maximum(held.chances, 1e-300)
    monkeypatch.setattr(experiment, "answers", lambda *given: np.log(chances))
    found = held.measured(TWIN, None, 60)
    np.testing.assert_allclose(found["excess"], 0, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found["loss"], found["bayes"], rtol=1e-9)
    monkeypatch.setattr(experiment, "answers", lambda *given: np.log(np.roll(chances, 1, 0)))
    assert (held.measured(TWIN, None, 60)["excess"] > 0.001).all()


def test_cells_are_paired_and_seeds_are_not():
    """Both cells see the same training and held-out symbols, every seed its own, and the two streams differ."""
    for drawn in (lambda g: next(experiment.batches(g, TWIN)).target, lambda g: experiment.Held(g).asked.target):
        rnn, lstm = (drawn(group(cell=cell)) for cell in sweep.CELLS)
        np.testing.assert_array_equal(rnn, lstm)
        assert (rnn[:, 0] != rnn[:, 1]).any()
    trained, held = next(experiment.batches(group(), TWIN)).target, experiment.Held(group()).asked.target
    assert (trained[:, 0, :32] != held[:, 0, :32]).any()


def test_every_update_has_rows_of_its_own_and_there_are_as_many_as_asked_for():
    """No two batches are alike, also across what is drawn together, and the input is the symbol before."""
    run = EVEN._replace(updates=experiment.AT_ONCE + 3)
    some = list(experiment.batches(group(run), TWIN))
    assert len(some) == run.updates and len({batch.target.tobytes() for batch in some}) == run.updates
    for batch in (some[0], some[-1]):
        assert batch.x.shape == (50, 2, 32, 2) and batch.x.dtype == np.float32 and not batch.x[0].any()
        np.testing.assert_array_equal(batch.x[1:].argmax(-1), batch.target[:-1])


def test_timer_stays_as_it_stands_in_its_module():
    """Same symbols, inputs and predictor; the excess of any logits is the module's own cost."""
    source = known.Timer(4)
    x, target = source.draw(draw.generator("timer"), 50, 30)
    other = timer.draw(draw.generator("timer"), 4, 30)
    np.testing.assert_array_equal(x, other[0])
    np.testing.assert_array_equal(target, other[1])
    y = draw.generator("y").normal(size=(50, 30, 2))
    np.testing.assert_allclose(
        experiment.divergence(y, source.bayes(target)), timer.cost(y, target, length=4), rtol=0, atol=1e-12
    )
    assert source.rungs(4)[-1] == source.rate == timer.rate(4)


def test_training_brings_a_cell_near_the_predictor_and_n20_near_the_excess():
    """On the Even process 150 updates leave less than what sight of one symbol does; N20 is loss minus bayes."""
    frame = records(group(EVEN._replace(updates=150, rows=400), lr=2e-2))
    value = frame[frame["index"] == 0].pivot_table(index="seed", columns="metric", values="value")
    rungs = known.source("even", 0).rungs(2) - 2 / 3
    assert (value.excess < rungs[2]).all() and (value.excess > 0).all()
    np.testing.assert_allclose(value.N20, value.loss - value.bayes, rtol=0, atol=1e-12)
    assert abs(value.N20 - value.excess).max() < 0.01
    curve = frame[frame.metric == "curve"].groupby("index").value.median()
    assert list(curve.index) == sweep.marks(150) and curve.iloc[-1] < curve.iloc[0]


def test_several_starts_are_several_settings_on_the_same_data():
    """Every record of the group once a start; the predictor's loss is the same for both."""
    frame = records(group(EVEN._replace(updates=2), more=sweep.STARTS["rnn"][1:]))
    assert set(frame.setting) == {f"even/cell=rnn/arm={arm}" for arm in sweep.STARTS["rnn"]}
    bayes = frame[frame.metric == "bayes"].pivot_table(index="seed", columns="setting", values="value")
    assert (bayes.iloc[:, 0] == bayes.iloc[:, 1]).all() and bayes.iloc[0, 0] != bayes.iloc[1, 0]
    starts = frame[frame.metric == "start"].groupby("setting").value.unique()
    assert [list(values) for values in starts[[f"even/cell=rnn/arm={a}" for a in sweep.STARTS["rnn"]]]] == [[0], [1]]


# Through to the section


@pytest.fixture(scope="module")
def smoke():
    """The records of the smoke preset."""
    return pd.concat([records(g) for g in sweep.groups("smoke", OPTIONS)], ignore_index=True)


def test_the_smoke_preset_runs_through_to_its_section(smoke):
    """Each source once by each cell; every number of N20; a figure and two tables; the rungs are the closed forms."""
    assert not smoke.duplicated(["setting", "metric", "seed", "index"]).any() and np.isfinite(smoke.value).all()
    assert smoke[smoke.metric == "N20"].groupby("setting").size().tolist() == [2] * 12
    found = analysis.analyse(smoke)
    assert len(found.section.figures) == 1 and len(found.section.tables) == 2
    excess, rungs = (table.frame for table in found.section.tables)
    assert len(excess) == 2 * len(sweep.PRESETS["smoke"].runs) == 2 * len(rungs)
    orders = dict(zip(excess.source, excess["Markov order"], strict=True))
    assert (
        orders["golden mean"] == orders["Markov 1"] == "1" and orders["Markov 4"] == "4" and orders["timer(5)"] == "5"
    )
    assert orders["Even"] == orders["Mess3"] == orders["recall(5)"] == "infinite"


def test_no_records_give_a_section_without_figures():
    """A preset may not run this part, and text's records are none of it."""
    text = pd.DataFrame([Record("language_model", "text/cell=rnn", 0, "loss_test", 0, 1.0)], columns=COLUMNS)
    for frame in (text[:0], text):
        found = analysis.analyse(frame)
        assert not found.section.figures and not found.section.lead and not found.settings


def test_titles_and_words_say_what_the_numbers_are():
    """The better cell at both ends of the range; at the largest n both cells beside order 1; the order outdone."""
    found = read(made_up({"even": (0.02, 0.01), "golden_mean": (0.001, 0.002)}, {10: (0.1, 0.001), 40: (0.114, 0.002)}))
    title = pictures.sources_title(found)
    assert "0.001 bit a symbol (golden mean)" in title and "0.01 bit a symbol (Even)" in title
    timers = [one for one in found if one.name == "timer"]
    assert pictures.timer_title(timers).startswith("Excess on timer(40) in bits a symbol: the RNN 0.114")
    assert timer.rung(1, 40) == pytest.approx(timers[-1].above[1]) and timers[-1].gaps[1] == timer.excess(1, 40)
    assert pictures.timer_title(timers).endswith("; who sees one symbol has 0.101")
    assert "n = 10 RNN 0.444 (0.444 to 0.444)" in analysis.timer_text(timers)
    assert "n = 40 RNN 1.13 (1.13 to 1.13) and LSTM 0.0199" in analysis.timer_text(timers)
    table = analysis.rung_table(found).frame.set_index("source")
    assert (table["order 1"]["timer(40)"], table["order 1"]["Even"], table["order 8"]["Even"]) == (
        "0.101",
        "0.19",
        "0.0121",
    )
    assert "rungs 0.233, 0.19, 0.112, 0.0909" in pictures.sources_alt(found)
    below = analysis.order_text(read(made_up({"even": (0.02, 0.0125)}, {})))
    assert "rungs up to: Even order 7." in below
    lead = analysis.analyse(made_up({"even": (0.02, 0.01)}, {})).section.lead
    assert "Even LSTM 0.01 (0.01 to 0.01)" in lead and "Even order 8 (the highest that was looked at)" in lead


def test_a_rung_that_some_seeds_exceed_is_not_outdone():
    """The whole interval must lie below. Planted: three of eight seeds lie higher, or are lost; the median stays."""
    frame = made_up({"even": (0.02, 0.0125)}, {})
    some = frame.setting.str.endswith("cell=lstm") & frame.metric.eq("excess") & (frame.seed < 3)
    for value, order in ((0.0125, 7), (0.1, 2), (0.2, 0)):
        text = analysis.order_text(read(frame.assign(value=frame.value.mask(some, value))))
        assert f"rungs up to: Even order {order}." in text
    lost = frame.assign(value=frame.value.mask(some, np.nan))
    assert analysis.order_text(read(lost)) == ""


LOSSES = ["excess", "loss", "N20", "curve"]


@pytest.mark.parametrize("lost", ["one seed", "a cell", "all"])
def test_lost_seeds_do_not_break_the_section(lost):
    """A loss that is NaN counts as infinite, after a quarter of the updates too; what is finite is drawn."""
    frame = made_up({"even": (0.02, 0.01), "golden_mean": (0.001, 0.002)}, {10: (0.1, 0.001), 40: (0.114, 0.002)})
    which = {"one seed": frame.seed == 1, "a cell": frame.setting.str.endswith("cell=lstm"), "all": frame.seed >= 0}
    frame.loc[which[lost] & frame.metric.isin(LOSSES), "value"] = np.nan
    found = analysis.analyse(frame).section
    assert all(figures.svg(figure.canvas, figure.name).startswith("<svg") for figure in found.figures)
    table = found.tables[0].frame.set_index(["source", "cell"])
    assert table.excess["Even", "LSTM"] == {"one seed": "0.01 (0.01 to inf)"}.get(lost, "inf (inf to inf)")
    assert table["after a quarter"]["Even", "LSTM"] == ("0.01" if lost == "one seed" else "inf")
    assert table.excess["Even", "RNN"].startswith("inf" if lost == "all" else "0.02")
    assert set(table.seeds) == {8} and len(found.figures) == 2


def test_the_better_cell_is_one_that_is_not_lost():
    """A cell whose every seed is lost is the better one of no source."""
    frame = made_up({"even": (0.02, 0.01)}, {})
    frame.loc[frame.setting.str.endswith("cell=lstm") & frame.metric.isin(LOSSES), "value"] = np.nan
    (found,) = read(frame)
    assert found.best() == found.best("N20") == "rnn" and "(Even)" in pictures.sources_title([found])


def test_a_title_names_n20_where_its_sources_were_run_alone():
    """Of others it says how many there are, and no more."""
    some = read(made_up({"even": (0.02, 0.01), "mess3": (0.02, 0.01)}, {10: (0.1, 0.001), 40: (0.114, 0.002)}))
    assert "each of the 2 sources that N20 names stays" in pictures.sources_title(some)
    others = [one for one in some if not one.decides]
    assert others and f"each of the {len(others)} sources stays" in pictures.sources_title(others)


def test_the_residual_of_timer_is_what_order_one_leaves():
    """Measured minus what order 1 pays on such sequences, by cell and n: not minus its rung in the long run."""
    found = read(made_up({}, {10: (0.1, 0.001), 40: (0.114, 0.002)}))
    table = pictures.timer_table(found).set_index(["cell", "n"])
    assert table.residual["rnn", 40] == pytest.approx(0.114 - timer.excess(1, 40), abs=1e-9)
    assert table.residual["lstm", 10] == pytest.approx(0.001 - timer.excess(1, 10), abs=1e-9)


def test_a_rung_is_the_excess_of_its_predictor_on_sequences_as_they_are_drawn():
    """Of who sees one symbol, by divergence over drawn sequences; on recall the long run's of order 2 is far higher."""
    for name, n in (("even", 0), ("recall", 20), ("dyck", 4), ("timer", 10)):
        source, T = known.source(name, n), known.steps(name, n)
        _, target = source.draw(draw.generator("gap", name), T, 4000)
        seen = np.concatenate([np.full_like(target[:1], source.V if name != "timer" else 1), target[:-1]])
        counts = np.zeros((source.V + 1, source.V))
        np.add.at(counts, (seen, target), 1)
        logits = np.log(np.maximum(counts / np.maximum(counts.sum(1, keepdims=True), 1), 1e-30))[seen]
        assert holds(experiment.divergence(logits, source.bayes(target)), known.gaps(name, n)[1])
    recall = known.source("recall", 20)
    assert (recall.rungs(2)[2] - recall.rate) > 1.5 * known.gaps("recall", 20)[2]


def test_how_starts_and_rates_were_chosen_is_said():
    """Which sources took another's choice, and how often the rate is at an end of those tried."""
    frame = made_up({"even": (0.02, 0.01)}, {20: (0.1, 0.001), 30: (0.1, 0.001)})
    said = analysis.searched_text(read(frame))
    assert "2 starts each, rates 0.003, 0.01, 0.03 and 0.1, for 5000% to 15000% of" in said
    assert "highest" not in said and "lowest" not in said
    assert said.endswith("Not searched themselves, but by a source of their kind, are timer(30) by timer(40).")
    frame.loc[frame.setting.eq("even/cell=rnn") & frame.metric.eq("lr"), "value"] = max(rates.RATES)
    assert analysis.searched_text(read(frame)).endswith(
        "Of 6 choices 1 took the highest rate: one beyond may be better."
    )
    frame.loc[frame.setting.str.match("timer.*/cell=lstm") & frame.metric.eq("lr"), "value"] = min(rates.RATES)
    both = "Of 6 choices 1 took the highest rate and 2 took the lowest rate: one beyond may be better."
    assert analysis.searched_text(read(frame)).endswith(both)
    frame.loc[frame.setting.eq("even/cell=rnn") & frame.metric.eq("lr"), "value"] = 0.01
    assert "Of 6 choices 2 took the lowest rate:" in analysis.searched_text(read(frame))
    frame = made_up({"even": (0.02, 0.01)}, {})
    frame.loc[frame.metric.eq("updates"), "value"] = rates.SEARCHED[1].updates
    assert analysis.searched_text(read(frame)).endswith("0.03 and 0.1, for as many updates.")


def made_up(plain, timers):
    """Records of eight seeds whose excess is the same number, RNN and LSTM, by source and by n."""
    runs = [sweep.Run(name, 0, 8) for name in plain] + [sweep.Run("timer", n, 8) for n in timers]
    values, found = [*plain.values(), *timers.values()], experiment.run(sweep.rungs(runs, OPTIONS), lambda *_: None)
    for run, pair in zip(runs, values, strict=True):
        for cell, value in zip(sweep.CELLS, pair, strict=True):
            g = group(run, cell, seeds=8)
            given = {"excess": value, "loss": 1 + value, "bayes": 1.0, "hidden_units": 8, "parameters": 400, "start": 0}
            given |= {"updates": 8, "lr": 0.01, "held_out_rows": 2000} | ({"N20": value} if run.name != "timer" else {})
            found += [r for metric, number in given.items() for r in g.each(metric, 0, number)]
            found += [r for at in sweep.marks(8) for r in g.each("curve", at, value)]
    return pd.DataFrame(found, columns=COLUMNS)
