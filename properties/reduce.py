"""How a failing case is made smaller: sizes, options, a seed, and values of few digits, always in the same order.

Hypothesis finds the first case that breaks a law. To make it smaller is left to these few steps: they take a second,
give the same case every time, and go where Hypothesis cannot: to sizes of one, to zeros, to numbers of few bits. Some
laws ask there what no implementation can give, life of a cell that is zero: such a case is not taken.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from properties.cases import Plan, resized

SECONDS = {"died": 20.0}
"""How long to go on; with a subject whose process dies, each try costs a new one."""

OTHERWISE = 3.0
PARTS = ("weight_hh", "weight_ih", "bias_hh", "bias_ih", "h0", "c0", "x", "dhT", "dcT", "dh")
BITS = (0, 1, 2, 3, 5, 8)


def smallest(outcome: Callable[[Plan], Any], broken: Any, possible: Callable[[Plan], bool] = lambda plan: True) -> Any:
    """The smallest broken case on the way from a first one, and what is said of it.

    Args:
        outcome: what comes of a plan: None, or a Broken.
        broken: that of the first.
        possible: whether a correct implementation keeps the law in the case of a plan.
    """
    end, best = time.monotonic() + SECONDS.get(broken.kind, OTHERWISE), broken
    for step in (sizes, options, digits, parts, sizes):
        for choices in step(best.plan):
            for change in choices:
                if time.monotonic() > end:
                    return best
                plan = change(best.plan)
                found = None if plan == best.plan else tried(outcome, plan)
                if found is not None and same(found, broken) and not hides(found, best) and possible(plan):
                    best = found
                    break
    return best


def same(found: Any, broken: Any) -> bool:
    """Whether a smaller case breaks the same: kind and law, an exception's type and place, a condition's words.

    Numbers may be others; where what must not be is a list, some of it may be gone.
    """
    if any(getattr(found, name) != getattr(broken, name) for name in ("kind", "law")):
        return False
    if found.facts.get("form") != broken.facts.get("form"):
        return False
    if found.kind != "condition":
        return found.kind != "raised" or found.name == broken.name
    (mine, must), (theirs, wanted) = words(found), words(broken)
    return must == wanted and mine <= theirs


def hides(found: Any, best: Any) -> bool:
    """Whether NaN came where it was a number: it may come of another mistake, such as 0/0 where all is masked."""
    return found.kind == "value" and math.isnan(found.got) and not math.isnan(best.got)


def words(broken: Any) -> tuple[frozenset[str], str]:
    """Of a condition what must be otherwise, a list, and what it must be; without numbers and the subject's name."""
    sentence = re.split(r"; |, Plan\(", str(broken).split(": ", 1)[-1])[0]
    what, must, rest = bare(sentence).partition(" must ")
    return frozenset(re.split(r",? and |, ", what.rstrip(","))), must + rest


def bare(text: str) -> str:
    """A text without its numbers, and without what stands in brackets."""
    return re.sub(r"\(.*?\)|\[.*?\]|[-+]?\d[\d.]*(e[-+]?\d+)?", "", text)


def tried(outcome: Callable[[Plan], Any], plan: Plan) -> Any:
    """What comes of a plan; one that a law itself stumbles over, such as one step where it cuts, breaks nothing."""
    try:
        return outcome(plan)
    except Exception:
        return None


def sizes(plan: Plan) -> Iterator[list[Callable[[Plan], Plan]]]:
    """Each size, the smallest first."""
    for axis in range(4):
        yield [lambda p, axis=axis, n=n: size(p, axis, n) for n in range(1, (plan.T, plan.B, plan.D, plan.H)[axis])]


def size(plan: Plan, axis: int, n: int) -> Plan:
    """The plan with one size changed."""
    now = [plan.T, plan.B, plan.D, plan.H]
    return resized(plan, *now[:axis], n, *now[axis + 1 :])


def options(plan: Plan) -> Iterator[list[Callable[[Plan], Plan]]]:
    """Each option as it usually is, or as little as it can be; the seed 0 or 1."""
    usual: dict[str, tuple[Any, ...]] = {"L": tuple(range(1, plan.L)), "directions": (1,), "lengths": (None,)}
    usual |= {"E": (None,) if plan.E is None else (None, *range(1, plan.E)), "shared": (False,)}
    usual |= {"biases": ("none",), "opposed": (0.0,), "scale": (1.0,), "seed": (0, 1)}
    for name, values in usual.items():
        yield [lambda p, name=name, value=value: replace(p, **{name: value}) for value in values]


def digits(plan: Plan) -> Iterator[list[Callable[[Plan], Plan]]]:
    """Values of few binary digits after the point."""
    yield [lambda p, bits=bits: replace(p, bits=bits) for bits in BITS]


def parts(plan: Plan) -> Iterator[list[Callable[[Plan], Plan]]]:
    """Each part of the call all zero."""
    for part in PARTS:
        yield [lambda p, part=part: replace(p, zeros=(*p.zeros, part))]
