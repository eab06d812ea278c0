"""What would decide an open claim: from its rule and its records, and true where it can be tried."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments import claims, needs
from experiments.claims import CLAIMS, Condition, Measured
from experiments.harness.statistics import order_interval
from experiments.test_claims import effect_everywhere, frame, laws, medians, n12
from properties.record import Record


def needed(number, *groups):
    """What a claim needs by these records."""
    return claims.verdict(CLAIMS[number], frame(*groups)).needs


@pytest.mark.parametrize("share", [0.65, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_so_many_seeds_decide_at_that_share_and_one_less_does_not(share):
    """Of n values that share lies above 0: the interval does too, and with one seed less it does not."""
    n = needs.enough(share)
    assert [above(m, share) for m in (n - 1, n)] == [False, True]


def above(n, share):
    """Whether the interval of n values, of which (1 - share) n lie below 0, lies above 0."""
    below = np.arange(n) < (1 - share) * n
    return bool(order_interval(np.where(below, -1.0, 1.0)).low > 0)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 9 / 16])
def test_no_number_is_advised_where_half_or_fewer_lie_there_or_hardly_more(share):
    """The median lies on the other side, or so near that hundreds of seeds would be asked for."""
    assert needs.enough(share) == 0


def test_decided_claims_need_nothing():
    """Neither a supported nor a contradicted one."""
    for value in (1.0, -1.0):
        assert needed("N6", medians("N6", [value] * 8)) == ""


def test_an_open_effect_says_how_many_seeds_would_do_if_the_share_stays():
    """N9 of the ledger, 13 of 16 below its lower threshold."""
    said = needed("N9", laws("N9"), medians("N9", [0.0] * 13 + [0.2] * 3))
    assert said == (
        f"if the share stays as it is, a new measurement with about {needs.enough(13 / 16)} seeds to contradict it "
        "(13 of 16 lie below 0.02)"
    )


def test_a_share_near_one_half_is_too_close_to_call():
    """Its interval holds 1/2, so that nothing is said to be impossible; of the far side, surely empty, nothing."""
    said = needed("N16", medians("N16", [4.0] * 9 + [2.0] * 7))
    assert said == "too close to call from 16 seeds: 9 lie above 3, where 14 of 16 must lie to support it"
    said = needed("N13", medians("N13", [0.05] * 5 + [0.2] * 3))
    assert said == "too close to call from 8 seeds: 3 lie above 0.1, where all 8 must lie to support it"


def test_an_effect_between_both_thresholds_says_where_its_seeds_lie():
    """N13 with none beyond either: most seeds surely lie on neither side, by the interval of the share."""
    said = needed("N13", medians("N13", [0.05] * 8))
    assert said == "more seeds may decide: 0 of 8 lie above 0.1 and 0 of 8 lie below 0.02"


def test_of_the_larger_of_two_effects_its_own_seeds_are_counted():
    """N10's flip-flop is larger here; the latch's seeds say nothing."""
    flip_flop, latch = "flip_flop/without=output", "latch/without=output"
    rows = [Record("memory", s, n, "N10", 0, v) for s, v in ((flip_flop, 0.05), (latch, 0.0)) for n in range(8)]
    assert "0 of 8 lie below 0.02" in needed("N10", laws("N10"), rows)


def test_of_several_effects_those_that_lack_are_named():
    """N18's LSTM decides neither way, its RNN is fine."""
    rows = [*medians("N18", [0.1] * 8), *medians("N18", [0.1] * 7 + [-0.1], 1)]
    said = needed("N18", laws("N18"), rows)
    assert said.startswith("for truncation/cell=") and said.count("for ") == 1 and "(7 of 8 lie above 0)" in said


def test_of_many_effects_three_are_named():
    """All of N5's, half-way between both thresholds."""
    said = needed("N5", effect_everywhere("N5", [0.2] * 8))
    assert said.count("for ") == 3 and said.endswith("more")


def test_an_open_ratio_says_where_its_ends_lie_and_must_lie():
    """N12 on one far task and two near ones; what lies beyond the lengths is said to."""
    said = needed("N12", n12((80, 20), (40, 20), (40, 20)))
    support = "surely above 2 on 2 of 3 and not surely below 1 on 3 of 3 to support it"
    contradict = "surely below 1.5 on 2 of 3"
    assert said.startswith(f"ratios {support} or {contradict} to contradict it (now T50")
    assert "beyond the lengths" not in said
    assert "beyond the lengths" in needed("N12", n12((160, 20), (28, 20), (28, 20)))


def test_a_side_that_a_ratio_rules_out_is_said_to_be_ruled_out():
    """N12 with one task far below 1 and one far above 2: it can no longer be supported; with a second, neither way."""
    far, less, near = (80, 20), (10, 40), (40, 20)
    said = needed("N12", n12(less, far, near))
    assert "not surely below 1 on 3 of 3 to support it (ruled out by T50 ratio on latch) or surely below 1.5" in said
    assert said.count("ruled out") == 1
    said = needed("N12", n12(less, far, far))
    assert "to contradict it (ruled out by T50 ratio on adding and T50 ratio on timer) (now" in said
    assert "ruled out" not in needed("N12", n12(far, near, near))


def test_a_side_of_several_ways_is_ruled_out_where_all_are_and_other_effects_ask_nothing_of_ratios():
    """A claim made up of N12's ratios, with two conditions that contradict it, and of N13's effect."""
    support = "ratios surely above 2 on 2 of 3 and not surely below 1 on 3 of 3 to support it"
    contradict = "surely below 1.5 on 2 of 3 or surely above 2 on 2 of 3 to contradict it"
    less, middle, more, any_of_them = (0.2, 0.3), (1.6, 1.9), (3.0, 4.0), (0.5, 4.0)
    latch, adding, timer = (quantity.name for quantity in CLAIMS["N12"].quantities)
    assert where_ratios_lie(any_of_them, any_of_them, any_of_them) == f"{support} or {contradict}"
    said = where_ratios_lie(less, any_of_them, less)
    assert said == f"{support} (ruled out by {latch} and {timer}) or {contradict}"
    said = where_ratios_lie(less, more, middle)
    assert said.endswith(f"{contradict} (ruled out by {adding} and {timer} and {latch})")


def where_ratios_lie(*intervals):
    """What is said of three ratios, of such intervals, by a claim that is on an effect too."""
    ratios, other = CLAIMS["N12"].quantities, CLAIMS["N13"]
    supported = *CLAIMS["N12"].supported, *other.supported
    contradicted = Condition("ratio", "high", "<", 1.5, 2), Condition("ratio", "low", ">", 2, 2), *other.contradicted
    quantities = (*ratios, *other.quantities)
    claim = replace(CLAIMS["N12"], quantities=quantities, supported=supported, contradicted=contradicted)
    rows = frame(medians("N13", [0.05] * 8))
    measured = {q: Measured(sum(ends) / 2, *ends, 16) for q, ends in zip(ratios, intervals, strict=True)}
    measured |= {effect: claims.measure(effect, rows) for effect in other.quantities}
    said = needs.undecided(claim, measured, dict.fromkeys(other.quantities, rows))
    assert "8 lie above 0.1" in said
    return said.partition(" (now ")[0]


def test_what_is_not_measured_names_the_records_and_the_command():
    """Of a claim on laws and an effect both experiments."""
    said = needed("N8")
    assert "law gates on numpy_twin" in said
    assert "`python -m experiments run instrument` and `python -m experiments run memory`" in said


def test_beside_full_records_the_command_names_their_preset():
    """Not where the frame also holds another's."""
    full, quick = (Record("run", f"{name}/preset={name}", 0, "seconds", 0, 1.0) for name in ("full", "quick"))
    assert needed("N2", [full]).endswith("`python -m experiments run instrument --preset full`")
    assert "--preset" not in needed("N2", [full, quick]) and "--preset" not in needed("N2", [quick])
    stale = frame(medians("N6", [0.0] * 8), [full]).assign(rule="")
    assert claims.verdict(CLAIMS["N6"], stale).needs.endswith("run language_model --preset full`")


def test_what_is_measured_and_undecided_stands_beside_what_is_missing():
    """N9 without its laws: lacks records, and seeds too; N8, whose effect supports it, the records alone."""
    found = claims.verdict(CLAIMS["N9"], frame(medians("N9", [0.0] * 13 + [0.2] * 3)))
    assert "run instrument" in found.needs and "about 21 seeds" in found.needs and found.lacks == ()
    found = claims.verdict(CLAIMS["N8"], frame(medians("N8", [2.0] * 8)))
    assert found.lacks == ("instrument",) and "seeds" not in found.needs


def test_a_statistic_of_what_no_seed_has_is_said_to_have_no_value():
    """N14 where no unit carries the bit, at the length that it is judged at and whatever others say; where one seed
    has such a unit it is measured, on too few seeds."""
    at = "latch/carried/start=torch"
    counts = [Record("memory", f"{at}/delay=10", s, "carriers", 0, 0.0) for s in range(14)]
    beside = [record._replace(setting=f"{at}/delay=14", value=1.0) for record in counts]
    found = claims.verdict(CLAIMS["N14"], frame(counts, beside))
    assert found.word == "open" and found.note == "none of 14 seeds has a unit that carries the bit alone"
    assert found.needs.startswith("seeds with a unit that carries the bit alone")
    some = [counts[0]._replace(value=1.0), *counts[1:]]
    found = claims.verdict(CLAIMS["N14"], frame(some, [Record("memory", at, 0, "N14", 0, 0.7)]))
    assert found.note.startswith("1 seeds, the rule asks for 8") and "run memory" in found.needs


def test_every_open_verdict_says_what_it_would_take():
    """Nothing measured, half measured, and effects between both thresholds."""
    for number, claim in CLAIMS.items():
        assert needed(number)
        effects = [q for q in claim.quantities if q.kind == "median"]
        if effects:
            assert needed(number, effect_everywhere(number, [0.0] * 3))
