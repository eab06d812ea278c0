"""The store: what it acknowledged is there after a kill, once, to the bit."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from experiments.harness.store import Store, StoreError
from experiments.harness.sweep import Group, Options
from experiments.harness.toy import sweep
from properties.record import Record

GROUP = sweep.group(3, "quick", Options())
VALUES = (0.1, -0.0, 1e-310, math.inf, -math.inf, math.nan, 2**53 + 1.0)
RECORDS = [Record("toy", "sum/terms=3", seed, "sum", 0.5, value, "ab+cd") for seed, value in enumerate(VALUES)]
FACTS = {"seconds": 1.5, "commit": "x"}


def test_records_come_back_to_the_bit_and_in_their_order(tmp_path):
    """Infinities, NaN, a negative zero and subnormal numbers are kept, after closing and opening too."""
    with Store(tmp_path / "s.sqlite") as store:
        store.save(GROUP, RECORDS, FACTS)
    with Store(tmp_path / "s.sqlite") as store:
        back, facts = store.records([GROUP]), store.facts(GROUP)
    assert facts == FACTS
    assert [r[:5] + r[6:] for r in back] == [r[:5] + r[6:] for r in RECORDS]
    assert [r.value.hex() for r in back] == [r.value.hex() for r in RECORDS]


def test_a_group_is_stored_once_and_the_first_result_stays(tmp_path):
    """A second result under the same key is dropped whole: nothing is stored twice or replaced."""
    with Store(tmp_path / "s.sqlite") as store:
        store.save(GROUP, RECORDS, FACTS)
        store.save(GROUP, RECORDS[:1], {"seconds": 9})
        assert len(store.records([GROUP])) == len(RECORDS) and store.facts(GROUP) == FACTS


def test_a_result_that_cannot_be_stored_leaves_nothing_behind(tmp_path):
    """The group and its records are one transaction."""
    with Store(tmp_path / "s.sqlite") as store:
        with pytest.raises((ValueError, TypeError, AttributeError)):
            store.save(GROUP, [RECORDS[0], RECORDS[1]._replace(value="no number")], FACTS)
        assert store.finished([GROUP]) == set()
        store.save(GROUP, RECORDS, FACTS)
        assert store.finished([GROUP]) == {GROUP.key}


def test_a_group_without_results_is_named(tmp_path):
    """Reading what is not there says which group and which file."""
    with Store(tmp_path / "s.sqlite") as store, pytest.raises(KeyError, match=r"sum/terms=3 .*s\.sqlite"):
        store.records([GROUP])


def test_a_second_writer_is_refused(tmp_path):
    """One process writes; another is told so at once, and may write when the first is done."""
    opening = [
        sys.executable,
        "-c",
        f"from experiments.harness.store import Store; Store({str(tmp_path / 's.sqlite')!r})",
    ]
    with Store(tmp_path / "s.sqlite"):
        second = subprocess.run(opening, capture_output=True, text=True)
        assert second.returncode == 1 and "StoreError" in second.stderr and "another run is writing" in second.stderr
    assert subprocess.run(opening, capture_output=True).returncode == 0


def test_a_file_that_is_no_store_is_refused(tmp_path):
    """The message names the file; the file stays as it is."""
    (tmp_path / "s.sqlite").write_text("a letter to a friend, certainly no database\n" * 40)
    with pytest.raises(StoreError, match=r"s\.sqlite cannot be opened"):
        Store(tmp_path / "s.sqlite")
    assert (tmp_path / "s.sqlite").read_text().startswith("a letter")


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    """A process that saves and prints, killed at some moment, ten times: every printed group is there, whole, once."""
    script = tmp_path / "saver.py"
    script.write_text(SAVER)
    path, said = tmp_path / "s.sqlite", []
    for attempt in range(10):
        child = subprocess.Popen(
            [sys.executable, str(script), str(path), str(attempt)], stdout=subprocess.PIPE, text=True
        )
        child.stdout.readline()
        time.sleep(0.003 * attempt)
        os.kill(child.pid, signal.SIGKILL)
        said += [int(line) for line in child.communicate()[0].split()]
    with Store(path) as store:
        groups = [replace(GROUP, settings={"n": n}) for n in said]
        assert store.finished(groups) == {g.key for g in groups} and len(said) > 10
        assert {len(store.records([g])) for g in groups} == {20}


SAVER = """
import sys
from dataclasses import replace
from experiments.harness.store import Store
from experiments.harness.sweep import Options
from experiments.harness.toy import sweep
from properties.record import Record
store, group = Store(sys.argv[1]), sweep.group(3, "quick", Options())
print("open", flush=True)
for n in range(1000 * int(sys.argv[2]), 1000 * int(sys.argv[2]) + 1000):
    store.save(replace(group, settings={"n": n}), [Record("toy", "x", s, "m", 0.0, 1.0) for s in range(20)], {})
    print(n, flush=True)
"""


@pytest.mark.parametrize(
    "change",
    [
        {"experiment": "other"},
        {"version": 2},
        {"settings": {"terms": 4, "preset": "quick"}},
        {"seeds": (1, 0, *range(2, 8))},
        {"dtype": "float32"},
        {"engine": "torch"},
        {"data": "00ff"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_key_of_a_group_changes_with_everything_that_its_result_depends_on(change):
    """Experiment, version, settings, order of seeds, dtype, engine and the data's hash: each is in the key."""
    assert replace(GROUP, **change).key != GROUP.key


def test_the_key_of_a_group_does_not_change_with_what_does_not_matter():
    """The order of settings, the predicted cost, the name for people, and the place of the data are not in it."""
    same = replace(GROUP, settings={"preset": "quick", "terms": 3}, cost=9.0, setting="x", corpus="elsewhere.txt")
    assert same.key == GROUP.key and len(GROUP.key) == 64


def test_settings_that_are_no_plain_data_are_refused():
    """A key must not depend on how an object prints."""
    for value in (math.nan, object(), {1, 2}):
        with pytest.raises((TypeError, ValueError)):
            _ = replace(GROUP, settings={"value": value}).key


def test_groups_are_plain_data_for_workers():
    """A group survives pickling with its key."""
    import pickle

    assert pickle.loads(pickle.dumps(GROUP)).key == GROUP.key
    assert isinstance(pickle.loads(pickle.dumps(GROUP)), Group)
