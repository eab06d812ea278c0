"""Breaks of outside libraries that are known: each a program of the plain library alone that fails while it is there.

A program's docstring says what is wrong in one sentence, then `Subject:` and `Law:` (names, or "all" for whatever
compares values), `Where:` (cells and dtypes, and the condition), `Reason:` and `Upstream:` (the link, or the words to
report).
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
NOT_VALUES = ("shapes", "honesty")
"""Laws that "all" does not mean: they ask for refusals."""

FIELDS = ("Subject", "Law", "Where", "Reason", "Upstream")


@dataclass(frozen=True)
class Known:
    """A known break.

    Attributes:
        name: of its program's file.
        sentence: what is wrong. subjects, laws: where it shows; cells, dtypes: in which, all if empty.
        where, reason, upstream: as written. program: its text.
    """

    name: str
    sentence: str
    subjects: tuple[str, ...]
    laws: tuple[str, ...]
    cells: tuple[str, ...]
    dtypes: tuple[str, ...]
    where: str
    reason: str
    upstream: str
    program: str

    def explains(self, subject: str, law: str, cell: str, dtype: str) -> bool:
        """Whether a break of a law may be this one."""
        here = subject in self.subjects and (law in self.laws or ("all" in self.laws and law not in NOT_VALUES))
        return here and (not self.cells or cell in self.cells) and (not self.dtypes or dtype in self.dtypes)


@cache
def known() -> tuple[Known, ...]:
    """Every known break, by name.

    Raises:
        ValueError: a program's docstring lacks a field; the message names both.
    """
    return tuple(read(path) for path in sorted(FOLDER.glob("*.py")) if path.name != "__init__.py")


def read(path: Path) -> Known:
    """One program's."""
    program = path.read_text("utf-8")
    said = ast.get_docstring(ast.parse(program)) or ""
    found = dict(zip(FIELDS, fields(said), strict=True))
    missing = [name for name, text in found.items() if not text]
    if missing:
        raise ValueError(f"{path.name} must have the field {missing[0]!r} in its docstring; it has none.")
    listed = {name: tuple(part.strip() for part in found[name].split(",")) for name in ("Subject", "Law")}
    cells = dict.fromkeys(re.findall(r"\b(rnn_relu|rnn|lstm)\b", found["Where"]))
    dtypes = dict.fromkeys(re.findall(r"\bfloat(?:32|64)\b", found["Where"].split(";")[0].split(":")[0]))
    sentence = " ".join(said.split("\n\n")[0].split())
    texts = (found[name] for name in ("Where", "Reason", "Upstream"))
    return Known(path.stem, sentence, *listed.values(), tuple(cells), tuple(dtypes), *texts, program)


def fields(said: str) -> list[str]:
    """What a docstring says under each field, on one line; "" where it says nothing."""
    parts = re.split(rf"^({'|'.join(FIELDS)}): ", said, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return [" ".join(found.get(name, "").split()) for name in FIELDS]
