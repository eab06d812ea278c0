"""Verdicts: a run on a student's file, what its tables and its page say, and the programs of the committed report."""

import errno
import importlib.util
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pandas as pd
import pytest

from experiments import command
from experiments.harness import figures, report
from experiments.harness.endings import UsageError
from experiments.verification import analysis, verify
from properties.check import Checked, Lacking, Told, Verdict
from properties.known import known
from properties.loading import OUTSIDE
from properties.meta.test_known import lacking
from properties.subject import CAPABILITIES

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "reports" / "verification"
STUDENT = ROOT / "properties" / "meta" / "students" / "course.py"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The report on a course's file with one wrong gradient term, made once with few examples, on both cores.

    pytest-xdist's workers wait for the one that makes it, behind a lock that ends with its process.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "published"
    folder.mkdir(exist_ok=True)
    with closing(sqlite3.connect(folder / "lock", timeout=200, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        if not (folder / "index.html").exists():  # a run's last page
            publish(folder)
    return folder / "verification"


def publish(folder):
    """Judges the file.

    Its RNN is left out: it is right and half of the work, properties/meta/test_any_subject.py judges the file with it,
    and what is told here is told of the LSTM.
    """
    text = STUDENT.read_text("utf-8")
    head, rnn, rest = text.partition("def rnn_step_forward")
    text = head + rest[rest.index("def sigmoid") :]
    assert rnn and "dc * prev_c * f * (1 - f)" in text and "def rnn" not in text
    (folder / "student.py").write_text(text.replace("dc * prev_c * f * (1 - f)", "dc * prev_c * f"))
    command = [sys.executable, "-m", "experiments", "verify", "--workers", "2", "--examples", "8", "--out", str(folder)]
    done = subprocess.run([*command, "--subject", str(folder / "student.py")], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("verification/index.html")


def test_the_tables_say_what_holds_and_what_breaks(published):
    """A row a subject and law; the columns that readers rely on come first."""
    results = pd.read_csv(published / "results.csv", keep_default_na=False)
    assert list(results.columns[:6]) == ["subject", "version", "law", "verdict", "worst", "example"]
    assert set(results.subject) == {"student", "student (steps)"}
    words = results[results.subject == "student"].set_index("law").verdict
    assert (words["vjp"], words["value"], words["lengths"]) == ("broken", "holds", "cannot")
    broken = results[results.verdict == "broken"]
    assert (broken.example.str.contains(r"lstm float64, Plan\(T=")).all()
    assert (pd.to_numeric(broken[broken.law == "vjp"].worst) > 1e6).all()


def test_one_mistake_is_one_cause_with_a_program_of_the_students_own(published):
    """Breaks of one explanation are told together, the plainest law first; the program was run, and fails."""
    causes = pd.read_csv(published / "causes.csv", keep_default_na=False)
    steps = causes[causes.subjects == "student (steps)"].iloc[0]
    assert "wrong in the rows of gate f alone" in steps.reason and "vjp" in steps.laws
    assert steps.reproduced == "yes" and "from student import" in steps.program
    assert (published / "programs" / f"{steps.cause}.py").read_text("utf-8") == steps.program
    page = (published / "index.html").read_text("utf-8")
    assert "a law runs its share of 8 examples" in page and "verify --subject path/to/file.py --examples 8" in page
    assert f'<details class="program" id="{steps.cause}">' in page and "wrong in the rows of gate f alone" in page


def test_the_pages_above_are_written_where_there_were_none(published):
    """The page's links lead to files, and what it is found by lists it."""
    page = (published / "index.html").read_text("utf-8")
    links = [link for link in re.findall(r'href="([^"#:]+)', page) if link.startswith("..")]
    assert links and all((published / link).is_file() for link in links), links
    assert 'href="verification/index.html"' in (published.parent / "index.html").read_text("utf-8")


def test_a_report_of_verdicts_is_made_again_from_its_tables(published, tmp_path):
    """Byte for byte; a changed table is noticed."""
    assert report.check("verification", published.parent)[1] == []
    path = shutil.copytree(published, tmp_path / "verification") / "causes.csv"
    path.write_text(path.read_text("utf-8").replace("gate f", "gate g"))
    assert report.check("verification", tmp_path)[1]


def test_of_a_law_that_holds_it_is_said_what_was_not_run():
    """Two of its tests ask for gradients; beside it a law that cannot be run; a broken one says its sentence."""
    told = Told("split", "some_test", "lstm", "float32", "it aborts", "lstm float32, Plan(...)")
    two = [Lacking(f"test_{n}", CAPABILITIES["backward"]) for n in range(2)]
    laws = [Verdict("gates", 3, 0.5, lacking=two), Verdict("vjp", lacking=two), Verdict("split", 1, None, [told])]
    rows = verify.results([], {"it": Checked("it", "1", laws)})
    assert list(rows.verdict) == ["holds", "cannot", "broken"] and "2 tests not run" in rows.note[0]
    (table,) = analysis.cannot_tables(SimpleNamespace(results=rows), ["it"])
    assert list(table.frame.laws) == ["gates", "vjp"] and list(table.frame.why) == list(rows.note[:2])


def test_what_ran_for_another_cell_is_not_said_to_be_left_out_in_a_report_either():
    """Verdicts of two dtypes as one: a test that both ran for the rnn alone is not run for lstm, and no more."""
    lacking = [Lacking("test_split", CAPABILITIES["cell state"], "lstm")]
    each = [Checked("it", "1", [Verdict("split", 3, 0.5, ran={"test_split"}, lacking=list(lacking))]) for _ in range(2)]
    whole = verify.merged([verify.Part("it", [one], [], 1.0) for one in each], ("split",))
    (note,) = verify.results([], whole).note
    assert note == "1 test not run for lstm (not declared: cell state)"


@pytest.mark.parametrize("n", [1, 2, 6, 12])
def test_the_matrix_has_room_for_few_subjects_and_for_many(n):
    """Legend, names and cells fit: layout that collapses is a warning, and so an error here."""
    tables = analysis.read(COMMITTED / "results.csv")
    figure = analysis.matrix(tables, list(tables.subjects.subject)[:n])
    assert "holds" in figures.svg(figure.canvas, figure.name)


def test_breaks_of_all_dtypes_are_joined_and_causes_named():
    """Verdicts of one subject in two dtypes are one row a law; a known break is called by its name."""
    told = Told("empty batch", "some_test", "lstm", "float32", "it aborts", "lstm float32, Plan(...)")
    law = [Verdict("empty batch", 3, None, [told]), Verdict("value", 5, 0.5)]
    checked = [Checked("onnx_runtime", "1", [Verdict("empty batch", 2, 0.25), Verdict("value", 5, 0.75)])]
    parts = [verify.Part("onnx_runtime", [Checked("onnx_runtime", "1", law)], [], 1.0)]
    parts += [verify.Part("onnx_runtime", checked, [], 1.0)]
    joined = verify.merged(parts, ("empty batch", "value"))
    batch, value = joined["onnx_runtime"].verdicts
    assert (batch.word, batch.cases, value.cases, value.worst) == ("broken", 5, 10, 0.75)
    causes, breaks = verify.explained(joined)
    assert [c.name for c in causes] == ["onnx_runtime_no_rows"] and list(breaks.cause) == ["onnx_runtime_no_rows"]


def test_a_result_of_a_wrong_form_is_one_cause_of_all_breaks_by_it():
    """Named after the plainest law, with all of them; a break without a form has a cause of its own."""
    forms = {"adjoint": "the hT of forward", "bias": "", "split": "the hT of forward", "value": "the hT of forward"}
    told = [Told(law, "a_test", "lstm", "float32", "of 3", "lstm float32", form=form) for law, form in forms.items()]
    verdicts = [Verdict(one.law, 1, None, [one]) for one in told]
    causes, breaks = verify.explained({"own": Checked("own", "1", verdicts)})
    assert {c.name: c.laws for c in causes} == {"own_value": {"adjoint", "split", "value"}, "own_bias": {"bias"}}
    assert sorted(breaks.cause) == ["own_bias", *["own_value"] * 3]


def test_a_library_that_is_not_installed_is_not_run_or_an_error(tmp_path):
    """Under `all` its laws are not run, and say so; asked for by name it is a usage error in one line."""
    missing = next((n for n, m in OUTSIDE.items() if importlib.util.find_spec(n.split("_")[0]) is None), None)
    if missing is None:
        pytest.skip("every library is installed")
    done = subprocess.run(
        [sys.executable, "-m", "experiments", "verify", "--subject", missing, "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2 and re.search(rf"^experiments: --subject.*{missing}", done.stderr, re.MULTILINE)
    rows = verify.results([verify.Part("flax_nnx", [], [], 0.0, "no module")], {})
    assert set(rows.verdict) == {"not run"} and set(rows.note) == {"its library is not installed here"}


def test_what_cannot_be_loaded_is_refused_before_anything_is_judged(tmp_path, monkeypatch):
    """Also the last of several words."""
    monkeypatch.setattr(verify, "judge_all", lambda words, workers, examples: pytest.fail("judged"))
    with pytest.raises(UsageError, match=r"there is no file .*nobody\.py"):
        verify.verify(("numpy_twin", str(tmp_path / "nobody.py")), tmp_path, 1, "")


def test_verdicts_that_cannot_be_written_are_said_to_be_lost_in_one_line(tmp_path, monkeypatch, capsys):
    """Exit code 1: the disk became full while they were judged."""
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(verify, "judge_all", lambda words, workers, examples: [])
    monkeypatch.setattr(report, "publish", Mock(side_effect=full))
    assert command.main(["verify", "--subject", "numpy_twin", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "\nexperiments: no report could be written to" in told and "the verdicts are lost" in told


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("assert 1 == 2", "yes"),
        ("import os\nos.abort()", "yes (ended by"),
        ("x = 1", "no"),
        ("1 / 0", "no (Zero"),
    ],
)
def test_a_program_shows_its_break_or_does_not(program, says):
    """By an assertion or a signal; a program that ends well shows nothing."""
    assert verify.fails(program, 60).startswith(says)


PROGRAMS = sorted(COMMITTED.glob("programs/*.py"))


RECORDED = {one.name: one.program for one in known()}


@pytest.mark.program
@pytest.mark.parametrize("path", PROGRAMS, ids=[path.stem for path in PROGRAMS])
def test_every_break_that_the_committed_report_claims_is_shown_by_its_program(path):
    """Alone, in a clean process and an empty folder: a known break's is run in properties/meta, any other here."""
    program = path.read_text("utf-8")
    if program == RECORDED.get(path.stem):
        return  # test_a_known_break_is_there_when_its_program_runs_alone starts the same bytes; some take ten seconds
    missing = lacking(program)
    if missing:
        pytest.skip(f'needs {", ".join(missing)} (the extra "subjects")')
    assert verify.fails(program, verify.PROGRAM).startswith("yes")


def test_every_break_in_the_committed_report_has_a_cause_with_a_program_that_was_run():
    """What the report claims of a library, a stranger can see for himself."""
    tables = analysis.read(COMMITTED / "results.csv")
    broken = tables.results[tables.results.verdict == "broken"]
    claimed = {(row.subject, row.law) for row in broken.itertuples()}
    assert claimed == {(row.subject, row.law) for row in tables.breaks.itertuples()}
    names = {name for cause in tables.breaks.cause for name in cause.split()}
    causes = tables.causes.set_index("cause")
    assert names == set(causes.index) and causes.reproduced.str.startswith("yes").all()
    assert {path.stem for path in PROGRAMS} == names
    assert not set(broken.subject) & {"numpy_twin", "torch_twin", "torch_nn"}
