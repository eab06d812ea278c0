"""What experiments would cost, as predicted: the lines of `list --cost`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from experiments.harness import catalogue
from experiments.harness.engine import cores
from experiments.harness.sweep import Group

CORES = cores()


def costs(preset: str, groups: Sequence[Group], alone: bool, each: bool = False) -> Iterator[str]:
    """A preset's total, and below it its parts, or every group.

    Args:
        groups: the preset's, of one experiment.
        alone: whether they run one at a time.
        each: whether to list the groups themselves, with their seeds.
    """
    where = "one at a time" if alone else f"on {counted(CORES, 'core')}"
    yield line(preset, counted(len(groups), "group"), groups) + f"  {duration(wall(groups, alone))} {where}"
    width = max(len(group.setting) for group in groups)
    for group in groups if each else ():
        yield line(f"  {group.setting:<{width}}", counted(len(group.seeds), "seed"), [group], digits=1)
    for kind, some in parts(groups).items() if not each else ():
        yield line(f"  {kind}", counted(len(some), "group"), some, digits=1)


def total(preset: str, sweeps: Mapping[str, Mapping[str, Sequence[Group]]]) -> str:
    """What a preset of all experiments would cost: the groups that share the cores, then those that run alone.

    Args:
        sweeps: groups by experiment and preset.
    """
    groups: dict[bool, list[Group]] = {False: [], True: []}
    for name, found in sweeps.items():
        groups[catalogue.alone(name)] += found[preset]
    every, seconds = groups[False] + groups[True], sum(wall(some, alone) for alone, some in groups.items())
    return line(preset, counted(len(every), "group"), every) + f"  {duration(seconds)} on {counted(CORES, 'core')}"


def parts(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Groups by kind of setting, its first word, as a report's page on cost has them; in the sweep's order."""
    found: dict[str, list[Group]] = {}
    for group in groups:
        found.setdefault(group.setting.split("/")[0], []).append(group)
    return found


def wall(groups: Sequence[Group], alone: bool) -> float:
    """Seconds until all are done at best: a group a core at a time, so not sooner than the longest one."""
    costs = [group.cost for group in groups]
    return sum(costs) if alone else max([sum(costs) / CORES, *costs])


def line(name: str, number: str, groups: Sequence[Group], digits: int = 0) -> str:
    """A name, how many, and core-seconds, in columns."""
    return f"  {name:<20}{number:>12}{sum(group.cost for group in groups):>12,.{digits}f} core-seconds"


def counted(n: int, word: str) -> str:
    """A number with its word."""
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def duration(seconds: float) -> str:
    """Seconds as they are said: in whole seconds, minutes, or hours."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
