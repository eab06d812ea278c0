"""The latch with distractors: its generator and its closed forms, against faults that such generators have had."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from experiments.tasks import distractors
from experiments.tasks.testing import holds, tolerance
from impl import draw

DELAY, ROWS = 6, 20_000


def test_the_bit_is_cued_and_distractors_tell_nothing_of_it():
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*distractors.draw(draw.generator("test distractors"), DELAY, ROWS)) == set()


@pytest.mark.parametrize("fault", ["bit", "cue", "values", "rate", "sign", "leak", "answer"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name and no other."""
    for planted in PLANTED[fault]:
        x, target = distractors.draw(draw.generator("test distractors"), DELAY, ROWS)
        assert faults(*planted(x, target)) == {fault}


@pytest.mark.parametrize("delay", [1, 2, 5])
def test_the_sum_is_right_as_often_as_enumeration_says(delay):
    """Over all 3^delay distractors, weighted 1/4 1/2 1/4, a tie counting half."""
    right = 0.0
    for later in itertools.product((-1, 0, 1), repeat=delay):
        total = 1 + sum(later)
        right += 0.5 ** (delay + sum(map(abs, later))) * (total > 0 or 0.5 * (total == 0))
    assert distractors.sum_accuracy(delay) == pytest.approx(right, rel=1e-14)


def test_the_sum_is_right_as_often_as_drawn_rows_say():
    """Adding up the values of drawn rows, and for long delays 1/2 + 1 / sqrt(pi delay)."""
    x, target = distractors.draw(draw.generator("sum"), DELAY, ROWS)
    total = x[..., :1].sum(0, keepdims=True)
    right = np.where(total == 0, 0.5, distractors.correct(total, target)[None, :, None])
    assert holds(right, distractors.sum_accuracy(DELAY))
    for delay in (200, 2000):
        assert distractors.sum_accuracy(delay) - 0.5 == pytest.approx((math.pi * delay) ** -0.5, rel=1 / delay)


def test_the_floor_is_zero_once_the_first_step_is_seen_and_chance_before():
    """Reading the cued value answers every row; the last `delay` steps give the best constant answer and no more."""
    x, target = distractors.draw(draw.generator("floor"), DELAY, ROWS)
    cued = (x[..., :1] * x[..., 1:]).sum(0, keepdims=True)
    assert distractors.correct(cued, target).all() and not distractors.cost(cued, target).any()
    assert distractors.bayes_loss(DELAY + 1, DELAY) == 0 < distractors.bayes_loss(DELAY, DELAY) == math.log(2)
    late = x[1:, :, :1].sum(0, keepdims=True)
    assert holds(distractors.correct(late, target), distractors.CHANCE_ACCURACY)


def test_the_chance_loss_is_that_of_the_logit_zero():
    """A predictor that knows nothing pays ln 2 nats a row, the twins' loss agrees."""
    from impl.numpy_twin import loss

    _, target = distractors.draw(draw.generator("chance"), 1, 64)
    total, _ = getattr(loss, distractors.LOSS)(0 * target, target)
    assert total / 64 == pytest.approx(distractors.CHANCE_LOSS, rel=1e-14)


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """One batch is (delay + 1, B, 2); `cost` drops the step and output axes, and keeps E and B."""
    x, target = distractors.draw(draw.generator("shape"), 5, 7)
    assert x.shape == (6, 7, distractors.D) and target.shape == (1, 7, distractors.V)
    cost = distractors.cost(np.stack([x[:1, :, :1], x[:1, :, :1]], 1), np.stack([target, 1 - target], 1))
    assert cost.shape == (2, 7) and not cost[0].any() and cost[1].all()


def test_a_delay_without_distractors_is_refused():
    """Delay 0 would ask for the bit in the step that shows it."""
    with pytest.raises(ValueError, match="`delay` must be at least 1"):
        distractors.draw(draw.generator("none"), 0, 4)


def faults(x, target):
    """Names what is wrong with a batch, by statistics whose standard deviation under a good generator is known."""
    (T, n, _), sign = x.shape, 2 * target[0, :, 0] - 1
    later, found = x[1:, :, 0], set()
    if (x[0, :, 1] != 1).any() or x[1:, :, 1].any():
        found.add("cue")
    if not np.isin(x[..., 0], (-1, 0, 1)).all():
        found.add("values")
    if (x[0, :, 0] != sign).any():
        found.add("answer")
    p, each = distractors.RATE, math.sqrt(distractors.RATE / n)
    tests = {
        "bit": (abs(x[0, :, 0].mean()), 1 / math.sqrt(n), 1),
        "rate": (abs((later != 0).mean(1) - p).max(), math.sqrt(p * (1 - p) / n), T - 1),
        "sign": (abs(later.mean(1)).max(), each, T - 1),
        "leak": (abs((later * x[0, :, 0]).mean(1)).max(), each, T - 1),
    }
    return found | {name for name, (size, sd, looks) in tests.items() if size > tolerance(looks) * sd}


def at(step, change):
    """A fault: the values of some steps (steps, B) replaced by a function of (rng, values, bit's sign)."""

    def fault(x, target):
        x[step, :, 0] = change(draw.generator("fault"), x[step, :, 0], 2 * target[0, :, 0] - 1)
        return x, target

    return fault


def unbalanced(x, target):
    """Every tenth row answers 1."""
    target[:, ::10], x[0, ::10, 0] = 1, 1
    return x, target


def cued_late(x, target):
    """In one row of a thousand the cue stands a step late."""
    x[:2, ::1000, 1] = [[0], [1]]
    return x, target


def cued_twice(x, target):
    """Step 3 is cued as well."""
    x[3, :, 1] = 1
    return x, target


PLANTED = {
    "bit": (unbalanced,),
    "cue": (cued_late, cued_twice),
    "values": (at(slice(2, 3), lambda rng, value, sign: 0.9 * value),),
    "rate": (at(slice(5, 6), lambda rng, value, sign: value * (rng.random(value.shape) < 0.9)),),
    "sign": (at(slice(4, 5), lambda rng, value, sign: np.where(rng.random(value.shape) < 0.05, abs(value), value)),),
    "leak": (at(slice(4, 5), lambda rng, value, s: np.where(rng.random(value.shape) < 0.1, abs(value) * s, value)),),
    "answer": (lambda x, target: (x, np.roll(target, 1, 1)),),
}
