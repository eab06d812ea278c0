"""How tests of the experiments draw."""

import sys

import pytest


@pytest.fixture
def drawing():
    """Figures are drawn in the reports' style."""
    from experiments.harness import figures

    with figures.style():
        yield


@pytest.fixture(autouse=True)
def closed():
    """Figures are closed after each test, where any were drawn: matplotlib keeps what is open, and warns of many."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
