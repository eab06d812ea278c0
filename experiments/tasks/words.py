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
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from experiments.tasks import text
from experiments.tasks.corpora import CorpusError
from experiments.tasks.text import Parts, Text

UNKNOWN, END = "<unk>", "<eos>"
PLAIN = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*|\d+|[^\w\s]|_")
PREPARED = re.compile(r"\n|\S+")
IS_PREPARED = re.compile(rf"(?<!\S){UNKNOWN}(?!\S)")


class Words(NamedTuple):
    """A text by words.

    Attributes:
        classes: (n,) integers, each token's place in the vocabulary.
        vocabulary: the different tokens; the first is <unk>.
        parts: training, validation and test as slices of `classes`.
        prepared: whether the text came as tokens between blanks, <unk> among them.
    """

    classes: np.ndarray
    vocabulary: tuple[str, ...]
    parts: Parts
    prepared: bool


class Tokens(NamedTuple):
    """A text's tokens: where each begins (n,), its number (n,) among the different ones, in order of appearance; and
    whether the text came as tokens."""

    starts: np.ndarray
    numbers: np.ndarray
    different: list[str]
    prepared: bool


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
    tokens = tokens_of(source.string)
    parts = Parts(*(moved(part, tokens.starts) for part in parts or text.parts(source)))
    kept = frequent(tokens, parts.training, least)
    if not kept:
        raise CorpusError(f"`corpus` must have a word that its training part has {least} times; got {source.name}.")
    place = np.zeros(len(tokens.different), np.int64)
    place[kept] = np.arange(1, len(kept) + 1)
    classes = place[tokens.numbers]
    classes.flags.writeable = False
    return Words(classes, (UNKNOWN, *(tokens.different[k] for k in kept)), parts, tokens.prepared)


@lru_cache(maxsize=1)
def tokens_of(string: str) -> Tokens:
    """Cuts a text; the last one's tokens are kept, since every preset asks for them."""
    prepared, numbers = IS_PREPARED.search(string) is not None, dict[str, int]()

    def number(token: str) -> int:
        token = END if token == "\n" else token if prepared else token.lower()
        return numbers.setdefault(token, len(numbers))

    found = (PREPARED if prepared else PLAIN).finditer(string)
    both = np.fromiter((n for some in found for n in (some.start(), number(some[0]))), np.int64)
    both.flags.writeable = False
    return Tokens(both[::2], both[1::2], list(numbers), prepared)


def moved(part: list[slice], starts: np.ndarray) -> list[slice]:
    """A part's slices of characters as those of the tokens that begin in them."""
    ends = ((some.start, some.stop) for some in part)
    return [slice(*np.searchsorted(starts, pair).tolist()) for pair in ends]


def frequent(tokens: Tokens, training: list[slice], least: int) -> list[int]:
    """The numbers of the tokens that occur so often in the training part, the most frequent first, equally frequent
    ones by their letters; never <unk>."""
    counts = np.zeros(len(tokens.different), np.int64)
    for some in training:
        counts += np.bincount(tokens.numbers[some], minlength=counts.size)
    kept = [k for k in np.flatnonzero(counts >= least).tolist() if tokens.different[k] != UNKNOWN]
    return sorted(kept, key=lambda k: (-counts[k], tokens.different[k]))


def joined(words: Words, part: list[slice]) -> np.ndarray:
    """The classes of a part, its slices joined."""
    return np.concatenate([words.classes[some] for some in part])


def unknown(words: Words, part: list[slice]) -> float:
    """The share of <unk> among a part's tokens."""
    return float((joined(words, part) == 0).mean())
