"""The program that compute-sanitizer runs, under Triton's interpreter, and what runs it, with a sanitizer of ours."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from impl.spec import tree_map
from properties import revision
from properties.twins import bounded, sanitize, small_kernels

ROOT = Path(__file__).parents[2]
FAKE = """#!{python} -IS
import os, sys, time
if sys.argv[1:] == ["--version"]:
    print("Compute Sanitizer\\nVersion  {version}")
    sys.exit()
folder = {folder!r}
open(os.path.join(folder, "calls"), "a").write(" ".join(sys.argv[1:]) + "\\n")
assert (os.environ["PYTORCH_NO_CUDA_MEMORY_CACHING"], os.environ["TRITON_INTERPRET"]) == ("1", "0")
tool, part = sys.argv[sys.argv.index("--tool") + 1], sys.argv[-1]
how = {how!r}.get(f"{{tool}} {{part}}", "passes")
if how == "finds":
    print(open(os.path.join(folder, "report")).read())
    sys.exit(int(sys.argv[sys.argv.index("--error-exitcode") + 1]))
if how == "hangs":
    print("hangs", flush=True)
    time.sleep(60)
if how == "raises":
    raise ImportError("no module")
sys.exit({wrong} if how == "is wrong" else 9 if how == "breaks" else 0)
"""


# The kernels


def test_every_kind_of_kernel_is_among_the_cases_and_every_case_in_one_part():
    """Cells, kinds of number, paths, groups, lengths, sizes and programs of 4, 8 and 16 rows; parts share all cases."""
    every = list(small_kernels.cases([16, 20]))
    assert len(set(every)) == len(every) == 216
    kinds = {(case.cell, case.number, case.path, case.E, case.ragged, case.H) for case in every}
    assert len(kinds) == 3 * 4 * 2 * 2 * 2 * 2 and {case.rows for case in every} == {0, 4, 8, 16}
    parts = [every[k::7] for k in range(7)]
    assert sorted(str(case) for part in parts for case in part) == sorted(map(str, every))


def interpreted():
    """Triton's interpreter, or a skipped test."""
    common = pytest.importorskip("impl.torch_twin.kernels.common", reason="the kernels need triton")
    if not common.INTERPRETED.value:
        pytest.skip("kernels are compiled: TRITON_INTERPRET is not 1")


def test_the_program_runs_its_part_and_says_each_case():
    """In a process of its own, a few cases; the exit code is 0."""
    interpreted()
    line = [sys.executable, "-m", "properties.twins.small_kernels", "--device", "cpu", "--part", "5/108"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *each, last = done.stdout.splitlines()
    assert last == "2 of 2 cases are right" and all(said.startswith("right  ") for said in each)
    assert each[0].startswith("right  rnn ieee persistent, H=16, 3 models, programs of 16 rows: ")


NEEDED = ("triton", "flint", "hypothesis")
"""The modules that a case needs beside torch."""


def test_what_a_case_needs_is_asked_for_in_one_line(monkeypatch, capsys):
    """Before anything runs; the exit code is 2."""
    for name in ("TRITON_INTERPRET", "PYTORCH_NO_CUDA_MEMORY_CACHING"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(revision, "find_spec", lambda module: None if module in NEEDED else module)
    assert small_kernels.main(["--device", "cpu"]) == 2
    said = f"small_kernels needs triton, python-flint, hypothesis, which {sys.executable} does not have.\n"
    assert capsys.readouterr().err == said


def spoilt(backward, factor):
    """A backward whose gradient by the initial state is multiplied."""

    def run(*args):
        gradient = backward(*args)
        return gradient._replace(state=tree_map(lambda a: factor * a, gradient.state))

    return run


@pytest.fixture
def backward(monkeypatch):
    """The kernels' backward, to be spoilt; what the program sets is put back."""
    interpreted()
    from impl.torch_twin.kernels import fused, stepped

    monkeypatch.setattr(stepped, "_run", stepped._run)
    for name in ("TRITON_INTERPRET", "PYTORCH_NO_CUDA_MEMORY_CACHING"):
        monkeypatch.setenv(name, "1")
    yield fused.backward


def assert_told_wrong(capsys):
    """The case's line, and an exit code that Python has not."""
    assert small_kernels.main(["--device", "cpu", "--part", "1/108"]) == small_kernels.WRONG == 4
    assert capsys.readouterr().out.startswith("WRONG  rnn ieee persistent, H=16, one model: ")


@pytest.mark.parametrize("factor", [0.99, float("nan")])
def test_a_wrong_gradient_is_told_and_has_an_exit_code_of_its_own(backward, monkeypatch, capsys, factor):
    """A backward whose gradient by the initial state is a hundredth too small, or no number; Python's own code is 1."""
    monkeypatch.setattr("impl.torch_twin.kernels.fused.backward", spoilt(backward, factor))
    assert_told_wrong(capsys)


@pytest.mark.parametrize("call", [0, 1], ids=["forward", "reverse"])
def test_an_error_in_one_direction_alone_is_told(backward, monkeypatch, capsys, call):
    """The other, before it or after it, hides nothing."""
    calls = []

    def one(*args):
        calls.append(args)
        return (spoilt(backward, 0.99) if len(calls) - 1 == call else backward)(*args)

    monkeypatch.setattr("impl.torch_twin.kernels.fused.backward", one)
    assert_told_wrong(capsys)


def test_torch_keeps_no_memory_of_the_card_and_is_not_imported_before_it_is_told(monkeypatch):
    """Each array is an allocation of its own, whatever the environment said."""
    for name in ("TRITON_INTERPRET", "PYTORCH_NO_CUDA_MEMORY_CACHING"):
        monkeypatch.setenv(name, "")
    assert small_kernels.prepare("cpu") == ""
    assert (os.environ["PYTORCH_NO_CUDA_MEMORY_CACHING"], os.environ["TRITON_INTERPRET"]) == ("1", "1")
    text = "import sys, properties.twins.small_kernels; sys.exit(not {'torch', 'triton'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", text], cwd=ROOT).returncode == 0


def test_without_a_card_the_program_says_so_in_one_line(monkeypatch, capsys):
    """What is needed and what there is; the exit code is 2."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for name in ("TRITON_INTERPRET", "PYTORCH_NO_CUDA_MEMORY_CACHING"):
        monkeypatch.setenv(name, "1")
    assert small_kernels.main([]) == 2
    assert capsys.readouterr().err == "small_kernels needs a CUDA device, and torch sees none.\n"


@pytest.mark.parametrize("word", ["0/3", "4/3", "1", "a/b", "-1/2"])
def test_a_part_that_there_is_not_is_refused(word, capsys):
    """K of N, from 1 on."""
    with pytest.raises(SystemExit):
        small_kernels.main([f"--part={word}"])
    assert "must be K/N with 1 <= K <= N" in capsys.readouterr().err


# The sanitizer


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a compute-sanitizer on the path that passes but where it is told otherwise, and notes its calls."""

    def put(version="1.0", **how):
        how = {words.replace("_", " ").replace("of", "/"): what for words, what in how.items()}
        path = tmp_path / "compute-sanitizer"
        path.write_text(FAKE.format(python=sys.executable, folder=str(tmp_path), how=how, version=version, wrong=4))
        path.chmod(0o755)
        (tmp_path / "calls").write_text("")
        (tmp_path / "report").write_text(REPORT)

    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(revision, "commit", lambda *root: "commit abc")
    monkeypatch.setattr(revision, "card", lambda: "torch 1, a card")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(sanitize, "GRACE", 0.1)
    put.calls = lambda: (tmp_path / "calls").read_text().splitlines()
    put.clean = lambda: sum(json.loads(line)["ended"] == "clean" for line in put.file.read_text().splitlines())
    put.run = lambda *more: sanitize.main(["--parts", "2", "--file", str(tmp_path / "clean"), *more])
    put.file = tmp_path / "clean"
    return put


def test_without_a_sanitizer_it_says_loudly_that_nothing_was_judged(monkeypatch, capsys):
    """One line, and no error: a machine may have none."""
    monkeypatch.setattr(sanitize, "sanitizer", lambda environment: None)
    assert sanitize.main([]) == 0
    assert capsys.readouterr().out.startswith("NOT JUDGED: compute-sanitizer is not installed")


def test_it_is_found_on_the_path_or_in_cudas_folder(tmp_path):
    """The path comes first."""
    for folder in ("a", "cuda/bin"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "compute-sanitizer").touch(0o755)
    home = {"CUDA_HOME": str(tmp_path / "cuda"), "PATH": str(tmp_path / "nothing")}
    assert sanitize.sanitizer(home) == str(tmp_path / "cuda/bin/compute-sanitizer")
    assert sanitize.sanitizer(home | {"PATH": str(tmp_path / "a")}) == str(tmp_path / "a/compute-sanitizer")


def test_clean_parts_are_remembered_for_what_they_hold_for_alone(fake, capsys, monkeypatch):
    """Three tools on two parts; run again, none is called; elsewhere all are; a line cut short says nothing."""
    fake()
    assert fake.run() == 0
    assert len(fake.calls()) == 6
    wanted = "--tool memcheck --error-exitcode 86 --target-processes application-only"
    assert fake.calls()[0] == f"{wanted} {sys.executable} -m properties.twins.small_kernels --part 1/2"
    assert "memcheck           2       0       0" in capsys.readouterr().out
    assert fake.run() == 0 and len(fake.calls()) == 6
    text = fake.file.read_text()
    fake.file.write_text(text[:-9])
    assert fake.run() == 0 and len(fake.calls()) == 7
    held = json.loads(fake.file.read_text().splitlines()[-1])["holds_for"]
    assert held == "commit abc, torch 1, a card, Version 1.0"
    fake.file.write_text(f'{{"commit": "commit abc", "tool": "memcheck", "part": "1/2"}}\n{fake.file.read_text()}')
    assert fake.run() == 0 and len(fake.calls()) == 7
    monkeypatch.setattr(revision, "commit", lambda *root: "commit abd")
    assert fake.run() == 0 and len(fake.calls()) == 13
    monkeypatch.setattr(revision, "card", lambda: "torch 2, a card")
    assert fake.run() == 0 and len(fake.calls()) == 19
    fake(version="1.1")
    assert fake.run() == 0 and len(fake.calls()) == 6


REPORT = """\
========= COMPUTE-SANITIZER
========= Invalid __global__ read of size 4 bytes
=========     at forward_loop+0x1a70 in rnn.py:77
=========     by thread (96,0,0) in block (0,0,0)
=========     Saved host backtrace up to driver entry point at kernel launch time
=========         Host Frame: main in run.c:9
=========
========= Invalid __global__ read of size 4 bytes
=========     at 0x70 in rnn.py:77:forward_loop
========= Uninitialized __global__ memory read of size 4 bytes
=========     at void gemm<float, 32, (int)4>(const T1 *, int)+0x70
========= Invalid __global__ read of size 4 bytes
=========     at forward_loop+0x1a80 in /a b/rnn.py:78
========= Error: Race reported between Write access at sum(int *, int *)+0xa0 in race.cu:21
=========     and Read access at sum(int *, int *)+0xc0 in race.cu:27 [508 hazards]
=========
========= Error: Race reported between Read access at sum(int *, int *)+0xb0 in race.cu:22
========= Program hit cudaErrorInvalidValue (error 1) due to "invalid argument" on CUDA API call to cudaFree.
========= RACECHECK SUMMARY: 2 hazards displayed (2 errors, 0 warnings)
========= LEAK SUMMARY: 0 bytes leaked in 0 allocations
========= Target application returned an error
========= ERROR SUMMARY: 5 errors
"""


def test_what_a_tool_found_is_told_by_kernel():
    """Whatever stands between: a report has a hundred findings of thirty lines, and its end names none."""
    assert sanitize.findings(REPORT.splitlines()) == [
        "3 times: Invalid __global__ read of size 4 bytes: forward_loop",
        "2 times: Error: Race reported: sum(int *, int *)",
        "1 times: Uninitialized __global__ memory read of size 4 bytes: void gemm<float, 32, (int)4>(const T1 *, int)",
        '1 times: Program hit cudaErrorInvalidValue (error 1) due to "invalid argument" on CUDA API call to cudaFree.: '
        "no kernel named",
    ]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("finds", "racecheck 2/2: the tool found something"),
        ("is wrong", "racecheck 2/2: a result is wrong"),
        ("breaks", "racecheck 2/2: broke off with code 9"),
        ("raises", "racecheck 2/2: broke off with code 1"),
    ],
)
def test_what_is_found_is_told_ends_with_1_and_is_run_again(fake, capsys, how, says):
    """The others run all the same; what the tool said last stands below."""
    fake(racecheck_2of2=how)
    for calls in (6, 7):
        assert fake.run() == 1
        assert len(fake.calls()) == calls
        out = capsys.readouterr().out
        assert says in out and "racecheck          1       1       0" in out
        found = "    3 times: Invalid __global__ read of size 4 bytes: forward_loop" in out
        assert found == ("    ========= ERROR SUMMARY: 5 errors" in out) == (how == "finds")
        assert ("    ImportError: no module" in out) == (how == "raises")
    fake()
    assert fake.run() == 0 and len(fake.calls()) == 1


def test_the_time_is_kept_and_the_same_command_goes_on(fake, capsys):
    """One that hangs is ended after half the time, and others run; what is left is neither clean nor wrong: 3."""
    fake(racecheck_1of2="hangs", memcheck_2of2="hangs")
    began = time.monotonic()
    assert fake.run("--minutes", "0.03") == 3
    assert time.monotonic() - began < 30
    out = capsys.readouterr().out
    assert "racecheck 1/2: not finished in its time, so it is run again" in out and "memcheck 1/2: clean" in out
    clean = fake.clean()
    assert 1 <= clean <= 4
    fake()
    assert fake.run() == 0 and len(fake.calls()) == 6 - clean


def test_a_part_has_half_the_time_at_most_and_what_is_left(fake, monkeypatch):
    """One that hangs keeps no other from being run; with no more than the grace left none is begun."""
    times, now, takes = [], [0.0], iter([25.0, 25.0, 9.95])

    def run(line, seconds, grace, *more, **options):
        times.append((seconds, grace))
        now[0] += next(takes)
        return bounded.Ran(None, "")

    fake()
    monkeypatch.setattr(bounded, "run", run)
    monkeypatch.setattr(sanitize.time, "monotonic", lambda: now[0])
    assert fake.run("--minutes", "1") == 3
    assert times == [(30.0, 0.1), (30.0, 0.1), (10.0, 0.1)]


@pytest.fixture
def timed(fake, monkeypatch):
    """Gives pieces, by name, seconds of a clock that stands else, and how they end; names those that were run."""

    def put(**how):
        names, now = [], [0.0]

        def run(line, seconds):
            names.append(f"{line[2]}_{line[-1][0]}")
            takes, code = how.get(names[-1], (0.0, 0))
            now[0] += min(takes, seconds)
            return bounded.Ran(None if takes > seconds else code, "")

        monkeypatch.setattr(sanitize, "run", run)
        monkeypatch.setattr(sanitize.time, "monotonic", lambda: now[0])
        return names

    fake()
    return put


def test_those_that_did_not_finish_come_last(fake, timed):
    """Of three that hang two take the time: the others are run before they are again, and then the three take turns."""
    hang = dict.fromkeys(("memcheck_1", "racecheck_1", "initcheck_1"), (99.0, 0))
    first, second = (
        ["memcheck_1", "racecheck_1"],
        ["initcheck_1", "memcheck_2", "racecheck_2", "initcheck_2", "memcheck_1"],
    )
    for wanted in (first, second, ["racecheck_1", "initcheck_1"], first):
        names = timed(**hang)
        assert fake.run("--minutes", "1") == 3 and names == wanted
    names = timed()
    assert fake.run("--minutes", "1") == 0 and names == ["initcheck_1", *first]


def test_what_was_wrong_stays_so_until_it_ends_otherwise(fake, timed, capsys):
    """It ends with 1 also where there was no time for it, or not enough; others are run before it."""
    timed(memcheck_1=(1.0, 86))
    assert fake.run("--minutes", "1", "--tools", "memcheck") == 1
    names = timed(racecheck_1=(99.0, 0), initcheck_1=(99.0, 0))
    assert fake.run("--minutes", "1") == 1 and names == ["racecheck_1", "initcheck_1"]
    timed(memcheck_1=(99.0, 86))
    assert fake.run("--minutes", "1", "--tools", "memcheck") == 1
    assert "memcheck 1/2: not finished in its time" in capsys.readouterr().out
    timed()
    assert fake.run("--minutes", "1") == 0


def test_two_at_once_with_one_file_are_one_too_many(fake, monkeypatch, capsys):
    """The second ends with one line and runs nothing; when the first has ended it is free again."""
    fake()
    second = []

    def run(line, seconds):
        second.append((fake.run(), capsys.readouterr().err))
        return bounded.Ran(0, "")

    with monkeypatch.context() as patch:
        patch.setattr(sanitize, "run", run)
        assert fake.run("--tools", "memcheck") == 0
    assert second == [(2, f"sanitize: another process is at work with {fake.file}.\n")] * 2 and fake.calls() == []
    assert fake.run() == 0 and len(fake.calls()) == 4


def test_a_file_that_cannot_be_written_is_a_line(fake, capsys):
    """Exit code 2, since 1 is what the tool finds; nothing is run."""
    fake()
    assert fake.run("--file", str(fake.file.parent)) == 2 and fake.calls() == []
    assert capsys.readouterr().err == f"sanitize: {fake.file.parent} cannot be written: Is a directory.\n"


def test_a_package_that_a_part_needs_is_asked_for_before_any_runs(fake, monkeypatch, capsys):
    """One line, exit code 2: else each part would break off."""
    fake()
    monkeypatch.setattr(revision, "find_spec", lambda module: None if module == "flint" else module)
    assert fake.run() == 2 and fake.calls() == []
    assert capsys.readouterr().err == f"sanitize needs python-flint, which {sys.executable} does not have.\n"


def test_without_a_card_the_sanitizer_is_not_started(fake, monkeypatch, capsys):
    """One line, exit code 2."""
    fake()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fake.run() == 2 and fake.calls() == []
    assert capsys.readouterr().err == "sanitize needs a CUDA device, and torch sees none.\n"


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("--parts=0", "--parts: must be a whole number, 1 or more; got '0'"),
        ("--parts=-2", "--parts: must be a whole number, 1 or more; got '-2'"),
        (
            "--minutes=0.03",
            "--minutes: half of it must be longer than the 1 s that a command has to end in; got 0.03",
        ),
        ("--minutes=0", "--minutes: must be a finite number above 0; got '0'"),
        ("--minutes=nan", "--minutes: must be a finite number above 0; got 'nan'"),
        ("--minutes=inf", "--minutes: must be a finite number above 0; got 'inf'"),
    ],
)
def test_a_number_that_there_is_not_is_refused_in_one_line(word, says, capsys):
    """The argument, the rule, and what came."""
    with pytest.raises(SystemExit, match="2"):
        sanitize.main([word])
    assert capsys.readouterr().err == f"sanitize: argument {says}\n"


def test_a_part_that_was_ended_by_hand_counts_as_tried(fake, monkeypatch):
    """The same command begins with another; and a line that is no piece says nothing."""
    fake()

    def stopped(line, seconds):
        raise SystemExit(130)

    with monkeypatch.context() as patch, pytest.raises(SystemExit, match="130"):
        patch.setattr(sanitize, "run", stopped)
        fake.run()
    with fake.file.open("a") as out:
        out.write("12\n")
    assert fake.run() == 0
    assert "--tool memcheck" in fake.calls()[-1] and fake.calls()[-1].endswith("--part 1/2")
