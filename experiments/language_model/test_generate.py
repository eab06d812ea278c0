"""What trained models write: from which file, from which prime, and what is refused in one line."""

from __future__ import annotations

import os
import sys
from itertools import pairwise

import numpy as np
import pytest

from experiments import command
from experiments.harness import saved
from experiments.harness.saved import SavedError
from experiments.language_model import generate, trained
from impl.spec import Head, Model, Parameters

FOLDER = command.models_of(command.STORE)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# What is written


def test_the_prime_is_gone_on_from_in_the_models_own_alphabet(here, capsys):
    """A model that knows its alphabet's order says it, one that knows it backwards says that, and nothing else."""
    path = kept(here / "m.safetensors", alphabet="adgxz")
    assert say(capsys, path, prime="zad", length=7, temperature=0) == ("zad" + "gxzadgx" + "\n", "")
    assert say(capsys, path, prime="zad", length=7, temperature=0, member=1) == ("zad" + "azxgdaz" + "\n", "")


def test_a_member_that_is_another_one_is_seen(here, capsys, monkeypatch):
    """If the first model always speaks, the second is not heard."""
    path = kept(here / "m.safetensors")
    said = say(capsys, path, prime="a", length=7, temperature=0, member=1)
    monkeypatch.setattr(generate, "choose", lambda model, index: trained_choose(model, [0]))
    assert say(capsys, path, prime="a", length=7, temperature=0, member=1) != said


@pytest.mark.parametrize(("alphabet", "begun"), [("abcde", "bcdea"), ("\tab\n-", "-\tab\n")])
def test_without_a_prime_it_begins_after_a_line_break_or_the_first_character(here, capsys, alphabet, begun):
    """What it begins after is not printed."""
    path = kept(here / "m.safetensors", alphabet)
    assert say(capsys, path, length=5, temperature=0)[0] == begun + "\n"


def test_where_bytes_were_the_characters_they_are_put_together(here, capsys):
    """The two bytes of a letter are read and written as the letter; the first half alone shows as no character."""
    path = kept(here / "m.safetensors", alphabet="a\u00c3\u00a9bc", encoding="latin-1")
    assert say(capsys, path, prime="a\u00e9", length=5, temperature=0)[0] == "a\u00e9" + "bca\u00e9" + "\n"
    assert say(capsys, path, prime="c", length=2, temperature=0)[0] == "c" + "a\ufffd" + "\n"
    path = kept(here / "m.safetensors", alphabet="a\u00c3\u00a9bc")
    assert say(capsys, path, prime="a", length=2, temperature=0)[0] == "a" + "\u00c3\u00a9" + "\n"


def test_the_same_command_writes_the_same_text_and_another_seed_another(here, capsys):
    """At a temperature of 5 some characters are unlikely ones; each engine draws the same."""
    path = kept(here / "m.safetensors")
    first, again, other = (say(capsys, path, temperature=5.0, seed=seed)[0] for seed in (0, 0, 1))
    assert first == again != other and len(first) == 501 and 0.8 < in_order(first) < 1
    engines = {say(capsys, path, temperature=5.0, engine=engine)[0] for engine in ("fast", "numpy", "torch")}
    assert engines == {first}


@pytest.mark.parametrize(("temperature", "least", "most"), [(0.0, 1.0, 1.0), (5.0, 0.87, 0.97), (1e6, 0.12, 0.28)])
def test_temperature_divides_the_logits(here, capsys, temperature, least, most):
    """The share of steps in the alphabet's order: all at 0; e^4 / (e^4 + 4) = 0.93 at 5; 1 of 5 where all are equal."""
    said = say(capsys, kept(here / "m.safetensors"), length=1000, temperature=temperature)[0]
    assert least <= in_order(said) <= most


# From which file


def test_the_newest_models_of_characters_are_taken_and_named(here, capsys):
    """By the time of writing; models of words are passed over; the file, cell, size and progress are said."""
    for name, time in {"b": 300, "a": 200, "c": 100}.items():
        os.utime(kept(FOLDER / f"{name}.safetensors"), (time, time))
    words = kept(FOLDER / "words.safetensors", words=["in", "the"], alphabet=None)
    os.utime(words, (400, 400))
    out, told = say(capsys, None, prime="a", length=3, temperature=0)
    assert out == "abcd\n" and len(told.splitlines()) == 1
    line = f"model 0 of 2 in {FOLDER / 'b.safetensors'}: rnn of 90 parameters, 7 of 9 updates done on the text toy\n"
    assert told == line


def test_a_name_that_cannot_be_told_does_not_stand_in_the_text(here, capsys, monkeypatch):
    """A standard error stream that was closed from the start is None: print would take the other one."""
    kept(FOLDER / "m.safetensors")
    monkeypatch.setattr(sys, "stderr", None)
    assert command.main(["generate", "--prime", "a", "--length", "3", "--temperature", "0"]) == 0
    assert capsys.readouterr().out == "abcd\n"


@pytest.mark.parametrize("split", ["contiguous", "interleaved"])
def test_it_is_said_by_which_split_the_models_have_learnt(here, capsys, split):
    """They know another part of the text by each."""
    kept(FOLDER / "m.safetensors", **{"settings.split": split})
    assert say(capsys, None, length=3)[1].endswith(f" updates done on the text toy, {split} split\n")


def test_each_store_has_models_of_its_own(here, capsys):
    """In a folder named after the store and beside it, so that two stores of one folder do not share theirs."""
    for store, alphabet in {"a.sqlite": "abcde", "b.sqlite": "ecadb"}.items():
        kept(here / f"{store}.models" / "m.safetensors", alphabet)
        said = say(capsys, None, prime="a", length=4, temperature=0, store=store)
        assert said[0] == {"a.sqlite": "abcde\n", "b.sqlite": "adbec\n"}[store] and f"{store}.models" in said[1]
    assert not (here / "models").exists() and command.models_of(here / "a.sqlite").parent == here


def test_without_any_models_it_is_said_how_to_get_some(here, capsys):
    """One line with the command to type."""
    assert refused(capsys, None).endswith("python -m experiments run language_model --preset tour.\n")
    kept(FOLDER / "words.safetensors", alphabet=None)
    assert "there is no trained model of characters" in refused(capsys, None)


def test_a_newest_file_that_is_damaged_is_no_reason_to_take_an_older_one(here, capsys):
    """It is refused by its name, since nobody asked for the older one."""
    os.utime(kept(FOLDER / "old.safetensors"), (100, 100))
    path = kept(FOLDER / "new.safetensors")
    path.write_bytes(path.read_bytes()[:-8])
    assert "new.safetensors" in refused(capsys, None)


# What is refused


WRONG = {
    "a length of 0": ({"length": 0}, "--length must be 1 or more"),
    "a negative temperature": ({"temperature": -0.1}, "--temperature must be a number of 0 or more"),
    "an infinite temperature": ({"temperature": "inf"}, "--temperature must be"),
    "no temperature": ({"temperature": "nan"}, "--temperature must be"),
    "a member that is not there": ({"member": 2}, "--member must be below 2, the number of models in"),
    "a negative member": ({"member": -1}, "--member must be"),
    "a character that is not in the alphabet": ({"prime": "ab\u00e9\nb\u00e9"}, "read, 5 in all; got '\u00e9', '\\n'."),
    "a device that is not there": ({"device": "mars"}, "--device must be"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_asked_wrongly_is_said_in_one_line(here, capsys, kind):
    """Nothing is written, and the line names the option."""
    options, named = WRONG[kind]
    assert named in refused(capsys, kept(here / "m.safetensors"), **options)


LIES = {
    "settings.H": (4, "`model.cell.weight_ih` must have shape (2, 4, 5)"),
    "settings.cell": ("lstm", "`model.cell.weight_ih` must have shape (2, 20, 5)"),
    "alphabet": ("abcdef", "`model.cell.weight_ih` must have shape (2, 5, 6)"),
    "seeds": ([0], "`model.cell.weight_ih` must have shape (1, 5, 5)"),
    "dtype": ("float32", "and dtype float32"),
}


@pytest.mark.parametrize("fact", LIES)
def test_a_file_of_another_shape_than_it_says_is_refused_by_name(here, capsys, fact):
    """Width, cell, alphabet, number and dtype: the line has the array, what it must be, what came, and the file."""
    value, rule = LIES[fact]
    line = refused(capsys, kept(here / "m.safetensors", **{fact: value}))
    assert rule in line and "got (2, 5, 5) float64 in" in line and "m.safetensors" in line


@pytest.mark.parametrize("way", ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hy", "bias_hy"])
def test_each_array_is_asked_for_and_none_besides(here, way):
    """Without it, or with one row less, or beside one more, the message has its name."""
    file = saved.read(kept(here / "m.safetensors"))
    (name,) = [name for name in file.arrays if name.endswith(way)]
    for arrays in ({name: file.arrays[name][:, 1:]}, {name: None}, {f"{name}_more": file.arrays[name]}):
        some = {key: a for key, a in (file.arrays | arrays).items() if a is not None}
        saved.write(file.path, some, file.facts)
        with pytest.raises(SavedError, match=f"^`{next(iter(arrays))}` must "):
            trained.load(file.path)


@pytest.mark.parametrize("fact", trained.FACTS)
def test_a_file_of_another_kind_is_refused_by_what_it_does_not_say(here, capsys, fact):
    """Models of words have no alphabet; and without any other of the facts a file cannot be read."""
    for value in (None, [], -1):
        assert f"where {fact} cannot be used" in refused(capsys, kept(here / "m.safetensors", **{fact: value}))


@pytest.mark.parametrize("part", ["truncation", "words"])
def test_models_of_another_part_are_refused_by_its_name(here, capsys, part):
    """They have no alphabet; `newest` passes over them. Those of the text itself are said to be of no other part."""
    others = {"alphabet": None, "settings.part": part}
    line = refused(capsys, kept(here / "m.safetensors", **others))
    assert f"where alphabet cannot be used: these are of the part {part}, whose models only its own training" in line
    assert "of the part" not in refused(capsys, kept(here / "m.safetensors", **others | {"settings.part": "text"}))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_model_that_has_diverged_is_refused_and_those_beside_it_are_not(here, capsys, value):
    """It would write the alphabet's first character for ever; the line says which members can be asked."""
    model = knowing()
    model.head.bias_hy[0, 3] = value
    path = kept(here / "m.safetensors", model=model)
    line = refused(capsys, path, member=0)
    assert line.endswith(f"--member must be a model whose weights are finite, of {path} 1; got 0.\n")
    assert say(capsys, path, prime="a", length=3, temperature=0, member=1)[0] == "aedc\n"


def test_a_file_that_is_none_of_ours_is_refused(here, capsys):
    """Missing, a folder, damaged, or without facts: one line that names it."""
    whole = kept(here / "whole.safetensors").read_bytes()
    for name, data in {"missing": None, "cut": whole[:-8], "head": whole[:20], "text": b"abc", "empty": b""}.items():
        if data is not None:
            (here / name).write_bytes(data)
        assert name in refused(capsys, here / name)
    (here / "folder").mkdir()
    assert "folder" in refused(capsys, here / "folder")


trained_choose = generate.choose


def in_order(said):
    """The share of steps that go from a letter of 'abcde' to the next, round its end."""
    return np.mean([a + b in "abcdea" for a, b in pairwise(said.rstrip("\n"))])


def kept(path, alphabet="abcde", model=None, **facts):
    """A file of two models: the first knows its alphabet's order by heart, the second the reverse; `a.b` is b in a."""
    said = {"cell": "rnn", "H": 5, "updates": 9}
    said |= {name.split(".")[1]: value for name, value in facts.items() if "." in name}
    facts = {name: value for name, value in facts.items() if "." not in name}
    told = {"alphabet": alphabet, "settings": said, "seeds": [3, 4], "dtype": "float64", "step": 7, "text": "toy"}
    saved.write(path, saved.named(model or knowing(), "model"), told | facts)
    return path


def knowing():
    """Two RNNs without memory whose read-out gives the next class, and the one before, 20 more than the others."""
    zeros, ones = np.zeros((2, 5)), np.eye(5)
    following = np.stack([np.roll(ones, 1, 0), np.roll(ones, -1, 0)])
    return Model(Parameters(np.stack([20 * ones] * 2), np.zeros((2, 5, 5)), zeros, zeros), Head(20 * following, zeros))


def say(capsys, path, **options):
    """What the command prints, and what it says beside that."""
    assert call(path, options) == 0
    return capsys.readouterr()


def refused(capsys, path, **options):
    """The one line that a wrong use gets."""
    assert call(path, options) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    return said.err


def call(path, options):
    """The command's exit code."""
    words = [f"--{name}={value}" for name, value in options.items()]
    return command.main(["generate", *([f"--model={path}"] if path else []), *words])
