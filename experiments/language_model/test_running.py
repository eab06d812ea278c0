"""Models that run by themselves: what is drawn, from which probabilities, and after what."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.harness.engine import engine
from experiments.language_model import models, running
from impl import draw
from impl.spec import tree_map

V, H, B = 5, 4, 6
CELLS, TWINS = models.CELLS, ("numpy", "torch")
PRIME = draw.generator("test_running", "prime").integers(0, V, (7, B))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_symbols_come_as_often_as_the_softmax_says(cell, temperature):
    """A model that is a read-out's bias alone draws each symbol with its probability, within 4 standard errors."""
    found = running.sample(*biased(cell), PRIME, 2000, temperature, rngs())
    assert unlike(found, temperature) == []


@pytest.mark.parametrize("fault", ["temperature", "one too far", "always the same number"])
def test_symbols_that_come_too_often_are_seen(fault, monkeypatch):
    """Logits that are not divided, a class one too far, one uniform number for all steps."""
    right, even = running.drawn, running.uniforms
    faults = {
        "temperature": ("drawn", lambda y, u, temperature: right(y, u)),
        "one too far": ("drawn", lambda y, u, temperature: np.minimum(right(y, u, temperature) + (u < 0.02), V - 1)),
        "always the same number": ("uniforms", lambda *given: 0 * even(*given) + 0.5),
    }
    monkeypatch.setattr(running, *faults[fault])
    assert unlike(running.sample(*biased("rnn"), PRIME, 2000, 0.5, rngs()), 0.5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("block", [3, 100])
def test_what_is_drawn_is_fed_back(cell, name, block, monkeypatch):
    """Shown prime and what it said, each model predicts at every step what the draw was made from, in any blocks."""
    monkeypatch.setattr(running, "BLOCK", block)
    twin, s, model = group(cell, name)
    found = running.sample(twin, s, model, PRIME, 11, 1.3, rngs())
    np.testing.assert_array_equal(found, again(cell, found, 1.3))


@pytest.mark.parametrize("cell", CELLS)
def test_a_state_that_is_lost_between_blocks_is_seen(cell, monkeypatch):
    """If every block starts from a state of zeros, other symbols are drawn."""
    monkeypatch.setattr(running, "BLOCK", 3)
    twin, s, model = group(cell, "numpy")
    loop = twin.plain.feed_back
    forgetful = lambda cell, params, x, steps, following, state=None: loop(cell, params, x, steps, following)  # noqa: E731
    monkeypatch.setattr(twin.plain, "feed_back", forgetful)
    found = running.sample(twin, s, model, PRIME, 40, 1.3, rngs())
    assert (found != again(cell, found, 1.3)).any()


@pytest.mark.parametrize("name", TWINS)
def test_at_temperature_0_the_likeliest_is_taken_and_nothing_is_drawn(name):
    """Each symbol has the largest logit after what was said before, and generators stay where they are."""
    twin, s, model = group("lstm", name)
    given = rngs()
    found = running.sample(twin, s, model, PRIME, 9, 0, given)
    np.testing.assert_array_equal(found, predicted("lstm", found)[len(PRIME) - 1 :].argmax(-1))
    assert [rng.random() for rng in given] == [rng.random() for rng in rngs()]


def test_equal_generators_give_equal_symbols_and_others_do_not():
    """Bits depend on the generators alone; a model's lanes differ, and no two models share theirs."""
    given = group("rnn", "numpy")
    found = running.sample(*given, PRIME, 30, 1.0, rngs())
    np.testing.assert_array_equal(found, running.sample(*given, PRIME, 30, 1.0, rngs()))
    assert (found != running.sample(*given, PRIME, 30, 1.0, rngs("other"))).any()
    uniform = running.uniforms(rngs(), 30, B)
    assert len(np.unique(uniform)) == uniform.size


def test_each_model_may_have_a_prime_of_its_own():
    """A prime (P, E, B) whose parts are equal is the prime (P, B); one symbol is enough."""
    given = group("lstm", "numpy")
    each = np.stack([PRIME, PRIME], 1)
    shared = running.sample(*given, PRIME, 5, 1.0, rngs())
    np.testing.assert_array_equal(running.sample(*given, each, 5, 1.0, rngs()), shared)
    assert running.sample(*given, PRIME[:1], 5, 1.0, rngs()).shape == (5, 2, B)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", TWINS)
@pytest.mark.parametrize("block", [3, 100])
def test_forced_symbols_are_drawn_after_the_text_that_is_shown(cell, name, block, monkeypatch):
    """Each is drawn from the prediction after the true past, the state carried on; the loss is the true symbol's."""
    monkeypatch.setattr(running, "BLOCK", block)
    twin, s, model = group(cell, name)
    shown = np.stack([PRIME] * 2, 1)
    y, found = predicted(cell, shown[:1]), running.forced(twin, s, model, shown, rngs())
    np.testing.assert_array_equal(found.drawn, running.drawn(y, running.uniforms(rngs(), *PRIME.shape)))
    p = np.take_along_axis(np.exp(y[:-1]) / np.exp(y[:-1]).sum(-1, keepdims=True), shown[1:, ..., None], -1)
    np.testing.assert_allclose(found.nats, -np.log(p[..., 0]), rtol=1e-12)


def test_a_number_just_below_one_draws_the_last_class_that_can_come():
    """The largest uniform number does not fall off the end, not even where the last classes have no probability."""
    y = np.array([0.3, 0.0, -1e4, -1e4])
    assert running.drawn(y, np.array(1 - 2.0**-53)) == 1
    assert running.drawn(y, np.array(0.0)) == 0


@pytest.mark.parametrize("temperature", [1e-3, 1e-300, 5e-324])
def test_near_temperature_0_the_likeliest_is_drawn(temperature):
    """However small the temperature is, probabilities are numbers, and the largest takes all."""
    y = np.array([1.0, 3.0, -1e5, 2.0])
    assert running.drawn(y, np.array(0.999), temperature) == 1


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("temperature", -0.1, "`temperature` must be a number of at least 0"),
        ("temperature", math.nan, "`temperature` must be a number of at least 0"),
        ("temperature", math.inf, "`temperature` must be a number of at least 0"),
        ("temperature", "hot", "`temperature` must be a number of at least 0"),
        ("steps", 0, "`steps` must be at least 1"),
        ("prime", PRIME[:0], "`prime` must have shape"),
        ("prime", PRIME[0], "`prime` must have shape"),
        ("prime", np.stack([PRIME] * 3, 1), "`prime` must have shape"),
        ("prime", PRIME + 1, "`prime` must hold classes in 0..4"),
        ("rngs", [], "`rngs` must hold a generator a model"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(name, value, rule):
    """In one line, with the rule and what came."""
    given = {"prime": PRIME, "steps": 3, "temperature": 1.0, "rngs": rngs(), name: value}
    with pytest.raises(ValueError, match=rule + r"[^\n]+; got [^\n]+\.$"):
        running.sample(*group("rnn", "numpy"), **given)


def rngs(word="own"):
    """A generator for each of two models."""
    return [draw.generator("test_running", word, seed) for seed in range(2)]


def group(cell, name):
    """Two models whose weights are large, so that what came before matters, in a twin's arrays."""
    twin = engine(name)
    return twin, {"cell": cell}, twin.asarray(draw.group([one(cell, seed) for seed in range(2)]), "float64")


def one(cell, seed):
    """One model."""
    settings = {"cell": cell, "H": H} | models.START
    return tree_map(lambda a: 3 * a, models.model(settings, seed, V))


def biased(cell):
    """Two models whose read-out hears nothing: its bias is ln (1, ..., V), plus a constant."""
    twin, s, model = group(cell, "numpy")
    bias = np.log(np.arange(1.0, V + 1)) + np.array([[0.0], [700.0]])
    head = model.head._replace(weight_hy=0 * model.head.weight_hy, bias_hy=bias)
    return twin, s, model._replace(head=head)


def unlike(found, temperature):
    """The models whose symbols come more than 4 standard errors too often or too seldom."""
    p = np.arange(1.0, V + 1) ** (1 / temperature)
    p, n = p / p.sum(), found.shape[0] * B
    return [e for e in range(2) if (abs(often(found[:, e]) - p) > 4 * np.sqrt(p * (1 - p) / n)).any()]


def often(found):
    """The share of each class."""
    return np.bincount(found.ravel(), minlength=V) / found.size


def again(cell, found, temperature):
    """The same draws, from what each model predicts when it is shown prime and what it said."""
    y = predicted(cell, found)[len(PRIME) - 1 :]
    return running.drawn(y, running.uniforms(rngs(), len(found), B), temperature)


def predicted(cell, found):
    """Logits (P + steps - 1, E, B, V) after each symbol of prime and of what was said but the last."""
    heard = np.concatenate([np.stack([PRIME] * 2, 1), found])[:-1]
    return np.stack([np.stack([lane(one(cell, e), cell, heard[:, e, b]) for b in range(B)], 1) for e in range(2)], 1)


def lane(model, cell, symbols):
    """The logits of one model over one lane, (P, V)."""
    (W_ih, W_hh, b_ih, b_hh), (W_hy, b_hy) = model
    h, c, y = np.zeros(H), np.zeros(H), []
    for symbol in symbols:
        a = W_ih[:, symbol] + b_ih + W_hh @ h + b_hh
        if cell == "rnn":
            h = np.tanh(a)
        else:
            i, f, g, o = np.split(a, 4)
            c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
            h = np.tanh(c) / (1 + np.exp(-o))
        y.append(W_hy @ h + b_hy)
    return np.stack(y)
