"""Draws and sums; TOY_LOG, TOY_SECONDS, TOY_FAILS and TOY_KILLS in the environment let a test watch and kill it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

from experiments.harness.sweep import Group
from impl import draw
from properties.record import Record


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """One sum a seed. Ten checkpoints; a line in the log at the start and at the end."""
    note(f"begin {group.setting}")
    if group.setting == os.environ.get("TOY_FAILS"):
        raise RuntimeError("asked to fail")
    setting, times = os.environ.get("TOY_KILLS", "- 0").split()
    if setting == group.setting and begun(setting) <= int(times):
        os.kill(os.getpid(), signal.SIGKILL)
    for done in range(1, 11):
        time.sleep(float(os.environ.get("TOY_SECONDS", 0)) / 10)
        checkpoint(done, 10)
    terms = group.settings["terms"]
    sums = [draw.generator("toy", terms, seed).normal(size=terms).sum() for seed in group.seeds]
    note(f"end {group.setting}")
    return [
        Record("harness.toy", group.setting, s, "sum", terms, float(v)) for s, v in zip(group.seeds, sums, strict=True)
    ]


def begun(setting: str) -> int:
    """How often a setting was begun, as the log has it."""
    with open(os.environ["TOY_LOG"]) as log:
        return sum(line.startswith(f"begin {setting} ") for line in log)


def note(line: str) -> None:
    """Appends to the log, if there is one."""
    if path := os.environ.get("TOY_LOG"):
        with open(path, "a") as log:
            log.write(f"{line} {os.getpid()}\n")
