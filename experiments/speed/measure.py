"""How time and memory are measured: contenders in turn within each round, so that ratios are formed round by round.

A machine's speed drifts; what runs next to each other drifts alike. In each round every contender is measured once, in
an order that the round rotates. One measurement is a call that is not timed, where a call is short, and then as many
calls as take LEAST seconds.
"""

from __future__ import annotations

import ctypes
import gc
import math
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_info

from experiments.speed.case import Case, given
from experiments.speed.contenders import CONTENDERS, Work, missing
from impl.numpy_twin.fast_products import memory

LEAST = 5e-3
"""Seconds that a measurement takes at least."""

LONG = 20e-3
"""Seconds from which a call needs no other before it: what the one before left in caches is then no matter."""

BUDGET = 20.0
"""Seconds of measurements after which an entry sits out the rest of the rounds: torch's threads wait for each other by
spinning, and where something else has a core a call takes hundreds of times as long."""

WARM = {"cpu": 1, "cuda": 3}
"""Untimed calls at the start: compilers, allocators, threads and graphs settle."""


class Entry(NamedTuple):
    """A contender on a case, with a number of threads; `part` is the comparison that it stands in."""

    part: str
    contender: str
    threads: int
    case: Case

    @property
    def name(self) -> str:
        """The setting of its records."""
        return f"{self.part}/{self.case.name}/contender={self.contender}/threads={self.threads}"


class Runner(NamedTuple):
    """An entry that is ready: its work, which is over when it returns, and how many calls a measurement has."""

    entry: Entry
    work: Work
    calls: int
    long: bool


def ready(entries: Sequence[Entry], checkpoint: Callable[[int, int], None]) -> list[Runner | str]:
    """Every entry made ready and warm, or the reason why it cannot run; on a card any error is a reason."""
    found: list[Runner | str] = []
    for entry in entries:
        found.append(missing(entry.contender))
        try:
            found[-1] = found[-1] or prepared(entry)
        except Exception as error:
            if CONTENDERS[entry.contender].device == "cpu":
                raise
            found[-1] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        checkpoint(len(found), 2 * len(entries))
    return found


def measured(runners: Sequence[Runner], rounds: int, checkpoint: Callable[[int, int], None]) -> list[dict[str, Any]]:
    """Measures in turn what is ready.

    Returns:
        For each us_per_step by round (NaN where it sat out); calls a measurement, cores kept busy, threads of
        torch and of NumPy's BLAS as they say themselves; bytes at the peak (NaN where the system does not tell).
    """
    times, cores = np.full((len(runners), rounds), np.nan), np.full((len(runners), rounds), np.nan)
    gc.collect()
    gc.freeze()
    gc.disable()
    for round_, n in in_turn(len(runners), rounds):
        if n == round_ % len(runners):
            gc.collect()
            checkpoint(rounds + round_, 2 * rounds)  # not oftener: it wakes the parent, on a core that may be in use
        if np.nansum(times[n]) * runners[n].calls < BUDGET:
            times[n, round_], cores[n, round_] = timed(runners[n])
    gc.enable()
    gc.unfreeze()
    return [
        {
            "us_per_step": (times[n] / runner.entry.case.T * 1e6).tolist(),
            "calls": runner.calls,
            "cores_busy": float(np.nanmedian(cores[n])),
            **threads_of(runner.entry),
            "peak_bytes": peak_bytes(runner),
        }
        for n, runner in enumerate(runners)
    ]


def in_turn(count: int, rounds: int) -> Iterator[tuple[int, int]]:
    """(round, entry): each entry once a round, in an order that begins with another one each time."""
    for round_ in range(rounds):
        for place in range(count):
            yield round_, (place + round_) % count


def prepared(entry: Entry) -> Runner:
    """An entry made ready and warm."""
    contender = CONTENDERS[entry.contender]
    set_threads(entry.threads)
    work = finished(contender.prepare(entry.case, given(entry.case), entry.threads), contender.device)
    for _ in range(WARM[contender.device]):
        work()
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    return Runner(entry, work, max(1, math.ceil(LEAST / seconds)), seconds > LONG)


def finished(work: Work, device: str) -> Work:
    """Work that is over when it returns: on a card calls return before that."""
    if device == "cpu":
        return work
    import torch

    def whole() -> None:
        work()
        torch.cuda.synchronize()

    return whole


def timed(runner: Runner) -> tuple[float, float]:
    """Seconds a call, and processor seconds over seconds."""
    set_threads(runner.entry.threads)
    if not runner.long:
        runner.work()
    busy, start = time.process_time(), time.perf_counter()
    for _ in range(runner.calls):
        runner.work()
    seconds = time.perf_counter() - start
    return seconds / runner.calls, (time.process_time() - busy) / seconds


def set_threads(threads: int) -> None:
    """torch's threads, where torch is there; NumPy's products always have one (the child's environment says so)."""
    if "torch" in sys.modules and sys.modules["torch"].get_num_threads() != threads:
        sys.modules["torch"].set_num_threads(threads)


def threads_of(entry: Entry) -> dict[str, float]:
    """The threads of torch and of NumPy's BLAS while an entry is measured, as they say themselves."""
    set_threads(entry.threads)
    blas = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    torch = sys.modules.get("torch")
    return {
        "torch_threads": torch.get_num_threads() if torch else math.nan,
        "blas_threads": max(blas, default=math.nan),
    }


def peak_bytes(runner: Runner) -> float:
    """The most memory that a call adds to the process, NaN where the system does not tell.

    Linux: free memory is given back first, the process's high-water mark is reset, and after a call it is compared with
    what was resident before. What the contender keeps from call to call (parameters, inputs, gradients, workspaces that
    it holds on to) is no part. On a card: torch's own count.
    """
    if CONTENDERS[runner.entry.contender].device == "cuda":
        return card_bytes(runner.work)
    try:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        before = status("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")
        runner.work()
        return max(0.0, status("VmHWM") - before)
    except (OSError, AttributeError, TypeError):
        return math.nan


def card_bytes(work: Work) -> float:
    """The most memory on the card that a call adds."""
    import torch

    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    return float(torch.cuda.max_memory_allocated() - before)


def status(field: str) -> float:
    """A size of this process from /proc/self/status, in bytes."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"), re.MULTILINE)
    return float(found[1]) * 1024


# Ceilings


def product_rate(M: int, K: int, N: int, rounds: int) -> list[float]:
    """GFLOP/s of NumPy's float32 product (M, K) @ (K, N) into memory that is there, one thread, by round.

    All three begin at a line of cache: a ceiling should be what the machine can do.
    """
    rng = np.random.default_rng(0)
    a, b, out = (memory(shape, np.float32) for shape in ((M, K), (K, N), (M, N)))
    a[...], b[...] = (rng.normal(size=array.shape) for array in (a, b))
    return [2e-9 * M * K * N / seconds for seconds in repeated(lambda: np.matmul(a, b, out), rounds)]


def copy_rate(size: int, rounds: int) -> list[float]:
    """GB/s read and written by a copy of `size` bytes with one thread, by round."""
    source, target = np.ones(size // 4, np.float32), np.empty(size // 4, np.float32)
    return [2e-9 * size / seconds for seconds in repeated(lambda: np.copyto(target, source), rounds)]


def card_product_rate(M: int, K: int, N: int, rounds: int) -> list[float]:
    """GFLOP/s of torch's float32 product (M, K) @ (K, N) on the card, TF32 not allowed, by round."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    generator = torch.Generator("cuda").manual_seed(0)
    a, b = (torch.randn(*shape, device="cuda", generator=generator) for shape in ((M, K), (K, N)))
    out = torch.empty(M, N, device="cuda")
    work = finished(lambda: torch.mm(a, b, out=out), "cuda")
    return [2e-9 * M * K * N / seconds for seconds in repeated(work, rounds)]


def card_copy_rate(size: int, rounds: int) -> list[float]:
    """GB/s read and written by a copy of `size` bytes within the card, by round."""
    import torch

    source, target = torch.ones(size // 4, device="cuda"), torch.empty(size // 4, device="cuda")
    work = finished(lambda: target.copy_(source), "cuda")
    return [2e-9 * size / seconds for seconds in repeated(work, rounds)]


RATES = {"cpu": (product_rate, copy_rate), "cuda": (card_product_rate, card_copy_rate)}


def repeated(work: Callable[[], Any], rounds: int) -> Iterator[float]:
    """Seconds a call, by round; each a measurement of LEAST seconds."""
    work()
    start = time.perf_counter()
    work()
    calls = max(1, math.ceil(LEAST / (time.perf_counter() - start)))
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            work()
        yield (time.perf_counter() - start) / calls
