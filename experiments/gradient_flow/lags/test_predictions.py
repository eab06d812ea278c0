"""The closed forms against what is known of them otherwise: limits, other integrators, corners that are simple."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from scipy import integrate, optimize, special

from experiments.gradient_flow import quadrature
from experiments.gradient_flow.lags import lstm_field, predictions
from experiments.gradient_flow.lags.lstm_field import Field, Gates, Pair, Step
from experiments.gradient_flow.starts import STARTS

WIDE = 10**9


@pytest.mark.parametrize(("bias", "steps"), [(0, "1.00"), (1, "2.21"), (2, "5.46"), (5, "103")])
def test_a_gate_at_its_bias_halves_the_cell_after_its_half_life(bias, steps):
    """sigma(b)^half-life = 1/2, and the four known values."""
    half_life = predictions.half_life(bias)
    assert special.expit(bias) ** half_life == pytest.approx(0.5, rel=1e-12)
    assert f"{half_life:.{3}g}" == f"{float(steps):.3g}"


def test_chrono_keeps_a_seventh_at_its_longest_time():
    """E f^T = .1496 at T = T_max = 100, and in the limit the integral of exp(-1/v), .1485."""
    assert f"{predictions.chrono_survival(100, 100):.4f}" == "0.1496"
    limit, _ = integrate.quad(lambda v: math.exp(-1 / v), 0, 1)
    assert predictions.chrono_survival(10**7, 10**7) == pytest.approx(limit, abs=1e-6)


@pytest.mark.parametrize("lag", [1, 10, 100, 1000])
def test_torchs_two_biases_are_uniform_each(lag):
    """E f^lag by another integrator, over one bias and then the other; it lies below the largest gate's."""
    H = 64
    edge = 1 / math.sqrt(H)

    def over_one(b):
        return integrate.quad(lambda a: special.expit(a + b) ** lag, -edge, edge, epsabs=0)[0] / (2 * edge)

    truth = integrate.quad(over_one, -edge, edge, epsabs=0)[0] / (2 * edge)
    assert predictions.torch_survival(lag, H) == pytest.approx(truth, rel=1e-9)
    assert truth < special.expit(2 * edge) ** lag


@pytest.mark.parametrize("gain", [0.5, 0.8])
def test_an_undriven_rnn_below_gain_one_shrinks_gradients_by_its_gain(gain):
    """Wide and small, tanh' = 1: chi = g^2; the drive of variance (D + 2) / (3 H) changes it by that order."""
    np.testing.assert_allclose(predictions.rnn_growth(gain, 8, WIDE, 50), gain**2, rtol=100 / WIDE)


@pytest.mark.parametrize(("gain", "exponent"), [(1.5, None), (2, 0.155), (3, 0.310)])
def test_an_undriven_rnn_above_gain_one_has_the_known_largest_exponent(gain, exponent):
    """ln chi / 2 at the fixed point q = g^2 E tanh^2(sqrt(q) z), by another integrator and by the printed values."""

    def mean(function):
        return integrate.quad(lambda z: function(z) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -12, 12)[0]

    q = optimize.brentq(lambda q: gain**2 * mean(lambda z: math.tanh(math.sqrt(q) * z) ** 2) - q, 1e-3, gain**2)
    chi = gain**2 * mean(lambda z: math.cosh(math.sqrt(q) * z) ** -4)
    got = 0.5 * math.log(predictions.rnn_growth(gain, 8, WIDE, 600)[-1])
    assert got == pytest.approx(0.5 * math.log(chi), abs=1e-7)
    assert exponent is None or f"{got:.3f}" == f"{exponent:.3f}"


def test_the_rules_of_integration_give_the_moments_of_a_normal():
    """E 1, z^2, z^4 = 1, 1, 3; E tanh^2(3 z), which Gauss-Hermite hardly reaches, against another integrator."""
    z, weight = quadrature.line()
    assert [weight @ z**n for n in (0, 1, 2, 4)] == pytest.approx([1, 0, 1, 3], abs=1e-12)
    truth = integrate.quad(lambda z: math.tanh(3 * z) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -12, 12)
    assert quadrature.expect(lambda z: np.tanh(3 * z) ** 2) == pytest.approx(truth[0], abs=1e-9)
    z, weight = quadrature.half_line()
    assert [weight @ z**n for n in (0, 2, 4)] == pytest.approx([1, 1, 3], abs=1e-4)


@pytest.mark.parametrize("name", ["lstm/start=torch", "lstm/start=forget_bias/b_f=3", "lstm/start=chrono"])
def test_more_nodes_change_no_printed_digit_of_the_lstms_field(name, monkeypatch):
    """Twice the nodes along g, half as many again along chrono's u: the total moves by less than .01 decade."""
    start = STARTS[name]
    few = lstm_field.total(lstm_field.field(start, 8, 64, 60))
    half_line, legendre = quadrature.half_line(48), quadrature.legendre
    monkeypatch.setattr(lstm_field, "half_line", lambda: half_line)
    monkeypatch.setattr(lstm_field, "legendre", lambda low, high, n: legendre(low, high, n + n // 2))
    many = lstm_field.total(lstm_field.field.__wrapped__(start, 8, 64, 60))
    assert abs(few - many).max() < 0.01


@pytest.mark.parametrize(("gain", "few"), [(0.8, 0.8), (1.0, 2.0)])
def test_the_bound_for_units_alone_has_nodes_enough(gain, few, monkeypatch):
    """Half as many biases again, and a further strength of inputs, move it little; with 6 and 3 it was decades low."""
    bound = partial(predictions.alone_log10_norm, gain, 8, 64, 104)
    found = []
    for biases, strengths in ((predictions.BIASES, predictions.STRENGTHS), (144, 5), (6, 3)):
        monkeypatch.setattr(predictions, "BIASES", biases)
        monkeypatch.setattr(predictions, "STRENGTHS", strengths)
        found.append(bound()[100])
    assert found[1] == pytest.approx(found[0], abs=0.15) and found[0] - found[2] > few


@pytest.mark.parametrize("forget", [0.5, 0.731, 0.95])
def test_in_the_linear_corner_paths_through_the_same_weights_add_up(forget):
    """With constant gates and a small cell, the mean square of (f + i o W)^n, whose W has entries of variance 1/(3 H).

    E |(f + i o W)^n v|^2 = sum over k of C(n, k)^2 f^(2 (n - k)) (i o)^(2 k) 3^-k: for large H only equal powers of W
    overlap. After the first step dL/dh, dL/dc are i W^T and f times what is o times that.
    """
    i, o, T = 0.4, 0.3, 30
    got = lstm_field.total(constant(i, forget, o, T))
    for n in range(1, T + 1):
        powers = [math.comb(n - 1, k) ** 2 * forget ** (2 * (n - 1 - k)) * (i * o) ** (2 * k) / 3**k for k in range(n)]
        assert 100 ** got[n] == pytest.approx(o**2 * (forget**2 + i**2 / 3) * sum(powers), rel=1e-11)


@pytest.mark.parametrize("forget", [0.5, 0.95])
def test_in_the_linear_corner_of_two_layers_every_word_counts_as_often_as_it_occurs(forget):
    """With constant gates and a small cell, the lower layer's gradient is a sum over words W^a U V^b of weights.

    V and W are the recurrent weights of the upper and the lower layer, U the input weights between. delta_n, by the
    lower c, is the sum over m of (f + i o W)^(n-m) o i U (f + i o V)^m o v, in which the word has the coefficient
    o^2 i (i o)^(a+b) f^(n-a-b) C(n+1, a+b+1), by Vandermonde's identity; dh_n is (delta_n - f delta_{n-1}) / o. There
    are s + 1 words of a + b = s. A form that forgets that what comes down is correlated over lags is far off.
    """
    i, o, T = 0.4, 0.3, 30
    both = (constant(i, forget, o, T),) * 2
    got = lstm_field.by_layer(both)
    np.testing.assert_array_equal(got[1], lstm_field.total(both[0]))
    for n in range(T):
        words = [i * o * (i * o) ** s * forget ** (n - s) for s in range(n + 1)]
        squares = [
            (s + 1) / 3 ** (s + 1) * word**2 * (math.comb(n, s) ** 2 + o**2 * math.comb(n, s + 1) ** 2)
            for s, word in enumerate(words)
        ]
        assert 100 ** got[0, n] == pytest.approx(sum(squares), rel=1e-11)
    top = np.zeros((T + 1, T + 1))
    top[0, 0] = 1.0
    _, down = lstm_field.through(both[1], top)
    fresh, _ = lstm_field.through(both[0], np.diag(np.diag(down)))
    assert fresh[20] < 0.8 * 100 ** got[0, 20]


def test_time_scales_even_in_the_logarithm_average_what_is_large_at_short_ones():
    """E 1 / (1 + u)^2 over [1, T - 1] is (1/2 - 1/T) / (T - 2); the mean of u is T / 2."""
    for T in (24, 120, 1000):
        u, weight = lstm_field.even_in_logarithm(1.0, T - 1.0, 8)
        assert weight.sum() == pytest.approx(1, rel=1e-12)
        assert weight @ u == pytest.approx(T / 2, rel=1e-5)
        assert weight @ (1 + u) ** -2 == pytest.approx((1 / 2 - 1 / T) / (T - 2), rel=1e-5)


def test_a_constant_field_without_recurrence_leaves_the_direct_path():
    """At i = 0 nothing is written into the cell, so what is left is o f^n."""
    got = lstm_field.total(constant(0.0, 0.9, 0.5, 10))
    np.testing.assert_allclose(10 ** got[1:], 0.5 * 0.9 ** np.arange(1, 11), rtol=1e-12)


def constant(i, f, o, T):
    """A field of one node whose gates do not move, g and c at 0."""

    def always(value):
        return Pair(np.full((T, 1), value), np.full((T, 1), value**2))

    zero = always(0.0)
    gate, slope = Gates(always(i), always(f), zero, always(o)), Gates(zero, zero, always(1.0), zero)
    flat = np.zeros((T, 1))
    return Field(np.ones(1), Step(gate, slope, flat, flat, flat, zero, always(1.0), np.zeros(T)))
