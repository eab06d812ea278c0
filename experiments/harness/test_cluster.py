"""Groups on a Dask cluster: the same results as anywhere, whoever joins, leaves or is killed."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tyro

from experiments import command
from experiments.harness import catalogue, cluster, engine, provenance, run
from experiments.harness import executor as places
from experiments.harness.cluster import Cluster, Origin, origin
from experiments.harness.endings import UsageError
from experiments.harness.executor import Unusable
from experiments.harness.store import Store
from experiments.harness.sweep import ROOT
from experiments.harness.toy import experiment
from experiments.harness.toy.testing import GROUPS, begun, ended, in_process, nothing, pids, wait_for
from experiments.harness.workers import Workers

distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed: extra cluster")


SWEEP = GROUPS[:8]


@pytest.fixture(autouse=True)
def log(tmp_path, monkeypatch):
    """Where the toy experiment writes what it begins and ends; looks at the cluster are frequent."""
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(cluster, "LOOK", 0.1)
    monkeypatch.setattr(cluster, "DESERTED", 60.0)
    return tmp_path / "log"


@pytest.fixture
def dask(tmp_path):
    """Starts a scheduler or a worker as a process that listens on this machine alone; all are killed at the end."""
    started = []

    def start(kind, *words, folder=ROOT, **environment):
        line = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", "--no-dashboard", *words]
        given = os.environ | {"PYTHONPATH": str(folder), "DASK_TEMPORARY_DIRECTORY": str(tmp_path)} | environment
        with open(tmp_path / f"{kind}-{len(started)}.txt", "w") as said:
            started.append(subprocess.Popen(line, env=given, cwd=tmp_path, stdout=said, stderr=said))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def scheduler(dask, tmp_path):
    """A real scheduler's file."""
    dask("scheduler", "--port", "0", "--scheduler-file", str(tmp_path / "scheduler.json"))
    return str(tmp_path / "scheduler.json")


@pytest.fixture
def worker(dask):
    """Starts a real worker of a scheduler, without a nanny: killed, it stays dead."""

    def start(scheduler, **others):
        where = [scheduler] if "://" in scheduler else ["--scheduler-file", scheduler]
        return dask("worker", "--nthreads", "1", "--no-nanny", *where, **others)

    return start


@pytest.fixture
def local():
    """Makes a scheduler and so many workers of so many threads in this process: for what needs no process to die."""
    made = []

    def make(workers, threads=1, protocol="inproc"):
        config = {"processes": False, "dashboard_address": ":0", "silence_logs": 50, "protocol": f"{protocol}://"}
        made.append(distributed.LocalCluster(n_workers=workers, threads_per_worker=threads, **config))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_in_process_on_workers_and_on_a_cluster_that_loses_one_the_records_are_identical(
    tmp_path, log, monkeypatch, scheduler, worker
):
    """The same sweep, to the bit; the killed worker's group alone runs twice, and what was stored is kept.

    It dies over the first group of the second run: what ends on a worker that dies before it is fetched runs again too.
    """
    killer = SWEEP[3].setting
    monkeypatch.setenv("TOY_KILLS", f"{killer} 1")
    both = [worker(scheduler) for _ in range(2)]
    wait_for(lambda: Path(scheduler).exists(), both[0])
    with Store(tmp_path / "cluster") as store, closing(Cluster(scheduler)) as executor:
        wait_for(lambda: executor.slots == 2, both[0])
        assert run.compute(SWEEP[4:], store, executor, quiet=True) == 4
        assert run.compute(SWEEP, store, executor, quiet=True) == 4
        wait_for(lambda: executor.slots == 1, None)
        on_cluster = store.records(SWEEP)
    assert sorted(begun(log)) == sorted([*(group.setting for group in SWEEP), killer])
    assert [process.poll() for process in both].count(-signal.SIGKILL) == 1
    assert pids(log) == {process.pid for process in both}
    monkeypatch.delenv("TOY_KILLS")
    with Store(tmp_path / "workers") as store, closing(Workers(2)) as executor:
        run.compute(SWEEP, store, executor, quiet=True)
        on_workers = store.records(SWEEP)
    assert on_cluster == on_workers == in_process(SWEEP)


def test_a_group_that_kills_its_workers_is_given_up_and_named(tmp_path, log, local, worker):
    """Dask itself tries again; then the sentence is that for local workers, and the last worker does all others."""
    where, killer = local(0, protocol="tcp"), GROUPS[3].setting
    where.scheduler.allowed_failures = run.DEATHS - 1
    several = [worker(where.scheduler_address, TOY_KILLS=f"{killer} 9") for _ in range(run.DEATHS + 1)]
    with Store(tmp_path / "s.sqlite") as store, closing(Cluster(where.scheduler_address)) as executor:
        wait_for(lambda: executor.slots == len(several), several[0])
        with pytest.raises(run.RunError, match=r"^harness.toy sum/terms=4 killed its worker 3 times \(.*: 1;"):
            run.compute(GROUPS, store, executor, quiet=True)
        assert len(store.finished(GROUPS)) == len(GROUPS) - 1
    assert begun(log).count(killer) == run.DEATHS == [p.poll() for p in several].count(-signal.SIGKILL)


def test_where_dask_does_not_try_again_the_run_does(tmp_path, local, monkeypatch):
    """How often a scheduler allows a death is its owner's setting: deaths are counted together."""
    tries, real = [], experiment.run

    def dies(group, checkpoint):
        tries.append(group.setting)
        if group == GROUPS[3]:
            raise distributed.KilledWorker("task", SimpleNamespace(address="x"), 0)
        return real(group, checkpoint)

    monkeypatch.setattr(experiment, "run", dies)
    executor, named = Cluster(local(1).scheduler.address), r"^harness.toy sum/terms=4 killed its worker 3 times \("
    with Store(tmp_path / "s") as store, closing(executor), pytest.raises(run.RunError, match=named):
        run.compute(GROUPS, store, executor, quiet=True)
    assert tries.count(GROUPS[3].setting) == run.DEATHS and len(tries) == len(GROUPS) + run.DEATHS - 1


def test_a_scheduler_that_is_lost_ends_the_run_in_one_line(tmp_path, log, monkeypatch, dask, scheduler, worker):
    """At once, with what is finished kept; nobody waits for a scheduler that may come back without its tasks."""
    first = worker(scheduler, TOY_SECONDS="0.1")
    wait_for(lambda: Path(scheduler).exists(), first)
    there = json.loads(Path(scheduler).read_text())
    with Store(tmp_path / "s.sqlite") as store, closing(Cluster(scheduler)) as executor:
        pid = executor._client.run_on_scheduler(os.getpid)

        def kill(done, total):  # while the fourth group runs, or a later one
            if len(begun(log)) > 3:
                os.kill(pid, signal.SIGKILL)

        monkeypatch.setattr(run.Bar, "checkpoint", lambda bar, group: kill)
        with pytest.raises(run.RunError, match=rf"^the scheduler {there['address']} does not answer any more \(groups"):
            run.compute(GROUPS, store, executor, quiet=True)
        assert isinstance(executor.run(GROUPS[0], nothing).exception(timeout=3), Unusable)
        assert 3 <= len(store.finished(GROUPS)) <= len(set(ended(log))) < len(GROUPS)


def test_a_worker_with_other_code_is_refused_by_name_before_anything_is_computed(
    tmp_path, log, local, worker, monkeypatch, capsys
):
    """A byte more in one file: one line with both hashes, exit code 2, no store. Without the look it would pass."""
    other, where = tmp_path / "other", local(0, protocol="tcp").scheduler_address
    for path in {p for pattern in cluster.CODE for p in ROOT.glob(pattern)}:
        copy = other / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    with (other / "impl" / "draw.py").open("a") as file:
        file.write("\n")
    worker(where, folder=other)
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    assert (
        command.main(["run", "all", "--scheduler", where, "--store", str(tmp_path / "s"), "--out", str(tmp_path)]) == 2
    )
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and f"this command {origin().code}" in said and "has code " in said
    assert "the worker tcp://127.0.0.1:" in said and not (tmp_path / "s").exists() and begun(log) == []
    monkeypatch.setattr(cluster, "refuse", lambda worker, there: None)
    with Store(tmp_path / "s.sqlite") as store, closing(Cluster(where)) as executor:  # as if it had joined later
        with pytest.raises(run.RunError, match=r"^the worker tcp.* has code .*must be the same files"):
            run.compute(GROUPS, store, executor, quiet=True)
        assert begun(log) == [] and store.finished(GROUPS) == set()


def test_code_is_compared_where_a_group_runs(local):
    """The look at the start knows nothing of who joins later: each group brings the hash along."""
    where = local(1)
    for wanted, fails in ((Origin("0" * 16, ()), True), (origin(), False)):
        with distributed.Client(where) as client:
            task = client.submit(cluster.on_worker, GROUPS[0], wanted, "topic", pure=False)
            assert isinstance(task.exception(), Unusable) is fails


def test_other_versions_are_a_warning(local, tmp_path, monkeypatch, capsys):
    """NumPy's last digits may differ between versions: it is said once for each worker, and the run goes on."""
    with Store(tmp_path / "s.sqlite") as store, closing(Cluster(local(1).scheduler.address)) as executor:
        there = origin()._replace(versions=("numpy 1.0", "torch 1.0"))
        monkeypatch.setattr(executor._client, "submit", given_instead(executor._client.submit, there))
        assert run.compute(GROUPS[:3], store, executor, quiet=True) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cluster: the worker inproc://") and "this command numpy 1.0, torch 1.0: their last" in line


def given_instead(submit, wanted):
    """`submit` with another origin."""
    return lambda function, group, _, *others, **options: submit(function, group, wanted, *others, **options)


def test_a_group_that_fails_on_a_cluster_is_named_and_the_others_are_kept(local, tmp_path, monkeypatch):
    """As anywhere: an error of the group's own is no death, and is not tried again."""
    monkeypatch.setenv("TOY_FAILS", GROUPS[3].setting)
    with Store(tmp_path / "s.sqlite") as store, closing(Cluster(local(2).scheduler.address)) as executor:
        with pytest.raises(run.RunError, match=r"^harness.toy sum/terms=4 failed with RuntimeError: .*missing: 1;"):
            run.compute(GROUPS, store, executor, quiet=True)
        assert len(store.finished(GROUPS)) == len(GROUPS) - 1
        assert store.facts(GROUPS[0])["device"] == provenance.device()


def test_progress_on_a_cluster_reaches_the_bar(local, monkeypatch):
    """Checkpoints cross from the worker to the driver while the group runs, the last one too."""
    seen = []
    monkeypatch.setattr(places, "SELDOM", 60.0)  # the worker is in this process; a stall must not give a third mark
    with closing(Cluster(local(1).scheduler.address)) as executor:
        executor.run(GROUPS[0], lambda done, total: seen.append((done, total))).result(30)
        wait_for(lambda: len(seen) == 2, None)
    assert seen == [(1, 10), (10, 10)]


def test_a_checkpoint_that_raises_costs_no_group_here_either(local):
    """Its own goes on, and later marks still arrive."""
    seen = []

    def raises(done, total):
        seen.append((done, total))
        raise ZeroDivisionError

    with closing(Cluster(local(1).scheduler.address)) as executor:
        got = [r for group in GROUPS[:2] for r in run.stamped(executor.run(group, raises).result(30).records)]
        wait_for(lambda: seen.count((10, 10)) == 2, None)
    assert got == in_process(GROUPS[:2])


def test_one_group_at_a_time_runs_in_a_worker_of_several_threads(local, monkeypatch):
    """Limits of threads hold for a whole process; the worker's threads go to the engine of the one group."""
    at_once, most, threads = [], [], []
    monkeypatch.setattr(engine, "_threads", 1)  # what the planted fault leaves behind is no other test's

    def spy(group, checkpoint):
        at_once.append(group)
        most.append(len(at_once))
        threads.append(engine._threads)
        time.sleep(0.05)
        at_once.remove(group)
        return []

    monkeypatch.setattr(experiment, "run", spy)
    with closing(Cluster(local(1, threads=3).scheduler.address)) as executor:
        assert executor.slots == 1
        for future in [executor.run(group, nothing) for group in GROUPS[:4]]:
            future.result(30)
    assert most == [1, 1, 1, 1] and set(threads) == {3}
    monkeypatch.setattr(cluster, "_alone", nullcontext())  # the planted fault
    with closing(Cluster(local(1, threads=3).scheduler.address)) as executor:
        for future in [executor.run(group, nothing) for group in GROUPS[:4]]:
            future.result(30)
    assert max(most) > 1


def test_workers_that_join_are_given_groups_and_one_is_waited_for_when_all_have_left(local, tmp_path, capsys):
    """`slots` follows them, and never says that nothing can be handed over; each time that all have left is told."""
    where = local(1)
    with Store(tmp_path / "s.sqlite") as store, closing(Cluster(where.scheduler.address)) as executor:
        for count in (7, 0):
            where.scale(count)
            wait_for(lambda: executor.slots == max(count, 1), None)  # noqa: B023
        wait_for(lambda: executor._said, None)
        computing = threading.Timer(0.3, where.scale, [2])
        computing.start()
        assert run.compute(GROUPS, store, executor, quiet=True) == len(GROUPS)
        wait_for(lambda: executor.slots == 2, None)
        where.scale(0)
        wait_for(lambda: executor._said, None)
    told = "cluster: no worker is left: waiting for one, up to 1 minute"
    assert capsys.readouterr().err.splitlines() == [told, told]


def test_a_cluster_that_stays_deserted_ends_the_run(local, tmp_path, monkeypatch, capsys):
    """After DESERTED seconds in one line."""
    monkeypatch.setattr(cluster, "DESERTED", 0.5)
    where = local(1)
    with Store(tmp_path / "s.sqlite") as store, closing(Cluster(where.scheduler.address)) as executor:
        where.scale(0)
        with pytest.raises(run.RunError, match=r"^no worker has come for 0 s after all had left \(groups missing: 12;"):
            run.compute(GROUPS, store, executor, quiet=True)


def test_what_nobody_waits_for_is_given_up(local, log, monkeypatch):
    """A run that is stopped leaves no group behind that computes for hours: it ends at its next checkpoint."""
    monkeypatch.setenv("TOY_SECONDS", "5")
    where = local(1)
    with closing(Cluster(where.scheduler.address)) as executor:
        executor.run(GROUPS[0], nothing)
        wait_for(lambda: begun(log), None)
    wait_for(lambda: not cluster._alone.locked(), None)
    assert ended(log) == []


def test_a_cluster_that_cannot_be_used_is_said_in_one_line(local, tmp_path, monkeypatch, capsys):
    """No file, no JSON, nobody there, no worker, two places at once, the library missing: exit code 2, no store."""
    monkeypatch.setattr(cluster, "FIRST", 0.1)
    monkeypatch.setattr(cluster, "LOOKS", 2)
    (tmp_path / "text").write_text("tcp://127.0.0.1:9")
    (tmp_path / "list.json").write_text("[]")
    empty = local(0, protocol="tcp").scheduler_address
    wrong = {
        str(tmp_path / "no.json"): "no.json (No such file or directory)",
        str(tmp_path): "Is a directory",
        str(tmp_path / "text"): "no JSON with an address",
        str(tmp_path / "list.json"): "no JSON with an address",
        "localhost:8786": "--scheduler must be tcp://HOST:PORT or a scheduler's file; got localhost:8786",
        "tls://127.0.0.1:9": "tls://127.0.0.1:9 cannot be used (TypeError: ",
        "tcp://127.0.0.1:x": "tcp://127.0.0.1:x is no address",
        "tcp://nowhere": "tcp://nowhere is no address",
        "gopher://127.0.0.1:9": "gopher://127.0.0.1:9 is no address",
        empty: f"none has come to {empty} within 0 s",
    }
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    for given, named in wrong.items():
        assert named in complaint(capsys, tmp_path, "--scheduler", given)
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "ANSWER", 0.3)
        nobody = "tcp://127.0.0.1:9"
        assert f"{nobody} does not answer" in complaint(capsys, tmp_path, "--scheduler", nobody)
    assert "got both" in complaint(capsys, tmp_path, "--scheduler", empty, "--workers", "2")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "pip install -e '.[cluster]'" in complaint(capsys, tmp_path, "--scheduler", empty)


def complaint(capsys, folder, *words):
    """What a run says that is asked for wrongly."""
    assert command.main(["run", "all", *words, "--store", str(folder / "s.sqlite"), "--out", str(folder / "out")]) == 2
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1 and said.out == "" and not (folder / "s.sqlite").exists()
    return said.err


def test_the_command_computes_on_a_cluster_what_it_computes_here(local, tmp_path, monkeypatch, capsys):
    """Same results.csv; what another device must compute is not looked for on this machine."""
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    places = {"here": ["--workers", "0"], "there": ["--scheduler", local(2).scheduler.address]}
    for name, place in places.items():
        out = ["--store", str(tmp_path / f"{name}.sqlite"), "--out", str(tmp_path / name)]
        assert command.main(["run", "harness.toy", *place, *out]) == 0
    here, there = (tmp_path / name / "harness.toy" / "results.csv" for name in places)
    assert here.read_bytes() == there.read_bytes()
    assert [catalogue.named_engine("torch", device) for device in ("cuda:9", "cpu")] == ["torch:cuda:9", "torch"]


def test_what_a_group_keeps_has_one_place_wherever_it_runs(tmp_path, monkeypatch):
    """A worker's working folder may be another: the folder of models is named from the root."""
    monkeypatch.chdir(tmp_path)
    (group,) = command.kept(GROUPS[:1], Path("s.sqlite"))
    assert group == replace(GROUPS[0], keep=str(tmp_path / "s.sqlite.models"))


GUIDE = (ROOT / "experiments" / "harness" / "clusters.md").read_text("utf-8")


@pytest.mark.parametrize("line", sorted(set(re.findall(r"python -m experiments ([^`\n#$]+)\n", GUIDE))))
def test_every_command_of_the_guide_is_understood(line):
    """The command line takes it as it stands, and the script for SLURM is Python."""
    assert tyro.cli(command.Command, args=shlex.split(line)) is not None
    compile(re.search(r"```python\n(.*?)```", GUIDE, re.DOTALL)[1], "cluster.py", "exec")


def test_an_address_that_is_no_address_is_a_usage_error():
    """What is taken for a file says what it would have to be."""
    assert cluster.address("tls://host:1") == "tls://host:1"
    with pytest.raises(UsageError, match="tcp://HOST:PORT"):
        cluster.address("")
