"""Names of lines: apart, in the lines' order, within the panel; and the coordinates of a picture."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.harness import figures

ENDS = st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=8)


@given(ENDS)
def test_names_lie_within_the_panel_in_their_order_and_apart(ends):
    """Also those of lines that end beyond it."""
    places = figures.within(figures.spread(ends, 0.1), 0.1, 0.0, 1.0)
    assert places.min() >= 0 and places.max() <= 1
    ordered = places[np.argsort(ends, kind="stable")]
    assert (np.diff(ordered) > 0.1 - 1e-6).all()


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8))
def test_names_that_lie_within_the_panel_stay(ends):
    """To the bit, so that a picture does not change."""
    assert figures.within(np.array(ends), 0.1, 0.0, 1.0).tolist() == ends


def test_more_names_than_fit_stay_apart():
    """Beyond the ends rather than over one another."""
    places = figures.within(figures.spread([0.5] * 12, 0.1), 0.1, 0.0, 1.0)
    assert np.diff(np.sort(places)).min() > 0.09


@pytest.mark.parametrize("ends", [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.5, 1.0]])
def test_what_is_drawn_lies_beside_the_panel(ends):
    """Three names at its foot, at its head, and apart."""
    with figures.style():
        canvas, axis = plt.subplots()
        axis.set(ylim=(0, 1), xlim=(0, 1))
        figures.label_lines(axis, [(None, end, f"line {n}", "black") for n, end in enumerate(ends)])
        places = [text.xy[1] for text in axis.texts]
        plt.close(canvas)
    assert min(places) >= 0 and max(places) <= 1 and min(np.diff(sorted(places))) > 0.02


@given(st.integers(-200_000, 200_000), st.integers(0, 9), st.floats(-1e-10, 1e-10))
def test_the_last_bits_of_a_layout_do_not_change_a_picture(n, halvings, bits):
    """Wherever a pixel is halved: with matplotlib's six decimals alone, those at 1/128 do."""
    place = n / 2**halvings
    assert written(place + bits) == written(place)
    assert abs(float(written(place)) - place) <= 0.5e-4 + 1e-6


def written(place: float) -> str:
    """A coordinate as a picture has it."""
    found = figures.rounded(f'<use x="{place:f}"/>')
    return found.removeprefix('<use x="').removesuffix('"/>')


def test_what_is_rounded_are_coordinates_alone():
    """Not what a picture says; and no number keeps a sign or a point that it does not need."""
    text = (
        '<!-- 0.1234567 --><g id="a-0.1234567" x="1.99999951" y="-0.000001"><path d="M 0.123451 2\\nL 10.000049 3.25"/>'
    )
    rounded = '<!-- 0.1234567 --><g id="a-0.1234567" x="2" y="0"><path d="M 0.1235 2\\nL 10 3.25"/>'
    assert figures.rounded(text) == rounded
