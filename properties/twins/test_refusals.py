"""What does not fit is refused with a sentence: the argument, the rule, why it holds, and what came."""

import re

import numpy as np
import pytest

from impl.spec import GATES, Head, LSTMState, Parameters, RNNState, block, leaves, members, rebuild, tree_map, unpack
from properties.cases import Plan
from properties.twins.both import both, call, into, part

CASE = Plan(5, 3, 4, 2, seed=1).case("lstm", "float32")
GROUP = Plan(5, 3, 4, 2, seed=1, E=3).case("lstm", "float32")
PARAMS, X, STATE = CASE.call.params, CASE.call.x, CASE.call.state


def changed(**fields):
    """The case's parameters with some of them changed."""
    return PARAMS._replace(**{name: change(getattr(PARAMS, name)) for name, change in fields.items()})


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
    "parameters that are a plain tuple": ((tuple(PARAMS), X), "`params` must be impl.spec.Parameters; got tuple."),
}


@both
@pytest.mark.parametrize("what", FORWARD)
def test_the_time_loop_says_what_does_not_fit(twin, what):
    """The same sentence from both twins."""
    arguments, sentence = FORWARD[what]
    with pytest.raises((TypeError, ValueError)) as refusal:
        call(twin, "scan", "forward", "lstm", *arguments)
    assert str(refusal.value).replace("torch.", "") == sentence


@both
def test_an_argument_that_is_no_array_and_an_unknown_cell_are_refused(twin):
    """Lists are not converted in silence."""
    scan = part(twin, "scan")
    with pytest.raises(TypeError, match="`x` must be an array; got list"):
        scan.forward("lstm", into(twin, PARAMS), X.tolist())
    with pytest.raises(ValueError, match="`cell` must be one of rnn, lstm; got 'gru'"):
        scan.forward("gru", into(twin, PARAMS), into(twin, X))
    with pytest.raises(TypeError, match=r"`weight_hh` must be float32 or float64; got .*float16"):
        half = Parameters(*(a.astype(np.float16) for a in PARAMS))
        scan.forward("lstm", into(twin, half), into(twin, X))


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
    assert rebuild(PARAMS._replace(bias_ih=None), [1, 2, 3]) == Parameters(1, 2, None, 3)
    assert unpack(Parameters(X, X)).b == 0.0
