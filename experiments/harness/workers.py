"""Groups on processes of this machine, each with a pool and a pipe of its own: a death costs one group's work alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection

from experiments.harness.executor import Checkpoint, Died, Outcome, compute, seldom
from experiments.harness.sweep import Group

START = 60.0
"""Seconds that a process has for its start before nobody asks for its number any more."""


class Workers:
    """Runs groups on `slots` processes; they end when this process does, even if it is killed."""

    def __init__(self, slots: int) -> None:
        self.slots, threads = slots, max(1, (os.cpu_count() or 1) // slots)
        self._workers = [Worker(threads) for _ in range(slots)]

    def run(self, group: Group, checkpoint: Checkpoint) -> Future[Outcome]:
        """See Executor."""
        return min(self._workers, key=Worker.waiting).run(group, checkpoint)

    def close(self) -> None:
        """See Executor."""
        with ThreadPoolExecutor(self.slots) as at_once:
            list(at_once.map(Worker.close, self._workers))


class Worker:
    """One process, which runs groups in turn; when it has died, the next group begins a fresh one.

    A pool of one: nothing is shared with other workers, so that no death leaves a lock behind that they wait for.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._checkpoints = dict[str, Checkpoint]()
        self._given: list[Future[Outcome]] = []
        self._open()

    def waiting(self) -> int:
        """How many groups it has not done yet."""
        self._given = [future for future in self._given if not future.done()]
        return len(self._given)

    def run(self, group: Group, checkpoint: Checkpoint) -> Future[Outcome]:
        """See Executor."""
        self._checkpoints[group.key] = checkpoint
        try:
            ran = self._pool.submit(_compute_on_worker, group)
        except BrokenProcessPool:
            self.close()
            self._open()
            ran = self._pool.submit(_compute_on_worker, group)
        future: Future[Outcome] = Future()
        self._given.append(future)
        ran.add_done_callback(partial(pass_on, future))
        return future

    def _open(self) -> None:
        """The process itself begins with its first group."""
        spawn = multiprocessing.get_context("spawn")
        reader, self._marks = spawn.Pipe(duplex=False)
        self._pid = Future[int]()
        self._pool = ProcessPoolExecutor(1, spawn, _begin, (self._marks, self._threads))
        self._listener = threading.Thread(target=self._listen, args=(reader,), daemon=True)
        self._listener.start()

    def close(self) -> None:
        """See Executor. What still runs may have hours to go, so its process is ended and not waited for.

        A process that was killed may have sent half a mark; so the listener is not told to end through the pipe: with
        the process gone, closing this end is the end of the pipe.
        """
        if self.waiting():
            with suppress(ProcessLookupError, TimeoutError):
                os.kill(self._pid.result(timeout=START), signal.SIGTERM)
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
                if key == BEGUN:
                    self._pid.set_result(done)
                else:
                    self._checkpoints[key](done, total)


BEGUN = "begun"
"""In place of a group's key: the first message of a process, with its number."""


def pass_on(future: Future[Outcome], ran: Future[Outcome]) -> None:
    """Gives what a pool's future has to the executor's own; that the pool is broken means that the process died."""
    if ran.cancelled():
        future.cancel()
    elif isinstance(error := ran.exception(), BrokenProcessPool):
        future.set_exception(Died())
    elif error is not None:
        future.set_exception(error)
    else:
        future.set_result(ran.result())


_marks: Connection
_threads: int


def _begin(marks: Connection, threads: int) -> None:
    """A process's start: it ends with its parent, so that a killed run leaves nothing behind that computes."""
    global _marks, _threads
    _marks, _threads = marks, threads
    marks.send((BEGUN, os.getpid(), 0))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _compute_on_worker(group: Group) -> Outcome:
    return compute(group, seldom(lambda done, total: _marks.send((group.key, done, total))), _threads)
