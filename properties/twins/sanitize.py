"""NVIDIA's compute-sanitizer over the kernels: memory out of bounds, races in shared memory, reads of what none wrote.

    python -m properties.twins.sanitize               nine minutes of it; the same command goes on where it stopped
    python -m properties.twins.sanitize --minutes 30

Each tool runs the parts of `properties.twins.small_kernels` in turn; one part has half the time at most, and those
that were not clean come last, so that one that hangs keeps no other from being run. A file remembers how they ended
at this commit, with this card, torch, Triton and sanitizer. The exit code is 1 where a tool found something or a part
ended otherwise than well, until it ends otherwise, 3 where parts are left to run, 2 where a package or the card is
missing or another sanitize is at work with that file, 0 where all are clean, and also where there is no
compute-sanitizer, which the last line then says; 128 with a signal's number where Ctrl-C, SIGTERM, SIGHUP or SIGQUIT
ended it, which leaves nothing on the card.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from properties import noted, revision
from properties.twins import bounded, command_line
from properties.twins.small_kernels import NEEDED, WRONG

ROOT = Path(__file__).parents[2]
TOOLS = ("memcheck", "racecheck", "initcheck")
FOUND = 86
"""The exit code that asks for: the tool found something. Others are the program's own."""

UNCACHED = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1", "TRITON_INTERPRET": "0"}
"""Without torch's cache of memory a neighbour's excuses no read out of bounds."""

GRACE = 1.0
"""Seconds in which a part that is told to end may say its last."""

SHOWN = 12
"""Lines of what a tool said last that are shown, and of its findings by kernel."""

FINDING = re.compile(
    r"========= (?!COMPUTE-SANITIZER|\w+ SUMMARY|Target application)"
    r"(?P<what>\S.*?)(?: between \w+ access at (?P<place>.+))?"
)
BELOW = re.compile(r"=========\s+at (?P<place>.+)")
"""Lines of a tool's report: what it found, of a race with a place in the same line, else below it."""

KERNEL = re.compile(r"(?:0x[0-9a-f]+ in (?:.*?:\d+:)?)?(?P<kernel>.+?)(?:\+0x[0-9a-f]+)?(?: in .+:\d+)?")
"""A place, and the kernel in it."""

WIDTH = 100
"""Characters of a kernel's name that are shown: a template's has hundreds."""

NAMELESS = "no kernel named"

CLEAN, LEFT = "clean", "left"


class Piece(NamedTuple):
    """One tool on one part."""

    tool: str
    part: str


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = command_line.Parser(prog="python -m properties.twins.sanitize", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=command_line.minutes, default=9.0, help="how long at most (default: 9)")
    parser.add_argument("--parts", type=command_line.at_least_one, default=12, help="in how many parts (default: 12)")
    parser.add_argument("--tools", nargs="+", default=list(TOOLS), choices=(*TOOLS, "synccheck"))
    parser.add_argument("--file", type=Path, default=ROOT / ".sanitized.jsonl", help="what remembers how parts ended")
    options = parser.parse_args(words)
    command_line.enough(parser, options.minutes, GRACE)
    return options


def sanitizer(environment: Mapping[str, str]) -> str | None:
    """The program, on the path or in CUDA's own folder."""
    homes = [environment[name] for name in ("CUDA_HOME", "CUDA_PATH") if environment.get(name)]
    folders = [environment.get("PATH", ""), *(str(Path(home) / "bin") for home in (*homes, "/usr/local/cuda"))]
    return shutil.which("compute-sanitizer", path=os.pathsep.join(folders))


def version(program: str) -> str:
    """The sanitizer's own last word about itself, such as "Version 2024.3.0.0 (build ...)"; "" where it has none."""
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([program, "--version"], capture_output=True, text=True, errors="replace", timeout=60)
        return " ".join(said.stdout.strip().split("\n")[-1].split())
    return ""


def read(file: Path, at: str) -> dict[Piece, str]:
    """How the pieces ended last where the same holds, the latest last; a last line that was cut short says nothing."""
    ended: dict[Piece, str] = {}
    for line in noted.read(file):
        try:
            found = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(found, dict) and found.get("holds_for") == at:
            piece = Piece(found["tool"], found["part"])
            ended.pop(piece, None)
            ended[piece] = found["ended"]
    return ended


def remember(file: Path, at: str, piece: Piece, ended: str) -> None:
    """Adds how a piece ended."""
    noted.add(file, json.dumps({"holds_for": at, **piece._asdict(), "ended": ended}))


def command(program: str, piece: Piece) -> list[str]:
    """What runs a piece."""
    options = ["--tool", piece.tool, "--error-exitcode", str(FOUND), "--target-processes", "application-only"]
    return [program, *options, sys.executable, "-m", "properties.twins.small_kernels", "--part", piece.part]


def run(line: Sequence[str], seconds: float) -> bounded.Ran:
    """How a command ended, and what it said; its arrays are allocations of their own from its first one on."""
    return bounded.run(line, seconds, GRACE, ROOT, os.environ | UNCACHED, kept=True)


def outcome(code: int | None) -> str:
    """How a piece ended, in words: "clean", "left", or what is wrong."""
    known = {None: LEFT, 0: CLEAN, FOUND: "the tool found something", WRONG: "a result is wrong"}
    return known.get(code, f"broke off with code {code}")


def queue(pieces: Sequence[Piece], before: Mapping[Piece, str]) -> list[Piece]:
    """The pieces that are not clean: those that were not run yet, then the others, the latest last."""
    tried = list(before)
    left = [piece for piece in pieces if before.get(piece) != CLEAN]
    return sorted(left, key=lambda piece: tried.index(piece) if piece in before else -1)


def judged(
    program: str, pieces: Sequence[Piece], seconds: float, file: Path, at: str, before: Mapping[Piece, str]
) -> Iterator[tuple[Piece, str]]:
    """Runs pieces while there is time; tells and remembers each; what was wrong stays so until it ends otherwise."""
    until = time.monotonic() + seconds
    for piece in pieces:
        began, ended = time.monotonic(), before.get(piece, LEFT)
        if until - began <= GRACE:
            yield piece, ended
            continue
        try:
            code, said = run(command(program, piece), min(until - began, seconds / 2))
            found = outcome(code)
            ended = ended if found == LEFT else found
        finally:  # also where this is told to end: then another piece comes first the next time
            remember(file, at, piece, ended)
        print(f"{piece.tool} {piece.part}: {told(found)} ({time.monotonic() - began:.0f} s)", flush=True)
        if found not in (CLEAN, LEFT):
            lines = said.splitlines()
            print("\n".join(f"    {line}" for line in (*findings(lines), *lines[-SHOWN:])), flush=True)
        yield piece, ended


def findings(lines: Sequence[str]) -> list[str]:
    """What a tool found, by kernel, the most frequent first: the libraries' kernels, which torch calls, are among them.

    A tool prints some hundred findings and counts the others alone.
    """
    found: list[tuple[str, str]] = []
    for line in lines:
        if one := FINDING.fullmatch(line):
            found.append((one["what"], kernel_of(one["place"]) if one["place"] else NAMELESS))
        elif found and found[-1][1] == NAMELESS and (below := BELOW.fullmatch(line)):
            found[-1] = found[-1][0], kernel_of(below["place"])
    counted = Counter(found).most_common(SHOWN)
    return [f"{count} times: {what}: {kernel}" for (what, kernel), count in counted]


def kernel_of(place: str) -> str:
    """The kernel's name in a place that a tool tells, shortened."""
    return KERNEL.fullmatch(place)["kernel"][:WIDTH]


def told(found: str) -> str:
    """How a piece ended, for the reader."""
    return "not finished in its time, so it is run again; more --parts make each shorter" if found == LEFT else found


def table(tools: Sequence[str], parts: int, ended: Mapping[Piece, str]) -> str:
    """By tool: how many parts are clean, how many are not, how many are left."""
    rows = [f"{'tool':<12}{'clean':>8}{'errors':>8}{'left':>8}"]
    for tool in tools:
        found = [how for piece, how in ended.items() if piece.tool == tool]
        clean, left = found.count(CLEAN), found.count(LEFT)
        rows.append(f"{tool:<12}{clean:>8}{len(found) - clean - left:>8}{left:>8}")
    return "\n".join([*rows, f"of {parts} parts each"])


def main(words: Sequence[str] | None = None) -> int:
    """Runs what is left; see the module's head for the exit code."""
    options = arguments(words)
    program = sanitizer(os.environ)
    if program is None:
        print("NOT JUDGED: compute-sanitizer is not installed (neither on PATH nor in CUDA_HOME/bin).")
        return 0
    problem = revision.lacking("sanitize", NEEDED)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    at = f"{revision.commit(ROOT, options.file)}, {revision.card()}, {version(program)}"
    with bounded.alone(options.file) as problem:
        if problem:
            print(f"sanitize: {problem}", file=sys.stderr)
            return 2
        return goes_on(program, options, at)


def goes_on(program: str, options: argparse.Namespace, at: str) -> int:
    """Runs the pieces that are left, and tells how all ended; the exit code."""
    pieces = [Piece(tool, f"{k}/{options.parts}") for k in range(1, options.parts + 1) for tool in options.tools]
    before = read(options.file, at)
    ended = {piece: CLEAN for piece in pieces if before.get(piece) == CLEAN}
    print(f"{program}, {at}: {len(ended)} of {len(pieces)} pieces are clean already")
    ended |= judged(program, queue(pieces, before), 60 * options.minutes, options.file, at, before)
    print(table(options.tools, options.parts, ended))
    wrong = set(ended.values()) - {CLEAN, LEFT}
    return 1 if wrong else 3 if LEFT in ended.values() else 0


if __name__ == "__main__":
    sys.exit(main())
