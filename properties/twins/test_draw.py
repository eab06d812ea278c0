"""Initial parameters: what each initialiser promises, and that the words of a generator decide every bit."""

import math

import numpy as np
import pytest
import torch

from impl import draw
from impl.spec import COMMON, GATES, VARIANTS, Parameters, block, leaves, tree_map

cells = pytest.mark.parametrize("cell", GATES)


def rng(*words):
    """A generator of these tests."""
    return draw.generator("test of draw", *words)


@pytest.mark.parametrize("cell", COMMON)
def test_uniform_has_the_shapes_and_the_range_of_torch_nn(cell):
    """Every parameter in +-1/sqrt(H), nearly reaching both ends; H = 16 makes that 1/4."""
    mine = draw.uniform(rng(cell), cell, 5, 16)
    theirs = (torch.nn.LSTM if cell == "lstm" else torch.nn.RNN)(5, 16)
    for name, array in mine._asdict().items():
        other = getattr(theirs, f"{name}_l0").detach().numpy()
        assert array.shape == other.shape and array.dtype == np.float64
        assert np.abs(array).max() <= 0.25 and np.abs(other).max() <= 0.25
    assert np.abs(mine.weight_hh).max() > 0.245
    assert abs(mine.weight_hh.std() - 0.25 / 3**0.5) < 0.01


@cells
def test_every_initialiser_leaves_the_biases_out_when_asked(cell):
    """The notes' cell has none."""
    for kind in (draw.uniform, draw.gaussian, draw.orthogonal, draw.identity):
        params = kind(rng(cell), cell, 2, 3, bias=False)
        assert params.bias_ih is None and params.bias_hh is None


@cells
def test_gaussian_recurrent_weights_have_variance_gain_squared_over_H(cell):
    """Within five standard errors of a sample variance, sqrt(2/n)."""
    H, gain = 60, 1.5
    weight = draw.gaussian(rng(cell), cell, 2, H, gain).weight_hh
    assert abs(weight.var() * H / gain**2 - 1) < 5 * (2 / weight.size) ** 0.5
    assert abs(weight.mean()) < 5 * gain * H**-0.5 * weight.size**-0.5
    assert np.abs(weight).max() > 2.5 * gain * H**-0.5, "a Gaussian has tails"


def test_the_spectral_radius_of_gaussian_weights_tends_to_the_gain():
    """Girko's circular law: within a tenth at H = 300."""
    weight = draw.gaussian(rng(), "rnn", 1, 300, 0.8).weight_hh
    assert abs(np.abs(np.linalg.eigvals(weight)).max() / 0.8 - 1) < 0.1


@cells
def test_orthogonal_blocks_are_orthogonal_and_differ(cell):
    """Q^T Q = gain^2 I in every block, within rounding; no block repeats another."""
    H, weight = 7, draw.orthogonal(rng(cell), cell, 2, 7, gain=1.1).weight_hh
    blocks = [weight[block(cell, gate, H)] for gate in GATES[cell]]
    for q in blocks:
        assert np.abs(q.T @ q - 1.21 * np.eye(H)).max() < 1e-14
    assert len({q.tobytes() for q in blocks}) == len(GATES[cell])


def test_orthogonal_matrices_come_from_the_haar_measure():
    """Without the correction of signs by R's diagonal, the trace's mean is off; Haar has mean 0 and variance 1."""
    traces = [np.trace(draw.orthogonal(rng(k), "rnn", 1, 3).weight_hh) for k in range(600)]
    assert abs(np.mean(traces)) < 5 / 600**0.5
    assert abs(np.var(traces) - 1) < 0.3


@cells
def test_identity_blocks_are_gain_times_the_identity(cell):
    """Exactly."""
    weight = draw.identity(rng(cell), cell, 2, 3, gain=0.5).weight_hh
    assert np.array_equal(weight, 0.5 * np.concatenate([np.eye(3)] * len(GATES[cell])))


@pytest.mark.parametrize("value", [0.0, 1.0, 3.0])
def test_the_summed_forget_bias_is_exactly_the_value(value):
    """To the bit, in the forget gate's rows alone; the given parameters stay as they are."""
    params = draw.uniform(rng(), "lstm", 2, 5)
    before = [a.copy() for a in leaves(params)]
    changed = draw.with_forget_bias(params, value)
    total, was = changed.bias_ih + changed.bias_hh, params.bias_ih + params.bias_hh
    rows = block("lstm", "f", 5)
    assert total[rows].tolist() == [value] * 5
    assert np.array_equal(np.delete(total, np.r_[rows]), np.delete(was, np.r_[rows]))
    assert all(np.array_equal(a, b) for a, b in zip(leaves(params), before, strict=True))


def test_chrono_biases_are_logarithms_of_uniform_times():
    """b_f = ln u, u in [1, T_max - 1], b_i = -b_f to the bit: e^b_f has median T_max / 2 (five standard errors)."""
    H, T_max = 4000, 101
    params = draw.with_chrono(rng(), draw.uniform(rng(), "lstm", 1, H), T_max)
    b = params.bias_ih + params.bias_hh
    b_f, b_i = b[block("lstm", "f", H)], b[block("lstm", "i", H)]
    assert np.array_equal(b_f, -b_i)
    times = np.exp(b_f)
    assert times.min() >= 1 and times.max() <= T_max - 1 + 1e-9
    assert times.min() < 2 and times.max() > T_max - 2
    assert abs(np.median(times) - T_max / 2) < 5 * (T_max - 2) / 2 / H**0.5


@pytest.mark.parametrize("cell", ["lstm", "lstm_coupled"])
def test_the_biases_of_a_group_are_those_of_its_models_in_order(cell):
    """As many models as units among them, where axis E could pass for the units'."""
    models = [draw.uniform(rng(k), cell, 2, 3) for k in range(3)]
    one, all_ = rng("chrono"), rng("chrono")
    for each, together in (
        (lambda m: draw.with_forget_bias(m, 5.0, cell), lambda m: draw.with_forget_bias(m, 5.0, cell)),
        (lambda m: draw.with_chrono(one, m, 9, cell), lambda m: draw.with_chrono(all_, m, 9, cell)),
    ):
        pairs = zip(leaves(draw.group(list(map(each, models)))), leaves(together(draw.group(models))), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)


def test_chrono_and_forget_bias_refuse_what_they_cannot_do():
    """A time range below 2 or without an end, what is no parameters or not NumPy's, and parameters without biases."""
    params = draw.uniform(rng(), "lstm", 2, 3)
    for T_max in (1.5, math.inf, math.nan):
        with pytest.raises(ValueError, match=rf"`T_max` must be at least 2 and finite, .*; got {T_max}"):
            draw.with_chrono(rng(), params, T_max)
    foreign = params._replace(weight_hh=torch.tensor(params.weight_hh))
    for give in (lambda p: draw.with_chrono(rng(), p, 9), lambda p: draw.with_forget_bias(p, 1.0)):
        with pytest.raises(TypeError, match=r"`params` must be impl.spec.Parameters; got tuple"):
            give((1, 2))
        with pytest.raises(TypeError, match=r"`weight_hh` must be .*numpy.float64, .*; got torch.float64"):
            give(foreign)
        with pytest.raises(TypeError, match=r"`weight_ih` must be a NumPy array, .* got torch.Tensor"):
            give(tree_map(torch.tensor, params))
    with pytest.raises(ValueError, match=r"`params` must have both biases, .* gate f"):
        draw.with_forget_bias(draw.uniform(rng(), "lstm", 2, 3, bias=False), 1.0)


@pytest.mark.parametrize("cell", VARIANTS)
def test_a_variant_is_drawn_like_the_lstm_and_its_forget_gate_set_where_it_has_one(cell):
    """Every parameter in +-1/sqrt(H), nearly reaching both ends; a gate that is absent has no bias to set."""
    params, H = draw.uniform(rng(cell), cell, 5, 16), 16
    assert [a.shape for a in params] == [(len(GATES[cell]) * H, n) for n in (5, H)] + [(len(GATES[cell]) * H,)] * 2
    assert 0.245 < np.abs(params.weight_hh).max() <= 0.25 and params.weight_hh.dtype == np.float64
    if "f" not in GATES[cell]:
        for change in (
            lambda: draw.with_forget_bias(params, 1.0, cell),
            lambda: draw.with_chrono(rng(), params, 9, cell),
        ):
            with pytest.raises(
                ValueError, match=f"^`cell` must have the gate f, since its bias is to be set; got '{cell}'"
            ):
                change()
        return
    forget, chrono = draw.with_forget_bias(params, 3.0, cell), draw.with_chrono(rng(), params, 9, cell)
    b, rows = chrono.bias_ih + chrono.bias_hh, block(cell, "f", H)
    assert (forget.bias_ih + forget.bias_hh)[rows].tolist() == [3.0] * H
    assert b[rows].min() >= 0 and b[rows].max() <= np.log(8) and len(set(b[rows])) == H
    changed = [rows, block(cell, "i", H)] if "i" in GATES[cell] else [rows]
    assert "i" not in GATES[cell] or np.array_equal(b[changed[1]], -b[rows])
    gone, was = np.concatenate([np.r_[s] for s in changed]), params.bias_ih + params.bias_hh
    assert np.array_equal(np.delete(b, gone), np.delete(was, gone))


def test_the_forget_bias_of_another_cells_parameters_is_refused():
    """Three blocks are no LSTM's: whose they are must be said."""
    with pytest.raises(ValueError, match=r"^`weight_hh` must have shape \(12, 3\), since the cell is lstm, 4 blocks"):
        draw.with_forget_bias(draw.uniform(rng(), "lstm_coupled", 2, 3), 1.0)


def test_equal_words_give_equal_bits_and_other_words_others():
    """The words alone decide: their number, order and borders count, and nothing else draws from the same stream."""
    words = [("a", "bc"), ("ab", "c"), ("abc",), ("c", "ab"), ("a", "b", "c"), ("a", "bc", 0), ("a", "bc", 1)]
    streams = [draw.generator(*w).integers(0, 2**63, 4).tobytes() for w in words]
    assert len(set(streams)) == len(words)
    assert streams == [draw.generator(*w).integers(0, 2**63, 4).tobytes() for w in words]
    assert draw.generator(7).random() == draw.generator("7").random(), "a seed is its digits"


def test_the_global_generator_of_numpy_is_neither_used_nor_moved():
    """Experiments run in workers in any order: no shared state may decide a number."""
    state = np.random.get_state()[1].tobytes()
    draw.orthogonal(rng(), "lstm", 3, 4)
    assert np.random.get_state()[1].tobytes() == state


def test_a_read_out_is_that_of_torch_nn_linear():
    """Uniform in +-1/sqrt(H), biases optional."""
    head, theirs = draw.head(rng(), 200, 16), torch.nn.Linear(16, 200)
    assert head.weight_hy.shape == tuple(theirs.weight.shape) and head.bias_hy.shape == tuple(theirs.bias.shape)
    assert 0.245 < np.abs(head.weight_hy).max() <= 0.25
    assert draw.head(rng(), 2, 3, bias=False).bias_hy is None


def test_a_group_stacks_its_models_in_order():
    """Axis E first, absent biases absent; no models make no group."""
    one, two = (draw.uniform(rng(k), "rnn", 2, 3, bias=False) for k in range(2))
    group = draw.group([one, two])
    assert np.array_equal(group.weight_hh[1], two.weight_hh) and group.weight_ih.shape == (2, 3, 2)
    assert type(group) is Parameters and group.bias_ih is None
    with pytest.raises(ValueError, match="`models` must hold at least one model"):
        draw.group([])


def test_sizes_and_cells_are_checked_by_name():
    """A width below 1, a cell that is none."""
    with pytest.raises(ValueError, match="`H` must be at least 1, since it is a width; got 0"):
        draw.uniform(rng(), "lstm", 2, 0)
    with pytest.raises(ValueError, match=f"`cell` must be one of {', '.join(GATES)}; got 'gru'"):
        draw.uniform(rng(), "gru", 2, 3)


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.9])
def test_dropout_drops_at_its_rate_and_scales_what_it_keeps(rate):
    """0 or 1 / (1 - rate) to the bit; 0 as often as the rate says, within five standard errors; every axis is drawn."""
    masks = draw.dropout(rng(rate), rate, 4, 20, 10, 60)
    assert [(mask.shape, mask.dtype) for mask in masks] == [((20, 10, 60), np.float64)] * 3
    values = np.stack(masks)
    assert set(np.unique(values)) == ({1.0} if rate == 0 else {0.0, 1 / (1 - rate)})
    assert abs((values == 0).mean() - rate) <= 5 * (rate * (1 - rate) / values.size) ** 0.5
    for axis, size in enumerate(values.shape):
        assert len({part.tobytes() for part in np.moveaxis(values, axis, 0)}) == (size if rate else 1)


def test_masks_of_dropout_are_independent_between_layers_calls_and_models():
    """Two masks agree as often as independent ones do, within five standard errors; equal words draw equal masks."""
    rate, stream = 0.25, rng()
    first, second = (draw.dropout(stream, rate, 3, 20, 10, 60) for _ in range(2))
    group = draw.dropout(rng(1), rate, 2, 20, 10, 60, E=2)[0]
    assert group.shape == (20, 2, 10, 60)
    agree = rate**2 + (1 - rate) ** 2
    for a, b in ((first[0], first[1]), (first[0], second[0]), (first[1], second[1]), (group[:, 0], group[:, 1])):
        assert abs((a == b).mean() - agree) <= 5 * (agree * (1 - agree) / a.size) ** 0.5
    again = draw.dropout(rng(), rate, 3, 20, 10, 60)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_one_layer_has_no_masks_and_dropout_refuses_what_is_no_rate():
    """Between layers alone; a rate is a probability below 1, since what is kept must make up for what is not."""
    assert draw.dropout(rng(), 0.5, 1, 3, 2, 4) == ()
    for rate in (-0.1, 1, 1.5, float("nan")):
        with pytest.raises(ValueError) as refused:
            draw.dropout(rng(), rate, 3, 5, 2, 4)
        why = "since what is kept is scaled by 1 / (1 - rate)"
        assert str(refused.value) == f"`rate` must lie in [0, 1), {why}; got {rate}."
    with pytest.raises(ValueError) as refused:
        draw.dropout(rng(), 0.5, 0, 5, 2, 4)
    assert str(refused.value) == "`L` must be at least 1, since a stack has a layer; got 0."


def test_models_may_come_one_after_the_other():
    """From a generator, as from a list."""
    assert draw.group(draw.uniform(rng(), "rnn", 2, 3) for _ in range(4)).weight_ih.shape == (4, 3, 2)


def test_models_of_different_forms_are_no_group():
    """A bias that one has and the other lacks would be lost, or an error of NumPy's."""
    with_bias, without = (draw.uniform(rng(), "lstm", 2, 3, bias=bias) for bias in (True, False))
    for models in ([without, with_bias], [with_bias, without], [with_bias, draw.uniform(rng(), "lstm", 2, 4)]):
        with pytest.raises(ValueError, match=r"`models` must have arrays of the same shapes, .* at 1 after"):
            draw.group(models)
