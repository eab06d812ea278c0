"""From the records of a profile to numbers: what each kernel took, what it must take, and where the excess lies.

A kernel's floors are those of its task: to read and write its arrays once at the rate of the largest copy, and to form
its products at that of the fastest product. A loop's third is what its steps take in series, measured of one program
alone on the card, which no further multiprocessor shortens. All times are microseconds a step.

Where the weights do not stay on the chip every step starts a product of a library's and a kernel that does the rest:
then the kernels of a step take in series what those of a model of few rows take. What is formed of bfloat16 has no
floor of products, since the rate of none is measured; its arrays are float32's. One model's arrays may stay in the
card's cache, where the largest copy's rate bounds nothing: its floors of memory are small beside all others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
import pandas as pd

from experiments.speed.case import Case
from experiments.speed.numbers import CASE, SOURCES, Ceilings, flops, traffic
from experiments.speed_gpu.sweep import LONE, ROUNDED
from impl.spec import GATES
from properties.record import parse_setting

ROLES = {
    "projection": "input's product",
    "forward": "forward loop",
    "backward": "backward loop",
    "steps": "products of single steps",
    "gradient": "weights' gradient",
    "rest": "sums and copies",
}
"""What kernels are there for, and what readers call it, in the order in which they meet it."""

PATTERNS = {
    "projection": r"^affine",
    "forward": r"^(forward_loop|(rnn|lstm)_forward)",
    "backward": r"^(backward_loop|(rnn|lstm)_backward)",
    "gradient": r"gemm|gemv|cutlass|splitk|nvjet",
    "rest": "",
}
"""Roles by a pattern of kernels' names; the first that matches.

No name tells the products of single steps ("steps") from the weights' gradient: they are those that every step starts.
"""

LOOPS = ("forward", "backward")
SERIES = (*LOOPS, "steps")
"""What runs step after step."""

REGISTERS, RESERVED = 65536, 1024
"""Registers of a multiprocessor, and bytes of shared memory that each program takes beside its own.

Source: CUDA C++ Programming Guide, technical specifications of compute capability 8.0 to 9.0.
"""


class Kernel(NamedTuple):
    """Kernels of one role, microseconds a step; NaN is what is not known or does not bound them.

    Attributes:
        us: measured. calls: a pass.
        memory, product: floors.
        latency: of what runs step after step the least that this takes in series, of whatever few rows.
        alone: of a loop what its programs take one by one with a multiprocessor to their own, times the waves of them.
        programs: of the largest start. waves: how often the card is filled with them, the last time perhaps in part.
        fill: the share of the multiprocessors that have a program, on average over the waves.
    """

    role: str
    us: float
    calls: float
    memory: float
    product: float
    latency: float
    alone: float
    programs: int
    waves: float
    fill: float


class Profile(NamedTuple):
    """One form at one setting; times are microseconds a step, means over the middle half of the calls.

    Means, since those of parts add up to that of the whole, as medians do not; of the middle half, since a call that
    something else held up is no measure.

    Attributes:
        wall: a call's time without a profiler. busy: in which at least one kernel ran.
        overlap: what that is beyond the kernels' times added, call by call; at most zero.
        ceiling: what the fastest product and the largest copy allow a whole step; NaN where products are bfloat16's.
    """

    case: Case
    form: str
    wall: float
    busy: float
    overlap: float
    ceiling: float
    kernels: tuple[Kernel, ...]

    @property
    def stepped(self) -> bool:
        """Whether every step starts kernels of its own."""
        return any(kernel.role == "steps" for kernel in self.kernels)


class Excess(NamedTuple):
    """A step's time in parts that add up to it; microseconds.

    Attributes:
        ceiling: what the ceilings allow, as far as it was not undercut; NaN where that is not known.
        gap: the card waits for the processor; below zero where kernels take longer under the profiler.
        memory: every kernel's own reads and writes, beyond what a step as a whole must move or multiply; all floors
            that are known where that is not.
        latency: what steps take in series at least, beyond that.
        pace: what a multiprocessor takes beyond that for the rows of its programs.
        waves: multiprocessors without a program.
        crowd: what loops take beyond that, since programs run beside one another; what single steps' kernels that are
            no products take for more rows than the fewest.
        products: what products outside of persistent loops take beyond these.
        rest: sums, copies and what else no step asks for.
        overlap: kernels side by side, at most zero.
    """

    ceiling: float
    gap: float
    memory: float
    latency: float
    pace: float
    waves: float
    crowd: float
    products: float
    rest: float
    overlap: float


# Records


class Known(NamedTuple):
    """What bounds kernels: ceilings, what programs share, us a step of one program by LONE_KEYS and rows."""

    top: Ceilings
    card: dict[str, float]
    lone: dict[tuple[Any, ...], float]


LONE_KEYS = ["cell", "H", "dtype", "form", "role"]


class Place(NamedTuple):
    """What is profiled: a form at a setting, and whether every step starts kernels of its own."""

    case: Case
    form: str
    stepped: bool


def profiles(frame: pd.DataFrame, top: Ceilings) -> list[Profile]:
    """Every form at every setting of which the profiler saw the kernels; the LSTM's before the RNN's, by E, T and B."""
    known = Known(top, card_of(frame), lone_of(entries(frame, LONE[0])))
    keys = entries(frame, "profile").groupby([*CASE, "form"])
    seen = [(key, some) for key, some in keys if "busy_us" in set(some.metric)]
    return [profile(Case(*case), form, some, known) for (*case, form), some in seen]


def entries(frame: pd.DataFrame, part: str) -> pd.DataFrame:
    """The records of a part with their settings' parts as columns; of a form as a whole the kernel is ""."""
    rows = frame[frame.source.isin(SOURCES) & frame.setting.str.startswith(f"{part}/cell=")]
    told = pd.DataFrame([parse_setting(setting) for setting in rows.setting], index=rows.index)
    told = told.reindex(columns=[*CASE, "form", "kernel"]).fillna("").astype(dict.fromkeys(SIZES, int))
    told = told.assign(role=told.kernel.map(role_of), metric=rows.metric, call=rows["index"], value=rows.value)
    told.loc[started_by_steps(told), "role"] = "steps"
    return told


def started_by_steps(rows: pd.DataFrame) -> pd.Series:
    """Which rows tell of a library's product that a pass starts at least once a step."""
    of = [*CASE, "form", "kernel"]
    often = rows[(rows.role == "gradient") & (rows.metric == "calls") & (rows.value >= rows["T"])]
    return pd.MultiIndex.from_frame(rows[of]).isin(pd.MultiIndex.from_frame(often[of]))


SIZES = ("E", "T", "B", "D", "H")


def card_of(frame: pd.DataFrame) -> dict[str, float]:
    """What programs share, as the card tells it."""
    rows = frame[frame.source.isin(SOURCES) & (frame.setting == "profile/card")]
    return dict(zip(rows.metric, rows.value, strict=True))


def lone_of(rows: pd.DataFrame) -> dict[tuple[Any, ...], float]:
    """Microseconds a step of all kernels of a role that one program's steps start; the median over calls."""
    some = rows[rows.role.isin(SERIES) & (rows.metric == "us")]
    calls = some.assign(value=some.value / some["T"]).groupby([*LONE_KEYS, "B", "call"]).value.sum()
    return calls.groupby([*LONE_KEYS, "B"]).median().to_dict()


def role_of(kernel: str) -> str:
    """What a kernel is there for, by its name as records have it; "" of no kernel."""
    name = unquote(kernel)
    return next(role for role, pattern in PATTERNS.items() if re.search(pattern, name, re.IGNORECASE)) if name else ""


def profile(case: Case, form: str, rows: pd.DataFrame, known: Known) -> Profile:
    """One form at one setting, from its records."""
    whole = rows[rows.role == ""].pivot(index="call", columns="metric", values="value") / case.T
    calls = whole.loc[middle(whole.busy_us)]
    table = kernels_of(rows, calls.index)
    place = Place(case, form, "steps" in table.index)
    kernels = [kernel_of(role, table.loc[role], place, known) for role in ROLES if role in table.index]
    wall, busy, overlap = whole.wall_us[middle(whole.wall_us)], calls.busy_us, calls.busy_us - calls.sum_us
    allowed = max(flops(case) / (known.top.product * 1e3), traffic(case) / (known.top.memory * 1e3))
    allowed = math.nan if form in ROUNDED else allowed
    return Profile(case, form, wall.mean(), busy.mean(), overlap.mean(), allowed, tuple(kernels))


def middle(times: pd.Series) -> pd.Index:
    """The calls without the quickest quarter and the slowest."""
    edge = len(times) // 4
    return times.sort_values(kind="stable").index[edge : len(times) - edge]


def kernels_of(rows: pd.DataFrame, calls: pd.Index) -> pd.DataFrame:
    """A row a kernel: microseconds, the mean over these calls, and what else is told of it."""
    some = rows[(rows.role != "") & ((rows.metric != "us") | rows.call.isin(calls))]
    return some.pivot_table(index=["role", "kernel"], columns="metric", values="value")


def kernel_of(role: str, rows: pd.DataFrame, place: Place, known: Known) -> Kernel:
    """All kernels of one role as one, with what bounds them."""
    moved, multiplied = task(role, place.case, place.stepped)
    largest = rows.loc[rows.us.idxmax()]
    return Kernel(
        role,
        rows.us.sum() / place.case.T,
        rows.calls.sum(),
        moved / (known.top.memory * 1e3),
        2 * multiplied / (rate(role, place.form, known.top) * 1e3),
        *serial(role, place, largest, known),
        int(largest.programs),
        waves(largest, known.card),
        fill(largest, known.card),
    )


# Floors


def rate(role: str, form: str, top: Ceilings) -> float:
    """GFLOP/s of the fastest product as a role's are formed: NaN of bfloat16's; the weights' gradient is float32's."""
    return math.nan if form in ROUNDED and role in ("projection", *SERIES) else top.product


def task(role: str, case: Case, stepped: bool = False) -> tuple[float, float]:
    """The least bytes that kernels of a role read and write in a step, and their multiply-adds.

    Numbers a row, G gates: the projection reads x and writes G*H; an LSTM's forward loop reads these, writes the gates,
    c and h, and h once more in the user's layout; its backward loop reads gates, c and dh, writes G*H. An RNN's reads
    and writes no gates and no c: its backward reads h. The weights' gradient reads G*H, x and h. Weights are left out:
    over T steps they are nothing. What is not one of these need not be at all.

    Where every step starts kernels (`stepped`) the products of both loops are kernels of their own. What these and the
    loops' other kernels hand each other within a step, and the weights, may stay in the card's cache: no bytes.
    """
    G, D, H = len(GATES[case.cell]), case.D, case.H
    lstm, inside = case.cell == "lstm", 0 if stepped else G * H * H
    numbers, products = {
        "projection": (D + G * H, G * H * D),
        "forward": ((2 * G + 3) * H if lstm else 3 * H, inside),
        "backward": ((2 * G + 2) * H if lstm else 3 * H, inside),
        "steps": (0, 2 * G * H * H if stepped else 0),
        "gradient": (G * H + D + H, G * H * (D + H)),
        "rest": (0, 0),
    }[role]
    rows = case.E * case.B
    return float(rows * numbers * np.dtype(case.dtype).itemsize), float(rows * products)


def serial(role: str, place: Place, kernel: Any, known: Known) -> tuple[float, float]:
    """Of a loop the least that any lone program takes, and what those of its own rows take, wave by wave.

    A kernel that every step starts has no program that stays: of it only the first is known.
    """
    case, form = place.case, place.form.removesuffix("_graph")  # in a graph kernels are the same
    same = {key[-1]: us for key, us in known.lone.items() if key[:-1] == (case.cell, case.H, case.dtype, form, role)}
    own = math.nan if place.stepped else same.get(rows_of(case, kernel.programs), math.nan)
    return min(same.values(), default=math.nan), own * waves(kernel, known.card)


def rows_of(case: Case, programs: float) -> int:
    """The rows of a loop's programs, which share a model's batch evenly."""
    return math.ceil(case.B / max(1, programs // case.E))


def waves(kernel: Any, card: dict[str, float]) -> float:
    """How often the card is filled with programs; NaN where it is not known."""
    if not card or not kernel.programs or not kernel.threads:
        return math.nan
    return math.ceil(kernel.programs / (card["processors"] * beside(kernel, card)))


def beside(kernel: Any, card: dict[str, float]) -> int:
    """How many programs a multiprocessor runs at the same time, by threads, registers and shared memory."""
    registers = 8 * math.ceil(max(kernel.registers, 1) / 8) * kernel.threads
    rooms = card["threads"] // kernel.threads, REGISTERS // registers, card["shared"] // (kernel.shared + RESERVED)
    return max(1, int(min(rooms)))


def fill(kernel: Any, card: dict[str, float]) -> float:
    """The share of multiprocessors that have a program: all of them in every wave but the last, whose spread first."""
    full = waves(kernel, card) - 1
    if math.isnan(full):
        return math.nan
    last = kernel.programs - full * card["processors"] * beside(kernel, card)
    return (full + min(1.0, last / card["processors"])) / (full + 1)


# Where the excess lies


def excess(found: Profile) -> Excess:
    """The parts of a step's time; each floor as far as the kernel was not quicker."""
    sums = dict.fromkeys(("floors", "latency", "pace", "waves", "crowd", "products", "rest"), 0.0)
    for kernel in found.kernels:
        for name, value in parts(kernel).items():
            sums[name] += value
    floors = sums.pop("floors")
    if all(math.isnan(kernel.memory) for kernel in found.kernels):
        floors = math.nan
    told = not math.isnan(found.ceiling)
    ceiling = min(found.ceiling, floors) if told else math.nan
    gap = found.wall - found.busy
    return Excess(ceiling, gap, memory=floors - ceiling if told else floors, overlap=found.overlap, **sums)


def parts(kernel: Kernel) -> dict[str, float]:
    """One kernel's time in parts: how far each level goes beyond those before it, the last without an end."""
    floor = float(np.fmax(kernel.memory, kernel.product))
    if kernel.role == "rest":
        levels = {"rest": math.inf}
    elif kernel.role in LOOPS:
        levels = {"floors": floor, "latency": kernel.latency, "pace": kernel.alone * kernel.fill}
        levels |= {"waves": kernel.alone, "crowd": math.inf}
    elif kernel.role in SERIES:
        levels = {"floors": floor, "latency": kernel.latency, "products": math.inf}
    else:
        levels = {"floors": floor, "products": math.inf}
    found, reached = {}, 0.0
    for name, level in levels.items():
        further = reached if math.isnan(level) else max(reached, min(kernel.us, level))
        found[name], reached = further - reached, further
    return found


def at(found: Sequence[Profile], cell: str, form: str, **sizes: int) -> Profile | None:
    """The profile of a form at a setting; None where there is none."""
    same = (p for p in found if (p.case.cell, p.form) == (cell, form))
    return next((p for p in same if all(getattr(p.case, name) == size for name, size in sizes.items())), None)
