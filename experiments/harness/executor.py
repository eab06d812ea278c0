"""Where groups run: in this process, on worker processes (workers.py), or on a cluster (cluster.py).

One interface: `run(group, checkpoint)` gives a future. Every group runs with one thread in its numerical libraries,
wherever it runs, so that its bits do not depend on the executor. An engine that divides a group among threads has as
many as there are cores for each group; no bit depends on their number. Whether a group whose process died runs again
is not decided here, but once for all executors: in run.py.
"""

from __future__ import annotations

import ctypes
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from threadpoolctl import threadpool_limits

from experiments.harness import engine, provenance
from experiments.harness.endings import UsageError
from experiments.harness.sweep import ROOT, Group
from properties.record import Record

THREADS = 1
OURS = tuple(ROOT / package for package in ("experiments", "impl", "properties"))
"""Where our own code lies; what is installed may lie beside it."""
AT = "at "
"""How the note of an error begins that says where it was raised."""
SELDOM = 0.2
"""Seconds between two checkpoints that a process sends to another one."""
Checkpoint = Callable[[int, int], None]


class Died(Exception):
    """The process that ran a group died before the group's end, or so many in turn did; others are not concerned."""

    def __init__(self, times: int = 1) -> None:
        super().__init__(f"its worker died {times} times")
        self.times = times


class Unusable(Exception):
    """No group can be handed to this executor any more; one line that says why. Those that run may still end."""


class Outcome(NamedTuple):
    """A group's records, the seconds that the group took, what computed it, and in which versions."""

    records: list[Record]
    seconds: float
    device: str
    versions: dict[str, str]


class Executor(Protocol):
    """What runs groups.

    Attributes:
        slots: how many groups it can run at once, 1 or more; handing it more would only queue them. It may change.
    """

    slots: int

    def run(self, group: Group, checkpoint: Checkpoint) -> Future[Outcome]:
        """Runs a group; `checkpoint(done, total)` is called in this process now and then, from any thread, and must not
        raise: it only tells of progress.

        The future's exception is Died, Unusable, or what the group itself raised.
        """

    def close(self) -> None:
        """Ends it, once or again; what still runs is given up."""


def compute(group: Group, checkpoint: Checkpoint, threads: int = 1) -> Outcome:
    """Runs a group here and now; its engine may have so many threads, its numerical libraries have one.

    What it raises has a note that says where: the traceback itself does not leave the process.
    """
    keep_buffers()
    start = time.perf_counter()
    try:
        with threadpool_limits(THREADS), engine.threads(threads):
            records = list(import_module(f"experiments.{group.experiment}.experiment").run(group, checkpoint))
    except Exception as error:
        error.add_note(place(error.__traceback__))
        raise
    seconds = time.perf_counter() - start
    return Outcome(records, seconds, *provenance.origin(group))


def place(passed: TracebackType | None) -> str:
    """The last line of our own code that an error has passed, as "at FILE:LINE"; at least this module's own."""
    ours = [f for f in traceback.extract_tb(passed) if any(map(Path(f.filename).is_relative_to, OURS))]
    return f"{AT}{Path(ours[-1].filename).relative_to(ROOT).as_posix()}:{ours[-1].lineno}"


def keep_buffers() -> None:
    """Lets the C library keep freed memory: else each update gives its arrays back and is handed fresh, empty pages.

    A quarter of an RNN's time on Linux with glibc; elsewhere nothing is done. No number depends on it.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        trim_threshold, mmap_threshold = -1, -3
        libc.mallopt(mmap_threshold, 2**30)
        libc.mallopt(trim_threshold, 2**30)


def seldom(send: Checkpoint) -> Checkpoint:
    """A checkpoint that is sent at most every SELDOM seconds, and at the end."""
    last = 0.0

    def checkpoint(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > SELDOM:
            last = time.monotonic()
            send(done, total)

    return checkpoint


class InProcess:
    """Runs each group at once in this process; `run` returns when it is done."""

    slots = 1

    def run(self, group: Group, checkpoint: Checkpoint) -> Future[Outcome]:
        """See Executor."""
        future: Future[Outcome] = Future()
        try:
            future.set_result(compute(group, checkpoint, engine.cores()))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """See Executor."""


@contextmanager
def on(workers: int, scheduler: str | None = None) -> Iterator[Executor]:
    """What runs groups; it ends with the block, but a cluster stays.

    Args:
        workers: processes of this machine; 0 is this process.
        scheduler: of a Dask cluster, whose workers are taken instead: its address, or the path of its file.
    Raises:
        UsageError: fewer than 0, there is no such cluster, or its workers cannot run this code.
    """
    refuse_negative(workers)
    executor = chosen(workers, scheduler)
    try:
        yield executor
    finally:
        executor.close()


def refuse_negative(workers: int) -> None:
    """Refuses a number of workers that would leave every group waiting.

    Raises:
        UsageError: there are fewer than 0.
    """
    if workers < 0:
        raise UsageError(f"--workers must be 0 or more; got {workers}.")


def chosen(workers: int, scheduler: str | None) -> Executor:
    """See `on`; what is not asked for is not imported."""
    if scheduler is not None:
        return import_module("experiments.harness.cluster").Cluster(scheduler)
    return import_module("experiments.harness.workers").Workers(workers) if workers else InProcess()
