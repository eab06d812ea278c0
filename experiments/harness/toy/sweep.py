"""Twelve groups of eight seeds."""

from __future__ import annotations

from experiments.harness.sweep import Group, Options


def groups(preset: str, options: Options) -> list[Group]:
    """Sums of 1 to 12 numbers; a corpus is refused, as an unusable one is."""
    if options.corpus is not None:
        raise ValueError(f"`corpus` must not be given,\nsince sums read none; got {options.corpus}.")
    return [group(terms, preset, options) for terms in range(1, 13)]


def group(terms: int, preset: str, options: Options) -> Group:
    """Eight sums of `terms` normal numbers."""
    seeds = tuple(range(8))
    fields = {"settings": {"terms": terms, "preset": preset}, "seeds": seeds, "dtype": "float64"}
    return Group("harness.toy", 1, f"sum/terms={terms}", engine=options.engine, data="", cost=terms / 100, **fields)
