"""A run that ends by itself: which groups would still be done in time, at the pace of those that are."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Annotated

import tyro

from experiments.harness.endings import UsageError
from experiments.harness.sweep import Group

HELP = (
    "Ends by itself after so many, with exit code 3 where groups are missing: the same command goes on. But for the "
    "first, or those that take its place where it fails, no group is begun that, at the pace so far, would not be done "
    "by then."
)
Minutes = Annotated[float | None, tyro.conf.arg(help=HELP)]
"""The option --minutes of a command that computes."""


START = 3.0
"""Seconds that a group may take for what no prediction counts: a process, imports, compiling, a card's first use."""


class Deadline:
    """When a run ends; it counts from here.

    A group's pace is its measured seconds over its predicted ones, of which each group has START more: else a small one
    whose process has just begun would seem slow, and all others with it. A new group is expected to be as slow as the
    slowest of its kind (the first word of its setting) so far, or of all where none of its kind is done.

    Args:
        minutes: from now; infinity is none.
        clock: gives seconds.
    Attributes:
        ends: whether there is an end.
    """

    def __init__(self, minutes: float = math.inf, clock: Callable[[], float] = time.monotonic) -> None:
        self.ends = minutes < math.inf
        self._clock, self._end = clock, clock() + 60 * minutes
        self._paces, self._given = dict[str, float](), set[str]()

    @classmethod
    def asked(cls, minutes: float | None) -> Deadline:
        """That of a command, which was told --minutes or not.

        Raises:
            UsageError: they are not above 0.
        """
        if minutes is not None and not minutes > 0:
            raise UsageError(f"--minutes must be above 0; got {minutes:g}.")
        return cls(math.inf if minutes is None else minutes)

    def left(self) -> float:
        """Seconds until the end; 0 when it is over."""
        return max(0.0, self._end - self._clock())

    def over(self) -> bool:
        """Whether the time is over."""
        return self.left() == 0.0

    def learn(self, group: Group, seconds: float) -> None:
        """Takes in how long a group took."""
        if group.cost > 0:
            self._paces[kind(group)] = max(self._paces.get(kind(group), 0.0), seconds / (START + group.cost))

    def fits(self, group: Group) -> bool:
        """Whether a group that begins now would be done in time, as far as is known."""
        slowest = self._paces.get(kind(group), max(self._paces.values(), default=math.inf))
        return not self.ends or (not self.over() and slowest * (START + group.cost) <= self.left())

    def next(self, waiting: Sequence[Group]) -> Group | None:
        """The first that would be done in time, to be begun.

        Where none would, or no pace is known, a run begins with the cheapest all the same: else it would end as it
        began, and so would the next. It may be done, and what trains goes on from where it stood.
        """
        fitting = next((group for group in waiting if self.fits(group)), None)
        tried = None if self._given or self.over() else min(waiting, key=lambda group: group.cost, default=None)
        found = fitting or tried
        self._given |= {found.key} if found else set()
        return found

    def take_back(self, group: Group) -> None:
        """Counts a group as not begun, since it failed or its process died: it taught no pace."""
        self._given.discard(group.key)


def kind(group: Group) -> str:
    """Groups of one kind are predicted by one rule, and so are about as far off."""
    return f"{group.experiment}/{group.setting.split('/')[0]}"
