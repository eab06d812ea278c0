"""Parity's closed forms, and its generator against faults that such generators have had."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.tasks import parity
from experiments.tasks.testing import balanced, holds, logistics, refuses, tolerance
from impl import draw

T, ROWS = 12, 20_000
SURE = 40.0  # a logit that leaves e^-40 of doubt


def test_bits_are_fair_and_independent_and_labels_are_their_parity():
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*parity.draw(draw.generator("test parity"), T, ROWS)) == set()


@pytest.mark.parametrize("fault", ["bits", "balance", "dependence", "target", "leak"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name."""
    x, target = parity.draw(draw.generator("test parity"), T, ROWS)
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(x.copy(), target))


@pytest.mark.parametrize("window", range(T + 2))
def test_the_loss_of_a_window_is_that_of_the_best_predictor_who_sees_it(window):
    """Steps whose every bit is seen are known, the others say one half; the last answer has no partial credit."""
    x, target = parity.draw(draw.generator("window"), T, ROWS)
    losses = logistics(np.where(np.arange(T)[:, None, None] < window, from_bits(x), 0), target)
    assert holds(losses, parity.bayes_loss(window, T))
    assert holds(losses[-1], 0 if window >= T else parity.CHANCE_LOSS)


def test_the_bits_that_are_seen_say_nothing_of_a_parity_that_needs_one_more():
    """Given the parity of the last T - 1 bits, the answer after T is fair."""
    x, target = parity.draw(draw.generator("one more"), T, ROWS)
    odd = from_bits(x[1:])[-1, :, 0] > 0
    assert balanced(target[-1, odd, 0].mean(), 0.5, odd.sum()) and balanced(
        target[-1, ~odd, 0].mean(), 0.5, (~odd).sum()
    )


def test_chance_is_ln_2_at_every_length():
    """Before the first step nothing is known; a window of one step knows the first of T answers."""
    assert parity.CHANCE_LOSS == parity.bayes_loss(0, 1) == parity.bayes_loss(0, 500) == math.log(2)
    assert parity.bayes_loss(1, 4) == pytest.approx(0.75 * math.log(2), rel=1e-15)
    _, target = parity.draw(draw.generator("chance"), 3, 50)
    assert holds(logistics(0 * target, target), parity.CHANCE_LOSS)


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """The cost looks at the last answer alone, `correct` at all: (T, [E,] B, 1) gives ([E,] B)."""
    x, target = parity.draw(draw.generator("shape"), 5, 7)
    assert x.shape == (5, 7, parity.D) and target.shape == (5, 7, parity.V)
    right = 2 * target - 1
    early, late = right.copy(), right.copy()
    early[2], late[-1] = -early[2], -late[-1]
    y, group = np.stack([right, early, late], 1), np.stack([target] * 3, 1)
    np.testing.assert_array_equal(parity.correct(y, group), np.repeat([[True], [False], [False]], 7, 1))
    np.testing.assert_array_equal(parity.cost(y, group), np.repeat([[0], [0], [1]], 7, 1))
    assert parity.correct(early, target).shape == parity.cost(early, target).shape == (7,)


def test_bad_arguments_are_refused():
    """No step has no parity, and a window is not negative."""
    for call in (lambda: parity.draw(draw.generator("none"), 0, 4), lambda: parity.bayes_loss(0, 0)):
        refuses(call, "`length` must be at least 1, since the parity after the last step is asked for; got 0.")
    refuses(lambda: parity.bayes_loss(-1, T), "`window` must be at least 0, since it counts the steps that are seen")


def from_bits(x):
    """A sure logit for the parity so far, from x by products: 1 for an even number of ones."""
    return -SURE * (-x).cumprod(0)


def faults(x, target):
    """Names what is wrong with a batch: exactly, or by statistics whose standard deviation if it is good is known."""
    bit, (T, n, _), found = x[..., 0], x.shape, set()
    if not np.isin(bit, (-1, 1)).all():
        found.add("bits")
    if not balanced((bit.mean(1) + 1) / 2, 0.5, n):
        found.add("balance")
    pairs = (bit @ bit.T / n)[np.triu_indices(T, 1)]
    if abs(pairs).max() > tolerance(pairs.size) / math.sqrt(n):
        found.add("dependence")
    if not np.array_equal(from_bits(x) > 0, target > 0.5):
        found.add("target")
    told = (bit[1:] * (2 * target[:-1, :, 0] - 1)).mean(1)[1:]  # after two bits or more; after one it is "dependence"
    return found | ({"leak"} if abs(told).max() > tolerance(told.size) / math.sqrt(n) else set())


def relabelled(x):
    """A batch with these bits and their true parity."""
    return x, (from_bits(x) > 0).astype(float)


def zeros_and_ones(x, target):
    """Bits 0 and 1 for -1 and 1."""
    return (x + 1) / 2, target


def unbalanced(x, target):
    """Every twentieth row has a one at step 3."""
    x[3, ::20] = 1
    return relabelled(x)


def repeated(x, target):
    """Every twentieth row shows its first bit again at step 7."""
    x[7, ::20] = x[0, ::20]
    return relabelled(x)


def leak(x, target):
    """In every twentieth row the bit after step 5 is the answer of step 5."""
    x[6, ::20] = 2 * target[5, ::20] - 1
    return relabelled(x)


def late(x, target):
    """The answers of the step before."""
    return x, np.roll(target, 1, 0)


def shifted(x, target):
    """The answers of the next row."""
    return x, np.roll(target, 1, 1)


def majority(x, target):
    """Whether more than half of the bits are ones."""
    return x, (x.cumsum(0) > 0).astype(float)


PLANTED = {
    "bits": (zeros_and_ones,),
    "balance": (unbalanced,),
    "dependence": (repeated,),
    "target": (late, shifted, majority),
    "leak": (leak,),
}
