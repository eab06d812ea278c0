"""What publishing replaces: reports that this program made and the pages above them, and nothing of the user's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from experiments.harness.endings import UsageError

MADE_FROM = re.compile(rb"\[([\w.]+)\]\(\1\), SHA-256 `([0-9a-f]{64})`")
"""A table and its digest in templates/report.md.j2, of all versions."""

PAGE = re.compile(rb"rnn-twins</title>")
ABOVE = {
    "index.html": PAGE,
    "ledger.html": PAGE,
    "README.md": re.compile(rb"A claim that no experiment here has measured reads open\."),
    "ledger.csv": re.compile(rb"\Aclaim,statement,"),
}
"""The files above the reports, and what all versions of each have."""

REPORT = {
    "README.md": MADE_FROM,
    "summary.json": re.compile(rb'\A\{\s*"name": "[\w.]+",\s*"title": .*"findings": \[', re.DOTALL),
    "results.csv": re.compile(rb"\A(source,setting,seed,metric,index,value|subject,version,law,verdict),"),
}
"""Files of a report, and what all versions of each have: one is enough, since the others may be damaged."""


def refuse_foreign(out: Path, folders: Iterable[str] = (), files: Iterable[str] = ()) -> None:
    """Refuses to put reports or pages in the place of what this program did not make.

    Args:
        out: the reports' folder, which may be missing.
        folders: the reports that would be replaced in it. files: the pages, of ABOVE.
    Raises:
        UsageError: such a thing is there, or cannot be read.
    """
    try:
        found = [out / name for name in folders if not is_report(out / name)]
        found += [out / name for name in files if not is_page(out / name)]
    except OSError as error:
        raise UsageError(f"--out must be a folder that can be read; got {out} ({error}).") from error
    if found:
        raise UsageError(
            f"--out must be a folder where only reports are replaced; got {out}, where {found[0]} is none of "
            "ours: move it away, or name another folder."
        )


def is_report(folder: Path) -> bool:
    """Whether nothing is there, an empty folder, or a report of ours."""
    if not os.path.lexists(folder):
        return True
    if not folder.is_dir():
        return False
    return not any(folder.iterdir()) or any(has(folder / name, mark) for name, mark in REPORT.items())


def is_page(path: Path) -> bool:
    """Whether nothing is there, or a file of ABOVE."""
    return not os.path.lexists(path) or has(path, ABOVE[path.name])


def has(path: Path, mark: re.Pattern[bytes]) -> bool:
    """Whether a file holds what it should."""
    return path.is_file() and mark.search(path.read_bytes()) is not None
