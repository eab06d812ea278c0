"""MNIST-1D's recipe, against the numbers of the authors' package and against faults planted in the signals."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.tasks import images, mnist1d
from impl import draw


def test_the_rows_are_those_of_the_authors_package():
    """Standardised by all rows as there: first and last row, labels, from `mnist1d.make_dataset`, version 0.0.2."""
    signals, labels = mnist1d.generate()
    x = (signals - signals.mean()) / signals.std()
    first = [-0.3320056674, -0.4719103657, -0.7786970763, -1.0097408265, -0.8823525654]
    np.testing.assert_allclose(x[0, :5], first, atol=1e-8)
    np.testing.assert_allclose(x[-1, -3:], [0.6598756471, 0.8777343498, 1.1931518368], atol=1e-8)
    assert labels[:10].tolist() == [2, 6, 4, 5, 6, 6, 6, 0, 3, 1] and (np.bincount(labels) == 500).all()
    assert np.bincount(labels[4000:]).tolist() == [102, 104, 89, 106, 106, 98, 99, 96, 98, 102]
    assert (mnist1d.data().test.labels == labels[4000:]).all()
    np.testing.assert_array_equal(mnist1d.data().test.pixels, signals[4000:])


def test_templates_begin_at_zero_and_have_their_size():
    """Ten curves of 12 points with deviation 1/6; no two alike."""
    x = mnist1d.curves()
    assert x.shape == (10, 12) and (x[:, 0] == 0).all()
    np.testing.assert_allclose(x.std(1), 1 / 6, rtol=1e-12)
    assert min(abs(x[i] - x[j]).max() for i in range(10) for j in range(i)) > 0.05


def test_another_seed_gives_other_rows_and_leaves_numpys_own_stream_alone():
    """The recipe's package sets the global seed; here nothing global is touched."""
    before = np.random.get_state()[1].copy()
    one, other = mnist1d.generate(20, 1)[0], mnist1d.generate(20, 2)[0]
    assert one.shape == (20, 40) and (one != other).any()
    assert (np.random.get_state()[1] == before).all()


def test_steps_in_another_order_are_seen():
    """Neighbours are alike (correlation about .8); in one order by chance for all rows they are not."""
    assert not disordered(mnist1d.data())
    order = draw.generator("order").permutation(40)
    assert disordered(images.of(*(part._replace(pixels=part.pixels[:, order]) for part in mnist1d.data()[:3])))


def test_fewer_steps_than_the_signal_has_are_refused():
    """A signal is read whole."""
    with pytest.raises(ValueError, match="`length` must be 40, since a row has 40 pixels"):
        mnist1d.draw(draw.generator("none"), 39, 4)


def disordered(data):
    """Whether a step tells little of the next."""
    x, _ = images.batch(data, "training")
    return bool(np.corrcoef(x[1:].ravel(), x[:-1].ravel())[0, 1] < 0.7)
