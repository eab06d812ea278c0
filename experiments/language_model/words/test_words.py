"""Words of a text: the sweep, streams of integers, evaluation, training, and what is read from the records."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiments.harness.engine import engine
from experiments.harness.sweep import Options
from experiments.harness.testing import assert_of_records_alone, section_of
from experiments.language_model import evaluation, learning, models
from experiments.language_model.words import analysis, experiment, sweep
from experiments.tasks import ngram, text
from experiments.tasks.words import joined, words_of
from impl import draw
from impl.spec import leaves, tree_map
from properties.record import read_csv, to_csv

PART = "experiments.language_model.words"
TINY = sweep.Preset(3, 4, 8, seeds=3, updates=12, evaluations=2, rates={"rnn": 1e-2, "lstm": 1e-2})
SMALL = {"T": 5, "lanes": 4, "warmup": 7}
CELLS = models.CELLS


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """4000 words over six: a word is followed by the next one, or now and then by any."""
    rng, places = draw.generator("words corpus"), [0]
    for jump, place in zip(rng.random(3999) < 0.2, rng.integers(0, 6, 3999), strict=True):
        places.append(int(place) if jump else (places[-1] + 1) % 6)
    path = tmp_path_factory.mktemp("corpus") / "cycle.txt"
    path.write_text(" ".join(("one", "two", "three", "four", "five", "six")[place] for place in places), "utf-8")
    return path


@pytest.fixture(scope="module")
def words(corpus):
    """Its words."""
    return words_of(text.load(corpus), TINY.least)


def groups(corpus, **settings):
    """The groups of a tiny sweep on a corpus: rungs, RNN, LSTM."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sweep.PRESETS, "tiny", TINY)
        found = sweep.groups("tiny", Options(corpus=corpus, engine="numpy"))
    return [found[0], *(replace(g, settings=g.settings | SMALL | settings) for g in found[1:])]


def group(corpus, cell, dtype="float32", **settings):
    """One of its cells."""
    return replace(groups(corpus, **settings)[1 + CELLS.index(cell)], dtype=dtype)


def silent(done, total):
    """A checkpoint that does nothing."""


# The sweep


@pytest.mark.parametrize("preset", ["smoke", "tour", "quick", "full"])
def test_a_sweep_holds_the_rungs_and_each_cell_once_as_plain_data(preset):
    """The tour has no words; each setting has its own key; settings survive JSON unchanged."""
    found = sweep.groups(preset, Options())
    wanted = [] if preset == "tour" else ["text/words/rungs", "text/words/cell=rnn", "text/words/cell=lstm"]
    assert [g.setting for g in found] == wanted
    assert len({g.key for g in found}) == len(found)
    assert all(json.loads(json.dumps(g.settings)) == g.settings and g.cost > 0 for g in found)


def test_what_a_preset_asks_for_fits():
    """Quick: 90 core-seconds in all. Full: no array of logits in float32 reaches 2 GB."""
    assert sum(g.cost for g in sweep.groups("quick", Options())) < 90
    sizes, V = sweep.PRESETS["full"], len(words_of(text.load(None), sweep.PRESETS["full"].least).vocabulary)
    assert 4 * sweep.FIXED["T"] * sizes.seeds * sizes.B * V < 2e9


@pytest.mark.parametrize("content", ["\u4e00" * 3000, "one two " * 170, "each word is another " + "x" * 3000])
def test_a_text_with_too_few_words_has_no_groups(tmp_path, content):
    """One long word, too few words for a window, none that is frequent: characters still have theirs."""
    path = tmp_path / "short.txt"
    path.write_text(content + "ab", "utf-8")
    assert text.load(path).name == "short"
    assert sweep.groups("quick", Options(corpus=path)) == []


def test_parameters_are_those_that_are_drawn_and_equal_between_cells(corpus, words):
    """Table and read-out counted; the RNN has the most units that do not pass the LSTM's count."""
    V, count = len(words.vocabulary), {}
    for cell in CELLS:
        s = group(corpus, cell).settings
        count[cell] = sum(a.size for a in leaves(experiment.drawn(s, 0, V)))
        assert count[cell] == sweep.parameters(cell, V, s["D"], s["H"])
    H = group(corpus, "rnn").settings["H"]
    assert count["rnn"] <= count["lstm"] < sweep.parameters("rnn", V, TINY.D, H + 1)


def test_cells_of_one_seed_begin_with_one_table_and_seeds_with_others(corpus, words):
    """What both cells have in common is the same, so that they are compared seed by seed."""
    V = len(words.vocabulary)
    rnn, lstm = ([experiment.drawn(group(corpus, cell).settings, seed, V) for seed in (0, 1)] for cell in CELLS)
    np.testing.assert_array_equal(rnn[0].cell.table, lstm[0].cell.table)
    assert (rnn[0].cell.table != rnn[1].cell.table).all()
    assert abs(rnn[0].cell.table.std() - 1) < 0.5


# Streams and evaluation


def test_batches_are_integers_and_targets_the_words_that_follow(corpus, words):
    """Every lane is a stretch of the training part; cells of one seed read the same words."""
    training = joined(words, words.parts.training)
    twin = engine("numpy")
    seen = {}
    for cell in CELLS:
        lanes = experiment.WordLanes(group(corpus, cell), training, len(words.vocabulary), twin)
        at = lanes.at
        batch = next(lanes.batches())
        assert batch.x.dtype.kind == "i" and batch.x.shape == batch.target.shape == (5, 3, TINY.B)
        wanted = training[(at + np.arange(6)[:, None, None]) % len(training)]
        np.testing.assert_array_equal(batch.x, wanted[:-1])
        np.testing.assert_array_equal(batch.target, wanted[1:])
        seen[cell] = batch.x
    np.testing.assert_array_equal(*seen.values())


def by_vectors(twin, g, model, words, part):
    """The loss by the evaluation of characters: one-hot inputs to W_ih times the table."""
    table, cell = model.cell
    plain = model._replace(cell=cell._replace(weight_ih=cell.weight_ih @ table.mT))
    return evaluation.evaluate(twin, g.settings, twin.asarray(plain), words.classes, part)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("form", ["numpy", "fast", "torch"])
def test_the_loss_is_that_of_one_hot_inputs_to_the_product(corpus, words, cell, form):
    """Which `evaluation` has, and its tests hold against the product of conditionals; float64, to rounding."""
    g, twin, part = group(corpus, cell, "float64"), engine(form), words.parts.validation[0]
    got = experiment.evaluate(twin, g.settings, twin.asarray(started(g, words)), words.classes, part)
    np.testing.assert_allclose(got, by_vectors(twin, g, started(g, words), words, part), rtol=1e-12)


def forgets(through):
    """A fault: each window begins from zeros."""
    return lambda loop, cell, params, x, state=None: through(loop, cell, params, x)


def reads_ahead(through):
    """A fault: what a cell sees is the word that it is to predict, or nearly: a step too early."""
    return lambda loop, cell, params, x, state=None: through(loop, cell, params, np.roll(x, -1, 0), state)


@pytest.mark.parametrize("fault", [forgets, reads_ahead])
def test_an_evaluation_that_reads_wrongly_is_seen(corpus, words, fault, monkeypatch):
    """States that are not carried between windows, inputs a step too early: another loss for every model."""
    g, twin, part = group(corpus, "rnn", "float64"), engine("numpy"), words.parts.validation[0]
    monkeypatch.setattr(experiment, "through", fault(experiment.through))
    got = experiment.evaluate(twin, g.settings, started(g, words), words.classes, part)
    assert (abs(got - by_vectors(twin, g, started(g, words), words, part)) > 1e-5).all()


def test_a_model_that_knows_nothing_loses_the_logarithm_of_the_vocabulary(corpus, words):
    """With a read-out of zeros every word costs ln V, on any part; in float32 to its rounding."""
    g = group(corpus, "lstm")
    blank = started(g, words)
    blank = blank._replace(head=tree_map(np.zeros_like, blank.head))
    for part in (words.parts.validation[0], words.parts.test[0], slice(100, 171)):
        got = experiment.evaluate(engine("numpy"), g.settings, blank, words.classes, part)
        np.testing.assert_allclose(got, math.log(len(words.vocabulary)), rtol=1e-6)


def started(g, words):
    """The group's models at the start."""
    return models.initial(g, len(words.vocabulary), engine("numpy"), experiment.drawn)


# Rungs


def test_rungs_are_those_of_the_whole_text_up_to_each_word(corpus, words):
    """The first words of a part have those before it as context; counts and shares are those of the parts."""
    records = experiment.run(groups(corpus)[0], silent)
    value = {(r.metric, r.index): r.value for r in records}
    ladder = ngram.fit(joined(words, words.parts.training), len(words.vocabulary))
    each = -np.log(ngram.probabilities(ladder, words.classes))
    for name, (part,) in (("validation", words.parts.validation), ("test", words.parts.test)):
        wanted = each[:, part].mean(1)
        got = [value[f"rung_{name}", order] for order in range(len(wanted))]
        np.testing.assert_allclose(got, wanted, rtol=1e-12)
        assert value[f"words_{name}", 0] == part.stop - part.start and value[f"unknown_{name}", 0] < 0.01
    assert value["vocabulary", 0] == len(words.vocabulary) == 7 and value["least", 0] == TINY.least
    assert len(value) == len(records)


# Training


@pytest.mark.parametrize("cell", CELLS)
def test_a_run_gives_every_number_and_the_same_bits_twice(corpus, cell):
    """Each seed has its losses at the evaluations, at the end that on the test, and its sizes."""
    g, marks = group(corpus, cell), []
    records = experiment.run(g, lambda done, total: marks.append((done, total)))
    assert records == experiment.run(g, silent)
    assert marks == [(n, TINY.updates) for n in range(1, TINY.updates + 1)]
    frame = pd.DataFrame(records)
    assert set(frame.groupby(["metric", "index"]).size()) == {3} and set(frame.seed) == {0, 1, 2}
    assert sorted(set(frame[frame.metric == "loss_validation"]["index"])) == [8, 12]
    assert set(frame.setting) == {f"corpus=cycle/words/cell={cell}"}


@pytest.mark.parametrize("cell", CELLS)
def test_a_training_that_was_stopped_goes_on_to_the_same_bits(corpus, tmp_path, cell, monkeypatch):
    """The file keeps the table and Adam's memory of it as all else."""

    class Stopped(Exception):
        pass

    def stop(done, total):
        if done == 7:
            raise Stopped

    monkeypatch.setattr(learning, "EVERY", 0.0)
    g = group(corpus, cell)
    kept = replace(g, keep=str(tmp_path))
    with pytest.raises(Stopped):
        experiment.run(kept, stop)
    assert experiment.run(kept, silent) == experiment.run(g, silent)


TAUGHT = {"updates": 300, "lr": 2e-2, "T": 20}


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_learns_what_the_rungs_know(corpus, cell):
    """After 300 updates every seed is below order 0 by half of what order 1 is, on a text of order 1."""
    assert max(losses(group(corpus, cell, **TAUGHT))) < halfway(corpus)


def own_words(batches):
    """A fault: the target is the input."""
    return lambda self: (batch._replace(target=batch.x) for batch in batches(self))


def still(update):
    """A fault: the table does not tell one word from the others."""
    return lambda table, index: update(table * 0, index)


def test_targets_that_are_the_inputs_would_be_seen_in_the_loss(corpus, monkeypatch):
    """Such a net learns to repeat and does not pass the line."""
    monkeypatch.setattr(experiment.WordLanes, "batches", own_words(experiment.WordLanes.batches))
    assert min(losses(group(corpus, "rnn", **TAUGHT))) > halfway(corpus)


def test_a_table_that_shows_nothing_would_be_seen_in_the_loss(corpus, monkeypatch):
    """A cell that sees zeros learns how frequent words are, and does not pass the line."""
    embedding = engine("numpy").embedding
    monkeypatch.setattr(embedding, "look_up", still(embedding.look_up))
    assert min(losses(group(corpus, "rnn", **TAUGHT))) > halfway(corpus)


def losses(g):
    """The losses on the test by seed."""
    return [r.value for r in experiment.run(g, silent) if r.metric == "loss_test"]


def halfway(corpus):
    """Between the rungs of orders 0 and 1 on the test."""
    rungs = [r.value for r in experiment.run(groups(corpus)[0], silent) if r.metric == "rung_test"]
    return (rungs[0] + rungs[1]) / 2


# What is read from the records


@pytest.fixture(scope="module")
def frame(corpus, tmp_path_factory):
    """The records of the tiny sweep, written and read back."""
    path = tmp_path_factory.mktemp("records") / "results.csv"
    path.write_text(to_csv(r for g in groups(corpus) for r in experiment.run(g, silent)), "utf-8")
    return read_csv(path)


def test_the_section_depends_on_the_records_alone_and_says_what_they_say(frame):
    """Losses, perplexities and the share of <unk>; published perplexities are said to be of another text."""
    section = assert_of_records_alone(PART, frame)
    for cell in CELLS:
        own = frame[(frame.metric == "loss_test") & frame.setting.str.endswith(f"cell={cell}")].value
        assert f"{np.median(own):.3f} nats a word" in section.lead
        assert f"a perplexity of {math.exp(np.median(own)):.1f} " in section.lead
    assert "6 words, and <unk> for every other: 0 % of the training part" in section.lead
    assert "Penn Treebank" in section.lead and "compare with none here" in section.lead
    (table,) = section.tables
    assert [*table.frame.predictor[:2], *table.frame.predictor[-2:]] == ["chance, ln V", "order 0", "RNN", "LSTM"]
    assert table.frame["perplexity on test"][0] == "7.0"
    section_of(PART, frame, drawn=True)


def test_rates_that_were_guessed_are_said_to_be(frame):
    """Full's, which the sweep says; those of a pilot are the chosen ones, and nothing is said of a guess."""
    assert "guessed" not in analysis.analyse(frame).section.lead
    rates = frame.setting.map(lambda setting: sweep.PRESETS["full"].rates.get(setting.rpartition("cell=")[2]))
    mine = frame.metric.eq("rate") & rates.notna()
    assert mine.any()
    lead = analysis.analyse(frame.assign(value=frame.value.mask(mine, rates))).section.lead
    assert "each at a guessed rate" in lead and "Rates were guessed, the RNN's 0.004 and the LSTM's 0.008." in lead
    assert "is open" in lead and "pilot of two seeds" not in lead


def test_without_records_there_is_nothing_to_say(frame):
    """A tour, or records of the other parts alone: no figure, no table, no settings."""
    others = frame.assign(setting=frame.setting.str.replace("/words/", "/"))
    for some in (others, frame[:0]):
        found = analysis.analyse(some)
        assert not found.section.figures and not found.section.tables and not found.settings


def test_lost_seeds_do_not_break_the_section(frame):
    """A loss that is NaN counts as infinite; one seed, or all of a cell."""
    for lost in (frame.seed == 1, frame.setting.str.endswith("cell=rnn")):
        broken = frame.copy()
        broken.loc[lost & frame.metric.str.startswith("loss_"), "value"] = np.nan
        section = section_of(PART, broken, drawn=True)
        assert "inf" in section.lead


def test_perplexities_are_the_exponential_of_the_loss():
    """To one decimal, as they are published."""
    assert [analysis.perplexity(math.log(v)) for v in (1.0, 78.94, 4939.0)] == ["1.0", "78.9", "4,939.0"]
    assert analysis.perplexity(math.inf) == "infinite"


@pytest.mark.parametrize(
    ("name", "prepared", "said", "not_said"),
    [
        ("", 0.0, "belong to that text and compare with none", "Published for this text"),
        ("ptb", 1.0, "Published for this text, with its whole vocabulary", "compare with none"),
    ],
)
def test_what_is_published_is_told_of_its_own_text_alone(name, prepared, said, not_said):
    """Of the Penn Treebank its figures are this text's, of any other they are not; how it was cut is said too."""
    counts = {"least": 5, "vocabulary": 9, "unknown_training": 0.1, "unknown_test": 0.2, "prepared": prepared}
    rungs = analysis.Rungs(name, *4 * [np.zeros(2)], "", counts)
    words = analysis.what_text(rungs) + analysis.published(rungs)
    assert said in words and not_said not in words
    assert ("between blanks" in words) == bool(prepared) and ("the corpus ptb" in words) == bool(name)
