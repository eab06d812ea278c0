"""The checks of the rules: how often they err on sweeps that are resampled from the committed records.

A sweep has as many seeds as the records that it is drawn from, so 8 or 16 (14 for N14's stand-in). What the page of
rules asks of 400 sweeps: an arm against itself is supported at most 8 times, and contradicted at most 8 times where the
rule is high < 0; an effect two standard deviations of one seed's number beyond a threshold is found at least 320 times;
of 2,000 intervals 98 % hold the truth. Where that does not hold, MISSED and tests say so in numbers (decisions/0042).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from experiments import claims
from experiments.claims import CLAIMS, Condition, Measured, Quantity
from experiments.harness import statistics
from experiments.harness.statistics import t50_ratio
from impl.draw import generator
from properties.record import read_csv

REPORTS = Path(__file__).parents[1] / "reports"
SWEEPS, SIMULATIONS = 400, 2000
RARELY, MOSTLY, COVERED = 8, 320, 0.98
STEP = 1 / 2000
"""What stands for the standard deviation of records without spread: all are shares, over 2,000 sequences or so."""


class Arm(NamedTuple):
    """Where an arm's numbers stand, one a seed: a regular expression for the setting, and the metric."""

    setting: str
    metric: str


def variant(task: str, metric: str) -> Arm:
    """The full LSTM among those that lack a part."""
    return Arm(rf"{task}/variants/equal=width/.*/arm=lstm_b1", metric)


ITSELF = {
    "N5": tuple(Arm(q.settings[0].replace("=own", "=shuffled"), "N5") for q in CLAIMS["N5"].quantities),
    "N6": (Arm("text/cell=rnn", "loss_test"),),
    "N8": (variant("flip_flop", "cost"),),
    "N9": (variant("latch_distractors", "accuracy"),),
    "N10": (variant("flip_flop", "signs"), variant("latch", "accuracy")),
    "N13": (Arm("adding/gates/start=bf1/T=50/gate=input", "contrast_trained"),),
    "N16": (Arm("latch_mixed/start=bf1", "spread"),),
    "N17": (Arm("untied/task=adding/cell=lstm/T=12/rows=256/weights=tied", "test"),),
    "N18": tuple(Arm(f"truncation/cell={cell}/k=50", "loss_test") for cell in ("rnn", "lstm")),
    "N21": (Arm(r"tuned/latch/layers=4/arm=lstm[^/]*/lr=[^/]*/H=[^/]*", "accuracy"),),
}
"""The arm that stands against itself, one for each setting of a claim's effects, in their order. Metrics by update are
read at the last one. N5's quantities are of one arm against chance: inputs that are shuffled stand for its own."""

FORMS = {"N5": lambda a, b: a, "N8": np.divide, "N16": np.divide}
"""What is formed of two arms by seed, where it is not their difference."""

NO_ARM = {
    "N1": "lambda_1 of one network against a closed form, and its sign",
    "N7": "a share of one arm's answers against two fixed shares",
    "N12": "T50 of many lengths: see the tests below, of tuned cells and of arms whose success falls",
    "N14": "a product of one arm's forget gates against two fixed numbers",
    "N15": "a change of one gradient's norm against fixed decades",
    "N20": "an arm equals itself, which is what the claim says of the arm and its closed form: the edges are checked",
} | dict.fromkeys(("N2", "N3", "N4", "N11", "N19"), "laws alone: breaks are counted, and there is no interval")
"""Why a claim has no arm to set against itself. Those with an interval are checked at the edge of their thresholds."""

STAND_IN = {
    ("N14", ""): Arm("latch/carried/start=torch/delay=10", "needed_product"),
    ("N15", "supported"): Arm("lstm/start=chrono", "N15"),
}
"""Other records of the same kind. N14 has none of its own, since no unit carries the bit alone: the product is taken
among those that carry it together. N15's torch start lies 20 decades away, where a seed's number varies by .7, so that
two deviations from either end would lie near the other: the start that lies within is taken for that side."""

MISSED = {
    ("N5", "supported", "low"): (7 / 8) ** 16,
    ("N5", "supported", "high"): (7 / 8) ** 16,
    ("N5", "contradicted", "high"): (7 / 8) ** 8,
    ("N6", "contradicted", "high"): (7 / 8) ** 8,
    ("N8", "contradicted", "high"): (7 / 8) ** 8,
    ("N13", "supported", "low"): (7 / 8) ** 8,
    ("N14", "supported", "low"): stats.binom.cdf(1, 14, 1 / 14),
    ("N18", "contradicted", "high"): (7 / 8) ** 8,
    ("N21", "supported", "low"): (6 / 8) ** 8,
}
"""Where an effect two deviations beyond is found fewer than 320 times of 400, against the page, and the share that is.

All 8 seeds must lie beyond. Where one of 8 records lies more than two deviations from their median on the other side, a
sweep of 8 draws holds it in 1 - (7/8)^8 = 66 %, and as many effects are missed. N21 has two such records; N5 two in
quantities that must all hold. Of 14 seeds one may lie there, of 16 two, so that no claim of 16 seeds is in this list.
"""


# From records to words


@cache
def records(source: str) -> pd.DataFrame:
    """The committed records of an experiment that the table above names."""
    frame = read_csv(REPORTS / source / "results.csv")
    metrics = {arm.metric for arms in (*ITSELF.values(), STAND_IN.values()) for arm in arms} | {"solved"}
    return frame[frame.metric.isin(metrics) | frame.metric.isin(list(CLAIMS))]


@cache
def numbers(source: str, setting: str, metric: str) -> np.ndarray:
    """One number a seed, at the last index."""
    frame = records(source)
    mine = frame[(frame.metric == metric) & frame.setting.str.fullmatch(setting)]
    last = mine[mine["index"] == mine["index"].max()].sort_values("seed")
    assert len(last) >= claims.FEWEST_SEEDS and not last.seed.duplicated().any()
    return last.value.to_numpy()


def own(quantity: Quantity, side: str = "") -> list[np.ndarray]:
    """The records of a quantity or what stands in for them, one a seed, for each of its settings."""
    arm = STAND_IN.get((quantity.metric, "")) or STAND_IN.get((quantity.metric, side))
    arms = [arm] if arm else [Arm(setting, quantity.metric) for setting in quantity.settings]
    return [numbers(quantity.source, *arm) for arm in arms]


def effects(number: str) -> list[Quantity]:
    """The medians of a claim."""
    return [quantity for quantity in CLAIMS[number].quantities if quantity.kind == "median"]


def measured(quantity: Quantity, arms: list[np.ndarray]) -> Measured:
    """A quantity of one sweep from its settings' numbers by seed, as `claims.measured_median` has it of records."""
    found = np.array([statistics.order_interval(values) for values in arms])
    value, low, high = (found.min if quantity.pick == "smallest" else found.max)(0).tolist()
    return Measured(value, low, high, min(map(len, arms)))


def judged(number: str, sweeps: Mapping[Quantity, list[np.ndarray]]) -> Counter[str]:
    """How often each word falls, the claim's laws unbroken; sweeps (400, seeds) for each setting of each effect."""
    claim = CLAIMS[number]
    fine = {quantity: Measured(0.0) for quantity in claim.quantities if quantity.kind == "breaks"}
    each = (
        fine | {quantity: measured(quantity, [arm[n] for arm in arms]) for quantity, arms in sweeps.items()}
        for n in range(SWEEPS)
    )
    return Counter(claims.judge(claim, one)[0] for one in each)


def drawn(rng: np.random.Generator, values: np.ndarray, size: int = SWEEPS) -> np.ndarray:
    """Sweeps of as many seeds as there are, drawn with replacement."""
    return rng.choice(values, (size, len(values)))


def moved(rng: np.random.Generator, values: np.ndarray, to: float, deviations: float = 0.0) -> np.ndarray:
    """Sweeps of the same spread whose true median is `to`, or so many standard deviations of a number beyond."""
    return to + deviations * deviation(values) + drawn(rng, values - np.median(values))


def deviation(values: np.ndarray) -> float:
    """The standard deviation of one seed's number."""
    return values.std(ddof=1) or STEP


def smooth(rng: np.random.Generator, values: np.ndarray, size: int = SWEEPS) -> tuple[np.ndarray, float]:
    """Sweeps from the records' density, normal around each, so that there are no ties; and its true median."""
    width = deviation(values) * len(values) ** -0.2
    sweeps = drawn(rng, values, size) + rng.normal(0, width, (size, len(values)))
    ends = values.min() - 9 * width, values.max() + 9 * width
    return sweeps, optimize.brentq(lambda m: stats.norm.cdf((m - values) / width).mean() - 0.5, *ends)


SIDES = ("supported", "contradicted")
EFFECTS = [number for number in CLAIMS if effects(number)]


def find_thresholds() -> Iterator[tuple[str, str, Condition]]:
    """Claim, side and condition of every threshold that an effect can lie beyond."""
    for number in EFFECTS:
        for side in SIDES:
            for condition in getattr(CLAIMS[number], side):
                if condition.group != "law" and condition.op in "<>":
                    yield number, side, condition


THRESHOLDS = list(find_thresholds())


def name(value: object) -> str:
    """Of a test's parameter."""
    return f"{value.group} {value.end} {value.op} {value.threshold:g}" if isinstance(value, Condition) else str(value)


def sign(condition: Condition) -> int:
    """Which side of a threshold is beyond."""
    return 1 if condition.op == ">" else -1


def safe(number: str, group: str) -> float:
    """A value that meets all that "supported" asks of a group: in a band its middle, else one beyond."""
    mine = [condition for condition in CLAIMS[number].supported if condition.group == group]
    if len(mine) == 2:
        return (mine[0].threshold + mine[1].threshold) / 2
    return mine[0].threshold + sign(mine[0])


def constant(number: str, quantity: Quantity) -> list[np.ndarray]:
    """Sweeps that surely meet what is asked."""
    return [np.full((SWEEPS, len(values)), safe(number, quantity.group)) for values in own(quantity)]


# The table


def test_every_claim_has_an_arm_or_a_reason():
    """Each of the 21 stands in one of the two tables, with one arm for each setting of its effects."""
    assert sorted([*ITSELF, *NO_ARM]) == sorted(CLAIMS)
    for number, arms in ITSELF.items():
        assert len(arms) == sum(len(quantity.settings) for quantity in effects(number))
        assert all(len(numbers(effects(number)[0].source, *arm)) >= claims.FEWEST_SEEDS for arm in arms)


@pytest.mark.parametrize("number", [number for number in EFFECTS if number != "N14"])
def test_the_numbers_by_seed_are_those_of_the_ledger(number):
    """Median, interval, seeds and the setting that is picked, as `claims.measure` has them of the same records."""
    for quantity in effects(number):
        rows = claims.records_of(quantity, records(quantity.source))
        assert measured(quantity, own(quantity)) == claims.measure(quantity, rows)


# An arm against itself


def against_itself(number: str) -> dict[Quantity, list[np.ndarray]]:
    """Sweeps of a claim's effects between two samples of one arm's own numbers, paired by seed."""
    rng, form = generator("an arm against itself", number), FORMS.get(number, np.subtract)
    arms = iter(ITSELF[number])
    return {
        quantity: [
            form(*(drawn(rng, numbers(quantity.source, *arm)) for _ in "ab"))
            for _, arm in zip(quantity.settings, arms, strict=False)
        ]
        for quantity in effects(number)
    }


@pytest.mark.parametrize("number", ITSELF)
def test_an_arm_against_itself_is_rarely_supported(number):
    """At most 8 times of 400; contradicted as rarely where the rule is high < 0."""
    words = judged(number, against_itself(number))
    assert words["supported"] <= RARELY
    if CLAIMS[number].contradicted[-1].threshold == 0 and CLAIMS[number].contradicted[-1].op == "<":
        assert words["contradicted"] <= RARELY


@pytest.mark.parametrize("seeds", [8, 16])
@pytest.mark.parametrize("number", ["N6", "N9", "N10", "N13", "N17", "N21"])
def test_two_arms_of_two_modes_are_rarely_told_apart(number, seeds):
    """Nor are arms of one skewed kind with a second mode, as trained models are, at either number of seeds."""
    rng, (quantity,) = generator("two modes", seeds), effects(number)
    good = rng.random((2, SWEEPS, seeds)) < 0.7
    a, b = np.where(good, 1 - rng.exponential(0.02, good.shape), 0.6 + rng.normal(0, 0.05, good.shape))
    words = judged(number, {quantity: [a - b] * len(quantity.settings)})
    assert words["supported"] <= RARELY
    assert words["contradicted"] <= RARELY or CLAIMS[number].contradicted[-1].threshold > 0


@pytest.mark.parametrize(("number", "side", "condition"), THRESHOLDS, ids=name)
def test_an_effect_on_the_threshold_is_rarely_found(number, side, condition):
    """At most 8 times of 400 where the true median is the threshold itself and all else that is asked for holds.

    Of several quantities one stands there, each in its share of the sweeps: where a rule errs most if all must hold.
    Where one is enough (N1, N5 and N18 contradicted) it errs most with all of them there: the next test. Sweeps are of
    the records' density, since a tie lies on neither side, and shares such as N9's and N10's have many.
    """
    rng = generator("on the threshold", number, side, name(condition))
    sweeps = {quantity: constant(number, quantity) for quantity in effects(number)}
    mine = [quantity for quantity in effects(number) if quantity.group == condition.group]
    for n, quantity in enumerate(mine):
        for arm, values in zip(sweeps[quantity], own(quantity, side), strict=True):
            found, median = smooth(rng, values)
            arm[n :: len(mine)] = (condition.threshold + found - median)[n :: len(mine)]
    assert judged(number, sweeps)[side] <= RARELY


ANY = [one for one in THRESHOLDS if one[2].at_least == 1]


@pytest.mark.parametrize(("number", "side", "condition"), ANY, ids=name)
def test_all_effects_on_the_threshold_are_found_in_their_closed_share(number, side, condition):
    """Where one of Q is enough and all stand there: in 1 - (1 - p)^Q of sweeps, to within four standard deviations.

    p is the share of sweeps whose interval lies beyond the median on that side, 2^-8 with 8 seeds, so that 8 of N5 are
    found in 3.1 %, which is 12 of 400 where the page asks for at most 8.
    """
    rng = generator("all on the threshold", number, side, name(condition))
    sweeps, missed = {quantity: constant(number, quantity) for quantity in effects(number)}, 1.0
    for quantity in (q for q in effects(number) if q.group == condition.group):
        (values,) = own(quantity, side)
        found, median = smooth(rng, values, SWEEPS)
        sweeps[quantity] = [condition.threshold + found - median]
        missed *= 1 - stats.binom.cdf(statistics.rank(len(values)) - 1, len(values), 0.5)
    share = 1 - missed
    words = judged(number, sweeps)
    assert abs(words[side] - SWEEPS * share) <= 4 * math.sqrt(SWEEPS * share)
    assert number != "N5" or (SWEEPS * share > RARELY and math.isclose(share, 1 - (1 - 2**-8) ** 8))


@pytest.mark.parametrize("seeds", [8, 16])
@pytest.mark.parametrize("threshold", [0.1, 0.02])
def test_the_larger_of_two_effects_is_rarely_found_on_the_threshold(seeds, threshold):
    """N10 picks after looking, which doubles the share of .4 % at 8 seeds: two effects as wide as N9's, both there."""
    rng, (quantity,) = generator("the larger of two", seeds, threshold), effects("N10")
    pool = numbers("memory", *ITSELF["N9"][0])
    shape = (2, SWEEPS, seeds)
    noise = rng.choice(np.subtract.outer(pool, pool).ravel(), shape) + rng.normal(0, 0.01, shape)  # without ties
    words = judged("N10", {quantity: list(threshold + noise)})
    assert words["supported" if threshold == 0.1 else "contradicted"] <= RARELY


@pytest.mark.parametrize("seeds", [8, 16])
def test_the_larger_of_two_effects_is_rarely_missed_where_half_of_the_seeds_show_it(seeds):
    """The larger median is .45, of an effect that 55 % of the seeds have; that of the other arm is 0."""
    rng, (quantity,) = generator("a larger effect of two modes", seeds), effects("N10")
    without, larger = np.zeros((SWEEPS, seeds)), np.where(rng.random((SWEEPS, seeds)) < 0.55, 0.45, -0.02)
    assert (np.median(larger, 1) < 0).mean() > 0.2  # the other arm's is picked
    assert judged("N10", {quantity: [without, larger]})["contradicted"] <= RARELY


# Planted effects


def beyond(rng: np.random.Generator, quantity: Quantity, side: str, condition: Condition) -> list[np.ndarray]:
    """Sweeps of a quantity whose true median lies two standard deviations of one seed's number beyond a threshold.

    Of a ratio it is the logarithm that is moved.
    """
    there, two, arms = condition.threshold, 2 * sign(condition), own(quantity, side)
    if FORMS.get(quantity.metric) is np.divide:
        return [np.exp(moved(rng, np.log(values), math.log(there), two)) for values in arms]
    return [moved(rng, values, there, two) for values in arms]


def planted(number: str, side: str, condition: Condition) -> Iterator[dict[Quantity, list[np.ndarray]]]:
    """Sweeps with the effect: in every quantity where all must hold, in one at a time where one is enough."""
    rng, all_ = generator("planted", number, side, name(condition)), effects(number)
    if condition.at_least:
        for quantity in (q for q in all_ if q.group == condition.group):
            rest = {q: constant(number, q) for q in all_}
            yield rest | {quantity: beyond(rng, quantity, side, condition)}
        return
    asked = {c.group: c for c in CLAIMS[number].supported if c.op in "<>"} | {condition.group: condition}
    yield {
        q: beyond(rng, q, side, asked[q.group])
        if q.group in asked
        else [moved(rng, values, safe(number, q.group)) for values in own(q)]
        for q in all_
    }


@pytest.mark.parametrize(("number", "side", "condition"), THRESHOLDS, ids=name)
def test_a_planted_effect_is_found(number, side, condition):
    """At least 320 times of 400, but for MISSED, where its share is, to within four standard deviations.

    Of several quantities the least counts where one is enough, as for "contradicted".
    """
    found = min(judged(number, sweeps)[side] for sweeps in planted(number, side, condition))
    share = MISSED.get((number, side, condition.end))
    assert found >= MOSTLY if share is None else abs(found - SWEEPS * share) <= 4 * math.sqrt(SWEEPS * share)


SINGLE = tuple(number for number in EFFECTS if len(effects(number)) == 1)


@pytest.mark.parametrize("seeds", [8, 16])
@pytest.mark.parametrize("number", SINGLE)
def test_an_effect_two_deviations_beyond_is_found_in_normal_noise(number, seeds):
    """At least 320 times of 400, to either side of a rule.

    All of 8 normal numbers lie beyond the threshold in Phi(2)^8 = 83 % of sweeps, which is 333 of 400.
    """
    (quantity,) = effects(number)
    noise = generator("normal noise", seeds).normal(0, 0.05, (SWEEPS, seeds))  # the far side of a band stays far
    for _, side, condition in (one for one in THRESHOLDS if one[0] == number):
        there = condition.threshold + sign(condition) * 2 * 0.05 + noise
        assert judged(number, {quantity: [there] * len(quantity.settings)})[side] >= MOSTLY


@pytest.mark.parametrize(("number", "deviations"), [("N5", 3.0), ("N18", 2.25), ("N20", 2.75)])
def test_an_effect_in_several_medians_must_lie_further(number, deviations):
    """All must hold at once: of Q medians of 8 normal numbers Phi(2)^(8 Q) are found, 69 % for N18's 2, 33 % for N20's
    6, 5 % for N5's 16, where the page asks for 80 %; at so many deviations beyond it is found at least 320 times."""
    rng, conditions = generator("several medians", number), {c.group: c for c in CLAIMS[number].supported}
    there = {
        q: [conditions[q.group].threshold + sign(conditions[q.group]) * 0.002 * rng.normal(deviations, 1, (SWEEPS, 8))]
        * len(q.settings)
        for q in effects(number)
    }
    assert judged(number, there)["supported"] >= MOSTLY
    closed = stats.norm.cdf([2, deviations]) ** (8 * len(effects(number)))
    assert closed[0] < MOSTLY / SWEEPS < closed[1]


@pytest.mark.parametrize(("number", "share"), [("N9", stats.binom.sf(13, 16, 8 / 16)), ("N21", (6 / 8) ** 8)])
def test_an_arm_that_often_learns_nothing_cannot_support_its_claim(number, share):
    """Against an arm that is always at chance, the LSTM of the records supports N9 in .2 % of sweeps, N21 in 10 %.

    It solves N9's task in 8 of 16 seeds and N21's in 6 of 8 itself, and the rule asks for 14 of 16 and for 8 of 8. What
    is planted above says little of these two: two deviations beyond are more than the .5 that accuracies can differ by.
    """
    (quantity,), rng = effects(number), generator("against chance", number)
    sweeps = drawn(rng, numbers("memory", *ITSELF[number][0])) - 0.5
    found = judged(number, {quantity: [sweeps]})["supported"]
    assert abs(found - SWEEPS * share) <= 4 * math.sqrt(SWEEPS * share)


# Coverage


@pytest.mark.parametrize("number", EFFECTS)
def test_the_median_is_covered(number):
    """In 98 % of 2,000 sweeps, drawn from the records themselves and from their density."""
    rng = generator("coverage", number)
    for values in (values for quantity in effects(number) for values in own(quantity)):
        assert covered(drawn(rng, values, SIMULATIONS), np.median(values)) >= COVERED
        assert covered(*smooth(rng, values, SIMULATIONS)) >= COVERED


def covered(sweeps: np.ndarray, truth: float) -> float:
    """The share of sweeps whose interval holds the truth."""
    low, high = np.array([statistics.order_interval(values)[1:] for values in sweeps]).T
    return np.mean((low <= truth) & (truth <= high))


# T50


FALLS = ("default/latch/arm=lstm", "tuned/adding/arm=rnn", "tuned/latch/arm=lstm")
"""Arms of N12 whose success falls from most seeds to few within the lengths run, in the place of the three tasks."""


def ratios(arms: tuple[str, ...], truth: float, size: int = SWEEPS) -> list[np.ndarray]:
    """Ratio, low, high of so many sweeps (3, size) for each arm over itself, its lengths stretched by the true ratio.

    Each length has its 16 seeds drawn with replacement. Equal counts are fitted once.
    """
    rng, frame, found = generator("N12", *arms, size), records("memory"), []
    for arm in arms:
        mine = frame[frame.setting.str.match(arm) & (frame.metric == "solved")]
        share = mine.groupby("index").value.mean()
        pairs = rng.binomial(16, np.tile(share, 2), (size, 2 * len(share)))
        unique, back = np.unique(pairs, axis=0, return_inverse=True)
        a, b = np.split(unique, 2, axis=1)
        ends = t50_ratio(truth * share.index, a, 16, share.index, b, 16)
        found.append(np.array(ends)[:, back])
    return found


def words_of_n12(arms: tuple[str, ...], truth: float) -> Counter[str]:
    """How often each word falls in 400 sweeps."""
    claim, each = CLAIMS["N12"], ratios(arms, truth)
    sweeps = (
        {q: Measured(*ratio[:, n].tolist(), 16) for q, ratio in zip(claim.quantities, each, strict=True)}
        for n in range(SWEEPS)
    )
    return Counter(claims.judge(claim, one)[0] for one in sweeps)


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_a_tuned_cell_against_itself_does_not_support_n12(cell):
    """At most 8 times of 400; of most tasks the records hold no fall, so that their ratio has no ends."""
    arms = tuple(f"tuned/{task}/arm={cell}" for task in claims.TASKS)
    assert words_of_n12(arms, 1.0)["supported"] <= RARELY


def test_a_true_ratio_of_three_is_supported_and_of_one_contradicted():
    """In 95 % of 400 sweeps of arms that fall; at one they stand against themselves, and are supported at most 8 times.

    Two standard deviations of one seed's T50 (of ln length: pi / sqrt 3 over the slope) beyond are no measure here: at
    the steep arm they are 3 %, where two lengths lie 41 % apart, and such effects are found in 6 and 8 % of sweeps.
    """
    assert words_of_n12(FALLS, 3.0)["supported"] >= 0.95 * SWEEPS
    equal = words_of_n12(FALLS, 1.0)
    assert equal["contradicted"] >= 0.95 * SWEEPS and equal["supported"] <= RARELY


def test_the_ratio_is_covered():
    """In 98 % of 2,000 sweeps of an arm against itself; the third arm's ratio has no ends in most."""
    for _, low, high in ratios(FALLS[:2], 1.0, SIMULATIONS):
        assert np.mean((low <= 1) & (high >= 1)) >= COVERED


# The checks themselves


def test_an_interval_that_is_too_narrow_or_too_wide_is_noticed(monkeypatch):
    """7th to 10th of 16 support an arm against itself and cover too little; 1st to 16th miss what is planted."""
    values = own(*effects("N17"))[0]
    monkeypatch.setattr(statistics, "rank", lambda n, level=0.99: n // 2 - 1)
    assert judged("N17", against_itself("N17"))["supported"] > RARELY
    assert covered(*smooth(generator("too narrow"), values, SIMULATIONS)) < COVERED
    monkeypatch.setattr(statistics, "rank", lambda n, level=0.99: 1)
    (condition,) = (c for _, _, c in THRESHOLDS if c is CLAIMS["N7"].supported[0])
    (sweeps,) = planted("N7", "supported", condition)
    assert judged("N7", sweeps)["supported"] < MOSTLY
