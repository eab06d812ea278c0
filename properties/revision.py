"""What results hold for, in words: the commit with what was changed since, the card with its versions; what lacks."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path


def commit(root: Path) -> str:
    """The commit that is checked out and a hash of what was changed in Python files since; or a hash of them all.

    A file that git does not know yet is a change, one that it ignores or that stands in a hidden folder is none.
    """
    found = git(root, "rev-parse", "HEAD").decode().strip()
    if not found:
        return f"no commit, files {digest(contents(root, below(root)))}"
    changed = [git(root, "diff", "HEAD", "--", "*.py"), *contents(root, unknown(root))]
    return f"commit {found}" + (f" with changes {digest(changed)}" if any(changed) else "")


def unknown(root: Path) -> list[Path]:
    """The Python files below a folder that git neither knows nor ignores, but those in hidden folders."""
    names = git(root, "ls-files", "-z", "--others", "--exclude-standard", "--", "*.py").split(b"\0")
    paths = [Path(os.fsdecode(name)) for name in sorted(names) if name]
    return [root / path for path in paths if not any(part.startswith(".") for part in path.parts)]


def below(root: Path) -> Iterator[Path]:
    """All Python files below a folder, but those in hidden folders."""
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def contents(root: Path, paths: Iterable[Path]) -> Iterator[bytes]:
    """The names, from a folder on, and the texts of files; a link to nothing has none."""
    for path in paths:
        read = path.read_bytes() if path.is_file() else b""
        yield os.fsencode(os.path.relpath(path, root)) + b"\0" + read + b"\0"


def card() -> str:
    """Versions of torch, with its build, and of Triton, and the card's name, or that torch sees none."""
    import torch

    triton = f"triton {__import__('triton').__version__}" if find_spec("triton") else "no triton"
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no card"
    return f"torch {torch.__version__}, {triton}, {name}"


def lacking(program: str, packages: Mapping[str, str]) -> str:
    """What a program for a card needs and has not, in one line; "" where it has all.

    Args:
        program: its name, at the head of the line.
        packages: by the name that installs it, the module that it gives; torch is needed beside them.
    """
    absent = [name for name, module in {"torch": "torch", **packages}.items() if find_spec(module) is None]
    if absent:
        return f"{program} needs {', '.join(absent)}, which {sys.executable} does not have."
    import torch

    return "" if torch.cuda.is_available() else f"{program} needs a CUDA device, and torch sees none."


def digest(parts: Iterable[bytes]) -> str:
    """Eight hex digits."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:8]


def git(root: Path, *words: str) -> bytes:
    """What git answers; nothing where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True)
    except OSError:
        return b""
    return done.stdout if done.returncode == 0 else b""
