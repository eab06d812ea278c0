"""The command lines of programs for a card: what was asked wrongly is one line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """See ArgumentParser; the usage is left to --help."""
        self.exit(2, f"{self.prog.split('.')[-1]}: {message}\n")


def minutes(word: str) -> float:
    """How long, of a word of the command line."""
    found = number(float, word)
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"must be a finite number above 0; got {word!r}")
    return found


def enough(parser: argparse.ArgumentParser, minutes: float, grace: float) -> None:
    """Refuses minutes in whose half, the longest that one of several commands gets, none would be begun."""
    if 30 * minutes <= grace:
        parser.error(
            f"argument --minutes: half of it must be longer than the {grace:g} s that a command has to end in; "
            f"got {minutes:g}"
        )


def at_least_one(word: str) -> int:
    """How many, of a word of the command line."""
    found = number(int, word)
    if not found >= 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more; got {word!r}")
    return int(found)


def number(kind: Callable[[str], float], word: str) -> float:
    """A word as a number, nan where it is none."""
    try:
        return kind(word)
    except ValueError:
        return math.nan
