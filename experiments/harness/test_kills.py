"""kill -9 at random moments: no acknowledged group is lost, begun again or stored twice, and the report is the same.

`pytest experiments/harness/test_kills.py --hypothesis-profile=deep` kills a hundred times.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

from experiments.harness.executor import compute
from experiments.harness.report import CLOCKED
from experiments.harness.run import stamped
from experiments.harness.store import Store
from experiments.harness.toy.testing import GROUPS, alive, lines, nothing, pids
from impl import draw
from properties.record import Record

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="whether a process runs is read in /proc")
ROOT = Path(__file__).parents[2]
SECONDS = 0.05
"""What a group of the toy experiment takes."""
LEAST = 6
TOTAL = max(LEAST, settings.default.max_examples // 10)
PART = 3 if TOTAL == LEAST else 10
"""Kills a test: a hundred in one would outlast the time that a test has. Of the least half are a slow test."""
SHARES = {kind: round(share * PART) for kind, share in {"driver": 0.4, "worker": 0.3, "writer": 0.3}.items()}

WARM = """
import os, sys, json

if __name__ == "__main__":
    from experiments import command
    from experiments.harness import catalogue, report, test_kills
    from experiments.harness.toy import analysis, experiment, sweep
    catalogue.EXPERIMENTS = ("harness.toy",)
    for line in sys.stdin:
        name, said, *words = json.loads(line)
        pid = os.fork()
        if not pid:
            out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(out, 1), os.dup2(out, 2)
            sys.exit(command.main(words) if name == "run" else test_kills.save_many(*words))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""A process that has imported everything, and forks a driver or a writer for each line: a start costs a hundredth."""


class Warm:
    """Starts drivers and writers, one at a time."""

    def __init__(self, folder: Path, log: Path) -> None:
        (folder / "warm.py").write_text(WARM)
        environment = os.environ | {"TOY_SECONDS": str(SECONDS), "TOY_LOG": str(log), "PYTHONPATH": str(ROOT)}
        line = [sys.executable, str(folder / "warm.py")]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.said, self.log = folder / "said", log
        self._process = subprocess.Popen(line, env=environment, text=True, **pipes)

    def start(self, name: str, *words: object) -> int:
        """Starts one; its process id."""
        print(json.dumps([name, str(self.said), *map(str, words)]), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def ended(self) -> int:
        """Waits for its end; the exit code, or the signal's number below 0."""
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Ends it."""
        self._process.communicate()


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """See Warm."""
    folder = tmp_path_factory.mktemp("warm")
    made = Warm(folder, folder / "log")
    yield made
    made.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, warm):
    """What a run on two workers takes, in seconds, and the files of its report, when nothing is killed."""
    run, start = Sweep(tmp_path_factory.mktemp("whole"), warm, Sums()), time.monotonic()
    run.start(2)
    assert warm.ended() == 0, warm.said.read_text()
    found = files(run.out)
    assert len(found) == 10
    return SimpleNamespace(life=time.monotonic() - start, files=found)


@pytest.fixture(scope="module")
def said(pytestconfig):
    """The sums of the tests, said when all have run."""
    made: list[Sums] = []
    yield made
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n{sum(made, Sums())}")


@dataclass
class Sums:
    """What the test ends with."""

    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: int = 0
    again: int = 0
    twice: int = 0
    reports: int = 0

    def left(self) -> list[str]:
        """What is still to be killed."""
        return [kind for kind, share in SHARES.items() if self.kills[kind] < share]

    def __add__(self, other: Sums) -> Sums:
        """Both together."""
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Sums)))

    def __str__(self) -> str:
        each = ", ".join(f"{kind} {self.kills[kind]}" for kind in SHARES)
        return (
            f"kills: {self.kills.total()} ({each}); acknowledged {self.acknowledged}; lost {self.lost}; computed again "
            f"{self.again}; stored twice {self.twice}; {self.reports} reports identical"
        )


class Sweep:
    """A run of the toy experiment, killed again and again until it is done."""

    def __init__(self, folder: Path, warm: Warm, sums: Sums) -> None:
        self.store, self.out, self._warm, self._sums = folder / "s.sqlite", folder / "out", warm, sums
        self._seen = 0
        self.known: dict[str, int] = {}
        """The keys that were seen in the store, and how long the log was then."""

    def start(self, workers: int) -> int:
        """Starts a driver; its process id."""
        where = ("--store", self.store, "--out", self.out, "--workers", workers)
        return self._warm.start("run", "run", "all", "--engine", "fast", *where)

    def look(self) -> None:
        """Counts what is lost, doubled or begun again; what is there now is acknowledged."""
        if not self.store.exists():
            return
        with Store(copied(self.store)) as store:
            assert counts(store) <= {len(g.seeds) for g in GROUPS}, "a group is not whole"
            here = store.finished(GROUPS)
            got = {g.key: store.records([g]) for g in GROUPS if g.key in here}
            self._sums.twice += doubled(store, "setting")
        self._sums.lost += sum(key not in here or got[key] != WANTED[key] for key in self.known | got)
        settings = {g.setting: g.key for g in GROUPS}
        log = lines(self._warm.log)
        begun = {n: settings[s] for n, (what, s, _) in enumerate(log) if what == "begin"}
        self._sums.again += sum(n >= max(self._seen, self.known.get(key, n + 1)) for n, key in begun.items())
        self._seen = len(log)
        self.known = {key: len(log) for key in here if key not in self.known} | self.known

    def end(self, reference: dict[str, bytes]) -> None:
        """Compares what has come to its end with what an uninterrupted run has written."""
        assert len(self.known) == len(GROUPS)
        assert files(self.out) == reference
        self._sums.acknowledged += len(self.known)
        self._sums.reports += 1


WANTED = {g.key: stamped(compute(g, nothing).records) for g in GROUPS}


def parts():
    """The tests by number; where there are few kills the first alone is no slow test."""
    for part in range(-(-TOTAL // PART)):
        yield pytest.param(part, marks=[pytest.mark.slow] if part and TOTAL == LEAST else [])


@pytest.mark.parametrize("part", list(parts()))
def test_no_kill_loses_or_doubles_a_group_or_changes_the_report(tmp_path, warm, whole, said, part):
    """Driver, worker or writer, at any moment of its life: the same command goes on, and the end is the same."""
    random, sums = draw.generator("kills", part), Sums()
    writer, running = Writer(tmp_path, warm, sums), None
    while (left := sums.left()) or running:
        kind = random.choice(left) if left else ""
        if kind == "writer":
            writer.kill(random)
            continue
        running = running or Sweep(tmp_path / str(sums.reports), warm, sums)
        code = KILL[kind](running, whole, warm, random, sums)
        running.look()
        if code == 0:
            running = running.end(whole.files)
    said.append(sums)
    assert sums.kills == SHARES and sums.reports and not (sums.lost or sums.again or sums.twice), sums


def kill_driver(running, whole, warm, random, sums):
    """Kills the driver at any moment of what the rest of the run takes; its exit code."""
    pid = running.start(int(random.choice([0, 2])))
    time.sleep(random.uniform(0, whole.life * (1 - len(running.known) / len(GROUPS) / 2)))
    killed = kill(pid)
    code = warm.ended()
    sums.kills["driver"] += killed and code == -signal.SIGKILL
    whole.life *= 0.8 if code == 0 else 1  # the machine has become quicker, or the kill comes too late too often
    return code


def kill_worker(running, whole, warm, random, sums):
    """Kills a worker while groups are computed; the exit code of the run, which may go on or not."""
    before, pid = len(lines(warm.log)), running.start(2)
    while alive(pid) and not at_work(warm.log, before):
        time.sleep(0.005)
    time.sleep(random.uniform(0, SECONDS * (len(GROUPS) - len(running.known)) / 3))
    there = sorted(at_work(warm.log, before))
    sums.kills["worker"] += bool(there) and kill(int(random.choice(there)))
    return warm.ended()


def kill_nobody(running, whole, warm, random, sums):
    """Lets the run come to its end; its exit code."""
    running.start(0)
    return warm.ended()


KILL = {"driver": kill_driver, "worker": kill_worker, "": kill_nobody}


class Writer:
    """One store into which groups are saved without a pause, by processes that are killed."""

    def __init__(self, folder: Path, warm: Warm, sums: Sums) -> None:
        self.store, self.said, self._warm, self._sums = folder / "w.sqlite", folder / "acknowledged", warm, sums

    def kill(self, random) -> None:
        """Starts a writer and kills it, most times within a save: there is little else that it does."""
        pages = 20 if random.random() < 0.5 else 1000
        pid = self._warm.start("save", self.store, self.said, pages)
        time.sleep(random.uniform(0, 0.3))
        self._sums.kills["writer"] += kill(pid)
        assert self._warm.ended() == -signal.SIGKILL
        self.look()

    def look(self) -> None:
        """Every group that a writer has acknowledged is there, once and to the bit; any other is whole."""
        said = [int(line) for line in self.said.read_text().splitlines()] if self.said.exists() else []
        if not self.store.exists():
            assert not said
            return
        with Store(copied(self.store)) as store:
            self._sums.twice += doubled(store, "content")
            assert counts(store) <= {len(saved(0))}, "a group is not whole"
            groups = [replace(GROUPS[0], settings={"n": n}) for n in said]
            here = store.finished(groups)
            lost = sum(g.key not in here or store.records([g]) != saved(n) for n, g in zip(said, groups, strict=True))
        self._sums.lost += lost
        self._sums.twice += len(said) - len(set(said))
        self._sums.acknowledged += len(said) - getattr(self, "_counted", 0)
        self._counted = len(said)


def save_many(path: str, said: str, pages: str) -> None:
    """Saves groups without an end, and says of each that it is stored; every so many pages the log is moved."""
    store = Store(path)
    store._db.execute(f"PRAGMA wal_autocheckpoint = {int(pages)}")
    out = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for n in range(10**6):
        group = replace(GROUPS[0], settings={"n": n})
        if not store.finished([group]):
            store.save(group, saved(n), {})
            os.write(out, f"{n}\n".encode())


def saved(n: int) -> list[Record]:
    """The records of a writer's group."""
    return [Record("toy", "x", seed, "m", 0.0, (n + seed) / 7) for seed in range(50)]


def copied(store: Path) -> Path:
    """A copy of a store as it lies, with its log."""
    folder = store.parent / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for part in (store, store.with_name(f"{store.name}-wal")):
        if part.exists():
            shutil.copy(part, folder)
    return folder / store.name


def doubled(store: Store, column: str) -> int:
    """How many groups have a column as another has it: settings of a sweep, contents of groups of one setting."""
    return store._db.execute(f"SELECT count(*) - count(DISTINCT {column}) FROM groups").fetchone()[0]


def counts(store: Store) -> set[int]:
    """How many records groups have."""
    query = "SELECT count(n) FROM groups LEFT JOIN records USING (key) GROUP BY key"
    return {count for (count,) in store._db.execute(query)}


def kill(pid: int) -> bool:
    """Kills a process that runs; whether there was one."""
    if not alive(pid):
        return False
    os.kill(pid, signal.SIGKILL)
    return True


def at_work(log: Path, start: int) -> set[int]:
    """The processes that have computed from this line on, and run still."""
    return {pid for pid in pids(log, start) if alive(pid)}


def files(folder: Path) -> dict[str, bytes]:
    """All files of the reports but those that hold times, and but what a kill has left half made in hidden folders."""
    found = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {str(p): data for p, data in found.items() if p.name not in CLOCKED and p.parts[0][0] != "."}


def test_what_is_lost_doubled_or_begun_again_is_counted(tmp_path):
    """Each kind of fault, planted: the sums that must be 0 are 1."""
    warm = SimpleNamespace(log=tmp_path / "log")
    run, writer = Sweep(tmp_path, warm, Sums()), Writer(tmp_path, warm, Sums())
    with Store(run.store) as store, Store(writer.store) as other:
        [store.save(group, WANTED[group.key], {}) for group in GROUPS]
        other.save(replace(GROUPS[0], settings={"n": 0}), saved(0), {})
    run.look()
    assert len(run.known) == len(GROUPS) and not (run._sums.lost or run._sums.again or run._sums.twice)
    warm.log.write_text(f"begin {GROUPS[2].setting} 1\n")
    with Store(run.store) as store:
        store.save(replace(GROUPS[3], version=2), WANTED[GROUPS[3].key], {})
        store._db.execute("DELETE FROM records WHERE key = ?", (GROUPS[4].key,))
        store._db.execute("DELETE FROM groups WHERE key = ?", (GROUPS[4].key,))
    run.look()
    assert (run._sums.lost, run._sums.again, run._sums.twice) == (1, 1, 1)
    writer.said.write_text("0\n1\n")
    writer.look()
    assert (writer._sums.lost, writer._sums.twice) == (1, 0)
