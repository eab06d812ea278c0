"""The rules: that they are those of the page, and that verdicts follow from records."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments import claims
from experiments.claims import CLAIMS, LEDGER, TWINS, Claim, Condition, Quantity
from experiments.harness.statistics import order_interval
from properties.record import COLUMNS, Record

REPORTS = Path(__file__).parent.parent / "reports"
LENGTHS = (5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160)

PAGE = {
    "N1": (
        "no break in 10,000 cases of each law on each twin and lambda_1 - mean field: low <= 0 for all 3 and "
        "lambda_1 - mean field: high >= 0 for all 3 and lambda_1(.8): high < 0 and lambda_1(1.5): low > 0",
        "lambda_1 - mean field: low > 0.02 for at least 1 of 3 or "
        "lambda_1 - mean field: high < -0.02 for at least 1 of 3",
    ),
    "N5": (
        "success - chance: low > 0.3 for all 8 and shuffled - chance: high < 0.1 for all 8",
        "success - chance: high < 0.1 for at least 1 of 8",
    ),
    "N6": ("low > 0", "high < 0"),
    "N7": ("low > 0.9", "high < 0.5"),
    "N8": ("no break in 10,000 cases of each law on each twin and low > 1.25", "high < 1.05"),
    "N9": ("no break in 10,000 cases of each law on each twin and low > 0.1", "high < 0.02"),
    "N10": ("no break in 10,000 cases of each law on each twin and low > 0.1", "high < 0.02"),
    "N12": ("low > 2 for at least 2 of 3 and high >= 1 for all 3", "high < 1.5 for at least 2 of 3"),
    "N13": ("low > 0.1", "high < 0.02"),
    "N14": ("low > 0.5", "high < 0.1"),
    "N15": ("low > -1 and high < 1", "high < -3 or low > 3"),
    "N16": ("low > 3", "high < 1.25"),
    "N17": ("no break in 10,000 cases of each law on each twin and low > 0", "high < 0"),
    "N18": (
        "no break in 10,000 cases of each law on each twin and low > 0 for all 2",
        "a break or high < 0 for at least 1 of 2",
    ),
    "N20": (
        "no break in 10,000 cases of each law on each twin and low > -0.005 for all 6 and high < 0.05 for all 6",
        "a break",
    ),
    "N21": ("low > 0.3", "high < 0.05"),
} | dict.fromkeys(("N2", "N3", "N4", "N11", "N19"), ("no break in 10,000 cases of each law on each twin", "a break"))
"""The page of rules, typed a second time: supported, contradicted."""

LAWS = {
    "N1": {"spectrum"},
    "N2": {"split", "causality"},
    "N3": {"value"},
    "N4": {"emission"},
    "N8": {"gates"},
    "N9": {"gates"},
    "N10": {"gates"},
    "N11": {"stacked"},
    "N17": {"untied_sum"},
    "N18": {"vjp"},
    "N19": {"chain_rule"},
    "N20": {"chain_rule"},
}


def frame(*groups):
    """Records as a frame, each stamped as the harness does it."""
    records = [r._replace(rule=claims.rules_for(r.source, r.metric, r.setting)) for group in groups for r in group]
    return pd.DataFrame(records, columns=COLUMNS)


def medians(number, values, which=0, source=None):
    """Records of one of a claim's medians, one value a seed."""
    quantity = [q for q in CLAIMS[number].quantities if q.kind == "median"][which]
    return [
        Record(source or quantity.source, quantity.settings[0], seed, quantity.metric, 0, float(value))
        for seed, value in enumerate(values)
    ]


def laws(number, breaks=0, cases=claims.CASES):
    """Records of all of a claim's laws on both twins; the breaks are the first one's."""
    settings = [q.settings[0].replace("*", "dtype=float32") for q in CLAIMS[number].quantities if q.kind == "breaks"]
    broken = [breaks] + [0] * (len(settings) - 1)
    for setting, count in zip(settings, broken, strict=True):
        yield Record("laws", setting, 0, "cases", 0, float(cases))
        yield Record("laws", setting, 0, "breaks", 0, float(count))


def ladder(task, lstm, rnn, seeds=16, start="tuned"):
    """Records of a task's runs: arms that solve every length up to one, and none above, in all seeds."""
    for arm, longest in (("lstm_b1", lstm), ("rnn_uniform", rnn)):
        for length in LENGTHS:
            setting = f"{start}/{task}/arm={arm}/delay={length}"
            yield from (Record("memory", setting, s, "solved", length, float(length <= longest)) for s in range(seeds))


def word(number, *groups):
    """The verdict's word on these records."""
    return claims.verdict(CLAIMS[number], frame(*groups)).word


# The rules as data


def test_the_ledger_holds_the_21_rules_of_the_page():
    """Thresholds, ends, directions and counts are those of the page, read from the data and not from a text."""
    assert list(CLAIMS) == [f"N{i}" for i in range(1, 22)] and set(PAGE) == set(CLAIMS)
    for number, (supported, contradicted) in PAGE.items():
        assert CLAIMS[number].rule == f"supported: {supported}; contradicted: {contradicted}"


def test_each_claim_asks_the_laws_of_the_page_on_both_twins():
    """Law claims name their laws, for either twin."""
    for number, claim in CLAIMS.items():
        settings = [q.settings[0].split("/")[:2] for q in claim.quantities if q.kind == "breaks"]
        assert {(law, twin) for law, twin in settings} == {
            (law, f"subject={twin}") for law in LAWS.get(number, ()) for twin in TWINS
        }


def test_value_is_asked_for_the_rnn_and_the_read_out_with_and_without_biases():
    """N3 has eight quantities: two parts, two biases, two twins."""
    settings = {q.settings[0] for q in CLAIMS["N3"].quantities}
    assert len(settings) == 8
    assert "value/subject=numpy_twin/cell=head/bias=without/*" in settings


def test_seeds_and_experiments_are_named():
    """Eight seeds at least, sixteen for N12, none for laws; every claim names the experiments that decide it."""
    seeds = {number: claim.seeds for number, claim in CLAIMS.items()}
    assert {n for n, s in seeds.items() if s is None} == {"N2", "N3", "N4", "N11", "N19"}
    assert seeds["N12"] == 16 and all(s == 8 for n, s in seeds.items() if s is not None and n != "N12")
    known = {"gradient_flow", "memory", "modes", "language_model", "speed", "instrument"}
    for claim in CLAIMS.values():
        assert set(claim.decided_by) == {q.experiment for q in claim.quantities} <= known


def test_every_condition_looks_at_quantities_that_exist():
    """A group without quantities would hold for ever."""
    for claim in CLAIMS.values():
        groups = {q.group for q in claim.quantities}
        assert {c.group for c in claim.supported} == groups
        assert {c.group for c in claim.contradicted} <= groups


def changed(claim: Claim):
    """The claim with one thing of its rule changed, once for each thing."""
    for i, condition in enumerate(claim.supported):
        for other in (
            replace(condition, threshold=condition.threshold + 0.1),
            replace(condition, end="low" if condition.end == "high" else "high"),
            replace(condition, at_least=7),
        ):
            yield replace(claim, supported=(*claim.supported[:i], other, *claim.supported[i + 1 :]))
    for i, condition in enumerate(claim.contradicted):
        other = replace(condition, threshold=condition.threshold + 0.1)
        yield replace(claim, contradicted=(*claim.contradicted[:i], other, *claim.contradicted[i + 1 :]))
    first = claim.quantities[0]
    for other in (replace(first, least=9), replace(first, settings=("elsewhere",)), replace(first, metric="other")):
        yield replace(claim, quantities=(other, *claim.quantities[1:]))
    yield replace(claim, statistic=claim.statistic + " (changed)")


@pytest.mark.parametrize("number", CLAIMS)
def test_a_changed_rule_has_another_hash(number):
    """Each threshold, end, count, setting and the statistic are in it; the claim's wording is not."""
    claim = CLAIMS[number]
    hashes = [claim.hash, *(other.hash for other in changed(claim))]
    assert len(set(hashes)) == len(hashes)
    assert replace(claim, statement="in other words").hash == claim.hash


def test_hashes_are_sixteen_digits_and_all_differ():
    """Also the canonical text is JSON that says the same when it is read and written again."""
    assert len({claim.hash for claim in CLAIMS.values()}) == 21
    for claim in CLAIMS.values():
        assert len(claim.hash) == 16 and int(claim.hash, 16) >= 0
        assert json.dumps(json.loads(claim.canonical), sort_keys=True, separators=(",", ":")) == claim.canonical


def test_the_stamp_names_the_claims_that_read_a_record_and_no_others():
    """A law that two claims read has both hashes; a record of no claim has none."""
    both = claims.rules_for("laws", "breaks", "chain_rule/subject=numpy_twin/cell=rnn")
    assert both == f"{CLAIMS['N19'].hash}+{CLAIMS['N20'].hash}"
    assert claims.rules_for("gradient_flow", "N15", "lstm/start=torch") == CLAIMS["N15"].hash
    for source, metric, setting in [
        ("gradient_flow", "N15", "lstm/start=torch/H=128"),
        ("gradient_flow", "N15", "lstm/start=chrono"),
        ("gradient_flow", "log10_norm", "lstm/start=torch"),
        ("memory", "N15", "lstm/start=torch"),
        ("memory", "solved", "latch/arm=lstm_b1/delay=20"),
        ("laws", "breaks", "split/subject=torch_nn/cell=rnn"),
    ]:
        assert claims.rules_for(source, metric, setting) == ""


def test_tuned_and_default_runs_are_both_stamped():
    """What stands beside the verdict is read under the same rule."""
    for start in ("tuned", "default"):
        stamp = claims.rules_for("memory", "solved", f"{start}/adding/arm=rnn_uniform/delay=100")
        assert stamp == CLAIMS["N12"].hash


# Verdicts


@pytest.mark.parametrize("number", [n for n, c in CLAIMS.items() if [q.kind for q in c.quantities] == ["median"]])
def test_a_claim_on_one_median_follows_its_interval(number):
    """Well inside the supported region, well inside the contradicted one, across the threshold, and not measured."""
    claim = CLAIMS[number]
    offsets = np.linspace(-0.004, 0.004, 16)
    up, down = claim.supported[0].threshold, claim.contradicted[0].threshold
    assert word(number, medians(number, up + 0.01 + offsets)) == "supported"
    assert word(number, medians(number, down - 0.01 + offsets)) == "contradicted"
    assert word(number, medians(number, up + offsets)) == "open"
    assert word(number) == "open"


def test_a_verdict_has_the_median_its_interval_and_the_seeds():
    """Effect, low and high are those of the order statistics; the statement and the rule come along."""
    values = np.random.default_rng(0).normal(-20, 1, 16)
    found = claims.verdict(CLAIMS["N15"], frame(medians("N15", values)))
    assert (found.effect, found.low, found.high) == order_interval(values)
    assert (found.seeds, found.word, found.note, found.decided_by) == (16, "contradicted", "", "gradient_flow")
    assert (found.number, found.statement, found.rule) == ("N15", CLAIMS["N15"].statement, CLAIMS["N15"].rule)


def test_n17_says_where_it_was_measured_and_what_the_effect_says_elsewhere():
    """Its own setting is not counted again; what is elsewhere decides nothing; without it nothing is said."""
    own = CLAIMS["N17"].elsewhere.own
    beside = {own: 1.0, "untied/task=a": 1.0, "untied/task=b": 2.0, "untied/task=c": -1.0, "untied/task=d": 0.0}
    rows = frame(medians("N17", [1.0] * 16), laws("N17"))
    more = [rows[rows.setting == "untied"].assign(setting=name, value=value) for name, value in beside.items()]
    note = f"measured at {own}; by the effect alone at 4 others: 2 supported, 1 contradicted, 1 open"
    for some, said in (([], ""), (more, note)):
        found = claims.verdict(CLAIMS["N17"], pd.concat([rows, *some]))
        assert (found.word, found.note) == ("supported", said)


@pytest.mark.parametrize(
    ("values", "expected"),
    [(0.0, "supported"), (-2.0, "open"), (2.0, "open"), (-4.0, "contradicted"), (4.0, "contradicted")],
)
def test_n15_is_two_sided(values, expected):
    """Between -1 and 1 supported, beyond 3 to either side contradicted, open between."""
    assert word("N15", medians("N15", values + np.linspace(-0.4, 0.4, 16))) == expected


@pytest.mark.parametrize("number", ["N6", "N15"])
@pytest.mark.parametrize("seeds", [1, 7])
def test_fewer_than_eight_seeds_are_open(number, seeds):
    """However clear they are; eight of the same are not."""
    found = claims.verdict(CLAIMS[number], frame(medians(number, [-20.0] * seeds)))
    assert (found.word, found.seeds, found.effect) == ("open", seeds, -20.0)
    assert f"{seeds} seeds, the rule asks for 8" in found.note
    assert word(number, medians(number, [-20.0] * 8)) == "contradicted"


@pytest.mark.parametrize("stamp", ["", "0123456789abcdef", "0123456789abcdef+fedcba9876543210"])
def test_a_record_of_another_rule_opens_the_claim(stamp):
    """One stale record is enough, and the note says so."""
    rows = frame(medians("N15", [0.0] * 16))
    rows.loc[3, "rule"] = stamp
    found = claims.verdict(CLAIMS["N15"], rows)
    assert (found.word, found.note) == ("open", "rule changed after measurement")


def test_a_rule_changed_later_opens_the_claim_until_it_is_measured_again():
    """The same records, judged by a rule with another threshold."""
    rows = frame(medians("N6", [1.0] * 8))
    later = replace(CLAIMS["N6"], supported=(Condition("effect", "low", ">", 0.1),))
    assert claims.verdict(CLAIMS["N6"], rows).word == "supported"
    found = claims.verdict(later, rows)
    assert (found.word, found.note) == ("open", "rule changed after measurement")
    assert found.needs.endswith("`python -m experiments run language_model`")


def test_what_is_not_measured_is_open_and_says_so():
    """Every claim, on an empty frame and on one that holds the records of another experiment."""
    for rows in (frame(), frame([Record("harness.toy", "sum/terms=1", 0, "sum", 1, 0.5)])):
        for claim in CLAIMS.values():
            found = claims.verdict(claim, rows)
            assert (found.word, found.note, found.effect, found.seeds) == ("open", "not measured", None, None)


def test_a_seed_that_is_not_a_number_opens_the_claim():
    """A diverged run is not left out."""
    found = claims.verdict(CLAIMS["N15"], frame(medians("N15", [0.0] * 15 + [math.nan])))
    assert found.word == "open" and "1 of 16 records are not a number" in found.note


def test_two_numbers_of_one_seed_are_refused():
    """They would count one seed twice."""
    with pytest.raises(ValueError, match="`frame` must have one N15 a seed at lstm/start=torch"):
        claims.verdict(CLAIMS["N15"], frame(medians("N15", [0.0] * 8), medians("N15", [0.0])))


@pytest.mark.parametrize("number", ["N2", "N3", "N4", "N11", "N19"])
def test_a_law_claim_needs_ten_thousand_cases_of_each_law_without_a_break(number):
    """One break contradicts, also in few cases; few cases without one are open; half of the laws are open."""
    assert word(number, laws(number)) == "supported"
    assert word(number, laws(number, breaks=1)) == "contradicted"
    assert word(number, laws(number, breaks=1, cases=10)) == "contradicted"
    assert word(number, laws(number, cases=claims.CASES - 1)) == "open"
    assert word(number, list(laws(number))[:-2]) == "open"


def test_cases_of_a_law_add_up_over_cells_and_dtypes():
    """Ten thousand are counted over all settings of the law on a twin."""
    parts = [
        Record("laws", f"emission/subject={twin}/cell={cell}", 0, metric, 0, value)
        for twin in TWINS
        for cell in ("rnn", "lstm")
        for metric, value in (("cases", 5000.0), ("breaks", 0.0))
    ]
    assert word("N4", parts) == "supported" and word("N4", parts[:-2]) == "open"


@pytest.mark.parametrize("number", ["N8", "N9", "N10", "N17", "N18"])
def test_a_law_and_an_effect_must_both_hold(number):
    """Supported asks for both; a break bars it, and contradicts where the page says so (N18)."""
    claim = CLAIMS[number]
    threshold = next(c.threshold for c in claim.supported if c.group == "effect")
    effects = lambda value: effect_everywhere(number, [value] * 8)  # noqa: E731
    assert word(number, laws(number), effects(threshold + 0.01)) == "supported"
    assert word(number, laws(number), effects(threshold)) == "open"
    assert word(number, effects(threshold + 0.01)) == "open"
    broken = word(number, laws(number, breaks=1), effects(threshold + 0.01))
    assert broken == ("contradicted" if number == "N18" else "open")
    assert word(number, laws(number), effects(-1.0)) == "contradicted"


def effect_everywhere(number, values):
    """The same values at every setting of a claim's effects."""
    for quantity in (q for q in CLAIMS[number].quantities if q.kind == "median"):
        for setting in quantity.settings:
            yield from (Record(quantity.source, setting, s, quantity.metric, 0, v) for s, v in enumerate(values))


def test_n10_takes_the_larger_of_two_effects():
    """Flip-flop alone is open; with both the larger median decides."""
    flip_flop, latch = ("flip_flop/without=output", "latch/without=output")
    at = lambda setting, v: [Record("memory", setting, s, "N10", 0, v) for s in range(8)]  # noqa: E731
    assert word("N10", laws("N10"), at(flip_flop, 0.5)) == "open"
    assert word("N10", laws("N10"), at(flip_flop, 0.0), at(latch, 0.5)) == "supported"
    assert word("N10", laws("N10"), at(flip_flop, 0.0), at(latch, 0.01)) == "contradicted"
    assert claims.verdict(CLAIMS["N10"], frame(laws("N10"), at(flip_flop, 0.0), at(latch, 0.5))).effect == 0.5


def test_n18_asks_both_cells():
    """One cell alone is open, both must be above 0, either below contradicts; a user's own text never counts."""
    own = lambda cell, v, before="": [  # noqa: E731
        Record("language_model", f"{before}truncation/cell={cell}", s, "N18", 0, v) for s in range(8)
    ]
    assert word("N18", laws("N18"), own("rnn", 0.1)) == "open"
    assert word("N18", laws("N18"), own("rnn", 0.1), own("lstm", 0.2)) == "supported"
    for less, more in (("rnn", "lstm"), ("lstm", "rnn")):
        assert word("N18", laws("N18"), own(less, 0.0), own(more, 0.2)) == "open"
        assert word("N18", laws("N18"), own(less, -0.1), own(more, 0.2)) == "contradicted"
        assert claims.verdict(CLAIMS["N18"], frame(laws("N18"), own(less, 0.1), own(more, 0.2))).effect == 0.1
    texts = [own(cell, 0.1, "corpus=x/") for cell in ("rnn", "lstm")]
    assert word("N18", laws("N18"), own("rnn", 0.1), *texts) == "open"
    assert not any(claims.rules_for(r.source, r.metric, r.setting) for some in texts for r in some)


def n1(off=(0.0, 0.0, 0.0), below=-0.2, above=0.1):
    """N1's medians, each with a spread of .005 to either side."""
    spread = np.linspace(-0.005, 0.005, 16)
    for which, value in enumerate((*off, below, above)):
        yield from medians("N1", value + spread, which)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({}, "supported"),
        ({"off": (0.0, 0.01, 0.0)}, "open"),
        ({"off": (0.0, 0.0, 0.03)}, "contradicted"),
        ({"off": (-0.03, 0.0, 0.0)}, "contradicted"),
        ({"below": 0.1}, "open"),
        ({"above": -0.1}, "open"),
    ],
)
def test_n1_asks_for_the_mean_field_at_each_gain_and_for_both_signs(shown, expected):
    """Inside each interval; outside by more than .02 contradicts; lambda_1 changes its sign between gain .8 and 1.5."""
    assert word("N1", laws("N1"), n1(**shown)) == expected


def n5(own=(0.5,) * 4, shuffled=(0.0,) * 4, better=0.1):
    """N5's medians without spread: in each mode the RNN's as given, the LSTM's better, or nearer to chance."""
    values = [v for value in own for v in (value, value + better)]
    values += [v for value in shuffled for v in (value, value - better)]
    for which, value in enumerate(values):
        yield from medians("N5", [value] * 8, which)


def test_n5_asks_for_all_four_modes_and_for_chance_when_shuffled():
    """One mode at chance contradicts; one weak mode, or one that beats chance on shuffled inputs, is open."""
    assert word("N5", n5()) == "supported"
    assert word("N5", n5(own=(0.5, 0.05, 0.5, 0.5))) == "contradicted"
    assert word("N5", n5(shuffled=(0.0, 0.0, 0.2, 0.0))) == "open"
    found = claims.verdict(CLAIMS["N5"], frame(n5(own=(0.5, 0.5, 0.2, 0.5))))
    assert (found.word, found.effect, found.note) == ("open", 0.2, "shown: delayed by rnn, inputs own")


def test_n5_asks_both_cells_and_every_seed():
    """A cell that fails counts however well the other does, one whose median is fine and two of whose seeds fail too;
    where one is missing nothing counts."""
    assert word("N5", n5(own=(0.5, 0.5, 0.05, 0.5), better=0.9)) == "contradicted"
    assert word("N5", n5(shuffled=(0.0, 0.15, 0.0, 0.0), better=0.1)) == "open"
    assert word("N5", (r for r in n5() if "dates/cell=rnn" not in r.setting)) == "open"
    lost = {"delayed/data=dates/cell=lstm/inputs=own"}
    assert word("N5", (r._replace(value=0.0) if r.setting in lost and r.seed < 2 else r for r in n5())) == "open"


def n20(values):
    """N20's excess by source: the RNN half a bit above, the LSTM as given."""
    for quantity, value in zip((q for q in CLAIMS["N20"].quantities if q.kind == "median"), values, strict=True):
        for setting, v in zip(quantity.settings, (value + 0.5, value), strict=True):
            yield from (Record("language_model", setting, s, "N20", 0, v) for s in range(8))


def test_n20_is_two_sided_for_the_best_model_of_each_source():
    """Within -.005 and .05 bit; better than the best possible is as bad as too far above; a break contradicts."""
    fine = (0.01, 0.0, 0.02, 0.04, 0.001, 0.0)
    assert word("N20", laws("N20"), n20(fine)) == "supported"
    assert word("N20", laws("N20"), n20((*fine[:5], -0.01))) == "open"
    assert word("N20", laws("N20"), n20((*fine[:5], 0.06))) == "open"
    assert word("N20", laws("N20", breaks=1), n20(fine)) == "contradicted"


@pytest.mark.parametrize("near", [-0.004, 0.046])
def test_of_several_effects_the_one_nearest_to_failing_is_shown(near):
    """On whichever side: of N20's sources the one that just lies above the lower threshold, or below the upper one."""
    found = claims.verdict(CLAIMS["N20"], frame(laws("N20"), n20((0.02, 0.01, near, 0.02, 0.03, 0.02))))
    assert (found.word, found.effect) == ("supported", near) and "shown: N20 at rrxor" in found.note


def n12(*tasks, **options):
    """Records of the three tasks, each an (LSTM, RNN) pair of the longest length solved."""
    for task, (lstm, rnn) in zip(claims.TASKS, tasks, strict=False):
        yield from ladder(task, lstm, rnn, **options)


def test_n12_asks_for_two_of_three_tasks():
    """A ratio of four on two of three supports, unless the third lies below one; equals on two contradict."""
    far, equal, less, more = (80, 20), (20, 20), (10, 40), (28, 20)
    assert word("N12", n12(far, far, equal)) == "supported"
    assert word("N12", n12(far, far, less)) == "open"
    assert word("N12", n12(far, more, more)) == "open"
    assert word("N12", n12(far, equal, equal)) == "contradicted"
    assert word("N12", n12(far, far)) == "open"
    assert word("N12", n12(equal, less)) == "contradicted"


def test_n12_needs_sixteen_seeds_at_every_length():
    """Fifteen, or a length with fewer, are open."""
    assert word("N12", n12((80, 20), (80, 20), (80, 20), seeds=15)) == "open"
    rows = frame(n12((80, 20), (80, 20), (80, 20)))
    assert claims.verdict(CLAIMS["N12"], rows).word == "supported"
    assert claims.verdict(CLAIMS["N12"], rows.drop(index=0)).word == "open"


def test_n12_reads_tuned_runs_and_shows_the_default_ones_beside_them():
    """Runs at fixed starts leave it open; the default's verdict is in the note and does not decide."""
    plain = [r._replace(setting=r.setting.removeprefix("tuned/")) for r in n12((80, 20), (80, 20), (80, 20))]
    assert claims.verdict(CLAIMS["N12"], frame(plain)).note == "not measured"
    equal = n12(*((20, 20),) * 3, start="default")
    found = claims.verdict(CLAIMS["N12"], frame(n12((80, 20), (80, 20), (80, 20)), equal))
    assert found.word == "supported" and found.note.endswith("at the default start: contradicted")


def test_n12_says_whose_lengths_end_before_its_rule_has_it():
    """Where more than 2 of 16 solve the longest; the latch may end at 1280 all the same."""
    note = lambda *ladders: claims.verdict(CLAIMS["N12"], frame(*ladders)).note  # noqa: E731
    whole = list(n12((80, 20), (80, 20), (80, 20)))
    early = [r for r in whole if "timer/arm=lstm" not in r.setting or r.index <= 80]
    solved = sum(r.value for r in early if "timer/arm=lstm" in r.setting and r.index == 80)
    assert "lengths end" not in note(whole) and solved > 2
    assert note(early).endswith(f"lengths end before at most 2 of 16 solve: LSTM on timer ({solved:g} of 16 at 80)")
    for longest, told in ((1280, False), (905, True)):
        latch = [r for r in whole if "latch/arm=rnn" not in r.setting]
        latch += [r._replace(index=longest, value=1.0) for r in whole if "latch/arm=rnn" in r.setting and r.index == 5]
        latch += [r for r in whole if "latch/arm=rnn" in r.setting]
        assert ("RNN on latch (16 of 16 at 905)" in note(latch)) == told


def test_two_arms_at_one_setting_are_refused():
    """A tuned cell is one arm: two would be counted as twice the seeds."""
    other = [r._replace(setting=r.setting.replace("lstm_b1", "lstm_b3")) for r in ladder("latch", 80, 20)]
    with pytest.raises(ValueError, match="`frame` must have one solved a seed and length"):
        claims.verdict(CLAIMS["N12"], frame(ladder("latch", 80, 20), other))


def test_the_ledger_has_a_row_a_claim_in_order():
    """Its columns are fixed; what is not measured is empty and open."""
    some = frame(medians("N15", [-20.0] * 16), medians("N6", [0.1] * 3))
    rows = claims.ledger(claims.verdict(claim, some) for claim in CLAIMS.values())
    assert tuple(rows.columns) == LEDGER and rows.claim.tolist() == list(CLAIMS)
    at = rows.set_index("claim")
    assert at.verdict.drop("N15").eq("open").all() and at.verdict["N15"] == "contradicted"
    assert at.effect["N15"] == -20 and at.seeds["N15"] == 16 and at.seeds["N6"] == 3
    assert at.effect.isna().sum() == 19 and at.note["N6"] == "3 seeds, the rule asks for 8: N6 at text/cell=rnn"


def test_a_ratio_beyond_the_lengths_that_were_run_has_no_effect_in_the_ledger():
    """As on the page: 0 would read as a ratio."""
    rows = frame(n12(*[(80, 20)] * 3))
    none = rows[rows.setting.str.contains("lstm")].index
    rows.loc[none, "value"] = 0.0
    found = claims.verdict(CLAIMS["N12"], rows)
    assert found.effect == 0 and claims.ledger([found]).effect.isna().all()


def test_records_that_another_preset_has_too_are_no_second_measurement():
    """Some, all or none of a claim's, counted once each; laws' are left out."""
    mine = frame(medians("N7", [0.5, 0.6, 0.7, 0.8]), laws("N2"))
    assert claims.repeated(CLAIMS["N7"], mine, mine) == 1
    assert claims.repeated(CLAIMS["N7"], mine, mine[mine.seed < 3]) == 0.75
    assert claims.repeated(CLAIMS["N7"], mine, mine.assign(value=mine.value + 1e-16)) < 1
    assert claims.repeated(CLAIMS["N2"], mine, mine) == claims.repeated(CLAIMS["N8"], mine, mine) == 0


def test_a_verdict_names_the_preset_and_the_figure_of_its_records():
    """The preset is what the harness recorded of the claim's experiments; without records there is no link."""
    ran = [Record("run", f"{name}/preset={preset}", 0, "groups", 0, 1.0) for name, preset in RAN.items()]
    found = claims.verdict(CLAIMS["N8"], frame(ran, laws("N8"), effect_everywhere("N8", [2.0] * 8)))
    assert (found.preset, found.report) == ("full and quick", "memory/index.html#gates_variants")
    assert claims.verdict(CLAIMS["N8"], frame(ran, laws("N8"))).report == ""
    assert claims.verdict(CLAIMS["N2"], frame(ran, laws("N2"))).report == "instrument/index.html#breaks"
    assert claims.verdict(CLAIMS["N2"], frame(laws("N2"))).preset == ""


RAN = {"memory": "full", "instrument": "quick", "language_model": "tour"}


@pytest.mark.parametrize("number", CLAIMS)
def test_what_a_claim_links_to_holds_its_numbers(number):
    """Effect and interval stand in the data of the committed figure, or in the table, as the ledger has them."""
    assert missing_there(number) == []


def test_a_link_to_another_figure_is_noticed(monkeypatch):
    """N6 is no matter of the curves of training."""
    monkeypatch.setitem(CLAIMS, "N6", replace(CLAIMS["N6"], shown="curves"))
    assert missing_there("N6")


def missing_there(number):
    """Effect and interval of a claim, as far as what it links to does not hold them."""
    claim, row = CLAIMS[number], pd.read_csv(REPORTS / "ledger.csv", index_col="claim").loc[number]
    held = numbers_of(REPORTS / claim.decided_by[0], claim.shown)
    ends = [row[name] for name in ("effect", "low", "high") if math.isfinite(row[name])]
    if any(quantity.kind == "t50 ratio" for quantity in claim.quantities):
        ends = [end for end in ends if end]  # 0 is beyond the lengths that were run, and the table says so
    return [end for end in ends if not any(alike(end, text) for text in held)]


NUMBER = r"-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"


def numbers_of(report, name):
    """The numbers in a figure's data or in a table's cells, as text."""
    page = (report / "index.html").read_text("utf-8")
    if f'<figure id="{name}"' in page:
        return re.findall(NUMBER, (report / "figures" / f"{name}.csv").read_text("utf-8"))
    table = page[page.index(f'id="{name}"') :].split("</table>")[0]
    return re.findall(NUMBER, re.sub("<[^>]*>", " ", table).replace("\N{MINUS SIGN}", "-"))


def alike(value, text):
    """Whether a number is the text's to as many digits as that has, or to the three of a page."""
    digits, _, power = text.partition("e")
    unit = 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))
    return abs(float(text) - value) <= max(0.51 * unit if "." in digits else 0.0, 5e-3 * abs(value))


def test_a_quantity_matches_whole_settings_and_its_own_metrics():
    """Patterns are fnmatch's; without a star the setting is the whole one."""
    quantity = Quantity("q", "effect", "median", "memory", "N7", ("latch/exchange=c",))
    assert quantity.reads("memory", "N7", "latch/exchange=c")
    assert not quantity.reads("memory", "N7", "latch/exchange=c/H=8")
    assert not quantity.reads("memory", "N8", "latch/exchange=c")
