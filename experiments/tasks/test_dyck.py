"""Brackets to a bounded depth: every closed bracket is the last one opened, and the rate is the closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.tasks import dyck
from experiments.tasks.testing import holds
from impl import draw


@pytest.mark.parametrize("kinds", [1, 2, 3])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_rate_is_the_closed_form(depth, kinds):
    """The mean entropy over the stacks is (1 - 1/d) + log2(kinds) / 2."""
    assert dyck.source(depth, kinds).rate == pytest.approx(dyck.rate(depth, kinds), abs=1e-12)


@pytest.mark.parametrize("kinds", [1, 2, 3])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_rungs_by_the_walk_are_those_of_all_beliefs(depth, kinds):
    """To order 5, and by what a source says of its first steps; a walk that never comes lower would miss the kinds."""
    found = dyck.rungs(depth, 5, kinds)
    np.testing.assert_allclose(found, dyck.source(depth, kinds).rungs(5), rtol=0, atol=1e-12)
    np.testing.assert_array_equal(dyck.source(depth, kinds).first(6), found)
    if kinds > 1:
        assert abs(found - dyck.source(depth, 1).rungs(5) - math.log2(kinds) / 2).max() > 0.1


@pytest.mark.parametrize("depth", [2, 4])
def test_brackets_are_nested_and_never_deeper(depth):
    """What closes is what stands on top, or what was open before the start; the depth spans no more than d."""
    for row in dyck.source(depth).symbols(draw.generator("dyck", depth), 200, 100).T:
        stack, heights = [], [0]
        for s in row:
            heights.append(heights[-1] + (1 if s < 2 else -1))
            if s < 2:
                stack.append(s)
            else:
                assert not stack or stack.pop() == s - 2
        assert max(heights) - min(heights) == depth


def test_the_predictor_knows_what_closes_what_it_saw_opened():
    """After the sequence ( [ no closing bracket but ] has a chance, and the coin is fair below the greatest depth."""
    source = dyck.source(4)
    chances = source.bayes(np.array([[0], [1], [3], [0], [2]]))[:, 0]
    assert chances[2, 2] == chances[3, 3] == 0 and chances[2, 3] > 0 and chances[3, 2] > 0
    deep = dyck.source(2).bayes(np.array([[0], [1], [3]]))[:, 0]
    np.testing.assert_allclose(deep[2], [0, 0, 0, 1], rtol=0, atol=1e-12)


def test_the_predictors_loss_converges_to_the_rate_at_depth_eight():
    """With 511 stacks, long after the start."""
    source = dyck.source(8)
    target = source.symbols(draw.generator("deep"), 500, 60)
    rows = -np.log2(np.take_along_axis(source.bayes(target), target[..., None], -1)[..., 0])[300:].mean(0)
    assert holds(rows, dyck.rate(8))
