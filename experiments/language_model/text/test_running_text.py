"""What models of a text say by themselves: how it is judged beside the text, and what is recorded of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from experiments.harness.engine import engine
from experiments.harness.sweep import Options
from experiments.language_model import models
from experiments.language_model.corpus import Corpus
from experiments.language_model.text import free, likeness, sweep
from experiments.tasks import ngram, text
from impl import draw
from impl.spec import tree_map

CELLS = models.CELLS
SEEDS, B, P, STEPS = 2, 3, 9, 25
PRESET = sweep.Preset((1,), seeds=SEEDS, updates=2, evaluations=1, steps=STEPS)


@pytest.fixture(scope="module")
def source():
    """Words of four letters with blanks, drawn so that the test has words that training lacks."""
    rng = draw.generator("test_running_text")
    words = ["".join(rng.choice(list("abcd"), rng.integers(2, 6))) for _ in range(900)]
    return text.text_of("words", " ".join(words))


@pytest.fixture(scope="module")
def training(source):
    """Its training part."""
    return likeness.training_of(source)


# How a text is judged


def test_windows_hold_each_symbol_after_the_seven_before_it():
    """Model by model, lane after lane; the first of a lane has its context from the prime."""
    prime, own = (np.arange(n * SEEDS * B).reshape(n, SEEDS, B) + shift for n, shift in ((P, 0), (4, 1000)))
    found = likeness.windows(prime, own)
    whole = np.concatenate([prime, own])
    expected = [[whole[P + t - 7 : P + t + 1, e, b] for b in range(B) for t in range(4)] for e in range(SEEDS)]
    np.testing.assert_array_equal(found, expected)


def test_a_forced_window_is_the_true_past_and_what_was_drawn():
    """Its last symbol alone is the model's: what was drawn before is not in it."""
    prime, true, drawn = (np.arange(n * SEEDS * B).reshape(n, SEEDS, B) + s for n, s in ((P, 0), (4, 100), (4, 1000)))
    found, plain = likeness.forced_windows(prime, true, drawn), likeness.windows(prime, true)
    np.testing.assert_array_equal(found[..., :-1], plain[..., :-1])
    np.testing.assert_array_equal(found[..., -1] - plain[..., -1], 900)


def test_the_loss_of_windows_is_that_of_the_text(source, training):
    """On a stretch of text every order loses what the ladder says of the text itself, to rounding."""
    characters = source.characters[-400:]
    prime, own = (some[:, None, None] for some in (characters[:10], characters[10:]))
    found = likeness.nats(training, likeness.windows(prime, own))[:, 0]
    np.testing.assert_allclose(found, ngram.nats(training.ladder, characters, 10), rtol=1e-12)
    assert len(found) == likeness.HIGHEST + 1
    other = likeness.nats(training, likeness.windows(prime, own[::-1]))[:, 0]
    assert (abs(other - found)[1:] > 1e-3).all(), "the same letters in another order are not the same text"


def test_unseen_windows_are_counted_one_by_one(source, training):
    """None of the training part, all of a text of symbols in an order that it lacks, a share of the test."""
    prime, own = (source.characters[some][:, None, None] for some in (slice(0, 8), slice(8, 300)))
    lacks = np.full((300, 1, 1), source.alphabet.index("a"))
    test = source.characters[-200:][:, None, None]
    kinds = [likeness.windows(prime, own), likeness.windows(lacks[:8], lacks[8:]), likeness.windows(test[:7], test[7:])]
    shares = likeness.unseen(training, kinds)
    string = source.string[-200:]
    expected = np.mean([string[i : i + 8] not in training.string for i in range(193)])
    assert [share.tolist() for share in shares] == [[0.0], [1.0], [pytest.approx(expected)]] and 0 < expected < 1


def test_a_word_is_a_whole_run_of_letters_as_it_is_written():
    """What may be cut at a lane's ends is left out; signs and digits end a word; capitals are other letters."""
    assert likeness.whole_words("he lord's Day2of 'rest_and") == ["lord", "s", "Day", "of", "rest"]
    assert likeness.whole_words(" \u00c6sir, ") == ["\u00c6sir"]
    assert likeness.whole_words("abc") == []


def test_words_are_looked_up_in_the_training_part_lane_by_lane(source, training):
    """A lane's words are not joined to the next one's; where there is no whole word the share is no number."""
    known = sorted(training.words, key=len)[-1]
    unknown = known * 3
    lanes = [f"a {known} {unknown} {known} a", f"{unknown} {known} {unknown}"]
    assert likeness.share_known(training, lanes) == 3 / 4
    assert math.isnan(likeness.share_known(training, ["a", ""]))
    classes = np.array([[source.alphabet.index(c) for c in lane[:9]] for lane in lanes]).T[:, None]
    whole = [likeness.whole_words(lane[:9]) for lane in lanes]
    assert likeness.in_vocabulary(training, classes)[0] == np.mean([w in training.words for ws in whole for w in ws])


# Stretches


def test_stretches_are_the_seeds_own_and_both_cells_have_the_same(source):
    """A prime and what follows it stand so in the text, what follows within the test; other seeds have other ones."""
    part = text.contiguous(len(source.characters)).test[0]
    prime, true = free.stretches(group("rnn", source), source.characters, part)
    for one, other in zip((prime, true), free.stretches(group("lstm", source), source.characters, part), strict=True):
        np.testing.assert_array_equal(one, other)
    assert prime.shape == (P, SEEDS, B) and true.shape == (STEPS, SEEDS, B)
    lanes = np.concatenate([prime, true]).reshape(P + STEPS, -1).T
    whole = "".join(source.alphabet[c] for c in source.characters[part.start - P : part.stop])
    assert all("".join(source.alphabet[c] for c in lane) in whole for lane in lanes)
    assert (lanes[:B] != lanes[B:]).any()
    swapped = replace(group("rnn", source), seeds=(1, 0))
    np.testing.assert_array_equal(free.stretches(swapped, source.characters, part)[0], prime[:, ::-1])


def test_a_test_part_that_is_short_gives_short_lanes(source):
    """Where it has fewer symbols than a lane, a lane has those."""
    part = slice(len(source.characters) - 12, len(source.characters))
    _, true = free.stretches(group("rnn", source), source.characters, part)
    np.testing.assert_array_equal(true, np.broadcast_to(source.characters[part][:, None, None], true.shape))


# Records


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["fast", "torch"])
def test_each_kind_of_text_has_its_numbers_by_seed(source, training, cell, name):
    """Shares lie between 0 and 1, orders are those of the ladder, and a second run has the same bits."""
    frame = frame_of(source, training, cell, name)
    assert set(frame.groupby(["metric", "index"]).size()) == {SEEDS}
    assert set(frame.metric) == {
        *(f"{what}_{kind}" for what in ("unseen", "nats") for kind in ("heldout", "forced", "free")),
        *(f"{what}_{kind}" for what in ("words", "own") for kind in ("heldout", "free")),
    }
    shares = frame[frame.metric.str.startswith(("unseen", "words"))].value
    assert shares.between(0, 1).all()
    pd.testing.assert_frame_equal(frame, frame_of(source, training, cell, name))


def test_models_that_know_nothing_lose_the_logarithm_of_the_alphabet_on_every_text(source, training, monkeypatch):
    """Forced and free are then alike, whatever stands before; held-out text is the only one that n-grams know."""
    monkeypatch.setattr(free, "stretches", longer)
    frame = frame_of(source, training, "rnn", "fast", 0.0).set_index(["metric", "index", "seed"]).value
    np.testing.assert_allclose([frame.own_heldout, frame.own_free], math.log(5), rtol=1e-6)
    heldout, forced, loose = (frame[f"nats_{kind}"].unstack("seed") for kind in ("heldout", "forced", "free"))
    assert (abs(forced - loose).loc[0] < 0.05).all() and (heldout.loc[1] < forced.loc[1] - 0.1).all()


def test_the_first_seed_says_something_at_each_temperature_after_the_end_of_its_prime(source):
    """Classes by place; the prompt is the prime's end; at a low temperature more of it is the likeliest."""
    g = group("lstm", source)
    part, twin = text.contiguous(len(source.characters)).test[0], engine("fast")
    frame = pd.DataFrame(free.sample_records(g, twin, models.initial(g, 5, twin), source, part))
    prompt = frame[frame.metric == "prompt"].value.to_numpy()
    np.testing.assert_array_equal(prompt, free.stretches(g, source.characters, part)[0][:, 0, 0])
    said = frame[frame.metric == "sample"]
    assert set(said.groupby("setting").size()) == {g.settings["printed"]} and set(frame.seed) == {0}
    settings = [f"{g.setting}/temperature={t:g}" for t in free.TEMPERATURES]
    assert sorted(set(said.setting)) == settings and said.value.between(0, 4).all()


def test_the_forced_text_is_drawn_after_the_true_past_and_not_after_what_was_drawn(source, training, monkeypatch):
    """If what is said freely were judged as forced, the numbers of both would be the same."""
    right = frame_of(source, training, "rnn", "fast", 8.0)
    monkeypatch.setattr(likeness, "forced_windows", lambda prime, true, drawn: likeness.windows(prime, drawn))
    wrong = frame_of(source, training, "rnn", "fast", 8.0)
    differ = right.metric[right.value != wrong.value]
    assert {"nats_forced", "unseen_forced"} == set(differ)


def group(cell, source, **settings):
    """A small group on the text."""
    g = sweep.model(Corpus("text", source, ""), cell, 1, PRESET, Options())
    sizes = {"free_lanes": B, "prime": P, "printed": 40}
    return replace(g, settings=g.settings | sizes | settings)


def frame_of(source, training, cell, name, scale=1.0):
    """The records of models at the start, their read-outs scaled."""
    g, twin = group(cell, source), engine(name)
    model = models.initial(g, len(source.alphabet), twin)
    model = model._replace(head=tree_map(lambda a: a * scale, model.head))
    part = text.contiguous(len(source.characters)).test[0]
    return pd.DataFrame(free.running_records(g, twin, model, source, training, part))


STRETCHES = free.stretches


def longer(group, characters, part):
    """Lanes enough for frequencies."""
    return STRETCHES(replace(group, settings=group.settings | {"free_lanes": 100}), characters, part)
