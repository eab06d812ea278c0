"""A file of the tests that failed, a plugin for a run that may end before it tells of them: `pytest --failed FILE`.

Each failure stands there as soon as it is reported, an id a line, whatever ends the run next; with pytest-xdist the
controller writes it. A test that passes later stays in it: which those are, `--passed` knows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from properties.twins.bounded import add


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    parser.addoption("--failed", metavar="FILE", help="adds to FILE the id of each test that fails, as it is reported")


def pytest_configure(config: pytest.Config) -> None:
    """Notes what the controlling process is told."""
    if config.getoption("--failed") and not hasattr(config, "workerinput"):
        path = config.invocation_params.dir / config.getoption("--failed")
        config.pluginmanager.register(Failures(path), "failures")


class Failures:
    """The file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes a test of which a phase failed."""
        if report.failed:
            add(self.path, report.nodeid)
