"""The source recall(tau): what it shows, and its closed forms by enumeration."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.tasks import recall
from experiments.tasks.testing import balanced, holds
from impl import draw


@pytest.mark.parametrize("tau", [1.5, 4, 10])
def test_rate_and_rungs_are_the_closed_forms(tau):
    """The closed forms agree with the mixed-state enumeration, order by order, to rounding."""
    source = recall.source(tau)
    assert source.rate == pytest.approx(recall.rate(tau), abs=1e-12)
    above = source.rungs(7) - recall.rate(tau)
    np.testing.assert_allclose(above, [recall.rung(k, tau) for k in range(8)], rtol=0, atol=1e-12)


def test_the_bit_that_follows_a_cue_is_the_one_shown_before_the_gap():
    """In every period, with a gap of mean tau and fair bits."""
    tau, gaps, bits = 4, [], []
    for row in recall.source(tau).symbols(draw.generator("recall"), 300, 100).T:
        cues = np.flatnonzero(row == recall.CUE)
        for before, cue in zip(cues[:-1] + 1, cues[1:], strict=True):
            if cue + 1 < len(row):
                assert row[cue + 1] == row[before + 1] < 2 and (row[before + 2 : cue] == recall.NOTHING).all()
                gaps.append(cue - before - 1)
                bits.append(row[cue + 1])
    assert holds(np.array(gaps, float), tau) and balanced(np.mean(bits, keepdims=True), 0.5, len(bits))


def test_without_memory_one_bit_a_period_is_lost():
    """Who sees two symbols loses the bit at all cues but those that follow at once, and no more as tau grows."""
    assert recall.rung(2, 10) == pytest.approx(0.9 / 12) and recall.rung(2, 1e9) * 1e9 == pytest.approx(1)
    assert all(recall.rung(k, 10) > recall.rung(k + 1, 10) > 0 for k in range(20))
