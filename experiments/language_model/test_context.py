"""The loss from exactly the last k symbols: against the equations, at places that are the same for every k."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.harness.engine import engine
from experiments.language_model import context, evaluation, models
from impl import draw
from impl.spec import tree_map

V, H, KS = 5, 4, (1, 2, 7)
CELLS = models.CELLS
TEXT, PART = draw.generator("test_context").integers(0, V, 400), slice(300, 383)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", ["numpy", "fast", "torch"])
@pytest.mark.parametrize("rows", [4, 256])
def test_the_loss_is_that_of_a_prediction_from_k_symbols(cell, name, rows, monkeypatch):
    """A state of zeros, k symbols, then -ln p of the next, a place and a model at a time, from the equations."""
    monkeypatch.setattr(context, "ROWS", rows)
    np.testing.assert_allclose(losses(cell, engine(name)), slow(cell), rtol=1e-12)


@pytest.mark.parametrize("fault", ["state", "place", "text"])
def test_each_planted_fault_is_seen(fault, monkeypatch):
    """A state that is carried from run to run, the place after the one that is meant, a text that is one place off."""
    twin, right = engine("numpy"), engine("numpy").scan.forward
    kept, classes = [None], TEXT

    def carried(cell, params, x, state=None):
        run = right(cell, params, x, kept[0])
        kept[0] = run.last
        return run

    if fault == "state":
        monkeypatch.setattr(twin.scan, "forward", carried)
        monkeypatch.setattr(context, "spread", lambda part, places: spread(part, 20))
    elif fault == "place":
        monkeypatch.setattr(context, "spread", lambda part, places: spread(part, 20) + 1)
    else:
        classes = np.roll(TEXT, 1)
    assert (abs(losses("rnn", twin, classes) - slow("rnn"))[1:] > 1e-4).all()


@pytest.mark.parametrize("cell", CELLS)
def test_with_all_that_a_lane_has_it_is_what_an_evaluation_gives(cell):
    """At the one place of a part, from k symbols: the evaluation of that part after a warm-up of k - 1 symbols."""
    twin, s = engine("numpy"), {"cell": cell, "lanes": 1, "T": 1}
    for k in KS:
        own = slice(333, 334)
        got = context.losses(twin, s, started(cell, twin), TEXT, own, [k], 1)[0]
        expected = evaluation.evaluate(twin, s | {"warmup": k - 1}, started(cell, twin), TEXT, own)
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("places", [1, 20, 83, 1000])
def test_places_lie_evenly_in_the_part_each_once(places):
    """As many as are asked for, or all of a part that has fewer; neighbours are as far apart as all others, to one."""
    found = context.spread(PART, places)
    assert len(set(found)) == len(found) == min(places, 83)
    assert PART.start <= found.min() and found.max() < PART.stop
    assert np.ptp(np.diff(found)) <= 1 if len(found) > 1 else found == [PART.start]


@pytest.mark.parametrize("ks", [[0, 1], [1, 301]])
def test_a_k_that_the_text_does_not_have_is_refused_by_name(ks):
    """None, or more than there are symbols before the part."""
    twin = engine("numpy")
    with pytest.raises(ValueError, match=r"^`ks` must lie in 1\.\.300, the symbols before the part; got \[.+\]\.$"):
        context.losses(twin, {"cell": "rnn"}, started("rnn", twin), TEXT, PART, ks, 5)


def losses(cell, twin, classes=TEXT):
    """What is tested, at 20 places."""
    return context.losses(twin, {"cell": cell}, started(cell, twin), classes, PART, KS, 20)


def spread(part, places):
    """Evenly spread places."""
    return part.start + np.arange(places) * (part.stop - part.start) // places


def started(cell, twin):
    """Two models whose weights are large, in a twin's arrays."""
    return twin.asarray(draw.group([one(cell, seed) for seed in range(2)]), "float64")


def one(cell, seed):
    """One model."""
    return tree_map(lambda a: 3 * a, models.model({"cell": cell, "H": H} | models.START, seed, V))


def slow(cell):
    """The mean loss by k and model."""
    found = [[[place_loss(one(cell, e), cell, at, k) for at in spread(PART, 20)] for e in range(2)] for k in KS]
    return np.mean(found, -1)


def place_loss(model, cell, at, k):
    """The loss of one model at one place from the k symbols before it."""
    (W_ih, W_hh, b_ih, b_hh), (W_hy, b_hy) = model
    h, c = np.zeros(H), np.zeros(H)
    for symbol in TEXT[at - k : at]:
        a = W_ih[:, symbol] + b_ih + W_hh @ h + b_hh
        if cell == "rnn":
            h = np.tanh(a)
        else:
            i, f, g, o = np.split(a, 4)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
    p = np.exp(W_hy @ h + b_hy)
    return -math.log(p[TEXT[at]] / p.sum())
