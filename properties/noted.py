"""Files that are written a line at a time: whatever ends a process next, the whole lines stay.

One of them is that of a test run (`pytest --passed FILE`, see properties.passed): its first line says what the others
hold for; then stands the id of each test that passed, and after FAILED that of each that failed, as they are reported.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

FAILED = "FAILED "
"""What stands before the id of a test that failed."""


class Tests(NamedTuple):
    """The ids of tests that passed, and of those that failed, as each ended last; each once, in their order."""

    passed: list[str]
    failed: list[str]


def tests(lines: Iterable[str]) -> Tests:
    """What the lines of a test run's file say, but the first."""
    passes = {line.removeprefix(FAILED): not line.startswith(FAILED) for line in lines}
    return Tests([name for name, ok in passes.items() if ok], [name for name, ok in passes.items() if not ok])


def read(file: Path) -> list[str]:
    """A file's whole lines, none where there is no file: a last one without an end was cut short."""
    return file.read_text("utf-8", "replace").split("\n")[:-1] if file.is_file() else []


def add(file: Path, line: str) -> None:
    """Adds a line to a file; a last one that was cut short is taken off it."""
    with file.open("ab+") as out:
        if out.tell():
            out.seek(-1, os.SEEK_END)
            if out.read() != b"\n":
                out.seek(0)
                out.truncate(out.read().rfind(b"\n") + 1)
        out.write(f"{line}\n".encode())
