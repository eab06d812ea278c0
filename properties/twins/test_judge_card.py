"""What runs all tests of a card in turn: how each kind ends, that it ends in time, and that it goes on."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from properties import noted, revision
from properties.on_card import OnCard
from properties.twins import bounded, judge_card

ROOT = Path(__file__).parents[2]
RUN = """
test "$TRITON_INTERPRET" = 0 || exit 9
test -e "$1" || printf 'head\\na\\n' > "$1"
case "$0$HEALED" in
    passes*|fails1) grep -qx b "$1" || echo b >> "$1" ;;
    fails) exit 1 ;;
    breaks) echo "FAILED c" >> "$1"; sleep 60 ;;
    breaks1) echo c >> "$1"; sleep 60 ;;
    hangs*) sleep 60 ;;
esac
"""
"""A run that notes what passed, as pytest does: "a" always passes, "b" may fail or hang, after "c" failed."""

TESTS = {
    "passes": "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n",
    "fails": "import os\n\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    assert 'HEALED' in os.environ\n",
    "hangs": "import time\n\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    time.sleep(60)\n",
}

ENDS = """
import os, time

CONTROLLER = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()


def test_a():
    pass


def test_b():
    assert False


def test_c():
    time.sleep(0.3)
    os.kill(CONTROLLER, 9)
"""
"""Tests of which the last kills the process that writes the files."""


@pytest.fixture
def card(monkeypatch):
    """A card that all see, and four runs on it, in processes that start at once."""
    monkeypatch.setattr(judge_card, "RUNS", dict.fromkeys(("passes", "fails", "hangs", "breaks"), ()))
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
    """A run that hangs is told to end after half the time: what passed before is kept, and the next run is begun."""
    began = time.monotonic()
    rows = ["hangs 1 passed left to run", "passes 2 passed complete"]
    assert judged("--minutes", "0.02", "--only", "hangs", "passes") == (3, rows)
    assert time.monotonic() - began < 20


def test_what_failed_before_the_time_was_over_is_told_until_it_passes(card, judged, monkeypatch):
    """A test fails, another hangs: exit code 1 and its name, also where it is not run again; 3 once it passed."""
    told = (1, ["breaks 1 passed FAILED, others left to run", "c"])
    assert judged("--minutes", "0.02", "--only", "breaks") == told
    with monkeypatch.context() as patch:
        patch.setattr(judge_card, "run", lambda line, seconds: None)
        assert judged("--only", "breaks") == told
    monkeypatch.setenv("HEALED", "1")
    assert judged("--minutes", "0.02", "--only", "breaks") == (3, ["breaks 2 passed left to run"])


@pytest.fixture
def timed(monkeypatch):
    """Gives each run that is begun so many seconds of a clock that stands else: its name, its time and its grace."""

    def put(*takes):
        times, now, each = [], [0.0], iter(takes)

        def run(line, seconds, grace, *more):
            times.append((line[3], seconds, grace))
            now[0] += min(next(each), seconds)
            return bounded.Ran(None, "")

        monkeypatch.setattr(bounded, "run", run)
        monkeypatch.setattr(judge_card.time, "monotonic", lambda: now[0])
        return times

    return put


def test_a_run_has_half_the_time_at_most_and_the_last_all_that_is_left(card, judged, timed):
    """Each is told to end GRACE before, and with no more than that left none is begun."""
    times = timed(99.0, 10.0, 19.9)
    code, rows = judged("--minutes", "1", "--only", "hangs", "passes", "fails", "breaks")
    assert code == 3 and times == [("hangs", 30.0, 0.2), ("passes", 30.0, 0.2), ("fails", 20.0, 0.2)]
    assert rows[3] == "breaks 0 passed left to run"
    times = timed(1.0, 99.0)
    assert judged("--minutes", "1", "--only", "hangs", "passes")[0] == 3
    assert times == [("passes", 30.0, 0.2), ("hangs", 59.0, 0.2)]


def test_the_run_that_had_the_least_time_comes_first(card, judged, timed):
    """Two that hang at the head keep the others from being run once alone."""
    only = ["--minutes", "1", "--only", "hangs", "passes", "fails", "breaks"]
    for names in (["hangs", "passes"], ["fails", "breaks"], ["hangs", "passes"]):
        times = timed(99.0, 99.0)
        assert judged(*only)[0] == 3 and [name for name, *_ in times] == names
    times = timed(1.0, 99.0, 99.0)
    assert judged(*only)[0] == 3 and [name for name, *_ in times] == ["fails", "breaks", "hangs"]


def test_a_run_that_a_signal_ended_had_its_time_too(card, judged, timed, monkeypatch):
    """It comes later when the same command is typed again."""

    def stopped(line, seconds):
        judge_card.time.sleep(0.06)
        raise SystemExit(130)

    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="130"):
        patch.setattr(judge_card, "run", stopped)
        judged("--only", "hangs", "passes")
    times = timed(1.0, 1.0)
    assert judged("--only", "hangs", "passes")[0] == 3 and [name for name, *_ in times] == ["passes", "hangs"]


def test_a_run_that_is_complete_comes_last_and_takes_no_other_half_of_the_time(card, judged, timed, monkeypatch):
    """Else one that needs more than half would lose to those that only begin and end; cut lines are skipped."""
    kept = []
    monkeypatch.setattr(
        judge_card, "spent", lambda folder, spent=judge_card.spent: kept.append(folder) or spent(folder)
    )
    timed(1.0)
    judged("--only", "passes")
    (folder,) = set(kept)
    assert (folder / ".gitignore").read_text() == "*\n"
    (folder / judge_card.TIMES).write_text("passes 1.0 0\nhangs 5.0 None\nfails 7.0 1\nhangs 12")
    times = timed(50.0, 1.0)
    assert judged("--minutes", "1", "--only", "passes", "hangs")[0] == 3 and times[0] == ("hangs", 60.0, 0.2)
    assert (folder / judge_card.TIMES).read_text().splitlines()[3:] == ["hangs 50.0 None", "passes 1.0 None"]
    assert judge_card.spent(folder)["hangs"].seconds == 55.0
    (folder / judge_card.TIMES).write_text("passes 1.0 0\n")
    timed(99.0)
    rows = ["passes 0 passed complete", "hangs 0 passed left to run"]
    assert judged("--minutes", "1", "--only", "passes", "hangs") == (3, rows), "not begun again, it stays so"


def test_a_run_whose_failed_test_is_skipped_now_is_not_complete(card, judged, monkeypatch):
    """What failed stays so until it passes."""
    assert judged("--minutes", "0.02", "--only", "breaks")[0] == 1
    monkeypatch.setattr(judge_card, "run", lambda line, seconds: 0)
    assert judged("--only", "breaks") == (1, ["breaks 1 passed FAILED", "c"])


def test_two_at_once_in_one_folder_are_one_too_many(card, judged, monkeypatch, capsys):
    """The second ends with one line and runs nothing; when the first has ended it is free again."""
    second = []

    def run(line, seconds):
        second.append((judge_card.main(["--folder", str(Path(line[-1]).parents[1])]), capsys.readouterr().err))
        return 0

    with monkeypatch.context() as patch:
        patch.setattr(judge_card, "run", run)
        assert judged("--only", "passes")[0] == 0
    ((code, said),) = second
    assert code == 2 and said.startswith("judge_card: another process is at work with ") and said.count("\n") == 1
    assert judged("--only", "passes") == (0, ["passes 2 passed complete"])


def test_a_folder_that_cannot_be_made_is_a_line(card, tmp_path, capsys):
    """Exit code 2, since 1 is a test that failed."""
    (tmp_path / "file").touch()
    assert judge_card.main(["--folder", str(tmp_path / "file")]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"judge_card: {tmp_path / 'file'}") and said.endswith(
        " cannot be written: Not a directory.\n"
    )


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


def test_a_time_in_which_no_run_would_be_begun_is_refused_in_one_line(capsys):
    """Half of it is the grace."""
    with pytest.raises(SystemExit, match="2"):
        judge_card.main(["--minutes", "0.66"])
    said = "half of it must be longer than the 20 s that a command has to end in; got 0.66"
    assert capsys.readouterr().err == f"judge_card: argument --minutes: {said}\n"


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_pytest_itself_notes_a_failure_before_it_is_killed(workers, tmp_path, monkeypatch):
    """A test fails and the next ends the process, as a run is that does not end by itself."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(ENDS)
    words = [str(tmp_path / "test_it.py"), "-p", "properties.passed", "-p", "no:cacheprovider", *workers]
    monkeypatch.setattr(judge_card, "RUNS", {"it": [*words, "-p", "no:xdist"] if not workers else words})
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # of this test's own run, whose controller is not meant
    here = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(judge_card.command("it", tmp_path / "it.ids"), cwd=tmp_path, env=here, capture_output=True)
    assert done.returncode == -9, done.stdout
    told = ["test_it.py::test_a"], ["test_it.py::test_b"]
    assert noted.tests(noted.read(tmp_path / "it.ids")[1:]) == told


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
    failed = ["fails 1 passed FAILED", "test_fails.py::test_b"]
    rows = [*failed, "passes 2 passed complete", "hangs 1 passed left to run"]
    for _ in range(2):
        assert judged("--minutes", "0.2", "--only", "fails", "passes", "hangs") == (1, rows)


@pytest.mark.slow
def test_there_are_tests_for_a_card_and_every_subject_is_one():
    """What is collected where the runs point to; the subjects' own laws are collected on a card alone."""
    words = ["-W", "default", "--collect-only", "-q", *judge_card.TESTS, "-n", "0"]
    done = subprocess.run([sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("::test_") > 50, done.stdout[-2000:]
    from properties import on_card

    assert all(issubclass(getattr(on_card, name), OnCard) for name in judge_card.SUBJECTS)
    assert set(judge_card.RUNS) == {"tests", *judge_card.SUBJECTS}
