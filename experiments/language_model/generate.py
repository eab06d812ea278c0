"""A trained model of characters goes on from a text: each character is drawn from what it predicts, and fed back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from experiments.harness.endings import UsageError, tell
from experiments.harness.engine import cores, engine, threads
from experiments.harness.executor import THREADS
from experiments.harness.training import choose
from experiments.language_model.parts import EXPERIMENT
from experiments.language_model.running import sample
from experiments.language_model.trained import Trained, described, finite, load, newest, refusing
from impl import draw

BYTES = "latin-1"
"""The encoding of a text whose bytes are its characters."""

NAMED = 10
"""How many strange characters a refusal names at most."""


def written(asked: Any, form: str, folder: Path) -> str:
    """The prime, and what a model writes after it.

    Args:
        asked: model (a file, or None for the newest in `folder`), prime, length, temperature, seed, member.
        form: the engine.
    Raises:
        UsageError: an option or the file cannot be used; one line.
    """
    check_numbers(asked)
    with refusing():
        trained = load(asked.model) if asked.model else newest(folder)
    prime = classes(trained, read_as(trained, asked.prime))
    check_member(trained, asked.member)
    if not asked.model:
        tell(f"model {asked.member} of {len(trained.facts['seeds'])} in {described(trained)}")
    return asked.prime + shown(trained, "".join(trained.alphabet[k] for k in drawn(trained, prime, asked, form)))


def read_as(trained: Trained, string: str) -> str:
    """A string as the models read it: where the bytes of their text were characters, as its bytes in UTF-8."""
    return string.encode("utf-8", "surrogateescape").decode(BYTES) if of_bytes(trained) else string


def shown(trained: Trained, string: str) -> str:
    """The inverse of `read_as`; bytes that are no character show as one that says so."""
    return string.encode(BYTES).decode("utf-8", "replace") if of_bytes(trained) else string


def of_bytes(trained: Trained) -> bool:
    """Whether the bytes of the text were the characters, as in enwik8."""
    return trained.facts.get("encoding") == BYTES


def drawn(trained: Trained, prime: np.ndarray, asked: Any, form: str) -> np.ndarray:
    """The classes that one member gives after the prime, (length,); with a seed they are the same each time."""
    rng = draw.generator(EXPERIMENT, "generate", asked.seed)
    with threadpool_limits(THREADS), threads(cores()):
        twin = engine(form)
        model = twin.asarray(choose(trained.model, [asked.member]))
        how = (asked.length, asked.temperature, [rng])
        return sample(twin, {"cell": trained.cell}, model, prime[:, None], *how)[:, 0, 0]


def classes(trained: Trained, prime: str) -> np.ndarray:
    """The classes of the prime, (P,); of an empty one, those of the line break or else the first of the alphabet.

    Raises:
        UsageError: a character is not in the alphabet.
    """
    place = {character: k for k, character in enumerate(trained.alphabet)}
    if strange := [character for character in dict.fromkeys(prime) if character not in place]:
        named = ", ".join(map(repr, strange[:NAMED]))
        raise UsageError(f"--prime must have characters that the model has read, {len(place)} in all; got {named}.")
    return np.array([place[character] for character in prime] or [place.get("\n", 0)])


def check_numbers(asked: Any) -> None:
    """Refuses numbers that no model can be asked for."""
    if asked.length < 1:
        raise UsageError(f"--length must be 1 or more, since so many characters are written; got {asked.length}.")
    if not 0 <= asked.temperature < math.inf:
        raise UsageError(f"--temperature must be a number of 0 or more; got {asked.temperature}.")


def check_member(trained: Trained, member: int) -> None:
    """Refuses a member that the file does not have, and one that has diverged in its training."""
    E, path = len(trained.facts["seeds"]), trained.file.path
    if not 0 <= member < E:
        raise UsageError(f"--member must be below {E}, the number of models in {path}, and 0 or more; got {member}.")
    if not (usable := finite(trained.model))[member]:
        those = ", ".join(map(str, np.flatnonzero(usable))) or "none"
        raise UsageError(f"--member must be a model whose weights are finite, of {path} {those}; got {member}.")
