"""The text that a sweep speaks of, and the same text where a group runs."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.harness.sweep import Group
from experiments.tasks import text


class Corpus(NamedTuple):
    """A text for a sweep: what its settings begin with, the text, and where it lies ("" for the default one, else what
    `text.load` takes)."""

    name: str
    source: text.Text
    path: str

    @property
    def V(self) -> int:
        """How many different characters it has."""
        return len(self.source.alphabet)

    @property
    def n(self) -> int:
        """How many characters it has."""
        return len(self.source.characters)


def corpus(options: Any, window: int) -> Corpus:
    """The user's text, or the default one.

    Args:
        window: the steps that each part of it must hold.
    Raises:
        CorpusError: it cannot be used.
    """
    given, source = options.corpus, text.load(options.corpus, window)
    return Corpus(f"corpus={source.name}" if given else "text", source, text.place(given))


def source_of(group: Group) -> text.Text:
    """The text that a group was made for.

    Raises:
        CorpusError: it is no longer the same.
    """
    source = text.load(group.corpus or None)
    if source.sha256 != group.data:
        raise text.CorpusError(f"`corpus` must not change while it is read; got SHA-256 {source.sha256}.")
    return source
