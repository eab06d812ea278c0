"""Where a call's time goes: what the card ran as torch's profiler tells it, beside the call's time without a profiler.

A process as speed/child.py is one: settings come as a line of JSON, records leave. Of each entry the forward and
backward is made ready and warm, timed call by call, and then profiled in as many calls again. Where the profiler may
not look at the card, the reason is a record, and the times stand without it.
"""

from __future__ import annotations

import gc
import json
import math
import os
import re
import sys
import threading
import time
import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, NamedTuple

from experiments.speed.case import Case, Given, given
from experiments.speed.child import Row, end_with_parent, escaped, mark, own_output, tell
from experiments.speed.contenders import CONTENDERS, Work, missing
from experiments.speed.measure import WARM, Entry, finished, set_threads
from experiments.speed_gpu.sweep import LONE

PASS = "pass"
"""The mark around each profiled call."""

KINDS = {"cuda": ("kernel", "gpu_memcpy", "gpu_memset"), "cpu": ("cpu_op",)}
"""What a trace calls that which a device does: on a card kernels and copies, else torch's operators."""

LONGEST = 160
"""Characters of a kernel's name that are kept; those of templates have thousands."""


class Event(NamedTuple):
    """Something that a device did.

    Attributes:
        name: of the kernel.
        start, end: microseconds.
        programs, threads, registers, shared: its blocks, and of each its threads, their registers, shared memory in
            bytes; 0 where it is no kernel.
    """

    name: str
    start: float
    end: float
    programs: int = 0
    threads: int = 0
    registers: int = 0
    shared: int = 0


def main() -> None:
    """Reads the settings, measures, and writes the records."""
    settings = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    own_output()
    os.dup2(2, 1)  # as in speed/child.py
    sys.stdout = sys.stderr
    tell({"records": list(dict.fromkeys(profiles(settings)))})  # one reason may keep several entries from running


def profiles(settings: dict[str, Any]) -> Iterator[Row]:
    """The card, and every entry; of one that cannot run or be profiled the reason."""
    entries = [Entry(part, form, threads, Case(*case)) for part, form, threads, case in settings["entries"]]
    device = settings["device"]
    yield from card(device)
    reason = refusal(device)
    if reason:
        yield f"profiler/reason={escaped(reason)}", "missing", 0, 1
    for n, entry in enumerate(entries):
        yield from entry_rows(entry, settings["rounds"], device, sees=not reason)
        mark(n + 1, len(entries))


def card(device: str) -> Iterator[Row]:
    """What programs share: multiprocessors, and of each its threads and its shared memory in bytes.

    All or nothing: a torch that does not tell one of them costs the waves of programs, and no time.
    """
    import torch

    if device == "cuda" and torch.cuda.is_available():
        told = torch.cuda.get_device_properties(0)
        found = {metric: getattr(told, name, None) for metric, name in SHARED.items()}
        if None not in found.values():
            yield from (("profile/card", metric, 0, number) for metric, number in found.items())


SHARED = {
    "processors": "multi_processor_count",
    "threads": "max_threads_per_multi_processor",
    "shared": "shared_memory_per_multiprocessor",
}
"""Our words for a card's properties, and torch's."""


def entry_rows(entry: Entry, passes: int, device: str, sees: bool = True) -> Iterator[Row]:
    """One entry's records as far as it came; on a card any error is a reason, as in speed/measure.py."""
    reason = missing(entry.contender)
    try:
        yield from () if reason else measured(entry, passes, device, sees)
    except Exception as error:
        if device == "cpu":
            raise
        reason = f"not profiled: {sentence(error)}"
    if reason:
        yield f"missing/{entry.part}/contender={entry.contender}/reason={escaped(reason)}", "missing", 0, 1


def measured(entry: Entry, passes: int, device: str, sees: bool) -> Iterator[Row]:
    """Times without a profiler, and what it then sees, where it sees anything."""
    name = f"{entry.part}/{entry.case.name}/form={entry.contender}"
    set_threads(entry.threads)
    with programs_of(entry.case.B) if entry.part == LONE[0] else nullcontext():
        work = CONTENDERS[entry.contender].prepare(entry.case, arrays_of(entry.case), entry.threads)
        whole = finished(work, device)
        for _ in range(WARM[device]):
            whole()
        gc.collect()
        yield from rows_of(name, [TIMERS[device](work) for _ in range(passes)], ())
        if sees:
            _, *seen = events_of(traced(whole, passes + 1, device), device)  # in the first call the profiler settles
            yield from rows_of(name, (), seen)


@lru_cache(1)
def arrays_of(case: Case) -> Given:
    """The arrays of a case, which its forms share: to draw the largest takes seconds."""
    return given(case)


@contextmanager
def programs_of(rows: int) -> Iterator[None]:
    """Within it programs of loops have so many rows, where there is such a kernel, however few models there are."""
    from impl.torch_twin.kernels import plan

    kept = dict(plan.PERSISTENT)
    for key, config in kept.items():
        same = (fewer for fewer in config.fewer if fewer.rows == rows)
        plan.PERSISTENT[key] = next(same, config)._replace(fewer=())
    plan.plan.cache_clear()
    try:
        yield
    finally:
        plan.PERSISTENT.update(kept)
        plan.plan.cache_clear()


# Times without a profiler


def card_us(work: Work) -> float:
    """Microseconds of a call between two events on the card, which is idle before."""
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return 1e3 * start.elapsed_time(end)


def processor_us(work: Work) -> float:
    """Microseconds of a call on the processor."""
    start = time.perf_counter()
    work()
    return 1e6 * (time.perf_counter() - start)


TIMERS = {"cuda": card_us, "cpu": processor_us}


# What the profiler sees


def refusal(device: str) -> str:
    """Why the profiler sees nothing of what a device does; "" where it does, and where there is no such device.

    Asked once and at first, of a sum: where the driver keeps CUPTI from a user, torch writes so to standard error, once
    a process, and then gives traces without kernels.
    """
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        return ""
    ones, reason = torch.ones(64, device=device), ""
    with complaints() as said:
        try:
            events_of(traced(finished(lambda: ones + ones, device), 2, device), device)
        except Exception as error:
            reason = sentence(error)
    return f"{reason}; {cause(said)}" if reason else ""


@contextmanager
def complaints() -> Iterator[list[str]]:
    """Python's warnings, and the lines that any library writes to standard error within it; they leave it as ever."""
    said: list[str] = []
    kept = os.dup(2)
    with (
        TemporaryFile("w+", encoding="utf-8", errors="replace") as file,
        warnings.catch_warnings(record=True) as warned,
    ):
        warnings.simplefilter("always")
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            file.seek(0)
            said += [*(str(warning.message) for warning in warned), *file.read().splitlines()]
            os.write(2, "".join(f"{line}\n" for line in said).encode())


def cause(said: Sequence[str]) -> str:
    """What of these lines is about the profiler, without the time, the process and the file that stand before it."""
    lines = [re.sub(r"^[A-Z]+:\S+ [^\]]*\] ", "", line) for line in said if re.search(ABOUT, line, re.IGNORECASE)]
    return "; ".join(" ".join(line.split())[:LONGEST] for line in dict.fromkeys(lines[:3])) or UNTOLD


ABOUT = r"cupti|kineto|profil|privilege|permission"
UNTOLD = (
    "neither torch nor CUPTI said why (may this user read the card's counters: NVreg_RestrictProfilingToAdminUsers?)"
)
"""The driver's setting that keeps users out.

Source: NVIDIA, "Permission issue with performance counters" (ERR_NVGPUCTRPERM).
"""


def sentence(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def traced(work: Work, passes: int, device: str) -> dict[str, Any]:
    """The trace of so many calls, each of which is over before the next: what torch writes for Chrome's viewer."""
    from torch.profiler import ProfilerActivity, profile, record_function

    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with profile(activities=activities) as profiler:
        for _ in range(passes):
            with record_function(PASS):
                work()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        return json.loads(path.read_text("utf-8"), strict=False)


def events_of(trace: dict[str, Any], device: str) -> list[list[Event]]:
    """What the device did in each call: all whose middle lies behind its mark and before the next.

    Raises:
        RuntimeError: the trace has a call in which the device did nothing.
    """
    lines = [line for line in trace["traceEvents"] if line.get("ph") == "X"]
    marks = sorted(float(line["ts"]) for line in lines if (line.get("cat"), line["name"]) == ("user_annotation", PASS))
    found: list[list[Event]] = [[] for _ in marks]
    for event in (event_of(line) for line in lines if line.get("cat") in KINDS[device]):
        n = bisect_right(marks, (event.start + event.end) / 2) - 1
        if n >= 0:
            found[n].append(event)
    if not found or not all(found[1:]):
        raise RuntimeError(f"the profiler saw nothing on {device} in {found[1:].count([])} of {len(marks)} calls")
    return found


def event_of(line: dict[str, Any]) -> Event:
    """A line of a trace."""
    told, start = line.get("args", {}), float(line["ts"])
    sizes = [math.prod(told.get(name, (0,))) for name in ("grid", "block")]
    more = [int(told.get(name, 0)) for name in ("registers per thread", "shared memory")]
    return Event(line["name"][:LONGEST], start, start + float(line["dur"]), *sizes, *more)


def union(events: Sequence[Event]) -> float:
    """Microseconds in which at least one of them ran."""
    busy, until = 0.0, float("-inf")
    for event in sorted(events, key=lambda event: event.start):
        busy += max(0.0, event.end - max(event.start, until))
        until = max(until, event.end)
    return busy


# Records


def rows_of(name: str, times: Sequence[float], seen: Sequence[Sequence[Event]]) -> Iterator[Row]:
    """By call its time, the time in which the device was busy and the kernels' times added; then every kernel."""
    sums = [sum(event.end - event.start for event in events) for events in seen]
    for metric, values in (("wall_us", times), ("busy_us", map(union, seen)), ("sum_us", sums)):
        yield from ((name, metric, n, value) for n, value in enumerate(values))
    for kernel in sorted({event.name for events in seen for event in events}):
        yield from ((f"{name}/kernel={escaped(kernel)}", *row) for row in kernel_rows(kernel, seen))


def kernel_rows(name: str, seen: Sequence[Sequence[Event]]) -> Iterator[tuple[str, int, float]]:
    """A kernel's microseconds by call of ours, its calls within one, median, and what its largest start asked for."""
    own = [[event for event in events if event.name == name] for events in seen]
    largest = max((event for events in own for event in events), key=lambda event: event.programs)
    yield from (("us", n, sum(event.end - event.start for event in events)) for n, events in enumerate(own))
    yield "calls", 0, median(map(len, own))
    yield from ((field, 0, getattr(largest, field)) for field in ("programs", "threads", "registers", "shared"))


if __name__ == "__main__":
    main()
