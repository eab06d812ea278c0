"""XOR's closed forms, and its generator against faults that such generators have had."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.tasks import xor
from experiments.tasks.testing import balanced, holds, logistics, pair_faults, pair_planted, refuses
from impl import draw

T, ROWS = 11, 20_000
SURE = 40.0  # a logit that leaves e^-40 of doubt


def test_bits_are_fair_and_two_markers_stand_uniformly_in_their_halves():
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*xor.draw(draw.generator("test xor"), T, ROWS)) == set()


@pytest.mark.parametrize("fault", ["markers", "halves", "places", "bits", "answers", "target", "leak"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name."""
    x, target = xor.draw(draw.generator("test xor"), T, ROWS)
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(x.copy(), target.copy()))


@pytest.mark.parametrize("window", range(T + 2))
def test_the_loss_of_a_window_is_that_of_the_best_predictor_who_sees_it(window):
    """Who sees both marks answers, who does not says one half."""
    x, target = xor.draw(draw.generator("window"), T, ROWS)
    y = seen_only(x[max(T - window, 0) :])
    assert holds(logistics(y, target), xor.bayes_loss(window, T))


def test_one_bit_is_worth_nothing():
    """Whatever one marked bit is, the answer is fair; the rungs are ln 2, ln 2, 0."""
    x, target = xor.draw(draw.generator("one bit"), T, ROWS)
    for part in (x[: T // 2], x[T // 2 :]):
        one = (part[..., 0] * part[..., 1]).sum(0) == 1
        assert balanced(target[0, one, 0].mean(), 0.5, one.sum()) and balanced(target[0, ~one, 0].mean(), 0.5, ROWS / 2)
    assert [xor.floor(k) for k in (0, 1, 2)] == [math.log(2), math.log(2), 0]
    assert [xor.bayes_loss(w, T) for w in (0, T - T // 2, T)] == [xor.CHANCE_LOSS, xor.CHANCE_LOSS, 0]
    assert holds(logistics(0 * target, target), xor.CHANCE_LOSS)


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """One batch is (T, B, 2); `correct` and `cost` drop the step and output axes, and keep E and B."""
    x, target = xor.draw(draw.generator("shape"), 5, 7)
    assert x.shape == (5, 7, xor.D) and target.shape == (1, 7, xor.V)
    y, group = np.stack([2 * target - 1, 1 - 2 * target], 1), np.stack([target, target], 1)
    np.testing.assert_array_equal(xor.correct(y, group), [[True] * 7, [False] * 7])
    np.testing.assert_array_equal(xor.cost(y, group), [[0] * 7, [1] * 7])
    assert xor.cost(y[:, 0], target).shape == (7,)


def test_bad_arguments_are_refused():
    """One step cannot hold two markers, three bits are not marked, and a window is not negative."""
    for call in (lambda: xor.draw(draw.generator("none"), 1, 4), lambda: xor.bayes_loss(0, 1)):
        refuses(call, "`length` must be at least 2, since each half of the steps holds a marker; got 1.")
    refuses(lambda: xor.floor(3), "`known` must lie in 0 .. 2, since two bits are marked; got 3.")
    refuses(lambda: xor.bayes_loss(-1, T), "`window` must be at least 0")


def seen_only(x):
    """The logit (1, B, 1) of who sees these steps."""
    ones = (x[..., 0] * x[..., 1]).sum(0)
    return np.where(x[..., 1].sum(0) == 2, SURE * np.where(ones == 1, 1, -1), 0)[None, :, None]


def differ(a, b):
    """The answer of two bits."""
    return (a != b).astype(float)


def faults(x, target):
    """Names what is wrong with a batch."""
    bit, found = x[..., 0], pair_faults(x, target, differ, 1 / 2, 1 / 4)
    if not (np.isin(bit, (0, 1)).all() and balanced(bit.mean(1), 0.5, bit.shape[1])):
        found.add("bits")
    return found if balanced(target.mean(), 0.5, target.size) else found | {"answers"}


def halves_for_bits(x, target):
    """A bit of one row in a thousand is one half."""
    x[0, ::1000, 0] = 0.5
    return x, target


def unfair(x, target):
    """Every tenth row shows only ones, and the answer follows."""
    x[:, ::10, 0], target[:, ::10] = 1, 0
    return x, target


def or_for_xor(x, target):
    """OR in place of XOR: three answers of four are 1."""
    return x, ((x[..., 0] * x[..., 1]).sum(0) > 0).astype(float)[None, :, None]


PLANTED = {"bits": (halves_for_bits, unfair), "answers": (unfair, or_for_xor), **pair_planted(differ)}
PLANTED["target"] += (or_for_xor,)
