"""Law "untied sum": the gradient of tied weights is the sum of the steps' gradients of untied ones (claim N17)."""

from dataclasses import replace

import numpy as np

from properties.cases import named, only, plans
from properties.laws import agree, law
from properties.oracle import PARAMETERS
from properties.subject import Cotangent

CELLS = ("rnn", "lstm", "rnn_relu")


def step_by_step(subject, case):
    """The gradient by every step's own weights, from calls of one step each; the last step first."""
    call, states = case.call, [case.call.state]
    for t in range(len(call.x) - 1):
        states.append(subject.forward(replace(call, x=call.x[t : t + 1], state=states[-1])).last)
    last = case.cotangent.last
    for t in reversed(range(len(call.x))):
        one = replace(call, x=call.x[t : t + 1], state=states[t])
        result = subject.backward(one, Cotangent(case.cotangent.h[t : t + 1], last))
        last = result.state
        yield result.params


@law("untied sum", plans(), needs=("backward", "cell state"), cells=CELLS, share=0.5)
def test_the_gradient_of_tied_weights_is_the_sum_of_the_steps_gradients(subject, cell, dtype, plan):
    """One set of weights serves every step: its gradient, and the sum over steps, are exact within the bound."""
    case = plan.case(cell, dtype)
    judged = only(case.judged(subject.alpha(dtype), gradients=True), PARAMETERS)
    untied = [named(params) for params in step_by_step(subject, case)]
    agree(subject, case, {n: sum(step[n].astype(np.float64) for step in untied) for n in untied[0]}, judged)
    agree(subject, case, named(subject.backward(case.call, case.cotangent).params), judged)
