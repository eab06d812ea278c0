"""What is measured, as plain data: starts, widths, lags, seeds, and what each group is expected to cost."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.gradient_flow import parts
from experiments.gradient_flow.starts import CELL_ALONE, EXACT, MEASURED, Start
from experiments.harness.sweep import Group

D, H, B = 8, 64, 1
"""Inputs, width and sequences a seed of claim N15; a setting of another width carries it in its path."""

LAG = 100
"""The lag of claim N15."""


class Preset(NamedTuple):
    """One size of the sweep: time steps, and the number of seeds by width."""

    T: int
    seeds: dict[int, int]


PRESETS = {
    "smoke": Preset(24, {H: 8}),
    "tour": Preset(120, {H: 16}),
    "quick": Preset(120, {H: 16, 256: 16}),
    "full": Preset(120, {H: 16, 128: 16, 256: 16, 512: 16}),
}


def lags(T: int, width: int) -> list[int]:
    """The lags that are kept: every one to 5, every fifth to 20, every tenth from there, and the last, T - 1.

    At other widths than H a few are enough: they only tell how the large-H forms are approached.
    """
    if width != H:
        return few(T)
    return [lag for lag in range(T) if lag <= 5 or (lag <= 20 and lag % 5 == 0) or lag % 10 == 0 or lag == T - 1]


def few(T: int) -> list[int]:
    """The lags at which all other metrics than the norm and the direct path are kept."""
    return sorted({0, 1, 10, LAG // 2, LAG, T - 1} & set(range(T)))


def groups(preset: str, options: Any) -> list[Group]:
    """Every start at every width; all seeds of a setting are one group. Exact cases run at width H only."""
    T, widths = PRESETS[preset]
    measured = [group(start, width, T, n, options) for width, n in widths.items() for start in MEASURED]
    return measured + [group(start, H, T, widths[H], options) for start in (*EXACT, *CELL_ALONE)]


def group(start: Start, width: int, T: int, seeds: int, options: Any) -> Group:
    """One setting of the sweep, in the order of its seeds."""
    setting = start.setting if width == H else f"{start.setting}/H={width}"
    settings = {"start": start.setting, "D": D, "H": width, "B": B, "T": T, "lags": lags(T, width), "lag": LAG}
    settings |= {"few": few(T), "jacobian": width == H}
    return parts.group("lags", setting, settings, range(seeds), options, cost(start.cell, width, T, seeds, width == H))


SECONDS = {"rnn": (6e-5, 9e-10), "lstm": (1e-4, 1.3e-9)}
"""Core-seconds on one AVX-512 core, forward and back: a step of the group; beside it an entry of a model's weights."""

JACOBIAN = 1.5e-9
"""Core-seconds of the singular values of one Jacobian, one of n^3."""


def cost(cell: str, width: int, T: int, seeds: int, jacobian: bool) -> float:
    """Predicted core-seconds of a group."""
    step, entry = SECONDS[cell]
    blocks, n = {"rnn": (1, width), "lstm": (4, 2 * width)}[cell]
    whole = len(few(T)) * seeds * JACOBIAN * n**3 if jacobian else 0.0
    return T * (step + entry * seeds * blocks * width * (width + D)) + whole
