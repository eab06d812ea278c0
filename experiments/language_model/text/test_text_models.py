"""The language model: its sweep, its streams of text, training, evaluation, and what is read from its records."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiments.harness import figures
from experiments.harness.engine import engine
from experiments.harness.sweep import Options
from experiments.language_model import characters, context, evaluation, learning, models
from experiments.language_model.corpus import Corpus
from experiments.language_model.lanes import Lanes
from experiments.language_model.text import alone, analysis, experiment, pictures, reach, reading, said, sweep
from experiments.tasks import ngram, text
from impl import draw
from impl.spec import leaves, tree_map
from properties.record import Record

TINY = sweep.Preset((1,), seeds=3, updates=12, evaluations=2, steps=30)
SIZE = {"B": 8, "T": 5, "lanes": 4, "warmup": 7}
CELLS = models.CELLS


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A text of 3000 characters over 'abcd ': one is followed by the next one, or now and then by any."""
    rng, places = draw.generator("language model corpus"), [0]
    for jump, place in zip(rng.random(2999) < 0.2, rng.integers(0, 5, 2999), strict=True):
        places.append(int(place) if jump else (places[-1] + 1) % 5)
    path = tmp_path_factory.mktemp("corpus") / "cycle.txt"
    path.write_text("".join("abcd "[place] for place in places), "utf-8")
    return path


@pytest.fixture
def source(corpus):
    """The text of `corpus`."""
    return text.load(corpus)


# The sweep


@pytest.mark.parametrize("preset", tuple(sweep.PRESETS))
def test_a_sweep_holds_the_rungs_and_each_cell_once_as_plain_data(preset):
    """Each setting has its own key; settings survive JSON unchanged; the data's hash is the default text's."""
    groups, sizes = sweep.groups(preset, Options()), sweep.PRESETS[preset]
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups)
    assert len(groups) == 1 + len(CELLS) * (len(sizes.sizes) + bool(sizes.interleaved))
    assert [g.setting for g in groups[:3]] == ["text/rungs", "text/cell=rnn", "text/cell=lstm"]
    assert all(json.loads(json.dumps(g.settings)) == g.settings for g in groups)
    assert {(g.data, g.corpus) for g in groups} == {(text.SHA256, "")}


def test_both_cells_have_equal_parameters_and_the_widths_of_the_pilot():
    """At 60 thousand H is 189 and 88, within 1 % of each other; the count is that of the arrays that are drawn."""
    sizes = {g.settings["cell"]: g for g in sweep.groups("quick", Options())[1:]}
    H = {cell: g.settings["H"] for cell, g in sizes.items()}
    assert H == {"rnn": 189, "lstm": 88}
    counts = {cell: sum(a.size for a in leaves(models.model(sizes[cell].settings, 0, 63))) for cell in CELLS}
    assert counts == {cell: models.parameters(cell, 63, H[cell]) for cell in CELLS}
    assert abs(counts["rnn"] / counts["lstm"] - 1) < 0.01


def test_presets_fit_their_times_and_share_the_rungs():
    """A tour takes at most 110 core-seconds, quick 380; the ladder is counted once for all presets."""
    presets = {preset: sweep.groups(preset, Options()) for preset in sweep.PRESETS}
    longest = {"smoke": 20, "tour": 110, "quick": 380}
    assert all(sum(g.cost for g in presets[preset]) <= seconds for preset, seconds in longest.items())
    assert len({groups[0].key for groups in presets.values()}) == 1
    assert len({g.key for groups in presets.values() for g in groups[1:]}) == sum(map(len, presets.values())) - 4


def test_a_corpus_names_its_settings_and_changes_every_key(corpus, source):
    """The setting has the file's name, the key the text's hash: another text is another group."""
    own, default = sweep.groups("smoke", Options(corpus=corpus)), sweep.groups("smoke", Options())
    assert [g.setting for g in own] == ["corpus=cycle/rungs", "corpus=cycle/cell=rnn", "corpus=cycle/cell=lstm"]
    assert {(g.data, g.corpus) for g in own} == {(source.sha256, str(corpus))}
    assert not {g.key for g in own} & {g.key for g in default}


@pytest.mark.parametrize("data", [None, b"", b"ab" * 300, b"\xff" * 3000])
def test_a_corpus_that_cannot_be_used_is_refused_before_anything_is_computed(tmp_path, data):
    """Missing, empty, too short or not UTF-8: `groups` raises, in one line that names `corpus`."""
    path = tmp_path / "bad.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(text.CorpusError, match=r"^`corpus` must .+$"):
        sweep.groups("smoke", Options(corpus=path))


def test_a_corpus_that_changes_between_sweep_and_run_is_refused(tmp_path):
    """What is stored under a text's hash was computed on that text."""
    path = tmp_path / "own.txt"
    path.write_text("abc" * 1000, "utf-8")
    groups = sweep.groups("smoke", Options(corpus=path))
    path.write_text("abd" * 1000, "utf-8")
    with pytest.raises(text.CorpusError, match="must not change"):
        experiment.run(groups[0], silent)


# The streams


def test_cells_of_one_seed_read_the_same_text_and_seeds_do_not(source):
    """Paired: RNN and LSTM see the same chunks and the same restarts; no two seeds start at the same places."""
    chunks = {cell: read(group(cell, source), source, 6)[0] for cell in CELLS}
    np.testing.assert_array_equal(chunks["rnn"], chunks["lstm"])
    at = lanes(group("rnn", source), source).at
    assert all((at[e] != at[f]).any() for e in range(3) for f in range(e))
    other = lanes(replace(group("rnn", source), seeds=(2, 0)), source).at
    np.testing.assert_array_equal(other, at[[2, 0]])


def test_a_lane_is_read_on_where_it_ended_and_only_then_keeps_its_state(source):
    """A quarter of each seed's lanes start anew with a state of zeros; the others go on, their state untouched."""
    assert breaks(source) == set()


@pytest.mark.parametrize("fault", ["restart", "state", "step"])
def test_each_planted_fault_of_the_streams_is_seen(source, fault, monkeypatch):
    """Lanes that restart unseen, states that outlive a restart, chunks that skip a character: each under its name."""
    monkeypatch.setattr(Lanes, *FAULTS[fault])
    assert fault in breaks(source)


def test_targets_are_the_characters_after_the_inputs(source):
    """Every lane of a batch is a stretch of the training text, its target the same stretch one further on."""
    batch = next(lanes(group("rnn", source), source).batches())
    assert stretches(batch.x.argmax(-1), batch.target, source)
    assert (batch.x.sum(-1) == 1).all() and batch.x.dtype == np.float32
    assert not stretches(batch.x.argmax(-1), batch.x.argmax(-1), source), "a target that is the input is not seen"


# Evaluation


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_the_loss_is_that_of_the_product_of_conditionals(source, cell, name):
    """The mean of -ln p(next | all before in the lane), a step and a model at a time, from the equations."""
    g, twin, part = group(cell, source, "float64"), engine(name), slice(1500, 1583)
    got = evaluation.evaluate(twin, g.settings, twin.asarray(started(g), "float64"), source.characters, part)
    np.testing.assert_allclose(got, slow_loss(g, source, part), rtol=1e-12)


def test_a_state_that_is_not_carried_between_windows_is_seen(source, monkeypatch):
    """If each window of an evaluation starts from zero the loss is another one."""
    g, twin, part = group("rnn", source, "float64"), engine("numpy"), slice(1500, 1583)
    forward = twin.scan.forward
    monkeypatch.setattr(twin.scan, "forward", lambda cell, params, x, state=None: forward(cell, params, x))
    got = evaluation.evaluate(twin, g.settings, started(g), source.characters, part)
    assert (abs(got - slow_loss(g, source, part)) > 1e-4).all()


def test_a_model_that_knows_nothing_loses_the_logarithm_of_the_alphabet(source):
    """With a read-out of zeros every character costs ln V, whatever the lanes."""
    g = group("lstm", source, "float64")
    blank = started(g)
    blank = blank._replace(head=tree_map(np.zeros_like, blank.head))
    got = evaluation.evaluate(engine("numpy"), g.settings, blank, source.characters, slice(2000, 2100))
    np.testing.assert_allclose(got, math.log(5), rtol=1e-14)


@pytest.mark.parametrize("part", [slice(2850, 3000), slice(2, 67), slice(100, 1001)])
@pytest.mark.parametrize("count", [1, 4, 128])
def test_each_character_is_predicted_once_and_from_what_stands_before(part, count):
    """Over all lanes the places that count are the part's, each once; a lane's places follow one another."""
    place, mask = evaluation.reading(part, count, 7, 5)
    assert sorted(place[mask]) == list(range(part.start, part.stop))
    assert (place >= 1).all() and (place < part.stop).all()
    assert (np.diff(place, axis=0)[mask[1:]] == 1).all()
    assert (mask.argmax(0) == min(7, part.start - 1)).all()


# Training


@pytest.mark.parametrize("cell", CELLS)
def test_a_run_gives_every_number_and_the_same_bits_twice(source, corpus, cell):
    """Each seed has its losses at the evaluations, and N6 is the test's loss minus the rung that the rungs record."""
    g, marks = group(cell, source, corpus=corpus), []
    records = experiment.run(g, lambda done, total: marks.append((done, total)))
    assert records == experiment.run(g, silent)
    assert marks[:-3] == [(n, TINY.updates) for n in range(1, TINY.updates + 1)]
    assert marks[-3:] == [(TINY.updates, TINY.updates)] * 3, "and before each thing that is measured at the end"
    frame = pd.DataFrame([r for r in records if r.metric not in ("prompt", "sample")])
    assert set(frame.groupby(["metric", "index"]).size()) == {3} and set(frame.seed) == {0, 1, 2}
    assert {(r.source, r.setting) for r in frame.itertuples()} == {("language_model", f"corpus=cycle/cell={cell}")}
    assert sorted(set(frame[frame.metric == "loss_validation"]["index"])) == [10, 12]
    rung = next(r.value for r in rung_records(source, corpus) if (r.metric, r.index) == ("rung_test", 2))
    value = {metric: frame[frame.metric == metric].value.to_numpy() for metric in ("N6", "loss_test")}
    np.testing.assert_array_equal(value["N6"], value["loss_test"] - rung)


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_learns_what_the_rungs_know(source, corpus, cell):
    """After 300 updates every seed is below order 0 by half of what order 1 is, on a text of order 1."""
    g = group(cell, source, corpus=corpus, updates=300, lr=1e-2, T=20)
    test = [r.value for r in experiment.run(g, silent) if r.metric == "loss_test"]
    rungs = [r.value for r in rung_records(source, corpus) if r.metric == "rung_test"]
    assert max(test) < (rungs[0] + rungs[1]) / 2


def test_targets_shifted_by_one_would_be_seen_in_the_loss(source, corpus, monkeypatch):
    """A net whose targets are its inputs, one too early, learns to repeat and does not pass the same line."""
    batches = Lanes.batches
    early = lambda self: (batch._replace(target=batch.x.argmax(-1)) for batch in batches(self))  # noqa: E731
    monkeypatch.setattr(Lanes, "batches", early)
    g = group("rnn", source, corpus=corpus, updates=300, lr=1e-2, T=20)
    test = [r.value for r in experiment.run(g, silent) if r.metric == "loss_test"]
    rungs = [r.value for r in rung_records(source, corpus) if r.metric == "rung_test"]
    assert min(test) > (rungs[0] + rungs[1]) / 2


def test_a_stop_asked_for_at_a_checkpoint_ends_the_run(source, corpus):
    """Whatever `checkpoint` raises comes through, from models and from rungs."""

    class Asked(Exception):
        pass

    def stop(done, total):
        raise Asked

    for g in (group("rnn", source, corpus=corpus), rung_group(source, corpus)):
        with pytest.raises(Asked):
            experiment.run(g, stop)


def test_the_validation_part_is_read_at_halvings_before_the_fall_and_at_the_end():
    """1500 updates with six evaluations; a run of one update has one."""
    given = {"decay": 1 / 6, "updates": 1500, "evaluations": 6}
    assert sorted(learning.evaluations(given)) == [93, 187, 375, 750, 1250, 1500]
    assert learning.evaluations(given | {"updates": 1}) == {1}


def test_an_interleaved_group_is_judged_on_every_slice_of_its_own_test(source, corpus):
    """Its loss is the mean over all characters of the interleaved test, and it enters neither N6 nor any other part."""
    sizes, where = TINY._replace(interleaved=7), Corpus("corpus=cycle", source, str(corpus))
    g = sweep.interleaved(where, "rnn", sizes, Options("numpy"))
    g = replace(g, settings=g.settings | SIZE)
    records = experiment.run(g, silent)
    assert {r.setting for r in records} == {"corpus=cycle/split=interleaved/cell=rnn"}
    assert {r.metric for r in records} == {
        *("loss_training", "loss_validation", "loss_test", "parameters", "hidden_units", "rate", "start")
    }
    twin, test = engine("numpy"), text.interleaved(len(source.characters)).test
    model, _ = characters.trained(g, source, twin, silent)
    each = [evaluation.evaluate(twin, g.settings, model, source.characters, some) for some in test]
    sizes = np.array([some.stop - some.start for some in test])
    want = (np.array(each) * sizes[:, None]).sum(0) / sizes.sum()
    np.testing.assert_allclose([r.value for r in records if r.metric == "loss_test"], want, rtol=1e-14)
    contiguous = replace(g, settings=g.settings | {"split": "contiguous", "steps": 5})
    assert [r.value for r in experiment.run(contiguous, silent) if r.metric == "loss_test"] != want.tolist()


# What is read from the records


def test_the_report_says_what_the_records_say_and_is_the_same_twice(source, corpus):
    """Both cells and the rungs of a small text: numbers of the lead, figures as the same bytes, verdicts open."""
    frame = frame_of(source, corpus)
    report, again = drawn(frame), drawn(frame.sample(frac=1, random_state=0))
    assert report == again
    lead, _ = report
    for cell in CELLS:
        test = frame[(frame.metric == "loss_test") & (frame.setting == f"corpus=cycle/cell={cell}")].value
        assert f"{np.median(test):.3f} nats" in lead
    (rung,) = frame[(frame.metric == "rung_test") & (frame["index"] == 2)].value
    assert f"order-2 rung, which N6 compares with, stands at {rung:.3f}" in lead
    assert "the user's text cycle" in lead and "which of the two leads is open, since fewer than 8 seeds" in lead


def test_cells_are_paired_by_their_size_however_many_parameters_each_came_to_have():
    """Of a large alphabet one cell of a size may have a fifth more than the other: RNN minus LSTM all the same."""
    made = {("rnn", ""): 58_224, ("lstm", ""): 52_140, ("rnn", "200k"): 190_000, ("lstm", "200k"): 200_000}
    setting = lambda cell, size: f"corpus=x/cell={cell}" + (f"/parameters={size}" if size else "")  # noqa: E731
    arms = [arm(key[0], [1.0])._replace(parameters=n, setting=setting(*key)) for key, n in made.items()]
    for order in (arms, arms[::-1], [arms[k] for k in (1, 2, 0, 3)]):
        assert [(a.cell, b.cell, a.parameters) for a, b in reading.pairs(order)] == [
            ("rnn", "lstm", 58_224),
            ("rnn", "lstm", 190_000),
        ]
    assert "not quite equal" in said.which_leads(*arms[:2])


def test_the_highest_rung_is_one_that_every_seed_is_below():
    """A seed above a rung, or one rung of a ladder that is not, ends the count."""
    rung = np.array([3.0, 2.0, 1.5, 1.0])
    losses = {(1.9, 1.7): 1, (1.9, 2.1): 0, (3.5, 0.1): -1, (0.5, 0.6): 3, (math.inf, 0.6): -1}
    for test, order in losses.items():
        assert reading.beaten(arm("rnn", test), rung) == order


@pytest.mark.parametrize(
    ("rnn", "verdict"),
    [(1.5, "the LSTM leads."), (1.3, "the RNN leads."), (1.4, "which of the two leads is open.")],
)
def test_who_leads_is_read_from_the_interval_of_the_pairs(rnn, verdict):
    """Eight paired differences of one sign have a 99 % interval beside 0; of both signs they do not."""
    noise = np.linspace(-0.05, 0.05, 8)
    words = said.which_leads(arm("rnn", rnn + noise), arm("lstm", np.full(8, 1.4)))
    assert words.endswith(verdict) and "99 %" in words
    assert "is open, since fewer than 8 seeds" in said.which_leads(arm("rnn", [1.5] * 7), arm("lstm", [1.4] * 7))


def test_a_rate_at_an_end_of_what_was_tried_is_named():
    """The choices of both searches: at quick all lie inside; at full some do not, in whichever order cells come."""
    for preset, named in (("quick", 0), ("full", 2)):
        sizes, made = sweep.PRESETS[preset], []
        for size in sizes.sizes:
            for cell in ("rnn", "lstm"):
                how = models.chosen(cell, size, sizes.search)
                setting = f"text/cell={cell}" + (f"/parameters={size}k" if size != sizes.sizes[0] else "")
                made.append(arm(cell, [1.0])._replace(rate=how["lr"], start=how["start"], setting=setting))
        found = said.at_the_end(made, sizes)
        assert " ".join(found).count("that was tried from its start") == named
    assert "the RNN with" in found[0] and "0.0025, is the lowest" in found[0] and "0.02, is the highest" in found[0]
    assert (
        models.end_of_grid("rnn", 60, "full", ("wide", 0.005)) == models.end_of_grid("rnn", 60, "full", ("", 1)) == ""
    )


def test_lost_seeds_and_infinite_rungs_do_not_break_the_report(source, corpus):
    """A seed whose loss is NaN counts as infinite, in both cells at once too; a rung may be infinite."""
    frame = frame_of(source, corpus)
    lost = frame.metric.isin(["loss_test", "loss_validation", "N6"]) & (frame.seed == 1)
    lost |= (frame.metric == "loss_validation") & (frame.seed == 2)
    frame.loc[lost, "value"] = np.nan
    frame.loc[frame.metric.str.startswith("rung_") & (frame["index"] == 0), "value"] = np.inf
    lead, _ = drawn(frame)
    assert "to inf over seeds" in lead


def test_two_sizes_have_names_and_colours_of_their_own(source, corpus):
    """A second size, as the full preset has it, is told from the first by name and by shade."""
    frame = frame_of(source, corpus)
    larger = frame[frame.setting.str.contains("cell=")].copy()
    larger["setting"] += "/parameters=200k"
    larger.loc[larger.metric == "parameters", "value"] *= 200
    both = pd.concat([frame, larger], ignore_index=True)
    arms = reading.read_arms(both[both.source == "language_model"])
    assert [arm.name for arm in arms] == ["RNN 1k", "LSTM 1k", "RNN 200k", "LSTM 200k"]
    assert len({tuple(colour) for colour in pictures.colours(arms)}) == 4
    lead, _ = drawn(both)
    assert lead.count("which of the two leads is open") == 2


def test_rungs_are_looked_up_at_the_places_that_models_predict(source, corpus):
    """Order k's loss there is the mean over the places, each predicted from the characters before it."""
    part = text.contiguous(3000).test[0]
    g = rung_group(source, corpus)
    g = replace(g, settings=g.settings | {"places": 40})
    found = [r.value for r in experiment.run(g, silent) if r.metric == "rung_context"]
    ladder = ngram.fit(source.characters[:2700], 5)
    at = context.spread(part, 40)
    alone = [ngram.nats(ladder, source.characters[place - 6 : place + 1], 6) for place in at]
    np.testing.assert_allclose(found, np.mean(alone, 0), rtol=1e-12)
    assert len(at) == 40 < part.stop - part.start


@pytest.mark.parametrize(
    ("losses", "fewest"),
    [([2.0, 1.5, 1.51, 1.5], 2), ([2.0, 1.5, 1.53, 1.5], 50), ([1.5, 1.5, 1.5, 1.5], 1), ([2.0, 1.9, 1.8, 1.5], 50)],
)
def test_a_context_is_used_while_more_of_it_lowers_the_loss(losses, fewest):
    """The fewest characters from which on no more of them win 0.02 nats, in the median over seeds."""
    table = pd.DataFrame(np.array(losses)[:, None] + [[0.0, 0.1, 7.0]], index=[1, 2, 5, 50])
    assert reach.used(arm("rnn", [1.0])._replace(tables={"loss_context": table})) == fewest


@pytest.mark.parametrize(
    ("free", "word"),
    [(0.3, "What is said freely drifts away"), (0.0, "No drift is seen"), (-0.3, "What is said freely at order 3")],
)
def test_drift_is_read_from_the_interval_of_the_pairs(free, word):
    """Free minus forced at order 3, paired by seed: beside 0, about 0, or the other way."""
    noise = np.linspace(-0.05, 0.05, 8)
    tables = {
        "nats_forced": pd.DataFrame(np.tile(noise[::-1] * 3, (6, 1))),
        "nats_free": pd.DataFrame(np.tile(noise + free + noise[::-1] * 3, (6, 1))),
    }
    arms = [arm(cell, [1.0] * 8)._replace(tables=tables) for cell in CELLS]
    assert alone.finding(arms).startswith(word) and "99 %" in alone.finding(arms, ends=True)
    few = [one._replace(tables={name: table.iloc[:, :3] for name, table in tables.items()}) for one in arms]
    words = alone.finding(few, ends=True)
    assert words.startswith("What is said freely at order 3") and "99 %" not in words


def test_what_was_said_is_read_back_as_text(source, corpus):
    """Prompt and sample of the first seed, in characters of the alphabet, by cell and temperature."""
    frame = frame_of(source, corpus)
    rows = frame[frame.source == "language_model"]
    rungs, arms = reading.read_rungs(rows), reading.read_arms(rows)
    assert rungs.alphabet == source.alphabet and "symbol" not in rungs.facts
    samples = reading.read_samples(rows, rungs, arms)
    assert [(s.name, s.temperature) for s in samples] == [(a.name, t) for a in arms for t in (0.5, 1.0, 1.5)]
    classes = rows[(rows.metric == "sample") & (rows.setting == f"{arms[1].setting}/temperature=1")].sort_values(
        "index"
    )
    assert samples[4].said == "".join(source.alphabet[int(value)] for value in classes.value)
    assert all(sample.prompt in source.string and len(sample.prompt) == 60 for sample in samples)


def test_what_cannot_be_printed_is_shown():
    """Line ends have a sign, other control characters their escape, and all else stays."""
    assert alone.visible("a b\n\tc\u00e9\x00") == "a b\u21b5\\tc\u00e9\\x00"


def test_seconds_of_a_curve_are_those_that_the_sweep_predicts(source, corpus):
    """Updates times what one costs a seed; the rest of a group's cost is reading, running and what comes before."""
    g = group("lstm", source, corpus=corpus)
    each = sweep.learnt("lstm", g.settings["H"], 5, len(g.seeds))
    longer = sweep.model(Corpus("corpus=cycle", source, ""), "lstm", 1, TINY._replace(updates=112), Options())
    first = sweep.model(Corpus("corpus=cycle", source, ""), "lstm", 1, TINY, Options())
    assert (longer.cost - first.cost) / (100 * len(g.seeds)) == pytest.approx(each)


def test_models_of_the_interleaved_split_stand_beside_its_own_rungs(source, corpus):
    """Their losses have a table and a sentence of their own, and stand in no figure of the contiguous split."""
    frame, sizes = frame_of(source, corpus), TINY._replace(interleaved=3)
    plain = drawn(frame)[1]
    for cell in CELLS:
        g = sweep.interleaved(Corpus("corpus=cycle", source, str(corpus)), cell, sizes, Options("numpy"))
        more = experiment.run(replace(g, settings=g.settings | SIZE), silent)
        frame = pd.concat([frame, pd.DataFrame(more)], ignore_index=True)
    own = frame[(frame.metric == "loss_test") & (frame.setting == "corpus=cycle/split=interleaved/cell=rnn")].value
    lead, all_ = drawn(frame)
    assert "On the interleaved split" in lead and f"loses {np.median(own):.3f} after 3 updates" in lead
    assert "Trained and judged on the interleaved split" in all_ and "interleaved split, nats" not in plain


def frame_of(source, corpus):
    """The records of a small sweep, as a report reads them; another source stands beside them."""
    records = rung_records(source, corpus)
    for cell in CELLS:
        records += experiment.run(group(cell, source, corpus=corpus), silent)
    return pd.DataFrame([*records, Record("memory", "latch/arm=x", 0, "loss_test", 0, 0.0)])


def drawn(frame):
    """Lead and everything else of a report that is written, as text."""
    with figures.style():
        report = analysis.analyse(frame)
        pictures = [figures.svg(figure.canvas, figure.name) for figure in report.section.figures]
    words = [f"{figure.title} {figure.alt} {figure.data.to_csv()}" for figure in report.section.figures]
    tables = [f"{table.title} {table.frame.to_csv()}" for table in report.section.tables]
    return report.section.lead, "\n".join([*words, *tables, str(report.settings), *pictures])


def arm(cell, test):
    """An arm with these losses on the test."""
    test = np.asarray(test, float)
    values = (np.array([10]), test[None], test[None], test, np.arange(test.size), {})
    return reading.Arm(f"text/cell={cell}", cell.upper(), cell, 1000, 8, 1e-3, "wide", *values)


def silent(done, total):
    """A checkpoint that does nothing."""


def group(cell, source, dtype="float32", corpus="", **settings):
    """A small group on `source`."""
    g = sweep.model(Corpus("corpus=cycle", source, str(corpus)), cell, 1, TINY, Options("numpy"))
    return replace(g, dtype=dtype, settings=g.settings | SIZE | settings)


def rung_group(source, corpus):
    """The group of the rungs of `source`."""
    return sweep.rungs(Corpus("corpus=cycle", source, str(corpus)), Options("numpy"))


def rung_records(source, corpus):
    """The rungs of `source`."""
    return experiment.run(rung_group(source, corpus), silent)


def started(g):
    """The group's models at the start, float64."""
    return draw.group([models.model(g.settings, seed, 5) for seed in g.seeds])


def training_part(source):
    """The training part's characters."""
    return text.characters(source, text.parts(source).training)


def lanes(g, source):
    """The group's streams."""
    return Lanes(g, training_part(source), len(source.alphabet), engine(g.engine))


def read(g, source, n):
    """n chunks (n, T + 1, E, B), and n states carried from states of ones (n, E, B)."""
    stream, chunks, states = lanes(g, source), [], []
    for _ in range(n):
        chunks.append(stream.chunk())
        (state,) = stream.carry((np.ones((3, SIZE["B"], 4), np.float32),))
        assert (state == state[..., :1]).all()
        states.append(state[..., 0])
    return np.stack(chunks), np.stack(states)


def breaks(source):
    """What is wrong with a stream: lanes that keep their state and do not go on, wrong numbers of restarts or of steps.

    A lane that starts anew begins with the letter that would have come in some cases; that is no fault.
    """
    chunks, kept = read(group("rnn", source), source, 40)
    goes_on = chunks[1:, 0] == chunks[:-1, -1]
    found = {"restart"} if (kept[:-1] == 1)[~goes_on].any() else set()
    found |= {"state"} if (kept.sum(-1) != SIZE["B"] * 3 / 4).any() else set()
    stream = lanes(group("rnn", source), source)
    at, _ = stream.at, stream.chunk()
    return found | ({"step"} if (stream.at - at != SIZE["T"]).any() else set())


CARRY, CHUNK = Lanes.carry, Lanes.chunk


def kept_through(self, last):
    """A fault: lanes move, their states stay."""
    CARRY(self, last)
    return last


def skipping(self):
    """A fault: the target of the last step is not read again as an input."""
    chunk, self.at = CHUNK(self), self.at + 1
    return chunk


def moving(self, last):
    """A fault: all lanes of the first seed move, and only some of the states start anew."""
    state = CARRY(self, last)
    self.at[0] = self.places(self.rngs[0], self.B)
    return state


FAULTS = {"state": ("carry", kept_through), "step": ("chunk", skipping), "restart": ("carry", moving)}


def stretches(inputs, targets, source):
    """Whether every lane's inputs and last target stand so in the training part, and targets are the inputs one on."""
    whole = "".join(source.alphabet[c] for c in training_part(source))
    whole += whole[: len(inputs)]
    lanes_ = np.concatenate([inputs, targets[-1:]]).reshape(len(inputs) + 1, -1).T
    found = all("".join(source.alphabet[c] for c in lane) in whole for lane in lanes_)
    return found and (targets[:-1] == inputs[1:]).all()


def slow_loss(g, source, part):
    """The mean loss on a part by model, each lane read step by step from its warm-up on."""
    s, losses = g.settings, []
    each = math.ceil((part.stop - part.start) / s["lanes"])
    for seed in g.seeds:
        total = 0.0
        for start in range(part.start, part.stop, each):
            own = range(start, min(start + each, part.stop))
            total += one_lane(models.model(s, seed, 5), s, source.characters, start - s["warmup"], own)
        losses.append(total / (part.stop - part.start))
    return losses


def one_lane(model, s, characters, first, own):
    """The summed loss of the characters at `own`, from a state of zeros before the place `first`."""
    (W_ih, W_hh, b_ih, b_hh), (W_hy, b_hy) = model
    h, c, total = np.zeros(s["H"]), np.zeros(s["H"]), 0.0
    for place in range(first, own.stop):
        a = W_ih[:, characters[place - 1]] + b_ih + W_hh @ h + b_hh
        if s["cell"] == "rnn":
            h = np.tanh(a)
        else:
            i, f, g, o = np.split(a, 4)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
        p = np.exp(W_hy @ h + b_hy)
        total -= math.log(p[characters[place]] / p.sum()) if place in own else 0.0
    return total
