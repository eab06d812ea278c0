"""The flip-flop's generator and its closed forms, against faults that such generators have had."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.tasks import flip_flop
from experiments.tasks.testing import holds, tolerance
from impl import draw

T, ROWS = 16, 4000
SHORT = 6


def test_pulses_are_fair_independent_and_held():
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*flip_flop.draw(draw.generator("test flip-flop"), T, ROWS)) == set()


@pytest.mark.parametrize("fault", ["first", "values", "rate", "sign", "channels", "held"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name."""
    x, target = flip_flop.draw(draw.generator("test flip-flop"), T, ROWS)
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(x.copy(), target.copy()))


@pytest.mark.parametrize("window", range(SHORT + 2))
def test_the_error_of_a_window_is_that_of_the_best_predictor_who_sees_it(window):
    """Saying the last pulse of the window, or 0 without one, costs (1 - P)^k (T - k) / T a channel."""
    x, target = flip_flop.draw(draw.generator("window"), SHORT, ROWS)
    y = np.stack([flip_flop.held(x[max(t + 1 - window, 0) : t + 1])[-1] if window else 0 * x[t] for t in range(SHORT)])
    assert holds(flip_flop.cost(y, target), flip_flop.floor(window, SHORT))
    assert flip_flop.bayes_loss(window, SHORT) == 3 * flip_flop.floor(window, SHORT)


def test_the_memoryless_floor_at_64_steps_is_4922():
    """The page's number is of one channel; chance is the window 0."""
    assert flip_flop.floor(1, flip_flop.STEPS) == pytest.approx(0.4922, abs=5e-5)
    assert flip_flop.bayes_loss(0, flip_flop.STEPS) == flip_flop.CHANCE_LOSS
    assert flip_flop.floor(T, T) == flip_flop.floor(T + 5, T) == 0


def test_the_chance_loss_is_in_the_unit_of_the_twins_loss():
    """`squared_error` adds up the channels, so its mean over steps and rows is three times the cost."""
    from impl.numpy_twin import loss

    _, target = flip_flop.draw(draw.generator("loss"), T, 64)
    total, _ = getattr(loss, flip_flop.LOSS)(0 * target, target)
    assert total / (T * 64) == flip_flop.CHANCE_LOSS == 3 * flip_flop.cost(0 * target, target).mean()


def test_signs_by_chance_and_by_knowledge():
    """A memoryless sign is right where a pulse is, else by chance; the target's own signs always are."""
    x, target = flip_flop.draw(draw.generator("signs"), T, ROWS)
    guess = np.where(x == 0, draw.generator("guess").choice([-1.0, 1.0], x.shape), x)
    assert holds(1 - flip_flop.signs_right(guess, target), flip_flop.floor(1, T) / 2)
    assert flip_flop.correct(0.1 * target, target).all() and (flip_flop.signs_right(0.1 * target, target) == 1).all()


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """One batch is (T, B, 3) for both; a group keeps E and B, and one wrong sign makes a row wrong."""
    x, target = flip_flop.draw(draw.generator("shape"), 5, 7)
    assert x.shape == (5, 7, flip_flop.D) and target.shape == (5, 7, flip_flop.V)
    y, group = np.stack([target, target], 1), np.stack([target, target], 1)
    y[3, 1, :, 2] *= -1
    right, share, cost = (of(y, group) for of in (flip_flop.correct, flip_flop.signs_right, flip_flop.cost))
    assert right.shape == share.shape == cost.shape == (2, 7)
    assert right[0].all() and not right[1].any()
    np.testing.assert_allclose(share, [[1] * 7, [14 / 15] * 7], rtol=1e-15)
    np.testing.assert_allclose(cost, [[0] * 7, [4 / 15] * 7], rtol=1e-15)


def test_a_length_without_a_step_is_refused():
    """Step 0 must be there."""
    with pytest.raises(ValueError, match="`length` must be at least 1"):
        flip_flop.draw(draw.generator("none"), 0, 4)


def faults(x, target):
    """Names what is wrong with a batch: exactly, or by statistics whose standard deviation if it is good is known."""
    pulse, last, found = x != 0, np.zeros(x.shape[1:]), set()
    if not pulse[0].all():
        found.add("first")
    if not np.isin(x, (-1, 0, 1)).all():
        found.add("values")
    if (abs(pulse[1:].mean(1) - flip_flop.P) > tolerance(3 * T) * 0.5 / math.sqrt(x.shape[1])).any():
        found.add("rate")
    if abs(x.sum()) > tolerance(1) * math.sqrt(pulse.sum()):
        found.add("sign")
    for part, size in ((x, flip_flop.P), (pulse - flip_flop.P, flip_flop.P**2)):
        products = (part[1:] * np.roll(part[1:], 1, -1)).mean((0, 1))
        if (abs(products) > tolerance(6) * size / math.sqrt(part[1:, :, 0].size)).any():
            found.add("channels")
    for step, answer in zip(x, target, strict=True):
        last = np.where(step != 0, step, last)
        if (last != answer).any():
            found.add("held")
    return found


def no_first_pulse(x, target):
    """Step 0 like any other, the answer 0 before the first pulse."""
    x[0] *= draw.generator("fault").random(x[0].shape) < flip_flop.P
    return x, flip_flop.held(x)


def more_often(x, target):
    """One channel pulses at half of the steps it should not, from step 8 on."""
    extra = draw.generator("fault").choice([-1.0, 0.0, 0.0, 1.0], x[8:, :, 0].shape)
    x[8:, :, 0] = np.where(x[8:, :, 0] == 0, extra, x[8:, :, 0])
    return x, flip_flop.held(x)


def never_down(x, target):
    """In one row of fifty all pulses are +1."""
    x[:, ::50] = abs(x[:, ::50])
    return x, flip_flop.held(x)


def summed(x, target):
    """Two pulses in one step add up."""
    x[5, ::1000] *= 2
    return x, flip_flop.held(x)


def same_signs(x, target):
    """Two channels share their signs, not their times."""
    x[..., 1] = abs(x[..., 1]) * np.sign(target[..., 0])
    return x, flip_flop.held(x)


def same_times(x, target):
    """Two channels share their times, not their signs."""
    x[..., 1] = abs(x[..., 0]) * target[..., 1]
    return x, flip_flop.held(x)


PLANTED = {
    "first": (no_first_pulse,),
    "values": (summed,),
    "rate": (more_often,),
    "sign": (never_down,),
    "channels": (same_signs, same_times),
    "held": (
        lambda x, target: (x, np.concatenate([target[:1], target[:-1]])),  # a step late
        lambda x, target: (x, np.roll(target, 1, 1)),  # the next row's
        lambda x, target: (x, np.roll(target, 1, 2)),  # the next channel's
        lambda x, target: (x, x),  # not held
    ),
}
