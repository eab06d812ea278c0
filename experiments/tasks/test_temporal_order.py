"""Temporal order 2 and 3: closed forms, and the generator against faults that such generators have had."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from experiments.tasks import temporal_order, temporal_order_3
from experiments.tasks.testing import balanced, cross_entropies, holds, refuses, tolerance
from impl import draw

T, ROWS = 20, 10_000
SURE = 40.0  # a logit that leaves e^-40 of doubt
TASKS = {2: temporal_order, 3: temporal_order_3}
both = pytest.mark.parametrize("marks", TASKS)


@both
def test_marks_stand_in_their_ranges_are_fair_and_nothing_else_tells_them(marks):
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*batch(marks), marks) == set()


@both
@pytest.mark.parametrize("fault", ["marks", "places", "classes", "distractors", "target", "leak"])
def test_each_planted_generator_fault_is_seen(fault, marks):
    """Each fault planted in a good batch is found, under its own name."""
    x, target = batch(marks)
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(x.copy(), target.copy(), marks), marks)


@both
def test_the_loss_of_a_window_is_that_of_the_best_predictor_who_sees_it(marks):
    """For every window: marks inside fix their bit of the class, those outside leave it fair."""
    x, target = batch(marks)
    for window in range(T + 2):
        y = logits(x, marks, max(T - window, 0))
        assert holds(cross_entropies(y, target), TASKS[marks].bayes_loss(window, T))


def test_the_rungs_are_ln_2_for_each_mark_that_is_not_known():
    """ln 4, ln 2, 0 and ln 8, ln 4, ln 2, 0; equal logits pay chance; each range seen takes one rung."""
    assert [temporal_order.floor(k) for k in range(3)] == pytest.approx([math.log(4), math.log(2), 0])
    assert [temporal_order_3.floor(k) for k in range(4)] == pytest.approx([math.log(8), math.log(4), math.log(2), 0])
    for marks, task in TASKS.items():
        target = batch(marks)[1]
        assert holds(cross_entropies(np.zeros((*target.shape, task.V)), target), task.CHANCE_LOSS)
        ends = [0, *(T - low for low, _ in reversed(temporal_order.places(T, marks)))]
        assert [task.bayes_loss(w, T) for w in ends] == pytest.approx([task.floor(k) for k in range(marks + 1)])


@both
@pytest.mark.parametrize("length", [10, 11, 19, 100, 105])
def test_the_ranges_are_disjoint_not_empty_and_end_before_the_last_step(length, marks):
    """At 100 steps they are those of the paper, without its upper end."""
    ends = [end for low_high in temporal_order.places(length, marks) for end in low_high]
    assert all(low < high for low, high in zip(ends[::2], ends[1::2], strict=True))
    assert ends == sorted(ends) and ends[-1] < length
    if length == 100:
        assert ends == {2: [10, 20, 50, 60], 3: [10, 20, 33, 43, 66, 76]}[marks]


@both
def test_shapes_and_answers_for_one_model_and_for_a_group(marks):
    """One batch is (T, B, 6) and (1, B) classes; `correct` and `cost` drop steps and outputs, and keep E and B."""
    task = TASKS[marks]
    x, target = task.draw(draw.generator("shape"), 10, 7)
    assert x.shape == (10, 7, task.D) and target.shape == (1, 7) and target.dtype == np.int64
    y = np.stack([np.eye(task.V)[target], np.eye(task.V)[target - 1]], 1)
    group = np.stack([target, target], 1)
    np.testing.assert_array_equal(task.correct(y, group), [[True] * 7, [False] * 7])
    np.testing.assert_array_equal(task.cost(y, group), [[0] * 7, [1] * 7])
    assert task.cost(y[:, 0], target).shape == (7,)


def test_the_first_mark_is_the_highest_bit_of_the_class():
    """X then Y is class 1, Y then X class 2; the loss that trains them is one that both twins have."""
    from impl.numpy_twin import loss

    x, target = batch(2)
    symbols = x.argmax(-1)
    first = np.array([symbols[symbols[:, b] > 3, b][0] for b in range(50)]) - temporal_order.DISTRACTORS
    np.testing.assert_array_equal(first, target[0, :50] // 2)
    total, _ = getattr(loss, temporal_order.LOSS)(np.zeros((*target.shape, 4)), target)
    assert total / ROWS == pytest.approx(temporal_order.CHANCE_LOSS, rel=1e-12)


def test_bad_arguments_are_refused():
    """Lengths without a step a tenth, marks but 2 and 3, more marks known than there are, negative windows."""
    for call in (lambda: temporal_order.draw(draw.generator("none"), 9, 4), lambda: temporal_order_3.bayes_loss(0, 9)):
        refuses(call, "`length` must be at least 10, since each mark stands in a tenth of the steps; got 9.")
    refuses(lambda: temporal_order.draw(draw.generator("none"), 20, 4, marks=4), "`marks` must lie in 2 .. 3, since")
    refuses(lambda: temporal_order_3.floor(4), "`known` must lie in 0 .. 3, since 3 steps are marked; got 4.")
    refuses(lambda: temporal_order.bayes_loss(-1, T), "`window` must be at least 0")


@cache
def batch(marks):
    """A good batch, not to be written to."""
    return TASKS[marks].draw(draw.generator("test temporal order", marks), T, ROWS)


def shown(x, marks, start=0):
    """How often X and Y are shown in each range, from step `start` on: (marks, B, 2)."""
    return np.stack([x[max(low, start) : max(high, start), :, 4:].sum(0) for low, high in ranges(marks)])


def ranges(marks):
    """The ranges in which marks may stand."""
    return temporal_order.places(T, marks)


def bits(target, marks):
    """The bit of each mark, (marks, ...): 0 is X and 1 is Y."""
    return np.stack([target >> (marks - 1 - k) & 1 for k in range(marks)])


def logits(x, marks, start):
    """Of who sees the steps from `start` on: (1, B, V)."""
    classes = bits(np.arange(2**marks), marks)
    return SURE * sum(seen[:, of] for seen, of in zip(shown(x, marks, start), classes, strict=True))[None]


def faults(x, target, marks):
    """Names what is wrong with a batch: exactly, or by statistics whose standard deviation if it is good is known."""
    marked, n, found = x[..., 4:].sum(-1), x.shape[1], set()
    if not ((x.sum(-1) == 1).all() and (shown(x, marks).sum(-1) == 1).all() and (marked.sum(0) == marks).all()):
        found.add("marks")
    p = np.zeros(T)
    for low, high in ranges(marks):
        p[low:high] = 1 / (high - low)
    if not balanced(marked.mean(1), p, n):
        found.add("places")
    if not balanced(np.bincount(target[0], minlength=2**marks) / n, 2.0**-marks, n):
        found.add("classes")
    plain = marked == 0
    if not balanced(x[plain][:, :4].mean(0), 0.25, plain.sum()):
        found.add("distractors")
    if not np.array_equal(shown(x, marks)[..., 1], bits(target[0], marks)):
        found.add("target")
    return found | ({"leak"} if told(x, target, marks, plain) else set())


def told(x, target, marks, plain):
    """Whether a distractor at some step is more frequent for some marks, or for some sets of marks taken together."""
    some = np.arange(1, 2**marks)
    signs = 1.0 - 2 * (np.bitwise_count(some[:, None] & target[0]) % 2)  # (sets, B)
    z = np.where(plain[..., None], (x[..., :4] - 0.25) / math.sqrt(3 / 16), 0)
    size = abs(np.einsum("sb,tbd->std", signs, z, optimize=True)) / np.sqrt(plain.sum(1))[:, None]
    return size.max() > tolerance(size.size)


def put(x, step, rows, symbol):
    """Shows symbols at one step of some rows."""
    x[step, rows] = np.eye(6)[symbol]


def unmarked(x, target, marks):
    """No mark at all in one row of a thousand."""
    for low, high in ranges(marks):
        for step in range(low, high):
            put(x, step, slice(None, None, 1000), 0)
    return x, target


def with_replacement(x, target, marks):
    """Marks drawn anywhere and with replacement, so that one can hide another."""
    rng, n = draw.generator("fault"), x.shape[1]
    x[..., 0] += x[..., 4:].sum(-1)
    x[..., 4:] = 0
    for bit in bits(target[0], marks):
        x[rng.integers(0, T, n), np.arange(n)] = np.eye(6)[4 + bit]
    return x, target


def first_places(x, target, marks):
    """Every tenth row has each mark at the first step of its range."""
    for (low, high), bit in zip(ranges(marks), bits(target[0, ::10], marks), strict=True):
        for step in range(low, high):
            put(x, step, slice(None, None, 10), 4 + bit if step == low else 0 * bit)
    return x, target


def unbalanced(x, target, marks):
    """Every tenth row is of class 0."""
    x[:, ::10, 4] += x[:, ::10, 5]
    x[:, ::10, 5], target[:, ::10] = 0, 0
    return x, target


def three_distractors(x, target, marks):
    """Distractor d becomes a."""
    x[..., 0] += x[..., 3]
    x[..., 3] = 0
    return x, target


def shifted(x, target, marks):
    """The answer of the next row."""
    return x, np.roll(target, 1, 1)


def reversed_order(x, target, marks):
    """The last mark is the highest bit."""
    return x, sum(bit << k for k, bit in enumerate(bits(target, marks)))


def answer_at_the_end(x, target, marks):
    """The last step of every tenth row shows the last distractor of as many as the class has, or d."""
    put(x, -1, slice(None, None, 10), np.minimum(target[0, ::10], 3))
    return x, target


def answer_of_all_marks(x, target, marks):
    """The last step of every fifth row tells whether the number of Y is odd: no mark alone is told."""
    put(x, -1, slice(None, None, 5), np.bitwise_count(target[0, ::5]) % 2)
    return x, target


PLANTED = {
    "marks": (unmarked, with_replacement),
    "places": (first_places,),
    "classes": (unbalanced,),
    "distractors": (three_distractors,),
    "target": (shifted, reversed_order),
    "leak": (answer_at_the_end, answer_of_all_marks),
}
