"""Faults planted in the text of a twin: its package is copied with one line changed, and imported as another.

For what cannot be changed from outside: the loops of the fast forms, and kernels, whose source is compiled.
"""

from __future__ import annotations

import importlib
import itertools
import shutil
import sys
from pathlib import Path
from types import ModuleType

import impl

_COUNT = itertools.count()


def transplanted(twin: str, folder: Path, file: str, old: str, new: str, *modules: str) -> ModuleType:
    """A twin's package with `old` replaced by `new` in one of its files.

    Args:
        twin: "numpy_twin" or "torch_twin".
        folder: where the copy is put.
        file: the file, from the package on.
        old: text that stands there once.
        new: what takes its place.
        modules: of the package, imported as well.
    Raises:
        ValueError: `old` does not stand there once: the code has changed, and the fault with it must be thought over.
    """
    name = f"faulty_{next(_COUNT)}_{twin}"
    package = folder / name
    shutil.copytree(Path(impl.__file__).parent / twin, package, ignore=shutil.ignore_patterns("__pycache__"))
    text = (package / file).read_text("utf-8")
    if text.count(old) != 1:
        raise ValueError(f"`old` must stand once in {file}; {old!r} stands there {text.count(old)} times.")
    (package / file).write_text(text.replace(old, new), "utf-8")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    found = importlib.import_module(name)
    for module in modules:
        importlib.import_module(f"{name}.{module}")
    return found
