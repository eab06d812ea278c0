"""A run that goes on where it stopped: what is noted, what is run again, what is refused; alone and with workers."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from properties import passed

ROOT = Path(__file__).parents[2]
SUITE = """
import pathlib, pytest, time
seen = pathlib.Path(__file__).parent

def ran(name):
    with (seen / "ran").open("a") as file:
        file.write(name + "\\n")

@pytest.mark.parametrize("n", range(6))
def test_good(n):
    ran(f"good{n}")
    if (seen / "slow").exists() and n > 2:
        time.sleep(6)

def test_bad():
    ran("bad")
    assert (seen / "mended").exists()

def test_skipped():
    pytest.skip("not here")

@pytest.fixture
def untidy():
    yield
    assert (seen / "mended").exists()

def test_untidy(untidy):
    ran("untidy")
"""
workers = pytest.mark.parametrize("more", [(), ("-n", "2")], ids=["alone", "two workers"])


@pytest.fixture
def folder(tmp_path):
    """A folder with a suite of nine tests, of which two fail until they are mended."""
    (tmp_path / "test_some.py").write_text(SUITE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def command(*more):
    """Pytest with the plugin alone."""
    line = [sys.executable, "-m", "pytest", "-p", "properties.passed", "-p", "no:cacheprovider", "-p", "no:randomly"]
    return [*line, "-q", "--passed", "ids", *more]


def surroundings():
    """Where the plugin is found."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


def run(folder, *more):
    """What a run says, with its exit code; and what it ran."""
    (folder / "ran").unlink(missing_ok=True)
    done = subprocess.run(command(*more), cwd=folder, capture_output=True, text=True, env=surroundings())
    lines = (folder / "ran").read_text().split() if (folder / "ran").exists() else []
    return done, sorted(lines)


@workers
def test_what_passed_is_not_run_again_and_what_failed_is(folder, more):
    """Six pass, one is skipped, one fails, one fails at its end: two are left; mended, none, which is no error."""
    first, ran = run(folder, *more)
    assert first.returncode == 1 and len(ran) == 8
    held = (folder / "ids").read_text().splitlines()
    assert re.fullmatch(r"passed tests of no commit, files [0-9a-f]{8}, profile ci, subjects none", held[0])
    assert sorted(held[1:]) == [*(f"test_some.py::test_good[{n}]" for n in range(6)), "test_some.py::test_skipped"]
    second, ran = run(folder, *more)
    assert second.returncode == 1 and ran == ["bad", "untidy"] and "7 deselected" in second.stdout
    (folder / "mended").touch()
    third, ran = run(folder, *more)
    assert third.returncode == 0 and ran == ["bad", "untidy"] and "7 deselected" in third.stdout
    fourth, ran = run(folder, *more)
    assert fourth.returncode == 0 and ran == [] and "9 deselected" in fourth.stdout


SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "interrupt": signal.SIGINT}


@workers
@pytest.mark.parametrize(
    "how", [pytest.param(how, id=name, marks=[pytest.mark.slow] * (name == "term")) for name, how in SIGNALS.items()]
)
def test_a_run_that_is_ended_goes_on_with_the_same_command(folder, more, how):
    """What was reported before the end is not run again, whatever ended it; no test is lost."""
    (folder / "slow").touch()
    (folder / "mended").touch()
    line = command("-k", "good", *more)
    started = subprocess.Popen(
        line, cwd=folder, env=surroundings(), stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    limit = time.monotonic() + 60
    while time.monotonic() < limit and noted(folder) < 2 and started.poll() is None:
        time.sleep(0.05)
    started.send_signal(how)
    started.wait(60)
    kept = (folder / "ids").read_text().splitlines()[1:]
    assert len(kept) >= 2 and len(kept) < 6
    (folder / "slow").unlink()
    done, ran = run(folder, "-k", "good", *more)
    assert done.returncode == 0 and len(ran) == 6 - len(kept)
    assert noted(folder) == 6


def noted(folder):
    """How many ids the file holds."""
    return max(0, (folder / "ids").read_text().count("\n") - 1) if (folder / "ids").exists() else 0


def test_a_line_that_was_cut_short_is_dropped(folder):
    """Half an id selects nothing, and the next one starts on a line of its own; nor does half a first line disturb."""
    run(folder, "-k", "good")
    path = folder / "ids"
    whole = path.read_text()
    path.write_text(whole.rstrip("\n")[:-4])
    done, ran = run(folder, "-k", "good")
    assert done.returncode == 0 and len(ran) == 1
    assert sorted(path.read_text().splitlines()) == sorted(whole.splitlines())
    path.write_text(whole[:20])
    done, ran = run(folder, "-k", "good")
    assert done.returncode == 0 and len(ran) == 6 and path.read_text().splitlines()[0] == whole.splitlines()[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "passed tests of commit abc, profile ci, subjects none\n",
            "holds for 'commit abc, profile ci, subjects none'",
        ),
        ("passed tests of no commit, profile deep, subjects none\n", "holds for 'no commit, profile deep, "),
        ("my thesis\n", "must be a file that this option has written; it is another"),
        ("my thesis", "must be a file that this option has written; it is another"),
    ],
)
def test_a_file_of_something_else_is_refused_in_one_line_and_stays(folder, text, says):
    """Another commit, profile, or no such file at all: a usage error, and not a byte of it is changed."""
    (folder / "ids").write_text(text)
    done, ran = run(folder)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR and ran == []
    assert [line for line in done.stderr.splitlines() if line.strip()] == [
        line for line in done.stderr.splitlines() if says in line
    ]
    assert (folder / "ids").read_text() == text


def test_a_commit_and_what_was_changed_since_are_told_apart(tmp_path):
    """Another commit, and another text of a Python file, are other runs; a report's text is none. So without git."""
    git = lambda *words: subprocess.run(  # noqa: E731
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True, capture_output=True
    )
    (tmp_path / "a.py").write_text("1\n")
    before = passed.commit(tmp_path)
    (tmp_path / "a.md").write_text("1\n")
    assert passed.commit(tmp_path) == before and before.startswith("no commit, files ")
    (tmp_path / "a.py").write_text("0\n")
    assert passed.commit(tmp_path) != before
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    first = passed.commit(tmp_path)
    (tmp_path / "a.md").write_text("2\n")
    assert passed.commit(tmp_path) == first and "changes" not in first
    (tmp_path / "a.py").write_text("2\n")
    changed = passed.commit(tmp_path)
    assert changed.startswith(f"{first} with changes ")
    git("commit", "-qam", "two")
    assert passed.commit(tmp_path) not in (first, changed)


def test_the_suites_own_runs_name_their_subjects(tmp_path):
    """The root conftest knows the option; the laws of another subject are not taken as passed."""
    path = tmp_path / "ids"
    line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "properties/test_dtype.py", "-k", "float32"]
    line += ["--passed", str(path), "--hypothesis-profile", "mutants", "--in-process"]
    done = subprocess.run([*line, "--subject", "numpy_twin"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    first, *ids = path.read_text().splitlines()
    assert "profile mutants, subjects numpy_twin (numpy " in first and len(ids) == 2
    again = subprocess.run([*line, "--subject", "numpy_twin"], cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0 and "4 deselected" in again.stdout and "passed before, by ids: 2 tests" in again.stdout
    other = subprocess.run([*line, "--subject", "torch_twin"], cwd=ROOT, capture_output=True, text=True)
    assert other.returncode == pytest.ExitCode.USAGE_ERROR and "Name another file, or remove it." in other.stderr
