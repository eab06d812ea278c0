"""Kneser-Ney against a slow reference with dictionaries, against faults, and on the default text."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.tasks import ngram, text
from impl import draw

V, HIGHEST = 4, 3


def test_every_order_is_a_distribution_after_every_context():
    """Over all contexts of 3 characters, most of them never seen, each order's probabilities sum to 1 to rounding."""
    assert far_from_one(ngram.fit(training(), V, HIGHEST)) < 1e-14


def test_every_order_agrees_with_the_definition():
    """On a random text each probability is that of a recursion over dictionaries, also where the text begins."""
    assert far_from_the_definition(ngram.fit(training(), V, HIGHEST)) < 1e-14


@pytest.mark.parametrize("fault", ["fixed discount", "discount of another level", "raw counts below", "other context"])
def test_each_planted_fault_is_seen_by_the_definition(fault):
    """These faults still give distributions, so that only the definition tells them: by more than a thousandth."""
    ladder = FAULTS[fault](ngram.fit(training(), V, HIGHEST))
    assert far_from_one(ladder) < 1e-14
    assert far_from_the_definition(ladder) > 1e-3


def test_a_discount_that_is_not_given_back_is_seen_by_the_sum():
    """If a context's number of followers is wrong, the probabilities do not sum to 1."""
    ladder = ngram.fit(training(), V, HIGHEST)
    counts = [some._replace(types=np.ones_like(some.types)) for some in ladder.counts]
    assert far_from_one(ladder._replace(counts=counts)) > 1e-3


def test_without_singletons_half_a_count_is_taken():
    """Every count is 4 at order 0, so that n_1 = 0: a new letter has p = D t / (12 V) with D = 1/2 and t = 3."""
    ladder = ngram.fit(np.array([0, 1, 2] * 4), V, 0)
    assert ladder.counts[0].discount == 0.5
    new = 0.5 * 3 / (12 * V)
    p = ngram.probabilities(ladder, np.array([0, 1, 3]))
    np.testing.assert_allclose(p, [[(4 - 0.5) / 12 + new, (4 - 0.5) / 12 + new, new]], rtol=1e-15)


letters = st.integers(0, V - 2)
periodic = st.builds(lambda unit, times: unit * times, st.lists(letters, min_size=1, max_size=4), st.integers(1, 30))
texts = (
    st.lists(letters, min_size=1, max_size=60) | periodic | st.builds(lambda w, n: [w] * n, letters, st.integers(1, 60))
)


@given(trained=texts, asked=st.lists(st.integers(0, V - 1), max_size=12))
def test_no_loss_is_infinite_on_any_text(trained, asked):
    """Random, periodic, of one letter: every order is a distribution that gives also the last letter, which no training
    text has, more than 0."""
    ladder = ngram.fit(np.array(trained), V, HIGHEST)
    p = np.array([ngram.probabilities(ladder, np.array([*asked, w]))[:, -1] for w in range(V)])
    assert (p > 0).all()
    np.testing.assert_allclose(p.sum(0), 1, rtol=1e-14)
    assert np.isfinite(ngram.nats(ladder, np.array([*asked, V - 1]))).all()


def test_a_discount_of_0_is_seen_as_an_infinite_loss(monkeypatch):
    """The published discount at levels without singletons, planted, breaks the property above."""
    monkeypatch.setattr(ngram, "WITHOUT_SINGLETONS", 0.0)
    with pytest.raises(AssertionError):
        test_no_loss_is_infinite_on_any_text()


def test_characters_before_are_context_and_do_not_count():
    """The loss of the last five characters is the mean of their own losses, each with all that stands before it."""
    ladder, asked = ngram.fit(training(), V, HIGHEST), training("asked", 20)
    each = -np.log(ngram.probabilities(ladder, asked))
    np.testing.assert_allclose(ngram.nats(ladder, asked, before=15), each[:, 15:].mean(1), rtol=1e-15)


@pytest.mark.parametrize("symbols", [2, 63, 512, 513, 5000, 1_114_112])
def test_codes_of_the_highest_order_fit_into_63_bits_and_those_of_the_next_do_not(symbols):
    """Large alphabets get fewer orders, never a wrong code; order 2, which N6 reads, is always there."""
    order = ngram.highest_order(symbols)
    assert symbols ** (order + 1) <= 2**63 < symbols ** (order + 2)
    assert order >= 2
    assert ngram.codes(np.full(order + 1, symbols - 1), order, symbols) == symbols ** (order + 1) - 1


CONTIGUOUS = (2.981, 2.320, 1.840, 1.486, 1.303, 1.243, 1.228)
INTERLEAVED = (2.989, 2.263, 1.724, 1.342, 1.143, 1.056, 1.013)


@pytest.mark.parametrize(
    ("split", "expected"),
    [(text.contiguous, CONTIGUOUS), pytest.param(text.interleaved, INTERLEAVED, marks=pytest.mark.slow)],
)
def test_the_rungs_of_the_default_text_are_those_of_the_pilot(split, expected):
    """Of a split, orders 0 to 6, to three decimals as they were first computed by other code."""
    source = text.load(None)
    parts = split(len(source.characters))
    ladder = ngram.fit(text.characters(source, parts.training), len(source.alphabet))
    # half a unit of the third decimal, and what six characters without context can change: 6 * ln 63 / 207 000
    np.testing.assert_allclose(ngram.nats(ladder, text.characters(source, parts.test)), expected, atol=6.2e-4)


def training(name="training", n=300):
    """A text over three of the four letters in which each letter leans on the one before."""
    rng, letters = draw.generator("ngram", name), [0]
    for _ in range(n - 1):
        letters.append(int(rng.choice(3, p=np.roll([0.7, 0.2, 0.1], letters[-1]))))
    return np.array(letters)


def far_from_one(ladder):
    """The largest distance from 1 of the sum over the next letter, over all orders and contexts."""
    sums = [
        sum(ngram.probabilities(ladder, np.array([*context, w]))[:, -1] for w in range(V))
        for context in product(range(V), repeat=HIGHEST)
    ]
    return abs(np.array(sums) - 1).max()


def far_from_the_definition(ladder):
    """The largest distance from `reference`, over all orders and the letters of a text with all four letters."""
    asked = np.r_[training("asked", 60), 3, training("more", 20)]
    p = ngram.probabilities(ladder, asked)
    known = tables(training().tolist())
    expected = [
        [reference(known, asked[max(t - k, 0) : t].tolist(), asked[t]) for t in range(len(asked))]
        for k in range(HIGHEST + 1)
    ]
    return abs(p - expected).max()


def tables(letters):
    """Counts by n-gram: those of the text, and in how many letters each was preceded."""
    grams = [Counter(tuple(letters[i : i + k + 1]) for i in range(len(letters) - k)) for k in range(HIGHEST + 1)]
    return grams, [Counter(gram[1:] for gram in longer) for longer in grams[1:]]


def reference(known, context, w):
    """P_k(w | context) from the module's equations, k the length of the context."""
    grams, preceded = known

    def p(j, u, table):
        below = p(j - 1, u[1:], preceded[j - 1]) if j else 1 / V
        followers = {gram[-1]: c for gram, c in table.items() if gram[:-1] == tuple(u)}
        if not followers:
            return below
        once, twice = (sum(c == r for c in table.values()) for r in (1, 2))
        D = once / (once + 2 * twice) if once else 1 / 2
        return (max(followers.get(w, 0) - D, 0) + D * len(followers) * below) / sum(followers.values())

    return p(len(context), context, grams[len(context)])


def with_discount(ladder, discount):
    """The ladder with other discounts at all levels: discount(level)."""
    levels = [[some._replace(discount=discount(some)) for some in many] for many in ladder[1:]]
    return ladder._replace(counts=levels[0], continuations=levels[1])


FAULTS = {
    "fixed discount": lambda ladder: with_discount(ladder, lambda some: 0.75),
    "discount of another level": lambda ladder: with_discount(ladder, lambda some: ladder.continuations[-1].discount),
    "raw counts below": lambda ladder: ladder._replace(continuations=ladder.counts[:-1]),
    "other context": lambda ladder: ngram.fit(training("other"), V, HIGHEST),
}
