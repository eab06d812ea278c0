"""Records: the one long form that laws and experiments share."""

import math

import pytest

from properties.record import COLUMNS, Record, parse_setting, read_csv, to_csv

RECORDS = [
    Record("memory", "latch/arm=lstm_b1/delay=20", 1, "solved", 20, 1.0, "ab12+cd34"),
    Record("memory", "latch/arm=lstm_b1/delay=20", 0, "solved", 20, 0.1),
    Record("laws", "value/subject=a, b", 0, "worst", 0, math.nan),
    Record("laws", "value/subject=a, b", 0, "least", 0, -math.inf),
    Record("laws", "value/subject=a, b", 0, "tiny", 0, 5e-324),
]


def test_a_file_holds_every_bit(tmp_path):
    """17 digits give the double back; NaN, infinities and subnormal numbers survive, and so do commas."""
    (tmp_path / "r.csv").write_text(to_csv(RECORDS))
    rows = [Record(*row) for row in read_csv(tmp_path / "r.csv").itertuples(index=False)]
    key = Record.__getitem__, slice(0, 5)
    wanted = sorted(RECORDS, key=lambda r: (r.source, r.setting, r.metric, r.seed))
    assert [key[0](r, key[1]) for r in rows] == [key[0](r, key[1]) for r in wanted]
    assert [float(r.value).hex() for r in rows] == [r.value.hex() for r in wanted]
    assert [r.rule for r in rows] == [r.rule for r in wanted]


def test_equal_sets_of_records_are_equal_files():
    """The order in which results arrive does not matter."""
    assert to_csv(RECORDS) == to_csv(RECORDS[::-1])
    assert to_csv(RECORDS) != to_csv(RECORDS[:-1])


def test_another_file_is_refused_by_name(tmp_path):
    """Nothing, no UTF-8, wrong columns, no record, one cut off, text where a number is due: all name the file, once."""
    head = ",".join(COLUMNS) + "\n"
    broken = ["", "a,b\n1,2\n", head, f"{head}m,s,0,x,0,1,\nm,s,1,x,0\n", f"{head}m,s,0,x,0,eleven,\n"]
    for text in (b"\xff\xfe\x00", *map(str.encode, broken), f"{head}m,s,0,x,0,1,,,\n".encode()):
        (tmp_path / "other.csv").write_bytes(text)
        with pytest.raises(ValueError, match=r"other\.csv` must be a CSV of records; ") as found:
            read_csv(tmp_path / "other.csv")
        assert str(found.value).count("other.csv") == 1


def test_a_setting_names_its_parts():
    """Only what has a name is given."""
    assert parse_setting("latch/arm=lstm_b1/delay=20") == {"arm": "lstm_b1", "delay": "20"}
    assert parse_setting("text") == {}
