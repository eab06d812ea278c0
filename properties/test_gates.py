"""Law "gates": gates far from zero are exactly open or shut (claims N8, N9, N10)."""

from dataclasses import replace

import numpy as np

from impl.spec import block
from properties.cases import plans
from properties.laws import law, require, same_bits

PLAN = plans(biases=("both",))
SEEN = ("tvm#3410", "xlstm#98", "CrispASR#106")


def with_gates(case, **gates):
    """The call with some gates open (1) or shut (0) by a bias of 1e3, which no other term comes near."""
    bias_ih, bias_hh = case.call.params.bias_ih.copy(), case.call.params.bias_hh.copy()
    for gate, on in gates.items():
        rows = block("lstm", gate, case.plan.H)
        bias_ih[rows], bias_hh[rows] = (1e3 if on else -1e3), 0
    return replace(case.call, params=case.call.params._replace(bias_ih=bias_ih, bias_hh=bias_hh))


@law("gates", PLAN, cells=("lstm",), needs=("cell state",), seen_in=SEEN)
def test_an_open_forget_gate_and_a_shut_input_gate_keep_the_cell(subject, cell, dtype, plan):
    """sigma(1e3) is 1 and sigma(-1e3) is 0 in both precisions: c_t is c_0 at every step, to the bit."""
    case = plan.case(cell, dtype)
    call = with_gates(case, f=1, i=0)
    for t in (1, plan.cut + 1, plan.T):
        last = subject.forward(replace(call, x=call.x[:t])).last
        same_bits(subject, case, f"c after {t} steps", last.c, call.state.c)


@law("gates", PLAN, cells=("lstm",), needs=("cell state",), seen_in=SEEN)
def test_a_shut_forget_gate_and_an_open_input_gate_forget_the_cell(subject, cell, dtype, plan):
    """c_t is g_t alone: whatever c_0 was, all outputs keep their bits, and |c_t| is at most 1."""
    case = plan.case(cell, dtype)
    call = with_gates(case, f=0, i=1)
    other = replace(call, state=call.state._replace(c=case.normal(*call.state.c.shape)))
    one, two = subject.forward(call), subject.forward(other)
    same_bits(subject, case, "h from another c_0", two.h, one.h)
    same_bits(subject, case, "cT from another c_0", two.last.c, one.last.c)
    require(subject, case, bool((np.abs(one.last.c) <= 1).all()), f"|c_t| must be at most 1; got {one.last.c}.")


@law("gates", PLAN, cells=("lstm",), needs=("cell state",), seen_in=SEEN)
def test_a_shut_output_gate_shows_nothing(subject, cell, dtype, plan):
    """h_t is exactly zero at every step, and the cell lives on: it is that of the same h."""
    case = plan.case(cell, dtype)
    output = subject.forward(with_gates(case, o=0))
    require(subject, case, not output.h.any() and not output.last.h.any(), "h must be zero behind a shut output gate.")
    alive = np.abs(output.last.c) > 0
    require(subject, case, bool(alive.all()), "the cell must live on behind a shut output gate.")


@law("gates", PLAN, cells=("lstm",), needs=("backward", "cell state"))
def test_no_gradient_passes_a_shut_forget_gate(subject, cell, dtype, plan):
    """With f = 0 what reaches the first cell is multiplied by exactly zero: dc_0 is zero, whatever comes back."""
    case = plan.case(cell, dtype)
    result = subject.backward(with_gates(case, f=0, i=1), case.cotangent)
    require(subject, case, not result.state.c.any(), f"dc0 must be zero; got {result.state.c}.")


@law("gates", PLAN, cells=("lstm",), needs=("backward", "cell state"))
def test_the_gradient_passes_an_open_forget_gate_as_it_is(subject, cell, dtype, plan):
    """With f = 1, i = 0 and o = 0 the cell is a wire: dc_0 is the cotangent of c_T to the bit, and dx is zero."""
    case = plan.case(cell, dtype)
    result = subject.backward(with_gates(case, f=1, i=0, o=0), case.cotangent)
    same_bits(subject, case, "dc0", result.state.c, case.cotangent.last.c)
    require(subject, case, not result.x.any(), "nothing must reach x through shut gates.")
