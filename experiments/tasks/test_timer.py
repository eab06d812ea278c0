"""The source timer(n), its predictor and its closed forms, against faults that such generators have had."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from experiments.tasks import cost_at, latch, timer
from experiments.tasks.testing import holds, tolerance
from impl import draw
from impl.numpy_twin import loss

N, ROWS = 4, 4000
LN2 = math.log(2)


def test_zeros_follow_a_one_and_then_fair_coins():
    """The generator shows none of the faults that `faults` looks for, at lengths of both rules for the steps."""
    for n in (1, N, 31):
        assert faults(*timer.draw(draw.generator("test timer", n), n, ROWS), n) == set()


@pytest.mark.parametrize("fault", ["gap", "late", "coin", "start", "input"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in the generator is found, under its own name."""
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(draw.generator("test timer"), N), N)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_predictor_is_the_conditional_chance_by_enumeration(n):
    """Over all strings of 9 symbols, weighted by the source, P(1 | all before) is what `bayes` says."""
    strings = np.array(list(itertools.product((0, 1), repeat=9))).T
    p = timer.bayes(strings, n)
    weight = np.where(strings == 1, p, 1 - p).prod(0)
    assert weight.sum() == pytest.approx(1, abs=1e-15)
    for row in timer.symbols(draw.generator("rows", n), n, 9, 50).T:
        assert weight[(row == strings.T).all(1)].item() == chance_of(row, n)


def chance_of(row, n):
    """The chance of a row: a gap of g zeros has g - n + 1 coins, and so has the rest after the last 1, less its own."""
    ends = np.flatnonzero(row)
    gaps = np.diff(np.r_[-1, ends]) - 1
    rest = len(row) - 1 - (ends[-1] if len(ends) else -1)
    return float(np.prod(0.5 ** (gaps - n + 1.0)) * 0.5 ** max(rest - n, 0))


@pytest.mark.parametrize("n", [1, N, 10])
def test_the_predictors_loss_over_the_first_steps_is_what_the_recursion_says(n):
    """The mean loss of logits that are the predictor's chances is `bayes_loss` for every window from n on."""
    _, target = timer.draw(draw.generator("loss", n), n, ROWS)
    rows = (timer.bayes(target, n) > 0).mean(0) * LN2
    assert holds(rows, timer.bayes_loss(n, n))
    assert timer.bayes_loss(n, n) == timer.bayes_loss(n + 3, n)
    total, _ = loss.softmax_cross_entropy(logits(timer.bayes(target, n)), target)
    assert total / target.size == pytest.approx(rows.mean(), rel=1e-12)


def test_the_predictors_loss_tends_to_the_rate():
    """Bits a symbol after the start has faded are 2/(n + 2), and the share of ages is stationary."""
    for n in (1, 5, 10):
        late = timer.age_chances(n, 2000)[-1]
        assert late[n] == pytest.approx(timer.rate(n), rel=1e-9)
        assert late[:n] == pytest.approx(np.full(n, 1 / (n + 2)), rel=1e-9)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_a_rung_is_the_conditional_entropy_by_enumeration(n):
    """H(X_k | X_0 .. X_{k-1}) of the stationary source, from the chances of all strings of k + 1, minus the rate."""
    for order in range(n + 2):
        bits = block_entropy(order + 1, n) - block_entropy(order, n)
        assert timer.rung(order, n) == pytest.approx(bits - timer.rate(n), abs=1e-12)
    assert timer.rung(n - 1, n) > 0 == timer.rung(n, n) == timer.rung(n + 1, n)


def block_entropy(length, n):
    """The entropy, bits, of `length` symbols of the stationary source: strings forward through the ages, one by one."""
    start = np.r_[np.full(n, 1.0), 2.0] / (n + 2)
    zero, one = np.eye(n + 1, k=1), np.zeros((n + 1, n + 1))
    zero[n, n], one[n, 0] = 0.5, 0.5
    states = [start]
    for _ in range(length):
        states = [state @ move for state in states for move in (zero, one)]
    p = np.array([state.sum() for state in states])
    return float(-(p[p > 0] * np.log2(p[p > 0])).sum())


@pytest.mark.parametrize("order", [0, 1, 3, 4, 6])
def test_the_excess_of_the_predictor_of_an_order_is_its_rung(order):
    """`cost` of who gives 1/m after `order` zeros and 0 else, on long sequences; the best one pays nothing."""
    target = timer.symbols(draw.generator("rung", order), N, 2000, 100)
    q = np.where(timer.ages(target) >= order, 1 / max(N - order + 2, 2), 0.0)
    if order >= N:
        q = timer.bayes(target, N)
    # The start after a 1 weighs less than one period in 2000 steps.
    rows = timer.cost(logits(q), target, length=N)
    assert abs(rows.mean() - timer.rung(order, N)) <= 5 * rows.std() / 10 + 1e-3 * timer.rung(order, N) + 1e-12


@pytest.mark.parametrize("window", range(N + 2))
def test_the_loss_of_a_window_is_that_of_the_shares_in_a_drawn_batch(window):
    """Who gives the share of 1s after `window` zeros, over the steps that `draw` has, pays `bayes_loss`."""
    _, target = timer.draw(draw.generator("window", window), N, ROWS)
    blind = timer.ages(target) >= min(window, N)
    q = target[blind].mean()
    rows = -(np.where(blind, np.where(target == 1, np.log(q), np.log(1 - q)), 0)).mean(0)
    assert holds(rows, timer.bayes_loss(window, N))
    assert timer.CHANCE_LOSS(N) == timer.bayes_loss(0, N) >= timer.bayes_loss(window, N)


@pytest.mark.parametrize("window", range(N + 2))
def test_the_excess_of_a_window_is_its_loss_above_the_predictors_and_below_the_long_run(window):
    """As divergence over the drawn batch; 0 for who counts to n; they begin after a 1, so it is less than later."""
    _, target = timer.draw(draw.generator("excess", window), N, ROWS)
    blind = timer.ages(target) >= min(window, N)
    rows = timer.cost(logits(np.where(blind, target[blind].mean(), 0.0)), target, length=N)
    assert holds(rows, timer.excess(window, N)) or (window >= N and timer.excess(window, N) == 0)
    assert timer.excess(window, N) < timer.rung(window, N) or window >= N


def test_the_mean_cost_is_the_loss_above_the_predictors():
    """For a model that is wrong in every way, KL and the difference of losses have the same mean, in bits."""
    _, target = timer.draw(draw.generator("kl"), N, ROWS)
    y = draw.generator("kl y").normal(0, 2, (len(target), 1, 2)) + np.zeros((1, ROWS, 1))
    log_q = y - np.logaddexp(y[..., :1], y[..., 1:])
    nats = -np.take_along_axis(log_q, target[..., None], -1)[..., 0] - (timer.bayes(target, N) > 0) * LN2
    cost = timer.cost(y, target, length=N)
    assert (cost >= 0).all() and holds(nats.mean(0) / LN2 - cost, 0.0)
    assert np.allclose(timer.cost(logits(timer.bayes(target, N)), target, length=N), 0, rtol=0, atol=1e-12)


def test_shapes_for_one_model_and_for_a_group():
    """One batch is (steps, B, 2); a group has an axis E before B, and each member's cost is its own."""
    x, target = timer.draw(draw.generator("shape"), N, 7)
    assert x.shape == (50, 7, 2) and target.shape == (50, 7) and target.dtype == np.int64
    assert timer.steps(29) == 50 and timer.steps(30) == timer.steps(40) == 100 and timer.steps(41) == 103
    y = draw.generator("shape y").normal(size=(50, 2, 7, 2))
    group = timer.cost(y, np.stack([target, target], 1), length=N)
    assert group.shape == (2, 7)
    for member in range(2):
        np.testing.assert_array_equal(group[member], timer.cost(y[:, member], target, length=N))


def test_the_length_is_bound_where_a_cost_declares_it():
    """`cost_at` binds timer's n and leaves the latch's cost as it is."""
    _, target = timer.draw(draw.generator("bound"), N, 3)
    y = logits(np.full(target.shape, 0.3))
    np.testing.assert_array_equal(cost_at(timer, N)(y, target), timer.cost(y, target, length=N))
    assert cost_at(latch, 5) is latch.cost


def test_a_source_without_memory_is_refused():
    """timer(0) is a fair coin."""
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        timer.draw(draw.generator("none"), 0, 4)


def logits(q):
    """Those of a chance q of a 1; a chance of 0 becomes e^-300."""
    return np.log(np.stack([1 - q, np.maximum(q, 1e-130)], -1))


def faults(x, target, n):
    """Names what is wrong with a batch: exactly, or by shares whose standard deviation under a good source is known."""
    age, found = timer.ages(target), set()
    if (x != np.eye(2)[np.concatenate([np.ones_like(target[:1]), target[:-1]])]).any():
        found.add("input")
    if target[age < n].any():
        found.add("start" if target[:n].any() else "gap")
    for name, coins in (("late", target[age == n]), ("coin", target[age > n])):
        if abs(coins.mean() - 0.5) > tolerance(2) * 0.5 / math.sqrt(coins.size):
            found.add(name)
    return found


def source(short=0, chance=0.5, skip=0):
    """A fault: gaps that are `short` zeros too short, a coin that is not fair, a start `skip` steps after a 1."""

    def fault(rng, n):
        T = timer.steps(n)
        ends = np.cumsum(n - short + rng.geometric(chance, (T, ROWS)), 0) - 1
        target = np.zeros((ends.max() + 1, ROWS), np.int64)
        target[ends, np.arange(ROWS)] = 1
        target = target[skip : T + skip]
        return np.eye(2)[timer.before(target)], target

    return fault


def shown(shift):
    """A fault: x is the symbol itself, or one that lies further back."""

    def fault(rng, n):
        x, target = timer.draw(rng, n, ROWS)
        return np.roll(x, shift, 0), target

    return fault


def next_row(rng, n):
    """A fault: the symbols are those of the next row."""
    x, target = timer.draw(rng, n, ROWS)
    return x, np.roll(target, 1, 1)


def first_gap_short(rng, n):
    """A fault: the second gap is short, the first is right."""
    _, target = timer.draw(rng, n, ROWS)
    target[n + 1 :] = np.where(timer.ages(target)[n + 1 :] == n - 1, 1, target[n + 1 :])
    return np.eye(2)[timer.before(target)], target


PLANTED = {
    "gap": (first_gap_short,),
    "late": (source(short=-1),),
    "coin": (source(chance=0.53),),
    "start": (source(skip=2), source(short=1)),
    "input": (shown(-1), shown(1), next_row),
}
