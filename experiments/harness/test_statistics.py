"""Intervals: that each covers what it should, what they say at the ends, and that N12's rule can be met and broken."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import expit

from experiments.harness import statistics
from experiments.harness.statistics import (
    Interval,
    clopper_pearson,
    kaplan_meier,
    order_interval,
    t50,
    t50_ratio,
)

SIMULATIONS = 2000
COVERED = 0.98
LENGTHS = np.array([round(5 * 2 ** (i / 2)) for i in range(11)])  # 5 to 160, as the latch's quick preset has them
LONG = np.array([round(5 * 2 ** (i / 2)) for i in range(17)])  # 5 to 1280
SEEDS = 16

STEP = np.array([SEEDS] * 5 + [0] * 6)
SLOPING = np.array([16, 16, 16, 16, 11, 9, 4, 2, 0, 0, 0])


def counts(rng, value, slope, size=SIMULATIONS, lengths=LENGTHS):
    """How many of 16 seeds solve each length in so many sweeps: (size, K)."""
    return rng.binomial(SEEDS, expit(-slope * (np.log(lengths) - math.log(value))), (size, len(lengths)))


def distinct(function, *solved):
    """What `function` gives for each sweep, computed once for equal counts: three arrays (size,)."""
    joined = np.concatenate(solved, axis=1)
    unique, back = np.unique(joined, axis=0, return_inverse=True)
    found = function(*np.split(unique, len(solved), axis=1))
    return [field[back] for field in found[:3]]


def coverage(truth, low, high):
    """The share of intervals that hold the truth, which may stand on an end to rounding."""
    return np.mean((low <= truth * (1 + 1e-9)) & (truth <= high * (1 + 1e-9)))


# Medians


@pytest.mark.parametrize(("n", "first", "last"), [(8, 1, 8), (16, 3, 14), (9, 1, 9), (12, 2, 11), (32, 9, 24)])
def test_the_interval_is_the_narrowest_symmetric_pair_that_reaches_the_level(n, first, last):
    """8 seeds: smallest to largest; 16: 3rd to 14th; the pair covers 99 %, and the next narrower one does not."""
    values = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    assert order_interval(values) == Interval((n + 1) / 2, first, last)
    missed = 2 * stats.binom.cdf([first - 1, first], n, 0.5)
    assert missed[0] <= 0.01 < missed[1]


@pytest.mark.parametrize("n", [1, 3, 7])
def test_fewer_than_eight_values_have_no_interval(n):
    """The median is given, the interval is everything."""
    median, low, high = order_interval(np.arange(n))
    assert (median, low, high) == ((n - 1) / 2, -math.inf, math.inf)


def test_runs_that_never_end_count_as_infinite():
    """Infinite values move median and interval as large numbers would, and never become NaN."""
    assert order_interval([1, 2, 3, 4, math.inf, math.inf, math.inf, math.inf]) == (math.inf, 1, math.inf)
    assert order_interval([1, 2, 3, 4, 5, math.inf, math.inf, math.inf]) == (4.5, 1, math.inf)
    assert order_interval([math.inf] * 8) == (math.inf, math.inf, math.inf)


@pytest.mark.parametrize("values", [[], [1.0, math.nan] * 4, [[1.0] * 8]])
def test_values_that_are_no_sample_are_refused(values):
    """Nothing, NaN and a second axis are errors that name the argument."""
    with pytest.raises(ValueError, match="`values` must be"):
        order_interval(values)


def bimodal(rng, size):
    """Sixty of a hundred near 0, the others near 1: a share of solved sequences over seeds."""
    return np.where(rng.random(size) < 0.6, 0.0, 1.0) + rng.normal(0, 0.05, size)


BIMODAL_MEDIAN = optimize.brentq(
    lambda m: 0.6 * stats.norm.cdf(m / 0.05) + 0.4 * stats.norm.cdf((m - 1) / 0.05) - 0.5, -1, 1
)
DRAWS = {
    "skewed": (lambda rng, size: rng.lognormal(0, 2, size), 1.0),
    "bimodal": (bimodal, BIMODAL_MEDIAN),
    "coarse": (lambda rng, size: rng.binomial(3, 0.5, size) // 2 + rng.integers(0, 2, size), 1.0),
    "cauchy": (lambda rng, size: rng.standard_cauchy(size), 0.0),
}


@pytest.mark.parametrize("n", [8, 16])
@pytest.mark.parametrize("name", DRAWS)
def test_the_median_is_covered(name, n):
    """In 98 % of 2,000 samples of 8 and of 16 from skewed, bimodal, coarse and heavy-tailed distributions."""
    draw, truth = DRAWS[name]
    samples = draw(np.random.default_rng(n), (SIMULATIONS, n))
    found = np.array([order_interval(values) for values in samples])
    assert np.mean((found[:, 1] <= truth) & (truth <= found[:, 2])) >= COVERED


# Shares, steps


@pytest.mark.parametrize("n", [8, 16])
@pytest.mark.parametrize("p", [0.02, 0.1, 0.5, 0.9])
def test_the_share_is_covered(n, p):
    """In 98 % of 2,000 draws of 8 and of 16 seeds, also near 0 and 1."""
    ends = np.array([clopper_pearson(k, n) for k in range(n + 1)])
    low, high = ends[np.random.default_rng(n).binomial(n, p, SIMULATIONS)].T
    assert np.mean((low <= p) & (p <= high)) >= COVERED


def test_the_interval_of_a_share_is_the_exact_one():
    """Clopper and Pearson's ends are quantiles of beta distributions; none and all give closed ends."""
    low, high = clopper_pearson(3, 16)
    assert low == pytest.approx(stats.beta.ppf(0.005, 3, 14)) and high == pytest.approx(stats.beta.ppf(0.995, 4, 13))
    assert clopper_pearson(0, 16)[0] == 0 and clopper_pearson(16, 16)[1] == 1


def test_unsolved_runs_are_censored_and_not_dropped():
    """By hand: of four runs one solves at 100, one at 200; two are given up at 400 and stay unsolved."""
    curve = kaplan_meier([100, 200, math.inf, math.inf], 400)
    assert curve.steps.tolist() == [100, 200, 400]
    np.testing.assert_allclose(curve.unsolved, [3 / 4, 1 / 2, 1 / 2])
    assert (curve.low < curve.unsolved).all() and (curve.unsolved < curve.high).all()


def test_a_run_that_is_given_up_early_leaves_the_number_at_risk():
    """By hand: given up at 150, it counts at 100 (1/4 solves) and no longer at 200 (1/2 of the two left)."""
    curve = kaplan_meier([100, 200, 300, math.inf], [400, 400, 400, 150])
    np.testing.assert_allclose(curve.unsolved, [3 / 4, 3 / 4, 3 / 8, 0])


@pytest.mark.parametrize(("steps", "share"), [([5.0] * 8, 0.0), ([math.inf] * 8, 1.0)])
def test_all_or_none_solved_gives_an_interval_without_nan(steps, share):
    """Where Greenwood's formula is undefined the interval is 0 to 1."""
    curve = kaplan_meier(steps, 10)
    assert curve.unsolved.tolist() == [share] and (curve.low[0], curve.high[0]) == (0, 1)


def test_a_run_cannot_solve_after_its_limit():
    """Such steps are refused."""
    with pytest.raises(ValueError, match="`steps` must be at most `limit`"):
        kaplan_meier([100, 500], 400)


# T50


def negative_log_likelihood(m, s, solved):
    """Written once more, for the oracle below."""
    p = expit(-s * (np.log(LENGTHS) - m))
    return -stats.binom.logpmf(solved, SEEDS, p).sum()


def best(m, solved):
    """The least over s at this m, by SciPy's bounded search."""
    return optimize.minimize_scalar(
        lambda s: negative_log_likelihood(m, s, solved), bounds=(1e-6, 10), method="bounded", options={"xatol": 1e-10}
    ).fun


@pytest.mark.parametrize("solved", [SLOPING, np.array([16, 15, 12, 13, 9, 8, 5, 6, 1, 2, 0])])
def test_value_and_interval_agree_with_a_general_optimiser(solved):
    """Value: where SciPy's search finds the likelihood's peak; ends: where it has fallen by `drop` on either side."""
    found = t50(LENGTHS, solved, SEEDS)
    peak = optimize.minimize(
        lambda v: negative_log_likelihood(*v, solved), [3.0, 2.0], method="Nelder-Mead", options={"xatol": 1e-9}
    )
    drop = statistics.COARSE * stats.chi2.ppf(0.99, 1) / 2
    assert math.log(found.value) == pytest.approx(peak.x[0], abs=1e-5)
    assert found.slope == pytest.approx(peak.x[1], abs=1e-4)
    assert found.low < found.value < found.high
    for end in (found.low, found.high):
        assert best(math.log(end), solved) - peak.fun == pytest.approx(drop, abs=1e-5)


def test_the_ratio_agrees_with_a_general_optimiser():
    """Ends: where the best sum of both likelihoods at that ratio has fallen by `drop`."""
    a, b = np.array([16, 16, 16, 16, 16, 15, 12, 9, 4, 1, 0]), SLOPING
    found = t50_ratio(LENGTHS, a, SEEDS, LENGTHS, b, SEEDS)
    peak = sum(best(math.log(t50(LENGTHS, solved, SEEDS).value), solved) for solved in (a, b))
    drop = statistics.COARSE * stats.chi2.ppf(0.99, 1) / 2
    for end in (found.low, found.high):
        both = optimize.minimize_scalar(
            lambda m, end=end: best(m + math.log(end), a) + best(m, b), bounds=(2.5, 4.0), method="bounded"
        )
        assert both.fun - peak == pytest.approx(drop, rel=0.01)  # the ends give away .2 % of the half-width
    assert found.value == pytest.approx(t50(LENGTHS, a, SEEDS).value / t50(LENGTHS, b, SEEDS).value, rel=1e-9)


def test_a_step_puts_t50_in_the_middle_of_the_gap():
    """All of 16 to length 20, none from 28: the geometric middle, and the gap within 4 % of it as the interval."""
    found, gap = t50(LENGTHS, STEP, SEEDS), math.log(28 / 20)
    assert found.value == pytest.approx(math.sqrt(20 * 28), rel=1e-6)
    assert 0 < math.log(found.low / 20) < 0.04 * gap and 0 < math.log(28 / found.high) < 0.04 * gap
    np.testing.assert_allclose(found.share(LENGTHS), STEP / SEEDS, atol=1e-6)


@pytest.mark.parametrize("k", range(1, 16))
def test_one_length_between_all_and_none_is_close_to_t50(k):
    """All of 16 to length 14, k at 20, none from 28: T50 lies within 3 % of 20, and the share at 20 is k / 16."""
    solved = np.where(np.arange(11) < 4, SEEDS, 0) + np.where(np.arange(11) == 4, k, 0)
    found = t50(LENGTHS, solved, SEEDS)
    assert found.value == pytest.approx(20, rel=0.03) and 14 < found.low < found.value < found.high < 28
    np.testing.assert_allclose(found.share(LENGTHS), solved / SEEDS, atol=1e-3)


@pytest.mark.parametrize(
    ("solved", "expected"),
    [
        ([16] * 11, (math.inf, 160, math.inf)),
        ([0] * 11, (0, 0, 5)),
        ([12] * 11, (math.inf, 160, math.inf)),
    ],
)
def test_beyond_the_lengths_that_were_run_nothing_is_named(solved, expected):
    """All solved, none, and a share that stays above a half: infinite, 0, or an end of the ladder."""
    assert t50(LENGTHS, solved, SEEDS)[:3] == expected


@pytest.mark.parametrize(
    "solved",
    [[8] * 11, [9] * 11, [0] * 5 + [16] * 6, [0] * 4 + [8] + [15] * 6, [1] * 5 + [16] * 6],
    ids=["a half", "about a half", "rises by all", "rises, mostly solved", "rises from one"],
)
def test_shares_that_do_not_fall_say_nothing(solved):
    """Any length may be T50, so that none is named, nor a ratio to it, in either place."""
    np.testing.assert_equal(t50(LENGTHS, solved, SEEDS)[:3], (math.nan, 0, math.inf))
    for pair in ((solved, SLOPING), (SLOPING, solved)):
        found = t50_ratio(LENGTHS, pair[0], SEEDS, LENGTHS, pair[1], SEEDS)
        np.testing.assert_equal(tuple(found), (math.nan, 0, math.inf))


def test_an_open_end_opens_the_ratio_on_that_side_only():
    """a solves all lengths: the ratio is infinite with a finite low end; b in its place: 0 with a finite high end."""
    up = t50_ratio(LENGTHS, [16] * 11, SEEDS, LENGTHS, SLOPING, SEEDS)
    down = t50_ratio(LENGTHS, SLOPING, SEEDS, LENGTHS, [16] * 11, SEEDS)
    assert up.value == up.high == math.inf and 160 / 40 < up.low < 160 / 28
    assert down.value == down.low == 0 and down.high == pytest.approx(1 / up.low, rel=1e-9)
    both = t50_ratio(LENGTHS, [16] * 11, SEEDS, LENGTHS, [16] * 11, SEEDS)
    assert math.isnan(both.value) and (both.low, both.high) == (0, math.inf)


def test_many_sweeps_at_once_are_the_same_as_one_by_one():
    """Values, ends and slopes to 1e-7; a length with no seeds is a length that was not run."""
    solved = counts(np.random.default_rng(0), 40, 3, 50)
    together = t50(LENGTHS, solved, SEEDS)
    for i, row in enumerate(solved):
        np.testing.assert_allclose([field[i] for field in together], t50(LENGTHS, row, SEEDS), rtol=1e-7)
    n = np.where(LENGTHS <= 80, SEEDS, 0)
    short = t50(LENGTHS, np.minimum(solved[0], n), n)
    np.testing.assert_allclose(short[:3], t50(LENGTHS[:9], solved[0, :9], SEEDS)[:3], rtol=1e-7)


@pytest.mark.parametrize(
    ("lengths", "solved"),
    [([5, 5, 10], [1, 1, 1]), ([5], [1]), ([0, 5], [1, 1]), ([5, 10], [1, 17]), ([5, 10], [-1, 0]), ([5, 10], [1])],
)
def test_lengths_that_do_not_rise_and_counts_beyond_n_are_refused(lengths, solved):
    """Each is an error that names the argument."""
    with pytest.raises(ValueError, match=r"`(lengths|solved)` must be"):
        t50(lengths, solved, SEEDS)


@pytest.mark.parametrize(
    ("value", "slope"),
    [(30, 1), (33, 3), (100, 6), (33.5, 8), (33.5, 12), (10, 20), (24, 60), (5, 3), (5.5, 20), (150, 3), (160, 20)],
)
def test_t50_is_covered(value, slope):
    """In 98 % of 2,000 sweeps of 16 seeds a length, flat to steep, on a length, between two, near the ends."""
    solved = counts(np.random.default_rng(1), value, slope)
    _, low, high = distinct(lambda k: t50(LENGTHS, k, SEEDS), solved)
    assert coverage(value, low, high) >= COVERED


@pytest.mark.parametrize(("factor", "enough"), [(statistics.COARSE, True), (1.0, False)])
def test_the_chi_squared_quantile_alone_covers_too_little(monkeypatch, factor, enough):
    """On a steep curve with T50 on a length 99 % of 20,000 intervals hold it with the factor, under 98 % without it.

    Without: 3 of 16 at that length has deviance 6.74 from one half, beyond 6.63, so P(Bin(16, 1/2) <= 3) = 1.06 % is
    missed on each side.
    """
    monkeypatch.setattr(statistics, "COARSE", factor)
    solved = counts(np.random.default_rng(4), 10, 25, 20_000)
    _, low, high = distinct(lambda k: t50(LENGTHS, k, SEEDS), solved)
    share = coverage(10, low, high)
    assert share >= 0.99 if enough else share == pytest.approx(1 - 2 * stats.binom.cdf(3, 16, 0.5), abs=0.003)


@pytest.mark.parametrize(("a", "b"), [((60, 6), (20, 3)), ((33.5, 12), (33.5, 12))])
def test_the_ratio_is_covered(a, b):
    """In 98 % of 2,000 pairs of sweeps: unequal slopes, and the worst case found, steep curves between two lengths."""
    rng = np.random.default_rng(2)
    solved = counts(rng, *a), counts(rng, *b)
    _, low, high = distinct(lambda k, l: t50_ratio(LENGTHS, k, SEEDS, LENGTHS, l, SEEDS), *solved)  # noqa: E741
    assert coverage(a[0] / b[0], low, high) >= COVERED


# N12

SWEEPS = 400
SLOPE = 6.0
RNN_T50 = (12.0, 18.0, 26.0)


def stopped(solved):
    """Solved and run counts of ladders that end at the first length that at most 2 of 16 solve."""
    few = solved <= 2
    last = np.where(few.any(1), few.argmax(1), len(LONG) - 1)
    n = np.where(np.arange(len(LONG)) <= last[:, None], SEEDS, 0)
    return np.minimum(solved, n), n


def ratios(rng, truth):
    """The ratio's low and high ends on three tasks in 400 sweeps: (3, 400) each."""
    ends = []
    for value in RNN_T50:
        (a, n_a), (b, n_b) = (stopped(counts(rng, v, SLOPE, SWEEPS, LONG)) for v in (truth * value, value))
        ends.append(t50_ratio(LONG, a, n_a, LONG, b, n_b)[1:])
    return np.swapaxes(ends, 0, 1)


@pytest.mark.slow
def test_n12_is_supported_at_a_true_ratio_of_three_and_contradicted_at_one():
    """In 95 % of 400 sweeps of three tasks by N12's rule, where shares fall with slope 6 in ln length.

    Flatter ones need more than 16 seeds for that: at slope 4, three quarters of the seeds to one quarter over a factor
    1.7, it is 85 %.
    """
    rng = np.random.default_rng(3)
    low, high = ratios(rng, 3.0)
    assert np.mean(((low > 2).sum(0) >= 2) & ~(high < 1).any(0)) >= 0.95
    _, high = ratios(rng, 1.0)
    assert np.mean((high < 1.5).sum(0) >= 2) >= 0.95
