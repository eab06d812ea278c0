"""The store of results: one SQLite file, one writer, one transaction a group; what it has acknowledged survives a kill.

Write-ahead log with a full sync at every commit. The key of a group is the hash of its settings and seeds, so the same
group is never stored twice and a changed one is never taken for it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from experiments.harness.sweep import Group, canonical
from properties.record import Record

_TABLES = """
CREATE TABLE IF NOT EXISTS groups (
    key TEXT PRIMARY KEY, experiment TEXT NOT NULL, setting TEXT NOT NULL, content TEXT NOT NULL, facts TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS records (
    key TEXT NOT NULL REFERENCES groups (key), n INTEGER NOT NULL,
    source TEXT NOT NULL, setting TEXT NOT NULL, seed INTEGER NOT NULL, metric TEXT NOT NULL,
    "index" BLOB NOT NULL, value BLOB NOT NULL, rule TEXT NOT NULL,
    PRIMARY KEY (key, n)
) STRICT, WITHOUT ROWID;
"""


class StoreError(Exception):
    """The store cannot be used; one line that says why."""


class Store:
    """Results of finished groups. Opens, or makes, the file at `path`, and holds it alone until closed.

    Raises:
        StoreError: another process holds it, or the file is no store.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(self.path, timeout=0, isolation_level=None)
        try:
            # The lock is taken before the log is opened: readers beside the one writer are not needed.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_TABLES)
            self._db.executescript("BEGIN IMMEDIATE; COMMIT;")
        except sqlite3.DatabaseError as error:
            self._db.close()
            reason = "another run is writing to it" if "locked" in str(error) else str(error)
            raise StoreError(f"the store {self.path} cannot be opened: {reason}.") from error

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
        """The keys of those groups whose results are here."""
        known = {key for (key,) in self._db.execute("SELECT key FROM groups")}
        return known & {group.key for group in groups}

    def save(self, group: Group, records: Sequence[Record], facts: dict[str, Any]) -> None:
        """Stores a finished group with its records, all or nothing; a group that is here already stays as it is.

        Args:
            facts: what stands beside the results and is none of them: device, threads, commit, seconds.
        """
        self._db.execute("BEGIN IMMEDIATE")
        try:
            content = canonical([group.settings, group.seeds, group.dtype, group.engine, group.data, group.version])
            row = (group.key, group.experiment, group.setting, content, json.dumps(facts, sort_keys=True))
            if self._db.execute("INSERT OR IGNORE INTO groups VALUES (?, ?, ?, ?, ?)", row).rowcount:
                rows = [(group.key, n, *_packed(record)) for n, record in enumerate(records)]
                self._db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def records(self, groups: Iterable[Group]) -> list[Record]:
        """The records of the groups, group by group in the order given.

        Raises:
            KeyError: a group has no results here.
        """
        found = []
        for group in groups:
            self.facts(group)
            query = 'SELECT source, setting, seed, metric, "index", value, rule FROM records WHERE key = ? ORDER BY n'
            found += [_unpacked(row) for row in self._db.execute(query, (group.key,))]
        return found

    def facts(self, group: Group) -> dict[str, Any]:
        """What was stored beside a group's results.

        Raises:
            KeyError: the group has no results here.
        """
        row = self._db.execute("SELECT facts FROM groups WHERE key = ?", (group.key,)).fetchone()
        if row is None:
            raise KeyError(f"{group.setting} ({group.key[:8]}) has no results in {self.path}.")
        return json.loads(row[0])


def _packed(record: Record) -> tuple[Any, ...]:
    """A record as a row; numbers as the hexadecimal text of their bits' value, since SQLite turns NaN into NULL."""
    return (*record[:4], *(float(number).hex().encode() for number in (record.index, record.value)), record.rule)


def _unpacked(row: tuple[Any, ...]) -> Record:
    return Record(*row[:4], *(float.fromhex(number.decode()) for number in row[4:6]), row[6])
