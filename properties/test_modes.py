"""Law "modes": one to many sees one input, many to one the last state, a decoder a carried state and what it said."""

from dataclasses import replace

import numpy as np

from impl.spec import tree_map
from properties import oracle
from properties.cases import gradients, head_of, judge, only, outputs, plans
from properties.laws import agree, all_same_bits, law, require, same_bits
from properties.oracle import PARAMETERS
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
    judged, parts = judge(case.call, by_last, dtype, subject.alpha(dtype)), ("x", *PARAMETERS, "h0")
    for cotangent in (by_last, by_step, by_both):
        got = gradients(subject.backward(case.call, cotangent))
        agree(subject, case, only(got, parts), only(judged, parts))


@law("modes", plans(), needs=("cell state",), share=0.5)
def test_a_decoder_sees_the_source_through_the_state_alone(subject, cell, dtype, plan):
    """From one state the decoder says the same, to the bit, whichever source was encoded before it."""
    case = plan.case(cell, dtype)
    source, other = case.call, replace(case.call, x=case.normal(*case.call.x.shape))
    decoder = replace(case.call, x=case.normal(plan.T + 1, plan.B, plan.D), state=subject.forward(source).last)
    wanted = outputs(subject.forward(decoder))
    subject.forward(other)
    all_same_bits(subject, case, outputs(subject.forward(decoder)), wanted, "of the decoder")


def spoken(case):
    """A read-out of D + 1 outputs and their embedding, without -0, which a product with a one-hot vector may lose."""
    V = case.plan.D + 1
    return head_of(case, V), case.normal(V, case.plan.D) + 0


def may_be_likeliest(y):
    """The outputs that a correct subject's rounding could make the largest: none of them is wrong to choose."""
    ahead = lambda a: a[..., None, :] - a[..., None]  # noqa: E731
    return (ahead(y.hi) + ahead(y.lo) <= y.bound[..., None, :] + y.bound[..., None]).all(-1)


def said(case, head, embedding, fed, h):
    """What must have been fed: the first input, then the embeddings of the likeliest outputs of h (T, B, H).

    Where rounding decides which is the likeliest, any of those that it can make so, if one of them was fed.
    """
    dy = np.zeros((*h.shape[:-1], len(embedding)), h.dtype)
    y = oracle.judge_head(head.weight_hy, head.bias_hy, h, dy, dtype=case.dtype)["y"].take(slice(-1))
    fits = may_be_likeliest(y) & (fed[1:, :, None] == embedding).all(-1)
    chosen = np.where(fits.any(-1), fits.argmax(-1), y.hi.argmax(-1))
    return np.concatenate([case.call.x[:1], embedding[chosen]])


@law("modes", plans(), needs=("feeds back",), share=0.25)
def test_a_loop_on_its_own_outputs_is_the_forced_one_on_what_it_was_fed(subject, cell, dtype, plan):
    """Fed to `forward`, its inputs give the same states, and each is the likeliest output of the state before it."""
    case = plan.case(cell, dtype)
    head, embedding = spoken(case)
    fed, output = subject.feed_back(case.call, head, embedding, plan.T)
    require(subject, case, fed.shape == case.call.x.shape, f"one input a step must be fed; got {fed.shape}.")
    forced = replace(case.call, x=fed)
    judged = case.judged(subject.alpha(dtype), call=forced)
    agree(subject, case, outputs(output), judged)
    agree(subject, case, outputs(subject.forward(forced)), judged)
    same_bits(subject, case, "x", fed, said(case, head, embedding, fed, output.h))


@law("modes", plans(), needs=("feeds back", "cell state"), share=0.25)
def test_a_decoder_that_hears_itself_sees_the_source_through_the_state_alone(subject, cell, dtype, plan):
    """From one state it says the same, to the bit, whatever was encoded and said in between."""
    case = plan.case(cell, dtype)
    (head, embedding), source = spoken(case), case.call
    other = replace(source, x=case.normal(*source.x.shape))
    decoder = replace(source, x=case.normal(1, plan.B, plan.D), state=subject.forward(source).last)
    fed, wanted = subject.feed_back(decoder, head, embedding, plan.T + 1)
    subject.feed_back(replace(decoder, state=subject.forward(other).last), head, embedding, plan.T)
    again, got = subject.feed_back(decoder, head, embedding, plan.T + 1)
    all_same_bits(subject, case, {"x": again, **outputs(got)}, {"x": fed, **outputs(wanted)}, "of the decoder")
