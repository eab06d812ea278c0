"""Intervals for few seeds: medians by order statistics, shares, and T50, the length that half of the seeds solve.

Everything is at 99 % unless said otherwise, and nothing is resampled. SciPy has the exact interval of a share and the
Kaplan-Meier curve; the order-statistic interval and the profile likelihood of T50 are ours.

T50. Of n_i seeds k_i solve length x_i; the share is logistic in ln length and falls:

    p_i = sigma(-s (ln x_i - m)),   s >= 0,   T50 = e^m
    l(m, s) = sum of k_i ln p_i + (n_i - k_i) ln(1 - p_i)
    l*(m) = max over s of l(m, s)                                         the profile likelihood of m
    interval = {m : l*(m) >= max l* - drop},   drop = COARSE / 2 times the chi-squared quantile, one degree of freedom

l is concave in (s m, s), so the points that reach a level are a convex set and l* has one peak: each end of an interval
is one root. Two arms share nothing, so the likelihood of both falls by `drop` on the border of a region in (m_a, m_b),
and the largest m_a - m_b in it is the largest of (a's upper end at a fall of t) minus (b's lower end at drop - t).

No length outside those that were run is ever named: a value or end beyond the longest is inf, below the shortest 0.

Source: Venzon, Moolgavkar 1988 (profile-likelihood intervals); Kaplan, Meier 1958; Clopper, Pearson 1934.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import expit, log_expit

LEVEL = 0.99
SLOPES = (1e-7, -np.log(np.finfo(float).eps))
"""The least s (0 to all purposes), and the largest s times the narrowest gap between two ln lengths.

Where every length is solved by all seeds or by none, l rises with s for ever. Beyond the largest s a length that lies a
gap away from T50 is solved surely or never to float64's rounding, so that no count could tell a larger s from it. With
16 seeds the interval's ends then stand within 4 % of the gap from where an infinite s would have them.
"""

FAR = 1000.0
"""How far in ln length the peak is looked for: the best curve there is flat, the limit for shares that do not fall."""

COARSE = 1.27
"""What multiplies the chi-squared quantile, since counts of few seeds are coarser than its limit.

On a steep curve one or two lengths decide alone, and the deviance at the true T50 takes few values. Simulated for s
times the gap from .7 to 10 and T50 from a length to the middle of a gap (on an even ladder only these two numbers and n
matter), its 99 % quantile is at most 8.4 with 8 seeds and 8.2 with 16, where the limit has 6.63. Without the factor the
interval of T50 covers as little as 97.9 % at 16 seeds, that of a ratio 97.6 %.
"""

ANGLES = np.linspace(0, np.pi / 2, 13)
"""How the fall of the likelihood is shared between two arms, t = drop sin^2: at most .2 % of the half-width is lost."""


class Interval(NamedTuple):
    """A value and the ends of its interval; ends may be infinite."""

    value: float
    low: float
    high: float


class T50(NamedTuple):
    """The length that half of the seeds solve with its interval, and the fitted curve."""

    value: Any
    low: Any
    high: Any
    centre: Any
    slope: Any

    def share(self, lengths: ArrayLike) -> np.ndarray:
        """The fitted share of seeds that solve each of `lengths`; also where T50 itself lies beyond those run."""
        centre, slope = np.expand_dims(self.centre, -1), np.expand_dims(self.slope, -1)
        return expit(-slope * (np.log(lengths) - centre))


class Curve(NamedTuple):
    """The share of runs that have not solved after each number of steps, with its interval."""

    steps: np.ndarray
    unsolved: np.ndarray
    low: np.ndarray
    high: np.ndarray


# Medians, shares, steps


def order_interval(values: ArrayLike, level: float = LEVEL) -> Interval:
    """The median and the narrowest symmetric pair of order statistics that covers it with probability `level`.

    The k-th smallest and k-th largest of n independent values enclose the median of any continuous distribution with
    probability 1 - 2 P(Bin(n, 1/2) < k), and of any other with at least that. At 99 %: 8 values smallest to largest
    (99.2 %), 16 values 3rd to 14th (99.6 %).

    Args:
        values: (n,), one number a seed; inf stands for a run that never came to an end.
        level: the coverage that is asked for.
    Returns:
        Median, low, high; with fewer values than can reach the level (8 at 99 %) the interval is everything.
    Raises:
        ValueError: if `values` is empty, not one axis, or holds NaN.
    Source: David, Nagaraja, Order Statistics (2003), section 7.1.
    """
    ordered = np.sort(np.asarray(values, float))
    if ordered.ndim != 1 or not ordered.size or np.isnan(ordered).any():
        raise ValueError(
            f"`values` must be one number a seed without NaN, since a seed left out is a bias; got {values}."
        )
    n = ordered.size
    k = rank(n, level)
    low, high = (ordered[k - 1], ordered[n - k]) if k else (-np.inf, np.inf)
    return Interval(_median(ordered), float(low), float(high))


def against(found: Interval, predicted: float, decimals: int = 9) -> dict[str, float]:
    """A measured value's columns beside a closed form: median, low, high and predicted; residual, what the form leaves,
    with its ends residual_low and residual_high, to some decimals: less is rounding, and no residual."""
    row = dict(zip(("median", "low", "high"), found, strict=True)) | {"predicted": predicted}
    left = zip(("residual", "residual_low", "residual_high"), found, strict=True)
    return row | {name: np.round(value - predicted, decimals) + 0.0 for name, value in left}


@cache
def rank(n: int, level: float = LEVEL) -> int:
    """k of `order_interval` for n values, 0 where no pair of their order statistics reaches the level."""
    return int((stats.binom.cdf(np.arange(n), n, 0.5) <= (1 - level) / 2).sum())


def _median(ordered: np.ndarray) -> float:
    """The mean of the middle two, or either of them where they are equal (inf - inf is not a number)."""
    low, high = ordered[(ordered.size - 1) // 2], ordered[ordered.size // 2]
    return float(low if low == high else low + (high - low) / 2)


@cache
def clopper_pearson(k: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a share of which k of n were seen (SciPy's)."""
    interval = stats.binomtest(int(k), int(n)).proportion_ci(level, method="exact")
    return float(interval.low), float(interval.high)


def kaplan_meier(steps: ArrayLike, limit: ArrayLike, level: float = LEVEL) -> Curve:
    """The share of runs not solved by step; a run that never solved is unsolved to its limit, and not dropped.

    Args:
        steps: (n,), the step at which each run solved, inf for never.
        limit: the steps that the runs were given, one number or (n,).
        level: of the pointwise interval (Greenwood's, on the scale of ln(-ln), so that it stays within 0 and 1).
    Returns:
        One entry a step at which a run solved or was given up.
    Raises:
        ValueError: if a run solved after its limit.
    Source: Kaplan, Meier 1958; SciPy's ecdf. Where its interval is undefined (all or none solved so far), 0 to 1.
    """
    steps, limit = np.broadcast_arrays(np.asarray(steps, float), np.asarray(limit, float))
    never = np.isinf(steps)
    if (steps > limit)[~never].any():
        raise ValueError(f"`steps` must be at most `limit`, since no run goes on after it; got {steps} and {limit}.")
    sf = stats.ecdf(stats.CensoredData.right_censored(np.where(never, limit, steps), never)).sf
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # SciPy says where the interval is undefined; see below
        interval = sf.confidence_interval(level, method="log-log")
    low, high = np.nan_to_num(interval.low.probabilities, nan=0.0), np.nan_to_num(interval.high.probabilities, nan=1.0)
    return Curve(sf.quantiles, sf.probabilities, low, high)


# T50


def t50(lengths: ArrayLike, solved: ArrayLike, n: ArrayLike, level: float = LEVEL) -> T50:
    """The length that half of the seeds solve, by maximum likelihood, with its profile-likelihood interval.

    Where all seeds solve every length up to one and none a longer one, the value is the geometric middle of the gap and
    the interval the gap (see SLOPES). All solved: (inf, longest, inf); none: (0, 0, shortest). Shares that do not fall
    with length, and lie above or below a half by no more than chance, say nothing: (nan, 0, inf).

    Args:
        lengths: (K,), rising.
        solved: (K,) or (S, K) for S sweeps at once, how many seeds solved each length.
        n: how many seeds each length had: one number, or of the shape of `solved`; 0 where a length was not run.
        level: the level of the interval.
    Returns:
        Value, low and high, numbers or (S,), and `share(lengths)`, the fitted curve.
    Raises:
        ValueError: if lengths do not rise, or counts do not lie within 0 and n, or no length was run.
    """
    counts = _counts(lengths, solved, n)
    peak, drop = _peak(counts), np.array([_drop(level)])
    low, high = _lower(counts, peak, drop)[:, 0], _upper(counts, peak, drop)[:, 0]
    named = [_length(end, counts, lengths) for end in (_named(counts, peak, low, high), low, high)]
    fields = (*named, peak.m, peak.s)
    return T50(*(field if np.ndim(solved) > 1 else float(field[0]) for field in fields))


def t50_ratio(
    lengths_a: ArrayLike,
    solved_a: ArrayLike,
    n_a: ArrayLike,
    lengths_b: ArrayLike,
    solved_b: ArrayLike,
    n_b: ArrayLike,
    level: float = LEVEL,
) -> Interval:
    """T50 of a over T50 of b, each with its own slope, with the profile-likelihood interval of the ratio.

    Args:
        lengths_a, solved_a, n_a: as in `t50`; solved may be (S, K) in both.
        lengths_b, solved_b, n_b: the same for b.
        level: the level of the interval.
    Returns:
        Ratio, low, high: inf or 0 where a T50 or an end lies beyond what was run, value NaN where both T50 do so or one
        has none.
    """
    a, b = _counts(lengths_a, solved_a, n_a), _counts(lengths_b, solved_b, n_b)
    peaks, falls = (_peak(a), _peak(b)), _drop(level) * np.sin(ANGLES) ** 2
    low_a, high_a = _lower(a, peaks[0], falls), _upper(a, peaks[0], falls)
    low_b, high_b = _lower(b, peaks[1], falls), _upper(b, peaks[1], falls)
    high, low = (high_a - low_b[:, ::-1]).max(1), (low_a - high_b[:, ::-1]).min(1)
    with np.errstate(invalid="ignore"):
        value = _named(a, peaks[0], low_a[:, -1], high_a[:, -1]) - _named(b, peaks[1], low_b[:, -1], high_b[:, -1])
    fields = np.exp([value, low, high])
    return Interval(*(fields if np.ndim(solved_a) > 1 else fields[:, 0].tolist()))


class _Counts(NamedTuple):
    """ln lengths x (K,); solved k and seeds n (S, K); the least and largest x that was run (S,)."""

    x: np.ndarray
    k: np.ndarray
    n: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def mirrored(self) -> _Counts:
        """What is an upper end here is minus the lower end there."""
        return _Counts(-self.x, self.n - self.k, self.n, -self.last, -self.first)


class _Peak(NamedTuple):
    """The most likely m and s, and their log-likelihood l, each (S,)."""

    m: np.ndarray
    s: np.ndarray
    l: np.ndarray  # noqa: E741  (the symbol of the module's equations)


def _counts(lengths: ArrayLike, solved: ArrayLike, n: ArrayLike) -> _Counts:
    """The counts in floats with an axis of sweeps, checked."""
    x, k = np.asarray(lengths, float), np.atleast_2d(np.asarray(solved, float))
    n = np.broadcast_to(np.asarray(n, float), k.shape)
    if x.ndim != 1 or x.size < 2 or not (x[0] > 0 and (np.diff(x) > 0).all() and x[-1] < np.inf):
        raise ValueError(
            f"`lengths` must be at least two rising positive numbers, since T50 lies between; got {lengths}."
        )
    if k.shape[-1] != x.size or not ((k >= 0) & (k <= n)).all():
        raise ValueError(f"`solved` must be one count within 0 and n={n[0]} a length, of {x.size}; got {solved}.")
    if not (n > 0).any(1).all():
        raise ValueError(f"`n` must be above 0 at one length or more, since others were not run; got {n[0]}.")
    run = np.where(n > 0, np.log(x), np.nan)
    return _Counts(np.log(x), k, n, np.nanmin(run, 1), np.nanmax(run, 1))


def _drop(level: float) -> float:
    """How far the log-likelihood falls at the ends of the interval."""
    return COARSE * stats.chi2.ppf(level, 1) / 2


def _named(counts: _Counts, peak: _Peak, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """m where it lies within the lengths that were run, else -inf or inf; NaN where the best curve is flat and bounds m
    on neither side."""
    m, solved, runs = peak.m, counts.k.sum(1), counts.n.sum(1)
    flat = (peak.s < 2 * SLOPES[0]) | (m <= counts.first - FAR) | (m >= counts.last + FAR)
    silent = flat & (low == -np.inf) & (high == np.inf) & (solved > 0) & (solved < runs)
    return np.where(silent, np.nan, np.where(m > counts.last, np.inf, np.where(m < counts.first, -np.inf, m)))


def _length(m: np.ndarray, counts: _Counts, lengths: ArrayLike) -> np.ndarray:
    """e^m, and the very length that was run where m is its logarithm."""
    nearest = np.abs(m[:, None] - counts.x).argmin(1)
    return np.where(m == counts.x[nearest], np.asarray(lengths, float)[nearest], np.exp(m))


def _peak(counts: _Counts) -> _Peak:
    """The most likely m and s; m may lie far outside the lengths."""
    rows = np.arange(len(counts.k))

    s = np.full(rows.size, 1 / np.abs(np.diff(counts.x)).min())

    def rise(m: np.ndarray, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        s[some], _, first, second = _profile(counts, m, some, s[some])
        return first, second

    m = _root(rise, counts.first - FAR, counts.last + FAR, rows)
    s, l, _, _ = _profile(counts, m, rows, s)  # noqa: E741
    return _Peak(m, s, l)


def _upper(counts: _Counts, peak: _Peak, falls: np.ndarray) -> np.ndarray:
    """The upper end of m at which l* has fallen by each of `falls` (F,): (S, F), inf beyond the longest length."""
    shape = (len(counts.k), falls.size)
    rows = np.repeat(np.arange(shape[0]), falls.size)
    m, fall = peak.m[rows], np.tile(falls, shape[0])
    low, high = np.clip(m, counts.first[rows], counts.last[rows]), counts.last[rows]
    s = peak.s[rows]
    beyond = (m > high) | (_fallen(counts, peak, high, rows, s) <= fall)
    none = beyond | (fall == 0) | (_fallen(counts, peak, low, rows, s) > fall)  # the last: T50 is below the shortest

    def excess(m: np.ndarray, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        s[some], l, first, _ = _profile(counts, m, rows[some], s[some])  # noqa: E741
        root = np.sqrt(2 * np.maximum(peak.l[rows[some]] - l, 1e-12))  # nearly straight in m; the floor is rounding
        return np.sqrt(2 * fall[some]) - root, first / root

    end = _root(excess, low, np.where(none, low, high), np.flatnonzero(~none))
    return np.where(beyond, np.inf, end).reshape(shape)


def _lower(counts: _Counts, peak: _Peak, falls: np.ndarray) -> np.ndarray:
    """The lower end of m at which l* has fallen by each of `falls`: (S, F), -inf below the shortest length."""
    return -_upper(counts.mirrored(), peak._replace(m=-peak.m), falls)


def _fallen(counts: _Counts, peak: _Peak, m: np.ndarray, rows: np.ndarray, s: np.ndarray) -> np.ndarray:
    """How far l* lies below its peak at m."""
    return peak.l[rows] - _profile(counts, m, rows, s)[1]


def _profile(counts: _Counts, m: np.ndarray, rows: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, ...]:
    """The best s at each m, l*(m), and its first and second derivative in m.

    Args:
        m: (N,) points, each of the sweep that `rows` (N,) names.
        s: (N,), where to begin looking.
    """
    k, n, z = counts.k[rows], counts.n[rows], counts.x - m[:, None]
    s, free = _slope(counts, k, n, z, s)
    eta = -s[:, None] * z
    l = (k * log_expit(eta) + (n - k) * log_expit(-eta)).sum(1)  # noqa: E741
    r, w = _residual(k, n, eta)
    tilt = r.sum(1) + s * (w * z).sum(1)
    gain = np.divide(tilt**2, (w * z * z).sum(1), out=np.zeros_like(s), where=free)
    return s, l, s * r.sum(1), gain - s * s * w.sum(1)


def _slope(
    counts: _Counts, k: np.ndarray, n: np.ndarray, z: np.ndarray, s: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The most likely s within its bounds for k of n at a distance z from m, and whether it lies inside them."""
    bounds = np.log([SLOPES[0], SLOPES[1] / np.abs(np.diff(counts.x)).min()])

    def rise(u: np.ndarray, some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        s = np.exp(u)
        r, w = _residual(k[some], n[some], -s[:, None] * z[some])
        return -(z[some] * r).sum(1), -s * (w * z[some] ** 2).sum(1)

    low, high = (np.full(s.size, bound) for bound in bounds)
    u = _root(rise, low, high, np.arange(s.size), np.log(s), tolerance=1e-7)
    return np.exp(u), (u > bounds[0]) & (u < bounds[1])


def _residual(k: np.ndarray, n: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """dl/d eta and minus d2l/d eta2; k - n p is written so that it keeps its sign where p is 0 or 1 to rounding."""
    p, q = expit(eta), expit(-eta)
    return k * q - (n - k) * p, n * p * q


def _root(
    function: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    low: np.ndarray,
    high: np.ndarray,
    active: np.ndarray,
    start: np.ndarray | None = None,
    tolerance: float = 1e-9,
) -> np.ndarray:
    """Where a falling function crosses zero between low and high (N,), or the end beyond which it would.

    Newton's steps inside a bracket; a step that does not halve the one before is replaced by halving the bracket.

    Args:
        function: takes points and which of the N they belong to; gives values and slopes.
        low, high: (N,), the bracket of each.
        active: which of the N to solve; the others stay at low.
        start: (N,), where to begin; the middle of the bracket if none.
    """
    low, high, x = low.copy(), high.copy(), low.copy()
    ends = [function(end[active], active)[0] for end in (low, high)]
    x[active[ends[1] >= 0]] = high[active[ends[1] >= 0]]
    active = active[(ends[0] > 0) & (ends[1] < 0)]
    x[active] = ((low + high) / 2 if start is None else np.clip(start, low, high))[active]
    step = high - low
    while active.size:
        here = x[active]
        value, slope = function(here, active)
        low[active], high[active] = np.where(value > 0, here, low[active]), np.where(value > 0, high[active], here)
        newton = here - np.divide(value, slope, out=np.full_like(value, np.inf), where=slope < 0)
        inside = (newton >= low[active]) & (newton <= high[active]) & (np.abs(newton - here) < step[active] / 2)
        x[active] = np.where(inside, newton, (low[active] + high[active]) / 2)
        step[active] = np.abs(x[active] - here)
        active = active[(step[active] > tolerance) & (value != 0)]
    return x
