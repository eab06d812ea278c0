"""Which relative errors a run of a law catches, by the referee's bound and by two fixed tolerances."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from experiments.harness.sweep import Group
from experiments.instrument.hunt import drawn
from experiments.instrument.planted import QUANTITIES, repeated, results
from properties.laws import Law, registry
from properties.oracle import Judged
from properties.record import Record
from properties.subjects.numpy_twin import subject as TWIN

CLOSE = {"float32": (1e-5, 1.3e-6), "float64": (1e-7, 1e-7)}
"""atol and rtol that torch.testing.assert_close takes by default."""

KERNEL = (0.1, 0.2)
"""atol and rtol of a published kernel test."""

JUDGES = ("bound", "assert_close", "kernel_test")


def run(group: Group, checkpoint: Callable[[int, int], None]) -> list[Record]:
    """By quantity, judge and size of the error: in how many runs it was caught, and in how many of all their cases.

    A run is what the profile's examples make of the law's share, drawn by the law's strategy from the seed.
    """
    law, deltas, runs, cases = registry()[group.settings["law"]][0], np.array(group.settings["deltas"]), [], 0
    for done, seed in enumerate(group.seeds, 1):
        found = one_run(law, seed, size_of(law, group.settings["profile"]), group.dtype, deltas)
        runs.append((found.any(0), found.sum(0)))
        cases += len(found)
        checkpoint(done, len(group.seeds))
    caught = [np.sum(some, 0) for some in zip(*runs, strict=True)]
    return [*records(group, law, caught, cases)]


def size_of(law: Law, profile: int) -> int:
    """The cases in a run of a law's test."""
    return max(1, round(law.share * profile))


def one_run(law: Law, seed: int, size: int, dtype: str, deltas: np.ndarray) -> np.ndarray:
    """Whether an error was caught, by case, quantity, judge and size of the error (E,)."""
    return np.stack([one_case(law, plan, dtype, deltas) for plan in drawn(seed, size, law.plan)])


def one_case(law: Law, plan, dtype: str, deltas: np.ndarray) -> np.ndarray:
    """The same of one case, (quantities, judges, E)."""
    case = plan.case("lstm", dtype)
    judged = case.judged(TWIN.alpha(dtype), gradients=law.name == "vjp")
    call, cotangent = repeated(case.call, case.cotangent, len(deltas))
    found = []
    for quantity in QUANTITIES[law.name]:
        got = results(law.name, quantity, call, cotangent, deltas)
        found.append(np.any([caught(a, judged[name], dtype) for name, a in got.items()], axis=0))
    return np.stack(found)


def caught(got: np.ndarray, judged: Judged, dtype: str) -> np.ndarray:
    """Whether the bound, and either tolerance against the exact value, accuses: (judges, E) from got (E, ...)."""
    with np.errstate(all="ignore"):
        error = np.abs((got.astype(np.float64) - judged.hi) - judged.lo)
    limits = [judged.bound, *(atol + rtol * np.abs(judged.hi) for atol, rtol in (CLOSE[dtype], KERNEL))]
    return np.stack([~(error <= limit).reshape(len(got), -1).all(1) for limit in limits])


def records(group: Group, law: Law, caught: list[np.ndarray], cases: int) -> Iterator[Record]:
    """The counts; seed is the first of the group's."""
    runs, hits = caught
    first, where = group.seeds[0], f"detection/law={law.name}/dtype={group.dtype}"
    yield Record("instrument", where, first, "runs", 0, len(group.seeds))
    yield Record("instrument", where, first, "cases", 0, cases)
    for q, quantity in enumerate(QUANTITIES[law.name]):
        for j, judge in enumerate(JUDGES):
            setting = f"{where}/quantity={quantity}/judge={judge}"
            for metric, counts in (("runs caught", runs), ("cases caught", hits)):
                for delta, n in zip(group.settings["deltas"], counts[q, j], strict=True):
                    yield Record("instrument", setting, first, metric, delta, int(n))
