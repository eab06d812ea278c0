"""Which planted faults a law notices, those planted for it and all others."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

from hypothesis import settings
from hypothesis._settings import local_settings

from experiments.harness.sweep import Group
from experiments.instrument.hunt import asking
from experiments.instrument.sweep import words
from impl.spec import DTYPES
from properties.cases import Plan
from properties.laws import TALLY, Law, registry
from properties.meta.carrier import Carrier, Fault, patched
from properties.meta.faults import FAULTS
from properties.record import Record


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """For every fault "killed", 0 or 1, and "attached", 1 where it was planted for this law.

    As the suite's own test of its faults has it: the profile's examples, drawn from the name of the law's test; only an
    assertion is a kill, not that a law stumbles over the fault.
    """
    law, how = group.settings["law"], asking(group.settings["profile"], derandomize=True)
    faults, killed = chosen(law, group.settings.get("every", 1)), set[str]()
    kinds = kinds_of(law)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", RuntimeWarning)
        for done, (test, cell, dtype) in enumerate(kinds, 1):
            alive = [f.planted() for f in faults if f.name not in killed and cell in f.cells and dtype in f.dtypes]
            killed |= {fault.name for fault in accused(alive, test, cell, dtype, how)}
            checkpoint(done, len(kinds))
    return [*records(law, faults, killed)]


def kinds_of(law: str) -> list[tuple[Law, str, str]]:
    """A law's tests by cell and dtype; none that asks for a promise which the carrier of the faults does not make."""
    every = [(test, cell, dtype) for test in registry()[law] for cell, dtype in product(test.cells, DTYPES)]
    return [(test, cell, dtype) for test, cell, dtype in every if not test.lacking(Carrier(), cell)]


def chosen(law: str, every: int) -> list[Fault]:
    """Every n-th fault, and all that were planted for the law."""
    return [fault for n, fault in enumerate(FAULTS) if n % every == 0 or law in fault.laws]


def accused(faults: list[Fault], test: Law, cell: str, dtype: str, how: settings) -> list[Fault]:
    """The faults that a test kills: fault by fault on the same cases, so that the referee judges each once."""
    if test.plan is None:
        return [fault for fault in faults if asserts(test.run, fault.subject, cell, dtype, how)]
    cases = cases_of(test, cell, dtype, how) if faults else []
    with local_settings(how):
        return [
            fault for fault in faults if asserts(run_all, test, cases, subject=fault.subject, cell=cell, dtype=dtype)
        ]


def cases_of(test: Law, cell: str, dtype: str, how: settings) -> list[Plan]:
    """The cases of a test's run: those that the unchanged carrier is given, which passes them all."""
    found: list[Plan] = []

    @contextmanager
    def noting(plan: Plan) -> Iterator[None]:
        found.append(plan)
        yield

    with patched(TALLY, case=noting):
        test.run(Carrier(), cell, dtype, how)
    return found


def run_all(test: Law, cases: list[Plan], **of: Any) -> None:
    """A test's body on each of the cases; the first that fails ends it."""
    for plan in cases:
        test.body(plan=plan, **of)


def asserts(run: Callable[..., None], *args: Any, **kwargs: Any) -> bool:
    """Whether an assertion fails in a run; that it stumbles, with another error, is no kill."""
    try:
        run(*args, **kwargs)
    except AssertionError:
        return True
    except Exception:
        return False
    return False


def records(law: str, faults: list[Fault], killed: set[str]) -> Iterator[Record]:
    """A row of the matrix."""
    for fault in faults:
        setting = f"kills/law={words(law)}/fault={words(fault.name)}"
        yield Record("instrument", setting, 0, "attached", 0, int(law in fault.laws))
        yield Record("instrument", setting, 0, "killed", 0, int(fault.name in killed))
