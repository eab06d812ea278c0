"""The report of the modes: what it says follows the records, whole or few, of the tasks or of a file of the user's."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest

from experiments.harness import figures
from experiments.modes import analysis, experiment, overview, steps, sweep
from experiments.modes.data import DATA, DECIDING
from experiments.modes.reading import CONTROL, OTHERS, SUCCESS, gathered
from experiments.tasks import dates, digit_rows, moving_digits
from impl import draw
from properties.record import COLUMNS, Record, read_csv, to_csv

MODES = {task.MODE: name for name, task in DATA.items() if name in DECIDING.values()}
KEPT = [("digit_rows", cell, inputs) for cell in sweep.ARMS for inputs in (sweep.OWN_INPUTS, sweep.SHUFFLED)]
KEPT += [("digit_names", cell, sweep.OWN_INPUTS) for cell in sweep.ARMS]
KEPT += [(data, "rnn", sweep.OWN_INPUTS) for data in ("dates", "moving_digits")]
"""Groups of the smoke preset that are run here: every kind of record, in a quarter of its time."""


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Records of part of a smoke run, written and read back, and the report of them with each figure drawn once."""
    options = SimpleNamespace(engine="fast")
    groups = [sweep.group(DATA[data], cell, inputs, "smoke", options) for data, cell, inputs in KEPT]
    return measured(groups, tmp_path_factory.mktemp("smoke"))


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The same of a file of the user's, with classes of sequences and of steps."""
    folder, rng = tmp_path_factory.mktemp("own"), draw.generator("modes report", "own")
    lines = ["sequence,label,step_label,x"]
    for n in range(60):
        label, x = ("run / jog", "walk=slow")[n % 2], rng.standard_normal(1 + n % 4)
        lines += [f"{n},{label},{'up' if value > 0 else 'down'},{value}" for value in x]
    (folder / "own.csv").write_text("\n".join(lines), "utf-8")
    given = SimpleNamespace(engine="fast", data=folder / "own.csv")
    return measured(sweep.groups("smoke", given), folder, [Record("run", "modes/preset=smoke/data=own", 0, "x", 0, 1)])


def measured(groups, folder, more=()):
    """Records of groups, the report of them, and its figures as SVG."""
    path = folder / "results.csv"
    ran = [r for group in groups for r in experiment.run(group, lambda done, total: None)]
    path.write_text(to_csv([*ran, *more]), "utf-8")
    frame = read_csv(path)
    with figures.style():
        report = analysis.analyse(frame)
        drawn = [figures.svg(figure.canvas, figure.name) for figure in report.every_figure]
    return SimpleNamespace(frame=frame, report=report, drawn=drawn)


def frame_of(seeds=8, **levels):
    """Made-up records of the data that decide N5: success DATA_CELL, else .9, controls DATA_CELL_shuffled, else .1.

    Chance is .1 everywhere; seeds differ by .002 and their median is what is asked for.
    """
    rows, spread = [], 0.002 * (np.arange(seeds) - (seeds - 1) / 2)
    for mode, data in MODES.items():
        for cell in figures.NAMES:
            for inputs, usual in (("own", 0.9), (OTHERS, 0.1)):
                value = levels.get(f"{data}_{cell}" + ("" if inputs == "own" else f"_{OTHERS}"), usual)
                found = {"success": value + spread, "chance": 0.1 + 0 * spread, "rows": 100 + 0 * spread}
                at = f"{mode}/data={data}/cell={cell}/inputs={inputs}"
                rows += [(at, metric, 50, values) for metric, values in found.items()]
            own = f"{mode}/data={data}/cell={cell}/inputs=own"
            rows += [(own, "success_validation", 10 * k, spread + share) for k, share in enumerate((0.1, 0.5, 0.8))]
            rows += [(f"{own}/law=modes", "cases", 50, 60 + 0 * spread), (f"{own}/law=modes", "breaks", 50, 0 * spread)]
            rows += [(own, "other_twin_differs", 50, 0 * spread)]
    return recorded(rows)


def recorded(rows):
    """A frame of (setting, metric, index, values by seed)."""
    each = [Record("modes", s, n, m, i, float(v)) for s, m, i, values in rows for n, v in enumerate(values)]
    return pd.DataFrame(each, columns=COLUMNS)


def by_step(mode, data, **cells):
    """What was tried on some data, with success by step as known lists."""
    at = {cell: f"{mode}/data={data}/cell={cell}/inputs=own" for cell in cells}
    rows = [(at[c], "success_by_step", t, [value] * 8) for c, values in cells.items() for t, value in enumerate(values)]
    return gathered(recorded([*rows, *((setting, "success", 9, [0.5] * 8) for setting in at.values())]))[0]


# Whole reports


def test_a_smoke_run_gives_every_section_figure_and_table(smoke):
    """The order is that of the modes; each figure has its title, its text and its data, and is drawn."""
    report = smoke.report
    assert [s.title for s in report.sections] == [
        *("Four modes, one cell", "One to many", "Many to one", "Delayed", "Aligned")
    ]
    names = [figure.name for figure in report.every_figure]
    expected = ["success", "learning", *(f"steps_{data}" for data in MODES.values())]
    assert [name for name in names if name in expected] == expected
    assert all(f.title and f.alt and len(f.data) for f in report.every_figure)
    assert len(smoke.drawn) == len(names) and all(svg.startswith("<svg") for svg in smoke.drawn)
    tables = [table.name for section in report.sections for table in section.tables]
    assert tables == ["modes_success", "modes_law", "kinds_digit_names", "kinds_digit_rows", "kinds_dates"]
    assert [v.number for v in report.verdicts] == ["N5"]


def test_the_table_has_the_medians_of_the_records(smoke):
    """Success, chance and both controls are those of the records at the end, computed here from the records alone."""
    table = next(t.frame for t in smoke.report.sections[0].tables if t.name == "modes_success")
    row = table[(table.data == "digit row by row") & (table.cell == "LSTM")].iloc[0]
    own = smoke.frame[smoke.frame.metric == "success"]
    for inputs, column in (("own", "success"), *overview.WITH.items()):
        values = own[own.setting == f"many_to_one/data=digit_rows/cell=lstm/inputs={inputs}"].value
        assert row[column] == f"{values.median():.3f} ({values.min():.3f} to {values.max():.3f})"
    assert (row["test rows"], row.seeds) == ("60", 8)
    drawn = smoke.report.every_figure[0].data
    mine = drawn[(drawn.data == "digit_rows") & (drawn.cell == "lstm") & (drawn.inputs == inputs)]
    assert mine.success.tolist() == values.tolist() and mine.n.tolist() == [*range(8)]


def test_what_is_dashed_beside_a_read_out_is_logistic_regression(smoke):
    """The column in the figure's data is 1 less the error of the rung."""
    data = next(f.data for f in smoke.report.every_figure if f.name == "steps_digit_rows")
    assert (data[steps.LINEAR] == 1 - digit_rows.rung().error).all() and sorted(data.step.unique()) == [*range(1, 9)]


def test_a_file_of_the_users_has_its_own_words(own):
    """Both modes it has labels for, its classes as typed, no threshold, and N5 not measured."""
    report = own.report
    assert report.title == "Modes: both cells on your file"
    assert [s.title for s in report.sections] == ["Both cells on your file", "Many to one", "Aligned"]
    assert "your labels" in report.lead and "your step labels" in report.lead and "N5" not in report.lead
    (kinds,) = [t.frame for s in report.sections for t in s.tables if t.name == "kinds_own"]
    assert kinds["class"].tolist() == ["run / jog", "walk=slow"]
    assert [f.name for f in report.every_figure] == ["success", "learning", "steps_own"]
    assert (report.verdicts[0].word, report.verdicts[0].note) == ("open", "not measured")
    assert len(own.drawn) == 3


def test_a_report_is_of_its_records_alone(own):
    """The rows' order and other experiments' records change nothing."""
    others = own.frame.iloc[:50].assign(source="speed", value=1e9)
    mixed = pd.concat([others, own.frame.sample(frac=1, random_state=1)], ignore_index=True)
    with figures.style():
        again = analysis.analyse(mixed)
    assert told_by(again) == told_by(own.report)


def told_by(report):
    """All that a report says, pictures apart."""
    texts = [report.title, report.lead, report.settings.to_csv(), *(s.lead for s in report.sections)]
    texts += [text for f in report.every_figure for text in (f.title, f.alt, f.data.to_csv())]
    return texts + [t.frame.to_csv() for s in report.sections for t in s.tables]


# Words


def test_the_title_says_that_all_modes_are_served():
    """Where every interval lies beyond what N5 asks for, and every control within."""
    title = overview.success_title(gathered(frame_of()))
    assert title.startswith(f"Each cell is more than {SUCCESS:g} above chance in all four modes")
    assert title.endswith(f"none is {CONTROL:g} above it (medians at most +0.000)")


def beside(frame, **above):
    """The records with data that do not decide N5: copies of those of digit_rows as MNIST-1D, success moved by cell."""
    more = frame[frame.setting.str.contains("digit_rows")]
    moved = more.setting.map(lambda setting: above.get("rnn" if "cell=rnn" in setting else "lstm", 0.0))
    moved = moved.where((more.metric == "success") & more.setting.str.endswith("inputs=own"), 0.0)
    more = more.assign(setting=more.setting.str.replace("digit_rows", "mnist1d"), value=more.value + moved)
    return gathered(pd.concat([frame, more], ignore_index=True))


def test_what_is_said_of_the_data_that_decide_is_not_said_of_the_others():
    """Title and lead name the data that decide N5, and who falls short on those that stand beside them."""
    deciding = "digit to its name, digit row by row, date to ISO date and moving digit"
    tried = beside(frame_of(), rnn=-0.497)
    title, lead = overview.success_title(tried), analysis.lead(tried)
    assert f"in all four modes, on the data that decide N5 ({deciding}); of the others the RNN on MNIST-1D, " in title
    assert "MNIST-1D, +0.303 (+0.296 to +0.310), is not surely more than 0.3 above chance; without" in title
    assert f"N5 is decided by {deciding}; MNIST-1D stands beside." in lead
    assert "Of the others the least is the RNN on MNIST-1D (many to one), +0.303 (+0.296 to +0.310)." in lead
    better = beside(frame_of(), rnn=0.05, lstm=0.06)
    assert "); on MNIST-1D each cell is more than 0.3 above chance; without" in overview.success_title(better)
    assert "Of the others the least is the RNN on MNIST-1D (many to one), +0.850 " in analysis.lead(better)
    alone = gathered(frame_of())
    assert "on the data" not in overview.success_title(alone) and "Of the others" not in analysis.lead(alone)


def test_a_cell_that_fails_is_named_with_its_number():
    """By the interval's end: a median above the threshold does not do."""
    title = overview.success_title(gathered(frame_of(dates_rnn=0.1 + SUCCESS + 0.002)))
    assert "in one to many, many to one and aligned, but not the RNN delayed (+0.302)" in title
    everywhere = {f"{data}_{cell}": 0.12 for data in MODES.values() for cell in figures.NAMES}
    assert overview.success_title(gathered(frame_of(**everywhere))).startswith("No cell is more than 0.3 above chance")


def test_a_control_above_its_threshold_is_named():
    """Also where its median is below and its interval reaches it."""
    for value, told in ((0.5, "+0.400"), (0.1 + CONTROL - 0.002, "+0.098")):
        title = overview.success_title(gathered(frame_of(moving_digits_lstm_shuffled=value)))
        assert f"not held below chance + {CONTROL:g}: the LSTM aligned with another row's input ({told})" in title


def test_the_lead_names_the_worst_and_the_better():
    """The least above chance; a cell is better only where the paired difference has one sign in its interval."""
    lead = analysis.lead(gathered(frame_of(dates_rnn=0.5, digit_rows_lstm=0.95, digit_names_lstm=0.905)))
    assert "the least above chance is the RNN on date to ISO date (delayed), +0.400 (+0.393 to +0.407)." in lead
    apart = "the LSTM on digit to its name, digit row by row and date to ISO date is better, paired by seed."
    assert f"At these settings, of equal width and not of equal cost, {apart}" in lead
    assert "Which cell is better is left open on moving digit." in lead
    assert "RNN 0.500 (0.493 to 0.507), LSTM 0.900 (0.893 to 0.907); chance 0.100" in lead


def test_few_seeds_have_no_interval_and_the_report_says_so():
    """With 4 seeds nothing is decided by intervals; medians are told, and that they are."""
    tried = gathered(frame_of(seeds=4, dates_rnn=0.5))
    lead, title = analysis.lead(tried), overview.success_title(tried)
    assert "0.500 (too few seeds for an interval)" in lead and "99 %" not in lead.partition("Which cell")[0]
    assert "Which cell is better is left open: fewer than 8 seeds have no 99 % interval." in lead
    assert title.endswith("; all by medians, since fewer than 8 seeds have no interval")
    assert not np.isfinite(overview.learned(tried[0].runs[0]).low).any()


def test_a_broken_law_is_told_with_its_rows():
    """Breaks are summed over seeds, by mode and cell."""
    frame = frame_of()
    assert "none breaks it" in overview.law_text(gathered(frame)) and "3,840" in overview.law_text(gathered(frame))
    at = (frame.metric == "breaks") & frame.setting.str.contains("dates/cell=lstm")
    tried = gathered(frame.assign(value=frame.value.mask(at & (frame.seed < 3), 2.0)))
    assert "it is broken by the LSTM delayed (6 of 480)." in overview.law_text(tried)
    assert overview.law_table(tried).frame.breaks.tolist() == ["0", "0", "0", "0", "0", "6", "0", "0"]


def test_rows_that_the_twins_answer_differently_are_counted():
    """Over seeds, by mode and cell, of all test rows."""
    frame = frame_of()
    at = (frame.metric == "other_twin_differs") & frame.setting.str.contains("digit_rows/cell=rnn") & (frame.seed < 3)
    tried = gathered(frame.assign(value=frame.value.mask(at, 1.0)))
    assert overview.law_text(tried).endswith("answers 3 of 6,400 test rows otherwise.")
    column = overview.law_table(tried).frame["answered otherwise by the other twin"]
    assert column.tolist() == [f"{n} of 800 test rows" for n in (0, 0, 3, 0, 0, 0, 0, 0)]


def test_half_of_the_gain_is_counted_from_chance():
    """From .1 to .8 it is .45: the look at update 10 has .5; who gains nothing has no number."""
    frame = frame_of()
    assert {overview.half_way(run) for one in gathered(frame) for run in one.runs} == {"10"}
    none = gathered(frame.assign(value=frame.value.mask(frame.metric == "success_validation", 0.1)))
    assert overview.half_way(none[0].runs[0]) == overview.NONE


@pytest.mark.parametrize(
    ("controls", "place"), [((0.1, 0.1), 0.1), ((0.2, 0.02), 0.1), ((0.05, 0.2), 0.05), ((0.05, 0.0), 0.0)]
)
def test_the_name_of_chance_meets_no_dot(controls, place):
    """It stands under chance, or under the dots that are in its way, one below the other."""
    rnn, lstm = controls
    frame = frame_of(digit_names_rnn_shuffled=rnn, digit_names_lstm_shuffled=lstm)
    assert overview.free_below(gathered(frame)[0]) == pytest.approx(place, abs=0.008)


# Steps and kinds


def test_the_hardest_step_is_named():
    """By its number as readers count; of a date also by what it is; who is right at every step is told so."""
    rnn = [1.0, 0.9, 0.8]
    assert steps.title(by_step("one_to_many", "digit_names", rnn=rnn, lstm=[1.0] * 3)) == (
        "Digit to its name: least often right is the RNN at letter 3 (0.800); in the median the LSTM is right at every "
        "letter"
    )
    both = by_step("one_to_many", "digit_names", rnn=[1.0] * 3, lstm=[1.0] * 3)
    assert steps.title(both) == "Digit to its name: in the median the RNN and the LSTM are right at every letter"
    dated = by_step("delayed", "dates", lstm=[1.0] * 8 + [0.7, 0.99])
    assert steps.title(dated).endswith("the LSTM at character 9 (0.700, day)")


@pytest.mark.parametrize("least", [1.0, 0.997])
def test_a_line_that_is_right_nearly_everywhere_is_drawn_in_hundredths(least):
    """Its panel has a height (matplotlib's warning of none is an error here), and no axis of thousandths."""
    one = by_step("one_to_many", "digit_names", rnn=[1.0] * 3, lstm=[1.0, least, 1.0])
    with figures.style():
        low, high = steps.by_step(one)[0].canvas.axes[0].get_ylim()
    assert low < 0.9 and 1 < high < 1.01


def test_a_read_out_is_told_half_way_and_at_the_end(monkeypatch):
    """Beside logistic regression, whose number comes from its own fit."""
    monkeypatch.setattr(steps, "linear", lambda name: {"mnist1d": 0.25}[name])
    title = steps.title(by_step("many_to_one", "mnist1d", rnn=[0.1, 0.2, 0.3, 0.4]))
    assert title.endswith("the RNN 0.200 and 0.400 are right; logistic regression on all of it at once 0.250")


def test_the_gap_to_who_compares_frames_leaves_out_the_first_frame():
    """Frame 0 shows nothing: its share is no gap; the figure's data hold the ceiling and the best of one frame."""
    one = by_step("aligned", "moving_digits", rnn=[0.05, 0.9, 0.97], lstm=[0.3, 0.99, 0.98])
    title = steps.title(one)
    assert "the RNN falls short by at most 0.100 (frame 1) and the LSTM falls short by at most 0.020 (frame 2)" in title
    data = steps.measured(one.runs[0], steps.levels(one))
    assert data[steps.CEILING].tolist() == [0.25, 1, 1] and data.step.tolist() == [0, 1, 2]
    assert data[steps.ALONE].tolist() == moving_digits.frame_alone()[:3].tolist()


def test_kinds_stand_in_their_order_and_the_hardest_is_named():
    """Ways to write a date come back from their quoted names, in the order of the task."""
    worth = dict(zip(dates.FORMATS, (1.0, 0.5, 0.9, 1.0), strict=True))
    at = "delayed/data=dates/cell=rnn/inputs=own"
    rows = [(f"{at}/kind={quote(k, safe='')}", m, 9, [v] * 8) for k, v in worth.items() for m in ("success", "rows")]
    (one,) = gathered(recorded([(at, "success", 9, [0.8] * 8), *rows]))
    (table,) = steps.by_kind(one)
    assert table.frame["way to write the date"].tolist() == list(dates.FORMATS)
    assert table.frame.RNN.tolist()[1] == "0.500 (0.500 to 0.500)"
    assert steps.kind_text(one) == "By way to write the date the RNN is right least often on Sep 30, 1999 (0.500)."
