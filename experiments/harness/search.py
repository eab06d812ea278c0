"""A search as a command of its own: what rates, starts or widths are chosen from is computed and written to be kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import pandas as pd
import tyro

from experiments.harness import executor, provenance, saved
from experiments.harness.deadline import Deadline, Minutes
from experiments.harness.endings import ended, terminable, writing
from experiments.harness.engine import cores
from experiments.harness.parsing import parsed
from experiments.harness.run import compute
from experiments.harness.store import STORE, Store
from experiments.harness.sweep import Group
from properties.record import COLUMNS

Table = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Search:
    """What every search may be told."""

    workers: int = cores()
    """Processes, one group each at a time; 0 computes in this process."""
    store: Path = STORE
    """Where results are kept."""
    minutes: Minutes = None
    typed: Annotated[str, tyro.conf.Suppress] = ""
    """The command itself."""


Asked = TypeVar("Asked", bound=Search)


def command(kind: type[Asked], prog: str, about: str | None, make: Callable[[Asked], Path]) -> int:
    """Does what the command line says, and prints the path of what it made.

    Args:
        kind: what may be asked for.
        prog: the module that is run.
        about: what the command says of itself.
        make: computes and writes.
    Returns:
        The exit code: 0, 1 where something failed, 2 where it was asked wrongly, 3 where --minutes were not enough, 130
        where it was stopped by Ctrl-C, 143 by SIGTERM; each but 0 is said in one line.
    """
    words = sys.argv[1:]

    def do() -> int:
        asked = parsed(kind, words, f"python -m {prog}", about)
        print(make(replace(asked, typed=provenance.typed(f"python -m {prog}", words))))
        return 0

    return ended(do, prog, words)


def run(
    prog: str, about: str | None, every: Callable[[], Sequence[Group]], tables: dict[Path, Table], facts: Path
) -> int:
    """A search that is told no more than Search: its groups are computed and its tables written; see `command`."""
    return command(Search, prog, about, lambda asked: write(every(), tables, facts, asked))


def write(
    groups: Sequence[Group], tables: dict[Path, Table], facts: Path, asked: Search, digits: int | None = None
) -> Path:
    """Computes what the store lacks; writes each table of the records as CSV, and where they come from as JSON.

    All are made before the first older one goes, each of which is replaced whole or not at all.

    Args:
        groups: of the search.
        tables: by path, what makes the table of all records.
        facts: the path of the provenance.
        asked: what was asked for.
        digits: significant ones of a number in the tables; all if None.
    Returns:
        The path of the last table.
    Raises:
        OutError: a file cannot be written.
    """
    deadline = Deadline.asked(asked.minutes)
    with executor.on(asked.workers) as workers, Store(asked.store) as store:
        with terminable():
            compute(groups, store, workers, deadline=deadline)
        records = pd.DataFrame(store.records(groups), columns=COLUMNS)
        known: dict[str, Any] = provenance.collect(list(groups), store, asked.typed)
    form = None if digits is None else f"%.{digits}g"
    csv = {"index": False, "float_format": form, "lineterminator": "\n"}
    texts = {path: table(records).to_csv(**csv) for path, table in tables.items()}
    for path, text in (texts | {facts: json.dumps(known, indent=1) + "\n"}).items():
        with writing(path, "the results are kept: the same command only writes what they say", "file"):
            saved.replace(path, text.encode())
    return list(tables)[-1]
