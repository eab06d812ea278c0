"""What does not fit is refused with a sentence: the argument, the rule, why it holds, and what came."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from impl import draw
from impl.spec import (
    COMMON,
    GATES,
    Head,
    LSTMState,
    Parameters,
    RNNState,
    block,
    leaves,
    members,
    rebuild,
    tree_map,
    unpack,
)
from properties.cases import Plan
from properties.twins.both import both, call, into, part

CASE = Plan(5, 3, 4, 2, seed=1).case("lstm", "float32")
GROUP = Plan(5, 3, 4, 2, seed=1, E=3).case("lstm", "float32")
PARAMS, X, STATE = CASE.call.params, CASE.call.x, CASE.call.state


def changed(**fields):
    """The case's parameters with some of them changed."""
    return PARAMS._replace(**{name: change(getattr(PARAMS, name)) for name, change in fields.items()})


def kind(sentence):
    """The kind of a refusal: of type where what came is a kind or a dtype, of value where it is a size or a number."""
    return TypeError if re.search(r"; got (dtype )?[a-zA-Z{]", sentence) else ValueError


FORWARD = {
    "x of another rank": (
        (PARAMS, X[0]),
        "`x` must have shape (T, B, D) with D=4, since weight_ih is (8, 4); got (3, 4).",
    ),
    "x of another width": (
        (PARAMS, X[..., :3]),
        "`x` must have shape (T, B, D) with D=4, since weight_ih is (8, 4); got (5, 3, 3).",
    ),
    "x of another group": (
        (GROUP.call.params, GROUP.call.x[:, :2]),
        "`x` must have shape (T, B, D) or (T, E, B, D) with D=4, E=3, since weight_ih is (3, 8, 4); got (5, 2, 3, 4).",
    ),
    "x of another dtype": (
        (PARAMS, X.astype(np.float64)),
        r"`x` must be float32, since all arrays of a call share one dtype; got float64.",
    ),
    "a state of another cell": (
        (PARAMS, X, RNNState(STATE.h)),
        "`state` must be impl.spec.LSTMState, since the cell is lstm; got RNNState.",
    ),
    "a cell of another batch": (
        (PARAMS, X, STATE._replace(c=STATE.c[:1])),
        "`state.c` must have shape (3, 2), since x has the batch (3,) and weight_hh is (8, 2); got (1, 2).",
    ),
    "lengths beyond T": (
        (PARAMS, X, STATE, np.array([5, 6, 1])),
        "`lengths` must lie in 0..5, since x has T=5 steps; got [6].",
    ),
    "lengths of another batch": (
        (PARAMS, X, STATE, np.array([5, 1])),
        "`lengths` must have shape (3,), since x has that batch; got (2,).",
    ),
    "lengths that are no integers": (
        (PARAMS, X, STATE, np.ones(3)),
        "`lengths` must hold integers, since they count steps; got dtype float64.",
    ),
    "an LSTM without four blocks": (
        (changed(weight_hh=lambda a: a[:6]), X),
        "`weight_hh` must have shape (8, 2), since the cell is lstm, 4 blocks of H=2 rows; got (6, 2).",
    ),
    "input weights with too few rows": (
        (changed(weight_ih=lambda a: a[:6]), X),
        "`weight_ih` must have shape (8, 4), since weight_hh is (8, 2); got (6, 4).",
    ),
    "a bias with too few rows": (
        (changed(bias_hh=lambda a: a[:7]), X),
        "`bias_hh` must have shape (8,), since weight_hh is (8, 2); got (7,).",
    ),
    "recurrent weights of no axis": (
        (changed(weight_hh=lambda a: a.sum().reshape(())), X),
        "`weight_hh` must have shape (0, 0), since the cell is lstm, 4 blocks of H=0 rows; got ().",
    ),
    "input weights of no axis": (
        (changed(weight_ih=lambda a: a.sum().reshape(())), X),
        "`weight_ih` must have shape (8, D), since weight_hh is (8, 2); got ().",
    ),
    "recurrent weights of another dtype": (
        (changed(weight_hh=lambda a: a.astype(np.float64)), X),
        "`weight_hh` must be float32, since all arrays of a call share one dtype; got float64.",
    ),
    "a bias of another dtype": (
        (changed(bias_hh=lambda a: a.astype(np.float64)), X),
        "`bias_hh` must be float32, since all arrays of a call share one dtype; got float64.",
    ),
    "parameters that are a plain tuple": ((tuple(PARAMS), X), "`params` must be impl.spec.Parameters; got tuple."),
}


@both
@pytest.mark.parametrize("what", FORWARD)
def test_the_time_loop_says_what_does_not_fit(twin, what):
    """The same sentence from both twins."""
    arguments, sentence = FORWARD[what]
    with pytest.raises(kind(sentence)) as refusal:
        call(twin, "scan", "forward", "lstm", *arguments)
    assert str(refusal.value).replace("torch.", "") == sentence


@both
def test_an_argument_that_is_no_array_and_an_unknown_cell_are_refused(twin):
    """Lists are not converted in silence."""
    scan = part(twin, "scan")
    with pytest.raises(TypeError, match="`x` must be an array; got list"):
        scan.forward("lstm", into(twin, PARAMS), X.tolist())
    for half in ({"shape": (5, 3, 4)}, {"dtype": X.dtype}):
        with pytest.raises(TypeError, match="`x` must be an array; got SimpleNamespace"):
            scan.forward("lstm", into(twin, PARAMS), SimpleNamespace(**half))
    for name in ("weight_ih", "weight_hh", "bias_ih"):
        with pytest.raises(TypeError, match=f"^`{name}` must be an array; got list\\.$"):
            scan.forward("lstm", into(twin, PARAMS)._replace(**{name: [1.0]}), into(twin, X))
    with pytest.raises(ValueError, match=f"`cell` must be one of {', '.join(GATES)}; got 'gru'"):
        scan.forward("gru", into(twin, PARAMS), into(twin, X))
    with pytest.raises(TypeError, match=r"`weight_hh` must be float32 or float64; got .*float16"):
        half = Parameters(*(a.astype(np.float16) for a in PARAMS))
        scan.forward("lstm", into(twin, half), into(twin, X))


@both
def test_a_dtype_that_is_none_of_ours_is_told_of_the_array_that_has_it(twin):
    """Not of the one that is compared with it, whose dtype is right."""
    half, y = PARAMS._replace(weight_ih=PARAMS.weight_ih.astype(np.float16)), CASE.cotangent.h
    with pytest.raises(TypeError, match=r"^`weight_ih` must be float32 or float64; got .*float16\.$"):
        call(twin, "scan", "forward", "lstm", half, X)
    for name in ("squared_error", "logistic"):
        with pytest.raises(TypeError, match=r"^`y` must be float32 or float64; got .*float16\.$"):
            call(twin, "loss", name, y.astype(np.float16), y)
        with pytest.raises(TypeError, match=r"^`y` must be an array; got list\.$"):
            call(twin, "loss", name, y.tolist(), y)


@both
def test_a_masked_array_is_refused_on_the_way_in(twin):
    """NumPy drops the mask when it copies: padding would become data."""
    with pytest.raises(TypeError, match=r"^`tree` must be an array without a mask .*`lengths`.*; got MaskedArray\.$"):
        into(twin, (X, np.ma.masked_array(X)))


@both
def test_a_series_of_pandas_is_no_masked_array(twin):
    """It has a method of that name."""
    assert np.array_equal(into(twin, pd.Series([1.5, 2.5])), [1.5, 2.5])


def test_masked_lengths_of_a_module_are_refused_by_name():
    """As its argument is called."""
    x = into("torch_twin", X)
    with pytest.raises(TypeError, match=r"^`lengths` must be an array without a mask .*; got MaskedArray\.$"):
        part("torch_twin", "module").LSTM(x.shape[-1], 4)(x.float(), lengths=np.ma.masked_array([5] * x.shape[1]))


@pytest.mark.parametrize("module", ["scan", "fast", "compiled"])
@pytest.mark.parametrize("name", ["x", "state.h", "weight_ih", "lengths"])
def test_a_masked_array_is_refused_by_name(module, name):
    """Some loops ran over what it hides."""
    masked = np.ma.masked_array
    given = {"params": PARAMS, "x": X, "state": STATE, "lengths": np.array([5, 2, 1])}
    changes = {
        "state.h": {"state": STATE._replace(h=masked(STATE.h))},
        "weight_ih": {"params": changed(weight_ih=masked)},
    }
    given |= changes.get(name) or {name: masked(given[name])}
    if module == "compiled":
        pytest.importorskip("numba")
    with pytest.raises(TypeError, match=rf"^`{name}` must be an array without a mask .*; got MaskedArray\.$"):
        part("numpy_twin", module).forward("lstm", **given)


def test_an_array_in_a_file_is_an_array(tmp_path):
    """np.memmap gives the bits of its copy in memory."""
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for module in ("scan", "fast"):
        forward = part("numpy_twin", module).forward
        assert np.array_equal(forward("lstm", PARAMS, mapped).states.h, forward("lstm", PARAMS, X).states.h)


OTHERS = {
    "numpy_twin": ("torch_twin", ("scan", "fast"), "`weight_ih` must be a NumPy array, .*; got torch.Tensor."),
    "torch_twin": ("numpy_twin", ("scan", "backend"), "must be a tensor of torch, .*; got numpy.ndarray."),
}


@both
def test_a_time_loop_refuses_the_other_twins_arrays_by_name(twin):
    """All of them the other's, so that they agree among themselves."""
    other, modules, sentence = OTHERS[twin]
    for module in modules:
        with pytest.raises(TypeError, match=sentence):
            part(twin, module).forward("lstm", into(other, PARAMS), into(other, X))
    with pytest.raises(TypeError, match=sentence):
        part(twin, "scan").feed_back("lstm", into(other, PARAMS), into(other, X[0]), 2, lambda h: h)


@both
def test_the_backward_says_which_cotangent_does_not_fit(twin):
    """Its shape follows from the forward's outputs."""
    scan, params = part(twin, "scan"), into(twin, PARAMS)
    cache = scan.forward("lstm", params, into(twin, X)).cache
    with pytest.raises(
        ValueError, match=re.escape("`dh` must have shape (5, 3, 2), since it is the gradient by states.h; got")
    ):
        scan.backward("lstm", params, cache, into(twin, CASE.cotangent.h[:-1]))
    with pytest.raises(ValueError, match=re.escape("`dlast.h` must have shape (3, 2)")):
        scan.backward("lstm", params, cache, None, into(twin, tree_map(lambda a: a[:1], CASE.cotangent.last)))


LOOPS = [("numpy_twin", "scan"), ("numpy_twin", "fast"), ("numpy_twin", "compiled")]
LOOPS += [("torch_twin", "scan"), ("torch_twin", "vendor")]
OF_ANOTHER_FORWARD = {
    # the cell and the parameters that a backward gets, of a cache of PARAMS
    "another cell's parameters": (
        ("rnn", Parameters(*(a[:2] for a in PARAMS))),
        "`cell` must be lstm, since the cache is of its forward; got 'rnn'.",
    ),
    "input weights of another width": (
        ("lstm", changed(weight_ih=lambda a: a[:, :3])),
        "`weight_ih` must have shape (8, 4), since the forward that the cache is of had it; got (8, 3).",
    ),
    "more units": (
        ("lstm", Parameters(np.ones((12, 4), np.float32), np.ones((12, 3), np.float32))),
        "`weight_ih` must have shape (8, 4), since the forward that the cache is of had it; got (12, 4).",
    ),
    "a group": (
        ("lstm", GROUP.call.params),
        "`weight_ih` must have shape (8, 4), since the forward that the cache is of had it; got (3, 8, 4).",
    ),
    "another dtype": (
        ("lstm", tree_map(lambda a: a.astype(np.float64), PARAMS)),
        "`weight_ih` must be float32, since all arrays of a call share one dtype; got float64.",
    ),
}


@pytest.mark.parametrize(("twin", "loop"), LOOPS)
@pytest.mark.parametrize("what", OF_ANOTHER_FORWARD)
def test_a_backward_refuses_a_cell_or_weights_that_are_not_those_of_its_cache(twin, loop, what):
    """Sizes of the parameters with the memory of a cache gave numbers of neither, or what memory held."""
    loop, ((cell, params), sentence) = part(twin, loop), OF_ANOTHER_FORWARD[what]
    cache = loop.forward("lstm", into(twin, PARAMS), into(twin, X)).cache
    with pytest.raises(kind(sentence) if "`cell`" not in sentence else ValueError) as refusal:
        loop.backward(cell, into(twin, params), cache)
    assert str(refusal.value).replace("torch.", "") == sentence


@pytest.mark.parametrize(("twin", "loop"), LOOPS)
def test_a_backward_tells_the_caches_of_both_rnns_apart(twin, loop):
    """They have the same shapes, and another slope."""
    loop, params = part(twin, loop), into(twin, Parameters(*(a[:2] for a in PARAMS)))
    for cell, other in (("rnn", "rnn_relu"), ("rnn_relu", "rnn")):
        cache = loop.forward(cell, params, into(twin, X)).cache
        with pytest.raises(
            ValueError, match=f"^`cell` must be {cell}, since the cache is of its forward; got '{other}'"
        ):
            loop.backward(other, params, cache)


@pytest.mark.parametrize("cell", COMMON)
def test_a_backward_refuses_the_cache_of_another_form(cell):
    """Each keeps its own memory: the compiled loops wrote beyond that of the fast form."""
    params = PARAMS if cell == "lstm" else Parameters(*(a[:2] for a in PARAMS))
    forms = {name: part("numpy_twin", name) for name in ("scan", "fast", "compiled")}
    caches = {name: form.forward(cell, params, X).cache for name, form in forms.items()}
    for name, form in forms.items():
        for other in set(forms) - {name}:
            with pytest.raises(TypeError, match=rf"^`cache` must be that of {name}\.forward, .*; got {other}'s\.$"):
                form.backward(cell, params, caches[other])
        with pytest.raises(TypeError, match=rf"^`cache` must be that of {name}\.forward, .*; got NoneType\.$"):
            form.backward(cell, params, None)


def deep(n, L=2, E=None, dtype="float64", cell="lstm"):
    """A stack's arguments: layers of n directions with D = 4, H = 2, and x of T = 5, B = 3."""
    rng = draw.generator("deep")
    one = tuple(tuple(draw.uniform(rng, cell, n * 2 if k else 4, 2) for _ in range(n)) for k in range(L))
    layers = one if E is None else draw.group([one] * E)
    x = rng.normal(size=(5, 3, 4) if E is None else (5, E, 3, 4))
    return tree_map(lambda a: a.astype(dtype), layers), x.astype(dtype)


def at(tree, path, value):
    """A tree with what stands at the path, by place or field, replaced."""
    if not path:
        return value
    branches = list(tree)
    k = tree._fields.index(path[0]) if isinstance(path[0], str) else path[0]
    branches[k] = at(branches[k], path[1:], value)
    return type(tree)(*branches) if hasattr(tree, "_fields") else tuple(branches)


LAYERS, DEEP_X = deep(2)
STATES_ = tuple(tuple(LSTMState(np.ones((3, 2)), np.zeros((3, 2))) for _ in range(2)) for _ in range(2))
MASK = np.ones((5, 3, 4))
DIRECTIONS = "a tuple of 2 directions, as `layers[1]` is"
STACK = {
    "an unknown cell": (("gru", LAYERS, DEEP_X), f"`cell` must be one of {', '.join(GATES)}; got 'gru'."),
    "layers of another cell": (
        deep(2, cell="rnn"),
        "`layers[0][0].weight_hh` must have shape (8, 2), since the cell is lstm, 4 blocks of H=2 rows; got (2, 2).",
    ),
    "layers that are no tuple": (
        (LAYERS[0][0], DEEP_X),
        "`layers` must be a tuple of at least one layer; got Parameters.",
    ),
    "no layers": (((), DEEP_X), "`layers` must be a tuple of at least one layer; got 0."),
    "a layer that is no tuple": (
        (LAYERS[0], DEEP_X),
        "`layers[0]` must be a tuple of one direction or two; got Parameters.",
    ),
    "three directions": (
        (at(LAYERS, [1], LAYERS[1] + LAYERS[1][:1]), DEEP_X),
        "`layers[1]` must be a tuple of one direction or two; got 3.",
    ),
    "layers of one direction and two": (
        ((LAYERS[0], LAYERS[1][:1]), DEEP_X),
        "`layers[1]` must be a tuple of 2 directions, since layers[0] is; got 1.",
    ),
    "layers of two directions and one": (
        ((LAYERS[0][:1], LAYERS[1]), DEEP_X),
        "`layers[1]` must be a tuple of 1 direction, since layers[0] is; got 2.",
    ),
    "a direction of another kind": (
        (at(LAYERS, [1, 0], tuple(LAYERS[1][0])), DEEP_X),
        "`layers[1][0]` must be impl.spec.Parameters; got tuple.",
    ),
    "a layer of another width": (
        (at(LAYERS, [1, 0, "weight_ih"], np.ones((8, 3))), DEEP_X),
        "`layers[1][0].weight_ih` must have shape (8, 4), since layers[0][0].weight_hh is (8, 2), in 2 directions; "
        "got (8, 3).",
    ),
    "a layer that reads one direction alone": (
        (at(LAYERS, [1], deep(1)[0][1] * 2), DEEP_X),
        "`layers[1][0].weight_ih` must have shape (8, 4), since layers[0][0].weight_hh is (8, 2), in 2 directions; "
        "got (8, 2).",
    ),
    "a second direction of another width": (
        (at(LAYERS, [0, 1, "weight_ih"], np.ones((8, 3))), DEEP_X),
        "`layers[0][1].weight_ih` must have shape (8, 4), since layers[0][0].weight_ih has it; got (8, 3).",
    ),
    "a second direction of more units": (
        (at(LAYERS, [1, 1], Parameters(np.ones((12, 4)), np.ones((12, 3)))), DEEP_X),
        "`layers[1][1].weight_ih` must have shape (8, 4), since layers[1][0].weight_ih has it; got (12, 4).",
    ),
    "a layer of another dtype": (
        ((LAYERS[0], tree_map(lambda a: a.astype(np.float32), LAYERS[1])), DEEP_X),
        "`layers[1][0].weight_ih` must be float64, since all arrays of a call share one dtype; got float32.",
    ),
    "a direction of another dtype": (
        (at(LAYERS, [0, 1], tree_map(lambda a: a.astype(np.float32), LAYERS[0][1])), DEEP_X),
        "`layers[0][1].weight_ih` must be float64, since all arrays of a call share one dtype; got float32.",
    ),
    "a layer of a group": (
        ((LAYERS[0], deep(2, E=3)[0][1]), DEEP_X),
        "`layers[1][0].weight_ih` must have shape (8, 4), since layers[0][0].weight_hh is (8, 2), in 2 directions; "
        "got (3, 8, 4).",
    ),
    "a layer of another group": (
        ((deep(2, E=2)[0][0], deep(2, E=3)[0][1]), DEEP_X),
        "`layers[1][0].weight_ih` must have shape (2, 8, 4), since layers[0][0].weight_hh is (2, 8, 2), in 2 "
        "directions; got (3, 8, 4).",
    ),
    "a layer of another cell": (
        ((LAYERS[0], deep(2, cell="rnn")[0][1]), DEEP_X),
        "`layers[1][0].weight_hh` must have shape (8, 2), since the cell is lstm, 4 blocks of H=2 rows; got (2, 2).",
    ),
    "weights that do not fit each other": (
        (at(LAYERS, [0, 1, "weight_ih"], np.ones((7, 4))), DEEP_X),
        "`layers[0][1].weight_ih` must have shape (8, 4), since layers[0][1].weight_hh is (8, 2); got (7, 4).",
    ),
    "a bias of another width": (
        (at(LAYERS, [1, 0, "bias_ih"], np.ones(7)), DEEP_X),
        "`layers[1][0].bias_ih` must have shape (8,), since layers[1][0].weight_hh is (8, 2); got (7,).",
    ),
    "x of another width": (
        (LAYERS, DEEP_X[..., :3]),
        "`x` must have shape (T, B, D) with D=4, since layers[0][0].weight_ih is (8, 4); got (5, 3, 3).",
    ),
    "x of another rank, batch first": (
        (LAYERS, DEEP_X[0], None, None, None, True),
        "`x` must have shape (B, T, D) with D=4, since layers[0][0].weight_ih is (8, 4); got (3, 4).",
    ),
    "x of a group that time stands before, batch first": (
        (*deep(2, E=2), None, None, None, True),
        "`x` must have shape (B, T, D) or (E, B, T, D) with D=4, E=2, since layers[0][0].weight_ih is (2, 8, 4); "
        "got (5, 2, 3, 4).",
    ),
    "x of a group that stands before time": (
        (deep(2, E=2)[0], np.ones((2, 3, 5, 4))),
        "`x` must have shape (T, B, D) or (T, E, B, D) with D=4, E=2, since layers[0][0].weight_ih is (2, 8, 4); "
        "got (2, 3, 5, 4).",
    ),
    "x that is no array": ((LAYERS, DEEP_X.tolist()), "`x` must be an array; got list."),
    "the state of one direction": (
        (LAYERS, DEEP_X, STATES_[0][0]),
        "`state` must be a tuple of 2 layers, as `layers` is; got LSTMState.",
    ),
    "states of three layers": (
        (LAYERS, DEEP_X, STATES_ + STATES_[:1]),
        "`state` must be a tuple of 2 layers, as `layers` is; got 3.",
    ),
    "the state of one layer, which has one": (
        (LAYERS[:1], DEEP_X, STATES_),
        "`state` must be a tuple of 1 layer, as `layers` is; got 2.",
    ),
    "a state without directions": (
        (LAYERS, DEEP_X, (STATES_[0], STATES_[1][0])),
        f"`state[1]` must be {DIRECTIONS}; got LSTMState.",
    ),
    "the states of one direction": (
        (LAYERS, DEEP_X, (STATES_[0], STATES_[1][:1])),
        f"`state[1]` must be {DIRECTIONS}; got 1.",
    ),
    "a state of another cell": (
        (LAYERS, DEEP_X, at(STATES_, [0, 1], RNNState(np.ones((3, 2))))),
        "`state[0][1]` must be impl.spec.LSTMState, since the cell is lstm; got RNNState.",
    ),
    "a cell of another batch": (
        (LAYERS, DEEP_X, at(STATES_, [1, 1, "c"], np.ones((2, 2)))),
        "`state[1][1].c` must have shape (3, 2), since x has the batch (3,) and weight_hh is (8, 2); got (2, 2).",
    ),
    "a state with the batch of time": (
        (LAYERS, DEEP_X, STATES_, None, None, True),
        "`state[0][0].h` must have shape (5, 2), since x has the batch (5,) and weight_hh is (8, 2); got (3, 2).",
    ),
    "lengths beyond T": (
        (LAYERS, DEEP_X, None, np.array([5, 6, 1])),
        "`lengths` must lie in 0..5, since x has T=5 steps; got [6].",
    ),
    "lengths beyond T, batch first": (
        (LAYERS, DEEP_X, None, np.array([3, 1, 4, 2, 0]), None, True),
        "`lengths` must lie in 0..3, since x has T=3 steps; got [4].",
    ),
    "lengths of another batch": (
        (*deep(1, E=2), None, np.array([1, 2])),
        "`lengths` must have shape (2, 3), since x has that batch; got (2,).",
    ),
    "a mask for all layers": (
        (LAYERS, DEEP_X, None, None, MASK),
        "`masks` must be a tuple of 1 array, one for every layer but the last; got {array}.",
    ),
    "a mask too many": (
        (LAYERS, DEEP_X, None, None, (MASK, MASK)),
        "`masks` must be a tuple of 1 array, one for every layer but the last; got 2.",
    ),
    "a mask for one layer": (
        (LAYERS[:1], DEEP_X, None, None, (MASK,)),
        "`masks` must be a tuple of 0 arrays, one for every layer but the last; got 1.",
    ),
    "a mask of one direction": (
        (LAYERS, DEEP_X, None, None, (MASK[..., :2],)),
        "`masks[0]` must have shape (5, 3, 4), since it multiplies the outputs of layers[0]; got (5, 3, 2).",
    ),
    "a mask with the batch before time": (
        (LAYERS, DEEP_X, None, None, (MASK,), True),
        "`masks[0]` must have shape (3, 5, 4), since it multiplies the outputs of layers[0]; got (5, 3, 4).",
    ),
    "a mask of another dtype": (
        (LAYERS, DEEP_X, None, None, (MASK > 0,)),
        "`masks[0]` must be float64, since all arrays of a call share one dtype; got bool.",
    ),
    "a second mask that a group shares": (
        (*deep(2, L=3, E=2), None, None, (np.ones((5, 2, 3, 4)), MASK)),
        "`masks[1]` must have shape (5, 2, 3, 4), since it multiplies the outputs of layers[1]; got (5, 3, 4).",
    ),
}


@both
@pytest.mark.parametrize("what", STACK)
def test_a_stack_says_what_does_not_fit(twin, what):
    """Which layer, which direction, which argument: the same sentence from both twins."""
    arguments, sentence = STACK[what]
    arguments = arguments if arguments[0] == "gru" else ("lstm", *arguments)
    with pytest.raises(kind(sentence)) as refusal:
        call(twin, "stack", "forward", *arguments)
    sentence = sentence.replace("{array}", {"numpy_twin": "ndarray", "torch_twin": "Tensor"}[twin])
    assert str(refusal.value).replace("torch.", "") == sentence


@both
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("E", [None, 2])
def test_a_stacks_backward_says_which_cotangent_does_not_fit(twin, batch_first, E):
    """dh has the layout and all directions of h, dlast the form of the last states."""
    stack, (layers, x) = part(twin, "stack"), into(twin, deep(2, E=E))
    x = stack.batch_before(x) if batch_first else x
    cache = stack.forward("lstm", layers, x, batch_first=batch_first).cache
    batch = (3,) if E is None else (2, 3)
    shape = (*batch, 5, 4) if batch_first else (5, *batch, 4)
    for wrong in (shape[::-1], (*shape[:-1], 2), shape[1:]):
        text = f"`dh` must have shape {shape}, since it is the gradient by h; got {wrong}."
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            stack.backward("lstm", layers, cache, into(twin, np.ones(wrong)))
    state = LSTMState(np.ones((*batch, 2)), np.ones((*batch, 1)))
    dlast = into(twin, ((state._replace(c=state.h), state),) * 2)
    with pytest.raises(ValueError, match=re.escape(f"`dlast[0][1].c` must have shape {(*batch, 2)}, since x has")):
        stack.backward("lstm", layers, cache, None, dlast)
    with pytest.raises(ValueError, match=r"^`dlast` must be a tuple of 2 layers, as `layers` is; got 1\.$"):
        stack.backward("lstm", layers, cache, None, dlast[:1])


@both
def test_the_read_out_and_the_loss_say_what_does_not_fit(twin):
    """A width, a group, targets that are no classes."""
    rng = np.random.default_rng(0)
    head, h = Head(rng.normal(size=(6, 2)), rng.normal(size=6)), rng.normal(size=(5, 3, 2))
    with pytest.raises(
        ValueError, match=re.escape("`h` must have shape (T, B, H) with H=2, since weight_hy is (6, 2); got (5, 3, 1)")
    ):
        call(twin, "head", "forward", head, h[..., :1])
    with pytest.raises(
        ValueError, match=re.escape("`bias_hy` must have shape (6,), since weight_hy is (6, 2); got (5,)")
    ):
        call(twin, "head", "forward", head._replace(bias_hy=head.bias_hy[:5]), h)
    with pytest.raises(
        ValueError, match=re.escape("`dy` must have shape (5, 3, 6), since it is the gradient by y; got (5, 3, 2)")
    ):
        call(twin, "head", "backward", head, h, h)
    y, targets = rng.normal(size=(5, 3, 6)), rng.integers(0, 6, (5, 3))
    with pytest.raises(ValueError, match=re.escape("`targets` must lie in 0..5, since y has V=6 outputs; got [6]")):
        call(twin, "loss", "softmax_cross_entropy", y, np.where(np.arange(15).reshape(5, 3) == 4, 6, targets))
    with pytest.raises(TypeError, match=r"`targets` must hold integers, since they are classes; got dtype .*float64"):
        call(twin, "loss", "softmax_cross_entropy", y, targets.astype(np.float64))


def test_the_shared_file_names_blocks_members_and_leaves():
    """Gate order stated once; trees of named tuples keep their types."""
    assert GATES["lstm"] == ("i", "f", "g", "o")
    assert [block("lstm", gate, 3).start for gate in GATES["lstm"]] == [0, 3, 6, 9]
    assert members(PARAMS) is None and members(GROUP.call.params) == 3
    state = LSTMState(np.ones(2), np.zeros(2))
    assert [a.sum() for a in leaves((state, None, state))] == [2, 0, 2, 0]
    assert type(tree_map(lambda a: a + 1, state)) is LSTMState
    assert members(LAYERS) is None and members(deep(1, E=3)[0]) == 3
    assert rebuild(PARAMS._replace(bias_ih=None), [1, 2, 3]) == Parameters(1, 2, None, 3)
    assert unpack(Parameters(X, X)).b == 0.0


def test_trees_of_different_forms_are_not_mapped_as_far_as_they_agree():
    """A leaf that is left over would be lost in silence."""
    for one, other in (((1, 2), (1,)), ((1,), (1, 2))):
        with pytest.raises(ValueError, match=r"is (shorter|longer) than"):
            tree_map(lambda a, b: a + b, one, other)
    with pytest.raises(ValueError, match=r"`more` must be absent \(None\) where `tree` is"):
        tree_map(lambda a, b: a + b, (1, None), (1, 2))
