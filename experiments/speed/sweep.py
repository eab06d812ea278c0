"""What is measured, as plain data. A group is one comparison: contenders and cases that are measured in turn.

Times belong to a machine: its processor, cores and card, and the versions of the libraries, stand in the settings, so
that the store serves no other machine's; so does the hash of the code that is measured.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from experiments.harness import provenance
from experiments.harness.sweep import Group, code
from experiments.speed.contenders import CONTENDERS
from experiments.speed.targets import DTYPE, GROUP_SIZES, GROUPS, SIZES, T
from impl.spec import DTYPES

VERSION = 1
ALONE = True
"""Groups of this experiment run one at a time, after all others: they would disturb each other."""

Who = tuple[tuple[str, int], ...]
"""Contenders, each with its threads."""

ONE = (
    *(("numpy_usual", 1), ("numpy_scan", 1), ("numpy_fast", 1), ("numpy_compiled", 1), ("torch_nn", 1)),
    *(("torch_nn", 2), ("torch_vendor", 1), ("torch_eager", 1), ("torch_auto", 1), ("jax_scan", 1), ("products", 1)),
)
"""For one model."""

MOST = tuple(who for who in ONE if who[0] not in ("numpy_scan", "torch_eager", "torch_auto"))
"""For one large model: without what only the small ones need to show."""

MANY = (
    *(("numpy_fast", 1), ("numpy_fast", 2), ("numpy_compiled", 1), ("numpy_compiled", 2)),
    *(("torch_nn", 1), ("torch_nn", 2), ("torch_auto", 1), ("torch_auto", 2), ("jax_scan", 1), ("products", 1)),
)
"""For a group of models."""

FEW = (("numpy_fast", 1), ("numpy_compiled", 1), ("torch_nn", 1))
SHORT = (("numpy_usual", 1), *FEW)
LADDERS = {"T": (100, 200, 400, 800), "E": (8, 16, 32), "H": (32, 64, 128, 256)}


class Preset(NamedTuple):
    """One size of the sweep.

    Attributes:
        rounds, T: of all comparisons; the ladder of T has steps of its own.
        sizes: (H, B) of one model. small: its contenders; large: those where a step costs much, H*H*B > LARGE.
        group_sizes, groups: (H, B) and E of groups of LSTMs; RNNs at ALSO. many: their contenders.
        ladders: sizes of which cost is fitted. dtypes, cells: of the comparisons of one model and of groups.
        tuned: whether also with malloc told to keep freed memory.
    """

    rounds: int
    T: int
    sizes: tuple[tuple[int, int], ...]
    small: Who
    large: Who
    group_sizes: tuple[tuple[int, int], ...] = ()
    groups: tuple[int, ...] = ()
    many: Who = ()
    ladders: dict[str, tuple[int, ...]] = {}  # noqa: RUF012 (a NamedTuple's default is not changed)
    tuned: bool = False
    dtypes: tuple[str, ...] = (DTYPE,)
    cells: tuple[str, ...] = ("rnn", "lstm")


ALSO = (8,)
LARGE = 128 * 128 * 32
FULL = LADDERS | {"T": (100, 200, 400, 800, 1600, 3200), "E": (8, 16, 32, 64)}
PRESETS = {
    "smoke": Preset(3, 10, ((8, 4),), SHORT[:2] + SHORT[3:], (), cells=("lstm",)),
    "tour": Preset(7, T, SIZES[:2], SHORT, SHORT, GROUP_SIZES[:1], (4,), FEW + MANY[3:4]),
    "quick": Preset(15, T, SIZES, ONE, MOST, GROUP_SIZES, GROUPS, MANY, LADDERS, True),
    "full": Preset(31, T, SIZES, ONE, ONE, GROUP_SIZES, (*GROUPS, 32), MANY, FULL, True, DTYPES),
}


def groups(preset: str, options: Any) -> list[Group]:
    """All comparisons, in the order of the report."""
    size = PRESETS[preset]
    found = [machine_group(preset, size)]
    for dtype in size.dtypes:
        for cell in size.cells:
            found += [one_group(size, cell, dtype, H, B) for H, B in size.sizes]
            found += [many_group(size, cell, dtype, H, B) for H, B in size.group_sizes]
    for cell in size.cells:
        found += [slope_group(size, cell)] if size.ladders else []
        found += [tuned_group(size, cell)] if size.tuned else []
    return found


def machine_group(preset: str, size: Preset) -> Group:
    """Ceilings, facts, and what `explain` says."""
    products = [[G * H, H, B] for G in (1, 4) for H, B in size.sizes]
    settings = {"device": "cpu", "products": products, "copies": [], "explain": [], "kernels": False}
    if preset != "smoke":
        settings |= {"products": [*products, [64, 128, 64], [1536, 1536, 1536]], "copies": [2**20, 2**29]}
        settings["explain"] = [sizes("lstm", E, T, B, H, DTYPE) for H, B in size.sizes for E in (1, 8)]
        settings["explain"] += [sizes("rnn", E, T, B, H, DTYPE) for H, B in size.sizes[:1] for E in (1, 8)]
    files = ("impl/torch_twin/*.py", "impl/numpy_twin/fast_products.py")
    return group("machine", "machine", settings, size.rounds, 2 + 0.4 * size.rounds if preset != "smoke" else 1, files)


def one_group(size: Preset, cell: str, dtype: str, H: int, B: int) -> Group:
    """One model, all contenders that have the cell."""
    chosen = size.large if H * H * B > LARGE else size.small
    entries = entries_of("sizes", chosen, sizes(cell, 1, size.T, B, H, dtype))
    return time_group(f"sizes/cell={cell}/H={H}/B={B}/dtype={dtype}", entries, size)


def many_group(size: Preset, cell: str, dtype: str, H: int, B: int) -> Group:
    """Groups of models, of each number."""
    entries = []
    for E in size.groups if cell == "lstm" else ALSO:
        entries += entries_of("groups", size.many, sizes(cell, E, size.T, B, H, dtype))
    return time_group(f"groups/cell={cell}/H={H}/B={B}/dtype={dtype}", entries, size)


def slope_group(size: Preset, cell: str) -> Group:
    """Ladders: sizes that differ in one number; B = 16, in H 32. A slope is one number a round: so twice the rounds."""
    entries, size = [], size._replace(rounds=2 * size.rounds + 1)
    for of, steps in size.ladders.items():
        for step in steps:
            some = {"E": 1, "T": size.T, "B": 32 if of == "H" else 16, "H": 32} | {of: step}
            entries += entries_of(f"slope_{of}", FEW, sizes(cell, dtype=DTYPE, **some))
    return time_group(f"slopes/cell={cell}", entries, size)


def tuned_group(size: Preset, cell: str) -> Group:
    """The largest batch and groups of LSTMs once more, with malloc told to keep freed memory."""
    entries = entries_of("tuned", FEW, sizes(cell, 1, T, 128, 128, DTYPE))
    for H, B in size.group_sizes if cell == "lstm" else ():
        entries += entries_of("tuned", MANY[:6], sizes(cell, 8, T, B, H, DTYPE))
    return time_group(f"tuned/cell={cell}", entries, size, "tuned")


def entries_of(part: str, chosen: Who, case: list[Any]) -> list[list[Any]]:
    """The contenders that have the case's cell, on it."""
    return [[part, name, threads, case] for name, threads in chosen if case[0] in CONTENDERS[name].cells]


def time_group(name: str, entries: list[Any], size: Preset, malloc: str = "default") -> Group:
    """A comparison."""
    return group(name, "time", {"entries": entries}, size.rounds, cost(entries, size.rounds), MEASURED, malloc)


def group(
    name: str,
    part: str,
    settings: dict[str, Any],
    rounds: int,
    cost: float,
    files: Iterable[str],
    malloc: str = "default",
    experiment: str = "speed",
) -> Group:
    """One group, with what its times depend on."""
    threads = sorted({entry[2] for entry in settings.get("entries", ())}) or [1]
    settings = {"part": part, **settings, "rounds": rounds, "malloc": malloc, "threads": threads, **place()}
    settings["code"] = code(*files, *MEASURERS, "impl/*.py")
    return Group(experiment, VERSION, name, settings, (0,), DTYPE, "numpy", "", cost)


def sizes(cell: str, E: int, T: int, B: int, H: int, dtype: str) -> list[Any]:
    """A Case as plain data; D = H."""
    return [cell, E, T, B, H, H, dtype]


MEASURED = ("impl/numpy_twin/*.py", "impl/torch_twin/*.py")
MEASURERS = tuple(
    f"experiments/speed/{name}.py" for name in ("case", "child", "contenders", "cuda", "measure", "products", "usual")
)
PACKAGES = ("numpy", "torch", "numba", "jax", "triton", "flashrnn")


@cache
def place() -> dict[str, Any]:
    """The machine and the versions."""
    return {"processor": processor(), "cores": os.cpu_count() or 1, "card": card(), "packages": packages()}


def processor() -> str:
    """The processor's name, family, model and stepping: a virtual machine's name alone says little."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return provenance.processor()
    facts = dict(map(str.strip, line.split(":", 1)) for line in lines if ":" in line)
    numbers = " ".join(f"{word} {facts[key]}" for word, key in WORDS.items() if key in facts)
    return f"{provenance.processor()} ({numbers})" if numbers else provenance.processor()


WORDS = {"family": "cpu family", "model": "model", "stepping": "stepping"}


def card() -> str:
    """The first NVIDIA card's name, or ""; asked of the driver's files, so that listing sweeps imports no torch."""
    for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        found = [line.split(":", 1)[1].strip() for line in path.read_text("utf-8").splitlines() if "Model:" in line]
        return found[0] if found else "a card"
    return ""


def packages() -> dict[str, str]:
    """Versions of what is measured, of those that are installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


# Seconds, measured on two AVX-512 cores

START = 4.0
"""A process's start: imports, compiled loops read from their cache."""

STEP = {
    "numpy_usual": (60.0, 7.8e-5),
    "numpy_scan": (60.0, 5.5e-5),
    "numpy_fast": (12.0, 2.6e-5),
    "numpy_compiled": (8.0, 2.4e-5),
    "torch_nn": (15.0, 2.8e-5),
    "torch_vendor": (18.0, 2.8e-5),
    "torch_auto": (18.0, 2.8e-5),
    "torch_eager": (250.0, 6.5e-5),
    "jax_scan": (30.0, 6.5e-5),
    "products": (1.0, 1.2e-5),
}
"""Microseconds of a step: of itself, and for each multiply-add of its products."""


def cost(entries: list[Any], rounds: int) -> float:
    """Predicted seconds of a group: three calls beside the rounds, in each an untimed call and 5 ms, or a long call."""
    seconds = START
    for _, contender, _, (cell, E, steps, B, D, H, _) in entries:
        step, product = STEP.get(contender, (20.0, 1e-5))
        G = {"rnn": 1, "lstm": 4}[cell]
        call = 1e-6 * steps * E * (step * (0.4 if cell == "rnn" else 1.0) + product * G * H * B * (2 * D + 3 * H))
        seconds += (1.5 if contender == "jax_scan" else 0) + 3 * call
        seconds += rounds * (call if call > 0.02 else call + max(call, 5e-3))
    return seconds
