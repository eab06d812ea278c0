"""The training text as streams that are read on from chunk to chunk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from experiments.harness.sweep import Group
from experiments.harness.training import Batch
from experiments.language_model.parts import EXPERIMENT
from impl import draw
from impl.spec import tree_map


class Lanes:
    """The training text as B lanes a seed, each read on from where its last chunk ended, a share of them started anew.

    Every seed has its own stream of random numbers, from the text and the seed and not from the cell. A lane that
    starts anew does so at a place drawn from the whole text, with a state of zeros; past its end the text begins again.

    Args:
        group: its settings have T steps a chunk, B lanes, reset (the share that starts anew).
        classes: the training part, (n,) integers.
        V: how many classes there are.
    """

    def __init__(self, group: Group, classes: np.ndarray, V: int, twin: Any) -> None:
        s = group.settings
        self.classes, self.V, self.twin, self.dtype = classes, V, twin, group.dtype
        self.T, self.B = s["T"], s["B"]
        self.restarts = int(s["reset"] * s["B"])
        self.rngs = [draw.generator(EXPERIMENT, group.data, seed, "lanes") for seed in group.seeds]
        self.at = np.stack([self.places(rng, self.B) for rng in self.rngs])

    def places(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """n places of the text, (n,)."""
        return rng.integers(0, len(self.classes), n)

    def chunk(self) -> np.ndarray:
        """The next T symbols of every lane and the one after them, (T + 1, E, B)."""
        steps = np.arange(self.T + 1)[:, None, None]
        chunk = self.classes[(self.at + steps) % len(self.classes)]
        self.at = self.at + self.T
        return chunk

    def batches(self) -> Iterator[Batch]:
        """Chunk after chunk in the twin's arrays: x (T, E, B, V) one-hot, and what comes next as the target."""
        one_hot = self.twin.asarray(np.eye(self.V, dtype=self.dtype))
        while True:
            chunk = self.twin.asarray(self.chunk())  # integers travel to a device, and are made one-hot there
            yield Batch(one_hot[chunk[:-1]], chunk[1:])

    def carry(self, last: Any) -> Any:
        """The next chunk's initial state: the last one, with zeros where a lane starts anew. Moves those lanes."""
        keep = np.ones(self.at.shape, self.dtype)
        for e, rng in enumerate(self.rngs):
            anew = rng.permutation(self.B)[: self.restarts]
            keep[e, anew], self.at[e, anew] = 0, self.places(rng, self.restarts)
        keep = self.twin.asarray(keep[..., None])
        return tree_map(lambda a: a * keep, last)
