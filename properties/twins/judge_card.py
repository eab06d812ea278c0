"""The tests that need a card, and all laws on what computes there: eager, cuDNN, our kernels in three precisions.

    python -m properties.twins.judge_card                nine minutes of it; the same command goes on where it stopped
    python -m properties.twins.judge_card --only fused fused_bf16 --minutes 30

Each run of pytest has a file of the tests that passed and of those that failed (`--passed`), in a folder of the commit,
the card and the versions of torch and Triton: with others all begins anew. The run that had the least time there comes
first, and has half the time at most while others wait: one that hangs keeps none from being run. The exit code is 1
where a test failed and has not passed since, 3 where some are left to run, 2 where a package or the card is missing or
another judge_card is at work in that folder, 0 where none is left, and 128 with a signal's number where Ctrl-C,
SIGTERM, SIGHUP or SIGQUIT ended it, which leaves nothing on the card.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from properties import noted, revision
from properties.twins import bounded, command_line

ROOT = Path(__file__).parents[2]
SUBJECTS = ("fused", "fused_tf32x3", "fused_bf16", "vendor", "eager")
"""Of properties.on_card; the plain loop, a dozen kernels a step, takes longest."""

TESTS = ["properties/twins", "experiments/speed", "experiments/speed_gpu", "-m", "gpu", "--subject", "torch_twin"]
TESTS += ["-n", "4"]  # most of their time goes to compiling kernels
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
LAWS = ["properties", "--ignore=properties/meta", "--ignore=properties/twins", "-n", str(max(2, min(CORES, 12)))]
"""A process of pytest a core: it waits while its subject's process computes. Each of those has a context on the card.

On an H100 beside 16 cores runs of 8 processes, two at a time, took 65 to 80 seconds (vendor, fused_bf16) and more.
"""

RUNS = {"tests": TESTS} | {name: [*LAWS, "--subject", f"properties.on_card:{name}"] for name in SUBJECTS}
NEEDED = {"pytest": "pytest", "pytest-xdist": "xdist", "hypothesis": "hypothesis", "python-flint": "flint"}
"""What a run needs beside torch: by the name that installs it, its module."""

GRACE = 20.0
"""Seconds in which a run that is told to end may do so."""

TIMES = "seconds"
"""The file of the time that each run took."""

COMPLETE, LEFT, FAILED = "complete", "left to run", "FAILED"
CUT = f"{FAILED}, others {LEFT}"


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = command_line.Parser(prog="python -m properties.twins.judge_card", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=command_line.minutes, default=9.0, help="how long at most (default: 9)")
    parser.add_argument(
        "--only", nargs="+", default=list(RUNS), choices=list(RUNS), metavar="RUN", help=", ".join(RUNS)
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".rnn-twins" / "card", help="where is kept what passed")
    options = parser.parse_args(words)
    command_line.enough(parser, options.minutes, GRACE)
    return options


def command(name: str, file: Path) -> list[str]:
    """What runs the tests of one kind; warnings of other versions are no errors there."""
    return [sys.executable, "-m", "pytest", "-W", "default", "-q", *RUNS[name], "--passed", str(file)]


def run(line: Sequence[str], seconds: float) -> int | None:
    """A command's exit code; None where it was told to end, since the time was over."""
    return bounded.run(line, seconds, GRACE, ROOT, os.environ | {"TRITON_INTERPRET": "0"}).code


class Ended(NamedTuple):
    """How a run ended, in words, and what has passed and failed in its folder, whenever."""

    how: str
    tests: noted.Tests


def judged(names: Sequence[str], folder: Path, seconds: float) -> Iterator[tuple[str, Ended]]:
    """Runs in turn while there is time, half at most while others wait: the name of each, and how it ended.

    Those that were complete come last, since something may be asked again that was skipped; not begun, they stay so.
    """
    until, before = time.monotonic() + seconds, spent(folder)
    incomplete = sum(not before[name].complete for name in names)
    for k, name in enumerate(sorted(names, key=before.__getitem__), 1):
        left = min(until - time.monotonic(), seconds / 2 if k < incomplete else math.inf)
        unrun = 0 if before[name].complete else None
        code = timed(name, folder, left) if left > GRACE else unrun
        tests = noted.tests(noted.read(ids(folder, name))[1:])
        yield name, Ended(outcome(code, bool(tests.failed)), tests)


def ids(folder: Path, name: str) -> Path:
    """The file of a run's tests."""
    return folder / f"{name}.ids"


def timed(name: str, folder: Path, seconds: float) -> int | None:
    """Begins a run or goes on with it; notes the time that it took and its exit code, whatever ends it."""
    began, code = time.monotonic(), None
    try:
        code = run(command(name, ids(folder, name)), seconds)
        return code
    finally:
        noted.add(folder / TIMES, f"{name} {time.monotonic() - began:.1f} {code}")


class Spent(NamedTuple):
    """Whether a run was complete when it last ended, and the seconds that it has had."""

    complete: bool
    seconds: float


def spent(folder: Path) -> dict[str, Spent]:
    """What each run has had in this folder."""
    found = defaultdict(lambda: Spent(False, 0.0))
    for name, seconds, code in map(str.split, noted.read(folder / TIMES)):
        found[name] = Spent(code == "0", found[name].seconds + float(seconds))
    return found


def outcome(code: int | None, failed: bool) -> str:
    """How a run ended, in words: what has failed stays so where the time was over before it passed."""
    if code is None:
        return CUT if failed else LEFT
    return FAILED if code or failed else COMPLETE


def table(ended: Mapping[str, Ended]) -> str:
    """A line a run: how many of its tests have passed, how it ended; and the names of those that have failed."""
    rows = []
    for name, (how, tests) in ended.items():
        rows.append(f"{name:<14}{len(tests.passed):>6} passed   {how}")
        rows.extend(f"    {test}" for test in tests.failed)
    return "\n".join(rows)


def main(words: Sequence[str] | None = None) -> int:
    """Runs what is left; see the module's head for the exit code."""
    options = arguments(words)
    problem = revision.lacking("judge_card", NEEDED)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    at = f"{revision.commit(ROOT)}, {revision.card()}"
    folder = options.folder.absolute() / revision.digest([at.encode()])
    with bounded.alone(folder / TIMES) as problem:
        if problem:
            print(f"judge_card: {problem}", file=sys.stderr)
            return 2
        (folder / ".gitignore").write_text("*\n", "utf-8")  # in a clone these files are no change of what they hold for
        ended = dict(judged(options.only, folder, 60 * options.minutes))
    print(f"{at}\n{table({name: ended[name] for name in options.only})}")
    hows = {one.how for one in ended.values()}
    return 1 if {FAILED, CUT} & hows else 3 if LEFT in hows else 0


if __name__ == "__main__":
    sys.exit(main())
