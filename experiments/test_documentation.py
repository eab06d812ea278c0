"""The README is tested against the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import tyro

from experiments.command import Command

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_every_verb_the_readme_names_is_in_the_makefile():
    """`make VERB` works for each VERB that is named, and nothing is left to fill in."""
    verbs = set(re.findall(r"\bmake ([a-z]+)\b", README)) - {"every"}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert verbs >= {"report", "test", "verify"}
    assert {verb for verb in verbs if f"\n{verb}:" not in makefile} == set() and "{{" not in README


@pytest.mark.parametrize("line", sorted(set(re.findall(r"python -m experiments ([^`\n#]+)", README))))
def test_every_command_of_the_readme_is_understood(line):
    """The command line takes it as it stands."""
    assert tyro.cli(Command, args=shlex.split(line)) is not None


def test_every_link_of_the_readme_leads_somewhere():
    """Files and folders that are linked exist."""
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert len(links) > 10 and [link for link in links if not (ROOT / link).exists()] == []
