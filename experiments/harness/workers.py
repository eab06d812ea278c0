"""Groups on processes of this machine, each with a pool and a pipe of its own: a death costs one group's work alone."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from experiments.harness.engine import cores
from experiments.harness.executor import Checkpoint, Died, Outcome, Unusable, compute, seldom
from experiments.harness.sweep import Group


class Workers:
    """Runs groups on at most `slots` processes, begun as they are needed; they end when this one does, also killed."""

    def __init__(self, slots: int) -> None:
        self.slots, self._threads = slots, max(1, cores() // slots)
        more_files()
        self._workers: list[Worker] = []

    def run(self, group: Group, checkpoint: Checkpoint) -> Future[Outcome]:
        """See Executor. What a checkpoint raises is dropped: progress is only progress, and no result depends on it."""
        idle = next((worker for worker in self._workers if not worker.waiting()), None)
        if idle is None and len(self._workers) < self.slots:
            idle = Worker(self._threads)
            self._workers.append(idle)
        return (idle or min(self._workers, key=Worker.waiting)).run(group, checkpoint)

    def close(self) -> None:
        """See Executor."""
        try:
            with ThreadPoolExecutor(self.slots) as at_once:
                list(at_once.map(Worker.close, self._workers))
        except RuntimeError:  # no thread can be started: one after another
            for worker in self._workers:
                worker.close()


class Worker:
    """One process, which runs groups in turn; when it has died, the next group begins a fresh one.

    A pool of one: nothing is shared with other workers, so that no death leaves a lock behind that they wait for.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._checkpoints = dict[str, Checkpoint]()
        self._given: list[Future[Outcome]] = []
        self._pool: ProcessPoolExecutor | None = None

    def waiting(self) -> int:
        """How many groups it has not done yet."""
        self._given = [future for future in self._given if not future.done()]
        return len(self._given)

    def run(self, group: Group, checkpoint: Checkpoint) -> Future[Outcome]:
        """See Executor."""
        self._checkpoints[group.key] = checkpoint
        future: Future[Outcome] = Future()
        self._given.append(future)
        try:
            self._submit(group).add_done_callback(partial(pass_on, future))
        except (OSError, RuntimeError) as error:  # the latter where the machine has no thread left
            why = f"no process can be started ({getattr(error, 'strerror', None) or error}); give fewer --workers"
            future.set_exception(Unusable(why))
            self.close()  # half begun, it would take the next group and never run it
        return future

    def _submit(self, group: Group) -> Future[Outcome]:
        """Hands a group to the process, or to a fresh one where that has died."""
        with uninterrupted():
            try:
                ran = (self._pool or self._open()).submit(_compute_on_worker, group)
            except BrokenProcessPool:
                self.close()
                ran = self._open().submit(_compute_on_worker, group)
        # Its end is the process's alone: then half a result, of one that was killed as it sent it, is an end too. A
        # pool of one never begins a second process, which would need this end.
        self._pool._result_queue._writer.close()
        return ran

    def _open(self) -> ProcessPoolExecutor:
        """The process itself begins with its first group."""
        spawn = multiprocessing.get_context("spawn")
        reader, marks = spawn.Pipe(duplex=False)
        pool = ProcessPoolExecutor(1, spawn, _begin, (marks, self._threads))
        listener = threading.Thread(target=self._listen, args=(reader,), daemon=True)
        listener.start()
        self._pool, self._listener, self._marks = pool, listener, marks
        # The pool would start this thread later, from one that would end where it is refused: nobody would hear of it.
        pool._call_queue._start_thread()
        return pool

    def close(self) -> None:
        """See Executor. What still runs may have hours to go, so its process is ended and not waited for.

        A process that was killed may have sent half a mark; so the listener is not told to end through the pipe: with
        the process gone, closing this end is the end of the pipe.
        """
        if self._pool is None:
            return
        processes = list((self._pool._processes or {}).values())
        if self.waiting():
            terminate(processes)
        calls = self._pool._call_queue
        try:
            self._pool.shutdown(wait=True, cancel_futures=True)
        except RuntimeError:  # its thread could not be started: the process has had no group
            terminate(processes)
        calls.close()  # where the pool's own thread was never there to do it
        calls.join_thread()
        self._pool = None
        self._marks.close()
        self._listener.join()

    def _listen(self, reader: Connection) -> None:
        """Hands marks on; a checkpoint that raises costs neither its own group nor those after it."""
        with reader:
            while True:
                try:
                    key, done, total = reader.recv()
                except (EOFError, OSError):  # the end of the pipe, between two marks or within one
                    return
                with suppress(Exception):
                    self._checkpoints[key](done, total)


def terminate(processes: Iterable[BaseProcess]) -> None:
    """Ends them at once; from Python 3.14 on a pool can: terminate_workers."""
    for process in processes:
        process.terminate()


def more_files() -> None:
    """Lets this process open as many files as it may: a worker has about ten, and limits of 1,024 and 256 are usual."""
    with suppress(ImportError, ValueError, OSError):
        resource = import_module("resource")
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A process that begins here does not hear Ctrl-C, even in its start: it is the driver that ends it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _compute_on_worker(group: Group) -> Outcome:
    try:
        return compute(group, seldom(lambda done, total: _marks.send((group.key, done, total))), _threads)
    except Exception as error:
        raise portable(error) from None


def portable(error: Exception) -> Exception:
    """The error as another process can have it: one that cannot be made again there would be taken for a death."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        told = RuntimeError(f"{type(error).__name__}: {error}")
        told.__notes__ = getattr(error, "__notes__", [])
        return told
