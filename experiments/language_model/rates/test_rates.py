"""The search: the same candidates for both cells, seeds of no verdict, no look at the test; and what is chosen."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest

from experiments.harness.sweep import Options
from experiments.language_model import models
from experiments.language_model.rates import search
from experiments.language_model.rates.experiment import run
from experiments.language_model.text import sweep

SEARCHES = [(preset, size) for preset, sizes in search.UPDATES.items() for size in sizes]


@pytest.mark.parametrize(("preset", "size"), SEARCHES)
def test_both_cells_are_searched_alike_with_seeds_that_enter_no_verdict(preset, size):
    """As many candidates, updates and seeds for either cell; no seed of a sweep among them."""
    groups = search.every(preset, size, Options())
    counted = Counter(g.settings["cell"] for g in groups)
    assert set(counted) == set(models.CELLS) and len(set(counted.values())) == 1
    tried = {
        cell: {(g.settings["start"], g.settings["lr"]) for g in groups if g.settings["cell"] == cell}
        for cell in counted
    }
    if preset == "quick":
        assert tried["rnn"] == tried["lstm"] == set(product(models.STARTS, models.RATES))
    else:
        best = {cell: models.chosen(cell, 60) for cell in counted}
        assert tried == {cell: {(b["start"], b["lr"] / k) for k in (1, 2, 4)} for cell, b in best.items()}
    assert len({g.key for g in groups}) == len(groups)
    known = {seed for p in sweep.PRESETS for g in sweep.groups(p, Options()) for seed in g.seeds}
    assert not known & {seed for g in groups for seed in g.seeds}
    assert {g.settings["updates"] for g in groups} == {search.UPDATES[preset][size]}


def test_a_candidate_is_judged_on_the_validation_part_alone(tmp_path):
    """Its records are losses on the training and the validation part, of every seed."""
    path = tmp_path / "own.txt"
    path.write_text("abcd" * 800, "utf-8")
    group = search.every("quick", 60, Options("numpy", path))[0]
    group = replace(group, settings=group.settings | {"H": 3, "T": 5, "B": 4, "updates": 3, "lanes": 4, "warmup": 5})
    records = run(group, lambda done, total: None)
    assert {r.metric for r in records} == {"loss_training", "loss_validation"}
    found = search.table("quick", pd.DataFrame(records))
    assert list(found.seed) == list(search.SEEDS) and (found.updates == 3).all()


def test_the_lowest_median_is_chosen_of_the_sizes_own_search_or_of_quicks(tmp_path, monkeypatch):
    """Medians over seeds, not means; a cell's own rows; a preset without a search of the size falls back to quick's."""
    rows = [
        *(("quick", "60k", "rnn", "wide", 1e-2, 1, s, v) for s, v in enumerate((1.0, 1.1, 9.0))),
        *(("quick", "60k", "rnn", "torch", 2e-2, 1, s, v) for s, v in enumerate((1.2, 1.3, 1.2))),
        *(("quick", "60k", "lstm", "torch", 2e-2, 1, s, 0.5) for s in range(3)),
        *(("full", "200k", "rnn", "wide", 5e-3, 1, s, 0.9) for s in range(3)),
    ]
    columns = ["preset", "parameters", "cell", "start", "rate", "updates", "seed", "loss_validation"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "rates.csv", index=False)
    monkeypatch.setattr(models, "CHOSEN", tmp_path / "rates.csv")
    models.searched.cache_clear()
    try:
        assert models.chosen("rnn", 60) == models.chosen("rnn", 60, "full") == {"start": "wide", "lr": 1e-2}
        assert models.chosen("rnn", 200, "full") == {"start": "wide", "lr": 5e-3}
        assert models.chosen("lstm", 60) == {"start": "torch", "lr": 2e-2}
    finally:
        models.searched.cache_clear()


def test_what_is_committed_is_a_whole_search():
    """Every candidate of both cells at quick's size, two seeds each; no loss is missing."""
    found = pd.read_csv(models.CHOSEN)
    quick = found[found.preset == "quick"]
    counts = quick.groupby(["cell", "start", "rate"]).seed.nunique()
    assert len(counts) == len(models.CELLS) * len(models.STARTS) * len(models.RATES)
    assert (counts == len(search.SEEDS)).all() and np.isfinite(found.loss_validation).all()
    assert set(found[["preset", "parameters"]].itertuples(index=False, name=None)) == {
        (preset, f"{size}k") for preset, size in SEARCHES
    }


def test_a_search_done_again_replaces_its_rows_and_no_others():
    """The same losses once more leave every byte; another loss changes its own line alone."""
    text, found = search.MEASURED.read_text("utf-8"), pd.read_csv(search.MEASURED)
    quick = found[found.preset == "quick"]
    path = "rates/cell={cell}/parameters={parameters}/start={start}/rate={rate:g}"
    frame = pd.DataFrame(
        {
            "setting": [path.format(**row) for row in quick.to_dict("records")],
            "seed": quick.seed,
            "metric": "loss_validation",
            "index": quick.updates,
            "value": quick.loss_validation,
        }
    )
    assert csv(search.whole("quick", frame)) == text
    frame.iloc[3, -1] = 9.0
    before, after = (some.splitlines() for some in (text, csv(search.whole("quick", frame))))
    assert len(before) == len(after) and sum(a != b for a, b in zip(before, after, strict=True)) == 1


def csv(found):
    """As the search writes it."""
    return found.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def test_a_size_that_a_preset_does_not_search_is_refused():
    """One line that names the option and the sizes."""
    with pytest.raises(ValueError, match=r"^--size must be one of \[60\] at quick; got 200\.$"):
        search.every("quick", 200, Options())


def test_the_two_starts_are_what_they_are_called():
    """torch: every parameter within 1/sqrt(H); wide: input weights of standard deviation .5."""
    s = {"cell": "lstm", "H": 16} | models.START
    torch, wide = (models.model(s | {"start": start}, 0, 30).cell for start in ("torch", "wide"))
    assert max(abs(a).max() for a in torch) <= 0.25
    assert wide.weight_ih.std() == pytest.approx(0.5, rel=0.1)
