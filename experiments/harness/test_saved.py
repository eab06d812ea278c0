"""Files of arrays: what was written is read, and what is not ours or not whole is refused."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
from safetensors.numpy import save

from experiments.harness import saved
from experiments.harness.saved import SavedError
from impl import draw
from impl.spec import Model, leaves

FACTS = {"step": 3, "loss": 0.1 + 0.2, "alphabet": "ab\u00e6\n"}


@pytest.fixture
def model():
    """A small LSTM whose read-out has no bias."""
    cell = draw.uniform(draw.generator("saved"), "lstm", 2, 3)
    return Model(cell, draw.head(draw.generator("saved", "head"), 2, 3)._replace(bias_hy=None))


@pytest.fixture
def path(tmp_path, model):
    """A file with the model."""
    saved.write(tmp_path / "folder" / "m.safetensors", saved.named(model, "model"), FACTS)
    return tmp_path / "folder" / "m.safetensors"


def test_what_was_written_is_read_to_the_bit(path, model):
    """Arrays by their names, an absent one stays absent, facts as they were; nothing else lies in the folder."""
    file = saved.read(path)
    assert file.facts == FACTS and "model.cell.weight_hh" in file.arrays and "model.head.bias_hy" not in file.arrays
    got = saved.filled(model, "model", file)
    assert type(got) is Model and got.head.bias_hy is None
    assert all(np.array_equal(a, b) for a, b in zip(leaves(got), leaves(model), strict=True))
    assert [p.name for p in path.parent.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_file_that_is_not_whole_is_refused(path, keep):
    """Cut anywhere: one line that names the file."""
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SavedError, match=r"^`path` must be a whole safetensors file of ours; got .+m\.safetensors"):
        saved.read(path)


def test_what_a_kill_has_left_of_a_file_is_removed_when_it_is_written_again(path, model):
    """What is as old and of another name stays, and what is young, since another process may be writing it."""
    left = {f"m.safetensors.{pid}.new": age for pid, age in ((1, 61), (23, 3600), (4, 0))}
    others = dict.fromkeys(
        ("m.safetensors.x.new", "m.safetensors.5.new.1", "am.safetensors.5.new", "mxsafetensors.5.new"), 3600
    )
    for name, age in (left | others).items():
        (path.parent / name).write_bytes(b"half")
        os.utime(path.parent / name, (time.time() - age,) * 2)
    saved.write(path, saved.named(model, "model"), FACTS)
    assert {p.name for p in path.parent.iterdir()} == {"m.safetensors", "m.safetensors.4.new", *others}


def test_a_file_that_cannot_be_written_is_refused_and_the_old_one_stays(path, monkeypatch):
    """A full disk, a folder's name, a folder that is a file: one line that names the file, and nothing is left."""
    (path.parent / "taken").mkdir()
    before, listed = path.read_bytes(), sorted(path.parent.iterdir())
    for name in ("taken", "m.safetensors/m"):
        with pytest.raises(SavedError, match=rf"^`path` must be a file that can be written; got .+{name} \(.+\)\.$"):
            saved.write(path.parent / name, {}, FACTS)
    monkeypatch.setattr(saved.os, "fsync", full)
    with pytest.raises(SavedError, match=r"m\.safetensors \(No space left\)"):
        saved.write(path, {}, FACTS)
    assert path.read_bytes() == before and sorted(path.parent.iterdir()) == listed


def full(_):
    """What a full disk does."""
    raise OSError(28, "No space left")


def test_a_file_that_is_absent_or_not_ours_is_refused(tmp_path):
    """No file, and a safetensors file without our facts."""
    with pytest.raises(SavedError, match="must be a file that can be read"):
        saved.read(tmp_path / "none")
    (tmp_path / "other").write_bytes(save({"a": np.ones(2)}))
    with pytest.raises(SavedError, match=r"ours; got .+other \(no facts\)"):
        saved.read(tmp_path / "other")


def test_each_difference_from_the_model_is_refused_by_name(path, model):
    """Another width, another dtype, an array too few, an array too many."""
    file = saved.read(path)
    wide = model._replace(cell=draw.uniform(draw.generator("wide"), "lstm", 2, 4))
    short = model._replace(cell=model.cell._replace(bias_ih=None))
    more = model._replace(head=model.head._replace(bias_hy=np.zeros(2)))
    single = model._replace(cell=model.cell._replace(bias_hh=model.cell.bias_hh.astype("float32")))
    for like, said in (
        (wide, r"^`model.cell.weight_ih` must have shape \(16, 2\).+ got \(12, 2\) float64"),
        (short, r"^`model.cell.bias_ih` must be absent"),
        (more, r"^`model.head.bias_hy` must be in the file"),
        (single, r"^`model.cell.bias_hh` must have .+ dtype float32.+ float64"),
    ):
        with pytest.raises(SavedError, match=said):
            saved.filled(like, "model", file)
