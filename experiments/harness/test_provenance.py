"""What stands beside results: which machine and which versions computed them."""

from __future__ import annotations

import json
import platform

import numpy as np
import pytest

from experiments.harness import provenance
from experiments.harness.store import Store
from experiments.harness.toy.testing import GROUPS

FACTS = {"commit": "c", "device": "cpu: this", "threads": 1, "seconds": 2.0}


def test_versions_are_those_that_an_engine_depends_on():
    """The NumPy twin's numbers depend on no torch; the torch twin's on its build too."""
    torch = pytest.importorskip("torch")
    numpy = {"python": platform.python_version(), "numpy": np.__version__}
    assert provenance.versions("fast") == numpy
    found = provenance.versions("torch")
    assert numpy.items() <= found.items() and found["torch"] == torch.__version__ and "driver" not in found


@pytest.mark.parametrize(("tool", "told"), [("echo 580.159.04; echo 1", "580.159.04"), ("exit 9", ""), ("true", "")])
def test_the_drivers_version_is_what_its_tool_says_first(tool, told, tmp_path, monkeypatch):
    """Of several cards all have the same driver; a tool that fails or says nothing leaves it out."""
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\n{tool}\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.driver() == told
    found = provenance.versions.__wrapped__("torch:cuda")
    assert found.get("driver", "") == told


def test_without_the_drivers_tool_no_driver_is_named(tmp_path, monkeypatch):
    """An empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.driver() == ""


def test_what_computed_is_told_once_a_kind_with_its_versions(tmp_path):
    """Also where a report joins groups of a card and of a CPU; groups of older records are told by their device."""
    card = FACTS | {"device": "cuda: a card", "versions": {"torch": "2.11.0+cu130", "driver": "580.1"}}
    with Store(tmp_path / "s.sqlite") as store:
        for group, facts in zip(GROUPS[:3], (card, FACTS, card), strict=True):
            store.save(group, [], facts)
        found = provenance.collect(GROUPS[:3], store, "a command")
    assert found["computed_on"] == [
        {"device": "cpu: this", "groups": 1},
        {"device": "cuda: a card", "driver": "580.1", "groups": 2, "torch": "2.11.0+cu130"},
    ]
    assert [row["device"] for row in found["groups"]] == ["cuda: a card", "cpu: this", "cuda: a card"]
    assert "versions" not in json.dumps(found["groups"]) and found["core_seconds"]["measured"] == 6.0
