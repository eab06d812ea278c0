"""The store: what it acknowledged is there, once, to the bit; what is no store, or damaged, is refused in a line."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.harness import store as store_module
from experiments.harness.store import APPLICATION, VERSION, Store, StoreError
from experiments.harness.sweep import Group, Options
from experiments.harness.toy import sweep
from properties.record import Record

GROUP = sweep.group(3, "quick", Options())
VALUES = (0.1, -0.0, 1e-310, math.inf, -math.inf, math.nan, 2**53 + 1.0)
RECORDS = [Record("toy", "sum/terms=3", seed, "sum", 0.5, value, "ab+cd") for seed, value in enumerate(VALUES)]
FACTS = {"seconds": 1.5, "commit": "x"}


def test_records_come_back_to_the_bit_and_in_their_order(tmp_path):
    """Infinities, NaN, a negative zero and subnormal numbers are kept, after closing and opening too."""
    with Store(tmp_path / "s.sqlite") as store:
        store.save(GROUP, RECORDS, FACTS)
    with Store(tmp_path / "s.sqlite") as store:
        back, facts = store.records([GROUP]), store.facts(GROUP)
    assert facts == FACTS
    assert [r[:5] + r[6:] for r in back] == [r[:5] + r[6:] for r in RECORDS]
    assert [r.value.hex() for r in back] == [r.value.hex() for r in RECORDS]


def test_a_group_is_stored_once_and_the_first_result_stays(tmp_path):
    """A second result under the same key is dropped whole: nothing is stored twice or replaced."""
    with Store(tmp_path / "s.sqlite") as store:
        store.save(GROUP, RECORDS, FACTS)
        store.save(GROUP, RECORDS[:1], {"seconds": 9})
        assert len(store.records([GROUP])) == len(RECORDS) and store.facts(GROUP) == FACTS


def test_a_result_that_cannot_be_stored_leaves_nothing_behind(tmp_path):
    """The group and its records are one transaction."""
    with Store(tmp_path / "s.sqlite") as store:
        with pytest.raises((ValueError, TypeError, AttributeError)):
            store.save(GROUP, [RECORDS[0], RECORDS[1]._replace(value="no number")], FACTS)
        assert store.finished([GROUP]) == set()
        store.save(GROUP, RECORDS, FACTS)
        assert store.finished([GROUP]) == {GROUP.key}


def test_a_group_without_results_is_named(tmp_path):
    """Reading what is not there says which group and which file."""
    with Store(tmp_path / "s.sqlite") as store, pytest.raises(KeyError, match=r"sum/terms=3 .*s\.sqlite"):
        store.records([GROUP])


def test_a_second_writer_is_refused(tmp_path):
    """One process writes; another is told so at once, and may write when the first is done."""
    opening = [
        sys.executable,
        "-c",
        f"from experiments.harness.store import Store; Store({str(tmp_path / 's.sqlite')!r})",
    ]
    with Store(tmp_path / "s.sqlite"):
        second = subprocess.run(opening, capture_output=True, text=True)
        assert second.returncode == 1 and "StoreError" in second.stderr and "another run is writing" in second.stderr
    assert subprocess.run(opening, capture_output=True).returncode == 0


@pytest.mark.parametrize("lines", [1, 40])
def test_a_file_that_is_no_store_is_refused(tmp_path, lines):
    """The message names the file; the file stays as it is, a short one too."""
    letter = "a letter to a friend, certainly no database\n" * lines
    (tmp_path / "s.sqlite").write_text(letter)
    with pytest.raises(StoreError, match=r"s\.sqlite cannot be opened"):
        Store(tmp_path / "s.sqlite")
    assert (tmp_path / "s.sqlite").read_text() == letter


def test_a_lock_that_is_let_go_at_once_is_no_refusal(tmp_path, monkeypatch):
    """Two that start at one instant may each find the other's lock: both look again, after different times."""
    holder = sqlite3.connect(tmp_path / "s.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(store_module.time, "sleep", lambda seconds: holder.close())
    with Store(tmp_path / "s.sqlite") as store:
        assert store.finished([GROUP]) == set()


# Versions

OLD = """
CREATE TABLE groups (
    key TEXT PRIMARY KEY, experiment TEXT NOT NULL, setting TEXT NOT NULL, content TEXT NOT NULL, facts TEXT NOT NULL
) STRICT;
CREATE TABLE records (
    key TEXT NOT NULL REFERENCES groups (key), n INTEGER NOT NULL,
    source TEXT NOT NULL, setting TEXT NOT NULL, seed INTEGER NOT NULL, metric TEXT NOT NULL,
    "index" BLOB NOT NULL, value BLOB NOT NULL, rule TEXT NOT NULL,
    PRIMARY KEY (key, n)
) STRICT, WITHOUT ROWID;
INSERT INTO groups VALUES ('{key}', 'harness.toy', 'sum/terms=3', '[]', '{{"commit": "x", "seconds": 1.5}}');
"""
"""A store of version 0, as programs up to November 2026 wrote it; frozen."""


def old_store(path):
    """A store of version 0 with a group, its records in the log, left there by a kill."""
    db = sqlite3.connect(path.with_name("written"), isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(OLD.format(key=GROUP.key))
    rows = [(GROUP.key, n, *r[:4], *(x.hex().encode() for x in r[4:6]), r.rule) for n, r in enumerate(RECORDS)]
    db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    for end in ("", "-wal"):
        path.with_name(path.name + end).write_bytes(path.with_name("written" + end).read_bytes())
    db.close()


def pragma(path, name):
    """A number in the file's head."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_store_of_the_first_version_opens_with_its_results(tmp_path):
    """Same keys, same bits, same facts; it is of the present version then, and stays as it is when opened again."""
    old_store(tmp_path / "s.sqlite")
    for _ in range(2):
        with Store(tmp_path / "s.sqlite") as store:
            assert store.finished([GROUP]) == {GROUP.key} and store.facts(GROUP) == FACTS
            assert [repr(r) for r in store.records([GROUP])] == [repr(r) for r in RECORDS]
            store.save(GROUP, [], {})
        assert pragma(tmp_path / "s.sqlite", "user_version") == VERSION
        assert pragma(tmp_path / "s.sqlite", "application_id") == APPLICATION


def test_a_step_to_a_version_is_taken_whole_or_not_at_all(tmp_path, monkeypatch):
    """Stopped after any of its statements, the store is of the old version, and the next start takes the step."""
    old_store(tmp_path / "s.sqlite")
    opened, within = sqlite3.connect, []

    def stopped(path, **options):
        """A connection that is stopped after so many steps, later at each try."""
        db, left = opened(path, **options), [20 * len(within)]

        def stop():
            left[0] -= 1
            within.append(db.in_transaction) if left[0] < 0 else None
            return left[0] < 0

        db.set_progress_handler(None if "uri" in options else stop, 1)
        return db

    while pragma(tmp_path / "s.sqlite", "user_version") != VERSION:
        with monkeypatch.context() as patch, suppress(StoreError):
            patch.setattr(store_module.sqlite3, "connect", stopped)
            Store(tmp_path / "s.sqlite").close()
    assert sum(within) >= 3
    with Store(tmp_path / "s.sqlite") as store:
        assert [repr(r) for r in store.records([GROUP])] == [repr(r) for r in RECORDS]


def test_a_store_of_a_newer_version_is_refused_and_stays_as_it_is(tmp_path):
    """The message names both versions and what to do."""
    Store(tmp_path / "s.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "s.sqlite")) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 2}")
    before = (tmp_path / "s.sqlite").read_bytes()
    both = rf"has format {VERSION + 2}, and this program knows formats up to {VERSION}; take the newer program"
    with pytest.raises(StoreError, match=both):
        Store(tmp_path / "s.sqlite")
    assert (tmp_path / "s.sqlite").read_bytes() == before


STRANGERS = {
    "another program's number": "PRAGMA application_id = 252006675",
    "another program's version": "PRAGMA user_version = 1",
    "another program's table": "CREATE TABLE moz_places (id INTEGER PRIMARY KEY, url TEXT)",
    "a table that is called as ours": "CREATE TABLE groups (name TEXT, members TEXT)",
}


@pytest.mark.parametrize("in_log", [False, True])
@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_file_of_another_program_is_refused_and_stays_as_it_is(tmp_path, stranger, in_log):
    """To the byte, its log too, which SQLite would move into it if it were opened like ours."""
    with closing(sqlite3.connect(tmp_path / "other", isolation_level=None)) as db:
        db.execute(STRANGERS[stranger])
        db.execute(f"PRAGMA journal_mode = {'WAL' if in_log else 'DELETE'}")
        db.execute("CREATE TABLE more (x)")
        for name in ("other", "other-wal"):
            if (tmp_path / name).exists():
                (tmp_path / name.replace("other", "s.sqlite")).write_bytes((tmp_path / name).read_bytes())
    before = {p.name: p.read_bytes() for p in tmp_path.glob("s.*")}
    assert len(before) == 1 + in_log
    with pytest.raises(StoreError, match=r"s\.sqlite cannot be opened: it is another program's .* --store"):
        Store(tmp_path / "s.sqlite")
    assert {p.name: p.read_bytes() for p in tmp_path.glob("s.*")} == before


# Damage


RESULTS = [(replace(GROUP, settings={"n": n}), RECORDS[: n % 8]) for n in range(40)]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A closed store with forty groups."""
    path = tmp_path_factory.mktemp("sound") / "s.sqlite"
    with Store(path) as store:
        [store.save(group, records, {"n": len(records)}) for group, records in RESULTS]
    return path


def read_all(path):
    """Asserts that a store has all results, to the bit."""
    groups = [group for group, _ in RESULTS]
    with Store(path) as store:
        assert store.finished(groups) == {group.key for group in groups}
        assert [store.facts(group) for group in groups] == [{"n": len(records)} for _, records in RESULTS]
        assert [repr(r) for r in store.records(groups)] == [repr(r) for _, records in RESULTS for r in records]


@given(st.integers(0, 10**9), st.integers(0, 7))
def test_a_byte_that_the_disk_has_changed_is_noticed_or_changes_nothing(sound, tmp_path_factory, place, bit):
    """Any bit of the file: all results are there to the bit, or one line says that it is damaged and what to do."""
    path, changed = tmp_path_factory.mktemp("bit") / "s.sqlite", bytearray(sound.read_bytes())
    changed[place % len(changed)] ^= 1 << bit
    path.write_bytes(changed)
    try:
        read_all(path)
    except StoreError as error:
        assert str(path) in str(error) and len(str(error).splitlines()) == 1
        assert any(remedy in str(error) for remedy in ("move it away", "--store"))


@given(st.integers(0, 10**9))
def test_a_store_that_is_cut_short_is_refused(sound, tmp_path_factory, place):
    """At any byte but the first: a file of none is a new one."""
    path, whole = tmp_path_factory.mktemp("cut") / "s.sqlite", sound.read_bytes()
    path.write_bytes(whole[: 1 + place % (len(whole) - 1)])
    with pytest.raises(StoreError, match=r"s\.sqlite cannot be .*move it away with s\.sqlite-wal"):
        read_all(path)


def test_a_group_that_was_changed_is_refused_before_others_are_computed(tmp_path):
    """A value, a record too few, one too many, another's facts: `finished`, with which every run begins, names it."""
    changes = (
        "UPDATE records SET value = CAST('0x1.0000000000000p+0' AS BLOB) WHERE n = 3",
        "UPDATE records SET value = CAST('garbage' AS BLOB) WHERE n = 3",
        "DELETE FROM records WHERE n = 6",
        "INSERT INTO records SELECT key, 9, source, setting, seed, metric, value, value, rule FROM records WHERE n = 1",
        "UPDATE groups SET facts = '{}'",
    )
    for n, change in enumerate(changes):
        with Store(tmp_path / f"{n}.sqlite") as store:
            store.save(GROUP, RECORDS, FACTS)
            store._db.execute(change)
            for asked in (lambda store=store: store.finished([GROUP]), lambda store=store: store.records([GROUP])):
                with pytest.raises(StoreError, match=rf"{n}\.sqlite cannot be read: .*group {GROUP.key[:8]} is not as"):
                    asked()


def test_records_whose_group_the_disk_has_lost_are_no_results(tmp_path):
    """The group is computed again, and its records are the new ones alone."""
    with Store(tmp_path / "s.sqlite") as store:
        store.save(GROUP, RECORDS, FACTS)
        store._db.execute("DELETE FROM groups")
        assert store.finished([GROUP]) == set()
        store.save(GROUP, RECORDS[:2], FACTS)
        assert store.records([GROUP]) == RECORDS[:2]


def test_what_is_wrong_in_the_program_is_no_fault_of_the_store(tmp_path):
    """To use it after it was closed is a mistake in the code, and stays one."""
    store = Store(tmp_path / "s.sqlite")
    store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        store.finished([GROUP])


# Keys


@pytest.mark.parametrize(
    "change",
    [
        {"experiment": "other"},
        {"version": 2},
        {"settings": {"terms": 4, "preset": "quick"}},
        {"seeds": (1, 0, *range(2, 8))},
        {"dtype": "float32"},
        {"engine": "torch"},
        {"data": "00ff"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_key_of_a_group_changes_with_everything_that_its_result_depends_on(change):
    """Experiment, version, settings, order of seeds, dtype, engine and the data's hash: each is in the key."""
    assert replace(GROUP, **change).key != GROUP.key


def test_the_key_of_a_group_does_not_change_with_what_does_not_matter():
    """The order of settings, the predicted cost, the name for people, and the place of the data are not in it."""
    same = replace(GROUP, settings={"preset": "quick", "terms": 3}, cost=9.0, setting="x", corpus="elsewhere.txt")
    assert same.key == GROUP.key and len(GROUP.key) == 64


def test_settings_that_are_no_plain_data_are_refused():
    """A key must not depend on how an object prints."""
    for value in (math.nan, object(), {1, 2}):
        with pytest.raises((TypeError, ValueError)):
            _ = replace(GROUP, settings={"value": value}).key


def test_groups_are_plain_data_for_workers():
    """A group survives pickling with its key."""
    import pickle

    assert pickle.loads(pickle.dumps(GROUP)).key == GROUP.key
    assert isinstance(pickle.loads(pickle.dumps(GROUP)), Group)
