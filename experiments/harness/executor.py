"""Where groups run: in this process, or on worker processes. One interface: `run(group, checkpoint)` gives a future.

Every group runs with one thread in its numerical libraries, wherever it runs, so that its bits do not depend on the
executor. An engine that divides a group among threads has as many as there are cores for each group; no bit depends on
their number.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock
from typing import NamedTuple, Protocol

from threadpoolctl import threadpool_limits

from experiments.harness import engine
from experiments.harness.sweep import Group
from properties.record import Record

THREADS = 1
Checkpoint = Callable[[int, int], None]


class Outcome(NamedTuple):
    """A group's records, and the seconds that the group took."""

    records: list[Record]
    seconds: float


class Executor(Protocol):
    """What runs groups.

    Attributes:
        slots: how many groups it can run at once; handing it more would only queue them.
    """

    slots: int

    def run(self, group: Group, checkpoint: Checkpoint) -> Future[Outcome]:
        """Runs a group; `checkpoint(done, total)` is called in this process now and then, from any thread."""

    def close(self) -> None:
        """Ends it; what still runs is given up."""


def compute(group: Group, checkpoint: Checkpoint, threads: int = 1) -> Outcome:
    """Runs a group here and now; its engine may have so many threads, its numerical libraries have one."""
    keep_buffers()
    start = time.perf_counter()
    with threadpool_limits(THREADS), engine.threads(threads):
        records = import_module(f"experiments.{group.experiment}.experiment").run(group, checkpoint)
    return Outcome(list(records), time.perf_counter() - start)


def keep_buffers() -> None:
    """Lets the C library keep freed memory: else each update gives its arrays back and is handed fresh, empty pages.

    A quarter of an RNN's time on Linux with glibc; elsewhere nothing is done. No number depends on it.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        trim_threshold, mmap_threshold = -1, -3
        libc.mallopt(mmap_threshold, 2**30)
        libc.mallopt(trim_threshold, 2**30)


class InProcess:
    """Runs each group at once in this process; `run` returns when it is done."""

    slots = 1

    def run(self, group: Group, checkpoint: Checkpoint) -> Future[Outcome]:
        """See Executor."""
        future: Future[Outcome] = Future()
        try:
            future.set_result(compute(group, checkpoint, os.cpu_count() or 1))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """See Executor."""


class Workers:
    """Runs groups on `slots` processes of this machine; they end when this process does, even if it is killed."""

    def __init__(self, slots: int) -> None:
        self.slots, threads = slots, max(1, (os.cpu_count() or 1) // slots)
        spawn = multiprocessing.get_context("spawn")
        reader, self._marks = spawn.Pipe(duplex=False)
        self._checkpoints = dict[str, Checkpoint]()
        self._pool = ProcessPoolExecutor(slots, spawn, _begin, (self._marks, spawn.Lock(), threads))
        self._listener = threading.Thread(target=self._listen, args=(reader,), daemon=True)
        self._listener.start()

    def run(self, group: Group, checkpoint: Checkpoint) -> Future[Outcome]:
        """See Executor."""
        self._checkpoints[group.key] = checkpoint
        try:
            return self._pool.submit(_compute_on_worker, group)
        except BrokenProcessPool as error:  # a worker died between two groups: this one fails like those that ran
            future: Future[Outcome] = Future()
            future.set_exception(error)
            return future

    def close(self) -> None:
        """See Executor.

        A worker that was killed may have held the workers' lock, or have sent half a mark; so the listener is not told
        to end through them: with the workers gone, closing this end is the end of the pipe.
        """
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._marks.close()
        self._listener.join()

    def _listen(self, reader: Connection) -> None:
        with reader:
            while True:
                try:
                    key, done, total = reader.recv()
                except (EOFError, OSError):  # the end of the pipe, between two marks or within one
                    return
                self._checkpoints[key](done, total)


@contextmanager
def on(workers: int) -> Iterator[Executor]:
    """So many worker processes, or with 0 this process; they end with the block."""
    executor = Workers(workers) if workers else InProcess()
    try:
        yield executor
    finally:
        executor.close()


_marks: Connection
_turn: Lock
_threads: int


def _begin(marks: Connection, turn: Lock, threads: int) -> None:
    """A worker's start: it ends with its parent, so that a killed run leaves nothing behind that computes."""
    global _marks, _turn, _threads
    _marks, _turn, _threads = marks, turn, threads
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _compute_on_worker(group: Group) -> Outcome:
    last = 0.0

    def checkpoint(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last > 0.2:
            last = time.monotonic()
            with _turn:
                _marks.send((group.key, done, total))

    return compute(group, checkpoint, _threads)
