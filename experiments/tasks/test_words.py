"""Words: how a text is cut, which part a token belongs to, and that nothing but training makes the vocabulary."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.tasks import ngram, text, words
from experiments.tasks.text import CorpusError, Parts
from impl import draw

PLAIN = "In Beth-el the LORD's 12 men;\n(they came) - 'lo'. \u00dcber_all\u00c9"
PREPARED = " the <unk> of N men \n it 's <unk> \n"


def test_a_plain_text_is_cut_into_words_numbers_and_marks():
    """Lower case; hyphens and apostrophes inside words alone; where lines end is not kept."""
    starts, tokens = words.tokens_of(PLAIN)
    found = "in beth-el the lord's 12 men ; ( they came ) - ' lo ' . \u00fcber _ all\u00e9"
    assert tokens == found.split()
    for start, token in zip(starts, tokens, strict=True):
        assert PLAIN[start : start + len(token)].lower() == token


def test_every_character_that_is_not_blank_is_in_one_token():
    """On the default text's beginning: tokens and blanks between them are the text, in lower case."""
    string = text.load(None).string[:20_000]
    starts, tokens = words.tokens_of(string)
    assert "".join(tokens) == "".join(string.lower().split())
    assert (np.diff(starts) >= [len(token) for token in tokens[:-1]]).all()


def test_a_prepared_text_keeps_its_tokens_and_its_lines():
    """A text with the word <unk> is cut at blanks, and has <eos> where a line ends."""
    _, tokens = words.tokens_of(PREPARED)
    assert " ".join(tokens) == "the <unk> of N men <eos> it 's <unk> <eos>"
    assert words.tokens_of(PREPARED.replace("<unk>", "x<unk>"))[1][1:5] == ["x", "<", "unk", ">"]


def test_a_letter_whose_lower_case_is_longer_moves_no_token():
    """The capital I with a dot has two characters in lower case: later tokens still begin where they begin."""
    starts, tokens = words.tokens_of("\u0130x yz")
    assert starts.tolist() == [0, 3] and tokens == ["i\u0307x", "yz"]


def test_the_vocabulary_is_that_of_the_training_part_alone():
    """Frequent there, first by count and then by letters; what is rare there, or stands elsewhere, is <unk>."""
    source = text.text_of("toy", "b a b c a b d " * 2 + "e e e e " + "d f b")
    n = len(source.string)
    parts = Parts([slice(0, 28)], [slice(28, 36)], [slice(36, n)])
    for least, known in ((1, ("b", "a", "c", "d")), (3, ("b", "a")), (4, ("b", "a")), (5, ("b",))):
        some = words.words_of(source, least, parts)
        assert some.vocabulary == ("<unk>", *known)
        told = [some.vocabulary[k] for k in some.classes]
        assert told == [token if token in known else "<unk>" for token in source.string.split()]
    assert words.unknown(some, some.parts.validation) == 1
    assert words.unknown(some, some.parts.test) == 2 / 3


def test_the_word_for_rare_words_has_class_0_also_where_the_text_has_it():
    """However often <unk> stands in a prepared text it is counted once in the vocabulary."""
    source = text.text_of("prepared", PREPARED * 40)
    some = words.words_of(source, 1)
    assert some.vocabulary.count("<unk>") == 1 and some.vocabulary[0] == "<unk>"
    np.testing.assert_array_equal(some.classes == 0, [token == "<unk>" for token in words.tokens_of(source.string)[1]])


@pytest.mark.parametrize("split", [text.contiguous, text.interleaved])
def test_every_token_is_in_the_part_in_which_it_begins(split):
    """Each in one part, also where a cut goes through a word."""
    source = text.text_of("toy", "in alpha beta gamma delta " * 701)
    characters = split(len(source.string))
    some = words.words_of(source, 1, characters)
    starts, times = words.tokens_of(source.string)[0], np.zeros(len(some.classes), int)
    for mine, theirs in zip(some.parts, characters, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            times[a] += 1
            assert ((starts[a] >= b.start) & (starts[a] < b.stop)).all()
    assert (times == 1).all()
    assert any(source.string[b.start] not in " iabgd" for part in characters for b in part), "no cut within a word"


def test_parts_are_read_in_order_and_as_one():
    """The joined classes of an interleaved part lead back to its tokens."""
    source = text.text_of("toy", " ".join(f"w{k % 50}" for k in range(4000)))
    some = words.words_of(source, 1, text.interleaved(len(source.string)))
    assert len(some.parts.training) > 100
    told = [some.vocabulary[k] for k in words.joined(some, some.parts.training)]
    tokens = words.tokens_of(source.string)[1]
    assert told == [token for part in some.parts.training for token in tokens[part]]


@pytest.mark.parametrize("least", [0, -1])
def test_a_count_below_one_is_refused(least):
    """The message names the argument, the rule and what came."""
    with pytest.raises(ValueError, match=rf"^`least` must be 1 or more, since .+; got {least}\.$"):
        words.words_of(text.text_of("toy", "a b " * 50), least)


def test_a_text_without_frequent_words_is_refused():
    """One line that names the corpus and the count."""
    with pytest.raises(CorpusError, match="must have a word that its training part has 50 times; got toy"):
        words.words_of(text.text_of("toy", "a b " * 50), 50)


def test_the_default_text_has_the_words_that_were_counted():
    """913,667 tokens; at least 5 times in the training part: 4,938 words, which miss 1.5 % of it and 4.2 % of the test.

    Counted once by other lines of code.
    """
    some = words.words_of(text.load(None), 5)
    assert (len(some.classes), len(some.vocabulary)) == (913_667, 4_939)
    assert some.vocabulary[1:7] == (",", "the", "and", "of", ".", "to")
    shares = [words.unknown(some, part) for part in (some.parts.training, some.parts.test)]
    np.testing.assert_allclose(shares, [0.0147, 0.0419], atol=5e-5)
    assert text.length(some.parts.training) == 823_488 and text.length(some.parts.test) == 44_828


def test_kneser_ney_on_words_is_what_it_is_on_letters_of_the_same_text():
    """A text whose words are single letters has one ladder, whichever way it is cut: losses equal to rounding."""
    letters = draw.generator("letters").integers(0, 5, 3000)
    source = text.text_of("letters", " ".join("abcde"[k] for k in letters))
    some = words.words_of(source, 1)
    training, test = (words.joined(some, part) for part in (some.parts.training, some.parts.test))
    cut = len(training)
    own = ngram.nats(ngram.fit(letters[:cut], 6, 3), letters[-len(test) :])
    by_words = ngram.nats(ngram.fit(training, len(some.vocabulary), 3), test)
    np.testing.assert_allclose(by_words, own, rtol=1e-12)
