"""The sweep of the latch: arms, delays, presets, costs."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.memory.latch import sweep

OPTIONS = SimpleNamespace(engine="numpy")
PRESETS = tuple(sweep.PRESETS)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_sweep_holds_every_arm_at_every_length_once_as_plain_data(preset):
    """Each cell is one group with its own setting and key; its settings survive JSON unchanged."""
    groups = sweep.groups(preset, OPTIONS)
    cells = {(g.settings["arm"], g.settings["length"]) for g in groups}
    sizes = sweep.PRESETS[preset]
    assert cells == {(arm, length) for arm in sizes.arms for length in sizes.lengths}
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups) == len(cells)
    assert all(json.loads(json.dumps(g.settings)) == g.settings for g in groups)


def test_the_tour_is_a_part_of_the_quick_preset():
    """What the one has computed the other takes from the store: the same keys. The full preset has twice the seeds."""
    tour, quick = ({g.key for g in sweep.groups(p, OPTIONS)} for p in ("tour", "quick"))
    assert tour < quick
    assert {len(g.seeds) for g in sweep.groups("full", OPTIONS)} == {16}


def test_lengths_grow_by_the_root_of_two_or_by_two_and_each_preset_fits_its_time():
    """5 to 160 in eleven lengths or six, to 1280 in seventeen; core-seconds: quick under 200, full an hour."""
    assert sweep.ladder(160) == (5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160)
    assert sweep.ladder(160, steps=1) == (5, 10, 20, 40, 80, 160)
    assert len(sweep.ladder(1280)) == 17 and sweep.ladder(1280)[-1] == 1280
    total = {preset: sum(g.cost for g in sweep.groups(preset, OPTIONS)) for preset in PRESETS}
    assert total["smoke"] < 10 and total["tour"] < 150 and total["quick"] < 200 and total["full"] < 3600
    assert max(g.cost for g in sweep.groups("full", OPTIONS)) < 9 * 60


def test_a_group_that_is_expected_to_end_early_costs_less_than_one_that_is_not():
    """Cost grows with the delay except where EARLY says nothing else; more seeds cost more, and never twice as much."""
    for arm in sweep.EVERY_ARM:
        costs = np.array([cost(arm, length, 16) for length in sweep.ladder(1280)])
        assert (np.diff(costs) > 0).all()
    assert cost("lstm_b1", 40, 8) < cost("lstm_b1", 40, 16) < 2 * cost("lstm_b1", 40, 8)


def cost(arm, length, seeds):
    """Predicted core-seconds of a group."""
    return sweep.group(arm, length, sweep.Preset((length,), seeds=seeds), OPTIONS).cost
