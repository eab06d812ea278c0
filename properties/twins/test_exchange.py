"""Parameters in torch.nn's and in ONNX's layout: the names and numbers those have, and back to the bit."""

import numpy as np
import pytest
import torch
from torch import nn

from impl import draw
from impl.spec import COMMON, GATES, ONNX_GATES, Parameters, block, leaves, tree_map
from properties.twins.both import both, into, out, part
from properties.twins.test_scan import near, same

D, H = 4, 2
cells = pytest.mark.parametrize("cell", COMMON)
counts = pytest.mark.parametrize("n", [1, 2])
biases = pytest.mark.parametrize("bias", ["both", "none", "ih", "hh"])
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def layers(cell, n, bias="both", L=3, dtype="float64"):
    """Random parameters by layer and direction, with some of their biases."""
    rng, absent = (
        np.random.default_rng(n),
        {"both": [], "none": ["bias_ih", "bias_hh"], "ih": ["bias_hh"], "hh": ["bias_ih"]},
    )
    made = tuple(tuple(draw.uniform(rng, cell, n * H if k else D, H) for _ in range(n)) for k in range(L))
    kept = tuple(tuple(params._replace(**dict.fromkeys(absent[bias])) for params in layer) for layer in made)
    return tree_map(lambda a: a.astype(dtype), kept)


def equal(one, other):
    """Whether two trees are of one form and hold the same bits in the same dtype."""
    if isinstance(one, tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(equal, one, other))
    return one is other is None or (one.dtype == other.dtype and np.array_equal(one, other))


@both
@cells
@counts
@biases
@dtypes
def test_export_to_torch_and_import_is_the_identity(twin, cell, n, bias, dtype):
    """To the bit, in every dtype; absent biases stay absent. The order of names does not matter."""
    exchange, given = part(twin, "exchange"), layers(cell, n, bias, dtype=dtype)
    named = exchange.to_torch(into(twin, given))
    assert equal(out(twin, exchange.from_torch(named)), given)
    assert equal(out(twin, exchange.from_torch(dict(reversed(named.items())))), given)


@both
@cells
@counts
def test_a_state_dict_has_the_names_and_numbers_of_torch_nn(twin, cell, n):
    """torch.nn loads it, name by name in its own order, and runs to the same outputs; ten layers have two digits."""
    exchange, stack, given = part(twin, "exchange"), part(twin, "stack"), layers(cell, n, L=11)
    named = {name: torch.tensor(out(twin, a)) for name, a in exchange.to_torch(into(twin, given)).items()}
    options = {"nonlinearity": "relu"} if cell == "rnn_relu" else {}
    kind = nn.LSTM if cell == "lstm" else nn.RNN
    module = kind(D, H, num_layers=11, bidirectional=n == 2, dtype=torch.float64, **options)
    assert list(module.state_dict()) == list(named)
    module.load_state_dict(named)
    x = np.random.default_rng(0).normal(size=(5, 3, D))
    h = out(twin, stack.forward(cell, into(twin, given), into(twin, x)).h)
    assert near(h, module(torch.tensor(x))[0].detach().numpy())
    theirs = {name: into(twin, a.numpy()) for name, a in module.state_dict().items()}
    assert equal(out(twin, exchange.from_torch(theirs)), given)


def by_onnx(cell, W, R, B, x, reverse):
    """ONNX's operator for one direction, from its specification: gates i, o, f, c; biases Wb, then Rb; zero states."""
    sigma = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    Wb, Rb = np.split(B, 2)
    h = c = np.zeros((x.shape[1], R.shape[-1]))
    outputs = []
    for x_t in x[::-1] if reverse else x:
        a = x_t @ W.T + h @ R.T + Wb + Rb
        if cell == "lstm":
            i, o, f, g = np.split(a, 4, -1)
            c = sigma(f) * c + sigma(i) * np.tanh(g)
            h = sigma(o) * np.tanh(c)
        else:
            h = np.tanh(a) if cell == "rnn" else np.maximum(a, 0)
        outputs.append(h)
    return np.stack(outputs[::-1] if reverse else outputs)


@both
@cells
@counts
def test_onnx_computes_the_same_from_its_tensors(twin, cell, n):
    """Its equations, with the gates in its order and one tensor of biases, give the outputs of the twin's layer."""
    exchange, stack, (given,) = part(twin, "exchange"), part(twin, "stack"), layers(cell, n, L=1)
    W, R, B = (out(twin, exchange.to_onnx(cell, into(twin, given))[name]) for name in "WRB")
    G = len(GATES[cell])
    assert (W.shape, R.shape, B.shape) == ((n, G * H, D), (n, G * H, H), (n, 2 * G * H))
    x = np.random.default_rng(0).normal(size=(5, 3, D))
    h = out(twin, stack.forward(cell, into(twin, (given,)), into(twin, x)).h)
    assert near(h, np.concatenate([by_onnx(cell, W[d], R[d], B[d], x, d == 1) for d in range(n)], -1))


@both
@cells
@counts
@dtypes
@pytest.mark.parametrize("bias", ["both", "none"])
def test_export_to_onnx_and_import_is_the_identity(twin, cell, n, bias, dtype):
    """To the bit, in every dtype; without biases there is no B."""
    exchange, (given,) = part(twin, "exchange"), layers(cell, n, bias, L=1, dtype=dtype)
    tensors = exchange.to_onnx(cell, into(twin, given))
    assert list(tensors) == ["W", "R", "B"][: 3 if bias == "both" else 2]
    assert equal(out(twin, exchange.from_onnx(cell, tensors)), given)


def test_onnx_has_the_gates_of_an_lstm_in_the_order_i_o_f_c():
    """Stated once; its c is our g. An RNN has one block in either order."""
    assert ONNX_GATES == {"rnn": ("a",), "rnn_relu": ("a",), "lstm": ("i", "o", "f", "g")}
    assert [block("lstm", gate, 3, ONNX_GATES).start for gate in GATES["lstm"]] == [0, 6, 9, 3]


@both
@cells
@counts
def test_what_is_exchanged_lies_in_memory_of_its_own(twin, cell, n):
    """Whoever overwrites what was exported or imported changes nothing of what it was made from."""
    exchange, given = part(twin, "exchange"), layers(cell, n, L=2)
    held = into(twin, given)
    named, tensors = exchange.to_torch(held), exchange.to_onnx(cell, held[0])
    kept = {name: out(twin, a) for name, a in (named | tensors).items()}
    for array in leaves((exchange.from_torch(named), exchange.from_onnx(cell, tensors))):
        array[...] = 7
    assert all(np.array_equal(out(twin, a), kept[name]) for name, a in (named | tensors).items())
    for array in (named | tensors).values():
        array[...] = 5
    assert same(out(twin, held), given)


def refusal(function, *args):
    """The sentence with which a function refuses its arguments, and whether it is of type or of value."""
    with pytest.raises((TypeError, ValueError)) as refused:
        function(*args)
    return type(refused.value), str(refused.value).replace("torch.float", "float")


def changed(tree, **fields):
    """Two layers of two directions, of which the second layer's second direction has other fields."""
    return (tree[0], (tree[1][0], tree[1][1]._replace(**fields)))


LSTM = layers("lstm", 2, L=2)
GROUP = draw.group([layers("lstm", 1, L=1)] * 3)
NAMED = {
    f"{name}_l{k}{'_reverse' * d}": a
    for k, layer in enumerate(LSTM)
    for d, params in enumerate(layer)
    for name, a in params._asdict().items()
}
W, R, B = (np.ones(shape) for shape in ((1, 8, 4), (1, 8, 2), (1, 16)))


def without(name):
    """The named parameters without one."""
    return {n: a for n, a in NAMED.items() if n != name}


TORCH_OUT = {
    "no tuple": (list(LSTM), TypeError, "`layers` must be a tuple of at least one layer; got list."),
    "no layer": ((), ValueError, "`layers` must be a tuple of at least one layer; got 0."),
    "a group": (
        GROUP,
        ValueError,
        "`layers[0][0].weight_ih` must have shape (G*H, D), since torch.nn holds one model; got (3, 8, 4).",
    ),
    "a group of RNNs": (
        draw.group([layers("rnn", 1, L=1)] * 3),
        ValueError,
        "`layers[0][0].weight_ih` must have shape (G*H, D), since torch.nn holds one model; got (3, 2, 4).",
    ),
    "another number of rows": (
        changed(LSTM, weight_hh=LSTM[1][1].weight_hh[:7]),
        ValueError,
        "`layers[1][1].weight_hh` must have shape (8, 2), since the cell is lstm, 4 blocks of H=2 rows; got (7, 2).",
    ),
    "an RNN upon an LSTM": (
        (LSTM[0], layers("rnn", 2, L=2)[1]),
        ValueError,
        "`layers[1][0].weight_hh` must have shape (8, 2), since the cell is lstm, 4 blocks of H=2 rows; got (2, 2).",
    ),
    "no array": (
        changed(LSTM, bias_hh=[0.0] * 8),
        TypeError,
        "`layers[1][1].bias_hh` must be an array; got list.",
    ),
    "no array at first": (
        ((Parameters(LSTM[0][0].weight_ih, 3),),),
        TypeError,
        "`layers[0][0].weight_hh` must be an array; got int.",
    ),
}
ALIKE = "as torch.nn.LSTM has them"
TORCH_IN = {
    "no dict": (list(NAMED), TypeError, "`state_dict` must be a dict of arrays by name; got list."),
    "nothing": (
        {},
        ValueError,
        "`state_dict` must hold weight_ih_l0, since it is of 1 layer and 1 direction; got no names.",
    ),
    "a projection": (
        NAMED | {"weight_hr_l0": W},
        ValueError,
        f"`state_dict` must hold weight_ih_l0 and its like alone, {ALIKE}; got weight_hr_l0.",
    ),
    "two unknown names": (
        {"rnn.weight_ih_l0": W, "weight_ih_l00": W},
        ValueError,
        f"`state_dict` must hold weight_ih_l0 and its like alone, {ALIKE}; got rnn.weight_ih_l0.",
    ),
    "a number": (
        {3: W},
        ValueError,
        f"`state_dict` must hold weight_ih_l0 and its like alone, {ALIKE}; got 3.",
    ),
    "a leading zero": (
        NAMED | {"weight_ih_l01": W},
        ValueError,
        f"`state_dict` must hold weight_ih_l0 and its like alone, {ALIKE}; got weight_ih_l01.",
    ),
    "a missing direction": (
        {n: NAMED[n] for n in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0_reverse")},
        ValueError,
        "`state_dict` must hold weight_ih_l0_reverse, since it is of 1 layer and 2 directions; "
        "got weight_ih_l0, weight_hh_l0, bias_ih_l0_reverse.",
    ),
    "a missing layer": (
        {n: NAMED[n] for n in ("weight_ih_l1", "weight_hh_l1")},
        ValueError,
        "`state_dict` must hold weight_ih_l0, since it is of 2 layers and 1 direction; got weight_ih_l1, weight_hh_l1.",
    ),
    "a missing recurrent matrix": (
        without("weight_hh_l1_reverse"),
        ValueError,
        "`state_dict` must hold weight_hh_l1_reverse, since it is of 2 layers and 2 directions; "
        f"got {', '.join(without('weight_hh_l1_reverse'))}.",
    ),
    "a layer of another width": (
        NAMED | {"weight_ih_l1": np.ones((8, 3))},
        ValueError,
        "`weight_ih_l1` must have shape (8, 4), since weight_hh_l0 is (8, 2), in 2 directions; got (8, 3).",
    ),
    "directions of two widths": (
        NAMED | {"weight_ih_l0_reverse": np.ones((8, 3))},
        ValueError,
        "`weight_ih_l0_reverse` must have shape (8, 4), since weight_ih_l0 has it; got (8, 3).",
    ),
    "a bias of another width": (
        NAMED | {"bias_hh_l1_reverse": np.ones(7)},
        ValueError,
        "`bias_hh_l1_reverse` must have shape (8,), since weight_hh_l1_reverse is (8, 2); got (7,).",
    ),
    "input weights of another height": (
        NAMED | {"weight_ih_l1_reverse": np.ones((7, 4))},
        ValueError,
        "`weight_ih_l1_reverse` must have shape (8, 4), since weight_hh_l1_reverse is (8, 2); got (7, 4).",
    ),
    "another dtype": (
        NAMED | {"weight_hh_l0_reverse": np.ones((8, 2), np.float32)},
        TypeError,
        "`weight_hh_l0_reverse` must be float64, since all arrays of a call share one dtype; got float32.",
    ),
    "a group": (
        {"weight_ih_l0": np.ones((3, 8, 4)), "weight_hh_l0": np.ones((3, 8, 2))},
        ValueError,
        "`weight_ih_l0` must have shape (G*H, D), since torch.nn holds one model; got (3, 8, 4).",
    ),
    "a vector": (
        {"weight_ih_l0": np.ones((8, 4)), "weight_hh_l0": np.ones(8)},
        ValueError,
        "`weight_hh_l0` must have shape (32, 8), since the cell is lstm, 4 blocks of H=8 rows; got (8,).",
    ),
}
ONE_BIAS = "since ONNX's B holds both biases of every direction; got None."
ONNX_OUT = {
    "an unknown cell": (
        ("gru", LSTM[0]),
        ValueError,
        "`cell` must be one of rnn, rnn_relu, lstm, since ONNX has no other; got 'gru'.",
    ),
    "no tuple": (("lstm", [*LSTM[0]]), TypeError, "`directions` must be a tuple of one direction or two; got list."),
    "bare parameters": (
        ("lstm", LSTM[0][0]),
        TypeError,
        "`directions` must be a tuple of one direction or two; got Parameters.",
    ),
    "no direction": (("lstm", ()), ValueError, "`directions` must be a tuple of one direction or two; got 0."),
    "three directions": (
        ("lstm", LSTM[0] + LSTM[0][:1]),
        ValueError,
        "`directions` must be a tuple of one direction or two; got 3.",
    ),
    "another kind": (
        ("lstm", (LSTM[0][0], tuple(LSTM[0][1]))),
        TypeError,
        "`directions[1]` must be impl.spec.Parameters; got tuple.",
    ),
    "a group": (
        ("lstm", GROUP[0]),
        ValueError,
        "`directions[0].weight_ih` must have shape (G*H, D), since ONNX holds one model; got (3, 8, 4).",
    ),
    "another cell": (
        ("rnn", LSTM[0]),
        ValueError,
        "`directions[0].weight_hh` must have shape (2, 2), since the cell is rnn, 1 blocks of H=2 rows; got (8, 2).",
    ),
    "directions of two widths": (
        ("lstm", (LSTM[0][0], LSTM[0][1]._replace(weight_ih=np.ones((8, 5))))),
        ValueError,
        "`directions[1].weight_ih` must have shape (8, 4), since directions[0].weight_ih has it; got (8, 5).",
    ),
    "one bias alone": (
        ("lstm", (LSTM[0][0]._replace(bias_ih=None),)),
        ValueError,
        f"`directions[0].bias_ih` must be given, {ONE_BIAS}",
    ),
    "biases in one direction alone": (
        ("lstm", (LSTM[0][0], LSTM[0][1]._replace(bias_ih=None, bias_hh=None))),
        ValueError,
        f"`directions[1].bias_ih` must be given, {ONE_BIAS}",
    ),
    "the last bias left out": (
        ("lstm", (LSTM[0][0], LSTM[0][1]._replace(bias_hh=None))),
        ValueError,
        f"`directions[1].bias_hh` must be given, {ONE_BIAS}",
    ),
}
NAMES = "`tensors` must hold W and R, and B or not; got "
ONNX_IN = {
    "an unknown cell": (
        ("gru", {}),
        ValueError,
        "`cell` must be one of rnn, rnn_relu, lstm, since ONNX has no other; got 'gru'.",
    ),
    "no dict": (("lstm", [W, R]), TypeError, "`tensors` must be a dict of arrays by name; got list."),
    "nothing": (("lstm", {}), ValueError, NAMES + "no names."),
    "peepholes": (("lstm", {"W": W, "R": R, "B": B, "P": B}), ValueError, NAMES + "W, R, B, P."),
    "no recurrent matrix": (("lstm", {"W": W, "B": B}), ValueError, NAMES + "W, B."),
    "no input matrix": (("lstm", {"R": R}), ValueError, NAMES + "R."),
    "R of another cell": (
        ("rnn", {"W": W, "R": R}),
        ValueError,
        "`R` must have shape (1, 2, 2), since the cell is rnn, 1 blocks of H=2 rows; got (1, 8, 2).",
    ),
    "three directions": (
        ("lstm", {"W": W.repeat(3, 0), "R": R.repeat(3, 0)}),
        ValueError,
        "`R` must have shape (1 or 2, 8, 2), since the cell is lstm, 4 blocks of H=2 rows; got (3, 8, 2).",
    ),
    "R of no direction": (
        ("lstm", {"W": W, "R": R[0]}),
        ValueError,
        "`R` must have shape (1 or 2, 8, 2), since the cell is lstm, 4 blocks of H=2 rows; got (8, 2).",
    ),
    "R of no axis": (
        ("lstm", {"W": W, "R": np.ones(())}),
        ValueError,
        "`R` must have shape (1 or 2, 0, 0), since the cell is lstm, 4 blocks of H=0 rows; got ().",
    ),
    "W of other directions": (
        ("lstm", {"W": W.repeat(2, 0), "R": R}),
        ValueError,
        "`W` must have shape (1, 8, 4), since R is (1, 8, 2); got (2, 8, 4).",
    ),
    "W of fewer directions": (
        ("lstm", {"W": W, "R": R.repeat(2, 0)}),
        ValueError,
        "`W` must have shape (2, 8, 4), since R is (2, 8, 2); got (1, 8, 4).",
    ),
    "W of no axis": (
        ("lstm", {"W": np.ones(()), "R": R}),
        ValueError,
        "`W` must have shape (1, 8, D), since R is (1, 8, 2); got ().",
    ),
    "B of one bias": (
        ("lstm", {"W": W, "R": R, "B": B[:, :8]}),
        ValueError,
        "`B` must have shape (1, 16), since R is (1, 8, 2); got (1, 8).",
    ),
    "W that is no array": (("lstm", {"W": [1.0], "R": R}), TypeError, "`W` must be an array; got list."),
    "R that is no array": (("lstm", {"W": W, "R": [1.0]}), TypeError, "`R` must be an array; got list."),
    "R of another kind of number": (
        ("lstm", {"W": W, "R": R.astype(np.float16)}),
        TypeError,
        "`R` must be float32 or float64; got float16.",
    ),
    "B of another dtype": (
        ("lstm", {"W": W, "R": R, "B": B.astype(np.float32)}),
        TypeError,
        "`B` must be float64, since all arrays of a call share one dtype; got float32.",
    ),
}


def held(twin, tree):
    """A tree, list or dict with its NumPy arrays as the twin's; everything else as it is."""
    if isinstance(tree, dict):
        return {name: held(twin, a) for name, a in tree.items()}
    if isinstance(tree, tuple):
        branches = [held(twin, branch) for branch in tree]
        return type(tree)(*branches) if hasattr(tree, "_fields") else tuple(branches)
    return into(twin, tree) if isinstance(tree, np.ndarray) else tree


@both
@pytest.mark.parametrize("what", TORCH_OUT)
def test_what_torch_cannot_hold_is_refused_by_the_layers_name(twin, what):
    """The same sentence from both twins."""
    given, kind, sentence = TORCH_OUT[what]
    assert refusal(part(twin, "exchange").to_torch, held(twin, given)) == (kind, sentence)


@both
@pytest.mark.parametrize("what", TORCH_IN)
def test_a_state_dict_that_does_not_fit_is_refused_by_torchs_name(twin, what):
    """Unknown, missing and misfitting names; the same sentence from both twins."""
    given, kind, sentence = TORCH_IN[what]
    assert refusal(part(twin, "exchange").from_torch, held(twin, given)) == (kind, sentence)


@both
@pytest.mark.parametrize("what", ONNX_OUT)
def test_what_onnx_cannot_hold_is_refused_by_the_directions_name(twin, what):
    """One bias alone among it; the same sentence from both twins."""
    given, kind, sentence = ONNX_OUT[what]
    assert refusal(part(twin, "exchange").to_onnx, *held(twin, given)) == (kind, sentence)


@both
@pytest.mark.parametrize("what", ONNX_IN)
def test_tensors_that_are_no_layer_of_onnx_are_refused_by_onnxs_name(twin, what):
    """Unknown, missing and misfitting names; the same sentence from both twins."""
    given, kind, sentence = ONNX_IN[what]
    assert refusal(part(twin, "exchange").from_onnx, *held(twin, given)) == (kind, sentence)


OTHER = {"numpy_twin": "torch_twin", "torch_twin": "numpy_twin"}
OWN = {
    "numpy_twin": "a NumPy array, as array.asarray of the NumPy twin makes them",
    "torch_twin": "a tensor of torch, as array.asarray of the torch twin makes them",
}
THEIRS = {"numpy_twin": "torch.Tensor", "torch_twin": "numpy.ndarray"}


@both
@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("to_torch", "layers[0][0].weight_ih"),
        ("from_torch", "weight_ih_l0"),
        ("to_onnx", "directions[0].weight_ih"),
        ("from_onnx", "W"),
    ],
)
def test_the_other_twins_arrays_are_refused_by_name(twin, function, name):
    """A state dict of torch for the NumPy twin, and so on; the sentence says what makes them this twin's."""
    given = layers("lstm", 1, L=1)
    named, tensors = (getattr(part("numpy_twin", "exchange"), f)(*a) for f, a in TO(given))
    args = {"to_torch": (given,), "from_torch": (named,), "to_onnx": ("lstm", given[0]), "from_onnx": ("lstm", tensors)}
    theirs = [held(OTHER[twin], a) for a in args[function]]
    kind, sentence = refusal(getattr(part(twin, "exchange"), function), *theirs)
    assert (kind, sentence) == (TypeError, f"`{name}` must be {OWN[twin]}; got {THEIRS[twin]}.")


def TO(given):
    """What exports the layers, and of what."""
    return (("to_torch", (given,)), ("to_onnx", ("lstm", given[0])))
