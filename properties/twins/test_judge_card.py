"""What runs all tests of a card in turn: how each kind ends, that it ends in time, and that it goes on."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from properties import revision
from properties.on_card import OnCard
from properties.twins import bounded, judge_card

ROOT = Path(__file__).parents[2]
RUN = """
test "$TRITON_INTERPRET" = 0 || exit 9
test -e "$1" || printf 'head\\na\\n' > "$1"
case "$0$HEALED" in
    passes*|fails1) grep -qx b "$1" || echo b >> "$1" ;;
    fails) exit 1 ;;
    hangs*) sleep 60 ;;
esac
"""
"""A run of two tests that notes what passed, as pytest does: "a" always passes, "b" may fail or hang."""

TESTS = {
    "passes": "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n",
    "fails": "import os\n\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    assert 'HEALED' in os.environ\n",
    "hangs": "import time\n\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    time.sleep(60)\n",
}


@pytest.fixture
def card(monkeypatch):
    """A card that all see, and three runs on it, in processes that start at once."""
    monkeypatch.setattr(judge_card, "RUNS", dict.fromkeys(("passes", "fails", "hangs"), ()))
    line = lambda name, file: ["sh", "-c", RUN, name, str(file)]  # noqa: E731
    monkeypatch.setattr(judge_card, "command", line)
    monkeypatch.setattr(judge_card, "GRACE", 0.2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")


@pytest.fixture
def judged(tmp_path, capsys):
    """Runs it: the exit code, and how each run ended."""

    def run(*words):
        code = judge_card.main(["--folder", str(tmp_path / "kept"), *words])
        head, *rows = capsys.readouterr().out.splitlines()
        assert head.startswith(("commit ", "no commit, ")) and head.endswith(" card")
        return code, [" ".join(row.split()) for row in rows]

    return run


def test_what_failed_is_told_and_the_same_command_goes_on(card, judged, monkeypatch):
    """Exit code 1 where a test failed, 0 where none did; what passed is kept in between."""
    both = ["--only", "passes", "fails"]
    for _ in range(2):
        assert judged(*both) == (1, ["passes 2 passed complete", "fails 1 passed FAILED"])
    monkeypatch.setenv("HEALED", "1")
    assert judged(*both) == (0, ["passes 2 passed complete", "fails 2 passed complete"])


@pytest.mark.parametrize("what", ["commit", "card"])
def test_another_commit_card_or_version_begins_anew(card, judged, monkeypatch, what):
    """It is no failure; back at the first, what passed there is still known."""
    assert judged("--only", "fails") == (1, ["fails 1 passed FAILED"])
    monkeypatch.setenv("HEALED", "1")
    with monkeypatch.context() as patch:
        patch.setattr(revision, what, lambda *root: "commit of no card")
        patch.setattr(judge_card, "command", lambda name, file: ["sh", "-c", f"! test -e '{file}'"])
        assert judged("--only", "fails") == (0, ["fails 0 passed complete"])
    assert judged("--only", "fails") == (0, ["fails 2 passed complete"])


def test_a_card_is_told_with_the_versions_of_what_computes_on_it(card, monkeypatch):
    """Torch's with its build, Triton's, the card's name."""
    monkeypatch.setattr(torch, "__version__", "9.9.9+cu999")
    assert revision.card().startswith("torch 9.9.9+cu999, ") and revision.card().endswith(", a card")
    monkeypatch.setattr(revision, "find_spec", lambda name: None)
    assert revision.card() == "torch 9.9.9+cu999, no triton, a card"


def test_it_ends_in_time_and_says_what_is_left(card, judged):
    """A run that hangs is told to end: what passed before is kept, and runs after it are not begun."""
    began = time.monotonic()
    rows = ["hangs 1 passed left to run", "passes 0 passed left to run"]
    assert judged("--minutes", "0.02", "--only", "hangs", "passes") == (3, rows)
    assert time.monotonic() - began < 20


def test_a_run_has_the_time_that_is_left_and_its_grace(card, judged, monkeypatch):
    """Each gets what those before it did not take, and is told to end GRACE before; with less none is begun."""
    times, now = [], iter([0.0, 10.0, 50.0, 59.9])

    def run(line, seconds, grace, *more):
        times.append((seconds, grace))
        return bounded.Ran(0, "")

    monkeypatch.setattr(bounded, "run", run)
    monkeypatch.setattr(judge_card.time, "monotonic", lambda: next(now))
    code, rows = judged("--minutes", "1", "--only", "hangs", "passes", "fails")
    assert code == 3 and times == [(50.0, 0.2), (10.0, 0.2)] and rows[2] == "fails 0 passed left to run"


def test_without_a_card_nothing_is_run(monkeypatch, capsys):
    """One line, exit code 2."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert judge_card.main([]) == 2
    assert capsys.readouterr().err == "judge_card needs a CUDA device, and torch sees none.\n"


@pytest.mark.parametrize("name", [*judge_card.NEEDED, "torch"])
def test_a_package_that_is_missing_is_named_and_nothing_is_run(card, name, tmp_path):
    """One line, exit code 2, in a Python that cannot import it, before anything is imported that does."""
    module = judge_card.NEEDED.get(name, name)
    text = f"""
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == {module!r} else found(name, *more)
sys.modules[{module!r}] = None
from properties.twins import judge_card
sys.exit(judge_card.main(["--folder", "kept"]))
"""
    here = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, env=here, capture_output=True, text=True)
    said = f"judge_card needs {name}, which {sys.executable} does not have.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("word", ["nan", "inf", "0"])
def test_a_time_that_there_is_not_is_refused_in_one_line(word, capsys):
    """The argument, the rule, and what came."""
    with pytest.raises(SystemExit, match="2"):
        judge_card.main(["--minutes", word])
    said = f"judge_card: argument --minutes: must be a finite number above 0; got {word!r}\n"
    assert capsys.readouterr().err == said


@pytest.mark.slow
def test_pytest_itself_goes_on(card, judged, tmp_path, monkeypatch):
    """With its own processes and its own files: what passed is not run again, one that hangs is interrupted."""
    for name, text in TESTS.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    words = ["-p", "properties.passed", "-p", "no:xdist", "-p", "no:cacheprovider"]
    monkeypatch.undo()
    monkeypatch.setattr(judge_card, "RUNS", {name: [str(tmp_path / f"test_{name}.py"), *words] for name in TESTS})
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    monkeypatch.setattr(judge_card, "GRACE", 2.0)
    rows = ["fails 1 passed FAILED", "passes 2 passed complete", "hangs 1 passed left to run"]
    for _ in range(2):
        assert judged("--minutes", "0.2", "--only", "fails", "passes", "hangs") == (1, rows)


@pytest.mark.slow
def test_there_are_tests_for_a_card_and_every_subject_is_one():
    """What is collected where the runs point to; the subjects' own laws are collected on a card alone."""
    words = ["-W", "default", "-p", "no:xdist", "--collect-only", "-q", *judge_card.TESTS]
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("::test_") > 50, done.stdout[-2000:]
    from properties import on_card

    assert all(issubclass(getattr(on_card, name), OnCard) for name in judge_card.SUBJECTS)
    assert set(judge_card.RUNS) == {"tests", *judge_card.SUBJECTS}
