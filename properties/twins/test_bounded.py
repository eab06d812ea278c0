"""A command for so many seconds, with real processes: nothing of its session is left alive, whatever ends it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from properties.twins import bounded

pytestmark = pytest.mark.usefixtures("hears_signals")

ROOT = Path(__file__).parents[2]
STUBBORN = "trap 'echo told >> told' INT; sleep 60 & echo $$ $! > new; mv new pids; while :; do wait $!; done"
"""A shell and its child: it writes both numbers, notes each SIGINT, and does not end by it."""

PARENT = """
import os, sys
from pathlib import Path
from properties.twins import bounded
bounded.SHORT = 0.3
bounded.run(["sh", "-c", sys.argv[1]], 60.0, 30.0, Path.cwd(), os.environ)
"""


def run(folder, text, seconds=20.0, grace=10.0, kept=True):
    """A shell's text, run for so long in a folder."""
    return bounded.run(["sh", "-c", text], seconds, grace, folder, os.environ, kept)


def soon(true):
    """Waits ten seconds at most until something is true."""
    until = time.monotonic() + 10
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


def living(folder):
    """Which of the processes that noted their numbers are alive; one that none has waited for yet is not."""
    states = [subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True) for pid in pids(folder)]
    return [state.stdout for state in states if state.stdout.strip() and not state.stdout.startswith("Z")]


def pids(folder):
    """The numbers that a stubborn shell wrote."""
    return (folder / "pids").read_text().split()


@pytest.fixture
def stubborn(tmp_path):
    """A folder where STUBBORN runs; what is left of it is killed after the test, so that a failure leaves nothing."""
    yield tmp_path
    for pid in pids(tmp_path) if (tmp_path / "pids").exists() else ():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def test_a_command_that_ends_gives_its_code_and_what_it_said(tmp_path, capfd):
    """Both streams in their order, where they are kept; else they go where this process's go, and none is returned."""
    text = "echo one; echo two >&2; exit 7"
    assert run(tmp_path, text) == (7, "one\ntwo\n") and capfd.readouterr() == ("", "")
    assert run(tmp_path, text, kept=False) == (7, "") and capfd.readouterr() == ("one\n", "two\n")


def test_a_command_is_told_to_end_before_its_time_is_over(tmp_path):
    """SIGINT comes `grace` before the end; one that ends by it says its last words, and is not waited for longer."""
    began = time.monotonic()
    text = "trap 'echo last; exit 0' INT; echo first; sleep 60 & wait"
    assert run(tmp_path, text, seconds=30.2, grace=30.0) == (None, "first\nlast\n")
    assert time.monotonic() - began < 20


def test_a_command_that_does_not_end_is_killed_with_all_that_it_started(stubborn):
    """It was told to, once, and had its grace."""
    began = time.monotonic()
    assert run(stubborn, STUBBORN, seconds=0.8, grace=0.3).code is None
    assert 0.8 <= time.monotonic() - began < 20
    assert (stubborn / "told").read_text() == "told\n" and soon(lambda: not living(stubborn))


def test_what_outlives_a_command_is_killed_and_not_waited_for(stubborn):
    """A grandchild that holds the command's output open."""
    began = time.monotonic()
    assert run(stubborn, "sleep 60 & echo $! > pids; echo said") == (0, "said\n")
    assert time.monotonic() - began < 20 and soon(lambda: not living(stubborn))


def parent(folder):
    """A process that runs a stubborn command, which has begun."""
    line = [sys.executable, "-c", PARENT, STUBBORN]
    here = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(line, cwd=folder, env=here, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert soon((folder / "pids").exists) and living(folder)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda n: n.name)
def test_who_runs_a_command_and_is_told_to_end_ends_it_too(stubborn, number):
    """SIGINT is passed on at once, after a short grace nothing is alive; a line says why, and 128 and its number."""
    process = parent(stubborn)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert said == f"stopped by {number.name}; what is done is kept: the same command goes on.\n"
    assert (stubborn / "told").read_text() == "told\n" and soon(lambda: not living(stubborn))


def test_a_second_signal_ends_a_grace(stubborn, monkeypatch):
    """Ctrl-C twice waits for nothing."""
    monkeypatch.setattr(bounded, "SHORT", 60.0)
    text = "while ! test -e pids; do sleep .05; done; kill -2 $0; sleep .3; kill -2 $0"
    watch = subprocess.Popen(["sh", "-c", text, str(os.getpid())], cwd=stubborn)
    began = time.monotonic()
    with pytest.raises(SystemExit, match="130"):
        run(stubborn, STUBBORN, seconds=100.0, grace=60.0)
    assert watch.wait(20) == 0 and time.monotonic() - began < 30 and soon(lambda: not living(stubborn))


def test_a_signal_that_comes_when_a_command_has_ended_is_not_lost(tmp_path, monkeypatch):
    """One that comes while what the command said is read: who runs it is told, with the handlers put back."""
    before = [signal.getsignal(number) for number in bounded.TOLD]

    def text(out):
        os.kill(os.getpid(), signal.SIGTERM)
        return ""

    monkeypatch.setattr(bounded, "text", text)
    with pytest.raises(SystemExit, match="143"):
        run(tmp_path, "exit 0")
    assert [signal.getsignal(number) for number in bounded.TOLD] == before


def test_a_signal_that_is_ignored_stays_so_here_and_not_in_the_command(tmp_path):
    """As under nohup, or behind a shell's &: the command still ends by SIGINT. All handlers are put back."""
    before = [signal.getsignal(number) for number in bounded.TOLD]
    held = signal.signal(signal.SIGHUP, signal.SIG_IGN), signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run(tmp_path, f"kill -1 {os.getpid()}; kill -2 {os.getpid()}; sleep .2; exit 5").code == 5
        assert run(tmp_path, "kill -2 $$; sleep 60").code == -signal.SIGINT
        assert [signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGINT)] == [signal.SIG_IGN] * 2
    finally:
        signal.signal(signal.SIGHUP, held[0]), signal.signal(signal.SIGINT, held[1])
    assert [signal.getsignal(number) for number in bounded.TOLD] == before


def test_handlers_are_put_back_where_a_command_cannot_start(tmp_path):
    """There is no such program."""
    before = [signal.getsignal(number) for number in bounded.TOLD]
    with pytest.raises(FileNotFoundError):
        bounded.run([str(tmp_path / "none")], 1.0, 0.5, tmp_path, os.environ)
    assert [signal.getsignal(number) for number in bounded.TOLD] == before


HOLDER = """
import os, sys
from pathlib import Path
from properties.twins import bounded
with bounded.alone(Path("file")) as problem:
    assert not problem
    bounded.run(["sh", "-c", sys.argv[1]], 60.0, 30.0, Path.cwd(), os.environ)
"""


def test_a_command_that_outlives_who_ran_it_keeps_its_file(stubborn):
    """After SIGKILL it still runs, and so no other begins; when it has ended, the file is free."""
    here = os.environ | {"PYTHONPATH": str(ROOT)}
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, STUBBORN], cwd=stubborn, env=here)
    assert soon((stubborn / "pids").exists)
    file = stubborn / "file"
    with bounded.alone(file) as problem:
        assert problem == f"another process is at work with {file}."
    holder.kill()
    holder.wait(20)
    with bounded.alone(file) as problem:
        assert problem
    for pid in pids(stubborn):
        os.kill(int(pid), signal.SIGKILL)

    def free():
        with bounded.alone(file) as problem:
            return not problem

    assert soon(free) and not bounded.HELD


def test_where_a_file_system_knows_no_locks_a_file_is_free(tmp_path, monkeypatch):
    """Nothing else stands in the way; its folders are made."""

    def none(*args):
        raise OSError("no locks available")

    monkeypatch.setattr(bounded.fcntl, "flock", none)
    with bounded.alone(tmp_path / "some" / "file") as problem:
        assert not problem and (tmp_path / "some" / "file").exists()
