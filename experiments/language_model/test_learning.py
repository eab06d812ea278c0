"""Training that stops and goes on: to the same bits, from a file that is whole, its own, and of the same code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

from experiments.harness import saved, sweep
from experiments.harness.engine import engine
from experiments.harness.saved import SavedError
from experiments.harness.sweep import Group
from experiments.language_model import learning, models
from experiments.language_model.lanes import Lanes
from impl import draw
from impl.spec import leaves

V, UPDATES = 5, 9
TEXT = draw.generator("test_learning").integers(0, V, 700)


class Stopped(Exception):
    """What a kill looks like from inside."""


@pytest.mark.parametrize("cell", models.CELLS)
@pytest.mark.parametrize("form", ["numpy", "fast", "torch"])
@pytest.mark.parametrize("at", [1, 4, 8])
def test_a_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path, form, cell, at):
    """Stopped after any update and run again: models, Adam's memory and every record are those of one never stopped."""
    g = group(cell, form)
    model, records = learn(g)
    kept = replace(g, keep=str(tmp_path))
    with pytest.raises(Stopped):
        learn(kept, stop=at)
    again, told = learn(kept)
    assert told == records
    same = zip(leaves(again), leaves(model), strict=True)
    assert all(np.array_equal(*map(engine(form).numpy, pair)) for pair in same)
    assert learn(kept, stop=1)[1] == records, "a finished training is trained no further"


@pytest.mark.parametrize("lost", ["mean", "carried", "lanes", "rngs", "losses"])
def test_each_thing_that_is_kept_is_needed(tmp_path, lost):
    """Without Adam's memory, states, places, random numbers or the losses so far, the records are other ones."""
    g = group("lstm", "numpy")
    kept = replace(g, keep=str(tmp_path))
    with pytest.raises(Stopped):
        learn(kept, stop=5)
    file = saved.read(learning.path_of(kept))
    arrays = {name: a * 0 if name.split(".")[0] == lost else a for name, a in file.arrays.items()}
    if lost == "rngs":
        file.facts["rngs"] = [draw.generator("other", seed).bit_generator.state for seed in g.seeds]
    saved.write(file.path, arrays, file.facts)
    assert learn(kept)[1] != learn(g)[1]


@pytest.mark.parametrize("fact", ["key", "code"])
def test_a_file_of_another_group_or_other_code_is_passed_over(tmp_path, fact):
    """What other code has computed is not gone on from: the training begins anew, and replaces it."""
    g = group("rnn", "numpy")
    kept = replace(g, keep=str(tmp_path))
    with pytest.raises(Stopped):
        learn(kept, stop=4)
    file = saved.read(learning.path_of(kept))
    arrays = {name: a * 0 for name, a in file.arrays.items()}
    saved.write(file.path, arrays, file.facts | {fact: "other"})
    assert learn(kept)[1] == learn(g)[1]
    assert saved.read(learning.path_of(kept)).facts["step"] == UPDATES


DAMAGED = {
    "cut": lambda file: file.path.write_bytes(file.path.read_bytes()[:-8]),
    "empty": lambda file: file.path.write_bytes(b""),
    "not ours": lambda file: file.path.write_bytes(save(file.arrays)),
    "without key and code": lambda file: saved.write(file.path, file.arrays, {"step": 4}),
    "facts that are a list": lambda file: saved.write(file.path, file.arrays, ["key", "code"]),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_file_that_is_damaged_or_lacks_facts_is_passed_over(tmp_path, kind):
    """The same command could not go on from it at any later time: the training begins anew, and replaces it."""
    g = group("rnn", "numpy")
    kept = replace(g, keep=str(tmp_path))
    with pytest.raises(Stopped):
        learn(kept, stop=4)
    DAMAGED[kind](saved.read(learning.path_of(kept)))
    assert learn(kept)[1] == learn(g)[1]
    assert saved.read(learning.path_of(kept)).facts["step"] == UPDATES


def test_the_code_that_counts_is_what_the_bits_depend_on():
    """Each name is of a file that exists; reports, tests and the commands that read models are no part."""
    found = {path.relative_to(sweep.ROOT).as_posix() for name in learning.CODE for path in sweep.ROOT.glob(name)}
    assert all(any(sweep.ROOT.glob(name)) for name in learning.CODE)
    own = {name for name in found if name.startswith("experiments/")}
    ours = {f"language_model/{name}" for name in ("lanes", "learning", "models", "evaluation", "characters")}
    ours |= {f"language_model/{part}/experiment" for part in ("rates", "sources", "text", "truncation", "words")}
    ours |= {"tasks/text", "tasks/words", "tasks/corpora", "harness/training", "harness/engine"}
    assert own == {f"experiments/{name}.py" for name in ours} and {"impl/spec.py", "impl/numpy_twin/optim.py"} <= found


def test_models_of_another_width_are_refused_by_name(tmp_path):
    """The message has the array's name, the shape that is asked for, the one that came, and the file."""
    g = replace(group("rnn", "numpy"), keep=str(tmp_path))
    learn(g)
    file, twin = saved.read(learning.path_of(g)), engine("numpy")
    wide = models.initial(replace(g, settings=g.settings | {"H": 4}), V, twin)
    rule = r"^`model\.cell\.weight_ih` must have shape \(3, 4, 5\) and dtype float64, .+ got \(3, 3, 5\) float64 in .+"
    with pytest.raises(SavedError, match=rule):
        saved.filled(wide, "model", file)


def test_nothing_is_kept_where_no_folder_is_named(tmp_path, monkeypatch):
    """A group without a folder leaves no file, wherever it is run."""
    monkeypatch.chdir(tmp_path)
    learn(group("rnn", "numpy"))
    assert not list(tmp_path.iterdir())


def group(cell, form):
    """A small group."""
    settings = {"cell": cell, "H": 3, "T": 4, "B": 8, "reset": 0.25, "lr": 1e-2, "clip": 1.0, "decay": 0.3}
    settings |= {"updates": UPDATES, "evaluations": 4} | models.START
    return Group("language_model", 1, f"toy/cell={cell}", settings, (0, 1, 2), "float64", form, "", 1.0)


def learn(g, stop=None):
    """Trains a group; `stop` raises at that update, after it was kept."""
    twin = engine(g.engine)
    lanes = Lanes(g, TEXT, V, twin)

    def look(update, model, training):
        return g.each("loss_training", update, training)

    def checkpoint(done, total):
        if done == stop:
            raise Stopped

    return learning.learn(g, twin, lanes, models.initial(g, V, twin), look, checkpoint, {})


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Keeps a training after every update."""
    monkeypatch.setattr(learning, "EVERY", 0.0)
