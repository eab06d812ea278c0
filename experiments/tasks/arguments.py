"""Refusals of bad arguments and data: each names the argument, the rule, the reason and what came."""

from __future__ import annotations

from collections.abc import Sequence


class DataError(ValueError):
    """Data that a user named cannot be used; one line that names the rule and what came."""


def at_least(name: str, value: int, least: int, why: str) -> None:
    """Raises ValueError if `value` is below `least`."""
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}, since {why}; got {value}.")


def within(name: str, value: int, low: int, high: int, why: str) -> None:
    """Raises ValueError if `value` is not one of low .. high."""
    if not low <= value <= high:
        raise ValueError(f"`{name}` must lie in {low} .. {high}, since {why}; got {value}.")


def window(value: int) -> None:
    """Raises ValueError if a window is negative."""
    at_least("window", value, 0, "it counts the steps that are seen")


def exactly(name: str, value: int, only: int, why: str) -> None:
    """Raises ValueError if `value` is not the one that there is."""
    if value != only:
        raise ValueError(f"`{name}` must be {only}, since {why}; got {value}.")


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raises ValueError if `value` is not one of those allowed."""
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(allowed)}; got {value!r}.")


def batch(B: int) -> None:
    """Raises ValueError if a batch has no row."""
    at_least("B", B, 1, "a batch has rows")
