"""The adding problem's generator and its closed forms, against faults that such generators have had."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.tasks import adding
from experiments.tasks.testing import (
    holds,
    pair_faults,
    pair_planted,
    refuses,
    squares,
    squeezed,
    tolerance,
    value_faults,
)
from impl import draw

T, ROWS = 11, 40_000
HALF = T // 2


def test_values_are_uniform_and_two_markers_stand_uniformly_in_their_halves():
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*adding.draw(draw.generator("test adding"), T, ROWS)) == set()


@pytest.mark.parametrize("fault", ["markers", "halves", "places", "values", "target", "leak"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name."""
    x, target = adding.draw(draw.generator("test adding"), T, ROWS)
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(x.copy(), target))


def test_the_floors_are_the_variances_of_what_is_not_known():
    """Saying 1, one value and a half, and both values cost 1/6, 1/12 and 0 within five standard errors."""
    x, target = adding.draw(draw.generator("floors"), T, ROWS)
    marked = (x[..., 0] * x[..., 1])[..., None]
    first, both = marked[:HALF].sum(0)[None], marked.sum(0)[None]
    assert [adding.floor(known) for known in (0, 1, 2)] == [1 / 6, 1 / 12, 0] and adding.CHANCE_LOSS == 1 / 6
    for known, y in ((0, 1 + 0 * target), (1, first + 0.5), (2, both)):
        assert holds(squares(y, target), adding.floor(known))


def test_the_printed_baseline_of_1767_is_noticed():
    """A public code prints .1767 as the loss of who says 1; the rows tell it from 1/6."""
    _, target = adding.draw(draw.generator("floors"), T, ROWS)
    assert not holds(squares(1 + 0 * target, target), 0.1767)
    assert abs(adding.CHANCE_LOSS - 0.1767) > 0.01 * 0.1767


def test_the_loss_is_that_of_the_twins_summed_over_rows():
    """`squared_error` of both twins is the sum of squares that the floors are means of."""
    from impl.numpy_twin import loss

    _, target = adding.draw(draw.generator("loss"), T, 64)
    total, _ = getattr(loss, adding.LOSS)(np.ones_like(target), target)
    assert total == pytest.approx(squares(1 + 0 * target, target).sum(), rel=1e-14)


@pytest.mark.parametrize("window", range(T + 2))
def test_the_loss_of_a_window_is_that_of_the_best_predictor_who_sees_it(window):
    """Marked values inside count as they are, those outside as their mean; window 0 is chance and T is 0."""
    x, target = adding.draw(draw.generator("window"), T, ROWS)
    seen = x[max(T - window, 0) :]
    y = (seen[..., 0] * seen[..., 1]).sum(0) + 0.5 * (2 - seen[..., 1].sum(0))
    assert holds(squares(y[None, :, None], target), adding.bayes_loss(window, T))


def test_a_window_costs_chance_a_half_or_nothing_at_its_ends():
    """Nothing seen 1/6, the second half 1/12, everything 0, also where T is odd."""
    for length in (10, 11):
        n = length - length // 2
        assert [adding.bayes_loss(w, length) for w in (0, n, length)] == [1 / 6, 1 / 12, 0]


def test_a_constant_answer_is_right_by_chance_alone():
    """Who says 1 is within the tolerance as often as the density 1 - |sum - 1| has it; who says the sum always is."""
    _, target = adding.draw(draw.generator("chance"), T, ROWS)
    p = adding.CHANCE_ACCURACY
    right = adding.correct(1 + 0 * target, target)
    assert abs(right.mean() - p) < tolerance(1) * np.sqrt(p * (1 - p) / ROWS)
    assert adding.correct(target, target).all()


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """One batch is (T, B, 2); `correct` drops the step and output axes, and keeps E and B."""
    x, target = adding.draw(draw.generator("shape"), 5, 7)
    assert x.shape == (5, 7, adding.D) and target.shape == (1, 7, adding.V)
    group = np.stack([target, target + 0.1], 1)
    right = adding.correct(np.stack([target, target], 1), group)
    assert right.shape == (2, 7) and right[0].all() and not right[1].any()


def test_bad_arguments_are_refused():
    """One step cannot hold two markers, three values are not marked, and a window is not negative."""
    for call in (lambda: adding.draw(draw.generator("none"), 1, 4), lambda: adding.bayes_loss(0, 1)):
        refuses(call, "`length` must be at least 2, since each half of the steps holds a marker; got 1.")
    refuses(lambda: adding.floor(3), "`known` must lie in 0 .. 2, since two values are marked; got 3.")
    refuses(lambda: adding.bayes_loss(-1, T), "`window` must be at least 0")


def faults(x, target):
    """Names what is wrong with a batch: exactly, or by statistics whose standard deviation if it is good is known."""
    return pair_faults(x, target, np.add, 1, 1 / 6) | value_faults(x)


PLANTED = {"values": (squeezed(1),), **pair_planted(np.add)}
