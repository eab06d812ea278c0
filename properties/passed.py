"""A test run that goes on where it stopped: `pytest --passed FILE`, a plugin of the root conftest.

FILE's first line says what it holds for: the commit, what was changed since in Python files, the profile, the subjects
with their versions, and the contents of those that are files. Then stands the id of each test that passed, or failed as
is known, a line each, written as soon as it was reported. The same command deselects those, whatever ended the run
before: Ctrl-C, a signal, a failure, which is run again. What was skipped is asked again too, which takes little: what
it lacked may be there now. A last line that was cut short is dropped. With pytest-xdist the file is read and written by
the controller alone.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from properties.revision import commit, contents, digest

HEAD = "passed tests of "


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    parser.addoption(
        "--passed",
        metavar="FILE",
        help="deselects the tests whose ids FILE holds, and adds those that pass as they are reported: "
        "the same command goes on where it stopped; FILE holds for one commit, profile and list of subjects",
    )


@pytest.hookimpl(trylast=True)  # the root conftest names the subjects first
def pytest_configure(config: pytest.Config) -> None:
    """Reads the file in the controlling process; a worker is told what it held."""
    if hasattr(config, "workerinput"):
        passed = config.workerinput.get("passed")
        if passed is not None:
            config.pluginmanager.register(Selection(config, frozenset(passed)), "passed-selection")
    elif config.getoption("--passed"):
        path = config.invocation_params.dir / config.getoption("--passed")
        config.pluginmanager.register(Ledger(config, path), "passed-ledger")


class Selection:
    """Deselects the tests that passed."""

    def __init__(self, config: pytest.Config, passed: frozenset[str]) -> None:
        self.config, self.passed = config, passed

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Takes them out, and tells how many."""
        left = [item for item in items if item.nodeid in self.passed]
        self.told(left)
        items[:] = [item for item in items if item.nodeid not in self.passed]

    def told(self, left: list[Any]) -> None:
        """A worker's answer: its controller tells the reader."""
        self.config.workeroutput["deselected"] = len(left)


class Ledger(Selection):
    """The file, in the controlling process."""

    def __init__(self, config: pytest.Config, path: Path) -> None:
        super().__init__(config, frozenset())
        self.path, self.head, self.others, self.told_of = path, head(config), set(), 0
        self.passed = frozenset(self.read())
        try:
            self.file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise pytest.UsageError(f"--passed={path} cannot be written: {error.strerror}.") from None
        if not path.stat().st_size:
            self.note(self.head)

    def read(self) -> list[str]:
        """The ids that the file holds; a last line without an end is cut off it.

        Raises:
            UsageError: it holds for something else, or is no such file; a line that says so.
        """
        text = self.path.read_bytes().decode("utf-8", "replace") if self.path.is_file() else ""
        whole = text[: text.rfind("\n") + 1]
        lines = whole.splitlines()
        if (not lines and not self.head.startswith(text)) or (lines and not lines[0].startswith(HEAD)):
            raise pytest.UsageError(f"--passed={self.path} must be a file that this option has written; it is another.")
        if lines and lines[0] != self.head:
            raise pytest.UsageError(
                f"--passed={self.path} holds for {lines[0].removeprefix(HEAD)!r}; this is a run of "
                f"{self.head.removeprefix(HEAD)!r}. Name another file, or remove it."
            )
        if text != whole:
            self.path.write_text(whole, encoding="utf-8")
        return lines[1:]

    def note(self, line: str) -> None:
        """Adds a line that stays, whatever ends this process next."""
        self.file.write(f"{line}\n")
        self.file.flush()

    def told(self, left: list[Any]) -> None:
        """Once: all workers take out the same."""
        if not self.told_of and left:
            self.told_of = len(left)
            self.config.hook.pytest_deselected(items=left)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hands a worker of pytest-xdist what the file held when this run began."""
        node.workerinput["passed"] = sorted(self.passed)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker's answer."""
        count = (getattr(node, "workeroutput", None) or {}).get("deselected", 0)
        self.told([SimpleNamespace() for _ in range(count)])  # the reader is told a number alone

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes a test whose three phases are over and none failed or was skipped."""
        if report.failed or (report.skipped and not hasattr(report, "wasxfail")):
            self.others.add(report.nodeid)
        elif report.when == "teardown" and report.nodeid not in self.others:
            self.note(report.nodeid)

    def pytest_report_header(self) -> str:
        """How many are not run again."""
        return f"passed before, by {self.path.name}: {len(self.passed)} tests, which are deselected"

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Nothing left to run is no failure where all passed before."""
        if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and self.told_of:
            session.exitstatus = pytest.ExitCode.OK

    def pytest_unconfigure(self) -> None:
        """Closes the file."""
        self.file.close()


def head(config: pytest.Config) -> str:
    """What a run's passes hold for, in one line."""
    subjects = [f"{s.name} ({s.version})" if s.version else s.name for s in getattr(config, "subjects", ())]
    profile = config.getoption("--hypothesis-profile", None) or "ci"
    files = contents(config.rootpath, given(config))
    what = f"subjects {', '.join(subjects) or 'none'}" + (f", files {digest(files)}" if given(config) else "")
    return f"{HEAD}{commit(config.rootpath)}, profile {profile}, {what}"


def given(config: pytest.Config) -> list[Path]:
    """The files that --subject names, path/to/file.py or path/to/file.py:NAME."""
    found = [re.fullmatch(r"(.*\.py)(:\w+)?", word) for word in config.getoption("--subject", None) or ()]
    return [config.invocation_params.dir / match[1] for match in found if match]
