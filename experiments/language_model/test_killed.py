"""A run that is killed while a model trains, from outside: the same command gives the same records."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.harness import saved
from impl import draw

ROOT = Path(__file__).parents[2]
UPDATES = 30

DRIVER = f"""
import sys, time
from types import SimpleNamespace
from experiments.language_model import parts
parts.PARTS = parts.PARTS._replace(names=("text",))
from experiments import command
from experiments.language_model import learning
from experiments.language_model.text import sweep

pause, learning.EVERY = float(sys.argv[1]), 0.0
sweep.PRESETS["smoke"] = sweep.Preset((1,), seeds=2, updates={UPDATES}, evaluations=2, steps=20)
keep, begun = learning.keep, learning.begun

def kept(*args):
    keep(*args)
    time.sleep(pause)

def told(*args):
    course = begun(*args)
    print("begun at", course.update.step if course.update else 0, file=sys.stderr)
    return course

def publish(name, csv, out, facts):
    out.mkdir()
    (out / "results.csv").write_text(csv, "utf-8")

learning.keep, learning.begun = kept, told
command.reports = lambda: SimpleNamespace(publish=publish, publish_index=str)
sys.exit(command.main(sys.argv[2:]))
"""
"""The command with a small training that is kept after every update, waits so long after each, and says where it began.
Other parts of the experiment are left out, and of the report all but results.csv."""


@pytest.fixture
def line(tmp_path):
    """The command, without the pause and the store, on a text of 3000 characters."""
    corpus = tmp_path / "toy.txt"
    corpus.write_text("".join("abcde"[k] for k in draw.generator("test_killed").integers(0, 5, 3000)), "utf-8")
    return ["run", "language_model", "--preset", "smoke", "--workers", "0", "--engine", "fast", "--corpus", str(corpus)]


@pytest.mark.slow
def test_a_run_that_was_killed_in_training_goes_on_and_gives_the_same_records(tmp_path, line):
    """SIGKILL while a model trains, then the same command: it begins past the start, and results.csv is that of a run
    that nobody killed, byte for byte."""
    first, whole = start(tmp_path / "killed", line, 0.1), start(tmp_path / "whole", line, 0.0)
    step = killed_in_training(first, tmp_path / "killed" / "results.sqlite.models")
    assert first.returncode == -signal.SIGKILL and 2 <= step < UPDATES
    assert not list((tmp_path / "killed").rglob("results.csv"))
    again = start(tmp_path / "killed", line, 0.0)
    assert sorted(began(again)) == [0, step] and began(whole) == [0, 0]
    records, others = ((tmp_path / name / "out" / "results.csv") for name in ("killed", "whole"))
    assert records.read_bytes() == others.read_bytes() and records.read_text("utf-8").count("loss_validation") == 8


def start(folder, line, pause):
    """The command as a process, with a store and a report of its own."""
    where = ["--store", str(folder / "results.sqlite"), "--out", str(folder / "out")]
    words = [sys.executable, "-c", DRIVER, str(pause), *line, *where]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def killed_in_training(process, models):
    """Kills a process once a model in a folder has some updates done; how many those are in its file after that."""
    end = time.monotonic() + 60
    while steps(models) < 2 and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    return steps(models)


def steps(models):
    """How many updates the one file of a folder says are done; 0 without a file."""
    files = list(models.glob("*.safetensors"))
    return saved.read(files[0]).facts["step"] if len(files) == 1 else 0


def began(process):
    """At which updates the trainings of a process began; it must end well."""
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 0, said
    return [int(step) for step in re.findall(r"begun at (\d+)", said)]
