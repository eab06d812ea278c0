"""The store of results: one SQLite file, one writer, one transaction a group; what it has acknowledged survives a kill.

Write-ahead log with a full sync at every commit. The key of a group is the hash of its settings and seeds, so the same
group is never stored twice and a changed one is never taken for it. Each group has a digest of its bytes: what a disk
has changed is refused, never read as a result. SQLite itself finds out what is no database, is cut short or torn.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from typing import Any, NamedTuple

from experiments.harness.endings import Told
from experiments.harness.sweep import Group, canonical
from properties.record import Record

APPLICATION = int.from_bytes(b"rnnt")
"""SQLite's application_id of our files; those of version 0 have none."""

_TABLES = (
    """
CREATE TABLE IF NOT EXISTS groups (
    key TEXT PRIMARY KEY, experiment TEXT NOT NULL, setting TEXT NOT NULL, content TEXT NOT NULL, facts TEXT NOT NULL
) STRICT
""",
    """
CREATE TABLE IF NOT EXISTS records (
    key TEXT NOT NULL REFERENCES groups (key), n INTEGER NOT NULL,
    source TEXT NOT NULL, setting TEXT NOT NULL, seed INTEGER NOT NULL, metric TEXT NOT NULL,
    "index" BLOB NOT NULL, value BLOB NOT NULL, rule TEXT NOT NULL,
    PRIMARY KEY (key, n)
) STRICT, WITHOUT ROWID
""",
)
_FAILURES = """
CREATE TABLE IF NOT EXISTS failures (key TEXT PRIMARY KEY, times INTEGER NOT NULL) STRICT, WITHOUT ROWID
"""
"""How often groups without results failed. No step of the version: a program that knows none loses nothing by it. Made
with the first failure: opening writes nothing, so that what a store has can be read on a full disk."""
_COLUMNS = {
    "groups": "key,experiment,setting,content,facts",
    "records": "key,n,source,setting,seed,metric,index,value,rule",
}
"""Of version 0, by table."""


STORE = Path(".rnn-twins") / "results.sqlite"
"""Where commands keep results, unless they are told otherwise."""


class StoreError(Told):
    """The store cannot be used; one line that says why and what to do. `why`: the first alone."""

    def __init__(self, line: str, why: str = "") -> None:
        super().__init__(line)
        self.why = why or line


class Copied(NamedTuple):
    """Groups of another store: how many were added, were here already, and were so with other records."""

    added: int = 0
    present: int = 0
    different: int = 0


class Store:
    """Results of finished groups. Opens, or makes, the file at `path`, and holds it alone until closed.

    Raises:
        StoreError: another process holds it, it is damaged, of a newer version or no store; it stays as it is then.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._intact = set[str]()
        with self._told("opened"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _opened(self.path)

    def __enter__(self) -> Store:
        """The store itself."""
        return self

    def __exit__(self, *_: Any) -> None:
        """Closes the file, so that another process may open it."""
        self.close()

    def close(self) -> None:
        """Closes the file; what was saved stays."""
        self._db.close()

    def finished(self, groups: Iterable[Group]) -> set[str]:
        """The keys of those groups whose results are here.

        Raises:
            StoreError: one of them is damaged, which is better known before the others are computed.
        """
        found = {group.key for group in groups}.intersection(self._keys())
        for key in sorted(found):
            self._check(key)
        return found

    def _keys(self, experiment: str | None = None) -> list[str]:
        """See `keys`; the groups are looked at no further."""
        query = "SELECT key FROM groups WHERE experiment = ?1 OR ?1 IS NULL ORDER BY key"
        with self._told("read"):
            return [key for (key,) in self._db.execute(query, (experiment,))]

    def save(self, group: Group, records: Sequence[Record], facts: dict[str, Any]) -> None:
        """Stores a finished group with its records, all or nothing; a group that is here already stays as it is.

        Args:
            facts: what stands beside the results and is none of them: device, threads, commit, seconds.
        Raises:
            StoreError: the disk is full or fails; what was saved before is kept, and nothing of this group is.
        """
        content = canonical([group.settings, group.seeds, group.dtype, group.engine, group.data, group.version])
        row = (group.key, group.experiment, group.setting, content, json.dumps(facts, sort_keys=True))
        rows = [(group.key, n, *_packed(record)) for n, record in enumerate(records)]
        with self._told("written"), self._transaction():
            if self._inserted((*row, ""), rows):
                _sign(self._db, group.key)

    def _inserted(self, row: Sequence[Any], rows: Iterable[Sequence[Any]]) -> bool:
        """Whether the group was not here, and so is by now, with its records; that it failed before is forgotten."""
        if self._has_failures():
            self._db.execute("DELETE FROM failures WHERE key = ?", (row[0],))
        if not self._db.execute("INSERT OR IGNORE INTO groups VALUES (?, ?, ?, ?, ?, ?)", row).rowcount:
            return False
        # Records without a group are what a disk has kept of one that it lost: no results.
        self._db.execute("DELETE FROM records WHERE key = ?", (row[0],))
        self._db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        return True

    def note_failure(self, group: Group, times: int = 1) -> None:
        """Counts that a group has failed, or its process died, so many times more; its results make it forgotten.

        Args:
            times: below 0 takes so many back.
        Raises:
            StoreError: the disk is full or fails; the count is as it was.
        """
        note = "INSERT INTO failures VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET times = times + ?2"
        with self._told("written"), self._transaction():
            self._db.execute(_FAILURES)
            self._db.execute(note, (group.key, times))
            self._db.execute("DELETE FROM failures WHERE times <= 0 AND key = ?", (group.key,))

    def failures(self, groups: Iterable[Group]) -> Counter[str]:
        """How often each of the groups has failed without results since, by key."""
        query = "SELECT key, times FROM failures WHERE key = ?"
        with self._told("read"):
            asked = groups if self._has_failures() else ()
            return Counter(dict(row for group in asked for row in self._db.execute(query, (group.key,))))

    def _has_failures(self) -> bool:
        """Whether the file has the table of failures, which the first one makes."""
        return bool(self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'failures'").fetchone())

    def records(self, groups: Iterable[Group]) -> list[Record]:
        """The records of the groups, group by group in the order given.

        Raises:
            KeyError: a group has no results here.
            StoreError: a group is damaged.
        """
        found = []
        query = 'SELECT source, setting, seed, metric, "index", value, rule FROM records WHERE key = ? ORDER BY n'
        for group in groups:
            self.facts(group)
            with self._told("read"):
                found += [_unpacked(row) for row in self._db.execute(query, (group.key,))]
        return found

    def facts(self, group: Group) -> dict[str, Any]:
        """What was stored beside a group's results.

        Raises:
            KeyError: the group has no results here.
            StoreError: the group is damaged.
        """
        with self._told("read"):
            row = self._db.execute("SELECT facts FROM groups WHERE key = ?", (group.key,)).fetchone()
        if row is None:
            raise KeyError(f"{group.setting} ({group.key[:8]}) has no results in {self.path}.")
        self._check(group.key)
        return json.loads(row[0])

    def keys(self, experiment: str | None = None) -> list[str]:
        """The keys of the groups here, of one experiment or of all, in their order.

        Raises:
            StoreError: one of them is damaged.
        """
        found = self._keys(experiment)
        for key in found:
            self._check(key)
        return found

    def rows(self, key: str) -> tuple[tuple[Any, ...], list[tuple[Any, ...]]]:
        """A group that is here, as it stands in the file: its row with its digest, and its records' in their order.

        Raises:
            StoreError: it is damaged.
        """
        self._check(key)
        with self._told("read"):
            row = self._db.execute("SELECT * FROM groups WHERE key = ?", (key,)).fetchone()
            return row, self._db.execute("SELECT * FROM records WHERE key = ? ORDER BY n", (key,)).fetchall()

    def compared(self, other: Store, keys: Iterable[str]) -> tuple[list[str], list[str]]:
        """Which of these groups of another store are not here, and which are here with other records.

        Raises:
            StoreError: a group is damaged, there or here.
        """
        known, absent, different = set(self._keys()), [], []
        for key in keys:
            if key not in known:
                absent.append(key)
            elif _results(self.rows(key)[1]) != _results(other.rows(key)[1]):
                different.append(key)
        return absent, different

    def copy(self, other: Store, keys: Sequence[str]) -> Copied:
        """Adds groups of another store to the bit, all or nothing; a group that is here already stays as it is.

        Raises:
            StoreError: a group is damaged, there or here; the disk is full or fails. Nothing is added then.
        """
        absent, different = self.compared(other, keys)
        with self._told("written"), self._transaction():
            for key in absent:
                self._inserted(*other.rows(key))
        return Copied(len(absent), len(keys) - len(absent), len(different))

    def _check(self, key: str) -> None:
        """Refuses a group whose bytes are not those that were saved; each is read for this once."""
        if key in self._intact:
            return
        with self._told("read"):
            saved, now = _digests(self._db, key)
            if saved != now:
                raise sqlite3.DatabaseError(f"group {key[:8]} is not as it was saved")
        self._intact.add(key)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that is done within, or nothing of it."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # SQLite has ended it by itself where the disk is full
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        """Says in one line why the store cannot be opened, read or written, and what to do."""
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except (sqlite3.DatabaseError, UnicodeDecodeError, OSError) as error:  # the second: of a damaged file's text
            why, remedy = _reason(error, self.path)
            raise StoreError(f"the store {self.path} cannot be {done}: {why}; {remedy}.", why) from error


_AGAIN = "finished groups are kept: {} and run the same command again"
_DAMAGED = (
    "it is damaged or no store ({error}); move it away with {path.name}-wal, if that is there, and the same command "
    "computes anew; `sqlite3 {path} .recover` prints what can still be read of it"
)
_OTHER = "SQLite says: {error}; finished groups are kept"
_REASONS = {
    sqlite3.SQLITE_BUSY: "another run is writing to it; wait for its end, or name another store with --store",
    sqlite3.SQLITE_FULL: "no space is left on the disk; " + _AGAIN.format("free some"),
    sqlite3.SQLITE_IOERR: "the disk fails ({error}); " + _AGAIN.format("see to it (space, quota, connection)"),
    sqlite3.SQLITE_READONLY: "it may not be written ({error}); give yourself the right, or name another with --store",
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    0: _DAMAGED,  # what this module finds itself
    sqlite3.SQLITE_CANTOPEN: "no file can be made or read there ({error}); name another with --store",
}


def _reason(error: Exception, path: Path) -> list[str]:
    """What is wrong, and what to do; of what is not known to be damage it is not said."""
    code = sqlite3.SQLITE_CANTOPEN if isinstance(error, OSError) else getattr(error, "sqlite_errorcode", 0)
    both = _REASONS.get(code & 0xFF, _OTHER).split("; ", 1)
    return [text.format(error=_line(str(error)), path=path) for text in both]


def _line(text: str) -> str:
    """Text from a file as one line that can be printed: of a damaged one it may hold anything."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


# Opening

LEAST = 512
"""Bytes of the smallest page: SQLite takes a shorter file for an empty one, and would write over somebody's note."""
TURNS = 4
"""How often a store is tried: two runs that start at one instant may each find the other's lock, and both would go."""


def _opened(path: Path) -> sqlite3.Connection:
    """The file as a store of the present version, held alone."""
    for turn in range(TURNS):
        try:
            return _held(path)
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY or turn == TURNS - 1:
                raise
            time.sleep(SystemRandom().uniform(0.01, 0.05))  # apart, also where both have the same number
    raise AssertionError("the last turn returns or raises")


def _held(path: Path) -> sqlite3.Connection:
    """See `_opened`; one try."""
    if path.is_file() and 0 < path.stat().st_size < LEAST:
        raise sqlite3.DatabaseError(f"{path.stat().st_size} bytes are no database")
    with suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        _refuse_as_it_lies(path)
    db = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        # The lock is taken before the log is opened: readers beside the one writer are not needed.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        _refuse(db, path)
        if (found := db.execute("PRAGMA integrity_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(found)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN IMMEDIATE")
        _migrate(db)
        db.execute("COMMIT")
        return db
    except BaseException:
        db.close()
        raise


def _refuse_as_it_lies(path: Path) -> None:
    """Looks at the file without its log: opened in earnest, SQLite would move a stranger's log into the stranger."""
    if path.is_file():
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as db:
            _refuse(db, path)


def _refuse(db: sqlite3.Connection, path: Path) -> None:
    """Refuses a file of another program, and of a newer version of this one.

    Raises:
        StoreError: it is one.
    """
    application, version = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version"))
    columns = "SELECT m.name, group_concat(c.name) FROM sqlite_master m, pragma_table_info(m.name) c"
    found = dict(db.execute(f"{columns} WHERE m.type = 'table' AND m.name NOT GLOB 'sqlite_*' GROUP BY m.name"))
    if application != APPLICATION and (application or version or not found.items() <= _COLUMNS.items()):
        what = f"application_id {application}, tables {_line(', '.join(sorted(found))) or 'none'}"
        why, remedy = f"it is another program's ({what})", "name one with --store"
    elif version > VERSION:
        why = f"it has format {version}, and this program knows formats up to {VERSION}"
        remedy = "take the newer program, or name another store with --store"
    else:
        return
    raise StoreError(f"the store {path} cannot be opened: {why}; {remedy}.", why)


def _migrate(db: sqlite3.Connection) -> None:
    """Brings the file, an empty one too, to the present version, within a transaction."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    for step in MIGRATIONS[version:]:
        step(db)
    if version < VERSION:
        db.execute(f"PRAGMA user_version = {VERSION}")


def _to_1(db: sqlite3.Connection) -> None:
    """Version 0 had neither a number nor digests; its groups are signed as they stand."""
    for table in _TABLES:
        db.execute(table)
    db.execute("ALTER TABLE groups ADD COLUMN digest TEXT NOT NULL DEFAULT ''")
    for (key,) in db.execute("SELECT key FROM groups").fetchall():
        _sign(db, key)
    db.execute(f"PRAGMA application_id = {APPLICATION}")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_to_1,)
"""From each version to the next."""
VERSION = len(MIGRATIONS)


# Rows


def _sign(db: sqlite3.Connection, key: str) -> None:
    """Puts the digest of a group's bytes beside them."""
    db.execute("UPDATE groups SET digest = ? WHERE key = ?", (_digests(db, key)[1], key))


def _digests(db: sqlite3.Connection, key: str) -> tuple[str, str]:
    """The digest that a group has, and the SHA-256 of its row and its records as they are."""
    query = 'SELECT n, source, setting, seed, metric, CAST("index" AS TEXT), CAST(value AS TEXT), rule FROM records'
    (*row, saved) = db.execute("SELECT * FROM groups WHERE key = ?", (key,)).fetchone()
    rows = db.execute(f"{query} WHERE key = ? ORDER BY n", (key,)).fetchall()
    return saved, hashlib.sha256(canonical([row, rows]).encode()).hexdigest()


def _results(rows: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
    """Records' rows without the rules that read them: a claim that was changed makes no other result."""
    return [row[:-1] for row in rows]


def _packed(record: Record) -> tuple[Any, ...]:
    """A record as a row; numbers as the hexadecimal text of their bits' value, since SQLite turns NaN into NULL."""
    return (*record[:4], *(float(number).hex().encode() for number in (record.index, record.value)), record.rule)


def _unpacked(row: tuple[Any, ...]) -> Record:
    return Record(*row[:4], *(float.fromhex(number.decode()) for number in row[4:6]), row[6])
