"""The documents are tested against the program; test_documented_commands.py runs what they show."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

from experiments.command import Command
from experiments.test_documented_commands import outside_make
from experiments.test_site import REPORTS, kept
from properties.loading import OUTSIDE

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
SUBJECTS = {
    "all": True,
    "keras_jax": True,
    "torch_nn mlx_cpu": True,
    "my.rnn:LSTM": False,
    "my.py": False,
    "kers": False,
}
"""Words, and whether a library of the extra "subjects" is among them."""
VERBS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def committed(*patterns: str) -> list[Path]:
    """The documents that match; what runs write there is no document."""
    found = sorted(path for pattern in patterns for path in ROOT.glob(pattern))
    return [path for path in found if not path.is_relative_to(REPORTS) or kept(path, REPORTS)]


TYPED = committed("*.md", "decisions/*.md", "properties/**/*.md", "experiments/**/*.md", "reports/*/README.md")


def test_what_runs_write_is_no_document(tmp_path, monkeypatch):
    """Reports that are never committed may show commands of another day."""
    for folder in ("memory", "tour", "smoke", "own", ".memory-x1"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "README.md").write_text("")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    monkeypatch.setitem(globals(), "REPORTS", tmp_path)
    assert committed("*/README.md") == [tmp_path / "memory" / "README.md"]


def commands() -> set[str]:
    """What follows `python -m experiments` in the documents, where no variable of a shell stands in it."""
    texts = (path.read_text("utf-8").replace("\\_", "_").replace("\\\n", " ") for path in TYPED)
    found = {line.strip() for text in texts for line in re.findall(r"python -m experiments ([^`\n#|<)]+)", text)}
    return {line for line in found if "$" not in line}


def test_every_verb_the_readme_names_is_in_the_makefile():
    """`make VERB` works for each VERB that is named, and nothing is left to fill in."""
    verbs = set(re.findall(r"\bmake ([a-z-]+)\b", README)) - {"every"}
    assert verbs >= {"report", "test", "verify"} and verbs <= VERBS and "{{" not in README


def test_every_verb_says_what_it_does():
    """`make help` has a line for each; none is a file's name."""
    told = set(re.findall(r"^([a-z-]+):.*##\s*\S", MAKEFILE, re.MULTILINE))
    phony = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split())
    assert VERBS == told == phony


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A verb in a fresh clone, of which the Makefile reads three files."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return subprocess.run(["make", *words], cwd=folder, env=outside_make(), capture_output=True, text=True)


def test_a_verb_that_does_not_exist_names_those_that_do(tmp_path):
    """As `make help` does."""
    done, told = make(tmp_path, "reports"), make(tmp_path, "help").stdout
    assert done.returncode == 2 and "no verb 'reports'" in done.stderr and told in done.stderr
    assert [line.split()[0] for line in told.splitlines()] == re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE)


def test_verify_installs_libraries_where_one_is_asked_for_by_name(tmp_path):
    """Those that are outside, and all of them; a file or module of the user's brings its own, a slip needs none."""
    (names,) = re.findall(r"^OUTSIDE := (.*)$", MAKEFILE, re.MULTILINE)
    assert names.split() == list(OUTSIDE)
    asked = {word: make(tmp_path, "--dry-run", "verify", f"SUBJECT={word}").stdout for word in SUBJECTS}
    assert {word: "[test,subjects]" in told for word, told in asked.items()} == SUBJECTS


def test_a_python_that_is_too_old_is_refused_before_anything_is_made(tmp_path):
    """With the version that it is and how to name another."""
    old = tmp_path / "old"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = (3, 9, 18); $2"\n')
    old.chmod(0o755)
    done = make(tmp_path, "report", "PYTHON=./old")
    assert done.returncode == 2 and "3.11 or newer; ./old is 3.9." in done.stderr and "PYTHON=python3.12" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_python_without_the_packages_is_told_where_they_are():
    """One line that names what is lacking, exit code 2."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    line = [sys.executable, "-S", "-m", "experiments", "list"]  # without site-packages
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "no module" in done.stderr and "`make report`" in done.stderr and ".venv/bin/python" in done.stderr


@pytest.mark.parametrize("line", sorted(commands()))
def test_every_documented_command_is_understood(line):
    """The command line takes it as it stands; where it asks for help, it gets that."""
    if "--help" in line:
        with pytest.raises(SystemExit) as end:
            tyro.cli(Command, args=shlex.split(line))
        assert end.value.code == 0
    else:
        assert tyro.cli(Command, args=shlex.split(line)) is not None


@pytest.mark.parametrize(
    "path", committed("*.md", "properties/**/*.md", "experiments/**/*.md"), ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_link_leads_somewhere(path):
    """Files and folders that are linked exist, and so do headings."""
    for link in re.findall(r"\]\(([^)]+)\)", path.read_text("utf-8")):
        if not re.match(r"[a-z]+:", link):
            file, _, heading = link.partition("#")
            assert (path.parent / file).exists(), link
            assert not heading or heading in headings((path.parent / file).read_text("utf-8")), link


def headings(text: str) -> set[str]:
    """A document's headings as links name them."""
    return {
        re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)
    }


def test_the_way_through_the_code_names_every_folder():
    """A newcomer finds each of them in the table."""
    table = README[README.index("## Find your way in the code") : README.index("## Read in this order")]
    places = ("impl/numpy_twin", "impl/torch_twin", "properties/meta", "properties/subjects", "properties/known")
    assert [place for place in (*places, "experiments/tasks", "experiments/harness") if place not in table] == []
    assert len(re.findall(r"^\| ", table, re.MULTILINE)) > 15
