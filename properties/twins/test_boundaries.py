"""The last value that is taken and the first that is refused, where a comparison could as well be strict."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

from impl import draw
from impl.spec import COMMON, Parameters, RNNState, leaves, members, tree_map
from properties.cases import Plan
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


NARROW = [("int8", 128), ("uint8", 256), ("uint8", 300), ("int16", 40000)]


@both
@pytest.mark.parametrize(("kind", "most"), NARROW)
def test_a_narrow_integer_may_count_less_than_there_is(twin, kind, most):
    """torch compares a tensor with a number modulo the range of the tensor's dtype: 200 < 300 would not hold."""
    some = np.array([[0, 100, 127]])
    y, table = rng().normal(size=(1, 3, most)), rng().normal(size=(most, 2))
    x, params = np.ones((min(most, 300), 3, 1)), draw.uniform(rng(), "rnn", 1, 2)
    y, table, x, params = into(twin, (y, table, x, params))
    for make in (
        lambda n: part(twin, "loss").softmax_cross_entropy(y, n),
        lambda n: part(twin, "embedding").look_up(table, n),
        lambda n: part(twin, "scan").forward("rnn", params, x, None, n[0]).states.h,
    ):
        found = (leaves(out(twin, make(into(twin, n)))) for n in (some.astype(kind), some))
        assert same(*found)


@pytest.mark.parametrize("kind", ["uint16", "uint32", "uint64"])
def test_integers_that_torch_cannot_compare_are_refused_by_name(kind):
    """torch's own words would be that lt_cpu is not implemented; NumPy takes them."""
    x, params, lengths = np.ones((3, 2, 1)), draw.uniform(rng(), "rnn", 1, 2), np.array([1, 2], kind)
    assert part("numpy_twin", "scan").forward("rnn", params, x, None, lengths).last.h.all()
    args = into("torch_twin", (params, x, lengths))
    with pytest.raises(TypeError, match=f"`lengths` must be signed or 8 bits wide, .*; got dtype torch.{kind}"):
        part("torch_twin", "scan").forward("rnn", *args[:2], None, args[2])


LOOPS = {
    "scan": ("numpy_twin", "scan"),
    "fast": ("numpy_twin", "fast"),
    "compiled": ("numpy_twin", "compiled"),
    "eager": ("torch_twin", "scan"),
    "vendor": ("torch_twin", "vendor"),
    "fused": ("torch_twin", "kernels.fused"),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cell", COMMON)
@pytest.mark.parametrize("name", LOOPS)
def test_the_state_of_a_row_of_no_steps_is_handed_on_and_reaches_nothing_else(name, cell, reverse):
    """Not finite: it comes out as it went in, and every gradient is as if it were 0."""
    if name == "fused":
        pytest.importorskip("triton")
    twin, module = LOOPS[name]
    loop, case = part(twin, module), Plan(5, 3, 4, 2, seed=3, lengths=(4, 0, 5), E=2).case(cell, "float64")
    found = {}
    for value in (0.0, np.nan, np.inf):
        state = tree_map(np.copy, case.call.state)
        for a in state:
            a[:, 1] = value
        args = into(twin, (case.call.params, case.call.x, state, np.array([4, 0, 5])))
        run = loop.forward(cell, *args, reverse)
        assert same([a[:, 1] for a in out(twin, run.last)], [a[:, 1] for a in state])
        assert np.isfinite(out(twin, run.states.h)).all()
        found[value] = out(twin, loop.backward(cell, args[0], run.cache, into(twin, case.cotangent.h)))
    for value in (np.nan, np.inf):
        assert same(leaves(found[value]), leaves(found[0.0]))


@pytest.mark.parametrize("cell", COMMON)
@pytest.mark.parametrize("name", LOOPS)
def test_a_sequence_of_no_steps_hands_the_state_on_with_lengths_too(name, cell):
    """T = 0, every length 0: there is no first step at which to look which rows run."""
    if name == "fused":
        pytest.importorskip("triton")
    twin, module = LOOPS[name]
    loop, case = part(twin, module), Plan(3, 3, 4, 2, seed=3, E=2).case(cell, "float64")
    args = into(twin, (case.call.params, case.call.x[:0], case.call.state, np.zeros(3, int)))
    run = loop.forward(cell, *args)
    found = loop.backward(cell, args[0], run.cache, None, into(twin, case.cotangent.last))
    assert same(leaves(out(twin, (run.last, found.state))), leaves((case.call.state, case.cotangent.last)))
    assert run.states.h.shape[0] == 0 and not any(a.any() for a in leaves(out(twin, found.params)))


def same(one, other):
    """Whether two arrays, or lists of arrays, hold the same numbers, NaN among them."""
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(one, other, strict=True))
