"""The words for a commit and what was changed since: what is a change, what is none, and what a failing git says."""

import subprocess

import pytest

from properties import revision


@pytest.fixture
def git(tmp_path):
    """Runs git in the test's folder."""
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    return lambda *words: subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)


@pytest.fixture
def first(tmp_path, git):
    """The words for a commit of a Python file, a table, prose and a report, of which nothing was changed."""
    (tmp_path / "reports").mkdir()
    for name in ("a.py", "a.csv", "a.md", "reports/a.json"):
        (tmp_path / name).write_text("1\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "one")
    return revision.commit(tmp_path)


def test_without_a_commit_files_are_told_apart_by_their_contents(tmp_path):
    """Another text of a Python file or a table is another run; prose, a report and what is hidden are none."""
    (tmp_path / "reports").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a.py").write_text("1\n")
    before = revision.commit(tmp_path)
    for name in ("a.md", "reports/a.csv", ".hidden/a.py"):
        (tmp_path / name).write_text("1\n")
    assert revision.commit(tmp_path) == before and before.startswith("no commit, files ")
    (tmp_path / "a.py").write_text("0\n")
    python = revision.commit(tmp_path)
    (tmp_path / "a.csv").write_text("1\n")
    assert len({before, python, revision.commit(tmp_path)}) == 3
    assert revision.commit(tmp_path, apart=tmp_path / "a.csv") == python


def test_a_commit_and_what_was_changed_since_are_told_apart(tmp_path, git, first):
    """Another commit, another text, a new file are other runs; prose, a report, what git ignores, are none."""
    (tmp_path / "a.md").write_text("2\n")
    (tmp_path / "reports" / "a.json").write_text("2\n")
    assert revision.commit(tmp_path) == first and "changes" not in first
    (tmp_path / "a.py").write_text("2\n")
    changed = revision.commit(tmp_path)
    assert changed.startswith(f"{first} with changes ")
    (tmp_path / "new.py").write_text("1\n")
    unknown = revision.commit(tmp_path)
    (tmp_path / "new.py").write_text("2\n")
    assert len({changed, unknown, revision.commit(tmp_path)}) == 3
    (tmp_path / ".gitignore").write_text("new.py\n")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "a.py").write_text("1\n")
    assert revision.commit(tmp_path) == changed
    git("commit", "-qam", "two")
    assert revision.commit(tmp_path) not in (first, changed)


def test_tables_that_tests_read_are_changes_too(tmp_path, first):
    """A known file that is not Python, one of bytes, a new one are other runs; new prose and a new report are none."""
    (tmp_path / "new.md").write_text("1\n")
    (tmp_path / "reports" / "new.csv").write_text("1\n")
    assert revision.commit(tmp_path) == first
    (tmp_path / "a.csv").write_bytes(b"\0")
    table = revision.commit(tmp_path)
    (tmp_path / "a.csv").write_bytes(b"\1\0")
    other = revision.commit(tmp_path)
    (tmp_path / "new.csv").write_text("1\n")
    new = revision.commit(tmp_path)
    (tmp_path / "new.csv").write_text("2\n")
    assert len({first, table, other, new, revision.commit(tmp_path)}) == 5


def test_what_the_caller_writes_itself_is_no_change(tmp_path, first):
    """A file of the caller's, however it is named, is left out, and that one alone."""
    (tmp_path / "mine.txt").write_text("1\n")
    assert revision.commit(tmp_path, apart=tmp_path / "." / "mine.txt") == first
    assert revision.commit(tmp_path, apart=tmp_path / "other.txt") == revision.commit(tmp_path) != first


@pytest.mark.parametrize("tool", ["true", "false"])
@pytest.mark.parametrize("by", ["environment", "configuration", "text"])
def test_a_diff_tool_of_the_reader_does_not_hide_a_change(tmp_path, git, first, monkeypatch, tool, by):
    """A tool that prints nothing, or fails, named for all files or for those of a kind, is not asked."""
    if by == "environment":
        monkeypatch.setenv("GIT_EXTERNAL_DIFF", tool)
    elif by == "configuration":
        git("config", "diff.external", tool)
    else:
        (tmp_path / ".git" / "info").mkdir(exist_ok=True)
        (tmp_path / ".git" / "info" / "attributes").write_text("*.py diff=quiet\n")
        git("config", "diff.quiet.textconv", tool)
    (tmp_path / "a.py").write_text("2\n")
    second = revision.commit(tmp_path)
    (tmp_path / "a.py").write_text("3\n")
    assert second.startswith(f"{first} with changes ") and revision.commit(tmp_path) not in (first, second)


def test_where_git_cannot_tell_what_was_changed_the_files_are_hashed(tmp_path, first):
    """With an index that git cannot read, the commit is named and its files are told apart by their contents."""
    (tmp_path / ".git" / "index").write_bytes(b"no index")
    broken = revision.commit(tmp_path)
    (tmp_path / "a.csv").write_text("2\n")
    assert broken.startswith(f"{first}, files ") and revision.commit(tmp_path) not in (first, broken)
