"""Running a sweep: any executor, killed or not, gives the same results, and nothing finished is computed again."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import replace
from multiprocessing.queues import Queue
from pathlib import Path

import pytest

from experiments import claims
from experiments.harness import progress, provenance, run
from experiments.harness import workers as processes
from experiments.harness.executor import Died, InProcess, Outcome, Unusable, place
from experiments.harness.store import Store
from experiments.harness.toy.testing import GROUPS, alive, begun, in_process, many, nothing, pids, wait_for
from experiments.harness.workers import Workers
from properties.record import Record

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Where the toy experiment writes what it begins and ends."""
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.fixture(params=["in process", "two workers"])
def executor(request):
    """Each executor there is."""
    made = InProcess() if request.param == "in process" else Workers(2)
    yield made
    made.close()


def test_every_executor_gives_the_same_records(tmp_path, executor):
    """Where a group ran does not show: same bits, same order."""
    with Store(tmp_path / "s.sqlite") as store:
        assert run.compute(GROUPS, store, executor, quiet=True) == len(GROUPS)
        got = store.records(GROUPS)
        assert all(store.facts(group)["threads"] == 1 for group in GROUPS)
    assert got == in_process(GROUPS)


def test_what_the_store_has_is_not_computed_again(tmp_path, log):
    """The second run begins only the groups that the first did not have."""
    with Store(tmp_path / "s.sqlite") as store:
        assert run.compute(GROUPS[:5], store, InProcess(), quiet=True) == 5
        assert run.compute(GROUPS, store, InProcess(), quiet=True) == len(GROUPS) - 5
        assert run.compute(GROUPS, store, InProcess(), quiet=True) == 0
    assert sorted(begun(log)) == sorted(group.setting for group in GROUPS)


def test_a_group_asked_for_twice_is_computed_once(tmp_path, log):
    """Two sweeps may share a group."""
    with Store(tmp_path / "s.sqlite") as store:
        run.compute([*GROUPS[:2], *GROUPS[:2]], store, InProcess(), quiet=True)
    assert len(begun(log)) == 2


RAISED = r"RuntimeError: asked to fail, at experiments/harness/toy/experiment\.py:\d+"


def test_a_group_that_fails_is_named_and_the_others_are_kept(tmp_path, executor, monkeypatch):
    """One failure costs one group; it is told where it was raised, on a worker too."""
    monkeypatch.setenv("TOY_FAILS", GROUPS[3].setting)
    failing = Workers(2) if isinstance(executor, Workers) else executor  # workers read the environment at their start
    with Store(tmp_path / "s.sqlite") as store:
        with pytest.raises(run.RunError, match=rf"terms=4 failed with {RAISED} .*missing: 1;"):
            run.compute(GROUPS, store, failing, quiet=True)
        assert len(store.finished(GROUPS)) == len(GROUPS) - 1
    failing.close() if failing is not executor else None


def test_a_worker_that_dies_costs_its_own_group_which_runs_again(tmp_path, log, monkeypatch):
    """kill -9 of one of two: nothing is lost, no other group runs twice, and the records are those of no death."""
    killer = GROUPS[7].setting
    monkeypatch.setenv("TOY_SECONDS", "0.1")
    monkeypatch.setenv("TOY_KILLS", f"{killer} 1")
    with Store(tmp_path / "s.sqlite") as store, closing(Workers(2)) as executor:
        assert run.compute(GROUPS, store, executor, quiet=True) == len(GROUPS)
        got = store.records(GROUPS)
    assert sorted(begun(log)) == sorted([*(group.setting for group in GROUPS), killer])
    assert len(pids(log)) == 3
    monkeypatch.delenv("TOY_KILLS")  # this process is no worker
    assert got == in_process(GROUPS)


@pytest.mark.parametrize("deaths", [run.DEATHS - 1, run.DEATHS])
def test_a_group_that_kills_its_worker_again_and_again_is_given_up_and_named(tmp_path, log, monkeypatch, deaths):
    """All others are computed, then one line says which killed and how often; a group that lives in time is kept."""
    monkeypatch.setenv("TOY_KILLS", f"{GROUPS[3].setting} {deaths}")
    executor = Workers(2)
    with Store(tmp_path / "s.sqlite") as store, closing(executor):
        if deaths < run.DEATHS:
            assert run.compute(GROUPS, store, executor, quiet=True) == len(GROUPS)
        else:
            with pytest.raises(run.RunError) as stop:
                run.compute(GROUPS, store, executor, quiet=True)
            assert str(stop.value).startswith("harness.toy sum/terms=4 killed its worker 3 times (groups missing: 1;")
        assert len(store.finished(GROUPS)) == len(GROUPS) - (deaths >= run.DEATHS)
    assert begun(log).count(GROUPS[3].setting) == min(run.DEATHS, deaths + 1)


def test_without_the_second_try_a_death_costs_a_group(tmp_path, log, monkeypatch):
    """The planted fault that the tests above are for: they would see it."""
    monkeypatch.setenv("TOY_KILLS", f"{GROUPS[3].setting} 1")
    monkeypatch.setattr(run, "DEATHS", 1)
    with Store(tmp_path / "s.sqlite") as store, closing(Workers(2)) as executor:
        with pytest.raises(run.RunError, match=r"terms=4 killed its worker 1 times \(groups missing: 1"):
            run.compute(GROUPS[2:5], store, executor, quiet=True)
        assert store.finished(GROUPS) == {GROUPS[2].key, GROUPS[4].key}


class Fails(InProcess):
    """Every group fails with what `error` gives."""

    def __init__(self, error):
        self.begun, self._error = [], error

    def run(self, group, checkpoint):
        """See Executor."""
        self.begun.append(group)
        future = Future()
        future.set_exception(self._error())
        return future


def test_workers_that_die_whatever_they_run_end_the_run(tmp_path):
    """No group is at fault then, and a sweep of hundreds is not tried three times to its end."""
    groups, dies = many(60), Fails(Died)
    with Store(tmp_path / "s.sqlite") as store, pytest.raises(run.RunError, match="20 workers died before any group"):
        run.compute(groups, store, dies, quiet=True)
    assert len(dies.begun) == run.HOPELESS


def test_an_executor_that_can_run_nothing_more_ends_the_run(tmp_path):
    """Its reason is the line, and nothing further is handed to it."""
    gone = Fails(lambda: Unusable("the cluster has gone"))
    with (
        Store(tmp_path / "s.sqlite") as store,
        pytest.raises(run.RunError, match=r"^the cluster .*missing: 12;"),
    ):
        run.compute(GROUPS, store, gone, quiet=True)
    assert len(gone.begun) == 1


def test_of_many_lost_groups_the_first_are_named():
    """The line stays one that can be read, also where an error has several."""
    losses = run.Losses(9)
    losses.missing -= 1
    for group in GROUPS[:7]:
        assert not losses.runs_again(group, Died(4))
    assert not losses.runs_again(GROUPS[7], ValueError("two\nlines"))
    losses.runs_again(GROUPS[8], ValueError("another"))
    assert "two lines; 1 more group failed; harness.toy sum/terms=1 killed" in losses.line()
    losses.runs_again(GROUPS[9], ValueError("a third"))
    line = losses.line()
    assert line.count("killed its worker 4 times") == run.NAMED and "; 2 more groups did so (groups missing: 8;" in line
    assert line.startswith("harness.toy sum/terms=8 failed with ValueError: two lines; 2 more groups failed; harness")


def test_what_runs_when_workers_are_closed_is_given_up(log, monkeypatch):
    """A full disk or Ctrl-C must not wait for groups that have hours to go."""
    monkeypatch.setenv("TOY_SECONDS", "100")
    with closing(Workers(2)) as workers:
        futures = [workers.run(group, nothing) for group in GROUPS[:2]]
        wait_for(lambda: len(begun(log)) == 2, None)
        start = time.monotonic()
    assert time.monotonic() - start < 20 and all(isinstance(f.exception(timeout=20), Died) for f in futures)
    wait_for(lambda: not any(alive(pid) for pid in pids(log)), None)


@pytest.mark.usefixtures("hears_signals")
def test_workers_do_not_hear_ctrl_c_even_in_their_start(log, monkeypatch):
    """The terminal sends it to all: the driver alone says so, in a line, and ends them at once."""
    for count in (0, 2):  # groups that are begun: in their imports; in a group
        line = [sys.executable, "-c", INTERRUPTED]
        environment = os.environ | {"TOY_SECONDS": "100", "PYTHONPATH": str(ROOT)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(line, env=environment, start_new_session=True, **pipes) as process:
            process.stdout.readline()
            time.sleep(0.2)
            wait_for(lambda: len(begun(log)) == count, process)  # noqa: B023
            os.killpg(process.pid, signal.SIGINT)
            said = process.communicate(timeout=30)
        assert process.returncode == 130 and said[1] == "stopped\n"


INTERRUPTED = """
import sys
from contextlib import closing, contextmanager
from experiments.harness.toy.testing import GROUPS, nothing
from experiments.harness.workers import Workers
if __name__ == "__main__":
    try:
        with closing(Workers(2)) as workers:
            futures = [workers.run(group, nothing) for group in GROUPS[:2]]
            print("begun", flush=True)
            [future.result() for future in futures]
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
"""


def die_within_a_result():
    """On a worker: killed while it sends what a group gave, half of it sent."""
    frame = sys._getframe()
    while "result_queue" not in frame.f_locals:
        frame = frame.f_back
    writer = frame.f_locals["result_queue"]._writer
    os.write(writer.fileno(), struct.pack("!i", 10_000) + bytes(100))
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_within_its_result_has_died(monkeypatch):
    """Nobody waits for the other half."""
    worker = processes.Worker(1)
    monkeypatch.setattr(processes, "_compute_on_worker", dies_within_its_result)
    future = worker.run(GROUPS[0], nothing)
    assert isinstance(future.exception(timeout=60), Died)
    worker.close()


def dies_within_its_result(group):
    """In place of what a worker does with a group."""
    die_within_a_result()


def test_an_error_that_cannot_travel_is_told_and_is_no_death():
    """Python would end the pool over it, and three workers would be mourned; where it was raised travels with it."""

    class Odd(Exception):
        def __init__(self, a, b):
            super().__init__(f"{a} {b}")

    assert str(processes.portable(Odd(1, 2))) == "Odd: 1 2" and type(processes.portable(ValueError("x"))) is ValueError
    for error in (Odd(1, 2), ValueError("x")):
        error.add_note("at a:1")
        assert processes.portable(error).__notes__ == ["at a:1"]


def test_an_error_is_told_with_the_last_line_of_our_own_code():
    """Not with one of a package that it was raised in, nor with others' notes."""
    try:
        GROUPS[0].each("sum", 0, range(99))  # NumPy refuses it
    except ValueError as error:
        error.add_note("a note of NumPy's")
        error.add_note(place(error.__traceback__))
        found = run.said(error)
    assert re.fullmatch(r"ValueError: .*, at experiments/harness/sweep\.py:\d+", found.replace("\n", " "))


def test_where_no_process_can_be_started_the_run_ends_in_a_line(tmp_path, monkeypatch):
    """Too many files, too many processes: with advice, and not in a traceback."""

    def refused(self):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(processes.Worker, "_open", refused)
    assert_ends_with_advice(tmp_path, "Too many open files")


@contextmanager
def at_most(seconds):
    """Fails what takes longer, as a run that waits for a thread that never began would: for ever."""

    def over(*_):
        pytest.fail(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def refused(monkeypatch):
    """Lets so many threads be started, and no other."""

    def after(count):
        real, started = threading.Thread.start, []

        def start(thread):
            if len(started) == count:
                raise RuntimeError("can't start new thread")
            started.append(thread)
            real(thread)

        monkeypatch.setattr(threading.Thread, "start", start)
        return started

    monkeypatch.setattr(progress.tqdm, "monitor_interval", 0)  # the bar's own thread, which it can do without
    return after


@pytest.mark.parametrize("count", range(6))
def test_where_no_thread_can_be_started_the_run_ends_in_the_same_line(tmp_path, refused, count):
    """A worker's listener or its pool's threads, of the first or the second worker; no process or thread is left."""
    before, started = threading.active_count(), refused(count)
    with at_most(20):
        assert_ends_with_advice(tmp_path, "can't start new thread")
    assert len(started) == count
    wait_for(lambda: not multiprocessing.active_children() and threading.active_count() == before, None)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_is_started_too_late_is_noticed(tmp_path, refused, monkeypatch):
    """By the limit above: the pool's own thread ends where it is refused one, and the run waits for it."""
    real, asked = Queue._start_thread, []
    monkeypatch.setattr(Queue, "_start_thread", lambda queue: real(queue) if queue in asked else asked.append(queue))
    refused(2)
    with pytest.raises(pytest.fail.Exception, match="not done in 5 s"), at_most(5):
        assert_ends_with_advice(tmp_path, "can't start new thread")
    wait_for(lambda: not multiprocessing.active_children(), None)


def assert_ends_with_advice(folder, why):
    """Asserts that a run on two workers gives the reason, says what to do, and closes."""
    told = rf"^no process can be started \({why}\); give fewer --workers \(groups missing"
    with (
        Store(folder / "s.sqlite") as store,
        closing(Workers(2)) as executor,
        pytest.raises(run.RunError, match=told),
    ):
        run.compute(GROUPS, store, executor, quiet=True)


def test_no_more_workers_are_made_than_groups_are_at_work(tmp_path):
    """However many are allowed: a million of them would take seconds, and a hundred million would never be there."""
    with Store(tmp_path / "s.sqlite") as store, closing(Workers(10**6)) as executor:
        assert executor._workers == [] and run.compute(GROUPS[:2], store, executor, quiet=True) == 2
        assert 1 <= len(executor._workers) <= 2


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("I/O operation on closed file")])
def test_a_bar_that_cannot_be_written_costs_no_group(tmp_path, monkeypatch, error):
    """A full disk under the log, a closed pipe, a closed stderr: the store may be elsewhere."""

    def full(self, n=1):
        raise error

    monkeypatch.setattr(progress.tqdm, "update", full)
    with Store(tmp_path / "s.sqlite") as store, closing(InProcess()) as executor:
        assert run.compute(GROUPS[:3], store, executor) == 3


def test_a_checkpoint_that_raises_costs_no_group(log):
    """Neither its own nor the next ones on the same worker, whose marks still arrive."""
    seen = []

    def raises(done, total):
        seen.append((done, total))
        raise ZeroDivisionError

    with closing(Workers(1)) as workers:
        got = [r for group in GROUPS[:3] for r in run.stamped(workers.run(group, raises).result(60).records)]
        wait_for(lambda: seen.count((10, 10)) == 3, None)
    assert len(pids(log)) == 1 and got == in_process(GROUPS[:3])


def die_within_a_mark():
    """On a worker: killed when half a mark is sent."""
    os.write(processes._marks.fileno(), bytes(3))
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_within_a_mark_does_not_keep_the_run_from_ending():
    """Nobody waits for the rest of what it sent."""
    workers = Workers(2)
    workers._workers.append(processes.Worker(1))
    with pytest.raises(BrokenProcessPool):
        workers._workers[0]._open().submit(die_within_a_mark).result(timeout=60)
    ending = threading.Thread(target=workers.close, daemon=True)
    ending.start()
    ending.join(timeout=60)
    assert not ending.is_alive()


def test_the_device_is_that_of_the_process_that_computed(tmp_path, monkeypatch):
    """A worker's machine may be another than the driver's, and the facts beside the results name the worker's."""
    monkeypatch.setattr(provenance, "processor", lambda: "the driver's")
    with Store(tmp_path / "s.sqlite") as store, closing(Workers(1)) as executor:
        run.compute(GROUPS[:1], store, executor, quiet=True)
        run.compute(GROUPS[1:2], store, InProcess(), quiet=True)
        there, here = (store.facts(group)["device"] for group in GROUPS[:2])
    assert here == "cpu: the driver's" and there.startswith("cpu: ") and there != here


def test_records_are_stamped_with_the_rules_that_read_them(tmp_path):
    """The harness puts the hash of a claim's rule on a record when it is stored."""

    class Says(InProcess):
        def run(self, group, checkpoint):
            future = Future()
            record = Record("gradient_flow", "lstm/start=torch", 0, "N15", 0, 1.0)
            future.set_result(Outcome([record, record._replace(metric="of no claim")], 0.0, "cpu", {}))
            return future

    with Store(tmp_path / "s.sqlite") as store:
        run.compute(GROUPS[:1], store, Says(), quiet=True)
        first, second = store.records(GROUPS[:1])
    assert claims.CLAIMS["N15"].hash in first.rule.split("+") and second.rule == ""


def test_the_bar_counts_predicted_cost_and_ends_full():
    """Progress is the share of core-seconds; a group that stops early is counted whole at the end."""
    groups = [replace(group, cost=cost) for group, cost in zip(GROUPS[:2], (3.0, 1.0), strict=True)]
    with run.Bar(groups, quiet=False) as bar:
        bar.checkpoint(groups[0])(1, 2)
        assert bar._bar.n == pytest.approx(1.5)
        bar.checkpoint(groups[0])(2, 2)
        bar.checkpoint(groups[1])(1, 10)
        assert bar._bar.n == pytest.approx(3.1)
    assert bar._bar.n == pytest.approx(4.0)


def test_a_group_that_runs_again_does_not_count_twice():
    """The bar stands until it is as far as it was when the worker died."""
    group, seen = replace(GROUPS[0], cost=4.0), []
    with run.Bar([group], quiet=False) as bar:
        for done in (1, 3, 1, 2, 3, 4):
            bar.checkpoint(group)(done, 4)
            seen.append(bar._bar.n)
    assert seen == [1, 3, 3, 3, 3, 4]
