"""What is demanded on a GPU, as plain data: ratios of times, and a share of a ceiling; slopes as on the CPU.

Set before anything was measured, from what others have published of their kernels and from the hardware's rates.
"""

from __future__ import annotations

from typing import NamedTuple

from experiments.speed.targets import DTYPE, T

__all__ = ["DTYPE", "TARGETS", "T", "Target"]

EXACT = ("cuda_nn", "cuda_nn_streams", "cuda_graph")
"""Peers in float32 throughout. FlashRNN has TF32 or bfloat16 alone: it is compared with what is no more exact."""


class Target(NamedTuple):
    """The least ratio of the time of the fastest of some peers to ours, for an LSTM; D = H, T = 100.

    Attributes:
        E, H, B: the setting.
        form: ours.
        peers: of whom the fastest counts.
        ratio: the least, 1 where ours is to be ahead; NaN where the ratio is told beside, and nothing is demanded.
    """

    E: int
    H: int
    B: int
    form: str
    peers: tuple[str, ...]
    ratio: float


RECORDED = "cuda_nn_graph"
"""A peer beyond those that the targets name, and the strongest: cuDNN without the processor's part of a call."""

BETWEEN = (144, 160, 192)
"""H of one model's further comparisons: of 129 to 192, where a target is set, the ends and between."""

AHEAD = (*BETWEEN, 256)
"""H where our kernels are to be ahead with one LSTM; up to 128 nothing is promised, and `auto` may take cuDNN."""

BESIDE = float("nan")
TARGETS = (
    *(Target(32, H, 64, "cuda_fused", EXACT, 3.0) for H in (32, 64)),
    Target(32, 64, 64, "cuda_fused_bf16", ("flashrnn_bf16",), 2.0),
    *(Target(1, H, 64, "cuda_fused", EXACT, 1.0) for H in AHEAD),
    *(Target(1, H, 64, "cuda_fused", EXACT, BESIDE) for H in (32, 64, 128)),
    *(Target(1, H, 64, "cuda_auto", EXACT, BESIDE) for H in AHEAD),
    *(Target(1, H, 64, "cuda_fused_graph", (*EXACT, RECORDED), BESIDE) for H in AHEAD),
    *(Target(E, H, 64, "cuda_fused", ("cuda_nn",), BESIDE) for E in (8, 32) for H in (32, 64)),
    *(Target(E, H, 64, "cuda_fused_graph", (*EXACT, RECORDED), BESIDE) for E in (8, 32) for H in (32, 64)),
    *(Target(32, H, 64, "cuda_fused", (RECORDED,), BESIDE) for H in (32, 64)),
    *(Target(32, H, 64, "cuda_fused_tf32x3", ("flashrnn",), BESIDE) for H in (32, 64)),
)
CEILING = 2.0
"""The most times that our LSTM of E=32, B=64 at WIDTHS may take what the measured ceilings allow."""

WIDTHS = (64, 32)
"""H of that target; the first is that of ladders and profiles."""

CAPPED = tuple(Target(32, H, 64, "cuda_fused", (), BESIDE) for H in WIDTHS)
"""Where that target is asked: no peer takes part, so no ratio of times is set."""
