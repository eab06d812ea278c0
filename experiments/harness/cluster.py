"""Groups on the workers of a Dask cluster that is there already; clusters.md says how one is started.

The driver alone writes the store, each group the moment that it is done. A group has no effect but its records, so Dask
may run one again elsewhere when a worker is lost. Each brings along what the driver computes with: a worker with other
code would give other numbers under the same key, and refuses.

Source: distributed.dask.org, "Scheduling state", "Killed workers", "Publish/subscribe by events" for what is used here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple
from uuid import uuid4

from tqdm import tqdm

from experiments.harness.endings import UNHEARD, UsageError
from experiments.harness.executor import Checkpoint, Died, Outcome, Unusable, compute, seldom
from experiments.harness.listing import counted
from experiments.harness.sweep import Group, code

ANSWER = 10.0
"""Seconds within which the scheduler must answer."""
FIRST = 30.0
"""Seconds within which it must have a worker."""
DESERTED = 3600.0
"""Seconds that a run waits for a worker when all have left, as a queue's jobs do that are preempted together."""
LOOKS = 20
"""How often a scheduler's file is read that is no JSON, a tenth of a second apart."""
LOOK = 1.0
"""Seconds between two looks at who has joined and who has left."""
CODE = ("experiments/**/*.py", "impl/**/*.py", "properties/**/*.py")
PACKAGES = ("numpy", "torch")


class Origin(NamedTuple):
    """What a process computes with: the hash of this repository's code, and the versions of PACKAGES."""

    code: str
    versions: tuple[str, ...]


@cache
def origin() -> Origin:
    """That of this process, as it was when first asked for."""
    return Origin(code(*CODE), tuple(f"{name} {installed(name)}" for name in PACKAGES))


def installed(package: str) -> str:
    """Its version, or "absent"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def library() -> ModuleType:
    """dask.distributed, imported late.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return import_module("distributed")
    except ImportError as error:
        raise UsageError(f"--scheduler needs dask.distributed: pip install -e '.[cluster]' ({error}).") from error


def silence() -> None:
    """Keeps the library from logging in many lines what is said here in one."""
    for name in ("distributed", *(name for name in logging.root.manager.loggerDict if name[:12] == "distributed.")):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def address(scheduler: str) -> str:
    """That of a scheduler that is given by its address, PROTOCOL://HOST:PORT, or by the file that it writes.

    Raises:
        UsageError: it is neither.
    """
    if "://" in scheduler:
        return scheduler
    for _ in range(LOOKS):
        try:
            return str(json.loads(Path(scheduler).read_text("utf-8"))["address"])
        except OSError as error:
            why = error.strerror or error
            break
        except (ValueError, KeyError, TypeError):
            why = "no JSON with an address"
            time.sleep(0.1)  # Dask may be writing it
    raise UsageError(f"--scheduler must be tcp://HOST:PORT or a scheduler's file; got {scheduler} ({why}).")


def connected(scheduler: str) -> Any:
    """A client of a scheduler that has a worker or more, all of them with this code.

    Raises:
        UsageError: nobody answers, no worker comes, or one has other code.
    """
    distributed, where = library(), address(scheduler)
    silence()
    try:
        client = distributed.Client(where, timeout=ANSWER, set_as_default=False)
    except OSError as error:
        raise UsageError(
            f"--scheduler must be a Dask scheduler's; {where} does not answer within {ANSWER:.0f} s."
        ) from error
    except Exception as error:  # whatever the library says of a protocol that it lacks, or that lacks its settings
        said = " ".join(f"{type(error).__name__}: {error}".split())
        why = "is no address" if isinstance(error, ValueError) else f"cannot be used ({said})"
        raise UsageError(f"--scheduler must be a Dask scheduler's; {where} {why}.") from error
    try:
        client.wait_for_workers(1, timeout=FIRST)
        for worker, there in client.run(origin, on_error="return").items():
            refuse(worker, there)
    except (OSError, TimeoutError, UsageError) as error:
        with suppress(Exception):
            client.close()
        if isinstance(error, UsageError):
            raise
        late = isinstance(error, TimeoutError)
        without = f"none has come to {where} within {FIRST:.0f} s" if late else f"{where} does not answer any more"
        raise UsageError(f"--scheduler must have workers; {without}.") from error
    return client


def refuse(worker: str, there: Origin | Exception) -> None:
    """Refuses a worker that cannot compute what this process would.

    Args:
        there: its origin, or what asking for it has raised.
    Raises:
        UsageError: it has other code or none.
    """
    if isinstance(there, OSError):  # it has left meanwhile
        return
    if isinstance(there, Exception):
        raise UsageError(f"the worker {worker} cannot run this code: {type(there).__name__}: {there}.")
    if there.code != origin().code:
        raise UsageError(other_code(worker, there, origin()))


def other_code(worker: str, there: Origin, wanted: Origin) -> str:
    """Names the worker and both hashes."""
    return (
        f"the worker {worker} has code {there.code}, this command {wanted.code}: they must be the same files, since "
        "other code gives other numbers; bring it up to date and start it again."
    )


class Cluster:
    """Runs groups on the workers of a cluster, one at a time on each; it stays when this ends.

    Args:
        scheduler: its address or the path of its file.
    Raises:
        UsageError: it cannot be used.
    """

    def __init__(self, scheduler: str) -> None:
        self._client = connected(scheduler)
        self._checkpoints = dict[str, Checkpoint]()
        self._tasks = dict[Future[Outcome], Any]()
        self._said = set[str]()
        self._end = f"the scheduler {self._client.scheduler.address} does not answer any more"
        self._topic = f"rnn-twins-{uuid4().hex}"
        self._client.subscribe_topic(self._topic, self._hear)
        self.slots = max(len(self._client.nthreads()), 1)
        self._watch = self._begin(self._look())

    def run(self, group: Group, checkpoint: Checkpoint) -> Future[Outcome]:
        """See Executor. When a worker dies, Dask itself runs its group again; by default it gives up after four."""
        if self._client.status != "running":
            lost: Future[Outcome] = Future()
            lost.set_exception(Unusable(self._end))
            return lost
        self._checkpoints[group.key] = checkpoint
        key = f"{group.experiment}-{uuid4().hex}"  # its own: what another run asks for, or asked for before, is not it
        task = self._client.submit(on_worker, group, origin(), self._topic, key=key, pure=False)
        future = self._begin(self._outcome(task))
        self._tasks[future] = task
        future.add_done_callback(self._tasks.pop)
        return future

    def close(self) -> None:
        """See Executor. Workers give up its groups at their next checkpoint."""
        self._watch.cancel()
        self._client.close()

    def _begin(self, routine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Runs it beside this thread, where the client's messages are heard."""
        return asyncio.run_coroutine_threadsafe(routine, self._client.loop.asyncio_loop)

    async def _outcome(self, task: Any) -> Outcome:
        """A task's result, its errors in the executors' terms."""
        try:
            return await self._client.gather(task, asynchronous=True)
        except library().KilledWorker as error:
            raise Died(error.allowed_failures + 1) from error
        except (Exception, CancelledError, asyncio.CancelledError) as error:
            if task.status == "error":
                raise
            raise Unusable(self._end) from error

    async def _look(self) -> None:
        """Follows who joins and who leaves; when all have left for long, nothing is waited for any more."""
        last = time.monotonic()
        while True:
            await asyncio.sleep(LOOK)
            try:
                count = len(await self._client.nthreads())
            except OSError:  # the scheduler: its tasks know
                continue
            self.slots = max(count, 1)
            last = time.monotonic() if count else last
            deserted = f"no worker is left: waiting for one, up to {counted(round(DESERTED / 60), 'minute')}"
            self._said.discard(deserted) if count else self._say(deserted)
            if time.monotonic() - last > DESERTED:
                self._end = f"no worker has come for {DESERTED:.0f} s after all had left"
                await self._client.cancel(list(self._tasks.values()))

    def _hear(self, event: tuple[float, Any]) -> None:
        """What a worker says: a line, or how far a group is."""
        if isinstance(event[1], str):
            self._say(event[1])
        else:
            key, done, total = event[1]
            with suppress(Exception):  # it only tells of progress
                self._checkpoints[key](done, total)

    def _say(self, line: str) -> None:
        """A line beside the bar, once; that no worker is left, once for each time that all have left."""
        if line not in self._said:
            self._said.add(line)
            if sys.stderr is not None:
                with suppress(*UNHEARD):
                    tqdm.write(f"cluster: {line}", file=sys.stderr)


class Abandoned(Exception):
    """Nobody waits for this group any more."""


_alone = threading.Lock()


def on_worker(group: Group, wanted: Origin, topic: str) -> Outcome:
    """Runs a group on a worker, with as many threads for its engine as the worker was given.

    One at a time in a process, since limits of threads and the engine's number of them hold for all of it.

    Raises:
        Unusable: this process has other code than the one that asks.
    """
    worker = library().get_worker()
    key, here = worker.get_current_task(), origin()
    if here.code != wanted.code:
        raise Unusable(other_code(worker.address, here, wanted))
    if here.versions != wanted.versions:
        versions = f"{', '.join(here.versions)}, this command {', '.join(wanted.versions)}"
        worker.log_event(topic, f"the worker {worker.address} has {versions}: their last digits may differ")

    def send(done: int, total: int) -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise Abandoned
        worker.log_event(topic, (group.key, done, total))

    with _alone:
        return compute(group, seldom(send), worker.state.nthreads)
