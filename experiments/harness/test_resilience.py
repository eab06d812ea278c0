"""Full disks, closed doors and held stores: one line says what to do, and nothing that was finished is lost."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from experiments import command
from experiments.harness import catalogue, report
from experiments.harness.store import Store
from experiments.harness.toy.testing import GROUPS, alive, begun, pids, wait_for

ROOT = Path(__file__).parents[2]
RUN = ["run", "all", "--store", "s.sqlite", "--out", "out", "--workers", "0", "--engine", "fast"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, where all experiments are the toy one, with a log."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    return tmp_path


@contextmanager
def files_up_to(size):
    """No file may grow beyond so many bytes: to a writer, a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def complaint(capsys):
    """The one line in which a command has failed."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("experiments: ")]
    assert len(lines) == 1
    return lines[0]


def kept():
    """How many groups the store has."""
    with Store("s.sqlite") as store:
        return len(store.finished(GROUPS))


def tree(folder):
    """All files below a folder, as bytes by name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def small_store(path):
    """A store that can take a few pages more."""
    store = Store(path)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 3}")
    return store


def test_a_full_store_stops_the_run_and_the_same_command_goes_on(here, capsys, monkeypatch):
    """SQLite finds no room: exit code 1, one line; what was acknowledged is there and is not begun again."""
    with monkeypatch.context() as full:
        full.setattr(command, "Store", small_store)
        assert command.main(RUN) == 1
    assert "s.sqlite cannot be written: no space is left on the disk; finished groups are kept" in complaint(capsys)
    assert 1 <= (before := kept()) < len(GROUPS) and not (here / "out").exists()
    begun_before = len(begun(here / "log"))
    assert command.main(RUN) == 0
    assert len(begun(here / "log")) - begun_before == len(GROUPS) - before


def test_a_disk_that_takes_no_more_stops_the_run_wherever_it_does(here, capsys):
    """The system refuses a write to the log at any size of it: one line, and whole groups alone are in the store."""
    seen = set()
    for size in (1_000, 20_000, 40_000, 47_000, 60_000):
        with files_up_to(size):
            assert command.main(RUN) == 1
        assert "s.sqlite cannot be " in (line := complaint(capsys)) and "run the same command again" in line
        seen.add(kept())
    assert len(seen) >= 3 and max(seen) < len(GROUPS)
    assert command.main(RUN) == 0 and kept() == len(GROUPS)


def test_a_disk_that_is_full_when_reports_are_written_costs_no_result_and_no_older_report(here, capsys):
    """`run` and `report` say so in one line, with exit code 1; the older report is whole, and `run` only writes."""
    assert command.main(RUN) == 0
    before = tree(here / "out")
    for arguments in (RUN, ["report", "all", "--out", "out"]):
        capsys.readouterr()
        with files_up_to(3_000):
            assert command.main(arguments) == 1
        assert "no report could be written to out (File too large)" in complaint(capsys)
        assert tree(here / "out") == before
    with files_up_to(3_000), pytest.raises(OSError):
        report.publish_index(here / "out")
    assert tree(here / "out") == before
    assert command.main(RUN) == 0 and len(begun(here / "log")) == len(GROUPS)


def test_an_older_report_is_put_back_if_the_new_one_cannot_take_its_place(here):
    """The second of two renames fails."""
    (here / "old").mkdir()
    with pytest.raises(FileNotFoundError):
        report.replace(here / "missing", here / "old", here / "aside")
    assert [p.name for p in here.iterdir()] == ["old"]


def test_what_killed_runs_have_left_of_reports_is_removed(here):
    """A folder of an hour ago goes; a younger one may be at work."""
    for name, age in {".memory-old": 2 * report.LEFT, ".memory-young": 0.0, ".modes-old": 2 * report.LEFT}.items():
        (here / name / "memory").mkdir(parents=True)
        os.utime(here / name, (time.time() - age,) * 2)
    report.remove_left("memory", here)
    assert sorted(p.name for p in here.iterdir()) == [".memory-young", ".modes-old"]


def closed_doors(folder):
    """Folders that cannot be written, to root neither."""
    (folder / "file").write_text("x")
    closed = folder / "closed"
    closed.mkdir(mode=0o500)
    (link := folder / "link").symlink_to("nowhere")
    outs = [folder / "file" / "out", folder / "file", Path("/proc/out"), link, link / "out"]
    return [*outs, *([closed] if os.geteuid() else [])]


def test_reports_that_could_not_be_written_are_refused_before_anything_is_computed(here, capsys):
    """Exit code 2, one line that names the folder; no store, no group begun, no file left."""
    for out in closed_doors(here):
        before = tree(here)
        for arguments in (
            [*RUN[:4], "--out", str(out), "--workers", "0"],
            ["report", "harness.toy", "--out", str(out)],
        ):
            assert command.main(arguments) == 2
            assert str(out) in complaint(capsys)
        assert tree(here) == before


def test_a_neighbours_report_that_is_damaged_is_said_in_one_line(here, capsys):
    """`run` and `report` name its file, with exit code 1; the new report is there, and once it is gone all is well."""
    neighbour = here / "out" / "verification"
    neighbour.mkdir(parents=True)
    (neighbour / "results.csv").write_text("subject\n")
    for arguments in (RUN, ["report", "harness.toy", "--out", "out"]):
        assert command.main(arguments) == 1
        assert f"{Path('out', 'verification', 'summary.json')} is missing; put a whole copy" in complaint(capsys)
    shutil.rmtree(neighbour)
    assert (here / "out" / "harness.toy" / "index.html").exists() and command.main(RUN) == 0


def test_a_store_that_cannot_be_made_is_said_in_one_line(here, capsys):
    """Below a file, in /proc, a folder: exit code 1, nothing computed."""
    for store in (here / "file" / "s.sqlite", Path("/proc/s.sqlite"), here / "folder"):
        (here / "file").write_text("x")
        (here / "folder").mkdir(exist_ok=True)
        assert command.main(["run", "all", "--store", str(store), "--out", "out", "--workers", "0"]) == 1
        assert f"the store {store} cannot be opened: no file can be made or read there" in complaint(capsys)
    assert begun(here / "log") == []


def test_a_second_driver_is_refused_before_it_computes_and_may_go_on_after_the_first(here, capsys):
    """One line, exit code 1."""
    with Store("s.sqlite"):
        assert command.main(RUN) == 1
        assert "another run is writing to it; wait for its end" in complaint(capsys)
    assert begun(here / "log") == []
    with Store("s.sqlite") as store:
        assert store.finished(GROUPS) == set()


RACE = """
import os, sys, time
from experiments.harness import store
for n in range(int(sys.argv[2])):
    results, release = os.pipe(), os.pipe()
    start = time.monotonic() + 0.005
    for _ in range(2):
        if not os.fork():
            os.close(release[1])
            while time.monotonic() < start:
                pass
            try:
                held = store.Store(f"{sys.argv[1]}/{n // 2}.sqlite")
                os.write(results[1], b"+")
            except store.StoreError as error:
                os.write(results[1], b"-" if "another run" in str(error) else b"?")
            os.read(release[0], 1)
            os._exit(0)
    print("".join(sorted(os.read(results[0], 1).decode() for _ in range(2))))
    [os.close(end) for end in (*results, *release)]
    [os.wait() for _ in range(2)]
"""


def test_of_two_that_open_a_store_at_the_same_instant_exactly_one_holds_it(here):
    """A new store and one that is there, again and again: never both, never neither."""
    (here / "race.py").write_text(RACE)
    line = [sys.executable, "race.py", str(here), "10"]
    said = subprocess.run(line, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert said.stdout.split() == ["+-"] * 10, said


TOY = """
import sys
from experiments import command
from experiments.harness import catalogue
catalogue.EXPERIMENTS = ("harness.toy",)
sys.exit(command.main())
"""
"""The command line, where all experiments are the toy one."""


def shell(words, streams):
    """Types the command in a shell, with its streams sent elsewhere: what it printed, and its exit code."""
    line = [sys.executable, "-c", TOY, *words]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(["sh", "-c", f"{shlex.join(line)} {streams}"], env=env, capture_output=True, text=True)


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full"])
def test_lines_and_a_bar_that_nobody_can_read_cost_nothing(here, streams):
    """A closed stderr and one on a full disk: all is computed and reported, and no line goes to stdout instead."""
    done = shell(RUN, streams)
    assert (done.returncode, done.stdout, done.stderr) == (0, "out/index.html\n", "") and kept() == len(GROUPS)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_cannot_be_printed_is_said_in_one_line(here, monkeypatch, unbuffered):
    """A full disk under stdout, noticed at the first line or at the end; the shell hears of it too."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    done = shell(RUN, ">/dev/full")
    line = "experiments: the output could not be printed (No space left on device); what was kept stays."
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == line and kept() == len(GROUPS)


def test_a_run_that_is_terminated_ends_its_workers_and_says_no_more_than_a_line(here, monkeypatch):
    """SIGTERM while groups run: Python's resource_tracker has nothing to tell of what was left behind."""
    monkeypatch.setenv("TOY_SECONDS", "60")
    line, env = [sys.executable, "-c", TOY, *RUN[:-4], "--workers", "2"], os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(line, env=env, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: (here / "log").exists(), process)
        process.terminate()
        said = [words for words in process.stderr.read().splitlines() if words.strip() and "core-s" not in words]
    assert process.returncode == 143 and not any(map(alive, pids(here / "log")))
    assert said == ["experiments: stopped; finished groups are kept: the same command goes on."]


MOUNTED = """
import os, subprocess, sys
from contextlib import suppress
from pathlib import Path
from experiments import command
from experiments.harness import catalogue
catalogue.EXPERIMENTS = ("harness.toy",)

def run(store, out, verb="run"):
    more = ["--store", store, "--workers", "0"] if verb == "run" else []
    code = command.main([verb, "all", "--out", out, *more])
    print(code, Path("log").read_text().count("begin"), flush=True)

def fill(name):
    with open(name, "wb", buffering=0) as file:
        with suppress(OSError):
            while file.write(bytes(4096)):
                pass
        file.truncate(file.tell() - 16384)

run("disk/s.sqlite", "disk/out")
Path("disk/ballast").unlink()
run("disk/s.sqlite", "disk/out")
fill("disk/ballast")
run("disk/s.sqlite", "disk/out")
run("disk/s.sqlite", "disk/out", "report")
subprocess.run(["mount", "-o", "remount,ro", "disk"], check=True)
run("new.sqlite", "disk/out")
run("new.sqlite", "disk/out", "report")
print(Path("new.sqlite").exists())
"""


@pytest.mark.slow
def test_a_disk_that_is_really_full_or_read_only(here):
    """A disk of 1 MB in memory, mounted for the test alone: full, freed, full again, read-only."""
    (here / "disk").mkdir()
    (here / "mounted.py").write_text(MOUNTED)
    mount = "mount -t tmpfs -o size=1m none disk && head -c 980k /dev/zero > disk/ballast"
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a disk in memory")
    line = ["unshare", "-rm", "sh", "-c", f"{mount} && exec {sys.executable} mounted.py"]
    said = subprocess.run(line, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    codes = [line for line in said.stdout.splitlines() if not line.startswith("disk/")]
    complaints = [line for line in said.stderr.splitlines() if line.startswith("experiments: ")]
    assert "Traceback" not in said.stderr and len(complaints) == 5, said.stderr
    print(said.stdout, *complaints, sep="\n")
    assert [line.split()[0] for line in codes] == ["1", "0", "1", "1", "2", "2", "False"]
    counts = [int(line.split()[1]) for line in codes[:-1]]
    assert 1 <= counts[0] < len(GROUPS) and counts[1] <= len(GROUPS) + 1 and counts[1:] == [counts[1]] * 5
    for needed, line in zip(
        ("no space|disk fails", "no report", "no report", "--out", "--out"), complaints, strict=True
    ):
        assert any(word in line for word in needed.split("|"))
