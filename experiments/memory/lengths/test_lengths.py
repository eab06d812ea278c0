"""Success by length: the sweep of chosen cells, and what is said of records made up for it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from scipy import stats

from experiments import claims
from experiments.harness import arms, figures
from experiments.memory import fits
from experiments.memory.grid.sweep import SETTINGS, width
from experiments.memory.learning import TASKS, run
from experiments.memory.lengths import analysis, pictures, sweep
from experiments.memory.lengths.runs import DECIDING, lost, pairs, reached
from properties.record import COLUMNS, Record

OPTIONS = SimpleNamespace(engine="numpy")
PRESETS = ("smoke", "tour", "quick", "full")


@pytest.fixture(autouse=True)
def drawing():
    """Figures are drawn in the reports' style and closed after each test."""
    with figures.style():
        yield
    plt.close("all")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_group_has_its_own_setting_and_key_and_plain_settings(preset):
    """No cell is run twice; settings survive JSON; a group of the full preset takes less than nine minutes."""
    groups = sweep.groups(preset, OPTIONS)
    assert len({g.setting for g in groups}) == len({g.key for g in groups}) == len(groups)
    assert all(json.loads(json.dumps(g.settings)) == g.settings for g in groups)
    assert max(g.cost for g in groups) < 540


def test_the_records_are_those_that_the_claim_reads():
    """Each task of N12 has one LSTM and one RNN, tuned and default, of 16 seeds, that the claim's patterns find."""
    for word, claim in (("tuned", claims.CLAIMS["N12"]), ("default", claims.CLAIMS["N12"].default)):
        preset = "quick" if word == "tuned" else "full"
        settings = {g.setting for g in sweep.groups(preset, OPTIONS) if g.setting.startswith(word)}
        for quantity in claim.quantities:
            for pattern, cell in zip(quantity.settings, ("lstm", "rnn"), strict=True):
                one = claims.Quantity("", "", "t50 ratio", "memory", "solved", (pattern,))
                mine = {s.rsplit("/", 1)[0] for s in settings if one.reads("memory", "solved", s)}
                assert len(mine) == 1 and f"arm={cell}" in mine.pop()
    assert {len(g.seeds) for g in sweep.groups("quick", OPTIONS) if not g.setting.startswith("pilot")} == {16}


def test_lengths_rise_by_the_root_of_two():
    """As the rule asks, in the quick and in the full preset."""
    for preset in ("quick", "full"):
        for cell in sweep.chosen():
            lengths = np.array(sweep.lengths(cell, preset) or (1, math.sqrt(2)))
            assert len(lengths) > 1
            np.testing.assert_allclose(lengths[1:] / lengths[:-1], math.sqrt(2), rtol=0.07)


def test_the_cells_of_a_task_have_equal_multiply_adds_width_by_width():
    """4 H (H + D) of the LSTM and n (n + D) of the RNN differ by less than one unit's worth."""
    for task, sizes in SETTINGS.items():
        D = TASKS[task].D
        for H in sizes.widths:
            n, products = width("rnn", H, D), 4 * H * (H + D)
            assert abs(n * (n + D) - products) <= (2 * n + D + 1) / 2
    assert arms.equal_width(8, 1) == 16 and arms.equal_width(32, 2) == 65


def test_the_verdict_and_the_words_follow_the_records():
    """An LSTM that reaches three times as far everywhere supports N12; the comparisons' difference is said."""
    far = {"lstm": 120, "rnn": 40}
    frame = made_up({(c, task): far for c in ("tuned", "default") for task in DECIDING})
    assert "By either comparison N12 is supported." in lead(frame)
    turned = made_up(
        {("tuned", task): {"lstm": 40, "rnn": 120} for task in DECIDING} | {("default", t): far for t in DECIDING}
    )
    assert "N12 is contradicted by tuned cells and supported by default ones." in lead(turned)
    title = pictures.ratios(pairs(reached(turned))).title
    assert title.endswith("on no task, less far on latch and adding and timer (99 %)")


def test_a_share_that_does_not_fall_with_the_length_is_said_to_be_no_measure():
    """Three quarters of the seeds at every length: named; a cell that falls from all to none is not."""
    records = [
        Record("memory", f"tuned/latch/arm=rnn_uniform/H=8/lr=0.01/delay={length}", s, "solved", length, float(s < 12))
        for length in (80, 113, 160)
        for s in range(16)
    ]
    flat = pd.concat([stamped(records), made_up({("tuned", "adding"): {"lstm": 60, "rnn": 40}})])
    sentence = analysis.flat_sentence(reached(flat))
    assert "RNN uniform on latch, tuned (80: 12, 113: 12, 160: 12)" in sentence and "adding" not in sentence


def test_of_a_share_that_does_not_fall_text_and_tables_say_the_same():
    """About half at every length: no T50 and no bound; nearly all at every length: what bounds it is said."""
    frame = counted("default/latch", "rnn_uniform", {80: 7, 113: 4, 160: 8, 226: 5})
    frame = pd.concat([frame, counted("default/latch", "lstm_b1", {20: 16, 28: 0, 40: 0})])
    section = analysis.analyse(frame).section
    row = section.tables[0].frame.set_index("cell").loc["RNN uniform"]
    assert (row["T50 (steps)"], row["99 % interval"]) == ("none (no fall seen)", "any")
    assert "none (no fall seen) for the RNN" in section.lead
    assert "T50 is no measure and has no bound for RNN uniform on latch, default." in section.lead
    (most,) = reached(counted("tuned/latch", "rnn_orthogonal", {226: 15, 320: 12, 453: 14}))
    sentence = analysis.flat_sentence([most])
    assert "no bound" not in sentence and sentence.endswith("RNN orthogonal on latch, tuned (450 to > 453).")
    (few,) = reached(counted("tuned/latch", "rnn_orthogonal", {226: 1, 320: 4, 453: 1}))
    assert few.flat and not few.unmeasured and few.fit.t50.low == 0
    assert re.search(r"RNN orthogonal on latch, tuned \(< 226 to \d+\)\.$", analysis.flat_sentence([few]))


def test_a_share_that_rises_with_the_length_gives_no_t50():
    """Surely so from 4 to 14 of 16, from none, and at two lengths; one that surely falls, and all or none, do.

    Nor do counts from which no falling curve can be drawn, and one length alone, of which no fall is said to be missed.
    """
    rises = ({80: 4, 113: 7, 160: 10, 226: 14}, {80: 0, 113: 7, 160: 14}, {80: 7, 113: 9})
    for rising in (*rises, {80: 16, 113: 0, 160: 0, 226: 16, 320: 15}):
        (one,) = reached(counted("tuned/latch", "rnn_uniform", rising))
        assert one.unmeasured and one.t50 == one.warned == "none (no fall seen)"
        assert analysis.t50_interval(one) == "any" and "RNN uniform on latch, tuned (80: " in analysis.flat_sentence(
            [one]
        )
    for falling in ({80: 14, 113: 10, 160: 7, 226: 4}, {80: 16, 113: 16, 160: 16}, {80: 0, 113: 0, 160: 0}):
        (one,) = reached(counted("tuned/latch", "rnn_uniform", falling))
        assert not one.flat and analysis.flat_sentence([one]) == ""

    (one,) = reached(counted("tuned/latch", "rnn_uniform", {80: 8}))
    assert one.unmeasured and one.warned == "none (no fall seen)" and analysis.flat_sentence([one]) == ""


def test_a_t50_that_its_interval_does_not_bound_is_marked_in_title_legend_and_text():
    """From 11 of 16 to 3 within a factor 2 nothing is bounded at 99 %; from 16 to 2 both sides are."""
    rnn = counted("tuned/latch", "rnn_uniform", {160: 16, 226: 0, 320: 0})
    for solved, told in (((11, 9, 3), r"\d+ \(no bound\)"), ((16, 8, 2), r"\d+")):
        lstm = counted("tuned/latch", "lstm_b3", dict(zip((160, 226, 320), solved, strict=True)))
        section = analysis.analyse(pd.concat([lstm, rnn])).section
        figure = section.figures[0]
        assert re.search(rf"Latch, tuned: T50 is {told} for the LSTM \(b_f=3, ", section.lead)
        assert re.search(rf": latch LSTM {told} and RNN \d+$", figure.title)
        legend = [text.get_text() for text in figure.canvas.findobj(Text)]
        assert any(re.fullmatch(f"tuned: LSTM b_f=3, T50 {told}", text) for text in legend)
    (wild,) = reached(counted("tuned/latch", "lstm_b3", {80: 16, 113: 1, 160: 16, 226: 3, 320: 9}))
    assert wild.doubt and not wild.flat and not wild.bounded and wild.warned.endswith(" (no bound, in doubt)")


def test_why_the_lengths_end_is_told_by_the_rule_that_the_ledger_has():
    """At most 2 of 16 at the longest, a latch of 1,280 steps, or else the time."""
    few, longest, time = "at most 2 of 16 solve the longest", "the rule's longest", "as far as the preset's time allows"
    for task, counts, why in (
        ("latch", {80: 16, 1280: 2}, few),
        ("latch", {80: 16, 1280: 3}, longest),
        ("latch", {80: 16, 640: 3}, time),
        ("adding", {80: 16, 1280: 3}, time),
    ):
        (one,) = reached(counted(f"tuned/{task}", "rnn_uniform", counts))
        assert one.ends == why


def test_a_length_with_more_seeds_is_compared_by_its_share():
    """6 of 8 and then 9 of 16 is a fall."""
    few = counted("tuned/latch", "rnn_uniform", {80: 6}).query("seed < 8")
    (one,) = reached(pd.concat([few, counted("tuned/latch", "rnn_uniform", {113: 9})]))
    assert one.fit.seeds.tolist() == [8, 16] and not one.flat


def test_runs_that_no_longer_solve_their_task_at_the_end_are_counted():
    """Of 5 that solved, one has a cost at the threshold when its group stops. Pilots do not count."""
    below = TASKS["latch"].SOLVED_BELOW
    costs = [below / 2] * 4 + [below, 2 * below]
    found = [
        (setting, seed, metric, value)
        for setting in ("tuned/latch/arm=lstm_b1/delay=80", "pilot/latch/arm=lstm_b1/delay=80")
        for seed, cost in enumerate(costs)
        for metric, value in (("solved", seed < 5), ("cost", cost))
    ]
    frame = pd.DataFrame(found, columns=["setting", "seed", "metric", "value"]).assign(source="memory", index=80)
    assert lost(frame) == {"latch": (1, 5)} and lost(frame[frame.metric == "solved"]) == {}
    assert "when their group stopped, 1 of 5 on latch no longer did." in analysis.lost_sentence(lost(frame))
    assert analysis.lost_sentence({}) == ""


def test_cells_in_a_list_are_kept_apart_by_semicolons():
    """Their names hold commas: two that are told the length, and without a measure; two in doubt."""
    cells = [
        one
        for word in ("tuned", "default")
        for one in reached(counted(f"{word}/latch", "lstm_chrono", {80: 8, 113: 1, 160: 15, 226: 1, 320: 8}))
    ]
    both = "LSTM chrono on latch, tuned; LSTM chrono on latch, default"
    assert f"Told the length: {both}. " in analysis.chrono_sentence(cells)
    assert analysis.flat_sentence(cells).endswith(f"T50 is no measure and has no bound for {both}.")
    assert [one.warned for one in cells] == ["none (no fall seen)"] * 2
    named = [(name, one.fit) for name, one in zip(both.split("; "), cells, strict=True)]
    assert fits.ratio_caution(named) == f"T50 in doubt: {both}"


def test_a_t50_that_is_no_measure_is_not_in_doubt_too():
    """Counts that follow no curve, and do not fall: "none" says all of it, in text, tables and the ratio."""
    wild = counted("tuned/latch", "rnn_uniform", {80: 8, 113: 1, 160: 15, 226: 1, 320: 8})
    frame = pd.concat([wild, counted("tuned/latch", "lstm_b1", {20: 16, 28: 0, 40: 0})])
    section = analysis.analyse(frame).section
    assert reached(wild)[0].fit.doubt and "none (no fall seen)" in section.lead
    assert "doubt" not in section.lead and "not to be trusted" not in section.lead
    assert all("caution" not in table.frame for table in section.tables)
    assert not any("doubt" in text for figure in section.figures for text in (figure.title, figure.alt))


@pytest.mark.parametrize("cell", ["lstm_b1", "rnn_uniform"])
def test_a_t50_that_is_no_measure_has_no_ratio(cell):
    """A curve that hardly falls crosses one half somewhere: no number in the table, no dot in the figure."""
    other = {"lstm_b1": "rnn_uniform", "rnn_uniform": "lstm_b1"}[cell]
    flat = counted("default/latch", cell, {80: 9, 113: 7, 160: 8, 226: 7})
    falls = counted("default/latch", other, {20: 16, 28: 8, 40: 0})
    assert 80 < next(one for one in reached(flat)).fit.t50.value < 226
    for second, number in ((flat, ""), (counted("default/latch", cell, {20: 16, 28: 8, 40: 0}), "1")):
        both = pairs(reached(pd.concat([falls, second])))
        assert analysis.ratio_table(both).frame["T50 ratio"].tolist() == [number]
        lines = pictures.ratios(both).canvas.axes[0].lines
        assert [len([line for line in lines if line.get_marker() == "o"])] == [bool(number)]


def test_a_t50_whose_counts_refute_its_curve_is_in_doubt_wherever_it_is_said():
    """Counts that fall and then rise again: text, tables, figures; beside them one that fits is not."""
    lengths = (14, 20, 28, 40, 57, 80, 113, 160, 226, 320, 453, 640, 905, 1280)
    solved = (16, 14, 13, 13, 9, 7, 4, 8, 5, 3, 3, 7, 2, 9)
    frame = counted("tuned/latch", "rnn_uniform", dict(zip(lengths, solved, strict=True)))
    frame = pd.concat([frame, counted("tuned/latch", "lstm_b1", {20: 16, 28: 0, 40: 0})])
    section = analysis.analyse(frame).section
    why = "its counts do not follow the curve: deviance 35 on 12 degrees of freedom, p < 0.01"
    assert f"{why}, and 9 of 16 still solve the longest, 1280" in section.lead
    assert "(T50 in doubt, see below)" in section.lead
    cells, ratios = (table.frame for table in section.tables)
    assert cells.set_index("cell").caution.str.startswith(why).to_dict() == {"LSTM b_f=1": False, "RNN uniform": True}
    assert ratios.caution.tolist() == ["T50 in doubt: RNN uniform on latch, tuned"]
    drawn = section.figures[0].canvas, section.figures[1].canvas
    said = [text.get_text() for canvas in drawn for text in canvas.findobj(Text)]
    assert "tuned: RNN uniform, T50 139 (in doubt)" in said
    assert "tuned: latch (in doubt)\nLSTM b_f=1 / RNN uniform" in said
    assert section.figures[0].title.endswith("latch LSTM 23.7 and RNN 139 (in doubt)")
    assert section.figures[1].title.endswith("less far on latch (in doubt) (99 %)")
    assert section.figures[1].alt.startswith("T50 ratio, 99 % interval: tuned latch (in doubt): 0.")
    clean = analysis.analyse(made_up({("tuned", "latch"): {"lstm": 60, "rnn": 40}})).section
    assert "doubt" not in clean.lead and all("caution" not in table.frame for table in clean.tables)


def test_a_cell_that_is_told_the_length_is_said_to_be():
    """Chrono's biases are made for it; without chrono nothing is said."""
    frame = pd.concat(
        [
            counted("tuned/adding", "lstm_chrono", {20: 16, 40: 16}),
            counted("tuned/adding", "rnn_uniform", {20: 16, 40: 0}),
        ]
    )
    assert "Told the length: LSTM chrono on adding, tuned." in lead(frame)
    assert "Told the length" not in lead(made_up({("tuned", "adding"): {"lstm": 60, "rnn": 40}}))


def test_the_deviance_is_twice_the_log_likelihood_that_the_curve_lacks():
    """By binomial likelihoods: of shares as counted over those of the curve; two lengths leave nothing to test."""
    (one,) = reached(counted("tuned/latch", "rnn_orthogonal", {20: 16, 40: 9, 80: 11, 160: 0}))
    n, k = one.fit.seeds, one.fit.solved
    lacks = stats.binom.logpmf(k, n, k / n) - stats.binom.logpmf(k, n, one.fit.t50.share(one.fit.delays))
    found = fits.misfit(one.fit)
    assert found.deviance == pytest.approx(2 * lacks.sum(), rel=1e-9) and found.freedom == 2
    (two,) = reached(counted("tuned/latch", "rnn_orthogonal", {20: 16, 40: 9}))
    assert fits.misfit(two.fit).p == 1 and two.fit.doubt == ""


def test_half_at_the_longest_length_is_a_doubt_only_where_t50_surely_lies_below_it():
    """Half of the seeds there, and T50 with its interval below: a doubt. Fewer, or an interval that goes on: none."""
    for last, high, doubted in ((8, 30.0, True), (7, 30.0, False), (8, 40.0, False), (8, math.inf, False)):
        (one,) = reached(counted("tuned/latch", "rnn_uniform", {20: 8, 40: last}))
        fit = replace(one.fit, t50=one.fit.t50._replace(value=20.0, high=high))
        assert fit.doubt == (f"{last} of 16 still solve the longest, 40" if doubted else "")


def test_of_cells_run_at_one_length_no_curve_is_told():
    """Alone they give no sentence; beside others they are not where the curves miss most."""
    one, two = reached(
        pd.concat(
            [
                counted("tuned/latch", "lstm_b1", {20: 9}),
                counted("tuned/latch", "rnn_orthogonal", {20: 16, 40: 9, 80: 0}),
            ]
        )
    )
    assert fits.misfit_sentence(analysis.names([one]), "length") == ""
    both, alone = (fits.misfit_sentence(analysis.names(some), "length") for some in ([one, two], [two]))
    assert both == alone and "(RNN orthogonal on latch, tuned at length " in both


def test_ratios_are_the_lstms_over_the_rnns():
    """Exchanged, the ratio would be a third."""
    frame = made_up({("tuned", task): {"lstm": 120, "rnn": 40} for task in DECIDING})
    for pair in pairs(reached(frame)):
        assert 2 < pair.ratio.low < 3 < pair.ratio.high and pair.lstm.cell == "lstm"


def test_whether_the_longest_length_ends_as_the_rule_asks_is_said():
    """At most 2 of 16 solve the longest, or the preset ended before."""
    frame = made_up({("tuned", "latch"): {"lstm": 60, "rnn": 10_000}})
    ends = {one.cell: one.ends for one in reached(frame)}
    assert ends["lstm"].startswith("at most 2 of 16") and ends["rnn"].startswith("as far as")


def test_counts_that_differ_from_the_pilots_are_named():
    """The pilot's own counts do not; none of 8 where the pilot had all does."""
    same = pilot_records(lambda trial, length: trial.pilot[length])
    n = sum(len(trial.pilot) for trial in sweep.TRIALS)
    title = analysis.analyse(same).section.figures[-1].title
    assert title == f"Of {n} counts of the pilot none differ from ours at 1 % over all"
    first = sweep.TRIALS[0]
    none = pilot_records(lambda trial, length: 0 if (trial, length) == (first, 20) else trial.pilot[length])
    title = analysis.analyse(none).section.figures[-1].title
    assert title.endswith("1 differ from ours at 1 % over all: LSTM b_f=1 on temporal order at 20")


def test_the_smoke_preset_runs_through_to_its_section():
    """Real runs, in which hardly any model has learnt; nothing printed is no number."""
    groups = sweep.groups("smoke", SimpleNamespace(engine="fast"))
    chosen = [g for g in groups if g.setting.startswith(("default/latch", "pilot/temporal_order/arm=rnn_uniform"))]
    records = [record for g in chosen for record in run(g, lambda done, total: None)]
    section = analysis.analyse(pd.DataFrame(records, columns=COLUMNS)).section
    texts = [section.lead, *(f.title + f.alt for f in section.figures), *(t.frame.to_csv() for t in section.tables)]
    assert len(section.figures) == 3
    assert all(not {"nan", "inf"} & set(re.findall(r"-?\w+", text)) for text in texts)


def made_up(t50s):
    """Records of 16 seeds at rising lengths, of which all solve below T50 and none above."""
    records = []
    for (comparison, task), reach in t50s.items():
        for cell, t50 in reach.items():
            arm = {"lstm": "lstm_b1", "rnn": "rnn_uniform"}[cell]
            for length in (20, 28, 40, 57, 80, 113, 160):
                setting = f"{comparison}/{task}/arm={arm}/H=8/lr=0.01/delay={length}"
                records += [Record("memory", setting, s, "solved", length, float(length < t50)) for s in range(16)]
    return stamped(records)


def counted(place, arm, solved):
    """Records of 16 seeds of which so many solve each length."""
    setting = f"{place}/arm={arm}/H=8/lr=0.01/delay="
    return stamped(
        Record("memory", f"{setting}{length}", s, "solved", length, float(s < n))
        for length, n in solved.items()
        for s in range(16)
    )


def pilot_records(solved):
    """Records of the pilot's settings with so many of 8 seeds solved."""
    return stamped(
        Record(
            "memory", f"pilot/{t.task}/arm={t.arm}/delay={length}", s, "solved", length, float(s < solved(t, length))
        )
        for t in sweep.TRIALS
        for length in sweep.trial_lengths(t, "quick")
        for s in range(8)
    )


def stamped(records):
    """A frame of records, each with the hashes of the claims that read it."""
    rows = [r._replace(rule=claims.rules_for(r.source, r.metric, r.setting)) for r in records]
    return pd.DataFrame(rows, columns=COLUMNS)


def lead(frame):
    """The section's text."""
    return analysis.analyse(frame).section.lead
