"""Engines: either twin under the same names."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from experiments.harness.engine import ENGINES, engine
from impl.numpy_twin import scan


def test_an_engine_is_a_twin_and_nothing_else_is_imported():
    """The NumPy engine works where torch is never imported."""
    program = (
        "from experiments.harness.engine import engine; engine('numpy'); import sys; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
    assert engine("numpy").scan is scan


@pytest.mark.parametrize("name", ENGINES)
def test_arrays_go_in_and_come_out(name):
    """In at the wanted precision, integers as they are; out as NumPy arrays."""
    twin = engine(name)
    x, n = twin.numpy(twin.asarray((np.ones(3), np.arange(3)), "float32"))
    assert x.dtype == "float32" and n.dtype.kind == "i" and isinstance(x, np.ndarray)


def test_an_unknown_engine_is_refused():
    """The message names those there are."""
    with pytest.raises(ValueError, match=r"`engine` must be one of numpy, torch; got 'jax'"):
        engine("jax")
