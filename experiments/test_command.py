"""The command line: what is asked wrongly is said in one line, with exit code 2, before anything is written."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from experiments import command
from experiments.harness import catalogue, listing, parsing, workers
from experiments.harness import store as store_module
from experiments.harness.deadline import Deadline
from experiments.harness.endings import UsageError
from experiments.harness.executor import InProcess, Outcome
from experiments.harness.report import cost
from experiments.harness.run import OutOfTime, RunError, keep
from experiments.harness.store import Store
from experiments.harness.sweep import FILES, PRESETS, Options
from experiments.harness.toy.testing import GROUPS, begun
from experiments.tasks.arguments import DataError
from experiments.tasks.corpora import CORPORA, FOLDER, Corpus, File

ROOT = Path(__file__).parent.parent


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


UNUSABLE = {
    "missing": None,
    "empty": b"",
    "too_short": b"In the beginning",
    "not_utf8": "d\xe9j\xe0 vu, ".encode("latin-1") * 9000,
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_corpus_that_cannot_be_used_is_refused_in_one_line(here, capsys, kind):
    """Missing, empty, shorter than a window, not UTF-8: one line that names it, exit code 2, nothing written."""
    path = here / f"{kind}.txt"
    if UNUSABLE[kind] is not None:
        path.write_bytes(UNUSABLE[kind])
    before = sorted(here.rglob("*"))
    assert command.main(["run", "language_model", "--preset", "smoke", "--corpus", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1 and path.name in said.err and "corpus" in said.err
    assert sorted(here.rglob("*")) == before


WRONG = {
    "an experiment that does not exist": (["run", "gradientflow"], "gradient_flow"),
    "the list of an experiment that does not exist": (["list", "memry"], "memory"),
    "whose cost, and no cost": (["list", "memory", "--preset", "quick"], "--cost"),
    "a table for no cost": (["list", "--data", "x.csv"], "--cost"),
    "the cost of a corpus for an experiment that reads none": (
        ["list", "memory", "--cost", "--corpus", "x.txt"],
        "--corpus is read by language_model alone",
    ),
    "the cost of a corpus that does not exist": (["list", "language_model", "--cost", "--corpus", "x.txt"], "x.txt"),
    "the cost of a table that does not exist": (["list", "--cost", "--data", "x.csv"], "x.csv"),
    "a report that does not exist": (["report", "memory", "--check"], "memory"),
    "a report of no experiment": (["report", "hearsay"], "hearsay"),
    "a corpus for an experiment that reads none": (["run", "memory", "--corpus", "x.txt"], "language_model"),
    "data for an experiment that reads none": (["run", "language_model", "--data", "x.csv"], "--data is read by modes"),
    "an option twice, of which one would be lost": (
        ["verify", "--subject", "numpy_twin", "--subject=torch_nn"],
        "--subject must be given once, all its values after it; got it 2 times",
    ),
    "a subject that is not there, beside one that is": (["verify", "--subject", "numpy_twin", "x.py"], "x.py"),
    "no time at all": (["run", "memory", "--minutes", "0"], "--minutes must be above 0; got 0."),
    "reports to nowhere": (["run", "memory", "--out", ""], "--out must name a folder; got ''"),
    "verdicts to nowhere": (["verify", "--out="], "--out must name a folder; got ''"),
    "reports of nowhere": (["report", "--check", "--out", ""], "--out must name a folder; got ''"),
    "no number of minutes": (["run", "memory", "--minutes", "nan"], "--minutes must be above 0; got nan."),
    "a device that is not here": (["run", "memory", "--engine", "torch", "--device", "cuda:77"], "cuda:77"),
    "no device's name, on a cluster": (
        ["run", "memory", "--device", "garbage", "--scheduler", "tcp://127.0.0.1:9"],
        "--device must be what torch calls a device, such as cuda or cuda:1; got 'garbage'.",
    ),
    "a device without a name": (
        ["run", "memory", "--device", ""],
        "--device must be one that torch finds here, of cpu",
    ),
    "a device that holds no numbers": (
        ["run", "memory", "--device", "meta"],
        "--device must be one that torch finds here, of cpu",
    ),
    "no device that computes, on a cluster": (
        ["run", "memory", "--device", "meta", "--scheduler", "tcp://127.0.0.1:9"],
        "--device must be what torch calls a device, such as cuda or cuda:1; got 'meta'.",
    ),
    "a negative number of workers": (["run", "memory", "--workers", "-1"], "--workers"),
    "generation without a trained model": (["generate"], "python -m experiments run language_model --preset tour"),
    "generation from a file that does not exist": (["generate", "--model", "x.safetensors"], "x.safetensors"),
    "generation of nothing": (["generate", "--length", "0"], "--length"),
    "to continue a file that does not exist": (["continue", "x.safetensors", "--updates", "9"], "x.safetensors"),
    "pieces of an experiment that there is not": (["pack", "x", "--experiment", "memry"], "memory"),
    "a piece that there is not": (["unpack", "x.sqlite.xz"], "unpack must be given files that there are; got x.sq"),
    "no piece": (["unpack"], "unpack must be given files that there are; got none."),
    "to continue by nothing": (["continue", "x.safetensors", "--updates", "0"], "--updates"),
    "to continue on an engine that is not there": (
        ["continue", "x.safetensors", "--updates", "9", "--engine", "fast", "--device", "cuda"],
        "--device must be cpu",
    ),
    "a preset that does not exist": (
        ["run", "memory", "--preset", "slow"],
        "'slow' for argument '--preset'. Expected one of ('smoke', 'tour', 'quick', 'full'); see `python -m exp",
    ),
    "an option that another command has": (["run", "memory", "--seeds", "8"], "Unrecognized options: --seeds, 8; see "),
    "two experiments": (
        ["run", "memory", "modes"],
        "run takes one experiment's name, or all. Unrecognized options: m",
    ),
    "to list two": (["list", "modes", "memory", "--cost"], "list takes one experiment's name, or all"),
    "an option beside two words": (["report", "--chek"], "experiments: Unrecognized options: --chek; see `python -m "),
    "no file to continue": (["continue", "--updates", "9"], "Missing from python -m experiments continue: FILE; see "),
    "to continue without end": (["continue", "x"], "Missing from python -m experiments continue: --updates INT; see "),
    "a length that is no number": (["generate", "--length", "long"], "Error parsing --length: invalid literal for int"),
    "a number that is missing": (["run", "--workers"], "Missing value for argument '--workers'"),
    "no command": (
        [],
        "Expected one of {list, run, report, verify, generate, continue, pack, unpack}; see `python -m ",
    ),
    "another command": (["nonsense"], "nonsense. Available subcommands: list, run, report, verify, generate, continue"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_asked_wrongly_is_said_in_one_line(here, capsys, kind):
    """The line names what was asked for, or what could be."""
    arguments, named = WRONG[kind]
    assert command.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1 and named in said.err
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(("columns", "encoding"), [("40", "utf-8"), ("300", "ascii")])
def test_how_the_terminal_is_changes_no_line(here, columns, encoding):
    """Its width, which folds what the parser says, and its letters, which draw the box."""
    line = [sys.executable, "-m", "experiments", "run", "memory", "--preset", "slow"]
    env = os.environ | {"COLUMNS": columns, "PYTHONIOENCODING": encoding, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=here, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr == (
        "experiments: invalid choice 'slow' for argument '--preset'. Expected one of ('smoke', 'tour', 'quick', "
        "'full'); see `python -m experiments run --help`.\n"
    )


def test_what_is_no_box_is_said_as_it_is():
    """Another version of the parser may say it otherwise: nothing is lost, and it is one line."""
    for said in ("usage: x\nx: error: no\n", "no\n", "", f"x\n{'-' * 20}\n"):
        assert parsing.in_a_line(said) == " ".join(said.split())


def test_files_of_the_users_go_each_to_its_own_experiment(here, monkeypatch):
    """With all options of files and `all`, each sweep is told of them, and a report's record names those it read."""
    told, given = {}, {option: Path(f"{option}.file") for option in FILES}

    def sweep(name, preset, options):
        told[name] = {option: getattr(options, option) for option in FILES}
        return [] if name != catalogue.EXPERIMENTS[-1] else pytest.fail("enough")

    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("memory", *FILES.values()))
    monkeypatch.setattr(catalogue, "sweep", sweep)
    with pytest.raises(pytest.fail.Exception, match="enough"):
        command.main(["run", *(word for option, path in given.items() for word in (f"--{option}", str(path)))])
    assert told == dict.fromkeys(catalogue.EXPERIMENTS, given)
    options = [command.of_the_run(name, command.Run("all", "tour", **given), "fast") for name in told]
    assert options == [{"preset": "tour", **own} for own in ({}, {"corpus": "own"}, {"data": "own"})]


def test_a_known_corpus_is_recorded_by_its_name():
    """So a report can name a command that others can type; a file of that name, given as ./text8, is the user's own."""
    runs = [command.Run("language_model", "tour", corpus=corpus) for corpus in ("text8", "./text8")]
    assert [command.corpus(run) for run in runs] == ["text8", Path("text8")]
    options = [command.of_the_run("language_model", run, "fast") for run in runs]
    assert options == [{"preset": "tour", "corpus": name} for name in ("text8", "own")]


def test_a_known_corpus_that_cannot_be_had_is_refused_in_one_line(here, monkeypatch, capsys):
    """Nobody answers: the line names the address, the place for the file and the other way, and nothing is written."""
    file = File("letters", "http://127.0.0.1:9/letters", 9, "md5:0")
    monkeypatch.setitem(CORPORA, "letters", Corpus((file,)))
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("language_model",))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv(FOLDER, str(here / "corpora"))
    for arguments in (["run", "language_model", "--preset", "smoke"], ["list", "--cost"]):
        assert command.main([*arguments, "--corpus", "letters"]) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1 and said.startswith("experiments: `corpus` must be downloaded once; got no")
        assert file.url in said and f"put it at {here / 'corpora' / 'letters'}" in said
    assert [path.name for path in here.rglob("*")] == ["corpora"]


def test_with_a_file_of_the_users_the_report_is_their_own(here, monkeypatch, capsys):
    """It goes to reports/own, and names the option that another reader would type."""
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    monkeypatch.setitem(FILES, "data", "harness.toy")
    assert command.main(["run", "harness.toy", "--preset", "smoke", "--workers", "0", "--data", "x.csv"]) == 0
    page = (here / "reports" / "own" / "harness.toy" / "README.md").read_text("utf-8")
    assert "python -m experiments run harness.toy --preset smoke --data FILE" in page
    assert [path.name for path in (here / "reports").iterdir()] == ["own"]


def test_what_a_trained_model_needs_is_imported_late():
    """`list` does without the modules that write and train: nor does any other command wait for them."""
    names = "('generate', 'continued', 'trained')"
    asked = f"print([n for n in {names} if f'experiments.language_model.{{n}}' in sys.modules])"
    line = [sys.executable, "-c", f"import sys; from experiments.command import main; main(['list']); {asked}"]
    assert subprocess.run(line, cwd=ROOT, capture_output=True, text=True).stdout.endswith("\n[]\n")


def core_seconds(line):
    """What comes before a listed line's number, and the number."""
    before, number = re.search(r"^ *(.*\S) +([\d,.]+) core-seconds", line).groups()
    return " ".join(before.split()), float(number.replace(",", ""))


def test_the_list_tells_every_presets_cost_and_that_of_its_parts(monkeypatch, capsys):
    """In core-seconds: the parts sum to the total of the preset; at the end stand the totals of all experiments."""
    monkeypatch.setattr(catalogue, "sweep", cache(catalogue.sweep))
    assert command.main(["list", "--cost"]) == 0
    lines, together = capsys.readouterr().out.splitlines(), Counter()
    for name in catalogue.EXPERIMENTS:
        assert lines.pop(0).startswith(f"{name} ")
        for preset in PRESETS:
            groups = catalogue.sweep(name, preset, Options())
            kinds = Counter(group.setting.split("/")[0] for group in groups)
            total = sum(group.cost for group in groups)
            together[preset] += total
            told, cost = core_seconds(lines.pop(0))
            assert told == f"{preset} {listing.counted(len(groups), 'group')}" and cost == pytest.approx(total, abs=0.5)
            parts = [core_seconds(lines.pop(0)) for _ in kinds]
            assert [told for told, _ in parts] == [f"{k} {listing.counted(n, 'group')}" for k, n in kinds.items()]
            assert sum(cost for _, cost in parts) == pytest.approx(total, abs=0.06 * len(kinds))
    assert lines.pop(0) == "all" and [core_seconds(line)[1] for line in lines] == pytest.approx(
        [together[preset] for preset in PRESETS], abs=0.5
    )


def test_a_report_that_this_machine_cannot_make_anew_is_left_out(tmp_path, monkeypatch, capsys):
    """Of all experiments it alone, in a line; asked for by itself it is a mistake, before anything is computed."""
    rare = tmp_path / "out" / "speed_gpu"
    monkeypatch.setattr(catalogue, "spared", lambda name, folder: "it is rare" * (folder == rare))
    assert command.written(["memory", "speed_gpu"], tmp_path / "out") == ["memory"]
    assert capsys.readouterr().err == "speed_gpu is left out: it is rare\n"
    assert command.main(["run", "speed_gpu", "--store", f"{tmp_path}/s.sqlite", "--out", f"{tmp_path}/out"]) == 2
    assert "speed_gpu: it is rare" in capsys.readouterr().err and not (tmp_path / "s.sqlite").exists()
    built = []
    monkeypatch.setattr(catalogue, "sweep", lambda name, *_: built.append(name) or [])
    monkeypatch.setattr(command, "compute_all", Mock(side_effect=UsageError("far enough")))
    assert command.main(["run", "all", "--store", f"{tmp_path}/s.sqlite", "--out", f"{tmp_path}/out"]) == 2
    assert "memory" in built and "speed_gpu" not in built, "no sweep is built to be left out"


def test_a_sweeps_own_mistake_is_not_told_as_the_users(monkeypatch):
    """A ValueError of its code stays one; of data that the user named the same words are a line and no more."""
    groups = Mock(side_effect=[ValueError("a mistake of ours"), DataError("`data` must be\nwhole; got half.")])
    monkeypatch.setattr("experiments.harness.toy.sweep.groups", groups)
    with pytest.raises(ValueError, match=r"^a mistake of ours$") as ours:
        catalogue.sweep("harness.toy", "smoke", Options())
    assert not isinstance(ours.value, UsageError)
    with pytest.raises(UsageError, match=r"^`data` must be whole; got half.$"):
        catalogue.sweep("harness.toy", "smoke", Options())


def test_the_parts_are_those_of_a_reports_page_on_cost():
    """The same kinds with as many groups."""
    groups = catalogue.sweep("memory", "quick", Options())
    rows = [{"setting": g.setting, "predicted": g.cost, "seconds": 1.0, "device": "cpu"} for g in groups]
    page = cost({"groups": rows})["rows"]
    for kind, some in listing.parts(groups).items():
        assert re.search(rf"<td[^>]*>{kind}</td>\s*<td[^>]*>{len(some)}</td>", page), kind


def test_of_an_experiments_preset_every_group_is_listed(capsys):
    """In the sweep's order, with its seeds and its cost."""
    assert command.main(["list", "memory", "--cost", "--preset", "quick"]) == 0
    _, total, *lines = capsys.readouterr().out.splitlines()
    groups = catalogue.sweep("memory", "quick", Options())
    told = [core_seconds(line) for line in lines]
    assert [name for name, _ in told] == [f"{g.setting} {listing.counted(len(g.seeds), 'seed')}" for g in groups]
    assert [cost for _, cost in told] == pytest.approx([group.cost for group in groups], abs=0.06)
    assert core_seconds(total)[1] == pytest.approx(sum(group.cost for group in groups), abs=0.5)


def test_an_experiment_is_listed_alone(capsys):
    """With a name, that one."""
    assert command.main(["list", "modes"]) == 0
    about, presets = capsys.readouterr().out.splitlines()
    assert about.startswith("modes ") and presets.startswith("presets: ")


def test_the_time_to_wait_is_that_of_all_cores_but_not_less_than_the_longest_group(monkeypatch):
    """Where groups run one at a time it is their sum."""
    monkeypatch.setattr(listing, "CORES", 4)
    groups = [SimpleNamespace(cost=cost) for cost in (1.0, 1.0, 2.0)]
    assert (listing.wall(groups, False), listing.wall(groups * 4, False), listing.wall(groups, True)) == (2, 4, 4)
    assert [listing.duration(seconds) for seconds in (89, 91, 7200)] == ["89 s", "2 min", "2.0 h"]


@pytest.mark.parametrize("name", catalogue.EXPERIMENTS)
def test_sweeps_are_sound(name):
    """Every preset has groups, each once, each under its own name, all of them with a cost."""
    for preset in PRESETS:
        groups = catalogue.sweep(name, preset, Options())
        assert len({g.key for g in groups}) == len({g.setting for g in groups}) == len(groups) > 0
        assert all(g.cost > 0 and g.experiment == name and g.seeds for g in groups)


@pytest.mark.parametrize("name", catalogue.EXPERIMENTS)
def test_every_experiment_is_a_script_of_its_own(name, monkeypatch, capsys):
    """`python -m experiments.NAME` takes what `run NAME` takes."""
    monkeypatch.setattr(sys, "argv", [name, "--workers", "-1"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module(f"experiments.{name}", run_name="__main__")
    assert end.value.code == 2 and "--workers must be 0 or more" in capsys.readouterr().err


@pytest.mark.slow
def test_a_script_is_a_process_that_ends_with_the_commands_code():
    """The same from outside."""
    line = [sys.executable, "-m", "experiments.memory", "--workers", "-1"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and "--workers must be 0 or more" in done.stderr


def test_the_command_of_a_report_can_be_typed_again(here, monkeypatch):
    """Also that of `python -m experiments.NAME`, with a blank in a word; where the store lies is no part of it."""
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    monkeypatch.setattr(sys, "argv", ["x", "--workers", "0", "--store", "s.sqlite", "--out", "my reports"])
    assert command.script("harness.toy") == 0
    facts = json.loads((here / "my reports" / "harness.toy" / "provenance.json").read_text("utf-8"))
    assert facts["command"] == "python -m experiments run harness.toy --workers 0 --out 'my reports'"


def test_a_reader_who_has_enough_ends_the_command_quietly():
    """As `python -m experiments list | head -1` does."""
    line = [sys.executable, "-u", "-m", "experiments", "list"]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == "" and process.wait() == 1


STOPPED = "experiments.command", "experiments.memory.grid.choose", "experiments.language_model.rates.search"


class Stops:
    """Ctrl-C, while a module is imported."""

    def find_spec(self, name, *_):
        """Of no module the finder."""
        if name in STOPPED:
            signal.raise_signal(signal.SIGINT)


SCRIPTS = sorted(".".join(file.parent.relative_to(ROOT).parts) for file in ROOT.glob("experiments/**/__main__.py"))


@pytest.mark.usefixtures("hears_signals")
@pytest.mark.parametrize("when", ["imports", "the line is read"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_ctrl_c_before_anything_is_done_ends_as_it_does_later(capsys, monkeypatch, name, when):
    """A line and the code 130, and no traceback."""
    monkeypatch.setattr(sys, "argv", ["x"])
    if when == "imports":
        for module in STOPPED:
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setattr(sys, "meta_path", [Stops(), *sys.meta_path])
    else:
        monkeypatch.setattr(parsing.tyro, "cli", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    with pytest.raises((SystemExit, KeyboardInterrupt)) as end:  # the latter would end the tests
        runpy.run_module(name, run_name="__main__")
    assert end.type is SystemExit and end.value.code == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("experiments") and ": stopped; " in line


def test_the_tour_fits_its_time():
    """`make report`: predicted for two cores, under the ten minutes that a newcomer is promised."""
    total = sum(g.cost for name in catalogue.EXPERIMENTS for g in catalogue.sweep(name, "tour", Options()))
    assert total < 2 * 8 * 60


def test_the_help_of_run_says_what_quick_takes(capsys, monkeypatch):
    """On two cores, within a fifth of what all its groups are predicted to."""
    monkeypatch.setattr(listing, "CORES", 2)
    groups = [g for name in catalogue.EXPERIMENTS for g in catalogue.sweep(name, "quick", Options())]
    alone, together = ([g for g in groups if catalogue.alone(g.experiment) is kind] for kind in (True, False))
    minutes = (listing.wall(alone, True) + listing.wall(together, False)) / 60
    with pytest.raises(SystemExit):
        command.main(["run", "--help"])
    said = re.search(r"quick: about ([\w ]+); full", " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split()))
    assert {"an hour": 60}[said[1]] == pytest.approx(minutes, rel=0.2)


def test_predictions_are_told_before_anything_is_computed_and_not_once_all_is(here, capsys, monkeypatch):
    """Each closed form of gradient_flow in a line of its own; an experiment without a module for it has none."""
    assert catalogue.predicted("memory") == []
    lines = catalogue.predicted("gradient_flow")
    assert any("b_f: 0: 1, 1: 2.213, 2: 5.461, 3: 14.27, 5: 103.2" in line for line in lines)
    assert any("1.5: 0.06522, 2: 0.15472, 3: 0.31025" in line for line in lines)
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    monkeypatch.setattr(catalogue, "predicted", lambda name: [f"{name} sums to 0"])
    for first in (True, False):
        assert command.main(["run", "harness.toy", "--workers", "0"]) == 0
        said = capsys.readouterr().err
        assert ("predicted: harness.toy sums to 0" in said.split("computed")[0]) is first


def test_the_bytes_of_a_finished_group_are_checked_once(here, monkeypatch):
    """However often a command asks what the store has: a large one takes seconds to read."""
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    read, digests = [], store_module._digests
    typed = ["run", "harness.toy", "--workers", "0", "--no-report"]
    assert command.main(typed) == 0
    monkeypatch.setattr(store_module, "_digests", lambda db, key: read.append(key) or digests(db, key))
    assert command.main(typed) == 0 and sorted(read) == sorted(group.key for group in GROUPS)


CUDA = ["--engine", "torch", "--device", "cuda:77", "--store", "s.sqlite", "--out", "out"]


def kept_of(device, here, number=slice(None)):
    """Puts groups into a store as if such a device had computed them; all groups."""
    groups = catalogue.sweep("harness.toy", "smoke", Options(f"torch:{device}"))
    with Store(here / "s.sqlite") as store:
        for group in groups[number]:
            keep(store, group, InProcess().run(replace(group, engine="fast"), lambda *_: None).result(), "c")
    return groups


def test_what_a_gpu_computed_elsewhere_is_reported_without_one(here, capsys, monkeypatch):
    """The store has all groups, so that nothing is looked for; where one is missing the device must be here."""
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    typed = ["run", "harness.toy", "--preset", "smoke", *CUDA]
    kept_of("cuda:77", here, slice(1, None))
    assert command.main(typed) == 2 and "cuda:77" in capsys.readouterr().err and not (here / "out").exists()
    groups = kept_of("cuda:77", here)
    assert command.main(typed) == 0
    said = capsys.readouterr()
    assert f"0 groups computed, {len(groups)} taken" in said.err and said.out == "out/index.html\n"


NUMBA = "--engine must be one that can run here; got 'compiled', which needs numba: the extra compiled installs it"


def test_an_engine_that_is_not_installed_is_said_before_anything_is_computed(here, capsys, monkeypatch):
    """The line names the extra; what has it elsewhere, or a store with all groups, is another matter."""
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    typed = ["run", "harness.toy", "--preset", "smoke", "--engine", "compiled", "--no-report", "--store", "s.sqlite"]
    assert command.main(typed) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1 and NUMBA in said.err and list(here.iterdir()) == []
    with Store(here / "s.sqlite") as store:
        for group in catalogue.sweep("harness.toy", "smoke", Options("compiled")):
            keep(store, group, InProcess().run(replace(group, engine="fast"), lambda *_: None).result(), "c")
    assert command.main(typed) == 0


def test_a_devices_name_is_read_before_a_cluster_computes(here, capsys, monkeypatch):
    """One that torch can read may be a worker's; of what is none, groups that are there are still reported."""
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    monkeypatch.setattr(command.executor, "chosen", lambda workers, scheduler: InProcess())
    monkeypatch.setattr(command, "compute", lambda *_, **__: 0)
    typed = ["run", "harness.toy", "--preset", "smoke", "--no-report", "--store", "s.sqlite", "--scheduler", "x"]
    kept_of("garbage", here, slice(1, None))
    assert command.main([*typed, "--device", "garbage"]) == 2 and "got 'garbage'." in capsys.readouterr().err
    assert command.main([*typed, "--device", "cuda:77"]) == 0
    kept_of("garbage", here)
    assert command.main([*typed, "--device", "garbage"]) == 0


def test_a_run_in_pieces_ends_by_itself_and_goes_on(here, capsys, monkeypatch):
    """Code 3 and one line while groups are missing; what was computed elsewhere without reports is reported at last."""
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    typed = ["run", "harness.toy", "--preset", "quick", "--workers", "0", "--store", "s.sqlite", "--out", "out"]
    monkeypatch.setenv("TOY_LOG", "log")
    late = lambda: 1e9 if len(begun(here / "log")) > 2 else 0.0  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(command.Deadline, "asked", lambda minutes: Deadline(minutes, late))
        assert command.main([*typed, "--minutes", "1"]) == 3
    line = capsys.readouterr().err.splitlines()[-1]
    missing = int(re.search(r"^experiments: what is missing would not be done in .* \(groups missing: (\d+);", line)[1])
    assert missing == len(GROUPS) - 3 and not (here / "out").exists()
    assert command.main([*typed, "--minutes", "60", "--no-report"]) == 0
    said = capsys.readouterr()
    assert f"{missing} groups computed" in said.err and said.out == "s.sqlite\n" and not (here / "out").exists()
    assert command.main(typed) == 0 and capsys.readouterr().out == "out/index.html\n"


@pytest.mark.parametrize("name", ["speed", "speed_gpu"])
def test_clocks_in_pieces_end_by_themselves_and_go_on(name, here, capsys, monkeypatch):
    """What is measured when the time is over is waited for and kept, nothing begins after it, nothing is done twice."""
    monkeypatch.setattr(import_module(f"experiments.{name}.sweep"), "card", lambda: "A card")
    monkeypatch.setattr(workers, "Workers", lambda slots: pytest.fail("clocks must not run on workers"))
    measured, wanted = [], {group.key for group in catalogue.sweep(name, "tour", Options())}
    run = lambda group, checkpoint: measured.append(group.key) or []  # noqa: E731
    monkeypatch.setattr(import_module(f"experiments.{name}.experiment"), "run", run)
    asked = lambda minutes: Deadline(minutes, lambda: 40.0 * len(measured))  # noqa: E731
    monkeypatch.setattr(command.Deadline, "asked", asked)
    typed = ["run", name, "--preset", "tour", "--store", "s.sqlite", "--no-report", "--minutes", "1"]
    for done in range(2, len(wanted), 2):
        assert command.main(typed) == 3 and len(measured) == done
        assert f"(groups missing: {len(wanted) - done};" in capsys.readouterr().err
    assert command.main(typed) == 0 and len(measured) == len(wanted) == len({*measured} & wanted) > 2


class Fails(InProcess):
    """Every group fails; `begun` is what the log had when it was closed."""

    begun = None

    def run(self, group, checkpoint):
        """See Executor."""
        future = Future()
        future.set_exception(ValueError("always"))
        return future

    def close(self):
        """See Executor."""
        self.begun = begun(Path("log"))


@pytest.fixture
def clocks(here, monkeypatch):
    """Runs compute_all on one group that is none and costs 1e9 s, and two that are; gives the settings of these."""
    monkeypatch.setattr(catalogue, "alone", lambda name: name == "speed")
    monkeypatch.setenv("TOY_LOG", "log")

    def compute_all(place, deadline):
        sweeps = {"speed": GROUPS[:2], "memory": [replace(GROUPS[2], cost=1e9)]}
        with Store(here / "s.sqlite") as store:
            return command.compute_all(sweeps, store, place, deadline)

    compute_all.settings = [group.setting for group in GROUPS[:2]]
    return compute_all


@pytest.mark.parametrize("failing", ["none", GROUPS[0].setting])
def test_a_group_that_always_fails_keeps_no_clock_from_being_measured(clocks, monkeypatch, failing):
    """They are measured all the same, without workers; the run ends by the first error, also where one too fails."""
    monkeypatch.setenv("TOY_FAILS", failing)
    place = Fails()
    with pytest.raises(RunError, match=r"^harness.toy sum/terms=3 failed with ValueError: always \(groups missing: 1;"):
        clocks(place, Deadline())
    assert sorted(begun(Path("log"))) == sorted(clocks.settings) and place.begun == []


def test_a_group_that_failed_is_told_also_where_clocks_are_late(clocks):
    """The run has failed then, whatever the time."""
    place = Fails()
    with pytest.raises(RunError, match="failed with ValueError: always"):
        clocks(place, Deadline(1.0, lambda: 0.0 if place.begun is None else 1e9))
    assert begun(Path("log")) == []


def test_where_a_group_would_be_late_no_clock_is_begun(clocks):
    """Clocks are last: what is missing before them has the time that the next run begins with."""
    deadline = Deadline(1.0, lambda: 0.0)
    deadline.learn(deadline.next(GROUPS[3:4]), 0.04)
    with pytest.raises(OutOfTime, match="groups missing: 1;"):
        clocks(Fails(), deadline)
    assert begun(Path("log")) == []


DRAWN = ("matplotlib", "seaborn", "jinja2", "hypothesis", "pytest", "flint")
"""What a machine that only computes may lack; and safetensors, where no language model is trained."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradient_flow", "memory", "language_model"])
def test_a_machine_that_only_computes_needs_nothing_that_draws_or_judges(here, name):
    """Their smallest presets run where importing any of it fails."""
    absent = (*DRAWN, *["safetensors"] * (name != "language_model"))
    blocked = f"import sys; sys.modules.update(dict.fromkeys({absent}))"
    run = f"from experiments.command import main; sys.exit(main(['run', {name!r}, '--preset', 'smoke', *sys.argv[1:]]))"
    words = ["--no-report", "--workers", "0", "--store", str(here / "s.sqlite")]
    done = subprocess.run([sys.executable, "-c", f"{blocked}; {run}", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


FULL = """
import sys
sys.modules.update(dict.fromkeys({absent}))
from experiments.command import main
from experiments.harness import catalogue
from experiments.harness.store import Store
from experiments.harness.sweep import Options
for name in catalogue.EXPERIMENTS:
    with Store("s.sqlite") as store:
        for group in catalogue.sweep(name, "smoke", Options()):
            store.save(group, [], {{"seconds": 1.0}})
    assert main(["run", name, "--preset", "smoke", "--no-report", "--device", "cpu", "--store", "s.sqlite"]) == 0
"""


@pytest.mark.slow
def test_where_no_group_is_missing_no_experiment_needs_what_draws_judges_or_keeps(here):
    """Not even the one on the laws themselves, which are judged by what such a machine may lack."""
    program = FULL.format(absent=(*DRAWN, "safetensors"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.count("0 groups computed, ") == len(catalogue.EXPERIMENTS), done.stderr


def test_what_one_machine_computed_another_reports(here, capsys, monkeypatch):
    """Packed there, unpacked here: nothing is computed again, and a second time nothing is added."""
    monkeypatch.setattr(catalogue, "EXPERIMENTS", ("harness.toy",))
    run = ["run", "harness.toy", "--preset", "smoke", "--workers", "0", "--out", "out"]
    assert command.main([*run, "--no-report", "--store", "there.sqlite"]) == 0
    assert command.main(["pack", "sent", "--experiment", "harness.toy", "--store", "there.sqlite"]) == 0
    sent = "sent/harness.toy-1.sqlite.xz"
    assert capsys.readouterr().out.splitlines()[-1] == sent
    count = len(catalogue.sweep("harness.toy", "smoke", Options()))
    for added in (count, 0):
        assert command.main(["unpack", sent, "--store", "here.sqlite"]) == 0
        told = f"{added} groups added to here.sqlite; {count - added} were there\n"
        assert capsys.readouterr().out == told
    assert command.main([*run, "--store", "here.sqlite"]) == 0
    assert f"0 groups computed, {count} taken from the store" in capsys.readouterr().err
    assert command.main(["pack", "none", "--store", "none.sqlite"]) == 1 and not (here / "none").exists()


def test_groups_that_came_out_otherwise_are_told(here, capsys, monkeypatch):
    """The same settings on another machine: those that are here stay."""
    for name, value in (("a", 1.0), ("b", 2.0)):
        with Store(here / f"{name}.sqlite") as store:
            keep(store, GROUPS[0], Outcome(GROUPS[0].each("sum", 0, value), 0.0, "cpu", {}), "c")
    assert command.main(["unpack", "b.sqlite", "--store", "a.sqlite"]) == 0
    told = "0 groups added to a.sqlite; 1 were there, 1 of them with other records, which stay as they are\n"
    assert capsys.readouterr().out == told
    with Store(here / "a.sqlite") as store:
        assert {record.value for record in store.records(GROUPS[:1])} == {1.0}
