"""What the harness records of a run is read again as it was written."""

from __future__ import annotations

import pandas as pd

from experiments.harness import ran
from experiments.harness.sweep import Options
from experiments.harness.toy import sweep
from properties.record import COLUMNS, Record


def test_options_and_values_of_each_experiment_are_read_as_they_were_written():
    """Among other records, of other sources too; of what did not run there is nothing."""
    given = {"one": {"preset": "quick"}, "two": {"preset": "full", "engine": "torch", "device": "cuda:1"}}
    some = sweep.groups("quick", Options())
    groups = {"one": some, "two": some[:3]}
    rows = [record for name in given for record in ran.records(name, given[name], groups[name])]
    frame = pd.DataFrame([*rows, Record("one", "three/preset=smoke", 0, "groups", 0, 9.0)], columns=COLUMNS)
    assert ran.options(frame) == given and ran.presets(frame) == {"one": "quick", "two": "full"}
    assert ran.values("two", frame) == {"groups": 3, "predicted_core_seconds": sum(g.cost for g in groups["two"])}
    assert ran.values("three", frame) == {} and ran.options(frame[frame.source == "one"]) == {}
