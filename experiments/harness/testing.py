"""What the tests of several parts share: records of a smoke run, a part's section, and what it may not depend on."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd

from experiments.harness import figures, ran
from experiments.harness.executor import InProcess
from experiments.harness.report import Section
from experiments.harness.run import stamped
from experiments.harness.sweep import Options
from experiments.harness.toy import sweep
from properties.record import read_csv, to_csv

OPTIONS = SimpleNamespace(engine="fast")


def smoke(part: str, folder: Path, options: Any = OPTIONS) -> pd.DataFrame:
    """Records of a part's smoke preset, written and read back.

    Args:
        part: its package, such as experiments.memory.untied.
        folder: where results.csv may be written.
        options: what the sweep is told.
    """
    sweep, experiment = (module(part, kind) for kind in ("sweep", "experiment"))
    groups, path = sweep.groups("smoke", options), folder / "results.csv"
    path.write_text(to_csv(r for group in groups for r in experiment.run(group, lambda done, total: None)), "utf-8")
    return read_csv(path)


def section_of(part: str, frame: pd.DataFrame, drawn: bool = False) -> Section:
    """A part's section, and if asked for its figures drawn."""
    with figures.style():
        section = module(part, "analysis").analyse(frame).section
        if drawn:
            assert all(figures.svg(figure.canvas, figure.name).startswith("<svg") for figure in section.figures)
    return section


def assert_of_records_alone(part: str, frame: pd.DataFrame) -> Section:
    """Asserts that the rows' order and other experiments' records change nothing; gives the section."""
    others = frame.iloc[:50].assign(source="speed", value=1e9)
    mixed = pd.concat([others, frame.sample(frac=1, random_state=1)], ignore_index=True)
    a, b = section_of(part, frame), section_of(part, mixed)
    assert a.lead == b.lead and [f.title for f in a.figures] == [f.title for f in b.figures]
    assert [t.frame.to_csv() for t in a.tables] == [t.frame.to_csv() for t in b.tables]
    assert [f.data.to_csv() for f in a.figures] == [f.data.to_csv() for f in b.figures]
    return a


def module(part: str, kind: str) -> ModuleType:
    """A part's sweep, experiment or analysis."""
    return import_module(f"{part}.{kind}")


TOY = "harness.toy"
"""The experiment whose report has all that a report may have."""


def toy_results() -> str:
    """The records of the toy experiment as CSV."""
    groups = sweep.groups("quick", Options())
    records = [r for group in groups for r in InProcess().run(group, lambda done, total: None).result().records]
    return to_csv(stamped(records + ran.records(TOY, {"preset": "quick"}, groups)))
