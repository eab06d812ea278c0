"""Searches as commands: what is written and where from, what the provenance leaves out, and what is refused."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from unittest.mock import Mock

import pandas as pd
import pytest

from experiments.harness import provenance, saved, search
from experiments.harness.deadline import Deadline
from experiments.harness.store import Store
from experiments.harness.sweep import Options
from experiments.harness.toy import sweep

PROG = "experiments.harness.toy"
GROUPS = sweep.groups("quick", Options())[:2]
ON_A_DEVICE = ("experiments.language_model.rates.search", "experiments.memory.grid.choose")
SEARCHES = (
    *ON_A_DEVICE,
    *(f"experiments.{part}.rates" for part in ("language_model.sources", "language_model.truncation", "modes")),
)


def sums(frame):
    """The sum of each setting."""
    return frame.groupby("setting", as_index=False).value.sum()


def run(folder, monkeypatch, *words):
    """The exit code of a search of the toy's sums, which writes into a folder."""

    def made(asked):
        tables = {folder / "records.csv": lambda frame: frame, folder / "sums.csv": sums}
        return search.write(GROUPS, tables, folder / "facts.json", asked, digits=3)

    store = str(folder / "some.sqlite")
    monkeypatch.setattr(sys, "argv", ["x", *words, "--store", store, "--workers", "0"])
    return search.command(search.Search, PROG, "About.", made)


def test_a_search_writes_its_tables_and_where_they_come_from(tmp_path, monkeypatch, capsys):
    """All records in each table, numbers to so many digits, every group's key; the last path is printed."""
    assert run(tmp_path, monkeypatch) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'sums.csv'}\n"
    records, found = (pd.read_csv(tmp_path / name) for name in ("records.csv", "sums.csv"))
    with Store(tmp_path / "some.sqlite") as store:
        assert len(records) == len(store.records(GROUPS)) == 16
    assert all(len(f"{value:g}".strip("-0.").replace(".", "")) <= 3 for value in found.value) and len(found) == 2
    facts = json.loads((tmp_path / "facts.json").read_text("utf-8"))
    assert [one["key"] for one in facts["groups"]] == [g.key for g in GROUPS]
    assert facts["command"] == f"python -m {PROG} --workers 0"


def test_what_the_store_has_is_not_computed_again(tmp_path, monkeypatch):
    """A second search from the same store writes the same bytes, and no group begins."""
    run(tmp_path, monkeypatch)
    first = (tmp_path / "sums.csv").read_bytes()
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    run(tmp_path, monkeypatch)
    assert (tmp_path / "sums.csv").read_bytes() == first and not (tmp_path / "log").exists()


def test_a_group_that_fails_is_one_line(tmp_path, monkeypatch, capsys):
    """Exit code 1, and nothing is written."""
    monkeypatch.setenv("TOY_FAILS", GROUPS[1].setting)
    assert run(tmp_path, monkeypatch) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"{PROG}: harness.toy sum/terms=2 failed")
    assert not list(tmp_path.glob("*.csv")) and not (tmp_path / "facts.json").exists()


@pytest.mark.parametrize(("written", "name"), [(0, "records.csv"), (1, "sums.csv"), (2, "facts.json")])
def test_a_file_that_cannot_be_written_is_one_line_and_the_older_ones_are_whole(
    written, name, tmp_path, monkeypatch, capsys
):
    """A full disk, after so many files: exit code 1; once there is room the same command only writes."""
    assert run(tmp_path, monkeypatch) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with monkeypatch.context() as full:
        room = [*[None] * written, OSError(28, "No space left on device")]
        full.setattr(saved.os, "fsync", Mock(side_effect=room))
        assert run(tmp_path, full) == 1
    told = f"no file could be written to {tmp_path / name} (No space left on device); the results are kept: "
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"{PROG}: {told}")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_table_that_cannot_be_made_costs_no_older_one(tmp_path, monkeypatch):
    """The second of two fails: the first is not written either."""
    assert run(tmp_path, monkeypatch) == 0
    before = (tmp_path / "records.csv").read_bytes()
    (tmp_path / "records.csv").write_bytes(b"older")
    monkeypatch.setitem(globals(), "sums", Mock(side_effect=ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, monkeypatch)
    assert (tmp_path / "records.csv").read_bytes() == b"older" != before


WRONG = {
    "fewer workers than none": (["--workers=-1"], "--workers must be 0 or more; got -1."),
    "no time at all": (["--minutes", "0"], "--minutes must be above 0; got 0."),
    "an option that there is not": (
        ["--seeds", "8"],
        f"Unrecognized options: --seeds, 8; see `python -m {PROG} --help`.",
    ),
    "an option twice": (["--workers", "0", "--workers", "1"], "--workers must be given once"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_asked_wrongly_of_a_search_is_said_in_a_line(kind, tmp_path, monkeypatch, capsys):
    """Exit code 2; nothing waits for ever, and no store is made."""
    words, told = WRONG[kind]
    monkeypatch.setattr(sys, "argv", ["x", *words, "--store", str(tmp_path / "some.sqlite")])
    assert search.run(PROG, "About.", lambda: GROUPS, {tmp_path / "sums.csv": sums}, tmp_path / "facts.json") == 2
    assert capsys.readouterr().err.startswith(f"{PROG}: {told}") and not list(tmp_path.iterdir())


def test_a_search_that_is_out_of_time_writes_nothing_and_goes_on(tmp_path, monkeypatch, capsys):
    """Exit code 3 while groups are missing."""
    with monkeypatch.context() as patch:
        patch.setattr(search.Deadline, "asked", lambda minutes: Deadline(minutes, iter([0.0, *[1e9] * 99]).__next__))
        assert run(tmp_path, patch, "--minutes", "1") == 3
    assert "what is missing would not be done in the time that was given (groups missing: 2;" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.csv"))
    assert run(tmp_path, monkeypatch) == 0


def test_a_search_that_is_stopped_says_so_in_a_line(tmp_path, monkeypatch, capsys):
    """Exit code 130, as for `run`."""
    monkeypatch.setattr(search, "compute", Mock(side_effect=KeyboardInterrupt))
    assert run(tmp_path, monkeypatch) == 130
    assert capsys.readouterr().err == f"{PROG}: stopped; finished groups are kept: the same command goes on.\n"


@pytest.mark.parametrize(
    "words",
    [
        ["--store", "/some/where.sqlite", "--preset", "full"],
        ["--preset", "full", "--store", "/some/where.sqlite"],
        ["--store=/some/where.sqlite", "--preset", "full"],
        ["--preset", "--store=/some/where.sqlite", "full"],
    ],
)
def test_the_command_is_told_without_the_path_of_the_store(words):
    """Wherever it stands, as two words or as one; all else is as it was typed, and can be typed again."""
    assert provenance.typed("python -m a.b", words) == "python -m a.b --preset full"
    assert provenance.typed("a", [*words, "--corpus", "my text.txt"]) == "a --preset full --corpus 'my text.txt'"


@pytest.mark.parametrize("name", ON_A_DEVICE)
def test_a_device_that_there_is_not_is_one_line_and_no_file(name, tmp_path, monkeypatch, capsys):
    """It names the option; the exit code is 2, and no store is made."""
    store = tmp_path / "some.sqlite"
    words = ["--engine", "torch", "--device", "cuda:99", "--store", str(store)]
    monkeypatch.setattr(sys, "argv", ["x", *words])
    assert import_module(name).main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert ": --device must be one that torch finds here, of cpu" in line and line.endswith("; got 'cuda:99'.")
    assert not store.exists()


@pytest.mark.parametrize("name", SEARCHES)
def test_every_search_computes_its_groups_and_writes_beside_itself(name, tmp_path, monkeypatch, capsys):
    """The groups of its own, at least one table and a provenance, under the program that it is run by."""
    module, seen = import_module(name), []
    monkeypatch.setattr(search, "write", lambda *given, **options: seen.append(given) or given[2])
    monkeypatch.setattr(sys, "argv", ["x", "--store", str(tmp_path / "some.sqlite")])
    assert module.main() == 0
    ((groups, tables, facts, asked),) = seen
    assert groups and len({g.key for g in groups}) == len(groups) and asked.store == tmp_path / "some.sqlite"
    assert {*tables, facts} <= {path for path in facts.parent.rglob("*") if path.suffix in (".csv", ".json")}
    prog = asked.typed.removeprefix("python -m ")
    assert name.startswith(prog) and capsys.readouterr().out == f"{facts}\n"
