"""Numbers as reports write them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from experiments.harness.statistics import Interval, clopper_pearson


def minus(text: str) -> str:
    """A number's text with a minus sign in place of the hyphen before it."""
    return "\N{MINUS SIGN}" + text[1:] if text.startswith("-") else text


def few(value: float) -> str:
    """Three figures, with a minus sign where there is one; 1 only where it is exact."""
    text = minus(f"{value:z.3g}")
    return f"{value:.5f}" if text == "1" and value != 1 else text


def signed(value: float) -> str:
    """A difference to three decimals, with its sign."""
    return minus(f"{value:+.3f}")


def told(interval: Interval, write: Callable[[float], str] = few) -> str:
    """A median with its interval; that of too few seeds is everything, that of lost ones has an infinite end."""
    if interval[1:] == (-math.inf, math.inf):
        return f"{write(interval.value)} (too few seeds for an interval)"
    return f"{write(interval.value)} ({write(interval.low)} to {write(interval.high)})"


def share(some: Iterable[bool]) -> str:
    """How many of how many, with the interval of the share."""
    some = list(some)
    low, high = clopper_pearson(int(sum(some)), len(some))
    return f"{int(sum(some))} of {len(some)} ({low:.0%} to {high:.0%})"


def at_ends(rates: Iterable[float], tried: Sequence[float]) -> str:
    """How many took the highest of the rates that were tried, and how many the lowest; "" if none took either."""
    rates = list(rates)
    ends = {"highest": rates.count(max(tried)), "lowest": rates.count(min(tried))}
    return listed([f"{n} took the {end} rate" for end, n in ends.items() if n])


def listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join([*filter(None, [", ".join(parts[:-1])]), *parts[-1:]])
