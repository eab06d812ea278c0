"""What is measured on a GPU, as plain data; without one, what is known of the kernels and of the machine."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from experiments.harness.sweep import Group
from experiments.speed.sweep import MEASURED, card, entries_of, group, sizes
from experiments.speed_gpu.targets import BETWEEN, DTYPE, EXACT, RECORDED, WIDTHS, T

VERSION = 1
ALONE = True
"""As in speed/sweep.py."""

KERNELS = ("impl/torch_twin/kernels/*.py", "impl/torch_twin/kernels/compiled.csv")
OURS = ("cuda_fused", "cuda_fused_graph", "cuda_fused_tf32x3", "cuda_fused_bf16", "cuda_auto")
FLASH = ("flashrnn", "flashrnn_bf16")
"""Only where targets name them: compiling them takes half a minute a size."""

SIZES = ((32, 64), (64, 64), (128, 64), (256, 64))
FLASH_AT = (32, (32, 64))
"""E and H."""

LADDERS = {"T": (100, 200, 400, 800), "E": (8, 16, 32, 64, 128)}
PROFILED = ("cuda_fused", "cuda_fused_graph")
"""Whose time is looked into."""

ROUNDED = ("cuda_fused_bf16",)
"""As PROFILED, where the first width of the ceiling's target stands: what forms products of bfloat16."""

STEPPED = (160, 256)
"""H of one LSTM whose time is looked into, between 128 and 256 and at it: each step is a product and a kernel."""

LONE = "lone", (4, 8, 16)
"""One program by itself, the card to its own: the part's name, and the rows that programs have where there are more.

Of what is STEPPED a model of the fewest rows; of what is ROUNDED a program of the most, which is all that it has.
"""

PROFILER = ("experiments/speed_gpu/profiled.py",)
DRIVER, PROCESS = Path("/proc/driver/nvidia/params"), Path("/proc/self/status")
ADMIN = 21
"""The bit of CAP_SYS_ADMIN, as capabilities(7) has it."""


class Preset(NamedTuple):
    """One size of the sweep: rounds and steps, (H, B), numbers of models, and ladders of which cost is fitted."""

    rounds: int
    T: int
    sizes: tuple[tuple[int, int], ...]
    models: tuple[int, ...]
    ladders: dict[str, tuple[int, ...]] = {}  # noqa: RUF012 (a NamedTuple's default is not changed)
    cells: tuple[str, ...] = ("rnn", "lstm")


PRESETS = {
    "smoke": Preset(3, 10, ((16, 16),), (2,), cells=("lstm",)),
    "tour": Preset(7, T, SIZES[:2], (8,)),
    "quick": Preset(11, T, SIZES, (1, 8, 32), LADDERS),
    "full": Preset(31, T, SIZES, (1, 2, 4, 8, 16, 32, 64), LADDERS),
}


def spared(folder: Path) -> str:
    """Why the report in a folder is not written anew, or "": it is of a card, and this machine has none."""
    costs = folder / "costs.csv"
    if card() or not costs.is_file() or len(costs.read_text("utf-8").splitlines()) < 2:
        return ""
    return f"the report in {folder} is of a card, and this machine has none: it stays; --out names another folder"


def groups(preset: str, options: Any) -> list[Group]:
    """The facts, and all comparisons where there is a card."""
    size = PRESETS[preset]
    found = [facts_group(preset, size)]
    if card():
        for cell in size.cells:
            found += [models_group(size, cell, E) for E in size.models]
            found += [between_group(size, cell)] if 1 in size.models else []
            found += [slope_group(size, cell)] if size.ladders else []
            found += [profile_group(size, cell)] if preset != "tour" else []
    return [replace(group, card=card()) for group in found]


def facts_group(preset: str, size: Preset) -> Group:
    """Ceilings of the card, facts, and what `explain` says."""
    settings: dict[str, Any] = {"device": "cuda", "products": [], "copies": [], "explain": [], "kernels": True}
    if preset != "smoke" and card():
        settings |= {"products": [[4096] * 3, [8192] * 3], "copies": [2**26, 2**30]}
        for cell in size.cells:
            settings["explain"] += [sizes(cell, E, T, B, H, DTYPE) for H, B in size.sizes for E in (1, 8)]
    return group("facts", "machine", settings, size.rounds, 10.0 if card() else 4.0, KERNELS, experiment="speed_gpu")


def models_group(size: Preset, cell: str, E: int) -> Group:
    """So many models at all widths."""
    entries = []
    for H, B in size.sizes:
        flash = FLASH if FLASH_AT[0] == E and H in FLASH_AT[1] else ()
        entries += compared(flash, sizes(cell, E, size.T, B, H, DTYPE))
    return card_group(f"models/cell={cell}/E={E}", entries, size, 25.0 + E)


def between_group(size: Preset, cell: str) -> Group:
    """One model at the widths between 128 and 256, a group of its own: 27 entries, where a group of 36 took 18 s."""
    entries = [entry for H in BETWEEN for entry in compared((), sizes(cell, 1, size.T, 64, H, DTYPE))]
    widths = "-".join(map(str, BETWEEN))
    return card_group(f"models/cell={cell}/E=1/H={widths}", entries, size, 10 + 0.4 * size.rounds)


def compared(flash: tuple[str, ...], case: list[Any]) -> list[list[Any]]:
    """All peers and forms on a case, and of FlashRNN what is named."""
    return entries_of("card", tuple((name, 1) for name in (*EXACT, RECORDED, *OURS, *flash)), case)


def slope_group(size: Preset, cell: str) -> Group:
    """Ladders: sizes that differ in one number, of H = 64 and B = 64."""
    entries = []
    for of, steps in size.ladders.items():
        for step in steps:
            some = {"E": 32, "T": size.T, "B": 64, "H": 64} | {of: step}
            entries += entries_of(f"slope_{of}", (("cuda_fused", 1),), sizes(cell, dtype=DTYPE, **some))
    return card_group(f"slopes/cell={cell}", entries, size, 15.0)


def profile_group(size: Preset, cell: str) -> Group:
    """Where time goes at what targets ask, since one may be missed; beside it one program of a loop alone."""
    base, *others = profile_cases(size, cell)
    part, rows = LONE
    cases = [("profile", PROFILED, base | other) for other in ({}, *others)]
    widths = dict.fromkeys(case["H"] for _, _, case in cases)
    cases += [(part, PROFILED[:1], base | {"E": 1, "H": H, "B": B}) for H in widths for B in rows]
    cases += further_cases(base) if size.ladders and cell == "lstm" else []
    entries = []
    for part, forms, case in cases:
        entries += entries_of(part, tuple((form, 1) for form in forms), sizes(cell, dtype=DTYPE, **case))
    files, settings = (*MEASURED, *KERNELS, *PROFILER), {"device": "cuda", "entries": entries, "rights": rights()}
    cost = 3.0 * len(entries) if size.ladders else 12.0
    return group(f"profile/cell={cell}", "profile", settings, size.rounds, cost, files, experiment="speed_gpu")


def further_cases(base: dict[str, int]) -> list[tuple[str, tuple[str, ...], dict[str, int]]]:
    """What targets beyond the ceiling's ask of the LSTM: one model of STEPPED units, and products of bfloat16."""
    part, (fewest, *_, most) = LONE
    single = [base | {"E": 1, "H": H} for H in STEPPED]
    cases = [("profile", PROFILED, case) for case in single]
    cases += [(part, PROFILED[:1], case | {"B": fewest}) for case in single]
    return [*cases, ("profile", ROUNDED, base), (part, ROUNDED, base | {"E": 1, "B": most})]


def rights(driver: Path = DRIVER, process: Path = PROCESS) -> dict[str, bool]:
    """Whether the driver keeps profiles to administrators, and whether this process is one's.

    A part of the settings, so that a profile that was refused is not served from the store once it would be allowed.
    """
    try:
        told = driver.read_text("utf-8")
        held = re.search(r"^CapEff:\s*([0-9a-f]+)$", process.read_text("utf-8"), re.MULTILINE)
    except OSError:
        return {}
    return {"kept": "RmProfilingAdminOnly: 1" in told, "administrator": bool(held and int(held[1], 16) >> ADMIN & 1)}


def profile_cases(size: Preset, cell: str) -> list[dict[str, int]]:
    """The sizes where the ladders cross; what differs at their ends and, of the LSTM, at the ceiling's other width.

    Without ladders the smallest comparison's alone.
    """
    if not size.ladders:
        H, B = size.sizes[0]
        return [{"E": size.models[0], "T": size.T, "B": B, "H": H}]
    base = {"E": 32, "T": size.T, "B": 64, "H": WIDTHS[0]}
    ends = [{of: n} for of, steps in size.ladders.items() for n in (steps[0], steps[-1]) if n != base[of]]
    return [base, *ends, *({"H": H} for H in WIDTHS[1:] if cell == "lstm")]


def card_group(name: str, entries: list[list[Any]], size: Preset, cost: float) -> Group:
    """A comparison; `cost` is predicted seconds."""
    files = (*MEASURED, *KERNELS)
    return group(name, "time", {"entries": entries}, size.rounds, cost, files, experiment="speed_gpu")
