"""Law "bias": only the sum of the two biases matters, and each is optional."""

from dataclasses import replace

import numpy as np

from properties.cases import named, only, outputs, plans, results
from properties.laws import agree, law

BOTH, ALONE = plans(biases=("both",)), plans(biases=("ih", "hh"))


@law("bias", BOTH, seen_in=("mxnet#17818",))
def test_exchanging_the_two_biases_changes_nothing(subject, cell, dtype, plan):
    """Only their sum enters the equations, and the exchange leaves it as it is."""
    case = plan.case(cell, dtype)
    params = case.call.params
    swapped = replace(case.call, params=params._replace(bias_ih=params.bias_hh, bias_hh=params.bias_ih))
    got = results(subject, swapped, case.cotangent)
    agree(subject, case, got, case.judged(subject.alpha(dtype), gradients=True))


@law("bias", BOTH, needs=("backward",), seen_in=("torch-xpu-ops#3770",))
def test_both_biases_have_the_same_gradient(subject, cell, dtype, plan):
    """The gradient by a sum is the gradient by each term: both are the exact one."""
    case = plan.case(cell, dtype)
    judged = case.judged(subject.alpha(dtype), gradients=True)
    params = subject.backward(case.call, case.cotangent).params
    swapped = params._replace(bias_ih=params.bias_hh, bias_hh=params.bias_ih)
    biases = ("bias_ih", "bias_hh")
    agree(subject, case, only(named(swapped), biases), only(judged, biases))


@law("bias", BOTH, seen_in=("pytorch#94889",))
def test_no_biases_equal_zero_biases(subject, cell, dtype, plan):
    """The notes' cell has no biases; leaving them out is the same as zeros."""
    case = plan.case(cell, dtype)
    zero = np.zeros_like(case.call.params.bias_ih)
    zeros = replace(case.call, params=case.call.params._replace(bias_ih=zero, bias_hh=zero.copy()))
    none = replace(case.call, params=case.call.params._replace(bias_ih=None, bias_hh=None))
    agree(subject, case, outputs(subject.forward(none)), case.judged(subject.alpha(dtype), call=zeros))


@law("bias", ALONE, needs=("one bias",))
def test_one_of_the_two_biases_alone_works(subject, cell, dtype, plan):
    """One bias is enough for the equations; the absent one has no gradient."""
    case = plan.case(cell, dtype)
    got = results(subject, case.call, case.cotangent)
    agree(subject, case, got, case.judged(subject.alpha(dtype), gradients=True))
