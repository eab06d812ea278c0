"""What a profile says: the kernels of a step beside their floors, where the excess over the ceilings lies, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mode
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from experiments.harness import figures
from experiments.harness.markup import number
from experiments.harness.report import Figure, Table
from experiments.speed.case import Case
from experiments.speed.contenders import CONTENDERS
from experiments.speed.numbers import facts
from experiments.speed.pictures import CELLS, spoken
from experiments.speed_gpu.floors import LOOPS, ROLES, Kernel, Profile, at, excess
from experiments.speed_gpu.targets import CEILING, TARGETS, WIDTHS, T, Target

ASKED = {"E": 32, "H": WIDTHS[0], "B": 64, "T": T}
"""The setting of the ceiling's target, at its first width."""

FUSED, RECORDED, ROUNDED = "cuda_fused", "cuda_fused_graph", "cuda_fused_bf16"
BARS = {RECORDED: ", in a graph", ROUNDED: ", bf16"}
"""What a bar's name says of its form."""

WAITING = "no kernel runs"
WHY = {
    "gap": "the card waiting for the processor",
    "memory": "every kernel's own reads and writes",
    "latency": "steps in series, which no further multiprocessor shortens",
    "pace": "steps in series of programs with several rows each",
    "waves": "multiprocessors without a program",
    "crowd": "programs of loops beside one another",
    "products": "products below the fastest one's rate",
    "rest": "sums and copies",
}
"""The parts of an excess in words."""

GRAPHS = {"gap": "waits before a graph or between its kernels"}
STEPS = {"crowd": "kernels of single steps for more rows"}
UNMEASURED = {"crowd": "kernels of single steps"}
UNKNOWN = {"memory": "what memory and float32's products must take"}
"""Other words for parts: where kernels stand in a graph; where every step starts its own, and where these were not
measured of few rows; and where a step as a whole has no ceiling."""

HEADS = {
    "gap": WAITING,
    "memory": "each kernel's own memory",
    "latency": "steps in series",
    "pace": "rows of a program",
    "waves": "no program",
    "crowd": "programs beside others, or more rows",
    "products": "slow products",
    "rest": "sums, copies",
}


def drawn(found: Sequence[Profile]) -> list[Figure]:
    """The figure, where anything was profiled."""
    return [profile_figure(found)] if found else []


def tables(found: Sequence[Profile]) -> list[Table]:
    """Kernels at the settings that targets ask of, and all settings' excess, where anything was profiled."""
    return [kernel_table(found), excess_table(found)] if found else []


def files(found: Sequence[Profile]) -> dict[str, pd.DataFrame]:
    """Every kernel of every setting as data, where anything was profiled."""
    return {"profile": data(found)} if found else {}


def settings(found: Sequence[Profile]) -> dict[str, str]:
    """How it was profiled, where anything was."""
    return {"a profile": HOW} if found else {}


HOW = (
    "a process of its own; as many calls as rounds, one at a time, between two events on the card, and as many again "
    "under torch's profiler, after one more that is dropped; kernels by name; means over the middle half of the calls, "
    "since parts are to add up; steps in series: one program of 4, 8 or 16 rows of one model alone on the card, or the "
    "kernels that a step of 4 rows starts"
)


# Words


def refusal(frame: pd.DataFrame) -> str:
    """Why torch's profiler could not look at the card, one sentence for every reason; "" where it could."""
    reasons = sorted({fact["reason"] for fact in facts(frame, "profiler")})
    return " ".join(f"What each kernel takes could not be profiled: {reason}." for reason in reasons)


def title(found: Sequence[Profile]) -> str:
    """What the target's setting takes, and where most of its excess lies; in a CUDA graph; and at its other widths."""
    told = [at(found, "lstm", form, **ASKED) for form in (FUSED, RECORDED)]
    known = [one for one in told if one and not math.isnan(one.ceiling)]
    if not known or known[0] is not told[0]:
        return "Microseconds a step, by kernel"
    words = (
        f"An LSTM's step at E={ASKED['E']}, H={ASKED['H']}, B={ASKED['B']} takes, in a profile's own calls, "
        f"{spent(known[0])} "
        f"(at most {CEILING:g}: {judged(known[0])}){above(known[0])}"
    )
    words += "".join(f"; in a CUDA graph {spent(one)}{above(one, 1)}" for one in known[1:])
    others = ((H, at(found, "lstm", FUSED, **ASKED | {"H": H})) for H in WIDTHS[1:])
    return words + "".join(f"; at H={H} {spent(one)} ({judged(one)}){above(one, 1)}" for H, one in others if one)


def judged(one: Profile) -> str:
    """Whether the ceiling's target is met."""
    return "met" if one.wall <= CEILING * one.ceiling else "missed"


def spent(one: Profile) -> str:
    """A step's time and how many times the ceilings' it is."""
    return f"{spoken(one.wall)} µs, {number(one.wall / one.ceiling)} times what the ceilings allow"


def above(one: Profile, most: int = 2) -> str:
    """What lies above the ceilings, and its largest parts."""
    words = largest(one, most)
    if one.wall <= one.ceiling or not words:
        return ""
    return f": of {spoken(one.wall - one.ceiling)} µs above them {words}"


def largest(one: Profile, most: int = 2) -> str:
    """The largest parts of what lies above the ceilings, in words."""
    words = words_of(one)
    over = {name: value for name, value in excess(one)._asdict().items() if name in words and value > 0}
    chosen = sorted(over, key=over.get, reverse=True)[:most]
    return " and ".join(f"{spoken(over[name])} are {words[name]}" for name in chosen)


def words_of(one: Profile) -> dict[str, str]:
    """The parts of a profile's excess in words: no loop runs where every step starts kernels of its own."""
    words = WHY | (GRAPHS if one.stepped or one.form == RECORDED else {})
    if one.stepped:
        words |= UNMEASURED if any(math.isnan(k.latency) for k in one.kernels if k.role in LOOPS) else STEPS
    return words | (UNKNOWN if math.isnan(one.ceiling) else {})


def spending(found: Sequence[Profile], target: Target) -> str:
    """Where the time of a target's form goes, at its width or the nearest profiled one; "" where there is none."""
    asked = "lstm", target.form, target.E, target.B, T
    same = [one for one in found if (one.case.cell, one.form, one.case.E, one.case.B, one.case.T) == asked]
    if not same:
        return ""
    one = min(same, key=lambda one: abs(one.case.H - target.H))
    return f"of {spoken(one.wall)} µs a step (H={one.case.H}) {largest(one)}"


def growth_sentence(found: Sequence[Profile]) -> str:
    """How many times as long a call and its kernels take at the ladders' last ends as at their first, by cell."""
    parts = []
    for of, what in (("E", "models"), ("T", "steps")):
        ends = sizes_of(found, of)
        words = [growth(found, cell, of, ends) for cell in CELLS] if len(ends) > 1 else []
        if any(words):
            parts.append(f"from {ends[0]} to {ends[-1]} {what} {' and '.join(filter(None, words))}")
    return f": {'; '.join(parts)}" if parts else ""


def sizes_of(found: Sequence[Profile], of: str) -> list[int]:
    """The sizes of a ladder, all else as the target asks."""
    rest = {name: size for name, size in ASKED.items() if name != of}
    same = (one.case for one in found if all(getattr(one.case, name) == size for name, size in rest.items()))
    return sorted({getattr(case, of) for case in same})


def growth(found: Sequence[Profile], cell: str, of: str, ends: Sequence[int]) -> str:
    """One cell's growth between two ends; "" where one of them was not profiled."""
    first, last = (at(found, cell, FUSED, **ASKED | {of: end}) for end in (ends[0], ends[-1]))
    if not first or not last:
        return ""
    steps = last.case.T / first.case.T
    call, busy = (steps * getattr(last, name) / getattr(first, name) for name in ("wall", "busy"))
    return f"a call of the {CELLS[cell]} takes {number(call)} times as long, its kernels {number(busy)} times"


# Tables


def kernel_table(found: Sequence[Profile]) -> Table:
    """What each kernel takes and what it must, at the settings that targets ask of, or else at all."""
    sizes = {(*(ASKED | {"H": H}).values(),) for H in WIDTHS}
    sizes |= {(target.E, target.H, target.B, T) for target in TARGETS if target.ratio > 0}
    chosen = [one for one in found if tuple(getattr(one.case, name) for name in ASKED) in sizes] or found
    rows = [
        {"cell": CELLS[one.case.cell], "form": CONTENDERS[one.form].label, "setting": setting(one.case)}
        | kernel_row(kernel)
        for one in chosen
        for kernel in one.kernels
    ]
    heading = (
        "What each kernel takes and what it must, µs a step: memory and products at the ceilings' rates; of a loop "
        "also its steps in series, measured of one program that has the card to its own, or of the kernels that a step "
        "of 4 rows starts; bfloat16's products have no measured rate"
    )
    return Table("profile", heading, pd.DataFrame(rows))


def kernel_row(kernel: Kernel) -> dict[str, Any]:
    """A kernel as it is to be read."""
    floors = [floor for floor in (kernel.memory, kernel.product, kernel.latency) if floor > 0]
    return {
        "kernel": ROLES[kernel.role],
        "calls": number(kernel.calls),
        "measured": number(kernel.us),
        "memory alone": number(kernel.memory),
        "products alone": number(kernel.product),
        "steps in series, fewest rows": number(kernel.latency),
        "the same programs alone, wave by wave": number(kernel.alone),
        "programs": f"{kernel.programs:,}" if kernel.programs and kernel.role != "rest" else "",
        "waves of them": number(kernel.waves) if kernel.role != "rest" else "",
        "multiprocessors with one, %": number(100 * kernel.fill) if kernel.role != "rest" else "",
        "over its largest floor": number(kernel.us / max(floors)) if floors else "",
    }


def excess_table(found: Sequence[Profile]) -> Table:
    """Where the excess over the ceilings lies, everywhere."""
    rows = []
    for one in found:
        parts = excess(one)
        rows.append(
            {"cell": CELLS[one.case.cell], "setting": setting(one.case), "form": CONTENDERS[one.form].label}
            | {"a step": number(one.wall), "ceilings": number(one.ceiling)}
            | {"over them": number(one.wall / one.ceiling)}
            | {head: number(getattr(parts, name)) for name, head in HEADS.items()}
        )
    heading = f"Where a step's time above the ceilings lies, µs a step{growth_sentence(found)}"
    if any(one.form == ROUNDED for one in found):
        heading += "; bf16 has no measured ceiling: all its floors that are known stand as each kernel's own memory"
    return Table("excess", heading, pd.DataFrame(rows))


def setting(case: Case) -> str:
    """A setting, short."""
    return f"E={case.E} T={case.T} H={case.H} B={case.B}"


# Figure


def profile_figure(found: Sequence[Profile]) -> Figure:
    """Microseconds a step by kernel, a bar a setting and form; the ceilings' time as a dashed black line."""
    cells = [cell for cell in CELLS if any(one.case.cell == cell for one in found)]
    own = {cell: [one for one in found if one.case.cell == cell] for cell in cells}
    most = max(map(len, own.values()))
    size = {"figsize": (5.4 * len(cells) + 0.6, 1.9 + 0.3 * most), "squeeze": False}
    canvas, axes = plt.subplots(1, len(cells), layout="constrained", **size)
    for axis, cell in zip(axes[0], cells, strict=True):
        panel(axis, cell, own[cell], most)
    return Figure("profile", title(found), canvas, alt(found), data(found))


def panel(axis: Axes, cell: str, found: Sequence[Profile], most: int) -> None:
    """One cell's bars; the whole time written at each one's right, the width where it is another than most have.

    The legend stands half an inch below a panel that is as high as `most` bars.
    """
    shades, width = dict(zip(ROLES, figures.shades(cell, len(ROLES)), strict=True)), mode(one.case.H for one in found)
    shown = {WAITING, *(kernel.role for one in found for kernel in one.kernels)}
    for y, one in enumerate(found):
        right = 0.0
        for name, us in pieces(one).items():
            how = {"color": shades.get(name, "white"), "edgecolor": "white" if name in shades else "0.5"}
            label = ROLES.get(name, WAITING) if y == 0 and name in shown else None
            axis.barh(y, us, left=right, height=0.62, lw=0.6, label=label, **how)
            right += us
        axis.plot([one.ceiling] * 2, [y - 0.42, y + 0.42], **figures.PREDICTION)
        figures.label_line(axis, right, y, spoken(one.wall))
    figures.label_line(axis, found[0].ceiling, -0.62, "ceilings", xytext=(3, 0), fontsize=7)
    axis.set_yticks(range(len(found)), [bar_name(one, width) for one in found], fontsize=8)
    axis.set_ylim(len(found) - 0.5, -0.85)
    axis.set_xlim(0, 1.12 * max(sum(pieces(one).values()) for one in found))
    axis.set_title(panel_title(cell, found, width))
    axis.set_xlabel("µs a step")
    axis.legend(fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.4, -0.5 / (0.3 * most + 0.3)))


def panel_title(cell: str, found: Sequence[Profile], width: int) -> str:
    """A panel's cell, rows and width, which bars of another width name themselves."""
    own = f"H={width}" if {one.case.H for one in found} == {width} else f"H={width} where no other is named"
    return f"{CELLS[cell]}, B={found[0].case.B}, {own}"


def pieces(one: Profile) -> dict[str, float]:
    """A bar's pieces: every role, and the time in which no kernel runs."""
    us = {kernel.role: kernel.us for kernel in one.kernels}
    return {role: us.get(role, 0.0) for role in ROLES} | {WAITING: max(0.0, one.wall - one.busy)}


def bar_name(one: Profile, width: int = 0) -> str:
    """A bar's setting, H where it is not of the given width, and what its form is beyond our module's own."""
    other = f" H={one.case.H}" if width != one.case.H else ""
    return f"E={one.case.E} T={one.case.T}{other}{BARS.get(one.form, '')}"


def alt(found: Sequence[Profile]) -> str:
    """All bars, for who cannot see them."""
    bars = []
    for one in found:
        words = ", ".join(f"{ROLES.get(name, name)} {number(us)}" for name, us in pieces(one).items() if us)
        ceilings = "" if math.isnan(one.ceiling) else f" (ceilings {number(one.ceiling)})"
        bars.append(f"{CELLS[one.case.cell]} {bar_name(one)} {spoken(one.wall)}{ceilings}: {words}")
    return f"Microseconds a step by kernel: {'; '.join(bars)}."


def data(found: Sequence[Profile]) -> pd.DataFrame:
    """What stands behind the figure and the tables: a row a kernel."""
    rows = []
    for one in found:
        whole = one.case._asdict() | {"form": one.form, "wall": one.wall, "busy": one.busy, "ceiling": one.ceiling}
        rows += [whole | kernel._asdict() for kernel in one.kernels]
    return pd.DataFrame(rows)
