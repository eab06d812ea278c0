"""A run that ends by itself: what is begun is done in time at the pace so far, and the same command goes on."""

from __future__ import annotations

import time
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace

import pytest

from experiments.harness import run
from experiments.harness.deadline import Deadline
from experiments.harness.executor import Died, InProcess
from experiments.harness.store import Store
from experiments.harness.toy.testing import GROUPS, alive, begun, in_process, pids
from experiments.harness.workers import Workers

COSTS = (9.0, 8.0, 4.0, 3.0, 2.0, 1.0)
SWEEP = [replace(group, cost=cost) for group, cost in zip(GROUPS, COSTS, strict=False)]


class Takes(InProcess):
    """Each group takes `pace` seconds of this clock for a second predicted."""

    def __init__(self, pace):
        self.now, self.pace, self.begun = 0.0, pace, []

    def run(self, group, checkpoint):
        """See Executor."""
        future = super().run(group, checkpoint)
        seconds = self.pace * group.cost
        self.now, self.begun = self.now + seconds, [*self.begun, group.cost]
        future._result = future.result()._replace(seconds=seconds)
        return future


class Loses(Takes):
    """So too, at 2 s a predicted one, but the cheapest group always ends in this error."""

    def __init__(self, error):
        super().__init__(2.0)
        self._error = error

    def run(self, group, checkpoint):
        """See Executor."""
        future = super().run(group, checkpoint)
        if group.cost == min(COSTS):
            future = Future()
            future.set_exception(self._error)
        return future


def ran(store, place, minutes):
    """What a run with so many minutes begins, and the code and line of its end."""
    place.begun = []
    try:
        run.compute(SWEEP, store, place, quiet=True, deadline=Deadline(minutes, lambda: place.now))
    except (run.RunError, run.OutOfTime) as stop:
        return place.begun, stop.code, str(stop)
    return place.begun, 0, ""


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty one, where a group takes what is predicted times a pace and nothing to start."""
    monkeypatch.setattr("experiments.harness.deadline.START", 0.0)
    with Store(tmp_path / "s.sqlite") as made:
        yield made


def test_what_would_not_be_done_in_time_is_not_begun_and_the_same_command_goes_on(store):
    """24 s at 2 s a predicted one: the cheapest, whose pace is then known, and what fits; nothing runs twice."""
    place = Takes(2.0)
    why = "what is missing would not be done in the time that was given"
    told = why + " (groups missing: {}; finished groups are kept: run the command again)"
    assert ran(store, place, 0.4) == ([1.0, 9.0, 2.0], 3, told.format(3))
    assert ran(store, place, 0.4) == ([8.0, 4.0], 3, told.format(1)), "it knows the pace from what the store has"
    assert ran(store, place, 0.4) == ([3.0], 0, "")
    assert store.records(SWEEP) == in_process(SWEEP)


def test_each_run_begins_at_least_one_group_so_that_none_is_waited_for_in_vain(store):
    """At a hundredth of the speed predicted nothing fits into a second; the cheapest is tried, and others are next."""
    place, found = Takes(100.0), []
    for _ in SWEEP:
        begun, code, _ = ran(store, place, 1 / 60)
        found += begun
    assert found == sorted(COSTS) and code == 0


def test_where_the_cheapest_always_fails_the_next_cheapest_is_tried(store):
    """Its failure teaches no pace, and without one no run would begin another group."""
    place = Loses(ValueError("always"))
    failed = "harness.toy sum/terms=6 failed with ValueError: always"
    begun, code, told = ran(store, place, 0.4)
    assert (begun, code) == ([1.0, 2.0, 9.0], 1) and told.startswith(f"{failed}; what is missing would not be done in")
    assert ran(store, place, 0.4)[:2] == ([8.0, 4.0], 3)
    begun, code, told = ran(store, place, 0.4)
    assert (begun, code) == ([3.0, 1.0], 1) and told.startswith(f"{failed} (groups missing: 1;")


def test_a_group_that_kills_its_worker_again_and_again_is_named_before_the_deadline_too(store):
    """Each death leaves it as if not begun: the next cheapest is tried, and after all others it, until given up."""
    place, killed = Loses(Died()), "harness.toy sum/terms=6 killed its worker 3 times"
    assert ran(store, place, 0.4)[:2] == ([1.0, 2.0, 9.0], 3)
    assert ran(store, place, 0.4)[:2] == ([8.0, 4.0], 3)
    begun, code, told = ran(store, place, 0.4)
    told_of = f"{killed}, and failed or died 1 time in earlier runs (groups missing: 1;"
    assert (begun, code) == ([3.0, 1.0, 1.0, 1.0], 1) and told.startswith(told_of)


def test_a_group_that_kills_late_in_each_run_keeps_no_other_from_being_begun(store):
    """In 4 s it dies twice; it alone would fit, and yet each run begins another and tries it no more until the last."""
    place, killed = Loses(Died()), "harness.toy sum/terms=6 killed its worker {} times"
    begun, code, told = ran(store, place, 4 / 60)
    assert (begun, code) == ([1.0, 2.0], 3) and told.startswith(f"{killed.format(1)}; what is missing would not be")
    for cost in sorted(COSTS)[2:]:
        begun, code, told = ran(store, place, 4 / 60)
        assert (begun, code) == ([cost], 3) and told.startswith("what is missing would not be done")
    begun, code, told = ran(store, place, 4 / 60)
    told_of = f"{killed.format(2)}, and failed or died 1 time in earlier"
    assert (begun, code) == ([1.0, 1.0], 1) and told.startswith(told_of)


def test_a_group_that_lived_in_the_end_is_not_named_as_a_killer():
    """What would be late is told alone."""
    losses = run.Losses(2)
    assert losses.runs_again(SWEEP[0], Died())
    losses.done(SWEEP[0])
    assert losses.line().startswith("what is missing would not be done")


def test_only_a_run_of_which_every_group_failed_has_begun_none():
    """Where another still runs, or is done, no group that would be late is begun in a failed one's place."""
    deadline = Deadline(1.0, lambda: 0.0)
    first, second, third = (replace(group, cost=30.0) for group in GROUPS[:3])
    deadline.next([first])
    deadline.learn(first, 30.0)
    assert deadline.next([second]) == second
    deadline.learn(first, 1e3)
    deadline.take_back(first)
    assert deadline.next([third]) is None
    deadline.take_back(second)
    assert deadline.next([third]) == third


def test_of_a_run_in_two_parts_one_begins_such_a_group(store):
    """The second part, as clocks are, has the same deadline: where the first has computed, it begins what would fit."""
    place = Takes(100.0)
    deadline = Deadline(3.0, lambda: place.now)
    assert run.compute(SWEEP[-1:], store, place, quiet=True, deadline=deadline) == 1
    with pytest.raises(run.OutOfTime, match="groups missing: 1;"):
        run.compute(SWEEP[-2:-1], store, place, quiet=True, deadline=deadline)
    assert place.begun == [1.0]


def test_without_a_pace_no_group_fits_and_then_the_slowest_of_its_kind_counts():
    """Until one is done nothing is known; then the slowest of a kind, or of all kinds for one that has none yet."""
    clock = [0.0]
    deadline = Deadline(1.0, lambda: clock[0])
    one, other = replace(GROUPS[0], cost=30.0), replace(GROUPS[0], setting="other/kind", cost=30.0)
    assert not deadline.fits(replace(one, cost=1e-9))
    assert deadline.next([]) is None and deadline.next([one, replace(other, cost=1.0)]).cost == 1.0
    assert deadline.next([one]) is None, "a run has begun with one already"
    deadline.learn(one, 30.0)
    assert deadline.fits(one) and deadline.fits(other)
    deadline.learn(other, 61.0)
    deadline.learn(other, 1.0)
    assert deadline.fits(one) and not deadline.fits(other) and not deadline.fits(replace(one, setting="third"))
    deadline.learn(replace(one, cost=0.0), 5.0)
    clock[0] = 31.0
    assert deadline.left() == 29.0 and not deadline.fits(one)
    clock[0] = 61.0
    assert deadline.over() and deadline.left() == 0.0 and not deadline.fits(replace(one, cost=0.0))


def test_a_small_group_that_takes_a_while_to_start_does_not_make_the_others_late():
    """A sweep of tenths of a second whose first process imports for two: without START its pace would be 25."""
    one, other = replace(GROUPS[0], cost=0.1), replace(GROUPS[0], setting="other/kind", cost=30.0)
    limit = Deadline(1.0, lambda: 0.0)
    limit.learn(one, 2.5)
    assert limit.fits(other) and limit.fits(replace(one, cost=30.0))
    limit.learn(one, 25.0)
    assert not limit.fits(other)


def test_a_run_without_a_deadline_has_all_the_time_there_is():
    """Also for what is predicted to take for ever."""
    deadline = Deadline()
    deadline.learn(SWEEP[0], 1e12)
    assert not deadline.over() and deadline.fits(replace(SWEEP[0], cost=1e12))


def test_what_runs_when_the_time_is_over_is_given_up(store, tmp_path, monkeypatch):
    """Its worker ends with it, and not when the group would have."""
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("TOY_SECONDS", "60")
    start = time.monotonic()
    with closing(Workers(2)) as workers, pytest.raises(run.OutOfTime, match="groups missing: 12;"):
        run.compute(GROUPS, store, workers, quiet=True, deadline=Deadline(0.1))
    assert time.monotonic() - start < 40
    assert store.finished(GROUPS) == set()
    assert len(begun(tmp_path / "log")) <= 2 and not any(map(alive, pids(tmp_path / "log")))


def test_a_failure_before_the_deadline_is_a_failure(store, tmp_path, monkeypatch):
    """Both are told, and the exit code is that of the failure."""
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("TOY_FAILS", SWEEP[-1].setting)  # the cheapest, with which a run begins
    late = lambda: 1e9 if begun(tmp_path / "log") else 0.0  # noqa: E731
    with pytest.raises(run.RunError, match=r"asked to fail, at .*; what is missing would not .* \(groups m") as stop:
        run.compute(SWEEP, store, InProcess(), quiet=True, deadline=Deadline(1.0, late))
    assert stop.value.code == 1


def test_what_was_computed_before_is_read_only_where_a_pace_is_asked_for(store, monkeypatch):
    """A run without a deadline reads the facts of no finished group; one with it those of each."""
    read, facts = [], Store.facts
    run.compute(SWEEP[:3], store, InProcess(), quiet=True)
    monkeypatch.setattr(Store, "facts", lambda store, group: read.append(group.key) or facts(store, group))
    run.compute(SWEEP[:4], store, InProcess(), quiet=True)
    assert read == []
    run.compute(SWEEP[:5], store, InProcess(), quiet=True, deadline=Deadline(60.0))
    assert read == [group.key for group in SWEEP[:4]]
