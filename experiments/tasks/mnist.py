"""Sequential MNIST: 28 x 28 pixels row by row, one a step, 784 steps; plain, or in one fixed order by chance.

Nothing is downloaded: a user who has the four IDX files names their folder, and `load` gives the set. Its test part is
MNIST's own (10,000); of its 60,000 for training a twelfth of each class is validation; the split is fixed.

A set and the function below make a task: `functools.partial(draw, load(folder))` has the form of other tasks' `draw`.

Source: LeCun, Bottou, Bengio, Haffner 1998; pixel by pixel, plain and permuted: Le, Jaitly, Hinton 2015. The files come
with no licence of their own that we know of; none is kept here. Departures: the permutation is drawn by our generator
from a seed, where each paper has another; pixels are standardised, where some papers divide by 255.

The contents must have the SHA-256 that many public projects state for these files: of the unpacked bytes, so that it
does not matter who compressed them. We have not had the files themselves.

No criterion SOLVED_BELOW is set: errors are reported between `chance` and `rung`.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.tasks import images
from impl import draw as streams

NAME, LENGTH = "mnist", "steps"
STEPS = 784
D, V, LOSS, CHANCE_LOSS = images.D, images.V, images.LOSS, images.CHANCE_LOSS
SHARES = (11 / 12, 1 / 12)
correct, cost, draw, chance, rung = images.correct, images.cost, images.draw, images.chance, images.rung


class File(NamedTuple):
    """What a file must hold, unpacked: bytes of this shape behind a header, with this SHA-256 in all."""

    shape: tuple[int, ...]
    sha256: str


FILES = {
    "train-images-idx3-ubyte": File(
        (60_000, 28, 28), "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "train-labels-idx1-ubyte": File((60_000,), "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    "t10k-images-idx3-ubyte": File(
        (10_000, 28, 28), "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "t10k-labels-idx1-ubyte": File((10_000,), "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
}


class MnistError(ValueError):
    """The files cannot be used; one line that names the argument, the rule and what came."""


@lru_cache(maxsize=2)
def load(folder: Path, permutation: int | None = None) -> images.Images:
    """The set from a user's four files, each as it is or with .gz at the end of its name; 55 MB, kept in bytes.

    Args:
        folder: where the files lie.
        permutation: the seed of one order of the 784 pixels for all rows of all parts; row by row if None.
    Raises:
        MnistError: a file is absent, cannot be read or unpacked, or is not the published one.
    """
    pixels, labels, test_pixels, test_labels = (_contents(Path(folder), name, file) for name, file in FILES.items())
    steps = order(permutation)
    pixels, test_pixels = (some.reshape(len(some), -1)[:, steps] for some in (pixels, test_pixels))
    rows = images.stratified(streams.generator("mnist", "split"), labels, SHARES)
    kept, held_out = (images.Part(pixels[some], labels[some]) for some in rows)
    return images.of(kept, held_out, images.Part(test_pixels, test_labels))


def order(permutation: int | None) -> np.ndarray:
    """The pixel, counted row by row, that each of the 784 steps shows; by chance from a seed, or 0 to 783 if None."""
    if permutation is None:
        return np.arange(STEPS)
    return streams.generator("mnist", "permutation", permutation).permutation(STEPS)


def _idx(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The unsigned bytes of an IDX file, read-only.

    The header is 0, 0, 8 (for unsigned bytes), the number of axes, and each axis in four bytes, the highest first.

    Raises:
        MnistError: the header says another type or shape, or the length is another; to follow a file's name.
    """
    magic, header = bytes((0, 0, 8, len(shape))), 4 + 4 * len(shape)
    if data[:4] != magic:
        raise MnistError(f"must begin with the bytes {magic.hex()}; got {data[:4].hex()}")
    sizes = struct.unpack(f">{len(shape)}I", data[4:header]) if len(data) >= header else "a header cut short"
    if sizes != shape:
        raise MnistError(f"must have the sizes {shape}; got {sizes}")
    if len(data) != header + math.prod(shape):
        raise MnistError(f"must have {header + math.prod(shape)} bytes; got {len(data)}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _contents(folder: Path, name: str, file: File) -> np.ndarray:
    path, data = _unpacked(folder, name)
    try:
        values = _idx(data, file.shape)
    except MnistError as error:
        raise MnistError(f"`folder` must hold MNIST's files: {path} {error}.") from None
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise MnistError(
            f"`folder` must hold MNIST's files: {path} must have the SHA-256 {file.sha256} (unpacked); got {found}."
        )
    return values


def _unpacked(folder: Path, name: str) -> tuple[Path, bytes]:
    """A file's bytes: the plain one if it is there, else the compressed one."""
    plain, packed = folder / name, folder / f"{name}.gz"
    path = plain if plain.exists() else packed
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MnistError(f"`folder` must hold {name} or {packed.name}; got {folder}, which has neither.") from error
    except OSError as error:
        raise MnistError(f"`folder` must hold files that can be read; got {path} ({error.strerror}).") from error
    try:
        return path, gzip.decompress(data) if path == packed else data
    except (OSError, EOFError, zlib.error) as error:
        raise MnistError(f"`folder` must hold files that can be unpacked; got {path} ({error}).") from error
