"""What is measured, as plain data: starts, depths, widths, seeds, and what each group is expected to cost."""

from __future__ import annotations

from typing import Any

from experiments.gradient_flow import parts
from experiments.gradient_flow.lags.sweep import PRESETS as ONE_LAYER
from experiments.gradient_flow.lags.sweep import B, D, H, Preset, lags
from experiments.gradient_flow.starts import STARTS, Start
from experiments.harness.sweep import Group

DEPTHS = (1, 2, 4)
"""Layers of a stack, as in claim N21."""

STACKED = tuple(
    STARTS[name]
    for name in (
        "rnn/start=torch",
        "rnn/start=orthogonal/gain=1",
        "lstm/start=torch",
        "lstm/start=forget_bias/b_f=1",
        "lstm/start=forget_bias/b_f=3",
        "lstm/start=chrono",
    )
)
"""What every layer of a stack starts from."""

PRESETS = {
    "smoke": ONE_LAYER["smoke"],
    "tour": Preset(120, {H: 16}),
    "quick": Preset(120, {H: 16, 256: 8}),
    "full": Preset(120, {H: 16, 256: 8, 512: 16}),
}
"""A width other than H is run at the largest depth only: it tells how the forms for large H are approached."""


def groups(preset: str, options: Any) -> list[Group]:
    """Every start at every depth and width; all seeds of a setting are one group."""
    T, widths = PRESETS[preset]
    return [
        group(start, layers, width, T, seeds, options)
        for width, seeds in widths.items()
        for start in STACKED
        for layers in (DEPTHS if width == H else DEPTHS[-1:])
    ]


def group(start: Start, layers: int, width: int, T: int, seeds: int, options: Any) -> Group:
    """One setting of the sweep, in the order of its seeds; its records add the layer, 1 the lowest."""
    setting = f"layers/cell={start.setting}/layers={layers}" + (f"/H={width}" if width != H else "")
    settings = {"start": start.setting, "layers": layers, "D": D, "H": width, "B": B, "T": T, "lags": lags(T, width)}
    return parts.group("layers", setting, settings, range(seeds), options, cost(start.cell, layers, width, T, seeds))


SECONDS = {"rnn": (6e-5, 5e-10), "lstm": (1.1e-4, 7e-10)}
"""Core-seconds on one AVX-512 core, forward and back: a step of a layer; beside it an entry of a model's weights."""


def cost(cell: str, layers: int, width: int, T: int, seeds: int) -> float:
    """Predicted core-seconds of a group."""
    step, entry = SECONDS[cell]
    rows = {"rnn": 1, "lstm": 4}[cell] * width
    columns = layers * width + D + (layers - 1) * width
    return T * (layers * step + entry * seeds * rows * columns)
