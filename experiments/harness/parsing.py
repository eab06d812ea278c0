"""Command lines, parsed by tyro: what it refuses is said in one line, where tyro itself draws a box of several."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from contextlib import redirect_stderr
from itertools import groupby
from typing import Any

import tyro

from experiments.harness.endings import UsageError

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
RULE = re.compile(r"\W*[─-]{9,}\W*")
ABOUT = 8
"""From so many blanks on a row of tyro's box tells what an option is, which is left to --help."""
CHOICE = "Available subcommands"
"""What is kept of what a box says beside the refusal."""


def parsed(kind: Any, words: Sequence[str], prog: str, about: str | None, of: str = "") -> Any:
    """The command that some words ask for.

    Args:
        kind: what may be asked for, as `tyro.cli` takes it.
        words: after the program's name.
        prog: the program's name.
        about: what --help says of it.
        of: the subcommand among the words, whose --help is pointed to.
    Raises:
        UsageError: they ask for nothing that there is; one line.
        SystemExit: they ask for --help, which was printed.
    """
    box = io.StringIO()
    try:
        with redirect_stderr(box):
            return tyro.cli(kind, args=words, prog=prog, description=about)
    except SystemExit as end:
        if end.code != UsageError.code:
            raise
        help_ = " ".join(filter(None, (prog, of, "--help")))
        raise UsageError(f"{in_a_line(box.getvalue())}; see `{help_}`.") from None


def in_a_line(box: str) -> str:
    """What a box says that is not meant as help; where it is no box, all of it."""
    rows = [row.strip("│╭╮╰╯").rstrip() for row in COLOUR.sub("", box).splitlines()]
    parts = [[*some] for is_rule, some in groupby(rows[1:], lambda row: bool(RULE.fullmatch(row))) if not is_rule]
    said = [" ".join(" ".join(row for row in part if not row.startswith(" " * ABOUT)).split()) for part in parts]
    if not any(map(RULE.fullmatch, rows)) or not any(said):
        return " ".join(box.split())
    first, *others = filter(None, said)
    return ". ".join(part.rstrip(".") for part in (first, *others) if part is first or part.startswith(CHOICE))
