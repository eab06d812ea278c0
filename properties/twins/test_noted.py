"""Files that are written a line at a time: what stays of them when a process is cut off, and whose tests failed."""

import pytest

from properties import noted


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "b\n"),
        ("", "b\n"),
        ("a\n", "a\nb\n"),
        ("a\ncut", "a\nb\n"),
        ("\u00e9", "b\n"),
    ],
)
def test_a_line_is_added_after_the_whole_ones(tmp_path, before, after):
    """To no file, an empty one, a whole one, and one whose last line was cut short."""
    file = tmp_path / "lines"
    if before is not None:
        file.write_text(before, "utf-8")
    noted.add(file, "b")
    assert file.read_text("utf-8") == after


def test_a_last_line_that_was_cut_short_is_not_read(tmp_path):
    """Also within a letter of two bytes; other ends of lines are letters; no file has no lines."""
    file = tmp_path / "lines"
    assert noted.read(file) == []
    file.write_bytes("a\u2028b\n\u00e9".encode()[:-1])
    assert noted.read(file) == ["a\u2028b"]


def test_what_failed_stays_so_until_it_passes():
    """Each test once, as it ended last."""
    lines = ["FAILED a", "b", "FAILED c", "a", "FAILED c", "b", "d", "FAILED d"]
    assert noted.tests(lines) == (["a", "b"], ["c", "d"])
