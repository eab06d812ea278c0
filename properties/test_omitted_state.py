"""Law "omitted state": no initial state equals zeros."""

from dataclasses import replace

import numpy as np

from impl.spec import leaves, tree_map
from properties.cases import outputs, plans, some_of_one_step, stack_outputs
from properties.laws import all_same_bits, law, same_bits

PLAN = plans(biases=("both",)).map(some_of_one_step)
DEEP = plans(biases=("both",), layers=(1, 2, 3), directions=(1, 2), largest=5).map(some_of_one_step)


@law("omitted state", PLAN, seen_in=("mlx#3249", "mxnet#12650", "tch-rs#624"), share=0.7)
def test_no_initial_state_equals_zeros(subject, cell, dtype, plan):
    """The state before the first step is zero unless given, also where biases move it at once: bits."""
    case = plan.case(cell, dtype)
    zeros = replace(case.call, state=tree_map(np.zeros_like, case.call.state))
    wanted = outputs(subject.forward(zeros))
    all_same_bits(subject, case, outputs(subject.forward(replace(case.call, state=None))), wanted)


@law("omitted state", PLAN, needs=("backward",), share=0.7)
def test_gradients_without_an_initial_state_are_those_at_zeros(subject, cell, dtype, plan):
    """x and the parameters have the same gradients, to the bit but for a zero's sign: see `unsigned`."""
    case = plan.case(cell, dtype)
    zeros = replace(case.call, state=tree_map(np.zeros_like, case.call.state))
    got, wanted = (subject.backward(call, case.cotangent) for call in (replace(case.call, state=None), zeros))
    for d, w in zip(leaves((got.x, got.params)), leaves((wanted.x, wanted.params)), strict=True):
        same_bits(subject, case, "a gradient", unsigned(d), unsigned(w))


@law("omitted state", DEEP, needs=("layers", "directions"), share=0.5)
def test_no_initial_states_of_a_stack_equal_zeros(subject, cell, dtype, plan):
    """Every layer and direction starts from zero: bits."""
    case = plan.case(cell, dtype)
    zeros = replace(case.stack, state=tree_map(np.zeros_like, case.stack.state))
    wanted = stack_outputs(subject.stack(zeros))
    all_same_bits(subject, case, stack_outputs(subject.stack(replace(case.stack, state=None))), wanted)


@law("omitted state", DEEP, needs=("layers", "directions", "backward"), share=0.4)
def test_gradients_of_a_stack_without_initial_states_are_those_at_zeros(subject, cell, dtype, plan):
    """x and the parameters of every layer and direction have the same gradients, as in one layer."""
    case = plan.case(cell, dtype)
    zeros = replace(case.stack, state=tree_map(np.zeros_like, case.stack.state))
    calls = (replace(case.stack, state=None), zeros)
    got, wanted = (subject.stack_backward(call, case.stack_cotangent) for call in calls)
    for d, w in zip(leaves((got.x, got.params)), leaves((wanted.x, wanted.params)), strict=True):
        same_bits(subject, case, "a gradient", unsigned(d), unsigned(w))


def unsigned(gradient):
    """With +0 for -0: minus one times a state of zero is -0, and where that product is left out it is +0."""
    return gradient + 0
