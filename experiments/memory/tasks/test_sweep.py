"""The sweep of the ten tasks: which cells, what they cost, and the rungs beside them."""

from __future__ import annotations

import json
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.harness.arms import ARMS
from experiments.memory.learning import TASKS
from experiments.memory.tasks import scales, sweep
from experiments.memory.tasks.published import PILOT, PILOT_ALIKE, PUBLISHED
from experiments.tasks import bucket_sort

OPTIONS = SimpleNamespace(engine="numpy")
PRESETS = ("smoke", "tour", "quick", "full")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_sweep_holds_every_cell_once_as_plain_data(preset):
    """Each cell is one group of at least 8 seeds with its own setting and key; its settings survive JSON unchanged."""
    groups = sweep.groups(preset, OPTIONS)
    cells = [(g.settings["task"], g.settings["arm"]) for g in groups]
    assert cells == [(name, arm) for name in sweep.SETTINGS for arm in sweep.arms(name, preset)]
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups)
    assert all(json.loads(json.dumps(g.settings)) == g.settings and len(g.seeds) >= 8 for g in groups)


def test_presets_fit_their_time_and_the_tour_is_a_part_of_quick():
    """Core-seconds as predicted; what the tour has computed quick takes from the store; both cells on every task."""
    groups = {preset: sweep.groups(preset, OPTIONS) for preset in PRESETS}
    total = {preset: sum(g.cost for g in some) for preset, some in groups.items()}
    assert total["smoke"] < 4 and total["tour"] < 15 and total["quick"] < 170 and total["full"] < 3000
    assert {g.key for g in groups["tour"]} < {g.key for g in groups["quick"]}
    for name in sweep.SETTINGS:
        assert {ARMS[arm].family for arm in sweep.arms(name, "quick")} == {"lstm", "rnn"}


def test_steps_are_those_that_the_task_draws():
    """The cost is predicted from the length of the sequences that are really drawn."""
    for name, at in sweep.SETTINGS.items():
        assert TASKS[name].draw(np.random.default_rng(0), at.length, 2)[0].shape == (at.steps, 2, TASKS[name].D)


@pytest.mark.parametrize("name", sweep.SETTINGS)
def test_rungs_go_from_chance_to_the_best(name):
    """In the order of knowledge each rung is better; shares end at 1, bits at all of them, errors above 0."""
    scale = scales.SCALES[name]
    values = np.array([rung.value for rung in scale.rungs()])
    assert (np.diff(values) * (-1 if scale.error else 1) > 0).all()
    assert scale.position(values[0]) == 0
    assert scale.position(0.0 if scale.error else values[-1]) == pytest.approx(1)
    if not scale.error:
        assert values[-1] == pytest.approx(15.0 if name == "copy" else 1.0)


@pytest.mark.parametrize("known", [0, 1, 2, 3])
def test_the_best_share_of_bucket_sort_is_that_of_all_rows_counted(known):
    """Of 125 rows of three symbols: for what is known and each rank the commonest answer."""
    rows = np.array(list(product(range(bucket_sort.V), repeat=3)))
    answers = np.sort(rows, 1)
    right = 0
    for seen in product(range(bucket_sort.V), repeat=known):
        some = answers[(rows[:, :known] == seen).all(1)]
        right += sum(np.bincount(some[:, rank]).max() for rank in range(3))
    assert scales.best_share(known, 3) == pytest.approx(right / rows.size, rel=1e-12)


def test_a_predictor_that_does_not_count_ends_one_word_right():
    """Every rule that looks at the last symbol alone: at most the word n = 1 has all of its sets right."""
    trained, tested = 10, 14
    assert [rung.value for rung in scales.counting_rungs()] == [1 / tested, trained / tested, 1.0]
    ends = [[n for n in range(1, tested + 1) if ((n == 1) if after_b == "S" else False)] for after_b in "bS"]
    assert max(map(len, ends)) / tested == scales.counting_rungs()[0].value


def test_published_numbers_have_a_source_and_say_what_differs():
    """Each stands in the figure on an axis that its unit has, or says why it does not; the pilot's arms exist."""
    for entry in PUBLISHED:
        assert entry.source and entry.comparable
        assert (entry.laid == "sequences") <= (entry.unit == "sequences until solved")
        assert (entry.laid == "") or entry.task in sweep.SETTINGS
    assert {task for task, _ in PILOT} | set(PILOT_ALIKE) <= set(sweep.SETTINGS)
    assert {arm for _, arm in PILOT} <= set(ARMS)
