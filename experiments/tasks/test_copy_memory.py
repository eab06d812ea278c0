"""Copy memory's closed forms, and its generator against faults that such generators have had."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest

from experiments.tasks import copy_memory
from experiments.tasks.testing import balanced, cross_entropies, holds, refuses
from impl import draw

T, K, ROWS = 6, 4, 10_000
SURE = 60.0  # a logit that leaves 7 e^-60 of doubt


def test_symbols_are_uniform_and_independent_and_only_the_delimiter_follows():
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*batch()) == set()


@pytest.mark.parametrize("fault", ["symbols", "dependence", "delimiter", "target", "leak"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name."""
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(*batch()))


def test_the_loss_of_a_window_is_that_of_the_best_predictor_who_sees_it():
    """At each asked step the window holds the symbol shown K + T + 1 steps before, or it does not: all or nothing."""
    x, target = batch()
    for window in (0, 1, K + T, K + T + 1, K + T + 2, len(x), len(x) + 1):
        asked = range(len(x) - K, len(x))
        y = SURE * np.stack([x[t - K - T - 1, :, :8] * (window >= K + T + 2) for t in asked])
        assert holds(cross_entropies(y, target), copy_memory.bayes_loss(window, T, K))
    assert copy_memory.bayes_loss(K + T + 1, T, K) == copy_memory.CHANCE_LOSS == math.log(8)


@pytest.mark.parametrize("known", range(K + 1))
def test_the_rungs_are_ln_8_for_each_symbol_that_is_lost(known):
    """Who still has the last `known` symbols pays for the others, by the cost as by the loss; bits follow."""
    x, target = batch()
    y = SURE * x[:K, :, :8] * (np.arange(K) >= K - known)[:, None, None]
    floor = copy_memory.floor(known, K)
    assert holds(cross_entropies(y, target), floor) and holds(copy_memory.cost(y, target), floor)
    assert copy_memory.bits_recalled(floor, K) == pytest.approx(3 * known, abs=1e-12)


def test_the_published_baseline_recalls_no_bits_and_its_misprints_are_noticed():
    """10 ln 8 / (T + 20) at T = 1000 is .0204 nats; without the 20 further steps, or in bits, it is another number."""
    T, K = 1000, 10
    baseline = copy_memory.published_baseline(T, K)
    assert baseline == pytest.approx(0.020387, abs=1e-6)
    assert copy_memory.bits_recalled(baseline * (T + 2 * K) / K, K) == pytest.approx(0, abs=1e-12)
    for misprint in (K * math.log(8) / T, K * 3 / (T + 2 * K), K * math.log(9) / (T + 2 * K)):
        assert abs(copy_memory.bits_recalled(misprint * (T + 2 * K) / K, K)) > 0.5


def test_solved_means_that_99_of_100_symbols_are_right():
    """A wrong symbol costs at least ln 2, so that the mean cost bounds the share of wrong ones by cost / ln 2."""
    rng, (_, target) = draw.generator("solved"), batch()
    y = 4 * np.eye(8)[target] + rng.normal(0, 1.5, (*target.shape, 8))
    wrong = (y.argmax(-1) != target).mean()
    assert 0 < wrong <= copy_memory.cost(y, target).mean() / math.log(2)
    assert copy_memory.SOLVED_BELOW / math.log(2) == pytest.approx(0.01)


def test_the_cost_is_the_twins_loss_and_stays_finite_with_large_logits():
    """The sum of costs times K is `softmax_cross_entropy`; a logit of a thousand does not overflow."""
    from impl.numpy_twin import loss

    _, target = copy_memory.draw(draw.generator("loss"), T, 9, K)
    y = draw.generator("y").normal(0, 2, (K, 9, 8))
    total, _ = getattr(loss, copy_memory.LOSS)(y, target)
    assert copy_memory.cost(y, target).sum() * K == pytest.approx(total, rel=1e-13)
    np.testing.assert_array_equal(copy_memory.cost(1000 * np.eye(8)[target], target), 0)


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """One batch is (T + 2K + 1, B, 10) and (K, B) classes; one wrong symbol makes a row wrong."""
    x, target = copy_memory.draw(draw.generator("shape"), 3, 7)
    assert x.shape == (3 + 2 * 5 + 1, 7, copy_memory.D) and target.shape == (5, 7) and target.dtype == np.int64
    right = SURE * np.eye(copy_memory.V)[target]
    slip = right.copy()
    slip[2] = np.roll(slip[2], 1, -1)
    y, group = np.stack([right, slip], 1), np.stack([target, target], 1)
    np.testing.assert_array_equal(copy_memory.correct(y, group), [[True] * 7, [False] * 7])
    np.testing.assert_allclose(copy_memory.cost(y, group), np.repeat([[0], [SURE / 5]], 7, 1), atol=1e-12)
    assert copy_memory.cost(right, target).shape == copy_memory.correct(right, target).shape == (7,)
    assert copy_memory.draw(draw.generator("ten"), 3, 2, digits=10)[0].shape == (24, 2, 10)


def test_bad_arguments_are_refused():
    """No blank, no symbol, more symbols known than shown, negative windows."""
    rng = draw.generator("none")
    for call in (lambda: copy_memory.draw(rng, 0, 4), lambda: copy_memory.bayes_loss(0, 0)):
        refuses(call, "`length` must be at least 1, since blanks must follow the symbols; got 0.")
    for call in (lambda: copy_memory.draw(rng, 3, 4, digits=0), lambda: copy_memory.bayes_loss(0, 3, 0)):
        refuses(call, "`digits` must be at least 1, since a symbol is asked for; got 0.")
    refuses(lambda: copy_memory.floor(6), "`known` must lie in 0 .. 5, since 5 symbols are shown; got 6.")
    refuses(lambda: copy_memory.bayes_loss(-1, T), "`window` must be at least 0")


def batch():
    """A good batch."""
    return copy_memory.draw(draw.generator("test copy"), T, ROWS, K)


def faults(x, target):
    """Names what is wrong with a batch: exactly, or by statistics whose standard deviation if it is good is known."""
    symbols, n, found = x[:K].argmax(-1), x.shape[1], set()
    if not ((x.sum(-1) == 1).all() and balanced(x[:K, :, :8].mean(1), 1 / 8, n)):
        found.add("symbols")
    if not balanced(np.array([(symbols[i] == symbols[j]).mean() for i, j in combinations(range(K), 2)]), 1 / 8, n):
        found.add("dependence")
    if not ((x[..., 9] == 1) == (np.arange(len(x)) == K + T)[:, None]).all():
        found.add("delimiter")
    if not np.array_equal(symbols, target):
        found.add("target")
    return found | ({"leak"} if x[K:, :, :8].any() else set())


def put(x, step, rows, entry):
    """Shows entries at one step of some rows."""
    x[step, rows] = np.eye(10)[entry]


def unbalanced(x, target):
    """Every twentieth row begins with symbol 0."""
    put(x, 0, slice(None, None, 20), 0)
    return x, np.concatenate([x[:1].argmax(-1), target[1:]])


def seven_symbols(x, target):
    """Symbols from 0 .. 6, the upper end left out."""
    x[:K, :, 6] += x[:K, :, 7]
    x[:K, :, 7] = 0
    return x, np.minimum(target, 6)


def without_replacement(x, target):
    """No symbol occurs twice in a row."""
    rng = draw.generator("fault")
    target = rng.permuted(np.repeat(np.arange(8)[:, None], x.shape[1], 1), axis=0)[:K]
    x[:K] = np.eye(10)[target]
    return x, target


def no_delimiter(x, target):
    """A blank for the delimiter in one row of a thousand."""
    put(x, K + T, slice(None, None, 1000), copy_memory.BLANK)
    return x, target


def late_delimiter(x, target):
    """The delimiter one step late."""
    x[K + T : K + T + 2] = x[K + T : K + T + 2][::-1].copy()
    return x, target


def shifted(x, target):
    """The answers of the next row."""
    return x, np.roll(target, 1, 1)


def backwards(x, target):
    """The symbols in reverse order."""
    return x, target[::-1]


def one_step_late(x, target):
    """The symbols one asked step late."""
    return x, np.roll(target, 1, 0)


def answers_shown(x, target):
    """The answers stand at the steps that ask for them, in one row of a thousand."""
    x[-K:, ::1000] = np.eye(10)[target[:, ::1000]]
    return x, target


PLANTED = {
    "symbols": (unbalanced, seven_symbols),
    "dependence": (without_replacement,),
    "delimiter": (no_delimiter, late_delimiter),
    "target": (shifted, backwards, one_step_late),
    "leak": (answers_shown,),
}
