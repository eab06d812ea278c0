"""What the read-out, the losses and the time loop refuse: each sentence in full, the same from both twins."""

import numpy as np
import pytest

from impl.spec import Head, Parameters
from properties.cases import Plan
from properties.twins.both import both, into, part

T, E, B, H, V = 5, 2, 3, 4, 6
ONE, GROUP = Head(np.ones((V, H)), np.ones(V)), Head(np.ones((E, V, H)), np.ones((E, V)))
STEPS = np.ones((T, B, H))
SHARED = "since all arrays of a call share one dtype"

HEADS = {
    "parameters of a cell": (Parameters(*ONE), STEPS, "`params` must be impl.spec.Head; got Parameters."),
    "weights that are no array": (
        ONE._replace(weight_hy=[[1.0]]),
        STEPS,
        "`weight_hy` must be an array; got list.",
    ),
    "weights of half precision": (
        ONE._replace(weight_hy=np.ones((V, H), np.float16)),
        STEPS,
        "`weight_hy` must be float32 or float64; got float16.",
    ),
    "weights of another rank": (
        ONE._replace(weight_hy=np.ones(V)),
        STEPS,
        "`weight_hy` must have shape (V, H) or (E, V, H); got (6,).",
    ),
    "a bias that is no array": (ONE._replace(bias_hy=[1.0] * V), STEPS, "`bias_hy` must be an array; got list."),
    "a bias of another dtype": (
        ONE._replace(bias_hy=np.ones(V, np.float32)),
        STEPS,
        f"`bias_hy` must be float64, {SHARED}; got float32.",
    ),
    "a group's bias for one model": (
        GROUP._replace(bias_hy=np.ones(V)),
        np.ones((T, E, B, H)),
        "`bias_hy` must have shape (2, 6), since weight_hy is (2, 6, 4); got (6,).",
    ),
    "states that are no array": (ONE, STEPS.tolist(), "`h` must be an array; got list."),
    "states of another dtype": (ONE, STEPS.astype(np.float32), f"`h` must be float64, {SHARED}; got float32."),
    "a group's states for one model": (
        ONE,
        np.ones((T, E, B, H)),
        "`h` must have shape (T, B, H) with H=4, since weight_hy is (6, 4); got (5, 2, 3, 4).",
    ),
    "one model's states for a group, B = E": (
        GROUP,
        np.ones((T, E, H)),
        "`h` must have shape (T, E, B, H) with E=2, H=4, since weight_hy is (2, 6, 4); got (5, 2, 4).",
    ),
    "states of another group": (
        GROUP,
        np.ones((T, 3, B, H)),
        "`h` must have shape (T, E, B, H) with E=2, H=4, since weight_hy is (2, 6, 4); got (5, 3, 3, 4).",
    ),
    "a group's states of another width": (
        GROUP,
        np.ones((T, E, B, 3)),
        "`h` must have shape (T, E, B, H) with E=2, H=4, since weight_hy is (2, 6, 4); got (5, 2, 3, 3).",
    ),
}

Y, CLASSES, SHOWN = np.ones((T, B, V)), np.zeros((T, B), np.int64), np.ones((T, B), bool)
WRONG = np.arange(T * B).reshape(T, B)
CROSS_ENTROPY = {
    "logits that are no array": ([1.0], CLASSES, None, "`y` must be an array; got list."),
    "logits of half precision": (
        Y.astype(np.float16),
        CLASSES,
        None,
        "`y` must be float32 or float64; got float16.",
    ),
    "targets that are no array": (Y, CLASSES.tolist(), None, "`targets` must be an array; got list."),
    "targets of another shape": (
        Y,
        CLASSES[:, :2],
        None,
        "`targets` must have shape (5, 3), since y is (5, 3, 6); got (5, 2).",
    ),
    "a mask that is no array": (Y, CLASSES, SHOWN.tolist(), "`mask` must be an array; got list."),
    "a mask of numbers": (
        Y,
        CLASSES,
        CLASSES + 1,
        "`mask` must be boolean, since it selects steps; got dtype int64.",
    ),
    "a mask of another shape": (
        Y,
        CLASSES,
        SHOWN[:, :2],
        "`mask` must have shape (5, 3), since the loss runs over (5, 3); got (5, 2).",
    ),
    "the class V": (Y, CLASSES + V, None, "`targets` must lie in 0..5, since y has V=6 outputs; got [6, 6, 6, 6, 6]."),
    "the class V where the mask shows it": (
        Y,
        CLASSES + V * (WRONG == 7),
        SHOWN,
        "`targets` must lie in 0..5, since y has V=6 outputs; got [6].",
    ),
    "the class -1 where the mask shows it": (
        Y,
        CLASSES - (WRONG == 7),
        SHOWN,
        "`targets` must lie in 0..5, since y has V=6 outputs; got [-1].",
    ),
    "more wrong classes than fit a sentence": (
        Y,
        WRONG,
        None,
        "`targets` must lie in 0..5, since y has V=6 outputs; got [6, 7, 8, 9, 10].",
    ),
}


def given(twin, *arguments):
    """Arguments of a call: arrays as the twin's, lists and what else is wrong as they are."""
    return [into(twin, a) if isinstance(a, np.ndarray) else a for a in arguments]


def sentence_of(call, *arguments):
    """What a call says when it refuses its arguments; dtypes by NumPy's names."""
    with pytest.raises((TypeError, ValueError)) as refusal:
        call(*arguments)
    return str(refusal.value).replace("torch.", "")


@both
@pytest.mark.parametrize("what", HEADS)
def test_the_read_out_says_what_does_not_fit_forward_and_backward(twin, what):
    """Both look at the parameters and at h first."""
    params, h, sentence = HEADS[what]
    params, (h,) = type(params)(*given(twin, *params)), given(twin, h)
    head = part(twin, "head")
    assert sentence_of(head.forward, params, h) == sentence
    assert sentence_of(head.backward, params, h, h) == sentence


@both
@pytest.mark.parametrize("what", CROSS_ENTROPY)
def test_the_cross_entropy_says_what_does_not_fit(twin, what):
    """Logits, classes and mask; no more than five wrong classes are listed."""
    *arguments, sentence = CROSS_ENTROPY[what]
    assert sentence_of(part(twin, "loss").softmax_cross_entropy, *given(twin, *arguments)) == sentence


@both
@pytest.mark.parametrize("name", ["squared_error", "logistic"])
def test_the_other_losses_say_what_does_not_fit(twin, name):
    """The target is compared with y, number by number."""
    loss, (y, short, single, mask) = getattr(part(twin, "loss"), name), given(twin, Y, Y[:4], np.float32(Y), SHOWN[:4])
    shape = "must have shape (5, 3, 6), since it is compared with y; got (4, 3, 6)."
    assert sentence_of(loss, y, short) == f"`target` {shape}"
    assert sentence_of(loss, y, single) == f"`target` must be float64, {SHARED}; got float32."
    assert sentence_of(loss, y, y.tolist()) == "`target` must be an array; got list."
    shape = "must have shape (5, 3), since the loss runs over (5, 3); got (4, 3)."
    assert sentence_of(loss, y, y, mask) == f"`mask` {shape}"


@both
def test_the_gradient_by_the_outputs_says_what_does_not_fit(twin):
    """dy has the steps of h and the width of the read-out."""
    head, (h, dy) = part(twin, "head"), given(twin, STEPS, np.ones((T, B, V)))
    params = into(twin, ONE)
    why = "since it is the gradient by y"
    assert sentence_of(head.backward, params, h, h) == f"`dy` must have shape (5, 3, 6), {why}; got (5, 3, 4)."
    assert sentence_of(head.backward, params, h, dy[1:]) == f"`dy` must have shape (5, 3, 6), {why}; got (4, 3, 6)."
    assert sentence_of(head.backward, params, h, dy.tolist()) == "`dy` must be an array; got list."


@both
def test_the_time_loop_says_which_lengths_do_not_fit(twin):
    """One integer a row: no list, and no single number for all rows."""
    loop, call = part(twin, "scan"), Plan(T, B, H, 2, seed=1).case("rnn", "float64").call
    params, x = into(twin, (call.params, call.x))
    number, single = given(twin, np.array(3), np.array([1, 2, -1]))
    assert sentence_of(loop.forward, "rnn", params, x, None, [1, 2, 3]) == "`lengths` must be an array; got list."
    shape = "`lengths` must have shape (3,), since x has that batch; got ()."
    assert sentence_of(loop.forward, "rnn", params, x, None, number) == shape
    range_ = "`lengths` must lie in 0..5, since x has T=5 steps; got [-1]."
    assert sentence_of(loop.forward, "rnn", params, x, None, single) == range_


SEQUENCE = Plan(T, B, 4, 2, seed=1).case("lstm", "float64").call
MODELS = Plan(T, B, 4, 2, seed=1, E=2).case("lstm", "float64").call
LOOP = {
    "input weights that are no array": (
        SEQUENCE.params._replace(weight_ih=[[1.0]]),
        SEQUENCE.x,
        None,
        "`weight_ih` must be an array; got list.",
    ),
    "recurrent weights that are no array": (
        SEQUENCE.params._replace(weight_hh=[[1.0]]),
        SEQUENCE.x,
        None,
        "`weight_hh` must be an array; got list.",
    ),
    "a bias that is no array": (
        SEQUENCE.params._replace(bias_ih=[1.0]),
        SEQUENCE.x,
        None,
        "`bias_ih` must be an array; got list.",
    ),
    "a group's inputs for one model": (
        SEQUENCE.params,
        MODELS.x,
        None,
        "`x` must have shape (T, B, D) with D=4, since weight_ih is (8, 4); got (5, 2, 3, 4).",
    ),
    "a state that is no array": (
        SEQUENCE.params,
        SEQUENCE.x,
        SEQUENCE.state._replace(h=[1.0]),
        "`state.h` must be an array; got list.",
    ),
    "a cell of another dtype": (
        SEQUENCE.params,
        SEQUENCE.x,
        SEQUENCE.state._replace(c=np.float32(SEQUENCE.state.c)),
        f"`state.c` must be float64, {SHARED}; got float32.",
    ),
    "one model's state for a group": (
        MODELS.params,
        MODELS.x,
        SEQUENCE.state,
        "`state.h` must have shape (2, 3, 2), since x has the batch (2, 3) and weight_hh is (2, 8, 2); got (3, 2).",
    ),
}


@both
def test_the_arrays_of_the_two_twins_are_told_apart_in_one_call(twin):
    """Parameters of the one and x of the other have dtypes of one name: the sentence says whose."""
    other = {"numpy_twin": "torch_twin", "torch_twin": "numpy_twin"}[twin]
    params, x = into(twin, SEQUENCE.params), into(other, SEQUENCE.x)
    mine, theirs = ("numpy.float64", "torch.float64") if twin == "numpy_twin" else ("torch.float64", "numpy.float64")
    with pytest.raises(TypeError, match=f"`x` must be {mine}, {SHARED}; got {theirs}."):
        part(twin, "scan").forward("lstm", params, x)


@both
@pytest.mark.parametrize("what", LOOP)
def test_the_time_loop_says_which_argument_is_no_array_or_of_one_model(twin, what):
    """Parameters, inputs and states, field by field."""
    params, x, state, sentence = LOOP[what]
    params, (x,) = type(params)(*given(twin, *params)), given(twin, x)
    state = None if state is None else type(state)(*given(twin, *state))
    assert sentence_of(part(twin, "scan").forward, "lstm", params, x, state) == sentence
