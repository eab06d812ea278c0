"""What is demanded, as plain data: ratios of times, and slopes of cost; set before anything was measured.

A ratio is the peer's time over ours, formed round by round; met where its 95 % interval lies at or above the target,
missed where it lies below, open where the target lies within. Each target is asked of both forms in turn: of NumPy
alone, and of the loop that numba compiles, which is the way where NumPy alone does not get there.
"""

from __future__ import annotations

from typing import NamedTuple

FORMS = ("numpy_fast", "numpy_compiled")
"""Contenders that a target may be met by; each must be a subject that all laws judge."""

T, DTYPE = 100, "float32"
SIZES = ((32, 16), (64, 32), (128, 32), (128, 128), (256, 64))
"""H and B of the comparisons; D = H."""

GROUP_SIZES = ((32, 16), (64, 32))
GROUPS = (4, 8, 16)


class Target(NamedTuple):
    """The least ratio of a peer's time to ours.

    Attributes:
        part: "sizes" (one model) or "groups".
        cell, H, B, E: the setting; D = H, T = 100, float32.
        peer: whom.
        threads: what each side may choose among, the one with the lower median.
        ratio: the least.
    """

    part: str
    cell: str
    H: int
    B: int
    E: int
    peer: str
    threads: tuple[int, ...]
    ratio: float


class Slope(NamedTuple):
    """Bounds of the log-log slope of cost in `of`, fitted from `least` on."""

    of: str
    least: int
    cell: str
    low: float = 0.9
    high: float = 1.1


def least(H: int, *steps: tuple[int, float]) -> float:
    """The ratio of the first step (largest H, ratio) that H does not exceed."""
    return next(ratio for largest, ratio in steps if largest >= H)


RNN = tuple(
    Target("sizes", "rnn", H, B, 1, "torch_nn", (1,), least(H, (32, 5.0), (64, 3.0), (1 << 30, 1.7))) for H, B in SIZES
)
USUAL = tuple(
    Target("sizes", "lstm", H, B, 1, "numpy_usual", (1,), least(H, (64, 2.5), (1 << 30, 1.4))) for H, B in SIZES
)
LSTM_RATIOS = {(32, 16): 0.5, (64, 32): 0.8, (128, 32): 0.8, (128, 128): 1.1}
LSTM = tuple(Target("sizes", "lstm", H, B, 1, "torch_nn", (1,), ratio) for (H, B), ratio in LSTM_RATIOS.items())
MODELS = tuple(Target("groups", "lstm", H, B, E, "torch_nn", (1, 2), 1.5) for H, B in GROUP_SIZES for E in GROUPS)
TARGETS = (*RNN, *USUAL, *LSTM, *MODELS)

SLOPES = tuple(Slope(of, least, cell) for of, least in (("T", 100), ("E", 8)) for cell in ("rnn", "lstm"))
