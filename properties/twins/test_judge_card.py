"""What runs all tests of a card in turn: how each kind ends, that it ends in time, and that it goes on."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from properties.on_card import OnCard
from properties.twins import judge_card

ROOT = Path(__file__).parents[2]
TESTS = {
    "passes": "def test_a():\n    pass\n\n\ndef test_b():\n    pass\n",
    "fails": "import os\n\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    assert 'HEALED' in os.environ\n",
    "hangs": "import time\n\n\ndef test_a():\n    pass\n\n\ndef test_b():\n    time.sleep(60)\n",
}


@pytest.fixture
def card(tmp_path, monkeypatch):
    """A card that all see, and three kinds of tests on it."""
    for name, text in TESTS.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    words = ["-p", "properties.passed", "-p", "no:xdist", "-p", "no:cacheprovider"]
    monkeypatch.setattr(judge_card, "RUNS", {name: [str(tmp_path / f"test_{name}.py"), *words] for name in TESTS})
    monkeypatch.setattr(judge_card, "GRACE", 2.0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")


def judged(folder, capsys, *words):
    """The exit code, and how each run ended."""
    code = judge_card.main(["--folder", str(folder / "kept"), *words])
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("a card, commit ") or head.startswith("a card, no commit")
    return code, [" ".join(row.split()) for row in rows]


def test_what_passed_is_kept_and_what_failed_is_run_again(card, tmp_path, capsys, monkeypatch):
    """Exit code 1 where a test failed, 0 where none did; the second time what passed is not run again."""
    both = ["--only", "passes", "fails"]
    for _ in range(2):
        assert judged(tmp_path, capsys, *both) == (
            1,
            ["passes 2 done passed", "fails 1 done FAILED"],
        )
    monkeypatch.setenv("HEALED", "1")
    assert judged(tmp_path, capsys, *both) == (
        0,
        ["passes 2 done passed", "fails 2 done passed"],
    )


def test_it_ends_in_time_and_says_what_is_left(card, tmp_path, capsys):
    """A test that hangs is told to end; those before it have passed, and runs after it are not begun."""
    began = time.monotonic()
    code, rows = judged(tmp_path, capsys, "--minutes", "0.1", "--only", "hangs", "passes")
    assert code == 3 and rows[1] == "passes 0 done left to run"
    assert rows[0] in (
        "hangs 1 done left to run",
        "hangs 0 done left to run",
    )  # four seconds may be too few for it
    assert time.monotonic() - began < 30


def test_without_a_card_nothing_is_run(monkeypatch, capsys):
    """One line, exit code 2."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert judge_card.main([]) == 2
    assert capsys.readouterr().err == "judge_card needs a CUDA device, and torch sees none.\n"


@pytest.mark.slow
def test_there_are_tests_for_a_card_and_every_subject_is_one():
    """What is collected where the runs point to; the subjects' own laws are collected on a card alone."""
    line = [
        sys.executable,
        "-m",
        "pytest",
        "-W",
        "default",
        "-p",
        "no:xdist",
        "--collect-only",
        "-q",
        *judge_card.TESTS,
    ]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("::test_") > 50, done.stdout[-2000:]
    from properties import on_card

    assert all(issubclass(getattr(on_card, name), OnCard) for name in judge_card.SUBJECTS)
    assert set(judge_card.RUNS) == {"tests", *judge_card.SUBJECTS}
