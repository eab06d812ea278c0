"""Runs a sweep: what the store has is kept, the rest is computed and stored group by group."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from tqdm import tqdm

from experiments import claims
from experiments.harness import provenance
from experiments.harness.executor import THREADS, Executor, Outcome
from experiments.harness.store import Store
from experiments.harness.sweep import Group
from properties.record import Record


class RunError(Exception):
    """A sweep stopped before its end; one line that says where, and that finished groups are kept."""


def compute(groups: Sequence[Group], store: Store, executor: Executor, quiet: bool = False) -> int:
    """Computes the groups that the store lacks, dearest first, and stores each when it is done.

    Args:
        groups: in any order; which are computed first changes no result.
        quiet: without a progress bar.
    Returns:
        How many groups were computed; the others were in the store.
    Raises:
        RunError: a worker died or a group failed; all other groups are computed first, where a worker is left.
    """
    finished = store.finished(groups)
    waiting = sorted((g for g in unique(groups) if g.key not in finished), key=lambda g: (-g.cost, g.key))
    commit, count = provenance.commit(), len(waiting)
    bar = Bar(waiting, quiet)
    running: dict[Future[Outcome], Group] = {}
    failures: list[str] = []
    with bar:
        while waiting or running:
            while waiting and len(running) < executor.slots:
                group = waiting.pop(0)
                running[executor.run(group, bar.checkpoint(group))] = group
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                failures += keep(store, running.pop(future), future, commit)
                waiting = [] if isinstance(future.exception(), BrokenProcessPool) else waiting
    if failures:
        raise RunError(f"{failures[0]} ({len(failures)} groups lost; finished groups are kept: run the command again)")
    return count


def keep(store: Store, group: Group, future: Future[Outcome], commit: str) -> list[str]:
    """Stores what a future brings, or says in a line what went wrong."""
    try:
        records, seconds = future.result()
    except BrokenProcessPool:
        return [f"a worker process died while {group.experiment} {group.setting} ran"]
    except Exception as error:
        return [f"{group.experiment} {group.setting} failed with {type(error).__name__}: {error}"]
    facts = {
        "commit": commit,
        "device": provenance.device(group.engine),
        "threads": group.settings.get("threads", THREADS),
        "seconds": round(seconds, 3),
    }
    store.save(group, stamped(records), facts)
    return []


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
        terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            bar_format=line,
            disable=quiet or not groups,
            mininterval=0.5 if terminal else 15.0,
            miniters=0,
            dynamic_ncols=terminal,
            smoothing=0.05,
        )

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
            now = group.cost * min(done / max(total, 1), 1.0)
            step, self._done[group.key] = now - self._done[group.key], now
            self._bar.set_postfix_str(f"{group.experiment} {group.setting}", refresh=False)
            self._bar.update(max(step, 0.0))

        return mark
