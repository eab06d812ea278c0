"""What the report says of the latch, from records made up for it."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from experiments.harness import figures
from experiments.harness.arms import ARMS
from experiments.harness.statistics import T50
from experiments.memory.latch import analysis, experiment, pictures, sweep
from experiments.memory.latch.pilot import PILOT_DELAYS, PILOT_SOLVED
from experiments.memory.learning import NEVER
from properties.record import COLUMNS, Record

PRESETS = tuple(sweep.PRESETS)
T50S = {"lstm_b0": 12, "lstm_b1": 25, "rnn_uniform": 25, "lstm_b3": 65, "lstm_chrono": 200, "rnn_orthogonal": 180}
T50S |= {"rnn_orthogonal_torch_biases": 150, "rnn_identity": 60, "irnn": 90}


pytestmark = pytest.mark.usefixtures("drawing")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_gives_three_figures_and_three_tables_that_say_something(preset):
    """Titles, texts and data are there and hold no number that is none."""
    report = analysis.analyse(made_up(preset)).section
    assert [figure.name for figure in report.figures] == ["success", "t50", "updates"]
    assert [table.name for table in report.tables] == ["t50", "solved", "ratios"]
    for text in texts(report):
        assert text and not {"nan", "inf", "-inf"} & set(re.findall(r"-?\w+", text)), text
    arms, lengths = len(sweep.PRESETS[preset].arms), len(sweep.PRESETS[preset].lengths)
    assert [len(figure.data) for figure in report.figures] == [arms * lengths, arms, arms * lengths]


def test_the_smoke_preset_runs_through_to_its_report():
    """Few updates, two delays, eight seeds: real runs, in which most models have not learnt."""
    groups = sweep.groups("smoke", SimpleNamespace(engine="numpy"))
    records = [record for group in groups for record in experiment.run(group, lambda done, total: None)]
    report = analysis.analyse(pd.DataFrame(records, columns=COLUMNS)).section
    solved = sum(record.value for record in records if record.metric == "solved")
    assert report.figures[0].data.solved.sum() == solved
    assert report.figures[2].data.never_solved.sum() == len(records) / len(METRICS) - solved


def test_the_order_of_the_rows_does_not_reach_the_report():
    """The same records in another order: the same words, tables and data, to the bit."""
    a, b = in_two_orders()
    assert texts(a) == texts(b)
    for one, other in zip(a.figures, b.figures, strict=True):
        pd.testing.assert_frame_equal(one.data, other.data, check_exact=True)


@pytest.mark.slow
def test_the_order_of_the_rows_does_not_reach_the_pictures():
    """The same of all pictures, byte for byte."""
    for one, other in zip(*(section.figures for section in in_two_orders()), strict=True):
        assert figures.svg(one.canvas, one.name) == figures.svg(other.canvas, other.name)


def in_two_orders():
    """The section of made-up records, and that of the same in another order."""
    frame = made_up("smoke")
    shuffled = frame.sample(frac=1, random_state=np.random.default_rng(3))
    assert not frame.index.equals(shuffled.index)
    return [analysis.analyse(some).section for some in (frame, shuffled)]


def test_records_of_others_do_not_reach_the_report():
    """Another source, and another task of the same source, change nothing."""

    def words(frame):
        fits = fitted(frame)
        return analysis.lead(fits), analysis.solved_table(fits).frame.to_csv(), pictures.success_alt(fits)

    frame = made_up("smoke")
    others = frame.assign(source="language_model"), frame.assign(setting="adding" + frame.setting.str[5:], value=1.0)
    assert words(pd.concat([frame, *others])) == words(frame)


def test_no_records_are_refused_by_name():
    """Without a record of the latch there is nothing to report."""
    with pytest.raises(ValueError, match="`frame` must hold records of the latch"):
        analysis.analyse(made_up("smoke").assign(source="gradient_flow"))


@pytest.mark.parametrize(("share", "text"), [(1.0, "> 160"), (0.0, "< 5")])
def test_all_or_none_solved_is_said_as_beyond_the_delays_run(share, text):
    """No T50 is named that no delay supports, no order is claimed, and no ratio is printed."""
    fits = fitted(made_up("tour", solve=lambda arm, delay: share))
    assert set(analysis.t50_table(fits).frame["T50 (steps)"]) == {text}
    assert "too few to order the arms" in analysis.lead(fits)
    assert set(analysis.ratio_table(fits).frame["ratio of T50"]) == {""}
    assert "start decides" not in pictures.success_title(fits)
    assert pictures.t50_title(fits, pictures.t50_data(fits)).startswith(f"Every T50 is {text} steps")


def test_arms_in_the_pilots_order_are_said_to_be():
    """All six pairs of neighbouring tiers stand as in the pilot, and far enough apart."""
    lead = analysis.lead(fitted(made_up("quick")))
    assert "This is the pilot's order: LSTM b_f=0 < {RNN uniform, LSTM b_f=1} < LSTM b_f=3 <" in lead
    assert "At 99 %, 6 of the 6 pairs of neighbouring tiers are in this order." in lead


def test_an_order_that_is_broken_is_named_pair_by_pair():
    """With b_f = 1 and b_f = 3 exchanged, the pair that stands against the pilot is named, and no other."""
    swapped = T50S | {"lstm_b1": T50S["lstm_b3"], "lstm_b3": T50S["lstm_b1"], "rnn_uniform": 14}
    lead = analysis.lead(fitted(made_up("quick", solve=steep(swapped))))
    assert "stand LSTM b_f=1 and LSTM b_f=3." in lead
    assert "This is the pilot's order" not in lead


def test_pairs_that_are_in_order_but_close_are_not_counted_as_apart():
    """Neighbours 5 % apart keep their order in T50, while no interval of their ratio is above 1."""
    close = T50S | {"lstm_b0": 25, "lstm_b1": 26, "rnn_uniform": 26, "lstm_b3": 27}
    lead = analysis.lead(fitted(made_up("quick", solve=steep(close))))
    assert "2 of the 6 pairs" in lead


def test_pairs_beyond_the_longest_delay_are_said_to_be_undecided():
    """Where both T50 lie beyond the delays run, their order is not claimed."""
    lead = analysis.lead(fitted(made_up("tour", solve=steep(T50S | {"lstm_b3": 500}))))
    assert "Not told apart by the delays run here: LSTM b_f=3 and LSTM chrono; LSTM b_f=3 and RNN orthogonal." in lead


def test_runs_that_never_solved_count_as_later_than_all_others():
    """With 9 of 16 never, the median is infinite; dropping them would have made it 100."""
    rows = pd.DataFrame({"arm": "lstm_b1", "delay": [5.0] * 16 + [7.0] * 16})
    rows["first_solved_step"] = [100.0] * 7 + [NEVER] * 9 + [100.0] * 9 + [NEVER] * 7
    data = pictures.updates_data(rows)
    assert data["median"].tolist() == [math.inf, 100.0]
    assert data.never_solved.tolist() == [9, 7]
    assert data.high.tolist() == [math.inf, math.inf]


def test_the_title_of_updates_counts_the_starts_whose_median_run_never_solves():
    """At the longest delay that two medians reach: of how many starts they are, and of how many there is none."""
    medians = {("lstm_b0", 10): 50, ("lstm_b1", 10): 75, ("irnn", 10): 125, ("lstm_b0", 160): math.inf}
    medians |= {("lstm_b1", 160): 287.5, ("irnn", 160): 100, ("irnn", 320): 100}
    rows = [(arm, delay, 8, 8 * math.isinf(median), median) for (arm, delay), median in medians.items()]
    data = pd.DataFrame(rows, columns=["arm", "delay", "seeds", "never_solved", "median"])
    assert pictures.updates_title(data) == (
        "At delay 160 the median run of 2 of 3 starts solves, after 100 (IRNN) to 287.5 updates (LSTM b_f=1), "
        "of the other 1 never; over all delays 8 of 56 runs never solved"
    )
    short = pictures.updates_title(data[data.delay == 10])
    assert "of 3 of 3 starts solves, after 50 (LSTM b_f=0) to 125 updates (IRNN); over all" in short
    assert pictures.updates_title(data[data.delay == 320]) == "Over all delays 0 of 8 runs never solved"


def test_with_fewer_than_eight_seeds_intervals_of_the_median_are_open():
    """Four seeds cannot bound a median at 99 %: its interval is everything, and the report still stands."""
    data = analysis.analyse(made_up("smoke", seeds=4)).section.figures[2].data
    assert (data.seeds == 4).all()
    assert (data.low == -math.inf).all() and (data.high == math.inf).all()


def test_shares_stand_within_their_intervals_and_residuals_are_what_the_fit_leaves():
    """The figure's data are the counts of the records, nothing is smoothed before it is shown."""
    frame = made_up("full")
    data = pd.concat(map(pictures.success_data, fitted(frame)))
    words = analysis.misfit_sentence(analysis.names(fitted(frame)), "delay")
    counts = frame[frame.metric == "solved"].groupby(["setting", "index"]).value.sum()
    keys = [(f"latch/arm={arm}/delay={delay:g}", delay) for arm, delay in zip(data.arm, data.delay, strict=True)]
    assert data.solved.tolist() == [counts[key] for key in keys]
    assert ((data.low <= data.share) & (data.share <= data.high)).all()
    np.testing.assert_allclose(data.fitted + data.residual, data.solved / 16, rtol=0, atol=4e-16)
    worst = data.iloc[data.residual.abs().argmax()]
    assert f"at most {abs(worst.residual):.2f} ({ARMS[worst.arm].label} at delay {worst.delay:g})" in words


def test_an_arm_that_half_of_the_seeds_still_solve_beyond_its_t50_is_in_doubt():
    """Planted at the longest delay alone: named in the lead, in its row and in the ratios with it, others are not."""
    fits = fitted(made_up("full", solve=half_solve_the_longest))
    assert "RNN orthogonal (its counts do not follow the curve: deviance" in analysis.lead(fits)
    assert "8 of 16 still solve the longest, 1280" in analysis.lead(fits)
    rows = analysis.t50_table(fits).frame.set_index("arm").caution
    assert rows["RNN orthogonal"] and not rows.drop("RNN orthogonal").any()
    ratios = analysis.ratio_table(fits).frame
    assert (ratios.caution.str.endswith("in doubt: RNN orthogonal") == (ratios.RNN == "RNN orthogonal")).all()
    plain = fitted(made_up("full"))
    assert "caution" not in analysis.t50_table(plain).frame and "not to be trusted" not in analysis.lead(plain)


def test_a_t50_in_doubt_is_marked_in_headings_figures_and_the_order():
    """The same arm, wherever its T50 is said: the others, and the arms where nothing is planted, bear no mark."""
    fits, plain = fitted(made_up("full", solve=half_solve_the_longest)), fitted(made_up("full"))
    drawn = [draw(fits) for draw in (pictures.success, pictures.t50)]
    marked = [[said for said in words_of(figure) if "in doubt" in said] for figure in drawn]
    assert [said.partition("\n")[0] for some in marked for said in some] == ["RNN orthogonal:", "RNN"]
    assert all(said.endswith("(in doubt)") for some in marked for said in some)
    lead, t50 = analysis.lead(fits), fits_by_arm(fits)["rnn_orthogonal"].t50.value
    assert f"RNN orthogonal {t50:.0f} (in doubt)." in lead
    assert f"to {t50:.0f} (in doubt) over the RNN's starts: the start decides" in drawn[0].title
    assert f"to {t50:.0f} (in doubt) for RNN orthogonal;" in drawn[1].title
    assert f"RNN orthogonal {t50:.0f} (in doubt), " in drawn[1].alt
    assert "in this order. In doubt, as a T50 of the pair is: LSTM b_f=3 and RNN orthogonal. " in lead
    clean = [draw(plain) for draw in (pictures.success, pictures.t50)]
    said = [analysis.lead(plain), *(f.title + f.alt for f in clean), *(word for f in clean for word in words_of(f))]
    assert not any("in doubt" in word for word in said)


def test_a_start_whose_t50_is_in_doubt_does_not_make_the_start_decide():
    """Without the doubtful best start the RNN's T50 hardly differ: the heading does not say that they do."""
    t50s = T50S | dict.fromkeys(("rnn_orthogonal_torch_biases", "rnn_identity", "irnn"), 26)
    rises = {("rnn_orthogonal", 1280): 8 / 16}
    solve = steep(t50s)
    fits = fitted(made_up("full", solve=lambda arm, delay: rises.get((arm, delay), solve(arm, delay))))
    assert pictures.start_decides(fits) and "start decides" not in pictures.success_title(fits)


def test_the_pilots_own_counts_do_not_differ_from_the_pilot_and_others_do():
    """A count that chance does not explain is named with both numbers; 13 of 16 beside 16 of 16 is chance."""
    same = made_up("full", solve=pilot_share)
    assert "Of 18 counts that the pilot also has, none differs at 1 %" in analysis.lead(fitted(same))
    changed = {("lstm_b1", 20): 3 / 16, ("lstm_b3", 20): 13 / 16}
    other = made_up("full", solve=lambda arm, delay: changed.get((arm, delay), pilot_share(arm, delay)))
    lead = analysis.lead(fitted(other))
    assert "1 differs" in lead and "LSTM b_f=1 at delay 20 (3 of 16 here, 16 of 16 there)" in lead
    assert "LSTM b_f=3 at delay 20 (" not in lead


def test_t50_in_proportion_to_the_half_life_leaves_no_residual():
    """The prediction is one multiple of the half-life: planted exactly, it is found. Other arms have none."""
    fits = [fit(arm, 7.0 * (ARMS[arm].half_life or 20.0)) for arm in ARMS]
    data = pictures.t50_data(fits).set_index("arm")
    with_form = [arm for arm in ARMS if ARMS[arm].half_life]
    np.testing.assert_allclose(data.residual[with_form], 1.0, rtol=1e-12)
    np.testing.assert_allclose(data.predicted[with_form] / data.half_life[with_form], 7.0, rtol=1e-12)
    assert data.predicted.drop(with_form).isna().all() and len(with_form) == 4
    title = pictures.t50_title(fits, data.reset_index())
    assert title.endswith("it is 7 to 7 half-lives, and one multiple fitted to these same 4 is off by up to a factor 1")


def test_chrono_is_explained_where_it_is_run():
    """A row of the settings, and none where no model starts so."""
    frame = made_up("tour")
    assert "T_max = 1.5 times the delay" in analysis.analyse(frame).settings["latch: LSTM chrono"]
    others = frame[~frame.setting.str.contains("chrono")]
    assert "latch: LSTM chrono" not in analysis.settings(analysis.seeds_table(others))


def test_how_many_half_lives_t50_is_stands_beside_the_multiple_that_was_fitted_to_them():
    """Two starts at 3 and 12 half-lives: the multiple is 6, off by 2 at both."""
    fits = [fit(arm, n * ARMS[arm].half_life) for arm, n in (("lstm_b1", 12.0), ("lstm_b3", 3.0))]
    title = pictures.t50_title(fits, pictures.t50_data(fits))
    assert "it is 3 to 12 half-lives" in title and title.endswith("fitted to these same 2 is off by up to a factor 2")


def test_a_t50_in_doubt_is_no_part_of_the_multiple():
    """A third start at 30 half-lives, of which half of the seeds still solve the longest delay: it stays 6."""
    fits = [fit(arm, n * ARMS[arm].half_life) for arm, n in (("lstm_b1", 12.0), ("lstm_b3", 3.0), ("lstm_b0", 30.0))]
    fits[2].solved[-1] = 9
    data = pictures.t50_data(fits).set_index("arm")
    assert fits[2].doubt and math.isnan(data.residual["lstm_b0"])
    title = pictures.t50_title(fits, data.reset_index())
    assert "of 2 starts with a half-life in closed form and no doubt about T50 it is 3 to 12 half-lives" in title
    np.testing.assert_allclose((data.predicted / data.half_life).to_numpy(), 6.0, rtol=1e-12)


@pytest.mark.parametrize(("best_rnn", "said"), [(150.0, True), (30.0, False)])
def test_the_title_says_that_the_start_decides_only_where_it_does(best_rnn, said):
    """It does where the cells' best starts are closer to each other than the starts of either cell are."""
    values = {"lstm_b0": 10.0, "lstm_chrono": 160.0, "rnn_uniform": 20.0, "rnn_orthogonal": best_rnn}
    assert ("start decides" in pictures.success_title([fit(arm, value) for arm, value in values.items()])) is said


@pytest.mark.parametrize(("pilot", "out"), [(15, True), (20, False), (25, True), (math.inf, True), (math.nan, False)])
def test_an_interval_leaves_out_a_t50_below_above_or_beyond_it(pilot, out):
    """The interval is 18 to 22; what lies beyond the pilot's 160 lies above it, and no T50 is nothing left out."""
    assert analysis.leaves_out(fit("lstm_b1", 20.0), pilot) is out
    beyond = replace(fit("lstm_b1", 20.0), t50=T50(150.0, 120.0, math.inf, math.log(150), 5.0))
    assert not analysis.leaves_out(beyond, math.inf)


@pytest.mark.parametrize(
    ("value", "text"),
    [(13.44, "13.4"), (134.4, "134"), (7.25, "7.2"), (math.inf, "> 160"), (0.0, "< 5"), (160.0, "160")],
)
def test_delays_are_written_to_few_figures_and_never_beyond_those_run(value, text):
    """Two or three figures, from 100 on whole steps; outside the delays run only the side is said."""
    assert pictures.in_steps(value, (5, 160)) == text


def test_delays_of_four_figures_are_written_whole():
    """Both within the delays run and as their end."""
    assert [pictures.in_steps(value, (1024, 1280)) for value in (1234.4, math.inf, 0.0)] == ["1234", "> 1280", "< 1024"]


METRICS = ("solved", "cost", "accuracy", "first_solved_step", "updates", "updates_allowed", "held_out_rows")


def steep(t50s):
    """Shares that fall from one to zero within a factor of two around each arm's T50."""
    return lambda arm, delay: float(np.clip(0.5 - np.log2(delay / t50s[arm]), 0, 1))


def half_solve_the_longest(arm, delay):
    """Shares that fall, but for half of the RNN orthogonal's seeds at the longest delay."""
    return 8 / 16 if (arm, delay) == ("rnn_orthogonal", 1280) else steep(T50S)(arm, delay)


def pilot_share(arm, delay):
    """The pilot's share where it has one, else a steep fall."""
    known = dict(zip(PILOT_DELAYS, PILOT_SOLVED.get(arm, ()), strict=False))
    return known[delay] / 16 if delay in known else steep(T50S)(arm, delay)


def made_up(preset, solve=None, seeds=None):
    """Records of a whole sweep in which a share of the seeds solves, the first ones, after more updates the longer."""
    solve, sizes = solve or steep(T50S), sweep.PRESETS[preset]
    n, records = seeds or sizes.seeds, []
    for group in sweep.groups(preset, SimpleNamespace(engine="numpy")):
        arm, delay = group.settings["arm"], group.settings["length"]
        solved = np.arange(n) < round(n * solve(arm, delay))
        steps = np.where(solved, np.minimum(25 * (1 + np.arange(n) % 3 + delay // 40), sizes.updates), NEVER)
        for seed in range(n):
            right = 0.5 + 0.5 * solved[seed]
            values = (solved[seed], 1 - right, right, steps[seed], sizes.updates, sizes.updates, sizes.held_out)
            for metric, value in zip(METRICS, values, strict=True):
                records.append(Record("memory", group.setting, seed, metric, delay, float(value)))
    return pd.DataFrame(records, columns=COLUMNS)


def fitted(frame):
    """Every arm's counts and T50, without the pictures."""
    return analysis.fit_arms(analysis.seeds_table(frame))


def fit(arm, value):
    """An arm with a T50 that is given and counts that fall there, run at delays 5 to 160."""
    delays = np.array(sweep.ladder(160), float)
    counts = 8 * (1 + np.sign(value - delays)).astype(int), np.full(len(delays), 16)
    return pictures.Fit(arm, delays, *counts, T50(value, value / 1.1, value * 1.1, math.log(value), 100.0))


def fits_by_arm(fits):
    """Fits by their arm."""
    return {fit.arm: fit for fit in fits}


def words_of(figure):
    """All that is written in a picture, each text once."""
    return dict.fromkeys(text.get_text() for text in figure.canvas.findobj(Text))


def texts(report):
    """All that is written in a report."""
    tables = [table.title + table.frame.to_csv() for table in report.tables]
    return [report.lead, *(f.title for f in report.figures), *(f.alt for f in report.figures), *tables]
