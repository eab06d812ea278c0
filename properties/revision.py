"""What results hold for, in words: the commit with what was changed since, the card with its versions; what lacks."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

COUNTED = ("--", ".", ":(exclude)*.md", ":(exclude)reports")
"""What git looks at: tests read tables, settings and templates beside code. Reports, which runs write, are apart."""

KINDS = (".py", ".csv", ".json", ".toml", ".j2", ".css", ".xz", "Makefile", "constraints.txt")
"""What is looked at where git does not tell what is ours: how the names of such files end."""


def commit(root: Path, apart: Path | None = None) -> str:
    """The commit that is checked out and a hash of what was changed since; or a hash of the files.

    A file that git does not know yet is a change; prose, reports, what git ignores, new files that are hidden or stand
    in a hidden folder, and what the caller writes itself (`apart`) are none.
    """
    found = git(root, "rev-parse", "HEAD")
    head = "no commit" if found is None else f"commit {found.decode().strip()}"
    changed = git(root, "diff", "--no-ext-diff", "--no-textconv", "--binary", "HEAD", *COUNTED)
    new = unknown(root)
    if found is None or changed is None or new is None:  # of a git that fails, silence is no answer
        return f"{head}, files {digest(contents(root, but(apart, root, below(root))))}"
    parts = [changed, *contents(root, but(apart, root, new))]
    return head + (f" with changes {digest(parts)}" if any(parts) else "")


def unknown(root: Path) -> list[Path] | None:
    """The files below a folder that git neither knows nor ignores, but hidden ones; None where git does not tell."""
    names = git(root, "ls-files", "-z", "--others", "--exclude-standard", *COUNTED)
    if names is None:
        return None
    paths = [Path(os.fsdecode(name)) for name in sorted(names.split(b"\0")) if name]
    return [root / path for path in paths if not any(part.startswith(".") for part in path.parts)]


def below(root: Path) -> Iterator[Path]:
    """All files of KINDS below a folder, but those in hidden folders."""
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(KINDS))


def but(apart: Path | None, root: Path, paths: Iterable[Path]) -> Iterator[Path]:
    """The paths without one of them and without a folder's reports."""
    for path in paths:
        if not path.is_relative_to(root / "reports") and (apart is None or path.resolve() != apart.resolve()):
            yield path


def contents(root: Path, paths: Iterable[Path]) -> Iterator[bytes]:
    """The names, from a folder on, and the SHA-256 of files; what cannot be read, like a link to nothing, has none."""
    for path in paths:
        yield os.fsencode(os.path.relpath(path, root)) + b"\0" + hashed(path) + b"\0"


def hashed(path: Path) -> bytes:
    """The SHA-256 of a file, which may be larger than the memory; b"" where it cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b""


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
    missing = absent(program, packages)
    if missing:
        return missing
    import torch

    return "" if torch.cuda.is_available() else f"{program} needs a CUDA device, and torch sees none."


def absent(program: str, packages: Mapping[str, str]) -> str:
    """The packages, with torch, that it needs and has not, in one line, before anything imports them; as `lacking`."""
    names = [name for name, module in {"torch": "torch", **packages}.items() if find_spec(module) is None]
    return f"{program} needs {', '.join(names)}, which {sys.executable} does not have." if names else ""


def digest(parts: Iterable[bytes]) -> str:
    """Eight hex digits."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:8]


def git(root: Path, *words: str) -> bytes | None:
    """What git answers; None where it fails, or there is no git or no repository."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
