"""Law "stacked": four separate gate products equal the stacked one (claim N11)."""

from dataclasses import replace

import numpy as np

from impl.spec import GATES, LSTMState, block
from properties.cases import outputs, plans
from properties.laws import agree, law
from properties.oracle import Judged
from properties.subject import Output


def sigma(a):
    """The logistic function."""
    z = np.exp(-np.abs(a))
    return np.where(a < 0, z, 1).astype(a.dtype) / (1 + z)


def separately(call):
    """The LSTM by four products of their own, each with the rows of its gate."""
    H, (h, c), hs = call.params.weight_hh.shape[1], call.state, []
    gates = [type(call.params)(*(None if a is None else a[block("lstm", g, H)] for a in call.params)) for g in "ifgo"]
    for x in call.x:
        i, f, g, o = (
            x @ p.weight_ih.T + h @ p.weight_hh.T + (0 if p.bias_ih is None else p.bias_ih + p.bias_hh) for p in gates
        )
        c = sigma(f) * c + sigma(i) * np.tanh(g)
        h = sigma(o) * np.tanh(c)
        hs.append(h)
    return Output(np.stack(hs), LSTMState(h, c))


@law("stacked", plans(), cells=("lstm",))
def test_four_separate_gate_products_equal_the_stacked_one(subject, cell, dtype, plan):
    """Rows of a product do not know each other: within twice the bound, since both forms may be off by one each."""
    case = plan.case(cell, dtype)
    judged, separate = case.judged(subject.alpha(dtype)), outputs(separately(case.call))
    agree(subject, case, separate, judged)
    twice = {n: Judged(a.astype(np.float64), 0 * judged[n].lo, 2 * judged[n].bound) for n, a in separate.items()}
    agree(subject, case, outputs(subject.forward(case.call)), twice)


@law("stacked", plans(), cells=("lstm",), share=0.5)
def test_a_gate_sees_its_own_rows_alone(subject, cell, dtype, plan):
    """A gate whose rows are zero is sigma(0) or tanh(0), whatever the other rows hold: exact within the bound."""
    case = plan.case(cell, dtype)
    rows = block("lstm", GATES["lstm"][plan.seed % 4], plan.H)
    cut = [None if a is None else a.copy() for a in case.call.params]
    for a in cut:
        if a is not None:
            a[rows] = 0
    call = replace(case.call, params=type(case.call.params)(*cut))
    agree(subject, case, outputs(subject.forward(call)), case.judged(subject.alpha(dtype), call=call))
