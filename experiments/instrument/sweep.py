"""What is measured, as plain data: laws and cases, false alarms, planted errors, the matrix of kills.

Nothing here imports the laws: they need the extra "test", and an install without it must still list its experiments.
What the numbers depend on beyond plain data is the code that judges and is judged; its hash stands in the settings, so
that a law, a fault or a twin that was changed is measured again.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from experiments.harness.sweep import Group, code
from impl.spec import DTYPES

VERSION = 1
PROFILE = 40
"""Examples of the profile "ci", of which a law runs its share."""

CHUNK = 200
"""Cases that one seed of Hypothesis draws for a law."""

BLOCK = 5_000
"""Cases of torch.nn in a group."""

LAWS = (
    *("spectrum", "split", "causality", "value", "emission"),
    *("gates", "stacked", "untied sum", "vjp", "chain rule"),
)
"""What the claims ask of the twins: they decide N2, N3, N4, N11 and N19 alone, N1 beside gradient_flow, N8, N9, N10 and
N17 beside memory, N18 and N20 beside language_model."""

PARTS = {"value": ("rnn", "head")}
"""A law whose parts are counted each on their own; of "rnn" and "head" with bias and without, as claim N3 asks."""

DEMANDED = {"value": {"float32": 1e-6, "float64": 2e-15}, "vjp": {"float32": 1e-5, "float64": 2e-14}}
"""The relative error in a gate (value) or a gradient term (vjp) that 99 of 100 runs are to catch."""

ENDS = {"float32": (-8, 1), "float64": (-17, 1)}
"""Powers of ten from below the roundoff to an error of 1000 %."""

ROOT = Path(__file__).parents[2]
KILLS, PLANTED = "experiments/instrument/kills.py", "experiments/instrument/planted.py"


class Preset(NamedTuple):
    """One size of the sweep.

    Attributes:
        cases: of each law. alarms: cases of torch.nn. seeds: runs with a planted error.
        laws: those whose breaks are counted.
        kills: those that are put to the faults; all if None.
        every: to which faults, each n-th; always to those that were planted for the law.
        profile: the examples of which a run with a planted error takes its law's share.
    """

    cases: int
    alarms: int
    seeds: int
    laws: tuple[str, ...]
    kills: tuple[str, ...] | None = None
    every: int = 1
    profile: int = PROFILE


PRESETS = {
    "smoke": Preset(16, 24, 1, ("causality", "emission"), ("causality", "emission"), 40, 8),
    "tour": Preset(20, 120, 1, LAWS, ("causality", "emission", "range"), 10),
    "quick": Preset(10_000, 100_000, 100, LAWS),
    "full": Preset(100_000, 1_000_000, 1_000, LAWS),
}


def groups(preset: str, options: Any) -> list[Group]:
    """The four parts of the sweep, in the order of the report."""
    size = PRESETS[preset]
    return [*law_groups(size), *alarm_groups(size), *detection_groups(size), *kill_groups(size)]


def law_groups(size: Preset) -> list[Group]:
    """One group a law, or a part of it: both twins in turn on the same cases, which the referee then judges once."""
    found = []
    for law in size.laws:
        for part in PARTS.get(law, ("",)):
            settings = {"law": law, "part": part, "cases": size.cases, "chunk": CHUNK}
            settings |= {"code": code(*JUDGES, file_of(law), "impl/**/*.py", "properties/subjects/*twin.py")}
            name = f"laws/law={words(law)}" + (f"/part={part}" if part else "")
            found.append(group(name, settings, cost=size.cases * LAW_SECONDS[law, part]))
    return found


def alarm_groups(size: Preset) -> list[Group]:
    """Blocks of the cases of torch.nn, so that workers share them."""
    files = (*JUDGES, "properties/false_alarms.py", "properties/subjects/torch_nn.py", "impl/*.py")
    found = []
    for block, start in enumerate(range(0, size.alarms, BLOCK)):
        stop = min(start + BLOCK, size.alarms)
        settings = {"subject": "torch_nn", "start": start, "stop": stop, "code": code(*files)}
        cost = (stop - start) * ALARM_SECONDS
        found.append(group(f"false_alarms/subject=torch_nn/block={block}", settings, (block,), cost))
    return found


def detection_groups(size: Preset) -> list[Group]:
    """Errors planted in the values (law value) and in the gradients (law vjp), in either precision."""
    found = []
    for law in DEMANDED:
        files = (*JUDGES, file_of(law), "impl/*.py", "impl/numpy_twin/*.py", PLANTED)
        for dtype in DTYPES:
            settings = {"law": law, "deltas": ladder(dtype), "profile": size.profile, "code": code(*files)}
            cost = size.seeds * size.profile / PROFILE * DETECTION_SECONDS[law]
            name = f"detection/law={law}/dtype={dtype}"
            found.append(group(name, settings, tuple(range(size.seeds)), cost, dtype))
    return found


def kill_groups(size: Preset) -> list[Group]:
    """A law on every planted fault."""
    files = (*JUDGES, "properties/meta/carrier.py", "properties/meta/faults/*.py", "impl/**/*.py", KILLS)
    found = []
    for law in size.kills or laws():
        settings = {"law": law, "profile": PROFILE, "code": code(*files, "properties/subjects/*.py", file_of(law))}
        settings |= {"every": size.every} if size.every > 1 else {}
        found.append(group(f"kills/law={words(law)}", settings, cost=KILL_SECONDS / size.every**0.5))
    return found


def group(
    name: str, settings: dict[str, Any], seeds: tuple[int, ...] = (0,), cost: float = 0.0, dtype: str = "both"
) -> Group:
    """One group. The engine is always NumPy: which implementations run is what the settings say."""
    return Group("instrument", VERSION, name, settings, seeds, dtype, "numpy", "", cost)


def ladder(dtype: str) -> list[float]:
    """0, the control, and then 1, 2 and 5 in each decade, which hold what is demanded."""
    low, high = ENDS[dtype]
    return [0.0, *(float(f"{step}e{power}") for power in range(low, high) for step in (1, 2, 5)), float(f"1e{high}")]


def words(law: str) -> str:
    """A law's name in a setting, where the claims look for it."""
    return law.replace(" ", "_")


# The code that the numbers depend on

JUDGES = tuple(f"properties/{name}.py" for name in ("laws", "cases", "oracle", "arithmetic", "subject"))


@cache
def laws() -> dict[str, str]:
    """The names of all laws with the file of each, read without importing it."""
    files = sorted((ROOT / "properties").glob("test_*.py"))
    found = ((name, f"properties/{file.name}") for file in files for name in LAW.findall(file.read_text("utf-8")))
    return dict(sorted(found))


LAW = re.compile(r'^@law\(\s*"([^"]+)"', re.MULTILINE)


def file_of(law: str) -> str:
    """Where a law's tests stand."""
    return laws()[law]


# Core-seconds, as the committed quick preset took them (an AMD EPYC, 2f76b06)

LAW_SECONDS = {
    ("spectrum", ""): 0.0084,
    ("split", ""): 0.0082,
    ("causality", ""): 0.0033,
    ("value", "rnn"): 0.0083,
    ("value", "head"): 0.0073,
    ("emission", ""): 0.0029,
    ("gates", ""): 0.0037,
    ("stacked", ""): 0.0071,
    ("untied sum", ""): 0.0148,
    ("vjp", ""): 0.0092,
    ("chain rule", ""): 0.0133,
}
"""A case on both twins, with what the referee takes; where a part counts cases with biases and without, of both."""

ALARM_SECONDS = 0.0131
DETECTION_SECONDS = {"value": 1.88, "vjp": 1.78}
"""A seed's run of all errors."""

KILL_SECONDS = 31.4
"""A law on all faults, in the mean; drawing its cases is a part that few faults do not save."""
