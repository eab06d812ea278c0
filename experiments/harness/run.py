"""Runs a sweep: what the store has is kept, the rest is computed and stored group by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from typing import Any

from experiments import claims
from experiments.harness import provenance
from experiments.harness.deadline import Deadline
from experiments.harness.endings import Told
from experiments.harness.executor import AT, THREADS, Died, Executor, Outcome, Unusable
from experiments.harness.listing import counted
from experiments.harness.progress import Progress, on_terminal
from experiments.harness.store import Store, StoreError
from experiments.harness.sweep import Group
from properties.record import Record

DEATHS = 3
"""Workers that a group may kill in one run; then it is given up, and the others go on. It is named, as a failure of the
run, where a worker died of it in this run, and it has failed or died so often in all runs."""
HOPELESS = 20
"""Workers that may die before any group is done; then it is no group's fault, and no later run is told of it."""
LOOK = 1.0
"""Seconds after which it is looked again whether the executor has more slots."""
NAMED = 5
"""Groups that an error names."""


class RunError(Told):
    """A sweep stopped before its end; one line that says where, and that finished groups are kept."""


class OutOfTime(Told):
    """A sweep stopped at its deadline, and nothing failed; one line that says so."""

    code = 3


def compute(
    groups: Sequence[Group],
    store: Store,
    executor: Executor,
    quiet: bool = False,
    deadline: Deadline | None = None,
) -> int:
    """Computes the groups that the store lacks, dearest first, and stores each when it is done.

    What failed before, in this run or an earlier one, comes after all that did not, the least often failed first.

    Args:
        groups: in any order; which are computed first changes no result.
        quiet: without a progress bar.
        deadline: after which no group is waited for, but for one in this process; none is begun that would not be done
            by then, but for one to begin with, see Deadline.next.
    Returns:
        How many groups were computed; the others were in the store.
    Raises:
        RunError: a group failed, or its worker died in this run and it has failed or died DEATHS times in all runs,
            and all others are done or late; or the executor cannot go on.
        OutOfTime: the deadline came before the end.
    """
    groups, deadline = unique(groups), deadline or Deadline()
    finished = store.finished(groups)
    waiting = sorted((g for g in groups if g.key not in finished), key=lambda g: (-g.cost, g.key))
    commit, bar = provenance.commit(), Bar(waiting, quiet)
    losses = Losses(len(waiting), store.failures(waiting))
    running: dict[Future[Outcome], Group] = {}
    for group in groups if waiting and deadline.ends else ():
        if group.key in finished:
            deadline.learn(group, store.facts(group)["seconds"])
    with bar:
        while not deadline.over():
            while len(running) < executor.slots and (group := following(waiting, losses, deadline)):
                waiting.remove(group)
                running[executor.run(group, bar.checkpoint(group))] = group
            if not running:
                break
            for future in wait(running, min(LOOK, deadline.left()), FIRST_COMPLETED).done:
                group, error = running.pop(future), future.exception()
                if error is None:
                    keep(store, group, future.result(), commit)
                    deadline.learn(group, future.result().seconds)
                    losses.done(group)
                else:
                    deadline.take_back(group)
                    note(store, group, error)
                    if losses.runs_again(group, error):
                        waiting.append(group)
        forget(store, groups, losses.blameless())
        if losses.missing:
            raise losses.error()
    return losses.count


def following(waiting: Sequence[Group], losses: Losses, deadline: Deadline) -> Group | None:
    """The next group to begin, where one is to be begun: those that failed least often come first.

    So what always fails keeps nothing else waiting, and what died for want of memory has more of it in the end.
    """
    counts = sorted({losses.times(group) for group in waiting})
    each = (deadline.next([group for group in waiting if losses.times(group) == times]) for times in counts)
    return None if losses.end else next((group for group in each if group), None)


class Losses:
    """What a run lost and why, and whether a group is run again; the same for all executors.

    Args:
        count: groups to compute.
        before: how often groups failed in earlier runs, by key.
    Attributes:
        count, missing: groups to compute, and those of them that have no results yet.
        end: why no further group is begun, or "".
    """

    def __init__(self, count: int, before: Mapping[str, int] | None = None) -> None:
        self.count = self.missing = count
        self._before = Counter(before)
        self.end, self._hopeless = "", False
        self._deaths, self._names = Counter[str](), dict[str, str]()
        self._failures: list[str] = []

    def times(self, group: Group) -> int:
        """How often a group has failed, or its process died, in this run and in earlier ones."""
        return self._before[group.key] + self._deaths[group.key]

    def done(self, group: Group) -> None:
        """Notes a group's results; that workers died before is no matter then."""
        self.missing -= 1
        self._deaths.pop(group.key, None)

    def runs_again(self, group: Group, error: BaseException) -> bool:
        """Notes an error; true where the group's process died, which says nothing of the group before it is usual."""
        if isinstance(error, Died):
            self._deaths[group.key] += error.times
            self._names[group.key] = f"{group.experiment} {group.setting}"
            if self.missing == self.count and self._deaths.total() >= HOPELESS:
                self._hopeless = True
                self.end = f"{self._deaths.total()} workers died before any group was done, whatever they ran"
            return self._deaths[group.key] < DEATHS
        if isinstance(error, Unusable):
            self.end = str(error)
        else:
            self._failures.append(f"{group.experiment} {group.setting} failed with {said(error)}")
        return False

    def blameless(self) -> Counter[str]:
        """The deaths by key that are no group's fault: all, or none."""
        return Counter(self._deaths if self._hopeless else ())

    def error(self) -> RunError | OutOfTime:
        """What ends the run; that the time is over is no failure, unless there was one too."""
        failed = self.end or self._failures or self.killers(DEATHS)
        return RunError(self.line()) if failed else OutOfTime(self.line())

    def line(self) -> str:
        """What was lost, in one line."""
        killers = self.killers(1 if self.late() else DEATHS)  # one that would be late may be so for its deaths
        told = killers[:NAMED]
        told += [f"{len(killers) - NAMED} more groups did so"] if len(killers) > NAMED else []
        failed = self._failures[:1]
        failed += [f"{counted(len(self._failures) - 1, 'more group')} failed"] if len(self._failures) > 1 else []
        late = ["what is missing would not be done in the time that was given"] if self.late() else []
        why = "; ".join([*([self.end] if self.end else []), *failed, *told, *late])
        kept = f"groups missing: {self.missing}; finished groups are kept: run the command again"
        return " ".join(f"{why} ({kept})".split())

    def late(self) -> bool:
        """Whether groups are missing that nothing keeps from being computed, but the deadline."""
        return not self.end and self.missing > len(self._failures) + len(self.killers(DEATHS))

    def killers(self, least: int) -> list[str]:
        """The groups at fault for a worker's death in this run, and that failed or died so often in all runs."""
        blamed = self._deaths - self.blameless()
        found = {key: times for key, times in blamed.items() if times + self._before[key] >= least}
        return [
            f"{self._names[key]} killed its worker {times} times{self.earlier(key)}" for key, times in found.items()
        ]

    def earlier(self, key: str) -> str:
        """How often a group failed or died before this run, where it did."""
        return f", and failed or died {counted(self._before[key], 'time')} in earlier runs" if self._before[key] else ""


def said(error: BaseException) -> str:
    """What an error is, and where it was raised as far as it says so."""
    where = [f", {note}" for note in getattr(error, "__notes__", []) if note.startswith(AT)]
    return f"{type(error).__name__}: {error}{''.join(where)}"


def note(store: Store, group: Group, error: BaseException) -> None:
    """Lets the store remember that a group failed; where it cannot, that must not hide what the group failed with."""
    if not isinstance(error, Unusable):
        with suppress(StoreError):
            store.note_failure(group, error.times if isinstance(error, Died) else 1)


def forget(store: Store, groups: Iterable[Group], deaths: Mapping[str, int]) -> None:
    """Takes back deaths that were noted, by key; where the store cannot be written, the groups only come later."""
    with suppress(StoreError):
        for group in groups:
            if times := deaths.get(group.key):
                store.note_failure(group, -times)


def keep(store: Store, group: Group, outcome: Outcome, commit: str) -> None:
    """Stores what a group brought."""
    facts = {
        "commit": commit,
        "device": outcome.device,
        "threads": group.settings.get("threads", THREADS),
        "seconds": round(outcome.seconds, 3),
        "versions": outcome.versions,
    }
    store.save(group, stamped(outcome.records), facts)


def stamped(records: Iterable[Record]) -> list[Record]:
    """The records with the hashes of the claims that read them, as these stand now."""
    return [r._replace(rule=claims.rules_for(r.source, r.metric, r.setting)) for r in records]


def unique(groups: Iterable[Group]) -> list[Group]:
    """The groups, each key once."""
    return list({group.key: group for group in groups}.values())


class Bar:
    """Progress in predicted core-seconds, so that the time left counts what is dear and what is cheap."""

    def __init__(self, groups: Sequence[Group], quiet: bool) -> None:
        self._done = {group.key: 0.0 for group in groups}
        total = sum(group.cost for group in groups)
        line = "{l_bar}{bar}| {n:.0f}/{total:.0f} core-s [{elapsed} so far, {remaining} left]{postfix}"
        self._bar = Progress(total, quiet or not groups, bar_format=line, dynamic_ncols=on_terminal())

    def __enter__(self) -> Bar:
        """The bar itself."""
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        """Ends the bar; a sweep that came to its end fills it."""
        if kind is None:
            self._bar.update(self._bar.total - self._bar.n)
        self._bar.close()

    def checkpoint(self, group: Group) -> Any:
        """What the group calls with (done, total)."""

        def mark(done: int, total: int) -> None:
            # A group that runs again, on another worker, counts from where it was when that one died.
            now = max(group.cost * min(done / max(total, 1), 1.0), self._done[group.key])
            step, self._done[group.key] = now - self._done[group.key], now
            self._bar.set_postfix_str(f"{group.experiment} {group.setting}", refresh=False)
            self._bar.update(step)

        return mark
