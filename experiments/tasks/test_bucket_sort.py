"""Bucket sort's generator and its closed forms, against faults that such generators have had."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from experiments.tasks import bucket_sort
from experiments.tasks.testing import holds, tolerance
from impl import draw

LENGTH, ROWS = 4, 10_000


def test_symbols_are_uniform_and_asked_for_in_order_after_one_delimiter():
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*bucket_sort.draw(draw.generator("test sort"), LENGTH, ROWS)) == set()


@pytest.mark.parametrize("fault", ["symbols", "uniform", "independent", "delimiter", "blank", "target"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name."""
    x, target = bucket_sort.draw(draw.generator("test sort"), LENGTH, ROWS)
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(x.copy(), target.copy()))


@pytest.mark.parametrize("known", range(LENGTH + 1))
def test_the_loss_of_who_knows_some_symbols_is_the_entropy_by_enumeration(known):
    """Over all 5^4 rows: the entropy of the sorted symbol at each place, given the first symbols."""
    rows = np.array(list(itertools.product(range(5), repeat=LENGTH)))
    answers = np.sort(rows, 1).reshape(5**known, -1, LENGTH)
    p = (answers[..., None] == np.arange(5)).mean(1)
    nats = -(p * np.log(np.where(p > 0, p, 1))).sum(-1).mean()
    assert bucket_sort.bayes_loss(known, LENGTH) == pytest.approx(nats, rel=1e-12, abs=1e-15)


def test_chance_is_what_the_shares_at_each_place_cost():
    """Logits of the shares in one batch pay CHANCE_LOSS on another, by the twins' loss; all symbols known pay 0."""
    from impl.numpy_twin import loss

    seen, target = (bucket_sort.draw(draw.generator("chance", i), LENGTH, ROWS)[1] for i in range(2))
    share = (seen[..., None] == np.arange(5)).mean(1, keepdims=True)
    y = np.log(share) + np.zeros((LENGTH, ROWS, 5))
    rows = -np.take_along_axis(y, target[..., None], -1)[..., 0].mean(0)
    assert holds(rows, bucket_sort.CHANCE_LOSS(LENGTH))
    total, _ = getattr(loss, bucket_sort.LOSS)(y, target)
    assert total / target.size == pytest.approx(rows.mean(), rel=1e-12)
    assert bucket_sort.CHANCE_LOSS(1) == pytest.approx(math.log(5), rel=1e-14)
    assert bucket_sort.bayes_loss(20, 20) == 0


def test_chances_of_counts_add_up_also_where_factorials_leave_64_bits():
    """There are C(n + 4, 4) counts of n symbols, each symbol n/5 times in the mean."""
    for n in (0, 1, 25):
        counts, chance = bucket_sort.multinomial(n)
        assert len(counts) == math.comb(n + 4, 4) and (counts.sum(1) == n).all()
        np.testing.assert_allclose(chance @ np.c_[np.ones(len(counts)), counts], [1] + [n / 5] * 5, rtol=1e-13)


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """One batch is (2 length, B, 6) and asks at the last `length` steps; one wrong symbol of five costs .2."""
    x, target = bucket_sort.draw(draw.generator("shape"), 5, 7)
    assert x.shape == (10, 7, bucket_sort.D) and target.shape == (5, 7) and target.dtype == np.int64
    y = np.stack([np.eye(5)[target]] * 2, 1)
    y[2, 1] = np.roll(y[2, 1], 1, -1)
    group = np.stack([target, target], 1)
    cost, right = bucket_sort.cost(y, group), bucket_sort.correct(y, group)
    np.testing.assert_array_equal(cost, [[0.0] * 7, [0.2] * 7])
    np.testing.assert_array_equal(right, cost == 0)


def test_a_row_without_symbols_is_refused():
    """Nothing would be asked for."""
    with pytest.raises(ValueError, match="`length` must be at least 1"):
        bucket_sort.draw(draw.generator("none"), 0, 4)


def faults(x, target):
    """Names what is wrong with a batch: exactly, or by shares whose standard deviation if it is good is known."""
    K, B = target.shape
    shown, found = x[:K, :, :5], set()
    if not np.isin(x, (0, 1)).all() or (x[:K].sum(-1) != 1).any() or x[:K, :, 5].any():
        found.add("symbols")
    if (x[K, :, 5] != 1).any() or x[K + 1 :, :, 5].any():
        found.add("delimiter")
    if x[K:, :, :5].any():
        found.add("blank")
    if (abs(shown.mean(1) - 0.2) > tolerance(5 * K) * 0.4 / math.sqrt(B)).any():
        found.add("uniform")
    same = (shown[1:] * shown[:-1]).sum(-1).mean(1)
    if (abs(same - 0.2) > tolerance(K - 1) * 0.4 / math.sqrt(B)).any():
        found.add("independent")
    counts = shown.sum(0).astype(int)
    if any((np.repeat(np.arange(5), counts[row]) != target[:, row]).any() for row in range(0, B, 10)):
        found.add("target")
    return found


def rare_last(x, target):
    """A tenth of the symbols 4 is a 0 instead."""
    symbol = x[:LENGTH].argmax(-1)
    return shown(x, np.where((symbol == 4) & (draw.generator("fault").random(symbol.shape) < 0.1), 0, symbol))


def without_repeats(x, target):
    """Symbols drawn without replacement."""
    return shown(x, draw.generator("fault").permuted(np.tile(np.arange(5)[:, None], ROWS), axis=0)[:LENGTH])


def shown(x, symbol):
    """The batch of given symbols."""
    x[:LENGTH] = np.eye(6)[symbol]
    return x, np.sort(symbol, 0)


def leaked(x, target):
    """The sorted symbol is fed in at the step after it was asked for."""
    x[LENGTH + 1 :] += np.eye(6)[target[:-1]]
    return x, target


def early(x, target):
    """The delimiter stands on the last symbol."""
    x[LENGTH - 1 : LENGTH + 1, :, 5] = [[1], [0]]
    return x, target


def everywhere(x, target):
    """A delimiter at every answer's step."""
    x[LENGTH:, :, 5] = 1
    return x, target


PLANTED = {
    "symbols": (early, lambda x, target: (0.9 * x, target)),
    "uniform": (rare_last,),
    "independent": (without_repeats,),
    "delimiter": (early, everywhere),
    "blank": (leaked,),
    "target": (
        lambda x, target: (x, x[:LENGTH].argmax(-1)),  # not sorted
        lambda x, target: (x, target[::-1]),  # from the highest
        lambda x, target: (x, np.roll(target, 1, 1)),  # the next row's
        lambda x, target: (x, np.roll(target, 1, 0)),  # a step late
    ),
}
