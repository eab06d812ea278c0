"""The tests that need a card, and all laws on what computes there: eager, cuDNN, our kernels in three precisions.

    python -m properties.twins.judge_card                nine minutes of it; the same command goes on where it stopped
    python -m properties.twins.judge_card --only fused fused_bf16 --minutes 30

Each run of pytest has a file of the tests that have passed or were skipped (`--passed`), in a folder of the commit, and
counts both as done. The exit code is 1 where a test failed, 3 where some are left to run, 2 where there is no card, 0
where none is left.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from properties.passed import commit, digest

ROOT = Path(__file__).parents[2]
SUBJECTS = ("fused", "fused_tf32x3", "fused_bf16", "vendor", "eager")
"""Of properties.on_card; the plain loop, a dozen kernels a step, takes longest."""

TESTS = ["properties/twins", "experiments/speed", "experiments/speed_gpu", "-m", "gpu", "--subject", "torch_twin"]
LAWS = ["properties", "--ignore=properties/meta", "--ignore=properties/twins", "-n", "8"]
"""Each process of pytest has one for its subject, and each of those a context on the card."""

RUNS = {"tests": TESTS} | {name: [*LAWS, "--subject", f"properties.on_card:{name}"] for name in SUBJECTS}
GRACE = 20.0
"""Seconds in which a run that is told to end may do so."""

PASSED, LEFT, FAILED = "passed", "left to run", "FAILED"


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m properties.twins.judge_card", description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=9.0, help="how long at most (default: 9)")
    parser.add_argument(
        "--only", nargs="+", default=list(RUNS), choices=list(RUNS), metavar="RUN", help=", ".join(RUNS)
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".rnn-twins" / "card", help="where is kept what passed")
    return parser.parse_args(words)


def command(name: str, file: Path) -> list[str]:
    """What runs the tests of one kind; warnings of other versions are no errors there."""
    return [sys.executable, "-m", "pytest", "-W", "default", "-q", *RUNS[name], "--passed", str(file)]


def run(line: Sequence[str], seconds: float) -> int | None:
    """A command's exit code; None where it was told to end, since the time was over."""
    child = subprocess.Popen(line, cwd=ROOT, env=os.environ | {"TRITON_INTERPRET": "0"}, start_new_session=True)
    try:
        return child.wait(max(seconds - GRACE, 0.01))
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGINT)
        end(child)
        return None
    except BaseException:  # Ctrl-C reaches this process alone
        end(child)
        raise


def end(child: subprocess.Popen) -> None:
    """Waits for a process a little, and ends all that it started."""
    with suppress(subprocess.TimeoutExpired):
        child.wait(GRACE)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def judged(names: Sequence[str], folder: Path, seconds: float) -> Iterator[tuple[str, str]]:
    """Runs in turn while there is time: the name of each, and how it ended."""
    until = time.monotonic() + seconds
    for name in names:
        left = until - time.monotonic()
        code = run(command(name, folder / f"{name}.ids"), left) if left > GRACE else None
        yield name, {None: LEFT, 0: PASSED}.get(code, FAILED)


def count(file: Path) -> int:
    """How many tests a file of passed ones holds."""
    return max(len(file.read_text("utf-8").splitlines()) - 1, 0) if file.is_file() else 0


def table(ended: Mapping[str, str], folder: Path) -> str:
    """A line a run: how it ended, and how many tests passed or were skipped at this commit, all runs together."""
    return "\n".join(f"{name:<14}{count(folder / f'{name}.ids'):>6} done   {how}" for name, how in ended.items())


def main(words: Sequence[str] | None = None) -> int:
    """Runs what is left; see the module's head for the exit code."""
    import torch

    options = arguments(words)
    if not torch.cuda.is_available():
        print("judge_card needs a CUDA device, and torch sees none.", file=sys.stderr)
        return 2
    at = commit(ROOT)
    folder = options.folder.absolute() / digest([at.encode()])
    folder.mkdir(parents=True, exist_ok=True)
    ended = dict(judged(options.only, folder, 60 * options.minutes))
    print(f"{torch.cuda.get_device_name()}, {at}\n{table(ended, folder)}")
    return 1 if FAILED in ended.values() else 3 if LEFT in ended.values() else 0


if __name__ == "__main__":
    sys.exit(main())
