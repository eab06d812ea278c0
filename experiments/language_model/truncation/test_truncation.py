"""The truncation sweep: its settings, what is equal between truncations, its search for rates, and its section."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiments import claims
from experiments.harness import figures
from experiments.harness.endings import UsageError
from experiments.harness.engine import engine
from experiments.harness.sweep import PRESETS, Options
from experiments.language_model import learning, models
from experiments.language_model.corpus import Corpus
from experiments.language_model.evaluation import evaluate
from experiments.language_model.lanes import Lanes
from experiments.language_model.trained import newest
from experiments.language_model.truncation import analysis, experiment, rates, sweep
from experiments.tasks import text
from impl import draw
from properties.record import COLUMNS, Record

CELLS, LONG = models.CELLS, sweep.LONG
TINY = sweep.Preset(1, (1, 5, LONG), seeds=3, updates=6, B=4, read=100)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A text of 3000 characters over 'abcde', each drawn alone but for every third, which repeats the one before."""
    classes = draw.generator("truncation corpus").integers(0, 5, 3000)
    classes[2::3] = classes[1::3]
    path = tmp_path_factory.mktemp("corpus") / "thirds.txt"
    path.write_text("".join("abcde"[c] for c in classes), "utf-8")
    return path


@pytest.fixture
def source(corpus):
    """The text of `corpus`."""
    return text.load(corpus)


# The sweep


@pytest.mark.parametrize("preset", PRESETS)
def test_a_sweep_has_a_group_a_cell_under_the_names_that_the_claim_reads(preset):
    """Both truncations of the claim stand in each, all divide the chunk, and a group is plain data."""
    groups, sizes = sweep.groups(preset, Options()), sweep.PRESETS[preset]
    asked = [q for q in claims.CLAIMS["N18"].quantities if q.kind == "median"]
    assert [(g.setting,) for g in groups] == [q.settings for q in asked]
    assert {sweep.SHORT, LONG} <= set(sizes.truncations) and all(sweep.FIXED["T"] % k == 0 for k in sizes.truncations)
    assert all(json.loads(json.dumps(g.settings)) == g.settings for g in groups)
    assert [[k for k, _ in g.settings["truncations"]] for g in groups] == [list(sizes.truncations)] * 2
    assert all(g.seeds == tuple(range(sizes.seeds)) and g.settings["test"] for g in groups)


def test_presets_fit_their_times_and_have_the_seeds_that_a_verdict_asks_for():
    """A tour costs at most 25 core-seconds, quick 100; from the tour on there are eight seeds."""
    cost = {preset: sum(g.cost for g in sweep.groups(preset, Options())) for preset in PRESETS}
    assert cost["smoke"] < 5 and cost["tour"] < 25 and cost["quick"] < 100
    assert all(sweep.PRESETS[preset].seeds >= claims.FEWEST_SEEDS for preset in PRESETS[1:])


def test_a_users_own_text_has_settings_that_no_claim_reads(corpus, source):
    """The file's name stands before the part's, and the text's hash in the key."""
    own, default = sweep.groups("smoke", Options(corpus=corpus)), sweep.groups("smoke", Options())
    assert [g.setting for g in own] == [f"corpus=thirds/truncation/cell={cell}" for cell in CELLS]
    assert not any(claims.rules_for(g.experiment, "N18", g.setting) for g in own)
    assert all(claims.rules_for(g.experiment, "N18", g.setting) for g in default)
    assert {g.data for g in own} == {source.sha256} and not {g.key for g in own} & {g.key for g in default}


def test_both_cells_have_equal_parameters():
    """Within 5 % from the tour on, and nowhere more than the size says."""
    for preset in PRESETS[1:]:
        sizes = sweep.PRESETS[preset]
        H = {g.settings["cell"]: g.settings["H"] for g in sweep.groups(preset, Options())}
        rnn, lstm = (models.parameters(cell, 63, H[cell]) for cell in CELLS)
        assert abs(rnn / lstm - 1) < 0.05 and max(rnn, lstm) <= 1000 * sizes.size


# What is equal


@pytest.mark.parametrize("cell", CELLS)
def test_every_truncation_starts_anew_whatever_was_trained_before_it(source, corpus, cell):
    """In the reverse order, and alone, a truncation's numbers are the same bits: it sees the same start and chunks."""
    g = group(cell, source, corpus)
    assert unequal(g) == set()


def test_chunks_that_go_on_from_one_truncation_to_the_next_would_be_seen(source, corpus, monkeypatch):
    """A planted fault: all truncations share one stream of the text, so that each reads on where the last ended."""
    g, streams = group("rnn", source, corpus), {}
    shared = lambda own, *given: streams.setdefault(tuple(own.seeds), Lanes(own, *given))  # noqa: E731
    monkeypatch.setattr(experiment, "Lanes", shared)
    assert unequal(g) >= {1, LONG}


@pytest.mark.parametrize("cell", CELLS)
def test_blocks_of_the_whole_chunk_are_training_as_it_is_elsewhere(source, corpus, cell):
    """At k = T the models lose what those lose that `learn` trains with the whole gradient, bit for bit."""
    g, twin = group(cell, source, corpus), engine("numpy")
    own = experiment.one(g, LONG, 0.02)
    lanes = Lanes(own, text.characters(source, text.contiguous(3000).training), 5, twin)
    whole, _ = learning.learn(own, twin, lanes, models.initial(own, 5, twin), lambda *_: [], silent, {})
    part = text.contiguous(3000).test[0]
    loss = evaluate(twin, own.settings, whole, source.characters, slice(part.start, part.start + 100))
    assert losses(experiment.run(g, silent), LONG) == loss.tolist()


@pytest.mark.parametrize("cell", CELLS)
def test_a_run_gives_every_number_and_n18_is_their_difference(source, corpus, cell):
    """One record a seed and metric; N18 is the test's loss at 1 minus that at 50; checkpoints count to the end."""
    g, marks = group(cell, source, corpus), []
    records = experiment.run(g, lambda *at: marks.append(at))
    frame = pd.DataFrame(records)
    assert set(frame.groupby(["setting", "metric"]).size()) == {3} and set(frame.seed) == {0, 1, 2}
    assert marks == [(n, 18) for n in range(1, 19)]
    metrics = frame.groupby("setting").metric.agg(set)
    assert metrics[g.setting] == {"N18", "parameters", "hidden_units", "lanes", "characters_test"}
    for k in TINY.truncations:
        assert metrics[f"{g.setting}/k={k}"] == {"loss_test", "loss_validation", "loss_training", "rate"}
    found = [r.value for r in records if r.metric == "N18"]
    assert found == [a - b for a, b in zip(losses(records, 1), losses(records, LONG), strict=True)]
    assert min(map(abs, found)) > 0, "truncations 1 and 50 are one"


@pytest.mark.parametrize("at", [3, 6, 8])
def test_a_group_that_was_stopped_goes_on_to_the_same_bits(source, corpus, tmp_path, monkeypatch, at):
    """Stopped within the first truncation, at its end or within the second: each has a file of its own."""

    class Stopped(Exception):
        pass

    def stop(done, total):
        if done == at:
            raise Stopped

    monkeypatch.setattr(learning, "EVERY", 0.0)
    g = group("lstm", source, corpus)
    kept = replace(g, keep=str(tmp_path))
    with pytest.raises(Stopped):
        experiment.run(kept, stop)
    assert experiment.run(kept, silent) == experiment.run(g, silent)
    assert len(list(tmp_path.iterdir())) == len(TINY.truncations)


def test_what_is_kept_is_no_model_to_generate_text_with(source, corpus, tmp_path):
    """The newest model of characters is looked for elsewhere: a truncated one is passed over."""
    experiment.run(replace(group("rnn", source, corpus), keep=str(tmp_path)), silent)
    with pytest.raises(UsageError, match="there is no trained model of characters"):
        newest(tmp_path)


def test_what_is_read_of_a_part_is_its_beginning_or_all_of_it(source, corpus):
    """At most as many characters as the preset says; no more than there are; None is the whole part."""
    g, part = group("rnn", source, corpus), text.contiguous(3000).test[0]
    for most, read in ((100, 100), (10_000, 150), (None, 150)):
        own = replace(g, settings=g.settings | {"read": most})
        assert experiment.beginning(own, source, "test") == slice(part.start, part.start + read)


def unequal(g):
    """The truncations whose loss on the test depends on which others were trained before."""
    given = g.settings["truncations"]
    orders = (replace(g, settings=g.settings | {"truncations": some}) for some in (given, given[::-1]))
    found = [experiment.run(own, silent) for own in orders]
    return {k for k, _ in given if losses(found[0], k) != losses(found[1], k)}


def losses(records, k):
    """The loss on the test at one truncation, by seed."""
    return [r.value for r in records if r.metric == "loss_test" and r.setting.endswith(f"/k={k}")]


# The rates


def test_the_search_offers_every_truncation_of_each_cell_the_same_rates():
    """rates.csv has all rates by as many seeds for each of the truncations, at quick's updates; the best are taken."""
    found = pd.read_csv(rates.MEASURED)
    offered = found.groupby(["cell", "k"]).rate.agg(lambda rate: tuple(sorted(set(rate))))
    assert set(offered) == {rates.RATES} and len(offered) == len(CELLS) * len(sweep.TRUNCATIONS)
    assert len(found) == len(offered) * len(rates.RATES) * len(rates.SEEDS)
    assert set(found.seed) == set(rates.SEEDS) and set(found.updates) == {sweep.PRESETS["quick"].updates}
    for g in sweep.groups("quick", Options()):
        for k, lr in g.settings["truncations"]:
            own = found[(found.cell == g.settings["cell"]) & (found.k == k)].groupby("rate").loss.median()
            assert own[lr] == own.min()
    assert all({lr for _, lr in g.settings["truncations"]} == {models.rate(g.settings["cell"], 60)} for g in full())


def test_the_search_reads_no_test_and_has_seeds_of_its_own():
    """Its models are quick's; its seeds are 1000 and up; no claim reads its records."""
    groups, quick = rates.every(), sweep.groups("quick", Options())
    assert len({g.key for g in groups}) == len({g.setting for g in groups}) == len(CELLS) * len(rates.RATES)
    assert min(seed for g in groups for seed in g.seeds) >= 1000 and not any(g.settings["test"] for g in groups)
    assert {(g.settings["H"], g.settings["updates"]) for g in groups} == {
        (g.settings["H"], g.settings["updates"]) for g in quick
    }
    assert not any(claims.rules_for(g.experiment, "N18", g.setting) for g in groups)


def test_a_search_run_has_no_loss_on_the_test_and_its_table_the_validations(source, corpus):
    """What the search's table holds is what was measured on the validation part."""
    g = group("rnn", source, corpus, lr=0.01)
    records = experiment.run(g, silent)
    assert not {r.metric for r in records} & {"loss_test", "N18"}
    found = rates.table(pd.DataFrame(records, columns=COLUMNS))
    assert found[["cell", "k", "rate"]].drop_duplicates().values.tolist() == [
        ["rnn", k, 0.01] for k in TINY.truncations
    ]
    told = {(r.setting, r.seed): r.value for r in records if r.metric == "loss_validation"}
    for row in found.itertuples():
        assert row.loss == round(told[f"{g.setting}/k={row.k}", row.seed], 6)


def full():
    """The groups of the largest preset."""
    return sweep.groups("full", Options())


# What is read from the records


def test_the_section_says_what_the_records_say_and_is_the_same_twice(source, corpus):
    """Its lead, table and figure have the medians; nothing depends on the order of the records."""
    records = [r for cell in CELLS for r in experiment.run(group(cell, source, corpus), silent)]
    frame = pd.DataFrame([*records, Record("memory", "truncation/cell=rnn", 0, "loss_test", 0, 0.0)])
    found = written(frame)
    assert found == written(frame.sample(frac=1, random_state=0))
    assert "the user's text thirds" in found and "the validation part of the default text" in found
    assert "Fewer than 8 seeds have no 99 % interval" in found
    for cell in CELLS:
        mine = [r for r in records if f"cell={cell}" in r.setting]
        for k in (1, LONG):
            assert f"{np.median(losses(mine, k)):.3f}" in found


@pytest.mark.parametrize(
    ("rnn", "lstm", "said"),
    [
        (0.1, 0.2, "Without gradients through time the test loss is higher"),
        (-0.1, -0.2, "Without gradients through time the test loss is lower"),
        (0.1, 0.0, "Whether gradients through time lower the test loss of every cell is open"),
        (0.1, -0.2, "Whether gradients through time lower the test loss of every cell is open"),
    ],
)
def test_the_title_is_read_from_the_intervals_of_both_cells(rnn, lstm, said):
    """Eight seeds on one side of zero decide; both cells must."""
    (figure,) = section(made({"rnn": rnn, "lstm": lstm})).figures
    assert figure.title.startswith(said) and f"{rnn:+.3f}".replace("-", "\N{MINUS SIGN}") in figure.title
    few = section(made({"rnn": rnn, "lstm": lstm}, seeds=7)).figures[0].title
    assert few.startswith("Whether gradients through time lower the test loss of every cell is open")


def test_truncations_that_differ_from_the_long_one_are_named():
    """At 5 the RNN's losses are above those at 50 in all seeds, the LSTM's are around them."""
    lead = section(made({"rnn": 0.1, "lstm": 0.1}, middle={"rnn": 0.05, "lstm": 0.0})).lead
    assert "differs from that at 50 beyond doubt: RNN 5; LSTM none." in lead


def test_lost_seeds_do_not_break_the_section():
    """A loss that is no number counts as infinite, at one truncation and at both of the claim's."""
    frame = made({"rnn": 0.1, "lstm": 0.1})
    lost = (frame.metric == "loss_test") & (frame.seed == 1) & frame.setting.str.contains("rnn")
    for some in (lost & frame.setting.str.endswith("/k=1"), lost):
        broken = frame.copy()
        broken.loc[some, "value"] = math.nan
        assert "the RNN" in written(broken) or "The RNN" in written(broken)


def test_rungs_are_drawn_where_the_whole_test_was_read():
    """A rung of the whole test does not stand beside losses on its beginning; which of them was read is said."""
    frame = made({"rnn": 0.1, "lstm": 0.1})
    for characters, known in ((100, {1: 1.85, 2: 1.5}), (101, {})):
        told = [
            ("rung_test", 1, 1.85),
            ("rung_test", 2, 1.5),
            ("rung_test", 0, 3.0),
            ("characters_test", 0, characters),
        ]
        both = pd.concat([frame, pd.DataFrame(Record("language_model", "text/rungs", 0, *some) for some in told)])
        assert analysis.rungs(both, analysis.read_arms(both)) == known
        part = "the whole test, 100 characters" if known else "the first 100 characters of the test"
        found = analysis.analyse(both)
        assert f"Losses are on {part}. " in found.section.lead
        assert found.settings["truncation: evaluation"].startswith(f"{part}, in ")
        written(both)


def test_records_of_before_have_an_empty_section():
    """A report whose records hold no truncation leaves the section out."""
    found = analysis.analyse(pd.DataFrame([Record("language_model", "text/rungs", 0, "rung_test", 1, 2.0)]))
    assert not found.settings and not found.section.figures and not found.section.tables


def made(short, middle=None, seeds=8):
    """Records of both cells: at truncation 1 the loss is 1.8 and so much more, at 50 it is 1.8, with a spread."""
    told = []
    for cell, more in short.items():
        at = {1: more, 5: (middle or short)[cell], LONG: 0.0}
        for seed in range(seeds):
            for k, plus in at.items():
                noise = 0.001 * (seed - 3.5) * (k != LONG)
                numbers = {"loss_test": 1.8 + plus + noise, "loss_validation": 1.7, "rate": 0.04}
                told += [(f"truncation/cell={cell}/k={k}", seed, name, 6, v) for name, v in numbers.items()]
            facts = {"parameters": 9000, "hidden_units": 50, "lanes": 8, "characters_test": 100, "N18": more}
            told += [(f"truncation/cell={cell}", seed, name, 0, v) for name, v in facts.items()]
    return pd.DataFrame(Record("language_model", *some) for some in told)


def section(frame):
    """The section of a frame, with its pictures closed."""
    with figures.style():
        found = analysis.analyse(frame).section
        for figure in found.figures:
            figures.svg(figure.canvas, figure.name)
    return found


def written(frame):
    """Everything that the section says, as text."""
    with figures.style():
        found = analysis.analyse(frame)
        pictures = [figures.svg(figure.canvas, figure.name) for figure in found.section.figures]
    words = [f"{figure.title} {figure.alt} {figure.data.to_csv()}" for figure in found.section.figures]
    tables = [f"{table.title} {table.frame.to_csv()}" for table in found.section.tables]
    return "\n".join([found.section.lead, *words, *tables, str(found.settings), *pictures])


def silent(done, total):
    """A checkpoint that does nothing."""


def group(cell, source, corpus, lr=None):
    """A small group on `source` whose chunks have 50 steps."""
    g = sweep.trained(Corpus("corpus=thirds", source, str(corpus)), cell, TINY, Options("numpy"), lr)
    given = [[k, 0.02 if lr is None else lr] for k in TINY.truncations]
    return replace(g, settings=g.settings | {"T": LONG, "H": 4, "truncations": given})
