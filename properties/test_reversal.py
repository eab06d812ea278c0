"""Law "reversal": the reverse direction is the forward one on the reversed sequence."""

from dataclasses import replace

import numpy as np

from properties.cases import GRADIENTS, OUTPUTS, only, plans, stack_gradients, stack_outputs, stack_results
from properties.laws import agree, law
from properties.subject import Call, Cotangent, Output, Result

SEEN = ("onnx#7935", "onnx2c#95", "onnx-tensorflow#342", "keras#1431", "coremltools#824")
WHOLE = plans(directions=(2,), largest=6)
PADDED = plans(directions=(2,), largest=6, lengths=True)


def reversed_rows(a, lengths):
    """A sequence (T, B, ...) with each row reversed within its own length; its padding stays."""
    t = np.arange(len(a))[:, None]
    n = np.full(a.shape[1], len(a)) if lengths is None else lengths
    order = np.where(t < n, n - 1 - t, t)
    return np.take_along_axis(a, order[..., None], 0)


def by_two_forwards(subject, case):
    """The outputs of one layer in two directions from two forward runs, one of them on reversed rows."""
    call, (forwards, backwards) = case.stack, case.stack.layers[0]
    (h0, g0), n = call.state[0], call.lengths
    one = subject.forward(Call(call.cell, forwards, call.x, h0, n))
    two = subject.forward(Call(call.cell, backwards, reversed_rows(call.x, n), g0, n))
    h = np.concatenate([one.h, reversed_rows(two.h, n)], -1)
    return stack_outputs(Output(h, ((one.last, two.last),)))


def reverse_gradients(subject, case):
    """The reverse direction's gradients by its parameters and state, from a forward run on reversed rows."""
    call, cotangent, H = case.stack, case.stack_cotangent, case.plan.H
    one = Call(call.cell, call.layers[0][1], reversed_rows(call.x, call.lengths), call.state[0][1], call.lengths)
    dh = np.ascontiguousarray(reversed_rows(cotangent.h, call.lengths)[..., H:])
    result = subject.backward(one, Cotangent(dh, cotangent.last[0][1]))
    whole = stack_gradients(Result(result.x, ((result.params,) * 2,), ((result.state,) * 2,)))
    return {name: a for name, a in whole.items() if name.endswith("_reverse")}


@law("reversal", WHOLE, needs=("directions",), seen_in=SEEN, share=0.5)
def test_two_directions_are_a_forward_run_and_a_forward_run_on_the_reversed_sequence(subject, cell, dtype, plan):
    """Each direction has weights of its own and sits at its own place in the output: both forms within the bound."""
    case = plan.case(cell, dtype)
    judged = case.judged_stack(subject.alpha(dtype))
    agree(subject, case, by_two_forwards(subject, case), judged)
    agree(subject, case, stack_outputs(subject.stack(case.stack)), judged)


@law("reversal", PADDED, needs=("directions", "lengths"), seen_in=SEEN, share=0.35)
def test_a_padded_row_is_reversed_within_its_own_length(subject, cell, dtype, plan):
    """The reverse direction starts at a row's own last step, not at the padding's: values and gradients."""
    case = plan.case(cell, dtype)
    judged = case.judged_stack(subject.alpha(dtype), gradients=True)
    agree(subject, case, by_two_forwards(subject, case), only(judged, OUTPUTS))
    if "backward" in subject.capabilities:
        by_reverse = {name: j for name, j in only(judged, GRADIENTS).items() if name.endswith("_reverse")}
        agree(subject, case, reverse_gradients(subject, case), by_reverse)
    agree(subject, case, stack_results(subject, case.stack, case.stack_cotangent), judged)


@law("reversal", WHOLE, needs=("directions",), share=0.5)
def test_equal_weights_on_the_reversed_sequence_exchange_the_directions(subject, cell, dtype, plan):
    """Exchanged weights and states on the reversed sequence give the reversed output with its halves exchanged."""
    case, H = plan.case(cell, dtype), plan.H
    call = case.stack
    turned = replace(
        call, layers=(call.layers[0][::-1],), x=np.ascontiguousarray(call.x[::-1]), state=(call.state[0][::-1],)
    )
    h = subject.stack(turned).h[::-1]
    got = {"h": np.concatenate([h[..., H:], h[..., :H]], -1)}
    agree(subject, case, got, only(case.judged_stack(subject.alpha(dtype)), ("h",)))
