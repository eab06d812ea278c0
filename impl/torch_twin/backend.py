"""One switch over the engines of the time loop, each with the contract of `scan`: auto, eager, fused, vendor.

    eager    scan.py: the written loop in plain torch, on any device
    fused    kernels/fused.py: Triton kernels, many small models at once, on CUDA
    vendor   vendor.py: torch's own kernels, oneDNN's and cuDNN's among them; a group's models in turn

A backend that is named runs, or an error says why it cannot. `auto` takes the first of RULES that fits and whose
backend can do what is asked; `explain` tells which, why, and why not the others.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any, NamedTuple

import torch

from impl.spec import Array, Gradient, Parameters, Run, check_parameters, members, require_array

from . import scan, tf32, vendor
from .array import require_own

BACKENDS = ("eager", "fused", "vendor")
NAMES = ("auto", *BACKENDS)
PRECISIONS = ("ieee", "tf32", "tf32x3", "bf16")
"""How float32 products may be rounded: in float32, by TF32, by three of TF32, by bfloat16. No backend has them all."""


class Facts(NamedTuple):
    """What a rule looks at: one model has E = None or 1; `path` is that of the fused kernels' plan, None without."""

    device: str
    cell: str
    dtype: str
    E: int | None
    H: int
    states: bool
    path: str | None = None


class Rule(NamedTuple):
    """A line of `auto`: a backend and where it is taken. What is None does not matter.

    Attributes:
        backend: its name; `why` is a sentence, and `basis` says what it rests on.
        device, cell, dtype, path, states: must be the facts' own.
        models: "one" (E = None or 1) or "group".
        E, H: the least and the most.
    """

    backend: str
    why: str
    basis: str
    device: str | None = None
    cell: str | None = None
    dtype: str | None = None
    path: str | None = None
    states: bool | None = None
    models: str | None = None
    E: tuple[int, int] | None = None
    H: tuple[int, int] | None = None

    def fits(self, facts: Facts) -> bool:
        """Whether the facts are those of the rule."""
        same = (getattr(self, name) in (None, getattr(facts, name)) for name in ("device", "cell", "dtype", "path"))
        group = "one" if facts.E in (None, 1) else "group"
        spans = ((self.E, facts.E or 1), (self.H, facts.H))
        within = (span is None or span[0] <= n <= span[1] for span, n in spans)
        return all(same) and all(within) and self.models in (None, group) and self.states in (None, facts.states)


ANY = 1 << 62
RULES = (
    Rule(
        "fused",
        "a single LSTM whose weights do not stay on the chip: a CUDA graph takes .5 to .7 of the vendor path's time",
        "measured on an H100 at H=144 to 256, T=100, and at H=256, T=400, B=64",
        device="cuda",
        cell="lstm",
        dtype="float32",
        path="stepped",
        models="one",
        states=False,
        H=(144, ANY),
    ),
    Rule(
        "vendor",
        "a single model whose weights do not stay on the chip: cuDNN takes .25 to 1.2 of the time of a graph of steps",
        "measured on an H100, B=64: LSTM H=128 and RNN H=256 at T=100 and 400, RNN H=144 to 192 at T=100",
        device="cuda",
        models="one",
        states=False,
        path="stepped",
    ),
    Rule(
        "fused",
        "all models and steps run in a few kernels: our vendor path, where it has the cell, takes 1.1 to 2.2 times as "
        "long for one model (for which torch.nn itself may be faster), and for more 2 to 30 times",
        "measured on an H100, T=100, B=64, H to 128, float32; an estimate elsewhere",
        device="cuda",
    ),
    Rule(
        "vendor",
        "one model, and the fused kernels cannot run it",
        "by elimination",
        device="cuda",
        models="one",
        states=False,
    ),
    Rule("eager", "the state of every step is asked for, which it keeps anyway", "its contract", states=True),
    Rule(
        "vendor",
        "for one model torch's own kernels take at most 1.3 of eager's time, and .2 to .5 for a float32 LSTM",
        "measured on one core of an Intel Xeon, T=50",
        device="cpu",
        models="one",
    ),
    Rule(
        "vendor",
        "oneDNN's float32 LSTM, one model after the other, takes .2 to .9 of eager's time for so few models",
        "measured on one core of an Intel Xeon, T=50",
        device="cpu",
        cell="lstm",
        dtype="float32",
        E=(2, 16),
    ),
    Rule(
        "vendor",
        "oneDNN's float32 LSTM, one model after the other, takes .6 to .9 of eager's time at such a width",
        "measured on one core of an Intel Xeon, T=50",
        device="cpu",
        cell="lstm",
        dtype="float32",
        H=(32, ANY),
    ),
    Rule("eager", "it runs a group as one computation, on any device", "measured on a CPU, an estimate elsewhere"),
    Rule("vendor", "no other can do what is asked", "by elimination"),
)
"""What `auto` takes: the first that fits the facts and whose backend can do what is asked."""


class Choice(NamedTuple):
    """A backend, why it runs, and each other one with the reason why it does not.

    `asked` and `precision` are what the caller named.
    """

    backend: str
    why: str
    refused: dict[str, str]
    asked: str
    precision: str

    def __str__(self) -> str:
        lines = [f"{self.backend}: {self.why}."]
        return "\n".join(lines + [f"not {name}: {reason}." for name, reason in self.refused.items()])


class Cache(NamedTuple):
    """What `backward` needs: the choice, and the cache of its backend; None without a record."""

    choice: Choice
    inner: Any


def choose(
    cell: str,
    params: Parameters,
    x: Array,
    lengths: Array | None = None,
    backend: str = "auto",
    precision: str = "ieee",
    states: bool = False,
) -> Choice:
    """Which backend runs a call, and why.

    Args:
        cell, params, x, lengths: as `scan.forward` has them; every backend takes lengths.
        backend: one of NAMES.
        precision: one of PRECISIONS: how float32 products are rounded.
        states: whether the states of every step, or the gradients by them, will be asked for.
    Raises:
        ValueError: a name is none of these, or no backend can do what is asked; the message says why.
    """
    check_names(backend, precision)
    check_parameters(cell, params)
    require_array("x", x)
    require_own("x", x)
    if backend != "auto":
        return named(backend, precision, refusal(backend, cell, params, x, precision)[0])
    asked = {name: refusal(name, cell, params, x, precision, auto=True) for name in BACKENDS}
    reasons = {name: reason for name, (reason, _) in asked.items() if reason}
    H, dtype = params.weight_hh.shape[-1], str(params.weight_hh.dtype).removeprefix("torch.")
    facts = Facts(x.device.type, cell, dtype, members(params), H, states, asked["fused"][1])
    return decide(facts, reasons, precision)


def decide(facts: Facts, reasons: dict[str, str], precision: str = "ieee") -> Choice:
    """The first of RULES that fits and whose backend is not refused for a reason."""
    rule = next((rule for rule in RULES if rule.fits(facts) and rule.backend not in reasons), None)
    if rule is None:
        raise ValueError(f"`backend` 'auto' finds none that can do it: {told(reasons)}.")
    why = f"{rule.why} ({rule.basis})"
    later = {name: f"it can do it too, but {rule.backend} goes first" for name in BACKENDS if name != rule.backend}
    return Choice(rule.backend, why, later | reasons, "auto", precision)


def named(backend: str, precision: str, reason: str | None) -> Choice:
    """The backend that a caller names; an error with the reason where it cannot do what is asked."""
    if reason:
        raise ValueError(f"`backend` cannot be {backend!r}: {reason}.")
    others = {name: f"backend={backend!r} was named" for name in BACKENDS if name != backend}
    return Choice(backend, "the caller named it", others, backend, precision)


def refusal(
    backend: str, cell: str, params: Parameters, x: Array, precision: str, auto: bool = False
) -> tuple[str | None, str | None]:
    """Why a backend cannot do what is asked, or None; and the path of the fused kernels' plan, None of the others."""
    if backend == "fused":
        return fused_plan(cell, params, x, precision, auto)
    return (vendor.why_not(cell, params, x, precision) if backend == "vendor" else eager_refusal(x, precision)), None


def eager_refusal(x: Array, precision: str) -> str | None:
    """Why the plain loop cannot have a precision: its products are torch's, rounded on CUDA as a global setting says.

    On a CPU, where torch.set_float32_matmul_precision asks for less than float32 too, most machines ignore it.
    """
    has = "tf32" if x.is_cuda and x.dtype == torch.float32 and tf32.allowed() else "ieee"
    if precision == has:
        return None
    return f"torch's products on {x.device.type} have the precision {has!r} as torch is set, not {precision!r}"


def fused_plan(
    cell: str, params: Parameters, x: Array, precision: str, auto: bool = False
) -> tuple[str | None, str | None]:
    """Why the fused kernels cannot run a call, or None; and the path of their plan."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    if not x.is_cuda and (auto or not interpreted):
        return f"x is on {x.device.type}, and the kernels are for CUDA (TRITON_INTERPRET=1 runs them for tests)", None
    try:
        from .kernels.plan import plan

        capability = torch.cuda.get_device_capability(x.device) if x.is_cuda else None  # None: the interpreter
        planned = plan(cell, params.weight_hh.shape[-1], params.weight_hh.dtype, precision, capability)
    except ImportError as error:
        return f"its kernels cannot be imported: {error}", None
    except (ValueError, TypeError, NotImplementedError) as error:
        return f"its kernels have no such configuration: {str(error).rstrip('.')}", None
    return None, path_of(planned)


def path_of(planned: Any) -> str:
    """The path of a plan: "stepped" unless both loops are persistent."""
    both = planned.forward.path == planned.backward.path == "persistent"
    return "persistent" if both else "stepped"


def check_names(backend: str, precision: str) -> None:
    """Refuses a backend or a precision that there is not, by name."""
    for name, value, known in (("backend", backend, NAMES), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise ValueError(f"`{name}` must be one of {', '.join(known)}; got {value!r}.")


def told(reasons: dict[str, str]) -> str:
    """Reasons in one line."""
    return "; ".join(f"not {name}, {reason}" for name, reason in reasons.items())


def explain(
    cell: str,
    params: Parameters,
    x: Array,
    lengths: Array | None = None,
    backend: str = "auto",
    precision: str = "ieee",
    states: bool = False,
) -> str:
    """What `choose` finds, as text: the backend and why, and a line for each other one with the reason against it."""
    return str(choose(cell, params, x, lengths, backend, precision, states))


def forward(
    cell: str,
    params: Parameters,
    x: Array,
    state: Any = None,
    lengths: Array | None = None,
    reverse: bool = False,
    backend: str = "auto",
    precision: str = "ieee",
    states: bool = False,
    record: bool = True,
) -> Run:
    """Runs a cell over a sequence on the backend that `choose` finds.

    Args:
        cell, params, x, state, lengths, reverse: as `scan.forward` has them.
        backend, precision, states: as in `choose`.
        record: whether a backward may follow.
    Returns:
        As `scan.forward`; where `states` is not asked for, an LSTM's states.c may be None.
    Raises:
        TypeError, ValueError: an argument does not fit, or the backend cannot do what is asked; the message says so.
    """
    choice = choose(cell, params, x, lengths, backend, precision, states)
    args = (cell, params, x, state, lengths, reverse)
    if choice.backend == "vendor":
        run = vendor.forward(*args, precision, states, record)
    elif choice.backend == "fused":
        from .kernels import fused

        run = fused.forward(*args, precision=precision, states=states)
    else:
        run = scan.forward(*args)
    return run._replace(cache=Cache(choice, run.cache if record else None))


def backward(
    cell: str,
    params: Parameters,
    cache: Cache,
    dh: Array | None = None,
    dlast: Any = None,
    skip: Collection[str] = (),
) -> Gradient:
    """The gradient of <dh, states.h> + <dlast, last>, by the backend of the forward.

    Args:
        cell, params, cache, dh, dlast, skip: as `scan.backward` has them.
    Raises:
        TypeError, ValueError: the cache is of another forward or without a record, or a cotangent does not fit.
    """
    if cache.inner is None:
        raise ValueError("`cache` must be that of a forward with record=True; got one without a record.")
    if cache.choice.backend == "fused":
        from .kernels import fused

        return fused.backward(cell, params, cache.inner, dh, dlast, skip)
    engine = vendor if cache.choice.backend == "vendor" else scan
    return engine.backward(cell, params, cache.inner, dh, dlast, skip)
