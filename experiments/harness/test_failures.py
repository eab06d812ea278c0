"""What failed in an earlier command comes after all that did not: it keeps nothing else waiting, and is still tried."""

from __future__ import annotations

import lzma
import math
import sqlite3
from collections import Counter
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import command
from experiments.harness import catalogue, provenance, run
from experiments.harness.deadline import Deadline
from experiments.harness.executor import Died, InProcess, Outcome, Unusable
from experiments.harness.pieces import pack, unpack
from experiments.harness.store import Store, StoreError
from experiments.harness.test_resilience import files_up_to
from experiments.harness.test_store_machine import MEMORY, store_with
from experiments.harness.toy.testing import GROUPS, begun


@pytest.fixture(autouse=True, scope="module")
def no_git():
    """Hundreds of commands here would each ask for the commit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(provenance, "commit", lambda: "c")
        yield


MOST = 3
"""How often a group of these tests may fail that is computed in the end."""
FATES = st.tuples(st.integers(1, 9), st.sampled_from([0, 0, 1, MOST, math.inf]), st.booleans())
"""Of a group: its predicted seconds, how often it fails at first, and whether that kills its worker."""


class Fated(InProcess):
    """Groups with such fates, a second a predicted one; `begun` has each with how often it had failed by then."""

    def __init__(self, fates):
        self.groups = [replace(group, cost=float(fate[0])) for group, fate in zip(GROUPS, fates, strict=False)]
        self.fates = {group.key: fate for group, fate in zip(self.groups, fates, strict=False)}
        self.now, self.failed, self.begun = 0.0, Counter(), []

    def run(self, group, checkpoint):
        """See Executor."""
        seconds, times, dies = self.fates[group.key]
        self.begun.append((self.failed[group.key], group.cost))
        self.now += seconds
        future = Future()
        if self.failed[group.key] < times:
            self.failed[group.key] += 1
            future.set_exception(Died() if dies else ValueError("x"))
        else:
            future.set_result(Outcome([], seconds, "cpu", {}))
        return future

    def typed(self, store, minutes=math.inf, count=None):
        """The exit code of a command, of all groups or the first ones."""
        self.begun = []
        try:
            run.compute(self.groups[:count], store, self, quiet=True, deadline=Deadline(minutes, lambda: self.now))
        except (run.RunError, run.OutOfTime) as stop:
            return stop.code
        return 0

    def missing(self, store):
        """How many groups are missing that do not always fail."""
        finished = store.finished(self.groups)
        return sum(self.fates[group.key][1] < math.inf for group in self.groups if group.key not in finished)


def assert_in_order(fates):
    """Asserts that each command begins what failed least often, and of what is new the dearest."""
    place = Fated(fates)
    with TemporaryDirectory(dir=MEMORY) as folder, Store(f"{folder}/s.sqlite") as store:
        for count in (len(fates) // 2, *[None] * (MOST + 1)):
            code = place.typed(store, count=count)
            failed, new = [pair[0] for pair in place.begun], [pair[1] for pair in place.begun if pair[0] == 0]
            assert failed == sorted(failed) and new == sorted(new, reverse=True)
        assert place.missing(store) == 0
        assert code == any(times == math.inf for _, times, _ in fates)


def assert_ends(fates, seconds):
    """Asserts that the same command, typed again, computes all that can be, and says in the end that it failed."""
    place = Fated(fates)
    with TemporaryDirectory(dir=MEMORY) as folder, Store(f"{folder}/s.sqlite") as store:
        for _ in range(len(fates) * (MOST + 1)):
            code = place.typed(store, seconds / 60)
            assert place.begun or code == 0, "each begins one"
        assert place.missing(store) == 0
        assert code == any(times == math.inf for _, times, _ in fates)


@given(st.lists(FATES, min_size=1, max_size=6))
def test_what_failed_before_comes_after_all_that_did_not(fates):
    """Whatever fails or dies, and how often; all that can be computed is, and what always fails is named each time."""
    assert_in_order(fates)


@given(st.lists(FATES, min_size=1, max_size=6), st.integers(1, 30))
def test_a_command_typed_again_computes_all_that_can_be_whatever_fails(fates, seconds):
    """In whatever time each is given: what always fails, and kills slowly, takes it from no other for long."""
    assert_ends(fates, seconds)


DEAR = [(9, math.inf, True), (8, math.inf, False), (1, 0, False), (7, 0, False)]
"""The first half always fails."""
FIRST = [(1, math.inf, False), (2, 0, False), (3, 0, False)]
"""The cheapest always fails."""
KILLERS = [(2, math.inf, True), (3, math.inf, True)]
"""Two that always kill, and in five seconds each does so once."""


def test_two_slow_killers_that_take_turns_are_given_up_in_the_end(tmp_path):
    """In no command does either kill three workers; in all of them together it does, and then it is a failure."""
    place = Fated(KILLERS)
    with Store(tmp_path / "s.sqlite") as store:
        assert [place.typed(store, 5 / 60) for _ in range(3)] == [3, 3, 1]
        with pytest.raises(run.RunError) as stop:
            run.compute(place.groups, store, place, quiet=True)
    assert str(stop.value).count(" killed its worker 3 times, and failed or died 3 times in earlier runs") == 2


@pytest.mark.parametrize("before", range(run.DEATHS + 1))
def test_a_death_is_a_failure_where_it_is_the_third_failure_or_death(tmp_path, before):
    """An error is one each time, with exit code 1; a death before that is told, and the run is only out of time."""
    place = Fated([(2, before, False)])
    with Store(tmp_path / "s.sqlite") as store:
        assert [place.typed(store, 3 / 60) for _ in range(before)] == [1] * before
        place.fates = {group.key: (2, math.inf, True) for group in place.groups}
        with pytest.raises((run.RunError, run.OutOfTime)) as stop:
            run.compute(place.groups, store, place, quiet=True, deadline=Deadline(3 / 60, lambda: place.now))
    earlier = f", and failed or died {before} time{'s' * (before > 1)} in earlier runs" if before else ""
    assert f"killed its worker 2 times{earlier}" in str(stop.value)
    assert stop.value.code == (1 if before + 2 >= run.DEATHS else 3)


def assert_forgotten(folder):
    """Asserts that of a run whose workers all die the store keeps no death, but what it had and the one error."""
    place = Fated([(seconds, math.inf, seconds > 1) for seconds in range(1, 9)])
    fails, dies = place.groups[0], place.groups[-1]
    with Store(folder / "s.sqlite") as store:
        store.note_failure(dies)
        with pytest.raises(run.RunError, match=r"^20 workers died before any group was done, .*; ") as stop:
            run.compute(place.groups, store, place, quiet=True)
        assert store.failures(place.groups) == {fails.key: 1, dies.key: 1}
        assert "killed" not in str(stop.value) and [seconds for _, seconds in place.begun].count(dies.cost) == 2


def test_deaths_that_are_no_groups_fault_are_held_against_none(tmp_path, monkeypatch):
    """Neither in the line nor in later runs; where the store keeps them, it is noticed."""
    (tmp_path / "planted").mkdir()
    assert_forgotten(tmp_path)
    monkeypatch.setattr(run, "forget", lambda *_: None)
    with pytest.raises(AssertionError):
        assert_forgotten(tmp_path / "planted")


@pytest.mark.parametrize("fault", ["nothing is noted", "nothing is remembered", "the most often failed comes first"])
def test_a_planted_fault_in_what_is_remembered_is_noticed(monkeypatch, fault):
    """By the properties above."""
    real = Store.failures
    if fault == "nothing is noted":
        monkeypatch.setattr(run, "note", lambda *_: None)
    elif fault == "nothing is remembered":
        monkeypatch.setattr(Store, "failures", lambda store, groups: Counter())
    else:
        monkeypatch.setattr(Store, "failures", lambda *given: Counter({k: 9 - n for k, n in real(*given).items()}))
    with pytest.raises(AssertionError):
        assert_in_order(DEAR)
    if fault != "the most often failed comes first":
        with pytest.raises(AssertionError):
            assert_ends(FIRST, 1)
        with pytest.raises(AssertionError):
            assert_ends(KILLERS, 5)


# In the store


@pytest.fixture
def store(tmp_path):
    """One in which the first two groups failed."""
    with Store(tmp_path / "s.sqlite") as made:
        made.note_failure(GROUPS[0])
        made.note_failure(GROUPS[1], 4)
        made.note_failure(GROUPS[1])
        yield made


def test_failures_are_counted_and_survive_the_command(store):
    """Of the groups that are asked for."""
    store.close()
    with Store(store.path) as again:
        assert again.failures(GROUPS) == {GROUPS[0].key: 1, GROUPS[1].key: 5}
        assert again.failures(GROUPS[1:3]) == {GROUPS[1].key: 5} and again.finished(GROUPS) == set()


def steps(store):
    """How many steps of SQLite's it takes to ask for two groups' failures."""
    taken = []
    store._db.set_progress_handler(lambda: taken.append(1), 1)
    assert len(store.failures(GROUPS[:2])) == 2
    store._db.set_progress_handler(None, 1)
    return len(taken)


def read_whole(store, groups):
    """In place of `failures`: reads what is noted of all groups."""
    noted = dict(store._db.execute("SELECT key, times FROM failures"))
    return Counter({group.key: noted[group.key] for group in groups if group.key in noted})


def test_failures_are_read_of_those_groups_alone_that_are_asked_for(store, monkeypatch):
    """In as many steps, however many others have failed; a table that is read whole is seen."""
    few = steps(store)
    store._db.executemany("INSERT INTO failures VALUES (?, 1)", [(str(n),) for n in range(500)])
    assert steps(store) == few
    monkeypatch.setattr(Store, "failures", read_whole)
    assert steps(store) > few + 500


def test_a_result_forgets_failures(store, tmp_path):
    """Also one that another machine computed; those of other groups stay."""
    store.save(GROUPS[1], [], {})
    assert store.failures(GROUPS) == {GROUPS[0].key: 1}
    store.close()
    with Store(tmp_path / "there.sqlite") as there:
        there.save(GROUPS[0], [], {})
    unpack([tmp_path / "there.sqlite"], store.path)
    with Store(store.path) as again:
        assert again.failures(GROUPS) == {}


def test_pieces_hold_results_and_no_failures(store, tmp_path):
    """Their bytes are a function of the groups alone."""
    store.save(GROUPS[2], [], {})
    store.close()
    (piece,) = pack(store.path, tmp_path / "failed")
    (bare := tmp_path / "bare.sqlite").write_bytes(lzma.decompress(piece.read_bytes()))
    with Store(bare) as packed:
        assert packed.failures(GROUPS) == {} and packed.finished(GROUPS) == {GROUPS[2].key}
    with Store(tmp_path / "other.sqlite") as other:
        other.save(GROUPS[2], [], {})
    assert pack(tmp_path / "other.sqlite", tmp_path / "never")[0].read_bytes() == piece.read_bytes()


@pytest.fixture
def older(tmp_path):
    """A store with a group, as those that were written before any failure was noted."""
    with Store(tmp_path / "older.sqlite") as made:
        made.save(GROUPS[2], [], {})
    assert not has_table(made.path)
    return made.path


def has_table(path):
    """Whether a closed store's file has the table of failures."""
    with closing(sqlite3.connect(path)) as db:
        return bool(db.execute("SELECT * FROM sqlite_master WHERE name = 'failures'").fetchall())


def test_a_store_that_knows_no_failures_opens(older):
    """All its groups are untried; a result needs no table of failures, and a failure makes it."""
    with Store(older) as again:
        assert again.failures(GROUPS) == {} and again.finished(GROUPS) == {GROUPS[2].key}
        again.save(GROUPS[3], [], {})
    assert not has_table(older)
    with Store(older) as again:
        again.note_failure(GROUPS[0])
        assert again.failures(GROUPS) == {GROUPS[0].key: 1} and len(again.finished(GROUPS)) == 2


def assert_only_read(kind, path):
    """Asserts that a store opens and tells what it has, with no room for a byte, and that its bytes stay."""
    before = path.read_bytes()
    with files_up_to(1), kind(path) as store:
        assert store.finished(GROUPS) == {GROUPS[2].key} and store.failures(GROUPS) == {}
        assert store.records(GROUPS[2:3]) == []
    assert path.read_bytes() == before


def test_a_store_that_is_only_read_is_not_written(older):
    """On a full disk a report can still be made of it."""
    assert_only_read(Store, older)


def test_a_table_that_is_made_at_opening_is_noticed(older):
    """By the property above; where there is room, by the bytes."""
    planted = store_with("        _migrate(db)\n", "        _migrate(db)\n        db.execute(_FAILURES)\n")
    with pytest.raises(planted.StoreError, match="cannot be opened"):
        assert_only_read(planted.Store, older)
    before = older.read_bytes()
    planted.Store(older).close()
    assert older.read_bytes() != before


def test_a_store_that_cannot_note_a_failure_does_not_hide_it(store, monkeypatch):
    """The line is the group's, and not that of a full disk."""

    def full(*_):
        raise StoreError("full")

    monkeypatch.setattr(Store, "note_failure", full)
    with pytest.raises(run.RunError, match="failed with ValueError: x"):
        run.compute(GROUPS[:1], store, Fated([(0.01, math.inf, False)]), quiet=True)


def test_an_executor_that_has_gone_is_no_failure_of_a_group(store):
    """Nothing is noted of what could not be handed to it."""
    run.note(store, GROUPS[5], Unusable("gone"))
    assert GROUPS[5].key not in store.failures(GROUPS)


def test_a_second_command_begins_with_what_has_not_failed(tmp_path, monkeypatch, capsys):
    """As it is typed, on workers, one of which the dearest group kills each time: the second tries it last."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    dearest = max(GROUPS, key=lambda group: group.cost)
    monkeypatch.setenv("TOY_KILLS", f"{dearest.setting} 99")
    typed = ["run", "all", "--store", "s.sqlite", "--workers", "1", "--no-report"]
    with Store("s.sqlite") as store:
        store.note_failure(dearest)
    assert command.main(typed) == 1
    order = begun(tmp_path / "log")
    assert order[-run.DEATHS :] == [dearest.setting] * run.DEATHS and dearest.setting not in order[: -run.DEATHS]
    assert (
        "killed its worker 3 times, and failed or died 1 time in earlier runs (groups missing: 1;"
        in capsys.readouterr().err
    )
