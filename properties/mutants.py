"""Machine-made mutants of impl/: how many of them the tests kill, and whether every survivor is argued.

`make mutants` runs mutmut, whose settings stand in pyproject.toml, and then `python -m properties.mutants`, which reads
mutmut's verdicts and compares what survived with properties/meta/mutants.md. Numbers of mutants shift when a function
changes, so a mutant is known by its function and its changed lines.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ARGUMENTS = Path(__file__).parent / "meta" / "mutants.md"
KILLED = ("killed", "timeout", "segfault")
"""The verdicts that count as killed: a test failed, or the mutant ran on and on, or it took the process down."""

TWINS = ("impl.numpy_twin", "impl.torch_twin")
SHARE = 0.95
FORM = "{:<30}{:>8}{:>8}{:>10}{:>8}{:>9}"
ENTRY = re.compile(r"^### ([^\n]+)\n\n```diff\n(.*?)```\n\n(.+?)(?=\n\n|\n*\Z)", re.MULTILINE | re.DOTALL)


class Change(NamedTuple):
    """What a mutant is known by: its function's name in mutmut's spelling, and its lines, those without and with it."""

    function: str
    lines: tuple[str, ...]


def read_verdicts(text: str) -> dict[str, str]:
    """Each mutant's verdict, from what `mutmut results --all true` prints."""
    return dict(re.findall(r"^ *(\S+__mutmut_\d+): (.+)$", text, re.MULTILINE))


def read_change(name: str, text: str) -> Change:
    """What a mutant changes, from a diff such as `mutmut show` prints."""
    lines = [line for line in text.splitlines() if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]
    return Change(name.rpartition("__mutmut_")[0], tuple(line[0] + line[1:].strip() for line in lines))


def read_arguments(text: str) -> dict[Change, str]:
    """What properties/meta/mutants.md argues, by change: one heading of names, one diff, one argument."""
    found = {}
    for names, diff, argument in ENTRY.findall(text):
        found |= {read_change(name, diff): argument for name in re.findall(r"`([^`]+)`", names)}
    return found


def module_of(name: str) -> str:
    """A mutant's module; mutmut's names end in a function's."""
    return name.rpartition(".")[0]


def share_killed(verdicts: list[str]) -> float:
    """The part of the mutants that the tests notice; of no mutants, all."""
    return sum(v in KILLED for v in verdicts) / len(verdicts) if verdicts else 1.0


def table(verdicts: dict[str, str]) -> list[str]:
    """One line a module, then one for each twin and for all: mutants, killed, of them by time, survivors, share."""
    modules = sorted({module_of(name) for name in verdicts})
    head = FORM.format("module", "mutants", "killed", "(by time)", "not", "killed %")
    return [head, *(_line(verdicts, part) for part in (*modules, *TWINS, "impl"))]


def _line(verdicts: dict[str, str], part: str) -> str:
    found = [verdict for name, verdict in verdicts.items() if name.startswith(f"{part}.")]
    counts, killed = Counter(found), sum(verdict in KILLED for verdict in found)
    percent = f"{100 * share_killed(found):.1f}"
    return FORM.format(part, len(found), killed, counts["timeout"], len(found) - killed, percent)


def complaints(verdicts: dict[str, str], changes: dict[str, Change], arguments: dict[Change, str]) -> list[str]:
    """What is wrong, a line each: too few killed in a twin, survivors that are not argued, arguments that are not true.

    Args:
        verdicts: of every mutant.
        changes: of every mutant that was not killed.
        arguments: as in properties/meta/mutants.md.
    """
    poor = [
        f"{twin}: {100 * share:.1f} % of the mutants are killed; it must be {100 * SHARE:.0f} % at least."
        for twin in TWINS
        if (share := share_killed([v for name, v in verdicts.items() if name.startswith(f"{twin}.")])) < SHARE
    ]
    unargued = [
        f"{name} ({verdicts[name]}) is not argued in {ARGUMENTS.name}:\n" + "\n".join(change.lines)
        for name, change in changes.items()
        if change not in arguments
    ]
    untrue = [
        f"{ARGUMENTS.name} argues a change of {change.function} that was killed or is not made:\n"
        + "\n".join(change.lines)
        for change in arguments
        if change not in changes.values()
    ]
    return poor + unargued + untrue


def mutmut(*words: str) -> str:
    """What a command of mutmut prints.

    Raises:
        FileNotFoundError: it is not installed; one line that says how it is.
    """
    command = [str(Path(sys.executable).with_name("mutmut")), *words]
    if not Path(command[0]).exists():
        raise FileNotFoundError("`mutmut` must be installed beside this Python: the extra 'mutants' has it.")
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(ask: Callable[..., str] = mutmut, arguments: str | None = None) -> int:
    """Prints the table and what is wrong; the exit status is 1 where something is, and 2 without mutmut.

    Args:
        ask: a command of mutmut's words to what it prints.
        arguments: in the form of properties/meta/mutants.md, which is read if None.
    """
    try:
        verdicts = read_verdicts(ask("results", "--all", "true"))
    except FileNotFoundError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not verdicts or "not checked" in verdicts.values():
        print("mutmut's run was not finished: `make mutants` starts it anew.")
        return 1
    alive = [name for name, verdict in verdicts.items() if verdict not in KILLED]
    changes = {name: read_change(name, ask("show", name)) for name in alive}
    wrong = complaints(verdicts, changes, read_arguments(ARGUMENTS.read_text() if arguments is None else arguments))
    print("\n".join(table(verdicts)), *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
