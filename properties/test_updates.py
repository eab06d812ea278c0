"""Law "updates": a changed or tied parameter is seen by the next call."""

from dataclasses import replace

import numpy as np

from properties.cases import judge, judge_stack, named, plans, results, stack_results
from properties.laws import agree, law

SEEN = ("pytorch#3751", "pytorch#65688")


@law("updates", plans(), seen_in=SEEN)
def test_parameters_changed_in_place_are_seen_by_the_next_call(subject, cell, dtype, plan):
    """An optimiser writes into the arrays that are there: the next call computes with what they hold now.

    In half of the cases it is one entry alone: who keeps what he read by its first number would not see it.
    """
    case = plan.case(cell, dtype)
    results(subject, case.call, case.cotangent)
    arrays = list(named(case.call.params).values())
    if plan.seed % 2:
        for array in arrays:
            array += case.normal(*array.shape) * np.asarray(0.25, dtype)
    else:
        array = arrays[case.rng.integers(len(arrays))]
        array[tuple(case.rng.integers(array.shape))] += 1
    judged = judge(case.call, case.cotangent, dtype, subject.alpha(dtype))
    agree(subject, case, results(subject, case.call, case.cotangent), judged)


@law("updates", plans(biases=("both",)), seen_in=SEEN)
def test_one_array_may_serve_as_two_parameters(subject, cell, dtype, plan):
    """Tied biases, and with D = H tied weights: each has the gradient of its own place; a change is seen in both."""
    case = replace(plan, D=plan.H).case(cell, dtype)
    params = case.call.params
    tied = params._replace(weight_ih=params.weight_hh, bias_ih=params.bias_hh)
    call = replace(case.call, params=tied)
    for _ in range(2):
        judged = judge(call, case.cotangent, dtype, subject.alpha(dtype))
        agree(subject, case, results(subject, call, case.cotangent), judged)
        tied.weight_hh[...], tied.bias_hh[...] = case.normal(*tied.weight_hh.shape), case.normal(*tied.bias_hh.shape)


@law("updates", plans(layers=(2,), largest=5), needs=("layers",), seen_in=SEEN, share=0.4)
def test_two_layers_may_share_their_parameters(subject, cell, dtype, plan):
    """The same arrays in two layers: each layer's own gradient, whose sum is that of the shared ones."""
    case = replace(plan, D=plan.H).case(cell, dtype)
    shared = replace(case.stack, layers=(case.stack.layers[0],) * 2)
    judged = judge_stack(shared, case.stack_cotangent, dtype, subject.alpha(dtype))
    agree(subject, case, stack_results(subject, shared, case.stack_cotangent), judged)
