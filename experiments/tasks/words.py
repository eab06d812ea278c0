"""Text by words: a text's tokens as classes over a vocabulary that is taken from its training part alone.

A text is cut into tokens in one of two ways:

* plain: a run of letters, within which an apostrophe or a hyphen may stand (beth-el, father's), a run of digits, or any
  other character that is not blank; all in lower case. Where lines end is not kept.
* prepared: what stands between blanks, as it is, and <eos> for the end of every line. So is a text read that has the
  word <unk> in it already, as Mikolov's Penn Treebank has.

A token belongs to the part of the text in which its first character stands, so that the parts by words are those by
characters, moved to the next token. The vocabulary is <unk>, then the tokens that occur at least `least` times in the
training part, the most frequent first; every other token, of whatever part, is <unk>. A predictor therefore knows of no
word that stands in the validation part or in the test alone, and its loss on <unk> is that of saying "some rare word":
losses over two vocabularies cannot be compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from experiments.tasks import text
from experiments.tasks.text import CorpusError, Parts, Text

UNKNOWN, END = "<unk>", "<eos>"
PLAIN = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*|\d+|[^\w\s]|_")
PREPARED = re.compile(r"\n|\S+")


class Words(NamedTuple):
    """A text by words.

    Attributes:
        classes: (n,) integers, each token's place in the vocabulary.
        vocabulary: the different tokens; the first is <unk>.
        parts: training, validation and test as slices of `classes`.
    """

    classes: np.ndarray
    vocabulary: tuple[str, ...]
    parts: Parts


def words_of(source: Text, least: int, parts: Parts | None = None) -> Words:
    """A text's words.

    Args:
        source: the text.
        least: how often a token of the vocabulary occurs in the training part at least.
        parts: slices of the characters; those of `text.parts` if None.
    Raises:
        ValueError: `least` is less than 1.
        CorpusError: no token of the training part occurs so often.
    """
    if least < 1:
        raise ValueError(f"`least` must be 1 or more, since it counts how often a word stands there; got {least}.")
    starts, tokens = tokens_of(source.string)
    parts = Parts(*(moved(part, starts) for part in parts or text.parts(source)))
    vocabulary = frequent((tokens[i] for some in parts.training for i in range(some.start, some.stop)), least)
    if len(vocabulary) < 2:
        raise CorpusError(f"`corpus` must have a word that its training part has {least} times; got {source.name}.")
    place = {token: k for k, token in enumerate(vocabulary)}
    classes = np.array([place.get(token, 0) for token in tokens])
    classes.flags.writeable = False
    return Words(classes, vocabulary, parts)


def tokens_of(string: str) -> tuple[np.ndarray, list[str]]:
    """Where each token begins in a text, (n,), and the tokens."""
    prepared = UNKNOWN in string.split()
    found = list((PREPARED if prepared else PLAIN).finditer(string))
    tokens = [END if some[0] == "\n" else some[0] if prepared else some[0].lower() for some in found]
    return np.array([some.start() for some in found], np.int64), tokens


def moved(part: list[slice], starts: np.ndarray) -> list[slice]:
    """A part's slices of characters as those of the tokens that begin in them."""
    ends = ((some.start, some.stop) for some in part)
    return [slice(*np.searchsorted(starts, pair).tolist()) for pair in ends]


def frequent(tokens: Iterable[str], least: int) -> tuple[str, ...]:
    """<unk> and the tokens that occur so often, the most frequent first, equally frequent ones by their letters."""
    counts = Counter(tokens)
    del counts[UNKNOWN]
    kept = [token for token, n in counts.items() if n >= least]
    return (UNKNOWN, *sorted(kept, key=lambda token: (-counts[token], token)))


def joined(words: Words, part: list[slice]) -> np.ndarray:
    """The classes of a part, its slices joined."""
    return np.concatenate([words.classes[some] for some in part])


def unknown(words: Words, part: list[slice]) -> float:
    """The share of <unk> among a part's tokens."""
    return float((joined(words, part) == 0).mean())
