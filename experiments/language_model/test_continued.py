"""Training further: to the bits of a training that was longer from the start, from a whole file and the same text."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import command
from experiments.harness import saved
from experiments.harness.engine import engine
from experiments.harness.saved import SavedError
from experiments.harness.sweep import Group
from experiments.harness.training import falling
from experiments.language_model import characters, continued, learning, models, trained
from experiments.language_model.characters import CONTIGUOUS, INTERLEAVED, evaluate_part, parts_of
from experiments.tasks import text
from impl import draw

STATE = ("model", "mean", "square", "carried", "lanes")
"""What the arrays of a file begin with, the losses since the last evaluation apart."""


class Stopped(Exception):
    """What a kill looks like from inside."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A text of 3000 characters over 'abcde'."""
    path = tmp_path_factory.mktemp("corpus") / "toy.txt"
    path.write_text("".join("abcde"[k] for k in draw.generator("test_continued").integers(0, 5, 3000)), "utf-8")
    return path


# What it comes to


@pytest.mark.parametrize("form", ["numpy", "fast", "torch"])
@pytest.mark.parametrize("cell", models.CELLS)
def test_at_a_constant_rate_so_many_more_updates_are_a_longer_training(tmp_path, corpus, cell, form):
    """4 updates, and 5 more, and 3 more: models, Adam's memory, states, places and random numbers are those of 12."""
    path = learnt(tmp_path, corpus, cell, form, updates=4)
    for more in (5, 3):
        path = further(path, corpus, form, updates=more).path
    assert same(path, learnt(tmp_path, corpus, cell, form, updates=12))
    assert len(list(tmp_path.iterdir())) == 4


def test_an_interleaved_training_goes_on_by_its_own_split(tmp_path, corpus):
    """The bits and the losses are those of a longer one, on the interleaved parts, and not those of the other split."""
    path, longer = learnt(tmp_path, corpus, split=INTERLEAVED), learnt(tmp_path, corpus, updates=9, split=INTERLEAVED)
    done = further(path, corpus, updates=5)
    assert same(done.path, longer) and not same(done.path, learnt(tmp_path, corpus, updates=9))
    last = [[value for *_, metric, index, value in trained.load(file).facts["records"]
             if (metric, index) == ("loss_validation", 9)] for file in (longer, done.path)]  # fmt: skip
    assert last[0] == last[1] == done.after.tolist()
    source, kept = text.load(corpus), trained.load(path)
    part = text.interleaved(len(source.characters)).validation
    again = evaluate_part(engine("numpy"), kept.facts["settings"], kept.model, source, part)
    np.testing.assert_array_equal(done.before, again)


@pytest.mark.parametrize("lost", [*STATE[1:], "rngs"])
def test_each_thing_that_a_file_keeps_is_gone_on_from(tmp_path, corpus, lost):
    """Without Adam's memory, states, places or random numbers it comes to other models than a longer training."""
    path = learnt(tmp_path, corpus, updates=4)
    file = saved.read(path)
    arrays = {name: a * 0 if name.split(".")[0] == lost else a for name, a in file.arrays.items()}
    if lost == "rngs":
        file.facts["rngs"] = [draw.generator("other", seed).bit_generator.state for seed in (0, 1, 2)]
    saved.write(path, arrays, file.facts)
    assert not same(further(path, corpus, updates=5).path, learnt(tmp_path, corpus, updates=9))


@pytest.mark.parametrize("at", [1, 4])
def test_stopped_in_the_middle_the_same_command_goes_on_to_the_same_file(tmp_path, corpus, monkeypatch, at):
    """The file is byte for byte that of one never stopped, and so are the losses; and it is trained no further."""
    whole, apart = (tmp_path / name for name in ("whole", "apart"))
    done, path = further(learnt(whole, corpus), corpus, updates=5), learnt(apart, corpus)
    with monkeypatch.context() as patch:
        patch.setattr(continued.Bar, "checkpoint", stop_at(4 + at))
        with pytest.raises(Stopped):
            further(path, corpus, updates=5)
    ran = counted(monkeypatch)
    for left in (5 - at, 0):
        again = further(path, corpus, updates=5)
        assert again.path.read_bytes() == done.path.read_bytes() and again.path.name == done.path.name
        np.testing.assert_array_equal([again.before, again.after], [done.before, done.after])
        assert len(ran) == left
        ran.clear()


def test_a_file_that_other_code_went_on_with_is_begun_anew_from_the_old_one(tmp_path, corpus):
    """Not from the models' start: it comes to what it comes to without that file."""
    path = learnt(tmp_path, corpus)
    done = further(path, corpus, updates=5).path
    file, data = saved.read(done), done.read_bytes()
    saved.write(done, {name: a * 0 for name, a in file.arrays.items()}, file.facts | {"code": "other"})
    assert further(path, corpus, updates=5).path == done and done.read_bytes() == data


def test_the_old_file_stays_and_the_new_one_can_be_read(tmp_path, corpus):
    """The new one says how many updates were done, after which file, and has all evaluations; each rate has its own."""
    path = learnt(tmp_path, corpus)
    data, old = path.read_bytes(), trained.load(path)
    paths = {further(path, corpus, updates=5, rate=rate).path for rate in (None, 1e-3, 2e-3)}
    assert path.read_bytes() == data and len(paths) == 3
    assert all(new.name.startswith(f"{path.stem}-plus5-") for new in paths)
    new = trained.load(further(path, corpus, updates=5).path)
    assert new.facts["step"] == new.facts["settings"]["updates"] == 9 and new.alphabet == old.alphabet
    assert new.facts["settings"]["after"] == {name: old.facts[name] for name in ("key", "code", "step")}
    marks = [index for _, seed, metric, index, _ in new.facts["records"] if (seed, metric) == (0, "loss_validation")]
    assert marks[-1] == 9 and {name for name, *_ in new.facts["records"]} == {"toy/cell=rnn"}


def test_the_rate_falls_over_the_last_of_the_further_updates_as_it_did_before(tmp_path, corpus):
    """With 0.25 of 40 more it is the file's for 30, then ten steps down to a tenth; a rate that is given is taken."""
    old = trained.load(learnt(tmp_path, corpus, decay=0.25))
    s = continued.group_of(old, asked(40), corpus, "numpy").settings
    rate = falling(s["lr"], s["updates"], s["decay"])
    rates = [rate(step) for step in range(5, 45)]
    np.testing.assert_allclose(rates, [1e-2] * 31 + [1e-2 * k / 10 for k in range(9, 0, -1)], rtol=1e-12)
    assert continued.group_of(old, asked(40, rate=3e-3), corpus, "numpy").settings["lr"] == 3e-3


def test_each_of_two_continuations_falls_over_the_same_share_of_its_own_updates(tmp_path, corpus):
    """With 0.25 of 8 more the rate falls over 2, and then with 0.25 of 40 more over 10, as in the first training."""
    path = learnt(tmp_path, corpus, decay=0.25)
    for more, falls in ((8, 2), (40, 10)):
        kept = trained.load(path)
        s = continued.group_of(kept, asked(more), corpus, "numpy").settings
        rate = falling(s["lr"], s["updates"], s["decay"])
        rates = [rate(step) for step in range(kept.facts["step"] + 1, s["updates"] + 1)]
        wanted = [1e-2] * (more - falls + 1) + [1e-2 * k / falls for k in range(falls - 1, 0, -1)]
        np.testing.assert_allclose(rates, wanted, rtol=1e-12)
        path = further(path, corpus, updates=more).path


def test_the_losses_are_those_of_the_models_before_and_after(tmp_path, corpus):
    """On the validation part, each seed's; training further at a good rate makes them smaller."""
    path = learnt(tmp_path, corpus)
    done = further(path, corpus, updates=60)
    source, s = text.load(corpus), trained.load(path).facts["settings"]
    part = parts_of(s, source).validation
    for kept, loss in ((path, done.before), (done.path, done.after)):
        again = evaluate_part(engine("numpy"), s, trained.load(kept).model, source, part)
        np.testing.assert_array_equal(loss, again)
    assert done.seeds == [0, 1, 2] and (done.after < done.before).all()


def test_what_is_printed(tmp_path, corpus, capsys):
    """The median and each seed, before and after, and the file; progress stands on the other stream."""
    path = learnt(tmp_path, corpus)
    assert call(path, corpus, updates=5) == 0
    said = capsys.readouterr()
    done = further(path, corpus, updates=5)
    before, after, new = said.out.splitlines()
    assert before.startswith(f"validation loss before: median {np.median(done.before):.4f} nats a character (seed 0 ")
    assert after.startswith(f"validation loss after 5 more updates: median {np.median(done.after):.4f} nats")
    assert after.endswith(f"seed 2 {done.after[2]:.4f})") and new == str(done.path) and "5/5" in said.err


def test_models_that_diverge_are_a_failure_that_names_them(tmp_path, corpus, capsys):
    """A weight that is no number spoils its own model alone; all losses are printed and the file is kept."""
    path = learnt(tmp_path, corpus)
    file = saved.read(path)
    file.arrays["square.head.bias_hy"][1, 0] = np.nan
    saved.write(path, file.arrays, file.facts)
    assert call(path, corpus, updates=5) == 1
    said = capsys.readouterr()
    new = said.out.splitlines()[-1]
    assert "seed 1 nan" in said.out and trained.finite(trained.load(new).model).tolist() == [True, False, True]
    assert f"experiments: diverged, with weights or a loss that are not finite: seed 1 in {new}; a sm" in said.err


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, text):
        """Fails."""
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [Full(), None])
def test_progress_that_cannot_be_written_costs_no_training(tmp_path, corpus, capsys, monkeypatch, stream):
    """To a full disk, and to a stream that was closed from the start, which Python has as None."""
    path = learnt(tmp_path, corpus)
    monkeypatch.setattr(sys, "stderr", stream)
    assert call(path, corpus, updates=5) == 0 and len(capsys.readouterr().out.splitlines()) == 3


# What is refused


WRONG = {
    "no updates": ({"updates": 0}, "--updates must be 1 or more"),
    "a rate of 0": ({"rate": 0}, "--rate must be a number above 0"),
    "a negative rate": ({"rate": -1e-3}, "--rate must be"),
    "no rate": ({"rate": "nan"}, "--rate must be"),
    "an infinite rate": ({"rate": "inf"}, "--rate must be"),
    "a text that is not there": ({"corpus": "none.txt"}, "none.txt"),
    "a device that is not there": ({"device": "mars"}, "--device must be"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_asked_wrongly_is_said_in_one_line(tmp_path, corpus, capsys, kind):
    """Nothing is written, and the line names the option."""
    options, named = WRONG[kind]
    assert named in refused(capsys, learnt(tmp_path, corpus), **{"corpus": corpus} | options)


def test_another_text_is_refused(tmp_path, corpus, capsys):
    """The line has the name and the SHA-256 of the text that the models have learnt, and what came in its place."""
    path, other = learnt(tmp_path / "models", corpus), tmp_path / "other.txt"
    other.write_text(corpus.read_text("utf-8")[:-1] + "!", "utf-8")
    line = refused(capsys, path, other)
    assert (
        f"toy, SHA-256 {text.load(corpus).sha256}" in line and f"other.txt, SHA-256 {text.load(other).sha256}" in line
    )


BROKEN = {
    "model.cell.weight_hh": "`model.cell.weight_hh` must have shape (3, 3, 3)",
    "mean.head.bias_hy": "`mean.head.bias_hy` must have shape (3, 5)",
    "square.cell.weight_ih": "`square.cell.weight_ih` must have shape (3, 3, 5)",
    "carried.h": "`carried.h` must have shape (3, 8, 3)",
    "lanes": "`lanes` must have shape (3, 8)",
    "losses": "`losses` must have shape (0, 3)",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_of_another_shape_is_refused_by_name(tmp_path, corpus, capsys, name):
    """An array with a model less, and one that is missing: the line names it, and the file that was given."""
    path = learnt(tmp_path, corpus)
    file = saved.read(path)
    first = (slice(None), slice(1, None)) if name == "losses" else slice(1, None)
    saved.write(path, file.arrays | {name: file.arrays[name][first]}, file.facts)
    line = refused(capsys, path, corpus)
    assert BROKEN[name] in line and line.rstrip(".\n").endswith(str(path))
    saved.write(path, {key: a for key, a in file.arrays.items() if key != name}, file.facts)
    assert f"`{name}` must be in the file" in refused(capsys, path, corpus)


def test_a_file_without_its_course_is_refused(tmp_path, corpus, capsys):
    """Another part's models, settings or facts that a training needs, and a stream of random numbers less."""
    file = saved.read(learnt(tmp_path, corpus))
    s = file.facts["settings"]
    wrong = {
        "of the part words": {"settings": s | {"part": "words"}},
        "which lacks clip, key": {"settings": {name: s[name] for name in s if name != "clip"}, "key": None},
        "`rngs` must be 3, one a model; got 2": {"rngs": file.facts["rngs"][1:]},
        "where step cannot be used": {"step": None},
        "which lacks split": {"settings": s | {"split": "by verse"}},
        "which lacks share": {"settings": s | {"share": None}},
    }
    for named, facts in wrong.items():
        saved.write(file.path, file.arrays, file.facts | facts)
        assert named in refused(capsys, file.path, corpus)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, corpus, capsys, monkeypatch):
    """One line that names the new file; the disk may be full, or its name a folder's."""
    path = learnt(tmp_path, corpus)
    with monkeypatch.context() as patch:
        patch.setattr(saved, "put", full)
        assert "-plus5-" in refused(capsys, path, corpus)
    new = further(path, corpus, updates=5).path
    new.unlink()
    new.mkdir()
    capsys.readouterr()  # the bar of what has just run
    assert f"must be a file that can be written; got {new}" in refused(capsys, path, corpus)


def full(*_):
    """What a full disk does."""
    raise OSError(28, "No space left")


def test_a_file_that_cannot_be_read_is_refused(tmp_path, corpus, capsys):
    """Missing or damaged: one line that names it."""
    assert "none.safetensors" in refused(capsys, tmp_path / "none.safetensors", corpus)
    path = learnt(tmp_path, corpus)
    path.write_bytes(path.read_bytes()[:-1])
    assert path.name in refused(capsys, path, corpus)


def test_models_that_are_not_the_files_own_are_not_trained(tmp_path, corpus):
    """`update_of` refuses before anything is written, by the name of the array."""
    path = learnt(tmp_path, corpus, "lstm")
    file = saved.read(path)
    saved.write(path, {name: a for name, a in file.arrays.items() if name != "carried.c"}, file.facts)
    with pytest.raises(SavedError, match=r"^`carried\.c` must be in the file"):
        further(path, corpus)
    assert [kept.name for kept in tmp_path.iterdir()] == [path.name]


def learnt(folder, corpus, cell="rnn", form="numpy", updates=4, decay=0.0, split=CONTIGUOUS):
    """The file of a small training."""
    settings = {"part": "text", "cell": cell, "H": 3, "T": 4, "B": 8, "reset": 0.25, "lr": 1e-2, "clip": 1.0}
    settings |= {"decay": decay, "updates": updates, "evaluations": 4, "lanes": 4, "warmup": 3} | models.START
    settings |= {"split": split}
    source = text.load(corpus)
    g = Group("language_model", 1, f"toy/cell={cell}", settings, (0, 1, 2), "float64", form, source.sha256, 1.0)
    g = replace(g, keep=str(folder))
    characters.trained(g, source, engine(form), lambda *_: None)
    return learning.path_of(g)


def asked(updates=5, rate=None):
    """The options that a training needs."""
    return SimpleNamespace(updates=updates, rate=rate)


def further(path, corpus, form="numpy", **options):
    """The models of a file, trained further."""
    return continued.continued(trained.load(path), asked(**options), corpus, form)


def same(path, other):
    """Whether two files have the same bits, the losses since the last evaluation apart."""
    one, two = saved.read(path), saved.read(other)
    assert one.arrays.keys() == two.arrays.keys() and {name.split(".")[0] for name in one.arrays} == {*STATE, "losses"}
    arrays = all(np.array_equal(one.arrays[name], two.arrays[name]) for name in one.arrays if name != "losses")
    return arrays and one.facts["rngs"] == two.facts["rngs"]


def stop_at(step):
    """A checkpoint that raises once an update is done, after it was kept."""

    def checkpoint(self, done, total):
        if done == step:
            raise Stopped

    return checkpoint


def counted(monkeypatch):
    """The updates that are done from here on."""
    ran = []
    monkeypatch.setattr(continued.Bar, "checkpoint", lambda self, done, total: ran.append(done))
    return ran


def refused(capsys, path, corpus, updates=5, **options):
    """The one line that a wrong use gets; no file is written."""
    before = sorted(path.parent.iterdir())
    assert call(path, corpus, updates=updates, **options) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1 and sorted(path.parent.iterdir()) == before
    return said.err


def call(path, corpus, engine="numpy", **options):
    """The command's exit code."""
    words = [f"--{name}={value}" for name, value in options.items()]
    return command.main(["continue", str(path), f"--corpus={corpus}", f"--engine={engine}", *words])


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Keeps a training after every update."""
    monkeypatch.setattr(learning, "EVERY", 0.0)
