"""The store beside a model of it, a dict: saves, failures, kills, full disks and lost tails in any order.

A kill is a copy of the files as they lie, with which the machine goes on; one within a save is a copy in which the
save's bytes are written up to any place. A process that is killed loses nothing that it has written; a disk that loses
the log's tail is another thing, and the model knows how much of the log may go.
"""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from experiments.harness import store as real
from experiments.harness.sweep import Options
from experiments.harness.toy import sweep
from properties.record import Record, to_csv

GROUP = sweep.group(3, "quick", Options())
NAMES = st.text(max_size=3) | st.sampled_from(["toy", "sum/terms=3", 'a,"b"\n', "é∑"])
SEEDS = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.floats() | st.sampled_from([-0.0, 5e-324, 1e-310, float("nan"), float("-inf"), 1 / 3])
RECORDS = st.lists(st.builds(Record, NAMES, NAMES, SEEDS, NAMES, NUMBERS, NUMBERS, NAMES), max_size=4)
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where files cost nothing to sync: what a disk keeps is no question here."""
PLACES = st.integers(0, 1000)
"""Where a file is cut, in thousandths of what may be cut off."""


class Stores(RuleBasedStateMachine):
    """One store through its life, under the module `tested`."""

    tested: ModuleType = real

    def __init__(self) -> None:
        super().__init__()
        self.folder, self.lives = Path(mkdtemp(dir=MEMORY)), 0
        self.model: dict[int, list[Record]] = {}
        """What was acknowledged, in this order."""
        self.failures = Counter()
        """How often groups failed without results since."""
        self.safe = 0
        """How many of these stand in the file itself, whatever becomes of its log."""
        self.fresh = 100
        self.store = None

    @initialize(pages=st.sampled_from([4, 1000]))
    def begin(self, pages):
        """A new store; after so many pages its log is moved into it."""
        self.pages = pages
        self.open(self.next_path())

    @rule(n=st.integers(0, 3), records=RECORDS)
    def save(self, n, records):
        """A group is acknowledged; under a key that is there already the first result stays."""
        self.store.save(group(n), records, {"n": len(records)})
        self.model.setdefault(n, records)
        self.failures.pop(group(n).key, None)

    @rule(n=st.integers(0, 3), times=st.sampled_from([1, 2, 3, 4, -1, -5]))
    def fail(self, n, times):
        """A group's failures are acknowledged, or taken back as far as there are any."""
        self.store.note_failure(group(n), times)
        self.failures[group(n).key] += times
        self.failures = +self.failures

    @rule(records=RECORDS, steps=st.integers(1, 60))
    def save_that_fails(self, records, steps):
        """It fails at any step of SQLite's; the group is there, whole, or nothing of it."""
        self.fresh, left = self.fresh + 1, [steps]

        def stop():
            left[0] -= 1
            return left[0] == 0

        self.store._db.set_progress_handler(stop, 1)
        with suppress(self.tested.StoreError):
            self.store.save(group(self.fresh), records, {"n": len(records)})
        self.store._db.set_progress_handler(None, 1)
        self.look_for_the_fresh(records)

    @rule(more=st.integers(0, 2))
    def save_on_a_full_disk(self, more):
        """It does not fit: nothing of it is there, and once there is room the store goes on."""
        self.fresh, records = self.fresh + 1, [Record("toy", "x" * 200, n, "m", 0.0, 1.0) for n in range(90)]
        pages = self.store._db.execute("PRAGMA page_count").fetchone()[0]
        self.store._db.execute(f"PRAGMA max_page_count = {pages + more}")
        with pytest.raises(self.tested.StoreError, match="no space is left on the disk"):
            self.store.save(group(self.fresh), records, {"n": len(records)})
        self.store._db.execute("PRAGMA max_page_count = 1000000")

    @rule()
    def kill(self):
        """The process is gone between two operations; another goes on with what lies there."""
        self.go_on(*self.lying())

    @rule(records=RECORDS, place=PLACES)
    def kill_within_a_save(self, records, place):
        """The log is written first, then what of it is moved into the file: up to any byte of either."""
        self.fresh, before = self.fresh + 1, self.lying()
        self.store.save(group(self.fresh), records, {"n": len(records)})
        after = self.lying()
        file, log = partly(before[0], after[0], 2 * place - 1000), partly(before[1], after[1], 2 * place)
        self.go_on(file, log)
        self.look_for_the_fresh(records)

    @rule()
    def close_and_open(self):
        """The file is closed as it should be: nothing is left to its log."""
        self.store.close()
        self.open(self.store.path)
        self.safe = len(self.model)

    @precondition(lambda self: self.pages == 1000)
    @rule(place=PLACES)
    def lose_the_tail(self, place):
        """The disk loses the log from any byte on: the groups of its beginning are there, each whole."""
        file, log = self.lying()
        self.go_on(file, log[: len(log) * place // 1000])
        kept = len(self.store.finished(map(group, self.model)))
        assert kept >= self.safe
        self.model = dict(list(self.model.items())[:kept])
        self.failures = self.store.failures(GROUPS)

    @precondition(lambda self: self.pages == 4)
    @rule(place=PLACES)
    def lose_the_tail_of_a_log_that_was_moved(self, place):
        """What is left of the log may not fit what stands in the file by now: refused, or right to the bit."""
        file, log = self.lying()
        path = self.lay(file, log[: len(log) * place // 1000])
        with suppress(self.tested.StoreError), self.tested.Store(path) as store:
            here = store.finished(map(group, self.model))
            found = {n: store.records([group(n)]) for n in self.model if group(n).key in here}
            assert all(bits(records) == bits(self.model[n]) for n, records in found.items())

    @rule()
    def second_driver(self):
        """It is refused, and the first goes on."""
        with pytest.raises(self.tested.StoreError, match="another run is writing to it"):
            self.tested.Store(self.store.path)

    @rule()
    def export(self):
        """All records as CSV are the model's."""
        got = self.store.records(map(group, self.model))
        assert to_csv(got) == to_csv(r for records in self.model.values() for r in records)

    @invariant()
    def what_was_acknowledged_is_there_once_and_to_the_bit(self):
        """Nothing else is there."""
        if self.store is None:
            return
        rows = {table: self.store._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in real._COLUMNS}
        assert rows == {"groups": len(self.model), "records": sum(map(len, self.model.values()))}
        for n, records in self.model.items():
            assert bits(self.store.records([group(n)])) == bits(records)
            assert self.store.facts(group(n)) == {"n": len(records)}
        assert self.store.failures(GROUPS) == self.failures

    def teardown(self):
        """Leaves nothing behind."""
        if self.store is not None:
            self.store.close()
        shutil.rmtree(self.folder)

    def look_for_the_fresh(self, records):
        """What was not acknowledged may be there or not."""
        if self.store.finished([group(self.fresh)]):
            self.model[self.fresh] = records

    def open(self, path):
        """The store at a place, with the log's length of this machine."""
        self.store = self.tested.Store(path)
        self.store._db.execute(f"PRAGMA wal_autocheckpoint = {self.pages}")

    def lying(self):
        """The bytes of the file and of its log."""
        log = self.store.path.with_name("s.sqlite-wal")
        return self.store.path.read_bytes(), log.read_bytes() if log.exists() else b""

    def go_on(self, file, log):
        """Another process opens what a killed one has left."""
        path = self.lay(file, log)
        self.store.close()
        self.open(path)

    def lay(self, file, log):
        """Files in a folder of their own; the store's path."""
        path = self.next_path()
        path.write_bytes(file)
        path.with_name("s.sqlite-wal").write_bytes(log)
        return path

    def next_path(self):
        """A place for a store in a folder of its own."""
        self.lives += 1
        (self.folder / str(self.lives)).mkdir()
        return self.folder / str(self.lives) / "s.sqlite"


def group(n):
    """The group of a number."""
    return replace(GROUP, settings={"n": n})


GROUPS = [group(n) for n in range(4)]
"""Those that may fail."""


def bits(records):
    """Records with their numbers' bits, so that NaN equals itself and zeros have signs."""
    return [(*r[:4], float(r.index).hex(), float(r.value).hex(), r.rule) for r in records]


def partly(old, new, place):
    """A file of which the changes are written up to a place, in thousandths of what has changed."""
    first = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    cut = first + (len(new) - first) * min(max(place, 0), 1000) // 1000
    return new[:cut] + old[cut:]


def judge(module, examples, **options):
    """Runs the machine on a module that has a Store."""
    machine = type("Stores", (Stores,), {"tested": module})
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=25, **options))


def test_the_store_is_its_model_whatever_happens_to_it():
    """What was acknowledged is there, once, to the bit."""
    judge(real, max(6, settings.default.max_examples // 4))


FAULTS = {
    "the commit is left out": ('yield\n            self._db.execute("COMMIT")', "yield"),
    "a later result replaces the first": ("INSERT OR IGNORE", "INSERT OR REPLACE"),
    "records are outside the transaction": (
        'self._db.execute("DELETE FROM records WHERE key = ?", (row[0],))',
        'self._db.executescript("COMMIT; BEGIN")',
    ),
    "the key is ignored": ("records WHERE key = ? ORDER BY n'\n        for", "records WHERE key >= ? '\n        for"),
    "what has failed stays": ('self._db.execute("ROLLBACK")', 'self._db.execute("COMMIT")'),
    "a result forgets no failure": (
        "DELETE FROM failures WHERE key = ?",
        "DELETE FROM failures WHERE ? IS NULL",
    ),
    "a failure hides those before it": ("SET times = times + ?2", "SET times = ?2"),
    "more is taken back than there was": (
        "DELETE FROM failures WHERE times <= 0",
        "DELETE FROM failures WHERE times = 0",
    ),
    "digits are cut off": ("float(number).hex()", "round(float(number), 9).hex()"),
    "a zero loses its sign": ("float(number).hex()", "(float(number) + 0.0).hex()"),
    "no lock is held": ("locking_mode = EXCLUSIVE", "locking_mode = NORMAL"),
    "there is no journal": ("journal_mode = WAL", "journal_mode = OFF"),
}


def store_with(old, new):
    """The store's module with one place of its source changed."""
    source = Path(real.__file__).read_text("utf-8")
    assert source.count(old) == 1
    planted = ModuleType("planted")
    exec(compile(source.replace(old, new), "planted", "exec"), vars(planted))
    return planted


@pytest.mark.parametrize("fault", FAULTS)
def test_the_machine_catches_a_planted_fault(fault):
    """Each breaks a promise of the store, and is seen in few runs."""
    planted = store_with(*FAULTS[fault])
    with pytest.raises((AssertionError, planted.StoreError, planted.sqlite3.Error, pytest.fail.Exception)):
        judge(planted, 40, phases=[Phase.generate], derandomize=True, report_multiple_bugs=False)
