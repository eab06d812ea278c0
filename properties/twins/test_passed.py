"""A run that goes on where it stopped: what is noted, what is run again, what is refused; alone and with workers."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from properties import noted, passed

pytest_plugins = ["pytester"]
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
    if not (seen / "package").exists():
        pytest.skip("not here")
    ran("skipped")

def test_known():
    ran("known")
    pytest.xfail("a known break")

@pytest.fixture
def untidy():
    yield
    assert (seen / "mended").exists()

def test_untidy(untidy):
    ran("untidy")
"""


@pytest.fixture
def folder(pytester):
    """A folder with a suite of ten tests, of which two fail until they are mended."""
    pytester.makepyfile(test_some=SUITE)
    pytester.makeini("[pytest]\n")
    return pytester.path


WORDS = ("-p", "properties.passed", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:faulthandler", "-q")


def command(*more):
    """Pytest with the plugin alone, in a process of its own."""
    return [sys.executable, "-m", "pytest", *WORDS, "--passed", "ids", *more]


def surroundings():
    """Where the plugin is found."""
    return os.environ | {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def run(pytester, folder, monkeypatch):
    """Runs pytest in this process, or in others if workers are asked for: the exit code, what is said, and what ran."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    def run(*more):
        (folder / "ran").unlink(missing_ok=True)
        begin = pytester.runpytest_subprocess if "-n" in more else pytester.runpytest_inprocess
        done = begin(*WORDS, "--passed", "ids", *more)
        ran = (folder / "ran").read_text().split() if (folder / "ran").exists() else []
        return done.ret, done.stdout.str() + done.stderr.str(), sorted(ran)

    return run


GOOD = [f"test_some.py::test_good[{n}]" for n in range(6)]


def held(folder):
    """The ids that the file holds."""
    return sorted((folder / "ids").read_text().splitlines()[1:])


def test_what_passed_is_not_run_again_and_what_failed_or_was_skipped_is(folder, run):
    """Seven of ten pass or fail as is known, one is skipped, two fail; mended, that one is left, which is no error."""
    code, _, ran = run()
    assert code == 1 and len(ran) == 9
    head = (folder / "ids").read_text().splitlines()[0]
    about = r"profile ci, torch [\w.+]+, TRITON_INTERPRET=\w*, --subject default, subjects none"
    assert re.fullmatch(rf"passed tests of no commit, files [0-9a-f]{{8}}, {about}", head)
    failed = ["FAILED test_some.py::test_bad", "FAILED test_some.py::test_untidy"]
    assert held(folder) == [*failed, *GOOD, "test_some.py::test_known"]
    code, said, ran = run()
    assert code == 1 and ran == ["bad", "untidy"] and "7 deselected" in said
    (folder / "mended").touch()
    code, said, ran = run()
    assert code == 0 and ran == ["bad", "untidy"] and "1 skipped, 7 deselected" in said
    assert noted.tests(held(folder)).failed == []
    code, said, ran = run()
    assert code == 0 and ran == [] and "1 skipped, 9 deselected" in said


def test_what_was_missing_is_asked_again_when_it_is_there(folder, run):
    """A test that was skipped for a package is run in a run that has it, and then no more: nothing left is no error."""
    assert run("-k", "skipped")[0] == 0 and held(folder) == []
    (folder / "package").touch()
    assert run("-k", "skipped")[2] == ["skipped"] and held(folder) == ["test_some.py::test_skipped"]
    code, said, ran = run("-k", "skipped")
    assert code == 0 and ran == [] and "10 deselected" in said


def test_workers_leave_out_what_passed_and_their_controller_notes_what_does(folder, run):
    """Two passed in a run without them: two workers run the others."""
    assert run("-k", "test_good and (0 or 1)")[2] == ["good0", "good1"]
    code, said, ran = run("-n", "2")
    assert (
        code == 1 and "2 deselected" in said and ran == ["bad", *(f"good{n}" for n in range(2, 6)), "known", "untidy"]
    )
    assert noted.tests(held(folder)).passed == sorted([*GOOD, "test_some.py::test_known"])


SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "interrupt": signal.SIGINT}


@pytest.mark.parametrize(
    ("how", "more"),
    [
        pytest.param("kill", (), id="kill"),
        pytest.param("interrupt", (), id="interrupt"),
        pytest.param("term", (), id="term", marks=pytest.mark.slow),
        *(pytest.param(how, ("-n", "2"), id=f"{how}, two workers", marks=pytest.mark.slow) for how in SIGNALS),
    ],
)
@pytest.mark.usefixtures("hears_signals")
def test_a_run_that_is_ended_goes_on_with_the_same_command(folder, run, how, more):
    """What was reported before the end is not run again, whatever ended it; no test is lost."""
    (folder / "slow").touch()
    (folder / "mended").touch()
    line, quiet = command("-k", "good", *more), {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT}
    started = subprocess.Popen(line, cwd=folder, env=surroundings(), **quiet)
    limit = time.monotonic() + 60
    while time.monotonic() < limit and count(folder) < 2 and started.poll() is None:
        time.sleep(0.05)
    started.send_signal(SIGNALS[how])
    started.wait(60)
    kept = held(folder)
    assert len(kept) >= 2 and len(kept) < 6
    (folder / "slow").unlink()
    code, _, ran = run("-k", "good")
    assert code == 0 and len(ran) == 6 - len(kept)
    assert held(folder) == GOOD


def count(folder):
    """How many ids the file holds."""
    return max(0, (folder / "ids").read_text().count("\n") - 1) if (folder / "ids").exists() else 0


def test_a_line_that_was_cut_short_is_dropped(folder, run):
    """Half an id selects nothing, and the next one starts on a line of its own; nor does half a first line disturb."""
    run("-k", "good")
    path = folder / "ids"
    whole = path.read_text()
    path.write_text(whole.rstrip("\n")[:-4])
    code, _, ran = run("-k", "good")
    assert code == 0 and len(ran) == 1
    assert sorted(path.read_text().splitlines()) == sorted(whole.splitlines())
    path.write_text(whole[:20])
    code, _, ran = run("-k", "good")
    assert code == 0 and len(ran) == 6 and path.read_text().splitlines()[0] == whole.splitlines()[0]


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
def test_a_file_of_something_else_is_refused_in_one_line_and_stays(folder, run, text, says):
    """Another commit, profile, or no such file at all: a usage error, and not a byte of it is changed."""
    (folder / "ids").write_text(text)
    code, said, ran = run()
    assert code == pytest.ExitCode.USAGE_ERROR and ran == []
    assert [says in line for line in said.splitlines() if line.strip()] == [True]
    assert (folder / "ids").read_text() == text


@pytest.fixture
def line(tmp_path, monkeypatch):
    """The head of a run that is called in the test's folder beside an empty clone: by its words, in process or not."""
    (tmp_path / "clone").mkdir()
    monkeypatch.setattr(sys, "path", list(sys.path))

    def line(*words, **options):
        options = {"--subject": list(words) or None} | options
        place = SimpleNamespace(dir=tmp_path)
        one = SimpleNamespace(
            rootpath=tmp_path / "clone", invocation_params=place, getoption=lambda name, default: options.get(name)
        )
        return passed.head(one, tmp_path / "clone" / "ids.csv")

    return line


def write(path, text):
    """Writes a file, and the folders that it stands in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_files_of_subjects_are_told_apart_by_their_contents(tmp_path, line):
    """A file that --subject names by a path, from where pytest was called, holds for its text."""
    write(tmp_path / "mine.py", "1\n")
    assert line().endswith("--subject default, subjects none") and "files" not in line().split("profile")[1]
    first, whole = line("mine.py:lstm"), line("torch_twin", str(tmp_path / "mine.py"))
    assert re.search(r"--subject mine.py:lstm, subjects none, files [0-9a-f]{8}$", first)
    write(tmp_path / "mine.py", "2\n")
    assert line("mine.py:lstm") != first and line("torch_twin", str(tmp_path / "mine.py")) != whole


def test_files_beside_a_subject_s_file_are_told_apart_by_their_contents(tmp_path, line):
    """The file may import them, also where it is a link to one in their folder; not those below or hidden ones."""
    write(tmp_path / "there" / "mine.py", "import gates\n")
    write(tmp_path / "there" / "gates.py", "1\n")
    (tmp_path / "link.py").symlink_to(tmp_path / "there" / "mine.py")
    words = "there/mine.py:lstm", "link.py"
    before = [line(word) for word in words]
    write(tmp_path / "there" / ".gates.py", "2\n")
    write(tmp_path / "there" / "below" / "gates.py", "2\n")
    assert [line(word) for word in words] == before
    write(tmp_path / "there" / "gates.py", "2\n")
    assert [line(word) == old for word, old in zip(words, before, strict=True)] == [False, False]


@pytest.mark.parametrize("at", ["path", "call"])
@pytest.mark.parametrize(
    ("word", "file", "changed"),
    [
        ("mine_e:lstm", "mine_e.py", ["mine_e.py", "gates.py"]),
        ("package_e", "package_e/__init__.py", ["package_e/__init__.py", "package_e/gates.py", "gates.py"]),
        ("package_e.inner.mine", "package_e/inner/mine.py", ["package_e/inner/mine.py", "package_e/gates.py"]),
    ],
)
def test_modules_outside_the_clone_are_told_apart_by_their_contents(tmp_path, line, at, word, file, changed):
    """A module or package, on the path or where pytest was called, with what it may import there; none is imported."""
    folder = tmp_path / "there" if at == "path" else tmp_path
    if at == "path":
        sys.path.append(str(folder))
    write(folder / file, "raise SystemExit\n")
    seen = [line(word)]
    for name in changed:
        write(folder / name, "raise SystemExit(2)\n")
        seen.append(line(word))
    assert len(set(seen)) == len(seen) and word.partition(":")[0] not in sys.modules
    write(folder / "prose.md", "1\n")
    assert line(word) == seen[-1] and re.search(r"subjects none, files [0-9a-f]{8}$", seen[-1])


def test_an_installed_module_is_not_read(tmp_path, line):
    """What stands in site-packages may be thousands of files; a built-in subject stands for itself."""
    sys.path.append(str(tmp_path / "site-packages"))
    write(tmp_path / "site-packages" / "vendor_e" / "__init__.py", "1\n")
    assert [line(word).endswith("subjects none") for word in ("vendor_e", "numpy_twin")] == [True, True]


def test_other_ways_of_running_are_told_apart(line, monkeypatch):
    """Words of --subject, the tests' own process, torch, Triton's interpreter: with another one nothing has passed."""
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    seen = [line(), line("numpy_twin"), line("numpy_twin", "torch_twin"), line(**{"--in-process": True})]
    assert "TRITON_INTERPRET=1, --in-process, --subject default, " in seen[-1]
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    seen.append(line())
    monkeypatch.setattr(passed, "version", lambda name: "9.9.9+cu999")
    seen.append(line())
    assert "torch 9.9.9+cu999, TRITON_INTERPRET=0, --subject default, " in seen[-1]
    assert len(set(seen)) == len(seen)


def test_a_head_is_one_line(line):
    """A word with a line's end does not cut it."""
    assert len(line("no\nsuch").splitlines()) == 1 == len(line("no\u2028such").splitlines())


def test_the_file_that_notes_what_passed_is_no_change(tmp_path, line):
    """It stands in the clone, with a name of a kind that counts, and the run goes on; a file beside it is a change."""
    before = line()
    write(tmp_path / "clone" / "ids.csv", before)
    assert line() == before
    write(tmp_path / "clone" / "rates.csv", before)
    assert line() != before


@pytest.mark.slow
def test_the_suites_own_runs_name_their_subjects(tmp_path):
    """The root conftest knows the option; the laws of another subject are not taken as passed."""
    path = tmp_path / "ids"
    line = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "properties/test_dtype.py", "-k", "float32"]
    line += ["--passed", str(path), "--hypothesis-profile", "mutants", "--in-process"]
    done = subprocess.run([*line, "--subject", "numpy_twin"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    first, *ids = path.read_text().splitlines()
    assert "profile mutants, torch " in first and len(ids) == 2
    assert ", TRITON_INTERPRET=1, --in-process, --subject numpy_twin, subjects numpy_twin (numpy " in first
    again = subprocess.run([*line, "--subject", "numpy_twin"], cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0 and "4 deselected" in again.stdout and "passed before, by ids: 2 tests" in again.stdout
    other = subprocess.run([*line, "--subject", "torch_twin"], cwd=ROOT, capture_output=True, text=True)
    assert other.returncode == pytest.ExitCode.USAGE_ERROR and "Name another file, or remove it." in other.stderr
