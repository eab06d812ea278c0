"""The last value that is taken and the first that is refused, where a comparison could as well be strict."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from impl import draw
from impl.spec import Parameters, RNNState, leaves, members
from properties.twins.both import both, into, out, part


def rng():
    """A generator that starts afresh."""
    return draw.generator("test of boundaries")


def test_a_time_range_of_two_gives_chrono_biases_of_zero():
    """T_max = 2 is the least: u lies in [1, 1], and ln 1 = 0."""
    params = draw.with_chrono(rng(), draw.uniform(rng(), "lstm", 2, 3), 2)
    assert (params.bias_ih + params.bias_hh)[:6].tolist() == [0] * 6


@pytest.mark.parametrize("absent", ["bias_ih", "bias_hh"])
def test_one_absent_bias_is_refused_as_both_are(absent):
    """The sum of the two is to be set, so both must be there."""
    params = draw.uniform(rng(), "lstm", 2, 3)._replace(**{absent: None})
    with pytest.raises(ValueError, match=r"^`params` must have both biases, since that of gate f is to be set"):
        draw.with_forget_bias(params, 1.0)


def test_no_models_make_no_group():
    """E = 1 is the least; the whole sentence, as anyone reads it."""
    assert draw.group([draw.uniform(rng(), "rnn", 2, 3)]).weight_ih.shape == (1, 3, 2)
    sentence = r"^`models` must hold at least one model, since a group has E >= 1; got none\.$"
    with pytest.raises(ValueError, match=sentence):
        draw.group([])


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_a_number_equal_to_the_rate_of_dropout_is_kept(rate):
    """So a rate of 0 drops nothing, and of equally likely numbers from 0 to 1 the rate's share is dropped."""
    numbers = SimpleNamespace(random=lambda shape: np.full(shape, rate))
    (mask,) = draw.dropout(numbers, rate, 2, 5, 3, 4)
    assert (mask == 1 / (1 - rate)).all()


@both
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_group_of_either_cell_is_refused_by_torchs_layout_for_being_a_group(twin, cell):
    """Square or not, a group's weight_hh tells the cell that it is of."""
    layers = into(twin, (draw.group([(draw.uniform(rng(), cell, 2, 3),)] * 2),))
    with pytest.raises(ValueError, match=r"^`layers\[0\]\[0\]\.weight_ih` must have shape \(G\*H, D\), since torch"):
        part(twin, "exchange").to_torch(layers)


@both
@pytest.mark.parametrize(("asked", "held", "G"), [("lstm", "rnn", 4), ("rnn", "lstm", 1), ("rnn_relu", "lstm", 1)])
def test_a_stack_whose_layers_are_all_of_another_cell_is_refused(twin, asked, held, G):
    """It is the cell that was asked for that says how many blocks there are, also where the layers fit each other."""
    layers, x = into(twin, (((draw.uniform(rng(), held, 2, 3),),), rng().normal(size=(5, 3, 2))))
    rows, got, blocks = G * 3, {"rnn": 3, "lstm": 12}[held], f"{G} blocks of H=3 rows"
    with pytest.raises(ValueError) as refusal:
        part(twin, "stack").forward(asked, layers, x)
    rule = f"must have shape ({rows}, 3), since the cell is {asked}, {blocks}; got ({got}, 3)."
    assert str(refusal.value) == f"`layers[0][0].weight_hh` {rule}"


@pytest.mark.parametrize(("D", "H", "name"), [(0, 2, "D"), (2, 0, "H"), (-1, 2, "D")])
def test_every_width_is_one_at_least(D, H, name):
    """Inputs as well as units."""
    sentence = f"^`{name}` must be at least 1, since it is a width; got {min(D, H)}"
    with pytest.raises(ValueError, match=sentence):
        draw.uniform(rng(), "rnn", D, H)
    assert draw.uniform(rng(), "rnn", 1, 1).weight_ih.shape == (1, 1)


@both
def test_at_padding_the_inputs_are_zero_whatever_else_a_row_carries(twin):
    """Beside recurrent weights that take a row without steps to -inf, any other input would add inf, and leave NaN."""
    params = Parameters(np.full((2, 3), 1e308), np.full((2, 2), -1e308))
    x, state, lengths = np.full((1, 2, 3), 1e-308), RNNState(np.array([[0.0, 0.0], [1.0, 1.0]])), np.array([1, 0])
    given, loop = into(twin, (params, x, state, lengths)), part(twin, "scan")
    with np.errstate(over="ignore", invalid="ignore"):
        cache = loop.forward("rnn", *given).cache
        gradient = out(twin, tuple(loop.backward("rnn", given[0], cache, into(twin, np.ones((1, 2, 2))))))
    assert all(np.isfinite(a).all() for a in leaves(gradient))


def test_a_generators_seed_is_the_hash_of_its_words():
    """Stored records stand on these streams: SHA-256 of the words with a unit separator between them, big end first."""
    words = hashlib.sha256(b"latch\x1fweights\x1f7").hexdigest()
    wanted = np.random.default_rng(int(words, 16)).integers(2**63, size=4)
    assert np.array_equal(draw.generator("latch", "weights", 7).integers(2**63, size=4), wanted)


def test_the_number_of_models_is_seen_in_any_tree_of_weights():
    """A read-out without a bias has one array alone."""
    heads = [draw.head(rng(), 5, 3, bias=bias) for bias in (True, False)]
    assert [members(head) for head in heads] == [None, None]
    assert [members(draw.group([head] * 4)) for head in heads] == [4, 4]
