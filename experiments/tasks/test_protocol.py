"""Every task that cells are trained on keeps the protocol that `experiments.tasks` writes down."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.tasks import adding, copy_memory, latch, multiplication, parity, temporal_order, temporal_order_3, xor
from impl import draw
from impl.numpy_twin import loss

TASKS = (latch, adding, multiplication, xor, temporal_order, temporal_order_3, copy_memory, parity)
LENGTH, B, E = 20, 6, 3
every = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.NAME)


def test_no_two_tasks_have_one_name():
    """Results are filed under it."""
    assert len({task.NAME for task in TASKS}) == len(TASKS)


@every
def test_a_batch_has_the_shapes_and_dtypes_that_training_expects(task):
    """x is float64 (T, B, D), targets are float64 (K, B, V) or int64 (K, B), and equal generators give equal bits."""
    x, target = drawn(task)
    assert x.dtype == np.float64 and x.shape[1:] == (B, task.D) and len(target) <= len(x)
    classes = task.LOSS == "softmax_cross_entropy"
    assert target.dtype == (np.int64 if classes else np.float64)
    assert target.shape[1:] == ((B,) if classes else (B, task.V))
    for once, again in zip((x, target), drawn(task), strict=True):
        np.testing.assert_array_equal(once, again)


@every
def test_the_loss_and_the_cost_of_a_group_are_those_of_its_members(task):
    """The loss by name takes outputs and targets as drawn; costs are at least 0, one a row and member."""
    _, target = drawn(task)
    y = draw.generator("outputs").normal(0, 1, (len(target), E, B, task.V))
    group = np.stack([target] * E, 1)
    total, dy = getattr(loss, task.LOSS)(y, group)
    costs, right = task.cost(y, group), task.correct(y, group)
    assert total.shape == (E,) and dy.shape == y.shape and costs.shape == right.shape == (E, B) and right.dtype == bool
    assert (costs >= 0).all()
    for e in range(E):
        np.testing.assert_array_equal(task.cost(y[:, e], target), costs[e])
        np.testing.assert_array_equal(task.correct(y[:, e], target), right[e])


@every
def test_outputs_that_are_not_numbers_do_not_solve_a_task(task):
    """A model that has left the numbers answers nothing: its mean cost is not below what counts as solved."""
    _, target = task.draw(draw.generator("batch", task.NAME), LENGTH, 200)
    assert not task.cost(np.full((*target.shape[:2], task.V), np.nan), target).mean() < task.SOLVED_BELOW


@every
def test_the_closed_form_falls_from_chance_to_nothing(task):
    """Window 0 pays CHANCE_LOSS, all steps pay 0, and a longer window never pays more."""
    steps = len(drawn(task)[0])
    losses = np.array([task.bayes_loss(window, LENGTH) for window in range(steps + 2)])
    assert losses[0] == task.CHANCE_LOSS and losses[steps] == losses[steps + 1] == 0
    assert (np.diff(losses) <= 1e-15).all()


def drawn(task):
    """A small batch."""
    return task.draw(draw.generator("batch", task.NAME), LENGTH, B)
