"""Every command that the documents show is run, in a small form, or it is argued why not.

Commands are the lines of blocks marked sh, the lines after "$ " in blocks marked text, and what stands between
backquotes and begins with a program. A `make VERB` stands for its recipe. SMALL says how each is run in seconds, ARGUED
why some are not; a command that neither has fails, so that none comes into a document unseen.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = (
    "README.md",
    "properties/README.md",
    "properties/subjects/README.md",
    "properties/meta/mutants.md",
    "experiments/harness/pieces.md",
    "experiments/memory/pieces/README.md",
)
STUDENTS = ROOT / "properties" / "meta" / "students"

# What the documents show

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(
    r"(?:TRITON_INTERPRET=0 )?(?:\.venv/bin/\w+|make|python3?|pytest|pip|mutmut|diff|git|ruff|mkdir|\.) \S"
)


def commands(text: str) -> Iterator[str]:
    """The commands of a document, in its order."""
    for kind, block in FENCE.findall(text):
        for line in block.splitlines():
            if kind == "sh" or line.startswith("$ "):
                yield re.sub(r"\s+# .*", "", line.removeprefix("$ ")).strip()
    for span in spans(text):
        if PROGRAM.match(span):
            yield span


def spans(text: str) -> list[str]:
    """What stands between backquotes outside of blocks, on one line."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCE.sub("", text))]


def snippets(text: str) -> Iterator[str]:
    """Those of the spans that are Python: imports and calls."""
    for span in spans(text):
        try:
            body = ast.parse(span).body
        except SyntaxError:
            continue
        if any(
            isinstance(n, ast.Import | ast.ImportFrom | ast.Call) for statement in body for n in ast.walk(statement)
        ):
            yield span


def read(document: str) -> str:
    """A document's text."""
    return (ROOT / document).read_text("utf-8")


UNKNOWN = "there is no verb"
"""What the Makefile says of any other."""


@cache
def recipe(command: str) -> tuple[str, ...]:
    """What a `make VERB` would do, a line a command; any other command itself."""
    if not command.startswith("make "):
        return (command,)
    words = ["make", "-n", "-W", "pyproject.toml", *command.split()[1:]]  # as if it were new: .venv is to be made too
    done = subprocess.run(words, cwd=ROOT, env=outside_make(), capture_output=True, text=True)
    return (command,) if done.returncode or UNKNOWN in done.stdout else tuple(done.stdout.splitlines())


def outside_make() -> dict[str, str]:
    """The environment without what a make hands on to the makes that it calls: this may be one's test."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def plain(command: str) -> str:
    """A command without what says where Python lies, which stands first on the PATH here."""
    return re.sub(r"^(?:TRITON_INTERPRET=0 )?(?:\.venv/bin/)?(python|pip|pytest|mutmut)3?\b", r"\1", command)


def every_command() -> list[str]:
    """Each command of each document once, as `plain` has it."""
    found = (plain(one) for document in DOCUMENTS for shown in commands(read(document)) for one in recipe(shown))
    return list(dict.fromkeys(found))


# How each is run


class Small(NamedTuple):
    """A pattern of commands, what is typed instead, what that prints at least, its exit code, and what goes before."""

    command: str
    typed: str
    says: str
    code: int = 0
    before: str = ""


SMOKE = "--preset smoke --workers 0"
MODEL = f"python -m experiments run language_model {SMOKE}"
IN_ROOT = 'cd "$ROOT" && '
NEW_VENV = (
    "python -m venv --without-pip new/.venv && . new/.venv/bin/activate && python -c 'import sys; print(sys.prefix)'"
)

SMALL = (
    Small(r"python -m venv \.venv|\. \.venv/bin/activate", NEW_VENV, r"/new/\.venv$"),
    Small(r"awk .* Makefile", 'make --silent -C "$ROOT" help', r"^report +about five minutes"),
    Small(r"(python -m experiments list)", r"\1", r"^memory +Memory: .*\n(.*\n)*presets: smoke, tour"),
    Small(r"(python -m experiments list --cost)", r"\1", r"\nall\n +smoke +\d+ groups .* core-seconds"),
    Small(
        r"(python -m experiments list memory --cost --preset quick)", r"\1", r"\n +latch/arm=.* seeds .* core-seconds"
    ),
    Small(
        r"python -m experiments run language_model --preset tour --corpus FILE\.txt",
        f"python -m experiments run language_model {SMOKE} --corpus own.txt --store own.sqlite",
        r"^reports/own/index\.html$",
    ),
    Small(
        r"python -m experiments run modes --data FILE\.csv --preset tour",
        f"python -m experiments run modes --data own.csv {SMOKE}",
        r"^reports/own/index\.html$",
    ),
    Small(
        r"python -m experiments run (\w+)(?: --preset full)? --engine torch --device cuda",
        rf"python -m experiments run \1 --engine torch --device cpu {SMOKE}",
        r"^reports/smoke/index\.html$",
    ),
    Small(
        r"python -m experiments run memory --preset full --engine torch --device cuda( --no-report --minutes 9)",
        rf"python -m experiments run memory --engine torch --device cpu {SMOKE}\1",
        r"^\.rnn-twins/results\.sqlite$",
    ),
    Small(
        r"(python -m experiments pack) \S+( --experiment memory)",
        r"\1 sent\2",
        r"^sent/memory-1\.sqlite\.xz$",
        before=f"python -m experiments run memory {SMOKE}",
    ),
    Small(
        r"(python -m experiments unpack) \S+",
        r'\1 "$ROOT/experiments/memory/pieces/full_h100.sqlite.xz" --store sent.sqlite',
        r"^129 groups added to sent\.sqlite; 0 were there$",
    ),
    Small(r"(python -m experiments run --help)", r"\1", r"step_label"),
    Small(r"(python -m experiments run all) --preset tour", r"\1 --preset smoke", r"^reports/smoke/index\.html$"),
    Small(
        r"(python -m experiments(?:\.\w+| run \w+))(?: --preset \w+)?(?: --minutes 9)?",
        rf"\1 {SMOKE}",
        r"^reports/smoke/index\.html$",
    ),
    Small(
        r"(python -m experiments report --check)",
        r"\1",
        r"^identical: \d+ files$",
        before=f"python -m experiments run speed_gpu {SMOKE} --out reports",
    ),
    Small(
        r"(python -m experiments report speed_gpu)",
        r"\1",
        r"^reports/index\.html$",
        before=f"python -m experiments run speed_gpu {SMOKE} --out reports",
    ),
    Small(
        r"(python -m experiments generate --prime \"In the beginning\")",
        r"\1 --length 20",
        r"^In the beginning(.|\n){20}",
        before=MODEL,
    ),
    Small(
        r"python -m experiments continue FILE\.safetensors --updates 1000",
        "python -m experiments continue .rnn-twins/results.sqlite.models/text-cell=lstm-*.safetensors --updates 2",
        r"^validation loss after 2 more updates: .*\n\S+-plus2-\w+\.safetensors$",
        before=MODEL,
    ),
    Small(r"python -m properties\.check FILE\.py", "python -m properties.check tiny.py", r"^value +holds +400 "),
    Small(
        r"python -m properties\.check FILE\.py (--laws .*)",
        r"python -m properties.check tiny.py \1 --examples 4",
        r"^second order +cannot .*\nvjp +cannot ",
    ),
    Small(
        r"python -m experiments verify --subject \S+",
        "python -m experiments verify --subject tiny.py --workers 1",
        r"^reports/own/verification/index\.html$",
    ),
    Small(
        r"pytest properties(?: --subject=\S+\.py)?",
        f'{IN_ROOT}pytest -q properties/test_split.py --subject="$HERE/tiny.py"',
        r"^split +.*\n(.*\n)*.*passed",
    ),
    Small(
        r"(python -m pytest -n )auto( --dist worksteal)",
        rf"{IN_ROOT}\g<1>2\2 -q properties/test_split.py --subject=numpy_twin",
        r"^split +.*\n(.*\n)*.*passed",
    ),
    Small(
        r"(python -m pytest -n auto --dist worksteal -m slow)",
        rf"{IN_ROOT}\1 --collect-only -n 0 -q experiments/test_reports.py",
        r"an older one.*\n(.*\n)*.*[1-9]\d*/\d+ tests collected",
    ),
    Small(r"(python -m properties\.twins\.judge_card --minutes \d+)", r"\1", r"^$", code=2),  # there is no card
    Small(r"(python -m properties\.twins\.sanitize --minutes \d+)", r"PATH=bin:/usr/bin:/bin \1", r"^NOT JUDGED: "),
    Small(
        r"(python -m properties\.false_alarms --subject torch_nn) --cases \d+",
        r"\1 --cases 20 --workers 1",
        r"^torch_nn .*: 20 cases, 0 false alarms$",
    ),
    Small(r"(python -m properties\.table)", r"\1", r"^\| split \| "),
    Small(r"(python -m properties\.meta\.toothless)", rf"{IN_ROOT}\1 emission", r"^1 laws in turn .* found out"),
    Small(
        r"(diff -r -x __pycache__ impl/numpy_twin impl/torch_twin)", rf"{IN_ROOT}\1", r"^diff -r \S.*/lstm\.py", code=1
    ),
)

ARGUED = {
    r"python -c 'import sys; .*": "the version of Python, asked by the Makefile before it makes .venv",
    r"pip install (--quiet )?-e '\.\[[a-z,]+\]' -c constraints\.txt": "needs a network and minutes; CI begins with it",
    r"pip install -e '\.\[test\]'": "takes the build with CUDA: gigabytes, for a machine with a card",
    r"pip install flashrnn": "compiles for a card",
    r"python -m experiments run all --scheduler \S+": "needs a cluster; experiments/harness/test_cluster.py starts one",
    r"touch \S+|rm -rf mutants": "nothing to see",
    r"mutmut run": "forty minutes; what is made of its results is tested in properties/meta/test_mutants.py",
    r"python -m properties\.mutants": "reads what mutmut left; tested in properties/meta/test_mutants.py",
    r"python -m experiments\.memory\.grid": "three quarters of an hour; tested in experiments/memory/grid",
    r"python -m properties\.check student\.py": "the test of what it says, below, runs it whole",
}
"""Why some commands are not run."""


def small(command: str) -> Small | None:
    """How a command is run, with what is typed filled in; None where it is argued.

    Raises:
        KeyError: the tables do not have it.
    """
    if any(re.fullmatch(pattern, command) for pattern in ARGUED):
        return None
    for one in SMALL:
        if found := re.fullmatch(one.command, command):
            return one._replace(typed=found.expand(one.typed))
    raise KeyError(command)


def known(command: str) -> bool:
    """Whether a command is in the tables."""
    try:
        small(command)
    except KeyError:
        return False
    return True


def every_run() -> dict[str, Small]:
    """What is typed, each once."""
    found = [small(command) for command in every_command() if known(command)]
    return {one.typed: one for one in found if one is not None}


# The tables


def test_every_documented_command_is_run_or_argued():
    """None comes into a document unseen."""
    found = every_command()
    assert len(found) > 30 and [command for command in found if not known(command)] == []


def test_the_tables_hold_nothing_that_no_document_shows():
    """Each entry is there for a command."""
    found = every_command()
    assert [one.command for one in SMALL if not any(re.fullmatch(one.command, c) for c in found)] == []
    assert [pattern for pattern in ARGUED if not any(re.fullmatch(pattern, c) for c in found)] == []


SAMPLE = """Type `python -m
experiments.nosuch`, `make nosuch` or `.venv/bin/pip install nosuch`; `python` and `make.py` are no commands.
```sh
python3 -m nosuch  # a remark
```
```text
$ pytest nosuch
python -m output
```
"""


def test_a_command_that_is_new_is_noticed():
    """In a block, after a $, between backquotes, over a line's end; as a verb that the Makefile lacks."""
    shown = [plain(one) for command in commands(SAMPLE) for one in recipe(command)]
    unseen = [
        "python -m nosuch",
        "pytest nosuch",
        "python -m experiments.nosuch --flag",
        "make nosuch",
        "pip install nosuch",
    ]
    assert shown == [command.removesuffix(" --flag") for command in unseen]
    assert [known(command) for command in unseen] == [False] * len(unseen)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_says_what_it_is(document):
    """Commands, Python, a change, or what a program prints."""
    assert {kind for kind, _ in FENCE.findall(read(document))} <= {"sh", "python", "diff", "text"}


# The runs


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with a user's files, in which `python`, `pytest` and .venv/bin/python are the ones of these tests."""
    folder = tmp_path_factory.mktemp("newcomer")
    for place in (folder / "bin", folder / ".venv" / "bin"):
        place.mkdir(parents=True)
        script(place / "python", f'exec "{sys.executable}" "$@"')
        script(place / "pytest", f'exec "{sys.executable}" -m pytest "$@"')
    function = (STUDENTS / "function.py").read_text("utf-8")
    (folder / "tiny.py").write_text("import numpy as np\n\n\n" + function[function.index("def rnn(") :])
    course = (STUDENTS / "course.py").read_text("utf-8")
    assert "dc * g * i * (1 - i)" in course
    (folder / "student.py").write_text(course.replace("dc * g * i * (1 - i)", "dc * g * i * (1 + i)"))
    (folder / "own.txt").write_text("In the beginning was a text of one's own, and it was long enough.\n" * 300)
    rows = [f"{k},{t},{k % 2},{(2 * (k % 2) - 1) * t}" for k in range(40) for t in range(4)]
    (folder / "own.csv").write_text("\n".join(["sequence,time,label,value", *rows]) + "\n")
    return folder


def script(path: Path, line: str) -> None:
    """A program of one line."""
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def typed(line: str, here: Path) -> subprocess.CompletedProcess[str]:
    """A line as it is typed in the folder."""
    places = {"PATH": f"{here / 'bin'}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    places |= {"ROOT": str(ROOT), "HERE": str(here), "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    unset = {"PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST"}
    environment = {name: value for name, value in os.environ.items() if name not in unset} | places
    return subprocess.run(["bash", "-c", line], cwd=here, env=environment, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("line", sorted(every_run()), ids=lambda line: line[:70])
def test_a_documented_command_does_what_it_says(line, here):
    """In its small form it ends with its exit code, and prints what it is for."""
    one = every_run()[line]
    if one.before:
        assert typed(one.before, here).returncode == 0
    done = typed(one.typed, here)
    assert done.returncode == one.code, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(one.says, done.stdout, re.MULTILINE), done.stdout[-3000:]


SNIPPETS = {
    "from properties.check import check_subject; print(check_subject(my_lstm))": (
        "from properties.meta.students.function import lstm as my_lstm\n"
        "from properties.check import check_subject; print(check_subject(my_lstm, ('value', 'vjp'), examples=4))",
        r"^value +holds(.|\n)*^vjp +holds",
    ),
    "from impl.torch_twin.module import LSTM": (
        "import torch\nfrom impl.torch_twin.module import LSTM\n"
        "lstm, x = LSTM(3, 4), torch.randn(5, 2, 3)\n"
        "h, (hT, cT) = lstm(x)\nprint(h.shape, torch.equal(h[-1], hT[0]))",
        r"^torch.Size\(\[5, 2, 4\]\) True$",
    ),
    "LSTM(D, H, ensemble=64)": (
        "import torch\nfrom impl.torch_twin.module import LSTM\nD, H = 3, 4\n"
        "print(LSTM(D, H, ensemble=64)(torch.randn(5, 64, 2, D))[0].shape)",
        r"^torch.Size\(\[5, 64, 2, 4\]\)$",
    ),
    "lstm.explain(x)": (
        "import torch\nfrom impl.torch_twin.module import LSTM\nlstm, x = LSTM(3, 4), torch.randn(5, 2, 3)\n"
        "print(lstm.explain(x))",
        r"\w{5}",
    ),
    "lstm(x, h0, c0, weight_ih, ...)": ("import tiny\nprint(tiny.rnn.__name__)", "rnn"),
}
"""The README's lines of Python, each as a program, and what it prints."""


def test_every_snippet_of_the_readme_is_run():
    """None comes in unseen."""
    assert set(snippets(read("README.md"))) == set(SNIPPETS)


@pytest.mark.slow
@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_does_what_it_says(snippet, here):
    """As a program it ends well, and prints what it is for."""
    program, says = SNIPPETS[snippet]
    (here / "snippet.py").write_text(program)
    done = typed("python snippet.py", here)
    assert done.returncode == 0 and re.search(says, done.stdout, re.MULTILINE), done.stdout + done.stderr


# What a broken law looks like

NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d*)?(?:e[+-]?\d+)?(?![\w])")


def shown() -> list[str]:
    """The README's excerpt of what the check prints, cut where it leaves something out."""
    blocks = [block for kind, block in FENCE.findall(read("README.md")) if kind == "text"]
    return [" ".join(piece.split()) for piece in re.split(r"\.\.\.", blocks[0])]


def differing(pieces: list[str], printed: str) -> list[str]:
    """The pieces that do not stand in what was printed, in their order, numbers apart that rounding may change."""
    lacking, at, printed = [], 0, " ".join(printed.split())
    for piece in pieces:
        words = NUMBER.split(piece)
        found = re.compile(f"({NUMBER.pattern})".join(map(re.escape, words))).search(printed, at)
        numbers = (
            [[float(number) for number in numbers] for numbers in (NUMBER.findall(piece), found.groups())]
            if found
            else []
        )
        rel = 0.3 if "holds" in piece else 1e-9  # the worst fraction of a bound is one of rounding
        if not found or numbers[0] != pytest.approx(numbers[1], rel=rel):
            lacking.append(piece)
        at = found.end() if found else at
    return lacking


@pytest.mark.slow
def test_the_students_break_is_told_as_the_readme_shows(here):
    """Each line that is shown is printed, with these numbers."""
    done = typed("python -m properties.check student.py", here)
    assert done.returncode == 1 and len(shown()) > 3 and differing(shown(), done.stdout) == []


def test_a_line_that_is_not_printed_is_noticed():
    """Another number, another word, another order."""
    told = "value holds 480 0.494 vjp broken is 0.16984868039592346, off"
    assert differing(["value holds 480 0.5", "is 0.16984868039592346,"], told) == []
    assert differing(["is 0.1698487,"], told) and differing(["value holds 480 9.9"], told)
    assert differing(["vjp holds"], told) and differing(["vjp broken", "value holds"], told)
