"""Law "modes": one to many sees one input, many to one the last state, a decoder the source only through the state."""

from dataclasses import replace

import numpy as np

from impl.spec import tree_map
from properties.cases import gradients, judge, outputs, plans
from properties.laws import agree, all_same_bits, law, same_bits
from properties.subject import Cotangent


@law("modes", plans(), needs=("cell state",), share=0.5)
def test_one_to_many_sees_its_one_input_alone(subject, cell, dtype, plan):
    """After its input come zeros: from the carried state on, other input weights give the same bits."""
    case = plan.case(cell, dtype)
    begun = subject.forward(replace(case.call, x=case.call.x[:1]))
    rest = replace(case.call, x=np.zeros_like(case.call.x[1:]), state=begun.last)
    other = rest.params._replace(weight_ih=case.normal(*rest.params.weight_ih.shape))
    wanted = outputs(subject.forward(rest))
    all_same_bits(subject, case, outputs(subject.forward(replace(rest, params=other))), wanted, "after the one input")


@law("modes", plans(), share=0.5)
def test_many_to_one_reads_the_last_state(subject, cell, dtype, plan):
    """The state that is read out is that of the last step: hT is h[T-1], to the bit."""
    case = plan.case(cell, dtype)
    output = subject.forward(case.call)
    same_bits(subject, case, "hT", output.last.h, output.h[-1])


@law("modes", plans(), needs=("backward",), share=0.25)
def test_the_gradient_of_many_to_one_enters_at_the_last_step(subject, cell, dtype, plan):
    """A cotangent of hT, the same of h[T-1], or half of each, have one gradient: exact within the bound."""
    case = plan.case(cell, dtype)
    none, v = tree_map(np.zeros_like, case.cotangent), case.cotangent.last.h
    by_last = none._replace(last=none.last._replace(h=v))
    by_step = none._replace(h=np.concatenate([none.h[:-1], v[None]]))
    by_both = Cotangent(by_step.h / 2, tree_map(lambda a: a / 2, by_last.last))
    judged = judge(case.call, by_last, dtype, subject.alpha(dtype))
    for cotangent in (by_last, by_step, by_both):
        got = gradients(subject.backward(case.call, cotangent))
        agree(subject, case, {name: got[name] for name in ("x", "weight_ih", "weight_hh", "h0")}, judged)


@law("modes", plans(), needs=("cell state",), share=0.5)
def test_a_decoder_sees_the_source_through_the_state_alone(subject, cell, dtype, plan):
    """From one state the decoder says the same, to the bit, whichever source was encoded before it."""
    case = plan.case(cell, dtype)
    source, other = case.call, replace(case.call, x=case.normal(*case.call.x.shape))
    decoder = replace(case.call, x=case.normal(plan.T + 1, plan.B, plan.D), state=subject.forward(source).last)
    wanted = outputs(subject.forward(decoder))
    subject.forward(other)
    all_same_bits(subject, case, outputs(subject.forward(decoder)), wanted, "of the decoder")
