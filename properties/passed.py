"""A test run that goes on where it stopped: `pytest --passed FILE`, a plugin of the root conftest.

FILE's first line says what it holds for: the commit and what was changed since, the profile, torch, whether Triton's
interpreter and the tests' own process run the subjects, the words of --subject, the subjects with their versions, and
the contents of the reader's files that are subjects or stand beside one. Then stands the id of each test that passed,
or failed as is known, a line each, written as soon as it was reported. The same command deselects those, whatever ended
the run before: Ctrl-C, a signal, a failure. What failed stands there after FAILED, so that it is known also where a
later test hangs; it is run again. What was skipped is asked again too, which takes little: what it lacked may be there
now. A last line that was cut short is dropped. With pytest-xdist the file is read and written by the controller alone.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from properties import noted
from properties.revision import below, commit, contents, digest

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
        self.path, self.head, self.others, self.told_of = path, head(config, path), set(), 0
        self.passed = frozenset(noted.tests(self.read()).passed)
        try:
            path.open("a").close()
        except OSError as error:
            raise pytest.UsageError(f"--passed={path} cannot be written: {error.strerror}.") from None
        if not noted.read(path):
            self.note(self.head)

    def read(self) -> list[str]:
        """The lines that the file holds, but the first.

        Raises:
            UsageError: it holds for something else, or is no such file; a line that says so.
        """
        lines = noted.read(self.path)
        if not (lines[0].startswith(HEAD) if lines else self.head.startswith(self.begun())):
            raise pytest.UsageError(f"--passed={self.path} must be a file that this option has written; it is another.")
        if lines and lines[0] != self.head:
            raise pytest.UsageError(
                f"--passed={self.path} holds for {lines[0].removeprefix(HEAD)!r}; this is a run of "
                f"{self.head.removeprefix(HEAD)!r}. Name another file, or remove it."
            )
        return lines[1:]

    def begun(self) -> str:
        """What a file without whole lines holds: a first line that was cut short, where this option has written it."""
        return self.path.read_bytes().decode("utf-8", "replace") if self.path.is_file() else ""

    def note(self, line: str) -> None:
        """Adds a line that stays, whatever ends this process next."""
        noted.add(self.path, line)

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
        """Notes a test of which a phase failed, or whose three phases are over and none was skipped."""
        if report.failed:
            self.note(noted.FAILED + report.nodeid)
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


def head(config: pytest.Config, path: Path) -> str:
    """What a run's passes hold for, in one line; `path` is the file that notes them."""
    profile = config.getoption("--hypothesis-profile", None) or "ci"
    subjects = [f"{s.name} ({s.version})" if s.version else s.name for s in getattr(config, "subjects", ())]
    files = given(config)
    parts = [
        commit(config.rootpath, path),
        f"profile {profile}",
        *surroundings(config),
        f"--subject {shlex.join(config.getoption('--subject', None) or ['default'])}",
        f"subjects {', '.join(subjects) or 'none'}",
        *([f"files {digest(contents(config.rootpath, files))}"] if files else []),
    ]
    return HEAD + " ".join(", ".join(parts).split())  # a path may have a line's end


def surroundings(config: pytest.Config) -> list[str]:
    """What runs the subjects: torch, Triton's interpreter or a card, processes of their own or the tests'."""
    try:
        torch = f"torch {version('torch')}"
    except PackageNotFoundError:
        torch = "torch of no known version"
    interpreter = f"TRITON_INTERPRET={os.environ.get('TRITON_INTERPRET', '')}"
    return [torch, interpreter, *(["--in-process"] if config.getoption("--in-process", False) else [])]


def given(config: pytest.Config) -> list[Path]:
    """The reader's Python files that --subject names, and those that they may import; none of what is built in."""
    from properties.loading import BUILT_IN

    here, found = config.invocation_params.dir, set()
    for word in config.getoption("--subject", None) or ():
        path = re.fullmatch(r"(.*\.py)(:\w+)?", word)
        name = word.partition(":")[0]
        if path:
            found.update(beside(here / path[1]))
        elif name not in BUILT_IN:
            found.update(of_module(name, here))
    return sorted(found)


def beside(path: Path) -> Iterator[Path]:
    """A file, and the Python files of its folder, which it can import, but hidden ones."""
    path = path.resolve()
    yield path
    yield from (other for other in path.parent.glob("*.py") if not other.name.startswith("."))


def of_module(name: str, here: Path) -> Iterator[Path]:
    """A module's file with those beside it, or its whole package with those beside that; none that was installed.

    Both as this process would import it, and as a subject's own, whose path begins with the folder of the call. The
    package of a module is not imported for it.
    """
    top = name.partition(".")[0]
    for spec in filter(None, (find_spec(top), PathFinder.find_spec(top, [str(here)]))):
        for folder in spec.submodule_search_locations or ():
            if not installed(folder):
                yield from (*below(Path(folder)), *beside(Path(folder)))
        if spec.has_location and not installed(spec.origin):
            yield from beside(Path(spec.origin))


def installed(place: str) -> bool:
    """Whether a file or folder is of an installed package, which may be thousands of files."""
    return bool({"site-packages", "dist-packages"} & set(Path(place).parts))
