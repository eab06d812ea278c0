"""A large experiment in parts: each is a folder with a sweep, an experiment and an analysis of its own.

The sweep of a part has groups(preset, options), its experiment run(group, checkpoint), its analysis analyse(frame),
which gives the report's Findings. What stands above the folders only collects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from experiments.harness.sweep import Group
from properties.record import Record

if TYPE_CHECKING:  # what draws, and what it needs, is no business of a worker's
    import pandas as pd

    from experiments.harness.report import Findings


class Parts(NamedTuple):
    """The parts of an experiment, in the order of the report; the version is that of Group."""

    experiment: str
    version: int
    names: tuple[str, ...]

    def module(self, part: str, kind: str) -> ModuleType:
        """A part's sweep, experiment or analysis."""
        return import_module(f"experiments.{self.experiment}.{part}.{kind}")

    def group(
        self,
        part: str,
        setting: str,
        settings: dict[str, Any],
        seeds: Sequence[int],
        options: Any,
        cost: float,
        dtype: str = "float64",
        data: str = "",
        corpus: str = "",
    ) -> Group:
        """A group of a part; its settings hold plain data, and which part runs it."""
        given, seeds = {"part": part} | settings, tuple(seeds)
        words = (self.experiment, self.version, setting, given, seeds, dtype, options.engine, data, cost)
        return Group(*words, corpus=corpus)

    def groups(self, preset: str, options: Any) -> list[Group]:
        """The groups of every part."""
        return [group for part in self.names for group in self.module(part, "sweep").groups(preset, options)]

    def run(self, group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
        """The records of a group, by the experiment of the part that it belongs to."""
        return self.module(group.settings["part"], "experiment").run(group, checkpoint)

    def findings(self, frame: pd.DataFrame) -> list[Findings]:
        """What each part says of the records."""
        return [self.module(part, "analysis").analyse(frame) for part in self.names]
