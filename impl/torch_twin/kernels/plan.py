"""Which kernels run a time loop on which card: plain data, and the rule that reads it.

A loop is persistent, the weights on the chip over all steps, where a configuration is listed whose compiled kernel has
no stack (a spill ruins a time loop) and whose shared memory the card has; else it is stepped. What each kernel needs
stands in compiled.csv; `python -m impl.torch_twin.kernels.compiled --check` compiles them all again.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from impl.spec import check_common

from .common import Config

PRECISIONS = ("ieee", "tf32x3", "bf16")
PATHS = ("persistent", "stepped")

SHARED = {(8, 0): 163, (8, 6): 99, (8, 7): 163, (8, 9): 99, (9, 0): 227}
"""Shared memory that one program may have, KiB, by compute capability.

Source: CUDA C++ Programming Guide, technical specifications by compute capability.
"""

UNKNOWN = 48
"""KiB that every card has; of cards not listed no more is taken."""


INTERPRETER = 256
"""The largest P of the interpreter, which forms all products of 16 rows in one tile of 2^20 numbers at most."""


class Plan(NamedTuple):
    """How a call runs: P is H padded as the work arrays have it; `why` says it in a sentence."""

    forward: Config
    backward: Config
    P: int
    precision: str
    why: str


STEPPED = Config("stepped", 4, "", 0)

_RNN = {
    ("forward", "ieee"): {16: (4, "", 2048), 32: (4, "", 6144), 64: (8, "", 20480), 128: (4, "late", 81920)},
    ("forward", "tf32x3"): {16: (4, "", 3072), 32: (4, "", 12288), 64: (8, "", 40960), 128: (8, "", 147456)},
    ("forward", "bf16"): {
        16: (4, "", 2048),
        32: (4, "", 5120),
        64: (8, "", 14336),
        128: (4, "", 45056),
        256: (16, "", 155648),
    },
    ("forward", "float64"): {16: (4, "", 4096), 32: (4, "", 12288), 64: (16, "", 40960), 128: (8, "", 147456)},
    ("backward", "ieee"): {16: (4, "", 3072), 32: (4, "", 6144), 64: (8, "", 20480), 128: (8, "", 81920)},
    ("backward", "tf32x3"): {16: (4, "", 3072), 32: (4, "", 12288), 64: (8, "", 40960), 128: (8, "", 147456)},
    ("backward", "bf16"): {
        16: (4, "", 1536),
        32: (4, "", 4096),
        64: (8, "", 12288),
        128: (8, "", 40960),
        256: (16, "", 147456),
    },
    ("backward", "float64"): {16: (4, "", 6144), 32: (4, "", 14336), 64: (8, "", 45056), 128: (8, "", 155648)},
}
_LSTM = {
    ("forward", "ieee"): {16: (4, "", 5120), 32: (8, "", 18432), 64: (8, "joined", 69632)},
    ("forward", "tf32x3"): {16: (4, "", 9216), 32: (4, "", 36864), 64: (8, "", 139264)},
    ("forward", "bf16"): {
        16: (4, "hoist", 3072),
        32: (4, "hoist", 11264),
        64: (8, "hoist", 38912),
        128: (8, "", 143360),
    },
    ("forward", "float64"): {16: (8, "", 10240), 32: (4, "", 36864), 64: (8, "", 139264)},
    ("backward", "ieee"): {16: (4, "", 9216), 32: (4, "", 24576), 64: (8, "", 81920)},
    ("backward", "tf32x3"): {16: (4, "", 9216), 32: (4, "", 36864), 64: (8, "", 139264)},
    ("backward", "bf16"): {16: (4, "", 3072), 32: (4, "", 10240), 64: (8, "", 36864), 128: (16, "", 139264)},
    ("backward", "float64"): {16: (8, "", 10240), 32: (4, "", 51200)},
}

_FEWER = {
    ("rnn", "forward"): {
        16: ((4, 1, 2, 1280), (8, 2, 4, 1536)),
        32: ((4, 1, 4, 4608), (8, 2, 4, 5120)),
        64: ((4, 1, 4, 17408), (8, 2, 4, 18432)),
        128: ((4, 1, 4, 69632), (8, 2, 4, 73728)),
    },
    ("rnn", "backward"): {
        16: ((4, 1, 2, 1280), (8, 2, 4, 1536)),
        32: ((4, 1, 4, 4608), (8, 2, 4, 6144)),
        64: ((4, 1, 4, 18432), (8, 2, 4, 18432)),
        128: ((4, 1, 8, 69632), (8, 2, 4, 73728)),
    },
    ("lstm", "forward"): {
        16: ((4, 1, 2, 4352), (8, 2, 4, 4608)),
        32: ((4, 1, 4, 16896), (8, 2, 8, 17408)),
        64: ((4, 1, 4, 67584), (8, 1, 8, 69632)),
    },
    ("lstm", "backward"): {
        16: ((4, 1, 2, 5120), (8, 2, 2, 6656)),
        32: ((4, 1, 4, 18432), (8, 2, 2, 20480)),
        64: ((4, 1, 2, 69632), (8, 2, 4, 73728)),
    },
}
"""Of float32 ("ieee"), which alone is multiplied without tensor cores: other programs with fewer rows.

Rows, how many programs side by side, warps, shared memory. The quickest of 1 to 16 warps on an H100 (T=100, B=64): 4
rows at 1 and 8 models, 8 rows at 32. An LSTM's forward of 64 units takes 334 us with two programs of 8 rows side by
side and 348 with one of 16; but Triton 3.6 spills the former for sm_80.
"""


def _config(cell: str, direction: str, number: str, P: int, warps: int, variant: str, shared: int) -> Config:
    fewer = _FEWER[cell, direction].get(P, ()) if number == "ieee" else ()
    others = (Config("persistent", w, variant, needs, rows, beside) for rows, beside, w, needs in fewer)
    return Config("persistent", warps, variant, shared, fewer=tuple(others))


PERSISTENT: dict[tuple[str, str, str, int], Config] = {
    (cell, direction, number, P): _config(kind, direction, number, P, *config)
    for cell, kind, found in (("rnn", "rnn", _RNN), ("rnn_relu", "rnn", _RNN), ("lstm", "lstm", _LSTM))
    for (direction, number), by_size in found.items()
    for P, config in by_size.items()
}
"""By cell, direction ("forward", "backward"), kind of number (a precision of float32, or "float64") and P."""


@cache
def plan(
    cell: str, H: int, dtype: Any, precision: str, capability: tuple[int, int] | None, force: str | None = None
) -> Plan:
    """Chooses the path of either direction.

    Args:
        cell: a name in impl.spec.COMMON.
        H: hidden units.
        dtype: float32 or float64, of torch or by name.
        precision: "ieee"; of float32 also "tf32x3" or "bf16".
        capability: the card's compute capability; None for the interpreter, which has no limit.
        force: a path that is to be taken.
    Raises:
        ValueError: a cell, precision or path that there is not.
    """
    check_common(cell, "the kernels know no other")
    number = number_of(dtype, precision)
    if force not in (None, *PATHS):
        raise ValueError(f"`force` must be {' or '.join(PATHS)}, or None; got {force!r}.")
    P = max(16, 1 << (H - 1).bit_length())
    limit = limit_of(capability)
    found = [loop(cell, direction, number, P, limit, force) for direction in ("forward", "backward")]
    if force == "persistent" and STEPPED in found:
        raise ValueError(f"`force` must not be persistent, since {reason(cell, number, H, P, limit)}.")
    padded = P if any(config.path == "persistent" for config in found) else H
    why = f"Forward {found[0].path}, backward {found[1].path}: {reason(cell, number, H, P, limit)}."
    return Plan(*found, padded, precision, why)


def loop(cell: str, direction: str, number: str, P: int, limit: int | None, force: str | None) -> Config:
    """The configuration of one direction's loop."""
    config = PERSISTENT.get((cell, direction, number, P), STEPPED)
    if limit is None and force == "persistent" and config is STEPPED and P <= INTERPRETER:
        config = Config("persistent", 8, "", 0)
    return STEPPED if force == "stepped" or (limit is not None and config.shared > limit) else config


def reason(cell: str, number: str, H: int, P: int, limit: int | None) -> str:
    """What the persistent loops would need, and what the card has."""
    card = "the interpreter has no limit" if limit is None else f"a program of this card may have {limit // 1024} KiB"
    needs = [PERSISTENT.get((cell, direction, number, P)) for direction in ("forward", "backward")]
    texts = ["no clean kernel" if need is None else f"{-(-need.shared // 1024)} KiB" for need in needs]
    return f"{cell} of H={H} padded to {P} in {number} needs {texts[0]} forward and {texts[1]} backward, and {card}"


def limit_of(capability: tuple[int, int] | None) -> int | None:
    """Bytes of shared memory that a program may have; None where there is no limit, 0 where no kernel is compiled."""
    if capability is None:
        return None
    return 1024 * (SHARED.get(tuple(capability), UNKNOWN) if tuple(capability) >= (8, 0) else 0)


def number_of(dtype: Any, precision: str) -> str:
    """The kind of number that a call computes with: a precision, or "float64"."""
    double = str(dtype).split(".")[-1] == "float64"
    allowed = PRECISIONS[:1] if double else PRECISIONS
    if precision not in allowed:
        why = f"{'float64' if double else 'float32'} has no other"
        raise ValueError(f"`precision` must be {' or '.join(allowed)}, since {why}; got {precision!r}.")
    return "float64" if double else precision
