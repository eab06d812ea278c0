"""What is measured, as plain data: arms, rates, clipping, checkpoints, seeds, and what each group should cost."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.gradient_flow import parts
from experiments.gradient_flow.starts import Start
from experiments.harness.sweep import Group

H, B, HELD_OUT, CLIP = 32, 32, 64, 1.0

ARMS = {
    "rnn_torch": Start("rnn", "torch"),
    "rnn_orthogonal": Start("rnn", "orthogonal", 1.0),
    "lstm_torch": Start("lstm", "torch"),
    "lstm_b1": Start("lstm", "forget_bias", 1.0),
    "lstm_chrono": Start("lstm", "chrono"),
}


class Run(NamedTuple):
    """An arm, Adam's rate, and the norm that gradients are clipped to; None: they are not."""

    arm: str
    lr: float
    clip: float | None

    @property
    def setting(self) -> str:
        """Its path, such as "training/arm=lstm_b1/lr=0.01/clip=1"."""
        clip = "none" if self.clip is None else f"{self.clip:g}"
        return f"training/arm={self.arm}/lr={self.lr:g}/clip={clip}"


class Length(NamedTuple):
    """One length of the sequences: what is run at it, for how many updates, on how many seeds."""

    T: int
    updates: int
    seeds: int
    runs: tuple[Run, ...]


def both(arms: tuple[str, ...], *rates: float) -> tuple[Run, ...]:
    """Arms at each of the rates, with and without clipping."""
    return tuple(Run(arm, lr, clip) for arm in arms for lr in rates for clip in (CLIP, None))


ALL = both(tuple(ARMS), 1e-2)
RATES = (Run("rnn_torch", 3e-3, CLIP), *both(("rnn_torch",), 3e-2))
"""An RNN's rate is another than an LSTM's: one below, at which clipping hardly matters, and one above."""

PRESETS = {
    "smoke": (Length(12, 30, 8, ALL),),
    "tour": (Length(50, 800, 8, (*both(("rnn_torch",), 1e-2), Run("lstm_b1", 1e-2, CLIP))),),
    "quick": (Length(50, 800, 8, (*ALL, *RATES)),),
    "full": (
        Length(50, 800, 8, (*ALL, *RATES)),
        Length(120, 3200, 16, both(tuple(ARMS), 3e-3, 1e-2, 3e-2)),
    ),
}


def checkpoints(updates: int) -> list[int]:
    """After how many updates a model is looked at: 0, 10, 30, then 100 and 150 times powers of 2, all."""
    later = [first * 2**n for n in range(10) for first in (100, 150)]
    return sorted({n for n in (0, 10, 30, *later) if n < updates} | {updates})


def lags(T: int) -> list[int]:
    """The lags that are kept: 0 and 1, every tenth, and T - 1."""
    return sorted({0, 1, T - 1} | set(range(10, T, 10)))


def ratio_lag(T: int) -> int:
    """The lag of the ratio that claim N15 takes at 100 of 120 steps: the same part of T, a kept lag."""
    return 5 * T // 60 * 10


def groups(preset: str, options: Any) -> list[Group]:
    """Every run at every length; all seeds of a run are one group."""
    return [group(run, length, options) for length in PRESETS[preset] for run in length.runs]


def group(run: Run, length: Length, options: Any) -> Group:
    """One run, in the order of its seeds."""
    T, updates, seeds, _ = length
    settings = {"arm": run.arm, "lr": run.lr, "clip": run.clip, "T": T, "H": H, "B": B, "held_out": HELD_OUT}
    settings |= {"updates": updates, "checkpoints": checkpoints(updates), "lags": lags(T)}
    setting, cell = f"{run.setting}/T={T}", ARMS[run.arm].cell
    return parts.group("training", setting, settings, range(seeds), options, cost(cell, T, updates, seeds), "float32")


SECONDS = {"rnn": (5e-4, 1.6e-5, 7.5e-6), "lstm": (6e-4, 4.0e-5, 2.75e-5)}
"""Core-seconds on one AVX-512 core: an update; in it a step, and a step of one model."""

LOOK = {"rnn": 8e-5, "lstm": 5e-4}
"""The same for a look at a checkpoint: a step of one model, in float64 and with more rows."""


def cost(cell: str, T: int, updates: int, seeds: int) -> float:
    """Predicted core-seconds of a group."""
    update, step, model = SECONDS[cell]
    looks = LOOK[cell] * T * seeds * len(checkpoints(updates))
    return updates * (update + T * (step + model * seeds)) + looks
