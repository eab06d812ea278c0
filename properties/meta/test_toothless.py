"""The script that takes a law's assertions away: what it removes, and that both outcomes are told apart."""

import sys
from pathlib import Path

import pytest

from properties import check
from properties.laws import registry
from properties.meta import toothless

LAW = """
def test_it(subject, case):
    if case:
        agree(subject, case, {}, {})
    for one in case:
        same_bits(subject, case, "h", one, one)
    got = require
    subject.agree(case)
"""


def test_every_assertion_is_taken_away_and_nothing_else():
    """Calls as statements go, in loops and branches too; what only looks like one stays."""
    left = toothless.toothless(LAW)
    assert "agree(subject, case" not in left and "same_bits(" not in left
    assert "got = require" in left and "subject.agree(case)" in left


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_law_has_assertions_to_lose(name):
    """A law that compares by other means would keep its teeth, and the script would not notice."""
    source = Path(toothless.ROOT / "properties" / f"test_{name.replace(' ', '_')}.py").read_text()
    left = toothless.toothless(source)
    assert not any(f" {word}(" in left.replace("def ", "") for word in toothless.ASSERTIONS), "an assertion is left"
    assert "assert " not in left and "raise AssertionError" not in left
    assert any(f" {word}(" in source for word in toothless.ASSERTIONS)


def test_a_law_without_assertions_is_found_out_and_one_that_keeps_them_is_told_apart(tmp_path, monkeypatch):
    """The kill row of a law without assertions is empty and says so; with its assertions it kills, and that is told."""
    copy = toothless.copied(tmp_path)
    assert toothless.found_out("causality", copy) == ""
    monkeypatch.setattr(toothless, "ASSERTIONS", set())
    assert "law 'causality' lost its assertions" in toothless.found_out("causality", copy)


def test_an_unknown_law_is_refused_in_one_line(capsys):
    """Exit code 2, and the laws that there are."""
    assert toothless.main(["no such law"]) == 2
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("program", [toothless, check])
def test_who_asks_for_help_gets_it_and_is_taken_for_no_law_or_subject(program, monkeypatch, capsys):
    """Words are taken as they come; none means all laws, or the NumPy twin."""
    words = program.asked if program is toothless else lambda: program.asked()["words"]
    monkeypatch.setattr(sys, "argv", ["x", "--help"])
    with pytest.raises(SystemExit) as stop:
        program.asked()
    assert stop.value.code == 0 and capsys.readouterr().out.startswith(f"usage: python -m {program.__name__}")
    monkeypatch.setattr(sys, "argv", ["x", "a", "b"])
    assert words() == ["a", "b"]
    monkeypatch.setattr(sys, "argv", ["x"])
    assert words() == ([] if program is toothless else ["numpy_twin"])
