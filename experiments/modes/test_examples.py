"""The pictures of examples: what they say was said, and what they mark as wrong, on records with known answers."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from experiments.harness import figures
from experiments.modes import drawing, examples, said, videos
from experiments.modes.answering import MODES
from experiments.modes.data import DATA
from experiments.modes.experiment import FIRST, WRONG
from impl import draw
from properties.record import COLUMNS, Record

pytestmark = pytest.mark.usefixtures("drawing")


def test_every_data_set_has_its_picture_and_its_symbols():
    """By the data's own number of classes; each symbol stands once."""
    assert {*examples.FIGURES} == {*said.SYMBOLS} == {*DATA}
    for name, task in DATA.items():
        assert len(said.SYMBOLS[name]) == len({*said.SYMBOLS[name]}) == task.V
    assert {*videos.ARROWS} == {*said.SYMBOLS["moving_digits"]}


# What was said


def test_names_are_read_up_to_their_end():
    """A name ends at its end mark, also as it is drawn; without one, where no more was asked for, it goes on."""
    figure = shown("digit_names", {0: ("seven.", "six.en", "seven."), 1: ("one.", "fiv.", "seve")})
    rows = [
        (0, "seven", "six", False),
        (0, "seven", "seven", True),
        (1, "one", "fiv", False),
        (1, "one", "seve…", False),
    ]
    assert [*figure.data.drop(columns="cell").itertuples(index=False, name=None)] == rows
    assert [*figure.data.cell] == ["rnn", "lstm"] * 2
    assert reds(figure) == len("ix." + "fiv" + "seve")
    assert figure.alt.endswith("Row 0, seven: RNN six, LSTM right. Row 1, one: RNN fiv, LSTM seve….")


@pytest.mark.parametrize(
    ("rows", "counts", "mistakes"),
    [
        ({0: "111", 1: "777"}, "Both cells tell all of the first 2 digits", "no mistake is recorded"),
        (
            {0: "717", 2: "333"},
            "The RNN tells 1 and the LSTM 2 of the first 2 digits",
            "the one mistake shown is 1 for 7",
        ),
        (
            {0: "714"},
            "The RNN tells 0 and the LSTM 0 of the first 1 digits",
            "of the 2 mistakes shown none is made more than once",
        ),
        ({0: "711", 9: "731"}, "The RNN tells 0 and the LSTM 0 of the first 1 digits", "is 1 for 7 (3 times)"),
        ({9: "811", 12: "722"}, "", "are 1 for 8 and 2 for 7 (2 times each)"),
        ({n: f"{n}99" for n in range(4)}, "", "of the 8 mistakes shown none is made more than 2 times"),
    ],
)
def test_a_title_counts_the_first_rows_and_names_the_commonest_mistake(rows, counts, mistakes):
    """Of the mistakes shown; none is called the commonest where there is no such one."""
    title = shown("digit_rows", rows).title
    assert title.startswith(counts) and title.endswith(mistakes)


def test_a_title_counts_the_parts_of_a_date_that_are_wrong():
    """A mistake counts for each part that it touches."""
    said_ = {0: ("1999-09-30", "1999-09-30", "1998-09-30"), 11: ("2001-12-02", "2001-11-20", "2001-12-02")}
    title = (
        "The RNN translates 1 and the LSTM 0 of the first 1 dates; 2 mistakes are shown, a wrong year in 1, a wrong "
    )
    assert shown("dates", said_).title == f"{title}month in 1 and a wrong day in 1"
    dash = shown("dates", {0: ("1999-09-30", "1999009-30", "1999-09-30")}).title
    assert dash.endswith("one mistake is shown, a wrong dash in 1")


def test_the_alt_of_dates_tells_what_was_read():
    """Source, right date, and what each cell wrote."""
    alt = shown("dates", {3: ("1999-09-30", "1999-09-30", "1999-09-03")}).alt
    assert alt.endswith("Row 3, on 1999-09-30, 1999-09-30: RNN right, LSTM 1999-09-03.")


def test_videos_are_the_first_and_the_first_other_one_with_a_mistake_that_need_not_be():
    """Frame 0 counts for nothing; the title counts what can be known."""
    rows = {
        0: ("uull", "ruul", "duuu"),
        1: ("ddrr", "udrr", "udrr"),
        2: ("lrud", "lrud", "lrld"),
        3: ("uuuu", "dddd", "uuuu"),
    }
    figure = shown("moving_digits", rows)
    assert sorted({*figure.data.row}) == [0, 2]
    assert figure.title.startswith("In the 2 videos shown the RNN names 5 of 6 and the LSTM 3 of 6 headings that two")
    assert "Row 2: left right up down. RNN: right at all frames. LSTM: wrong at frame 2 left." in figure.alt
    assert "test row 2, the first other one recorded with a mistake beyond frame 0" in texts(figure)
    without = shown("moving_digits", {n: rows[n] for n in (1, 2)} | {2: ("lrud", "drud", "lrud")})
    assert [*without.data.row] == [1, 1, 2, 2] and "test row 2" in texts(without)


# What the records imply


def test_an_answer_left_out_is_right_only_where_the_records_imply_it():
    """Before the last of WRONG mistakes, or anywhere where there are fewer; else it is not known."""
    later = [*range(FIRST, FIRST + 2 * WRONG, 2)]
    many = {n: ("1", "2", None) for n in later} | {FIRST + 1: ("3", None, "4"), 99: ("3", None, "4")}
    first = {n: ("1", "1", "1") for n in range(FIRST)}
    data = shown("digit_rows", first | many).data
    rnn, lstm = (data[data.cell == cell].set_index("row").answer for cell in ("rnn", "lstm"))
    assert rnn[FIRST + 1] == "3" and 99 not in rnn.index
    assert (lstm[later] == "1").all()
    # One mistake fewer, and the RNN was right on row 99 too.
    fewer = shown("digit_rows", first | {n: answers for n, answers in many.items() if n != later[0]}).data
    assert fewer[(fewer.cell == "rnn") & (fewer.row == 99)].right.all()


def test_mistakes_among_the_first_rows_are_counted_before_an_answer_is_implied():
    """Where all WRONG mistakes lie among the first rows, nothing is known of a later one."""
    rows = {n: ("1", "2", "1") for n in range(FIRST)} | {12: ("3", None, "4")}
    data = shown("digit_rows", rows).data
    assert WRONG == FIRST and [*data[data.row == 12].cell] == ["lstm"]
    assert "?" in texts(shown("digit_rows", rows)) and "unknown (?)" in " ".join(texts(shown("digit_rows", rows)))


# What is marked


@pytest.mark.parametrize("data", DATA)
def test_as_many_symbols_stand_on_red_as_are_wrong(data):
    """Nothing where all is right; every wrong symbol else."""
    right, wrong, n = EITHER[data]
    assert reds(shown(data, {0: (right, right, right)})) == 0
    assert reds(shown(data, {0: (right, wrong, right)})) == n
    assert reds(shown(data, {0: (right, wrong, wrong)})) == 2 * n


def test_wrong_symbols_are_bold_at_their_own_places_and_the_right_ones_in_the_cells_colour():
    """By character of an ISO date."""
    axis = shown("dates", {0: ("1999-09-30", "1999-08-31", "1999-09-30")}).canvas.axes[0]
    bold = {t.get_text(): t for t in axis.texts if t.get_family() == [drawing.MONO] and t.get_weight() == "bold"}
    pitch = examples.SIZE * drawing.ADVANCE
    assert {k: round((t.get_position()[0] - examples.COLUMNS[3]) / pitch, 9) for k, t in bold.items()} == {
        "8": 6,
        "1": 9,
    }
    rest = [t for t in axis.texts if t.get_text() == "1999-0 -3"]
    assert [t.get_color() for t in rest] == [figures.COLOURS["rnn"]] and {t.get_color() for t in bold.values()} == {
        "black"
    }


def test_a_pictures_ink_lies_where_its_pixels_are():
    """One path a shade; a white pixel is not drawn; the moving digit lies at its row and column."""
    _, axis = drawing.page(1.0)
    drawing.ink(axis, 2.0, 0.5, 0.4, pd.Series([0, 16, 8, 16]).to_numpy(), 16.0)
    found = [c for c in axis.collections if isinstance(c, PathCollection)]
    assert [to_hex(c.get_facecolor()[0]) for c in found] == ["#808080", "#000000"]
    box = found[0].get_paths()[0].get_extents()
    assert [*box.min, *box.max] == pytest.approx([2.0, 0.7, 2.2, 0.9])
    one = said.examples("aligned", frame("moving_digits", {0: ("ud", "ud", "ud")}))["moving_digits"][0]
    whole = videos.whole(one, 1).reshape(16, 16)
    assert (whole[1:9, 2:10].ravel() == one.seen["pixel"]).all() and whole.sum() == one.seen["pixel"].sum()


# The records


@pytest.mark.parametrize("mode", MODES)
def test_a_users_own_file_has_no_picture(mode):
    """Nor have records without examples."""
    own = frame("digit_rows", {0: "123"}).replace(
        {"setting": {"^[^/]*/data=digit_rows": f"{mode}/data=own"}}, regex=True
    )
    assert own.setting.str.startswith(f"{mode}/data=own/").all()
    assert examples.drawn(mode, own) == examples.drawn(mode, pd.DataFrame([], columns=COLUMNS)) == []


@pytest.mark.parametrize("data", [name for name in DATA if name != "digit_rows"])
def test_one_cell_alone_is_shown_alone(data):
    """The other one is not spoken of."""
    right, wrong, _ = EITHER[data]
    figure = shown(data, {0: (right, None, wrong), 1: (right, None, right)})
    assert {*figure.data.cell} == {"lstm"} and "RNN" not in figure.title + figure.alt + "".join(texts(figure))
    assert figure.title[0] in "TI" and "the LSTM" in figure.title.replace("The", "the")


@pytest.mark.parametrize("data", DATA)
def test_a_picture_is_a_function_of_the_records_in_any_order_and_holds_no_bitmap(data):
    """What is said and marked is the same; all of it is vectors."""
    right, wrong, _ = EITHER[data]
    rows = frame(data, {2: (right, wrong, right), 10: (right, None, wrong)})
    mixed = rows.iloc[draw.generator("modes", "order").permutation(len(rows))]
    (one,), (two,) = (examples.drawn(DATA[data].MODE, some) for some in (rows, mixed))
    assert (one.title, one.alt) == (two.title, two.alt) and one.data.equals(two.data)
    assert texts(one) == texts(two) and reds(one) == reds(two)
    svg = figures.svg(one.canvas, one.name)
    assert not re.search("<image|base64", svg) and "<path" in svg


EITHER = {
    "digit_names": ("nine.", "five.", 2),
    "digit_rows": ("7", "1", 1),
    "mnist1d": ("4", "9", 1),
    "dates": ("1999-09-30", "1999-10-30", 2),
    "moving_digits": ("udlr", "rdll", 2),
    "moving_labels": ("7777", "1771", 2),
}
"""By data a right answer, a wrong one of the same length, and in how many symbols they differ."""


def shown(data, rows):
    """The one figure of such records."""
    (figure,) = examples.drawn(DATA[data].MODE, frame(data, rows))
    return figure


def frame(data, rows):
    """Records of test rows: by number the right answer, the RNN's and the LSTM's; None where it is not recorded."""
    found = []
    for row, (target, *answers) in rows.items():
        for cell, answer in zip(("rnn", "lstm"), answers, strict=True):
            at = f"{DATA[data].MODE}/data={data}/cell={cell}/inputs=own/example={row}"
            values = {"target": target, "answer": answer} if answer else {}
            values = {name: map(said.SYMBOLS[data].index, text) for name, text in values.items()}
            values |= seen(data, target) if answer else {}
            found += [
                Record("modes", at, 0, metric, n, float(v))
                for metric, some in values.items()
                for n, v in enumerate(some)
            ]
    return pd.DataFrame(found, columns=COLUMNS)


def seen(data, target):
    """What such a row shows."""
    if data == "dates":
        return {"source": map(ord, f"on {target}")}
    path = {"row": range(len(target)), "column": range(1, len(target) + 1)} if DATA[data].MODE == "aligned" else {}
    return {"pixel": [0, 5, 16, 5, *[0] * (36 if data == "mnist1d" else 60)]} | path


def texts(figure):
    """All that is written in a figure."""
    return [text.get_text() for text in figure.canvas.axes[0].texts]


def reds(figure):
    """How many symbols stand on red."""
    patches = [p for p in figure.canvas.axes[0].patches if isinstance(p, Rectangle)]
    return sum(to_hex(p.get_facecolor()) == drawing.LIGHT_RED for p in patches)
