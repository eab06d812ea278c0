"""A subject in a process of its own: `Isolated` in the suite's, `serve` in the subject's.

The process stays from case to case, and is started again after a crash. An abort, an exit and a case without an end are
breaks of the law whose case it was. A case travels as its plan; the law runs beside the subject, so that what it looks
at (memory, strides, flags, identities) is the subject's own; the referee's questions come back here, where the answers
are kept. What a subject prints goes to a file that is emptied as it grows.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from multiprocessing.connection import Connection, Pipe
from typing import Any

from properties import cases
from properties.cases import Plan
from properties.guard import Described, Description, InProcess, description
from properties.laws import Broken, Failed, Law, NotRun, registry
from properties.loading import OUR_FORMS, OWN, load_all
from properties.snippet import Shown

START = 180.0
"""Seconds that a process may take until its subject is loaded."""

PATIENCE = 30.0
"""Seconds that a case may take; once one had no end, `LESS`, or 20 times what the slowest so far took."""

LESS = 2.0

LOST = 75.0
"""Seconds that a subject's crashes may cost, starting again included; then what is left is not run."""

PRINTED = 1 << 20
"""Bytes in the file of what a subject prints, from which on it is emptied."""


class Died(Exception):
    """The process ended, or a case did not; how, in words."""


class Process:
    """The suite's end of one process, which loads a word's subjects."""

    def __init__(self, word: str) -> None:
        self.word, self.printed, self.lost, self.hung, self.slowest = word, 0, 0.0, False, 0.0
        self.child: subprocess.Popen | None = None

    def start(self) -> list[Description]:
        """Starts the process.

        Raises:
            ValueError: the word's subjects cannot be loaded; a line that says why.
        """
        ours, theirs = Pipe()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process lives)
        command = [sys.executable, "-m", "properties.child", str(theirs.fileno()), self.word]
        streams = {"stdin": subprocess.DEVNULL, "stdout": self.log, "stderr": self.log}
        self.child = subprocess.Popen(command, pass_fds=[theirs.fileno()], **streams)
        theirs.close()
        self.pipe = ours
        try:
            kind, found = self.receive(START)
        except Died as death:
            raise ValueError(f"--subject={self.word} cannot be loaded: its process {death}.") from None
        if kind == "unusable":
            self.stop()
            raise ValueError(found)
        return found

    def ask(self, *message: Any) -> Any:
        """What the process answers; what it raises is raised here.

        Raises:
            Died: it ended, gave no answer in time and was stopped, or does not start again.
        """
        if self.child is None:
            began = time.monotonic()
            try:
                self.start()
            except ValueError as error:
                raise Died(f"does not start: {error}") from None
            finally:
                self.lost += time.monotonic() - began
        try:
            self.pipe.send(message)
        except OSError:
            raise Died(self.end()) from None
        began = time.monotonic()
        kind, found = self.receive(max(LESS, 20 * self.slowest) if self.hung else PATIENCE)
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.shorten()
        if kind == "raised":
            raise found
        if kind == "failed":
            raise Failed(f"the suite itself failed beside {self.word}: {found}")
        return found

    def receive(self, patience: float) -> tuple[str, Any]:
        """The next answer; the referee is asked on the way."""
        while True:
            try:
                if not self.pipe.poll(patience):
                    self.hung = True
                    self.lost += patience
                    self.stop()
                    raise Died(f"gave no answer for {patience:.0f} s")
                kind, found = self.pipe.recv()
                if kind != "judge":
                    return kind, found
                self.pipe.send(cases.answer(found))
            except (EOFError, OSError):
                raise Died(self.end()) from None

    def end(self) -> str:
        """How a process that is gone ended, with the last line that it wrote."""
        try:
            code = self.child.wait(5)
        except subprocess.TimeoutExpired:
            code = None
        how = f"ended with code {code}" if code is None or code >= 0 else f"was ended by {signal.Signals(-code).name}"
        last = self.last_line()
        self.stop()
        return how + (f' ("{last}")' if last else "")

    def last_line(self) -> str:
        """The last line with text among what it printed."""
        size = os.fstat(self.log.fileno()).st_size
        text = os.pread(self.log.fileno(), 4096, max(0, size - 4096)).decode("utf-8", "replace")
        written = [line.strip() for line in text.splitlines() if line.strip()]
        return written[-1][:200] if written else ""

    def shorten(self) -> None:
        """Empties the file of what it printed once it is large."""
        size = os.fstat(self.log.fileno()).st_size
        if size > PRINTED:
            self.printed += size
            os.ftruncate(self.log.fileno(), 0)

    def __del__(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the process, whatever it does; the next question starts another."""
        if self.child is not None:
            self.pipe.close()
            self.child.kill()
            self.child.wait()
            self.log.close()
            self.child = None


class Isolated(Described):
    """One of a word's subjects, in the word's process, which is started when it is first asked."""

    def __init__(self, process: Process, index: int, about: Description) -> None:
        super().__init__(about)
        self.process, self.index, self.deaths = process, index, 0

    @property
    def word(self) -> str:
        """What it was named by."""
        return self.process.word

    def case(self, law: Law, cell: str, dtype: str, plan: Plan) -> float | None:
        """See Guard.

        Raises:
            NotRun: too much time was lost to the subject's crashes.
        """
        if self.process.lost > LOST:
            raise NotRun(f"{self.name}: its process was lost {self.deaths} times in other laws; this one is not run.")
        try:
            return self.process.ask("case", self.index, law.name, law.number, cell, dtype, plan)
        except Died as death:
            self.deaths += 1
            sentence = f"{self.name}: its process {death}. {cell} {dtype}, {plan}"
            raise Broken(sentence, kind="died", plan=plan) from None

    def open(self, law: Law, cell: str, dtype: str) -> Remote:
        """See Guard."""
        return Remote(self, law, cell, dtype)

    def shown(self, law: Law, cell: str, dtype: str, plan: Plan) -> Shown | None:
        """See InProcess; None where the process does not live to tell."""
        with contextlib.suppress(Died):
            return self.process.ask("shown", self.index, law.name, law.number, cell, dtype, plan)
        return None

    def explain(self, cell: str, dtype: str) -> str:
        """See InProcess."""
        with contextlib.suppress(Died):
            return self.process.ask("explain", self.index, cell, dtype)
        return ""

    @property
    def printed(self) -> int:
        """Bytes that were too many to keep."""
        return self.process.printed


class Remote:
    """A machine's player in the subject's process."""

    def __init__(self, isolated: Isolated, law: Law, cell: str, dtype: str) -> None:
        self.isolated, self.of = isolated, f"{cell} {dtype}"
        if isolated.process.lost > LOST:
            raise NotRun(f"{isolated.name}: its process was lost too often in other laws; this one is not run.")
        self.ask("open", isolated.index, law.name, law.number, cell, dtype)

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.ask("step", name, args)

    def ask(self, *message: Any) -> None:
        try:
            self.isolated.process.ask(*message)
        except Died as death:
            self.isolated.deaths += 1
            raise Broken(f"{self.isolated.name}: its process {death}. {self.of}", kind="died") from None


def isolated(word: str) -> list[Isolated]:
    """A word's subjects, in a process of their own; our own are described without it, and theirs starts when asked.

    Raises:
        ValueError: they cannot be loaded; a line that says why.
    """
    process = Process(word)
    found = [description(subject) for subject in load_all(word)] if word in OWN | OUR_FORMS else process.start()
    return [Isolated(process, index, about) for index, about in enumerate(found)]


# The subject's end


class Server:
    """Answers in the subject's process."""

    def __init__(self, pipe: Connection, word: str) -> None:
        self.pipe = pipe
        self.guards = [InProcess(subject) for subject in load_all(word)]
        self.player: Any = None
        cases.answer = self.referee

    def referee(self, asked: bytes) -> Any:
        """The referee sits in the suite's process, which keeps its answers for all subjects."""
        self.pipe.send(("judge", asked))
        return self.pipe.recv()

    def case(self, index: int, name: str, number: int, cell: str, dtype: str, plan: Plan) -> float | None:
        """Runs a case."""
        return self.guards[index].case(registry()[name][number], cell, dtype, plan)

    def open(self, index: int, name: str, number: int, cell: str, dtype: str) -> None:
        """A new player."""
        self.player = self.guards[index].open(registry()[name][number], cell, dtype)

    def step(self, name: str, args: tuple[Any, ...]) -> None:
        """A call of the player."""
        getattr(self.player, name)(*args)

    def shown(self, index: int, name: str, number: int, cell: str, dtype: str, plan: Plan) -> Shown:
        """A failing case with its numbers."""
        return self.guards[index].shown(registry()[name][number], cell, dtype, plan)

    def explain(self, index: int, cell: str, dtype: str) -> str:
        """What would explain what is wrong."""
        return self.guards[index].explain(cell, dtype)

    def answer(self, verb: str, *args: Any) -> None:
        """Does what is asked and sends what came of it."""
        try:
            answer = ("done", getattr(self, verb)(*args))
        except Broken as error:
            answer = ("raised", error)
        except AssertionError as error:
            answer = ("raised", Broken(str(error)))
        except Exception:
            answer = ("failed", traceback.format_exc())
        self.pipe.send(answer)


def serve(pipe: Connection, word: str) -> None:
    """Loads a word's subjects and answers until the suite is gone."""
    threading.Thread(target=leave_with, args=(os.getppid(),), daemon=True).start()
    try:
        server = Server(pipe, word)
    except ValueError as error:
        pipe.send(("unusable", str(error)))
        return
    registry()
    pipe.send(("ready", [description(guard.subject) for guard in server.guards]))
    with contextlib.suppress(EOFError, OSError):
        while True:
            server.answer(*pipe.recv())


def leave_with(parent: int) -> None:
    """Ends this process once the suite's is gone, whatever the subject is doing."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), sys.argv[2])
