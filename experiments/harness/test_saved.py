"""Files of arrays: what was written is read, and what is not ours or not whole is refused."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_a_file_that_is_absent_or_not_ours_is_refused(tmp_path):
    """No file, and a safetensors file without our facts."""
    with pytest.raises(SavedError, match="must be a file that can be read"):
        saved.read(tmp_path / "none")
    (tmp_path / "other").write_bytes(saved.save({"a": np.ones(2)}))
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
