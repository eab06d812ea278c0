"""The user's own data: what is read comes back, what does not fit is refused with its place; parts, lengths, masks."""

from __future__ import annotations

import csv
import hashlib
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments import command
from experiments.harness import engine, training
from experiments.modes import own, table
from experiments.tasks import answers
from impl import draw
from impl.spec import Model
from properties.record import read_csv

LENGTHS = (3, 1, 5, 2)
HEAD = "sequence,label,x\n"


@pytest.fixture
def write(tmp_path):
    """Writes a file, and gives its path."""

    def written(data, name="own.csv"):
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return path

    return written


@pytest.fixture
def both(write):
    """24 sequences of 1 to 5 steps, two features, classes of sequences and of steps, parts named."""
    return own.load(write(text_of(*many(24, parts=True))))


@pytest.fixture
def unparted(write):
    """60 sequences, a third of them of class b, without parts."""
    return own.load(write(text_of(*many(60))))


def test_a_file_comes_back_as_it_was_typed(both, tmp_path):
    """Names, parts, numbers to the last bit, classes in the order of Unicode, the hash of the bytes."""
    lines = many(24, parts=True)[1]
    assert (both.name, both.features) == ("own", ("speed", "a b"))
    assert both.sha256 == hashlib.sha256((tmp_path / "own.csv").read_bytes()).hexdigest()
    assert both.classes == {"many_to_one": ("a", "b"), "aligned": ("down", "up")}
    assert own.modes(both) == ("many_to_one", "aligned")
    rows = [
        [s.name, "ab"[s.target["many_to_one"][t]], ("down", "up")[s.target["aligned"][t]], *s.x[t].tolist(), s.part]
        for s in both.sequences
        for t in range(len(s.x))
    ]
    assert rows == lines


@pytest.mark.parametrize("mode", table.LABELS)
def test_a_file_of_one_kind_of_label_has_one_mode(write, mode):
    """The other is refused by name."""
    header, lines = many(24, parts=True)
    left = [i for i, name in enumerate(header) if name not in {*table.LABELS.values()} - {table.LABELS[mode]}]
    data = own.load(write(text_of([header[i] for i in left], [[line[i] for i in left] for line in lines])))
    other = ({*table.LABELS} - {mode}).pop()
    assert own.modes(data) == (mode,) and own.task(data, mode).V == 2
    with pytest.raises(ValueError, match=f"^`mode` must be one of {mode}, which own has; got '{other}'"):
        own.task(data, other)


def test_the_mark_of_some_programs_and_their_line_ends_change_nothing(write):
    """A byte-order mark, \\r\\n and a quoted cell with a comma and a line end in it are UTF-8 and CSV too."""
    plain = text_of(*many(24, parts=True)).replace("s0,", '"s\n,0",')
    data = own.load(write(b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").encode()))
    assert data.sequences[0].name == "s\r\n,0" and len(data.sequences) == 24


def test_a_changed_file_is_read_again(write):
    """The same path and bytes are the same object; other bytes are another."""
    first = own.load(write(text_of(*many(24))))
    assert own.load(write(text_of(*many(24)))) is first
    assert len(own.load(write(text_of(*many(30)))).sequences) == 30


PARTED = "sequence,label,x,part\n"
STEPS = "sequence,step_label,x,part\n"
TWENTY = HEAD + "".join(f"s{n},{'ab'[n % 2]},{n}\n" for n in range(20))
REFUSED = {
    "a missing file": (None, "be a file that can be read; got No such file or directory (own.csv)"),
    "an empty file": (b"", "hold a header and a line for each step; got an empty file (own.csv)"),
    "a header alone": (HEAD, "hold a line for each step below the header; got no line (own.csv)"),
    "another code": (HEAD.encode() + b"s,a,1\ns,\xe9,1\n", "be UTF-8; got the byte 0xe9 (own.csv, line 3)"),
    "an open quote": (HEAD + 's,a,1\n"s,a,2\n', "be a CSV"),
    "a column named twice": ("sequence,label,x,x\n", "name a column once; got the columns 'sequence', 'label', 'x'"),
    "a column without a name": (",sequence,label,x\n", "give each column a name"),
    "no sequence": ("label,x\n", "have a column `sequence`, since it parts the lines (cells are parted by commas)"),
    "semicolons": ("sequence;label;x\n", "got the columns 'sequence;label;x' (own.csv, line 1)"),
    "no label": ("sequence,part,x\n", "have a column `label` or `step_label`, since these are the classes"),
    "no feature": ("sequence,label,part\n", "have a column beside sequence, label, step_label, part, since that is"),
    "a cell too few": (HEAD + "s,a,1\ns,a\n", "got 2 cells, while the header has 3 (own.csv, line 3)"),
    "an empty line": (HEAD + "s,a,1\n\nt,b,1\n", "got 0 cells, while the header has 3 (own.csv, line 3)"),
    "an empty sequence": (HEAD + "s,a,1\n,a,1\n", "got '' (own.csv, line 3, column 'sequence')"),
    "a blank label": (
        HEAD + "s,a,1\ns, ,1\n",
        "say the label in every line; got ' ' (own.csv, line 3, column 'label')",
    ),
    "an empty step_label": (STEPS + "s,,1,test\n", "got '' (own.csv, line 2, column 'step_label')"),
    "an empty part": (PARTED + "s,a,1,\n", "say the part in every line; got '' (own.csv, line 2, column 'part')"),
    "another part": (PARTED + "s,a,1,test\nt,b,1,dev\n", "got 'dev' (own.csv, line 3, column 'part')"),
    "a label that changes": (HEAD + "s,a,1\ns,b,1\n", "have one label in all lines of a sequence"),
    "a part that changes": (PARTED + "s,a,1,test\ns,a,1,training\n", "got 'training' (own.csv, line 3, column 'part')"),
    "lines apart": (HEAD + "s,a,1\nt,b,1\ns,a,1\n", "keep the lines of a sequence together"),
    "one class": (
        HEAD + "s,a,1\nt,a,1\n",
        "hold two classes, since one leaves nothing to tell; got 'a', the one label",
    ),
    "a class that training lacks": (
        PARTED + "s,a,1,training\nt,b,1,validation\nu,a,1,test\nv,a,1,test\n",
        "got 'b' in validation (own.csv, line 3, column 'label')",
    ),
    "a step's class that training lacks": (
        STEPS + "s,a,1,training\ns,b,1,training\nt,a,1,validation\nu,b,1,test\nu,c,1,test\nv,a,1,test\n",
        "got 'c' in test (own.csv, line 6, column 'step_label')",
    ),
    "no training": (PARTED + "s,a,1,validation\nt,b,1,test\n", "got none in training (own.csv, column 'part')"),
    "no test": (PARTED + "s,a,1,training\nt,b,1,validation\n", "got none in test (own.csv, column 'part')"),
    "one test sequence": (
        PARTED + "s,a,1,training\nt,b,1,validation\nu,b,1,test\n",
        "two in test, where one gets the other's input; got 1 in test (own.csv, column 'part')",
    ),
    "a column's name but for a capital": (
        "sequence,label,Part,x\n",
        "since another spelling would be read as a feature",
    ),
    "a column's name after a blank": ("sequence,label, step_label,x\n", "spell sequence, label, step_label, part so"),
    "nineteen sequences": (
        TWENTY.replace("s19,b,19\n", ""),
        "hold at least 20 sequences where no column `part` splits",
    ),
    "a rare label": (
        TWENTY + "".join(f"r{n},c,1\n" for n in range(5)),
        "hold at least 6 sequences of each label where no column `part` splits them; got 'c' in 5 sequences (own.csv, "
        "line 22, column 'label')",
    ),
    "a step's class too rare to be split": (
        TWENTY.replace("label", "step_label").replace("s8,a", "s8,c"),
        "(a column `part` says which sequence goes where); got 'c' in ",
    ),
    "a number far from all others": (
        PARTED + "s,a,1,training\nt,b,1.0000001,training\nu,a,1,validation\nv,b,1e300,test\nw,b,1,test\n",
        "got '1e300' (own.csv, line 5, column 'x')",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_does_not_fit_is_refused_in_one_line(write, kind):
    """The rule, what came, and where, by file, line and column."""
    text, said = REFUSED[kind]
    path = write(text or "")
    if text is None:
        path.unlink()
    assert said in refusal(path)


@pytest.mark.parametrize(
    "cell", ["", "nan", "inf", "-Infinity", "1e999", "1,5", "one", "0x1f", "1_000", " 2", "1 2", "٣"]
)
def test_a_feature_that_is_no_finite_number_is_refused(write, cell):
    """Also where Python's float would take it; the line is counted past a cell that holds line ends."""
    came = refusal(write(TWENTY + f'"s\n\n",a,1\n"t\n",b,"{cell}"\n'))
    assert "hold a finite number" in came and f"got {cell!r} (own.csv, line 25, column 'x')" in came


@pytest.mark.parametrize("cell", ["1", "-1.", "+.5", "1.5e-3", "2E+5", "0" * 30 + "7"])
def test_a_feature_may_be_typed_in_any_usual_way(write, cell):
    """It is read as Python reads it."""
    assert own.load(write(TWENTY + f"s,a,{cell}\n")).x[-1, 0] == float(cell)


def test_long_cells_and_many_columns_are_cut(write):
    """A message stays one line that can be read."""
    assert len(refusal(write(TWENTY + f"s,a,{'y' * 9999}\n"))) < 250
    assert "and 92 more (own.csv, line 1)" in refusal(write(",".join(f"x{n}" for n in range(100)) + "\n"))


def test_features_are_standardised_by_the_training_part_alone(write):
    """Mean 0 and deviation 1 over its steps; a feature that is constant there is moved to 0 and not scaled."""
    header, lines = many(24, parts=True)
    lines = [[*line, 0.1 if line[-1] == "training" else 7.1] for line in lines]
    data = own.load(write(text_of([*header, "flat"], lines)))
    taught = np.concatenate([s.part == np.full(len(s.x), "training") for s in data.sequences])
    z = data.z[taught]
    np.testing.assert_allclose(z[:, :2].mean(0), 0, atol=1e-14)
    np.testing.assert_allclose(z[:, :2].std(0), 1, rtol=1e-13)
    assert (z[:, 2] == 0).all() and np.allclose(data.z[~taught, 2], 7) and data.deviation[2] == 1
    np.testing.assert_allclose(data.z * data.deviation + data.mean, data.x, rtol=1e-13)


@pytest.mark.parametrize("power", [-1000, -600, 665, 1021])
def test_features_of_any_size_are_standardised_alike(write, power):
    """Where their squares vanish or overflow (2^665 is 1.5e200), or their sum does, z is that of the same at size 1."""
    header, lines = many(24, parts=True)
    near = np.random.default_rng(1).integers(-7, 8, len(lines)).astype(float)
    want, found = (
        own.load(write(text_of([*header, "far"], [[*a, b] for a, b in zip(lines, far.tolist(), strict=True)])))
        for far in (near, np.ldexp(near, power))
    )
    assert 3 < want.deviation[2] < 5
    np.testing.assert_array_equal(found.z, want.z)
    np.testing.assert_array_equal(found.mean[2], np.ldexp(want.mean[2], power))
    np.testing.assert_array_equal(found.deviation[2], np.ldexp(want.deviation[2], power))


def test_a_split_keeps_the_labels_shares_and_is_always_the_same(unparted, write):
    """70, 15 and 15 % of either label's sequences, in an order that depends on no number of theirs."""
    labels = unparted.target["many_to_one"][unparted.first]
    for label, sizes in enumerate([(28, 6, 6), (14, 3, 3)]):
        parts = unparted.part[labels == label]
        assert tuple((parts == part).sum() for part in ("training", "validation", "test")) == sizes
    header, lines = many(60)
    again = own.load(write(text_of(header, [[*line[:-1], 0.5 * line[-1]] for line in lines])))
    assert (again.part == unparted.part).all() and (unparted.part[:42] != "training").any()


@pytest.mark.parametrize("rare", [6, 7, 8, 9, 10, 11])
def test_each_part_has_each_label_however_few_are_allowed(write, rare):
    """From six sequences of a label on, rounding leaves no part without it."""
    lines = [[f"s{n}", "b" if n < rare else "a", n] for n in range(max(20, 2 * rare))]
    data = own.load(write(text_of(HEAD.strip().split(","), lines)))
    assert {part for part, label in zip(data.part, data.target["many_to_one"], strict=True) if label} == {*own.PARTS}


@pytest.mark.parametrize("mode", table.LABELS)
@pytest.mark.parametrize("which", ["training", "validation", "test"])
def test_batches_hold_the_parts_rows_their_lengths_and_what_is_asked(both, mode, which):
    """Each row is a sequence of the part, zero after its end; marked are its last step, or all its steps."""
    task = own.task(both, mode)
    x, target, mask, lengths = task.draw(draw.generator("b"), 5, 99) if which == "training" else getattr(task, which)()
    B = x.shape[1]
    assert (x.shape, target.shape, mask.shape, lengths.shape) == ((5, B, 2), (5, B), (5, B), (B,))
    assert (x.dtype, target.dtype, mask.dtype, task.STEPS, task.D, task.V) == (np.float64, np.int64, bool, 5, 2, 2)
    rows = {}
    for b, n in enumerate(lengths):
        name = next(s.name for s, z in sequences(both) if len(z) == n and (z == x[:n, b]).all() and s.part == which)
        want = next(s.target[mode] for s in both.sequences if s.name == name)
        asked = np.arange(5) < n if mode == "aligned" else np.arange(5) == n - 1
        assert (mask[:, b] == asked).all() and (target[:n, b] == want).all()
        assert (x[n:, b] == 0).all() and (target[n:, b] == want[0]).all()
        rows[name] = rows.get(name, 0) + 1
    assert {*rows} == {s.name for s in both.sequences if s.part == which}
    assert which == "training" or set(rows.values()) == {1}


@pytest.mark.parametrize(("length", "B", "said"), [(4, 8, "`length` must be 5"), (5, 0, "`B` must be at least 1")])
def test_a_batch_that_cannot_be_drawn_is_refused(both, length, B, said):
    """The length is that of the longest sequence; a batch has rows."""
    with pytest.raises(ValueError, match=said):
        own.task(both, "aligned").draw(draw.generator("b"), length, B)


@pytest.mark.parametrize("mode", table.LABELS)
def test_what_stands_after_a_rows_end_is_never_read(both, mode):
    """With NaN in the padding and any class there, loss and gradient of two models keep their bits."""
    task, twin = own.task(both, mode), engine.engine("numpy")
    rngs = [draw.generator("model", seed) for seed in range(2)]
    model = draw.group([Model(draw.uniform(rng, "rnn", task.D, 3), draw.head(rng, task.V, 3)) for rng in rngs])
    batch = training.rows(task.draw, task.STEPS, rngs, 6)
    outside = np.arange(task.STEPS)[:, None, None] >= batch.lengths
    spoilt = batch._replace(x=np.where(outside[..., None], np.nan, batch.x), target=np.where(outside, 1, batch.target))
    (loss, gradient, _), (again, same, _) = (
        training.loss_and_gradient(twin, "rnn", task.LOSS, model, some) for some in (batch, spoilt)
    )
    assert outside.any() and (loss == again).all() and np.isfinite(loss).all()
    assert (gradient.cell.weight_hh == same.cell.weight_hh).all() and (gradient.head.bias_hy == same.head.bias_hy).all()


def test_chance_is_that_of_the_training_parts_commonest_answer(write):
    """By hand: a is commonest over sequences. Over steps each row counts alike, and each step has its own: first up,
    then down, and up after training's longest row."""
    lines = ["s,a,up,1,training", "t,a,up,2,training", "u,b,down,1,training", "u,b,down,1,training"]
    lines += ["u,b,down,1,training", "v,a,up,1,validation", "w,a,up,1,test", "w,a,down,1,test"]
    lines += ["y,b,down,1,test", "y,b,up,1,test", "y,b,up,1,test", "y,b,up,1,test", "z,b,down,1,test"]
    data = own.load(write("sequence,label,step_label,x,part\n" + "\n".join(lines)))
    assert answers.chance(own.task(data, "many_to_one")) == pytest.approx(1 / 3)
    assert answers.chance(own.task(data, "aligned")) == pytest.approx((1 + 1 / 4 + 0) / 3)


def test_a_file_becomes_a_report_of_its_own(write, tmp_path, capsys):
    """`run modes --data FILE` trains both cells in each mode that it has labels for, and says nothing of N5's data."""
    path, out = write(text_of(*many(24, parts=True))), tmp_path / "reports"
    where = ["--store", str(tmp_path / "store.sqlite"), "--out", str(out), "--workers", "0"]
    assert command.main(["run", "modes", "--data", str(path), "--preset", "smoke", *where]) == 0
    page = (out / "modes" / "README.md").read_text("utf-8")
    assert "your labels" in page and "your step labels" in page and "date to ISO date" not in page
    assert "python -m experiments run modes --preset smoke --data FILE" in page and str(tmp_path) not in page
    records = read_csv(out / "modes" / "results.csv")
    assert "N5" not in {*records.metric} and {*records[records.metric == "breaks"].value} == {0.0}
    path.write_text("sequence,label\na,b\n")
    assert command.main(["run", "modes", "--data", str(path), "--preset", "smoke", *where]) == 2
    assert "must have" in capsys.readouterr().err


def test_the_help_names_every_column(capsys):
    """`python -m experiments run --help` says what a file must hold, column by column."""
    with pytest.raises(SystemExit) as end:
        command.main(["run", "--help"])
    said = capsys.readouterr().out
    about = said[said.index("--data") : said.index("--engine")]
    assert end.value.code == 0 and [name for name in table.COLUMNS if f"- {name}" not in about] == []


names = st.text(min_size=1, max_size=6).filter(lambda text: text.strip() and text.isprintable())
rows = st.lists(st.tuples(*[st.floats(-1e30, 1e30)] * 2), min_size=1, max_size=4)


@settings(max_examples=15)
@given(
    st.dictionaries(names, rows, min_size=5, max_size=7), st.tuples(names, names).filter(lambda two: two[0] != two[1])
)
def test_random_sequences_written_and_loaded_come_back(tmp_path_factory, sequences, two):
    """Any printable names, any finite numbers; classes in turn."""
    part = ("training", "training", "validation", *["test"] * 4)
    lines = [
        [name, two[n % 2], part[n], *map(repr, x)] for n, (name, some) in enumerate(sequences.items()) for x in some
    ]
    path = tmp_path_factory.getbasetemp() / "random.csv"
    path.write_text(text_of(["sequence", "label", "part", "x", "y"], lines), "utf-8", newline="")
    data = own.load(path)
    assert {s.name: [*map(tuple, s.x.tolist())] for s in data.sequences} == sequences
    assert data.classes["many_to_one"] == tuple(sorted(two)) and tuple(data.part) == part[: len(sequences)]
    assert [data.classes["many_to_one"][some.target["many_to_one"][0]] for some in data.sequences] == [
        two[n % 2] for n in range(len(sequences))
    ]


def many(S, parts=False):
    """Header and lines of S sequences with both kinds of label, two of three of class a."""
    rng = draw.generator("own", "lines")
    header = ["sequence", "label", "step_label", "speed", "a b", *(["part"] if parts else [])]
    lines = []
    for n in range(S):
        part = ["training", "training", "validation", "test"][n // 3 % 4]
        for x in rng.normal(3, 2, (LENGTHS[n % 4], 2)).tolist():
            lines.append([f"s{n}", "aab"[n % 3], "up" if x[0] > 3 else "down", *x, *([part] if parts else [])])
    return header, lines


def text_of(header, lines):
    """The same as CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *lines])
    return out.getvalue()


def sequences(data):
    """Each sequence with its standardised features."""
    return [(s, data.z[a : a + len(s.x)]) for s, a in zip(data.sequences, data.first, strict=True)]


def refusal(path):
    """What `load` says, after it was seen to be one line of the house's form; the folder left out."""
    with pytest.raises(own.OwnError) as caught:
        own.load(path)
    said = str(caught.value)
    assert re.fullmatch(r"`data` must .+; got .+ \(.+\)\.", said) and str(path) in said
    return said.replace(str(path), path.name)
