"""Runs a group in a process of its own, with the threads of its libraries set, and takes its records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from experiments.harness.sweep import Group
from properties.record import Record

ROOT = Path(__file__).parents[2]
CHILD = "experiments.speed.child"
ONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
ONE |= {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "NPROC": "1"}
"""One thread in every library: OpenBLAS and XLA keep to it, torch's number is set again for each contender."""

QUIET = {"JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}


class MeasureError(RuntimeError):
    """The measuring process failed: its error, whole, since CUDA's say at their end only how to learn more."""


def run(group: Group, checkpoint: Callable[[int, int], None], module: str = CHILD) -> list[Record]:
    """What the process of a module says: us_per_step by round and entry, calls, cores_busy and peak_bytes beside it."""
    line = [sys.executable, "-m", module]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    found: list[Record] = []
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(line, cwd=ROOT, env=os.environ | ONE | QUIET, stderr=complaints, **pipes) as child,
    ):
        child.stdin.write(json.dumps(group.settings) + "\n")
        child.stdin.flush()
        for said in map(json.loads, child.stdout):
            if "done" in said:
                checkpoint(said["done"], said["total"])
            else:
                found = [Record(group.experiment, setting, 0, *rest) for setting, *rest in said["records"]]
        if child.wait():
            complaints.seek(0)
            raise MeasureError(error_of(complaints.read()) or f"it ended with {child.returncode}")
    return found


def error_of(complaints: str) -> str:
    """The error in what a process wrote as it died: what stands behind the last traceback, or else the last line."""
    lines = complaints.strip().splitlines()
    traces = [n for n, line in enumerate(lines) if line.startswith("Traceback ")]
    behind = [line for line in lines[traces[-1] + 1 :] if not line.startswith(" ")] if traces else lines[-1:]
    return " ".join(behind)
