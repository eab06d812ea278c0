"""Trees of arrays as a file (safetensors), and back: by name, nothing guessed. A file is replaced whole or not at all.

The name of an array is its way through the tree: Model(cell, head) has cell.weight_ih, ..., head.bias_hy. Beside the
arrays stand facts, plain data as JSON.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impl.spec import tree_map

FACTS = "facts"
LEFT = 60.0
"""Seconds after which a file that is still to take its place was left by a process that was killed."""


class SavedError(ValueError):
    """A file cannot be read, or does not hold what is asked for; one line that names the rule and what came."""


class Saved(NamedTuple):
    """What a file holds: its arrays by name, and its facts."""

    path: Path
    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


def write(path: Path, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Writes a file: whoever reads it sees the old one or the new one, also after a kill.

    Args:
        arrays: NumPy arrays by name. facts: plain data.
    Raises:
        SavedError: it cannot be written there; nothing has changed then.
    """
    from safetensors.numpy import save  # here, since who trains no language model need not have it

    data = save({name: np.ascontiguousarray(a) for name, a in arrays.items()}, {FACTS: json.dumps(facts)})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, data)
    except OSError as error:
        why = error.strerror or error
        raise SavedError(f"`path` must be a file that can be written; got {path} ({why}).") from error


def replace(path: Path, data: bytes) -> None:
    """Writes bytes in place of a file, or of none: the old ones are whole until the new ones are on the disk.

    Raises:
        OSError: they cannot be written there; nothing has changed then.
    """
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        remove_left(path)
        put(new, data)
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def put(path: Path, data: bytes) -> None:
    """Writes bytes, and waits until they are on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def remove_left(path: Path) -> None:
    """Removes what killed processes have left of this file's writing; what is younger may be another's at work."""
    form, old = re.compile(re.escape(path.name) + r"\.\d+\.new"), time.time() - LEFT
    for new in path.parent.iterdir():
        with suppress(FileNotFoundError):  # another process may do the same
            if form.fullmatch(new.name) and new.stat().st_mtime < old:
                new.unlink()


def read(path: Path) -> Saved:
    """What a file holds.

    Raises:
        SavedError: it does not exist, is damaged, or was not written by `write`.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            facts = json.loads((file.metadata() or {})[FACTS])
            return Saved(path, {name: file.get_tensor(name) for name in file.keys()}, facts)  # noqa: SIM118
    except OSError as error:
        raise SavedError(f"`path` must be a file that can be read; got {path} ({error}).") from error
    except (SafetensorError, KeyError, ValueError) as error:
        what = str(error) if isinstance(error, SafetensorError) else f"no {FACTS}"
        raise SavedError(f"`path` must be a whole safetensors file of ours; got {path} ({what}).") from error


def named(tree: Any, name: str) -> dict[str, Any]:
    """The arrays of a tree of (named) tuples by their way through it, `name` first; absent ones are left out."""
    if isinstance(tree, tuple):
        ways = getattr(tree, "_fields", range(len(tree)))
        return {k: a for way, branch in zip(ways, tree, strict=True) for k, a in named(branch, f"{name}.{way}").items()}
    return {} if tree is None else {name: tree}


def filled(like: Any, name: str, saved: Saved) -> Any:
    """A tree of the form of `like` with the file's arrays under `name`.

    Raises:
        SavedError: an array is missing, of another shape or dtype, or there is one more; the message names it.
    """
    wanted = named(like, name)
    for key, array in wanted.items():
        check(saved, key, tuple(array.shape), str(array.dtype).removeprefix("torch."))
    for key in saved.arrays:
        if key.startswith(f"{name}.") and key not in wanted:
            raise SavedError(
                f"`{key}` must be absent, since what is asked for has no such array; it is in {saved.path}."
            )
    arrays = iter([saved.arrays[key] for key in wanted])
    return tree_map(lambda _: next(arrays), like)


def check(saved: Saved, key: str, shape: tuple[int, ...], dtype: str) -> None:
    """Refuses an array that is missing or another one."""
    if key not in saved.arrays:
        raise SavedError(f"`{key}` must be in the file; {saved.path} has {', '.join(sorted(saved.arrays))}.")
    a = saved.arrays[key]
    if a.shape != shape or a.dtype.name != dtype:
        came = f"{a.shape} {a.dtype.name} in {saved.path}"
        raise SavedError(f"`{key}` must have shape {shape} and dtype {dtype}, since that is the model's; got {came}.")
