"""The process that measures: settings come as a line of JSON on its standard input, results leave on its output.

It is fresh for each group, so that allocators, compilers and thread pools are as a user's program has them, and it ends
when its parent does. Lines {"done": n, "total": n} come while it runs; at the end comes one {"records": [...]}, each a
list of setting, metric, index and value.
"""

from __future__ import annotations

import csv
import json
import math
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote

from threadpoolctl import threadpool_limits

from experiments.harness.executor import keep_buffers
from experiments.speed import measure
from experiments.speed.case import Case, given
from experiments.speed.contenders import explain, missing
from experiments.speed.measure import Entry

Row = tuple[str, str, float, float]
COMPILED = Path(__file__).parents[2] / "impl" / "torch_twin" / "kernels" / "compiled.csv"


def main() -> None:
    """Reads the settings, measures, and writes the records."""
    settings = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    own_output()
    os.dup2(2, 1)  # what libraries, and the compilers that they start, print is no result
    sys.stdout = sys.stderr
    if settings["malloc"] == "tuned":
        keep_buffers()
    part = {"time": times, "machine": machine}[settings["part"]]
    with threadpool_limits(1, user_api="blas"):  # NumPy's products; torch's threads are set for each contender
        tell({"records": list(part(settings))})


def end_with_parent() -> None:
    """The parent holds the other end of the standard input for as long as it lives."""
    while os.read(0, 1):
        pass
    os._exit(1)


@cache
def own_output() -> TextIO:
    """The standard output that the process began with, for the parent alone."""
    return os.fdopen(os.dup(1), "w")


def tell(line: dict[str, Any]) -> None:
    """A line for the parent."""
    print(json.dumps(line), file=own_output(), flush=True)


def mark(done: int, total: int) -> None:
    """How far the process is."""
    tell({"done": done, "total": total})


def times(settings: dict[str, Any]) -> Iterator[Row]:
    """Every entry that can run, measured; those that cannot, with the reason."""
    entries = [Entry(part, contender, threads, Case(*case)) for part, contender, threads, case in settings["entries"]]
    ready = measure.ready(entries, mark)
    absent = {(entry.part, entry.contender, why) for entry, why in zip(entries, ready, strict=True) if type(why) is str}
    for part, contender, why in sorted(absent):
        yield f"missing/{part}/contender={contender}/reason={escaped(why)}", "missing", 0, 1
    runners = [runner for runner in ready if type(runner) is not str]
    for runner, values in zip(runners, measure.measured(runners, settings["rounds"], mark), strict=True):
        rounds = values.pop("us_per_step")
        numbers = [("us_per_step", n, value) for n, value in enumerate(rounds)]
        numbers += [(metric, 0, value) for metric, value in values.items()]
        yield from ((runner.entry.name, *number) for number in numbers if not math.isnan(number[-1]))


def machine(settings: dict[str, Any]) -> Iterator[Row]:
    """Ceilings, what this machine is, which engine our module takes, what the kernels' compiler said."""
    product_rate, copy_rate = measure.RATES[settings["device"]]
    for size in settings["products"]:
        for n, rate in enumerate(product_rate(*size, settings["rounds"])):
            yield f"ceiling/product={'x'.join(map(str, size))}", "gflop_per_s", n, rate
    for size in settings["copies"]:
        for n, rate in enumerate(copy_rate(size, settings["rounds"])):
            yield f"ceiling/copy={size}", "gbyte_per_s", n, rate
    told = {"processor": settings["processor"], "card": settings["card"] or "none", **settings["packages"]}
    for name, value in told.items():
        yield f"machine/{name}={escaped(value)}", "is", 0, 1
    yield "machine/cores", "cores", 0, settings["cores"]
    yield from explained(settings["explain"])
    if settings["kernels"]:
        yield from kernels()


def explained(cases: list[list[Any]]) -> Iterator[Row]:
    """What `explain` of our module says, on every device there is."""
    devices = ["cpu"] if not cases or missing("cuda_auto") else ["cpu", "cuda"]
    for device in devices:
        for case in (Case(*sizes) for sizes in cases):
            text = escaped(explain(case, given(case._replace(T=2)), device))
            yield f"explain/device={device}/{case.name}/text={text}", "is", 0, 1


def kernels() -> Iterator[Row]:
    """The table of kernels that were compiled without a card, counted by architecture and kind of number."""
    if not COMPILED.exists():
        return
    rows = list(csv.DictReader(COMPILED.read_text("utf-8").splitlines()))
    keys = ("arch", "number", "path")
    counts = {name: Counter() for name in ("kernels", "spilling", "ok")}
    for row in rows:
        key = tuple(row[name] for name in keys)
        counts["kernels"][key] += 1
        counts["spilling"][key] += int(row["stack"]) > 0
        counts["ok"][key] += row["ok"] == "True"
    for metric, found in counts.items():
        for key, count in found.items():
            yield "kernels/" + "/".join(f"{n}={v}" for n, v in zip(keys, key, strict=True)), metric, 0, count


def escaped(text: str) -> str:
    """Text within a setting: what would end a part of it, and line ends, as %XX."""
    return quote(text, safe=" ,.:;()'[]{}<>@+-_~*&?!$|^`\"")


if __name__ == "__main__":
    main()
