"""A command for so many seconds, in a session of its own, of which nothing is left when it has ended.

Nor is when this process is told to end (TOLD). But a SIGKILL of this process leaves the command running, a SIGTSTP
stops this process and not the command, and what opens a session of its own is not found.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, NamedTuple, NoReturn

SHORT = 3.0
"""Seconds in which a command may end by itself where this process is told to end."""

TICK = 0.02
"""Seconds between two looks at a command."""

TOLD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""What tells this process to end: Ctrl-C, a manager of jobs, a terminal that is gone, Ctrl-\\."""


class Ran(NamedTuple):
    """How a command ended: its exit code, None where its time was over first; what it said, if that is kept."""

    code: int | None
    said: str


def run(
    line: Sequence[str], seconds: float, grace: float, folder: Path, environment: Mapping[str, str], kept: bool = False
) -> Ran:
    """Runs a command; it is sent SIGINT before its time is over, and then all of its session is killed.

    Args:
        line: the command's words.
        seconds: how long at most.
        grace: the seconds of these from the SIGINT on.
        folder: where it runs.
        environment: what it runs with.
        kept: whether what it says is returned; else it goes where this process's does.

    Raises:
        SystemExit: this process was told to end (TOLD), with 128 and the signal's number; the command has ended.
    """
    with told() as signals, output(kept) as out:
        streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": subprocess.STDOUT if kept else None}
        child = subprocess.Popen(
            line, cwd=folder, env=environment, start_new_session=True, pass_fds=tuple(HELD), **streams
        )
        try:
            code = ended(child, seconds - grace, grace, signals)
        finally:
            kill(child)
        said = text(out)
    if signals:  # none can come unnoticed any more: the handlers are put back
        stop(signals[0])
    return Ran(code, said)


@contextmanager
def told() -> Iterator[list[int]]:
    """The signals of TOLD that have come, whose handlers are put back afterwards.

    One that was ignored, as under nohup, stays so for this process; a command does not inherit that.
    """
    signals: list[int] = []
    before = {number: signal.getsignal(number) for number in TOLD}
    for number, handler in before.items():
        signal.signal(number, ignore if handler is signal.SIG_IGN else noting(signals))
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore(number: int, frame: FrameType | None) -> None:
    """A handler that does nothing; unlike SIG_IGN it ends with this program, so that a command has none."""


def noting(signals: list[int]) -> Callable[[int, FrameType | None], None]:
    """A handler that notes what came, and raises nothing: a command is known before it can be lost."""
    return lambda number, frame: signals.append(number)


def output(kept: bool) -> Any:
    """A context of the file that takes what a command says, or of None: unlike a pipe's, no process holds its end."""
    return tempfile.TemporaryFile() if kept else nullcontext()


def text(out: IO[bytes] | None) -> str:
    """What stands in that file."""
    if out is None:
        return ""
    out.seek(0)
    return out.read().decode("utf-8", "replace")


def ended(child: subprocess.Popen, seconds: float, grace: float, signals: Sequence[int]) -> int | None:
    """A command's exit code; None where its time was over or a signal came, and then it has been sent SIGINT."""
    wait(child, seconds, signals, 0)
    if child.poll() is not None:
        return child.returncode
    child.send_signal(signal.SIGINT)
    wait(child, min(grace, SHORT) if signals else grace, signals, len(signals))
    return None


def wait(child: subprocess.Popen, seconds: float, signals: Sequence[int], known: int) -> None:
    """Waits until a command has ended, its time is over, or another signal than those known has come."""
    until = time.monotonic() + seconds
    while child.poll() is None and time.monotonic() < until and len(signals) <= known:
        time.sleep(TICK)


def kill(child: subprocess.Popen) -> None:
    """Kills a command and all of its session, what has outlived it included."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def stop(number: int) -> NoReturn:
    """Says why this process ends, if anyone still reads it, and ends it."""
    with suppress(OSError):
        name = signal.Signals(number).name
        print(f"stopped by {name}; what is done is kept: the same command goes on.", file=sys.stderr, flush=True)
    raise SystemExit(128 + number)


HELD: set[int] = set()
"""The descriptors of the files that this process has to itself, which its commands have too."""


@contextmanager
def alone(file: Path) -> Iterator[str]:
    """Has a file, which is made, to this process and its commands; what stands in the way, in a line, or "".

    It ends with the last of these processes: a command outlives one that is killed. A file system may know no locks.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        held = file.open("ab")
    except OSError as error:
        yield f"{file} cannot be written: {error.strerror}."
        return
    with held:
        HELD.add(held.fileno())
        try:
            yield "" if locked(held) else f"another process is at work with {file}."
        finally:
            HELD.discard(held.fileno())


def locked(file: IO[bytes]) -> bool:
    """Locks a file if no other process has; true where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
