"""The language a^n b^n: its generator and closed forms, against faults that such generators have had."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from experiments.tasks import a_n_b_n
from experiments.tasks.testing import holds, tolerance
from experiments.tasks.timer import entropy
from impl import draw

N, ROWS = 5, 1000
SYMBOLS = np.array(["S", "a", "b"])


def test_words_of_the_language_and_what_may_follow():
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*a_n_b_n.draw(draw.generator("test anbn"), N, ROWS)) == set()
    assert faults(*a_n_b_n.draw(draw.generator("long"), 12, 100, 9), 9) == set()


@pytest.mark.parametrize("fault", ["word", "after", "mask", "numbers", "target"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name."""
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(*a_n_b_n.draw(draw.generator("test anbn"), N, ROWS)))


@pytest.mark.parametrize("shortest", [1, 3])
@pytest.mark.parametrize("window", range(2 * N + 2))
def test_the_loss_of_a_window_is_the_entropy_of_the_sets_by_what_was_seen(window, shortest):
    """Over every n once: the targets' entropy, output by output, given the string in the window."""
    looks, count = {}, 0
    for n in range(shortest, N + 1):
        x, target, mask, _ = a_n_b_n.draw(draw.generator("any"), n, 1, n)
        text = "".join(SYMBOLS[x[:, 0].argmax(-1)])
        for t in range(int(mask.sum())):
            looks.setdefault(text[max(t + 1 - window, 0) : t + 1] if window else "", []).append(target[t, 0])
            count += 1
    nats = sum(len(some) * sum(map(entropy, np.mean(some, 0))) for some in looks.values()) / count
    assert a_n_b_n.bayes_loss(window, N, shortest) == pytest.approx(nats, rel=1e-12, abs=1e-12)


def test_chance_is_what_the_shares_of_a_drawn_batch_cost():
    """Constant logits of the exact shares pay CHANCE_LOSS on drawn rows, by the twins' loss."""
    from impl.numpy_twin import loss

    _, target, mask, _ = a_n_b_n.draw(draw.generator("chance"), N, ROWS)
    m = (1 + N) / 2
    share = np.array([1, m + 1, 2 * m - 1]) / (2 * m + 1)
    y = np.log(share / (1 - share)) + np.zeros(target.shape)
    total, _ = getattr(loss, a_n_b_n.LOSS)(y, target, mask)
    rows = ((np.logaddexp(0, y) - y * target).sum(-1) * mask).sum(0)
    assert total == pytest.approx(rows.sum(), rel=1e-12)
    # A ratio of sums: the losses less the expected ones of as many steps have the mean 0.
    assert holds(rows - a_n_b_n.CHANCE_LOSS(N) * mask.sum(0), 0.0)
    assert a_n_b_n.bayes_loss(0, N) == a_n_b_n.CHANCE_LOSS(N)


def test_the_floor_is_zero_for_who_sees_the_word_and_the_last_symbol_is_not_enough():
    """The whole word leaves 0, as do two steps less; the last symbol h(1/m) twice at m of 2m + 1 steps."""
    assert a_n_b_n.bayes_loss(2 * N + 1, N) == a_n_b_n.bayes_loss(2 * N - 1, N) == 0 < a_n_b_n.bayes_loss(2 * N - 2, N)
    m = (1 + N) / 2
    assert a_n_b_n.bayes_loss(1, N) == pytest.approx(2 * m * entropy(1 / m) / (2 * m + 1), rel=1e-14)
    assert math.isclose(a_n_b_n.CHANCE_LOSS(1), 2 * entropy(1 / 3) + entropy(2 / 3))


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """One batch has 2N + 1 steps; one wrong output makes a row wrong, unless it stands after the row's end."""
    x, target, mask, lengths = a_n_b_n.draw(draw.generator("shape"), N, 7)
    assert x.shape == target.shape == (11, 7, 3) and mask.shape == (11, 7) and lengths.shape == (7,)
    assert x.dtype == target.dtype == np.float64 and mask.dtype == bool and lengths.dtype == np.int64
    y = np.where(mask[..., None], 2 * target - 1, np.nan)
    wrong = y.copy()
    wrong[lengths - 1, np.arange(7), 0] *= -1
    asked = np.stack([target, target], 1), np.stack([mask, mask], 1), lengths
    cost = a_n_b_n.cost(np.stack([y, wrong], 1), *asked)
    assert cost.shape == (2, 7) and not cost[0].any() and cost[1].all()


@pytest.mark.parametrize("length, shortest", [(0, 1), (5, 0), (5, 6)])
def test_numbers_that_no_word_has_are_refused(length, shortest):
    """n from 1 to the longest."""
    with pytest.raises(ValueError, match=f"`shortest` must lie in 1..{length}, .* got {shortest}"):
        a_n_b_n.draw(draw.generator("none"), length, 4, shortest)


def faults(x, target, mask, lengths, shortest=1):
    """Names what is wrong with a batch, exactly but for the frequencies of n."""
    (T, B, _), found = x.shape, set()
    longest, numbers = T // 2, Counter()
    for row in range(B):
        text = "".join(SYMBOLS[step.argmax()] if step.any() else " " for step in x[: lengths[row], row])
        n = len(text) // 2
        numbers[n] += 1
        if text != "S" + "a" * n + "b" * n:
            found.add("word")
        sets = ["a"] + ["ab"] * n + ["b"] * (n - 1) + ["S"]
        if ["".join(SYMBOLS[step > 0]) for step in target[: len(sets), row]] != sets:
            found.add("target")
    step = np.arange(T)[:, None]
    if x[step >= lengths].any():
        found.add("after")
    if (mask != (step < lengths)).any():
        found.add("mask")
    p = 1 / (longest + 1 - shortest)
    sd = math.sqrt(p * (1 - p) / B)
    if any(abs(numbers[n] / B - p * (n >= shortest)) > tolerance(longest) * sd for n in range(longest + 1)):
        found.add("numbers")
    return found


def one_b_more(x, target, mask, lengths):
    """a^n b^(n+1), where there is room."""
    room = lengths + 1 < len(x)
    x[lengths[room], np.flatnonzero(room), 2] = 1
    return x, target, mask, lengths + room


def never_longest(x, target, mask, lengths):
    """n drawn below N, as integers without their end are."""
    _, B, _ = x.shape
    x, target, mask, lengths = a_n_b_n.draw(draw.generator("fault"), N - 1, B)
    pad = lambda a: np.concatenate([a, np.zeros((2, *a.shape[1:]), a.dtype)])  # noqa: E731
    return pad(x), pad(target), pad(mask), lengths


def goes_on(x, target, mask, lengths):
    """The end symbol is shown after the word."""
    room = lengths < len(x)
    x[lengths[room], np.flatnonzero(room), 0] = 1
    return x, target, mask, lengths


def changed(change):
    """A fault: the target changed by a function."""
    return lambda x, target, mask, lengths: (x, change(target), mask, lengths)


def narrow(target):
    """After an a only the symbol that came, not the set: an a or, after the last, a b."""
    single = target.copy()
    both = (target[..., 1:] == 1).all(-1)
    last = both & ~np.roll(both, -1, 0)
    single[..., 1] -= last
    single[..., 2] -= both & ~last
    return single


PLANTED = {
    "word": (one_b_more, lambda x, *asked: (x[:, :, [0, 2, 1]], *asked)),
    "after": (goes_on,),
    "mask": (
        lambda x, target, mask, lengths: (x, target, np.roll(mask, -1, 0), lengths),  # a step early
        lambda x, target, mask, lengths: (x, target, np.ones_like(mask), lengths),  # counts what follows
        lambda x, target, mask, lengths: (x, target, np.roll(mask, 1, 1), lengths),  # the next row's
    ),
    "numbers": (never_longest,),
    "target": (
        changed(lambda target: np.roll(target, 1, 0)),  # a step late
        changed(lambda target: np.roll(target, 1, 1)),  # the next row's
        changed(narrow),
    ),
}
