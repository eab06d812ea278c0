"""MNIST from a user's files, on small files of the same form; faults that readers of IDX files have had."""

from __future__ import annotations

import gzip
import hashlib
import struct
from functools import partial

import numpy as np
import pytest

from experiments.tasks import images, mnist
from impl import draw

SIZES = {"train": 240, "t10k": 50}
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = mnist.FILES


@pytest.fixture
def known(monkeypatch):
    """Small contents by file name, whose sizes and hashes are made the demanded ones."""
    rng, contents = draw.generator("test mnist"), {}
    for name, file in mnist.FILES.items():
        shape = (SIZES[name.split("-")[0]], *file.shape[1:])
        contents[name] = rng.integers(0, 256 if len(shape) == 3 else 10, shape, np.uint8)
    files = {name: mnist.File(some.shape, sha256(packed(some))) for name, some in contents.items()}
    monkeypatch.setattr(mnist, "FILES", files)
    return contents


@pytest.fixture
def folder(known, tmp_path):
    """A folder with the four files, unpacked."""
    for name, some in known.items():
        (tmp_path / name).write_bytes(packed(some))
    return tmp_path


def test_the_files_demanded_are_those_that_were_published():
    """Names, sizes, and 64 hexadecimal digits each, all different."""
    shapes = [file.shape for file in mnist.FILES.values()]
    assert shapes == [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]
    assert len({bytes.fromhex(file.sha256) for file in mnist.FILES.values()}) == 4
    assert {len(file.sha256) for file in mnist.FILES.values()} == {64}


def test_a_good_folder_shows_no_fault(folder, known):
    """What is loaded is what was written."""
    assert faults(mnist.load(folder), known) == set()


@pytest.mark.parametrize("fault", ["overflow", "order", "labels", "leak", "statistics"])
def test_each_planted_fault_is_seen(fault, folder, known, monkeypatch):
    """Each fault planted in the reader or its set is found, under its own name and no other."""
    assert faults(PLANTED[fault](folder, monkeypatch), known) == {fault}


def test_packed_files_and_a_mixture_give_the_same_set(folder):
    """With .gz or without; one that is there in both forms is read unpacked."""
    plain = mnist.load(folder)
    (folder / TRAIN_IMAGES).rename(folder / "away")
    (folder / f"{TRAIN_IMAGES}.gz").write_bytes(gzip.compress((folder / "away").read_bytes()))
    (folder / f"{TEST_LABELS}.gz").write_bytes(b"not read")
    mixed = mnist.load.__wrapped__(str(folder))
    assert all((a.pixels == b.pixels).all() for a, b in zip(plain[:3], mixed[:3], strict=True))
    assert all((a.labels == b.labels).all() for a, b in zip(plain[:3], mixed[:3], strict=True))


def test_the_set_follows_the_protocol_and_is_kept(folder):
    """x (784, B, 1) and target (1, B) from `partial(draw, load(folder))`; the second call reads nothing."""
    data = mnist.load(folder)
    x, target = partial(mnist.draw, data)(draw.generator("batch"), mnist.STEPS, 7)
    assert x.shape == (784, 7, 1) and target.shape == (1, 7) and mnist.load(folder) is data
    assert data.training.pixels.dtype == np.uint8
    assert mnist.cost(np.zeros((1, 7, 10)), target).shape == (7,)
    with pytest.raises(ValueError, match="`length` must be 784, since a row has 784 pixels"):
        mnist.draw(data, draw.generator("batch"), 28, 7)


def test_a_permutation_is_one_order_for_all_rows_of_all_parts(folder):
    """Each row holds its pixels in the seed's order; another seed has another order, the mean and deviation stay."""
    plain, mixed, order = mnist.load(folder), mnist.load(folder, 5), mnist.order(5)
    assert sorted(order) == list(range(784)) and (order != mnist.order(6)).any() and (order == mnist.order(5)).all()
    for a, b in zip(plain[:3], mixed[:3], strict=True):
        assert (b.pixels == a.pixels[:, order]).all() and (b.labels == a.labels).all()
    assert mixed.mean == pytest.approx(plain.mean) and mixed.deviation == pytest.approx(plain.deviation)
    assert mnist.order(None).tolist() == list(range(784)) != order.tolist()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda data: data[:2] + b"\x0d" + data[3:], "must begin with the bytes 00000803; got 00000d03"),
        (lambda data: data[:3] + b"\x01" + data[4:], "must begin with the bytes 00000803; got 00000801"),
        (lambda data: data[3::-1] + data[4:], "must begin with the bytes 00000803; got 03080000"),
        (lambda data: b"", "must begin with the bytes 00000803; got "),
        (lambda data: data[:9], "must have the sizes .*; got a header cut short"),
        (
            lambda data: data[:4] + struct.pack("<3I", 240, 28, 28) + data[16:],
            r"must have the sizes \(240, 28, 28\); got",
        ),
        (lambda data: data[:-1], "must have 188176 bytes; got 188175"),
        (lambda data: data + b"\0", "must have 188176 bytes; got 188177"),
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), r"must have the SHA-256 \w{64} \(unpacked\); got \w{64}"),
    ],
)
def test_a_file_that_is_not_the_published_one_is_refused(folder, change, rule):
    """Another type, number of axes or byte order, sizes, length or content: one line with the file's name."""
    path = folder / TRAIN_IMAGES
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(mnist.MnistError, match=f"^`folder` must hold MNIST's files: .*{TRAIN_IMAGES} {rule}") as caught:
        mnist.load(folder)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize("data", [b"not packed", gzip.compress(b"some bytes")[:-9]], ids=["no gzip", "cut short"])
def test_a_file_that_cannot_be_unpacked_is_refused(folder, data):
    """Not compressed at all, or cut short."""
    (folder / TEST_IMAGES).unlink()
    (folder / f"{TEST_IMAGES}.gz").write_bytes(data)
    with pytest.raises(mnist.MnistError, match=f"`folder` must hold files that can be unpacked; got .*{TEST_IMAGES}"):
        mnist.load(folder)


def test_an_absent_file_and_a_folder_in_its_place_are_named(folder):
    """Both names are told, and what is there is left alone."""
    (folder / TEST_LABELS).unlink()
    with pytest.raises(mnist.MnistError, match=rf"must hold {TEST_LABELS} or {TEST_LABELS}\.gz; got .* has neither"):
        mnist.load(folder)
    (folder / TEST_LABELS).mkdir()
    with pytest.raises(mnist.MnistError, match="must hold files that can be read"):
        mnist.load(folder)


def faults(data, known):
    """Names what is wrong with a set against the contents that were written, by each row's own first pixels."""
    found, rows = set(), {}
    for part in data[:3]:
        rows.update({row.tobytes(): label for row, label in zip(part.pixels, part.labels, strict=True)})
    if len(rows) != sum(SIZES.values()):
        found.add("leak")
    x, _ = images.batch(data, "test")
    raw = (x[..., 0].T * data.deviation + data.mean).round().astype(int)
    written = known[TEST_IMAGES].reshape(len(raw), -1).astype(int)
    if (np.sort(raw) != np.sort(written)).any():
        found.add("overflow")
    elif (raw != written).any():
        found.add("order")
    if (data.test.labels != known[TEST_LABELS]).any():
        found.add("labels")
    seen = images.batch(data, "training")[0]
    if abs(seen.mean()) > 1e-9 or abs(seen.std() - 1) > 1e-9:
        found.add("statistics")
    return found


def read_wrong(change):
    """A fault: what the reader gives for pictures, or for labels, is changed."""

    def fault(folder, monkeypatch):
        good = mnist._idx
        monkeypatch.setattr(mnist, "_idx", lambda data, shape: change(good(data, shape)))
        return mnist.load.__wrapped__(folder)

    return fault


def signed(values):
    """Bytes read as signed: 128 to 255 become -128 to -1."""
    return values.view(np.int8) if values.ndim == 3 else values


def turned(values):
    """Pictures column by column."""
    return values.transpose(0, 2, 1) if values.ndim == 3 else values


def shifted(values):
    """Labels of the row before."""
    return np.roll(values, 1) if values.ndim == 1 else values


def leak(folder, _):
    """The validation rows are rows of the test."""
    data = mnist.load(folder)
    n = len(data.validation.labels)
    return data._replace(validation=images.Part(data.test.pixels[:n], data.test.labels[:n]))


def by_the_test(folder, _):
    """Standardised by the test's mean and deviation."""
    data = mnist.load(folder)
    return data._replace(mean=data.test.pixels.mean(), deviation=data.test.pixels.std())


def packed(values):
    """The IDX form of bytes."""
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def sha256(data):
    """In hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


PLANTED = {
    "overflow": read_wrong(signed),
    "order": read_wrong(turned),
    "labels": read_wrong(shifted),
    "leak": leak,
    "statistics": by_the_test,
}
