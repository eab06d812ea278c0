"""What stands for an option that is left out: each default is the value that the documentation names."""

import numpy as np
import pytest

from impl import draw
from impl.spec import COMMON, leaves

KINDS = ("gaussian", "orthogonal", "identity")


def rng():
    """A generator that starts afresh, so that equal calls draw equal bits."""
    return draw.generator("test of defaults")


def same(one, other):
    """Whether two trees hold the same bits, absent arrays included."""
    assert [a is None for a in one] == [b is None for b in other]
    return all(np.array_equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", COMMON)
def test_an_initialiser_has_gain_one_and_biases_unless_told_otherwise(kind, cell):
    """The bits are those of the same words with both options written out."""
    initialise = getattr(draw, kind)
    assert same(initialise(rng(), cell, 3, 4), initialise(rng(), cell, 3, 4, gain=1.0, bias=True))
    assert initialise(rng(), cell, 3, 4).bias_hh is not None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_an_initialiser_draws_the_rest_as_torch_nn_does(kind, bias):
    """Input weights and biases are those of `uniform` on the same stream: only the recurrent blocks differ."""
    mine, plain = getattr(draw, kind)(rng(), "lstm", 3, 4, bias=bias), draw.uniform(rng(), "lstm", 3, 4, bias)
    assert same(mine._replace(weight_hh=plain.weight_hh), plain)


def test_a_read_out_has_a_bias_and_reaches_both_ends_of_its_range():
    """Uniform in +-1/sqrt(H), weights and biases alike; H = 16 makes that 1/4."""
    head = draw.head(rng(), 400, 16)
    for array in head:
        assert -0.25 <= array.min() < -0.24 and 0.24 < array.max() <= 0.25
        assert abs(array.mean()) < 5 * 0.25 / 3**0.5 / array.size**0.5
