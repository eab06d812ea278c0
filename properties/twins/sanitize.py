"""NVIDIA's compute-sanitizer over the kernels: memory out of bounds, races in shared memory, reads of what none wrote.

    python -m properties.twins.sanitize               nine minutes of it; the same command goes on where it stopped
    python -m properties.twins.sanitize --minutes 30

Each tool runs the parts of `properties.twins.small_kernels` in turn; one part has half the time at most, so that one
that hangs does not keep the others from being run. A file remembers which of them are clean at this
commit. The exit code is 1 where a tool found something or a part ended otherwise than well, 3 where parts are left to
run, 0 where all are clean, and also where there is no compute-sanitizer, which the last line then says.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from properties.passed import commit

ROOT = Path(__file__).parents[2]
TOOLS = ("memcheck", "racecheck", "initcheck")
FOUND = 86
"""The exit code that asks for: the tool found something. Others are the program's own."""

SHOWN = 12
"""Lines of what a tool said that are shown."""

CLEAN, LEFT = "clean", "left"


class Piece(NamedTuple):
    """One tool on one part."""

    tool: str
    part: str


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m properties.twins.sanitize", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=9.0, help="how long at most (default: 9)")
    parser.add_argument("--parts", type=int, default=12, help="in how many parts the cases are run (default: 12)")
    parser.add_argument("--tools", nargs="+", default=list(TOOLS), choices=(*TOOLS, "synccheck"))
    parser.add_argument("--file", type=Path, default=ROOT / ".sanitized.jsonl", help="what remembers clean parts")
    return parser.parse_args(words)


def sanitizer(environment: Mapping[str, str]) -> str | None:
    """The program, on the path or in CUDA's own folder."""
    homes = [environment[name] for name in ("CUDA_HOME", "CUDA_PATH") if environment.get(name)]
    folders = [environment.get("PATH", ""), *(str(Path(home) / "bin") for home in (*homes, "/usr/local/cuda"))]
    return shutil.which("compute-sanitizer", path=os.pathsep.join(folders))


def read(file: Path, at: str) -> set[Piece]:
    """The pieces that are clean at a commit; a last line that was cut short says nothing."""
    clean = set()
    for line in file.read_text("utf-8").splitlines() if file.is_file() else ():
        try:
            found = json.loads(line)
        except json.JSONDecodeError:
            continue
        if found["commit"] == at:
            clean.add(Piece(found["tool"], found["part"]))
    return clean


def remember(file: Path, at: str, piece: Piece) -> None:
    """Adds a clean piece, on a line of its own."""
    text = file.read_text("utf-8") if file.is_file() else ""
    with file.open("a", encoding="utf-8") as out:
        start = "\n" if text and not text.endswith("\n") else ""
        out.write(f"{start}{json.dumps({'commit': at, **piece._asdict()})}\n")


def command(program: str, piece: Piece) -> list[str]:
    """What runs a piece."""
    options = ["--tool", piece.tool, "--error-exitcode", str(FOUND), "--target-processes", "application-only"]
    return [program, *options, sys.executable, "-m", "properties.twins.small_kernels", "--part", piece.part]


def run(line: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """A command's exit code, None where the time was over first, and what it said."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    child = subprocess.Popen(line, cwd=ROOT, start_new_session=True, text=True, errors="replace", **streams)
    try:
        said, _ = child.communicate(timeout=max(seconds, 0.01))
        return child.returncode, said
    except subprocess.TimeoutExpired:
        return None, end(child)
    except BaseException:  # Ctrl-C reaches this process alone
        end(child)
        raise


def end(child: subprocess.Popen) -> str:
    """Ends a process and those that it started; what they said."""
    os.killpg(child.pid, signal.SIGKILL)
    said, _ = child.communicate()
    return said


def outcome(code: int | None) -> str:
    """How a piece ended, in words: "clean", "left", or what is wrong."""
    known = {None: LEFT, 0: CLEAN, FOUND: "the tool found something", 1: "a result is wrong"}
    return known.get(code, f"ended with code {code}")


def judged(program: str, pieces: Sequence[Piece], seconds: float, file: Path, at: str) -> Iterator[tuple[Piece, str]]:
    """Runs pieces while there is time; tells each, and remembers those that are clean."""
    until = time.monotonic() + seconds
    for piece in pieces:
        began = time.monotonic()
        if began >= until:
            yield piece, LEFT
            continue
        code, said = run(command(program, piece), min(until - began, seconds / 2))
        found = outcome(code)
        if found == CLEAN:
            remember(file, at, piece)
        print(f"{piece.tool} {piece.part}: {told(found)} ({time.monotonic() - began:.0f} s)", flush=True)
        if found not in (CLEAN, LEFT):
            print("\n".join(f"    {line}" for line in said.splitlines()[-SHOWN:]), flush=True)
        yield piece, found


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
    at = commit(ROOT)
    pieces = [Piece(tool, f"{k}/{options.parts}") for k in range(1, options.parts + 1) for tool in options.tools]
    before = read(options.file, at)
    ended = {piece: CLEAN for piece in pieces if piece in before}
    print(f"{program}, {at}: {len(ended)} of {len(pieces)} pieces are clean already")
    left = [piece for piece in pieces if piece not in before]
    ended |= judged(program, left, 60 * options.minutes, options.file, at)
    print(table(options.tools, options.parts, ended))
    wrong = set(ended.values()) - {CLEAN, LEFT}
    return 1 if wrong else 3 if LEFT in ended.values() else 0


if __name__ == "__main__":
    sys.exit(main())
