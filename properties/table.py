"""The laws as tables: of a run, with cases, the worst fraction of the bound and faults killed; and of the README.

`python -m properties.table` prints the README's, which a test compares with the file.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from dataclasses import dataclass, field
from types import ModuleType

from properties.laws import registry

FORM = "{:<14}{:>8}  {:<32}{}"


@dataclass
class Row:
    """What the tests of one law reported."""

    cases: int = 0
    worst: list[float] = field(default_factory=list)
    failed: int = 0
    kills: list[bool] = field(default_factory=list)

    @property
    def toothless(self) -> bool:
        """Whether faults were planted for it and none was noticed."""
        return bool(self.kills) and not any(self.kills)

    def line(self, name: str) -> str:
        """The row as it is printed."""
        worst = fraction(max(self.worst)) if self.worst else "bits" if self.cases else "not run"
        broken = f", {self.failed} test{'s' * (self.failed > 1)} FAILED" if self.failed else ""
        kills = f"{sum(self.kills)} of {len(self.kills)}" if self.kills else "not run"
        return FORM.format(name, self.cases, worst + broken, kills)


def fraction(value: float) -> str:
    """A fraction of a bound to three digits after the point; far beyond the bound, to three digits."""
    return f"{value:.3f}" if value < 1000 else f"{value:.3g}"


def lines(properties: list[tuple[bool, str, list]]) -> list[str]:
    """The table, one line a law of the registry; nothing where no law and no planted fault ran.

    Args:
        properties: of every passed or failed test, whether it failed, and its user property: "law" with
            [law, cases, worst fraction of a bound or None, digest of its cases], or "kill" with
            [law, fault, whether it was killed].
    """
    if not properties:
        return []
    rows, digests = {name: Row() for name in registry()}, []
    for failed, kind, (name, *values) in properties:
        row = rows[name]
        if kind == "kill":
            row.kills.append(values[1])
            continue
        cases, worst, digest = values
        row.cases, row.failed = row.cases + cases, row.failed + failed
        row.worst += [] if worst is None else [worst]
        digests.append(digest)
    table = [FORM.format("law", "cases", "worst fraction of the bound", "faults killed")]
    table += [row.line(name) for name, row in sorted(rows.items())]
    table += [f"the kill row of law {name!r} is empty" for name, row in sorted(rows.items()) if row.toothless]
    return [*table, f"cases: {same_cases(digests)} (the same command draws the same cases)"] if digests else table


def same_cases(digests: list[str]) -> str:
    """One word for all cases of a run, in whatever order its tests ran."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()[:16]


def readme_table() -> str:
    """The laws by name in Markdown: statement, how they compare, how many tests, the faults planted for each."""
    from properties.meta.faults import FAULTS

    rows = ["| law | statement | equal in | tests | planted faults that it kills |", "|---|---|---|---|---|"]
    for name, laws in sorted(registry().items()):
        module = sys.modules[laws[0].body.__module__]
        faults = "; ".join(fault.name for fault in FAULTS if name in fault.laws)
        rows.append(f"| {name} | {statement(module)} | {equal_in(module)} | {len(laws)} | {faults} |")
    return "\n".join(rows)


def statement(module: ModuleType) -> str:
    """What a law's file says it is: its docstring's sentence after the name."""
    first = re.sub(r"\s+", " ", (module.__doc__ or "").split("\n\n")[0])
    return first.split(": ", 1)[1].rstrip(".")


def equal_in(module: ModuleType) -> str:
    """How a law's tests compare: within a derived bound, bit for bit, or by a condition that holds or not."""
    source = inspect.getsource(module)
    how = {"bound": r"\b(agree|TALLY\.see)\(", "bits": r"\b(all_)?same_bits\("}
    return ", ".join(word for word, call in how.items() if re.search(call, source)) or "exact"


if __name__ == "__main__":
    print(readme_table())
