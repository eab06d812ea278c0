"""How commands end: an exit code, and one line on the standard error stream where something went wrong."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

UNHEARD = (OSError, ValueError)
"""What writing to the standard error stream raises: its disk is full, its reader has gone; or the stream was closed."""


class Told(Exception):
    """What ends a command with one line, which says why and what to do; `code` is its exit code."""

    code = 1


class UsageError(Told, ValueError):
    """The user asked for what cannot be done; one line that says what, and what could be."""

    code = 2


class OutError(Told):
    """What was made could not be written; one line that says where and why, and what is kept."""


def ended(do: Callable[[], int], name: str, words: Sequence[str]) -> int:
    """What a command does, and its exit code: 0, 1 where something failed, 2 where it was asked wrongly, 3 out of time.

    It is 130 where the command was stopped by Ctrl-C, and 143 by SIGTERM, as shells have it.

    Args:
        do: gives the exit code where nothing went wrong.
        name: of the command, at the head of its line.
        words: that were typed after it.
    """
    try:
        refuse_repeated(words)
        return printing(do)
    except Told as told:
        return complain(name, told, told.code)
    except BrokenPipeError:  # who read the output has enough, as `head` has
        return 1
    except KeyboardInterrupt:
        return stopped(name)
    except Terminated:
        return stopped(name, signal.SIGTERM)


def stopped(name: str, by: int = signal.SIGINT) -> int:
    """What a command says that Ctrl-C, or another signal, has ended, and its exit code."""
    return complain(name, "stopped; finished groups are kept: the same command goes on.", 128 + by)


@contextmanager
def importing() -> Iterator[None]:
    """What a command's file imports within: a library that is missing, or Ctrl-C, ends it as later, in one line.

    Raises:
        SystemExit: either is so.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if str(error.name).split(".")[0] in ("impl", "properties", "experiments"):
            raise
        where = "`make report` installs what is needed into .venv (README.md: also without make)"
        line = f"{sys.executable} has no module {error.name!r}. {where}; then type .venv/bin/python."
        sys.exit(complain("experiments", line, UsageError.code))
    except KeyboardInterrupt:
        sys.exit(stopped("experiments"))


class Terminated(BaseException):
    """SIGTERM has come; as KeyboardInterrupt, no error of what was being done."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends what is done within in good order, as Ctrl-C does; see `ended`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: Any) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def complain(name: str, problem: object, code: int) -> int:
    """One line on the standard error stream."""
    tell(f"{name}: {problem}")
    return code


def tell(line: str) -> None:
    """A line on the standard error stream; where none can be written, it is lost and nothing else is."""
    if sys.stderr is not None:  # it is None where it was closed from the start, and print would take the other stream
        with suppress(*UNHEARD):
            print(line, file=sys.stderr, flush=True)


class Printed:
    """The standard output stream, which says in one line that it cannot be written: to a full disk, say."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        """All else is as the stream has it."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes, or raises OutError; BrokenPipeError where the reader has gone."""
        with written():
            return self._stream.write(text)

    def flush(self) -> None:
        """As `write`."""
        with written():
            self._stream.flush()


@contextmanager
def written() -> Iterator[None]:
    """Says in one line why nothing could be printed; what is left of it goes nowhere, also at the process's end.

    Raises:
        OutError: the disk is full, or fails.
        BrokenPipeError: the reader has gone.
    """
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
        if isinstance(error, BrokenPipeError):
            raise
        raise OutError(f"the output could not be printed ({error.strerror or error}); what was kept stays.") from error


def printing(do: Callable[[], int]) -> int:
    """What a command does, and its exit code, once all that it printed is written; see `written`."""
    if sys.stdout is None:  # closed from the start
        return do()
    with redirect_stdout(Printed(sys.stdout)) as printed:
        code = do()
        printed.flush()
    return code


def refuse_repeated(words: Sequence[str]) -> None:
    """Refuses an option that is given twice: the parser would take the last one and lose the others.

    Raises:
        UsageError: one is.
    """
    options = Counter(word.split("=")[0] for word in words if word.startswith("--"))
    for option, times in options.items():
        if times > 1:
            raise UsageError(f"{option} must be given once, all its values after it; got it {times} times.")


@contextmanager
def writing(out: Path, kept: str, what: str = "report") -> Iterator[None]:
    """Says in one line why a file, or the reports' folder, could not be written; an older report is whole then.

    Raises:
        OutError: the disk is full, or fails.
    """
    try:
        yield
    except OSError as error:
        raise OutError(f"no {what} could be written to {out} ({error.strerror or error}); {kept}.") from error
