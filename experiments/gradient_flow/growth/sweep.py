"""What is measured, as plain data: gains, widths, draws, rows and steps."""

from __future__ import annotations

from typing import Any, NamedTuple

from experiments.gradient_flow import parts
from experiments.harness.sweep import Group

BURN, BEHIND = 200, 50
"""Steps before and after those that count."""

CHUNK = 16
"""Models at once."""

CHAOTIC = (1.5, 2.0, 3.0)
QUIET = 0.8


class Size(NamedTuple):
    """One width: draws of W a seed, starting points a draw, steps that count."""

    N: int
    draws: int
    rows: int
    steps: int


class Preset(NamedTuple):
    """One size of the sweep: seeds, and what each of them draws. Small widths scatter more, so they get more draws."""

    seeds: int
    sizes: tuple[Size, ...]


PRESETS = {
    "smoke": Preset(2, (Size(200, 1, 1, 40), Size(400, 1, 1, 40), Size(800, 1, 1, 40))),
    "tour": Preset(8, (Size(200, 4, 2, 200), Size(400, 4, 2, 200), Size(800, 1, 4, 200))),
    "quick": Preset(16, (Size(200, 16, 2, 400), Size(400, 16, 4, 400), Size(800, 2, 8, 400))),
    "full": Preset(16, (Size(200, 64, 4, 800), Size(400, 64, 4, 800), Size(800, 8, 16, 800))),
}


def groups(preset: str, options: Any) -> list[Group]:
    """A group a gain; below gain 1 one width, whose exponent is that of the linear map."""
    size = PRESETS[preset]
    middle = size.sizes[1]._replace(draws=1)
    every = [(gain, size.sizes) for gain in CHAOTIC] + [(QUIET, (middle,))]
    return [group(gain, sizes, size.seeds, options) for gain, sizes in every]


def group(gain: float, sizes: tuple[Size, ...], seeds: int, options: Any) -> Group:
    """One gain at some widths."""
    settings = {"gain": gain, "sizes": [list(size) for size in sizes]}
    return parts.group("growth", f"growth/gain={gain:g}", settings, range(seeds), options, cost(gain, sizes, seeds))


def cost(gain: float, sizes: tuple[Size, ...], seeds: int) -> float:
    """Predicted core-seconds of a group."""
    each = [draws * (steps + BURN + BEHIND) * (STEP + PRODUCT * rows * N * N) for N, draws, rows, steps in sizes]
    radii = [draws * EIGENVALUES * N**3 for N, draws, *_ in sizes if gain <= 1]
    return seeds * sum(each + radii)


STEP, PRODUCT = 2e-5, 2.1e-10
"""Core-seconds on one AVX-512 core, forward and back: a step of a model; beside it an entry of W, a row."""

EIGENVALUES = 6e-9
"""Core-seconds of the eigenvalues of W, one of N^3."""
