"""A search as a command of its own: what rates, starts or widths are chosen from is computed and written to be kept."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import tyro

from experiments.harness import executor, provenance
from experiments.harness.catalogue import UsageError
from experiments.harness.run import RunError, compute
from experiments.harness.store import Store, StoreError
from experiments.harness.sweep import Group
from properties.record import COLUMNS

Table = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class Search:
    """What every search may be told."""

    workers: int = os.cpu_count() or 1
    """Processes, one group each at a time."""
    store: Path = Path(".rnn-twins/results.sqlite")
    """Where results are kept."""


Asked = TypeVar("Asked", bound=Search)


def command(kind: type[Asked], prog: str, about: str | None, make: Callable[[Asked], Path]) -> int:
    """Does what the command line says, and prints the path of what it made.

    Args:
        kind: what may be asked for.
        prog: the module that is run.
        about: what the command says of itself.
        make: computes and writes.
    Returns:
        The exit code: 0, 1 where something failed, 2 where it was asked wrongly; both are said in one line.
    """
    asked = tyro.cli(kind, prog=f"python -m {prog}", description=about)
    try:
        print(make(asked))
    except (UsageError, RunError, StoreError) as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


def write(
    groups: Sequence[Group], tables: dict[Path, Table], facts: Path, asked: Search, prog: str, digits: int | None = None
) -> Path:
    """Computes what the store lacks; writes each table of the records as CSV, and where they come from as JSON.

    Args:
        groups: of the search.
        tables: by path, what makes the table of all records.
        facts: the path of the provenance.
        asked: what was asked for.
        prog: the module that is run.
        digits: significant ones of a number in the tables; all if None.
    Returns:
        The path of the last table.
    """
    with Store(asked.store) as store:
        with executor.on(asked.workers) as workers:
            compute(groups, store, workers)
        records = pd.DataFrame(store.records(groups), columns=COLUMNS)
        known: dict[str, Any] = provenance.collect(list(groups), store, typed(prog, sys.argv[1:]))
    for path, table in tables.items():
        form = None if digits is None else f"%.{digits}g"
        table(records).to_csv(path, index=False, float_format=form, lineterminator="\n")
    facts.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    return path


def typed(prog: str, arguments: Sequence[str]) -> str:
    """The command as it was typed, but for --store: the path of a file on one machine says nothing of the results."""
    words = [f"python -m {prog}"]
    for before, word in zip(["", *arguments], arguments, strict=False):
        if "--store" not in (before, word.partition("=")[0]):
            words.append(word)
    return " ".join(words)
