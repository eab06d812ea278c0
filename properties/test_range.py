"""Law "range": a tanh unit stays in [-1, 1], and a cell grows by one a step at most."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from properties.cases import plans
from properties.laws import law, require
from properties.oracle import unit

WILD = st.tuples(plans(scales=(0.5, 5.0, 100.0)), st.sampled_from((1.0, 1e3))).map(
    lambda both: replace(both[0], opposed=both[0].opposed * both[1])
)
"""Weights up to 100, biases up to 3e4: states at the ends of their range."""


def wild_call(case):
    """The case's call with inputs of a size from 1 to 1e3."""
    return replace(case.call, x=case.call.x * np.asarray(10.0 ** (case.plan.seed % 4), case.dtype))


@law("range", WILD)
def test_every_h_lies_between_minus_one_and_one(subject, cell, dtype, plan):
    """|tanh| and |sigma tanh| are at most 1, and rounding to nearest cannot lead beyond a number that is one: exact."""
    case = plan.case(cell, dtype)
    output = subject.forward(wild_call(case))
    for name, h in (("h", output.h), ("hT", output.last.h)):
        require(subject, case, bool((np.abs(h) <= 1).all()), f"|{name}| must be at most 1; got {np.abs(h).max()!s}.")


@law("range", WILD, cells=("lstm",), needs=("cell state",))
def test_a_cell_grows_by_one_a_step_at_most(subject, cell, dtype, plan):
    """|c_t| <= (|c_0| + t)(1 + 2 t u): f, i and |g| are at most 1, and each step rounds twice."""
    case, (u, _) = plan.case(cell, dtype), unit(dtype)
    call = wild_call(case)
    for t in (1, plan.cut, plan.T):
        c = subject.forward(replace(call, x=call.x[:t])).last.c.astype(np.float64)
        allowed = (np.abs(call.state.c.astype(np.float64)) + t) * (1 + 2 * t * u)
        inside = bool((np.abs(c) <= allowed).all())
        require(subject, case, inside, f"|c_{t}| must be at most |c_0| + {t}; got {np.abs(c).max()!s}.")
