"""Free-running against teacher-forced: what models of a text say by themselves beside the text that they are shown.

Every seed has stretches of the test of its own, the same for both cells: a prime, and what truly follows it (held-out).
After the prime a model runs freely; forced, it says at each place of the held-out text what it would have said there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from experiments.harness.sweep import Group
from experiments.language_model import running
from experiments.language_model.parts import EXPERIMENT
from experiments.language_model.text import likeness
from experiments.language_model.text.likeness import WINDOW, Training
from experiments.tasks import text
from impl import draw
from impl.spec import Model, tree_map
from properties.record import Record

TEMPERATURES = (0.5, 1.0, 1.5)
"""Of the samples that are printed."""
PROMPT = 60
"""Symbols of the prime that are printed before them."""


class Said(NamedTuple):
    """A kind of text: its symbols after the prime (n, E, B), where they follow one another, and their windows."""

    own: np.ndarray | None
    windows: np.ndarray


def running_records(
    group: Group, twin: Any, model: Model, source: text.Text, training: Training, part: slice
) -> Iterator[Record]:
    """What a group's models say, as records by seed.

    words_KIND (share of words that stand in the training part; none where there is no whole word), nats_KIND by order
    (loss under Kneser-Ney, nats a character), unseen_KIND by the window's length, of each KIND: heldout, forced (no
    words), free. own_KIND: the model's own loss, on what is held out and on what it said freely.

    Args:
        part: the test.
    """
    s, rngs = group.settings, generators(group, "free")
    prime, true = stretches(group, source.characters, part)
    shown = running.forced(twin, s, model, np.concatenate([prime, true]), generators(group, "forced"))
    free = running.sample(twin, s, model, prime, len(true), 1.0, rngs)
    again = running.forced(twin, s, model, np.concatenate([prime, free]), rngs)
    own = slice(len(prime) - 1, -1)
    for kind, forced in (("heldout", shown), ("free", again)):
        yield from group.each(f"own_{kind}", 0, forced.nats[own.start :].mean((0, 2)))
    kinds = {
        "heldout": Said(true, likeness.windows(prime, true)),
        "forced": Said(None, likeness.forced_windows(prime, true, shown.drawn[own])),
        "free": Said(free, likeness.windows(prime, free)),
    }
    yield from likeness_records(group, training, kinds)


def likeness_records(group: Group, training: Training, kinds: dict[str, Said]) -> Iterator[Record]:
    """How much each kind of text is like the training part."""
    shares = likeness.unseen(training, [said.windows for said in kinds.values()])
    for (kind, said), share in zip(kinds.items(), shares, strict=True):
        yield from group.each(f"unseen_{kind}", WINDOW, share)
        for order, value in enumerate(likeness.nats(training, said.windows)):
            yield from group.each(f"nats_{kind}", order, value)
        if said.own is not None:
            yield from group.each(f"words_{kind}", 0, likeness.in_vocabulary(training, said.own))


def stretches(group: Group, characters: np.ndarray, part: slice) -> tuple[np.ndarray, np.ndarray]:
    """Each seed's primes and what follows them, (P, E, B) and (n, E, B): places drawn from the test by the seed.

    A prime may lie before the part; n is at most the part's length.
    """
    s = group.settings
    n = min(s["steps"], part.stop - part.start)
    rngs = generators(group, "stretches")
    at = np.stack([rng.integers(part.start, part.stop - n + 1, s["free_lanes"]) for rng in rngs])
    return tuple(characters[at + np.arange(*ends)[:, None, None]] for ends in ((-s["prime"], 0), (0, n)))


def generators(group: Group, *words: str | int) -> list[np.random.Generator]:
    """A generator a seed, the same for both cells."""
    return [draw.generator(EXPERIMENT, group.data, seed, *words) for seed in group.seeds]


def sample_records(group: Group, twin: Any, model: Model, source: text.Text, part: slice) -> Iterator[Record]:
    """What the first seed says at some temperatures after its first prime, and the prime's end, as classes by place."""
    s, first = group.settings, tree_map(lambda a: a[:1], model)
    prime = stretches(group, source.characters, part)[0][:, :1, :1]
    yield from written(group, "prompt", prime[-PROMPT:])
    for temperature in TEMPERATURES:
        rngs = generators(group, "sample", temperature)[:1]
        said = running.sample(twin, s, first, prime, s["printed"], temperature, rngs)
        yield from written(group, "sample", said, f"{group.setting}/temperature={temperature:g}")


def written(group: Group, metric: str, classes: np.ndarray, setting: str = "") -> Iterator[Record]:
    """A lane of the first seed as records, (n, 1, 1)."""
    for place, value in enumerate(classes.ravel().tolist()):
        yield Record(group.experiment, setting or group.setting, group.seeds[0], metric, place, float(value))
