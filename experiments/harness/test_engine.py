"""Engines: either twin under the same names."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from experiments.harness.engine import ENGINES, cores, engine, on_device, threads
from impl import draw
from impl.numpy_twin import scan
from impl.spec import leaves


def test_an_engine_is_a_twin_and_nothing_else_is_imported():
    """The NumPy engine works where torch is never imported."""
    program = (
        "from experiments.harness.engine import engine; engine('numpy'), engine('fast');"
        "import sys; sys.exit('torch' in sys.modules or 'numba' in sys.modules)"
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
    with pytest.raises(ValueError, match=r"`engine` must be one of fast, compiled, numpy, torch; got 'jax'"):
        engine("jax")


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "lstm_coupled"])
def test_every_engine_gives_the_plain_twins_gradients_and_on_request_those_by_every_state(name, cell):
    """One contract: which form computes is no part of an experiment."""
    rng, twin = draw.generator("engines"), engine(name)
    params = draw.group([draw.uniform(rng, cell, 3, 4) for _ in range(3)])
    x, dh = rng.normal(size=(5, 3, 2, 3)), rng.normal(size=(5, 3, 2, 4))
    plain = scan.backward(cell, params, scan.forward(cell, params, x).cache, dh)
    given, (xs, dhs) = twin.asarray(params), twin.asarray((x, dh))
    trained = twin.scan.backward(cell, given, twin.scan.forward(cell, given, xs).cache, dhs, skip=("x", "states"))
    whole = twin.states.backward(cell, given, twin.states.forward(cell, given, xs).cache, dhs)
    for got, wanted in ((trained.params, plain.params), (whole.states, plain.states), (whole.x, plain.x)):
        for a, b in zip(leaves(twin.numpy(got)), leaves(wanted), strict=True):
            assert np.abs(a - b).max() <= 1e-14 * max(1, np.abs(b).max())


def test_an_engine_has_the_threads_it_is_made_with():
    """And no others afterwards."""
    with threads(3):
        assert engine("fast").states.forward.keywords == {"threads": 3}
    assert engine("fast").scan.backward.keywords == {"threads": 1}


@pytest.mark.parametrize(
    ("form", "device", "gpu", "wanted"),
    [
        ("auto", "auto", False, "fast"),
        ("auto", "auto", True, "torch:cuda"),
        ("torch", "auto", True, "torch:cuda"),
        ("torch", "auto", False, "torch"),
        ("fast", "auto", True, "fast"),
        ("auto", "cpu", True, "fast"),
        ("auto", "cuda:1", True, "torch:cuda:1"),
        ("torch", "cpu", True, "torch"),
    ],
)
def test_an_engine_goes_where_it_can(monkeypatch, form, device, gpu, wanted):
    """A GPU is taken where there is one and the engine can use it."""
    monkeypatch.setattr("experiments.harness.engine.gpu_found", lambda device: gpu)
    assert on_device(form, device) == wanted


@pytest.mark.parametrize(
    ("form", "device", "sentence"),
    [
        ("fast", "cuda", r"^`device` must be cpu, since the engine is fast; got 'cuda'\.$"),
        ("torch", "mars", r"^`device` must be one that torch finds here, of cpu(, \w+)*; got 'mars'\.$"),
        ("torch", "meta", r"^`device` must be one that torch finds here, of cpu(, \w+)*; got 'meta'\.$"),
        ("torch", "meta:0", "got 'meta:0'"),
        ("torch", "hpu", "got 'hpu'"),
    ],
)
def test_a_device_that_does_not_fit_is_refused(form, device, sentence):
    """By name."""
    with pytest.raises(ValueError, match=sentence):
        on_device(form, device)


@pytest.mark.parametrize("name", ["fast:cuda", "torch:mars"])
def test_an_engine_is_not_made_where_it_cannot_compute(name):
    """The refusal of a device comes with the engine, and not with its first array."""
    with pytest.raises(ValueError, match=r"^`device` must be "):
        engine(name)


def test_cores_are_those_that_this_process_may_use():
    """Of a machine with more, one that is left to it is one."""
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system leaves every process all cores")
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    code += "from experiments.harness.engine import cores; print(cores())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "1" and cores() == len(os.sched_getaffinity(0))
