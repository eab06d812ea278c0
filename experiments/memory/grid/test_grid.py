"""The grid and how a point of it is chosen."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from experiments.memory import learning
from experiments.memory.grid import analysis, choose, experiment, sweep
from properties.record import COLUMNS, Record

OPTIONS = SimpleNamespace(engine="numpy")


def test_the_grid_is_equal_for_both_cells_and_its_seeds_decide_nothing():
    """As many starts, rates and widths; its seeds are those from 1000 on; a group takes less than nine minutes."""
    groups = sweep.every(OPTIONS)
    for task, sizes in sweep.SETTINGS.items():
        points = {cell: grid(groups, task, cell) for cell in sweep.STARTS}
        assert len(points["lstm"]) == len(points["rnn"]) == 4 * 3 * 2 * len(sizes.lengths)
    assert {seed for g in groups for seed in g.seeds} == set(range(1000, 1008))
    assert max(g.cost for g in groups) < 540 and len({g.key for g in groups}) == len(groups)


def grid(groups, task, cell):
    """A cell's points and lengths on a task."""
    mine = [g for g in groups if g.settings["task"] == task and f"cell={cell}/" in g.setting]
    return [(arm, g.settings["H"], g.settings["lr"], g.settings["length"]) for g in mine for arm in g.settings["arms"]]


def test_starts_in_one_group_are_what_they_are_alone():
    """A group of several arms has each arm's own start and the same rows for all; its records bear the arm's name."""
    many = small(sweep.every(OPTIONS)[0])
    got = learning.run(many, lambda done, total: None)
    assert [g.setting.split("/arm=")[1] for g in got[:: len(got) // 4]] == many.settings["arms"]
    for arm in many.settings["arms"]:
        alone = replace(many, settings={k: v for k, v in many.settings.items() if k != "arms"} | {"arm": arm})
        costs = [r.value for r in got if r.metric == "cost" and r.setting.endswith(f"arm={arm}")]
        own = [r.value for r in learning.run(alone, lambda done, total: None) if r.metric == "cost"]
        np.testing.assert_allclose(costs, own, atol=1e-9)


def small(group):
    """Two seeds, three updates, a short task, in float64."""
    settings = group.settings | {"updates": 3, "every": 3, "held_out": 40, "length": 5}
    return replace(group, settings=settings, seeds=(1000, 1001), dtype="float64")


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"solved": 9}, {"solved": 8, "updates": 10.0}),
        ({"updates": 90.0}, {"cost": 0.0}),
        ({"cost": 0.1}, {"cost": 0.2}),
    ],
)
def test_most_solved_then_sooner_then_lower_cost(better, worse):
    """The three criteria in their order."""
    plain = {"solved": 8, "updates": 100.0, "cost": 0.5}
    rows = [dict(row) for row in pd.read_csv(sweep.POINTS).to_dict("records")]
    for row in rows:
        row |= {"solved": 0, "updates": 400.0, "cost": 1.0}
    mine = [row for row in rows if row["task"] == "latch" and row["cell"] == "rnn"]
    mine[5] |= plain | worse
    mine[17] |= plain | better
    chosen = choose.choices(pd.DataFrame(rows))
    (one,) = chosen[(chosen.comparison == "tuned") & (chosen.task == "latch") & (chosen.cell == "rnn")].to_dict(
        "records"
    )
    assert {key: one[key] for key in choose.KEYS} == {key: mine[17][key] for key in choose.KEYS}


def test_unsolved_seeds_count_with_all_their_updates():
    """A point that one seed solved at 100 of 400 took 250 in the mean of two."""
    group = sweep.every(OPTIONS)[0]
    setting = f"{group.setting}/arm=lstm_b1"
    values = {
        "solved": (1, 0),
        "first_solved_step": (100, learning.NEVER),
        "updates_allowed": (400, 400),
        "cost": (0, 1),
    }
    records = [
        Record("memory", setting, 1000 + s, metric, 160, float(v))
        for metric, two in values.items()
        for s, v in enumerate(two)
    ]
    (row,) = choose.points(pd.DataFrame(records, columns=COLUMNS)).to_dict("records")
    assert (row["solved"], row["runs"], row["updates"], row["cost"]) == (1, 2, 250.0, 0.5)
    assert (row["task"], row["arm"], row["H"], row["lr"]) == ("latch", "lstm_b1", 8, 0.001)


def test_the_committed_choice_is_that_of_the_committed_points():
    """tuned.csv follows from points.csv, byte for byte."""
    text = choose.choices(pd.read_csv(sweep.POINTS)).to_csv(index=False, lineterminator="\n")
    assert text == choose.CHOSEN.read_text("utf-8")


@pytest.mark.parametrize("preset", ["smoke", "quick"])
def test_every_report_shows_the_points_that_were_chosen_from(preset):
    """The group that reads them gives every point; the table of what is chosen has both comparisons."""
    (group,) = sweep.groups(preset, OPTIONS)
    frame = pd.DataFrame(experiment.run(group, lambda done, total: None), columns=COLUMNS)
    found = analysis.read(frame)
    points = pd.read_csv(sweep.POINTS)
    a, b = (some.sort_values(choose.KEYS, ignore_index=True)[points.columns] for some in (found, points))
    pd.testing.assert_frame_equal(a, b, check_dtype=False)
    section = analysis.analyse(frame).section
    assert [len(table.frame) for table in section.tables] == [12, 144]


def test_how_many_chosen_rates_lie_at_an_end_of_the_grid_is_said():
    """By comparison and end: a better rate may lie beyond. Inside the grid nothing is said."""
    chosen = pd.read_csv(choose.CHOSEN)
    tuned = "Of 6 tuned choices 4 took the highest rate and 2 took the lowest rate"
    assert (
        analysis.ends_text(chosen)
        == f"{tuned}, of 6 default choices 4 took the highest rate: one beyond may be better. "
    )
    only = chosen.assign(lr=chosen.lr.where(chosen.comparison == "tuned", 3e-3))
    assert analysis.ends_text(only) == f"{tuned}: one beyond may be better. "
    assert analysis.ends_text(chosen.assign(lr=3e-3)) == ""
    (group,) = sweep.groups("quick", OPTIONS)
    frame = pd.DataFrame(experiment.run(group, lambda done, total: None), columns=COLUMNS)
    assert f"at the first width. {tuned}, of 6 default" in analysis.analyse(frame).section.lead
