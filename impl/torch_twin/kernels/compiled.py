"""Compiles, without a card, every kernel that a plan may choose, and says what each needs.

    python -m impl.torch_twin.kernels.compiled            prints the table
    python -m impl.torch_twin.kernels.compiled --write    writes it to compiled.csv, beside this file
    python -m impl.torch_twin.kernels.compiled --check    compares it with compiled.csv
    ... --only lstm:forward:ieee:64                       of some rows: fields from the left, repeatable

It ends with 1 where a kernel spills, needs more shared memory than the card has or than the plan says, or differs from
compiled.csv under `--check`. Kernels are compiled as one call would have them on aligned memory, H a run-time argument.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice, starmap
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from . import lstm, pointwise, project, rnn
from .common import INTERPRETED, Config
from .plan import PERSISTENT, PRECISIONS, STEPPED, limit_of

TABLE = Path(__file__).with_suffix(".csv")
CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
ARCHES = (80, 90)
FEW = 16
"""So many are compiled sooner than another process is ready to."""
POINTERS = {"a", "w_hh", "h0", "c0", "x", "w", "b", "out", "dh", "product", "da", "lengths"}
EVEN = ("K", "N", "x_t", "x_e", "x_b", "w_e", "w_n", "w_k", "b_e", "out_t", "out_e", "out_b")
PREFIXES = ("saved", "states", "last", "dlast", "dstate", "carry")


class Kernel(NamedTuple):
    """One kernel: where the table has it, its function, its compile-time arguments.

    `even` names integers that are multiples of 16, as triton is told of them.
    """

    cell: str
    direction: str
    number: str
    P: int
    config: Config
    function: Any
    constants: dict[str, Any]
    even: tuple[str, ...] = ()


class Row(NamedTuple):
    """A row of the table: sizes in bytes, mma instructions counted, and by which triton.

    P, and the rows of a time loop, are 0 where any may be.
    """

    cell: str
    direction: str
    number: str
    P: int
    rows: int
    arch: int
    path: str
    warps: int
    variant: str
    registers: int
    stack: int
    shared: int
    limit: int
    tensor_core: int
    ok: bool
    triton: str


def kernels() -> Iterator[Kernel]:
    """All that a plan may choose: the persistent loops, and what every path or the stepped one needs."""
    for (cell, direction, number, P), config in PERSISTENT.items():
        module = lstm if cell == "lstm" else rnn
        for one in (*config.fewer, config):
            constants = {"P": P, "ROWS": one.rows, "PRECISION": precision_of(number), "VARIANT": one.variant}
            constants |= {} if cell == "lstm" else {"RELU": cell == "rnn_relu"}
            yield Kernel(cell, direction, number, P, one, getattr(module, f"{direction}_loop"), constants)
    tile = {"ROWS": pointwise.ROWS, "COLS": pointwise.COLS}
    for cell in ("rnn", "rnn_relu", "lstm"):
        for direction in ("forward", "backward"):
            for number in ("ieee", "float64"):
                function = getattr(pointwise, f"{'lstm' if cell == 'lstm' else 'rnn'}_{direction}")
                constants = tile | ({} if cell == "lstm" else {"RELU": cell == "rnn_relu"})
                yield Kernel(cell, direction, number, 0, STEPPED, function, constants)
    for number in (*PRECISIONS, "float64"):
        constants = project.blocks_of(number) | {"PRECISION": precision_of(number)}
        config = Config("both", project.warps_of(number, even=False), "", 0)
        yield Kernel("any", "projection", number, 0, config, project.affine, constants)
        even = Config("both", project.warps_of(number, even=True), "", 0)
        for direction, unit in (("even projection", "w_k"), ("even projection back", "w_n")) if even != config else ():
            names = tuple(name for name in EVEN if name != unit)
            yield Kernel("any", direction, number, 0, even, project.affine, constants | {unit: 1}, names)


def precision_of(number: str) -> str:
    """The precision of products by the kind of number."""
    return "ieee" if number == "float64" else number


def compile_for(kernel: Kernel, arch: int) -> Row:
    """Compiles a kernel for an architecture and reads what it needs."""
    function, float_ = kernel.function, "fp64" if kernel.number == "float64" else "fp32"
    signature, aligned = {}, {}
    for n, name in enumerate(function.arg_names):
        if name in kernel.constants:
            signature[name] = "constexpr"
        elif name in POINTERS or name.startswith(PREFIXES):
            signature[name] = "*i32" if name == "lengths" else f"*{float_}"
            aligned[(n,)] = [["tt.divisibility", 16]]
        else:
            signature[name] = "i32"
            if name in kernel.even:
                aligned[(n,)] = [["tt.divisibility", 16]]
    constants = {(function.arg_names.index(name),): value for name, value in kernel.constants.items()}
    source = ASTSource(function, signature, constants, aligned)
    built = triton.compile(source, target=GPUTarget("cuda", arch, 32), options={"num_warps": kernel.config.warps})
    registers, stack = usage(built.asm["cubin"])
    shared, limit = built.metadata.shared, limit_of(divmod(arch, 10))
    mma = len(re.findall(r"\bw?g?mma\S*\.sync", built.asm["ptx"]))
    ok = stack == 0 and shared <= (min(limit, kernel.config.shared) if kernel.P else limit)
    config = kernel.config
    what = *kernel[:4], config.rows if kernel.P else 0, arch, config.path, config.warps, config.variant
    return Row(*what, registers, stack, shared, limit, mma, ok, triton.__version__)


def usage(cubin: bytes) -> tuple[int, int]:
    """Registers a thread and bytes of stack, by NVIDIA's own tool."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        told = subprocess.run([CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
    return int(re.search(r"REG:(\d+)", told)[1]), int(re.search(r"STACK:(\d+)", told)[1])


def table(only: list[str]) -> list[Row]:
    """The rows of the kernels whose fields begin with one of `only`, or all of them, by one process a core."""
    chosen = [n for n, k in enumerate(kernels()) if not only or any(_begins(k, fields.split(":")) for fields in only)]
    jobs = [(n, arch) for n in chosen for arch in ARCHES]
    if len(jobs) <= FEW:
        return sorted(starmap(_row, jobs))
    with get_context("spawn").Pool() as pool:
        return sorted(pool.starmap(_row, jobs, chunksize=4))


def _row(n: int, arch: int) -> Row:
    """The row of the n-th kernel: a kernel itself does not travel from process to process."""
    return compile_for(next(islice(kernels(), n, None)), arch)


def _begins(kernel: Kernel, fields: list[str]) -> bool:
    return [str(field) for field in kernel[: len(fields)]] == fields


def text(rows: list[Row]) -> str:
    """The rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([Row._fields, *rows])
    return out.getvalue()


def read() -> list[dict[str, str]]:
    """The rows of compiled.csv, by field."""
    with TABLE.open() as file:
        return list(csv.DictReader(file))


def differences(rows: list[Row], some: bool) -> list[str]:
    """The lines that only the rows have, or only compiled.csv; of the latter none where the rows are but some."""
    found, known = set(text(rows).splitlines()), set(TABLE.read_text().splitlines())
    return sorted(found - known if some else found ^ known)


def main(arguments: list[str]) -> int:
    """Compiles, tells, and returns 1 where something is amiss."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write compiled.csv")
    parser.add_argument("--check", action="store_true", help="compare with compiled.csv")
    parser.add_argument("--only", action="append", default=[], metavar="CELL:DIRECTION:NUMBER:P")
    options = parser.parse_args(arguments)
    if INTERPRETED.value:  # the compiler needs a process of its own, since triton's import settles which it is
        command = [sys.executable, "-m", __spec__.name, *arguments]
        return subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "0"}, check=False).returncode
    rows = table(options.only)
    print(text(rows), end="")
    if options.write:
        TABLE.write_text(text(rows))
    wrong = [row for row in rows if not row.ok]
    for row in wrong:
        print(f"{row} spills, or needs more shared memory than there is.", file=sys.stderr)
    changed = differences(rows, bool(options.only)) if options.check else []
    for line in changed:
        print(f"compiled.csv and the kernels differ: {line}", file=sys.stderr)
    return 1 if wrong or changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
