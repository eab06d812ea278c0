"""Sources with hidden states: draws, exact predictor, rates and rungs, against faults that they could have."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from experiments.tasks import dyck, hidden_markov, processes, recall, timer
from experiments.tasks.hidden_markov import Source
from experiments.tasks.testing import LEVEL, holds, refuses, tolerance
from impl import draw

LN2 = math.log(2)
SOURCES = {name: make() for name, make in processes.PROCESSES.items()} | {
    "recall": recall.source(5),
    "dyck": dyck.source(3),
}
every = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
RATES = dict.fromkeys(("golden_mean", "even", "rrxor"), 2 / 3) | {"recall": recall.rate(5), "dyck": dyck.rate(3)}


# The predictor's loss and the rate


@every
def test_the_predictors_loss_converges_to_the_rate(source):
    """Over long sequences, once what is to be known of the state is known, within five standard errors."""
    assert holds(late_losses(source, source), source.rate)


@every
def test_the_predictors_loss_over_the_first_steps_is_the_mean_of_the_rungs(source):
    """From the stationary start, at every T: (h_0 + .. + h_{T-1}) / T, which is also the closed form of all windows."""
    T, target = 8, source.symbols(draw.generator("first", source.NAME), 8, 4000)
    rows = own_losses(source, target).mean(0)
    assert holds(rows, source.rungs(T - 1).mean())
    assert source.bayes_loss(T - 1, T) == pytest.approx(source.rungs(T - 1).mean() * LN2, rel=1e-12)
    assert source.bayes_loss(2, T) == pytest.approx((source.rungs(2).sum() + 5 * source.rungs(2)[-1]) / T * LN2)


@pytest.mark.parametrize("fault", ["transition", "first symbol", "start"])
def test_each_planted_fault_of_a_source_is_seen_by_the_loss(fault, monkeypatch):
    """A wrong transition, a filter that passes over the first symbol, a start that is not stationary."""
    even, rng = SOURCES["even"], draw.generator("fault", fault)
    target = even.symbols(rng, 8, 4000)
    if fault == "transition":
        wrong = hidden_markov.stationary_source("even", even.moves * np.array([0.9, 1.0])[:, None, None] + lost(even))
        assert not holds(late_losses(wrong, even), even.rate)
    elif fault == "start":
        target = replace(even, start=np.array([0.3, 0.7])).symbols(rng, 8, 4000)
        assert not holds(own_losses(even, target).mean(0), even.rungs(7).mean())
    else:
        forget_the_first(monkeypatch)
        assert not holds(own_losses(even, target).mean(0), even.rungs(7).mean())


def lost(even):
    """What a tenth less chance of a 0 leaves to the 1 of state 0."""
    return np.array([np.zeros((2, 2)), [[0, 0.05], [0, 0]]])


def forget_the_first(monkeypatch):
    """A fault: the filter begins with the second symbol."""
    bayes = Source.bayes
    forgot = lambda self, target: np.concatenate([bayes(self, target[:1]), bayes(self, target[1:])])  # noqa: E731
    monkeypatch.setattr(Source, "bayes", forgot)


# The predictor and the rungs by enumeration


@every
def test_the_predictor_is_the_conditional_chance_by_enumeration(source):
    """Over all strings, the product of the predictor's chances is the sum over paths; the chances sum to 1."""
    assert not wrong_chances(source)


@every
def test_a_filter_that_passes_over_the_first_symbol_is_seen(source, monkeypatch):
    """The planted filter gives other chances to the strings of every source."""
    forget_the_first(monkeypatch)
    assert wrong_chances(source)


def wrong_chances(source, T=4):
    """Whether the predictor's chances of all possible strings of T symbols are not those of `string_chances`."""
    strings, chances = string_chances(source, T)
    given = source.bayes(strings.T)
    np.testing.assert_allclose(given.sum(-1), 1, rtol=0, atol=1e-12)
    product = np.take_along_axis(given, strings.T[..., None], -1)[..., 0].prod(0)
    return not (np.allclose(product, chances, rtol=1e-10, atol=0) and np.isclose(product.sum(), 1, rtol=0, atol=1e-12))


def string_chances(source, T):
    """All strings of T symbols that can be, and their chances from the stationary start, edge by edge."""
    strings = np.array(list(itertools.product(range(source.V), repeat=T)))
    chances = np.zeros(len(strings))
    for n, string in enumerate(strings):
        state = source.stationary
        for s in string:
            state = state @ source.moves[s]
        chances[n] = state.sum()
    return strings[chances > 0], chances[chances > 0]


@every
def test_a_rung_is_the_difference_of_block_entropies(source):
    """h_k = H(k + 1) - H(k), with the entropies of all strings of so many symbols."""
    blocks = [0.0] + [entropy(string_chances(source, T)[1]) for T in range(1, 6)]
    np.testing.assert_allclose(source.rungs(4), np.diff(blocks), rtol=0, atol=1e-10)


@every
@pytest.mark.parametrize("window", [0, 1, 3])
def test_the_excess_of_a_window_is_its_loss_above_the_predictors_over_short_sequences(source, window):
    """By enumeration of all strings of 6 symbols: who sees the last ones, and not at which step, pays so much more."""
    T, seen = 6, {}
    strings, chances = string_chances(source, T)
    each = list(zip(map(tuple, strings), chances, strict=True))
    for string, chance in each:
        for t in range(T):
            seen.setdefault(string[max(0, t - window) : t], np.zeros(source.V))[string[t]] += chance
    pays = sum(total.sum() * entropy((total / total.sum())[total > 0]) for total in seen.values()) / T
    best = entropy(chances) / T
    assert hidden_markov.excess(source.first(T), window) == pytest.approx(pays - best, abs=2e-7)


def test_rungs_that_have_come_to_the_rate_stand_for_all_that_follow():
    """Of Mess3, whose beliefs triple a step, as far as rungs are told from the rate; of a chain to its order."""
    mess3 = SOURCES["mess3"].first(60)
    assert len(mess3) == 60 and len(np.unique(mess3)) == 10 and 0 < mess3[-1] - SOURCES["mess3"].rate < 1e-7
    np.testing.assert_array_equal(mess3[:9], SOURCES["mess3"].rungs(8))
    assert len(np.unique(SOURCES["markov_2"].first(60))) == 3


def test_rungs_from_a_start_that_is_not_stationary_are_seen(monkeypatch):
    """A uniform vector in place of the stationary one changes the rungs of the Even process, which then also rise."""
    uniform = np.full(2, 0.5)
    assert not np.allclose(uniform @ SOURCES["even"].moves.sum(0), uniform)
    monkeypatch.setattr(hidden_markov, "stationary", lambda P: np.full(len(P), 1 / len(P)))
    wrong = Source("even", SOURCES["even"].moves, SOURCES["even"].start)
    assert abs(wrong.rungs(4) - SOURCES["even"].rungs(4)).max() > 1e-3 and abs(wrong.rate - 2 / 3) > 0.01


def entropy(chances):
    """Bits."""
    return float(-(chances * np.log2(chances)).sum())


@every
def test_rungs_fall_to_the_rate_and_the_two_bounds_enclose_it(source):
    """h_k never rises; the bound with the first state known never falls, and never exceeds the rate."""
    rungs = source.rungs(8)
    low = [source.bounds(k)[0] for k in (0, 3, 6)]
    assert (np.diff(rungs) <= 1e-12).all() and (np.diff(low) >= -1e-12).all()
    assert low[-1] <= source.rate + 1e-12 <= rungs[-1] + 2e-12


@pytest.mark.parametrize(("name", "order"), [("golden_mean", 1), ("markov_1", 1), ("markov_2", 2), ("markov_4", 4)])
def test_a_chain_has_its_order_exactly(name, order):
    """Its rung of that order is the rate, the one below lies a twentieth of a bit above it."""
    rungs = SOURCES[name].rungs(order) - SOURCES[name].rate
    assert abs(rungs[order]) < 1e-12 and rungs[order - 1] > 0.05


@pytest.mark.parametrize("name", RATES)
def test_the_rate_is_the_closed_form(name):
    """2/3 bit of the three processes; recall's and Dyck's by their own formulas."""
    assert SOURCES[name].rate == pytest.approx(RATES[name], abs=1e-12)


def test_the_rate_of_mess3_is_the_published_one_within_its_bounds():
    """About 1.5709 bits at x = .15, a = .6; the two bounds close in by a factor of three and more an order."""
    mess3 = SOURCES["mess3"]
    gaps = [high - low for low, high in map(mess3.bounds, range(3, 8))]
    assert not mess3.unifilar and mess3.rate == pytest.approx(1.5709, abs=5e-5)
    assert all(after < before / 3 for before, after in itertools.pairwise(gaps))
    assert all(low <= mess3.rate <= high for low, high in map(mess3.bounds, range(3, 8)))


# Against what is known otherwise


@pytest.mark.parametrize("n", [1, 4])
def test_timer_as_a_hidden_markov_source_is_timer(n):
    """The filter that starts at age 0 gives timer's own predictor, and the rungs its closed form."""
    source = timer_source(n)
    target = timer.symbols(draw.generator("timer"), n, 30, 200)
    at_one = replace(source, start=np.eye(n + 1)[0])
    np.testing.assert_allclose(at_one.bayes(target)[..., 1], timer.bayes(target, n), rtol=0, atol=1e-12)
    above = source.rungs(n + 1) - timer.rate(n)
    np.testing.assert_allclose(above, [timer.rung(k, n) for k in range(n + 2)], rtol=0, atol=1e-12)
    assert source.rate == pytest.approx(timer.rate(n), abs=1e-12)


def timer_source(n):
    """timer(n) from its ages."""
    ages = [(i, 0, i + 1, 1.0) for i in range(n)]
    return processes.by_edges("timer", 2, [*ages, (n, 0, n, 0.5), (n, 1, 0, 0.5)])


def test_each_process_is_what_its_name_says():
    """No 00; even blocks of 1s; the third symbol is the XOR of two, at one of three phases; Mess3's symmetry."""
    names = ("golden_mean", "even", "rrxor")
    drawn = {name: SOURCES[name].symbols(draw.generator("is", name), 60, 300) for name in names}
    assert not ((drawn["golden_mean"][1:] == 0) & (drawn["golden_mean"][:-1] == 0)).any()
    for row in drawn["even"].T:
        zeros = np.flatnonzero(row == 0)
        assert ((np.diff(zeros) - 1) % 2 == 0).all()
    a = drawn["rrxor"]
    right = [(a[p:58:3] ^ a[p + 1 : 59 : 3] == a[p + 2 : 60 : 3]).all(0) for p in range(3)]
    assert np.any(right, 0).all() and all(0.2 < phase.mean() < 0.5 for phase in right)
    moves = SOURCES["mess3"].moves
    np.testing.assert_array_equal(np.roll(moves, (1, 1, 1), (0, 1, 2)), moves)


@pytest.mark.parametrize("name", ["markov_1", "markov_2", "markov_4"])
def test_a_chains_draws_have_its_tables_shares(name):
    """After every context each symbol stands as often as the table says."""
    source = SOURCES[name]
    (S, V), m = (table := source.moves.sum(-1).T).shape, round(math.log(len(source.start), source.V))
    target = source.symbols(draw.generator("shares", name), 400, 400)
    context = sum(target[k : len(target) - m + k] * V ** (m - 1 - k) for k in range(m))
    counts = np.bincount((V * context + target[m:]).ravel(), minlength=S * V).reshape(S, V)
    n = counts.sum(1, keepdims=True)
    assert (abs(counts / n - table) <= tolerance(S * V) * np.sqrt(table * (1 - table) / n)).all()


@every
def test_shares_of_symbols_and_first_states_are_stationary(source):
    """At the first and at the last step of a draw the symbols have the same shares."""
    shares, target = source.stationary @ source.moves.sum(-1).T, source.symbols(draw.generator("shares"), 5, 20000)
    np.testing.assert_allclose(source.start @ source.moves.sum(0), source.start, rtol=0, atol=1e-12)
    for step in (0, -1):
        found = np.bincount(target[step], minlength=source.V) / 20000
        assert (abs(found - shares) <= tolerance(2 * source.V) * np.sqrt(shares * (1 - shares) / 20000) + LEVEL).all()


# How good a model is


def test_divergence_and_the_difference_of_losses_have_the_same_mean():
    """For a model that is wrong in every way; the predictor itself pays nothing, and no model less."""
    source = SOURCES["mess3"]
    target = source.symbols(draw.generator("kl"), 20, 3000)
    chances = source.bayes(target)
    y = draw.generator("kl y").normal(0, 2, chances.shape)
    model, best = hidden_markov.losses(y, target, chances)
    kl = hidden_markov.divergence(y, chances)
    assert (kl > 0).all() and holds(model - best - kl, 0.0)
    assert abs(hidden_markov.divergence(np.log(chances) + 3, chances)).max() < 1e-12


def test_shapes_for_one_model_and_for_a_group():
    """x shows the symbol before, nothing at first; a group's axis E stands before B, and each member has its own."""
    source = SOURCES["even"]
    x, target = source.draw(draw.generator("shape"), 9, 7)
    assert x.shape == (9, 7, 2) and target.shape == (9, 7) and target.dtype == np.int64
    assert not x[0].any() and (x[1:] == np.eye(2)[target[:-1]]).all()
    y = draw.generator("shape y").normal(size=(9, 3, 7, 2))
    group = source.cost(y, np.stack([target] * 3, 1))
    for member in range(3):
        np.testing.assert_allclose(group[member], source.cost(y[:, member], target), rtol=1e-13, atol=0)


def test_what_is_no_source_or_not_of_it_is_refused():
    """Chances that do not sum to 1, a chain that falls apart, a string that is never emitted."""
    rule = "must be chances that sum to 1 from every state"
    refuses(lambda: Source("half", np.full((1, 1, 1), 0.5), np.ones(1)), f"`moves` of half {rule}")
    refuses(lambda: Source("half", np.ones((1, 1, 1)), np.full(1, 0.5)), f"`start` of half {rule}")
    refuses(lambda: hidden_markov.stationary(np.eye(2)), "`P` must keep one distribution alone")
    refuses(lambda: SOURCES["golden_mean"].bayes(np.zeros((2, 1), int)), "`target` must be a sequence that golden_mean")
    refuses(lambda: SOURCES["even"].symbols(draw.generator("no"), 0, 1), "`steps` must be at least 1")
    refuses(lambda: recall.source(1.0), "`tau` must be above 1")
    refuses(lambda: dyck.source(0), "`depth` must be at least 1")


# Helpers


def own_losses(source, target):
    """The predictor's surprise at each symbol (T, B), bits."""
    return -np.log2(np.take_along_axis(source.bayes(target), target[..., None], -1)[..., 0])


def late_losses(drawn_from, source, burnt=150, T=500, B=200):
    """Means a row of the predictor's loss after `burnt` steps on symbols that another source may have drawn."""
    target = drawn_from.symbols(draw.generator("long", source.NAME), T, B)
    return own_losses(source, target)[burnt:].mean(0)
