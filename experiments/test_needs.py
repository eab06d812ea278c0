"""What an open claim would take: from its rule and its records, and true where it can be tried."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import claims, needs
from experiments.claims import CLAIMS
from experiments.harness.statistics import order_interval
from experiments.test_claims import effect_everywhere, frame, laws, medians, n12
from properties.record import Record


def needed(number, *groups):
    """What a claim needs by these records."""
    return claims.verdict(CLAIMS[number], frame(*groups)).needs


@pytest.mark.parametrize("share", [0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_so_many_seeds_decide_at_that_share_and_one_less_does_not(share):
    """Of n values that share lies above 0: the interval does too, and with one seed less it does not."""
    n = needs.enough(share)
    assert [above(m, share) for m in (n - 1, n)] == [False, True]


def above(n, share):
    """Whether the interval of n values, of which (1 - share) n lie below 0, lies above 0."""
    below = np.arange(n) < (1 - share) * n
    return bool(order_interval(np.where(below, -1.0, 1.0)).low > 0)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_no_number_of_seeds_decides_where_half_or_fewer_lie_there(share):
    """The median lies on the other side."""
    assert needs.enough(share) == 0


def test_decided_claims_need_nothing():
    """Neither a supported nor a contradicted one."""
    for value in (1.0, -1.0):
        assert needed("N6", medians("N6", [value] * 8)) == ""


def test_an_open_effect_says_how_many_seeds_lie_where():
    """Both sides, the one that seeds can reach first."""
    said = needed("N13", medians("N13", [0.0] * 6 + [0.05, 0.2]))
    n = needs.enough(6 / 8)
    reached = f"about {n} seeds to contradict it (6 of 8 lie below 0.02)"
    assert said == f"{reached}; no number of seeds would support it (1 of 8 lie above 0.1)"


def test_an_effect_that_no_number_of_seeds_decides_says_so():
    """N13 between both thresholds."""
    said = needed("N13", medians("N13", [0.05] * 8))
    assert said.startswith("seeds that lie elsewhere: no number of seeds would support it (0 of 8 lie above 0.1); no n")


def test_of_the_larger_of_two_effects_its_own_seeds_are_counted():
    """N10's flip-flop is larger here; the latch's seeds say nothing."""
    flip_flop, latch = "flip_flop/without=output", "latch/without=output"
    rows = [Record("memory", s, n, "N10", 0, v) for s, v in ((flip_flop, 0.05), (latch, 0.0)) for n in range(8)]
    assert "0 of 8 lie below 0.02" in needed("N10", laws("N10"), rows)


def test_of_several_effects_those_that_lack_are_named():
    """N18's LSTM decides neither way, its RNN is fine."""
    rows = [*medians("N18", [0.1] * 8), *medians("N18", [0.1] * 7 + [-0.1], 1)]
    said = needed("N18", laws("N18"), rows)
    assert said.startswith(f"about {needs.enough(7 / 8)} seeds to support it (7 of 8 lie above 0)") and "rnn" in said


def test_an_open_ratio_says_where_its_ends_lie_and_must_lie():
    """N12 on one far task and two near ones; what lies beyond the lengths is said to."""
    said = needed("N12", n12((80, 20), (28, 20), (28, 20)))
    assert said.startswith("ratios above 2 on 2 of 3 to support or below 1.5 on 2 of 3 to contradict it (now T50")
    assert "beyond the lengths" not in said
    assert "beyond the lengths" in needed("N12", n12((160, 20), (28, 20), (28, 20)))


def test_what_is_not_measured_names_the_records_and_the_command():
    """Of a claim on laws and an effect both experiments."""
    said = needed("N8")
    assert "law gates on numpy_twin" in said
    assert "python -m experiments run instrument and python -m experiments run memory" in said


def test_a_statistic_of_what_no_seed_has_is_said_to_have_no_value():
    """N14 where no unit carries the bit; where one seed has such a unit it is measured, on too few seeds."""
    at = "latch/carried/start=torch"
    counts = [Record("memory", f"{at}/delay=10", s, "carriers", 0, 0.0) for s in range(14)]
    found = claims.verdict(CLAIMS["N14"], frame(counts))
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
