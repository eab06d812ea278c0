"""Verdicts as they are read: what stands in a row, and what its picture shows."""

from __future__ import annotations

import math

import pytest

from experiments import claims
from experiments.claims import CLAIMS
from experiments.harness import verdicts
from experiments.test_claims import frame, medians


def found(number, effect, low, high):
    """A claim's verdict with such numbers."""
    return claims.verdict(CLAIMS[number], frame())._replace(effect=effect, low=low, high=high)


@pytest.mark.parametrize(
    ("numbers", "effect", "interval", "arrows"),
    [
        ((0.0, 0.0, math.inf), "", "any", 2),
        ((math.inf, 3.33, math.inf), "", "> 3.33", 1),
        ((0.0, 0.0, 0.8), "", "< 0.8", 1),
        ((1.5, 1.0, 2.0), "1.5", "1 to 2", 0),
    ],
)
def test_a_ratio_beyond_the_lengths_run_has_no_number(numbers, effect, interval, arrows):
    """Of T50 0 and inf are no measurements: no effect, no dot, an end that is an arrow; of a difference 0 is one."""
    row = verdicts.row(found("N12", *numbers))
    assert (row["effect"], row["interval"]) == (effect, interval)
    assert row["picture"].count("<path") == arrows and row["picture"].count("<circle") == bool(effect)
    row = verdicts.row(found("N6", 0.0, 0.0, 0.5))
    assert (row["effect"], row["interval"]) == ("0", "0 to 0.5") and "<path" not in row["picture"]


@pytest.mark.parametrize("number", CLAIMS)
def test_the_halves_of_a_rule_are_told_apart(number):
    """What a row says of support and of contradiction is the rule, whole."""
    row = verdicts.row(claims.verdict(CLAIMS[number], frame()))
    assert row["rule"] == f"supported: {row['supported']}; contradicted: {row['contradicted']}"
    assert row["supported"] and row["contradicted"] and ";" not in row["supported"]


def test_on_its_own_page_a_claim_does_not_ask_for_the_records_of_others():
    """N8 lacks laws alone: the ledger says so and the page of memory does not; where seeds lack too, both do."""
    alone = claims.verdict(CLAIMS["N8"], frame(medians("N8", [2.0] * 8)))
    assert verdicts.row(alone)["needs"] and not verdicts.row(alone, "memory")["needs"]
    assert verdicts.row(alone, "instrument")["needs"]
    both = claims.verdict(CLAIMS["N9"], frame(medians("N9", [0.0] * 13 + [0.2] * 3)))
    assert "13 of 16" in verdicts.row(both, "memory")["needs"]
