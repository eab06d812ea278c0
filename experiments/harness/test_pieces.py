"""Pieces of a store: what was packed is unpacked to the bit; nothing is lost or half added, or a line says why."""

from __future__ import annotations

import hashlib
import lzma
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.harness import pieces as pieces_module
from experiments.harness import saved
from experiments.harness.endings import UsageError
from experiments.harness.pieces import LIMIT, SQLITE, pack, unpack
from experiments.harness.store import VERSION, Copied, Store, StoreError
from experiments.harness.sweep import ROOT
from experiments.harness.test_store import FACTS, GROUP, RECORDS, STRANGERS, old_store, pragma

H100 = ROOT / "experiments" / "memory" / "pieces" / "full_h100.sqlite.xz"
TEXT = RECORDS[0]._replace(setting='é∑, "b"\n\'\0', metric="", rule="∂\u202e")
RESULTS = [
    (replace(GROUP, settings={"n": n}, experiment=("toy", "memory")[n % 2]), [*RECORDS[: n % 8], TEXT], {"∑": [n, 0.1]})
    for n in range(16)
]
"""Sixteen groups of two experiments: NaN, infinities, a negative zero, and text of any kind."""
LITTLE, MORE = 1500, 2500
"""Bytes: limits under which these groups make at least four pieces, and two."""


def saved_as(path, results=RESULTS):
    """A closed store with results."""
    with Store(path) as store:
        for group, records, facts in results:
            store.save(group, records, facts)
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A closed store with all results; tests leave it as it is."""
    return saved_as(tmp_path_factory.mktemp("sound") / "s.sqlite")


@pytest.fixture(scope="module")
def packed(sound, tmp_path_factory):
    """The store in one piece."""
    (piece,) = pack(sound, tmp_path_factory.mktemp("packed"))
    return piece


def contents(path):
    """All rows of a store, numbers as the bytes that stand for them."""
    with closing(sqlite3.connect(path)) as db:
        return [db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in ("groups", "records")]


def laid(folder):
    """The files of a folder by name, with their bytes."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def compressed(path):
    """A file as a piece beside it."""
    piece = path.with_name(f"{path.name}.xz")
    piece.write_bytes(lzma.compress(path.read_bytes()))
    return piece


# There and back


def test_what_was_packed_is_unpacked_to_the_bit(sound, packed, tmp_path):
    """Rows, facts and digests are those of the store, a second time nothing is added, and results can be read."""
    assert unpack([packed], tmp_path / "new.sqlite") == Copied(16, 0, 0)
    assert contents(tmp_path / "new.sqlite") == contents(sound)
    assert unpack([packed, packed], tmp_path / "new.sqlite") == (0, 32, 0)
    assert contents(tmp_path / "new.sqlite") == contents(sound)
    with Store(tmp_path / "new.sqlite") as store:
        for group, records, facts in RESULTS:
            assert repr(store.records([group])) == repr(records) and store.facts(group) == facts


def test_the_bytes_of_pieces_are_a_function_of_the_groups(sound, packed, tmp_path):
    """Neither the order in which groups were saved nor what else the file has been through is in them."""
    with Store(tmp_path / "s.sqlite") as store:
        store._db.execute("PRAGMA wal_autocheckpoint = 1")
        store._db.execute("CREATE TABLE more (x)")
        store._db.execute("INSERT INTO more VALUES (zeroblob(20000))")
        for group, records, facts in reversed(RESULTS):
            store.save(group, records, facts)
        store._db.execute("DROP TABLE more")
    (again,) = pack(tmp_path / "s.sqlite", tmp_path / "again")
    assert again.read_bytes() == packed.read_bytes() and again.name == packed.name == "all-1.sqlite.xz"
    assert (tmp_path / "s.sqlite").read_bytes() != sound.read_bytes()


def test_another_fact_is_in_the_bytes(packed, tmp_path):
    """They tell of everything that is kept of a group."""
    changed = [*RESULTS[:-1], (*RESULTS[-1][:2], FACTS)]
    (other,) = pack(saved_as(tmp_path / "s.sqlite", changed), tmp_path / "other")
    assert other.read_bytes() != packed.read_bytes()


def test_each_piece_is_within_the_limit_and_a_store_of_its_own(sound, tmp_path):
    """Together they hold each group once, in the order of keys; a piece is a single file of the present version."""
    files = pack(sound, tmp_path / "some", limit=LITTLE)
    assert len(files) >= 4 and all(file.stat().st_size <= LITTLE for file in files)
    assert [file.name for file in files] == [f"all-{n}.sqlite.xz" for n in range(1, len(files) + 1)]
    keys = []
    for file in files:
        (bare := tmp_path / file.stem).write_bytes(lzma.decompress(file.read_bytes()))
        assert bare.read_bytes()[18:20] == b"\1\1"  # of a file that needs no log
        keys += [row[0] for row in contents(bare)[0]]
        assert pragma(bare, "user_version") == VERSION
    assert keys == sorted(group.key for group, *_ in RESULTS)
    unpack(files, tmp_path / "new.sqlite")
    assert contents(tmp_path / "new.sqlite") == contents(sound)


def test_a_limit_that_leaves_room_for_all_is_used(packed, sound, tmp_path):
    """To the byte: the size of the one piece is enough, a byte less is not."""
    size = packed.stat().st_size
    assert size < LIMIT and len(pack(sound, tmp_path / "one", limit=size)) == 1
    assert len(pack(sound, tmp_path / "two", limit=size - 1)) == 2


def test_a_group_that_is_over_the_limit_alone_is_named(sound, tmp_path):
    """And nothing is written."""
    said = (
        r"s\.sqlite cannot be packed: sum/terms=3 \([0-9a-f]{8}\) alone takes \d{3,4} bytes, and a piece may have 99\."
    )
    with pytest.raises(StoreError, match=said):
        pack(sound, tmp_path / "none", limit=99)
    assert not (tmp_path / "none").exists()


def test_pieces_of_one_experiment_hold_its_groups_alone(sound, tmp_path):
    """They bear its name, and lie beside those of another."""
    for name in ("toy", "memory"):
        (piece,) = pack(sound, tmp_path / "pieces", name)
        assert piece.name == f"{name}-1.sqlite.xz" and unpack([piece], tmp_path / name) == Copied(8, 0, 0)
        assert {row[1] for row in contents(tmp_path / name)[0]} == {name}
    assert len(laid(tmp_path / "pieces")) == 2


def test_the_committed_piece_of_the_first_format_is_unpacked(tmp_path):
    """It stays as it is, and each of its groups is whole in the store."""
    before = hashlib.sha256(H100.read_bytes()).digest()
    assert unpack([H100], tmp_path / "s.sqlite") == Copied(129, 0, 0)
    with Store(tmp_path / "s.sqlite") as store:
        assert len(store.keys("memory")) == 129
    assert hashlib.sha256(H100.read_bytes()).digest() == before


# What is there already


def test_a_group_that_is_there_stays_and_other_records_are_counted(tmp_path):
    """Other facts are no other records; another last bit is, and so is one record less."""
    a, b, c, d = (group for group, *_ in RESULTS[:4])
    zeros = [r._replace(value=0.0) for r in RECORDS]
    bit = [*zeros[:-1], zeros[-1]._replace(value=-0.0)]
    here = saved_as(tmp_path / "here", [(group, zeros, FACTS) for group in (a, b, c)])
    there = saved_as(tmp_path / "there", [(a, zeros, {}), (b, bit, FACTS), (c, zeros[:-1], FACTS), (d, zeros, FACTS)])
    before = contents(here)
    assert unpack(pack(there, tmp_path / "pieces"), here) == Copied(added=1, present=3, different=2)
    after = contents(here)
    assert all(set(old) < set(new) for old, new in zip(before, after, strict=True))
    assert {row[0] for row in set(after[0]) - set(before[0])} == {d.key}


def test_records_that_a_disk_has_kept_of_a_lost_group_are_not_mixed_with_the_copied(sound, packed, tmp_path):
    """As when it is computed anew."""
    shutil.copy(sound, tmp_path / "s.sqlite")
    with Store(tmp_path / "s.sqlite") as store:
        store._db.execute("DELETE FROM groups")
        store._db.execute("UPDATE records SET n = n + 90")
    assert unpack([packed], tmp_path / "s.sqlite") == Copied(16, 0, 0)
    assert contents(tmp_path / "s.sqlite") == contents(sound)


def test_pieces_are_replaced_by_those_of_a_store_that_has_all_that_they_hold(sound, tmp_path):
    """Those that are left over of more and smaller ones are gone then; other files stay."""
    folder = tmp_path / "pieces"
    assert len(pack(sound, folder, limit=LITTLE)) >= 4
    others = {"all-x.sqlite.xz": b"1", "all-2.sqlite": b"2", "ball-1.sqlite.xz": b"3", "all-1.sqlite.xz.bak": b"4"}
    for name, data in others.items():
        (folder / name).write_bytes(data)
    (piece,) = pack(sound, folder)
    assert laid(folder) == others | {"all-1.sqlite.xz": piece.read_bytes()}
    assert unpack([piece], tmp_path / "new.sqlite") == Copied(16, 0, 0)


@pytest.mark.parametrize("lost", ["a group", "other records", "a piece that cannot be read"])
def test_pieces_that_hold_what_the_store_lacks_are_not_replaced(packed, tmp_path, lost):
    """Nothing is written then, and the line says how much would be lost and what helps: to unpack brings groups, but no
    other records of those that are there."""
    results = RESULTS[1:] if lost == "a group" else [(RESULTS[0][0], RECORDS, {}), *RESULTS[1:]]
    store, folder = saved_as(tmp_path / "s.sqlite", results), tmp_path / "pieces"
    folder.mkdir()
    shutil.copy(packed, folder / "all-7.sqlite.xz")
    counts = rf"lacks \({int(lost == 'a group')}\) or has with other records \({int(lost != 'a group')}\)"
    remedy = "unpack it first" if lost == "a group" else "move it away"
    said = rf"all-7\.sqlite\.xz cannot be replaced: it holds groups that .*s\.sqlite {counts}; {remedy}, or pack into"
    if lost == "a piece that cannot be read":
        (folder / "all-7.sqlite.xz").write_bytes(packed.read_bytes()[:-1])
        said = r"all-7\.sqlite\.xz cannot be read: it is no whole xz file"
    before = laid(folder)
    with pytest.raises(StoreError, match=said):
        pack(store, folder)
    assert laid(folder) == before


# Stopped on the way


class Stopped(BaseException):
    """What ends a process, as far as it can be simulated."""


def test_unpacking_that_is_stopped_adds_a_file_whole_or_not_at_all(sound, packed, tmp_path, monkeypatch):
    """Before any of its groups: the store has what it had, and the same call goes on."""
    had = saved_as(tmp_path / "s.sqlite", [(GROUP, RECORDS, FACTS)])
    before, rows = contents(had), Store.rows
    for steps in range(0, 16, 5):
        left = iter(range(steps))

        def stopped(store, key, left=left):
            if next(left, None) is None:
                raise Stopped
            return rows(store, key)

        with monkeypatch.context() as patch, pytest.raises(Stopped):
            patch.setattr(Store, "rows", stopped)
            unpack([packed], had)
        assert contents(had) == before
    assert unpack([packed], had) == Copied(16, 0, 0)
    assert all(set(b) | set(s) == set(h) for b, s, h in zip(before, contents(sound), contents(had), strict=True))


def test_a_file_that_is_bad_takes_nothing_from_those_before_it(packed, sound, tmp_path):
    """What they have added is kept, and told in the same line; of the first nothing is before it."""
    (tmp_path / "bad.xz").write_bytes(packed.read_bytes()[:-9])
    before = r"with it\. The files before it: 16 groups added to .*s\.sqlite; 16 were there\.$"
    with pytest.raises(StoreError, match=r"bad\.xz cannot be read: .*" + before) as error:
        unpack([packed, packed, tmp_path / "bad.xz"], tmp_path / "s.sqlite")
    one_line(error)
    assert contents(tmp_path / "s.sqlite") == contents(sound)
    with pytest.raises(StoreError, match=r"bad\.xz cannot be read: .* nothing was done with it\.$"):
        unpack([tmp_path / "bad.xz", packed], tmp_path / "s.sqlite")


def test_a_store_is_not_unpacked_into_itself(packed, sound, tmp_path):
    """Under any of its names; what is named before it is not added either."""
    store = saved_as(tmp_path / "s.sqlite", RESULTS[:1])
    (tmp_path / "link.sqlite").symlink_to(store)
    before = contents(store)
    for name in ("s.sqlite", "link.sqlite"):
        with pytest.raises(UsageError, match=rf"must be another file than the store; got .*{name} for both\.") as error:
            unpack([packed, tmp_path / name], store)
        assert error.value.code == 2
    assert contents(store) == before


@pytest.mark.parametrize("kept", [0, 1])
def test_packing_that_is_stopped_leaves_whole_pieces(sound, tmp_path, monkeypatch, kept):
    """The old ones, and nothing half written beside them; the next call goes on."""
    folder, put, left = tmp_path / "pieces", saved.put, iter(range(kept))
    pack(sound, folder, limit=LITTLE)
    before = laid(folder)

    def stopped(path, data):
        put(path, data[: len(data) // 2])
        if next(left, None) is None:
            raise Stopped
        put(path, data)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(pieces_module.saved, "put", stopped)
        pack(sound, folder, limit=MORE)
    assert laid(folder) == before
    files = pack(sound, folder, limit=MORE)
    assert set(laid(folder)) == {file.name for file in files} and len(files) < len(before)


def test_packing_that_is_stopped_while_pieces_take_their_places_leaves_each_whole(sound, tmp_path, monkeypatch):
    """Old and new ones, which can all be unpacked; the next call goes on."""
    folder, replaced, left = tmp_path / "pieces", Path.replace, iter(range(1))
    old = {file.name: file.read_bytes() for file in pack(sound, folder, limit=LITTLE)}

    def stopped(path, target):
        if next(left, None) is None:
            raise Stopped
        return replaced(path, target)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Path, "replace", stopped)
        pack(sound, folder, limit=MORE)
    changed = {name for name, data in laid(folder).items() if data != old[name]}
    assert changed == {"all-1.sqlite.xz"} and set(laid(folder)) == set(old)
    unpack(list(folder.iterdir()), tmp_path / "new.sqlite")
    assert {file.name for file in pack(sound, folder, limit=MORE)} == set(laid(folder)) < set(old)


# What is no piece


def one_line(error):
    """What a command prints for it."""
    assert error.value.code == 1 and len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize("kept", [7, 100, 1000, -30, -12, -1])
def test_a_piece_that_is_cut_short_is_refused(packed, tmp_path, kept):
    """Anywhere: the line names it, and nothing of it is in the store."""
    (tmp_path / "cut.sqlite.xz").write_bytes(packed.read_bytes()[:kept])
    with pytest.raises(StoreError, match=r"piece .*cut\.sqlite\.xz cannot be read: it is no whole xz file \(") as error:
        unpack([tmp_path / "cut.sqlite.xz"], tmp_path / "s.sqlite")
    one_line(error)
    assert contents(tmp_path / "s.sqlite") == [[], []]


@pytest.mark.parametrize("place", range(6, 1206, 150))
def test_a_piece_of_which_a_byte_has_changed_is_refused(packed, tmp_path, place):
    """The sum that xz keeps does not fit."""
    changed = bytearray(packed.read_bytes())
    changed[place] ^= 4
    (tmp_path / "changed.sqlite.xz").write_bytes(changed)
    with pytest.raises(StoreError, match=r"changed\.sqlite\.xz cannot be read: ") as error:
        unpack([tmp_path / "changed.sqlite.xz"], tmp_path / "s.sqlite")
    one_line(error)
    assert contents(tmp_path / "s.sqlite") == [[], []]


@pytest.mark.parametrize("change", ["records SET seed = 9", "groups SET facts = '{}'", "groups SET digest = ''"])
def test_a_damaged_group_is_neither_packed_nor_unpacked(sound, tmp_path, change):
    """The line names the file and the group; nothing of the whole file is added."""
    key = RESULTS[9][0].key
    shutil.copy(sound, tmp_path / "bad.sqlite")
    with closing(sqlite3.connect(tmp_path / "bad.sqlite")) as db, db:
        db.execute(f"UPDATE {change} WHERE key = ?", (key,))
    for file in (compressed(tmp_path / "bad.sqlite"), tmp_path / "bad.sqlite"):
        why = rf"it is damaged or no store \(group {key[:8]} is not as it was saved\);"
        with pytest.raises(StoreError, match=rf"piece .*{file.name} cannot be read: {why}") as error:
            unpack([file], tmp_path / "s.sqlite")
        one_line(error)
    assert contents(tmp_path / "s.sqlite") == [[], []]
    with pytest.raises(StoreError, match=rf"bad\.sqlite cannot be read: .*group {key[:8]} is not as"):
        pack(tmp_path / "bad.sqlite", tmp_path / "pieces")
    assert not (tmp_path / "pieces").exists()
    assert len(pack(tmp_path / "bad.sqlite", tmp_path / "pieces", "toy")) == 1


def test_a_piece_of_a_newer_format_is_refused(sound, tmp_path):
    """The line names both formats."""
    shutil.copy(sound, tmp_path / "newer.sqlite")
    with closing(sqlite3.connect(tmp_path / "newer.sqlite")) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 2}")
    why = f"it has format {VERSION + 2}, and this program knows formats up to {VERSION};"
    with pytest.raises(StoreError, match=rf"newer\.sqlite\.xz cannot be read: {why}") as error:
        unpack([compressed(tmp_path / "newer.sqlite")], tmp_path / "s.sqlite")
    one_line(error)


@pytest.mark.parametrize("stranger", STRANGERS)
def test_another_programs_database_is_refused(tmp_path, stranger):
    """Compressed or not; it stays as it is."""
    with closing(sqlite3.connect(tmp_path / "other")) as db:
        db.execute(STRANGERS[stranger])
        db.execute("CREATE TABLE more (x)")
    for file in (compressed(tmp_path / "other"), tmp_path / "other"):
        before = file.read_bytes()
        with pytest.raises(StoreError, match=rf"{file.name} cannot be read: it is another program's \(") as error:
            unpack([file], tmp_path / "s.sqlite")
        one_line(error)
        assert file.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"\n", b"a letter to a friend\n" * 40, SQLITE, SQLITE * 64])
def test_what_is_neither_a_store_nor_one_that_was_compressed_is_refused(tmp_path, content):
    """As it is and compressed: an empty file is no store either."""
    (tmp_path / "note").write_bytes(content)
    for file in (compressed(tmp_path / "note"), tmp_path / "note"):
        with pytest.raises(StoreError, match=rf"{file.name} cannot be read: it is (neither|damaged)") as error:
            unpack([file], tmp_path / "s.sqlite")
        one_line(error)


def test_a_file_that_is_not_there_is_no_new_store(tmp_path):
    """Neither as a piece nor as the store that is packed."""
    with pytest.raises(StoreError, match=r"piece .*none\.xz cannot be read: there is no such file;"):
        unpack([tmp_path / "none.xz"], tmp_path / "s.sqlite")
    with pytest.raises(StoreError, match=r"none\.sqlite cannot be packed: there is no such file\."):
        pack(tmp_path / "none.sqlite", tmp_path)
    assert list(laid(tmp_path)) == ["s.sqlite"]


def test_an_empty_file_is_no_store_to_pack_and_stays_empty(tmp_path):
    """It was made a store by being opened; a run may do so, since it writes."""
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(StoreError, match=r"empty\.sqlite cannot be packed: the file is empty, and so no store\."):
        pack(tmp_path / "empty.sqlite", tmp_path)
    assert laid(tmp_path) == {"empty.sqlite": b""}


def test_a_store_without_groups_is_not_packed(sound, tmp_path):
    """The line says that there is nothing, or nothing of that experiment."""
    Store(tmp_path / "s.sqlite").close()
    for store, name, said in ((tmp_path / "s.sqlite", None, r"groups\."), (sound, "modes", r"groups of modes\.")):
        with pytest.raises(StoreError, match=rf"s\.sqlite cannot be packed: it has no finished {said}"):
            pack(store, tmp_path / "pieces", name)
    assert not (tmp_path / "pieces").exists()


def test_a_folder_that_cannot_be_written_is_named(sound, tmp_path):
    """The line says why."""
    (tmp_path / "pieces").write_text("a file")
    with pytest.raises(StoreError, match=r"no pieces can be written to .*pieces \(.+\); the store is as it was\."):
        pack(sound, tmp_path / "pieces")


def raising(error):
    """A function that fails."""

    def fails(*_, **__):
        raise error

    return fails


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), sqlite3.OperationalError("disk is full")])
def test_a_disk_without_room_for_temporary_files_is_told(sound, packed, tmp_path, monkeypatch, error):
    """Of the system's or of SQLite's finding; the folder and the store are as they were."""
    monkeypatch.setattr(pieces_module.lzma, "compress", raising(error))
    with pytest.raises(
        StoreError, match=r"packed: there is no room for temporary files \((No space left|disk is full)"
    ):
        pack(sound, tmp_path / "pieces")
    monkeypatch.setattr(pieces_module.shutil, "copyfileobj", raising(OSError(28, "No space left on device")))
    with pytest.raises(
        StoreError, match=r"no copy of it can be made among temporary files \(No space left on device\)"
    ):
        unpack([packed], tmp_path / "s.sqlite")
    assert not (tmp_path / "pieces").exists() and contents(tmp_path / "s.sqlite") == [[], []]


def test_a_disk_without_room_for_pieces_is_told(sound, tmp_path, monkeypatch):
    """The old ones stay, and nothing beside them."""
    folder = tmp_path / "pieces"
    pack(sound, folder)
    before = laid(folder)
    monkeypatch.setattr(pieces_module.saved, "put", raising(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match=r"no pieces can be written to .*pieces \(No space left on device\)"):
        pack(sound, folder, limit=MORE)
    assert laid(folder) == before


# Stores as they are


def test_a_store_that_is_not_compressed_is_taken_too_and_stays_as_it_is(sound, tmp_path):
    """Of the first format too, which becomes the present one in the copy alone."""
    (tmp_path / "old").mkdir()
    old_store(tmp_path / "old" / "old.sqlite")
    with closing(sqlite3.connect(tmp_path / "old" / "old.sqlite")) as db:
        db.execute("SELECT * FROM groups").fetchall()  # moves the log into the file
    before = laid(tmp_path / "old"), sound.read_bytes()
    assert unpack([sound, tmp_path / "old" / "old.sqlite"], tmp_path / "s.sqlite") == Copied(17, 0, 0)
    assert (laid(tmp_path / "old"), sound.read_bytes()) == before
    with Store(tmp_path / "s.sqlite") as store:
        assert [repr(r) for r in store.records([GROUP])] == [repr(r) for r in RECORDS]


def test_a_store_with_its_log_beside_it_is_not_taken_without(tmp_path):
    """Groups may be in the log alone: packing moves them into the file first."""
    old_store(tmp_path / "old.sqlite")
    with pytest.raises(
        StoreError, match=r"old\.sqlite cannot be read: old\.sqlite-wal lies beside it, .*; pack it first;"
    ):
        unpack([tmp_path / "old.sqlite"], tmp_path / "s.sqlite")
    assert unpack(pack(tmp_path / "old.sqlite", tmp_path), tmp_path / "s.sqlite") == Copied(1, 0, 0)


def test_a_store_that_another_process_holds_is_neither_packed_nor_unpacked_into(packed, tmp_path):
    """Both are told so at once, and what is there stays."""
    path = saved_as(tmp_path / "s.sqlite")
    calls = (
        f"pack(Path({str(path)!r}), Path({str(tmp_path / 'pieces')!r}))",
        f"unpack([Path({str(packed)!r})], Path({str(path)!r}))",
        f"unpack([Path({str(path)!r})], Path({str(tmp_path / 'new.sqlite')!r}))",
    )
    tries = "\n".join(f"try:\n    {call}\nexcept StoreError as error:\n    print(error)" for call in calls)
    program = f"from pathlib import Path\nfrom experiments.harness.pieces import *\n{tries}"
    with Store(path):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    said = done.stdout.splitlines()
    assert done.stderr == "" and len(said) == 3
    assert all("s.sqlite cannot be opened: another run is writing to it" in line for line in said[:2])
    assert "s.sqlite-wal lies beside it, so a run is writing to it" in said[2]
    assert not (tmp_path / "pieces").exists()
