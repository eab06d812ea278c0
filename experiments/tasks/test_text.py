"""The corpus: the default text, files of a user's own, the two splits, and recurring windows."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import pytest

from experiments.tasks import text

WINDOW = 64
SHORTEST = 1291  # one less leaves the validation part with 64 characters


def test_the_default_text_is_the_one_that_was_measured():
    """63 symbols, the known hash and length, and nothing of the package is imported for it."""
    source = text.load(None)
    assert source.sha256 == text.SHA256 == hashlib.sha256(source.string.encode()).hexdigest()
    assert (len(source.alphabet), len(source.characters)) == (63, 4_139_033)
    assert source.string.startswith("\nIn the beginning God created the heaven and the earth.")
    assert text.PACKAGE not in sys.modules


def test_another_default_text_is_refused(monkeypatch):
    """A package whose text has changed is named, with both hashes."""
    monkeypatch.setattr(text, "SHA256", "0" * 64)
    with pytest.raises(text.CorpusError, match=rf"{text.PACKAGE} must have the SHA-256 0{{64}}; got 84e2e06b"):
        text.king_james.__wrapped__()


def test_an_absent_package_is_named(monkeypatch):
    """Without the default text a corpus must be given."""
    monkeypatch.setattr(text, "PACKAGE", "no_such_package")
    with pytest.raises(text.CorpusError, match=r"no_such_package .* is absent"):
        text.king_james.__wrapped__()


def test_normalising_drops_brackets_spells_out_ligatures_and_joins_spaces():
    """Each rule on one line; line ends and the ends of the text are kept."""
    raw = " darkness  [was]   upon\n\n\u00c6neas and \u00e6ther \u2014 Aaron\u2019s "
    assert text.normalised(raw) == " darkness was upon\n\nAeneas and aether - Aaron's "


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (None, "`corpus` must be a file that can be read; got .*No such file.*Known by name are tiny_shakespeare, "),
        (b"", "`corpus` must hold text; got .*empty"),
        ("Gr\u00fc\u00dfe".encode("latin-1") * 500, "`corpus` must be UTF-8; got .*at byte 2"),
        (b"ab" * 10, "`corpus` must be long enough for a window of 64 steps"),
        (b"ab" * (SHORTEST // 2), "`corpus` must be long enough .*with 1290 characters, 64 in the"),
        (b"a" * SHORTEST, "`corpus` must hold 2 different characters"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_refused_in_one_line(tmp_path, data, rule):
    """Missing, empty, not UTF-8, too short by one, of one letter: the rule and what came, in one line."""
    path = tmp_path / "own.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(text.CorpusError, match=rule) as caught:
        text.load(path, WINDOW)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_corpus(tmp_path):
    """A path that is no file is refused like a missing one."""
    with pytest.raises(text.CorpusError, match="must be a file that can be read"):
        text.load(tmp_path, WINDOW)


def test_the_shortest_corpus_is_taken_as_it_is(tmp_path):
    """Exactly one window and its next character in the test; no byte is changed, the name suits a setting."""
    path = tmp_path / "my own-text=1 \u00e4.txt"
    data = ("  \u00e6 [x]\r\n" * SHORTEST)[:SHORTEST].encode()
    path.write_bytes(data)
    source = text.load(path, WINDOW)
    assert source.string.encode() == data and source.sha256 == hashlib.sha256(data).hexdigest()
    assert source.name == "my_own-text_1_"
    assert min(map(text.length, text.contiguous(SHORTEST))) == WINDOW + 1


def test_the_alphabet_is_that_of_the_whole_text(tmp_path):
    """A letter that stands in the test alone has its class, and classes lead back to the text."""
    path = tmp_path / "late.txt"
    path.write_text("ab" * SHORTEST + "\U0001f600", "utf-8")
    source = text.load(path, WINDOW)
    assert source.alphabet == "ab\U0001f600" and source.characters[-1] == 2
    assert "".join(source.alphabet[c] for c in source.characters) == source.string


@pytest.mark.parametrize("split", [text.contiguous, text.interleaved])
@pytest.mark.parametrize("n", [1300, 1301, 4_139_033])
def test_a_split_takes_every_character_once(split, n):
    """Training, validation and test are disjoint, together the text, and 90, 5 and 5 % of it to one block."""
    parts = split(n)
    times = np.zeros(n, int)
    for part in parts:
        for some in part:
            times[some] += 1
    assert (times == 1).all()
    sizes = [text.length(part) for part in parts]
    np.testing.assert_allclose(sizes, [0.9 * n, 0.05 * n, 0.05 * n], atol=10 if split is text.interleaved else 1)


def test_parts_are_read_in_order_and_as_one():
    """The joined characters of a part are the joined strings of its slices."""
    source = text.text_of("letters", "".join(chr(97 + i % 23) for i in range(2000)))
    for part in text.interleaved(2000):
        joined = "".join(source.alphabet[c] for c in text.characters(source, part))
        assert joined == text.string(source, part) == "".join(source.string[some] for some in part)


def test_recurring_windows_are_those_that_stand_in_the_training_part():
    """Of 'abcdXfgh' the windows of three before and after X stand in the alphabet, and none across it."""
    training = "abcdefghijkl"
    assert text.recurring(training, "abcdXfgh", 3) == 3 / 6
    assert text.recurring(training, training, 3) == 1
    assert text.recurring(training, "ab", 3) == 0
    assert text.recurring(training, training.upper(), 3) == 0
