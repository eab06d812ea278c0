"""The adding problem's generator and its closed forms, against faults that such generators have had."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from experiments.tasks import adding
from impl import draw

T, ROWS = 11, 40_000
HALF = T // 2
LEVEL = 1e-6  # chance that one statistic of a good generator leaves its tolerance; the seed is fixed besides


def test_values_are_uniform_and_two_markers_stand_uniformly_in_their_halves():
    """The generator shows none of the faults that `faults` looks for."""
    assert faults(*adding.draw(draw.generator("test adding"), T, ROWS)) == set()


@pytest.mark.parametrize("fault", ["markers", "halves", "places", "values", "target"])
def test_each_planted_generator_fault_is_seen(fault):
    """Each fault planted in a good batch is found, under its own name."""
    x, target = adding.draw(draw.generator("test adding"), T, ROWS)
    for planted in PLANTED[fault]:
        assert fault in faults(*planted(x.copy(), target))


def test_the_floors_are_the_variances_of_what_is_not_known():
    """Saying 1, one value and a half, and both values cost 1/6, 1/12 and 0 within five standard errors."""
    x, target = adding.draw(draw.generator("floors"), T, ROWS)
    marked = (x[..., 0] * x[..., 1])[..., None]
    first, both = marked[:HALF].sum(0)[None], marked.sum(0)[None]
    assert [adding.floor(known) for known in (0, 1, 2)] == [1 / 6, 1 / 12, 0] and adding.CHANCE_LOSS == 1 / 6
    for known, y in ((0, 1 + 0 * target), (1, first + 0.5), (2, both)):
        assert holds(squares(y, target), adding.floor(known))


def test_the_printed_baseline_of_1767_is_noticed():
    """A public code prints .1767 as the loss of who says 1; the rows tell it from 1/6."""
    _, target = adding.draw(draw.generator("floors"), T, ROWS)
    assert not holds(squares(1 + 0 * target, target), 0.1767)
    assert abs(adding.CHANCE_LOSS - 0.1767) > 0.01 * 0.1767


def test_the_loss_is_that_of_the_twins_summed_over_rows():
    """`squared_error` of both twins is the sum of squares that the floors are means of."""
    from impl.numpy_twin import loss

    _, target = adding.draw(draw.generator("loss"), T, 64)
    total, _ = getattr(loss, adding.LOSS)(np.ones_like(target), target)
    assert total == pytest.approx(squares(1 + 0 * target, target).sum(), rel=1e-14)


@pytest.mark.parametrize("window", range(T + 2))
def test_the_loss_of_a_window_is_that_of_the_best_predictor_who_sees_it(window):
    """Marked values inside count as they are, those outside as their mean; window 0 is chance and T is 0."""
    x, target = adding.draw(draw.generator("window"), T, ROWS)
    seen = x[max(T - window, 0) :]
    y = (seen[..., 0] * seen[..., 1]).sum(0) + 0.5 * (2 - seen[..., 1].sum(0))
    assert holds(squares(y[None, :, None], target), adding.bayes_loss(window, T))


def test_a_window_costs_chance_a_half_or_nothing_at_its_ends():
    """Nothing seen 1/6, the second half 1/12, everything 0, also where T is odd."""
    for length in (10, 11):
        n = length - length // 2
        assert [adding.bayes_loss(w, length) for w in (0, n, length)] == [1 / 6, 1 / 12, 0]


def test_a_constant_answer_is_right_by_chance_alone():
    """Who says 1 is within the tolerance as often as the density 1 - |sum - 1| has it; who says the sum always is."""
    _, target = adding.draw(draw.generator("chance"), T, ROWS)
    p = adding.CHANCE_ACCURACY
    right = adding.correct(1 + 0 * target, target)
    assert abs(right.mean() - p) < tolerance(1) * np.sqrt(p * (1 - p) / ROWS)
    assert adding.correct(target, target).all()


def test_shapes_and_answers_for_one_model_and_for_a_group():
    """One batch is (T, B, 2); `correct` drops the step and output axes, and keeps E and B."""
    x, target = adding.draw(draw.generator("shape"), 5, 7)
    assert x.shape == (5, 7, adding.D) and target.shape == (1, 7, adding.V)
    group = np.stack([target, target + 0.1], 1)
    right = adding.correct(np.stack([target, target], 1), group)
    assert right.shape == (2, 7) and right[0].all() and not right[1].any()


def test_a_length_without_two_halves_is_refused():
    """One step cannot hold two markers."""
    with pytest.raises(ValueError, match="`length` must be at least 2"):
        adding.draw(draw.generator("none"), 1, 4)


def faults(x, target):
    """Names what is wrong with a batch: exactly, or by statistics whose standard deviation if it is good is known."""
    value, marker = x[..., 0], x[..., 1]
    n, found = x.shape[1], set()
    if not (np.isin(marker, (0, 1)).all() and (marker.sum(0) == 2).all()):
        found.add("markers")
    if not ((marker[:HALF].sum(0) == 1).all() and (marker[HALF:].sum(0) == 1).all()):
        found.add("halves")
    p = np.where(np.arange(T) < HALF, 1 / HALF, 1 / (T - HALF))
    if (abs(marker.mean(1) - p) > tolerance(T) * np.sqrt(p * (1 - p) / n)).any():
        found.add("places")
    z = np.sqrt(12) * (value - 0.5)  # mean 0, mean square 1, mean fourth power 9/5
    looks = (abs(z.mean()), 1 / np.sqrt(z.size)), (abs((z * z).mean() - 1), np.sqrt(0.8 / z.size))
    if value.min() < 0 or value.max() > 1 or any(size > tolerance(2) * sd for size, sd in looks):
        found.add("values")
    if not np.allclose((value * marker).sum(0), target[0, :, 0], rtol=0, atol=1e-15):
        found.add("target")
    return found


def holds(losses, expected):
    """Whether the mean of some squares is what is expected, within five standard errors and rounding."""
    return abs(losses.mean() - expected) <= 5 * losses.std() / np.sqrt(losses.size) + 1e-30


def squares(y, target):
    """Squared errors."""
    return (y - target) ** 2


def tolerance(looks):
    """Standard deviations that the largest of `looks` normal statistics exceeds with chance LEVEL (Bonferroni)."""
    return norm.isf(LEVEL / (2 * looks))


def marked_at(first, second):
    """A fault: the markers of row 0 .. B - 1 stand where two functions of (rng, B) say, the target follows."""

    def fault(x, target):
        rng, rows = draw.generator("fault"), np.arange(x.shape[1])
        places = [place(rng, len(rows)) for place in (first, second)]
        x[..., 1] = 0
        for place in places:
            x[place, rows, 1] = 1
        return x, sum(x[place, rows, 0] for place in places)[None, :, None]

    return fault


def unmarked(x, target):
    """No marker at all in one row of a thousand."""
    x[:, ::1000, 1] = 0
    return x, target


def squeezed(x, target):
    """Values from [0, .99)."""
    x[..., 0] *= 0.99
    return x, 0.99 * target


def shifted(x, target):
    """The answer of the next row."""
    return x, np.roll(target, 1, 1)


anywhere = lambda rng, n: rng.integers(0, T, n)  # noqa: E731
early = lambda rng, n: rng.integers(0, HALF, n)  # noqa: E731
late = lambda rng, n: rng.integers(HALF, T - 1, n)  # noqa: E731  (the last step is left out)

PLANTED = {
    "markers": (unmarked, marked_at(anywhere, anywhere)),
    "halves": (marked_at(early, early), marked_at(anywhere, anywhere)),
    "places": (marked_at(early, late),),
    "values": (squeezed,),
    "target": (shifted,),
}
