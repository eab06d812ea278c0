"""How answers are counted, and what the tasks with an input/output mode have in common (MNIST-1D: test_images)."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.claims import MODES
from experiments.tasks import answers, dates, digit_names, digit_rows, digits, moving_digits, moving_labels
from experiments.tasks.testing import refuses
from impl import draw
from impl.numpy_twin import loss

TASKS = (digit_names, digit_rows, digits, dates, moving_digits, moving_labels)
B, E = 7, 3
every = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.NAME)


def test_exact_asks_for_all_answers_of_a_row_and_share_counts_them():
    """Three rows of four steps: all right, one wrong, one wrong where nothing is asked for."""
    target = np.array([[0, 1, 2], [1, 1, 1], [2, 2, 2], [3, 0, 3]])
    choice, mask = target.copy(), np.ones(target.shape, bool)
    choice[2, 1], choice[3, 2], mask[3, 2] = 0, 0, False
    assert answers.exact(choice, target, mask).tolist() == [1, 0, 1]
    assert answers.exact(choice, target).tolist() == [1, 0, 0]
    assert answers.share(choice, target, mask).tolist() == [1, 0.75, 1]
    assert answers.share(choice, target).tolist() == [1, 0.75, 0.75]
    mask[2, 1] = False
    assert answers.share(~choice, target, mask).tolist() == [0, 0, 0]


@pytest.mark.parametrize("answered", [answers.exact, answers.share])
def test_a_groups_answers_are_its_members_whether_or_not_they_share_the_target(answered):
    """The axis E is the choice's; target and mask have it or not."""
    rng = draw.generator("answers")
    choice, target = rng.integers(0, 2, (4, E, B)), rng.integers(0, 2, (4, B))
    mask = rng.random(target.shape) < 0.5
    mask[0] = True
    found = answered(choice, target, mask)
    assert found.shape == (E, B) and found.dtype == float and 0 < found.mean() < 1
    np.testing.assert_array_equal(found, answered(choice, *(np.stack([part] * E, 1) for part in (target, mask))))
    for e in range(E):
        np.testing.assert_array_equal(found[e], answered(choice[:, e], target, mask))


def test_all_four_modes_have_a_task_and_no_two_tasks_one_name():
    """The modes are those of claim N5."""
    assert {task.MODE for task in TASKS} == set(MODES)
    assert len({task.NAME for task in TASKS}) == len(TASKS)


@every
def test_a_batch_has_the_shapes_and_dtypes_that_training_expects(task):
    """x float64 (T, B, D), or a pair; classes int64 (K, B) below V; mask bool; equal generators give equal bits."""
    x, target, mask, lengths = drawn(task)
    parts = x if isinstance(x, tuple) else (x,)
    assert all(part.dtype == np.float64 and part.shape[1] == B for part in parts) and parts[0].shape[2] == task.D
    assert target.dtype == np.int64 and target.shape[1] == B and set(np.unique(target)) <= set(range(task.V))
    assert len(parts[-1]) >= len(target)
    assert mask is None or (mask.dtype == bool and mask.shape == target.shape)
    assert lengths is None or (lengths.dtype == np.int64 and lengths.shape == (B,))
    for once, again in zip(flat(drawn(task)), flat((x, target, mask, lengths)), strict=True):
        np.testing.assert_array_equal(once, again)


@every
def test_rows_to_judge_by_are_kept_read_only_and_have_the_form_of_a_batch(task):
    """`test` and `validation` differ from a batch in the number of rows alone; none is writeable."""
    for rows in (task.test(), task.validation()):
        assert len(rows) == len(drawn(task, raw=True))
        for some, part in zip(flat(rows), flat(drawn(task)), strict=True):
            assert not some.flags.writeable and (some.dtype, some.ndim) == (part.dtype, part.ndim)
            assert some.shape[0] == part.shape[0] or some.ndim == 1
    assert task.test() is task.test() and task.validation() is task.validation()
    assert task.validation()[1].shape[1] >= 269 <= task.test()[1].shape[1]


@every
def test_held_out_rows_are_drawn_from_the_test_part(task):
    """Equal generators give what `draw` gives of that part, bit by bit."""
    rows = task.held_out(draw.generator("held out"), task.STEPS, B)
    drawn_rows = task.draw(draw.generator("held out"), task.STEPS, B, "test")
    for some, part in zip(flat(rows), flat(drawn_rows), strict=True):
        np.testing.assert_array_equal(some, part)


@pytest.mark.parametrize("task", [dates, moving_digits], ids=lambda task: task.NAME)
def test_generated_rows_to_judge_by_are_those_of_a_stream_by_the_parts_name(task):
    """2,000 rows of the test part and 500 of validation."""
    for rows, part, n in ((task.test(), "test", 2000), (task.validation(), "validation", 500)):
        again = task.draw(draw.generator(task.NAME, part), task.STEPS, n, part)
        for some, other in zip(flat(rows), flat(again), strict=True):
            np.testing.assert_array_equal(some, other)


@every
def test_the_target_is_right_the_next_class_is_wrong_and_costs_follow(task):
    """`answered` gives 1 and 0; cost and correct are those of the largest outputs, for a model and for a group."""
    _, target, mask, _ = drawn(task)
    assert (task.answered(target, target, mask) == 1).all()
    assert (task.answered((target + 1) % task.V, target, mask) == 0).all()
    y = draw.generator("outputs").normal(0, 1, (len(target), E, B, task.V)) + 2 * np.eye(task.V)[target][:, None]
    asked = drawn(task, raw=True)[1:]
    group = [part if part is None or part.ndim < 2 else np.stack([part] * E, 1) for part in asked]
    costs, right = task.cost(y, *group), task.correct(y, *group)
    np.testing.assert_array_equal(costs, 1 - task.answered(y.argmax(-1), target, mask))
    assert costs.shape == right.shape == (E, B) and right.dtype == bool
    np.testing.assert_array_equal(right, costs == 0)
    for e in range(E):
        np.testing.assert_array_equal(task.cost(y[:, e], *asked), costs[e])
    total, _ = getattr(loss, task.LOSS)(y, *group[:2])
    assert total.shape == (E,)


@every
def test_what_is_not_asked_for_does_not_count(task):
    """Where a task has a mask, any class may stand outside it; one that has none asks everywhere."""
    _, target, mask, _ = drawn(task)
    assert (mask is not None) == (task is digit_names)
    if mask is not None:
        assert (task.answered(np.where(mask, target, task.V), target, mask) == 1).all() and not mask.all()


@every
def test_chance_is_the_success_of_one_answer_counted_row_by_row(task):
    """Its hits on the test rows, where they are asked for, are counted one by one."""
    _, target, *mask = task.test()
    mask = np.ones(target.shape, bool) if not mask or mask[0] is None else mask[0]
    constant, hits = task.constant(), []
    for row, asked in zip(target.T, mask.T, strict=True):
        right = (row == constant)[asked]
        hits.append(right.mean() if task.MODE == "aligned" else right.all())
    assert constant.shape == target.shape[:1]
    assert answers.chance(task) == pytest.approx(np.mean(hits), abs=1e-12)


@every
def test_what_cannot_be_drawn_is_refused(task):
    """No row, no such part, no step, and another length where there is but one."""
    rng = draw.generator("none")
    refuses(lambda: task.draw(rng, task.STEPS, 0), "`B` must be at least 1, since a batch has rows; got 0.")
    part = "`part` must be one of training, validation, test; got 'train'."
    refuses(lambda: task.draw(rng, task.STEPS, 4, "train"), part)
    refuses(lambda: task.draw(rng, 0, 4), "`length` must be ")
    if task not in (moving_digits, moving_labels):
        refuses(lambda: task.draw(rng, task.STEPS + 1, 4), f"`length` must be {task.STEPS}, since ")


def drawn(task, raw=False):
    """A small batch, filled up with None unless it is wanted as it comes."""
    batch = task.draw(draw.generator("batch", task.NAME), task.STEPS, B)
    return batch if raw else (*batch, None, None)[:4]


def flat(batch):
    """The arrays of a batch."""
    return [a for part in batch for a in (part if isinstance(part, tuple) else (part,)) if a is not None]
