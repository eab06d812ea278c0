"""Law "symmetry": hidden units have no order, and a tanh unit has no sign."""

from dataclasses import replace

import numpy as np

from impl.spec import GATES, block, tree_map
from properties.cases import OUTPUTS, only, plans, results
from properties.laws import agree, law, same_bits
from properties.subject import Cotangent


def turned(case, order, sign, signed):
    """The call and cotangents with units in another order and some of another sign, by the blocks named `signed`."""
    call, cell, H = case.call, case.cell, case.plan.H
    factor = {gate: sign if gate in signed else np.ones_like(sign) for gate in GATES[cell]}

    def rows(a):
        parts = [(a[block(cell, g, H)][order].T * factor[g]).T for g in GATES[cell]]
        return np.ascontiguousarray(np.concatenate(parts), a.dtype)  # bits ask for the same layout too

    def units(a):
        return np.ascontiguousarray(a[..., order] * sign, a.dtype)

    W, R, *biases = call.params
    params = type(call.params)(rows(W), rows(units(R)), *(None if b is None else rows(b) for b in biases))
    cotangent = Cotangent(units(case.cotangent.h), tree_map(units, case.cotangent.last))
    return replace(call, params=params, state=tree_map(units, call.state)), cotangent


UNITS = ("h", "hT", "cT", "h0", "c0", "h_t", "c_t")


@law("symmetry", plans(), cells=("rnn", "lstm", "rnn_relu"), share=0.6)
def test_reordering_hidden_units_reorders_the_results(subject, cell, dtype, plan):
    """A unit is its weights, not its place: values and gradients in the new order, within the bound."""
    case = plan.case(cell, dtype)
    order = case.rng.permutation(plan.H)
    got = results(subject, *turned(case, order, np.ones(plan.H), ()))
    judged = case.judged(subject.alpha(dtype), gradients=True)
    rows = np.concatenate([np.r_[block(cell, g, plan.H)][order] for g in GATES[cell]])
    places = (
        {name: (..., order) for name in UNITS} | {"x": ...} | dict.fromkeys(("weight_ih", "bias_ih", "bias_hh"), rows)
    )
    places |= {"weight_hh": np.ix_(rows, order)}
    agree(subject, case, got, {name: judged[name].take(places[name]) for name in judged})


@law("symmetry", plans(), share=0.6)
def test_turning_a_tanh_units_sign_turns_its_state_and_nothing_else(subject, cell, dtype, plan):
    """tanh is odd, and a sum of turned terms is the turned sum: h and c to the bit, gradients within the bound.

    The slope of tanh is even, but some write it as 4 sigma(2a) sigma(-2a), which rounds otherwise at -a.
    """
    case = plan.case(cell, dtype)
    sign = np.where(np.arange(plan.H) == plan.seed % plan.H, -1.0, 1.0)
    got = results(subject, *turned(case, np.arange(plan.H), sign, {"rnn": ("a",), "lstm": ("g",)}[cell]))
    wanted = results(subject, case.call, case.cotangent)
    judged, turned_back = case.judged(subject.alpha(dtype), gradients=True), {}
    for name in got.keys() & {*UNITS, "x"}:
        turn = sign if name in UNITS else 1.0
        if name in OUTPUTS:
            same_bits(subject, case, name, got[name] + 0, (wanted[name] * turn).astype(dtype) + 0)  # -0 is 0 here
        else:
            turned_back[name] = (got[name] * turn).astype(dtype)
    agree(subject, case, turned_back, only(judged, {*UNITS, "x"} - {*OUTPUTS}))
