"""The loop on inputs that it makes itself, and the read-out's choice: of every cell, in both twins."""

import re

import numpy as np
import pytest
import torch

from impl import draw
from impl.spec import GATES, STATES, Head, LSTMState, RNNState, leaves, tree_map
from impl.torch_twin import scan as torch_scan
from properties.twins.both import both, call, into, out, part
from properties.twins.test_scan import near, same

STEPS, B, D, H, V, E = 5, 3, 4, 2, 6, 2
cells = pytest.mark.parametrize("cell", GATES)


def speaker(cell, E=None):
    """Parameters, a read-out, an embedding, the first input, an initial state: dense, random, float64."""
    rng, batch = draw.generator("feed back", cell), (B,) if E is None else (E, B)
    group = lambda models: models[0] if E is None else draw.group(models)  # noqa: E731
    params = group([draw.uniform(rng, cell, D, H) for _ in range(E or 1)])
    head = group([Head(rng.normal(size=(V, H)), rng.normal(size=V)) for _ in range(E or 1)])
    state = STATES[cell](*(rng.normal(size=(*batch, H)) for _ in STATES[cell]._fields))
    return params, head, 3 * rng.normal(size=(V, D)), rng.normal(size=(*batch, D)), state


def speak(twin, cell, params, head, embedding, x, state, steps=STEPS):
    """What a decoder feeds itself, its states and its last state, as NumPy arrays."""
    params, head, embedding, x, state = into(twin, (params, head, embedding, x, state))
    following = lambda h: part(twin, "head").likeliest(head, h) @ embedding  # noqa: E731
    return out(twin, part(twin, "scan").feed_back(cell, params, x, steps, following, state))


@both
@cells
@pytest.mark.parametrize("shared", [False, True])
def test_a_group_that_feeds_itself_is_its_models_side_by_side(twin, cell, shared):
    """The same symbols, and states within rounding, whether the models start from one input or each from its own."""
    params, head, embedding, x, state = speaker(cell, E)
    x = x[0] if shared else x
    group = speak(twin, cell, params, head, embedding, x, state)
    assert group.x.shape == (STEPS, E, B, D) and group.states.h.shape == (STEPS, E, B, H)
    for e in range(E):
        take = lambda tree, e=e: tree_map(lambda a: a[e], tree)  # noqa: E731
        alone = speak(twin, cell, take(params), take(head), embedding, x if shared else x[e], take(state))
        assert same(group.x[:, e], alone.x)
        assert near(tree_map(lambda a, e=e: a[:, e], group.states), alone.states)
        assert near(take(group.last), alone.last)
    assert not same(group.x[1:, 0], group.x[1:, 1])


@both
@cells
@pytest.mark.parametrize("E", [None, E])
def test_the_forward_on_what_was_fed_gives_the_same_states(twin, cell, E):
    """Free running is forced running on its own words; the last state is the one after the last step, in own memory."""
    params, head, embedding, x, state = speaker(cell, E)
    fed = speak(twin, cell, params, head, embedding, x, state)
    forced = part(twin, "scan").forward(cell, *into(twin, (params, fed.x, state)))
    assert near((fed.states, fed.last), out(twin, (forced.states, forced.last)))
    assert same(fed.x[0], x)
    assert same(tree_map(lambda a: a[-1], fed.states), fed.last)
    assert not any(np.shares_memory(a, b) for a, b in zip(leaves(fed.states), leaves(fed.last), strict=True))


@both
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_no_state_is_a_state_of_zeros(twin, cell):
    """To the bit; and a state that is given is not written to."""
    params, head, embedding, x, state = speaker(cell, E)
    zeros, kept = tree_map(np.zeros_like, state), tree_map(np.copy, state)
    assert same(*(speak(twin, cell, params, head, embedding, x, s) for s in (None, zeros)))
    speak(twin, cell, params, head, embedding, x, state)
    assert same(state, kept)


@both
@pytest.mark.parametrize("steps", [1, 4])
def test_the_next_input_is_asked_for_once_between_two_steps(twin, steps):
    """Of the state that comes out of each step, in order, and not after the last; one buffer may serve for all."""
    params, _, _, x, state = into(twin, speaker("lstm"))
    heard, buffer = [], into(twin, np.zeros((B, D)))

    def following(h):
        heard.append(out(twin, h))
        buffer[...] = len(heard)
        return buffer

    fed = out(twin, part(twin, "scan").feed_back("lstm", params, x, steps, following, state))
    assert len(heard) == steps - 1
    assert all(np.array_equal(h, fed.states.h[t]) for t, h in enumerate(heard))
    assert fed.x[:, 0, 0].tolist()[1:] == list(range(1, steps))


def test_autograd_traces_the_loop_where_the_next_input_has_a_gradient():
    """Nothing is written in place: where h is fed back itself, autograd's gradient is that of differences."""
    params, _, _, x, state = speaker("lstm")
    params, x, state = tree_map(lambda a: torch.tensor(a, requires_grad=True), (params, x, state))
    given, back = leaves((params, x, state)), torch.tensor(draw.generator("back").normal(size=(H, D)))

    def loss(*_):
        return torch_scan.feed_back("lstm", params, x, 3, lambda h: h @ back, state).states.h.square().sum()

    assert torch.autograd.gradcheck(loss, given)


PARAMS, HEAD, EMBEDDING, X, STATE = speaker("lstm")
GROUP = speaker("lstm", E)
NEXT = np.ones((B, D))
ONE_DTYPE = "since all arrays of a call share one dtype"
AT_LEAST_ONE = "`steps` must be an int of at least 1, since x is the first step's input"
REFUSED = {
    "x of a whole sequence": (
        {"x": X[None]},
        "`x` must have shape (B, D) with D=4, since weight_ih is (8, 4); got (1, 3, 4).",
    ),
    "x of another width": (
        {"x": X[:, :3]},
        "`x` must have shape (B, D) with D=4, since weight_ih is (8, 4); got (3, 3).",
    ),
    "x of another group": (
        {"params": GROUP[0], "x": GROUP[3][:1], "state": GROUP[4]},
        "`x` must have shape (B, D) or (E, B, D) with D=4, E=2, since weight_ih is (2, 8, 4); got (1, 3, 4).",
    ),
    "x of another dtype": ({"x": X.astype(np.float32)}, f"`x` must be float64, {ONE_DTYPE}; got float32."),
    "x that is no array": ({"x": 1.0}, "`x` must be an array; got float."),
    "a state of another cell": (
        {"state": RNNState(STATE.h)},
        "`state` must be impl.spec.LSTMState, since the cell is lstm; got RNNState.",
    ),
    "a state of another batch": (
        {"state": LSTMState(STATE.h[:1], STATE.c)},
        "`state.h` must have shape (3, 2), since x has the batch (3,) and weight_hh is (8, 2); got (1, 2).",
    ),
    "one model's state for a group": (
        {"params": GROUP[0], "x": X},
        "`state.h` must have shape (2, 3, 2), since x has the batch (2, 3) and weight_hh is (2, 8, 2); got (3, 2).",
    ),
    "no steps": ({"steps": 0}, f"{AT_LEAST_ONE}; got 0."),
    "half a step": ({"steps": 1.5}, f"{AT_LEAST_ONE}; got float."),
    "a yes for steps": ({"steps": True}, f"{AT_LEAST_ONE}; got bool."),
    "no function": ({"following": NEXT}, "`following` must be a function from h to the next x; got ARRAY."),
    "a next input of another width": (
        {"following": lambda h: NEXT[:, :3]},
        "`following(h)` must have shape (3, 4), since it is the next x; got (3, 3).",
    ),
    "a next input of one row for all": (
        {"following": lambda h: NEXT[:1]},
        "`following(h)` must have shape (3, 4), since it is the next x; got (1, 4).",
    ),
    "a next input of another dtype": (
        {"following": lambda h: NEXT.astype(np.float32)},
        f"`following(h)` must be float64, {ONE_DTYPE}; got float32.",
    ),
    "a next input that is none": ({"following": lambda h: None}, "`following(h)` must be an array; got NoneType."),
    "a wrong input at the last step alone": (
        {"following": lambda h, asked=[]: asked.append(h) or NEXT[: B - (len(asked) % 4 == 0)]},
        "`following(h)` must have shape (3, 4), since it is the next x; got (2, 4).",
    ),
    "an unknown cell": ({"cell": "gru"}, f"`cell` must be one of {', '.join(GATES)}; got 'gru'."),
}


@both
@pytest.mark.parametrize("what", REFUSED)
def test_the_loop_says_what_does_not_fit(twin, what):
    """The same sentence from both twins, at whichever step it comes."""
    changes, sentence = REFUSED[what]
    asked = {"cell": "lstm", "params": PARAMS, "x": X, "steps": STEPS, "following": lambda h: NEXT, "state": STATE}
    asked = {name: into(twin, a) if isinstance(a, np.ndarray | tuple) else a for name, a in (asked | changes).items()}
    if callable(asked["following"]):
        asked["following"] = lambda h, given=asked["following"]: into(twin, given(h))
    wrong_kind = re.search(r"; got [a-zA-Z]", sentence) and what != "an unknown cell"
    with pytest.raises(TypeError if wrong_kind else ValueError) as refusal:
        part(twin, "scan").feed_back(**asked)
    array = {"numpy_twin": "ndarray", "torch_twin": "Tensor"}[twin]
    assert str(refusal.value).replace("torch.", "") == sentence.replace("ARRAY", array)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_likeliest_class_is_that_of_the_largest_output_as_one_hot(twin, dtype, bias):
    """Of one model and of a group, in the dtype of h, whatever the sign of the outputs."""
    rng = draw.generator("likeliest")
    W, b, h = (rng.normal(size=s).astype(dtype) for s in ((E, V, H), (E, V), (E, B, H)))
    b = b - 9 if bias else None
    chosen = call(twin, "head", "likeliest", Head(W, b), h)
    y = call(twin, "head", "forward", Head(W, b), h[None])[0]
    assert (chosen.shape, chosen.dtype) == ((E, B, V), np.dtype(dtype))
    assert np.array_equal(chosen, np.eye(V)[y.argmax(-1)])
    for e in range(E):
        assert np.array_equal(call(twin, "head", "likeliest", Head(W[e], b[e] if bias else None), h[e]), chosen[e])


@both
def test_of_equals_the_first_is_the_likeliest(twin):
    """A vector of states gives every pattern of ties among four outputs; NaN is chosen, and so seen."""
    y = np.array(list(np.ndindex(2, 2, 2, 2)), float)
    chosen = call(twin, "head", "likeliest", Head(np.eye(4)), y)
    assert chosen.argmax(-1).tolist() == [row.tolist().index(row.max()) for row in y]
    assert chosen.sum(-1).tolist() == [1.0] * len(y)
    wild = call(twin, "head", "likeliest", Head(np.ones((3, 1)), np.array([1.0, np.nan, 2.0])), np.ones((1, 1)))
    assert wild.tolist() == [[0.0, 1.0, 0.0]]


@both
@pytest.mark.parametrize(
    ("head", "h", "sentence"),
    [
        (HEAD, STATE.h[None], "`h` must have shape (B, H) with H=2, since weight_hy is (6, 2); got (1, 3, 2)."),
        (HEAD, STATE.h[:, :1], "`h` must have shape (B, H) with H=2, since weight_hy is (6, 2); got (3, 1)."),
        (
            GROUP[1],
            STATE.h,
            "`h` must have shape (E, B, H) with E=2, H=2, since weight_hy is (2, 6, 2); got (3, 2).",
        ),
        (
            GROUP[1],
            GROUP[4].h[:1],
            "`h` must have shape (E, B, H) with E=2, H=2, since weight_hy is (2, 6, 2); got (1, 3, 2).",
        ),
    ],
)
def test_the_choice_says_what_does_not_fit(twin, head, h, sentence):
    """It takes one step; a sequence is refused, and so is another group."""
    with pytest.raises(ValueError) as refusal:
        call(twin, "head", "likeliest", head, h)
    assert str(refusal.value) == sentence
