"""A store in pieces that travel: files of limited size, each a store of its own, compressed by xz; and back again.

The groups stand in the order of their keys, so the bytes are a function of the groups, their facts and the limit alone
(and of the versions of SQLite and liblzma). The pieces of one store are NAME-1.sqlite.xz, NAME-2.sqlite.xz, ...
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from experiments.harness import saved
from experiments.harness.endings import UsageError
from experiments.harness.store import Copied, Store, StoreError

LIMIT = 2**24 - 2**16
"""Bytes of a piece at most: a little under 16 MiB, which leaves room for what a transport adds."""
ALL = "all"
"""The name of pieces that hold the groups of all experiments."""
END = ".sqlite.xz"
XZ, SQLITE = b"\xfd7zXZ\0", b"SQLite format 3\0"
"""How files of either kind begin."""


# Packing


def pack(store: Path, folder: Path, experiment: str | None = None, limit: int = LIMIT) -> list[Path]:
    """Writes the groups of a store as pieces into a folder, in place of those that are there under the same name.

    Pieces that are there may hold nothing that the store lacks: no group, and no other records of one. A kill leaves
    old and new ones side by side, each whole; the store has all that is in either, and the same call goes on.

    Args:
        experiment: whose groups; None: all.
        limit: bytes of a piece at most.
    Returns:
        The pieces, in the order of the keys that they hold.
    Raises:
        StoreError: there is nothing to pack, the store is damaged or held by another process, a group alone is over
            the limit, pieces that are there would be lost, or none can be written; all stays as it is then.
    """
    name = experiment or ALL
    if not store.is_file():
        raise StoreError(f"the store {store} cannot be packed: there is no such file.")
    if not store.stat().st_size:  # opened, it would be made one
        raise StoreError(f"the store {store} cannot be packed: the file is empty, and so no store.")
    with Store(store) as source:
        keys = source.keys(experiment)
        if not keys:
            of = f" of {experiment}" if experiment else ""
            raise StoreError(f"the store {store} cannot be packed: it has no finished groups{of}.")
        old = _there(folder, name)
        for file in old:
            _refuse_what_would_be_lost(file, source)
        return _written(folder, name, list(_pieces(source, keys, limit)), old)


def _there(folder: Path, name: str) -> list[Path]:
    """The pieces of that name in a folder."""
    form = re.compile(rf"{re.escape(name)}-[0-9]+{re.escape(END)}")
    return sorted(file for file in folder.glob("*") if form.fullmatch(file.name))


def _refuse_what_would_be_lost(file: Path, source: Store) -> None:
    """Refuses to replace a piece that holds groups which the store lacks, or has with other records.

    Raises:
        StoreError: it does, or cannot be read.
    """
    with _opened(file) as piece:
        absent, different = source.compared(piece, piece.keys())
    if absent or different:
        lost = f"groups that {source.path} lacks ({len(absent)}) or has with other records ({len(different)})"
        # A store keeps its own records of a group, so that unpacking would leave the others in the piece alone.
        other = "move it away" if different else "unpack it first"
        raise StoreError(f"the piece {file} cannot be replaced: it holds {lost}; {other}, or pack into another folder.")


def _pieces(source: Store, keys: Sequence[str], limit: int) -> Iterator[bytes]:
    """The groups in pieces within the limit: halved until each is."""
    piece = _piece(source, keys)
    if len(piece) <= limit:
        yield piece
    elif len(keys) > 1:
        yield from _pieces(source, keys[: len(keys) // 2], limit)
        yield from _pieces(source, keys[len(keys) // 2 :], limit)
    else:
        _, _, setting, *_ = source.rows(keys[0])[0]
        size = f"{setting} ({keys[0][:8]}) alone takes {len(piece)} bytes, and a piece may have {limit}"
        raise StoreError(f"the store {source.path} cannot be packed: {size}.")


def _piece(source: Store, keys: Sequence[str]) -> bytes:
    """Groups as a store of their own, compressed.

    Raises:
        StoreError: a group is damaged, or there is no room for temporary files.
    """
    try:
        return _compressed(source, keys)
    except (sqlite3.OperationalError, OSError) as error:
        what = f"there is no room for temporary files ({getattr(error, 'strerror', None) or error})"
        raise StoreError(f"the store {source.path} cannot be packed: {what}.") from error


def _compressed(source: Store, keys: Sequence[str]) -> bytes:
    """See `_piece`."""
    with tempfile.TemporaryDirectory() as folder:
        fresh, bare = Path(folder) / "fresh.sqlite", Path(folder) / "bare.sqlite"
        with Store(fresh) as store:
            store.copy(source, keys)
        # Without the traces of how it was written, and no longer in the mode that has a log beside it.
        with closing(sqlite3.connect(fresh)) as db:
            db.execute("VACUUM INTO ?", (str(bare),))
        return lzma.compress(bare.read_bytes())


def _written(folder: Path, name: str, pieces: Sequence[bytes], old: Iterable[Path]) -> list[Path]:
    """Puts the pieces in the place of the old ones, once all are on the disk."""
    paths = [folder / f"{name}-{n}{END}" for n in range(1, len(pieces) + 1)]
    new = [path.with_name(f"{path.name}.{os.getpid()}.new") for path in paths]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, file, piece in zip(paths, new, pieces, strict=True):
            saved.remove_left(path)
            saved.put(file, piece)
        for path, file in zip(paths, new, strict=True):
            file.replace(path)
        for file in set(old) - set(paths):
            file.unlink()
        return paths
    except OSError as error:
        what = f"no pieces can be written to {folder} ({error.strerror or error})"
        raise StoreError(f"{what}; the store is as it was.") from error
    finally:
        for file in new:
            with suppress(OSError):
                file.unlink()


# Unpacking


def unpack(files: Iterable[Path], store: Path) -> Copied:
    """Adds the groups of pieces, or of stores as they are, to a store: those of each file or, if it is bad, none of it.

    A group that is in the store stays as it is there, also where a piece has other records of it: then the same
    settings have given other numbers, as they may on another kind of processor.

    Args:
        files: pieces of any format up to the present one; they stay as they are.
        store: made if it is not there.
    Raises:
        UsageError: a file is the store itself; nothing is done then.
        StoreError: a file is no piece, cut short, damaged, of a newer format or another program's, and none of it is
            added; or the store cannot be used. What files before it have added is kept, and told.
    """
    files, found = list(files), Copied()
    for file in files:
        _refuse_itself(file, store)
    with Store(store) as into:
        for file in files:
            try:
                found = Copied(*map(sum, zip(found, _added(file, into), strict=True)))
            except StoreError as error:
                before = f" The files before it: {told(found, store)}." if any(found) else ""
                raise StoreError(f"{error}{before}", error.why) from error
    return found


def told(found: Copied, store: Path) -> str:
    """What was added to a store, in words."""
    other = f", {found.different} of them with other records, which stay as they are" * bool(found.different)
    return f"{found.added} groups added to {store}; {found.present} were there{other}"


def _refuse_itself(file: Path, store: Path) -> None:
    """Refuses to add a store to itself.

    Raises:
        UsageError: this file is the store.
    """
    if file.exists() and store.exists() and file.samefile(store):
        raise UsageError(f"what is unpacked must be another file than the store; got {file} for both.")


def _added(file: Path, into: Store) -> Copied:
    """The groups of one file, added."""
    with _opened(file) as piece:
        return into.copy(piece, piece.keys())


@contextmanager
def _opened(file: Path) -> Iterator[Store]:
    """A copy of a piece as a store, in which every group is as it was saved."""
    with ExitStack() as stack:
        with _told(file):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            piece = stack.enter_context(Store(_expanded(file, folder / "piece.sqlite")))
            piece.keys()
        yield piece


def _expanded(file: Path, copy: Path) -> Path:
    """The store that is in a file, as a file of its own."""
    if not file.is_file():
        raise StoreError("there is no such file")
    with file.open("rb") as bare:
        opened = lzma.open if bare.read(len(XZ)) == XZ else Path.open
    with opened(file, "rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)
    with copy.open("rb") as start:
        if start.read(len(SQLITE)) != SQLITE:
            raise StoreError("it is neither a store nor one that xz has compressed")
    for log in (file.with_name(file.name + end) for end in ("-wal", "-journal")):
        if log.exists():
            raise StoreError(f"{log.name} lies beside it, so a run is writing to it or was killed; pack it first")
    return copy


@contextmanager
def _told(file: Path) -> Iterator[None]:
    """Says in one line why nothing can be had of a piece."""
    try:
        yield
    except (StoreError, lzma.LZMAError, EOFError, OSError) as error:
        raise StoreError(f"the piece {file} cannot be read: {_why(error)}; nothing was done with it.") from error


def _why(error: Exception) -> str:
    """What is wrong with a piece."""
    if isinstance(error, StoreError):
        return error.why
    if isinstance(error, OSError):
        return f"no copy of it can be made among temporary files ({error.strerror or error})"
    return f"it is no whole xz file ({str(error).rstrip('.')})"
