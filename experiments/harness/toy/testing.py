"""For tests: what the toy experiment's log says, and what its groups give."""

from __future__ import annotations

import time
from pathlib import Path

from experiments.harness import run
from experiments.harness.executor import InProcess
from experiments.harness.sweep import Options
from experiments.harness.toy import sweep

GROUPS = sweep.groups("quick", Options())


def in_process(groups):
    """The records that the groups have where nothing is between."""
    return [r for group in groups for r in run.stamped(InProcess().run(group, nothing).result().records)]


def many(count):
    """So many groups."""
    return [sweep.group(terms, "quick", Options()) for terms in range(1, count + 1)]


def wait_for(condition, process):
    """Waits until it holds, a minute at most."""
    for _ in range(1200):
        if condition():
            return
        assert process is None or process.poll() is None, "the run ended too early"
        time.sleep(0.05)
    raise AssertionError("waited for a minute in vain")


def lines(log):
    """The log's lines as words."""
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def begun(log):
    """The settings that were begun."""
    return [words[1] for words in lines(log) if words[0] == "begin"]


def ended(log):
    """The settings that were ended."""
    return [words[1] for words in lines(log) if words[0] == "end"]


def pids(log, start=0):
    """The processes that computed, or that have from a line on."""
    return {int(words[2]) for words in lines(log)[start:]}


def alive(pid):
    """Whether a process runs (one that has ended and is not yet buried does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def nothing(done, total):
    """A checkpoint that does nothing."""
