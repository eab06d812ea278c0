"""Every kind of kernel that a plan may choose, on small shapes, within the derived bounds: for compute-sanitizer.

    python -m properties.twins.small_kernels                 on a card: a line a case, exit code 4 if one is wrong
    python -m properties.twins.small_kernels --part 2/6      every sixth of them, from the second on
    python -m properties.twins.small_kernels --device cpu    under Triton's interpreter

A case is a forward and a backward in either direction, of a cell in a kind of number on a path, for one model or three,
with lengths or without. Its line says the largest error as a fraction of the bound that the referee derives for a
correct subject (referee.py), and in which array. A gradient by the last state that a row carries is a sum of two
numbers, which may take all of its bound: such gradients are judged, and shown only where a case is wrong. The referee
needs python-flint and Hypothesis. Each array is an allocation of its own (PYTORCH_NO_CUDA_MEMORY_CACHING), so that a
neighbour's memory excuses nothing. Under that setting torch records no CUDA graph: the stepped kernels are started one
by one.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from properties import revision

NUMBERS = ("ieee", "tf32x3", "bf16", "float64")

CARRIED = ("h_t", "c_t")
"""Gradients by the states carried out of each step."""

NEEDED = {"triton": "triton", "python-flint": "flint", "hypothesis": "hypothesis"}
"""What the kernels and the referee import, beside torch: by the name that installs it, its module."""

WRONG = 4
"""The exit code where a case is wrong: Python's own is 1 where it cannot start or import, or an exception ends it."""

T, B, D = 3, 3, 5
PROCESSORS = {4: 1 << 20, 8: 2, 16: 0}
"""With so many multiprocessors three models of three rows run in programs of 4, 8 or 16 rows (Config.spread)."""


class Case(NamedTuple):
    """One case; `rows` of a program, 0 where the plan has one configuration alone; `ragged`: with lengths."""

    cell: str
    number: str
    path: str
    H: int
    E: int | None
    ragged: bool
    rows: int

    def __str__(self) -> str:
        models = "one model" if self.E is None else f"{self.E} models"
        rows = f", programs of {self.rows} rows" if self.rows else ""
        return f"{self.cell} {self.number} {self.path}, H={self.H}, {models}{', lengths' if self.ragged else ''}{rows}"


def cases(hidden: Sequence[int]) -> Iterator[Case]:
    """All cases; those of few rows a program for three models on the persistent path of float32."""
    for H, number, cell, path in product(hidden, NUMBERS, ("rnn", "rnn_relu", "lstm"), ("persistent", "stepped")):
        for E, ragged in product((None, 3), (False, True)):
            few = number == "ieee" and path == "persistent" and E is not None
            for rows in PROCESSORS if few else (0,):
                yield Case(cell, number, path, H, E, ragged, rows)


def part_of(word: str) -> tuple[int, int]:
    """Which of how many parts, of a word like 2/6."""
    k, _, n = word.partition("/")
    if not (k.isdecimal() and n.isdecimal() and 1 <= int(k) <= int(n)):
        raise argparse.ArgumentTypeError(f"must be K/N with 1 <= K <= N; got {word!r}")
    return int(k), int(n)


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m properties.twins.small_kernels", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--part", type=part_of, default=(1, 1), metavar="K/N")
    parser.add_argument("--hidden", type=int, nargs="+", default=[16, 20], metavar="H", help="sizes (default: 16 20)")
    return parser.parse_args(words)


def prepare(device: str) -> str:
    """Sets the environment that torch and triton read when they are first imported; a line if they cannot run."""
    os.environ["TRITON_INTERPRET"] = "1" if device == "cpu" else "0"
    os.environ["PYTORCH_NO_CUDA_MEMORY_CACHING"] = "1"
    return (revision.absent if device == "cpu" else revision.lacking)("small_kernels", NEEDED)


def drawn(case: Case, device: str) -> tuple[Any, ...]:
    """Parameters, x, initial state, cotangents of the outputs and of the last state, lengths.

    A unit of rnn_relu stays far from its kink, where a rounding of bfloat16 would choose another slope.
    """
    import torch

    from impl import draw
    from impl.spec import GATES, STATES, Parameters

    rng = draw.generator("small kernels", *map(str, case))
    dtype = torch.float64 if case.number == "float64" else torch.float32
    put = lambda a: torch.tensor(a, dtype=dtype, device=device)  # noqa: E731
    normal = lambda *shape: put(rng.normal(size=shape) / case.H**0.5)  # noqa: E731
    E, H, kind = () if case.E is None else (case.E,), case.H, STATES[case.cell]
    N = len(GATES[case.cell]) * H
    params = Parameters(normal(*E, N, D), normal(*E, N, H), normal(*E, N), normal(*E, N))
    if case.cell == "rnn_relu":
        far = put([9.0 if n % 2 else -9.0 for n in range(N)])
        params = params._replace(bias_ih=params.bias_ih + far, weight_hh=params.weight_hh / 10)
    first, last = (kind(*(normal(*E, B, H) for _ in kind._fields)) for _ in range(2))
    lengths = torch.tensor([T, 0, 2], device=device) if case.ragged else None
    return params, normal(T, *E, B, D), first, normal(T, *E, B, H), last, lengths


def shares(case: Case, device: str) -> dict[str, float]:
    """The largest error in each array of the kernels, as a fraction of its bound, over both directions."""
    from impl.torch_twin.kernels import fused
    from properties import on_card
    from properties.twins import referee

    options = {"precision": "ieee" if case.number == "float64" else case.number, "force": case.path}
    products = on_card.products_of(case.number, device)
    params, x, first, dh, last, lengths = drawn(case, device)
    worst: dict[str, float] = {}
    for reverse in (False, True):
        call = case.cell, params, x, first, dh, last, lengths, reverse
        found = referee.shares(referee.ran(fused, *call, **options), *call, products=products)
        worst = {name: max(share, worst.get(name, 0.0)) for name, share in found.items()}
    return worst


def judge(case: Case, device: str) -> bool:
    """Runs a case on as many multiprocessors as give its programs their rows, prints a line; whether it is right."""
    from impl.torch_twin.kernels import common

    processors_of = common.processors_of
    if case.rows:
        common.processors_of = lambda device: PROCESSORS[case.rows]
    try:
        found = shares(case, device)
    finally:
        common.processors_of = processors_of
    right = max(found.values()) <= 1
    shown = {name: share for name, share in found.items() if not right or name not in CARRIED}
    name = max(shown, key=shown.__getitem__)
    print(f"{'right' if right else 'WRONG'}  {case}: {shown[name]:.2g} of its bound, in {name}", flush=True)
    return right


def start_directly() -> None:
    """Stepped loops start their kernels one by one: recording a graph, torch may not allocate without its cache."""
    from impl.torch_twin.kernels import stepped

    def run(work: Any, read: Any, written: Any, loop: Any, what: Any) -> None:
        with stepped.device_of(work.w_hh):
            loop(work)

    stepped._run = run


def main(words: Sequence[str] | None = None) -> int:
    """Runs the cases; WRONG if one is, 2 if none can run. An exception's own exit code is 1."""
    options = arguments(words)
    needed = prepare(options.device)
    if needed:
        print(needed, file=sys.stderr)
        return 2
    start_directly()
    k, n = options.part
    right = [judge(case, options.device) for case in list(cases(options.hidden))[k - 1 :: n]]
    print(f"{sum(right)} of {len(right)} cases are right")
    return 0 if all(right) else WRONG


if __name__ == "__main__":
    sys.exit(main())
