"""Publishing replaces what this program made, whole, damaged or older, and nothing that is the user's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from experiments import command
from experiments.harness import catalogue, ours, report
from experiments.harness.endings import UsageError
from experiments.harness.testing import TOY, toy_results

ROOT = Path(__file__).parents[2]
RUN = ["run", "all", "--store", "s.sqlite", "--workers", "0", "--engine", "fast", "--out"]
COMMANDS = [RUN, ["report", "all", "--out"], ["verify", "--subject", "numpy_twin", "--workers", "1", "--out"]]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, where the toy experiment is the only one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "EXPERIMENTS", (TOY,))
    return tmp_path


def tree(folder):
    """What stands below a folder: files as bytes, links as where they lead, folders as nothing."""
    return {str(p): p.readlink() if p.is_symlink() else p.read_bytes() if p.is_file() else None for p in below(folder)}


def below(folder):
    """Every path below a folder, but for the store."""
    return [p for p in folder.rglob("*") if not p.name.startswith("s.sqlite")]


def folder_with(name, text="mine"):
    """Makes a folder with such a file."""

    def make(path):
        path.mkdir()
        (path / name).write_text(text)

    return make


FOREIGN = {
    "notes": folder_with("notes.txt"),
    "a table of the user's": folder_with("results.csv", "year,rain\n1998,3\n"),
    "a summary of the user's": folder_with("summary.json", '{"name": "me"}'),
    "a page of the user's": folder_with("README.md", "# My memory"),
    "a file": lambda path: path.write_text("mine"),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to a file": lambda path: path.symlink_to(__file__),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", [TOY, catalogue.VERDICTS])
def test_what_is_no_report_is_not_replaced_by_one(here, capsys, kind, name):
    """Before anything is computed, in a line that names it; `publish` refuses it too, and all stays."""
    out = here / "out"
    out.mkdir()
    FOREIGN[kind](out / name)
    before = tree(here)
    arguments = COMMANDS[0 if name == TOY else 2]
    assert command.main([*arguments, str(out)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1 and f"{out / name} is none of ours" in said.err
    assert tree(here) == before and not (here / "s.sqlite").exists()
    with pytest.raises(UsageError, match=f"{name} is none of ours"):
        report.publish(name, toy_results(), out, {})
    assert tree(here) == before


def test_a_table_of_the_users_is_no_report_to_be_made_again(here, capsys):
    """`report` finds a results.csv, and leaves it."""
    folder_with("results.csv", "year,rain\n1998,3\n")(here / TOY)
    before = tree(here)
    assert command.main(["report", "all", "--out", "."]) == 2
    assert f"{TOY} is none of ours" in capsys.readouterr().err and tree(here) == before


@pytest.mark.parametrize("name", ours.ABOVE)
@pytest.mark.parametrize("kind", ["a file", "notes", "a link to nothing"])
def test_pages_of_the_users_are_not_replaced(here, capsys, name, kind):
    """Above the reports stand four files: of each one that is there, in whatever form, it is told before computing."""
    report.publish(TOY, toy_results(), here, {})
    FOREIGN[kind](here / name)
    before = tree(here)
    for arguments in COMMANDS:
        assert command.main([*arguments, "."]) == 2
        said = capsys.readouterr()
        assert said.out == "" and len(said.err.splitlines()) == 1 and f"where {name} is none of ours" in said.err
    with pytest.raises(UsageError, match=f"{name} is none of ours"):
        report.publish_index(here)
    assert tree(here) == before and not (here / "s.sqlite").exists()


def test_a_report_is_replaced_also_where_a_part_of_it_is_damaged(here):
    """So are the pages above it, and an empty folder; `report` does with its records alone."""
    folder = here / "out" / TOY
    folder.mkdir(parents=True)
    assert command.main([*RUN, "out"]) == 0
    whole = {name: (folder / name).read_bytes() for name in ours.REPORT}
    for kept in ours.REPORT:
        for name in whole:
            (folder / name).write_bytes(whole[name] if name == kept else b"")
        ours.refuse_foreign(here / "out", [TOY], ours.ABOVE)
    shutil.rmtree(folder)
    folder_with("results.csv", whole["results.csv"].decode())(folder)
    assert command.main(["report", "all", "--out", "out"]) == 0
    assert all((folder / name).read_bytes() == whole[name] for name in whole)


@pytest.mark.parametrize("out", [ROOT / "reports", ROOT / "reports" / "full"])
def test_the_committed_reports_may_be_replaced(out):
    """Whichever version made them: each by any one of its files, and the pages above them."""
    folders = [folder for name in catalogue.reported("all") if (folder := out / name).exists()]
    assert len(folders) >= 5 and all(ours.has(f / name, m) for f in folders for name, m in ours.REPORT.items())
    ours.refuse_foreign(out, [folder.name for folder in folders], ours.ABOVE)


def test_this_repository_is_no_folder_of_reports(monkeypatch):
    """`--out .` would replace its README.md."""
    monkeypatch.chdir(ROOT)
    with pytest.raises(UsageError, match=r"got \., where README\.md is none of ours"):
        ours.refuse_foreign(Path(), files=ours.ABOVE)
