"""The false-alarm command: what it counts, prints and writes, and how it ends."""

from itertools import product
from pathlib import Path

import pytest

from impl.spec import COMMON, DTYPES
from properties import false_alarms
from properties.cases import Case, Plan
from properties.false_alarms import Options, Seen, Unusable, judge_chunk, main, random_plan, summarise
from properties.loading import load
from properties.meta.students import function
from properties.record import read_csv
from properties.subject import Subject

FAULT = "properties.meta.faults.values:ForgetBiasOfOneInSecret"


def test_a_right_subject_raises_no_alarm_and_its_numbers_become_records(tmp_path, capsys):
    """Exit code 0; the printed count and the records are those of the same cases."""
    path = tmp_path / "records.csv"
    assert main(Options("numpy_twin", cases=12, workers=1, records=path)) == 0
    printed, frame = capsys.readouterr(), read_csv(path)
    assert "12 cases, 0 false alarms" in printed.out
    assert "12/12" in printed.err, "a progress bar with the time left"
    counts = dict(zip(frame["metric"], frame["value"], strict=True))
    assert (counts["cases"], counts["alarms"]) == (12, 0)
    worst = frame[frame["metric"] == "worst fraction of the bound"]
    assert set(COMMON) == {s.split("cell=")[1].split("/")[0] for s in worst["setting"]}
    assert 0 < worst["value"].max() <= 1
    assert f"at {worst['value'].max():.4f}" in printed.out


def test_a_wrong_subject_raises_alarms_and_exit_code_1(capsys):
    """The command can fail: a planted fault is accused, and the nearest case is named."""
    assert main(Options(FAULT, cases=12, workers=1)) == 1
    out = capsys.readouterr().out
    assert " 0 false alarms" not in out
    assert "Plan(T=" in out


NOWHERE = Path("no such folder") / "records.csv"
VARIANTS = "properties.meta.test_false_alarms:VARIANTS_ALONE"


class VariantsAlone(Subject):
    """What has no cell that is asked for."""

    name, cells = "variants", ("lstm_no_forget",)


VARIANTS_ALONE = VariantsAlone()


@pytest.mark.parametrize(
    "options",
    [Options("no_such_module"), Options(cases=0), Options(workers=0), Options(VARIANTS), Options(records=NOWHERE)],
    ids=["module", "cases", "workers", "cells", "records"],
)
def test_a_command_that_makes_no_sense_ends_with_one_line_and_exit_code_2(options, capsys):
    """Nothing is run."""
    assert main(options) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_subject_is_asked_for_its_own_cells_and_dtypes(tmp_path):
    """In turn: those that it has, with the state of the cell where it takes it; a raised exception is told as such."""
    text = (Path(function.__file__)).read_text("utf-8") + "\n\nlstm.dtypes = ('float64',)\n"
    path = tmp_path / "own.py"
    path.write_text(text)
    _, alarms, worst = summarise(judge_chunk(f"{path}:lstm", 0, range(2)))
    assert alarms == 0 and {key[:2] for key in worst} == {("lstm", "float64")}
    printed = false_alarms.text(Options(), load(f"{path}:lstm"), 2, alarms, worst)
    assert "lstm float64" in printed and "rnn" not in printed and "float32" not in printed
    assert summarise(judge_chunk("properties.meta.students.course", 0, range(3)))[1] == 0, "c0 is zero there"
    path.write_text(text.replace("    h, c, hs = h0, c0, []", "    raise KeyError('no such gate')"))
    with pytest.raises(Unusable, match=r"lstm raised KeyError: 'no such gate'. lstm float64, Plan\("):
        judge_chunk(f"{path}:lstm", 0, range(1))


DEEDS = {
    "os.abort()": "ended abruptly",
    "sys.exit(3)": "lstm raised SystemExit: 3. lstm float32, Plan(",
    "raise KeyError('no such gate')": "lstm raised KeyError: 'no such gate'. lstm float32, Plan(",
}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_subject_that_gives_no_results_is_told_in_one_line_and_is_no_alarm(deed, tmp_path, capsys):
    """Whatever it does: exit code 2, since 1 means an alarm; and no file of records where there was none."""
    text = Path(function.__file__).read_text("utf-8").replace("import numpy", "import os\nimport sys\nimport numpy")
    path, out = tmp_path / "deed.py", tmp_path / "records.csv"
    path.write_text(text.replace("    h, c, hs = h0, c0, []", f"    {deed}"))
    assert main(Options(f"{path}:lstm", cases=1, workers=1, records=out)) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    assert len(said) == 1 and said[0].startswith("error: --subject must give") and DEEDS[deed] in said[0], said
    assert not out.exists()


def test_an_error_of_the_referees_own_is_not_told_as_the_users_mistake(monkeypatch):
    """It comes out as it is, with its traceback: a ValueError too."""
    monkeypatch.setattr(false_alarms, "judge_all", lambda options: raised(ValueError("a ball is too wide")))
    with pytest.raises(ValueError, match="a ball is too wide") as caught:
        main(Options("numpy_twin", cases=1, workers=1))
    assert not isinstance(caught.value, Unusable)
    monkeypatch.setattr(Case, "judged", lambda *args, **kwargs: raised(ValueError("a ball is too wide")))
    with pytest.raises(ValueError, match="a ball is too wide") as caught:
        judge_chunk("numpy_twin", 0, range(1))
    assert not isinstance(caught.value, Unusable)


def raised(error):
    """Raises it, where a lambda cannot."""
    raise error


def test_a_column_holds_a_fraction_however_far_beyond_its_bound():
    """Three digits after the point within reach of 1, three digits in all far beyond."""
    worst = {(*kind, "h"): Seen(*kind, "h", 0.12345, Plan(3, 2, 4, 5, seed=1)) for kind in product(COMMON, DTYPES)}
    worst["lstm", "float64", "h"] = worst["lstm", "float64", "h"]._replace(fraction=8.6871e30)
    lines = false_alarms.text(Options(), load("numpy_twin"), 6, 1, worst).splitlines()
    assert lines[3] == f"{'h':<29}" + f"{'0.123':>18}" * 5 + f"{'8.69e+30':>18}"
    assert len(lines[3]) == len(lines[2]), "beneath its head"


def test_a_file_of_records_is_kept_until_there_is_more(tmp_path):
    """Whether it can be written is tried without emptying it; where there was none there is none, and a link stays."""
    path, new, link = (tmp_path / name for name in ("records.csv", "new.csv", "link.csv"))
    path.write_text("kept")
    link.symlink_to(new)
    for one in (path, new, link):
        false_alarms.refuse_unwritable(one)
    assert path.read_text() == "kept"
    assert not new.exists() and link.is_symlink()


def test_the_cases_do_not_depend_on_how_they_are_dealt_out():
    """Case n is a function of seed and n: any number of workers, any chunks, the same fractions."""
    whole = judge_chunk("numpy_twin", 3, range(12))
    assert whole == judge_chunk("numpy_twin", 3, range(3)) + judge_chunk("numpy_twin", 3, range(3, 12))
    assert whole != judge_chunk("numpy_twin", 4, range(12))
    count, alarms, worst = summarise(whole)
    assert (count, alarms) == (12, 0)
    assert {key[:2] for key in worst} == set(product(COMMON, DTYPES))
    assert {key[2] for key in worst} == set(false_alarms.OUTPUTS)


def test_the_cases_are_wider_than_those_of_the_laws():
    """All T from 1 to 12, all scales, all opposed biases, uneven lengths, equal sizes too."""
    plans = [random_plan(0, n, load("numpy_twin")) for n in range(400)]
    assert {p.T for p in plans} == set(range(1, 13))
    assert {p.scale for p in plans} == {0.5, 1.0, 2.0}
    assert {p.opposed for p in plans} == {0.0, 6.0, 30.0}
    assert {p.biases for p in plans} == {"both", "none"}
    assert any(p.lengths for p in plans) and any(p.D == p.H for p in plans)
