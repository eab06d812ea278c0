"""What is measured, as plain data: cells with a start, linear maps, widths, seeds and steps."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.gradient_flow import parts
from experiments.gradient_flow.starts import BIASES, GAINS, Start
from experiments.harness.sweep import Group

D, T_MAX = 8, 120
"""Inputs; and chrono's longest time, that of the part "lags"."""

BURN, BEHIND = 100, 50
"""Steps before and after those that count: to the stationary state, and for QR to turn to its directions."""

DRIVEN = (
    Start("rnn", "torch"),
    *(Start("rnn", "gaussian", gain) for gain in GAINS),
    *(Start("rnn", "orthogonal", gain) for gain in (0.8, 1.5, 3.0)),
    Start("lstm", "torch"),
    *(Start("lstm", "forget_bias", bias) for bias in BIASES),
    Start("lstm", "chrono"),
)
"""Cells with inputs from N(0, 1)."""

LINEAR = ("fresh", "gaussian", "orthogonal", "identity")
"""h' = W h: a tanh RNN at h = 0. W is drawn anew at every step (fresh), or once."""

LINEAR_GAINS = (0.8, 1.0, 1.5)


class Preset(NamedTuple):
    """One size of the sweep: seeds, the widths of the driven RNN, and that of the LSTM and the linear maps; steps."""

    seeds: int
    rnn: tuple[int, ...]
    others: int
    steps: int
    gains: tuple[float, ...] = LINEAR_GAINS


PRESETS = {
    "smoke": Preset(8, (8,), 8, 20, (1.5,)),
    "tour": Preset(8, (32,), 32, 100, (1.5,)),
    "quick": Preset(16, (32, 64), 32, 250),
    "full": Preset(16, (32, 64, 128, 256), 64, 1000),
}


def groups(preset: str, options: Any) -> list[Group]:
    """Every start at every width, every linear map at every gain."""
    seeds, widths, others, steps, gains = PRESETS[preset]
    every = [(start, H) for start in DRIVEN for H in (widths if start.cell == "rnn" else (others,))]
    driven = [group(start, H, seeds, steps, options, start.cell == "lstm" or widths[-1] == H) for start, H in every]
    return driven + [linear(kind, gain, others, seeds, steps, options) for kind in LINEAR for gain in gains]


def group(start: Start, H: int, seeds: int, steps: int, options: Any, every: bool = True) -> Group:
    """A driven cell; of one that has `every` exponent drawn at another width the largest is kept."""
    settings = {"start": start.setting, "D": D, "H": H, "T_max": T_MAX, "steps": steps, "every": every}
    name, size = f"spectrum/{start.setting}/H={H}", H * (2 if start.cell == "lstm" else 1)
    return parts.group("spectrum", name, settings, range(seeds), options, cost(size, seeds, steps))


def linear(kind: str, gain: float, H: int, seeds: int, steps: int, options: Any) -> Group:
    """A linear map."""
    settings = {"linear": kind, "gain": gain, "H": H, "steps": steps, "every": True}
    name = f"spectrum/linear/kind={kind}/gain={gain:g}/H={H}"
    return parts.group("spectrum", name, settings, range(seeds), options, cost(H, seeds, steps))


def cost(n: int, seeds: int, steps: int) -> float:
    """Predicted core-seconds of a group with n exponents a model."""
    return (steps + BURN + BEHIND) * seeds * (STEP + ENTRY * n**3)


STEP, ENTRY = 3e-5, 7e-10
"""Core-seconds on one AVX-512 core: a step of a model; beside it, of its QR, one of n^3."""
