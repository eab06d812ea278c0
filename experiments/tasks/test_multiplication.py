"""Multiplication's closed forms, and its generator against faults that such generators have had."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.tasks import adding, multiplication
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

T, ROWS = 11, 20_000
HALF = T // 2


def test_the_generator_is_good_and_shares_the_draws_of_adding():
    """No fault of those below, and the same x as `adding` from the same generator."""
    x, target = multiplication.draw(draw.generator("test multiplication"), T, ROWS)
    assert faults(x, target) == set()
    np.testing.assert_array_equal(x, adding.draw(draw.generator("test multiplication"), T, ROWS)[0])


@pytest.mark.parametrize("fault", ["markers", "halves", "places", "values", "target", "leak"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name."""
    x, target = multiplication.draw(draw.generator("test multiplication"), T, ROWS)
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(x.copy(), target))


def test_the_floors_are_those_of_the_mean_of_what_is_not_known():
    """Saying 1/4, half of one value, and the product cost 7/144, 1/36 and 0; a variance of 1/144 is noticed."""
    x, target = multiplication.draw(draw.generator("floors"), T, ROWS)
    marked = x[..., 0] * x[..., 1]
    first, second = marked[:HALF].sum(0)[None, :, None], marked[HALF:].sum(0)[None, :, None]
    assert [multiplication.floor(k) for k in (0, 1, 2)] == pytest.approx([7 / 144, 1 / 36, 0], rel=1e-15)
    for known, y in ((0, 0.25 + 0 * target), (1, first / 2), (1, second / 2), (2, first * second)):
        assert holds(squares(y, target), multiplication.floor(known))
    assert not holds(squares(0.25 + 0 * target, target), 1 / 144)  # variances of the two values, multiplied
    assert abs(multiplication.SOLVED_BELOW - multiplication.floor(1) / 8) < 1e-4


def test_the_best_prediction_from_one_value_is_half_of_it():
    """Neither the mean of all products nor the value itself does as well: the floor is that of the best."""
    x, target = multiplication.draw(draw.generator("best"), T, ROWS)
    first = (x[..., 0] * x[..., 1])[:HALF].sum(0)[None, :, None]
    losses = [squares(slope * first, target).mean() for slope in (0.4, 0.5, 0.6)]
    assert losses[1] == min(losses) and holds(squares(first / 2, target) - first**2 / 12, 0)


@pytest.mark.parametrize("window", range(T + 2))
def test_the_loss_of_a_window_is_that_of_the_best_predictor_who_sees_it(window):
    """Marked values inside count as they are, those outside as their mean; window 0 is chance and T is 0."""
    x, target = multiplication.draw(draw.generator("window"), T, ROWS)
    seen = x[max(T - window, 0) :]
    y = np.where(seen[..., 1] == 1, seen[..., 0], 1).prod(0) * 0.5 ** (2 - seen[..., 1].sum(0))
    assert holds(squares(y[None, :, None], target), multiplication.bayes_loss(window, T))


def test_a_constant_answer_is_right_by_chance_alone():
    """Who says 1/4 is within the tolerance as often as the product's distribution has it."""
    _, target = multiplication.draw(draw.generator("chance"), T, ROWS)
    p, right = multiplication.CHANCE_ACCURACY, multiplication.correct(0.25 + 0 * target, target)
    assert abs(right.mean() - p) < tolerance(1) * np.sqrt(p * (1 - p) / ROWS)


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """One batch is (T, B, 2); `correct` and `cost` drop the step and output axes, and keep E and B."""
    x, target = multiplication.draw(draw.generator("shape"), 5, 7)
    assert x.shape == (5, 7, multiplication.D) and target.shape == (1, 7, multiplication.V)
    y, group = np.stack([target, target + 0.1], 1), np.stack([target, target], 1)
    right, costs = multiplication.correct(y, group), multiplication.cost(y, group)
    assert right.shape == costs.shape == (2, 7) and right[0].all() and not right[1].any()
    np.testing.assert_allclose(costs, [[0] * 7, [0.01] * 7])
    assert multiplication.correct(target, target).shape == (7,)


def test_bad_arguments_are_refused():
    """One step cannot hold two markers, three values are not marked, and a window is not negative."""
    for call in (lambda: multiplication.draw(draw.generator("none"), 1, 4), lambda: multiplication.bayes_loss(0, 1)):
        refuses(call, "`length` must be at least 2, since each half of the steps holds a marker; got 1.")
    refuses(lambda: multiplication.floor(-1), "`known` must lie in 0 .. 2, since two values are marked; got -1.")
    refuses(lambda: multiplication.bayes_loss(-1, T), "`window` must be at least 0")


def faults(x, target):
    """Names what is wrong with a batch."""
    return pair_faults(x, target, np.multiply, 1 / 4, 7 / 144) | value_faults(x)


PLANTED = {"values": (squeezed(2),), **pair_planted(np.multiply)}
